//! What requests outside calls are answered, and what calls that cannot be are.

use super::hand::{Hand, header, sdp, status, to_tag};
use super::world::{OURS, World, media};
use crate::event::{Order, SipEvent};

#[test]
fn requests_outside_calls_get_their_answers_and_leave_nothing() {
    let mut world = World::new(1);
    let hand = Hand::known();
    for (seq, (method, more, expected)) in (1..).zip([
        ("OPTIONS", "", 200),
        ("REGISTER", "", 405),
        ("SUBSCRIBE", "", 405),
        ("NOTIFY", "", 405),
        ("MESSAGE", "", 405),
        ("PUBLISH", "", 405),
        ("REFER", "", 405),
        ("BREW", "", 501),
        ("OPTIONS", "\r\nRequire: 100rel, teleport", 420),
        ("INVITE", "\r\nRequire: teleport", 420),
        ("INVITE", "\r\nReplaces: 1@x;to-tag=a;from-tag=b", 403),
        ("BYE", ";tag=nobody", 481),
        ("BYE", "", 481),
        ("CANCEL", "", 481),
        ("PRACK", ";tag=nobody", 481),
        ("UPDATE", ";tag=0123456789abcdef", 481),
        ("INFO", "", 481),
        ("INVITE", ";tag=nobody", 481),
        ("INVITE", "\r\nCall-ID: twice", 400),
        ("OPTIONS", "\r\nCSeq: 17 BYE", 400),
    ]) {
        // Nobody is ever answered for an ACK that belongs to nothing.
        hand.send(&mut world, hand.request("ACK", 900 + seq, more, ""));
        let response = hand.ask(&mut world, &hand.request(method, seq, more, ""));
        assert_eq!(status(&response), expected, "{method}: {response}");
        assert!(response.contains(";tag=") && response.contains("Server: Dialroom\r\n"), "{response}");
        match expected {
            200 => assert!(
                response.contains("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK\r\n")
                    && response.contains("Accept: application/sdp\r\n")
                    && response.contains("Supported: timer, 100rel\r\n"),
                "{response}"
            ),
            405 | 501 => assert!(response.contains("Allow: INVITE"), "{response}"),
            420 => assert_eq!(header(&response, "Unsupported"), Some("teleport")),
            _ => {}
        }
    }
    assert!(hand.nothing(&world));
    let counts = world.sides[OURS].endpoint.counts();
    assert_eq!((counts.server_transactions, counts.calls), (0, 0));
}

#[test]
fn a_request_whose_hops_are_used_up_has_arrived() {
    let mut world = World::new(2);
    let hand = Hand::known();
    let last = |method, seq| hand.request(method, seq, "", "").replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert_eq!(status(&hand.ask(&mut world, &last("OPTIONS", 1))), 200);
    hand.send(&mut world, last("INVITE", 2));
    world.incoming(OURS);
}

#[test]
fn the_same_request_gets_the_same_tag_without_memory() {
    let mut world = World::new(3);
    let hand = Hand::known();
    let options = hand.request("OPTIONS", 1, "", "");
    let [one, two] = [hand.ask(&mut world, &options), hand.ask(&mut world, &options)];
    assert_eq!(to_tag(&one), to_tag(&two));
    let other = hand.ask(&mut world, &hand.request("OPTIONS", 2, "", ""));
    assert_ne!(to_tag(&one), to_tag(&other));
}

#[test]
fn answers_go_to_where_the_request_came_from() {
    let mut world = World::new(4);
    let hand = Hand::known();
    // With rport to the port it came from; what Via says of received counts nothing.
    let lying = hand.request("OPTIONS", 1, "", "").replace(";rport", ";rport;received=192.0.2.200");
    let response = hand.ask(&mut world, &lying);
    assert!(response.contains(";rport=5060") && response.contains(";received=10.0.0.3"), "{response}");
    // Without it to the port that Via names.
    let plain =
        hand.request("OPTIONS", 2, "", "").replace(";rport", "").replace("UDP 10.0.0.3:5060", "UDP 198.51.100.9:5099");
    hand.send(&mut world, plain);
    let (to, ..) = world.hand.pop_front().unwrap();
    assert_eq!(to.to_string(), "10.0.0.3:5099");
}

#[test]
fn the_same_invite_by_two_ways_is_merged_and_a_repetition_is_not_a_second_call() {
    let mut world = World::new(5);
    let hand = Hand::known();
    let invite = hand.request("INVITE", 1, "", &sdp("10.0.0.3", "sendrecv"));
    hand.send(&mut world, &invite);
    world.incoming(OURS);
    hand.send(&mut world, &invite);
    let merged = hand.ask(&mut world, &invite.replace("branch=z9hG4bK", "branch=z9hG4bKother"));
    assert_eq!(status(&merged), 482);
    assert_eq!(world.sides[OURS].endpoint.counts().calls, 1);
    assert!(world.sides[OURS].events.is_empty());
}

#[test]
fn a_copy_that_comes_late_by_another_way_is_merged_too() {
    let mut world = World::new(16);
    let hand = Hand::known();
    hand.call(&mut world);
    let invite = hand.request("INVITE", 1, "", &sdp("10.0.0.3", "sendrecv"));
    let merged = hand.ask(&mut world, &invite.replace("branch=z9hG4bK", "branch=z9hG4bKother"));
    assert_eq!(status(&merged), 482);
}

#[test]
fn an_identity_too_long_to_be_kept_makes_way_for_no_other() {
    let mut world = World::new(6);
    let mut hand = Hand::known();
    hand.more = format!("P-Asserted-Identity: \"{}\" <sip:+447700900123@pbx>\r\n", "x".repeat(600));
    hand.send(&mut world, hand.request("INVITE", 1, "", ""));
    let SipEvent::Incoming { headers, .. } = world.event(OURS) else { panic!("no call") };
    assert_eq!((headers.asserted, headers.from.len()), (vec![String::new()], 1));
}

#[test]
fn no_sound_in_common_is_488_and_no_sdp_is_415() {
    let mut world = World::new(7);
    let hand = Hand::known();
    let offer = sdp("10.0.0.3", "sendrecv");
    hand.send(&mut world, hand.request("INVITE", 1, "", &offer.replace("AVP 8", "AVP 18")));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    let refused = hand.answer(&mut world);
    assert_eq!(status(&refused), 488, "{refused}");
    assert!(refused.contains("Warning: 305 "), "{refused}");
    assert_eq!(world.sides[OURS].audits[0].reason.code(), "sound");
    assert_eq!(world.ended(OURS).status, Some(488));
    hand.send(&mut world, hand.request("ACK", 1, &to_tag(&refused), "").replace("1ACK", "1INVITE"));
    let xml = hand.request("INVITE", 2, "", &offer).replace("application/sdp", "application/xml");
    let refused = hand.ask(&mut world, &xml);
    assert_eq!(status(&refused), 415);
    assert_eq!(header(&refused, "Accept"), Some("application/sdp"));
    world.assert_empty();
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut world = World::new(8);
    let hand = Hand::known();
    hand.send(&mut world, hand.request("INVITE", 1, "", ""));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Refuse(call, 486, String::new()));
    let first = hand.answer(&mut world);
    assert_eq!(first, hand.answer(&mut world));
    hand.send(&mut world, hand.request("ACK", 1, &to_tag(&first), "").replace("1ACK", "1INVITE"));
    world.pass_s(40);
    assert!(hand.nothing(&world));
    world.assert_empty();
}

#[test]
fn a_call_that_waits_long_gets_100_and_a_quick_answer_makes_it_needless() {
    let mut world = World::new(9);
    let hand = Hand::known();
    hand.send(&mut world, hand.request("INVITE", 1, "", ""));
    world.incoming(OURS);
    assert!(hand.nothing(&world));
    world.pass(std::time::Duration::from_millis(250));
    let trying = hand.receive(&mut world);
    assert_eq!((status(&trying), trying.contains(";tag=hand")), (100, true));
    assert!(header(&trying, "To").is_some_and(|to| !to.contains("tag=")));
}

#[test]
fn a_body_among_others_is_read() {
    let mut world = World::new(10);
    let hand = Hand::known();
    let body = format!("--x\r\nContent-Type: application/sdp\r\n\r\n{}\r\n--x--\r\n", sdp("10.0.0.3", "sendrecv"));
    let invite = hand
        .request("INVITE", 1, "", &body)
        .replace("application/sdp\r\nContent-L", "multipart/mixed; boundary=x\r\nContent-L");
    hand.send(&mut world, invite);
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    assert!(hand.answer(&mut world).contains("m=audio 20000 RTP/AVP 8\r\n"));
}

#[test]
fn our_contact_says_that_a_conference_is_behind_it_and_the_route_is_copied() {
    let mut world = World::new(11);
    let mut hand = Hand::known();
    hand.more =
        "Record-Route: <sip:10.0.0.3;lr>, <sip:p2.example;lr>\r\nRecord-Route: <sip:p1.example;lr>\r\n".to_owned();
    hand.send(&mut world, hand.request("INVITE", 1, "", &sdp("10.0.0.3", "sendrecv")));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Ring(call));
    let ringing = hand.receive(&mut world);
    world.order(OURS, Order::Answer(call, media(20_000)));
    for response in [ringing, hand.answer(&mut world)] {
        assert_eq!(header(&response, "Contact"), Some("<sip:10.0.0.1:5060>;isfocus"), "{response}");
        let routes: Vec<&str> = response.lines().filter(|line| line.starts_with("Record-Route")).collect();
        assert_eq!(
            routes,
            ["Record-Route: <sip:10.0.0.3;lr>, <sip:p2.example;lr>", "Record-Route: <sip:p1.example;lr>"]
        );
    }
}

#[test]
fn our_requests_take_the_route_that_the_invite_recorded() {
    for (route, start, lines) in [
        ("<sip:10.0.0.3;lr>", "BYE sip:hand@10.0.0.3:5060 SIP/2.0", vec!["Route: <sip:10.0.0.3;lr>"]),
        // A strict router is asked itself, and the telephone stands last.
        (
            "<sip:10.0.0.3>, <sip:far.example>",
            "BYE sip:10.0.0.3 SIP/2.0",
            vec!["Route: <sip:far.example>", "Route: <sip:hand@10.0.0.3:5060>"],
        ),
    ] {
        let mut world = World::new(12);
        let mut hand = Hand::known();
        hand.more = format!("Record-Route: {route}\r\n");
        let (call, _) = hand.call(&mut world);
        world.order(OURS, Order::HangUp(call, String::new()));
        let bye = hand.receive(&mut world);
        assert!(bye.starts_with(start), "{bye}");
        assert_eq!(bye.lines().filter(|line| line.starts_with("Route:")).collect::<Vec<_>>(), lines);
    }
}

#[test]
fn a_name_in_the_route_is_looked_up() {
    let mut world = World::new(13);
    let proxy = "10.0.0.77:5070".parse().unwrap();
    world.sides[OURS].names.insert("proxy.example".to_owned(), vec![(crate::config::Transport::Udp, proxy)]);
    let mut hand = Hand::known();
    hand.more = "Record-Route: <sip:proxy.example;lr>\r\n".to_owned();
    let (call, _) = hand.call(&mut world);
    world.order(OURS, Order::HangUp(call, String::new()));
    world.pass(std::time::Duration::from_millis(5));
    assert_eq!(world.hand.pop_back().unwrap().0, proxy);
}

#[test]
fn a_peer_may_have_to_prove_itself() {
    let credentials = crate::config::Credentials { user: "trunk".to_owned(), password: "secret".to_owned() };
    let mut world = World::with(
        14,
        |ours| {
            ours.peers[0].challenge = true;
            ours.peers[0].domain = "dialroom.example".to_owned();
            ours.peers[0].credentials = Some(credentials.clone());
        },
        |theirs| theirs.peers[0].credentials = Some(credentials.clone()),
    );
    world.talking();
    assert_eq!(world.sides[OURS].audits[0].reason.code(), "unproven");
    let challenge = world.wire.iter().find(|sent| sent.starts_with("SIP/2.0 401")).unwrap();
    let offered: Vec<&str> = challenge.lines().filter(|line| line.starts_with("WWW-Authenticate")).collect();
    assert!(offered.len() == 2 && offered[0].contains("SHA-256") && offered[1].contains("MD5"), "{challenge}");
    assert!(world.wire.iter().any(|sent| sent.starts_with("INVITE") && sent.contains("CSeq: 2 INVITE")));
}

#[test]
fn a_wrong_password_is_refused_after_one_try() {
    let wrong = |password: &str| crate::config::Credentials { user: "trunk".to_owned(), password: password.to_owned() };
    let mut world = World::with(
        15,
        |ours| {
            ours.peers[0].challenge = true;
            ours.peers[0].credentials = Some(wrong("right"));
        },
        |theirs| theirs.peers[0].credentials = Some(wrong("wrong")),
    );
    world.place();
    assert_eq!(world.ended(super::world::THEIRS).status, Some(401));
    let asked = world.wire.iter().filter(|sent| sent.starts_with("INVITE")).count();
    assert!(asked <= 3, "{asked}");
    assert!(world.sides[OURS].audits.iter().any(|refused| refused.reason.code() == "wrong_digest"));
    assert!(world.sides[OURS].events.is_empty());
    world.assert_empty();
}

#[test]
fn a_proof_for_somebody_else_may_stand_before_ours() {
    use crate::digest::{Ask, NonceCount, Realms, answer_challenge};
    let credentials = crate::config::Credentials { user: "trunk".to_owned(), password: "secret".to_owned() };
    let ours = |ours: &mut crate::Config| {
        ours.peers[0].challenge = true;
        ours.peers[0].credentials = Some(credentials.clone());
    };
    let mut world = World::with(17, ours, |_| {});
    let mut hand = Hand::known();
    let asked = hand.ask(&mut world, &hand.request("INVITE", 1, "", ""));
    assert_eq!(status(&asked), 401);
    let ask = Ask { method: "INVITE", uri: "sip:88@10.0.0.1", body: b"" };
    let challenge = header(&asked, "WWW-Authenticate").into_iter();
    let proof =
        answer_challenge(challenge, &ask, &credentials, Realms::First, &mut NonceCount::default(), "c").unwrap();
    let other = "Digest username=\"a\", realm=\"edge\", nonce=\"n\", uri=\"sip:88@10.0.0.1\", response=\"00\"";
    hand.more = format!("Authorization: {other}\r\nAuthorization: {proof}\r\n");
    hand.send(&mut world, hand.request("INVITE", 2, "", ""));
    world.incoming(OURS);
}
