//! Keys as telephone events (RFC 4733): heard once however often they are repeated, and pressed as a telephone does.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::FRAME_TICKS;

/// Bytes of an event payload (RFC 4733 section 2.3).
pub(crate) const EVENT_BYTES: usize = 4;
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// How many presses are remembered to know their stragglers by.
const REMEMBERED: usize = 16;
/// A key held down beyond what its duration can say goes on under a new timestamp (RFC 4733 section 2.5.1.3).
const SEGMENT: u32 = 0xffff;
/// How near its end a segment must have come for the next one to be believed: 640 ms of lost updates, in samples.
const SEGMENT_SLACK: u32 = 5120;

/// What an event packet meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A key, for the first time.
    Key(char),
    /// More of a key already told, or its end.
    Known,
    /// No key, or no event at all.
    Ignored,
}

/// Hears keys. Told at the first packet of an event, whichever that is, so that a lost start or lost ends do not matter.
#[derive(Clone, Debug)]
pub(crate) struct DigitReceiver {
    presses: [Option<Press>; REMEMBERED],
    next: usize,
    segment: RangeInclusive<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    event: u8,
    timestamp: u32,
    duration: u32,
    ended: bool,
}

impl DigitReceiver {
    /// Has heard nothing. Events count time by the codec's RTP clock (RFC 4733 section 2.1).
    #[must_use]
    pub(crate) fn new(ticks_per_sample: u32) -> Self {
        let segment = SEGMENT - SEGMENT_SLACK * ticks_per_sample..=SEGMENT + 1;
        Self { presses: [None; REMEMBERED], next: 0, segment }
    }

    /// Forgets what was pressed: another sender begins, whose timestamps may be the same.
    pub(crate) fn restart(&mut self) {
        self.presses = [None; REMEMBERED];
    }

    /// Takes one event packet.
    pub(crate) fn hear(&mut self, timestamp: u32, payload: &[u8]) -> Heard {
        let &[event, flags, high, low, ..] = payload else { return Heard::Ignored };
        let Some(&key) = KEYS.get(usize::from(event)) else { return Heard::Ignored };
        let press =
            Press { event, timestamp, duration: u32::from(u16::from_be_bytes([high, low])), ended: flags & 0x80 != 0 };
        if let Some(known) = self.presses.iter_mut().flatten().find(|known| known.is(&press)) {
            known.duration = known.duration.max(press.duration);
            known.ended |= press.ended;
            return Heard::Known;
        }
        let goes_on = self.presses.iter().flatten().any(|known| known.goes_on_as(&press, &self.segment));
        self.presses[self.next] = Some(press);
        self.next = (self.next + 1) % REMEMBERED;
        if goes_on { Heard::Known } else { Heard::Key(key) }
    }
}

impl Press {
    fn is(&self, other: &Self) -> bool {
        (self.event, self.timestamp) == (other.event, other.timestamp)
    }

    /// Whether `next` is the following segment of this key, still held down.
    fn goes_on_as(&self, next: &Self, whole: &RangeInclusive<u32>) -> bool {
        let apart = next.timestamp.wrapping_sub(self.timestamp);
        self.event == next.event && !self.ended && whole.contains(&self.duration) && whole.contains(&apart)
    }
}

/// Keys waiting to be sent; more are dropped. Room and PIN are twenty.
const KEYS_WAITING_MAX: usize = 64;
/// A key is held for 100 ms, then let go for 60: within what every receiver hears (ITU-T Q.24).
const PRESSED_BEATS: u16 = 5;
const RELEASED_BEATS: u8 = 3;
/// The end is sent three times (RFC 4733 section 2.5.1.4).
const ENDS: u8 = 3;
/// −10 dBm0.
const VOLUME: u8 = 10;

/// Presses keys, a packet each beat.
#[derive(Clone, Debug)]
pub(crate) struct DigitSender {
    waiting: VecDeque<u8>,
    state: Sending,
    ticks_per_beat: u16,
}

#[derive(Clone, Copy, Debug, Default)]
enum Sending {
    #[default]
    Idle,
    Pressed {
        event: u8,
        start: u32,
        beats: u16,
    },
    Ending {
        event: u8,
        start: u32,
        left: u8,
    },
    Released {
        beats: u8,
    },
}

/// What to send on this beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Send {
    /// Sound, as always.
    Audio,
    /// This event in place of sound.
    Event {
        /// On the first packet of a key.
        marker: bool,
        /// When the key went down.
        timestamp: u32,
        /// RFC 4733 section 2.3.
        payload: [u8; EVENT_BYTES],
    },
}

impl DigitSender {
    /// Nothing to press; durations are told in ticks of the codec's RTP clock.
    pub(crate) fn new(ticks_per_sample: u32) -> Self {
        let mut sender = Self { waiting: VecDeque::new(), state: Sending::Idle, ticks_per_beat: 0 };
        sender.set_clock(ticks_per_sample);
        sender
    }

    /// Another codec's clock from here on.
    pub(crate) fn set_clock(&mut self, ticks_per_sample: u32) {
        self.ticks_per_beat = u16::try_from(FRAME_TICKS * ticks_per_sample).unwrap_or(u16::MAX / PRESSED_BEATS);
    }

    /// Adds keys; characters that no telephone has are left out, and so is what does not fit.
    pub(crate) fn press(&mut self, keys: &str) {
        let events = keys.chars().filter_map(|key| KEYS.iter().position(|&known| known == key.to_ascii_uppercase()));
        let room = KEYS_WAITING_MAX.saturating_sub(self.waiting.len());
        self.waiting.extend(events.take(room).filter_map(|event| u8::try_from(event).ok()));
    }

    /// Whether all keys were sent.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && matches!(self.state, Sending::Idle)
    }

    /// What to send on the beat at `timestamp`.
    pub(crate) fn beat(&mut self, timestamp: u32) -> Send {
        match self.state {
            Sending::Idle => match self.waiting.pop_front() {
                Some(event) => self.pressed(event, timestamp, 1),
                None => Send::Audio,
            },
            Sending::Pressed { event, start, beats } if beats < PRESSED_BEATS => self.pressed(event, start, beats + 1),
            Sending::Pressed { event, start, .. } => self.ending(event, start, ENDS),
            Sending::Ending { event, start, left } if left > 0 => self.ending(event, start, left),
            Sending::Ending { .. } => self.released(RELEASED_BEATS),
            Sending::Released { beats } => self.released(beats),
        }
    }

    fn pressed(&mut self, event: u8, start: u32, beats: u16) -> Send {
        self.state = Sending::Pressed { event, start, beats };
        self.packet(beats == 1, event, start, beats, 0)
    }

    fn ending(&mut self, event: u8, start: u32, left: u8) -> Send {
        self.state = Sending::Ending { event, start, left: left - 1 };
        self.packet(false, event, start, PRESSED_BEATS, 0x80)
    }

    fn released(&mut self, beats: u8) -> Send {
        self.state = if beats > 1 { Sending::Released { beats: beats - 1 } } else { Sending::Idle };
        Send::Audio
    }

    fn packet(&self, marker: bool, event: u8, timestamp: u32, beats: u16, end: u8) -> Send {
        let [high, low] = (beats * self.ticks_per_beat).to_be_bytes();
        Send::Event { marker, timestamp, payload: [event, end | VOLUME, high, low] }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The keys heard in a list of (timestamp, event, end, duration).
    fn keys(packets: &[(u32, u8, bool, u16)], ticks_per_sample: u32) -> String {
        let mut receiver = DigitReceiver::new(ticks_per_sample);
        let mut keys = String::new();
        for &(timestamp, event, end, duration) in packets {
            let [high, low] = duration.to_be_bytes();
            if let Heard::Key(key) = receiver.hear(timestamp, &[event, u8::from(end) << 7, high, low]) {
                keys.push(key);
            }
        }
        keys
    }

    fn check(packets: &[(u32, u8, bool, u16)], expected: &str) {
        assert_eq!(keys(packets, 1), expected, "{packets:?}");
    }

    #[test]
    fn a_key_is_told_once_whichever_of_its_packets_come() {
        check(&[(0, 5, false, 160), (0, 5, false, 320), (0, 5, true, 480), (0, 5, true, 480), (0, 5, true, 480)], "5");
        check(&[(0, 5, true, 480)], "5"); // lost start
        check(&[(0, 5, false, 160), (2000, 5, false, 160)], "55"); // lost ends
        check(&[(0, 5, true, 480), (0, 5, false, 160)], "5"); // reordered
        check(&[(0, 1, false, 160), (1600, 2, false, 160), (0, 1, true, 480), (1600, 2, true, 480)], "12");
    }

    #[test]
    fn a_key_held_for_ever_is_one_key() {
        check(
            &[
                (0, 5, false, 160),
                (0, 5, false, 65440),
                (0, 5, false, 65535),
                (65535, 5, false, 160),
                (65535, 5, true, 800),
            ],
            "5",
        );
        // … while the same key pressed again as much later is another.
        check(&[(0, 5, false, 160), (65535, 5, false, 160)], "55");
    }

    #[test]
    fn all_sixteen_keys_and_no_other_event() {
        let all: Vec<_> = (0..=255).map(|event| (u32::from(event) * 4000, event, false, 160)).collect();
        check(&all, "0123456789*#ABCD");
    }

    #[test]
    fn a_key_held_for_ever_is_one_key_by_the_fast_clock_of_opus_too() {
        // 65535 ticks are 1.4 seconds here; an update every 50 ms.
        let held: Vec<_> = (1..60u32)
            .map(|n| {
                let (segment, within) = (n * 2400 / 65_535, n * 2400 % 65_535);
                (segment * 65_535, 5, false, u16::try_from(within).unwrap())
            })
            .collect();
        assert_eq!(keys(&held, 6), "5");
        // The last 300 ms of each segment are lost.
        let lossy: Vec<_> = held.into_iter().filter(|packet| packet.3 < 65_535 - 14_400).collect();
        assert_eq!(keys(&lossy, 6), "5");
    }

    #[test]
    fn a_payload_cut_short_is_ignored() {
        let mut receiver = DigitReceiver::new(1);
        for len in 0..EVENT_BYTES {
            assert_eq!(receiver.hear(0, &[1; EVENT_BYTES][..len]), Heard::Ignored);
        }
    }

    /// Packets that a telephone sends for these keys, with the beat they leave on.
    fn telephone(keys: &str) -> Vec<(u32, u32, [u8; EVENT_BYTES])> {
        let mut sender = DigitSender::new(1);
        sender.press(keys);
        let mut packets = Vec::new();
        let mut beat = 0;
        while !sender.is_idle() {
            if let Send::Event { timestamp, payload, .. } = sender.beat(beat * 160) {
                packets.push((beat, timestamp, payload));
            }
            beat += 1;
        }
        packets
    }

    #[test]
    fn a_key_sent_has_a_growing_duration_and_three_ends() {
        let packets = telephone("#");
        let seen: Vec<_> =
            packets.iter().map(|(_, ts, p)| (*ts, p[0], p[1] >> 7, u16::from_be_bytes([p[2], p[3]]))).collect();
        let growing = (1..=5).map(|n| (0, 11, 0, n * 160));
        assert_eq!(seen, growing.chain([(0, 11, 1, 800); 3]).collect::<Vec<_>>());
    }

    /// How many of 10 000 PINs are read right when so many packets of 100 are lost and 5 overtaken.
    fn pins_read_right(loss: u64) -> u32 {
        let seed = 20_261_120 + loss;
        let (mut chance, mut right, rounds) = (Chance(seed), 0, 10_000);
        for _ in 0..rounds {
            let pin: String = (0..6).map(|_| KEYS[usize::try_from(chance.below(10)).unwrap()]).chain(['#']).collect();
            let mut packets = telephone(&pin);
            packets.retain(|_| chance.below(100) >= loss);
            for n in 1..packets.len() {
                if chance.below(100) < 5 {
                    packets.swap(n - 1, n);
                }
            }
            let mut receiver = DigitReceiver::new(1);
            let heard: String = packets
                .iter()
                .filter_map(|(_, timestamp, payload)| match receiver.hear(*timestamp, payload) {
                    Heard::Key(key) => Some(key),
                    Heard::Known | Heard::Ignored => None,
                })
                .collect();
            right += u32::from(heard == pin);
        }
        println!("seed {seed}: {right} of {rounds} PINs read right at {loss} % loss and 5 % reordering");
        right
    }

    #[test]
    fn pins_are_read_right_though_packets_are_lost_and_overtaken() {
        assert!(pins_read_right(5) >= 9990);
        assert!(pins_read_right(20) >= 9900);
    }

    struct Chance(u64);

    impl Chance {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }
    }

    proptest! {
        #[test]
        fn arbitrary_events_never_panic(packets in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..9)), 0..200)) {
            let mut receiver = DigitReceiver::new(6);
            for (timestamp, payload) in packets {
                receiver.hear(timestamp, &payload);
            }
        }
    }
}
