//! Who is speaking on a stream and in which order his packets came: SSRC, sequence numbers, loss, jitter
//! (RFC 3550 section 6.4.1, appendices A.1, A.3 and A.8).

use std::time::Instant;

use crate::SAMPLE_RATE_HZ;
use crate::rtp::Packet;

/// A gap of more packets than this is a sender that started anew (RFC 3550 appendix A.1, MAX_DROPOUT).
const DROPOUT_MAX: i32 = 3000;
/// A packet older than this is none of ours (MAX_MISORDER); also how far back duplicates are known.
const MISORDER_MAX: i32 = 64;

/// Where a packet stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The first of a stream: the first at all, or a sender that changed its SSRC or started anew.
    First,
    /// Newer than all before.
    Newest,
    /// Overtaken by another.
    Overtaken,
    /// Seen before.
    Duplicate,
    /// Of another SSRC, or far out of sequence; believed when the next one follows it.
    Unproven,
}

/// What arrived so far.
#[derive(Clone, Debug)]
pub(crate) struct Reception {
    start: Instant,
    source: Option<Source>,
    unproven: Option<(u32, u16)>,
    received: u64,
    lost_earlier: u64,
    jitter_samples: f32,
    last_transit: Option<f64>,
}

/// Who speaks now, and what of it arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) ssrc: u32,
    highest: u16,
    /// The highest sequence number with its rounds before it (RFC 3550 section 6.4.1).
    pub(crate) extended_highest: u32,
    /// Packets between first and highest, both included.
    pub(crate) expected: u64,
    pub(crate) received: u64,
    /// Bit n: `highest - n` was seen.
    seen: u64,
}

impl Reception {
    /// Nothing arrived yet.
    #[must_use]
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            start: now,
            source: None,
            unproven: None,
            received: 0,
            lost_earlier: 0,
            jitter_samples: 0.0,
            last_transit: None,
        }
    }

    /// See [`Stream::fetch`](crate::stream::Stream::fetch).
    pub(crate) fn fetch(&self) -> u32 {
        u32::from(self.last_transit.is_some()) ^ self.source.map_or(0, |source| source.ssrc)
    }

    /// Takes note of a packet of the far end.
    pub(crate) fn note(&mut self, packet: &Packet<'_>) -> Order {
        let order = self.order(packet);
        match order {
            Order::First => self.begin(packet),
            Order::Newest => self.advance(packet.sequence),
            Order::Overtaken | Order::Duplicate | Order::Unproven => {}
        }
        self.unproven = (order == Order::Unproven).then_some((packet.ssrc, packet.sequence.wrapping_add(1)));
        if !matches!(order, Order::Duplicate | Order::Unproven) {
            self.received += 1;
            if let Some(source) = &mut self.source {
                source.received += 1;
            }
        }
        order
    }

    /// Takes note of when an audio packet came, for the jitter. Telephone events stand still in time and do not count.
    pub(crate) fn note_timing(&mut self, now: Instant, timestamp: u32) {
        let arrival = now.saturating_duration_since(self.start).as_secs_f64() * f64::from(SAMPLE_RATE_HZ);
        let transit = arrival - f64::from(timestamp);
        if let Some(last) = self.last_transit.replace(transit) {
            let difference = (transit - last).abs();
            // A wrap or a jump of the timestamps is no jitter.
            if difference < f64::from(SAMPLE_RATE_HZ) {
                #[expect(clippy::cast_possible_truncation, reason = "below 8000")]
                let difference = difference as f32;
                self.jitter_samples += (difference - self.jitter_samples) / 16.0;
            }
        }
    }

    /// Packets taken, duplicates and unproven ones aside.
    #[must_use]
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Packets that never came.
    #[must_use]
    pub(crate) fn lost(&self) -> u64 {
        self.lost_earlier + self.source.map_or(0, |source| source.expected.saturating_sub(source.received))
    }

    /// Interarrival jitter.
    #[must_use]
    pub(crate) fn jitter_ms(&self) -> f32 {
        self.jitter_samples / 8.0
    }

    /// The same in samples.
    pub(crate) fn jitter_samples(&self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a mean of what is between 0 and 8000"
        )]
        let samples = self.jitter_samples as u32;
        samples
    }

    /// Who speaks now.
    pub(crate) fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    fn order(&mut self, packet: &Packet<'_>) -> Order {
        let Some(source) = &mut self.source else { return Order::First };
        let ahead = i32::from(packet.sequence.wrapping_sub(source.highest).cast_signed());
        if packet.ssrc != source.ssrc || !(-MISORDER_MAX < ahead && ahead <= DROPOUT_MAX) {
            let proven = self.unproven == Some((packet.ssrc, packet.sequence));
            return if proven { Order::First } else { Order::Unproven };
        }
        if ahead > 0 {
            return Order::Newest;
        }
        let bit = 1u64 << ahead.unsigned_abs();
        if source.seen & bit != 0 {
            return Order::Duplicate;
        }
        source.seen |= bit;
        Order::Overtaken
    }

    fn begin(&mut self, packet: &Packet<'_>) {
        self.lost_earlier = self.lost();
        self.last_transit = None;
        self.source = Some(Source {
            ssrc: packet.ssrc,
            highest: packet.sequence,
            extended_highest: u32::from(packet.sequence),
            expected: 1,
            received: 0,
            seen: 1,
        });
    }

    fn advance(&mut self, sequence: u16) {
        if let Some(source) = &mut self.source {
            let ahead = sequence.wrapping_sub(source.highest);
            source.highest = sequence;
            source.extended_highest = source.extended_highest.wrapping_add(u32::from(ahead));
            source.expected += u64::from(ahead);
            source.seen = source.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::some_instant;

    fn reception() -> Reception {
        Reception::new(some_instant())
    }

    fn packet(ssrc: u32, sequence: u16) -> Packet<'static> {
        Packet { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc, payload: &[] }
    }

    #[test]
    fn order_is_told_across_the_wrap() {
        let mut reception = reception();
        let orders = [65534, 65535, 1, 0, 0, 2].map(|sequence| reception.note(&packet(1, sequence)));
        use Order::{Duplicate, First, Newest, Overtaken};
        assert_eq!(orders, [First, Newest, Newest, Overtaken, Duplicate, Newest]);
        assert_eq!((reception.received(), reception.lost()), (5, 0));
    }

    #[test]
    fn another_ssrc_is_believed_at_its_second_packet() {
        let mut reception = reception();
        let orders =
            [(1, 10), (2, 500), (1, 11), (2, 501), (2, 502), (1, 12)].map(|(s, n)| reception.note(&packet(s, n)));
        use Order::{First, Newest, Unproven};
        assert_eq!(orders, [First, Unproven, Newest, Unproven, First, Unproven]);
    }

    #[test]
    fn even_clocked_packets_have_no_jitter_and_swaying_ones_have_theirs() {
        for (sway_ms, expected_ms) in [(0, 0.0), (5, 5.0)] {
            let mut reception = reception();
            for n in 0..500u32 {
                let arrival = reception.start + Duration::from_millis(u64::from(n * 20 + n % 2 * sway_ms));
                reception.note_timing(arrival, n.wrapping_mul(160).wrapping_sub(40_000));
            }
            assert!((reception.jitter_ms() - expected_ms).abs() < 0.1, "{}", reception.jitter_ms());
        }
    }

    proptest! {
        #[test]
        fn loss_is_counted_exactly_wherever_the_sequence_starts(start: u16, kept in proptest::collection::vec(any::<bool>(), 1..400)) {
            let mut reception = reception();
            reception.note(&packet(1, start));
            let end = u16::try_from(kept.len()).unwrap() + 1;
            for (n, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
                reception.note(&packet(1, start.wrapping_add(u16::try_from(n).unwrap() + 1)));
            }
            reception.note(&packet(1, start.wrapping_add(end)));
            let lost = kept.iter().filter(|kept| !**kept).count() as u64;
            prop_assert_eq!(reception.lost(), lost);
        }
    }
}
