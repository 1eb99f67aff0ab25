//! Session timers (RFC 4028), both roles and both refreshers.

use super::hand::{Hand, header, sdp, status, to_tag};
use super::world::{OURS, THEIRS, World, media};
use crate::event::Order;
use crate::types::{CallKey, EndedBy};

fn count(world: &World, start: &str) -> usize {
    world.wire.iter().filter(|sent| sent.starts_with(start)).count()
}

/// A call of the hand with these headers; the 200 and the tag.
fn call_with(world: &mut World, hand: &mut Hand, headers: &str) -> (CallKey, String, String) {
    hand.more = headers.to_owned();
    hand.send(world, hand.request("INVITE", 1, "", &sdp("10.0.0.3", "sendrecv")));
    let call = world.incoming(OURS);
    world.order(OURS, Order::Answer(call, media(20_000)));
    let response = hand.answer(world);
    hand.more = String::new();
    let tag = to_tag(&response);
    hand.send(world, hand.request("ACK", 1, &tag, ""));
    world.established(OURS);
    (call, response, tag)
}

#[test]
fn too_short_an_interval_gets_422_and_our_shortest() {
    let mut world = World::new(1);
    let mut hand = Hand::known();
    hand.more = "Supported: timer\r\nSession-Expires: 60\r\n".to_owned();
    let response = hand.ask(&mut world, &hand.request("INVITE", 1, "", &sdp("10.0.0.3", "sendrecv")));
    assert_eq!((status(&response), header(&response, "Min-SE")), (422, Some("90")));
    assert_eq!(world.sides[OURS].endpoint.counts().calls, 0);
}

#[test]
fn the_caller_refreshes_or_his_session_ends_with_bye() {
    for method in ["UPDATE", "INVITE"] {
        let mut world = World::new(2);
        let mut hand = Hand::known();
        let (_, response, tag) = call_with(&mut world, &mut hand, "Supported: timer\r\nSession-Expires: 90\r\n");
        assert_eq!(header(&response, "Session-Expires"), Some("90;refresher=uac"), "{response}");
        assert_eq!(header(&response, "Require"), Some("timer"));
        world.pass_s(50);
        hand.more = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n".to_owned();
        let body = if method == "INVITE" { sdp("10.0.0.3", "sendrecv") } else { String::new() };
        let refreshed = hand.ask(&mut world, &hand.request(method, 2, &tag, &body));
        assert_eq!((status(&refreshed), header(&refreshed, "Session-Expires")), (200, Some("90;refresher=uac")));
        hand.more = String::new();
        if method == "INVITE" {
            hand.send(&mut world, hand.request("ACK", 2, &tag, ""));
        }
        world.quiet(OURS, 55);
        world.pass_s(6);
        let cause = world.ended(OURS);
        assert_eq!((cause.by, cause.text.as_str()), (EndedBy::Silence, "session expired"));
        assert!(hand.receive(&mut world).starts_with("BYE "));
        world.assert_empty();
    }
}

#[test]
fn we_refresh_where_it_is_on_us() {
    for update in [true, false] {
        let mut world = World::new(3);
        let mut hand = Hand::known();
        let allow = if update { "Allow: INVITE, UPDATE\r\n" } else { "" };
        let headers = format!("Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n{allow}");
        let (_, response, _) = call_with(&mut world, &mut hand, &headers);
        assert_eq!(header(&response, "Session-Expires"), Some("90;refresher=uas"));
        world.pass_s(46);
        let refresh = hand.receive(&mut world);
        assert!(refresh.starts_with(if update { "UPDATE " } else { "INVITE " }), "{refresh}");
        assert_eq!(header(&refresh, "Session-Expires"), Some("90;refresher=uac"));
        assert_eq!(refresh.contains("m=audio"), !update);
        // Nobody answers: the call is over.
        world.pass_s(40);
        assert_eq!(world.ended(OURS).by, EndedBy::Silence);
        world.assert_empty();
    }
}

#[test]
fn two_endpoints_keep_a_call_for_hours_by_update() {
    let mut world =
        World::with(4, |ours| ours.session_expires_s = 120, |theirs| theirs.peers[0].session_expires_s = 120);
    let (placed, _) = world.talking();
    world.pass_s(3_600);
    assert_eq!(world.sides[OURS].endpoint.counts().calls, 1);
    let updates = count(&world, "UPDATE");
    assert!((59..=61).contains(&updates), "{updates}");
    assert!(world.sides.iter().all(|side| side.events.is_empty()), "a refresh changes nothing");
    world.order(THEIRS, Order::HangUp(placed, String::new()));
    world.ended(OURS);
    world.ended(THEIRS);
    world.assert_empty();
}

#[test]
fn a_longer_interval_is_asked_for_after_422() {
    let mut world = World::with(5, |ours| ours.min_se_s = 600, |theirs| theirs.peers[0].session_expires_s = 300);
    world.talking();
    assert_eq!(count(&world, "SIP/2.0 422"), 1);
    let second = world.wire.iter().rfind(|sent| sent.starts_with("INVITE")).unwrap();
    assert_eq!((header(second, "Session-Expires"), header(second, "Min-SE")), (Some("600"), Some("600")));
    assert_eq!(header(second, "CSeq"), Some("2 INVITE"));
}

#[test]
fn a_session_that_is_not_refreshed_ends_on_both_sides() {
    let mut world = World::with(6, |_| {}, |theirs| theirs.peers[0].session_expires_s = 120);
    world.talking();
    world.link.lost_percent = 100;
    world.pass_s(300);
    assert_eq!(world.ended(OURS).by, EndedBy::Silence);
    assert_eq!(world.ended(THEIRS).by, EndedBy::Silence);
    world.assert_empty();
}

#[test]
fn who_knows_no_timer_gets_none() {
    let mut world = World::new(7);
    let mut hand = Hand::known();
    let (_, response, _) = call_with(&mut world, &mut hand, "");
    assert_eq!(header(&response, "Session-Expires"), None);
    world.quiet(OURS, 4_000);
    assert_eq!(world.sides[OURS].endpoint.counts().calls, 1);
}
