//! The receiving half of a stream: datagrams in, a frame out every beat.

use std::time::{Duration, Instant};

use crate::codec::Decoder;
use crate::comfort_noise::{ComfortNoise, ROOM_DBOV};
use crate::concealment::Concealment;
use crate::dtmf::{DigitReceiver, Heard};
use crate::gap::GAP_MAX_MS;
use crate::jitter_buffer::{Inserted, JitterBuffer, Piece};
use crate::key_tones::Muffle;
use crate::keys::{Keys, Pressed, Way};
use crate::ready::{Kind, Ready};
use crate::reception::{Order, Reception};
use crate::resample::Halver;
use crate::rtp::Packet;
use crate::time_scale::change_max;
use crate::timeline::Timeline;
use crate::{Codec, FRAME_SAMPLES, Frame, Remote, StreamStatistics, WideFrame};

/// A leg of which nothing came for so long is probably dead; told again as often, the program decides.
pub(crate) const SILENT_AFTER: Duration = Duration::from_secs(30);
/// Samples no larger than this are the idle pattern of either law, not a voice.
const IDLE_PEAK: u16 = 8;
/// Samples in a millisecond, as the jitter buffer counts them in every codec. The sound of a wideband one has twice as many.
const PER_MS: usize = FRAME_SAMPLES / 20;
/// Where the sound could not be made longer or shorter, it is tried again after so many beats: looking costs time.
const UNCHANGED_BEATS: u8 = 5;
/// A frame.
const FRAME_MS: usize = 20;
/// What is known of the packet behind a gap, where something can be: in G.711 alone.
const FUTURE_MAX: usize = FRAME_SAMPLES;
/// So long after a telephone event nothing is heard of its leg: some telephones play the tone as well, and all have a gap there
/// that nothing should fill. The next event comes within 50 ms while the key is down (RFC 4733 section 2.5.1.2), and may be late.
const EVENT_MUTES: Duration = Duration::from_millis(80);

/// What a far end sends, on its way to being heard.
#[derive(Debug)]
pub(crate) struct Inbound {
    remote: Remote,
    timeline: Timeline,
    reception: Reception,
    buffer: JitterBuffer,
    decoder: Decoder,
    /// Apart, as all that not every beat needs.
    digits: Box<DigitReceiver>,
    keys: Box<Keys>,
    /// Listens for keys in the sound, where that is agreed on.
    muffle: Option<Box<Muffle>>,
    /// Until then a telephone event keeps the leg silent.
    muted_until: Option<Instant>,
    concealment: Concealment,
    ready: Ready,
    /// Makes the lower half of what a wideband codec says.
    halver: Option<Box<Halver>>,
    /// The last frame held a voice, whose end comes out of that one a little later.
    was_voiced: bool,
    /// Beats until the sound may be looked at again for a change.
    unchanged: u8,
    noise: ComfortNoise,
    /// The far end said that it is silent.
    resting: bool,
    silent_since: Instant,
    silence_told: Instant,
    counts: StreamStatistics,
    energy: u64,
    voiced_frames: u32,
}

impl Inbound {
    pub(crate) fn new(now: Instant, remote: Remote, seed: u32) -> Self {
        Self {
            timeline: Timeline::new(remote.codec),
            reception: Reception::new(now),
            buffer: buffer(now, remote.codec),
            decoder: Decoder::new(remote.codec),
            digits: Box::new(DigitReceiver::new(remote.codec.ticks_per_sample())),
            keys: Box::new(Keys::new(now)),
            muffle: remote.has_keys_in_sound().then(Box::default),
            muted_until: None,
            concealment: Concealment::new(remote.codec.samples_per_ms()),
            ready: Ready::new(remote.codec.samples_per_ms()),
            halver: remote.codec.is_wide().then(Box::default),
            was_voiced: false,
            unchanged: 0,
            noise: ComfortNoise::new(ROOM_DBOV, seed),
            resting: false,
            silent_since: now,
            silence_told: now,
            counts: StreamStatistics::default(),
            energy: 0,
            voiced_frames: 0,
            remote,
        }
    }

    /// The far end speaks otherwise from here on.
    pub(crate) fn redirect(&mut self, now: Instant, remote: Remote) {
        if remote.codec != self.remote.codec {
            self.timeline = Timeline::new(remote.codec);
            self.buffer = buffer(now, remote.codec);
            self.counts.packets_refused += self.decoder.failures();
            self.decoder = Decoder::new(remote.codec);
            *self.digits = DigitReceiver::new(remote.codec.ticks_per_sample());
        }
        if remote.codec.is_wide() != self.remote.codec.is_wide() {
            self.concealment = Concealment::new(remote.codec.samples_per_ms());
            self.ready = Ready::new(remote.codec.samples_per_ms());
            self.halver = remote.codec.is_wide().then(Box::default);
        }
        if remote.has_keys_in_sound() != self.muffle.is_some() {
            self.muffle = remote.has_keys_in_sound().then(Box::default);
        }
        self.remote = remote;
    }

    /// What arrived so far.
    pub(crate) fn reception(&self) -> &Reception {
        &self.reception
    }

    /// See [`Stream::fetch`](crate::stream::Stream::fetch).
    pub(crate) fn fetch(&self) -> u32 {
        let own = u32::from(self.remote.payload_type) ^ u32::from(self.unchanged) ^ self.voiced_frames;
        own ^ self.reception.fetch() ^ self.buffer.fetch() ^ self.concealment.fetch()
    }

    /// Takes a packet that is known to be the far end's; gives a key if this was the first of it.
    pub(crate) fn receive(&mut self, now: Instant, packet: &Packet<'_>) -> Option<char> {
        self.silent_since = now;
        self.silence_told = now;
        let order = self.reception.note(packet);
        match order {
            Order::First => {
                self.buffer.restart();
                self.digits.restart();
                self.counts.resynchronized += u64::from(self.reception.received() > 1);
            }
            Order::Newest | Order::Overtaken => {}
            Order::Duplicate => {
                self.counts.packets_duplicated += 1;
                return None;
            }
            Order::Unproven => return None,
        }
        self.take(now, packet, order != Order::Overtaken)
    }

    /// A key that signalling told of; gives it unless it came already.
    pub(crate) fn press(&mut self, now: Instant, way: Way, key: char) -> Option<char> {
        match self.keys.press(now, way, key) {
            Pressed::Once => Some(key),
            Pressed::Again => {
                self.counts.keys_merged += 1;
                None
            }
            Pressed::TooFast => {
                self.counts.events_ignored += 1;
                None
            }
        }
    }

    fn take(&mut self, now: Instant, packet: &Packet<'_>, newest: bool) -> Option<char> {
        if packet.payload_type == self.remote.payload_type {
            self.take_sound(now, packet, newest);
        } else if Some(packet.payload_type) == self.remote.telephone_event {
            let heard = self.digits.hear(packet.timestamp, packet.payload);
            if heard != Heard::Ignored {
                self.muted_until = Some(now + EVENT_MUTES);
            }
            match heard {
                Heard::Key(key) => return self.press(now, Way::Event, key),
                Heard::Known => {}
                Heard::Ignored => self.counts.events_ignored += 1,
            }
        } else if Some(packet.payload_type) == self.remote.comfort_noise {
            self.noise.follow(packet.payload);
            self.resting = true;
        } else {
            self.counts.packets_refused += 1;
        }
        None
    }

    fn take_sound(&mut self, now: Instant, packet: &Packet<'_>, newest: bool) {
        let at = self.timeline.sample(packet.timestamp);
        self.reception.note_timing(now, at);
        if self.remote.codec.is_rest(packet.payload) {
            self.resting |= newest;
            return;
        }
        self.resting &= !newest;
        let inserted = match self.remote.codec.samples(packet.payload) {
            Some(len) => self.buffer.insert(now, at, len, packet.payload, newest),
            None => Inserted::Refused,
        };
        match inserted {
            Inserted::Taken => {}
            Inserted::Restarted => self.counts.resynchronized += 1,
            Inserted::Late => self.counts.packets_late += 1,
            Inserted::Duplicate => self.counts.packets_duplicated += 1,
            // An empty payload keeps a translator's door open; it is no mistake.
            Inserted::Refused => self.counts.packets_refused += u64::from(!packet.payload.is_empty()),
        }
    }

    /// Makes the frame for the beat that was due at `now`. `true` when it holds a voice, `false` when it is silence or noise
    /// that others need not hear; and a key that was heard in the sound.
    pub(crate) fn frame(&mut self, now: Instant, frame: &mut Frame) -> (bool, Option<char>) {
        self.buffer.beat(now);
        let played = self.play(frame);
        let (voiced, key) = self.without_keys(now, frame, None, played);
        (self.note_voice(voiced, frame), key)
    }

    /// The same of a wideband leg: `wide` is the frame, and `frame` its lower half.
    pub(crate) fn frame_wide(&mut self, now: Instant, frame: &mut Frame, wide: &mut WideFrame) -> (bool, Option<char>) {
        self.buffer.beat(now);
        let played = self.play(wide);
        if let Some(halver) = &mut self.halver {
            halver.lower(wide, frame);
        }
        let (voiced, key) = self.without_keys(now, frame, Some(wide), played);
        let voiced = self.note_voice(voiced, wide);
        let ends = std::mem::replace(&mut self.was_voiced, voiced) && peak(frame) > IDLE_PEAK;
        (voiced || ends, key)
    }

    /// Counts a frame that holds a voice; whether it does.
    fn note_voice<const N: usize>(&mut self, voiced: bool, frame: &[i16; N]) -> bool {
        let voiced = voiced && peak(frame) > IDLE_PEAK;
        if voiced {
            self.voiced_frames = self.voiced_frames.saturating_add(1);
            self.energy += mean_square(frame);
        }
        voiced
    }

    /// Takes out of a frame whatever a pressed key sounds like.
    fn without_keys(
        &mut self,
        now: Instant,
        frame: &mut Frame,
        mut wide: Option<&mut WideFrame>,
        played: Played,
    ) -> (bool, Option<char>) {
        let (mut voiced, mut key) = (played.voiced, None);
        if let Some(muffle) = &mut self.muffle {
            let passed = match &mut wide {
                None => muffle.pass(frame, played.voiced, !played.concealed),
                Some(wide) => muffle.pass_wide(frame, wide, played.voiced, !played.concealed),
            };
            self.counts.frames_muted += u64::from(passed.muted);
            voiced = passed.voiced;
            key = passed.key;
        }
        if self.muted_until.is_some_and(|until| now < until) {
            self.counts.frames_muted += u64::from(voiced);
            frame.fill(0);
            if let Some(wide) = wide {
                wide.fill(0);
            }
            voiced = false;
        }
        (voiced, key.and_then(|key| self.press(now, Way::Tone, key)))
    }

    /// Since when nothing came, when that is due to be told.
    pub(crate) fn silence(&mut self, now: Instant) -> Option<Instant> {
        let due = now.saturating_duration_since(self.silence_told) >= SILENT_AFTER;
        if due {
            self.silence_told = now;
        }
        due.then_some(self.silent_since)
    }

    pub(crate) fn statistics(&self) -> StreamStatistics {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a level for people to read")]
        let level = match self.voiced_frames {
            0 => -127.0,
            frames => (10.0 * ((self.energy as f64 / f64::from(frames)).max(1.0) / (32768.0 * 32768.0)).log10()) as f32,
        };
        StreamStatistics {
            packets_received: self.reception.received(),
            packets_lost: self.reception.lost(),
            packets_refused: self.counts.packets_refused + self.decoder.failures(),
            jitter_ms: self.reception.jitter_ms(),
            level_dbov: level,
            ..self.counts
        }
    }

    /// Plays what is due into the frame.
    fn play<const N: usize>(&mut self, frame: &mut [i16; N]) -> Played {
        if self.play_packet(frame) {
            return Played { voiced: true, concealed: false };
        }
        self.gather(N);
        self.adapt(N);
        let (voiced, concealed) = self.ready.take(frame);
        self.buffer.leave(self.ready.counted(self.ready.len()));
        self.counts.frames_concealed += u64::from(concealed);
        Played { voiced, concealed }
    }

    /// Decodes straight into the frame, as on nearly all beats: a packet is there for it, nothing is left of the one before, and
    /// nothing is to be changed. `false`: it is not so simple.
    fn play_packet<const N: usize>(&mut self, frame: &mut [i16; N]) -> bool {
        if self.ready.len() > 0 || self.buffer.wanted_change() != 0 {
            return false;
        }
        let Some(sound) = self.buffer.whole_packet(self.ready.counted(N)) else { return false };
        let decoded = self.decoder.decode(sound, frame);
        frame[decoded..].fill(0);
        self.concealment.heard(frame);
        self.unchanged = self.unchanged.saturating_sub(1);
        self.buffer.leave(0);
        true
    }

    /// Decodes or makes up, until so many samples of sound are ready.
    fn gather(&mut self, len: usize) {
        while self.ready.len() < len {
            let wanted = self.ready.wanted(len);
            let (len, kind) = match self.buffer.next_piece(wanted, GAP_MAX_MS * PER_MS) {
                Piece::Sound(sound) => {
                    let len = self.ready.sounding(sound.len);
                    let room = self.ready.room(len);
                    let decoded = self.decoder.decode(sound, room);
                    room[decoded..].fill(0);
                    self.concealment.heard(room);
                    (len, Kind::Voice)
                }
                Piece::Missing(len, next) if !self.resting => {
                    let len = self.ready.sounding(len);
                    let room = self.ready.room(len);
                    conceal(&mut self.decoder, &mut self.concealment, next, room);
                    self.buffer.missed();
                    (len, Kind::MadeUp)
                }
                Piece::Missing(len, _) | Piece::Pause(len) => {
                    let len = self.ready.sounding(len);
                    let room = self.ready.room(len);
                    if self.resting {
                        self.noise.fill(room);
                    } else {
                        room.fill(0);
                    }
                    (len, Kind::Rest)
                }
            };
            self.ready.added(len, kind);
        }
    }

    /// Makes what is ready longer or shorter if the buffer asks for it; `frame` samples of sound are played on this beat.
    fn adapt(&mut self, frame: usize) {
        let wanted = self.buffer.wanted_change();
        self.unchanged = self.unchanged.saturating_sub(1);
        if wanted == 0 || self.unchanged > 0 {
            return;
        }
        let asked = usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX);
        let most = self.ready.sounding(asked.min(change_max(PER_MS)));
        let by = if wanted > 0 {
            self.ready.stretch(most)
        } else {
            if !self.buffer.has(self.ready.wanted(frame + most)) {
                return;
            }
            self.gather(frame + most);
            self.ready.shorten(most)
        };
        if by == 0 {
            self.unchanged = UNCHANGED_BEATS;
        }
        let by = i32::try_from(self.ready.counted(by)).unwrap_or(0);
        self.buffer.changed(by * wanted.signum());
    }
}

fn buffer(now: Instant, codec: Codec) -> JitterBuffer {
    JitterBuffer::new(now, codec.payload_max()).by_whole_packets(codec.conceals())
}

/// Fills a gap as the codec does, else as we do; `next` is the packet right behind it.
fn conceal(decoder: &mut Decoder, concealment: &mut Concealment, next: Option<&[u8]>, gap: &mut [i16]) {
    let frame_samples = FRAME_MS * concealment.per_ms();
    let frames = gap.len().div_ceil(frame_samples);
    let mut done = false;
    for (frame, n) in gap.chunks_mut(frame_samples).zip(1..) {
        // Only the last frame is one that the packet behind the gap may tell of.
        done = decoder.conceal(next.filter(|_| n == frames), frame);
    }
    if done {
        return concealment.heard(gap);
    }
    let mut future = [0; FUTURE_MAX];
    match next.map(|next| decoder.peek(next, &mut future)) {
        Some(len @ 1..) => concealment.lead_to(&future[..len], gap),
        Some(0) | None => concealment.fill(gap),
    }
}

/// What a frame is made of.
#[derive(Clone, Copy)]
struct Played {
    /// Some of it was sent by the far end, or made up in its place.
    voiced: bool,
    /// Some of it was made up.
    concealed: bool,
}

fn peak<const N: usize>(frame: &[i16; N]) -> u16 {
    // The two ends apart: of signed numbers a processor takes eight at once.
    let highest = frame.iter().fold(0, |highest: i16, &sample| highest.max(sample));
    let lowest = frame.iter().fold(0, |lowest: i16, &sample| lowest.min(sample));
    highest.unsigned_abs().max(lowest.unsigned_abs())
}

/// The mean of the squares, a little too small: half of each sample is squared, so that eight of them fit into 32 bits.
fn mean_square<const N: usize>(frame: &[i16; N]) -> u64 {
    let (blocks, _) = frame.as_chunks::<8>();
    let square = |sample: &i16| i32::from(sample >> 1) * i32::from(sample >> 1);
    let sum = |block: &[i16; 8]| block.iter().map(square).fold(0, i32::wrapping_add).cast_unsigned();
    blocks.iter().map(|block| u64::from(sum(block))).sum::<u64>() * 4 / N as u64
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod line_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resample::wide;
    use crate::{BEAT, G711, Tone, WIDE_SAMPLES, level_dbov, pitch_level_db, some_instant};

    struct World {
        inbound: Inbound,
        now: Instant,
        sequence: u16,
    }

    impl World {
        fn new() -> Self {
            Self::with(|_| {})
        }

        fn with(change: impl FnOnce(&mut Remote)) -> Self {
            let now = some_instant();
            let mut remote = Remote::plain(([127, 0, 0, 1], 4000).into(), Codec::MuLaw);
            remote.comfort_noise = Some(13);
            change(&mut remote);
            Self { inbound: Inbound::new(now, remote, 1), now, sequence: 65_500 }
        }

        fn send(&mut self, payload_type: u8, ssrc: u32, timestamp: u32, payload: &[u8]) -> Option<char> {
            let packet = Packet { marker: false, payload_type, sequence: self.sequence, timestamp, ssrc, payload };
            self.sequence = self.sequence.wrapping_add(1);
            self.inbound.receive(self.now, &packet)
        }

        fn tone(&mut self, tone: &mut Tone, ssrc: u32, timestamp: u32) {
            let (mut frame, mut payload) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
            tone.fill(&mut frame);
            G711::MuLaw.encode(&frame, &mut payload);
            self.send(0, ssrc, timestamp, &payload);
        }

        fn beat(&mut self) -> (Frame, bool) {
            self.now += BEAT;
            let mut frame = [0; FRAME_SAMPLES];
            let (voiced, _) = match self.inbound.remote.codec.is_wide() {
                false => self.inbound.frame(self.now, &mut frame),
                true => self.inbound.frame_wide(self.now, &mut frame, &mut [0; WIDE_SAMPLES]),
            };
            (frame, voiced)
        }
    }

    fn at_its_rate(codec: Codec, pitch_hz: f64, level_db: f64) -> Tone {
        if codec.is_wide() { wide::tone(pitch_hz, level_db) } else { Tone::new(pitch_hz, level_db) }
    }

    #[test]
    fn a_tone_arrives_at_its_level() {
        let (mut world, mut tone, mut heard) = (World::new(), Tone::new(440.0, -20.0), Vec::new());
        for n in 0..50 {
            world.tone(&mut tone, 1, n * 160);
            heard.extend(world.beat().0);
        }
        assert!((pitch_level_db(&heard[800..], 440.0) + 20.0).abs() < 0.2);
        let statistics = world.inbound.statistics();
        assert_eq!((statistics.packets_received, statistics.packets_lost, statistics.frames_concealed), (50, 0, 0));
        assert!((statistics.level_dbov + 23.0).abs() < 0.3, "{}", statistics.level_dbov);
    }

    #[test]
    fn an_event_is_a_key_and_no_sound() {
        let mut world = World::new();
        assert_eq!(world.send(101, 1, 0, &[5, 0x0a, 0, 160]), Some('5'));
        assert_eq!(world.send(101, 1, 0, &[5, 0x0a, 1, 64]), None);
        assert_eq!(world.beat(), ([0; FRAME_SAMPLES], false));
    }

    #[test]
    fn comfort_noise_is_soft_noise_and_no_voice() {
        let (mut world, mut tone) = (World::new(), Tone::new(440.0, -6.0));
        world.tone(&mut tone, 1, 0);
        world.send(13, 1, 160, &[50, 200, 100]);
        assert!(world.beat().1);
        let (frame, voiced) = world.beat();
        assert!(!voiced && (-56.0..-44.0).contains(&level_dbov(&frame)), "{}", level_dbov(&frame));
    }

    #[test]
    fn foreign_payload_types_and_payloads_too_long_are_counted_and_play_nothing() {
        let mut world = World::new();
        world.send(96, 1, 0, &[0x80; 160]);
        world.send(0, 1, 0, &[0x80; 490]);
        assert_eq!(world.beat(), ([0; FRAME_SAMPLES], false));
        assert_eq!(world.inbound.statistics().packets_refused, 2);
    }

    #[test]
    fn a_key_told_in_two_ways_is_one_and_silences_the_tone_that_is_played_along() {
        let mut world = World::new();
        let mut tone = Tone::new(770.0, -10.0);
        for n in 0..5 {
            world.tone(&mut tone, 1, n * 160);
            assert!(world.beat().1);
        }
        assert_eq!(world.send(101, 1, 800, &[5, 0x0a, 0, 160]), Some('5'));
        assert_eq!(world.inbound.press(world.now, Way::Info, '5'), None);
        for n in 5..8 {
            world.tone(&mut tone, 1, n * 160);
            assert_eq!(world.beat(), ([0; FRAME_SAMPLES], false), "frame {n}");
        }
        world.tone(&mut tone, 1, 8 * 160);
        assert!(world.beat().1);
        assert_eq!(world.inbound.statistics().keys_merged, 1);
    }

    #[test]
    fn nothing_is_made_up_while_a_key_is_down() {
        let (mut world, mut tone) = (World::new(), Tone::new(440.0, -6.0));
        for n in 0..5 {
            world.tone(&mut tone, 1, n * 160);
            world.beat();
        }
        for duration in 1..8u8 {
            world.send(101, 1, 800, &[5, 0x0a, 0, duration * 20]);
            assert_eq!(world.beat(), ([0; FRAME_SAMPLES], false));
        }
    }

    #[test]
    fn keys_in_the_sound_are_told_and_not_heard_where_no_events_were_agreed_on() {
        let mut world = World::with(|remote| remote.telephone_event = None);
        let (mut low, mut high) = (Tone::new(770.0, -12.0), Tone::new(1336.0, -12.0));
        let mut told = Vec::new();
        for n in 0..20u32 {
            let pair: Vec<i16> = low.take(160).iter().zip(high.take(160)).map(|(&a, b)| a + b).collect();
            let (mut frame, mut payload) = ([0; FRAME_SAMPLES], [0xff; FRAME_SAMPLES]);
            if (5..10).contains(&n) {
                frame.copy_from_slice(&pair);
            }
            G711::MuLaw.encode(&frame, &mut payload);
            world.send(0, 1, n * 160, &payload);
            world.now += BEAT;
            let (voiced, key) = world.inbound.frame(world.now, &mut frame);
            told.extend(key);
            assert!(!voiced && level_dbov(&frame) < -80.0, "frame {n}: {}", level_dbov(&frame));
        }
        assert_eq!(told, ['5']);
    }

    #[test]
    fn every_codec_arrives_at_its_level_and_covers_a_lost_packet() {
        for codec in [Codec::ALaw, Codec::MuLaw, Codec::G722, Codec::Opus] {
            let mut world = World::with(|remote| {
                remote.codec = codec;
                remote.payload_type = codec.usual_payload_type();
            });
            let (mut tone, mut encoder, mut heard) =
                (at_its_rate(codec, 440.0, -20.0), crate::codec::Encoder::new(codec), Vec::new());
            for n in 0..100u32 {
                let (frame, mut payload) = (tone.take(20 * codec.samples_per_ms()), [0; 400]);
                let len = match codec.law() {
                    Some(law) => {
                        law.encode(frame[..].try_into().unwrap(), (&mut payload[..160]).try_into().unwrap());
                        160
                    }
                    None => encoder.encode(&frame, &mut payload),
                };
                let timestamp = n.wrapping_mul(160 * codec.ticks_per_sample()).wrapping_sub(40_000);
                if n % 10 == 7 {
                    world.sequence = world.sequence.wrapping_add(1);
                } else {
                    world.send(codec.usual_payload_type(), 1, timestamp, &payload[..len]);
                }
                heard.extend(world.beat().0);
            }
            // A sine of −20 dB is −23 dBov. What is made up may be out of step with it, so not the pitch is measured.
            let level = level_dbov(&heard[8000..]) + 3.01;
            println!("{codec:?}: {level:.2} dB of -20");
            // Opus makes up a steady tone a little softer than it was.
            assert!((level + 20.0).abs() < if codec.conceals() { 1.5 } else { 1.0 }, "{codec:?}: {level}");
            let statistics = world.inbound.statistics();
            assert_eq!((statistics.packets_refused, statistics.packets_lost), (0, 10));
            // Once the line counts as lossy the sound is stretched, and a packet may lie across two frames.
            assert!((10..=20).contains(&statistics.frames_concealed), "{}", statistics.frames_concealed);
        }
    }

    #[test]
    fn opus_that_rests_is_soft_noise_and_no_voice() {
        let mut world = World::with(|remote| (remote.codec, remote.payload_type) = (Codec::Opus, 111));
        let (mut tone, mut encoder, mut payload) =
            (wide::tone(440.0, -6.0), crate::codec::Encoder::new(Codec::Opus), [0; 400]);
        for n in 0..5 {
            let len = encoder.encode(&tone.take(WIDE_SAMPLES), &mut payload);
            world.send(111, 1, n * 960, &payload[..len]);
            assert!(world.beat().1 || n == 0);
        }
        world.send(111, 1, 5 * 960, &[0x08]);
        world.beat();
        for _ in 0..20 {
            let (frame, voiced) = world.beat();
            assert!(!voiced && (-72.0..-60.0).contains(&level_dbov(&frame)), "{}", level_dbov(&frame));
        }
    }

    #[test]
    fn another_ssrc_is_heard_from_its_second_packet_on() {
        let (mut world, mut tone) = (World::new(), Tone::new(440.0, -10.0));
        for n in 0..5 {
            world.tone(&mut tone, 1, n * 160);
            world.beat();
        }
        for n in 0..6 {
            world.tone(&mut tone, 2, 700_000 + n * 160);
            let (frame, voiced) = world.beat();
            assert!(n == 0 || (voiced && level_dbov(&frame) > -20.0), "packet {n}");
        }
        assert_eq!(world.inbound.statistics().resynchronized, 1);
    }

    #[test]
    fn a_dead_leg_is_told_every_thirty_seconds() {
        let mut world = World::new();
        let start = world.now;
        let told: Vec<_> = (0..70)
            .filter_map(|second| {
                let now = start + Duration::from_secs(second);
                world.inbound.silence(now).map(|since| (second, since == start))
            })
            .collect();
        assert_eq!(told, [(30, true), (60, true)]);
    }
}
