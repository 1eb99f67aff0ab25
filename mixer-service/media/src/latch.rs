//! Whose packets are heard, and where ours go: symmetric RTP by a strict rule.
//!
//! SDP names one address, and it always wins. Behind an address translator the caller's packets come from another one;
//! learning that one is how strangers got into calls (AST-2017-005, CVE-2025-53399), so it is learned only while the known
//! address is silent, and only from packets that go on like one stream.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::rtp::Packet;

/// The known address must have been silent for this long before another one is considered.
pub(crate) const SILENCE: Duration = Duration::from_millis(500);
/// So many packets in a row, of one source and SSRC with following sequence numbers, make a candidate the far end.
pub(crate) const CONSISTENT_PACKETS: u32 = 8;
/// A following sequence number lies at most this far ahead: one second of 10 ms packets lost.
const SEQUENCE_AHEAD_MAX: u16 = 100;

/// Decides for each packet whether its source is the far end.
#[derive(Clone, Debug)]
pub(crate) struct Latch {
    described: SocketAddr,
    current: SocketAddr,
    /// When the current address was last heard; the instant of connecting until then.
    heard: Instant,
    /// SSRC and sequence number of the last packet accepted.
    last: Option<(u32, u16)>,
    candidate: Option<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    packets: u32,
}

impl Latch {
    /// Expects packets from the address that SDP describes.
    #[must_use]
    pub(crate) fn new(now: Instant, described: SocketAddr) -> Self {
        Self { described, current: described, heard: now, last: None, candidate: None }
    }

    /// Where to send.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.current
    }

    /// Whether this packet comes from the far end. May make its source the far end.
    pub(crate) fn accept(&mut self, now: Instant, source: SocketAddr, packet: &Packet<'_>) -> bool {
        let known = source == self.current || source == self.described;
        if !known && !self.convinced(now, source, packet) {
            return false;
        }
        self.current = source;
        self.heard = now;
        self.last = Some((packet.ssrc, packet.sequence));
        self.candidate = None;
        true
    }

    fn convinced(&mut self, now: Instant, source: SocketAddr, packet: &Packet<'_>) -> bool {
        if now.saturating_duration_since(self.heard) < SILENCE {
            self.candidate = None;
            return false;
        }
        let packets = match self.candidate {
            Some(candidate) if candidate.source == source => {
                let goes_on = follows((candidate.ssrc, candidate.sequence), packet);
                1 + u32::from(goes_on) * candidate.packets
            }
            // One candidate at a time: a second stranger cannot push the first aside while both send.
            Some(_) => {
                self.candidate = None;
                return false;
            }
            None => 1,
        };
        if packets == 1 && self.last.is_some_and(|last| !follows(last, packet)) {
            self.candidate = None;
            return false;
        }
        self.candidate = Some(Candidate { source, ssrc: packet.ssrc, sequence: packet.sequence, packets });
        packets >= CONSISTENT_PACKETS
    }
}

/// Whether a packet goes on where (SSRC, sequence number) left off.
fn follows(last: (u32, u16), packet: &Packet<'_>) -> bool {
    packet.ssrc == last.0 && (1..=SEQUENCE_AHEAD_MAX).contains(&packet.sequence.wrapping_sub(last.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::some_instant;

    const SSRC: u32 = 7;

    struct World {
        latch: Latch,
        start: Instant,
    }

    impl World {
        fn new() -> Self {
            let start = some_instant();
            Self { latch: Latch::new(start, address(1)), start }
        }

        fn packet(&mut self, at_ms: u64, port: u16, ssrc: u32, sequence: u16) -> bool {
            let packet = Packet { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc, payload: &[] };
            self.latch.accept(self.start + Duration::from_millis(at_ms), address(port), &packet)
        }
    }

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn the_described_address_wins_and_strangers_stay_out_while_it_talks() {
        let mut world = World::new();
        for n in 0..500u16 {
            assert!(world.packet(u64::from(n) * 20, 1, SSRC, n));
            assert!(!world.packet(u64::from(n) * 20 + 10, 2, SSRC, n + 1), "right SSRC and sequence, wrong port");
        }
        assert_eq!(world.latch.address(), address(1));
    }

    #[test]
    fn another_address_is_learned_when_nothing_came_from_the_described_one() {
        let mut world = World::new();
        let accepted = (0..60u16).position(|n| world.packet(u64::from(n) * 20, 2, SSRC, n));
        assert_eq!(accepted, Some(32), "25 packets of silence, then eight in a row");
        assert_eq!(world.latch.address(), address(2));
        assert!(world.packet(1300, 1, SSRC, 70), "the described address comes back and wins");
        assert_eq!(world.latch.address(), address(1));
    }

    #[test]
    fn a_known_stream_moves_only_with_its_ssrc_and_sequence() {
        let mut world = World::new();
        assert!(world.packet(0, 1, SSRC, 10));
        for n in 0..50u16 {
            assert!(!world.packet(1000 + u64::from(n) * 20, 2, SSRC + 1, 11 + n), "other SSRC");
        }
        for n in 0..50u16 {
            assert!(!world.packet(3000 + u64::from(n) * 20, 2, SSRC, 5000 + n), "sequence from elsewhere");
        }
        let accepted = (0..50u16).position(|n| world.packet(5000 + u64::from(n) * 20, 2, SSRC, 11 + n));
        assert_eq!(accepted, Some(7));
    }

    #[test]
    fn two_strangers_at_once_both_stay_out() {
        let mut world = World::new();
        for n in 0..100u16 {
            assert!(!world.packet(600 + u64::from(n) * 20, 2, SSRC, n));
            assert!(!world.packet(610 + u64::from(n) * 20, 3, SSRC + 1, n));
        }
    }
}
