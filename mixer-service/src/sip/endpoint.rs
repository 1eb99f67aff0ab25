//! The endpoint: what others may ask of signalling.
//!
//! A handle. What it is asked goes to the signalling thread, which does it at its next turn; what comes of it is told as
//! an event.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use dialroom_host::Clock;
use mixer_signalling::{
    CallKey, Digit, FlowId, Invite as Placed, Local, LocalMedia, Order, PeerId, SipEvent, Summary, Target, TraceBounds,
    Traces, Transport, ladder,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::connections::Connections;
use super::counters::SipCounters;
use super::datagrams::{self, DatagramSocket};
use super::driver::Driver;
use super::inlet::{Ask, Counter, Inlet};
use super::names::Names;
use super::setup::Setup;
use super::streams::Streams;
use super::tls::{self, Tls};

/// Events that wait for the switchboard; beyond it they are held back.
const EVENT_QUEUE_LEN: usize = 4_096;
/// How long `shutdown` waits for the other sides to take their BYE, and registrars our leave.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long an OPTIONS may be unanswered: a little longer than its transaction lives (RFC 3261 timers B and F).
const PING_PATIENCE: Duration = Duration::from_secs(40);

/// Numbers of calls that are remembered: as many as there are traces.
const MAX_NAMED: usize = 1_000;

/// A call to place.
#[derive(Clone)]
pub struct Invite {
    /// Who is asked to take it; `None`: the peer's server.
    pub target: Option<Target>,
    /// Whose credentials, codecs and bounds apply.
    pub peer: Option<PeerId>,
    /// User part of the Request-URI: digits, `+`, `*`, `#`.
    pub number: String,
    /// User part of From and, where it is an international number, of P-Asserted-Identity; `None` calls anonymously, or
    /// as the peer's user.
    pub from: Option<String>,
    /// Where the other side shall send its sound.
    pub local: LocalMedia,
}

impl std::fmt::Debug for Invite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, peer, .. } = self;
        f.debug_struct("Invite").field("target", target).field("peer", peer).finish_non_exhaustive()
    }
}

/// What a question outside calls (OPTIONS) came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pong {
    /// The final status; `None`: no answer.
    pub status: Option<u16>,
    /// Why not, in a few words, or the answer's reason phrase.
    pub text: String,
    /// How long it took.
    pub took: Duration,
}

/// A call whose messages are remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedCall {
    /// Its Call-ID.
    pub call_id: String,
    /// The number that the program knows it by, where it was told one.
    pub leg: Option<u64>,
    /// When its first message passed.
    pub began: Instant,
    /// When its last message passed.
    pub last: Instant,
    /// The first line of its first message, numbers masked.
    pub first_line: String,
    /// The other end of its first message.
    pub peer: SocketAddr,
    /// How many messages passed.
    pub messages: usize,
}

/// How it stands with a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// It holds until then; it is renewed before.
    Holds {
        /// Unless it is renewed.
        until: Instant,
    },
    /// It does not.
    Failed {
        /// The final status; `None`: no answer.
        status: Option<u16>,
        /// Why, in a few words.
        text: String,
        /// When it is tried again.
        again_at: Instant,
    },
    /// We have taken it back.
    Left,
}

/// The endpoint; cheap to clone. It serves until [`shutdown`](Self::shutdown), or until the last clone is dropped.
#[derive(Clone)]
pub struct SipEndpoint {
    counter: Counter,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for SipEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SipEndpoint").field("addresses", &self.addresses()).field("calls", &self.calls()).finish()
    }
}

/// What the handle, the thread and the tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) streams: Arc<Streams>,
    pub(super) names: Names,
    pub(super) counters: Arc<SipCounters>,
    pub(super) stop: CancellationToken,
    /// Nothing is left to say; meant only after `Shutdown`.
    pub(super) idle: AtomicBool,
    registrations: Mutex<BTreeMap<PeerId, Registration>>,
    /// The numbers that the program knows its latest calls by.
    legs: Mutex<VecDeque<(CallKey, u64)>>,
    /// `None` where nothing is to be remembered.
    traces: Option<Mutex<Traces>>,
    addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
    next_call: AtomicU64,
    next_token: AtomicU64,
    clock: Clock,
}

impl Shared {
    /// The messages remembered; `None` where none are.
    pub(super) fn traces(&self) -> Option<MutexGuard<'_, Traces>> {
        // At worst the message is missing that somebody died over.
        self.traces.as_ref().map(|traces| traces.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn legs(&self) -> MutexGuard<'_, VecDeque<(CallKey, u64)>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what an event tells about a registration.
    pub(super) fn note_registration(&self, event: &SipEvent) {
        let now = self.clock.instant();
        let (peer, state) = match event {
            SipEvent::Registered { peer, expires } if expires.is_zero() => (*peer, Registration::Left),
            SipEvent::Registered { peer, expires } => (*peer, Registration::Holds { until: now + *expires }),
            SipEvent::RegistrationFailed { peer, status, text, retry_in } => {
                let (status, text) = (*status, text.clone());
                (*peer, Registration::Failed { status, text, again_at: now + *retry_in })
            }
            SipEvent::Incoming { .. }
            | SipEvent::Ringing { .. }
            | SipEvent::Established { .. }
            | SipEvent::Reoffered { .. }
            | SipEvent::Pressed { .. }
            | SipEvent::Alive { .. }
            | SipEvent::Ended { .. }
            | SipEvent::Pong { .. } => return,
        };
        self.registrations.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, state);
    }
}

impl SipEndpoint {
    /// Binds all addresses and starts to serve. Needs a runtime.
    ///
    /// # Errors
    /// When an address cannot be bound or a certificate not be used; the message names it.
    pub async fn start(mut setup: Setup) -> anyhow::Result<(Self, mpsc::Receiver<SipEvent>)> {
        let counters = Arc::new(SipCounters::default());
        let (counter, door, inlet) = Inlet::new(counters.clone()).context("starting signalling")?;
        let tls = Arc::new(Tls::new(setup.listen.tls.clone())?);
        if !setup.listen.tls_addresses.is_empty() && tls.acceptor().is_none() {
            bail!("sip.tls_listen: those who connect need to see a certificate; set certificate_file and key_file");
        }
        let bound = Bound::all(&setup)?;
        setup.config.locals.clone_from(&bound.locals);
        let (stop, clock) = (CancellationToken::new(), Clock::real());
        let streams = Arc::new(Streams {
            door,
            counters: counters.clone(),
            connections: Arc::new(Connections::new(setup.stream_limits())),
            tls: tls.clone(),
            clock: clock.clone(),
            stop: stop.clone(),
            locals: bound.locals,
            next_flow: AtomicU64::new(bound.next_flow),
            who: std::sync::RwLock::new(setup.who.clone()),
            opening: Streams::opening(),
        });
        let shared = Arc::new(Shared {
            streams: streams.clone(),
            names: Names::default(),
            counters,
            stop: stop.clone(),
            idle: AtomicBool::new(false),
            registrations: Mutex::default(),
            legs: Mutex::default(),
            traces: traces(setup.traced_calls),
            addresses: bound.addresses,
            tls_addresses: bound.tls_addresses,
            next_call: AtomicU64::new(0),
            next_token: AtomicU64::new(0),
            clock,
        });
        let (events, receiver) = mpsc::channel(EVENT_QUEUE_LEN);
        let driver = Driver::new(&setup, bound.sockets, inlet, events, shared.clone());
        std::thread::Builder::new().name("signalling".into()).spawn(move || driver.run())?;
        for (transport, listener) in bound.listeners {
            tokio::spawn(streams.clone().accept(listener, transport));
        }
        tls::watch(&tls, &stop);
        Ok((Self { counter, shared }, receiver))
    }

    /// The addresses it listens on for UDP and TCP, in the order they were asked for, ports filled in.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.shared.addresses.clone()
    }

    /// The addresses it listens on for TLS.
    #[must_use]
    pub fn tls_addresses(&self) -> Vec<SocketAddr> {
        self.shared.tls_addresses.clone()
    }

    /// Calls that are known at this moment, in set-up or running.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.shared.counters.now().remembered.calls
    }

    /// All that is remembered of calls.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        let remembered = self.shared.counters.now().remembered;
        remembered.calls + remembered.dialogs + remembered.calls_in_setup
    }

    /// The counts, for `/metrics`.
    #[must_use]
    pub fn counters(&self) -> &SipCounters {
        &self.shared.counters
    }

    /// How it stands with each registration that was tried.
    #[must_use]
    pub fn registrations(&self) -> BTreeMap<PeerId, Registration> {
        self.shared.registrations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers an incoming call: 200 with our SDP. `Established` follows, or `Ended`.
    pub fn answer(&self, call: CallKey, local: LocalMedia) {
        self.order(Order::Answer(call, local));
    }

    /// Lets an incoming call ring.
    pub fn ring(&self, call: CallKey) {
        self.order(Order::Ring(call));
    }

    /// Refuses an incoming call with a final status (400 to 699), a reason of a few words for the caller, and a code for
    /// the audit log. `Ended` follows.
    pub fn refuse(&self, call: CallKey, status: u16, reason: &str, code: &'static str) {
        self.counter.ask(Ask::Refuse { call, status, text: reason.to_owned(), code });
    }

    /// Ends a call: BYE, CANCEL or a refusal, whichever its state wants, with a Reason header. `Ended` follows.
    pub fn hang_up(&self, call: CallKey, reason: &str) {
        self.order(Order::HangUp(call, reason.to_owned()));
    }

    /// Asks inside a call whether the other side is still there. `Alive` follows, or `Ended`.
    pub fn probe(&self, call: CallKey) {
        self.order(Order::Probe(call));
    }

    /// Presses a key by INFO.
    pub fn press(&self, call: CallKey, digit: Digit) {
        self.order(Order::Press(call, digit));
    }

    /// Holds a call, or takes it back. `Reoffered` follows where the other side agrees.
    pub fn hold(&self, call: CallKey, held: bool) {
        self.order(Order::Hold(call, held));
    }

    /// A stranger dialled a number that nobody has; whoever does so often is banned.
    pub fn missed(&self, source: SocketAddr) {
        self.counter.ask(Ask::Miss(source.ip()));
    }

    /// Places a call. `Ringing`, `Established` and `Ended` tell how it goes on.
    pub fn invite(&self, invite: Invite) -> CallKey {
        let call = CallKey::placed(self.shared.next_call.fetch_add(1, Ordering::Relaxed));
        let Invite { target, peer, number, from, local } = invite;
        self.order(Order::Place(Placed { call, target, peer, number, from, local }));
        call
    }

    /// Asks somebody for his abilities outside a call (OPTIONS).
    pub async fn options(&self, target: Target, peer: Option<PeerId>) -> Pong {
        let token = self.shared.next_token.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.counter.ask(Ask::Ping { order: Order::Options { token, target, peer }, answer });
        let pong = tokio::time::timeout(PING_PATIENCE, answered).await;
        pong.ok().and_then(Result::ok).unwrap_or_else(|| Pong {
            status: None,
            text: "no answer".to_owned(),
            took: PING_PATIENCE,
        })
    }

    /// Looks a host up as a request to it would (RFC 3263); best first, none if it cannot be found.
    pub async fn look_up(
        &self,
        host: &str,
        port: Option<u16>,
        transport: Option<Transport>,
    ) -> Vec<(Transport, SocketAddr)> {
        self.shared.names.find(host, port, transport).await
    }

    /// Tells the number that the program knows a call by; people ask for its messages by that.
    pub fn name(&self, call: CallKey, leg: u64) {
        let mut legs = self.shared.legs();
        legs.push_back((call, leg));
        if legs.len() > MAX_NAMED {
            legs.pop_front();
        }
    }

    /// The calls whose messages are remembered, the latest first.
    #[must_use]
    pub fn traces(&self) -> Vec<TracedCall> {
        let Some(traces) = self.shared.traces() else { return Vec::new() };
        let legs: HashMap<CallKey, u64> = self.shared.legs().iter().copied().collect();
        let call = |kept: Summary<'_>| TracedCall {
            call_id: kept.call_id.to_owned(),
            leg: kept.call.and_then(|call| legs.get(&call).copied()),
            began: kept.began,
            last: kept.last,
            first_line: kept.first_line.to_owned(),
            peer: kept.peer,
            messages: kept.messages,
        };
        traces.recent().into_iter().map(call).collect()
    }

    /// One call's messages as a ladder; with `whole`, each message stands under its arrow. Secrets and digits are hidden.
    #[must_use]
    pub fn ladder(&self, call_id: &str, whole: bool) -> Option<String> {
        self.shared.traces()?.of_call_id(call_id).map(|entries| ladder(entries, whole))
    }

    /// Takes other settings; calls keep what they agreed on, and where it listens stays as it is.
    pub fn reconfigure(&self, setup: Setup) {
        let streams = &self.shared.streams;
        streams.connections.set_limits(setup.stream_limits());
        streams.set_who(setup.who.clone());
        let Setup { mut config, who, budgets, .. } = setup;
        config.locals.clone_from(&streams.locals);
        self.counter.ask(Ask::Settings { config: Box::new(config), who, budgets });
    }

    /// Ends every call with BYE and this reason, takes registrations back, then stops listening.
    pub async fn shutdown(&self, reason: &str) {
        self.order(Order::Shutdown(reason.to_owned()));
        let idle = async {
            while !self.shared.idle.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, idle).await;
        self.shared.stop.cancel();
        self.counter.ring();
    }

    pub(super) fn streams(&self) -> &Streams {
        &self.shared.streams
    }

    fn order(&self, order: Order) {
        self.counter.ask(Ask::Order(order));
    }
}

fn traces(calls: usize) -> Option<Mutex<Traces>> {
    (calls > 0).then(|| Mutex::new(Traces::new(TraceBounds { calls, ..TraceBounds::default() })))
}

/// Every address bound.
struct Bound {
    sockets: Vec<DatagramSocket>,
    listeners: Vec<(Transport, std::net::TcpListener)>,
    locals: Vec<Local>,
    addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
    next_flow: u64,
}

impl Bound {
    fn all(setup: &Setup) -> anyhow::Result<Self> {
        let mut bound = Self {
            sockets: Vec::new(),
            listeners: Vec::new(),
            locals: Vec::new(),
            addresses: Vec::new(),
            tls_addresses: Vec::new(),
            next_flow: 0,
        };
        for address in &setup.listen.addresses {
            bound.datagrams(*address).with_context(|| format!("listening for SIP on {address}"))?;
        }
        for address in &setup.listen.tls_addresses {
            bound.tls(*address).with_context(|| format!("listening for SIP over TLS on {address}"))?;
        }
        Ok(bound)
    }

    fn datagrams(&mut self, address: SocketAddr) -> std::io::Result<()> {
        let (udp, tcp) = datagrams::bind_both(address)?;
        let next_flow = &mut self.next_flow;
        let socket = DatagramSocket::new(udp, || {
            *next_flow += 1;
            FlowId(*next_flow)
        })?;
        self.addresses.push(tcp.local_addr()?);
        for (address, _) in socket.flows() {
            self.locals.extend([Transport::Udp, Transport::Tcp].map(|transport| Local { transport, address }));
        }
        self.sockets.push(socket);
        self.listeners.push((Transport::Tcp, tcp));
        // Whoever counts on goes on behind it.
        self.next_flow += 1;
        Ok(())
    }

    fn tls(&mut self, address: SocketAddr) -> std::io::Result<()> {
        let listener = datagrams::bind_stream(address)?;
        let address = listener.local_addr()?;
        let ours = datagrams::addresses_of(address.ip()).into_iter();
        self.locals
            .extend(ours.map(|ip| Local { transport: Transport::Tls, address: SocketAddr::new(ip, address.port()) }));
        self.tls_addresses.push(address);
        self.listeners.push((Transport::Tls, listener));
        Ok(())
    }
}
