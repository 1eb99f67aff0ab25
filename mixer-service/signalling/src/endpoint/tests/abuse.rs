//! What strangers try: forged requests, half-open calls, amplification, and plain rubbish.

use proptest::prelude::*;

use super::hand::{Hand, sdp, status, to_tag};
use super::world::{OURS, SOCKET, World, media};
use crate::event::{Input, Order, Output, SipEvent};
use crate::types::EndedBy;

#[test]
fn a_forged_request_changes_nothing() {
    let mut world = World::new(1);
    let hand = Hand::known();
    let (_, tag) = hand.call(&mut world);
    let stranger = Hand::stranger();
    // Who knows all but one of tags, Call-ID and the next number.
    let true_bye = hand.request("BYE", 2, &tag, "").replace("UDP 10.0.0.3:5060", "UDP 192.0.2.66:5060");
    for (what, other, expected) in [
        (tag.as_str(), ";tag=0000000000000000", 481),
        (";tag=hand", ";tag=other", 481),
        ("Call-ID: hand", "Call-ID: other", 481),
        ("CSeq: 2 ", "CSeq: 9 ", 500),
        ("CSeq: 2 ", "CSeq: 1 ", 500),
    ] {
        let forged = true_bye.replacen(what, other, 1).replace("z9hG4bK", &format!("z9hG4bK{expected}{}", other.len()));
        assert_eq!(status(&stranger.ask(&mut world, &forged)), expected, "{what} {other}");
    }
    assert!(world.sides[OURS].events.is_empty());
    assert_eq!(world.sides[OURS].endpoint.counts().calls, 1);
    // The number of a request that was taken already is no number for another.
    let again = hand.request("OPTIONS", 1, &tag, "").replace("Call-ID", "X-Odd: 1\r\nCall-ID");
    assert_eq!(status(&hand.ask(&mut world, &again)), 500);
    // The peer may skip numbers at his own address; elsewhere the next one with all that is secret is believed.
    assert_eq!(status(&hand.ask(&mut world, &hand.request("OPTIONS", 7, &tag, ""))), 200);
    let moved = hand.request("BYE", 8, &tag, "").replace("UDP 10.0.0.3:5060", "UDP 192.0.2.66:5060");
    assert_eq!(status(&stranger.ask(&mut world, &moved)), 200);
    assert_eq!(world.ended(OURS).by, EndedBy::Peer);
}

#[test]
fn a_call_that_is_never_acknowledged_is_small_and_gone_in_32_seconds() {
    let mut world = World::new(2);
    let hand = Hand::known();
    let before = world.sides[OURS].endpoint.bytes_held();
    for number in 0..2_000 {
        let invite = hand.request("INVITE", 1, "", &sdp("10.0.0.3", "sendrecv"));
        let invite = invite
            .replace("Call-ID: ", &format!("Call-ID: {number}-"))
            .replace("z9hG4bK", &format!("z9hG4bK{number}-"));
        world.input(
            OURS,
            Input::Message {
                flow: SOCKET,
                source: hand.me,
                bytes: invite.as_bytes(),
                peer: Some(crate::config::PeerId(7)),
            },
        );
        let Some(SipEvent::Incoming { call, .. }) = world.sides[OURS].events.pop_front() else {
            panic!("no call {number}")
        };
        world.order(OURS, Order::Answer(call, media(20_000)));
    }
    let held = (world.sides[OURS].endpoint.bytes_held() - before) / 2_000;
    println!("figure: {held} bytes for a call that is not acknowledged");
    assert!(held <= 8_000, "{held} bytes");
    world.hand.clear();
    world.pass_s(31);
    assert!(world.sides[OURS].events.is_empty());
    let first: Vec<u8> = world.hand.front().unwrap().2.clone();
    let copies = world.hand.iter().filter(|(_, _, bytes)| *bytes == first).count() + 1;
    assert_eq!(copies, 11, "the answer is repeated for 32 s");
    world.hand.clear();
    world.pass_s(2);
    assert_eq!(world.sides[OURS].events.len(), 2_000);
    assert!(world.hand.iter().any(|(_, _, bytes)| bytes.starts_with(b"BYE ")));
    assert_eq!(world.sides[OURS].endpoint.counts().calls, 0);
    world.assert_empty();
}

#[test]
fn a_stranger_gets_no_more_bytes_than_he_sends_before_he_has_proved_himself() {
    for answered in [true, false] {
        let mut world = World::new(3);
        let hand = Hand::stranger();
        let invite = hand.request("INVITE", 1, "", &sdp("192.0.2.66", "sendrecv"));
        hand.send(&mut world, &invite);
        let call = world.incoming(OURS);
        let order = if answered { Order::Answer(call, media(20_000)) } else { Order::Refuse(call, 403, String::new()) };
        world.order(OURS, order);
        world.pass_s(200);
        let out = world.sides[OURS].bytes_out;
        assert!(out <= invite.len(), "{out} > {}", invite.len());
        world.assert_empty();
    }
}

#[test]
fn a_stranger_who_repeats_himself_or_has_proved_himself_is_served_like_anybody() {
    let mut world = World::new(4);
    let hand = Hand::stranger();
    let invite = hand.request("INVITE", 1, "", &sdp("192.0.2.66", "sendrecv"));
    hand.send(&mut world, &invite);
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    let first = hand.answer(&mut world);
    // The answer was lost: his next INVITE brings it again.
    world.pass_s(1);
    hand.send(&mut world, &invite);
    assert_eq!(hand.answer(&mut world), first);
    let tag = to_tag(&first);
    hand.send(&mut world, hand.request("ACK", 1, &tag, ""));
    world.established(OURS);
    // From now on his answers are repeated as the standard wants.
    let again = hand.request("INVITE", 5, "", &sdp("192.0.2.66", "sendrecv")).replace("Call-ID: ", "Call-ID: 2-");
    hand.send(&mut world, again);
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    assert_eq!(hand.answer(&mut world), hand.answer(&mut world));
}

#[test]
fn an_ack_that_anybody_could_write_proves_nothing() {
    let mut world = World::new(12);
    let hand = Hand::stranger();
    hand.send(&mut world, hand.request("INVITE", 1, "", &sdp("192.0.2.66", "sendrecv")));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Refuse(call, 403, String::new()));
    hand.send(&mut world, hand.request("ACK", 1, ";tag=guessed", "").replace("1ACK", "1INVITE"));
    assert!(!world.sides[OURS].endpoint.is_proven(world.now, hand.me.ip()));
}

#[test]
fn usual_questions_of_strangers_are_answered_with_no_more_bytes() {
    let mut world = World::new(5);
    let hand = Hand::stranger();
    for (seq, method) in (1..).zip(["OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "BYE", "INFO", "BREW"]) {
        let request = hand.request(method, seq, "", "");
        let answer = hand.ask(&mut world, &request);
        assert!(answer.len() <= request.len(), "{method}: {} > {}\n{answer}", answer.len(), request.len());
    }
}

#[test]
fn nothing_is_sent_to_where_a_strangers_contact_points() {
    let mut world = World::new(6);
    let hand = Hand::stranger();
    let invite = hand
        .request("INVITE", 1, "", &sdp("192.0.2.66", "sendrecv"))
        .replace("Contact: <sip:hand@192.0.2.66:5060>", "Contact: <sip:victim@198.51.100.7>");
    hand.send(&mut world, invite);
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    let tag = to_tag(&hand.answer(&mut world));
    hand.send(&mut world, hand.request("ACK", 1, &tag, ""));
    world.established(OURS);
    world.order(OURS, Order::HangUp(call, String::new()));
    world.pass_s(40);
    assert!(world.hand.iter().all(|(to, ..)| *to == hand.me));
}

#[test]
fn transactions_have_a_bound() {
    let mut world = World::with(7, |ours| ours.limits.transactions = 50, |_| {});
    let hand = Hand::known();
    for turn in 0..300_u32 {
        let mine = |text: String| text.replace("Call-ID: ", &format!("Call-ID: {turn}-"));
        hand.send(
            &mut world,
            mine(hand.request("INVITE", 1, "", &sdp("10.0.0.3", "sendrecv")))
                .replace("z9hG4bK", &format!("z9hG4bK{turn}-")),
        );
        let call = world.incoming(OURS);
        world.order(OURS, Order::Answer(call, media(20_000)));
        let tag = to_tag(&hand.answer(&mut world));
        hand.send(&mut world, mine(hand.request("ACK", 1, &tag, "")));
        world.established(OURS);
        let bye = mine(hand.request("BYE", 2, &tag, "")).replace("z9hG4bK", &format!("z9hG4bK{turn}-"));
        assert_eq!(status(&hand.ask(&mut world, &bye)), 200);
        world.ended(OURS);
        assert!(world.sides[OURS].endpoint.counts().server_transactions <= 50);
    }
}

#[test]
fn a_latin_1_name_without_length_is_a_call() {
    let mut world = World::new(8);
    let hand = Hand::known();
    let invite = hand.request("INVITE", 1, "", &sdp("10.0.0.3", "sendrecv"));
    let lines: Vec<&str> = invite.split("\r\n").filter(|line| !line.starts_with("Content-Length")).collect();
    let bytes: Vec<u8> =
        lines.join("\r\n").replace("Hand", "H\u{e4}nd").chars().map(|c| u8::try_from(c).unwrap()).collect();
    hand.send(&mut world, bytes);
    let SipEvent::Incoming { call, headers, .. } = world.event(OURS) else { panic!("no call") };
    assert!(headers.from[0].contains("Händ"), "{}", headers.from[0]);
    world.order(OURS, Order::Answer(call, media(20_000)));
    assert_eq!(status(&hand.answer(&mut world)), 200);
}

#[test]
fn rubbish_is_told_and_disturbs_nobody() {
    let mut world = World::new(9);
    let hand = Hand::known();
    hand.send(&mut world, vec![b'x'; 20_000]);
    hand.send(&mut world, "hello");
    hand.send(&mut world, "\r\n\r\n");
    let short = hand.ask(&mut world, &hand.request("OPTIONS", 1, "", "").replace("Length: 0", "Length: 7"));
    assert_eq!(status(&short), 400);
    assert_eq!(status(&hand.ask(&mut world, &hand.request("OPTIONS", 2, "", ""))), 200);
    assert_eq!(world.sides[OURS].audits.iter().filter(|refused| refused.reason.code() == "malformed").count(), 3);
}

#[test]
fn an_oversized_body_is_refused() {
    let mut world = World::new(10);
    let hand = Hand::known();
    let response = hand.ask(&mut world, &hand.request("INVITE", 1, "", &"v=0\r\n".repeat(1_000)));
    assert_eq!(status(&response), 513);
}

/// A message that is nearly one: pieces of real ones in any order.
fn nearly(pieces: &[usize], tag: &str) -> Vec<u8> {
    const PIECES: [&str; 40] = [
        "INVITE sip:88@10.0.0.1 SIP/2.0\r\n",
        "ACK sip:88@10.0.0.1 SIP/2.0\r\n",
        "BYE sip:88@10.0.0.1 SIP/2.0\r\n",
        "CANCEL sip:88@10.0.0.1 SIP/2.0\r\n",
        "UPDATE sip:88@10.0.0.1 SIP/2.0\r\n",
        "PRACK sip:88@10.0.0.1 SIP/2.0\r\n",
        "SIP/2.0 200 OK\r\n",
        "SIP/2.0 183 x\r\n",
        "SIP/2.0 401 x\r\n",
        "INFO sip:88@10.0.0.1 SIP/2.0\r\n",
        "Via: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bKx;rport\r\n",
        "Via: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bK2INVITE;rport\r\n",
        "From: <sip:hand@x>;tag=hand\r\n",
        "To: <sip:88@10.0.0.1>\r\n",
        "Call-ID: hand@10.0.0.3:5060\r\n",
        "CSeq: 1 INVITE\r\n",
        "CSeq: 2 INVITE\r\n",
        "CSeq: 3 BYE\r\n",
        "CSeq: 1 ACK\r\n",
        "CSeq: 4 UPDATE\r\n",
        "CSeq: 1 CANCEL\r\n",
        "CSeq: 5 INFO\r\n",
        "CSeq: 6 PRACK\r\n",
        "Contact: <sip:hand@10.0.0.3>\r\n",
        "Require: 100rel\r\n",
        "Supported: timer\r\n",
        "Session-Expires: 90\r\n",
        "RAck: 1 1 INVITE\r\n",
        "Record-Route: <sip:10.0.0.3;lr>\r\n",
        "Content-Type: application/sdp\r\n",
        "Content-Length: 0\r\n",
        "Max-Forwards: 70\r\n",
        "RSeq: 1\r\n",
        "WWW-Authenticate: Digest realm=\"x\", nonce=\"y\"\r\n",
        "\r\n",
        "v=0\r\n",
        "m=audio 4000 RTP/AVP 8\r\n",
        "c=IN IP4 10.0.0.3\r\n",
        "\0",
        "\u{e4}",
    ];
    let text: String = pieces.iter().map(|piece| PIECES[piece % PIECES.len()]).collect();
    text.replace("To: <sip:88@10.0.0.1>", &format!("To: <sip:88@10.0.0.1>{tag}")).into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_datagrams_breaks_the_machine(
        messages in proptest::collection::vec(proptest::collection::vec(0..40_usize, 1..24), 1..40),
        noise in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut world = World::new(11);
        let hand = Hand::known();
        let (_, tag) = hand.call(&mut world);
        for (turn, pieces) in messages.iter().enumerate() {
            hand.send(&mut world, nearly(pieces, if turn % 2 == 0 { &tag } else { "" }));
            while let Some(event) = world.sides[OURS].events.pop_front() {
                if let SipEvent::Incoming { call, .. } = event {
                    world.order(OURS, Order::Answer(call, media(20_000)));
                }
            }
        }
        hand.send(&mut world, noise);
        world.order(OURS, Order::Shutdown(String::new()));
        world.pass_s(400);
        let counts = world.sides[OURS].endpoint.counts();
        prop_assert_eq!((counts.calls, counts.dialogs, counts.server_transactions, counts.client_transactions), (0, 0, 0, 0));
        prop_assert!(matches!(world.sides[OURS].endpoint.poll(), Output::Wait(_)));
    }
}

#[test]
fn nobody_proves_or_moves_another_by_writing_in_his_name() {
    let mut world = World::new(13);
    let hand = Hand::stranger();
    let victim = "198.51.100.7:5060".parse().unwrap();
    hand.send(&mut world, hand.request("INVITE", 1, "", &sdp("192.0.2.66", "sendrecv")));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    let tag = to_tag(&hand.answer(&mut world));
    let to = world.sides[OURS].address;
    world.fly(victim, to, hand.request("ACK", 1, &tag, "").into_bytes());
    world.established(OURS);
    let proven = |world: &World, ip| world.sides[OURS].endpoint.is_proven(world.now, ip);
    assert!(!proven(&world, victim.ip()) && proven(&world, hand.me.ip()));
    world.fly(victim, to, hand.request("UPDATE", 2, &tag, "").into_bytes());
    world.pass_s(1);
    world.order(OURS, Order::HangUp(call, String::new()));
    world.pass_s(40);
    let byes = |at| world.hand.iter().filter(|(to, _, bytes)| *to == at && bytes.starts_with(b"BYE ")).count();
    assert_eq!(byes(victim), 0);
    assert!(byes(hand.me) > 0);
}
