//! Reliable provisional responses (RFC 3262), both sides.

use super::hand::{Hand, header, sdp, status, to_tag};
use super::world::{OURS, THEIRS, World, media};
use crate::event::Order;
use crate::types::EndedBy;

fn ringing_reliably(world: &mut World) -> (Hand, crate::types::CallKey, String) {
    let mut hand = Hand::known();
    hand.more = "Require: 100rel\r\n".to_owned();
    hand.send(world, hand.request("INVITE", 1, "", &sdp("10.0.0.3", "sendrecv")));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Ring(call));
    let ringing = hand.receive(world);
    assert_eq!(status(&ringing), 180);
    assert_eq!(header(&ringing, "Require"), Some("100rel"));
    hand.more = String::new();
    (hand, call, ringing)
}

#[test]
fn who_insists_on_it_gets_ringing_until_he_confirms_it() {
    let mut world = World::new(1);
    let (mut hand, call, ringing) = ringing_reliably(&mut world);
    assert_eq!(hand.receive(&mut world), ringing, "it is repeated");
    let number: u32 = header(&ringing, "RSeq").unwrap().parse().unwrap();
    let tag = to_tag(&ringing);
    hand.more = format!("RAck: {} 1 INVITE\r\n", number + 1);
    assert_eq!(status(&hand.ask(&mut world, &hand.request("PRACK", 2, &tag, ""))), 481);
    hand.more = format!("RAck: {number} 1 INVITE\r\n");
    assert_eq!(status(&hand.ask(&mut world, &hand.request("PRACK", 3, &tag, ""))), 200);
    world.hand.clear();
    world.pass_s(5);
    assert!(hand.nothing(&world), "no more repetitions");
    hand.more = String::new();
    world.order(OURS, Order::Answer(call, media(20_000)));
    assert_eq!(status(&hand.answer(&mut world)), 200);
    hand.send(&mut world, hand.request("ACK", 1, &tag, ""));
    world.established(OURS);
}

#[test]
fn a_confirmation_may_come_after_the_answer() {
    for acknowledged in [false, true] {
        let mut world = World::new(2);
        let (mut hand, call, ringing) = ringing_reliably(&mut world);
        world.order(OURS, Order::Answer(call, media(20_000)));
        assert_eq!(status(&hand.answer(&mut world)), 200);
        let tag = to_tag(&ringing);
        if acknowledged {
            hand.send(&mut world, hand.request("ACK", 1, &tag, ""));
            world.established(OURS);
        }
        hand.more = format!("RAck: {} 1 INVITE\r\n", header(&ringing, "RSeq").unwrap());
        assert_eq!(status(&hand.ask(&mut world, &hand.request("PRACK", 2, &tag, ""))), 200, "{acknowledged}");
        assert_eq!(status(&hand.ask(&mut world, &hand.request("PRACK", 3, &tag, ""))), 481, "only once");
    }
}

#[test]
fn a_ringing_that_nobody_confirms_ends_the_call() {
    let mut world = World::new(3);
    let (hand, ..) = ringing_reliably(&mut world);
    world.pass_s(33);
    assert_eq!(status(&hand.answer(&mut world)), 504);
    let cause = world.ended(OURS);
    assert_eq!((cause.by, cause.status), (EndedBy::Silence, Some(504)));
    world.assert_empty();
}

#[test]
fn we_confirm_what_is_sent_to_us_reliably() {
    let mut world = World::new(4);
    let hand = Hand::known();
    let mut invite = world.invite();
    invite.peer = None;
    invite.target = Some(crate::config::Target {
        host: "10.0.0.3".to_owned(),
        port: None,
        transport: crate::config::Transport::Udp,
    });
    world.order(OURS, Order::Place(invite));
    let request = hand.receive(&mut world);
    let progress = |number: u32, tag: &str, sound: &str| {
        let lines: Vec<&str> = request
            .lines()
            .filter(|line| ["Via:", "From:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)))
            .collect();
        let kind = if sound.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "SIP/2.0 183 Progress\r\n{}\r\nTo: <sip:x@y>;tag={tag}\r\nContact: <sip:10.0.0.3>\r\nRequire: 100rel\r\n\
             RSeq: {number}\r\n{kind}Content-Length: {}\r\n\r\n{sound}",
            lines.join("\r\n"),
            sound.len()
        )
    };
    hand.send(&mut world, progress(5, "a", &sdp("10.0.0.3", "sendrecv")));
    let crate::event::SipEvent::Ringing { status: 183, early: Some(early), .. } = world.event(OURS) else {
        panic!("no early sound")
    };
    assert_eq!(early.address, "10.0.0.3:40000".parse().unwrap());
    let prack = hand.receive(&mut world);
    assert!(prack.starts_with("PRACK sip:10.0.0.3 "), "{prack}");
    assert_eq!((header(&prack, "RAck"), header(&prack, "CSeq")), (Some("5 1 INVITE"), Some("2 PRACK")));
    // The same again, and one that skips a number, are not confirmed; the next is, and another fork counts for itself.
    hand.send(&mut world, progress(5, "a", ""));
    hand.send(&mut world, progress(7, "a", ""));
    world.pass(std::time::Duration::from_millis(100));
    assert!(hand.nothing(&world));
    hand.send(&mut world, progress(6, "a", ""));
    assert_eq!(header(&hand.receive(&mut world), "RAck"), Some("6 1 INVITE"));
    hand.send(&mut world, progress(1, "b", ""));
    let other = hand.receive(&mut world);
    assert_eq!((header(&other, "RAck"), header(&other, "CSeq")), (Some("1 1 INVITE"), Some("4 PRACK")));
}

#[test]
fn without_an_offer_nothing_rings_reliably() {
    let mut world = World::new(5);
    let mut hand = Hand::known();
    hand.more = "Require: 100rel\r\n".to_owned();
    hand.send(&mut world, hand.request("INVITE", 1, "", ""));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Ring(call));
    world.pass(std::time::Duration::from_millis(10));
    assert!(hand.nothing(&world));
    world.order(OURS, Order::Answer(call, media(20_000)));
    assert_eq!(status(&hand.answer(&mut world)), 200);
}

#[test]
fn both_sides_of_ours_ring_reliably_where_it_is_only_supported() {
    let mut world = World::new(6);
    world.place();
    let call = world.incoming(OURS);
    world.order(OURS, Order::Ring(call));
    assert_eq!(world.ringing(THEIRS), 180);
    assert!(world.wire.iter().all(|sent| !sent.starts_with("PRACK")), "it is only needed where it is required");
}
