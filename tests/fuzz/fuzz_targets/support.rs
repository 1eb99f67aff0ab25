//! What several targets begin with.
#![allow(dead_code, reason = "each target uses a part of it")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Instant;

/// Where the pretended time of every run begins.
pub fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
    *START.get_or_init(Instant::now)
}

/// Somebody's address.
pub fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

/// Somebody's socket.
pub fn socket(last: u8) -> SocketAddr {
    SocketAddr::new(address(last), 5060)
}
