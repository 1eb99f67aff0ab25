//! Any rate to 8 kHz: a low-pass and a decimation in one step (polyphase windowed sinc).
//!
//! What lies above 4 kHz would fold down into the voice, so it is taken away first; down to 3.4 kHz, all that a telephone
//! carries, nothing is lost.

use std::f64::consts::PI;

/// The rate of everything the engine plays.
pub(super) const OUTPUT_RATE_HZ: u32 = 8_000;
/// End of the passband's slope, as a share of the lower of both Nyquist frequencies.
const CUTOFF: f64 = 0.94;
/// Zero crossings of the sinc on either side: with the window below, 60 dB down from 4.2 kHz on.
const ZERO_CROSSINGS: f64 = 24.0;

/// Samples at `rate_hz` as samples at 8 kHz.
pub(super) fn resample(samples: &[f32], rate_hz: u32) -> Vec<f32> {
    if rate_hz == OUTPUT_RATE_HZ {
        return samples.to_vec();
    }
    let divisor = gcd(rate_hz, OUTPUT_RATE_HZ);
    // One output sample steps by step/phases input samples: 2/1 from 16 kHz, 441/80 from 44.1 kHz.
    let (step, phases) = ((rate_hz / divisor) as usize, (OUTPUT_RATE_HZ / divisor) as usize);
    let filter = Filter::new(step, phases);
    let len = samples.len() * phases / step;
    (0..len).map(|index| filter.at(samples, index * step)).collect()
}

/// The sinc at each of the phases that occur.
struct Filter {
    phases: usize,
    reach: usize,
    taps: Vec<Vec<f32>>,
}

impl Filter {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small positive counts"
    )]
    fn new(step: usize, phases: usize) -> Self {
        let cutoff = CUTOFF * (phases as f64 / step as f64).min(1.0);
        let reach = (ZERO_CROSSINGS / cutoff).ceil() as usize;
        let tap = |phase: usize, tap: usize| {
            let distance = tap as f64 - reach as f64 + 1.0 - phase as f64 / phases as f64;
            let x = PI * distance * cutoff;
            let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
            // Blackman: side lobes 58 dB down, and the sinc's own slope beyond.
            let w = PI * (distance / reach as f64).clamp(-1.0, 1.0);
            sinc * cutoff * (0.42 + 0.5 * w.cos() + 0.08 * (2.0 * w).cos())
        };
        let taps = (0..phases).map(|phase| {
            let raw: Vec<f64> = (0..2 * reach).map(|index| tap(phase, index)).collect();
            let sum: f64 = raw.iter().sum();
            raw.into_iter().map(|tap| (tap / sum) as f32).collect()
        });
        Self { phases, reach, taps: taps.collect() }
    }

    /// The output sample at `position`, counted in input samples times phases.
    fn at(&self, samples: &[f32], position: usize) -> f32 {
        let (whole, taps) = (position / self.phases, &self.taps[position % self.phases]);
        let first = (whole + 1).saturating_sub(self.reach);
        let skipped = first + self.reach - whole - 1;
        let last = (whole + self.reach).min(samples.len().saturating_sub(1));
        samples[first..=last].iter().zip(&taps[skipped..]).map(|(sample, tap)| sample * tap).sum()
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::cast_precision_loss, reason = "test")]
    fn level_db(rate_hz: u32, tone_hz: f32) -> f32 {
        let tone = |index: u32| (std::f32::consts::TAU * tone_hz * index as f32 / rate_hz as f32).sin();
        let out = resample(&(0..rate_hz / 2).map(tone).collect::<Vec<_>>(), rate_hz);
        let middle = &out[500..3500];
        10.0 * (2.0 * middle.iter().map(|sample| sample * sample).sum::<f32>() / 3000.0).log10()
    }

    #[test]
    fn a_voice_passes_and_what_would_fold_down_does_not() {
        for rate_hz in [16_000, 22_050, 44_100, 48_000] {
            for tone_hz in [300.0, 1000.0, 3400.0] {
                assert!(level_db(rate_hz, tone_hz).abs() < 0.5, "{rate_hz} {tone_hz}");
            }
            for tone_hz in [4400.0, 5000.0, 7000.0] {
                assert!(level_db(rate_hz, tone_hz) < -50.0, "{rate_hz} {tone_hz}: {}", level_db(rate_hz, tone_hz));
            }
        }
    }

    #[test]
    fn short_input_is_no_trouble() {
        for len in 0..100 {
            assert_eq!(resample(&vec![0.1; len], 16_000).len(), len / 2);
            let _ = resample(&vec![0.1; len], 44_100);
        }
    }
}
