//! What a leg hears: which packets came, how evenly, and whose tones are in them.

use super::onset::Onset;
use super::tally::Tally;
use crate::bench::codec::{Decoder, PAYLOAD_MAX};
use crate::bench::tones::{LEVEL, PACKET_SAMPLES, Tone, Tones, energy};

/// Fixed part of the RTP header (RFC 3550 section 5.1).
const HEADER_BYTES: usize = 12;
/// Longest datagram that is read whole.
pub(super) const DATAGRAM_MAX: usize = HEADER_BYTES + PAYLOAD_MAX + 100;
/// Nanoseconds from one packet to the next.
const BEAT_NS: i64 = 20_000_000;
/// A sequence number further away than this is another stream's (RFC 3550 appendix A.1).
const GAP_MAX: i16 = 3_000;
const BACK_MAX: i16 = -GAP_MAX;
/// One packet in so many is listened to, of legs that are not watched.
const LISTEN_EVERY: u16 = 8;
/// A tone is there above this part of the level that it is sent with.
const THERE: f32 = 0.2;
/// Mean square, of full scale, below which a packet is silence.
const SILENCE: f32 = 5e-5;
/// The part of a packet's energy that the tones of the room have to explain.
const EXPLAINED: f32 = 0.7;
/// A tone that onset and sounding were told apart by: a later one than this belongs to no beginning.
const DELAY_MAX_NS: i64 = 2_000_000_000;

/// A talker who should be heard.
#[derive(Clone, Copy, Debug)]
struct Voice {
    /// Counted over all rooms.
    talker: usize,
    tone: Tone,
    heard: u32,
    onset: Onset,
}

/// One leg's ear.
#[derive(Debug)]
pub(super) struct Ear {
    voices: Vec<Voice>,
    own: Option<Tone>,
    own_heard: u32,
    foreign: u32,
    /// Packets listened to.
    listened: u32,
    decoder: Option<Decoder>,
    /// Whether beginnings are timed, and every packet is listened to.
    watched: bool,
    payload_type: u8,
    ticks_per_packet: u32,
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    ssrc: [u8; 4],
    sequence: u16,
    timestamp: u32,
    arrival_ns: i64,
}

/// Whom an ear listens to, and how.
#[derive(Debug)]
pub(super) struct Listening {
    /// Talkers of the room, counted over all rooms, without the leg itself.
    pub(super) voices: Vec<usize>,
    /// Itself, where it talks.
    pub(super) own: Option<usize>,
    /// `None` is deaf: packets are counted alone.
    pub(super) decoder: Option<Decoder>,
    pub(super) watched: bool,
    pub(super) payload_type: u8,
    pub(super) ticks_per_packet: u32,
}

/// What an ear concluded about who hears whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::bench) struct Heard {
    /// Whether it listened at all.
    pub(in crate::bench) listened: bool,
    /// Talkers that it should hear, and those it did.
    pub(in crate::bench) voices: usize,
    pub(in crate::bench) voices_heard: usize,
    /// It heard itself.
    pub(in crate::bench) itself: bool,
    /// It heard what nobody in its room said.
    pub(in crate::bench) strangers: bool,
}

impl Ear {
    pub(super) fn new(listening: Listening) -> Self {
        let Listening { voices, own, decoder, watched, payload_type, ticks_per_packet } = listening;
        let voice = |talker| Voice { talker, tone: Tone::of_talker(talker), heard: 0, onset: Onset::new() };
        Self {
            voices: voices.into_iter().map(voice).collect(),
            own: own.map(Tone::of_talker),
            own_heard: 0,
            foreign: 0,
            listened: 0,
            decoder,
            watched,
            payload_type,
            ticks_per_packet,
            last: None,
        }
    }

    /// Forgets whom it heard: from here on it counts.
    pub(super) fn begin(&mut self) {
        (self.own_heard, self.foreign, self.listened) = (0, 0, 0);
        for voice in &mut self.voices {
            voice.heard = 0;
        }
    }

    /// Takes a datagram. `began_ns` tells when each talker last began to send his tone.
    pub(super) fn hear(
        &mut self,
        arrival_ns: i64,
        datagram: &[u8],
        tones: &Tones,
        began_ns: &[i64],
        tally: &mut Tally,
    ) {
        let Some((header, payload)) = datagram.split_first_chunk::<HEADER_BYTES>() else { return };
        // Reports (RFC 5761 section 4), and whatever is no plain RTP.
        if header[0] >> 6 != 2 || (192..=223).contains(&header[1]) {
            return;
        }
        let this = Last {
            ssrc: [header[8], header[9], header[10], header[11]],
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            arrival_ns,
        };
        tally.received += 1;
        if !self.follow(this, tally) {
            return;
        }
        let plain = header[0] == 0x80 && header[1] & 0x7f == self.payload_type;
        let wanted = self.watched
            || self.decoder.as_ref().is_some_and(Decoder::remembers)
            || this.sequence.is_multiple_of(LISTEN_EVERY);
        if !wanted {
            return;
        }
        match self.decoder.as_mut().filter(|_| plain).and_then(|decoder| decoder.decode(payload)) {
            Some(sound) => self.listen(arrival_ns, &sound, tones, began_ns, tally),
            None => self.interrupt(),
        }
    }

    /// Keeps count of the stream; `false` for a packet out of its turn.
    fn follow(&mut self, this: Last, tally: &mut Tally) -> bool {
        let Some(last) = self.last.filter(|last| last.ssrc == this.ssrc) else {
            self.interrupt();
            self.last = Some(this);
            return true;
        };
        let step = this.sequence.wrapping_sub(last.sequence).cast_signed();
        match step {
            1 => {
                if this.timestamp.wrapping_sub(last.timestamp) == self.ticks_per_packet {
                    tally.jitter.add_ns((this.arrival_ns - last.arrival_ns - BEAT_NS).unsigned_abs());
                }
            }
            2..=GAP_MAX => {
                tally.lost += u64::from((step - 1).unsigned_abs());
                self.interrupt();
            }
            0 => {
                tally.repeated += 1;
                return false;
            }
            // It was counted as lost when its follower came.
            BACK_MAX..=-1 => {
                tally.lost = tally.lost.saturating_sub(1);
                tally.late += 1;
                return false;
            }
            i16::MIN..=i16::MAX => self.interrupt(),
        }
        self.last = Some(this);
        true
    }

    fn interrupt(&mut self) {
        for voice in &mut self.voices {
            voice.onset.interrupt();
        }
    }

    fn listen(
        &mut self,
        arrival_ns: i64,
        sound: &[f32; PACKET_SAMPLES],
        tones: &Tones,
        began_ns: &[i64],
        tally: &mut Tally,
    ) {
        self.listened += 1;
        let mut explained = 0.0;
        for voice in &mut self.voices {
            let level = tones.level(voice.tone, sound);
            explained += level * level / 2.0;
            voice.heard += u32::from(level > LEVEL * THERE);
            if !self.watched {
                continue;
            }
            let Some(sounded_ns) = voice.onset.hear(arrival_ns, level) else { continue };
            let began_ns = began_ns.get(voice.talker).copied().unwrap_or_default();
            if let Ok(delay_ns) = u64::try_from(sounded_ns - began_ns)
                && sounded_ns - began_ns <= DELAY_MAX_NS
            {
                tally.mouth_to_ear.add_ns(delay_ns);
            }
        }
        if let Some(own) = self.own {
            let level = tones.level(own, sound);
            explained += level * level / 2.0;
            self.own_heard += u32::from(level > LEVEL * THERE);
        }
        let energy = energy(sound);
        self.foreign += u32::from(energy > SILENCE && explained < energy * EXPLAINED);
    }

    /// What it concluded since [`begin`](Self::begin). A talker is silent for an eighth of the time, and tones mingle where
    /// one begins or ends.
    pub(super) fn heard(&self) -> Heard {
        let part = |count: u32, percent: u32| count * 100 > self.listened * percent;
        Heard {
            listened: self.listened > 0,
            voices: self.voices.len(),
            voices_heard: self.voices.iter().filter(|voice| part(voice.heard, 40)).count(),
            itself: part(self.own_heard, 15),
            strangers: part(self.foreign, 30),
        }
    }
}

#[cfg(test)]
mod tests {
    use mixer_service::sip::Codec;

    use super::*;
    use crate::bench::codec::Score;

    const MS: i64 = 1_000_000;

    fn ear(voices: &[usize], own: Option<usize>) -> Ear {
        Ear::new(Listening {
            voices: voices.to_vec(),
            own,
            decoder: Some(Decoder::new(Codec::Pcma).unwrap()),
            watched: true,
            payload_type: 8,
            ticks_per_packet: 160,
        })
    }

    fn packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, 8];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(sequence) * 160).to_be_bytes());
        packet.extend([1, 2, 3, 4]);
        packet.extend(payload);
        packet
    }

    /// Hears a talker's whole score, `skew_ns` later in each packet than on the beat.
    fn hear(ear: &mut Ear, talker: usize, began_ns: &[i64]) -> Tally {
        let (tones, mut tally) = (Tones::new(), Tally::default());
        let score = Score::write(Codec::Pcma, &tones, Some(Tone::of_talker(talker))).unwrap();
        for n in 0..200u16 {
            let datagram = packet(n, score.payload(n.into()));
            ear.hear(i64::from(n) * 20 * MS, &datagram, &tones, began_ns, &mut tally);
        }
        tally
    }

    #[test]
    fn the_talker_of_the_room_is_heard_and_his_beginning_timed() {
        let mut ear = ear(&[3], Some(4));
        // He began to send in the moment of packet 22; it sounds from packet 23 on.
        let mut began_ns = [0; 5];
        began_ns[3] = 22 * 20 * MS;
        let tally = hear(&mut ear, 3, &began_ns);
        let heard = Heard { listened: true, voices: 1, voices_heard: 1, itself: false, strangers: false };
        assert_eq!(ear.heard(), heard);
        assert_eq!((tally.received, tally.lost, tally.mouth_to_ear.count()), (200, 0, 1));
        let delay = tally.mouth_to_ear.quantile_ms(0.5).unwrap();
        assert!((delay - 20.0).abs() < 0.3, "{delay}");
    }

    #[test]
    fn a_stranger_is_noticed_and_so_is_ones_own_voice() {
        let mut ear_of_one = ear(&[3], None);
        hear(&mut ear_of_one, 9, &[0; 10]);
        let heard = ear_of_one.heard();
        assert!(heard.strangers && heard.voices_heard == 0, "{heard:?}");
        let mut ear_of_talker = ear(&[3], Some(9));
        hear(&mut ear_of_talker, 9, &[0; 10]);
        assert!(ear_of_talker.heard().itself && !ear_of_talker.heard().strangers);
    }

    #[test]
    fn losses_repetitions_and_latecomers_are_told_apart() {
        let (mut ear, tones, mut tally) = (ear(&[], None), Tones::new(), Tally::default());
        for (n, sequence) in [65_534, 65_535, 0, 3, 3, 2, 4].into_iter().enumerate() {
            let at = i64::try_from(n).unwrap() * 20 * MS;
            ear.hear(at, &packet(sequence, &[0xd5; 160]), &tones, &[], &mut tally);
        }
        assert_eq!((tally.received, tally.lost, tally.late, tally.repeated), (7, 1, 1, 1));
    }

    #[test]
    fn unevenness_is_what_differs_from_twenty_milliseconds() {
        let (mut ear, tones, mut tally) = (ear(&[], None), Tones::new(), Tally::default());
        for (sequence, at_ms) in [(10, 0), (11, 20), (12, 43), (13, 60)] {
            ear.hear(at_ms * MS, &packet(sequence, &[0xd5; 160]), &tones, &[], &mut tally);
        }
        assert_eq!((tally.jitter.count(), tally.jitter.longest_ms()), (3, Some(3.0)));
    }

    #[test]
    fn rubbish_counts_for_nothing() {
        let (mut ear, tones, mut tally) = (ear(&[], None), Tones::new(), Tally::default());
        for datagram in [&[][..], &[0x80; 11], &[0x80, 200, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1], &[0; 40]] {
            ear.hear(0, datagram, &tones, &[], &mut tally);
        }
        assert_eq!(tally.received, 0);
    }
}
