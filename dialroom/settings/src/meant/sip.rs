//! `[sip]`: where signalling listens, how it proves itself, and what strangers may use of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// The mixer's signalling.
#[derive(Clone, Debug)]
pub struct Sip {
    /// Where it listens, UDP and TCP; default `127.0.0.1:5060`. Empty only where `tls_listen` is not.
    pub listen: Vec<SocketAddr>,
    /// Where it listens for TLS; default nowhere.
    pub tls_listen: Vec<SocketAddr>,
    /// Addresses that others reach it by, where they are other ones.
    pub advertised: Advertised,
    /// `[sip.tls]`.
    pub tls: SipTls,
    /// Most calls at a time, of all trunks and strangers; 1 to 10000, default 5000.
    pub max_calls: u32,
    /// What anybody may use of it.
    pub budgets: SipBudgets,
}

/// Addresses outside a NAT, at most one of each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advertised {
    /// In place of our IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// In place of our IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

impl Advertised {
    /// What stands for `local` outside.
    #[must_use]
    pub fn instead_of(&self, local: IpAddr) -> IpAddr {
        match local {
            IpAddr::V4(local) => self.v4.unwrap_or(local).into(),
            IpAddr::V6(local) => self.v6.unwrap_or(local).into(),
        }
    }
}

/// Certificates, all of them PEM files; TLS 1.2 is the oldest version spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SipTls {
    /// Our own; needed by `tls_listen`, and shown to servers that ask for one.
    pub certificate: Option<CertificateFiles>,
    /// Whose certificates are asked of those who connect; `None`: nobody is asked.
    pub client_ca_file: Option<PathBuf>,
    /// Whose certificates of servers are believed, beside those that the system believes.
    pub server_ca_file: Option<PathBuf>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, our own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Bounds that keep one side's trouble from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipBudgets {
    /// Requests a second from a source that is no trunk; 1 to 10000, default 20.
    pub stranger_requests_per_second: u32,
    /// So many at once; 1 to 10000, default 60.
    pub stranger_burst: u32,
    /// Misses (wrong numbers, failed logins, malformed requests) that ban a source; 1 to 1000, default 20.
    pub ban_after_misses: u32,
    /// For how long; 1 to 1440 minutes, default 15.
    pub ban_minutes: u16,
    /// TCP and TLS connections in all; 10 to 20000, default 2000.
    pub max_connections: u32,
    /// Of one source that is no trunk; 1 to 20000, default 200.
    pub max_connections_per_source: u32,
}
