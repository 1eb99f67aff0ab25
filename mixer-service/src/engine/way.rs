//! The way between one stream's socket and its far end. Once the far end has kept to the address that its description names,
//! the socket is connected to it: the kernel then looks up no route for each datagram (an eighth of what sending costs), and
//! drops what strangers send before anybody has to look at it. Silence opens it again, well before a far end that has moved
//! would be believed.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use mixer_media::Remote;

use super::socket::send;

/// Beats on which all came from one address until the socket is connected to it: 2 s.
const STEADY_BEATS: u8 = 100;
/// Beats without anything until it is open again: 300 ms. A moved far end is believed 500 ms after its old address fell
/// silent, if a few of its packets have come by then.
const QUIET_BEATS: u8 = 15;

/// How a socket stands to its far end.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// The only address that it may be connected to.
    described: Option<SocketAddr>,
    source: Option<SocketAddr>,
    /// Beats on which that source was heard, and no other.
    steady: u8,
    /// Beats since anything came.
    quiet: u8,
    connected: Option<SocketAddr>,
}

impl Way {
    /// The far end was described, or described anew: everybody is listened to again. A call with SRTP stays so, for there a
    /// packet that proves itself may come from anywhere.
    pub(super) fn describe(&mut self, socket: &UdpSocket, remote: &Remote) {
        self.open(socket);
        *self = Self { described: remote.srtp.is_none().then_some(remote.address), ..Self::default() };
    }

    /// A datagram came.
    pub(super) fn heard(&mut self, source: SocketAddr) {
        if self.source != Some(source) {
            self.source = Some(source);
            self.steady = 0;
        }
    }

    /// A beat has taken so many datagrams.
    pub(super) fn beat(&mut self, socket: &UdpSocket, taken: usize) {
        if taken > 0 {
            self.quiet = 0;
            self.steady = self.steady.saturating_add(1);
            return;
        }
        self.quiet = self.quiet.saturating_add(1);
        if self.quiet >= QUIET_BEATS {
            self.open(socket);
        }
    }

    /// Sends; `false` when the system did not take it.
    pub(super) fn send(&mut self, socket: &UdpSocket, to: SocketAddr, datagram: &[u8]) -> bool {
        if self.connected != Some(to) && !self.connect(socket, to) {
            return send(socket, to, datagram);
        }
        match socket.send(datagram) {
            Ok(_) => true,
            // What is told is that an earlier datagram found nobody; this one was not sent.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => socket.send(datagram).is_ok(),
            Err(_) => false,
        }
    }

    fn connect(&mut self, socket: &UdpSocket, to: SocketAddr) -> bool {
        self.open(socket);
        let is_known = self.steady >= STEADY_BEATS && self.source == Some(to) && self.described == Some(to);
        let connected = is_known && socket.connect(to).is_ok();
        self.connected = connected.then_some(to);
        connected
    }

    fn open(&mut self, socket: &UdpSocket) {
        if self.connected.take().is_some() {
            self.steady = 0;
            if let Err(error) = rustix::net::connect_unspec(socket) {
                tracing::warn!(%error, "a call's socket stays connected to where its far end was");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use mixer_media::Codec;

    use super::*;

    fn socket() -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    /// Our socket on a port that it was given, as the engine's are: one that the kernel chose is lost when it is opened again.
    fn our_socket() -> UdpSocket {
        (20_000..32_000).find_map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()).unwrap()
    }

    struct World {
        way: Way,
        ours: UdpSocket,
        far_end: UdpSocket,
        stranger: UdpSocket,
    }

    impl World {
        fn new() -> Self {
            let (mut way, ours, far_end) = (Way::default(), our_socket(), socket());
            ours.set_nonblocking(true).unwrap();
            way.describe(&ours, &Remote::plain(far_end.local_addr().unwrap(), Codec::ALaw));
            Self { way, ours, far_end, stranger: socket() }
        }

        /// Beats on which the far end sends a packet and is sent one.
        fn talk(&mut self, beats: u8) {
            let to = self.far_end.local_addr().unwrap();
            for _ in 0..beats {
                self.way.heard(to);
                self.way.beat(&self.ours, 1);
                assert!(self.way.send(&self.ours, to, b"sound"));
                assert!(self.far_end.recv(&mut [0; 9]).is_ok());
            }
        }

        fn hears(&self, from: &UdpSocket) -> bool {
            from.send_to(b"hello", self.ours.local_addr().unwrap()).unwrap();
            self.ours.recv_from(&mut [0; 9]).is_ok()
        }
    }

    #[test]
    fn who_keeps_to_his_address_is_the_only_one_heard_until_he_is_silent() {
        let mut world = World::new();
        world.talk(STEADY_BEATS - 1);
        assert!(world.hears(&world.stranger), "nobody is shut out at the beginning");
        world.talk(1);
        assert!(!world.hears(&world.stranger) && world.hears(&world.far_end));
        for _ in 1..QUIET_BEATS {
            world.way.beat(&world.ours, 0);
        }
        assert!(!world.hears(&world.stranger));
        world.way.beat(&world.ours, 0);
        assert!(world.hears(&world.stranger) && world.hears(&world.far_end));
    }

    #[test]
    fn a_new_description_opens_it_and_another_address_is_sent_to() {
        let mut world = World::new();
        world.talk(STEADY_BEATS);
        let moved = socket();
        assert!(world.way.send(&world.ours, moved.local_addr().unwrap(), b"sound"));
        assert!(moved.recv(&mut [0; 9]).is_ok() && world.hears(&world.stranger));
        world.talk(STEADY_BEATS);
        world.way.describe(&world.ours, &Remote::plain(moved.local_addr().unwrap(), Codec::ALaw));
        assert!(world.hears(&moved));
    }

    #[test]
    fn it_is_not_connected_to_where_a_translator_sends_from() {
        let mut world = World::new();
        world.way.describe(&world.ours, &Remote::plain(([192, 0, 2, 1], 4000).into(), Codec::ALaw));
        world.talk(200);
        assert!(world.hears(&world.stranger));
    }

    #[test]
    fn one_who_is_gone_for_a_moment_costs_no_datagram() {
        let mut world = World::new();
        world.talk(STEADY_BEATS);
        let to = world.far_end.local_addr().unwrap();
        world.far_end = socket();
        assert!(world.way.send(&world.ours, to, b"into nothing"));
        let back = UdpSocket::bind(to).unwrap();
        back.set_nonblocking(true).unwrap();
        assert!(world.way.send(&world.ours, to, b"sound"));
        assert_eq!(back.recv(&mut [0; 9]).unwrap(), 5);
    }
}
