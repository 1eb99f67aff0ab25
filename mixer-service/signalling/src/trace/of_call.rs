//! How a program finds a call's messages: what the endpoint calls by a key, the wire calls by its Call-ID.

use crate::endpoint::Endpoint;
use crate::types::CallKey;

impl Endpoint {
    /// The Call-ID of a call that is not over: for [`Traces::bind`](crate::Traces::bind), as soon as a call comes or
    /// was placed.
    #[must_use]
    pub fn call_id(&self, call: CallKey) -> Option<&str> {
        self.calls.get(&call).map(|call| &*call.dialog.call_id)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Instant;

    use super::*;
    use crate::{
        Config, Flow, FlowId, Input, Invite, Local, LocalMedia, Order, Output, SipEvent, Target, TraceBounds, Traces,
        Transport, Way, some_instant,
    };

    /// An endpoint whose every message is kept, as a program keeps them.
    struct Desk {
        now: Instant,
        endpoint: Endpoint,
        traces: Traces,
    }

    impl Desk {
        fn new() -> Self {
            let (now, address) = (some_instant(), SocketAddr::from(([127, 0, 0, 1], 5060)));
            let local = Local { transport: Transport::Udp, address };
            let endpoint = Endpoint::new(now, Config { locals: vec![local], ..Config::default() }, [1; 32]);
            let mut desk = Self { now, endpoint, traces: Traces::new(TraceBounds::default()) };
            let flow =
                Flow { id: FlowId(1), transport: Transport::Udp, local: address, remote: None, tls_names: Vec::new() };
            desk.endpoint.handle(now, Input::FlowOpened(flow));
            desk.drain();
            desk
        }

        /// The call that was told of, if one was.
        fn drain(&mut self) -> Option<CallKey> {
            let mut told = None;
            loop {
                match self.endpoint.poll() {
                    Output::Send { to, bytes, .. } => self.traces.note(self.now, Way::Out, to, Transport::Udp, &bytes),
                    Output::Event(SipEvent::Incoming { call, .. }) => told = Some(call),
                    Output::Event(_)
                    | Output::Audit(_)
                    | Output::Open { .. }
                    | Output::Resolve { .. }
                    | Output::Close(_) => {}
                    Output::Wait(_) => return told,
                }
            }
        }

        fn first_lines(&mut self, call: CallKey) -> Vec<String> {
            let call_id = self.endpoint.call_id(call).unwrap().to_owned();
            self.traces.bind(call, &call_id);
            let entries = self.traces.of(call).unwrap();
            entries.iter().map(|entry| entry.text.lines().next().unwrap().to_owned()).collect()
        }
    }

    #[test]
    fn a_call_that_comes_is_found() {
        let mut desk = Desk::new();
        let source = SocketAddr::from(([127, 0, 0, 9], 5060));
        let invite = b"INVITE sip:88@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
            From: <sip:a@127.0.0.9>;tag=1\r\nTo: <sip:88@127.0.0.1>\r\nCall-ID: abc\r\nCSeq: 1 INVITE\r\n\
            Contact: <sip:a@127.0.0.9>\r\nContent-Length: 0\r\n\r\n";
        desk.traces.note(desk.now, Way::In, source, Transport::Udp, invite);
        desk.endpoint.handle(desk.now, Input::Message { flow: FlowId(1), source, bytes: invite, peer: None });
        let call = desk.drain().unwrap();
        assert_eq!(desk.first_lines(call), ["INVITE sip:88@127.0.0.1 SIP/2.0"]);
    }

    #[test]
    fn a_call_that_is_placed_is_found() {
        let mut desk = Desk::new();
        let call = CallKey::placed(1);
        let target = Target { host: "127.0.0.9".to_owned(), port: Some(5060), transport: Transport::Udp };
        let local = LocalMedia { ip: "127.0.0.1".parse().unwrap(), port: 20_000 };
        let invite =
            Invite { call, target: Some(target), peer: None, number: "+493023125002".to_owned(), from: None, local };
        desk.endpoint.handle(desk.now, Input::Order(Order::Place(invite)));
        desk.drain();
        assert_eq!(desk.first_lines(call), ["INVITE sip:+4930***@127.0.0.9:5060 SIP/2.0"]);
    }
}
