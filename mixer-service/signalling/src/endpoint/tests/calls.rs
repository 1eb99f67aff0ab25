//! Calls between two endpoints, begun and ended in every way.

use super::world::{OURS, THEIRS, World, media};
use crate::event::{Input, Order, SipEvent};
use crate::types::{Cause, Codec, EndedBy, LocalMedia};

#[test]
fn a_call_is_made_answered_and_ended() {
    let mut world = World::new(1);
    let placed = world.place();
    let SipEvent::Incoming { call, source, local, called, headers, peer, .. } = world.event(OURS) else {
        panic!("no call")
    };
    assert_eq!((called.as_str(), format!("{called:?}").as_str()), ("884711#", "Called(7 keys)"));
    assert_eq!((source.to_string().as_str(), local.to_string().as_str()), ("10.0.0.2:5060", "10.0.0.1"));
    assert!(headers.asserted[0].contains("sip:+493023125002@"), "{}", headers.asserted[0]);
    assert!(peer.is_some() && placed.is_placed() && !call.is_placed());
    world.order(OURS, Order::Answer(call, media(20_000)));
    let remote = world.established(THEIRS);
    assert_eq!((remote.address, remote.codec), ("10.0.0.9:20000".parse().unwrap(), Codec::Pcma));
    assert_eq!(remote.telephone_event, Some(101));
    assert_eq!(world.established(OURS).address, "10.0.0.9:40000".parse().unwrap());
    world.order(THEIRS, Order::HangUp(placed, "done here".to_owned()));
    assert_eq!(world.ended(THEIRS).by, EndedBy::Us);
    assert_eq!(world.ended(OURS), Cause { by: EndedBy::Peer, status: None, text: "done here".to_owned() });
    world.assert_empty();
}

#[test]
fn we_hang_up_with_a_reason() {
    let mut world = World::new(2);
    let (_, call) = world.talking();
    world.order(OURS, Order::HangUp(call, "the conference is over".to_owned()));
    assert_eq!(world.ended(THEIRS).text, "the conference is over");
    assert_eq!(world.ended(OURS).by, EndedBy::Us);
    world.assert_empty();
}

#[test]
fn orders_that_do_not_fit_change_nothing() {
    let mut world = World::new(17);
    let placed = world.place();
    world.order(THEIRS, Order::Answer(placed, media(30_000)));
    world.order(THEIRS, Order::Refuse(placed, 486, String::new()));
    world.order(THEIRS, Order::Hold(placed, true));
    world.order(THEIRS, Order::Ring(placed));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Hold(call, true));
    world.order(OURS, Order::Answer(call, media(20_000)));
    world.order(OURS, Order::Answer(call, media(20_002)));
    world.order(OURS, Order::Refuse(call, 486, String::new()));
    world.order(OURS, Order::Ring(call));
    assert_eq!(world.established(THEIRS).address.port(), 20_000);
    world.established(OURS);
    world.order(OURS, Order::Answer(call, media(20_004)));
    world.order(OURS, Order::Ring(call));
    world.quiet(OURS, 40);
    world.order(OURS, Order::HangUp(call, String::new()));
    world.ended(OURS);
    world.ended(THEIRS);
    world.assert_empty();
}

#[test]
fn a_refusal_names_its_status() {
    let mut world = World::new(3);
    world.place();
    let call = world.incoming(OURS);
    world.order(OURS, Order::Refuse(call, 403, "closed".to_owned()));
    let cause = world.ended(THEIRS);
    assert_eq!((cause.by, cause.status), (EndedBy::Peer, Some(403)));
    assert_eq!(world.ended(OURS).status, Some(403));
    world.assert_empty();
}

#[test]
fn hanging_up_before_the_answer_cancels() {
    let mut world = World::new(4);
    let placed = world.place();
    let call = world.incoming(OURS);
    world.order(OURS, Order::Ring(call));
    assert_eq!(world.ringing(THEIRS), 180);
    world.order(THEIRS, Order::HangUp(placed, "changed my mind".to_owned()));
    let told = Cause { by: EndedBy::Peer, status: Some(487), text: "changed my mind".to_owned() };
    assert_eq!(world.ended(OURS), told);
    assert_eq!(world.ended(THEIRS), Cause { by: EndedBy::Us, status: Some(487), text: "changed my mind".to_owned() });
    // The switchboard's answer crosses the CANCEL: nothing happens.
    world.order(OURS, Order::Answer(call, media(20_000)));
    world.assert_empty();
}

#[test]
fn a_cancel_waits_for_the_first_sign_of_life() {
    let mut world = World::new(5);
    let placed = world.place();
    world.order(THEIRS, Order::HangUp(placed, String::new()));
    assert!(world.wire.iter().all(|sent| !sent.starts_with("CANCEL")), "nobody has answered yet");
    world.incoming(OURS);
    assert_eq!(world.ended(OURS).status, Some(487));
    assert_eq!(world.ended(THEIRS).by, EndedBy::Us);
    let trying = world.wire.iter().position(|sent| sent.starts_with("SIP/2.0 100")).unwrap();
    let cancel = world.wire.iter().position(|sent| sent.starts_with("CANCEL")).unwrap();
    assert!(trying < cancel);
    world.assert_empty();
}

#[test]
fn a_cancel_that_crosses_the_answer_is_followed_by_bye() {
    let mut world = World::new(6);
    let placed = world.place();
    let call = world.incoming(OURS);
    world.order(OURS, Order::Ring(call));
    world.ringing(THEIRS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    world.order(THEIRS, Order::HangUp(placed, "too late".to_owned()));
    assert_eq!(world.ended(THEIRS), Cause { by: EndedBy::Us, status: None, text: "too late".to_owned() });
    let told: Vec<SipEvent> = std::iter::from_fn(|| Some(world.event(OURS))).take(2).collect();
    assert!(matches!(told[0], SipEvent::Established { .. }), "{told:?}");
    assert!(matches!(&told[1], SipEvent::Ended { cause, .. } if cause.by == EndedBy::Peer), "{told:?}");
    world.assert_empty();
}

#[test]
fn at_the_bound_new_calls_get_503_and_the_running_one_stays() {
    let mut world = World::with(7, |ours| ours.limits.calls = 1, |_| {});
    world.talking();
    world.place();
    assert_eq!(world.ended(THEIRS).status, Some(503));
    assert_eq!(world.sides[OURS].endpoint.counts().calls, 1);
    assert_eq!(world.sides[OURS].audits[0].reason.code(), "too_many_calls");
}

#[test]
fn calls_in_setup_have_a_bound_of_their_own() {
    let mut world = World::with(16, |ours| ours.limits.calls_in_setup = 2, |_| {});
    let running: Vec<_> = (0..3).map(|_| world.talking()).collect();
    world.place();
    world.place();
    let waiting = [world.incoming(OURS), world.incoming(OURS)];
    world.place();
    assert_eq!(world.ended(THEIRS).status, Some(503));
    world.order(OURS, Order::Answer(waiting[0], media(20_000)));
    world.established(THEIRS);
    world.established(OURS);
    world.place();
    world.incoming(OURS);
    assert_eq!(running.len() + 3, world.sides[OURS].endpoint.counts().calls);
}

#[test]
fn a_peer_has_no_more_calls_than_lines() {
    let mut world = World::with(8, |ours| ours.peers[0].lines = Some(1), |_| {});
    let (_, call) = world.talking();
    world.place();
    assert_eq!(world.ended(THEIRS).status, Some(503));
    world.order(OURS, Order::HangUp(call, String::new()));
    world.ended(OURS);
    world.ended(THEIRS);
    world.talking();
}

#[test]
fn shutdown_says_bye_and_takes_no_more_calls() {
    let mut world = World::new(9);
    world.talking();
    world.order(OURS, Order::Shutdown("the service stops".to_owned()));
    assert_eq!(world.ended(THEIRS).text, "the service stops");
    world.ended(OURS);
    world.place();
    assert_eq!(world.ended(THEIRS).status, Some(503));
    world.assert_empty();
}

#[test]
fn nobody_decides_and_the_call_is_given_up_after_three_minutes() {
    let mut world = World::with(10, |_| {}, |theirs| theirs.ring = std::time::Duration::from_secs(600));
    world.place();
    world.incoming(OURS);
    world.pass_s(181);
    assert_eq!(world.ended(OURS).status, Some(480));
    assert_eq!(world.ended(THEIRS).status, Some(480));
    world.assert_empty();
}

#[test]
fn a_call_over_ipv6() {
    let mut world = World::at(["[2001:db8::1]:5060", "[2001:db8::2]:5070"], 12, |_| {}, |_| {});
    let media = |port| LocalMedia { ip: "2001:db8::9".parse().unwrap(), port };
    let mut invite = world.invite();
    invite.local = media(40_000);
    world.order(THEIRS, Order::Place(invite));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    assert_eq!(world.established(THEIRS).address, "[2001:db8::9]:20000".parse().unwrap());
    world.established(OURS);
    let invite = world.wire.iter().find(|sent| sent.starts_with("INVITE")).unwrap();
    assert!(invite.starts_with("INVITE sip:884711%23@[2001:db8::1]:5060 SIP/2.0\r\n"), "{invite}");
    assert!(invite.contains("Via: SIP/2.0/UDP [2001:db8::2]:5070;"), "{invite}");
    assert!(invite.contains("Contact: <sip:[2001:db8::2]:5070>"), "{invite}");
    world.order(OURS, Order::HangUp(call, String::new()));
    world.ended(THEIRS);
    world.ended(OURS);
    world.assert_empty();
}

#[test]
fn behind_a_nat_the_address_that_others_see_is_told() {
    let outside = "203.0.113.5".parse().unwrap();
    let mut world = World::with(13, |ours| ours.advertised_v4 = Some(outside), |_| {});
    world.place();
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    assert_eq!(world.established(THEIRS).address, "203.0.113.5:20000".parse().unwrap());
    let answer = world.wire.iter().find(|sent| sent.starts_with("SIP/2.0 200")).unwrap();
    assert!(answer.contains("Contact: <sip:203.0.113.5:5060>;isfocus\r\n"), "{answer}");
    assert!(answer.contains("c=IN IP4 203.0.113.5\r\n"), "{answer}");
}

#[test]
fn other_settings_leave_a_running_call_alone() {
    let mut world = World::new(14);
    let (placed, _) = world.talking();
    let mut config = world.sides[OURS].endpoint.config.clone();
    config.peers.clear();
    config.limits.calls = 0;
    world.input(OURS, Input::Config(config));
    world.order(THEIRS, Order::Hold(placed, true));
    assert!(!world.reoffered(OURS).listens);
    world.place();
    world.reoffered(THEIRS);
    assert_eq!(world.ended(THEIRS).status, Some(503));
    world.order(THEIRS, Order::HangUp(placed, String::new()));
    world.ended(OURS);
    world.assert_empty();
}

#[test]
fn a_hundred_calls_at_once_do_not_meet() {
    let mut world = World::new(11);
    let placed: Vec<_> = (0..100).map(|_| world.place()).collect();
    for _ in 0..100 {
        let call = world.incoming(OURS);
        world.order(OURS, Order::Answer(call, media(20_000)));
    }
    for call in placed {
        world.established(THEIRS);
        world.established(OURS);
        world.order(THEIRS, Order::HangUp(call, String::new()));
    }
    world.pass_s(1);
    assert_eq!(world.sides[OURS].endpoint.counts().calls, 0);
    world.assert_empty();
}

#[test]
fn a_refusal_by_order_is_told_to_the_audit() {
    let mut world = World::new(30);
    world.place();
    let call = world.incoming(OURS);
    world.order(OURS, Order::Refuse(call, 404, "nobody".to_owned()));
    let told = world.sides[OURS].audits.pop().unwrap();
    assert_eq!((told.status, told.reason.code(), told.method), (Some(404), "ordered", "INVITE"));
    assert_eq!(told.source, world.sides[THEIRS].address);
}
