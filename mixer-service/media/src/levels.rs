//! What may be done to a voice before others hear it: brought to a common level, and its noise kept away in its pauses.
//!
//! Both are off unless asked for. Both must know speech from noise; they tell them apart by what is clearly louder than the
//! softest of the last seconds. A syllable is let through whole, from its first sample: a gate that opens late sounds worse than
//! the noise. Between words nothing is raised, lest the noise breathe with the voice.

use crate::concealment::fraction;
use crate::limiter::sample;

/// What is done to a stream's voice. Nothing, unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Brings speech towards −26 dBov (the level of ITU-T P.56 that networks are planned for), slowly, by 20 dB up or 12 dB down at
    /// most.
    pub normalise: bool,
    /// Silences a leg while it is not speaking.
    pub gate: bool,
}

/// Mean square of speech at −26 dBov.
const WANTED: f32 = 32768.0 * 32768.0 * 0.002_512;
/// Softer is no speech, whatever the noise: −60 dBov. A soft talker's consonants lie there.
const SOFTEST: f32 = 32768.0 * 32768.0 * 1e-6;
/// Speech is louder than the noise by 9 dB.
const ABOVE_NOISE: f32 = 8.0;
/// Noise is what has been softest; it may become louder by 6 dB in a second.
const NOISE_RISES: f32 = 1.028;
/// Digital silence tells nothing about the noise that comes with the next word: it is at least so loud.
const NOISE_LEAST: f32 = SOFTEST / ABOVE_NOISE;
/// Under a voice that is raised the noise is raised too: to −45 dBov at most.
const RAISED_NOISE_MAX: f32 = 32768.0 * 32768.0 * 3.16e-5;
/// How fast the level of speech is learnt: a time constant of two seconds of speech, once so much was heard.
const LEARNING: f32 = 0.01;
/// 20 dB: a voice of −40 dBm0 becomes one of −20.
const GAIN_MAX: f32 = 10.0;
/// −12 dB.
const GAIN_MIN: f32 = 0.251;
/// The gain moves by 6 dB in a second of speech: a soft talker is understood after a sentence, and nobody hears it move.
const GAIN_STEP: f32 = 1.0139;
/// So long after the last speech the gain stays: the end of a word, which the noise hides already, is not cut off.
const GAIN_HELD_BEATS: u16 = 2;
/// The gate closes 300 ms after the last syllable, and opens within …
const OPEN_BEATS: u16 = 15;
/// … 2 ms, the tenth part of a frame, at the beginning of one that holds speech.
const OPENING_PART: usize = 10;

/// Levels of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Leveller {
    wanted: Levels,
    /// Mean squares: of the noise, and of the speech.
    noise: f32,
    speech: f32,
    /// Part that a frame of speech has in that level: all of it at first.
    learning: f32,
    /// Towards the wanted level.
    gain: f32,
    /// How this frame is multiplied.
    glide: Glide,
    beats_since_speech: u16,
}

impl Leveller {
    /// `None` where nothing is to be done.
    pub(crate) fn new(wanted: Levels) -> Option<Self> {
        let nothing = wanted == Levels::default();
        (!nothing).then_some(Self {
            wanted,
            noise: NOISE_LEAST,
            speech: WANTED,
            learning: 1.0,
            gain: 1.0,
            glide: Glide { before: 1.0, after: 1.0, opens: false },
            beats_since_speech: 0,
        })
    }

    /// Shapes a frame, be it silent; whether anything of it is left to be heard.
    pub(crate) fn shape<const N: usize>(&mut self, frame: &mut [i16; N]) -> bool {
        let speaks = self.learn(mean_square(frame));
        self.beats_since_speech = if speaks { 0 } else { self.beats_since_speech.saturating_add(1) };
        let open = self.beats_since_speech <= OPEN_BEATS;
        let before = self.glide.after;
        let after = match (self.wanted.gate && !open, self.beats_since_speech <= GAIN_HELD_BEATS) {
            (true, _) => 0.0,
            // Between words there is noise, which must not be raised.
            (false, false) => self.gain.min(1.0),
            (false, true) => self.gain,
        };
        self.glide = Glide { before, after, opens: speaks && before < after };
        self.shape_too(frame);
        before > 0.0 || after > 0.0
    }

    /// Does the same to the same sound at another rate.
    pub(crate) fn shape_too<const N: usize>(&self, frame: &mut [i16; N]) {
        self.glide.apply(frame);
    }

    /// Takes in how loud a frame is; whether it is speech.
    fn learn(&mut self, level: f32) -> bool {
        self.noise = (self.noise * NOISE_RISES).min(level).max(NOISE_LEAST);
        let speaks = level > SOFTEST && level > self.noise * ABOVE_NOISE;
        if speaks && self.wanted.normalise {
            self.speech += (level - self.speech) * self.learning;
            // One, a half, a third: the mean of what was heard, until that is enough.
            self.learning = (self.learning / (1.0 + self.learning)).max(LEARNING);
            let quiet_enough = (RAISED_NOISE_MAX / self.noise).sqrt().max(1.0);
            let wanted = (WANTED / self.speech).sqrt().clamp(GAIN_MIN, GAIN_MAX.min(quiet_enough));
            self.gain = wanted.clamp(self.gain / GAIN_STEP, self.gain * GAIN_STEP);
        }
        speaks
    }
}

/// From the last gain to this one: at once where a syllable begins, else over the frame.
#[derive(Clone, Copy, Debug)]
struct Glide {
    before: f32,
    after: f32,
    /// A syllable begins.
    opens: bool,
}

impl Glide {
    fn apply<const N: usize>(self, frame: &mut [i16; N]) {
        let len = if self.opens { N / OPENING_PART } else { N };
        let (opening, rest) = frame.split_at_mut(len);
        for (out, n) in opening.iter_mut().zip(1..) {
            let gain = self.before + (self.after - self.before) * fraction(n, len);
            *out = sample(f32::from(*out) * gain);
        }
        for out in rest {
            *out = sample(f32::from(*out) * self.after);
        }
    }
}

fn mean_square<const N: usize>(frame: &[i16; N]) -> f32 {
    frame.iter().map(|&sample| f32::from(sample) * f32::from(sample)).sum::<f32>() * fraction(1, N)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::scramble;
    use crate::{FRAME_SAMPLES, Frame, Tone, level_dbov};

    /// Talk in syllables of 200 ms with pauses of 100 ms, in some noise: what is left of both, on the last of so many seconds.
    fn heard(wanted: Levels, voice_dbov: f64, noise_dbov: f64, seconds: usize) -> (f64, f64) {
        // A sine is 3 dB softer than a square of its height.
        let (mut tone, mut chance) = (Tone::new(440.0, voice_dbov + 3.01), 7);
        let noise_peak = 32768.0 * 3f64.sqrt() * 10f64.powf(noise_dbov / 20.0);
        let (mut syllables, mut pauses) = (Vec::new(), Vec::new());
        let mut leveller = Leveller::new(wanted);
        for beat in 0..seconds * 50 {
            let (mut frame, talks) = ([0; FRAME_SAMPLES], beat % 15 < 10 && beat % 200 < 150);
            tone.fill(&mut frame);
            for sample in &mut frame {
                chance = scramble(chance);
                #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "noise of a test")]
                let noise = (((chance % 20_001) as f64 / 10_000.0 - 1.0) * noise_peak) as i16;
                *sample = if talks { *sample } else { 0 } + noise;
            }
            if let Some(leveller) = &mut leveller {
                leveller.shape(&mut frame);
            }
            if beat >= seconds * 50 - 200 {
                let long_pause = beat % 200 >= 170;
                if talks {
                    syllables.extend(frame)
                } else if long_pause {
                    pauses.extend(frame)
                }
            }
        }
        (level_dbov(&syllables), level_dbov(&pauses))
    }

    #[test]
    fn voices_come_to_one_level_within_bounds_and_noise_is_never_raised() {
        let normalise = Levels { normalise: true, gate: false };
        for (voice, expected) in
            [(-26.0, -26.0), (-36.0, -26.0), (-18.0, -26.0), (-44.0, -26.0), (-50.0, -30.0), (-10.0, -22.0)]
        {
            let (syllables, pauses) = heard(normalise, voice, -65.0, 60);
            println!("{voice} becomes {syllables:.1}, its noise of -65 {pauses:.1}");
            assert!((syllables - expected).abs() < 1.0, "{voice} became {syllables:.1}");
            assert!(pauses < -64.5, "noise became {pauses:.1}");
        }
    }

    #[test]
    fn a_soft_talker_is_as_loud_as_a_loud_one_after_some_seconds() {
        let normalise = Levels { normalise: true, gate: false };
        // −40 dBm0 beside −12; of ten seconds half are speech.
        for (voice, seconds) in [(-46.2, 10), (-18.2, 10)] {
            let (syllables, pauses) = heard(normalise, voice, -72.0, seconds);
            println!("{voice} becomes {syllables:.1} in {seconds} s");
            assert!((syllables + 26.0).abs() < 2.0 && pauses < -71.5, "{syllables:.1}, pauses {pauses:.1}");
        }
    }

    #[test]
    fn under_a_voice_that_is_raised_noise_stays_below_it() {
        let mut leveller = Leveller::new(Levels { normalise: true, gate: false }).unwrap();
        let (mut noise, mut tone) = (crate::comfort_noise::ComfortNoise::new(55, 3), Tone::new(440.0, -43.0));
        let mut loudest = f64::MIN;
        for beat in 0..2000 {
            let mut frame = [0; FRAME_SAMPLES];
            noise.fill(&mut frame);
            let talks = beat % 15 < 10;
            if talks {
                frame.iter_mut().zip(tone.take(FRAME_SAMPLES)).for_each(|(sum, sample)| *sum += sample);
            }
            leveller.shape(&mut frame);
            // Right behind a word the gain still stands.
            if !talks && beat > 500 {
                loudest = loudest.max(level_dbov(&frame));
            }
        }
        println!("noise of -55 is at most {loudest:.1}");
        assert!(leveller.gain > 2.0 && loudest < -43.0, "{loudest:.1}");
    }

    #[test]
    fn the_gate_silences_pauses_and_no_syllable() {
        let gate = Levels { normalise: false, gate: true };
        let (syllables, pauses) = heard(gate, -26.0, -50.0, 20);
        assert!((syllables + 26.0).abs() < 0.3, "{syllables:.1}");
        assert!(pauses < -120.0, "{pauses:.1}");
        let (syllables, pauses) = heard(Levels::default(), -26.0, -50.0, 20);
        assert!((syllables + 26.0).abs() < 0.3 && (pauses + 50.0).abs() < 0.5, "off, nothing is touched");
    }

    #[test]
    fn a_first_syllable_after_a_long_pause_is_whole() {
        let mut leveller = Leveller::new(Levels { normalise: false, gate: true }).unwrap();
        for _ in 0..100 {
            leveller.shape(&mut [3; FRAME_SAMPLES]);
        }
        assert!(!leveller.shape(&mut [3; FRAME_SAMPLES]), "nothing is left to be heard");
        let mut syllable: Frame = Tone::new(440.0, -20.0).take(FRAME_SAMPLES).try_into().unwrap();
        let before = syllable;
        assert!(leveller.shape(&mut syllable));
        assert_eq!(syllable[16..], before[16..]);
    }

    #[test]
    fn the_gain_never_steps() {
        let mut leveller = Leveller::new(Levels { normalise: true, gate: true }).unwrap();
        let mut last = 1.0_f32;
        for beat in 0..3000 {
            let talks = beat % 50 < 30;
            let mut frame = [if talks { 8000 } else { 40 }; FRAME_SAMPLES];
            let whole = frame[0];
            leveller.shape(&mut frame);
            for sample in frame {
                let gain = f32::from(sample) / f32::from(whole);
                assert!((gain - last).abs() <= 0.08, "{last} to {gain}");
                last = gain;
            }
        }
    }
}
