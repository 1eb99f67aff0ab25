//! Calls of ours against a server that a test plays by hand.

use super::hand::{Hand, header, sdp};
use super::world::{OURS, World};
use crate::config::{Target, Transport};
use crate::event::{Order, SipEvent};
use crate::types::{CallKey, EndedBy};

struct Placed {
    world: World,
    hand: Hand,
    call: CallKey,
    invite: String,
}

fn placed() -> Placed {
    let mut world = World::new(1);
    let hand = Hand::known();
    let mut invite = world.invite();
    invite.peer = None;
    invite.target = Some(Target { host: "10.0.0.3".to_owned(), port: None, transport: Transport::Udp });
    let call = invite.call;
    world.order(OURS, Order::Place(invite));
    let invite = hand.receive(&mut world);
    Placed { world, hand, call, invite }
}

impl Placed {
    fn reply(&mut self, status: &str, tag: &str, more: &str, body: &str) {
        let lines: Vec<&str> = self
            .invite
            .lines()
            .filter(|line| ["Via:", "From:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)))
            .collect();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let response = format!(
            "SIP/2.0 {status}\r\n{}\r\nTo: <sip:884711%23@10.0.0.3>;tag={tag}\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
            lines.join("\r\n"),
            body.len()
        );
        self.hand.send(&mut self.world, response);
    }

    fn answer(&mut self, tag: &str) {
        self.reply("200 OK", tag, &format!("Contact: <sip:{tag}@10.0.0.3>\r\n"), &sdp("10.0.0.3", "sendrecv"));
    }

    fn next(&mut self) -> String {
        self.hand.receive(&mut self.world)
    }
}

#[test]
fn an_invite_of_ours_says_what_we_can() {
    let placed = placed();
    let invite = &placed.invite;
    assert!(invite.starts_with("INVITE sip:884711%23@10.0.0.3 SIP/2.0\r\n"), "{invite}");
    assert_eq!(header(invite, "Supported"), Some("timer, 100rel"));
    assert_eq!(header(invite, "Session-Expires"), Some("1800"));
    assert_eq!(header(invite, "Max-Forwards"), Some("70"));
    assert_eq!(header(invite, "User-Agent"), Some("Dialroom"));
    assert_eq!(header(invite, "Contact"), Some("<sip:10.0.0.1:5060>;isfocus"));
    assert!(invite.contains(";rport"));
}

#[test]
fn a_request_that_nobody_answers_is_repeated_as_the_standard_wants() {
    let mut placed = placed();
    let start = placed.world.now;
    // Seconds since the INVITE arrived here: it waits twice as long each time (timer A), and 32 s in all (timer B).
    for expected in [500, 1_500, 3_500, 7_500, 15_500, 31_500] {
        assert_eq!(placed.next(), placed.invite);
        assert_eq!((placed.world.now - start).as_millis(), expected);
    }
    assert_eq!(placed.world.ended(OURS).by, EndedBy::Silence);
    let target = Target { host: "10.0.0.3".to_owned(), port: None, transport: Transport::Udp };
    placed.world.order(OURS, Order::Options { token: 1, target, peer: None });
    placed.world.pass_s(40);
    // Timer E stops growing at four seconds.
    assert_eq!(placed.world.hand.len(), 11);
}

#[test]
fn every_repetition_of_the_answer_is_acknowledged() {
    let mut placed = placed();
    placed.answer("a");
    let ack = placed.next();
    assert!(ack.starts_with("ACK sip:a@10.0.0.3 SIP/2.0"), "{ack}");
    placed.answer("a");
    assert_eq!(placed.next(), ack);
    placed.world.established(OURS);
    assert!(placed.world.sides[OURS].events.is_empty());
}

#[test]
fn our_requests_take_the_route_that_the_answer_recorded_the_other_way_round() {
    let mut placed = placed();
    let routes = "Record-Route: <sip:far.example;lr>, <sip:10.0.0.3:5060;lr>\r\nContact: <sip:a@192.0.2.9>\r\n";
    placed.reply("200 OK", "a", routes, &sdp("10.0.0.3", "sendrecv"));
    let ack = placed.next();
    assert!(ack.starts_with("ACK sip:a@192.0.2.9 SIP/2.0"), "{ack}");
    let route: Vec<&str> = ack.lines().filter(|line| line.starts_with("Route")).collect();
    assert_eq!(route, ["Route: <sip:10.0.0.3:5060;lr>", "Route: <sip:far.example;lr>"]);
}

#[test]
fn a_second_answer_of_a_forked_call_is_acknowledged_and_ended() {
    let mut placed = placed();
    placed.answer("a");
    assert!(placed.next().starts_with("ACK sip:a@"));
    placed.answer("b");
    let (ack, bye) = (placed.next(), placed.next());
    assert!(ack.starts_with("ACK sip:b@10.0.0.3 "), "{ack}");
    assert!(bye.starts_with("BYE sip:b@10.0.0.3 ") && bye.contains(";tag=b"), "{bye}");
    placed.world.established(OURS);
    assert!(placed.world.sides[OURS].events.is_empty());
    assert_eq!(placed.world.sides[OURS].endpoint.counts().calls, 1);
}

#[test]
fn an_answer_without_sound_is_acknowledged_and_ended() {
    let mut placed = placed();
    placed.reply("200 OK", "a", "Contact: <sip:a@10.0.0.3>\r\n", "");
    assert!(placed.next().starts_with("ACK "));
    assert!(placed.next().starts_with("BYE "));
    let cause = placed.world.ended(OURS);
    assert_eq!((cause.by, cause.status), (EndedBy::Us, Some(488)));
}

#[test]
fn a_call_is_sent_on_within_its_server_alone() {
    let mut placed = placed();
    placed.reply("302 Moved", "a", "Contact: <sip:555@10.0.0.3:5060>\r\n", "");
    let ack = placed.next();
    assert!(ack.starts_with("ACK sip:884711%23@10.0.0.3 "), "{ack}");
    let second = placed.next();
    assert!(second.starts_with("INVITE sip:555@10.0.0.3:5060 SIP/2.0"), "{second}");
    assert_eq!(header(&second, "Call-ID"), header(&placed.invite, "Call-ID"));
    placed.invite = second;
    placed.reply("302 Moved", "b", "Contact: <sip:900@evil.example>\r\n", "");
    assert!(placed.next().starts_with("ACK "));
    let cause = placed.world.ended(OURS);
    assert_eq!((cause.by, cause.status), (EndedBy::Peer, Some(302)));
    placed.world.assert_empty();
}

#[test]
fn a_circle_of_redirections_ends() {
    let mut placed = placed();
    for turn in 0..10 {
        placed.reply("302 Moved", &turn.to_string(), "Contact: <sip:555@10.0.0.3>\r\n", "");
        assert!(placed.next().starts_with("ACK "));
        if let Some(SipEvent::Ended { .. }) = placed.world.sides[OURS].events.front() {
            assert_eq!(turn, 5);
            return;
        }
        placed.invite = placed.next();
    }
    panic!("it never ended");
}

#[test]
fn ringing_too_long_is_cancelled() {
    let mut placed = placed();
    placed.reply("180 Ringing", "a", "", "");
    assert_eq!(placed.world.ringing(OURS), 180);
    placed.world.pass_s(121);
    let cancel = placed.next();
    assert!(cancel.starts_with("CANCEL sip:884711%23@10.0.0.3 "), "{cancel}");
    assert_eq!(header(&cancel, "Via"), header(&placed.invite, "Via"));
    assert_eq!((header(&cancel, "CSeq"), header(&cancel, "To")), (Some("1 CANCEL"), Some("<sip:884711%23@10.0.0.3>")));
    assert_eq!(header(&cancel, "Reason"), Some("SIP;cause=200;text=\"nobody answered\""));
    placed.reply("487 Terminated", "a", "", "");
    let cause = placed.world.ended(OURS);
    assert_eq!((cause.by, cause.text.as_str()), (EndedBy::Us, "nobody answered"));
    placed.world.assert_empty();
}

#[test]
fn a_cancel_that_is_lost_ends_the_call_all_the_same() {
    let mut placed = placed();
    placed.reply("180 Ringing", "a", "", "");
    placed.world.ringing(OURS);
    let call = placed.call;
    placed.world.order(OURS, Order::HangUp(call, "enough".to_owned()));
    placed.world.pass_s(70);
    assert_eq!(placed.world.ended(OURS).by, EndedBy::Us);
    placed.world.assert_empty();
}

#[test]
fn a_refusal_is_acknowledged_each_time_it_comes() {
    let mut placed = placed();
    for _ in 0..2 {
        placed.reply("486 Busy Here", "a", "", "");
        let ack = placed.next();
        assert!(ack.starts_with("ACK sip:884711%23@10.0.0.3 ") && ack.contains(";tag=a"), "{ack}");
        assert_eq!(header(&ack, "Via"), header(&placed.invite, "Via"));
    }
    let cause = placed.world.ended(OURS);
    assert_eq!((cause.status, cause.text.as_str()), (Some(486), "Busy Here"));
    placed.world.assert_empty();
}

#[test]
fn responses_that_somebody_made_up_change_nothing() {
    let mut placed = placed();
    let true_invite = placed.invite.clone();
    for (what, other) in [
        ("Call-ID: ", "Call-ID: x"),
        ("CSeq: 1", "CSeq: 2"),
        ("branch=z9hG4bK", "branch=z9hG4bK0"),
        ("<sip:+493023125002@10.0.0.9>;tag=", "<sip:+493023125002@10.0.0.9>;tag=0"),
    ] {
        assert!(true_invite.contains(what), "{true_invite}");
        placed.invite = true_invite.replacen(what, other, 1);
        placed.reply("486 Busy", "x", "", "");
    }
    assert!(placed.world.sides[OURS].events.is_empty());
    placed.invite = true_invite;
    placed.answer("a");
    placed.world.established(OURS);
}

#[test]
fn a_number_that_is_none_is_not_dialled() {
    let mut world = World::new(2);
    for number in ["", "88@evil.example", "anna", "88;phone-context=x"] {
        let mut invite = world.invite();
        number.clone_into(&mut invite.number);
        world.order(OURS, Order::Place(invite));
        assert_eq!(world.ended(OURS).by, EndedBy::Us);
    }
    assert!(world.wire.is_empty());
}

#[test]
fn a_caller_without_a_number_is_anonymous() {
    let mut world = World::new(3);
    let mut invite = world.invite();
    invite.from = None;
    world.order(super::world::THEIRS, Order::Place(invite));
    let SipEvent::Incoming { headers, .. } = world.event(OURS) else { panic!("no call") };
    assert_eq!((headers.privacy, headers.asserted.len()), (vec!["id".to_owned()], 0));
    assert!(headers.from[0].starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>"));
}

#[test]
fn an_update_before_the_answer_is_taken_or_put_off() {
    let mut placed = placed();
    placed.reply("180 Ringing", "a", "Contact: <sip:a@10.0.0.3>\r\n", "");
    placed.world.ringing(OURS);
    let invite = placed.invite.clone();
    let tag = header(&invite, "From").unwrap().rsplit_once(";tag=").unwrap().1.to_owned();
    let call_id = header(&invite, "Call-ID").unwrap().to_owned();
    for (seq, (sound, tag, expected)) in (1..).zip([
        (String::new(), tag.as_str(), 200),
        (sdp("10.0.0.3", "sendrecv"), tag.as_str(), 500),
        (String::new(), "0123456789abcdef", 481),
    ]) {
        let update = placed.hand.request("UPDATE", seq, &format!(";tag={tag}"), &sound);
        let update = update.replace("Call-ID: hand@10.0.0.3:5060", &format!("Call-ID: {call_id}"));
        let answer = placed.hand.ask(&mut placed.world, &update);
        assert_eq!(super::hand::status(&answer), expected, "{answer}");
    }
    placed.answer("a");
    placed.world.established(OURS);
}
