//! A telephone on its hook: who it is, where it calls, and who is told when something happens to one of its calls.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use dialroom_host::Clock;
use dialroom_settings::SipTls;
use mixer_signalling::{CalledFrom, Capabilities, Limits};
use tokio::sync::mpsc;

use super::call::{CallState, Telephone};
use super::keys::KeysBy;
use super::probe;
use crate::engine::{Engine, Frame, Remote, Report, StreamId};
use crate::far_end::far_end;
use crate::sip::{
    CallKey, Codec, Credentials, Invite, Listen, LocalMedia, Peer, PeerId, Registration, RemoteMedia, Setup,
    SipEndpoint, SipEvent, Srtp, Target, Transport, Who,
};

/// What a telephone is.
#[derive(Clone, Debug)]
pub struct LineSetup {
    /// Our own address: what the server takes us for.
    pub local: IpAddr,
    /// The server that is called, and how it is reached.
    pub server: Target,
    /// Who we are there; `None`: nobody.
    pub account: Option<Account>,
    /// Codecs, the one we like best first.
    pub codecs: Vec<Codec>,
    /// Encryption of the sound.
    pub srtp: Srtp,
    /// Certificates: our own, and whose we believe beside those the system believes.
    pub tls: SipTls,
    /// How keys are pressed.
    pub keys_by: KeysBy,
}

impl LineSetup {
    /// A telephone of G.711 in clear that nobody knows.
    #[must_use]
    pub fn new(local: IpAddr, server: Target) -> Self {
        Self {
            local,
            server,
            account: None,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            srtp: Srtp::Off,
            tls: SipTls::default(),
            keys_by: KeysBy::Events,
        }
    }

    /// The same for a server that is known by its address.
    #[must_use]
    pub fn to(server: SocketAddr, transport: Transport, local: IpAddr) -> Self {
        Self::new(local, Target { host: server.ip().to_string(), port: Some(server.port()), transport })
    }
}

/// Who a telephone is at its server.
#[derive(Clone, Debug)]
pub struct Account {
    /// The name before the `@` of its address.
    pub user: String,
    /// The domain behind it; the server's host where none is told.
    pub domain: Option<String>,
    /// What challenges are answered with.
    pub credentials: Option<Credentials>,
    /// For how long it registers; `None` does not.
    pub register: Option<Duration>,
}

/// A call to place on a line of its own.
#[derive(Clone)]
pub struct Dial {
    /// The telephone.
    pub line: LineSetup,
    /// The number dialled.
    pub number: String,
    /// The number we call from, in international form; `None` calls anonymously, or as the account's user.
    pub from: Option<String>,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial").field("line", &self.line).finish_non_exhaustive()
    }
}

/// Somebody calls.
#[derive(Debug)]
pub struct Called {
    call: CallKey,
    local: IpAddr,
    source: SocketAddr,
    /// The number that he dialled.
    pub number: crate::sip::Called,
}

/// A telephone on its hook; cheap to clone. It goes when the last clone and the last of its calls are gone.
#[derive(Clone, Debug)]
pub struct Line {
    pub(super) desk: Arc<Desk>,
    callers: Arc<tokio::sync::Mutex<mpsc::Receiver<Called>>>,
}

/// What its calls share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) sip: SipEndpoint,
    pub(super) engine: Engine,
    pub(super) clock: Clock,
    pub(super) setup: LineSetup,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    by_key: HashMap<CallKey, Arc<CallState>>,
    by_stream: BTreeMap<StreamId, Arc<CallState>>,
    /// What happened to a call that nobody has written down yet.
    early: HashMap<CallKey, Vec<SipEvent>>,
    last_stream: u64,
}

/// The one server of a line.
const SERVER: PeerId = PeerId(1);
const DSCP_EXPEDITED: u8 = 46;
/// Callers that wait to be answered.
const MAX_CALLERS: usize = 16;
/// Wait for a registration: a challenge, and a repetition or two.
const REGISTRATION: Duration = Duration::from_secs(12);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

impl Line {
    /// Hangs a telephone up: its endpoint listens, and registers where the account says so.
    ///
    /// # Errors
    /// When the local address or a certificate cannot be used.
    pub async fn start(setup: LineSetup) -> anyhow::Result<Self> {
        let (sip, events) = SipEndpoint::start(endpoint_of(&setup)).await?;
        let (engine, reports) = Engine::start((0, 0), DSCP_EXPEDITED).context("starting the sound")?;
        let desk = Arc::new(Desk { sip, engine, clock: Clock::real(), setup, calls: Mutex::default() });
        let (caller, callers) = mpsc::channel(MAX_CALLERS);
        tokio::spawn(follow(Arc::downgrade(&desk), events, caller));
        tokio::spawn(note(Arc::downgrade(&desk), reports));
        Ok(Self { desk, callers: Arc::new(tokio::sync::Mutex::new(callers)) })
    }

    /// The endpoint: where it listens, and questions beside calls.
    #[must_use]
    pub fn sip(&self) -> &SipEndpoint {
        &self.desk.sip
    }

    /// Waits until the registration holds, and tells for how long.
    ///
    /// # Errors
    /// Why it does not: the final status, if there was one, and words.
    pub async fn registered(&self) -> Result<Duration, (Option<u16>, String)> {
        let wait = async {
            loop {
                match self.desk.sip.registrations().remove(&SERVER) {
                    Some(Registration::Holds { until }) => {
                        return Ok(until.saturating_duration_since(self.desk.clock.instant()));
                    }
                    Some(Registration::Failed { status, text, .. }) => return Err((status, text)),
                    Some(Registration::Left) | None => tokio::time::sleep(LOOK_INTERVAL).await,
                }
            }
        };
        let waited = tokio::time::timeout(REGISTRATION, wait).await;
        waited.unwrap_or_else(|_| Err((None, "no answer".to_owned())))
    }

    /// Places a call and returns at once; [`Telephone::answered`] waits for it.
    ///
    /// # Errors
    /// When no port for the sound opens.
    pub fn call(&self, number: &str, from: Option<String>) -> anyhow::Result<Telephone> {
        let desk = &self.desk;
        let (state, port) = desk.open(desk.setup.local)?;
        let local = LocalMedia { ip: desk.setup.local, port };
        let number = number.to_owned();
        let call = desk.sip.invite(Invite { target: None, peer: Some(SERVER), number, from, local });
        desk.seat(call, &state);
        if let Some(server) = desk.server_address() {
            let nobody_there = probe::nobody_there(desk.setup.server.transport, desk.setup.local, server);
            let state = Arc::downgrade(&state);
            tokio::spawn(async move {
                let cause = nobody_there.await;
                if let Some(state) = state.upgrade() {
                    state.over(cause);
                }
            });
        }
        Ok(Telephone::new(self.desk.clone(), call, state))
    }

    /// Waits until somebody calls.
    ///
    /// # Errors
    /// When the line is gone.
    pub async fn next_call(&self) -> anyhow::Result<Called> {
        self.callers.lock().await.recv().await.context("the line is gone")
    }

    /// Takes a call.
    ///
    /// # Errors
    /// When no port for the sound opens; the caller hears that nobody has time.
    pub fn answer(&self, called: &Called) -> anyhow::Result<Telephone> {
        let desk = &self.desk;
        let (state, port) = desk.open(called.local).inspect_err(|_| {
            desk.sip.refuse(called.call, 503, "No port for sound is free", "no_port");
        })?;
        state.set_peer(called.source.ip());
        desk.seat(called.call, &state);
        desk.sip.answer(called.call, LocalMedia { ip: called.local, port });
        Ok(Telephone::new(desk.clone(), called.call, state))
    }

    /// Turns a caller away.
    pub fn refuse(&self, called: &Called, status: u16, reason: &str) {
        self.desk.sip.refuse(called.call, status, reason, "refused");
    }

    /// Ends all calls and takes the registration back.
    pub async fn close(self) {
        self.desk.sip.shutdown("hung up").await;
    }
}

impl Desk {
    /// A stream for a call, and its port.
    fn open(&self, local: IpAddr) -> anyhow::Result<(Arc<CallState>, u16)> {
        let mut calls = self.calls();
        calls.last_stream += 1;
        let stream = StreamId(calls.last_stream);
        let port = self.engine.open(stream, local).with_context(|| format!("opening a port on {local}"))?;
        let state = Arc::new(CallState::new(stream, self.clock.instant()));
        calls.by_stream.insert(stream, state.clone());
        drop(calls);
        tokio::spawn(hear(Arc::downgrade(&state), self.clock.clone(), self.engine.listen(stream)));
        Ok((state, port))
    }

    /// Writes a call down, and tells it what has happened to it meanwhile.
    fn seat(&self, call: CallKey, state: &Arc<CallState>) {
        let mut calls = self.calls();
        calls.by_key.insert(call, state.clone());
        let early = calls.early.remove(&call).unwrap_or_default();
        drop(calls);
        for event in early {
            self.tell(state, event);
        }
    }

    /// Forgets a call.
    pub(super) fn forget(&self, call: CallKey, stream: StreamId) {
        let mut calls = self.calls();
        calls.by_key.remove(&call);
        calls.by_stream.remove(&stream);
    }

    fn happened(&self, call: CallKey, event: SipEvent) {
        let mut calls = self.calls();
        let state = calls.by_key.get(&call).cloned();
        match state {
            Some(state) => {
                drop(calls);
                self.tell(&state, event);
            }
            // Placed this moment: the event was faster than whoever placed it.
            None => calls.early.entry(call).or_default().push(event),
        }
    }

    fn tell(&self, state: &CallState, event: SipEvent) {
        let now = self.clock.instant();
        match event {
            SipEvent::Established { remote, .. } => {
                self.engine.connect(state.stream, self.remote(state, &remote));
                state.answered(now);
            }
            SipEvent::Ringing { early: Some(remote), .. } | SipEvent::Reoffered { remote, .. } => {
                self.engine.connect(state.stream, self.remote(state, &remote));
            }
            SipEvent::Pressed { digit, .. } => self.engine.pressed(state.stream, digit.0),
            SipEvent::Ended { cause, .. } => state.over(cause),
            SipEvent::Ringing { early: None, .. }
            | SipEvent::Incoming { .. }
            | SipEvent::Alive { .. }
            | SipEvent::Registered { .. }
            | SipEvent::RegistrationFailed { .. }
            | SipEvent::Pong { .. } => {}
        }
    }

    fn remote(&self, state: &CallState, media: &RemoteMedia) -> Remote {
        let server = self.server_address().map(|server| server.ip());
        let peer_ip = state.peer().or(server).unwrap_or_else(|| media.address.ip());
        far_end(media, peer_ip, false)
    }

    /// The server's address, where no name has to be looked up.
    fn server_address(&self) -> Option<SocketAddr> {
        let Target { host, port, transport } = &self.setup.server;
        let ip = host.parse().ok()?;
        Some(SocketAddr::new(ip, port.unwrap_or(transport.default_port())))
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let sip = self.sip.clone();
        // Ends calls that still run, and gives the sockets back.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { sip.shutdown("hung up").await });
        }
    }
}

/// What its endpoint is started with: one peer, the server, and whoever calls is taken for it.
fn endpoint_of(setup: &LineSetup) -> Setup {
    let LineSetup { local, server, account, codecs, srtp, tls, keys_by: _ } = setup.clone();
    let account = account.unwrap_or(Account { user: String::new(), domain: None, credentials: None, register: None });
    let capabilities = Capabilities { codecs, srtp, ..Capabilities::default() };
    let address = SocketAddr::new(local, 0);
    let tls_addresses = if tls.certificate.is_some() { vec![address] } else { Vec::new() };
    let mut endpoint = Setup::open(Listen { addresses: vec![address], tls_addresses, tls });
    endpoint.who = Who::by(|_, _| Some(SERVER));
    endpoint.config.focus = false;
    endpoint.config.limits = Limits { calls: 1_000, ..Limits::default() };
    endpoint.config.peers = vec![Peer {
        id: SERVER,
        name: "server".to_owned(),
        domain: account.domain.unwrap_or_else(|| server.host.clone()),
        server: Some(server),
        outbound_proxy: None,
        user: Some(account.user).filter(|user| !user.is_empty()),
        credentials: account.credentials,
        register: account.register.is_some(),
        expires_s: account.register.map_or(600, |expires| u32::try_from(expires.as_secs()).unwrap_or(u32::MAX)),
        keep_alive: Duration::from_secs(30),
        challenge: false,
        capabilities,
        refer: false,
        session_expires_s: 0,
        lines: None,
        called_from: CalledFrom::RequestUri,
    }];
    endpoint
}

/// Takes each event to its call, and each caller to whoever waits for one.
async fn follow(desk: std::sync::Weak<Desk>, mut events: mpsc::Receiver<SipEvent>, callers: mpsc::Sender<Called>) {
    while let Some(event) = events.recv().await {
        let Some(desk) = desk.upgrade() else { return };
        match event {
            SipEvent::Incoming { call, source, local, called, .. } => {
                // As telephones do; whoever requires it hears it reliably (RFC 3262).
                desk.sip.ring(call);
                let called = Called { call, local, source, number: called };
                if let Err(refused) = callers.try_send(called) {
                    let call = refused.into_inner().call;
                    desk.sip.refuse(call, 486, "Busy here", "busy");
                }
            }
            SipEvent::Registered { .. } | SipEvent::RegistrationFailed { .. } | SipEvent::Pong { .. } => {}
            SipEvent::Ringing { call, .. }
            | SipEvent::Established { call, .. }
            | SipEvent::Reoffered { call, .. }
            | SipEvent::Pressed { call, .. }
            | SipEvent::Alive { call }
            | SipEvent::Ended { call, .. } => desk.happened(call, event),
        }
    }
}

/// Takes each report of the sound to its call.
async fn note(desk: std::sync::Weak<Desk>, mut reports: mpsc::Receiver<Report>) {
    while let Some(report) = reports.recv().await {
        let Some(desk) = desk.upgrade() else { return };
        let state = |stream: StreamId| desk.calls().by_stream.get(&stream).cloned();
        match report {
            Report::Keyed(stream) => drop(state(stream).map(|state| state.keyed())),
            Report::Played(stream, playback) => drop(state(stream).map(|state| state.played(playback))),
            Report::Digit(stream, key) => drop(state(stream).map(|state| state.heard_key(key))),
            Report::Closed(stream, statistics) => drop(state(stream).map(|state| state.closed(statistics))),
            Report::Silent(..) => {}
        }
    }
}

/// Writes down what is heard.
async fn hear(state: std::sync::Weak<CallState>, clock: Clock, mut ear: mpsc::Receiver<Frame>) {
    while let Some(frame) = ear.recv().await {
        let Some(state) = state.upgrade() else { return };
        state.heard(clock.instant(), &frame);
    }
}
