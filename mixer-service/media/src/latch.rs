//! Whose packets are heard, and where ours go: symmetric RTP by a strict rule.
//!
//! SDP names one address, and it always wins. Learning another one is how strangers got into calls (AST-2017-005,
//! CVE-2025-53399), so there are three ways only, and no heuristic beside them:
//!
//! 1. A packet that SRTP authenticated: its source holds the key of this call.
//! 2. A stream that goes on: the SSRC heard so far, with following sequence numbers, once its old address has been silent for
//!    half a second. Nobody who does not see the packets knows both. So a translator's port moves in the middle of a call.
//! 3. Nothing was heard yet, and the SDP names another host than the one whose signalling reached us, as telephones behind a
//!    translator do: then from that host's address, and no other, half a second after connecting.
//!
//! Both unproven ways want [`CONSISTENT_PACKETS`] in a row, and give nobody anything until half a second after two sources
//! claimed them at once.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::Remote;
use crate::rtp::Packet;

/// The known address must have been silent for this long before another one is considered.
pub(crate) const SILENCE: Duration = Duration::from_millis(500);
/// So many packets in a row, of one source and SSRC with following sequence numbers, make a candidate the far end.
pub(crate) const CONSISTENT_PACKETS: u32 = 8;
/// A following sequence number lies at most this far ahead of the last, …
const SEQUENCE_SLACK: u16 = 50;
/// … and one more for each of the shortest packets that fit into the time between, …
const SHORTEST_PACKET_MS: u128 = 10;
/// … but never more than half a minute of them.
const SEQUENCE_AHEAD_MAX: u16 = 3000;

/// Decides for each packet whether its source is the far end.
#[derive(Clone, Debug)]
pub(crate) struct Latch {
    described: SocketAddr,
    peer_ip: IpAddr,
    current: SocketAddr,
    /// When the current address was last heard; the instant of connecting until then.
    heard: Instant,
    /// SSRC and sequence number of the last packet accepted since connecting.
    last: Option<(u32, u16)>,
    candidate: Option<Candidate>,
    /// When two sources last claimed to be the far end.
    contested: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    at: Instant,
    packets: u32,
}

/// What is known of a packet beside where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It came in clear.
    None,
    /// SRTP authenticated it, and no later one of its stream was seen.
    Newest,
    /// SRTP authenticated it, but a later one was there before it.
    Overtaken,
}

impl Latch {
    /// Expects packets from the address that SDP describes.
    #[must_use]
    pub(crate) fn new(now: Instant, remote: &Remote) -> Self {
        let (described, peer_ip) = (remote.address, remote.peer_ip);
        Self { described, peer_ip, current: described, heard: now, last: None, candidate: None, contested: None }
    }

    /// The far end was described anew. The same address: what was learned stays, and may be learned again.
    pub(crate) fn redirect(&mut self, now: Instant, remote: &Remote) {
        let current = if remote.address == self.described { self.current } else { remote.address };
        *self = Self { current, ..Self::new(now, remote) };
    }

    /// See [`Stream::fetch`](crate::stream::Stream::fetch).
    pub(crate) fn fetch(&self) -> u32 {
        u32::from(self.current.port() ^ self.described.port()) ^ u32::from(self.candidate.is_some())
    }

    /// Where to send.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.current
    }

    /// Whether this packet comes from the far end. May make its source the far end.
    pub(crate) fn accept(&mut self, now: Instant, source: SocketAddr, packet: &Packet<'_>, proof: Proof) -> bool {
        let known = source == self.current || source == self.described;
        let convinced = known
            || match proof {
                Proof::Newest => true,
                // A packet that somebody held back and sent on moves nothing.
                Proof::Overtaken => return true,
                Proof::None => self.goes_on(now, source, packet) || self.stands_in(now, source, packet),
            };
        if convinced {
            self.current = source;
            self.heard = now;
            self.last = Some((packet.ssrc, packet.sequence));
            self.candidate = None;
        }
        convinced
    }

    /// The second way: the stream heard so far, from elsewhere.
    fn goes_on(&mut self, now: Instant, source: SocketAddr, packet: &Packet<'_>) -> bool {
        let Some((ssrc, sequence)) = self.last else { return false };
        // Whoever does not know the stream is nobody: he cannot even stand in the way of who does.
        let since = self.candidate.filter(|candidate| candidate.source == source);
        let (sequence, at) = since.map_or((sequence, self.heard), |candidate| (candidate.sequence, candidate.at));
        packet.ssrc == ssrc && follows(sequence, at, now, packet) && self.convinced(now, source, packet)
    }

    /// The third way: the host that signalling comes from, in place of one that its SDP names in vain.
    fn stands_in(&mut self, now: Instant, source: SocketAddr, packet: &Packet<'_>) -> bool {
        let translated = self.described.ip().to_canonical() != self.peer_ip.to_canonical();
        let own = source.ip().to_canonical() == self.peer_ip.to_canonical();
        self.last.is_none() && translated && own && self.convinced(now, source, packet)
    }

    fn convinced(&mut self, now: Instant, source: SocketAddr, packet: &Packet<'_>) -> bool {
        let packets = match self.candidate {
            Some(candidate) if candidate.source == source => {
                let follows = follows(candidate.sequence, candidate.at, now, packet) && packet.ssrc == candidate.ssrc;
                if follows { candidate.packets + 1 } else { 1 }
            }
            // Two at once: neither is believed, however fast one of them sends, until the other gives up.
            Some(_) => {
                self.contested = Some(now);
                1
            }
            None => 1,
        };
        let (ssrc, sequence) = (packet.ssrc, packet.sequence);
        self.candidate = Some(Candidate { source, ssrc, sequence, at: now, packets });
        let is_quiet = |since: Instant| now.saturating_duration_since(since) >= SILENCE;
        packets >= CONSISTENT_PACKETS && is_quiet(self.heard) && self.contested.is_none_or(is_quiet)
    }
}

/// Whether a packet comes after this sequence number, and no further after it than time has passed.
fn follows(sequence: u16, at: Instant, now: Instant, packet: &Packet<'_>) -> bool {
    let passed = now.saturating_duration_since(at).as_millis() / SHORTEST_PACKET_MS;
    let most = u16::try_from(passed).unwrap_or(u16::MAX).saturating_add(SEQUENCE_SLACK).min(SEQUENCE_AHEAD_MAX);
    (1..=most).contains(&packet.sequence.wrapping_sub(sequence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, some_instant};

    const SSRC: u32 = 7;
    /// Described in SDP; private, so that the call comes through a translator.
    const DESCRIBED: &str = "192.168.1.5:4000";
    /// Where the translator sends from.
    const PEER: &str = "198.51.100.9:6000";
    const STRANGER: &str = "203.0.113.66:5000";

    struct World {
        latch: Latch,
        start: Instant,
        proof: Proof,
    }

    impl World {
        /// A call from behind a translator.
        fn translated() -> Self {
            Self::new(PEER)
        }

        /// A call whose SDP names the host that signalling comes from.
        fn direct() -> Self {
            Self::new(DESCRIBED)
        }

        fn new(peer: &str) -> Self {
            let start = some_instant();
            let mut remote = Remote::plain(address(DESCRIBED), Codec::ALaw);
            remote.peer_ip = address(peer).ip();
            Self { latch: Latch::new(start, &remote), start, proof: Proof::None }
        }

        fn packet(&mut self, at_ms: u64, source: &str, ssrc: u32, sequence: u16) -> bool {
            let packet = Packet { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc, payload: &[] };
            self.latch.accept(self.start + Duration::from_millis(at_ms), address(source), &packet, self.proof)
        }

        /// When a stream of 20 ms packets from here is first accepted, of 200.
        fn accepted_after_ms(&mut self, from_ms: u64, source: &str, ssrc: u32, sequence: u16) -> Option<u64> {
            (0..200u16)
                .find(|&n| self.packet(from_ms + u64::from(n) * 20, source, ssrc, sequence.wrapping_add(n)))
                .map(|n| u64::from(n) * 20)
        }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_described_address_is_heard_at_once_and_strangers_stay_out_while_it_talks() {
        let mut world = World::translated();
        for n in 0..500u16 {
            let at_ms = u64::from(n) * 20;
            assert!(world.packet(at_ms, DESCRIBED, SSRC, n));
            assert!(!world.packet(at_ms + 5, STRANGER, SSRC, n + 1), "right SSRC and sequence");
            assert!(!world.packet(at_ms + 10, "192.168.1.5:4002", SSRC, n + 1), "right host, SSRC and sequence");
            assert!(!world.packet(at_ms + 15, PEER, SSRC + 1, n + 1), "the peer itself");
        }
        assert_eq!(world.latch.address(), address(DESCRIBED));
    }

    #[test]
    fn behind_a_translator_the_peer_is_learned_after_half_a_second_and_nobody_else() {
        let mut world = World::translated();
        assert_eq!(world.accepted_after_ms(0, STRANGER, SSRC, 0), None);
        let mut world = World::translated();
        assert_eq!(world.accepted_after_ms(0, PEER, SSRC, 0), Some(500));
        assert_eq!(world.latch.address(), address(PEER));
        assert!(world.packet(600, DESCRIBED, SSRC, 70), "the described address comes back and wins");
    }

    #[test]
    fn while_the_peer_is_learned_strangers_neither_enter_nor_stand_in_the_way() {
        let mut world = World::translated();
        let accepted = (0..60u16).find(|&n| {
            for ssrc in [SSRC, SSRC + 1] {
                assert!(!world.packet(u64::from(n) * 20 + 1, STRANGER, ssrc, n));
            }
            world.packet(u64::from(n) * 20 + 2, PEER, SSRC, n)
        });
        assert_eq!(accepted, Some(25));
        for n in 26..500u16 {
            assert!(world.packet(u64::from(n) * 20 + 2, PEER, SSRC, n));
            assert!(!world.packet(u64::from(n) * 20 + 3, STRANGER, SSRC, n + 1));
        }
    }

    #[test]
    fn a_described_address_that_is_the_peers_own_leaves_nothing_to_learn() {
        let mut world = World::direct();
        assert_eq!(world.accepted_after_ms(0, "192.168.1.5:4002", SSRC, 0), None, "another port of the same host");
        assert_eq!(world.accepted_after_ms(9000, STRANGER, SSRC, 0), None);
    }

    #[test]
    fn a_stream_moves_only_with_its_ssrc_and_sequence_and_within_a_second() {
        for elsewhere in ["192.168.1.5:4002", PEER] {
            let mut world = World::direct();
            assert!(world.packet(0, DESCRIBED, SSRC, 10));
            assert_eq!(world.accepted_after_ms(20, elsewhere, SSRC + 1, 11), None, "other SSRC");
            assert_eq!(world.accepted_after_ms(20, elsewhere, SSRC, 9000), None, "sequence from elsewhere");
            assert_eq!(world.accepted_after_ms(20, elsewhere, SSRC, 11), Some(480));
            assert_eq!(world.latch.address(), address(elsewhere));
        }
    }

    #[test]
    fn a_stream_that_moved_during_a_long_silence_is_known_again() {
        let mut world = World::direct();
        assert!(world.packet(0, DESCRIBED, SSRC, 10));
        let later = u16::try_from(8000 / 20).unwrap();
        assert_eq!(world.accepted_after_ms(8000, "192.168.1.5:4002", SSRC, 10 + later), Some(140));
    }

    #[test]
    fn two_who_claim_the_stream_at_once_both_stay_out() {
        let mut world = World::direct();
        assert!(world.packet(0, DESCRIBED, SSRC, 0));
        for n in 1..200u16 {
            assert!(!world.packet(u64::from(n) * 20, STRANGER, SSRC, n));
            assert!(!world.packet(u64::from(n) * 20 + 1, "203.0.113.67:5000", SSRC, n));
        }
        // … also when one of them sends ten times as fast as the other.
        let mut world = World::translated();
        for n in 0..2000u16 {
            assert!(!world.packet(u64::from(n) * 2, PEER, SSRC, n));
            if n % 10 == 0 {
                assert!(!world.packet(u64::from(n) * 2 + 1, "198.51.100.9:7000", SSRC + 1, n));
            }
        }
    }

    #[test]
    fn a_stranger_without_the_ssrc_does_not_keep_a_moved_stream_out() {
        let mut world = World::direct();
        assert!(world.packet(0, DESCRIBED, SSRC, 0));
        let accepted = (1..60u16).find(|&n| {
            assert!(!world.packet(u64::from(n) * 20, STRANGER, SSRC + 1, n));
            world.packet(u64::from(n) * 20 + 1, "192.168.1.5:4002", SSRC, n)
        });
        assert_eq!(accepted, Some(25));
    }

    #[test]
    fn an_authenticated_packet_moves_the_stream_unless_it_is_an_old_one() {
        let mut world = World::direct();
        world.proof = Proof::Overtaken;
        assert!(world.packet(0, STRANGER, SSRC, 5), "it is heard, for it is the far end's");
        assert_eq!(world.latch.address(), address(DESCRIBED));
        world.proof = Proof::Newest;
        assert!(world.packet(20, PEER, SSRC, 6));
        assert_eq!(world.latch.address(), address(PEER));
    }

    #[test]
    fn a_new_description_of_the_same_address_keeps_what_was_learned_and_another_one_does_not() {
        let mut world = World::translated();
        world.accepted_after_ms(0, PEER, SSRC, 0);
        let mut remote = Remote::plain(address(DESCRIBED), Codec::ALaw);
        remote.peer_ip = address(PEER).ip();
        world.latch.redirect(world.start + Duration::from_secs(1), &remote);
        assert_eq!(world.latch.address(), address(PEER));
        assert_eq!(
            world.accepted_after_ms(1020, "198.51.100.9:7000", SSRC + 5, 0),
            Some(480),
            "a new port, a new stream"
        );
        remote.address = address("192.168.1.5:4444");
        world.latch.redirect(world.start + Duration::from_secs(9), &remote);
        assert_eq!(world.latch.address(), remote.address);
    }
}
