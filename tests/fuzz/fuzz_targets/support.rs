//! What several targets begin with.
#![allow(dead_code, reason = "each target uses a part of it")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Processor time that one input may cost, checks of memory included.
const SLOW: Duration = Duration::from_millis(100);

/// Fails the run when an input was slow. Counts this thread's processor time alone: the machine may be busy.
#[derive(Debug)]
pub struct Watch(Duration);

impl Watch {
    /// Begins to count.
    pub fn start() -> Self {
        Self(processor_time())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let took = processor_time() - self.0;
        assert!(took <= SLOW, "an input took {took:?}");
    }
}

fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock").into()
}

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
