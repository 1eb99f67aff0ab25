//! The endpoint of SIP as a whole, on pretended time: what the far end says, what the switchboard orders, streams that open
//! and close, in any order. Nothing panics, nothing runs in circles, and once all is ended nothing is remembered.
#![no_main]

mod support;

use std::time::{Duration, Instant};

use mixer_signalling::{
    CallKey, Capabilities, Config, Credentials, Digit, Endpoint, Flow, FlowId, Input, Invite, Limits, LocalMedia,
    LookupId, OpenId, Order, Output, Peer, PeerId, SipEvent, Srtp, Target, Timers, Transport,
};

/// Steps of one run, so that none is slow by being long.
const MAX_STEPS: usize = 48;
/// Outputs that one step may cause.
const MAX_OUTPUTS: usize = 2_000;
/// Wake-ups until all is forgotten.
const MAX_WAKE_UPS: usize = 20_000;
const CALLS: usize = 8;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    let mut world = World::new();
    let mut script = Script(bytes);
    for _ in 0..MAX_STEPS {
        let Some(op) = script.byte() else { break };
        world.step(op, &mut script);
    }
    world.end();
});

struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn any(&mut self) -> u8 {
        self.byte().unwrap_or_default()
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

struct World {
    endpoint: Endpoint,
    now: Instant,
    calls: Vec<CallKey>,
    placed: u64,
    /// The last request and the last response that it sent.
    asked: String,
    answered: String,
    cseq: u32,
    branch: u32,
    call_id: u8,
    open: Option<OpenId>,
    lookup: Option<LookupId>,
    next_flow: u64,
    outputs: usize,
}

impl World {
    fn new() -> Self {
        let now = support::start();
        let mut world = Self {
            endpoint: Endpoint::new(now, config(false), [7; 32]),
            now,
            calls: Vec::new(),
            placed: 0,
            asked: String::new(),
            answered: String::new(),
            cseq: 0,
            branch: 0,
            call_id: 0,
            open: None,
            lookup: None,
            next_flow: 10,
            outputs: 0,
        };
        let udp = Flow {
            id: FlowId(1),
            transport: Transport::Udp,
            local: support::socket(1),
            remote: None,
            tls_names: vec![],
        };
        world.give(Input::FlowOpened(udp));
        world
    }

    fn step(&mut self, op: u8, script: &mut Script<'_>) {
        let flavour = script.any();
        let call = self
            .calls
            .get(usize::from(flavour) % self.calls.len().max(1))
            .copied()
            .unwrap_or(CallKey(u64::from(flavour)));
        match op % 26 {
            0 | 1 => self.invite(flavour),
            2 => self.request("ACK", flavour, script),
            3 => self.request("BYE", flavour, script),
            4 => self.request("CANCEL", flavour, script),
            5 => self.request("INVITE", flavour, script),
            6 => self.request("UPDATE", flavour, script),
            7 => self.request("PRACK", flavour, script),
            8 => self.request("INFO", flavour, script),
            9 => {
                let methods = ["OPTIONS", "REFER", "MESSAGE", "NOTIFY", "SUBSCRIBE", "REGISTER", "PUBLISH", "DANCE"];
                self.request(methods[usize::from(flavour) % methods.len()], script.any(), script);
            }
            10 | 11 => self.respond(flavour, script),
            12 => self.order(Order::Answer(call, media())),
            13 => self.order(Order::Ring(call)),
            14 => self.order(Order::Refuse(call, 400 + u16::from(flavour), "no".to_owned())),
            15 => self.order(Order::HangUp(call, "over".to_owned())),
            16 => self.order(Order::Probe(call)),
            17 => self.place(flavour),
            18 => self.order(Order::Hold(call, flavour & 1 == 0)),
            19 => self.order(Order::Press(call, Digit('5'))),
            20 | 21 => self.pass(Duration::from_millis(1 << (flavour % 17))),
            22 => self.stream(flavour),
            23 => {
                let targets = if flavour & 1 == 0 { vec![] } else { vec![(Transport::Udp, support::socket(flavour))] };
                if let Some(lookup) = self.lookup.take() {
                    self.give(Input::Resolved { lookup, targets });
                }
            }
            24 => {
                let raw = script.take(usize::from(flavour) * 4);
                self.message(raw, u8::from(flavour & 1 == 0));
            }
            _ => self.give(Input::Config(Box::new(config(flavour & 1 == 0)))),
        }
    }

    // --- what the far end says ---

    fn invite(&mut self, flavour: u8) {
        self.call_id = self.call_id.wrapping_add(1);
        (self.cseq, self.answered) = (1, String::new());
        let text = self.text("INVITE", flavour);
        self.message(text.as_bytes(), flavour & 1);
    }

    fn request(&mut self, method: &str, flavour: u8, script: &mut Script<'_>) {
        if !matches!(method, "ACK" | "CANCEL") {
            self.cseq = self.cseq.wrapping_add(u32::from(flavour >> 6 != 3));
        }
        let mut text = self.text(method, flavour).into_bytes();
        // One in four has something wrong with it.
        if flavour & 0x30 == 0x30 && !text.is_empty() {
            let (place, bits) = (usize::from(script.any()) * 3, script.any());
            let len = text.len();
            text[place % len] ^= bits;
        }
        self.message(&text, flavour & 1);
    }

    fn text(&mut self, method: &str, flavour: u8) -> String {
        if !matches!(method, "ACK" | "CANCEL") {
            self.branch += 1;
        }
        let (branch, id, cseq) = (self.branch, self.call_id, self.cseq);
        let to = line(&self.answered, "To").unwrap_or("<sip:88@example.com>").to_owned();
        let rseq = line(&self.answered, "RSeq").unwrap_or("1").to_owned();
        let more = match flavour >> 1 & 7 {
            1 => "Require: 100rel\r\nSupported: 100rel\r\n".to_owned(),
            2 => "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n".to_owned(),
            3 => "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\nMin-SE: 90\r\n".to_owned(),
            4 => format!("RAck: {rseq} {cseq} INVITE\r\n"),
            5 => "Record-Route: <sip:192.0.2.9;lr>, <sip:proxy.example.com>\r\n".to_owned(),
            6 => "Require: teleportation\r\n".to_owned(),
            _ => "Allow: INVITE, ACK, BYE, UPDATE\r\n".to_owned(),
        };
        let direction = ["sendrecv", "sendonly", "recvonly", "inactive"][usize::from(flavour >> 4 & 3)];
        let (kind, body) = match method {
            "INVITE" | "UPDATE" | "ACK" | "PRACK" if flavour & 0xc0 != 0 => ("application/sdp", sdp(direction)),
            "INFO" => ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n".to_owned()),
            _ => ("text/plain", String::new()),
        };
        format!(
            "{method} sip:88@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:+49301@192.0.2.2>;tag=far\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:far@192.0.2.2>\r\n{more}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Answers the request that it sent last.
    fn respond(&mut self, flavour: u8, script: &mut Script<'_>) {
        const STATUS: [u16; 16] = [100, 180, 183, 200, 200, 200, 202, 302, 401, 407, 408, 422, 481, 487, 491, 503];
        let status = STATUS[usize::from(flavour % 16)];
        let copied = ["Via", "From", "Call-ID", "CSeq"]
            .map(|name| line(&self.asked, name).map(|value| format!("{name}: {value}\r\n")).unwrap_or_default());
        let to = line(&self.asked, "To").unwrap_or_default();
        let tag = if to.contains("tag=") { "" } else { [";tag=a", ";tag=b"][usize::from(flavour >> 7)] };
        let more = match status {
            183 => "Require: 100rel\r\nRSeq: 1\r\n",
            302 => "Contact: <sip:x@192.0.2.66>\r\n",
            401 => "WWW-Authenticate: Digest realm=\"pbx.example\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n",
            407 => "Proxy-Authenticate: Digest realm=\"pbx.example\", nonce=\"m\", stale=true\r\n",
            422 => "Min-SE: 1900\r\n",
            200 => "Session-Expires: 90;refresher=uac\r\nRequire: timer\r\nExpires: 60\r\n",
            _ => "",
        };
        let body = if flavour & 0x40 == 0 && status < 300 { sdp("sendrecv") } else { String::new() };
        let mut text = format!(
            "SIP/2.0 {status} Word\r\n{}To: {to}{tag}\r\nContact: <sip:far@192.0.2.2>\r\n{more}Content-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            copied.concat(),
            body.len()
        )
        .into_bytes();
        if flavour & 0x30 == 0x30 {
            let (place, bits) = (usize::from(script.any()) * 3, script.any());
            let len = text.len();
            text[place % len] ^= bits;
        }
        self.message(&text, 1);
    }

    fn message(&mut self, bytes: &[u8], known: u8) {
        let peer = (known != 0).then_some(PeerId(1));
        self.give(Input::Message { flow: FlowId(1), source: support::socket(2), bytes, peer });
    }

    // --- what the program does ---

    fn order(&mut self, order: Order) {
        self.give(Input::Order(order));
    }

    fn place(&mut self, flavour: u8) {
        self.placed += 1;
        let call = CallKey::placed(self.placed);
        self.calls.push(call);
        let host = if flavour & 2 == 0 { "192.0.2.2" } else { "pbx.example" };
        let transport = if flavour & 4 == 0 { Transport::Udp } else { Transport::Tcp };
        let target = (flavour & 8 != 0).then(|| Target { host: host.to_owned(), port: Some(5060), transport });
        let peer = (flavour & 1 == 0 || target.is_none()).then_some(PeerId(1));
        let invite = Invite { call, target, peer, number: "+49301".to_owned(), from: None, local: media() };
        self.order(Order::Place(invite));
    }

    fn stream(&mut self, flavour: u8) {
        match (flavour & 3, self.open.take()) {
            (0, Some(open)) => self.give(Input::Opened { open, flow: None }),
            (1, Some(open)) => {
                self.next_flow += 1;
                let id = FlowId(self.next_flow);
                let remote = Some(support::socket(2));
                let local = support::socket(1);
                self.give(Input::FlowOpened(Flow { id, transport: Transport::Tcp, local, remote, tls_names: vec![] }));
                self.give(Input::Opened { open, flow: Some(id) });
            }
            (2, open) => {
                self.open = open;
                self.give(Input::FlowClosed(FlowId(self.next_flow)));
            }
            (_, open) => self.open = open,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.give(Input::Time);
    }

    fn give(&mut self, input: Input<'_>) {
        self.endpoint.handle(self.now, input);
        let deadline = self.drain();
        assert!(deadline.is_none_or(|deadline| deadline > self.now), "it wants to be woken in the past");
        let counts = self.endpoint.counts();
        assert!(counts.calls <= CALLS + usize::from(self.placed as u16), "{counts:?}");
    }

    fn drain(&mut self) -> Option<Instant> {
        for _ in 0..MAX_OUTPUTS {
            self.outputs += 1;
            match self.endpoint.poll() {
                Output::Send { bytes, .. } => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if text.starts_with("SIP/2.0") { self.answered = text } else { self.asked = text }
                }
                Output::Open { open, .. } => self.open = Some(open),
                Output::Resolve { lookup, .. } => self.lookup = Some(lookup),
                Output::Event(SipEvent::Incoming { call, .. }) => self.calls.push(call),
                Output::Event(_) | Output::Close(_) | Output::Audit(_) => {}
                Output::Wait(deadline) => return deadline,
            }
        }
        panic!("it never comes to rest");
    }

    /// Ends everything and lets time pass until nobody waits for anything.
    fn end(&mut self) {
        self.order(Order::Shutdown("the run is over".to_owned()));
        for _ in 0..MAX_WAKE_UPS {
            let Some(deadline) = self.drain() else { break };
            self.now = deadline;
            self.give(Input::Time);
            if self.endpoint.is_idle() && self.endpoint.counts().server_transactions == 0 {
                break;
            }
        }
        let counts = self.endpoint.counts();
        assert_eq!((counts.calls, counts.dialogs, counts.server_transactions), (0, 0, 0), "{counts:?}");
        assert!(self.endpoint.is_idle(), "{counts:?}");
    }
}

fn config(registers: bool) -> Config {
    let peer = Peer {
        id: PeerId(1),
        name: "pbx".to_owned(),
        server: Some(Target { host: "192.0.2.2".to_owned(), port: Some(5060), transport: Transport::Udp }),
        outbound_proxy: None,
        domain: "pbx.example".to_owned(),
        user: Some("88".to_owned()),
        credentials: Some(Credentials { user: "88".to_owned(), password: "secret".to_owned() }),
        register: registers,
        expires_s: 60,
        keep_alive: Duration::from_secs(30),
        challenge: false,
        capabilities: Capabilities { srtp: Srtp::Optional, ..Capabilities::default() },
        refer: registers,
        session_expires_s: 90,
        lines: Some(6),
        called_from: mixer_signalling::CalledFrom::To,
    };
    let limits = Limits { calls: CALLS, calls_in_setup: 4, transactions: 64, ..Limits::default() };
    // Fewer repetitions than usual: they are alike.
    let timers = Timers { t2: Duration::from_secs(32), ..Timers::default() };
    Config { peers: vec![peer], limits, timers, ..Config::default() }
}

fn media() -> LocalMedia {
    LocalMedia { ip: support::address(1), port: 20_000 }
}

fn sdp(direction: &str) -> String {
    format!(
        "v=0\r\no=far 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    )
}

/// The first header of this name.
fn line<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}
