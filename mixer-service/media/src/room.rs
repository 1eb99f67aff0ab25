//! One room's sound: everybody's voices once, each listener's own taken out, announcements over it.
//!
//! There is one mix for all who only listen, encoded once for each law; only who speaks gets a mix of his own, since only
//! his voice has to be taken out of it.

use crate::codec::{G711, Payload};
use crate::comfort_noise::{ComfortNoise, ROOM_DBOV};
use crate::playback::Playback;
use crate::{Clip, FRAME_SAMPLES, FRAME_TICKS, Frame};

/// Full gain, in fixed point.
const UNITY: i64 = 4096;
/// The talk while an announcement is spoken: −6 dB, so that both are understood.
const DUCKED: i64 = 2053;
/// A clip shorter than a second, such as the tone of somebody joining, …
const SHORT_SAMPLES: usize = 8000;
/// … is left out when a second of announcements waits already: two hundred joins are no minute of tones.
const BACKLOG_SAMPLES: usize = 8000;

/// What is said in one room on one beat.
#[derive(Debug)]
pub(crate) struct Room {
    /// Slots of the streams within.
    pub(crate) members: Vec<usize>,
    announcement: Playback,
    spoken: Frame,
    speaking: bool,
    sum: [i32; FRAME_SAMPLES],
    voices: u32,
    gain: i64,
    gain_before: i64,
    noise: ComfortNoise,
    soft: Frame,
    common: Frame,
    a_law: Payload,
    mu_law: Payload,
    encoded: [bool; 2],
}

impl Room {
    pub(crate) fn new(seed: u32) -> Self {
        Self {
            members: Vec::new(),
            announcement: Playback::default(),
            spoken: [0; FRAME_SAMPLES],
            speaking: false,
            sum: [0; FRAME_SAMPLES],
            voices: 0,
            gain: UNITY,
            gain_before: UNITY,
            noise: ComfortNoise::new(ROOM_DBOV, seed),
            soft: [0; FRAME_SAMPLES],
            common: [0; FRAME_SAMPLES],
            a_law: [0; FRAME_SAMPLES],
            mu_law: [0; FRAME_SAMPLES],
            encoded: [false; 2],
        }
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
        self.sum = [0; FRAME_SAMPLES];
        self.voices = 0;
        self.speaking = !self.announcement.is_over();
        if self.speaking {
            self.announcement.play(&mut self.spoken);
        }
        self.gain_before = self.gain;
        self.gain = if self.speaking { DUCKED } else { UNITY };
        self.noise.fill(&mut self.soft);
    }

    /// Adds a voice.
    pub(crate) fn add(&mut self, voice: &Frame) {
        self.voices += 1;
        for (sum, &sample) in self.sum.iter_mut().zip(voice) {
            *sum += i32::from(sample);
        }
    }

    /// All voices are in: makes what mere listeners hear.
    pub(crate) fn finish(&mut self) {
        let mut common = [0; FRAME_SAMPLES];
        self.mix(None, &mut common);
        self.common = common;
        self.encoded = [false; 2];
    }

    /// What a speaker hears: all but himself.
    pub(crate) fn without(&self, own: &Frame, frame: &mut Frame) {
        self.mix(Some(own), frame);
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

    /// The same, for codecs that remember what they said before.
    pub(crate) fn common_frame(&self) -> &Frame {
        &self.common
    }

    fn mix(&self, own: Option<&Frame>, frame: &mut Frame) {
        let others = self.voices - u32::from(own.is_some());
        if others == 0 && !self.speaking {
            *frame = self.soft;
            return;
        }
        match own {
            Some(own) => {
                for ((out, &sum), &own) in frame.iter_mut().zip(&self.sum).zip(own) {
                    *out = saturated(i64::from(sum - i32::from(own)));
                }
            }
            None => {
                for (out, &sum) in frame.iter_mut().zip(&self.sum) {
                    *out = saturated(i64::from(sum));
                }
            }
        }
        if self.speaking || self.gain != self.gain_before {
            self.speak_over(frame);
        }
    }

    /// Lowers the talk, gliding over one frame lest it click, and lays the announcement over it.
    fn speak_over(&self, frame: &mut Frame) {
        let len = i64::from(FRAME_TICKS);
        for ((out, &spoken), n) in frame.iter_mut().zip(&self.spoken).zip(1..) {
            let gain = self.gain_before + (self.gain - self.gain_before) * n / len;
            let spoken = if self.speaking { i64::from(spoken) } else { 0 };
            *out = saturated(i64::from(*out) * gain / UNITY + spoken);
        }
    }
}

/// The nearest sample: loud is loud, and never wraps around.
fn saturated(sum: i64) -> i16 {
    i16::try_from(sum).unwrap_or(if sum < 0 { i16::MIN } else { i16::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tone, level_dbov, pitch_level_db};

    fn room_of(voices: &[Frame]) -> Room {
        let mut room = Room::new(1);
        room.begin();
        voices.iter().for_each(|voice| room.add(voice));
        room.finish();
        room
    }

    #[test]
    fn each_hears_the_others_exactly_and_a_listener_all() {
        let mut room = room_of(&[[100; 160], [-30; 160], [7; 160]]);
        let mut frame = [0; 160];
        room.without(&[-30; 160], &mut frame);
        assert_eq!(frame, [107; 160]);
        let (mut expected, law) = ([0; 160], G711::ALaw);
        law.encode(&[77; 160], &mut expected);
        assert_eq!(room.common(law), &expected);
    }

    #[test]
    fn thirty_two_voices_at_full_scale_never_wrap() {
        for sample in [i16::MAX, i16::MIN] {
            let voices = [[sample; 160]; 32];
            let room = room_of(&voices);
            let mut frame = [0; 160];
            room.without(&voices[0], &mut frame);
            assert_eq!((frame, room.common), ([sample; 160], [sample; 160]));
        }
    }

    #[test]
    fn where_nobody_else_speaks_it_is_softly_alive() {
        let room = room_of(&[[9000; 160]]);
        let mut frame = [0; 160];
        room.without(&[9000; 160], &mut frame);
        assert!((-70.0..-60.0).contains(&level_dbov(&frame)), "{}", level_dbov(&frame));
    }

    #[test]
    fn an_announcement_is_heard_over_lowered_talk_and_gliding() {
        let (mut talk, mut room, mut heard) = (Tone::new(400.0, -12.0), Room::new(1), Vec::new());
        room.announce(vec![Clip::new(Tone::new(1000.0, -12.0).take(4000))]);
        for _ in 0..75 {
            room.begin();
            let voice: Frame = talk.take(160).try_into().unwrap();
            room.add(&voice);
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
