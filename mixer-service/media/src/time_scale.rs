//! Longer or shorter by one cycle of the voice, without a change of pitch or loudness: overlap-add of sound with itself at the
//! distance at which it repeats (WSOLA, Verhelst and Roelands 1993, with the cycle for the distance).
//!
//! Done only where nobody hears it: in a voice that repeats itself well, or in what is soft.

use std::ops::RangeInclusive;

use crate::concealment::{CYCLE_MAX_MS, CYCLE_MIN_TENTHS_MS};
use crate::gap::{integer, ramp};
use crate::pitch;

/// Sound softer than this can be cut anywhere: −46 dBov.
const SOFT_RMS: f32 = 164.0;
/// Two cycles less alike than this are not blended.
const LIKENESS_MIN: f32 = 0.85;
/// Pieces so long are compared.
const COMPARED_MS: usize = 5;
/// The longest that two pieces are blended.
const BLENDED_MS: usize = 10;

/// The longest change at once, in samples.
pub(crate) fn change_max(per_ms: usize) -> usize {
    CYCLE_MAX_MS * per_ms
}

/// Whether this is so soft that any change will do.
pub(crate) fn is_soft(samples: &[i16]) -> bool {
    let energy: f32 = samples.iter().map(|&sample| f32::from(sample) * f32::from(sample)).sum();
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let count = samples.len() as f32;
    energy <= SOFT_RMS * SOFT_RMS * count
}

/// Where sound may be cut: a distance of at most `longest` at which it repeats itself, in voice; in soft sound what is `wanted`.
pub(crate) fn distance(samples: &[i16], wanted: usize, longest: usize, per_ms: usize) -> Option<usize> {
    if is_soft(samples) {
        return Some(wanted.min(longest)).filter(|by| *by > 0);
    }
    let cycles: RangeInclusive<usize> = CYCLE_MIN_TENTHS_MS * per_ms / 10..=longest.min(change_max(per_ms));
    if cycles.is_empty() {
        return None;
    }
    let pitch = pitch::of_the_beginning(samples, cycles, COMPARED_MS * per_ms);
    (pitch.likeness >= LIKENESS_MIN).then_some(pitch.cycle)
}

/// Takes out `by` samples: the beginning is blended into what follows at that distance. `by` is at most half the samples.
/// Gives how many are left.
pub(crate) fn shorten(samples: &mut [i16], by: usize, per_ms: usize) -> usize {
    let len = samples.len() - by;
    let blended = by.min(BLENDED_MS * per_ms).min(len);
    for (n, part) in ramp(blended).enumerate() {
        let (old, new) = (f32::from(samples[n]), f32::from(samples[n + by]));
        samples[n] = integer(old + (new - old) * part);
    }
    samples.copy_within(blended + by.., blended);
    len
}

/// Plays the first `by` of `len` samples twice, the second time blended out of what would have come. `samples` has room for
/// `by` more. Gives how many there are then.
pub(crate) fn stretch(samples: &mut [i16], len: usize, by: usize, per_ms: usize) -> usize {
    let blended = by.min(BLENDED_MS * per_ms).min(len - by);
    samples.copy_within(..len, by);
    // Now the whole stands `by` later; in between, what would have come goes over into the beginning played again.
    for (n, part) in ramp(blended).enumerate() {
        let (old, new) = (f32::from(samples[n + 2 * by]), f32::from(samples[n + by]));
        samples[n + by] = integer(old + (new - old) * part);
    }
    len + by
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tone, level_dbov, pitch_level_db};

    fn steepest(samples: &[i16]) -> i32 {
        samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap()
    }

    #[test]
    fn a_tone_keeps_its_pitch_level_and_smoothness_when_it_becomes_longer_or_shorter() {
        for pitch_hz in [90.0, 170.0, 333.0] {
            let tone = Tone::new(pitch_hz, -10.0).take(1000);
            let by = distance(&tone[..160], 5, 120, 8).unwrap();
            let mut longer = tone.clone();
            longer.resize(1120, 0);
            let len = stretch(&mut longer, 1000, by, 8);
            let mut shorter = tone.clone();
            let cut = distance(&tone[..280], 120, 120, 8).unwrap();
            let left = shorten(&mut shorter, cut, 8);
            assert_eq!((len, left), (1000 + by, 1000 - cut));
            for samples in [&longer[..len], &shorter[..left]] {
                assert!((pitch_level_db(samples, pitch_hz) + 10.0).abs() < 0.3, "{pitch_hz} Hz");
                assert!((level_dbov(samples) - level_dbov(&tone)).abs() < 0.1, "{pitch_hz} Hz");
                assert!(steepest(samples) <= steepest(&tone) * 11 / 10, "{pitch_hz} Hz");
            }
        }
    }

    #[test]
    fn noise_is_left_alone_unless_it_is_soft() {
        let mut noise = [0; 280];
        for (level, expected) in [(30, None), (60, Some(77))] {
            crate::comfort_noise::ComfortNoise::new(level, 3).fill(&mut noise);
            assert_eq!(distance(&noise, 77, 120, 8), expected);
        }
        assert_eq!(distance(&[0; 280], 9, 0, 8), None);
        assert_eq!(distance(&Tone::new(200.0, -10.0).take(280), 15, 15, 8), None, "no whole cycle fits");
    }
}
