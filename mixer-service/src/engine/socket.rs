//! One datagram in, one out. On Linux the kernel says when each one arrived (`SO_TIMESTAMPNS`), so that one look at the
//! sockets on each beat is enough and the jitter buffer still knows how early a packet was.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use mixer_media::DATAGRAM_MAX;

/// A datagram cannot have waited longer: sockets are emptied on every beat. A larger difference is a wall clock that was set.
const WAITED_MAX: Duration = Duration::from_millis(200);

/// Asks the kernel to note when datagrams arrive; without it they count as arrived when they are taken.
#[cfg(target_os = "linux")]
pub(super) fn ask_for_arrival_times(socket: &UdpSocket) {
    use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};
    if let Err(error) = setsockopt(socket, ReceiveTimestampns, &true) {
        tracing::debug!(%error, "datagrams come without their times");
    }
}

/// Other systems have other ways; there datagrams count as arrived when they are taken.
#[cfg(not(target_os = "linux"))]
pub(super) fn ask_for_arrival_times(_socket: &UdpSocket) {}

/// Sends; `false` when the system did not take it.
pub(super) fn send(socket: &UdpSocket, to: SocketAddr, datagram: &[u8]) -> bool {
    socket.send_to(datagram, to).is_ok()
}

/// Takes datagrams into one buffer, over and over.
pub(super) struct Mailbox {
    datagram: [u8; DATAGRAM_MAX],
    #[cfg(target_os = "linux")]
    control: Vec<u8>,
    /// Both clocks, read together.
    clocks: Option<(Instant, DateTime<Utc>)>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            datagram: [0; DATAGRAM_MAX],
            #[cfg(target_os = "linux")]
            control: nix::cmsg_space!(nix::sys::time::TimeSpec),
            clocks: None,
        }
    }
}

impl Mailbox {
    /// What both clocks say now; the kernel's times are compared with them.
    pub(super) fn set_clocks(&mut self, now: Instant, wall: DateTime<Utc>) {
        self.clocks = Some((now, wall));
    }

    /// The next datagram, with the instant of its arrival and its source; `None` when there is none.
    #[cfg(target_os = "linux")]
    pub(super) fn take(&mut self, socket: &UdpSocket) -> Option<(Instant, SocketAddr, &[u8])> {
        use std::io::IoSliceMut;
        use std::os::fd::AsRawFd;

        use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

        let (now, wall) = self.clocks?;
        let mut parts = [IoSliceMut::new(&mut self.datagram)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let message =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut self.control), flags).ok()?;
        let mut arrival = now;
        for control in message.cmsgs().ok()? {
            if let ControlMessageOwned::ScmTimestampns(time) = control {
                arrival = now.checked_sub(waited(wall, time.tv_sec(), time.tv_nsec()))?;
            }
        }
        let source = message.address.as_ref().and_then(address)?;
        let len = message.bytes;
        Some((arrival, source, &self.datagram[..len]))
    }

    /// The next datagram, with the instant it is taken at and its source; `None` when there is none.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn take(&mut self, socket: &UdpSocket) -> Option<(Instant, SocketAddr, &[u8])> {
        let (now, _) = self.clocks?;
        let (len, source) = socket.recv_from(&mut self.datagram).ok()?;
        Some((now, source, &self.datagram[..len]))
    }
}

/// How long a datagram waited that arrived at this wall time.
#[cfg(target_os = "linux")]
fn waited(wall: DateTime<Utc>, seconds: i64, nanoseconds: i64) -> Duration {
    let arrival =
        u32::try_from(nanoseconds).ok().and_then(|nanoseconds| DateTime::from_timestamp(seconds, nanoseconds));
    let waited = arrival.and_then(|arrival| (wall - arrival).to_std().ok());
    waited.filter(|waited| *waited <= WAITED_MAX).unwrap_or_default()
}

#[cfg(target_os = "linux")]
fn address(storage: &nix::sys::socket::SockaddrStorage) -> Option<SocketAddr> {
    let four = storage.as_sockaddr_in().map(|four| SocketAddr::new(four.ip().into(), four.port()));
    four.or_else(|| storage.as_sockaddr_in6().map(|six| SocketAddr::new(six.ip().into(), six.port())))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_the_difference_of_the_walls_unless_the_clock_was_set() {
        let wall = DateTime::from_timestamp(1_000, 30_000_000).unwrap();
        assert_eq!(waited(wall, 1_000, 10_000_000), Duration::from_millis(20));
        assert_eq!(waited(wall, 999, 0), Duration::ZERO, "longer than a datagram can wait");
        assert_eq!(waited(wall, 2_000, 0), Duration::ZERO, "from the future");
    }
}
