//! How fast a voice repeats itself, and how well: what concealment and time-scaling both start from.
//!
//! Normalized cross-correlation, first at every other distance, then around the best. Among distances that
//! are nearly as good the shorter one is taken: two cycles repeat as well as one, but fit into fewer places.

use std::ops::RangeInclusive;

/// A half, a third or a quarter of the best distance is taken instead if it is nearly as good.
const MULTIPLE_MAX: usize = 4;
const NEARLY_AS_GOOD: f32 = 0.9;
const BLOCK: usize = 64;

/// A distance at which sound resembles itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pitch {
    /// Length of a cycle in samples.
    pub(crate) cycle: usize,
    /// The same between samples.
    pub(crate) exact: f32,
    /// 1 when both pieces have the same shape, 0 when they have nothing in common.
    pub(crate) likeness: f32,
}

/// The distance, of those asked for, at which the last `compared` samples look most like earlier ones.
pub(crate) fn of_the_end(samples: &[i16], cycles: RangeInclusive<usize>, compared: usize) -> Pitch {
    let end = samples.len();
    let longest = end.saturating_sub(compared);
    let cycles = *cycles.start()..=(*cycles.end()).min(longest);
    best(cycles, |cycle| likeness(&samples[end - compared..], &samples[end - compared - cycle..end - cycle]))
}

/// The same of the first `compared` samples and later ones.
pub(crate) fn of_the_beginning(samples: &[i16], cycles: RangeInclusive<usize>, compared: usize) -> Pitch {
    let longest = samples.len().saturating_sub(compared);
    let cycles = *cycles.start()..=(*cycles.end()).min(longest);
    best(cycles, |cycle| likeness(&samples[..compared], &samples[cycle..cycle + compared]))
}

/// How alike two pieces of the same length are in shape, −1 to 1, whatever their loudness.
pub(crate) fn likeness(one: &[i16], other: &[i16]) -> f32 {
    let (mut product, mut energy, mut other_energy) = (0i64, 1i64, 1i64);
    for (ones, others) in one.chunks(BLOCK).zip(other.chunks(BLOCK)) {
        // Sums of so few samples of 13 bits fit into 32, which is what processors add many of at once.
        let mut sums = [0i32; 3];
        for (&a, &b) in ones.iter().zip(others) {
            let (a, b) = (i32::from(a >> 3), i32::from(b >> 3));
            sums[0] += a * b;
            sums[1] += a * a;
            sums[2] += b * b;
        }
        product += i64::from(sums[0]);
        energy += i64::from(sums[1]);
        other_energy += i64::from(sums[2]);
    }
    #[expect(clippy::cast_precision_loss, reason = "an ordering of large sums")]
    let (product, energy, other_energy) = (product as f32, energy as f32, other_energy as f32);
    product / (energy * other_energy).sqrt()
}

fn best(cycles: RangeInclusive<usize>, likeness: impl Fn(usize) -> f32) -> Pitch {
    let (first, last) = (*cycles.start(), *cycles.end());
    if first > last {
        return Pitch { cycle: first, exact: float(first), likeness: 0.0 };
    }
    let coarse = most_alike(cycles.step_by(2), &likeness).0;
    let refined = |about: usize| {
        let around = about.saturating_sub(2).max(first)..=(about + 2).min(last);
        most_alike(around, &likeness)
    };
    let longest = refined(coarse);
    let shorter = (2..=MULTIPLE_MAX).rev().map(|parts| (longest.0 + parts / 2) / parts).filter(|cycle| *cycle >= first);
    let (cycle, like) = shorter.map(refined).find(|shorter| shorter.1 >= longest.1 * NEARLY_AS_GOOD).unwrap_or(longest);
    let beside = |cycle: usize| if (first..=last).contains(&cycle) { likeness(cycle) } else { f32::MIN };
    Pitch { cycle, exact: float(cycle) + top(beside(cycle - 1), like, beside(cycle + 1)), likeness: like }
}

fn most_alike(cycles: impl Iterator<Item = usize>, likeness: impl Fn(usize) -> f32) -> (usize, f32) {
    let all = cycles.map(|cycle| (cycle, likeness(cycle)));
    all.fold((1, f32::MIN), |best, next| if next.1 > best.1 { next } else { best })
}

/// Where between its neighbours a maximum has its top, −0.5 to 0.5, along a parabola.
pub(crate) fn top(before: f32, maximum: f32, after: f32) -> f32 {
    let curve = before - 2.0 * maximum + after;
    if before > maximum || after > maximum || !(-4.0..=-1e-6).contains(&curve) {
        return 0.0;
    }
    (0.5 * (before - after) / curve).clamp(-0.5, 0.5)
}

#[expect(clippy::cast_precision_loss, reason = "at most some hundreds")]
fn float(len: usize) -> f32 {
    len as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tone;

    #[test]
    fn the_cycle_of_a_tone_is_found_at_either_end_and_not_twice_of_it() {
        for (pitch_hz, cycle) in [(100.0, 80), (200.0, 40), (320.0, 25)] {
            let samples = Tone::new(pitch_hz, -10.0).take(400);
            for pitch in [of_the_end(&samples, 20..=120, 160), of_the_beginning(&samples, 20..=120, 160)] {
                assert!(pitch.cycle == cycle && pitch.likeness > 0.99, "{pitch_hz} Hz: {pitch:?}");
            }
        }
    }

    #[test]
    fn noise_resembles_itself_nowhere_and_silence_neither() {
        let mut noise = [0; 400];
        crate::comfort_noise::ComfortNoise::new(30, 7).fill(&mut noise);
        assert!(of_the_end(&noise, 20..=120, 160).likeness < 0.5);
        assert!(of_the_end(&[0; 400], 20..=120, 160).likeness.abs() < 0.01);
    }

    #[test]
    fn too_little_sound_has_no_pitch() {
        assert!(of_the_beginning(&[9; 50], 20..=120, 50).likeness.abs() < 0.01);
    }
}
