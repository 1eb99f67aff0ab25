//! Late and lost packets: holds what arrived until its place in the sound comes.
//!
//! Packets stay as they came and are cut to whatever the beat wants, so that packets of 2.5 to 120 ms all play alike. Each
//! says how many samples of ours it plays; time is counted in such samples and wraps, as RTP timestamps do.
//!
//! The depth starts small: the first packet is played at the first beat that leaves [`START_MARGIN`]. When the buffer ran dry
//! and the missing packet comes after all, the line swayed: the playout steps back and the buffer is deeper from then on.
//! Otherwise `depth.rs` watches how early packets are, and its owner is told by how much the sound should be stretched or
//! shortened.

use std::time::{Duration, Instant};

use crate::depth::Depth;
use crate::{BEAT, FRAME_TICKS, SAMPLE_RATE_HZ};

/// Longest packet: 120 ms, the longest that Opus has.
const SAMPLES_MAX: u16 = 960;
/// Of one that is missing at most a frame is taken at once.
const PIECE_MAX: u16 = 160;
/// Packets held: 320 ms even of 10 ms packets, more than [`AHEAD_MAX`] lets in.
const SLOTS: usize = 32;
/// Packets further ahead than 300 ms mean that the sender's clock jumped, or that a stall ended: start anew from there.
const AHEAD_MAX: i32 = 2400;
/// Packets that belong a second or more back mean that the sender's clock jumped back.
const BEHIND_MAX: i32 = 8000;
/// After 200 ms with nothing to play, the next packet begins a new talk spurt with a fresh depth.
const STARVED_MAX: u32 = 1600;
/// How long before its beat a packet should be here, at the start: a beat that is a little late takes in more, not less.
pub(crate) const START_MARGIN: Duration = Duration::from_micros(500);
/// The deepest that swaying lines make it: 200 ms.
const MARGIN_MAX: i32 = 1600;
const FRAME: i32 = FRAME_TICKS.cast_signed();

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// Held until its time.
    Taken,
    /// Held; the playout starts anew with it.
    Restarted,
    /// Its place was over.
    Late,
    /// Its place was taken.
    Duplicate,
    /// Empty, or longer than any packet we agreed on.
    Refused,
}

/// A piece of the sound to be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Some of a packet.
    Sound(Sound<'a>),
    /// So many samples should have been here; and the packet right behind them, if it came already: then it is the whole gap,
    /// which may be more than was wanted.
    Missing(usize, Option<&'a [u8]>),
    /// So many samples before the talk spurt begins.
    Pause(usize),
}

/// Some samples of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sound<'a> {
    /// Tells the packet from its neighbours.
    pub(crate) timestamp: u32,
    /// All that the packet carried.
    pub(crate) payload: &'a [u8],
    /// Samples of it that are not wanted, at its beginning.
    pub(crate) offset: usize,
    /// Samples that are.
    pub(crate) len: usize,
}

impl<'a> Sound<'a> {
    /// The bytes of this piece, where a byte is a sample.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.payload.get(self.offset..self.offset + self.len).unwrap_or_default()
    }
}

/// Packets of one stream on their way to being played.
#[derive(Debug)]
pub(crate) struct JitterBuffer {
    slots: Vec<Slot>,
    /// Which of them hold a packet: a bit each, so that the empty ones are not looked at.
    held: Held,
    /// What the slots hold, `payload_max` bytes each.
    payloads: Vec<u8>,
    payload_max: usize,
    playout: Playout,
    last_beat: Instant,
    /// Margin that a new talk spurt starts with, in samples.
    margin: i32,
    /// Samples that were taken out and are not played yet.
    unplayed: i32,
    depth: Depth,
    /// Length of the last packet, at most a frame.
    packet_len: u16,
    /// What is missing is made up by whole packets.
    whole_packets: bool,
}

#[derive(Clone, Debug)]
struct Slot {
    timestamp: u32,
    /// Samples it plays.
    len: u16,
    /// Bytes it has.
    bytes: u16,
}

/// The slots with a packet; as an iterator, their numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Held(u32);

const _: () = assert!(SLOTS == u32::BITS as usize, "a bit for each slot");

impl Held {
    /// The first slot that is free, which is so no more.
    fn take_free(&mut self) -> Option<usize> {
        let free = self.0.trailing_ones();
        self.0 |= 1_u32.checked_shl(free)?;
        Some(free as usize)
    }

    fn give_back(&mut self, index: usize) {
        self.0 &= !(1 << index);
    }
}

impl Iterator for Held {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let first = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (first < u32::BITS).then_some(first as usize)
    }
}

#[derive(Clone, Copy, Debug)]
enum Playout {
    /// For a packet to begin with.
    Waiting,
    /// `next` is the sample to be played next; `starved` samples before it were played with nothing held.
    Playing { next: u32, starved: u32, leading: bool },
}

impl JitterBuffer {
    /// An empty buffer for payloads of at most so many bytes. This and nothing later allocates.
    #[must_use]
    pub(crate) fn new(now: Instant, payload_max: usize) -> Self {
        Self {
            slots: vec![Slot { timestamp: 0, len: 0, bytes: 0 }; SLOTS],
            held: Held::default(),
            payloads: vec![0; SLOTS * payload_max],
            payload_max,
            playout: Playout::Waiting,
            last_beat: now,
            margin: samples(START_MARGIN),
            unplayed: 0,
            depth: Depth::default(),
            packet_len: 0,
            whole_packets: false,
        }
    }

    /// For a codec that makes up what is missing by whole packets.
    pub(crate) fn by_whole_packets(self, whole_packets: bool) -> Self {
        Self { whole_packets, ..self }
    }

    /// Forgets all packets: another sender begins. The depth learned stays.
    pub(crate) fn restart(&mut self) {
        self.held = Held::default();
        self.playout = Playout::Waiting;
        self.depth.restart();
    }

    /// See [`Stream::fetch`](crate::stream::Stream::fetch).
    pub(crate) fn fetch(&self) -> u32 {
        let bytes = self.payloads.iter().step_by(64).take(4).fold(0, |all, &byte| all ^ byte);
        u32::from(bytes) ^ self.slots.first().map_or(0, |slot| slot.timestamp) ^ self.depth.fetch()
    }

    /// Takes a packet of `len` samples that arrived now. `newest`: no packet with a later sequence number came before it.
    pub(crate) fn insert(&mut self, now: Instant, timestamp: u32, len: u16, payload: &[u8], newest: bool) -> Inserted {
        if !(1..=self.payload_max).contains(&payload.len()) || !(1..=SAMPLES_MAX).contains(&len) {
            return Inserted::Refused;
        }
        self.packet_len = len.min(PIECE_MAX);
        let until_beat = samples((self.last_beat + BEAT).saturating_duration_since(now));
        let Playout::Playing { next, starved, .. } = self.playout else {
            self.begin(timestamp, i32::from(len), until_beat);
            return self.hold(timestamp, len, payload);
        };
        let ahead = distance(next, timestamp);
        if !(-BEHIND_MAX..=AHEAD_MAX).contains(&ahead) && newest {
            self.restart();
            self.begin(timestamp, i32::from(len), until_beat);
            self.hold(timestamp, len, payload);
            return Inserted::Restarted;
        }
        self.depth.note(ahead + self.unplayed, until_beat, i32::from(len));
        if ahead + i32::from(len) <= 0 && !self.step_back(ahead, starved) {
            self.depth.came_late();
            return Inserted::Late;
        }
        self.hold(timestamp, len, payload)
    }

    /// Begins a frame; call before asking for its pieces. `now` is when the beat was due.
    pub(crate) fn beat(&mut self, now: Instant) {
        self.last_beat = now;
        self.depth.beat();
    }

    /// Ends a frame: of what was taken out, so many samples are still to be played.
    pub(crate) fn leave(&mut self, unplayed: usize) {
        self.unplayed = i32::try_from(unplayed).unwrap_or(i32::MAX);
    }

    /// The next piece: of at most `wanted` samples, except a gap of at most `gap_max` whose end is known, and what is missing of
    /// a codec that makes it up by whole packets.
    pub(crate) fn next_piece(&mut self, wanted: usize, gap_max: usize) -> Piece<'_> {
        let Playout::Playing { next, starved, leading } = self.playout else { return Piece::Pause(wanted) };
        let (mut gap, mut behind) = (i32::MAX, None);
        let mut found = None;
        for index in self.held {
            let slot = &self.slots[index];
            let ahead = distance(next, slot.timestamp);
            if ahead > 0 {
                (gap, behind) = if ahead < gap { (ahead, Some(index)) } else { (gap, behind) };
            } else if ahead + i32::from(slot.len) > 0 {
                found = Some((index, ahead.unsigned_abs() as usize));
            } else {
                self.held.give_back(index);
            }
        }
        if let Some((index, offset)) = found {
            let slot = &self.slots[index];
            let len = wanted.min(usize::from(slot.len) - offset);
            if offset + len == usize::from(slot.len) {
                self.held.give_back(index);
            }
            self.playout = Playout::Playing { next: next.wrapping_add(len_u32(len)), starved: 0, leading: false };
            let timestamp = slot.timestamp;
            return Piece::Sound(Sound { timestamp, payload: self.payload(index), offset, len });
        }
        let dry = gap == i32::MAX;
        let gap = usize::try_from(gap).unwrap_or(usize::MAX);
        let behind = behind.filter(|_| !leading && gap <= gap_max);
        let piece = if self.whole_packets && !leading { wanted.max(usize::from(self.packet_len)) } else { wanted };
        let len = if behind.is_some() { gap } else { piece.min(gap) };
        let starved = if dry { starved + len_u32(len) } else { 0 };
        self.playout = if starved >= STARVED_MAX {
            Playout::Waiting
        } else {
            Playout::Playing { next: next.wrapping_add(len_u32(len)), starved, leading }
        };
        if leading {
            return Piece::Pause(len);
        }
        Piece::Missing(len, behind.map(|index| self.payload(index)))
    }

    /// The next packet, if what is to be played next is all of it and so long.
    pub(crate) fn whole_packet(&mut self, len: usize) -> Option<Sound<'_>> {
        let Playout::Playing { next, .. } = self.playout else { return None };
        let is_next = |slot: &Slot| slot.timestamp == next && usize::from(slot.len) == len;
        let index = { self.held }.find(|&index| is_next(&self.slots[index]))?;
        self.held.give_back(index);
        self.playout = Playout::Playing { next: next.wrapping_add(len_u32(len)), starved: 0, leading: false };
        Some(Sound { timestamp: next, payload: self.payload(index), offset: 0, len })
    }

    /// A missing piece had to be made up: it was not a pause.
    pub(crate) fn missed(&mut self) {
        self.depth.missed();
    }

    /// The sample that is played next, if any is.
    #[cfg(test)]
    pub(crate) fn position(&self) -> Option<u32> {
        match self.playout {
            Playout::Playing { next, leading: false, .. } => Some(next),
            Playout::Playing { .. } | Playout::Waiting => None,
        }
    }

    /// Whether the next so many samples are here.
    pub(crate) fn has(&self, len: usize) -> bool {
        let Playout::Playing { next, .. } = self.playout else { return false };
        let held = self.held.map(|index| {
            let slot = &self.slots[index];
            let ahead = distance(next, slot.timestamp);
            let end = ahead + i32::from(slot.len);
            usize::try_from(end).unwrap_or(0).min(len) - usize::try_from(ahead).unwrap_or(0).min(len)
        });
        held.sum::<usize>() >= len
    }

    /// By how many samples the sound should be stretched (positive) or shortened (negative).
    #[must_use]
    pub(crate) fn wanted_change(&self) -> i32 {
        self.depth.wanted_change()
    }

    /// It was, by so many.
    pub(crate) fn changed(&mut self, by: i32) {
        self.margin = (self.margin + by).clamp(samples(START_MARGIN), MARGIN_MAX);
        self.depth.changed(by);
    }

    /// Starts the playout so that this packet is due at the first beat that leaves the margin, also to the packets that
    /// fill up its frame if it is shorter than one.
    fn begin(&mut self, timestamp: u32, len: i32, until_beat: i32) {
        let margin = self.margin + (FRAME - len).max(0);
        let frames = (margin - until_beat).max(0).unsigned_abs().div_ceil(FRAME.unsigned_abs());
        let next = timestamp.wrapping_sub(frames * FRAME.unsigned_abs());
        self.playout = Playout::Playing { next, starved: 0, leading: true };
    }

    /// Gives a packet its place back, if only emptiness was played there. Whole frames, so that packets stay on the beat.
    fn step_back(&mut self, ahead: i32, starved: u32) -> bool {
        let Playout::Playing { next, leading, .. } = self.playout else { return false };
        let back = ahead.unsigned_abs().next_multiple_of(FRAME.unsigned_abs());
        let deeper = self.margin.saturating_add_unsigned(back);
        if back > starved || deeper > MARGIN_MAX {
            return false;
        }
        self.margin = deeper;
        self.playout = Playout::Playing { next: next.wrapping_sub(back), starved: 0, leading };
        self.depth.stepped_back();
        true
    }

    fn hold(&mut self, timestamp: u32, len: u16, payload: &[u8]) -> Inserted {
        if { self.held }.any(|index| self.slots[index].timestamp == timestamp) {
            return Inserted::Duplicate;
        }
        let Ok(bytes) = u16::try_from(payload.len()) else { return Inserted::Refused };
        // All full can only be a flood of tiny packets; the newcomer gives way.
        let Some(index) = self.held.take_free() else { return Inserted::Late };
        self.slots[index] = Slot { timestamp, len, bytes };
        let start = index * self.payload_max;
        self.payloads[start..start + payload.len()].copy_from_slice(payload);
        Inserted::Taken
    }

    fn payload(&self, index: usize) -> &[u8] {
        let start = index * self.payload_max;
        &self.payloads[start..start + usize::from(self.slots[index].bytes)]
    }
}

/// How far `to` lies after `from`, across the wrap.
fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

fn samples(duration: Duration) -> i32 {
    i32::try_from(duration.as_micros() * u128::from(SAMPLE_RATE_HZ) / 1_000_000).unwrap_or(i32::MAX / 4)
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{FRAME_SAMPLES, some_instant};

    struct World {
        buffer: JitterBuffer,
        start: Instant,
        beats: u32,
    }

    impl World {
        fn new() -> Self {
            let start = some_instant();
            Self { buffer: JitterBuffer::new(start, 480), start, beats: 0 }
        }

        /// A packet `after_ms` after the last beat, whose bytes all are `mark`.
        fn packet(&mut self, after_ms: u64, timestamp: u32, len: usize, mark: u8) -> Inserted {
            let now = self.start + BEAT * self.beats + Duration::from_millis(after_ms);
            self.buffer.insert(now, timestamp, u16::try_from(len).unwrap(), &vec![mark; len], true)
        }

        /// One frame: a letter for each 10 ms, `-` for missing, `.` for a pause.
        fn beat(&mut self) -> String {
            self.beats += 1;
            self.buffer.beat(self.start + BEAT * self.beats);
            let mut frame = Vec::new();
            while frame.len() < FRAME_SAMPLES {
                match self.buffer.next_piece(FRAME_SAMPLES - frame.len(), 0) {
                    Piece::Sound(sound) => frame.extend(sound.bytes()),
                    Piece::Missing(len, _) => frame.extend(std::iter::repeat_n(b'-', len)),
                    Piece::Pause(len) => frame.extend(std::iter::repeat_n(b'.', len)),
                }
            }
            frame.iter().step_by(80).map(|&mark| char::from(mark)).collect()
        }
    }

    #[test]
    fn a_packet_early_enough_plays_at_the_next_beat_and_a_tight_one_a_beat_later() {
        let mut world = World::new();
        world.packet(19, 0, 160, b'a');
        assert_eq!(world.beat(), "aa");
        let mut world = World::new();
        world.packet(20, 0, 160, b'a');
        assert_eq!(world.beat(), "..");
        assert_eq!(world.beat(), "aa");
    }

    #[test]
    fn packets_of_any_length_play_alike() {
        for len in [80, 160, 240, 320, 480u32] {
            let mut world = World::new();
            let mut heard = String::new();
            let mut sent = 0;
            for beat in 0..30 {
                while sent < (beat + 1) * 160 {
                    world.packet(1, sent, len as usize, b'x');
                    sent += len;
                }
                heard += &world.beat();
            }
            let heard = heard.trim_start_matches('.');
            assert!(heard.len() >= 58 && heard.bytes().all(|mark| mark == b'x'), "{len}: {heard}");
        }
    }

    #[test]
    fn reordered_packets_play_in_order_and_lost_ones_leave_a_gap() {
        let mut world = World::new();
        world.packet(1, 0, 160, b'a');
        assert_eq!(world.beat(), "aa");
        world.packet(1, 320, 160, b'c');
        world.packet(2, 160, 160, b'b');
        assert_eq!(world.packet(3, 160, 160, b'b'), Inserted::Duplicate);
        assert_eq!(world.beat(), "bb");
        assert_eq!(world.beat(), "cc");
        world.packet(1, 640, 160, b'e');
        assert_eq!(world.beat(), "--");
        assert_eq!(world.packet(1, 480, 160, b'd'), Inserted::Late);
        assert_eq!(world.beat(), "ee");
    }

    #[test]
    fn a_line_that_sways_makes_it_deeper_instead_of_losing_sound() {
        let mut world = World::new();
        world.packet(1, 0, 160, b'a');
        assert_eq!(world.beat(), "aa");
        assert_eq!(world.beat(), "--");
        assert_eq!(world.packet(1, 160, 160, b'b'), Inserted::Taken);
        assert_eq!(world.beat(), "bb");
        world.packet(1, 320, 160, b'c');
        assert_eq!(world.beat(), "cc");
    }

    /// Packets that need 0 to `sway_ms` longer, at random; gives frames with a gap after the first four seconds, of 1000.
    fn gaps_on_a_swaying_line(sway_ms: u64) -> usize {
        let (mut world, mut random) = (World::new(), 1u64);
        let mut arrivals: Vec<(u64, u32)> = (0..1200u32)
            .map(|n| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (u64::from(n) * 20 + (random >> 33) % (sway_ms + 1), n)
            })
            .collect();
        arrivals.sort_unstable();
        let (mut coming, mut newest, mut gaps) = (arrivals.into_iter().peekable(), 0, 0);
        for beat in 0..1200u64 {
            while let Some((at_ms, n)) = coming.next_if(|(at_ms, _)| *at_ms < (beat + 1) * 20) {
                let now = world.start + Duration::from_millis(at_ms);
                world.buffer.insert(now, n * 160, 160, &[b'x'; 160], n >= newest);
                newest = newest.max(n);
            }
            gaps += usize::from(world.beat() != "xx" && beat >= 200);
        }
        gaps
    }

    #[test]
    fn it_becomes_as_deep_as_the_line_sways() {
        for (sway_ms, gaps_max) in [(0, 0), (8, 0), (30, 10), (60, 20), (100, 30)] {
            let gaps = gaps_on_a_swaying_line(sway_ms);
            println!("{sway_ms} ms of sway: {gaps} of 1000 frames with a gap");
            assert!(gaps <= gaps_max, "{sway_ms} ms: {gaps}");
        }
    }

    #[test]
    fn timestamps_that_wrap_go_on_and_timestamps_that_jump_start_anew() {
        let mut world = World::new();
        for n in 0..4u32 {
            world.packet(1, n.wrapping_mul(160).wrapping_sub(320), 160, b'a');
            assert_eq!(world.beat(), "aa");
        }
        assert_eq!(world.packet(1, 900_000, 160, b'j'), Inserted::Restarted);
        assert_eq!(world.beat(), "jj");
        assert_eq!(world.packet(1, 500, 160, b'k'), Inserted::Restarted);
        assert_eq!(world.beat(), "kk");
    }

    #[test]
    fn after_a_pause_a_new_talk_spurt_begins() {
        let mut world = World::new();
        world.packet(1, 0, 160, b'a');
        for _ in 0..12 {
            world.beat();
        }
        assert_eq!(world.beat(), "..");
        world.packet(1, 13 * 160, 160, b'b');
        assert_eq!(world.beat(), "bb");
    }

    #[test]
    fn a_packet_plays_as_long_as_it_says_however_many_bytes_it_has() {
        let mut world = World::new();
        for (timestamp, mark) in [(0, b'a'), (320, b'b')] {
            world.buffer.insert(world.start, timestamp, 320, &[mark; 40], true);
        }
        let mut pieces = Vec::new();
        for beat in 1..5 {
            world.buffer.beat(world.start + BEAT * beat);
            if let Piece::Sound(sound) = world.buffer.next_piece(FRAME_SAMPLES, 160) {
                pieces.push((sound.timestamp, sound.payload[0], sound.payload.len(), sound.offset, sound.len));
            }
        }
        assert_eq!(
            pieces,
            [(0, b'a', 40, 0, 160), (0, b'a', 40, 160, 160), (320, b'b', 40, 0, 160), (320, b'b', 40, 160, 160)]
        );
    }

    #[test]
    fn a_gap_is_shown_with_the_packet_behind_it() {
        let mut world = World::new();
        world.packet(1, 0, 160, b'a');
        world.packet(1, 480, 160, b'd');
        assert_eq!(world.beat(), "aa");
        world.buffer.beat(world.start + BEAT * 2);
        assert_eq!(world.buffer.next_piece(FRAME_SAMPLES, 160), Piece::Missing(160, None), "two are missing");
        world.buffer.beat(world.start + BEAT * 3);
        assert_eq!(world.buffer.next_piece(FRAME_SAMPLES, 160), Piece::Missing(160, Some(&[b'd'; 160][..])));
    }

    #[test]
    fn packets_of_no_length_or_of_too_much_are_refused() {
        let mut world = World::new();
        assert_eq!(world.packet(1, 0, 0, b'x'), Inserted::Refused);
        assert_eq!(world.packet(1, 0, 481, b'x'), Inserted::Refused);
        let now = world.start;
        for len in [0, SAMPLES_MAX + 1] {
            assert_eq!(world.buffer.insert(now, 0, len, &[1], true), Inserted::Refused);
        }
        assert_eq!(world.beat(), "..");
    }

    proptest! {
        #[test]
        fn any_packets_at_any_time_fill_every_frame(
            steps in proptest::collection::vec((any::<u32>(), 0usize..600, any::<bool>(), any::<bool>(), 0u64..200), 0..300),
        ) {
            let mut world = World::new();
            let mut timestamp = 0u32;
            for (random, len, jump, newest, late_ms) in steps {
                timestamp = if jump { random } else { timestamp.wrapping_add(random % 700).wrapping_sub(200) };
                let now = world.start + BEAT * world.beats + Duration::from_millis(late_ms);
                world.buffer.insert(now, timestamp, u16::try_from(len).unwrap(), &vec![b'x'; len], newest);
                prop_assert_eq!(world.beat().len(), 2);
            }
        }
    }
}
