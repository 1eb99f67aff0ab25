//! SIP over UDP (RFC 3261 section 18): sockets, datagrams taken in batches, datagrams sent.
//!
//! A socket that listens on all addresses is many flows, one for each address of ours: an answer has to leave by the address
//! that was asked, and our Contact has to name it.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mixer_signalling::FlowId;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

/// Datagrams taken from one socket before others have their turn.
pub(super) const BATCH: usize = 32;
/// No datagram is longer (RFC 768, RFC 791).
const DATAGRAM_MAX: usize = 65_536;
/// What the kernel keeps for us while we are busy: enough for a tenth of a second of a flood. It is the kernel's memory,
/// and in use only while it is full.
const RECEIVE_BUFFER: usize = 8 << 20;
/// TCP connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// With port 0 the system picks the port for TCP, and UDP may have it taken; then we try the next.
const PORT_ATTEMPTS: usize = 32;
/// Addresses of ours that one socket tells apart; whoever has more, answers from the first.
const MAX_ADDRESSES: usize = 64;

/// A socket that datagrams pass.
#[derive(Debug)]
pub(super) struct DatagramSocket {
    socket: UdpSocket,
    bound: SocketAddr,
    /// Our addresses on it; the first is the one that leads to most others.
    flows: Vec<(IpAddr, FlowId)>,
}

impl DatagramSocket {
    /// `flow` numbers what each address of ours on this socket is known by.
    pub(super) fn new(socket: UdpSocket, mut flow: impl FnMut() -> FlowId) -> io::Result<Self> {
        let bound = socket.local_addr()?;
        if bound.ip().is_unspecified() {
            ask_for_destinations(&socket, bound);
        }
        let flows = addresses_of(bound.ip()).into_iter().take(MAX_ADDRESSES).map(|ip| (ip, flow())).collect();
        Ok(Self { socket, bound, flows })
    }

    /// Each address of ours on it, and its flow.
    pub(super) fn flows(&self) -> impl Iterator<Item = (SocketAddr, FlowId)> {
        self.flows.iter().map(|(ip, flow)| (SocketAddr::new(*ip, self.bound.port()), *flow))
    }

    /// The flow of a datagram that was sent to this address of ours; `None`: one that nobody has told of yet.
    pub(super) fn flow_at(&self, destination: Option<IpAddr>) -> Option<FlowId> {
        let named = destination.filter(|_| self.bound.ip().is_unspecified());
        match named {
            Some(ip) => self.flows.iter().find(|(ours, _)| *ours == ip).map(|(_, flow)| *flow),
            None => self.flows.first().map(|(_, flow)| *flow),
        }
    }

    /// Takes note of an address of ours that came up later; false at the bound.
    pub(super) fn note(&mut self, ip: IpAddr, flow: FlowId) -> bool {
        let room = self.flows.len() < MAX_ADDRESSES;
        if room {
            self.flows.push((ip, flow));
        }
        room
    }

    /// The port it is bound to.
    pub(super) fn port(&self) -> u16 {
        self.bound.port()
    }

    /// Sends by one of its flows; `None` if it is none of them, else whether the system took it. What is lost so is
    /// repeated by whoever misses it.
    pub(super) fn send(&self, flow: FlowId, to: SocketAddr, bytes: &[u8]) -> Option<bool> {
        let (ip, _) = self.flows.iter().find(|(_, ours)| *ours == flow)?;
        let on_all = self.bound.ip().is_unspecified();
        Some(if on_all { send_from(&self.socket, *ip, to, bytes) } else { self.socket.send_to(bytes, to).is_ok() })
    }
}

/// Binds one address for TCP and UDP, on the same port.
///
/// # Errors
/// When either is taken.
pub(super) fn bind_both(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let tcp = bind_stream(address)?;
        match bind_datagram(SocketAddr::new(address.ip(), tcp.local_addr()?.port())) {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) if address.port() != 0 || attempt == PORT_ATTEMPTS => return Err(error),
            Err(_) => {}
        }
    }
}

fn bind_datagram(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    keep_families_apart(&socket, address)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    widen(&socket);
    Ok(socket.into())
}

/// Binds one address for streams alone.
///
/// # Errors
/// When it is taken.
pub(super) fn bind_stream(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    keep_families_apart(&socket, address)?;
    // A restart must not wait for the last connections of the old program.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// An IPv6 socket takes IPv6 alone: sources then have one spelling, and `0.0.0.0` may be listened on beside `[::]`.
fn keep_families_apart(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() { socket.set_only_v6(true) } else { Ok(()) }
}

/// Asks for the large buffer; the system gives what it allows.
fn widen(socket: &Socket) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
        if setsockopt(socket, RcvBufForce, &RECEIVE_BUFFER).is_ok() {
            return;
        }
    }
    if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER) {
        tracing::debug!(%error, "the receive buffer stays small");
    }
}

/// The addresses that a socket bound to this one has; for a wildcard all of the machine, the one of the default route first.
pub(super) fn addresses_of(bound: IpAddr) -> Vec<IpAddr> {
    if !bound.is_unspecified() {
        return vec![bound];
    }
    let same_family = |ip: &IpAddr| ip.is_ipv4() == bound.is_ipv4() && !is_link_local(*ip);
    let mut all: Vec<IpAddr> = interface_addresses().into_iter().filter(same_family).collect();
    let first = default_address(bound.is_ipv4());
    all.sort_by_key(|ip| (Some(*ip) != first, ip.is_loopback(), *ip));
    all.dedup();
    if all.is_empty() {
        all.push(first.unwrap_or(bound));
    }
    all
}

/// An address that is none without the name of an interface: it can stand in no Contact.
const fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(six) => six.is_unicast_link_local(),
    }
}

fn interface_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    interfaces.filter_map(|interface| address(&interface.address?).map(|address| address.ip())).collect()
}

/// Our address on the way to most others.
fn default_address(v4: bool) -> Option<IpAddr> {
    let (any, elsewhere): (SocketAddr, SocketAddr) = if v4 {
        (([0; 4], 0).into(), ([192, 0, 2, 1], 9).into())
    } else {
        (([0u16; 8], 0).into(), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into())
    };
    let probe = UdpSocket::bind(any).ok()?;
    // Sends nothing: the system only picks the address that leads there.
    probe.connect(elsewhere).ok()?;
    Some(probe.local_addr().ok()?.ip())
}

/// What a batch brought.
#[derive(Clone, Copy, Debug)]
struct Taken {
    source: SocketAddr,
    /// Which address of ours it was sent to, where the system says.
    destination: Option<IpAddr>,
    len: usize,
}

/// Takes datagrams into the same memory, over and over.
#[derive(Debug)]
pub(super) struct Mailbox {
    datagrams: Vec<Vec<u8>>,
    taken: Vec<Taken>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { datagrams: vec![vec![0; DATAGRAM_MAX]; BATCH], taken: Vec::with_capacity(BATCH) }
    }
}

impl Mailbox {
    /// Takes what has come, one batch at most; gives how many.
    #[cfg(target_os = "linux")]
    pub(super) fn take(&mut self, socket: &DatagramSocket) -> usize {
        use std::io::IoSliceMut;
        use std::os::fd::AsRawFd;

        use nix::libc::in6_pktinfo;
        use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

        self.taken.clear();
        let mut parts: Vec<[IoSliceMut<'_>; 1]> =
            self.datagrams.iter_mut().map(|datagram| [IoSliceMut::new(datagram)]).collect();
        // The kernel shortens what it finds in these, so that each batch needs new ones.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(nix::cmsg_space!(in6_pktinfo)));
        let handle = socket.socket.as_raw_fd();
        if let Ok(messages) = recvmmsg(handle, &mut headers, parts.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            self.taken.extend(messages.map(|message| {
                let source = message.address.as_ref().and_then(address);
                // A datagram without a source cannot be; if one comes all the same, it counts as empty.
                let len = if source.is_some() { message.bytes } else { 0 };
                let destination = message.cmsgs().ok().and_then(|mut controls| controls.find_map(destination));
                Taken { source: source.unwrap_or_else(|| ([0; 4], 0).into()), destination, len }
            }));
        }
        self.taken.len()
    }

    /// Takes what has come, one batch at most; gives how many.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn take(&mut self, socket: &DatagramSocket) -> usize {
        self.taken.clear();
        for datagram in &mut self.datagrams {
            match socket.socket.recv_from(datagram) {
                Ok((len, source)) => self.taken.push(Taken { source, destination: None, len }),
                Err(_) => break,
            }
        }
        self.taken.len()
    }

    /// The datagrams that were taken last: from where, to which address of ours, what.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, Option<IpAddr>, &[u8])> {
        let taken = self.taken.iter().zip(&self.datagrams);
        taken.map(|(taken, datagram)| (taken.source, taken.destination, &datagram[..taken.len]))
    }
}

fn address(storage: &nix::sys::socket::SockaddrStorage) -> Option<SocketAddr> {
    let four = storage.as_sockaddr_in().map(|four| SocketAddr::new(four.ip().into(), four.port()));
    four.or_else(|| storage.as_sockaddr_in6().map(|six| SocketAddr::new(six.ip().into(), six.port())))
}

/// Asks the kernel to say which address of ours each datagram was sent to.
#[cfg(target_os = "linux")]
fn ask_for_destinations(socket: &UdpSocket, bound: SocketAddr) {
    use nix::sys::socket::{setsockopt, sockopt};
    let asked = if bound.is_ipv4() {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)
    } else {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)
    };
    if let Err(error) = asked {
        tracing::debug!(%error, "all datagrams count as sent to our first address");
    }
}

/// Elsewhere all datagrams count as sent to our first address.
#[cfg(not(target_os = "linux"))]
fn ask_for_destinations(_socket: &UdpSocket, _bound: SocketAddr) {}

#[cfg(target_os = "linux")]
fn destination(control: nix::sys::socket::ControlMessageOwned) -> Option<IpAddr> {
    use nix::sys::socket::ControlMessageOwned;
    match control {
        // The address that an answer should come from; of a broadcast it is not the one in the header.
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes())),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    }
}

#[cfg(target_os = "linux")]
fn send_from(socket: &UdpSocket, from: IpAddr, to: SocketAddr, bytes: &[u8]) -> bool {
    use std::io::IoSlice;
    use std::os::fd::AsRawFd;

    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

    let (four, six);
    let control = match from {
        IpAddr::V4(ip) => {
            let none = in_addr { s_addr: 0 };
            let source = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
            four = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: none };
            ControlMessage::Ipv4PacketInfo(&four)
        }
        IpAddr::V6(ip) => {
            six = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
            ControlMessage::Ipv6PacketInfo(&six)
        }
    };
    let to = SockaddrStorage::from(to);
    let parts = [IoSlice::new(bytes)];
    sendmsg(socket.as_raw_fd(), &parts, &[control], MsgFlags::MSG_DONTWAIT, Some(&to)).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn send_from(socket: &UdpSocket, _from: IpAddr, to: SocketAddr, bytes: &[u8]) -> bool {
    socket.send_to(bytes, to).is_ok()
}

/// The thread steps back behind the one that mixes: a flood may cost calls in set-up time, never running ones their sound.
/// Where the system knows no priority of a single thread, nothing changes.
pub(super) fn step_back() {
    #[cfg(target_os = "linux")]
    {
        /// Enough to be second, little enough to have its turn on a busy machine.
        const NICE: i32 = 5;
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "the signalling thread keeps its priority");
        }
    }
}

/// Waits until a socket or the bell has something, or this long, rounded up to a whole millisecond.
pub(super) fn wait(sockets: &[DatagramSocket], bell: &UnixStream, patience: Option<Duration>) {
    let mut handles: Vec<PollFd<'_>> =
        sockets.iter().map(|socket| PollFd::new(socket.socket.as_fd(), PollFlags::POLLIN)).collect();
    handles.push(PollFd::new(bell.as_fd(), PollFlags::POLLIN));
    let patience = patience.map_or(PollTimeout::NONE, |patience| {
        let ms = i32::try_from(patience.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
        PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX)
    });
    // An interrupted wait is one more look.
    let _ = poll(&mut handles, patience);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(address: &str) -> DatagramSocket {
        let (udp, _tcp) = bind_both(address.parse().unwrap()).unwrap();
        let mut next = 0;
        DatagramSocket::new(udp, || {
            next += 1;
            FlowId(next)
        })
        .unwrap()
    }

    #[test]
    fn a_batch_keeps_each_datagram_with_its_source() {
        let ours = socket("127.0.0.1:0");
        let senders: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for (n, sender) in senders.iter().enumerate() {
            sender.send_to(&vec![b'a'; n * 30_000], ours.bound).unwrap();
        }
        let mut mailbox = Mailbox::default();
        assert_eq!(mailbox.take(&ours), 3);
        let got: Vec<(SocketAddr, usize)> = mailbox.datagrams().map(|(from, _, bytes)| (from, bytes.len())).collect();
        let sent: Vec<(SocketAddr, usize)> =
            senders.iter().enumerate().map(|(n, sender)| (sender.local_addr().unwrap(), n * 30_000)).collect();
        assert_eq!(got, sent);
        assert_eq!(mailbox.take(&ours), 0);
    }

    #[test]
    fn both_transports_share_a_port_and_both_families_an_address() {
        let (udp, tcp) = bind_both("0.0.0.0:0".parse().unwrap()).unwrap();
        let port = udp.local_addr().unwrap().port();
        assert_eq!(tcp.local_addr().unwrap().port(), port);
        bind_both(SocketAddr::from(([0u16; 8], port))).expect("IPv6 beside IPv4");
        assert!(bind_both(udp.local_addr().unwrap()).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_socket_on_all_addresses_answers_from_the_one_that_was_asked() {
        let mut ours = socket("0.0.0.0:0");
        assert!(ours.flows().all(|(address, _)| !address.ip().is_unspecified()), "{ours:?}");
        let asked: SocketAddr = (IpAddr::from([127, 0, 0, 7]), ours.port()).into();
        let hand = UdpSocket::bind("127.0.0.1:0").unwrap();
        hand.send_to(b"OPTIONS", asked).unwrap();
        let mut mailbox = Mailbox::default();
        assert_eq!(mailbox.take(&ours), 1);
        let (source, destination, _) = mailbox.datagrams().next().unwrap();
        assert_eq!((source, destination), (hand.local_addr().unwrap(), Some(asked.ip())));
        assert_eq!(ours.flow_at(destination), None);
        assert!(ours.note(asked.ip(), FlowId(99)));
        assert_eq!(ours.flow_at(destination), Some(FlowId(99)));
        assert_eq!(ours.send(FlowId(99), source, b"SIP/2.0"), Some(true));
        let (_, from) = hand.recv_from(&mut [0; 16]).unwrap();
        assert_eq!(from, asked);
        assert_eq!(ours.send(FlowId(1_000), source, b""), None);
    }
}
