//! Which UDP port a stream gets: the next free even one of the range, the odd one above it is RTCP's (RFC 3550 section 11).

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::{Domain, Protocol, Socket, Type};

/// Hands out sockets. Goes round the range, so that a port just left is not the next one taken: stragglers of the last
/// call find nobody.
#[derive(Debug)]
pub(super) struct Ports {
    /// First even port.
    first: u16,
    /// Even ports in the range; 0 means any port the system gives.
    count: u32,
    next: AtomicU32,
    dscp: u8,
}

impl Ports {
    pub(super) fn new((first, last): (u16, u16), dscp: u8) -> Self {
        let even = first.next_multiple_of(2);
        let count = if last == 0 || even > last { 0 } else { u32::from((last - even) / 2 + 1) };
        Self { first: even, count, next: AtomicU32::new(0), dscp: dscp & 63 }
    }

    pub(super) fn bind(&self, local_ip: IpAddr) -> io::Result<UdpSocket> {
        if self.count == 0 {
            return self.bind_to(SocketAddr::new(local_ip, 0));
        }
        for _ in 0..self.count {
            let index = self.next.fetch_add(1, Ordering::Relaxed) % self.count;
            let Ok(port) = u16::try_from(u32::from(self.first) + index * 2) else { continue };
            match self.bind_to(SocketAddr::new(local_ip, port)) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                done => return done,
            }
        }
        let last = u32::from(self.first) + self.count * 2 - 1;
        let message = format!("no RTP port of {}-{last} is free on {local_ip}; widen media.rtp_ports", self.first);
        Err(io::Error::new(io::ErrorKind::AddrInUse, message))
    }

    /// The port above a stream's, for its reports.
    pub(super) fn bind_beside(&self, socket: &UdpSocket) -> io::Result<UdpSocket> {
        let mut address = socket.local_addr()?;
        let beside = address.port().checked_add(1).ok_or(io::ErrorKind::AddrNotAvailable)?;
        address.set_port(beside);
        self.bind_to(address)
    }

    fn bind_to(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        let class = u32::from(self.dscp) << 2;
        let marked = if address.is_ipv4() { socket.set_tos_v4(class) } else { socket.set_tclass_v6(class) };
        if let Err(error) = marked {
            tracing::debug!(dscp = self.dscp, %error, "packets go out unmarked");
        }
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        super::socket::ask_for_arrival_times(&socket);
        Ok(socket)
    }
}

/// What the kernel keeps of a shared port's datagrams between two beats: two thousand calls' sound, several times over.
const SHARED_BUFFER_BYTES: usize = 8 << 20;

/// Asks for a buffer that holds many calls' sound; the system gives what it allows.
pub(super) fn widen(socket: &UdpSocket) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt::RcvBufForce, sockopt::SndBufForce};
        let widened = setsockopt(socket, RcvBufForce, &SHARED_BUFFER_BYTES);
        if widened.and_then(|()| setsockopt(socket, SndBufForce, &SHARED_BUFFER_BYTES)).is_ok() {
            return;
        }
    }
    let socket = socket2::SockRef::from(socket);
    let widened = socket.set_recv_buffer_size(SHARED_BUFFER_BYTES);
    if let Err(error) = widened.and_then(|()| socket.set_send_buffer_size(SHARED_BUFFER_BYTES)) {
        tracing::warn!(%error, "the shared media port has a small buffer: many calls at once may lose sound; raise net.core.rmem_max and wmem_max");
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn even_free_port() -> u16 {
        let any = Ports::new((0, 0), 0);
        loop {
            let port = any.bind(LOOPBACK).unwrap().local_addr().unwrap().port();
            if port.is_multiple_of(2) && port < 60_000 {
                return port;
            }
        }
    }

    #[test]
    fn ports_are_even_within_the_range_and_run_out_with_a_remedy() {
        let first = even_free_port();
        let ports = Ports::new((first - 1, first + 1), 46);
        let taken = ports.bind(LOOPBACK).unwrap();
        assert_eq!(taken.local_addr().unwrap().port(), first);
        let error = ports.bind(LOOPBACK).unwrap_err();
        assert!(error.to_string().contains("widen media.rtp_ports"), "{error}");
        assert_eq!(ports.bind_beside(&taken).unwrap().local_addr().unwrap().port(), first + 1);
        drop(taken);
        ports.bind(LOOPBACK).unwrap();
    }

    #[test]
    fn an_address_of_another_machine_is_an_error_at_once() {
        let error = Ports::new((20_000, 29_999), 46).bind(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }
}
