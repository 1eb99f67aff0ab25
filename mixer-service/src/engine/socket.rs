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

    /// How long before the clocks were read that was.
    pub(super) fn age(&self, arrival: Instant) -> Duration {
        self.clocks.map_or(Duration::ZERO, |(now, _)| now.saturating_duration_since(arrival))
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
                arrival = arrived(now, wall, time.tv_sec(), time.tv_nsec());
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

/// Datagrams that pass the kernel together.
pub(super) const BATCH: usize = 64;

/// Datagrams taken together, over and over into the same memory.
pub(super) struct Batch {
    datagrams: Box<[[u8; DATAGRAM_MAX]; BATCH]>,
    taken: Vec<(Instant, SocketAddr, usize)>,
    #[cfg(target_os = "linux")]
    headers: nix::sys::socket::MultiHeaders<nix::sys::socket::SockaddrStorage>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            datagrams: Box::new([[0; DATAGRAM_MAX]; BATCH]),
            taken: Vec::with_capacity(BATCH),
            #[cfg(target_os = "linux")]
            headers: fresh_headers(),
        }
    }
}

#[cfg(target_os = "linux")]
fn fresh_headers() -> nix::sys::socket::MultiHeaders<nix::sys::socket::SockaddrStorage> {
    nix::sys::socket::MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(nix::sys::time::TimeSpec)))
}

impl Batch {
    /// Takes what has come, [`BATCH`] at most; `true` when there may be more.
    #[cfg(target_os = "linux")]
    pub(super) fn take(&mut self, socket: &UdpSocket, (now, wall): (Instant, DateTime<Utc>)) -> bool {
        use std::io::IoSliceMut;
        use std::os::fd::AsRawFd;

        use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmmsg};

        self.taken.clear();
        let mut parts = self.datagrams.each_mut().map(|datagram| [IoSliceMut::new(datagram)]);
        let handle = socket.as_raw_fd();
        let mut without_time = false;
        if let Ok(messages) = recvmmsg(handle, &mut self.headers, parts.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            for message in messages {
                let mut arrival = None;
                for control in message.cmsgs().into_iter().flatten() {
                    if let ControlMessageOwned::ScmTimestampns(time) = control {
                        arrival = Some(arrived(now, wall, time.tv_sec(), time.tv_nsec()));
                    }
                }
                without_time |= arrival.is_none();
                // One without a source cannot be; if it comes all the same, it counts as empty.
                let source = message.address.as_ref().and_then(address);
                let len = if source.is_some() { message.bytes } else { 0 };
                self.taken.push((arrival.unwrap_or(now), source.unwrap_or_else(|| ([0; 4], 0).into()), len));
            }
        }
        if without_time {
            // The kernel has shortened the room for the next time.
            self.headers = fresh_headers();
        }
        self.taken.len() == BATCH
    }

    /// Takes what has come, [`BATCH`] at most; `true` when there may be more.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn take(&mut self, socket: &UdpSocket, (now, _): (Instant, DateTime<Utc>)) -> bool {
        self.taken.clear();
        for datagram in self.datagrams.iter_mut() {
            match socket.recv_from(datagram) {
                Ok((len, source)) => self.taken.push((now, source, len)),
                Err(_) => break,
            }
        }
        self.taken.len() == BATCH
    }

    /// How many were taken last.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    /// What was taken last, each with the instant of its arrival and its source.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (Instant, SocketAddr, &[u8])> {
        let taken = self.taken.iter().zip(self.datagrams.iter());
        taken.map(|((arrival, source, len), datagram)| (*arrival, *source, &datagram[..*len]))
    }
}

/// Datagrams that leave together, packed one behind the other.
pub(super) struct Bundle {
    bytes: Box<[u8; BATCH * DATAGRAM_MAX]>,
    /// Where each datagram ends.
    ends: Vec<usize>,
    #[cfg(target_os = "linux")]
    to: Vec<Option<nix::sys::socket::SockaddrStorage>>,
    #[cfg(target_os = "linux")]
    headers: nix::sys::socket::MultiHeaders<nix::sys::socket::SockaddrStorage>,
    #[cfg(not(target_os = "linux"))]
    to: Vec<Option<SocketAddr>>,
}

impl Default for Bundle {
    fn default() -> Self {
        Self {
            bytes: Box::new([0; BATCH * DATAGRAM_MAX]),
            ends: Vec::with_capacity(BATCH),
            to: Vec::with_capacity(BATCH),
            #[cfg(target_os = "linux")]
            headers: nix::sys::socket::MultiHeaders::preallocate(BATCH, None),
        }
    }
}

impl Bundle {
    /// Adds one; `true` when it is full. One that is too long, or one too many, is left out.
    pub(super) fn add(&mut self, to: SocketAddr, datagram: &[u8]) -> bool {
        let start = self.ends.last().copied().unwrap_or(0);
        let end = start + datagram.len();
        let place =
            self.bytes.get_mut(start..end).filter(|_| self.ends.len() < BATCH && datagram.len() <= DATAGRAM_MAX);
        if let Some(place) = place {
            place.copy_from_slice(datagram);
            self.ends.push(end);
            self.to.push(Some(to.into()));
        }
        self.ends.len() == BATCH
    }

    /// Sends all of them; gives how many the system did not take.
    #[cfg(target_os = "linux")]
    pub(super) fn send(&mut self, socket: &UdpSocket) -> usize {
        use std::io::IoSlice;
        use std::os::fd::AsRawFd;

        use nix::sys::socket::{MsgFlags, sendmmsg};

        let (mut at, mut unsent) = (0, 0);
        let Self { bytes, ends, to, headers } = self;
        while at < ends.len() {
            let count = ends.len() - at;
            let parts: [[IoSlice<'_>; 1]; BATCH] =
                std::array::from_fn(|n| [IoSlice::new(packed(&bytes[..], ends, at + n))]);
            let (to, flags) = (&to[at..], MsgFlags::MSG_DONTWAIT);
            let sent = sendmmsg(socket.as_raw_fd(), headers, &parts[..count], to, [], flags);
            let sent = sent.map_or(0, Iterator::count);
            at += sent;
            if sent < count {
                // The one at which it stopped is lost, as on a full line; those behind it go on.
                at += 1;
                unsent += 1;
            }
        }
        ends.clear();
        to.clear();
        unsent
    }

    /// Sends all of them; gives how many the system did not take.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn send(&mut self, socket: &UdpSocket) -> usize {
        let unsent =
            |n: &usize| !self.to[*n].is_some_and(|to| send(socket, to, packed(&self.bytes[..], &self.ends, *n)));
        let unsent = (0..self.ends.len()).filter(unsent).count();
        self.ends.clear();
        self.to.clear();
        unsent
    }
}

/// Of datagrams that are packed one behind the other and end there, the `n`-th.
fn packed<'a>(bytes: &'a [u8], ends: &[usize], n: usize) -> &'a [u8] {
    let start = n.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(n).and_then(|&end| bytes.get(start..end)).unwrap_or_default()
}

/// The instant of this wall time, where both clocks were read together; also a moment later than that, for a beat takes its
/// time. Far from it a clock was set, and the datagram counts as just come.
#[cfg(target_os = "linux")]
fn arrived(now: Instant, wall: DateTime<Utc>, seconds: i64, nanoseconds: i64) -> Instant {
    let (read, nanos) = (wall.timestamp(), i64::from(wall.timestamp_subsec_nanos()));
    let waited = read.saturating_sub(seconds).saturating_mul(1_000_000_000).saturating_add(nanos - nanoseconds);
    let far = Duration::from_nanos(waited.unsigned_abs());
    let arrival = if waited < 0 { now.checked_add(far) } else { now.checked_sub(far) };
    arrival.filter(|_| far <= WAITED_MAX).unwrap_or(now)
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
    fn an_arrival_is_as_far_from_now_as_the_walls_say_unless_the_clock_was_set() {
        let (now, ms) = (dialroom_host::Clock::real().instant(), Duration::from_millis);
        let wall = DateTime::from_timestamp(1_000, 30_000_000).unwrap();
        assert_eq!(arrived(now, wall, 1_000, 10_000_000), now - ms(20));
        assert_eq!(arrived(now, wall, 999, 990_000_000), now - ms(40), "in the second before");
        assert_eq!(arrived(now, wall, 1_000, 33_000_000), now + ms(3), "while the beat went on");
        assert_eq!(arrived(now, wall, 999, 0), now, "longer than a datagram can wait");
        assert_eq!(arrived(now, wall, 2_000, 0), now, "from the future");
        assert_eq!(arrived(now, wall, i64::MIN, 0), now, "nonsense");
    }
}
