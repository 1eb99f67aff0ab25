//! Two endpoints of ours on loopback, and datagrams by hand.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc::Receiver;

use mixer_signalling::{CalledFrom, Capabilities};

use super::{
    CallKey, Cause, Codec, EndedBy, Invite, Listen, LocalMedia, Peer, PeerId, RemoteMedia, Setup, SipEndpoint,
    SipEvent, Target, Transport, Who,
};

mod others;
mod strangers;
mod tls;

const PATIENCE: Duration = Duration::from_secs(5);

struct Side {
    sip: SipEndpoint,
    events: Receiver<SipEvent>,
}

impl Side {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::open(Listen::on("127.0.0.1:0".parse().unwrap()));
        change(&mut setup);
        let (sip, events) = SipEndpoint::start(setup).await.unwrap();
        Self { sip, events }
    }

    fn address(&self) -> SocketAddr {
        self.sip.addresses()[0]
    }

    async fn next(&mut self) -> SipEvent {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("a living endpoint")
    }

    async fn call(&self, server: SocketAddr, transport: Transport) -> CallKey {
        let host = server.ip().to_string();
        let request = Invite {
            target: Some(Target { host, port: Some(server.port()), transport }),
            peer: None,
            number: "884711#".to_owned(),
            from: Some("+493023125002".to_owned()),
            local: LocalMedia { ip: server.ip(), port: 40_000 },
        };
        self.sip.invite(request)
    }

    async fn incoming(&mut self) -> CallKey {
        match self.next().await {
            SipEvent::Incoming { call, .. } => call,
            other => panic!("{other:?}"),
        }
    }

    async fn established(&mut self) -> RemoteMedia {
        match self.next().await {
            SipEvent::Established { remote, .. } => remote,
            other => panic!("{other:?}"),
        }
    }

    async fn ended(&mut self) -> Cause {
        match self.next().await {
            SipEvent::Ended { cause, .. } => cause,
            other => panic!("{other:?}"),
        }
    }

    /// Nothing of a call is left once it is over.
    async fn is_empty(&self) {
        until("no call is left in the tables", || self.sip.remembered() == 0).await;
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looking = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

fn media(port: u16) -> LocalMedia {
    LocalMedia { ip: "127.0.0.1".parse().unwrap(), port }
}

async fn a_call(transport: Transport) {
    let (mut ours, mut theirs) = (Side::new().await, Side::new().await);
    let placed = theirs.call(ours.address(), transport).await;
    let SipEvent::Incoming { call, source, local, called, headers, .. } = ours.next().await else { panic!("no call") };
    assert_eq!((called.as_str(), format!("{called:?}").as_str()), ("884711#", "Called(7 keys)"));
    assert_eq!((source.ip(), local), ("127.0.0.1".parse().unwrap(), "127.0.0.1".parse().unwrap()));
    assert!(headers.asserted[0].contains("sip:+493023125002@"), "{}", headers.asserted[0]);

    ours.sip.answer(call, media(20_000));
    let remote = theirs.established().await;
    assert_eq!((remote.address, remote.codec), ("127.0.0.1:20000".parse().unwrap(), Codec::Pcma));
    assert_eq!(remote.telephone_event, Some(101));
    assert_eq!(ours.established().await.address, "127.0.0.1:40000".parse().unwrap());

    theirs.sip.hang_up(placed, "done here");
    assert_eq!(theirs.ended().await.by, EndedBy::Us);
    assert_eq!(ours.ended().await, Cause { by: EndedBy::Peer, status: None, text: "done here".to_owned() });
    ours.is_empty().await;
    theirs.is_empty().await;
}

#[tokio::test]
async fn a_call_over_udp() {
    a_call(Transport::Udp).await;
}

#[tokio::test]
async fn a_call_over_tcp() {
    a_call(Transport::Tcp).await;
}

#[tokio::test]
async fn we_hang_up_with_a_reason_over_both_transports() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (mut ours, mut theirs) = (Side::new().await, Side::new().await);
        theirs.call(ours.address(), transport).await;
        let call = ours.incoming().await;
        ours.sip.answer(call, media(20_000));
        ours.established().await;
        theirs.established().await;
        ours.sip.hang_up(call, "the conference is over");
        assert_eq!(theirs.ended().await.text, "the conference is over");
        assert_eq!(ours.ended().await.by, EndedBy::Us);
        theirs.is_empty().await;
    }
}

#[tokio::test]
async fn a_refusal_names_its_status() {
    let (mut ours, mut theirs) = (Side::new().await, Side::new().await);
    theirs.call(ours.address(), Transport::Udp).await;
    let call = ours.incoming().await;
    ours.sip.refuse(call, 403, "closed", "closed");
    let cause = theirs.ended().await;
    assert_eq!((cause.by, cause.status), (EndedBy::Peer, Some(403)));
    assert_eq!(ours.ended().await.status, Some(403));
    ours.is_empty().await;
}

#[tokio::test]
async fn hanging_up_before_the_answer_cancels() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (mut ours, mut theirs) = (Side::with(known).await, Side::new().await);
        let placed = theirs.call(ours.address(), transport).await;
        let call = ours.incoming().await;
        theirs.sip.hang_up(placed, "changed my mind");
        let cause = ours.ended().await;
        assert_eq!((cause.by, cause.status), (EndedBy::Peer, Some(487)));
        assert_eq!(theirs.ended().await.by, EndedBy::Us);
        // The shell's answer crosses the CANCEL: nothing happens.
        ours.sip.answer(call, media(20_000));
        ours.is_empty().await;
        theirs.is_empty().await;
    }
}

#[tokio::test]
async fn at_the_bound_new_calls_get_503_and_the_running_one_stays() {
    let mut ours = Side::with(|setup| setup.config.limits.calls = 1).await;
    let mut theirs = Side::new().await;
    theirs.call(ours.address(), Transport::Udp).await;
    let call = ours.incoming().await;
    ours.sip.answer(call, media(20_000));
    ours.established().await;
    theirs.established().await;
    theirs.call(ours.address(), Transport::Udp).await;
    assert_eq!(theirs.ended().await.status, Some(503));
    assert_eq!(ours.sip.calls(), 1);
    until("the refusal is counted", || ours.sip.counters().read().refused.contains(&("too_many_calls", 1))).await;
}

#[tokio::test]
async fn shutdown_says_bye() {
    let (mut ours, mut theirs) = (Side::new().await, Side::new().await);
    theirs.call(ours.address(), Transport::Udp).await;
    let call = ours.incoming().await;
    ours.sip.answer(call, media(20_000));
    ours.established().await;
    theirs.established().await;
    ours.sip.shutdown("the service stops").await;
    assert_eq!(theirs.ended().await.text, "the service stops");
}

/// A telephone system of ours, at every address of this machine.
fn known(setup: &mut Setup) {
    let pbx = Peer {
        id: PeerId(1),
        name: "pbx".to_owned(),
        server: None,
        outbound_proxy: None,
        domain: String::new(),
        user: None,
        credentials: None,
        register: false,
        expires_s: 600,
        keep_alive: Duration::ZERO,
        challenge: false,
        capabilities: Capabilities::default(),
        refer: false,
        session_expires_s: 0,
        lines: None,
        called_from: CalledFrom::RequestUri,
    };
    setup.config.peers.push(pbx);
    setup.who = Who::by(|_, _| Some(PeerId(1)));
}

/// A telephone made of datagrams.
struct Hand {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Hand {
    async fn new(server: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), server }
    }

    fn request(&self, method: &str, seq: &str, more: &str, body: &str) -> String {
        let me = self.socket.local_addr().unwrap();
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:88@{} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{seq}{method};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"Hand\" <sip:hand@{me}>;tag=hand\r\nTo: <sip:88@{}>{more}\r\nCall-ID: hand@{me}\r\n\
             CSeq: {seq} {method}\r\nContact: <sip:hand@{me}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            self.server,
            self.server,
            body.len()
        )
    }

    async fn send(&self, datagram: impl AsRef<[u8]>) {
        self.socket.send_to(datagram.as_ref(), self.server).await.unwrap();
    }

    async fn receive(&self) -> String {
        let mut buf = [0; 8_192];
        let received = tokio::time::timeout(PATIENCE, self.socket.recv_from(&mut buf)).await;
        let (len, _) = received.expect("a datagram in time").unwrap();
        String::from_utf8(buf[..len].to_vec()).unwrap()
    }

    /// The next response that is not provisional.
    async fn answer(&self) -> String {
        loop {
            let response = self.receive().await;
            if !response.starts_with("SIP/2.0 1") {
                return response;
            }
        }
    }
}

fn sdp(address: &str, direction: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\na={direction}\r\n"
    )
}

fn to_tag(response: &str) -> String {
    let to = response.lines().find(|line| line.starts_with("To:")).unwrap();
    format!(";tag={}", to.rsplit_once(";tag=").unwrap().1)
}

#[tokio::test]
async fn requests_outside_calls_get_their_answers() {
    let ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    for (method, seq, more, status) in [
        ("OPTIONS", "1", "", "200"),
        ("REGISTER", "2", "", "405"),
        ("SUBSCRIBE", "3", "", "405"),
        ("MESSAGE", "4", "", "405"),
        ("PUBLISH", "5", "", "405"),
        ("REFER", "6", "", "405"),
        ("BREW", "7", "", "501"),
        ("OPTIONS", "8", "\r\nRequire: 100rel, teleport", "420"),
        ("INVITE", "9", "\r\nRequire: teleport", "420"),
        ("BYE", "10", ";tag=nobody", "481"),
        ("BYE", "11", "", "481"),
        ("CANCEL", "12", "", "481"),
        ("PRACK", "13", ";tag=nobody", "481"),
        ("INFO", "14", "", "481"),
        ("INVITE", "15", ";tag=nobody", "481"),
        ("INVITE", "16", "\r\nCall-ID: twice", "400"),
        ("OPTIONS", "17", "\r\nCSeq: 17 BYE", "400"),
    ] {
        // Nobody is ever answered for an ACK that belongs to nothing.
        hand.send(hand.request("ACK", &format!("9{seq}"), more, "")).await;
        hand.send(hand.request(method, seq, more, "")).await;
        let response = hand.answer().await;
        assert!(response.starts_with(&format!("SIP/2.0 {status} ")), "{method}: {response}");
        if status == "200" {
            assert!(response.contains("Allow: INVITE") && response.contains("Accept: application/sdp"), "{response}");
        }
        if status == "405" {
            assert!(response.contains("Allow: INVITE"), "{response}");
        }
        if status == "420" {
            assert!(response.contains("Unsupported: teleport\r\n"), "{response}");
        }
    }
}

#[tokio::test]
async fn an_identity_too_long_to_be_kept_makes_way_for_no_other() {
    let mut ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    let long = format!("P-Asserted-Identity: \"{}\" <sip:+447700900123@pbx>\r\nContact:", "x".repeat(600));
    hand.send(hand.request("INVITE", "1", "", "").replacen("Contact:", &long, 1)).await;
    let SipEvent::Incoming { headers, .. } = ours.next().await else { panic!("no call") };
    assert_eq!((headers.asserted, headers.from.len()), (vec![String::new()], 1));
}

#[tokio::test]
async fn an_invite_with_two_lines_is_answered_with_sound_alone() {
    let mut ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    let two = sdp("127.0.0.1", "sendrecv") + "m=video 40002 RTP/AVP 31\r\n";
    hand.send(hand.request("INVITE", "1", "", &two)).await;
    let call = ours.incoming().await;
    ours.sip.answer(call, media(20_000));
    let response = hand.answer().await;
    assert!(response.contains("m=audio 20000 RTP/AVP 8\r\n") && response.contains("m=video 0 RTP/AVP 31\r\n"));
}

#[tokio::test]
async fn our_name_shows_no_version() {
    let ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    hand.send(hand.request("OPTIONS", "1", "", "")).await;
    let response = hand.answer().await.to_lowercase();
    assert!(response.contains("server: dialroom\r\n"), "{response}");
    assert!(!response.contains("rsip") && !response.contains("restsend"), "{response}");
}

#[tokio::test]
async fn the_same_invite_by_two_ways_is_merged_and_a_repetition_is_not_a_second_call() {
    let mut ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    let invite = hand.request("INVITE", "1", "", &sdp("127.0.0.1", "sendrecv"));
    hand.send(&invite).await;
    ours.incoming().await;
    hand.send(&invite).await;
    hand.send(invite.replace("branch=z9hG4bK", "branch=z9hG4bKother")).await;
    let response = hand.answer().await;
    assert!(response.starts_with("SIP/2.0 482 "), "{response}");
    assert_eq!(ours.sip.calls(), 1);
}

#[tokio::test]
async fn hold_resume_and_a_new_address_are_told_and_answered() {
    let mut ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    hand.send(hand.request("INVITE", "1", "", &sdp("127.0.0.1", "sendrecv"))).await;
    let call = ours.incoming().await;
    ours.sip.answer(call, media(20_000));
    let tag = to_tag(&hand.answer().await);
    hand.send(hand.request("ACK", "1", &tag, "")).await;
    ours.established().await;
    for (seq, address, theirs, mirrored, speaks, listens) in [
        ("2", "127.0.0.1", "sendonly", "recvonly", true, false),
        ("3", "127.0.0.1", "inactive", "inactive", false, false),
        ("4", "0.0.0.0", "sendrecv", "recvonly", true, false),
        ("5", "127.0.0.9", "sendrecv", "sendrecv", true, true),
    ] {
        hand.send(hand.request("INVITE", seq, &tag, &sdp(address, theirs))).await;
        let response = hand.answer().await;
        assert!(response.starts_with("SIP/2.0 200 ") && response.contains(&format!("a={mirrored}\r\n")), "{response}");
        hand.send(hand.request("ACK", seq, &tag, "")).await;
        let SipEvent::Reoffered { remote, .. } = ours.next().await else { panic!("not told") };
        assert_eq!((remote.speaks, remote.listens), (speaks, listens), "{theirs} at {address}");
    }
    // A hold of a held call keeps the address last known; what we cannot agree to leaves the call as it was.
    hand.send(hand.request("INVITE", "6", &tag, &sdp("224.0.0.1", "sendrecv"))).await;
    assert!(hand.answer().await.starts_with("SIP/2.0 488 "));
    hand.send(hand.request("ACK", "6", &tag, "")).await;
    hand.send(hand.request("INFO", "7", &tag, "")).await;
    assert!(hand.answer().await.starts_with("SIP/2.0 200 "));
    hand.send(hand.request("BYE", "3", &tag, "")).await;
    assert!(hand.answer().await.starts_with("SIP/2.0 500 "), "an old number changes nothing");
    hand.send(hand.request("BYE", "8", &format!("{tag}\r\nReason: Q.850;cause=16;text=\"bye\""), "")).await;
    assert!(hand.answer().await.starts_with("SIP/2.0 200 "));
    assert_eq!(ours.ended().await.text, "bye");
    ours.is_empty().await;
}

#[tokio::test]
async fn an_invite_without_offer_gets_ours_and_its_ack_answers() {
    let mut ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    hand.send(hand.request("INVITE", "1", "", "")).await;
    let call = ours.incoming().await;
    ours.sip.answer(call, media(20_000));
    let response = hand.answer().await;
    assert!(response.contains("m=audio 20000 RTP/AVP 8 0 9 111 101 110\r\n"), "{response}");
    hand.send(hand.request("ACK", "1", &to_tag(&response), &sdp("127.0.0.5", "sendrecv"))).await;
    assert_eq!(ours.established().await.address, "127.0.0.5:40000".parse().unwrap());
}

#[tokio::test]
async fn no_sound_in_common_is_488_and_no_sdp_is_415() {
    let mut ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    let offer = sdp("127.0.0.1", "sendrecv");
    hand.send(hand.request("INVITE", "1", "", &offer.replace("AVP 8", "AVP 18"))).await;
    let call = ours.incoming().await;
    ours.sip.answer(call, media(20_000));
    assert!(hand.answer().await.starts_with("SIP/2.0 488 "));
    assert_eq!(ours.ended().await.status, Some(488));
    let xml = hand.request("INVITE", "2", "", &offer).replace("application/sdp", "application/xml");
    hand.send(xml).await;
    // The first refusal is repeated until its ACK.
    while !hand.answer().await.starts_with("SIP/2.0 415 ") {}
    ours.is_empty().await;
}

#[tokio::test]
async fn a_latin_1_name_without_length_is_a_call() {
    let mut ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    let invite = hand.request("INVITE", "1", "", &sdp("127.0.0.1", "sendrecv"));
    let without_length: Vec<&str> = invite.split("\r\n").filter(|line| !line.starts_with("Content-Length")).collect();
    let bytes: Vec<u8> =
        without_length.join("\r\n").replace("Hand", "H\u{e4}nd").chars().map(|c| u8::try_from(c).unwrap()).collect();
    hand.send(bytes).await;
    let SipEvent::Incoming { call, headers, .. } = ours.next().await else { panic!("no call") };
    assert!(headers.from[0].contains("Händ"), "{}", headers.from[0]);
    ours.sip.answer(call, media(20_000));
    assert!(hand.answer().await.starts_with("SIP/2.0 200 "));
}

#[tokio::test]
async fn rubbish_is_counted_and_disturbs_nobody() {
    let ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    hand.send(vec![b'x'; 20_000]).await;
    hand.send("hello").await;
    hand.send(hand.request("OPTIONS", "1", "", "").replace("Length: 0", "Length: 7")).await;
    assert!(hand.answer().await.starts_with("SIP/2.0 400 "), "it was to be longer");
    hand.send(hand.request("OPTIONS", "2", "", "")).await;
    assert!(hand.answer().await.starts_with("SIP/2.0 200 "));
    let counts = ours.sip.counters().read();
    assert_eq!((counts.received, counts.refused), (4, vec![("malformed", 3)]));
}

#[tokio::test]
async fn a_stream_is_tidied_like_a_datagram_and_rubbish_costs_only_itself() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    let over_tcp = |request: String| request.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    let exchange = async |bytes: Vec<u8>| {
        let mut stream = tokio::net::TcpStream::connect(ours.address()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut buf = vec![0; 8_192];
        let len = tokio::time::timeout(PATIENCE, stream.read(&mut buf)).await.expect("an answer or the end").unwrap();
        String::from_utf8(buf[..len].to_vec()).unwrap()
    };
    let options = over_tcp(hand.request("OPTIONS", "1", "", ""));
    let latin_1 = options.replace("Hand", "H\u{e4}nd").chars().map(|c| u8::try_from(c).unwrap()).collect();
    assert!(exchange(latin_1).await.starts_with("SIP/2.0 200 "));
    assert!(exchange(options.replace("OPTIONS", "BREW").into_bytes()).await.starts_with("SIP/2.0 501 "));
    assert_eq!(exchange(b"\r\n\r\n".to_vec()).await, "\r\n");
    for length in ["18446744073709551615", "2000000000", "nonsense"] {
        let endless = options.replace("Content-Length: 0", &format!("Content-Length: {length}"));
        assert!(exchange(endless.into_bytes()).await.starts_with("SIP/2.0 400 "), "{length}");
    }
    assert!(exchange(options.into_bytes()).await.starts_with("SIP/2.0 200 "));
    assert!(ours.sip.counters().read().refused.contains(&("malformed", 3)));
}
