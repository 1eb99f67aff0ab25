//! The receiving half of a stream: datagrams in, a frame out every beat.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::comfort_noise::{ComfortNoise, ROOM_DBOV};
use crate::concealment::Concealment;
use crate::dtmf::{DigitReceiver, Heard};
use crate::jitter_buffer::{Inserted, JitterBuffer, Piece, Surplus};
use crate::latch::Latch;
use crate::reception::{Order, Reception};
use crate::rtp::{Packet, Refusal};
use crate::{FRAME_SAMPLES, Frame, Remote, StreamStatistics};

/// A leg of which nothing came for so long is probably dead; told again as often, the program decides.
pub(crate) const SILENT_AFTER: Duration = Duration::from_secs(30);
/// Samples no larger than this are the idle pattern of either law, not a voice.
const IDLE_PEAK: u16 = 8;
/// A frame this soft can be skipped without anybody hearing it: −40 dBov.
const SKIPPED_PEAK: u16 = 330;

/// What a far end sends, on its way to being heard.
#[derive(Debug)]
pub(crate) struct Inbound {
    remote: Remote,
    latch: Latch,
    reception: Reception,
    buffer: JitterBuffer,
    digits: DigitReceiver,
    concealment: Concealment,
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
            remote,
            latch: Latch::new(now, remote.address),
            reception: Reception::new(now),
            buffer: JitterBuffer::new(now),
            digits: DigitReceiver::new(now),
            concealment: Concealment::default(),
            noise: ComfortNoise::new(ROOM_DBOV, seed),
            resting: false,
            silent_since: now,
            silence_told: now,
            counts: StreamStatistics::default(),
            energy: 0,
            voiced_frames: 0,
        }
    }

    /// The far end moved, or speaks otherwise from here on.
    pub(crate) fn redirect(&mut self, now: Instant, remote: Remote) {
        if remote.address != self.remote.address {
            self.latch = Latch::new(now, remote.address);
        }
        if remote.codec != self.remote.codec {
            self.buffer.restart();
        }
        self.remote = remote;
    }

    /// Where the far end is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.latch.address()
    }

    /// Takes a datagram; gives a key if this was the first of it.
    pub(crate) fn receive(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> Option<char> {
        let packet = match Packet::parse(datagram) {
            Ok(packet) => packet,
            Err(Refusal::Rtcp) => {
                self.counts.packets_rtcp += 1;
                return None;
            }
            Err(Refusal::Truncated | Refusal::Version(_) | Refusal::Padding(_)) => {
                self.counts.packets_refused += 1;
                return None;
            }
        };
        if !self.latch.accept(now, source, &packet) {
            self.counts.packets_stray += 1;
            return None;
        }
        self.silent_since = now;
        self.silence_told = now;
        let order = self.reception.note(&packet);
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
        self.take(now, &packet, order != Order::Overtaken)
    }

    fn take(&mut self, now: Instant, packet: &Packet<'_>, newest: bool) -> Option<char> {
        if packet.payload_type == self.remote.payload_type {
            self.reception.note_timing(now, packet.timestamp);
            self.resting &= !newest;
            match self.buffer.insert(now, packet.timestamp, packet.payload, newest) {
                Inserted::Taken => {}
                Inserted::Restarted => self.counts.resynchronized += 1,
                Inserted::Late => self.counts.packets_late += 1,
                Inserted::Duplicate => self.counts.packets_duplicated += 1,
                // An empty payload keeps a translator's door open; it is no mistake.
                Inserted::Refused => self.counts.packets_refused += u64::from(!packet.payload.is_empty()),
            }
        } else if Some(packet.payload_type) == self.remote.telephone_event {
            match self.digits.hear(now, packet.timestamp, packet.payload) {
                Heard::Key(key) => return Some(key),
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

    /// Makes the frame for the beat that was due at `now`. `true` when it holds a voice; `false` when it is silence or
    /// noise that others need not hear.
    pub(crate) fn frame(&mut self, now: Instant, frame: &mut Frame) -> bool {
        self.buffer.beat(now);
        let mut voiced = self.play(frame);
        let skip = match self.buffer.surplus() {
            Surplus::No => false,
            Surplus::Frame => peak(frame) <= SKIPPED_PEAK,
            Surplus::Much => true,
        };
        if skip {
            self.buffer.skipped();
            voiced = self.play(frame);
        }
        voiced &= peak(frame) > IDLE_PEAK;
        if voiced {
            self.voiced_frames = self.voiced_frames.saturating_add(1);
            self.energy += frame.iter().map(|&sample| u64::from(sample.unsigned_abs()).pow(2)).sum::<u64>() / 160;
        }
        voiced
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
            jitter_ms: self.reception.jitter_ms(),
            level_dbov: level,
            ..self.counts
        }
    }

    /// Plays what is due into the frame; `true` when some of it was sent by the far end, or made up in its place.
    fn play(&mut self, frame: &mut Frame) -> bool {
        let (mut at, mut voiced, mut concealed) = (0, false, false);
        while at < FRAME_SAMPLES {
            let rest = &mut frame[at..];
            at += match self.buffer.next_piece(rest.len()) {
                Piece::Sound(payload) => {
                    let len = self.remote.codec.decode(payload, rest);
                    self.concealment.heard(&mut rest[..len]);
                    voiced = true;
                    len
                }
                Piece::Missing(len) if !self.resting => {
                    self.concealment.fill(&mut rest[..len]);
                    (voiced, concealed) = (true, true);
                    len
                }
                Piece::Missing(len) | Piece::Pause(len) => {
                    if self.resting {
                        self.noise.fill(&mut rest[..len]);
                    } else {
                        rest[..len].fill(0);
                    }
                    len
                }
            };
        }
        self.counts.frames_concealed += u64::from(concealed);
        voiced
    }
}

fn peak(frame: &Frame) -> u16 {
    frame.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BEAT, G711, Tone, level_dbov, pitch_level_db, some_instant};

    const FAR: u16 = 4000;

    struct World {
        inbound: Inbound,
        now: Instant,
        sequence: u16,
    }

    impl World {
        fn new() -> Self {
            let now = some_instant();
            let remote = Remote {
                address: ([127, 0, 0, 1], FAR).into(),
                codec: G711::MuLaw,
                payload_type: 0,
                telephone_event: Some(101),
                comfort_noise: Some(13),
                packet_ms: 20,
            };
            Self { inbound: Inbound::new(now, remote, 1), now, sequence: 65_500 }
        }

        fn send(&mut self, payload_type: u8, ssrc: u32, timestamp: u32, payload: &[u8]) -> Option<char> {
            let packet = Packet { marker: false, payload_type, sequence: self.sequence, timestamp, ssrc, payload };
            self.sequence = self.sequence.wrapping_add(1);
            let mut datagram = [0; 512];
            let len = packet.write(&mut datagram).unwrap();
            self.inbound.receive(self.now, ([127, 0, 0, 1], FAR).into(), &datagram[..len])
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
            let voiced = self.inbound.frame(self.now, &mut frame);
            (frame, voiced)
        }
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
    fn rtcp_garbage_and_foreign_payload_types_are_counted_and_play_nothing() {
        let mut world = World::new();
        let source = ([127, 0, 0, 1], FAR).into();
        world.inbound.receive(world.now, source, &[0x80, 203, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
        world.inbound.receive(world.now, source, &[0; 172]);
        world.inbound.receive(world.now, source, &[7]);
        world.send(96, 1, 0, &[0x80; 160]);
        world.send(0, 1, 0, &[0x80; 490]);
        assert_eq!(world.beat(), ([0; FRAME_SAMPLES], false));
        let counts = world.inbound.statistics();
        assert_eq!((counts.packets_rtcp, counts.packets_refused), (1, 4));
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
