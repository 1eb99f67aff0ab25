//! The machine: bytes, orders and time in; bytes, questions and events out.
//!
//! This file holds the tables and says whose turn it is; what a request, a response, a call or a registration does stands
//! in the files beside it. A machine of tables: transactions by their key, calls by theirs and by our tag, and one heap of
//! alarms.

mod alarm;
mod answers;
mod chance;
mod flows;
mod inbox;
mod outcome;
mod parcel;
mod ping;
mod post;
mod proof;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use alarm::Waiter;
pub(crate) use answers::{ALLOW, SDP, SUPPORTED, Stamped};
pub(crate) use chance::{Chance, tag, untag};
pub(crate) use flows::{Flows, Way};
pub(crate) use parcel::{Contact, Owner, Parcel, escaped};

use crate::call::Call;
use crate::config::{Capabilities, Config, Peer, PeerId};
use crate::event::{FlowId, Input, Order, Output, SipEvent};
use crate::registration::Registration;
use crate::transaction::{Awake, Client, ClientKey, LIFE_T1, Server};
use crate::types::CallKey;

/// A SIP endpoint (RFC 3261): user agent client and server, and a registrar's client.
///
/// Change once, drain fully, then wait: after each [`handle`](Self::handle) call [`poll`](Self::poll) until it gives
/// [`Output::Wait`].
pub struct Endpoint {
    pub(crate) config: Box<Config>,
    pub(crate) chance: Chance,
    pub(crate) output: VecDeque<Output>,
    pub(crate) alarms: alarm::Alarms,
    pub(crate) flows: Flows,
    pub(crate) servers: HashMap<Arc<str>, Server>,
    /// Transactions in which only repetitions may still come, and when each is forgotten; the oldest first.
    pub(crate) resting: VecDeque<(Instant, Arc<str>)>,
    pub(crate) clients: HashMap<ClientKey, Client>,
    /// Transactions of ours over streams, to find them when one ends.
    pub(crate) by_flow: BTreeSet<(FlowId, ClientKey)>,
    /// Requests that wait for a name or a stream.
    pub(crate) waiting: HashMap<u64, parcel::Waiting>,
    /// Places that take no streams.
    pub(crate) no_streams: HashSet<SocketAddr>,
    pub(crate) calls: HashMap<CallKey, Box<Call>>,
    /// Calls that run on streams, by their stream.
    pub(crate) riders: BTreeSet<(FlowId, CallKey)>,
    /// Calls by the number of our tag.
    pub(crate) dialogs: HashMap<u64, CallKey>,
    /// Calls by Call-ID, their tag and number of the INVITE that started them: the same by another way is merged.
    pub(crate) initial: HashMap<u64, CallKey>,
    pub(crate) in_setup: usize,
    /// Calls of each peer.
    pub(crate) lines: HashMap<PeerId, usize>,
    pub(crate) registrations: HashMap<PeerId, Box<Registration>>,
    pub(crate) pings: HashMap<u64, Instant>,
    /// Strangers who proved that they hear us, and since when.
    pub(crate) proven: HashMap<IpAddr, Instant>,
    pub(crate) proven_order: VecDeque<IpAddr>,
    pub(crate) challenges: proof::Challenges,
    /// Our own SIP sockets as others reach them: no sound is sent there.
    pub(crate) own_sip: Vec<SocketAddr>,
    /// Calls whose next hop has a name that is being looked up.
    pub(crate) hop_lookups: HashMap<u64, CallKey>,
    pub(crate) stopping: bool,
    next_call: u64,
    next_id: u64,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// How much an endpoint remembers at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls, in set-up or running.
    pub calls: usize,
    /// Calls that are not confirmed yet.
    pub calls_in_setup: usize,
    /// Dialogs.
    pub dialogs: usize,
    /// Transactions in which we answer.
    pub server_transactions: usize,
    /// Transactions in which we ask.
    pub client_transactions: usize,
    /// Requests that wait for a name or a stream.
    pub waiting: usize,
    /// Registrations that hold.
    pub registered: usize,
    /// Flows.
    pub flows: usize,
    /// Alarms, those that nobody waits for any more included.
    pub timers: usize,
}

/// How long a stranger's address stays proven.
const PROVEN_FOR: Duration = Duration::from_secs(3_600);
/// Strangers whose addresses are remembered as proven.
const MAX_PROVEN: usize = 4_096;

impl Endpoint {
    /// Builds an endpoint without flows. `seed` picks its tags, branches, keys and jitter: it must come from the system.
    #[must_use]
    pub fn new(now: Instant, config: Config, seed: [u8; 32]) -> Self {
        let mut chance = Chance::new(seed);
        let mut endpoint = Self {
            challenges: proof::Challenges::new(now, &mut chance),
            own_sip: Vec::new(),
            hop_lookups: HashMap::new(),
            config: Box::default(),
            chance,
            output: VecDeque::new(),
            alarms: alarm::Alarms::default(),
            flows: Flows::default(),
            servers: HashMap::new(),
            resting: VecDeque::new(),
            clients: HashMap::new(),
            by_flow: BTreeSet::new(),
            waiting: HashMap::new(),
            no_streams: HashSet::new(),
            calls: HashMap::new(),
            riders: BTreeSet::new(),
            dialogs: HashMap::new(),
            initial: HashMap::new(),
            in_setup: 0,
            lines: HashMap::new(),
            registrations: HashMap::new(),
            pings: HashMap::new(),
            proven: HashMap::new(),
            proven_order: VecDeque::new(),
            stopping: false,
            next_call: 0,
            next_id: 0,
        };
        endpoint.configure(now, Box::new(config));
        endpoint
    }

    /// Takes one thing that happened. Never blocks and never fails: what cannot be read is refused and told.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::FlowOpened(flow) => {
                let socket = flow.remote.is_none();
                self.flows.open(flow);
                if socket {
                    self.note_own_sockets();
                    self.hurry_registrations(now);
                }
            }
            Input::FlowClosed(flow) => self.flow_closed(now, flow),
            Input::Message { flow, source, bytes, peer } => self.message(now, flow, source, bytes, peer),
            Input::Order(order) => self.order(now, order),
            Input::Opened { open, flow } => self.opened(now, open, flow),
            Input::Resolved { lookup, targets } => self.resolved(now, lookup, &targets),
            Input::Config(config) => self.configure(now, config),
            Input::Time => {}
        }
        self.wake(now);
    }

    /// Gives the next thing to do; drain until [`Output::Wait`].
    pub fn poll(&mut self) -> Output {
        self.output.pop_front().unwrap_or_else(|| {
            let rest = self.resting.front().map(|(until, _)| *until);
            Output::Wait([self.alarms.next(), rest].into_iter().flatten().min())
        })
    }

    /// How much it remembers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            calls: self.calls.len(),
            calls_in_setup: self.in_setup,
            dialogs: self.dialogs.len(),
            server_transactions: self.servers.len(),
            client_transactions: self.clients.len(),
            waiting: self.waiting.len(),
            registered: self.registrations.values().filter(|registration| registration.holds()).count(),
            flows: self.flows.len(),
            timers: self.alarms.len(),
        }
    }

    /// Whether nothing is left to say: no call, no registration, no request of ours without an answer.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.waiting.is_empty()
            && self.clients.values().all(|client| !client.is_open())
            && self.registrations.values().all(|registration| !registration.holds())
    }

    /// Whether a stream is still of use: a call, a registration or a request of ours runs on it.
    #[must_use]
    pub fn needs(&self, flow: FlowId) -> bool {
        let calls = (flow, CallKey(0))..=(flow, CallKey(u64::MAX));
        self.riders.range(calls).next().is_some()
            || self.requests_on(flow).next().is_some()
            || self.registrations.values().any(|registration| registration.is_on(flow))
    }

    fn requests_on(&self, flow: FlowId) -> impl Iterator<Item = ClientKey> {
        let first = ClientKey { branch: 0, cancel: false };
        let last = ClientKey { branch: u64::MAX, cancel: true };
        self.by_flow.range((flow, first)..=(flow, last)).map(|(_, key)| *key)
    }

    fn configure(&mut self, now: Instant, config: Box<Config>) {
        self.config = config;
        self.note_own_sockets();
        let peers: HashSet<PeerId> = self.config.peers.iter().map(|peer| peer.id).collect();
        self.challenges.keep(|peer| peers.contains(&peer));
        self.configure_registrations(now);
    }

    fn order(&mut self, now: Instant, order: Order) {
        match order {
            Order::Answer(call, local) => self.answer(now, call, local),
            Order::Ring(call) => self.ring(now, call),
            Order::Refuse(call, status, text) => self.refuse(now, call, status, text),
            Order::HangUp(call, text) => self.hang_up(now, call, text),
            Order::Place(invite) => self.place(now, invite),
            Order::Probe(call) => self.probe(now, call),
            Order::Press(call, digit) => self.press(now, call, digit),
            Order::Hold(call, held) => self.hold(now, call, held),
            Order::Options { token, target, peer } => self.ping(now, token, &target, peer),
            Order::Shutdown(text) => self.shut_down(now, &text),
        }
    }

    fn shut_down(&mut self, now: Instant, text: &str) {
        self.stopping = true;
        let mut calls: Vec<CallKey> = self.calls.keys().copied().collect();
        calls.sort_unstable();
        for call in calls {
            self.hang_up(now, call, text.to_owned());
        }
        self.take_registrations_back(now);
    }

    /// Wakes all whose time has come.
    fn wake(&mut self, now: Instant) {
        while let Some((at, waiter)) = self.alarms.due(now) {
            match waiter {
                Waiter::Server(key) => self.wake_server(now, at, &key),
                Waiter::Client(key) => self.wake_client(now, at, key),
                Waiter::Call(call) => self.wake_call(now, at, call),
                Waiter::Parcel(id) => self.waited_in_vain(now, id, at),
                Waiter::Registration(peer) => self.wake_registration(now, at, peer),
            }
        }
        while self.resting.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    /// Forgets the transaction that rests longest; false if none does.
    pub(crate) fn forget_oldest(&mut self) -> bool {
        let oldest = self.resting.pop_front();
        oldest.is_some_and(|(_, key)| self.servers.remove(&key).is_some())
    }

    fn wake_server(&mut self, now: Instant, at: Instant, key: &Arc<str>) {
        let Some(server) = self.servers.get_mut(key).filter(|server| server.alarm == Some(at)) else {
            return;
        };
        server.alarm = None;
        let (call, way, seq) = (server.call, server.way, server.seq);
        match server.wake(now) {
            Awake::Wait => {}
            Awake::Trying => self.try_on(now, call, key),
            Awake::Again => {
                if let Some(bytes) = server.again() {
                    self.send(way, bytes);
                }
            }
            Awake::Unacknowledged(accepted) => {
                self.servers.remove(key);
                if accepted {
                    self.unacknowledged(now, call, seq);
                }
            }
        }
        self.set_server_alarm(key);
    }

    pub(crate) fn set_server_alarm(&mut self, key: &Arc<str>) {
        if let Some(server) = self.servers.get_mut(key)
            && let Some(due) = server.due()
        {
            self.alarms.set(&mut server.alarm, due, || Waiter::Server(key.clone()));
        }
    }

    /// A server transaction that waits for repetitions alone: for a while over UDP, not at all over a stream.
    pub(crate) fn let_rest(&mut self, now: Instant, key: &Arc<str>) {
        let Some(server) = self.servers.get(key) else {
            return;
        };
        if server.way.transport.reliable() {
            self.servers.remove(key);
        } else {
            self.resting.push_back((now + self.config.timers.t1 * LIFE_T1, key.clone()));
        }
    }

    fn wake_client(&mut self, now: Instant, at: Instant, key: ClientKey) {
        let Some(client) = self.clients.get_mut(&key).filter(|client| client.alarm == Some(at)) else {
            return;
        };
        client.alarm = None;
        if client.is_over(now) {
            self.client_over(now, key);
            return;
        }
        let way = client.way;
        if let Some(bytes) = client.again(now) {
            self.send(way, bytes);
        }
        self.set_client_alarm(key);
    }

    pub(crate) fn set_client_alarm(&mut self, key: ClientKey) {
        if let Some(client) = self.clients.get_mut(&key)
            && let Some(due) = client.due()
        {
            self.alarms.set(&mut client.alarm, due, || Waiter::Client(key));
        }
    }

    /// A client transaction is at its end; without an answer its request may go elsewhere.
    fn client_over(&mut self, now: Instant, key: ClientKey) {
        if let Some(client) = self.forget_client(key)
            && client.is_open()
        {
            self.unanswered(now, client.parcel);
        }
    }

    pub(crate) fn forget_client(&mut self, key: ClientKey) -> Option<Client> {
        let client = self.clients.remove(&key)?;
        self.by_flow.remove(&(client.way.flow, key));
        Some(client)
    }

    fn flow_closed(&mut self, now: Instant, flow: FlowId) {
        self.flows.close(flow);
        let lost: Vec<ClientKey> = self.requests_on(flow).collect();
        for key in lost {
            self.client_over(now, key);
        }
        self.flow_of_registration_closed(now, flow);
    }

    /// The stranger behind this address hears us.
    pub(crate) fn prove(&mut self, now: Instant, source: IpAddr) {
        if self.proven.insert(source, now).is_none() {
            self.proven_order.push_back(source);
        }
        if self.proven_order.len() > MAX_PROVEN
            && let Some(oldest) = self.proven_order.pop_front()
        {
            self.proven.remove(&oldest);
        }
    }

    pub(crate) fn is_proven(&self, now: Instant, source: IpAddr) -> bool {
        self.proven.get(&source).is_some_and(|since| now.duration_since(*since) < PROVEN_FOR)
    }

    pub(crate) fn tell(&mut self, event: SipEvent) {
        self.output.push_back(Output::Event(event));
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The key of the next call that comes; even, as the placed ones are odd.
    pub(crate) fn next_call(&mut self) -> CallKey {
        self.next_call += 1;
        CallKey(self.next_call * 2)
    }

    pub(crate) fn peer(&self, id: PeerId) -> Option<&Peer> {
        self.config.peers.iter().find(|peer| peer.id == id)
    }

    /// What is offered to and accepted from this peer, or from those who are none.
    pub(crate) fn capabilities(&self, peer: Option<PeerId>) -> &Capabilities {
        peer.and_then(|id| self.peer(id)).map_or(&self.config.capabilities, |peer| &peer.capabilities)
    }
}
