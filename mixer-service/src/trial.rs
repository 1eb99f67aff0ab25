//! Trying a trunk: what `dialroom check trunk` asks of the network, one question after the other.
//!
//! Made of the same parts as the mixer itself, with its settings and its ports, so that what works here works there. Where
//! the mixer runs it holds those ports; then a trial takes others, leaves registrations alone (a second one might displace
//! the mixer's), and the mixer answers the test call.

mod call;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dialroom_host::Clock;
use tokio::sync::mpsc;

use crate::sip::{PeerId, Pong, Setup, SipEndpoint, SipEvent, Target};

pub use self::call::{AnsweredBy, NoCall, Sound, TestCall};

/// How long a registrar may take: its transaction, and a second one with our digest.
const REGISTRATION_PATIENCE: Duration = Duration::from_secs(40);

/// How long the threads of an endpoint may take to let go of their sockets, and how often is looked.
const RELEASE_PATIENCE: Duration = Duration::from_secs(3);
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// What a registrar said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// For so long.
    For(Duration),
    /// Not.
    Failed {
        /// The final status; `None`: no answer.
        status: Option<u16>,
        /// Why, in a few words.
        text: String,
    },
}

/// A trunk on trial.
#[derive(Debug)]
pub struct Trial {
    sip: SipEndpoint,
    events: mpsc::Receiver<SipEvent>,
    clock: Clock,
    peer: PeerId,
    holds_our_ports: bool,
    /// Ports and marking of sound, as the mixer has them.
    sound: ((u16, u16), u8),
    in_band_digits: bool,
}

impl Trial {
    /// Starts where the mixer would listen, or beside it. `setup` is the mixer's; `peer` is the trunk on trial. `sound` are
    /// first and last RTP port and the DSCP.
    ///
    /// # Errors
    /// When nothing can be listened on, or a certificate not be used; the message names it.
    pub async fn start(
        mut setup: Setup,
        peer: PeerId,
        sound: ((u16, u16), u8),
        in_band_digits: bool,
    ) -> anyhow::Result<Self> {
        setup.config.peers.retain(|known| known.id == peer);
        setup.budgets = None;
        let (holds_our_ports, (sip, events)) = match SipEndpoint::start(setup.clone()).await {
            Ok(started) => (true, started),
            Err(error) if is_taken(&error) => (false, SipEndpoint::start(beside(setup)).await?),
            Err(error) => return Err(error),
        };
        Ok(Self { sip, events, clock: Clock::real(), peer, holds_our_ports, sound, in_band_digits })
    }

    /// Whether calls to us arrive here; else the mixer runs and has them.
    #[must_use]
    pub const fn holds_our_ports(&self) -> bool {
        self.holds_our_ports
    }

    /// The endpoint, for what needs no trial of its own.
    #[must_use]
    pub const fn endpoint(&self) -> &SipEndpoint {
        &self.sip
    }

    /// Asks the other side for its abilities (OPTIONS).
    pub async fn options(&self, target: Target) -> Pong {
        self.sip.options(target, Some(self.peer)).await
    }

    /// Waits for the registrar's word; only where the trial holds our ports.
    pub async fn registered(&mut self) -> Registered {
        let deadline = self.clock.instant() + REGISTRATION_PATIENCE;
        loop {
            let event = tokio::select! {
                event = self.events.recv() => event,
                () = self.clock.sleep_until(deadline) => None,
            };
            match event {
                Some(SipEvent::Registered { peer, expires }) if peer == self.peer => return Registered::For(expires),
                Some(SipEvent::RegistrationFailed { peer, status, text, .. }) if peer == self.peer => {
                    return Registered::Failed { status, text };
                }
                Some(SipEvent::Incoming { call, .. }) => self.sip.refuse(call, 480, "not now", "trial"),
                Some(_) => {}
                None => return Registered::Failed { status: None, text: "no answer".to_owned() },
            }
        }
    }

    /// Takes registrations back and lets go of the ports; returns when the next trial can have them.
    pub async fn finish(self) {
        let Self { sip, events, clock, .. } = self;
        let taken: Vec<_> = sip.addresses().into_iter().chain(sip.tls_addresses()).collect();
        sip.shutdown("the check is over").await;
        drop((sip, events));
        let deadline = clock.instant() + RELEASE_PATIENCE;
        while !taken.iter().all(|address| is_free(*address)) && clock.instant() < deadline {
            clock.sleep_until(clock.instant() + LOOK_INTERVAL).await;
        }
    }

    /// Our address as somebody at `target` sees it.
    fn address_towards(&self, target: SocketAddr) -> io::Result<IpAddr> {
        let listened = self.sip.addresses().into_iter().chain(self.sip.tls_addresses());
        let ours = listened.map(|address| address.ip()).find(|ip| {
            ip.is_ipv4() == target.is_ipv4() && !ip.is_unspecified() && ip.is_loopback() == target.ip().is_loopback()
        });
        ours.map_or_else(|| route_towards(target), Ok)
    }
}

/// The address that the system would send from; nothing is sent.
fn route_towards(target: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = if target.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(target)?;
    Ok(socket.local_addr()?.ip())
}

/// Whether nobody has this address, neither for datagrams nor for streams.
fn is_free(address: SocketAddr) -> bool {
    std::net::UdpSocket::bind(address).is_ok() && std::net::TcpListener::bind(address).is_ok()
}

/// The same on free ports, without a registration.
fn beside(mut setup: Setup) -> Setup {
    let listen = &mut setup.listen;
    listen.addresses.iter_mut().chain(&mut listen.tls_addresses).for_each(|address| address.set_port(0));
    setup.config.peers.iter_mut().for_each(|peer| peer.register = false);
    setup
}

/// Whether an address is somebody's already.
fn is_taken(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    kinds.into_iter().any(|kind| kind == io::ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests;
