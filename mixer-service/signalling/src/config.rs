//! What an endpoint is told before it starts, and again when settings change: who we are, whom we know, and the bounds.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::types::Codec;

/// All that an endpoint is told. A new one may replace it while calls run: calls keep what they agreed on.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What `Server` and `User-Agent` say; no version, that only helps who looks for old ones. Empty: neither header.
    pub user_agent: String,
    /// Where others reach us. Contact and Via name these; a stream we opened names the listener of its transport.
    pub locals: Vec<Local>,
    /// Our IPv4 address as others see it, where it is another one than the socket's.
    pub advertised_v4: Option<IpAddr>,
    /// Our IPv6 address as others see it.
    pub advertised_v6: Option<IpAddr>,
    /// The telephone systems we know.
    pub peers: Vec<Peer>,
    /// What is offered to and accepted from those who are no peer.
    pub capabilities: Capabilities,
    /// Session interval that we ask for with those who are no peer, in seconds; 0 asks for none (RFC 4028).
    pub session_expires_s: u32,
    /// Shortest session interval that we agree to, in seconds; RFC 4028 section 5 forbids less than 90.
    pub min_se_s: u32,
    /// How long a call of ours may ring.
    pub ring: Duration,
    /// Whether a conference is behind our Contact (`isfocus`, RFC 4579 section 5.1); a telephone is none.
    pub focus: bool,
    /// Bounds.
    pub limits: Limits,
    /// T1, T2, T4.
    pub timers: Timers,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            user_agent: "Dialroom".to_owned(),
            locals: Vec::new(),
            advertised_v4: None,
            advertised_v6: None,
            peers: Vec::new(),
            capabilities: Capabilities::default(),
            session_expires_s: 1_800,
            min_se_s: 90,
            ring: Duration::from_secs(120),
            focus: true,
            limits: Limits::default(),
            timers: Timers::default(),
        }
    }
}

/// An address that we listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// How.
    pub transport: Transport,
    /// Where, port filled in.
    pub address: SocketAddr,
}

/// Which of the peers; stable over a change of settings while the peer keeps its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u32);

/// One telephone system: a trunk we are a peer of, or a registrar that we are an extension of.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Which.
    pub id: PeerId,
    /// Its name in the settings.
    pub name: String,
    /// Where calls and registrations go; `None` only calls us.
    pub server: Option<Target>,
    /// A proxy before the server: requests go there, with the server in the Request-URI.
    pub outbound_proxy: Option<Target>,
    /// Host part of our own address with it, and the realm that its challenges may have.
    pub domain: String,
    /// User part of our own address with it; without one our calls show the number they are given.
    pub user: Option<String>,
    /// What its challenges are answered with.
    pub credentials: Option<Credentials>,
    /// Whether we register there.
    pub register: bool,
    /// How long a registration shall last.
    pub expires_s: u32,
    /// How often a sign of life goes to a registrar; zero: never.
    pub keep_alive: Duration,
    /// Whether requests of it must prove themselves by digest, with `credentials`.
    pub challenge: bool,
    /// Codecs and encryption.
    pub capabilities: Capabilities,
    /// Whether it may transfer calls (REFER).
    pub refer: bool,
    /// Session interval that we ask for, in seconds; 0 asks for none.
    pub session_expires_s: u32,
    /// Calls with it at a time; `None` is bounded by [`Limits::calls`] alone.
    pub lines: Option<usize>,
    /// Where the number dialled stands.
    pub called_from: CalledFrom,
}

/// Where a telephone system tells which number was dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CalledFrom {
    /// In the Request-URI, as a trunk peer does.
    #[default]
    RequestUri,
    /// In `To`, as a registrar does that replaces the Request-URI by our Contact.
    To,
    /// In `P-Called-Party-ID` (RFC 7315 section 4.2).
    PCalledPartyId,
}

/// Somebody to send to, as settings name him.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// A host name or an address without brackets.
    pub host: String,
    /// `None`: looked up (RFC 3263), or the transport's own.
    pub port: Option<u16>,
    /// How.
    pub transport: Transport,
}

/// User and password of a digest. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User of the realm.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// A transport of SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS.
    Tls,
}

impl Transport {
    /// Its name in `Via`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// Its name as a parameter of an address.
    #[must_use]
    pub const fn param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// Whether it delivers what it took: no retransmissions over it.
    #[must_use]
    pub const fn reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// Its port where none is written (RFC 3261 section 19.1.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// Bounds of the endpoint; at a bound new calls get 503, running ones notice nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls in all.
    pub calls: usize,
    /// Calls that are not confirmed yet, in all.
    pub calls_in_setup: usize,
    /// Transactions in all, those that only wait for repetitions included. Beyond it requests are answered without memory.
    pub transactions: usize,
    /// Bytes of one SDP.
    pub sdp_bytes: usize,
    /// Bytes of all headers of one request.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { calls: 10_000, calls_in_setup: 4_000, transactions: 32_768, sdp_bytes: 4_000, header_bytes: 7_000 }
    }
}

/// The times that all timers are made of (RFC 3261 section 17, table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Estimate of a round trip.
    pub t1: Duration,
    /// Longest time between two retransmissions.
    pub t2: Duration,
    /// How long the network may keep a message.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

/// What sound we can agree on, with whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Codecs, the one we like best first.
    pub codecs: Vec<Codec>,
    /// Encryption of the sound.
    pub srtp: Srtp,
    /// Milliseconds of sound in a packet.
    pub packet_ms: u8,
    /// Whether the offer's order of codecs counts before ours.
    pub prefer_offer_order: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            codecs: vec![Codec::Pcma, Codec::Pcmu, Codec::G722, Codec::Opus],
            srtp: Srtp::Off,
            packet_ms: 20,
            prefer_offer_order: true,
        }
    }
}

/// Policy of encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Srtp {
    /// Never.
    Off,
    /// Where the other side wants it.
    Optional,
    /// Always: plain offers are refused.
    Required,
}
