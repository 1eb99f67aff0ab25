//! What is said in a room, at 16 kHz, while somebody is in it who hears so much.
//!
//! It stands beside the mix for telephones, which is the same with or without it. Who hears wideband speaks it, so nobody
//! needs the voice of another band taken out alone: all voices of telephones are raised together, by one filter.

use crate::blend::{Blend, Blended};
use crate::codec::Codec;
use crate::comfort_noise::{ComfortNoise, ROOM_DBOV};
use crate::limiter::Bounds;
use crate::resample::{Doubler, WideSum};
use crate::room::{saturated, sum_up};
use crate::shared_encoder::SharedEncoder;
use crate::talkers::Entry;
use crate::{FRAME_SAMPLES, Frame, WIDE_SAMPLES, WideFrame};

/// The mix of one room for those who hear wideband.
#[derive(Debug)]
pub(crate) struct WideMix {
    /// The voices of telephones.
    telephones: [i32; FRAME_SAMPLES],
    doubler: Doubler,
    raised: WideSum,
    /// All voices.
    sum: WideSum,
    bounds: Bounds,
    /// Voices on this beat, and whether one of them, or its last samples, is a telephone's.
    voices: u32,
    telephone_speaks: bool,
    announcement: Doubler,
    spoken: WideFrame,
    speaking: bool,
    blend: Blend,
    blended: Option<Blended<WIDE_SAMPLES>>,
    noise: ComfortNoise,
    soft: WideFrame,
    common: WideFrame,
    g722: Option<Box<SharedEncoder>>,
    opus: Option<Box<SharedEncoder>>,
}

/// What is heard while nobody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Somebody or something is.
    Not,
    /// A short one: silence.
    Silent,
    /// A long one: soft noise.
    Soft,
}

impl WideMix {
    /// Goes on beside a mix that was so on the last beat: its sum, and how it is limited and lowered. This and
    /// [`expect`](Self::expect) allocate, nothing later does.
    pub(crate) fn beside(sum: &[i32; FRAME_SAMPLES], blend: Blend, seed: u32) -> Box<Self> {
        Box::new(Self {
            telephones: [0; FRAME_SAMPLES],
            doubler: Doubler::after(sum),
            raised: [0; WIDE_SAMPLES],
            sum: [0; WIDE_SAMPLES],
            bounds: Bounds::default(),
            voices: 0,
            telephone_speaks: false,
            announcement: Doubler::default(),
            spoken: [0; WIDE_SAMPLES],
            speaking: false,
            blend,
            blended: None,
            noise: ComfortNoise::new(ROOM_DBOV, seed),
            soft: [0; WIDE_SAMPLES],
            common: [0; WIDE_SAMPLES],
            g722: None,
            opus: None,
        })
    }

    /// Somebody who hears in this codec will be here.
    pub(crate) fn expect(&mut self, codec: Codec) {
        let place = match codec {
            Codec::ALaw | Codec::MuLaw => return,
            Codec::G722 => &mut self.g722,
            Codec::Opus => &mut self.opus,
        };
        if place.is_none() {
            *place = SharedEncoder::new(codec);
        }
    }

    /// Begins a beat with what is announced on it.
    pub(crate) fn begin(&mut self, spoken: Option<&Frame>) {
        for shared in [&mut self.g722, &mut self.opus].into_iter().flatten() {
            shared.begin(&self.common);
        }
        self.telephones = [0; FRAME_SAMPLES];
        self.sum = [0; WIDE_SAMPLES];
        self.bounds = Bounds::default();
        self.voices = 0;
        // The filter is late: its last samples come behind those of the telephones.
        self.telephone_speaks = !self.doubler.is_silent();
        self.speaking = spoken.is_some() || !self.announcement.is_silent();
        if self.speaking {
            self.announcement.raise(spoken.unwrap_or(&[0; FRAME_SAMPLES]), &mut self.spoken);
        }
    }

    /// Adds a voice, at 16 kHz if it has so much.
    pub(crate) fn add(&mut self, voice: &Frame, wide: Option<&WideFrame>, entry: Entry) {
        self.voices += 1;
        match wide {
            Some(wide) => {
                self.bounds.add(wide);
                match entry {
                    Entry::Whole => sum_up(&mut self.sum, wide),
                    Entry::FadingIn | Entry::FadingOut => sum_up(&mut self.sum, &entry.of(wide)),
                }
            }
            None => {
                self.telephone_speaks = true;
                match entry {
                    Entry::Whole => sum_up(&mut self.telephones, voice),
                    Entry::FadingIn | Entry::FadingOut => sum_up(&mut self.telephones, &entry.of(voice)),
                }
            }
        }
    }

    /// All voices are in: makes what mere listeners hear.
    pub(crate) fn finish(&mut self, pause: Pause) {
        if self.telephone_speaks {
            self.doubler.raise_sum(&self.telephones, &mut self.raised);
            self.bounds.add_sum(&self.raised);
            self.sum.iter_mut().zip(&self.raised).for_each(|(sum, raised)| *sum += raised);
        }
        if self.hears_nobody() {
            self.noise.fill(&mut self.soft);
        }
        self.blended = self.blend.beat(&self.bounds, self.speaking.then_some(&self.spoken));
        match (&self.blended, pause) {
            (_, Pause::Silent | Pause::Soft) if self.telephone_speaks || self.speaking => self.lay_out(),
            (_, Pause::Soft) => self.common = self.soft,
            (_, Pause::Silent) => self.common = [0; WIDE_SAMPLES],
            (_, Pause::Not) => self.lay_out(),
        }
    }

    fn lay_out(&mut self) {
        match &self.blended {
            Some(blended) => blended.apply(self.sum.iter().copied(), &mut self.common),
            None => self.common.iter_mut().zip(&self.sum).for_each(|(out, &sum)| *out = saturated(sum)),
        }
    }

    /// What a speaker of wideband hears: all but himself.
    pub(crate) fn without(&self, own: &WideFrame, entry: Entry, frame: &mut WideFrame) {
        if self.hears_nobody() {
            *frame = self.soft;
            return;
        }
        match entry {
            Entry::Whole => self.less(own, frame),
            Entry::FadingIn | Entry::FadingOut => self.less(&entry.of(own), frame),
        }
    }

    fn less(&self, own: &WideFrame, frame: &mut WideFrame) {
        let others = self.sum.iter().zip(own).map(|(&sum, &own)| sum - i32::from(own));
        match &self.blended {
            Some(blended) => blended.apply(others, frame),
            None => frame.iter_mut().zip(others).for_each(|(out, others)| *out = saturated(others)),
        }
    }

    /// Whether a speaker of wideband hears nobody; with two voices all hear one.
    fn hears_nobody(&self) -> bool {
        self.voices <= 1 && !self.telephone_speaks && !self.speaking
    }

    /// What mere listeners hear.
    pub(crate) fn common_frame(&self) -> &WideFrame {
        &self.common
    }

    /// The same, and who encodes it, if such a one was expected.
    pub(crate) fn shared(&mut self, codec: Codec) -> (&WideFrame, Option<&mut SharedEncoder>) {
        let shared = match codec {
            Codec::ALaw | Codec::MuLaw => None,
            Codec::G722 => self.g722.as_deref_mut(),
            Codec::Opus => self.opus.as_deref_mut(),
        };
        (&self.common, shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tone;
    use crate::resample::wide;
    use crate::room::Room;

    fn frames(tone: &mut Tone) -> Frame {
        tone.take(FRAME_SAMPLES).try_into().unwrap()
    }

    fn wide_frames(tone: &mut Tone) -> WideFrame {
        tone.take(WIDE_SAMPLES).try_into().unwrap()
    }

    #[test]
    fn a_telephone_and_a_wideband_voice_are_both_heard_and_each_but_himself() {
        let (mut telephone, mut speaker) = (Tone::new(1000.0, -20.0), wide::tone(5000.0, -20.0));
        let mut room = Room::new(1);
        room.expect(Codec::G722);
        let (mut all, mut others) = (Vec::new(), Vec::new());
        for _ in 0..25 {
            room.begin();
            let (low, high) = (frames(&mut telephone), wide_frames(&mut speaker));
            room.add(&low, Entry::Whole);
            room.add(&[0; FRAME_SAMPLES], Entry::Whole);
            let mix = room.wide.as_mut().unwrap();
            mix.add(&low, None, Entry::Whole);
            mix.add(&[0; FRAME_SAMPLES], Some(&high), Entry::Whole);
            room.finish();
            let mix = room.wide.as_ref().unwrap();
            let mut frame = [0; WIDE_SAMPLES];
            mix.without(&high, Entry::Whole, &mut frame);
            all.extend(*mix.common_frame());
            others.extend(frame);
        }
        let heard = |samples: &[i16], pitch_hz| wide::level_db(&samples[1600..], pitch_hz);
        assert!((heard(&all, 1000.0) + 20.0).abs() < 0.1 && (heard(&all, 5000.0) + 20.0).abs() < 0.1);
        assert!((heard(&others, 1000.0) + 20.0).abs() < 0.1 && heard(&others, 5000.0) < -90.0);
        assert!(heard(&all, 7000.0) < -70.0, "no image");
    }

    #[test]
    fn an_announcement_is_heard_over_the_lowered_talk_there_too() {
        let (mut talk, mut room, mut heard) = (wide::tone(5000.0, -12.0), Room::new(1), Vec::new());
        room.expect(Codec::Opus);
        room.announce(vec![crate::Clip::new(Tone::new(1000.0, -12.0).take(4000))]);
        for _ in 0..75 {
            room.begin();
            room.add(&[0; FRAME_SAMPLES], Entry::Whole);
            let mix = room.wide.as_mut().unwrap();
            mix.add(&[0; FRAME_SAMPLES], Some(&wide_frames(&mut talk)), Entry::Whole);
            room.finish();
            heard.extend(*room.wide.as_ref().unwrap().common_frame());
        }
        let level = |from: usize, to: usize, pitch_hz| wide::level_db(&heard[from..to], pitch_hz);
        assert!((level(800, 7200, 5000.0) + 18.0).abs() < 0.3 && (level(800, 7200, 1000.0) + 12.0).abs() < 0.3);
        assert!((level(9600, 24_000, 5000.0) + 12.0).abs() < 0.1 && level(9600, 24_000, 1000.0) < -60.0);
    }

    #[test]
    fn voices_of_both_kinds_at_full_scale_become_softer_and_never_wrap() {
        let mut room = Room::new(1);
        room.expect(Codec::G722);
        let (low, high) = ([i16::MAX; FRAME_SAMPLES], [i16::MAX; WIDE_SAMPLES]);
        for beat in 0..10 {
            room.begin();
            let mix = room.wide.as_mut().unwrap();
            for n in 0..24 {
                mix.add(&low, (n % 2 == 0).then_some(&high), Entry::Whole);
            }
            room.finish();
            let mix = room.wide.as_ref().unwrap();
            let mut frame = [0; WIDE_SAMPLES];
            mix.without(&high, Entry::Whole, &mut frame);
            // The filter swings by a tenth where the sound begins, and the limiter remembers that for a while.
            let least = if beat > 0 { 29_000 } else { 0 };
            assert!(mix.common.iter().all(|&sample| sample >= least), "beat {beat}");
            let least = if beat > 0 { 27_500 } else { -3000 };
            assert!(frame.iter().all(|&sample| sample >= least), "beat {beat}");
        }
    }
}
