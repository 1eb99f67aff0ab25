//! One room's sound: everybody's voices once, each listener's own taken out, announcements over it.
//!
//! There is one mix for all who only listen, encoded once for each codec; only who speaks gets a mix of his own, since only
//! his voice has to be taken out of it.

use crate::blend::{Blend, Blended};
use crate::codec::{Codec, G711, Payload};
use crate::comfort_noise::{ComfortNoise, ROOM_DBOV};
use crate::limiter::Bounds;
use crate::playback::Playback;
use crate::talkers::{Entry, Talkers};
use crate::wide_mix::{Pause, WideMix};
use crate::{Clip, FRAME_SAMPLES, Frame};

/// The talk while an announcement is spoken: −6 dB, so that both are understood.
const DUCKED: f32 = 0.501;
/// A clip shorter than a second, such as the tone of somebody joining, …
const SHORT_SAMPLES: usize = 8000;
/// … is left out when a second of announcements waits already: two hundred joins are no minute of tones.
const BACKLOG_SAMPLES: usize = 8000;

/// A pause in what is said is silent as the speaker's own; after two seconds it is softly alive, lest the line seem dead.
const PAUSE_BEATS: u32 = 100;

/// What is said in one room on one beat.
#[derive(Debug)]
pub(crate) struct Room {
    /// Slots of the streams within.
    pub(crate) members: Vec<usize>,
    /// Who of them is mixed.
    pub(crate) talkers: Talkers,
    announcement: Playback,
    spoken: Frame,
    speaking: bool,
    sum: [i32; FRAME_SAMPLES],
    bounds: Bounds,
    voices: u32,
    blend: Blend,
    blended: Option<Blended<FRAME_SAMPLES>>,
    noise: ComfortNoise,
    soft: Frame,
    /// Beats since somebody or something was heard.
    pause_beats: u32,
    common: Frame,
    a_law: Payload,
    mu_law: Payload,
    encoded: [bool; 2],
    /// The same for those who hear wideband, while there are such.
    pub(crate) wide: Option<Box<WideMix>>,
    seed: u32,
}

impl Room {
    pub(crate) fn new(seed: u32) -> Self {
        Self {
            members: Vec::new(),
            talkers: Talkers::default(),
            announcement: Playback::default(),
            spoken: [0; FRAME_SAMPLES],
            speaking: false,
            sum: [0; FRAME_SAMPLES],
            bounds: Bounds::default(),
            voices: 0,
            blend: Blend::new(DUCKED),
            blended: None,
            noise: ComfortNoise::new(ROOM_DBOV, seed),
            soft: [0; FRAME_SAMPLES],
            pause_beats: PAUSE_BEATS,
            common: [0; FRAME_SAMPLES],
            a_law: [0; FRAME_SAMPLES],
            mu_law: [0; FRAME_SAMPLES],
            encoded: [false; 2],
            wide: None,
            seed,
        }
    }

    /// Somebody who hears in this codec will be here: what the beat needs for it is made now.
    pub(crate) fn expect(&mut self, codec: Codec) {
        if codec.is_wide() {
            let (sum, blend, seed) = (&self.sum, self.blend, self.seed);
            self.wide.get_or_insert_with(|| WideMix::beside(sum, blend, seed)).expect(codec);
        }
    }

    /// Nobody who hears wideband is left.
    pub(crate) fn narrow(&mut self) {
        self.wide = None;
    }

    /// Speaks these clips behind what is announced already.
    pub(crate) fn announce(&mut self, clips: Vec<Clip>) {
        let len: usize = clips.iter().map(|clip| clip.samples().len()).sum();
        if len >= SHORT_SAMPLES || self.announcement.len_samples() <= BACKLOG_SAMPLES {
            self.announcement.append(clips);
        }
    }

    /// Whether everything announced was heard.
    pub(crate) fn is_quiet(&self) -> bool {
        self.announcement.is_over()
    }

    /// Begins a beat: nobody has spoken yet.
    pub(crate) fn begin(&mut self) {
        self.talkers.begin();
        self.sum = [0; FRAME_SAMPLES];
        self.bounds = Bounds::default();
        self.voices = 0;
        self.speaking = !self.announcement.is_over();
        if self.speaking {
            self.announcement.play(&mut self.spoken);
        }
        if let Some(wide) = &mut self.wide {
            wide.begin(self.speaking.then_some(&self.spoken));
        }
    }

    /// Adds the voice of somebody whom the talkers' choice named.
    pub(crate) fn add(&mut self, voice: &Frame, entry: Entry) {
        self.voices += 1;
        self.bounds.add(voice);
        match entry {
            Entry::Whole => sum_up(&mut self.sum, voice),
            Entry::FadingIn | Entry::FadingOut => sum_up(&mut self.sum, &entry.of(voice)),
        }
    }

    /// All voices are in: makes what mere listeners hear.
    pub(crate) fn finish(&mut self) {
        if self.voices <= 1 && !self.speaking {
            // Somebody hears nobody: with two voices all hear one.
            self.noise.fill(&mut self.soft);
        }
        self.blended = self.blend.beat(&self.bounds, self.speaking.then_some(&self.spoken));
        let pause = self.voices == 0 && !self.speaking;
        self.pause_beats = if pause { self.pause_beats.saturating_add(1) } else { 0 };
        if let Some(wide) = &mut self.wide {
            wide.finish(match pause {
                false => Pause::Not,
                true if self.pause_beats > PAUSE_BEATS => Pause::Soft,
                true => Pause::Silent,
            });
        }
        match &self.blended {
            _ if pause && self.pause_beats > PAUSE_BEATS => self.common = self.soft,
            _ if pause => self.common = [0; FRAME_SAMPLES],
            Some(blended) => blended.apply(self.sum.iter().copied(), &mut self.common),
            None => {
                for (out, &sum) in self.common.iter_mut().zip(&self.sum) {
                    *out = saturated(sum);
                }
            }
        }
        self.encoded = [false; 2];
    }

    /// What a speaker hears: all but himself.
    pub(crate) fn without(&self, own: &Frame, entry: Entry, frame: &mut Frame) {
        if self.voices <= 1 && !self.speaking {
            *frame = self.soft;
            return;
        }
        match entry {
            Entry::Whole => self.less(own, frame),
            Entry::FadingIn | Entry::FadingOut => self.less(&entry.of(own), frame),
        }
    }

    fn less(&self, own: &Frame, frame: &mut Frame) {
        match &self.blended {
            Some(blended) => {
                blended.apply(self.sum.iter().zip(own).map(|(&sum, &own)| sum - i32::from(own)), frame);
            }
            None => {
                for ((out, &sum), &own) in frame.iter_mut().zip(&self.sum).zip(own) {
                    *out = saturated(sum - i32::from(own));
                }
            }
        }
    }

    /// What mere listeners hear, as this law says it.
    pub(crate) fn common(&mut self, law: G711) -> &Payload {
        let (payload, encoded) = match law {
            G711::ALaw => (&mut self.a_law, &mut self.encoded[0]),
            G711::MuLaw => (&mut self.mu_law, &mut self.encoded[1]),
        };
        if !std::mem::replace(encoded, true) {
            law.encode(&self.common, payload);
        }
        payload
    }

    /// What mere listeners hear.
    pub(crate) fn common_frame(&self) -> &Frame {
        &self.common
    }
}

/// Adds a voice to a sum, at either rate.
pub(crate) fn sum_up<const N: usize>(sum: &mut [i32; N], voice: &[i16; N]) {
    for (sum, &sample) in sum.iter_mut().zip(voice) {
        *sum += i32::from(sample);
    }
}

/// The nearest sample. Where nothing limits, the one sum beyond is 32768.
pub(crate) fn saturated(sum: i32) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of a sample")]
    let sample = sum.clamp(-32768, 32767) as i16;
    sample
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tone, level_dbov, pitch_level_db};

    fn room_of(voices: &[Frame]) -> Room {
        let mut room = Room::new(1);
        room.begin();
        voices.iter().for_each(|voice| room.add(voice, Entry::Whole));
        room.finish();
        room
    }

    #[test]
    fn each_hears_the_others_exactly_and_a_listener_all() {
        let mut room = room_of(&[[100; 160], [-30; 160], [7; 160]]);
        let mut frame = [0; 160];
        room.without(&[-30; 160], Entry::Whole, &mut frame);
        assert_eq!(frame, [107; 160]);
        let (mut expected, law) = ([0; 160], G711::ALaw);
        law.encode(&[77; 160], &mut expected);
        assert_eq!(room.common(law), &expected);
    }

    #[test]
    fn thirty_two_voices_at_full_scale_become_softer_and_never_wrap() {
        let mut room = Room::new(1);
        for n in 0..10 {
            room.begin();
            let sample = if n % 2 == 0 { i16::MAX } else { i16::MIN };
            let voices = [[sample; 160]; 32];
            voices.iter().for_each(|voice| room.add(voice, Entry::Whole));
            room.finish();
            let mut frame = [0; 160];
            room.without(&voices[0], Entry::Whole, &mut frame);
            assert!(room.common.iter().chain(&frame).all(|&heard| heard.signum() == sample.signum()));
            assert!(n == 0 || room.common.iter().all(|&heard| heard.unsigned_abs() >= 32760));
            assert!(n == 0 || frame.iter().all(|heard| (31_700..31_800).contains(&heard.unsigned_abs())), "31 of 32");
        }
    }

    #[test]
    fn where_nobody_else_speaks_it_is_softly_alive() {
        let room = room_of(&[[9000; 160]]);
        let mut frame = [0; 160];
        room.without(&[9000; 160], Entry::Whole, &mut frame);
        assert!((-70.0..-60.0).contains(&level_dbov(&frame)), "{}", level_dbov(&frame));
    }

    #[test]
    fn an_announcement_is_heard_over_lowered_talk_and_gliding() {
        let (mut talk, mut room, mut heard) = (Tone::new(400.0, -12.0), Room::new(1), Vec::new());
        room.announce(vec![Clip::new(Tone::new(1000.0, -12.0).take(4000))]);
        for _ in 0..75 {
            room.begin();
            let voice: Frame = talk.take(160).try_into().unwrap();
            room.add(&voice, Entry::Whole);
            room.finish();
            heard.extend(room.common);
        }
        assert!((pitch_level_db(&heard[400..3600], 400.0) + 18.0).abs() < 0.3);
        assert!((pitch_level_db(&heard[400..3600], 1000.0) + 12.0).abs() < 0.3);
        assert!((pitch_level_db(&heard[4800..], 400.0) + 12.0).abs() < 0.1, "the talk is as loud as before");
        assert!(pitch_level_db(&heard[4800..], 1000.0) < -60.0);
    }

    #[test]
    fn a_storm_of_joins_is_no_minute_of_tones_and_a_warning_is_never_left_out() {
        let mut room = Room::new(1);
        for _ in 0..200 {
            room.announce(vec![Clip::new(vec![1; 2400])]);
        }
        assert!(room.announcement.len_samples() <= BACKLOG_SAMPLES + 2400);
        let before = room.announcement.len_samples();
        room.announce(vec![Clip::new(vec![1; 20_000])]);
        assert_eq!(room.announcement.len_samples(), before + 20_000);
    }
}
