//! Ports for programs that have to be told theirs.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::house::{SOON, eventually};

/// From here on none of our programs takes a port unasked: the mixer's sound ends below it.
const FIRST: u16 = 30_000;
/// From here on the kernel gives ports to whoever asks for any: one found free there may be taken a moment later.
const END: u16 = 32_768;

/// A port that is free for UDP and for TCP, as is the next one: SIP's next port is TLS, RTP's is RTCP. Each is given once in a
/// process; two processes begin at different ones.
///
/// # Panics
/// Where all are taken.
#[must_use]
pub fn free_port(address: IpAddr) -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let pairs = (END - FIRST) / 2;
    let begin = u16::try_from(std::process::id() % u32::from(pairs)).unwrap_or_default();
    for _ in 0..pairs {
        let port = FIRST + 2 * ((begin + GIVEN.fetch_add(1, Ordering::Relaxed) % pairs) % pairs);
        if UdpSocket::bind((address, port)).is_ok() && TcpListener::bind((address, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free on {address}")
}

/// Waits until a program has taken this port, without touching it.
pub async fn until_taken(port: u16, udp: bool) {
    let tables = if udp { ["/proc/net/udp", "/proc/net/udp6"] } else { ["/proc/net/tcp", "/proc/net/tcp6"] };
    // The second column is the own address, written as `0100007F:13C4`.
    let own = format!(":{port:04X}");
    eventually(&format!("somebody listens on port {port}"), SOON, async || {
        let lines = tables.iter().filter_map(|table| std::fs::read_to_string(table).ok()).collect::<String>();
        lines.lines().any(|line| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&own))).then_some(())
    })
    .await;
}
