//! Registration, questions, several addresses, and what is remembered of calls.

use std::net::IpAddr;

use super::*;
use crate::sip::{Credentials, Registration};

/// A registrar of ours at this server, with the password `open sesame`.
fn extension(server: SocketAddr) -> impl FnOnce(&mut Setup) {
    move |setup| {
        known(setup);
        let peer = &mut setup.config.peers[0];
        peer.server =
            Some(Target { host: server.ip().to_string(), port: Some(server.port()), transport: Transport::Udp });
        peer.domain = "pbx.example".to_owned();
        peer.user = Some("conf".to_owned());
        peer.credentials = Some(Credentials { user: "conf".to_owned(), password: "open sesame".to_owned() });
        peer.register = true;
    }
}

/// A response to a request, its To tagged.
fn response(request: &str, status: &str, more: &str) -> String {
    let kept = request
        .lines()
        .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)));
    let lines: Vec<String> =
        kept.map(|line| if line.starts_with("To:") { format!("{line};tag=r") } else { line.to_owned() }).collect();
    format!("SIP/2.0 {status}\r\n{}\r\n{more}Content-Length: 0\r\n\r\n", lines.join("\r\n"))
}

#[tokio::test]
async fn it_registers_with_its_password_and_leaves_at_the_end() {
    let registrar = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ours = Side::with(extension(registrar.local_addr().unwrap())).await;
    let receive = async || {
        let mut buf = [0; 8_192];
        let received = tokio::time::timeout(PATIENCE, registrar.recv_from(&mut buf)).await;
        let (len, from) = received.expect("a request in time").unwrap();
        (String::from_utf8(buf[..len].to_vec()).unwrap(), from)
    };
    let (request, from) = receive().await;
    assert!(request.starts_with("REGISTER sip:pbx.example SIP/2.0\r\n") && !request.contains("Authorization"));
    let challenge = "WWW-Authenticate: Digest realm=\"pbx.example\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"\r\n";
    registrar.send_to(response(&request, "401 Unauthorized", challenge).as_bytes(), from).await.unwrap();
    let (request, from) = receive().await;
    assert!(request.contains("Authorization: Digest ") && !request.contains("sesame"), "{request}");
    let contact = request.lines().find(|line| line.starts_with("Contact:")).unwrap();
    let granted = format!("{contact};expires=300\r\n");
    registrar.send_to(response(&request, "200 OK", &granted).as_bytes(), from).await.unwrap();
    let SipEvent::Registered { peer: PeerId(1), expires } = { ours }.into_registered().await else {
        panic!("not registered")
    };
    assert_eq!(expires, Duration::from_secs(300));
}

impl Side {
    /// The event that tells of a registration; on the way out it is taken back.
    async fn into_registered(mut self) -> SipEvent {
        let event = self.next().await;
        assert!(matches!(self.sip.registrations()[&PeerId(1)], Registration::Holds { .. }));
        self.sip.shutdown("the service stops").await;
        event
    }
}

#[tokio::test]
async fn a_question_tells_its_answer_and_how_long_it_took() {
    let (ours, theirs) = (Side::with(known).await, Side::new().await);
    let target = |address: SocketAddr| Target {
        host: address.ip().to_string(),
        port: Some(address.port()),
        transport: Transport::Udp,
    };
    let pong = theirs.sip.options(target(ours.address()), None).await;
    assert_eq!((pong.status, pong.text.as_str()), (Some(200), "OK"));
    assert!(pong.took < PATIENCE);
    let over_tcp = Target { transport: Transport::Tcp, ..target("127.0.0.1:9".parse().unwrap()) };
    assert_eq!(theirs.sip.options(over_tcp, None).await.status, None, "nobody is there");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn listening_on_all_addresses_it_answers_as_the_one_that_was_called() {
    let mut ours = Side::with(|setup| {
        setup.listen = Listen::on("0.0.0.0:0".parse().unwrap());
        known(setup);
    })
    .await;
    let called: SocketAddr = (IpAddr::from([127, 0, 0, 7]), ours.address().port()).into();
    let hand = Hand::new(called).await;
    hand.send(hand.request("INVITE", "1", "", &sdp("127.0.0.1", "sendrecv"))).await;
    let SipEvent::Incoming { call, local, .. } = ours.next().await else { panic!("no call") };
    assert_eq!(local, called.ip());
    ours.sip.answer(call, LocalMedia { ip: local, port: 20_000 });
    let mut buf = [0; 4_096];
    let response = loop {
        let (len, from) = tokio::time::timeout(PATIENCE, hand.socket.recv_from(&mut buf)).await.unwrap().unwrap();
        assert_eq!(from, called);
        let response = String::from_utf8(buf[..len].to_vec()).unwrap();
        if response.starts_with("SIP/2.0 200 ") {
            break response;
        }
    };
    assert!(response.contains(&format!("Contact: <sip:{called}>")), "{response}");
    assert!(response.contains("c=IN IP4 127.0.0.7\r\n"), "{response}");
}

#[tokio::test]
async fn ipv6_is_called_like_ipv4() {
    let mut ours = Side::with(|setup| setup.listen = Listen::on("[::1]:0".parse().unwrap())).await;
    let mut theirs = Side::with(|setup| setup.listen = Listen::on("[::1]:0".parse().unwrap())).await;
    for transport in [Transport::Udp, Transport::Tcp] {
        let placed = theirs.call(ours.address(), transport).await;
        let SipEvent::Incoming { call, local, .. } = ours.next().await else { panic!("no call") };
        ours.sip.answer(call, LocalMedia { ip: local, port: 20_000 });
        assert_eq!(theirs.established().await.address, "[::1]:20000".parse().unwrap());
        ours.established().await;
        theirs.sip.hang_up(placed, "done here");
        assert_eq!((theirs.ended().await.by, ours.ended().await.by), (EndedBy::Us, EndedBy::Peer));
    }
}

#[tokio::test]
async fn a_call_is_remembered_as_a_ladder_under_its_number() {
    let mut ours = Side::with(|setup| setup.traced_calls = 10).await;
    let mut theirs = Side::new().await;
    theirs.call(ours.address(), Transport::Tcp).await;
    let call = ours.incoming().await;
    ours.sip.name(call, 47);
    ours.sip.answer(call, media(20_000));
    theirs.established().await;
    ours.established().await;
    let traced = ours.sip.traces();
    assert_eq!((traced.len(), traced[0].leg), (1, Some(47)));
    let ladder = ours.sip.ladder(&traced[0].call_id, true).unwrap();
    let order = ["INVITE sip:88", "200 OK (SDP)", "ACK sip:"].map(|label| ladder.find(label).expect(label));
    assert!(order.is_sorted() && ladder.contains("TCP"), "{ladder}");
    assert!(!ladder.contains("884711#") && !ladder.contains("3023125002"), "digits are hidden: {ladder}");
    assert!(theirs.sip.traces().is_empty(), "nothing is remembered where nobody asked for it");
}

#[tokio::test]
async fn other_settings_are_taken_while_a_call_runs() {
    let (mut ours, mut theirs) = (Side::new().await, Side::new().await);
    theirs.call(ours.address(), Transport::Udp).await;
    let call = ours.incoming().await;
    ours.sip.answer(call, media(20_000));
    theirs.established().await;
    ours.established().await;
    let mut setup = Setup::open(Listen::default());
    setup.config.limits.calls = 1;
    ours.sip.reconfigure(setup);
    theirs.call(ours.address(), Transport::Udp).await;
    assert_eq!(theirs.ended().await.status, Some(503));
    ours.sip.hang_up(call, "done here");
    assert_eq!(theirs.ended().await.text, "done here");
}
