//! What may happen inside a call: hold and resume, other addresses and codecs, keys, questions, transfers.

use super::hand::{Hand, header, sdp, status, to_tag};
use super::world::{OURS, THEIRS, World, media};
use crate::event::{Order, SipEvent};
use crate::types::{Codec, Digit, EndedBy};

#[test]
fn hold_resume_and_a_new_address_are_told_and_answered_by_both_methods() {
    for (method, first) in [("INVITE", 2), ("UPDATE", 20)] {
        let mut world = World::new(1);
        let hand = Hand::known();
        let (_, tag) = hand.call(&mut world);
        for (seq, (address, theirs, mirrored, speaks, listens)) in (first..).zip([
            ("10.0.0.3", "sendonly", "recvonly", true, false),
            ("10.0.0.3", "inactive", "inactive", false, false),
            ("0.0.0.0", "sendrecv", "recvonly", true, false),
            ("10.0.0.4", "sendrecv", "sendrecv", true, true),
        ]) {
            let response = hand.ask(&mut world, &hand.request(method, seq, &tag, &sdp(address, theirs)));
            assert_eq!(status(&response), 200);
            assert!(response.contains(&format!("a={mirrored}\r\n")), "{response}");
            if method == "INVITE" {
                hand.send(&mut world, hand.request("ACK", seq, &tag, ""));
            }
            let remote = world.reoffered(OURS);
            assert_eq!((remote.speaks, remote.listens), (speaks, listens), "{theirs} at {address}");
        }
        // What we cannot agree to leaves the call as it was.
        let refused = hand.ask(&mut world, &hand.request(method, first + 10, &tag, &sdp("224.0.0.1", "sendrecv")));
        assert_eq!(status(&refused), 488);
        hand.send(&mut world, hand.request("ACK", first + 10, &tag, "").replace("ACK;rport", "INVITE;rport"));
        world.quiet(OURS, 1);
        let old = hand.ask(&mut world, &hand.request("BYE", first, &tag, ""));
        assert_eq!(status(&old), 500, "an old number changes nothing");
        let bye = hand
            .request("BYE", first + 11, &tag, "")
            .replace("Content-Length", "Reason: Q.850;cause=16;text=\"bye\"\r\nContent-Length");
        assert_eq!(status(&hand.ask(&mut world, &bye)), 200);
        assert_eq!(world.ended(OURS).text, "bye");
        world.assert_empty();
    }
}

#[test]
fn another_codec_is_taken_in_mid_call() {
    let mut world = World::new(2);
    let hand = Hand::known();
    let (_, tag) = hand.call(&mut world);
    let response =
        hand.ask(&mut world, &hand.request("INVITE", 2, &tag, &sdp("10.0.0.3", "sendrecv").replace("AVP 8", "AVP 0")));
    assert!(response.contains("m=audio 20000 RTP/AVP 0\r\n"), "{response}");
    assert_eq!(world.reoffered(OURS).codec, Codec::Pcmu);
}

#[test]
fn an_invite_without_offer_gets_ours_and_its_ack_answers() {
    let mut world = World::new(3);
    let hand = Hand::known();
    hand.send(&mut world, hand.request("INVITE", 1, "", ""));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    let response = hand.answer(&mut world);
    assert!(response.contains("m=audio 20000 RTP/AVP 8 0 9 111"), "{response}");
    let tag = to_tag(&response);
    hand.send(&mut world, hand.request("ACK", 1, &tag, &sdp("10.0.0.5", "sendrecv")));
    assert_eq!(world.established(OURS).address, "10.0.0.5:40000".parse().unwrap());
    // The same again inside the call.
    let response = hand.ask(&mut world, &hand.request("INVITE", 2, &tag, ""));
    assert!(response.contains("m=audio 20000 RTP/AVP 8"), "{response}");
    hand.send(&mut world, hand.request("ACK", 2, &tag, &sdp("10.0.0.6", "sendrecv")));
    assert_eq!(world.reoffered(OURS).address, "10.0.0.6:40000".parse().unwrap());
}

#[test]
fn an_ack_without_the_answer_ends_the_call() {
    let mut world = World::new(4);
    let hand = Hand::known();
    hand.send(&mut world, hand.request("INVITE", 1, "", ""));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    let tag = to_tag(&hand.answer(&mut world));
    hand.send(&mut world, hand.request("ACK", 1, &tag, ""));
    assert_eq!(world.ended(OURS).status, Some(488));
    assert!(hand.receive(&mut world).starts_with("BYE "));
}

#[test]
fn keys_told_by_info_are_heard_once() {
    let mut world = World::new(5);
    let hand = Hand::known();
    let (_, tag) = hand.call(&mut world);
    for (seq, kind, body, key) in
        [(2, "application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", '5'), (3, "application/dtmf", "#", '#')]
    {
        let info = hand.request("INFO", seq, &tag, body).replace("application/sdp", kind);
        assert_eq!(status(&hand.ask(&mut world, &info)), 200);
        assert_eq!(status(&hand.ask(&mut world, &info)), 200, "the repetition is answered");
        let SipEvent::Pressed { digit, .. } = world.event(OURS) else { panic!("no key") };
        assert_eq!(digit, Digit(key));
        assert!(world.sides[OURS].events.is_empty());
    }
    assert_eq!(status(&hand.ask(&mut world, &hand.request("INFO", 4, &tag, ""))), 200);
    let foreign = hand.request("INFO", 5, &tag, "<x/>").replace("application/sdp", "application/xml");
    let refused = hand.ask(&mut world, &foreign);
    assert_eq!((status(&refused), header(&refused, "Accept")), (415, Some("application/dtmf-relay, application/dtmf")));
}

#[test]
fn our_keys_and_holds_reach_the_other_side() {
    let mut world = World::new(6);
    let (placed, _) = world.talking();
    world.order(THEIRS, Order::Press(placed, Digit('7')));
    assert!(matches!(world.event(OURS), SipEvent::Pressed { digit: Digit('7'), .. }));
    world.order(THEIRS, Order::Hold(placed, true));
    let held = world.reoffered(OURS);
    assert_eq!((held.speaks, held.listens), (true, false));
    assert!(!world.reoffered(THEIRS).speaks);
    world.order(THEIRS, Order::Hold(placed, false));
    let back = world.reoffered(OURS);
    assert_eq!((back.speaks, back.listens), (true, true));
    world.reoffered(THEIRS);
}

#[test]
fn a_change_waits_for_the_one_before() {
    let mut world = World::new(15);
    let (placed, _) = world.talking();
    world.order(THEIRS, Order::Hold(placed, true));
    world.order(THEIRS, Order::Hold(placed, false));
    assert!(!world.reoffered(OURS).listens);
    assert!(world.reoffered(OURS).listens);
    assert!(world.wire.iter().all(|sent| !sent.starts_with("SIP/2.0 491") && !sent.starts_with("SIP/2.0 500")));
    let at = |start: &str, number: &str| {
        world.wire.iter().position(|sent| sent.starts_with(start) && sent.contains(number)).unwrap()
    };
    assert!(at("ACK", "CSeq: 2 ACK") < at("INVITE", "CSeq: 3 INVITE"), "the second waits for the first");
}

#[test]
fn both_sides_change_at_once_and_one_waits() {
    let mut world = World::new(7);
    let (placed, call) = world.talking();
    world.order(THEIRS, Order::Hold(placed, true));
    world.order(OURS, Order::Hold(call, true));
    world.pass_s(10);
    let refused = world.wire.iter().filter(|sent| sent.starts_with("SIP/2.0 491")).count();
    assert!(refused >= 1);
    assert_eq!(world.sides[OURS].endpoint.counts().calls, 1);
    for side in [OURS, THEIRS] {
        let held = world.sides[side]
            .events
            .iter()
            .any(|event| matches!(event, SipEvent::Reoffered { remote, .. } if !remote.listens));
        assert!(held, "each is held by the other");
    }
    world.order(THEIRS, Order::HangUp(placed, String::new()));
    world.assert_empty();
}

#[test]
fn a_question_inside_a_call_is_answered() {
    let mut world = World::new(8);
    let hand = Hand::known();
    let (_, tag) = hand.call(&mut world);
    let response = hand.ask(&mut world, &hand.request("OPTIONS", 2, &tag, ""));
    assert!(response.contains("Allow: INVITE") && response.contains("Accept: application/sdp"), "{response}");
}

#[test]
fn a_probe_is_answered_or_the_call_is_over_in_ten_seconds() {
    let mut world = World::new(9);
    let (_, call) = world.talking();
    world.order(OURS, Order::Probe(call));
    assert!(matches!(world.event(OURS), SipEvent::Alive { .. }));
    world.link.lost_percent = 100;
    world.order(OURS, Order::Probe(call));
    world.quiet(OURS, 9);
    world.pass_s(2);
    assert_eq!(world.ended(OURS).by, EndedBy::Silence);
}

#[test]
fn a_probe_of_a_call_that_is_unknown_there_ends_it() {
    let mut world = World::new(10);
    let hand = Hand::known();
    let (call, _) = hand.call(&mut world);
    world.order(OURS, Order::Probe(call));
    let options = hand.receive(&mut world);
    assert!(options.starts_with("OPTIONS sip:hand@10.0.0.3:5060 SIP/2.0"), "{options}");
    let gone = reply(&options, "481 Gone");
    hand.send(&mut world, gone);
    assert_eq!(world.ended(OURS).status, Some(481));
}

/// A response to a request of ours.
fn reply(request: &str, status: &str) -> String {
    let lines = request.lines().filter(|line| {
        ["Via", "From", "To", "Call-ID", "CSeq"].iter().any(|name| line.starts_with(&format!("{name}:")))
    });
    let lines: Vec<&str> = lines.collect();
    format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"))
}

#[test]
fn a_transfer_is_forbidden_unless_the_settings_allow_it() {
    for allowed in [false, true] {
        let mut world = World::with(11, |ours| ours.peers[0].refer = allowed, |_| {});
        let mut hand = Hand::known();
        let (_, tag) = hand.call(&mut world);
        hand.more = "Refer-To: <sip:+1900@evil.example>\r\n".to_owned();
        let response = hand.ask(&mut world, &hand.request("REFER", 2, &tag, ""));
        assert_eq!(status(&response), if allowed { 202 } else { 403 });
        if allowed {
            let notify = hand.receive(&mut world);
            assert!(notify.starts_with("NOTIFY ") && notify.contains("SIP/2.0 503"), "{notify}");
            assert_eq!(header(&notify, "Subscription-State"), Some("terminated;reason=noresource"));
        }
        assert_eq!(world.sides[OURS].endpoint.counts().calls, 1);
        assert_eq!(world.sides[OURS].audits[0].reason.code(), "transfer");
    }
}

#[test]
fn methods_that_we_do_not_have_are_refused_inside_calls_too() {
    let mut world = World::new(12);
    let hand = Hand::known();
    let (_, tag) = hand.call(&mut world);
    for (seq, (method, expected)) in (2..).zip([
        ("MESSAGE", 405),
        ("SUBSCRIBE", 405),
        ("NOTIFY", 405),
        ("PUBLISH", 405),
        ("REGISTER", 405),
        ("BREW", 501),
        ("PRACK", 400),
    ]) {
        assert_eq!(status(&hand.ask(&mut world, &hand.request(method, seq, &tag, ""))), expected, "{method}");
    }
    world.quiet(OURS, 1);
}

#[test]
fn a_reinvite_that_is_not_acknowledged_ends_the_call() {
    let mut world = World::new(13);
    let hand = Hand::known();
    let (_, tag) = hand.call(&mut world);
    hand.ask(&mut world, &hand.request("INVITE", 2, &tag, &sdp("10.0.0.8", "sendrecv")));
    world.reoffered(OURS);
    world.pass_s(33);
    assert_eq!(world.ended(OURS).by, EndedBy::Silence);
    world.assert_empty();
}

#[test]
fn a_change_that_overtakes_the_ack_is_taken_in() {
    for method in ["INVITE", "UPDATE"] {
        let mut world = World::new(14);
        let hand = Hand::known();
        hand.send(&mut world, hand.request("INVITE", 1, "", &sdp("10.0.0.3", "sendrecv")));
        let call = world.incoming(OURS);
        world.order(OURS, Order::Answer(call, media(20_000)));
        let tag = to_tag(&hand.answer(&mut world));
        let response = hand.ask(&mut world, &hand.request(method, 2, &tag, &sdp("10.0.0.3", "sendonly")));
        assert_eq!(status(&response), 200);
        assert!(response.contains("CSeq: 2 ") && response.contains("a=recvonly"), "{response}");
        world.established(OURS);
        assert!(!world.reoffered(OURS).listens);
        hand.send(&mut world, hand.request("ACK", 1, &tag, ""));
        hand.send(&mut world, hand.request("ACK", 2, &tag, ""));
        world.hand.clear();
        // The first answer is repeated no more, and the call stands.
        world.pass_s(40);
        assert_eq!(world.hand.len(), 0, "{method}");
        assert_eq!(status(&hand.ask(&mut world, &hand.request("BYE", 3, &tag, ""))), 200);
        world.ended(OURS);
        world.assert_empty();
    }
}

#[test]
fn a_change_that_overtakes_the_ack_with_its_answer_is_to_be_tried_again() {
    let mut world = World::new(15);
    let hand = Hand::known();
    hand.send(&mut world, hand.request("INVITE", 1, "", ""));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    let tag = to_tag(&hand.answer(&mut world));
    hand.send(&mut world, hand.request("INVITE", 2, &tag, &sdp("10.0.0.3", "sendonly")));
    loop {
        let response = hand.answer(&mut world);
        if response.contains("CSeq: 2 INVITE") {
            assert_eq!(status(&response), 491);
            break;
        }
    }
    hand.send(&mut world, hand.request("ACK", 1, &tag, &sdp("10.0.0.5", "sendrecv")));
    assert_eq!(world.established(OURS).address, "10.0.0.5:40000".parse().unwrap());
}

#[test]
fn an_answer_that_crosses_our_bye_is_acknowledged() {
    let mut world = World::new(16);
    let hand = Hand::known();
    let (call, _) = hand.call(&mut world);
    world.order(OURS, Order::Hold(call, true));
    let change = hand.receive(&mut world);
    assert!(change.starts_with("INVITE "), "{change}");
    world.order(OURS, Order::HangUp(call, String::new()));
    let bye = hand.receive(&mut world);
    hand.send(&mut world, reply(&bye, "200 OK"));
    for _ in 0..2 {
        world.hand.clear();
        hand.send(&mut world, reply(&change, "200 OK"));
        let ack = hand.receive(&mut world);
        assert!(ack.starts_with("ACK sip:hand@10.0.0.3:5060 "), "{ack}");
        assert_eq!(header(&ack, "CSeq"), Some("1 ACK"));
        assert_ne!(header(&ack, "Via"), header(&change, "Via"));
    }
    world.assert_empty();
}

#[test]
fn a_change_that_somebody_only_thinks_about_is_given_up() {
    for ended_before in [false, true] {
        let mut world = World::new(19);
        let hand = Hand::known();
        let (call, _) = hand.call(&mut world);
        world.order(OURS, Order::Hold(call, true));
        let change = hand.receive(&mut world);
        hand.send(&mut world, reply(&change, "100 Trying"));
        if ended_before {
            world.order(OURS, Order::HangUp(call, String::new()));
            world.hand.clear();
        }
        world.pass_s(170);
        hand.send(&mut world, reply(&change, "183 Session Progress"));
        world.pass_s(60);
        world.ended(OURS);
        world.assert_empty();
    }
}

#[test]
fn a_refresh_does_not_displace_a_hold_that_waits() {
    let mut world = World::new(17);
    let mut hand = Hand::known();
    hand.more = "Supported: timer\r\nSession-Expires: 120;refresher=uas\r\n".to_owned();
    let (call, _) = hand.call(&mut world);
    world.pass_s(59);
    world.order(OURS, Order::Hold(call, true));
    world.order(OURS, Order::Hold(call, false));
    let held = hand.receive(&mut world);
    assert!(held.contains("a=sendonly"), "{held}");
    // The refresh becomes due while the first change is not answered.
    world.pass(std::time::Duration::from_millis(1_200));
    world.hand.clear();
    hand.send(&mut world, reply(&held, "200 OK"));
    assert!(hand.receive(&mut world).starts_with("ACK "));
    let taken_back = hand.receive(&mut world);
    assert!(taken_back.starts_with("INVITE ") && taken_back.contains("a=sendrecv"), "{taken_back}");
}

#[test]
fn who_is_held_stays_so_when_he_changes_something_himself() {
    let mut world = World::new(18);
    let hand = Hand::known();
    let (call, tag) = hand.call(&mut world);
    world.order(OURS, Order::Hold(call, true));
    let hold = hand.receive(&mut world);
    hand.send(&mut world, reply(&hold, "200 OK"));
    assert!(hand.receive(&mut world).starts_with("ACK "));
    let answer = hand.ask(&mut world, &hand.request("INVITE", 2, &tag, &sdp("10.0.0.4", "sendrecv")));
    assert!(answer.contains("a=sendonly\r\n"), "{answer}");
    let remote = world.reoffered(OURS);
    assert_eq!((remote.speaks, remote.listens), (false, true));
}
