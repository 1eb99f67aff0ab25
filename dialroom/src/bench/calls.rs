//! Calls by SIP: begun by INVITE, counted when they come up, ended by BYE.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use dialroom_host::Clock;
use mixer_service::sip::{
    CallKey, Codec, Invite, Listen, LocalMedia, Peer, PeerId, RemoteMedia, Setup, SipEndpoint, SipEvent, Srtp, Target,
    Transport, Who,
};
use mixer_signalling::{CalledFrom, Capabilities, Limits};
use tokio::sync::mpsc;

use super::load::{Calls, Counts};
use super::options::{Plan, Server};
use super::ports::Ports;
use super::sound::{Line, Sound};

/// The one server that is called.
const SERVER: PeerId = PeerId(1);
/// How long all calls may take to end.
const FAREWELL: Duration = Duration::from_secs(10);
/// Packets from the answer to the first key: nobody keys before he hears who answers.
const KEYS_AFTER: u32 = 50;

/// Calls on their way, up and over.
#[derive(Debug)]
pub(super) struct SipCalls<'a> {
    plan: &'a Plan,
    server: &'a Server,
    clock: Clock,
    sip: SipEndpoint,
    events: mpsc::Receiver<SipEvent>,
    placed: HashMap<CallKey, Placed>,
    up: HashMap<CallKey, usize>,
    counts: Counts,
}

#[derive(Debug)]
struct Placed {
    leg: usize,
    at: Instant,
    sound: UdpSocket,
    rtcp: UdpSocket,
}

impl<'a> SipCalls<'a> {
    /// Makes ready to call; no call is placed yet.
    ///
    /// # Errors
    /// When the local address cannot be used.
    pub(super) async fn new(plan: &'a Plan, server: &'a Server) -> anyhow::Result<Self> {
        let (sip, events) = SipEndpoint::start(endpoint_of(plan, server)).await?;
        Ok(Self {
            plan,
            server,
            clock: Clock::real(),
            sip,
            events,
            placed: HashMap::new(),
            up: HashMap::new(),
            counts: Counts::default(),
        })
    }

    fn happened(&mut self, event: SipEvent, sound: &mut Sound) -> anyhow::Result<()> {
        match event {
            SipEvent::Established { call, remote } => {
                let Some(placed) = self.placed.remove(&call) else { return Ok(()) };
                self.counts.set_up.add(self.clock.instant().saturating_duration_since(placed.at));
                self.counts.up += 1;
                self.up.insert(call, placed.leg);
                sound.add(placed.leg, self.line(placed, &remote)?)?;
            }
            SipEvent::Ended { call, cause } => {
                if self.placed.remove(&call).is_some() {
                    let why = cause.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
                    *self.counts.refused.entry(why).or_default() += 1;
                } else if self.up.remove(&call).is_some() {
                    self.counts.dropped += 1;
                }
            }
            SipEvent::Incoming { call, .. } => self.sip.refuse(call, 486, "Busy here", "busy"),
            SipEvent::Ringing { .. }
            | SipEvent::Reoffered { .. }
            | SipEvent::Pressed { .. }
            | SipEvent::Alive { .. }
            | SipEvent::Registered { .. }
            | SipEvent::RegistrationFailed { .. }
            | SipEvent::Pong { .. } => {}
        }
        Ok(())
    }

    fn line(&self, placed: Placed, remote: &RemoteMedia) -> anyhow::Result<Line> {
        let Placed { leg, sound, rtcp, .. } = placed;
        sound.connect(remote.address).with_context(|| format!("no way to {}", remote.address))?;
        Ok(Line {
            socket: sound,
            rtcp: Some(rtcp),
            payload_type: remote.payload_type,
            event_type: remote.telephone_event,
            keys: self.plan.keys(leg)?.after(KEYS_AFTER),
        })
    }
}

impl Calls for SipCalls<'_> {
    async fn place(&mut self, leg: usize, ports: &mut Ports) -> anyhow::Result<()> {
        let (sound, rtcp) = ports.pair()?;
        let local = LocalMedia { ip: self.server.local, port: sound.local_addr()?.port() };
        let number = self.plan.filled(&self.server.number, leg);
        let from = self.server.from.as_ref().map(|from| self.plan.filled(from, leg));
        let at = self.clock.instant();
        let call = self.sip.invite(Invite { target: None, peer: Some(SERVER), number, from, local });
        self.placed.insert(call, Placed { leg, at, sound, rtcp });
        Ok(())
    }

    async fn follow(&mut self, sound: &mut Sound) -> anyhow::Result<()> {
        let event = self.events.recv().await.context("signalling has ended")?;
        self.happened(event, sound)
    }

    fn waiting(&self) -> usize {
        self.placed.len()
    }

    fn give_up(&mut self) {
        for (call, _) in self.placed.drain() {
            self.sip.hang_up(call, "no answer");
            *self.counts.refused.entry("no answer".to_owned()).or_default() += 1;
        }
    }

    fn keys_take(&self) -> anyhow::Result<Duration> {
        Ok(Duration::from_millis(20) * self.plan.keys(0)?.after(KEYS_AFTER).packets())
    }

    fn counts(&self) -> &Counts {
        &self.counts
    }

    async fn hang_up(mut self) -> Counts {
        for call in self.up.keys().chain(self.placed.keys()) {
            self.sip.hang_up(*call, "the bench is over");
        }
        let over = async {
            while !self.up.is_empty() {
                match self.events.recv().await {
                    Some(SipEvent::Ended { call, .. }) => drop(self.up.remove(&call)),
                    Some(_) => {}
                    None => return,
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL, over).await;
        self.sip.shutdown("the bench is over").await;
        self.counts
    }
}

/// A telephone system with as many lines as are wanted.
fn endpoint_of(plan: &Plan, server: &Server) -> Setup {
    let Server { address, local, .. } = server;
    let legs = plan.seating.legs;
    let mut endpoint = Setup::open(Listen::on(SocketAddr::new(*local, 0)));
    endpoint.who = Who::by(|_, _| Some(SERVER));
    endpoint.config.focus = false;
    endpoint.config.limits =
        Limits { calls: legs + 1, calls_in_setup: legs + 1, transactions: 16 * legs + 1_000, ..Limits::default() };
    endpoint.config.peers = vec![Peer {
        id: SERVER,
        name: "server".to_owned(),
        domain: address.ip().to_string(),
        server: Some(Target { host: address.ip().to_string(), port: Some(address.port()), transport: Transport::Udp }),
        outbound_proxy: None,
        user: None,
        credentials: None,
        register: false,
        expires_s: 600,
        keep_alive: Duration::ZERO,
        challenge: false,
        capabilities: capabilities(plan.codec),
        refer: false,
        session_expires_s: 0,
        lines: None,
        called_from: CalledFrom::RequestUri,
    }];
    endpoint
}

fn capabilities(codec: Codec) -> Capabilities {
    Capabilities { codecs: vec![codec], srtp: Srtp::Off, ..Capabilities::default() }
}
