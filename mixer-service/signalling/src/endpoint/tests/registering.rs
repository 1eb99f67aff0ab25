//! Being an extension: registering, being refused, refreshing, leaving.

use std::time::Duration;

use super::hand::{Hand, header};
use super::world::{OURS, World};
use crate::config::{CalledFrom, Credentials, PeerId, Target, Transport};
use crate::endpoint::Endpoint;
use crate::event::{Input, Order, Output, SipEvent};

fn registering() -> World {
    World::with(
        1,
        |ours| {
            let peer = &mut ours.peers[0];
            peer.server = Some(Target { host: "10.0.0.3".to_owned(), port: None, transport: Transport::Udp });
            peer.domain = "pbx.example".to_owned();
            peer.user = Some("88".to_owned());
            peer.credentials = Some(Credentials { user: "88".to_owned(), password: "secret".to_owned() });
            peer.register = true;
            peer.expires_s = 600;
            peer.keep_alive = Duration::from_secs(25);
            peer.called_from = CalledFrom::To;
        },
        |_| {},
    )
}

fn reply(request: &str, status: &str, more: &str) -> String {
    let lines: Vec<&str> = request
        .lines()
        .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)))
        .collect();
    format!("SIP/2.0 {status}\r\n{}\r\n{more}Content-Length: 0\r\n\r\n", lines.join("\r\n"))
}

/// The next REGISTER, within the time that the hand waits.
fn register(hand: &Hand, world: &mut World) -> String {
    loop {
        let request = hand.receive(world);
        if request.starts_with("REGISTER ") {
            return request;
        }
    }
}

#[test]
fn a_challenge_is_answered_and_the_registration_refreshed_at_four_fifths() {
    let mut world = registering();
    let hand = Hand::known();
    let first = register(&hand, &mut world);
    assert!(first.starts_with("REGISTER sip:pbx.example SIP/2.0"), "{first}");
    assert_eq!(header(&first, "To"), Some("<sip:88@pbx.example>"));
    assert_eq!((header(&first, "Expires"), header(&first, "Contact")), (Some("600"), Some("<sip:88@10.0.0.1:5060>")));
    hand.send(
        &mut world,
        reply(
            &first,
            "401 Unauthorized",
            "WWW-Authenticate: Digest realm=\"asterisk\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\r\n",
        ),
    );
    let second = register(&hand, &mut world);
    let proof = header(&second, "Authorization").unwrap();
    assert!(
        proof.contains("username=\"88\"") && proof.contains("realm=\"asterisk\"") && !proof.contains("secret"),
        "{proof}"
    );
    assert_eq!((header(&second, "CSeq"), header(&second, "Call-ID")), (Some("2 REGISTER"), header(&first, "Call-ID")));
    // Another extension's contact stands first; ours counts.
    hand.send(
        &mut world,
        reply(&second, "200 OK", "Contact: <sip:99@10.0.0.7>;expires=30, <sip:88@10.0.0.1:5060>;expires=300\r\n"),
    );
    let SipEvent::Registered { peer: PeerId(7), expires } = world.event(OURS) else { panic!("not registered") };
    assert_eq!((expires, world.sides[OURS].endpoint.counts().registered), (Duration::from_secs(300), 1));
    world.pass_s(238);
    let beats = world.hand.iter().filter(|(_, _, bytes)| bytes == b"\r\n\r\n").count();
    assert_eq!(beats, 9, "a sign of life every 25 s");
    assert!(world.hand.iter().all(|(_, _, bytes)| !bytes.starts_with(b"REGISTER")));
    world.pass_s(3);
    let refresh = world.hand.iter().find(|(_, _, bytes)| bytes.starts_with(b"REGISTER"));
    assert!(refresh.is_some_and(|(_, _, bytes)| String::from_utf8_lossy(bytes).contains("CSeq: 3 REGISTER")));
}

#[test]
fn a_call_through_a_registrar_tells_the_number_in_to() {
    let mut world = registering();
    let hand = Hand::known();
    let request = register(&hand, &mut world);
    hand.send(&mut world, reply(&request, "200 OK", "Expires: 600\r\n"));
    world.event(OURS);
    let invite = hand
        .request("INVITE", 1, "", "")
        .replace("INVITE sip:88@10.0.0.1", "INVITE sip:88@10.0.0.1:5060")
        .replace("To: <sip:88@", "To: <sip:88123@");
    hand.send(&mut world, invite);
    let SipEvent::Incoming { called, .. } = world.event(OURS) else { panic!("no call") };
    assert_eq!(called.as_str(), "88123");
}

#[test]
fn failures_wait_longer_each_time_up_to_half_an_hour() {
    let mut world = registering();
    let hand = Hand::known();
    let mut waits = Vec::new();
    for _ in 0..9 {
        let request = loop {
            world.pass_s(1);
            let found = world.hand.iter().position(|(_, _, bytes)| bytes.starts_with(b"REGISTER"));
            if let Some(at) = found {
                break String::from_utf8(world.hand.remove(at).unwrap().2).unwrap();
            }
        };
        hand.send(&mut world, reply(&request, "403 Forbidden", ""));
        world.hand.clear();
        let SipEvent::RegistrationFailed { status: Some(403), retry_in, .. } = world.event(OURS) else {
            panic!("no failure")
        };
        waits.push(retry_in.as_secs());
    }
    for (wait, most) in waits.iter().zip([30, 60, 120, 240, 480, 960, 1_800, 1_800, 1_800]) {
        assert!((most / 2..=most).contains(wait), "{waits:?}");
    }
}

#[test]
fn a_registrar_that_wants_longer_gets_it_and_one_that_is_silent_is_asked_again() {
    let mut world = registering();
    let hand = Hand::known();
    let request = register(&hand, &mut world);
    hand.send(&mut world, reply(&request, "423 Too Brief", "Min-Expires: 3600\r\n"));
    let request = register(&hand, &mut world);
    assert_eq!(header(&request, "Expires"), Some("3600"));
    world.pass_s(40);
    let SipEvent::RegistrationFailed { status: None, .. } = world.event(OURS) else { panic!("no failure") };
}

#[test]
fn shutdown_takes_the_registration_back() {
    let mut world = registering();
    let hand = Hand::known();
    let request = register(&hand, &mut world);
    hand.send(&mut world, reply(&request, "200 OK", ""));
    world.event(OURS);
    world.order(OURS, Order::Shutdown(String::new()));
    let last = register(&hand, &mut world);
    assert_eq!(header(&last, "Expires"), Some("0"));
    assert!(matches!(world.event(OURS), SipEvent::Registered { expires: Duration::ZERO, .. }));
    hand.send(&mut world, reply(&last, "200 OK", ""));
    world.pass_s(60);
    assert!(world.sides[OURS].endpoint.is_idle());
    assert!(hand.nothing(&world));
}

#[test]
fn shutdown_takes_back_what_the_registrar_is_only_about_to_grant() {
    let mut world = registering();
    let hand = Hand::known();
    register(&hand, &mut world);
    world.order(OURS, Order::Shutdown(String::new()));
    let last = register(&hand, &mut world);
    assert_eq!(header(&last, "Expires"), Some("0"));
    hand.send(&mut world, reply(&last, "200 OK", ""));
    world.pass_s(60);
    assert!(world.sides[OURS].endpoint.is_idle());
}

#[test]
fn other_settings_begin_another_registration_and_the_same_do_not() {
    let mut world = registering();
    let hand = Hand::known();
    let request = register(&hand, &mut world);
    hand.send(&mut world, reply(&request, "200 OK", ""));
    world.event(OURS);
    let mut config = world.sides[OURS].endpoint.config.clone();
    config.peers[0].keep_alive = Duration::ZERO;
    world.input(OURS, Input::Config(config.clone()));
    world.pass_s(1);
    assert!(hand.nothing(&world));
    config.peers[0].user = Some("89".to_owned());
    world.input(OURS, Input::Config(config));
    let left = register(&hand, &mut world);
    assert_eq!((header(&left, "Expires"), header(&left, "To")), (Some("0"), Some("<sip:88@pbx.example>")));
    let begun = register(&hand, &mut world);
    assert_eq!(header(&begun, "To"), Some("<sip:89@pbx.example>"));
    assert!(matches!(world.event(OURS), SipEvent::Registered { expires: Duration::ZERO, .. }));
    // What becomes of the old one says nothing of the new one.
    hand.send(&mut world, reply(&left, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\"\r\n"));
    let proved = register(&hand, &mut world);
    assert_eq!((header(&proved, "CSeq"), header(&proved, "Call-ID")), (Some("3 REGISTER"), header(&left, "Call-ID")));
    hand.send(&mut world, reply(&proved, "403 Forbidden", ""));
    hand.send(&mut world, reply(&begun, "200 OK", "Expires: 300\r\n"));
    let SipEvent::Registered { expires, .. } = world.event(OURS) else { panic!("not registered") };
    assert_eq!(expires, Duration::from_secs(300));
}

#[test]
fn a_call_out_takes_the_way_of_the_registration_and_its_service_route() {
    let mut world = registering();
    let hand = Hand::known();
    let request = register(&hand, &mut world);
    hand.send(&mut world, reply(&request, "200 OK", "Service-Route: <sip:10.0.0.3;lr>\r\n"));
    world.event(OURS);
    let mut invite = world.invite();
    invite.from = None;
    world.order(OURS, Order::Place(invite));
    let request = hand.receive(&mut world);
    assert!(request.starts_with("INVITE sip:884711%23@pbx.example SIP/2.0"), "{request}");
    assert_eq!(header(&request, "Route"), Some("<sip:10.0.0.3;lr>"));
    assert!(header(&request, "From").unwrap().starts_with("<sip:88@pbx.example>;tag="));
    assert_eq!(header(&request, "Contact"), Some("<sip:88@10.0.0.1:5060>;isfocus"));
}

#[test]
fn the_password_is_kept_from_a_realm_that_is_not_the_registrars() {
    let mut world = registering();
    let hand = Hand::known();
    let request = register(&hand, &mut world);
    hand.send(
        &mut world,
        reply(&request, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\"\r\n"),
    );
    let request = register(&hand, &mut world);
    hand.send(&mut world, reply(&request, "200 OK", ""));
    world.event(OURS);
    let (call, _) = hand.call(&mut world);
    world.order(OURS, Order::HangUp(call, String::new()));
    let bye = loop {
        let request = hand.receive(&mut world);
        if request.starts_with("BYE") {
            break request;
        }
    };
    hand.send(&mut world, reply(&bye, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"evil\", nonce=\"n\"\r\n"));
    world.pass_s(1);
    assert!(world.hand.iter().all(|(_, _, bytes)| !String::from_utf8_lossy(bytes).contains("Authorization")));
}

#[test]
fn inside_a_call_only_the_peers_own_realm_is_answered() {
    for (realm, answered) in [("pbx.example", true), ("evil", false)] {
        let mut world = World::with(
            8,
            |ours| {
                ours.peers[0].domain = "pbx.example".to_owned();
                ours.peers[0].credentials = Some(Credentials { user: "88".to_owned(), password: "secret".to_owned() });
            },
            |_| {},
        );
        let hand = Hand::known();
        let (call, _) = hand.call(&mut world);
        world.order(OURS, Order::HangUp(call, String::new()));
        let bye = hand.receive(&mut world);
        let challenge = format!("WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"n\", qop=\"auth\"\r\n");
        hand.send(&mut world, reply(&bye, "401 Unauthorized", &challenge));
        world.pass_s(1);
        let proved = |(_, _, bytes): &(_, _, Vec<u8>)| String::from_utf8_lossy(bytes).contains("Authorization: Digest");
        assert_eq!(world.hand.iter().any(proved), answered, "{realm}");
    }
}

#[test]
fn somebody_is_asked_whether_he_is_there() {
    let mut world = World::new(9);
    let target = Target { host: "10.0.0.1".to_owned(), port: None, transport: Transport::Udp };
    world.order(super::world::THEIRS, Order::Options { token: 5, target: target.clone(), peer: None });
    let SipEvent::Pong { token: 5, status: Some(200), took, .. } = world.event(super::world::THEIRS) else {
        panic!("no pong")
    };
    assert_eq!(took, Duration::from_millis(2));
    world.link.lost_percent = 100;
    world.order(super::world::THEIRS, Order::Options { token: 6, target, peer: None });
    world.pass_s(33);
    let SipEvent::Pong { token: 6, status: None, .. } = world.event(super::world::THEIRS) else { panic!("no end") };
}

#[test]
fn a_stream_needs_no_socket_of_ours_and_a_datagram_waits_for_one() {
    let now = crate::some_instant();
    for (transport, opens) in [(Transport::Tls, true), (Transport::Udp, false)] {
        let mut peer = super::world::peer_at("10.0.0.3:5061".parse().unwrap());
        peer.server = Some(Target { host: "10.0.0.3".to_owned(), port: None, transport });
        peer.user = Some("88".to_owned());
        peer.register = true;
        let config = crate::Config { peers: vec![peer], ..crate::Config::default() };
        let mut endpoint = Endpoint::new(now, config, [1; 32]);
        endpoint.handle(now, Input::Time);
        assert_eq!(matches!(endpoint.poll(), Output::Open { .. }), opens, "{transport:?}");
    }
}

#[test]
fn a_registrar_that_wants_longer_after_a_failure_gets_it_too() {
    let mut world = registering();
    let hand = Hand::known();
    let request = register(&hand, &mut world);
    hand.send(&mut world, reply(&request, "503 Service Unavailable", ""));
    let request = register(&hand, &mut world);
    hand.send(&mut world, reply(&request, "423 Too Brief", "Min-Expires: 3600\r\n"));
    world.pass_s(1);
    assert_eq!(header(&register(&hand, &mut world), "Expires"), Some("3600"));
}

#[test]
fn a_call_that_was_given_up_is_not_proved() {
    let mut world = registering();
    let hand = Hand::known();
    let request = register(&hand, &mut world);
    hand.send(&mut world, reply(&request, "200 OK", ""));
    world.event(OURS);
    let invite = world.invite();
    let call = invite.call;
    world.order(OURS, Order::Place(invite));
    let request = hand.receive(&mut world);
    world.order(OURS, Order::HangUp(call, "enough".to_owned()));
    let challenge = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\"\r\n";
    hand.send(&mut world, reply(&request, "401 Unauthorized", challenge));
    assert!(hand.receive(&mut world).starts_with("ACK "));
    world.pass_s(1);
    assert!(hand.nothing(&world), "no second INVITE");
    assert_eq!(world.ended(OURS).text, "enough");
}
