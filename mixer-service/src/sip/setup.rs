//! What an endpoint is started with.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dialroom_settings::SipTls;
pub use mixer_signalling::Budgets;
use mixer_signalling::{Config, PeerId};

use super::connections::StreamLimits;

/// Where to listen; port 0 picks one that is free.
#[derive(Clone, Debug, Default)]
pub struct Listen {
    /// UDP and TCP, on the same port.
    pub addresses: Vec<SocketAddr>,
    /// TLS.
    pub tls_addresses: Vec<SocketAddr>,
    /// Certificates; those who listen for TLS need one of their own.
    pub tls: SipTls,
}

impl Listen {
    /// UDP and TCP on this address.
    #[must_use]
    pub fn on(address: SocketAddr) -> Self {
        Self { addresses: vec![address], ..Self::default() }
    }
}

/// All that an endpoint is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where to listen.
    pub listen: Listen,
    /// What signalling is told; where it listens is filled in at the start.
    pub config: Config,
    /// Who is who.
    pub who: Who,
    /// How much strangers may ask; `None` holds nobody back, as in a telephone of ours.
    pub budgets: Option<Budgets>,
    /// Streams in all.
    pub max_streams: usize,
    /// Streams of one source that is no peer.
    pub max_streams_per_source: usize,
    /// Calls whose messages are remembered, for `dialroom trace`; 0 remembers none.
    pub traced_calls: usize,
}

impl Setup {
    /// An endpoint that knows nobody and holds nobody back.
    #[must_use]
    pub fn open(listen: Listen) -> Self {
        Self {
            listen,
            config: Config::default(),
            who: Who::default(),
            budgets: None,
            max_streams: 2_000,
            max_streams_per_source: 200,
            traced_calls: 0,
        }
    }

    pub(super) fn stream_limits(&self) -> StreamLimits {
        StreamLimits { all: self.max_streams, per_source: self.max_streams_per_source }
    }
}

/// Tells which telephone system is at an address, or has proved these names by its certificate.
#[derive(Clone)]
pub struct Who(Arc<Decide>);

type Decide = dyn Fn(IpAddr, &[String]) -> Option<PeerId> + Send + Sync;

impl Who {
    /// By this rule.
    #[must_use]
    pub fn by(rule: impl Fn(IpAddr, &[String]) -> Option<PeerId> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    /// The telephone system; `None` is a stranger.
    #[must_use]
    pub fn is(&self, source: IpAddr, tls_names: &[String]) -> Option<PeerId> {
        (self.0)(source, tls_names)
    }
}

/// Nobody is known.
impl Default for Who {
    fn default() -> Self {
        Self::by(|_, _| None)
    }
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Who")
    }
}
