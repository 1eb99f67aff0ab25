//! The torture messages as a stranger sends them to an endpoint: it lives on, answers each as the standard asks, and
//! never sends more than it got.

#![expect(clippy::panic, reason = "so a test says what it got")]

#[expect(dead_code, reason = "only reading asks for single messages")]
mod torture;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mixer_signalling::message::{Message, Response, read};
use mixer_signalling::{Config, Endpoint, Flow, FlowId, Input, Local, Order, Output, SipEvent, Transport};

use torture::{Case, Fate, cases};

const FLOW: FlowId = FlowId(1);

/// An endpoint, and the instants it is told.
struct Desk {
    endpoint: Endpoint,
    now: Instant,
}

/// What came out: answers, and whether a call came in; then it was refused with 404, as of a number that nobody has.
#[derive(Debug, Default)]
struct Heard {
    answers: Vec<Response>,
    bytes: usize,
    called: bool,
}

impl Desk {
    #[expect(clippy::disallowed_methods, reason = "an instant to count from; nothing waits for it")]
    fn new() -> Self {
        let address: SocketAddr = ([192, 0, 2, 1], 5060).into();
        let now = Instant::now();
        let locals = vec![Local { transport: Transport::Udp, address }];
        let mut endpoint = Endpoint::new(now, Config { locals, ..Config::default() }, [7; 32]);
        let flow = Flow { id: FLOW, transport: Transport::Udp, local: address, remote: None, tls_names: Vec::new() };
        endpoint.handle(now, Input::FlowOpened(flow));
        Self { endpoint, now }
    }

    fn hear(&mut self, bytes: &[u8]) -> Heard {
        // A minute apart: whatever the last one left is over.
        self.now += Duration::from_secs(60);
        self.endpoint.handle(self.now, Input::Time);
        self.drain();
        let source = ([198, 51, 100, 9], 5060).into();
        self.endpoint.handle(self.now, Input::Message { flow: FLOW, source, bytes, peer: None });
        self.drain()
    }

    fn drain(&mut self) -> Heard {
        let mut heard = Heard::default();
        loop {
            match self.endpoint.poll() {
                Output::Send { bytes, .. } => {
                    heard.bytes += bytes.len();
                    match read(&bytes) {
                        Ok(Message::Response(response)) => heard.answers.push(response),
                        other => panic!("{other:?}"),
                    }
                }
                Output::Event(SipEvent::Incoming { call, .. }) => {
                    heard.called = true;
                    let refusal = Order::Refuse(call, 404, "Not Found".to_owned());
                    self.endpoint.handle(self.now, Input::Order(refusal));
                }
                Output::Wait(_) => return heard,
                _ => {}
            }
        }
    }

    fn is_alive(&mut self) -> bool {
        let options = b"OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9;branch=z9hG4bKalive\r\n\
        Max-Forwards: 70\r\n\
            From: <sip:probe@198.51.100.9>;tag=alive\r\nTo: <sip:192.0.2.1>\r\nCall-ID: alive@198.51.100.9\r\n\
            CSeq: 1 OPTIONS\r\n\
            Contact: <sip:probe@198.51.100.9>\r\n\
            User-Agent: a name that leaves room for what the answer has to carry besides\r\n\
            Accept: application/sdp, application/media_control+xml, message/sipfrag, text/plain\r\n\
            Content-Length: 0\r\n\r\n";
        self.hear(options).answers.iter().any(|answer| answer.status == 200)
    }
}

/// The statuses that may come back; empty: any.
fn expected(case: &Case) -> Vec<u16> {
    match case.fate {
        Fate::Fine(statuses) => statuses.to_vec(),
        Fate::Fault(status) => vec![status],
        Fate::Silence => Vec::new(),
    }
}

#[test]
fn every_message_is_answered_as_the_standard_asks() {
    let mut desk = Desk::new();
    for case in cases() {
        let heard = desk.hear(&case.bytes);
        let name = format!("{} {}", case.section, case.name);
        let statuses: Vec<u16> = heard.answers.iter().map(|answer| answer.status).collect();
        match case.fate {
            Fate::Silence => assert!(statuses.is_empty() && !heard.called, "{name}: {statuses:?}"),
            Fate::Fine(_) | Fate::Fault(_) => {
                assert!(!statuses.is_empty(), "{name}: nothing came back");
                let wanted = expected(&case);
                let right = wanted.is_empty() || statuses.iter().all(|status| wanted.contains(status));
                assert!(right, "{name}: {statuses:?}, not {wanted:?}");
            }
        }
        assert!(heard.bytes <= case.bytes.len(), "{name}: {} bytes for {}", heard.bytes, case.bytes.len());
        assert!(desk.is_alive(), "{name}");
    }
}

#[test]
fn nothing_of_it_is_remembered() {
    let mut desk = Desk::new();
    for case in cases() {
        desk.hear(&case.bytes);
    }
    desk.now += Duration::from_secs(60);
    desk.endpoint.handle(desk.now, Input::Time);
    desk.drain();
    let counts = desk.endpoint.counts();
    assert_eq!((counts.calls, counts.dialogs, counts.server_transactions, counts.client_transactions), (0, 0, 0, 0));
}
