//! The signalling thread: waits for one of a closed list of things, stamps it with the time, tells the endpoint, does what
//! the endpoint says, and waits again.
//!
//! Sockets of datagrams are its own; streams and look-ups run in tasks and leave what they bring at the door. Nothing here
//! waits for anybody: what cannot be handed on at once is held back, and while much is held back nothing more is taken in.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dialroom_host::{Clock, OsRandom};
use mixer_signalling::{
    Admission, CallKey, Endpoint, Flow, FlowId, Gate, Input, OpenId, Order, Output, PeerId, ReasonCode, Refusal,
    Refused, SipEvent, Transport, Way,
};
use rand_core::RngCore;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::audit::Audit;
use super::counters::SipState;
use super::datagrams::{self, BATCH, DatagramSocket, Mailbox};
use super::endpoint::{Pong, Shared};
use super::inlet::{Arrival, Ask, Inlet};
use super::setup::{Budgets, Setup, Who};
use super::streams::Link;

/// Arrivals and orders taken before sockets have their turn again.
const TURN: usize = 128;
/// Events held back for the switchboard; while there are so many, nothing more is taken in.
const MAX_HELD_BACK: usize = 4_096;
/// Sources of which it is remembered who they are.
const MAX_KNOWN: usize = 1_024;
/// How often it is tried again to hand on what is held back.
const HAND_ON_AGAIN: Duration = Duration::from_millis(2);
/// How often gauges are set and sources that are banned are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

/// What the thread owns.
pub(super) struct Driver {
    inlet: Inlet,
    mailbox: Mailbox,
    gate: Option<Gate>,
    desk: Desk,
}

/// The endpoint and its surroundings.
struct Desk {
    clock: Clock,
    endpoint: Endpoint,
    sockets: Vec<DatagramSocket>,
    streams: HashMap<FlowId, Link>,
    who: Who,
    /// What `who` said of sources lately: under a flood the same few ask again and again.
    known: HashMap<IpAddr, Option<PeerId>>,
    events: mpsc::Sender<SipEvent>,
    held_back: VecDeque<SipEvent>,
    /// What the endpoint wants to be woken for.
    deadline: Option<Instant>,
    audit: Audit,
    /// Strangers' requests that were refused for being what they were; the gate counts them.
    missed: Vec<(IpAddr, &'static str)>,
    /// Why the switchboard refuses the call that it refuses just now.
    refusing: Option<&'static str>,
    pings: HashMap<u64, oneshot::Sender<Pong>>,
    runtime: Handle,
    shared: Arc<Shared>,
    counted_at: Instant,
    /// Whether somebody waits for the endpoint to become idle.
    stopping: bool,
}

impl Driver {
    /// Builds the endpoint and tells it of its sockets.
    pub(super) fn new(
        setup: &Setup,
        sockets: Vec<DatagramSocket>,
        inlet: Inlet,
        events: mpsc::Sender<SipEvent>,
        shared: Arc<Shared>,
    ) -> Self {
        let clock = shared.streams.clock.clone();
        let now = clock.instant();
        let mut seed = [0; 32];
        OsRandom.fill_bytes(&mut seed);
        let mut desk = Desk {
            endpoint: Endpoint::new(now, setup.config.clone(), seed),
            clock,
            sockets: Vec::new(),
            streams: HashMap::new(),
            who: setup.who.clone(),
            known: HashMap::new(),
            events,
            held_back: VecDeque::new(),
            deadline: None,
            audit: Audit::new(now),
            missed: Vec::new(),
            refusing: None,
            pings: HashMap::new(),
            runtime: Handle::current(),
            shared,
            counted_at: now,
            stopping: false,
        };
        for socket in sockets {
            for (local, id) in socket.flows() {
                let flow = Flow { id, transport: Transport::Udp, local, remote: None, tls_names: Vec::new() };
                desk.endpoint.handle(now, Input::FlowOpened(flow));
            }
            desk.sockets.push(socket);
        }
        desk.drain(now);
        Self { inlet, mailbox: Mailbox::default(), gate: setup.budgets.map(|budgets| gate(now, budgets)), desk }
    }

    /// Works until the endpoint is to stop.
    pub(super) fn run(mut self) {
        datagrams::step_back();
        while !self.desk.shared.stop.is_cancelled() {
            let now = self.desk.clock.instant();
            self.desk.wake(now);
            let mut busy = self.take_asks(now);
            let behind = self.desk.held_back.len() >= MAX_HELD_BACK;
            if !behind {
                busy |= self.take_arrivals(now) | self.take_datagrams(now);
            }
            self.count_misses(now);
            self.desk.hand_on();
            self.count(now);
            if self.inlet.asks.is_closed() && self.inlet.asks.is_empty() {
                // Nobody can ask for anything any more, not even for the end.
                self.desk.shared.stop.cancel();
            } else if behind {
                // The network waits in the kernel until the switchboard has caught up.
                self.sleep(&[]);
            } else if !busy && self.inlet.is_quiet() {
                self.sleep(&self.desk.sockets);
            }
        }
    }

    /// Until one of these sockets has something, the bell rings, or it is time.
    fn sleep(&self, sockets: &[DatagramSocket]) {
        let patience = self.desk.patience(self.desk.clock.instant());
        datagrams::wait(sockets, &self.inlet.rope, patience);
        self.inlet.woken();
    }

    fn take_asks(&mut self, now: Instant) -> bool {
        for _ in 0..TURN {
            let Ok(ask) = self.inlet.asks.try_recv() else { return false };
            match ask {
                Ask::Order(order) => self.desk.order(now, order),
                Ask::Refuse { call, status, text, code } => {
                    self.desk.refusing = Some(code);
                    self.desk.order(now, Order::Refuse(call, status, text));
                    self.desk.refusing = None;
                }
                Ask::Ping { order, answer } => self.desk.ping(now, order, answer),
                Ask::Miss(source) => self.desk.missed.push((source, "wrong_number")),
                Ask::Settings { config, who, budgets } => {
                    self.gate = budgets.map(|budgets| match self.gate.take() {
                        Some(mut gate) => {
                            gate.set_budgets(budgets);
                            gate
                        }
                        None => gate(now, budgets),
                    });
                    self.desk.who = who;
                    self.desk.known.clear();
                    self.desk.tell(now, Input::Config(config));
                }
            }
        }
        true
    }

    fn take_arrivals(&mut self, now: Instant) -> bool {
        for _ in 0..TURN {
            let Ok(arrival) = self.inlet.arrivals.try_recv() else { return false };
            match arrival {
                Arrival::Message(flow, bytes) => self.letter(now, flow, &bytes),
                Arrival::Accepted(link) => self.desk.stream_opened(now, link),
                Arrival::Opened(open, link) => self.desk.stream_answered(now, open, link),
                Arrival::Idle(flow) => {
                    if !self.desk.endpoint.needs(flow) {
                        self.desk.close(now, flow);
                    }
                }
                Arrival::Spent(flow) | Arrival::Closed(flow) => self.desk.close(now, flow),
                Arrival::Resolved(lookup, targets) => self.desk.tell(now, Input::Resolved { lookup, targets }),
            }
        }
        true
    }

    /// A message of a stream.
    fn letter(&mut self, now: Instant, flow: FlowId, bytes: &[u8]) {
        let Some(link) = self.desk.streams.get(&flow) else { return };
        let source = link.source;
        let peer = self.desk.who.is(source.ip(), &link.flow.tls_names);
        match self.gate.as_mut().map(|gate| gate.admit(now, source.ip(), peer.is_some(), bytes)) {
            None | Some(Admission::Pass) => self.desk.message(now, flow, source, peer, bytes),
            Some(Admission::Answer(answer)) => {
                self.desk.shared.counters.count_dropped("busy_answered", 1);
                self.desk.send(flow, source, answer);
            }
            Some(Admission::Drop(reason)) => self.desk.dropped(now, reason.code(), 1),
        }
    }

    /// One batch of each socket; true when more may wait.
    fn take_datagrams(&mut self, now: Instant) -> bool {
        let mut more = false;
        let mut dropped: BTreeMap<ReasonCode, u64> = BTreeMap::new();
        for index in 0..self.desk.sockets.len() {
            let taken = self.desk.sockets.get(index).map_or(0, |socket| self.mailbox.take(socket));
            more |= taken == BATCH;
            for (source, destination, bytes) in self.mailbox.datagrams() {
                let peer = self.desk.peer_at(source.ip());
                match self.gate.as_mut().map(|gate| gate.admit(now, source.ip(), peer.is_some(), bytes)) {
                    None | Some(Admission::Pass) => {
                        if let Some(flow) = self.desk.flow_at(now, index, destination) {
                            self.desk.message(now, flow, source, peer, bytes);
                        }
                    }
                    Some(Admission::Answer(answer)) => {
                        self.desk.shared.counters.count_dropped("busy_answered", 1);
                        if let Some(flow) = self.desk.flow_at(now, index, destination) {
                            self.desk.send(flow, source, answer);
                        }
                    }
                    Some(Admission::Drop(reason)) => *dropped.entry(reason).or_default() += 1,
                }
            }
        }
        for (reason, count) in dropped {
            self.desk.dropped(now, reason.code(), count);
        }
        more
    }

    fn count_misses(&mut self, now: Instant) {
        for (source, reason) in self.desk.missed.drain(..) {
            let Some(gate) = &mut self.gate else { continue };
            if let Some(ban) = gate.miss(now, source, reason) {
                self.desk.shared.counters.count_banned(reason);
                Audit::banned(source, reason, ban);
            }
        }
    }

    fn count(&mut self, now: Instant) {
        let desk = &mut self.desk;
        let remembered = desk.endpoint.counts();
        let mut state = SipState { remembered, ..desk.shared.counters.now() };
        if now >= desk.counted_at {
            desk.counted_at = now + COUNT_INTERVAL;
            state.streams = desk.shared.streams.connections.len();
            state.banned = self.gate.as_ref().map_or(0, |gate| gate.banned(now).len());
        }
        desk.shared.counters.set(state);
        if desk.stopping && desk.endpoint.is_idle() && desk.held_back.is_empty() {
            desk.shared.idle.store(true, Ordering::Release);
        }
    }
}

fn gate(now: Instant, budgets: Budgets) -> Gate {
    let mut secret = [0; 16];
    OsRandom.fill_bytes(&mut secret);
    Gate::new(now, budgets, secret)
}

/// The call that an event is the first of.
const fn call_begun_by(event: &SipEvent) -> Option<CallKey> {
    match event {
        SipEvent::Incoming { call, .. } => Some(*call),
        // A call of ours is known by its first answer.
        SipEvent::Ringing { call, .. } | SipEvent::Established { call, .. } if call.is_placed() => Some(*call),
        SipEvent::Ringing { .. }
        | SipEvent::Established { .. }
        | SipEvent::Reoffered { .. }
        | SipEvent::Pressed { .. }
        | SipEvent::Alive { .. }
        | SipEvent::Ended { .. }
        | SipEvent::Registered { .. }
        | SipEvent::RegistrationFailed { .. }
        | SipEvent::Pong { .. } => None,
    }
}

impl Desk {
    /// Tells the endpoint, and does all that it says.
    fn tell(&mut self, now: Instant, input: Input<'_>) {
        self.endpoint.handle(now, input);
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.endpoint.poll() {
                Output::Send { flow, to, bytes } => self.send(flow, to, bytes),
                Output::Open { open, transport, to, server_name, peer: _ } => {
                    let opening = self.shared.streams.clone().open(open, transport, to, server_name);
                    self.runtime.spawn(opening);
                }
                Output::Resolve { lookup, host, port, transport } => {
                    let shared = self.shared.clone();
                    self.runtime.spawn(async move {
                        let targets = shared.names.find(&host, port, transport).await;
                        shared.streams.door.leave(Arrival::Resolved(lookup, targets)).await;
                    });
                }
                Output::Close(flow) => drop(self.streams.remove(&flow)),
                Output::Event(event) => self.event(event),
                Output::Audit(refused) => self.refused(now, &refused),
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    return;
                }
            }
        }
    }

    fn wake(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.tell(now, Input::Time);
        }
        self.audit.turn(now);
    }

    /// How long there is nothing to do.
    fn patience(&self, now: Instant) -> Option<Duration> {
        let again = (!self.held_back.is_empty()).then(|| now + HAND_ON_AGAIN);
        // Gauges are set once more after the last thing that happened.
        let due = [self.deadline, again, self.audit.due(), Some(now + COUNT_INTERVAL)];
        due.into_iter().flatten().min().map(|due| due.saturating_duration_since(now))
    }

    fn order(&mut self, now: Instant, order: Order) {
        self.stopping |= matches!(order, Order::Shutdown(_));
        self.tell(now, Input::Order(order));
    }

    fn message(&mut self, now: Instant, flow: FlowId, source: SocketAddr, peer: Option<PeerId>, bytes: &[u8]) {
        self.shared.counters.count_received();
        if let Some(mut traces) = self.shared.traces() {
            let transport = self.streams.get(&flow).map_or(Transport::Udp, |link| link.flow.transport);
            traces.note(now, Way::In, source, transport, bytes);
        }
        self.tell(now, Input::Message { flow, source, bytes, peer });
    }

    fn send(&self, flow: FlowId, to: SocketAddr, bytes: Vec<u8>) {
        let link = self.streams.get(&flow);
        if let Some(mut traces) = self.shared.traces() {
            let transport = link.map_or(Transport::Udp, |link| link.flow.transport);
            traces.note(self.clock.instant(), Way::Out, to, transport, &bytes);
        }
        let sent = match link {
            Some(link) => link.send(bytes),
            None => self.sockets.iter().find_map(|socket| socket.send(flow, to, &bytes)).unwrap_or(false),
        };
        if !sent {
            self.shared.counters.count_unsent();
        }
    }

    /// The telephone system at an address.
    fn peer_at(&mut self, source: IpAddr) -> Option<PeerId> {
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        *self.known.entry(source).or_insert_with(|| self.who.is(source, &[]))
    }

    /// The flow of a datagram that was sent to this address of ours; told to the endpoint when it is new.
    fn flow_at(&mut self, now: Instant, index: usize, destination: Option<IpAddr>) -> Option<FlowId> {
        let socket = self.sockets.get_mut(index)?;
        if let Some(flow) = socket.flow_at(destination) {
            return Some(flow);
        }
        let ip = destination?;
        let id = self.shared.streams.next_flow();
        if !socket.note(ip, id) {
            return socket.flow_at(None);
        }
        let local = SocketAddr::new(ip, socket.port());
        let flow = Flow { id, transport: Transport::Udp, local, remote: None, tls_names: Vec::new() };
        self.tell(now, Input::FlowOpened(flow));
        Some(id)
    }

    fn stream_opened(&mut self, now: Instant, link: Link) {
        let flow = link.flow.clone();
        self.streams.insert(flow.id, link);
        self.tell(now, Input::FlowOpened(flow));
    }

    fn stream_answered(&mut self, now: Instant, open: OpenId, link: Option<Link>) {
        let flow = link.as_ref().map(|link| link.flow.id);
        if let Some(link) = link {
            self.stream_opened(now, link);
        }
        self.tell(now, Input::Opened { open, flow });
    }

    fn close(&mut self, now: Instant, flow: FlowId) {
        if self.streams.remove(&flow).is_some() {
            self.tell(now, Input::FlowClosed(flow));
        }
    }

    fn dropped(&mut self, now: Instant, reason: &'static str, count: u64) {
        self.shared.counters.count_dropped(reason, count);
        self.audit.dropped(now, reason, count);
    }

    fn refused(&mut self, now: Instant, refused: &Refused) {
        let reason =
            self.refusing.filter(|_| refused.reason == Refusal::Ordered).unwrap_or_else(|| refused.reason.code());
        self.shared.counters.count_refused(reason);
        self.audit.refused(now, refused, reason);
        if refused.peer.is_none() && refused.reason.is_miss() {
            self.missed.push((refused.source.ip(), refused.reason.code()));
        }
    }

    fn event(&mut self, event: SipEvent) {
        match event {
            SipEvent::Pong { token, status, text, took } => {
                if let Some(answer) = self.pings.remove(&token) {
                    // Whoever asked may be gone.
                    let _ = answer.send(Pong { status, text, took });
                }
            }
            event => {
                self.shared.note_registration(&event);
                // Told right after the message that brought it was kept.
                if let (Some(call), Some(mut traces)) = (call_begun_by(&event), self.shared.traces()) {
                    traces.bind_latest(call);
                }
                self.held_back.push_back(event);
            }
        }
    }

    fn ping(&mut self, now: Instant, order: Order, answer: oneshot::Sender<Pong>) {
        if let Order::Options { token, .. } = &order {
            self.pings.retain(|_, answer| !answer.is_closed());
            self.pings.insert(*token, answer);
        }
        self.order(now, order);
    }

    fn hand_on(&mut self) {
        while let Some(event) = self.held_back.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => return self.held_back.push_front(event),
                // Nobody listens any more: the program ends.
                Err(TrySendError::Closed(_)) => {}
            }
        }
    }
}
