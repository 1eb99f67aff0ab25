//! Instruments of tests and telephones: make a pitch, hear a pitch, measure a level.
//!
//! Voices in tests are tones of different pitch; listening is asking each pitch for its level.

use std::f64::consts::TAU;

use crate::SAMPLE_RATE_HZ;

/// A steady pitch that goes on where it stopped.
#[derive(Clone, Debug)]
pub struct Tone {
    step: f64,
    phase: f64,
    peak: f64,
}

impl Tone {
    /// A sine of this pitch, its level in dB against a full-scale sine (0 is the loudest that fits).
    #[must_use]
    pub fn new(pitch_hz: f64, level_db: f64) -> Self {
        Self {
            step: TAU * pitch_hz / f64::from(SAMPLE_RATE_HZ),
            phase: 0.0,
            peak: 32767.0 * 10f64.powf(level_db / 20.0),
        }
    }

    /// Makes the next samples.
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of a sample")]
            let value = (self.phase.sin() * self.peak).round().clamp(-32768.0, 32767.0) as i16;
            *sample = value;
            self.phase = (self.phase + self.step) % TAU;
        }
    }

    /// The next so many samples in a box of their own.
    #[must_use]
    pub fn take(&mut self, len_samples: usize) -> Vec<i16> {
        let mut samples = vec![0; len_samples];
        self.fill(&mut samples);
        samples
    }
}

/// Level of one pitch within some sound, in dB against a full-scale sine of that pitch (Goertzel, Hann window).
///
/// Two pitches are told apart when they differ by more than `4 × 8000 / samples.len()` Hz: 10 Hz over 400 ms. −200 at the least.
#[must_use]
pub fn pitch_level_db(samples: &[i16], pitch_hz: f64) -> f64 {
    let Ok(len) = u32::try_from(samples.len()) else { return -200.0 };
    let coefficient = 2.0 * (TAU * pitch_hz / f64::from(SAMPLE_RATE_HZ)).cos();
    let (mut last, mut before, mut weight) = (0.0, 0.0, 0.0);
    for (&sample, n) in samples.iter().zip(0u32..) {
        let window = 0.5 - 0.5 * (TAU * (f64::from(n) + 0.5) / f64::from(len)).cos();
        let next = window * f64::from(sample) + coefficient * last - before;
        (before, last) = (last, next);
        weight += window;
    }
    let power = last * last + before * before - coefficient * last * before;
    decibel(power.max(0.0).sqrt() * 2.0 / (weight * 32767.0).max(1.0))
}

/// Level of some sound, in dB below a full-scale square wave (RFC 6464's dBov, negative); −127 for silence.
#[must_use]
pub fn level_dbov(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|&sample| f64::from(sample) * f64::from(sample)).sum();
    let len = f64::from(u32::try_from(samples.len().max(1)).unwrap_or(u32::MAX));
    decibel((energy / len).sqrt() / 32768.0).max(-127.0)
}

fn decibel(ratio: f64) -> f64 {
    20.0 * ratio.max(1e-10).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pitch_is_heard_at_its_level_and_no_other_is() {
        let samples = Tone::new(700.0, -12.0).take(3200);
        assert!((pitch_level_db(&samples, 700.0) + 12.0).abs() < 0.05);
        for other in [650.0, 750.0, 1400.0] {
            assert!(pitch_level_db(&samples, other) < -80.0, "{other} Hz: {}", pitch_level_db(&samples, other));
        }
    }

    #[test]
    fn a_sine_of_full_scale_is_three_decibels_below_a_square() {
        assert!((level_dbov(&Tone::new(500.0, 0.0).take(8000)) + 3.01).abs() < 0.02);
        assert!((level_dbov(&[0; 100]) + 127.0).abs() < 0.01);
    }

    #[test]
    fn full_scale_does_not_wrap() {
        assert!(Tone::new(2000.0, 6.0).take(100).iter().all(|&sample| sample == 0 || sample.unsigned_abs() >= 32767));
    }
}
