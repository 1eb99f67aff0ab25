//! From 8 to 16 kHz and back: half-band filters, one frame at once.
//!
//! Flat within 0.1 dB up to 3.4 kHz; of what lies above 4.6 kHz at most −60 dB comes back below 3.4 kHz, and the other way
//! round. Raising is late by 11½ samples of 8 kHz, lowering by 11: 1.4 ms each.
//!
//! `rubato` knows any ratio and pays for it: its synchronous resamplers are late by half a block, and its others interpolate
//! between the filter's own taps. For exactly two every other tap is nothing, so that a frame costs 24 taps a sample.

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::limiter::{sample, whole};
use crate::{FRAME_SAMPLES, Frame, WIDE_SAMPLES, WideFrame};

/// Samples on either side from which the one between two is made.
const REACH: usize = 12;
/// What of the frames before a new one is still needed.
const PAST: usize = 2 * REACH - 1;
const LINE: usize = FRAME_SAMPLES + PAST;
/// Shape of the window of Kaiser and Schafer: 60 dB of attenuation.
const BETA: f64 = 5.65;

/// The taps from the outermost to the innermost; those of the other side are the same.
static TAPS: LazyLock<Taps> = LazyLock::new(taps);

type Taps = [f32; REACH];
/// Sums of voices, not yet limited.
pub(crate) type WideSum = [i32; WIDE_SAMPLES];

/// From 8 to 16 kHz: every sample stays, and between two a new one is made.
#[derive(Clone, Debug)]
pub(crate) struct Doubler {
    taps: Taps,
    past: [f32; PAST],
}

/// From 16 to 8 kHz.
#[derive(Clone, Debug)]
pub(crate) struct Halver {
    taps: Taps,
    even: [f32; PAST],
    odd: [f32; PAST],
}

impl Default for Doubler {
    fn default() -> Self {
        Self { taps: *TAPS, past: [0.0; PAST] }
    }
}

impl Doubler {
    /// As if these samples had come before.
    pub(crate) fn after(samples: &[i32; FRAME_SAMPLES]) -> Self {
        let mut doubler = Self::default();
        let end = &samples[FRAME_SAMPLES - PAST..];
        doubler.past.iter_mut().zip(end).for_each(|(past, &sample)| *past = float(sample));
        doubler
    }

    /// Whether nothing is left of what came before.
    pub(crate) fn is_silent(&self) -> bool {
        self.past.iter().all(|sample| *sample == 0.0)
    }

    /// Raises a frame.
    pub(crate) fn raise(&mut self, frame: &Frame, wide: &mut WideFrame) {
        self.interleave(frame.map(f32::from), wide, sample);
    }

    /// Raises a sum of frames.
    pub(crate) fn raise_sum(&mut self, sum: &[i32; FRAME_SAMPLES], wide: &mut WideSum) {
        self.interleave(sum.map(float), wide, whole);
    }

    fn interleave<T>(&mut self, new: [f32; FRAME_SAMPLES], wide: &mut [T; WIDE_SAMPLES], round: impl Fn(f32) -> T) {
        let line = joined(&mut self.past, &new);
        let mut between = [0.0; FRAME_SAMPLES];
        filter(&self.taps, &line, &mut between);
        let pairs = between.iter().zip(&line[REACH..]);
        for (pair, (&between, &stays)) in wide.chunks_exact_mut(2).zip(pairs) {
            pair[0] = round(between);
            pair[1] = round(stays);
        }
    }
}

impl Default for Halver {
    fn default() -> Self {
        Self { taps: *TAPS, even: [0.0; PAST], odd: [0.0; PAST] }
    }
}

impl Halver {
    /// Lowers a frame.
    pub(crate) fn lower(&mut self, wide: &WideFrame, frame: &mut Frame) {
        let (mut even, mut odd) = ([0.0; FRAME_SAMPLES], [0.0; FRAME_SAMPLES]);
        for (pair, (even, odd)) in wide.chunks_exact(2).zip(even.iter_mut().zip(&mut odd)) {
            (*even, *odd) = (f32::from(pair[0]), f32::from(pair[1]));
        }
        let (even, odd) = (joined(&mut self.even, &even), joined(&mut self.odd, &odd));
        let mut around = [0.0; FRAME_SAMPLES];
        filter(&self.taps, &odd, &mut around);
        // The even sample that stands in the middle of the odd ones.
        for (out, (&around, &middle)) in frame.iter_mut().zip(around.iter().zip(&even[REACH..])) {
            *out = sample((around + middle) * 0.5);
        }
    }
}

/// What came before and what is new, end to end; remembers the end.
fn joined(past: &mut [f32; PAST], new: &[f32; FRAME_SAMPLES]) -> [f32; LINE] {
    let mut line = [0.0; LINE];
    line[..PAST].copy_from_slice(past);
    line[PAST..].copy_from_slice(new);
    past.copy_from_slice(&line[FRAME_SAMPLES..]);
    line
}

/// The samples between those of the line, tap after tap: so a processor makes many at once.
fn filter(taps: &Taps, line: &[f32; LINE], between: &mut [f32; FRAME_SAMPLES]) {
    for (n, &tap) in taps.iter().enumerate() {
        let (left, right) = (&line[n..n + FRAME_SAMPLES], &line[PAST - n..PAST - n + FRAME_SAMPLES]);
        for ((between, &left), &right) in between.iter_mut().zip(left).zip(right) {
            *between += tap * (left + right);
        }
    }
}

fn taps() -> Taps {
    let mut taps = [0.0; REACH];
    for (tap, n) in taps.iter_mut().zip(1u8..) {
        let (reach, at) = (12.0, 12.5 - f64::from(n));
        let window = bessel(BETA * (1.0 - (at / reach).powi(2)).sqrt()) / bessel(BETA);
        #[expect(clippy::cast_possible_truncation, reason = "a float of 24 bits is exact enough for samples of 16")]
        let value = ((PI * at).sin() / (PI * at) * window) as f32;
        *tap = value;
    }
    // Together exactly 1 with the other side: silence stays silence, and a steady level what it is.
    let whole = 2.0 * taps.iter().sum::<f32>();
    taps.map(|tap| tap / whole)
}

/// The modified Bessel function of the first kind and order 0, by its series.
fn bessel(x: f64) -> f64 {
    let terms = (1u8..=25).scan(1.0, |term, n| {
        *term *= (x / 2.0 / f64::from(n)).powi(2);
        Some(*term)
    });
    1.0 + terms.sum::<f64>()
}

/// A sum of some voices: below 2²⁴, what a float counts exactly.
#[expect(clippy::cast_precision_loss, reason = "a room mixes so few voices that their sum stays below 2^24")]
fn float(sum: i32) -> f32 {
    sum as f32
}

/// A tone at 16 kHz, and how loud one is there: at twice the rate a pitch reads as its half.
#[cfg(test)]
pub(crate) mod wide {
    use crate::{Tone, pitch_level_db};

    pub(crate) fn tone(pitch_hz: f64, level_db: f64) -> Tone {
        Tone::new(pitch_hz / 2.0, level_db)
    }

    pub(crate) fn level_db(samples: &[i16], pitch_hz: f64) -> f64 {
        pitch_level_db(samples, pitch_hz / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tone, pitch_level_db};

    fn raised(pitch_hz: f64) -> Vec<i16> {
        let (mut tone, mut doubler, mut heard) = (Tone::new(pitch_hz, -6.0), Doubler::default(), Vec::new());
        for _ in 0..25 {
            let mut wide = [0; WIDE_SAMPLES];
            doubler.raise(&tone.take(FRAME_SAMPLES).try_into().unwrap(), &mut wide);
            heard.extend(wide);
        }
        heard.split_off(WIDE_SAMPLES)
    }

    fn lowered(pitch_hz: f64) -> Vec<i16> {
        let (mut tone, mut halver, mut heard) = (wide::tone(pitch_hz, -6.0), Halver::default(), Vec::new());
        for _ in 0..25 {
            let mut frame = [0; FRAME_SAMPLES];
            halver.lower(&tone.take(WIDE_SAMPLES).try_into().unwrap(), &mut frame);
            heard.extend(frame);
        }
        heard.split_off(FRAME_SAMPLES)
    }

    #[test]
    fn what_is_raised_keeps_its_level_and_has_no_image() {
        for pitch_hz in [50.0, 300.0, 1000.0, 2500.0, 3400.0] {
            let heard = raised(pitch_hz);
            let (level, image) = (wide::level_db(&heard, pitch_hz), wide::level_db(&heard, 8000.0 - pitch_hz));
            println!("{pitch_hz} Hz: {level:.3} dB, image {image:.1} dB");
            assert!((level + 6.0).abs() < 0.1 && image < -56.0);
        }
    }

    #[test]
    fn what_is_lowered_keeps_its_level_and_nothing_folds_down() {
        for pitch_hz in [50.0, 300.0, 1000.0, 2500.0, 3400.0] {
            let level = pitch_level_db(&lowered(pitch_hz), pitch_hz);
            println!("{pitch_hz} Hz: {level:.3} dB");
            assert!((level + 6.0).abs() < 0.1);
        }
        for pitch_hz in [4600.0, 5000.0, 6000.0, 7000.0, 7900.0] {
            let alias = pitch_level_db(&lowered(pitch_hz), 8000.0 - pitch_hz);
            println!("{pitch_hz} Hz comes back at {alias:.1} dB");
            assert!(alias < -56.0);
        }
    }

    #[test]
    fn both_are_late_by_what_is_said() {
        let (mut frame, mut wide) = ([0; FRAME_SAMPLES], [0; WIDE_SAMPLES]);
        frame[50] = 10_000;
        Doubler::default().raise(&frame, &mut wide);
        assert_eq!(wide[2 * 50 + 23], 10_000, "eleven samples and a half");
        let (mut frame, mut wide) = ([0; FRAME_SAMPLES], [0; WIDE_SAMPLES]);
        wide[2 * 50] = 10_000;
        Halver::default().lower(&wide, &mut frame);
        assert_eq!(frame[50 + 11], 5000, "eleven samples");
    }

    #[test]
    fn a_doubler_that_begins_within_sound_goes_on_as_if_it_had_heard_it() {
        let mut tone = Tone::new(700.0, -6.0);
        let frames: [Frame; 2] = [0, 1].map(|_| tone.take(FRAME_SAMPLES).try_into().unwrap());
        let (mut whole, mut begun) = (Doubler::default(), Doubler::after(&frames[0].map(i32::from)));
        let (mut first, mut second) = ([0; WIDE_SAMPLES], [0; WIDE_SAMPLES]);
        for frame in &frames {
            whole.raise(frame, &mut first);
        }
        begun.raise(&frames[1], &mut second);
        assert_eq!(first, second);
    }

    #[test]
    fn silence_behind_sound_is_silent_after_a_frame() {
        let (mut doubler, mut wide) = (Doubler::default(), [0; WIDE_SAMPLES]);
        doubler.raise(&[900; FRAME_SAMPLES], &mut wide);
        assert!(!doubler.is_silent());
        doubler.raise(&[0; FRAME_SAMPLES], &mut wide);
        assert!(doubler.is_silent() && wide[0] != 0 && wide[60..] == [0; 260]);
    }

    #[test]
    fn sums_of_many_voices_are_raised_whole() {
        let (mut doubler, mut wide) = (Doubler::default(), [0; WIDE_SAMPLES]);
        doubler.raise_sum(&[32_767 * 25; FRAME_SAMPLES], &mut wide);
        assert!((wide[200] - 32_767 * 25).abs() <= 1 && wide[201] == 32_767 * 25, "{} {}", wide[200], wide[201]);
    }
}
