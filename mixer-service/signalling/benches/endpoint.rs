//! What a whole call costs the machine: INVITE, 200, ACK, BYE, 200, in bursts of four hundred that are open together.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mixer_signalling::{Config, Endpoint, Flow, FlowId, Input, LocalMedia, Order, Output, PeerId, SipEvent, Transport};

/// Calls that are open at a time.
const BURST: u64 = 400;
const SOCKET: FlowId = FlowId(1);
const LOCAL: ([u8; 4], u16) = ([198, 51, 100, 1], 5060);
const CALLER: ([u8; 4], u16) = ([192, 0, 2, 7], 5060);

#[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
fn start() -> Instant {
    Instant::now()
}

/// A machine and its caller.
struct Desk {
    now: Instant,
    endpoint: Endpoint,
    calls: u64,
}

impl Desk {
    fn new() -> Self {
        let now = start();
        let mut endpoint = Endpoint::new(now, Config::default(), [7; 32]);
        let local = SocketAddr::from(LOCAL);
        let flow = Flow { id: SOCKET, transport: Transport::Udp, local, remote: None, tls_names: Vec::new() };
        endpoint.handle(now, Input::FlowOpened(flow));
        Self { now, endpoint, calls: 0 }
    }

    fn message(&mut self, text: &str) {
        let source = SocketAddr::from(CALLER);
        let message = Input::Message { flow: SOCKET, source, bytes: text.as_bytes(), peer: Some(PeerId(1)) };
        self.endpoint.handle(self.now, message);
    }

    /// The To tag of what was sent, and the call that was told of.
    fn drain(&mut self) -> (Option<String>, Option<mixer_signalling::CallKey>) {
        let (mut tag, mut told) = (None, None);
        loop {
            match self.endpoint.poll() {
                Output::Send { bytes, .. } => {
                    let text = String::from_utf8_lossy(&bytes);
                    let to = text.lines().find(|line| line.starts_with("To: ")).unwrap_or_default();
                    tag = to.rsplit_once(";tag=").map(|(_, tag)| tag.to_owned());
                }
                Output::Event(SipEvent::Incoming { call, .. }) => told = Some(call),
                Output::Wait(_) => return (tag, told),
                other => drop(black_box(other)),
            }
        }
    }

    fn burst(&mut self) {
        let first = self.calls;
        self.calls += BURST;
        let mut tags = Vec::new();
        for number in first..self.calls {
            self.message(&request("INVITE", 1, number, "", SDP));
            if let (_, Some(call)) = self.drain() {
                let local = LocalMedia { ip: [198, 51, 100, 1].into(), port: 20_000 };
                self.endpoint.handle(self.now, Input::Order(Order::Answer(call, local)));
            }
            let (tag, _) = self.drain();
            tags.push(tag.unwrap_or_default());
        }
        for (number, tag) in (first..).zip(&tags) {
            self.message(&request("ACK", 1, number, tag, ""));
            self.drain();
        }
        for (number, tag) in (first..).zip(&tags) {
            self.message(&request("BYE", 2, number, tag, ""));
            self.drain();
        }
        assert_eq!(self.endpoint.counts().calls, 0, "every call is over");
        self.now += Duration::from_millis(50);
        self.endpoint.handle(self.now, Input::Time);
        self.drain();
    }
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";

fn request(method: &str, seq: u32, number: u64, tag: &str, body: &str) -> String {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:88@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK{number}{method}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.7>;tag=1928301774\r\nTo: <sip:88@198.51.100.1>{tag}\r\n\
         Call-ID: {number}@192.0.2.7\r\nCSeq: {seq} {method}\r\nContact: <sip:a@192.0.2.7>\r\nAllow: INVITE, ACK, BYE, CANCEL\r\n\
         User-Agent: PBX\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn calls(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("endpoint");
    group.throughput(Throughput::Elements(BURST));
    group.bench_function("whole calls", |bench| {
        let mut desk = Desk::new();
        bench.iter(|| desk.burst());
    });
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
