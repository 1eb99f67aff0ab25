//! Two endpoints and a link between them that loses, repeats and overtakes by a seed; time jumps from one event to the
//! next. A third address is the test's own hand.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::config::{Config, Local, Peer, PeerId, Target, Transport};
use crate::endpoint::Endpoint;
use crate::event::{Flow, FlowId, Input, Invite, Order, Output, Refused, SipEvent};
use crate::types::{CallKey, Cause, LocalMedia, RemoteMedia};

/// The side that tests look at.
pub(super) const OURS: usize = 0;
/// The side that calls it.
pub(super) const THEIRS: usize = 1;
/// The socket for datagrams of each side.
pub(super) const SOCKET: FlowId = FlowId(1);

/// How the link treats datagrams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) lost_percent: u64,
    pub(super) doubled_percent: u64,
    /// Datagrams take between this and the other.
    pub(super) delay: (Duration, Duration),
}

impl Default for Link {
    fn default() -> Self {
        let short = Duration::from_millis(1);
        Self { lost_percent: 0, doubled_percent: 0, delay: (short, short) }
    }
}

pub(super) struct Side {
    pub(super) endpoint: Endpoint,
    pub(super) address: SocketAddr,
    pub(super) peer: Option<PeerId>,
    pub(super) events: VecDeque<SipEvent>,
    pub(super) audits: Vec<Refused>,
    deadline: Option<Instant>,
    next_flow: u64,
    /// The other end of each stream.
    streams: HashMap<FlowId, (usize, FlowId)>,
    /// Whether others may open streams to it.
    pub(super) takes_streams: bool,
    /// Names that can be looked up.
    pub(super) names: HashMap<String, Vec<(Transport, SocketAddr)>>,
    pub(super) bytes_out: usize,
}

#[derive(Debug)]
enum Flying {
    Datagram { to: SocketAddr, from: SocketAddr, bytes: Vec<u8> },
    Stream { side: usize, flow: FlowId, bytes: Vec<u8> },
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) link: Link,
    pub(super) sides: [Side; 2],
    flying: BTreeMap<(Instant, u64), Flying>,
    next: u64,
    random: u64,
    /// What arrived at addresses of neither side.
    pub(super) hand: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    next_placed: u64,
    /// Every datagram that left, for tests that look at the wire.
    pub(super) wire: Vec<String>,
}

pub(super) fn config_at(address: SocketAddr) -> Config {
    let local = |transport| Local { transport, address };
    Config { locals: vec![local(Transport::Udp), local(Transport::Tcp), local(Transport::Tls)], ..Config::default() }
}

/// A peer at the other side of the world.
pub(super) fn peer_at(address: SocketAddr) -> Peer {
    Peer {
        id: PeerId(7),
        name: "pbx".to_owned(),
        server: Some(Target { host: address.ip().to_string(), port: Some(address.port()), transport: Transport::Udp }),
        outbound_proxy: None,
        domain: String::new(),
        user: None,
        credentials: None,
        register: false,
        expires_s: 600,
        keep_alive: Duration::ZERO,
        challenge: false,
        capabilities: crate::config::Capabilities::default(),
        refer: false,
        session_expires_s: 1_800,
        lines: None,
        called_from: crate::config::CalledFrom::RequestUri,
    }
}

pub(super) fn media(port: u16) -> LocalMedia {
    LocalMedia { ip: "10.0.0.9".parse().unwrap(), port }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::with(seed, |_| {}, |_| {})
    }

    /// A world whose settings are changed before it begins.
    pub(super) fn with(seed: u64, ours: impl FnOnce(&mut Config), theirs: impl FnOnce(&mut Config)) -> Self {
        Self::at(["10.0.0.1:5060", "10.0.0.2:5060"], seed, ours, theirs)
    }

    /// A world at these addresses.
    pub(super) fn at(
        addresses: [&str; 2],
        seed: u64,
        ours: impl FnOnce(&mut Config),
        theirs: impl FnOnce(&mut Config),
    ) -> Self {
        let now = crate::some_instant();
        let [a, b]: [SocketAddr; 2] = addresses.map(|address| address.parse().unwrap());
        let mut ours_config = config_at(a);
        ours_config.peers = vec![peer_at(b)];
        ours(&mut ours_config);
        let mut theirs_config = config_at(b);
        theirs_config.peers = vec![peer_at(a)];
        theirs(&mut theirs_config);
        let side = |config, address, number: u8| {
            let mut key = [number; 32];
            key[..8].copy_from_slice(&seed.to_le_bytes());
            Side {
                endpoint: Endpoint::new(now, config, key),
                address,
                peer: Some(PeerId(7)),
                events: VecDeque::new(),
                audits: Vec::new(),
                deadline: Some(now),
                next_flow: 10,
                streams: HashMap::new(),
                takes_streams: true,
                names: HashMap::new(),
                bytes_out: 0,
            }
        };
        let mut world = Self {
            now,
            link: Link::default(),
            sides: [side(ours_config, a, 1), side(theirs_config, b, 2)],
            flying: BTreeMap::new(),
            next: 0,
            random: seed | 1,
            hand: VecDeque::new(),
            next_placed: 0,
            wire: Vec::new(),
        };
        for side in [OURS, THEIRS] {
            let local = world.sides[side].address;
            let flow = Flow { id: SOCKET, transport: Transport::Udp, local, remote: None, tls_names: Vec::new() };
            world.input(side, Input::FlowOpened(flow));
        }
        world
    }

    fn random(&mut self) -> u64 {
        // xorshift64*: small, and the same everywhere.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn delay(&mut self) -> Duration {
        let (short, long) = self.link.delay;
        let span = u64::try_from((long - short).as_micros()).unwrap();
        short + Duration::from_micros(if span == 0 { 0 } else { self.random() % span })
    }

    pub(super) fn input(&mut self, side: usize, input: Input<'_>) {
        let now = self.now;
        self.sides[side].endpoint.handle(now, input);
        self.drain(side);
    }

    pub(super) fn order(&mut self, side: usize, order: Order) {
        self.input(side, Input::Order(order));
    }

    fn drain(&mut self, side: usize) {
        loop {
            match self.sides[side].endpoint.poll() {
                Output::Send { flow, to, bytes } => self.send(side, flow, to, bytes),
                Output::Event(event) => self.sides[side].events.push_back(event),
                Output::Audit(refused) => self.sides[side].audits.push(refused),
                Output::Open { open, transport, to, .. } => {
                    let flow = self.open(side, transport, to);
                    let now = self.now;
                    self.sides[side].endpoint.handle(now, Input::Opened { open, flow });
                }
                Output::Resolve { lookup, host, port, .. } => {
                    let found = self.sides[side].names.get(&host).cloned().unwrap_or_default();
                    let place = |(transport, at): (Transport, SocketAddr)| {
                        (transport, SocketAddr::new(at.ip(), port.unwrap_or_else(|| at.port())))
                    };
                    let targets = found.into_iter().map(place).collect();
                    let now = self.now;
                    self.sides[side].endpoint.handle(now, Input::Resolved { lookup, targets });
                }
                Output::Close(flow) => self.close(side, flow),
                Output::Wait(deadline) => {
                    self.sides[side].deadline = deadline;
                    return;
                }
            }
        }
    }

    fn open(&mut self, side: usize, transport: Transport, to: SocketAddr) -> Option<FlowId> {
        let other = 1 - side;
        if self.sides[other].address != to || !self.sides[other].takes_streams {
            return None;
        }
        let ids = [side, other].map(|side| {
            self.sides[side].next_flow += 1;
            FlowId(self.sides[side].next_flow)
        });
        let near = SocketAddr::new(self.sides[side].address.ip(), 40_000 + u16::try_from(ids[0].0).unwrap());
        let now = self.now;
        for (at, id, local, remote) in [(side, ids[0], near, to), (other, ids[1], to, near)] {
            let flow = Flow { id, transport, local, remote: Some(remote), tls_names: Vec::new() };
            self.sides[at].endpoint.handle(now, Input::FlowOpened(flow));
        }
        self.sides[side].streams.insert(ids[0], (other, ids[1]));
        self.sides[other].streams.insert(ids[1], (side, ids[0]));
        self.drain(other);
        Some(ids[0])
    }

    /// Breaks a stream at both ends.
    pub(super) fn close(&mut self, side: usize, flow: FlowId) {
        if let Some((other, theirs)) = self.sides[side].streams.remove(&flow) {
            self.sides[other].streams.remove(&theirs);
            self.input(other, Input::FlowClosed(theirs));
            self.input(side, Input::FlowClosed(flow));
        }
    }

    pub(super) fn streams(&self, side: usize) -> Vec<FlowId> {
        let mut streams: Vec<FlowId> = self.sides[side].streams.keys().copied().collect();
        streams.sort();
        streams
    }

    fn send(&mut self, side: usize, flow: FlowId, to: SocketAddr, bytes: Vec<u8>) {
        self.sides[side].bytes_out += bytes.len();
        self.wire.push(String::from_utf8_lossy(&bytes).into_owned());
        if flow == SOCKET {
            let from = self.sides[side].address;
            return self.fly(from, to, bytes);
        }
        let Some(&(other, theirs)) = self.sides[side].streams.get(&flow) else {
            return;
        };
        let at = self.now + Duration::from_millis(1);
        self.next += 1;
        self.flying.insert((at, self.next), Flying::Stream { side: other, flow: theirs, bytes });
    }

    /// Puts a datagram on the link.
    pub(super) fn fly(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        if self.random() % 100 < self.link.lost_percent {
            return;
        }
        let copies = if self.random() % 100 < self.link.doubled_percent { 2 } else { 1 };
        for _ in 0..copies {
            let at = self.now + self.delay();
            self.next += 1;
            self.flying.insert((at, self.next), Flying::Datagram { to, from, bytes: bytes.clone() });
        }
    }

    /// Lets the next thing happen; false if nothing will.
    pub(super) fn step(&mut self, until: Instant) -> bool {
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let wake = self.sides.iter().filter_map(|side| side.deadline).min();
        let Some(next) = [arrival, wake].into_iter().flatten().min().filter(|next| *next <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            if let Some((_, flying)) = self.flying.pop_first() {
                self.arrive(flying);
            }
            return true;
        }
        for side in [OURS, THEIRS] {
            if self.sides[side].deadline.is_some_and(|deadline| deadline <= self.now) {
                self.input(side, Input::Time);
                assert!(
                    self.sides[side].deadline.is_none_or(|deadline| deadline > self.now),
                    "time passed and yet an alarm is due"
                );
            }
        }
        true
    }

    fn arrive(&mut self, flying: Flying) {
        match flying {
            Flying::Datagram { to, from, bytes } => match self.sides.iter().position(|side| side.address == to) {
                Some(side) => self.receive(side, SOCKET, from, &bytes),
                None => self.hand.push_back((to, from, bytes)),
            },
            Flying::Stream { side, flow, bytes } => {
                if let Some((other, _)) = self.sides[side].streams.get(&flow).copied() {
                    let from = self.sides[other].address;
                    self.receive(side, flow, from, &bytes);
                }
            }
        }
    }

    fn receive(&mut self, side: usize, flow: FlowId, source: SocketAddr, bytes: &[u8]) {
        // Only the two sides know each other; what the hand sends comes from a stranger, unless a test says otherwise.
        let known = self.sides[1 - side].address.ip() == source.ip() || self.hand_is_known(source.ip());
        let peer = self.sides[side].peer.filter(|_| known);
        self.input(side, Input::Message { flow, source, bytes, peer });
    }

    fn hand_is_known(&self, ip: IpAddr) -> bool {
        ip == super::hand::KNOWN
    }

    /// Lets so much time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    pub(super) fn pass_s(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// The next event of a side, within two minutes.
    pub(super) fn event(&mut self, side: usize) -> SipEvent {
        let until = self.now + Duration::from_secs(120);
        loop {
            if let Some(event) = self.sides[side].events.pop_front() {
                return event;
            }
            assert!(self.step(until), "nothing happened at side {side}");
        }
    }

    /// Nothing happens at a side for so long.
    pub(super) fn quiet(&mut self, side: usize, seconds: u64) {
        self.pass_s(seconds);
        assert!(self.sides[side].events.is_empty(), "{:?}", self.sides[side].events);
    }

    pub(super) fn invite(&mut self) -> Invite {
        self.next_placed += 1;
        Invite {
            call: CallKey::placed(self.next_placed),
            target: None,
            peer: Some(PeerId(7)),
            number: "884711#".to_owned(),
            from: Some("+493023125002".to_owned()),
            local: media(40_000),
        }
    }

    /// Their side calls ours.
    pub(super) fn place(&mut self) -> CallKey {
        let invite = self.invite();
        let call = invite.call;
        self.order(THEIRS, Order::Place(invite));
        call
    }

    pub(super) fn incoming(&mut self, side: usize) -> CallKey {
        match self.event(side) {
            SipEvent::Incoming { call, .. } => call,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn ringing(&mut self, side: usize) -> u16 {
        match self.event(side) {
            SipEvent::Ringing { status, .. } => status,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn established(&mut self, side: usize) -> RemoteMedia {
        match self.event(side) {
            SipEvent::Established { remote, .. } => remote,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn reoffered(&mut self, side: usize) -> RemoteMedia {
        match self.event(side) {
            SipEvent::Reoffered { remote, .. } => remote,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn ended(&mut self, side: usize) -> Cause {
        match self.event(side) {
            SipEvent::Ended { cause, .. } => cause,
            other => panic!("{other:?}"),
        }
    }

    /// A call of theirs that we answered: their key and ours.
    pub(super) fn talking(&mut self) -> (CallKey, CallKey) {
        let placed = self.place();
        let call = self.incoming(OURS);
        self.order(OURS, Order::Answer(call, media(20_000)));
        self.established(THEIRS);
        self.established(OURS);
        (placed, call)
    }

    /// After a while nothing is left in any table but flows and registrations.
    pub(super) fn assert_empty(&mut self) {
        self.pass_s(300);
        for side in [OURS, THEIRS] {
            let counts = self.sides[side].endpoint.counts();
            let left = (
                counts.calls + counts.calls_in_setup + counts.dialogs,
                counts.server_transactions + counts.client_transactions + counts.waiting,
            );
            assert_eq!(left, (0, 0), "side {side}: {counts:?}");
            assert!(self.sides[side].endpoint.is_idle());
        }
    }
}
