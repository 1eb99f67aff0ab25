//! One port for all calls of a telephone system: datagrams are told apart by where they come from, and pass the kernel in
//! batches. It saves two system calls a leg and beat, and asks that each call has a port of its own at the far end.

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use chrono::{DateTime, Utc};
use mixer_media::{Bridge, Input, StreamId};
use rustc_hash::FxHashMap;

use super::metrics::Counters;
use super::socket::{Batch, Bundle};

/// Datagrams taken from one port on one beat: four from each of two thousand calls. A flood beyond waits in the kernel, whose
/// own bound drops it.
const DATAGRAMS_PER_BEAT_MAX: usize = 8_192;

/// A port that calls share, and the one above it for their reports.
pub(super) struct SharedPort {
    sound: UdpSocket,
    reports: Option<UdpSocket>,
    far_ends: FxHashMap<SocketAddr, StreamId>,
    far_reports: FxHashMap<SocketAddr, StreamId>,
    batch: Batch,
    bundle: Bundle,
}

impl SharedPort {
    pub(super) fn new(sound: UdpSocket, reports: Option<UdpSocket>) -> Self {
        let (far_ends, far_reports) = (FxHashMap::default(), FxHashMap::default());
        Self { sound, reports, far_ends, far_reports, batch: Batch::default(), bundle: Bundle::default() }
    }

    /// A stream talks to this address from here on, and to no other; `false` when another stream does already.
    pub(super) fn connect(&mut self, id: StreamId, sound: SocketAddr, reports: Option<SocketAddr>) -> bool {
        self.disconnect(id);
        let ours = *self.far_ends.entry(sound).or_insert(id) == id;
        if let Some(reports) = reports.filter(|_| ours) {
            self.far_reports.insert(reports, id);
        }
        ours
    }

    /// A stream is gone.
    pub(super) fn disconnect(&mut self, id: StreamId) {
        self.far_ends.retain(|_, stream| *stream != id);
        self.far_reports.retain(|_, stream| *stream != id);
    }

    /// Hands all that came to the streams it is for; with `rarely`, their reports too.
    pub(super) fn receive(
        &mut self,
        clocks: (Instant, DateTime<Utc>),
        rarely: bool,
        bridge: &mut Bridge,
        counters: &Counters,
    ) {
        let Self { sound, reports, far_ends, far_reports, batch, .. } = self;
        let mut taken = 0;
        while taken < DATAGRAMS_PER_BEAT_MAX {
            let more = batch.take(sound, clocks);
            for (arrival, source, datagram) in batch.datagrams() {
                match far_ends.get(&source) {
                    Some(&id) => bridge.handle(arrival, Input::Datagram(id, source, datagram)),
                    None => counters.stray_packet(),
                }
            }
            taken += batch.len();
            if !more {
                break;
            }
        }
        let Some(reports) = reports.as_ref().filter(|_| rarely) else { return };
        batch.take(reports, clocks);
        for (arrival, source, datagram) in batch.datagrams() {
            if let Some(&id) = far_reports.get(&source) {
                bridge.handle(arrival, Input::Rtcp(id, source, datagram));
            }
        }
    }

    /// Puts a datagram to those that leave together.
    pub(super) fn send(&mut self, to: SocketAddr, datagram: &[u8], counters: &Counters) {
        if self.bundle.add(to, datagram) {
            self.flush(counters);
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self, counters: &Counters) {
        let unsent = self.bundle.send(&self.sound);
        (0..unsent).for_each(|_| counters.unsent_packet());
    }

    /// Sends a report.
    pub(super) fn send_report(&self, to: SocketAddr, datagram: &[u8]) -> bool {
        self.reports.as_ref().is_some_and(|socket| super::socket::send(socket, to, datagram))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_belongs_to_one_stream_until_that_is_gone() {
        let mut port = SharedPort::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), None);
        let at = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        assert!(port.connect(StreamId(1), at(4000), Some(at(4001))));
        assert!(!port.connect(StreamId(2), at(4000), Some(at(4001))), "two calls cannot come from one port");
        assert!(port.connect(StreamId(1), at(5000), None), "it moves");
        assert_eq!((port.far_ends.len(), port.far_reports.len()), (1, 0));
        assert!(port.connect(StreamId(2), at(4000), None));
        port.disconnect(StreamId(1));
        assert!(port.connect(StreamId(3), at(5000), None));
    }
}
