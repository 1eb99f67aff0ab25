//! The bare baselines: a UDP echo, which does everything that a mixer cannot leave out and nothing else.
//!
//! Both work on a beat of 20 ms, as a mixer does. One has a socket for each leg, and receives and sends packet by packet; the
//! other has one socket for all, and takes and gives up to a thousand at once. They run as processes of their own, so that
//! their processor time is read in the same way as a server's.

use std::io::{IoSlice, IoSliceMut, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use dialroom_host::Clock;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg, setsockopt, sockopt};

use super::options::LEGS_MAX;
use crate::children;

const BEAT: Duration = Duration::from_millis(20);
const DATAGRAM_MAX: usize = 1_500;
/// Datagrams taken at once from the one socket.
const BATCH: usize = 1_024;
/// Room in the kernel for the packets of a beat, should the system grant it.
const BUFFER_BYTES: usize = 8 << 20;

/// A bare UDP echo: what `dialroom bench` compares a server with
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EchoArgs {
    /// How it holds its legs
    #[arg(long, value_enum)]
    pub(super) style: Style,
    #[arg(long)]
    legs: usize,
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// End when standard input closes
    #[arg(long, hide = true)]
    with_parent: bool,
}

/// How an echo holds its legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Style {
    /// A socket a leg; a system call to receive and one to send each packet
    Sockets,
    /// One socket; many packets a system call
    Shared,
}

impl Style {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sockets => "sockets",
            Self::Shared => "shared",
        }
    }
}

/// Tells its ports on standard output, then echoes until it is ended.
///
/// # Errors
/// When a port cannot be had, or nobody reads what it tells.
pub(crate) fn run(arguments: &EchoArgs) -> anyhow::Result<()> {
    let EchoArgs { style, legs, address, with_parent } = *arguments;
    anyhow::ensure!((1..=LEGS_MAX).contains(&legs), "--legs {legs}: it takes 1 to {LEGS_MAX}");
    if with_parent {
        children::end_with_parent()?;
    }
    let bind = || -> anyhow::Result<UdpSocket> {
        let socket = UdpSocket::bind(SocketAddr::new(address, 0)).with_context(|| format!("a port on {address}"))?;
        socket.set_nonblocking(true).context("a socket that waits")?;
        Ok(socket)
    };
    match style {
        Style::Sockets => {
            let sockets = (0..legs).map(|_| bind()).collect::<anyhow::Result<Vec<_>>>()?;
            tell(sockets.iter())?;
            one_by_one(&sockets)
        }
        Style::Shared => {
            let socket = bind()?;
            // Beyond the system's bound only root may go; less room loses packets, which the table will show.
            if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES).is_err() {
                setsockopt(&socket, sockopt::RcvBuf, &BUFFER_BYTES).context("room for packets")?;
            }
            tell(std::iter::repeat_n(&socket, legs))?;
            many_at_once(&socket)
        }
    }
}

fn tell<'a>(sockets: impl Iterator<Item = &'a UdpSocket>) -> anyhow::Result<()> {
    let ports =
        sockets.map(|socket| socket.local_addr().map(|address| address.port())).collect::<Result<Vec<_>, _>>()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&ports)?)?;
    out.flush().context("nobody reads the ports")
}

fn one_by_one(sockets: &[UdpSocket]) -> anyhow::Result<()> {
    let poll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (place, socket) in (0..).zip(sockets) {
        poll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, place))?;
    }
    let mut ready = vec![EpollEvent::empty(); sockets.len()];
    let mut datagram = [0; DATAGRAM_MAX];
    for_ever(|| {
        // Whoever has two packets is ready again.
        loop {
            let count = poll.wait(&mut ready, EpollTimeout::ZERO).unwrap_or(0);
            for event in &ready[..count] {
                let socket = usize::try_from(event.data()).ok().and_then(|place| sockets.get(place));
                let Some(socket) = socket else { continue };
                if let Ok((len, from)) = socket.recv_from(&mut datagram) {
                    // What the system does not take, the table shows as lost.
                    let _ = socket.send_to(&datagram[..len], from);
                }
            }
            if count == 0 {
                return;
            }
        }
    })
}

fn many_at_once(socket: &UdpSocket) -> anyhow::Result<()> {
    let mut datagrams = vec![[0; DATAGRAM_MAX]; BATCH];
    let mut coming = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut going = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut from: Vec<Option<SockaddrStorage>> = Vec::with_capacity(BATCH);
    let mut lens: Vec<usize> = Vec::with_capacity(BATCH);
    for_ever(|| {
        loop {
            from.clear();
            lens.clear();
            let mut parts: Vec<_> = datagrams.iter_mut().map(|datagram| [IoSliceMut::new(datagram)]).collect();
            let got = recvmmsg(socket.as_raw_fd(), &mut coming, parts.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
            let Ok(got) = got else { return };
            for message in got {
                from.push(message.address);
                lens.push(message.bytes);
            }
            let parts: Vec<_> =
                datagrams.iter().zip(&lens).map(|(datagram, len)| [IoSlice::new(&datagram[..*len])]).collect();
            let mut sent = 0;
            while sent < parts.len() {
                let gone =
                    sendmmsg(socket.as_raw_fd(), &mut going, &parts[sent..], &from[sent..], [], MsgFlags::MSG_DONTWAIT);
                // One that the system does not take is left out.
                sent += gone.map_or(0, Iterator::count).max(1);
            }
            if lens.len() < BATCH {
                return;
            }
        }
    })
}

/// Does this on every beat; a late beat does not move the next one.
fn for_ever(mut beat: impl FnMut()) -> anyhow::Result<()> {
    let clock = Clock::real();
    let mut due = clock.instant();
    loop {
        beat();
        due += BEAT;
        wait_until(&clock, due);
    }
}

fn wait_until(clock: &Clock, due: Instant) {
    loop {
        let left = due.saturating_duration_since(clock.instant());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}
