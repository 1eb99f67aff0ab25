//! Calls over streams: opened, reused, broken and opened again, and large requests.

use super::world::{OURS, THEIRS, World, config_at, media};
use crate::config::{Target, Transport};
use crate::endpoint::Endpoint;
use crate::event::{Flow, FlowId, Input, Order, Output, SipEvent};
use crate::types::EndedBy;

fn over(transport: Transport) -> World {
    let server = move |config: &mut crate::config::Config| {
        if let Some(server) = &mut config.peers[0].server {
            server.transport = transport;
        }
    };
    World::with(1, server, server)
}

#[test]
fn a_call_over_a_stream_uses_it_for_all_its_requests() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut world = over(transport);
        let (_, call) = world.talking();
        let streams = [OURS, THEIRS].map(|side| world.streams(side));
        assert_eq!((streams[OURS].len(), streams[THEIRS].len()), (1, 1));
        assert!([OURS, THEIRS].iter().all(|side| world.sides[*side].endpoint.needs(streams[*side][0])));
        let contact = world.wire.iter().find(|sent| sent.starts_with("INVITE")).unwrap();
        assert!(
            contact.contains(&format!("Contact: <sip:10.0.0.2:5060;transport={}>", transport.param())),
            "{contact}"
        );
        assert!(contact.contains(&format!("Via: SIP/2.0/{} 10.0.0.2:5060", transport.as_str())), "{contact}");
        world.order(OURS, Order::HangUp(call, "over".to_owned()));
        assert_eq!(world.ended(THEIRS).text, "over");
        let stream = world.streams(OURS)[0];
        assert_eq!(world.streams(OURS).len(), 1, "no second stream");
        world.ended(OURS);
        world.assert_empty();
        assert!(!world.sides[OURS].endpoint.needs(stream), "nobody runs on it any more");
        // The next call takes the stream that is open.
        world.talking();
        assert_eq!(world.streams(THEIRS).len(), 1);
    }
}

#[test]
fn a_stream_that_broke_is_opened_again_for_the_next_request() {
    let mut world = over(Transport::Tcp);
    let (_, call) = world.talking();
    let stream = world.streams(OURS)[0];
    world.close(OURS, stream);
    world.order(OURS, Order::HangUp(call, "over".to_owned()));
    assert_eq!(world.ended(THEIRS).text, "over");
}

#[test]
fn a_server_that_takes_no_streams_ends_the_call() {
    let mut world = over(Transport::Tcp);
    world.sides[OURS].takes_streams = false;
    world.place();
    assert_eq!(world.ended(THEIRS).by, EndedBy::Silence);
    world.assert_empty();
}

#[test]
fn the_next_place_is_tried_where_one_does_not_answer() {
    let mut world = World::new(2);
    let dead = (Transport::Tcp, "10.0.0.99:5060".parse().unwrap());
    let silent = (Transport::Udp, "10.0.0.98:5060".parse().unwrap());
    let alive = (Transport::Udp, world.sides[OURS].address);
    world.sides[THEIRS].names.insert("pbx.example".to_owned(), vec![dead, silent, alive]);
    let mut invite = world.invite();
    invite.target = Some(Target { host: "pbx.example".to_owned(), port: None, transport: Transport::Udp });
    world.order(THEIRS, Order::Place(invite));
    let SipEvent::Incoming { .. } = world.event(OURS) else { panic!("no call") };
}

#[test]
fn a_call_given_up_between_two_places_goes_to_neither() {
    let (mut world, now) = (World::new(6), crate::some_instant());
    let ours = world.sides[OURS].address;
    let mut endpoint = Endpoint::new(now, config_at(ours), [6; 32]);
    let flow = Flow { id: FlowId(1), transport: Transport::Udp, local: ours, remote: None, tls_names: Vec::new() };
    endpoint.handle(now, Input::FlowOpened(flow));
    let (mut invite, target) = (world.invite(), "pbx.example".to_owned());
    (invite.peer, invite.target) = (None, Some(Target { host: target, port: None, transport: Transport::Udp }));
    let call = invite.call;
    endpoint.handle(now, Input::Order(Order::Place(invite)));
    let Output::Resolve { lookup, .. } = endpoint.poll() else { panic!("no name") };
    let place = |transport, at: &str| (transport, at.parse().unwrap());
    let (first, last) = (place(Transport::Udp, "10.0.0.3:5060"), place(Transport::Udp, "10.0.0.4:5060"));
    let targets = vec![first, place(Transport::Tcp, "10.0.0.5:5060"), last];
    endpoint.handle(now, Input::Resolved { lookup, targets });
    let sent = sent_by(&mut endpoint);
    assert!(sent.starts_with("INVITE "), "{sent}");
    let refusal = sent.replacen(sent.lines().next().unwrap(), "SIP/2.0 503 Unavailable", 1);
    let input = Input::Message { flow: FlowId(1), source: first.1, bytes: refusal.as_bytes(), peer: None };
    endpoint.handle(now, input);
    assert!(sent_by(&mut endpoint).starts_with("ACK "));
    let Output::Open { open, .. } = endpoint.poll() else { panic!("no stream") };
    endpoint.handle(now, Input::Order(Order::HangUp(call, "enough".to_owned())));
    assert!(matches!(endpoint.poll(), Output::Event(SipEvent::Ended { .. })), "it is over at once");
    endpoint.handle(now, Input::Opened { open, flow: None });
    assert!(matches!(endpoint.poll(), Output::Wait(_)), "nobody is called any more");
}

fn sent_by(endpoint: &mut Endpoint) -> String {
    let Output::Send { bytes, .. } = endpoint.poll() else { panic!("nothing is sent") };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_name_that_cannot_be_found_ends_the_call() {
    let mut world = World::new(3);
    let mut invite = world.invite();
    invite.target = Some(Target { host: "nowhere.example".to_owned(), port: None, transport: Transport::Udp });
    world.order(THEIRS, Order::Place(invite));
    assert_eq!(world.ended(THEIRS).by, EndedBy::Silence);
    world.assert_empty();
}

#[test]
fn a_large_request_goes_over_a_stream_where_one_can_be_had_and_else_by_datagram() {
    for takes_streams in [true, false] {
        let mut world = World::with(
            4,
            |_| {},
            |theirs| {
                theirs.peers[0].capabilities.srtp = crate::config::Srtp::Optional;
                theirs.user_agent = "x".repeat(800);
            },
        );
        world.sides[OURS].takes_streams = takes_streams;
        world.place();
        let SipEvent::Incoming { transport, call, .. } = world.event(OURS) else { panic!("no call") };
        assert_eq!(transport, if takes_streams { Transport::Tcp } else { Transport::Udp });
        world.order(OURS, Order::Answer(call, media(20_000)));
        world.established(THEIRS);
        world.established(OURS);
    }
}
