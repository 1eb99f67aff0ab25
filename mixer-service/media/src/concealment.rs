//! What is played in place of what never came: the last pitch cycle again and again, fading.

use crate::FRAME_SAMPLES;

/// Shortest and longest pitch cycle looked for: 200 Hz and up repeat several of their own; 50 Hz is below any voice.
const CYCLE_MIN: usize = 40;
const CYCLE_MAX: usize = 160;
/// How much sound two cycles are compared over: 10 ms.
const COMPARED: usize = 80;
const HISTORY: usize = CYCLE_MAX + COMPARED;
/// The first 10 ms are repeated as loud as they were; after 60 ms nothing is left, for longer repetition sounds like a machine.
const FULL_SAMPLES: u32 = 80;
const FADED_SAMPLES: u32 = 480;
/// Real sound fades in over what was made up: 5 ms, so that no step clicks.
const CROSSFADE: usize = 40;

/// Remembers what was heard and goes on with it for a while.
#[derive(Clone, Debug)]
pub(crate) struct Concealment {
    history: [i16; HISTORY],
    cycle: usize,
    /// Samples made up since the last real one.
    made_up: u32,
}

impl Default for Concealment {
    fn default() -> Self {
        Self { history: [0; HISTORY], cycle: CYCLE_MIN, made_up: 0 }
    }
}

impl Concealment {
    /// Takes real sound; its beginning is blended with what was made up just before.
    pub(crate) fn heard(&mut self, samples: &mut [i16]) {
        if self.made_up > 0 {
            let mut tail = [0; CROSSFADE];
            let len = samples.len().min(CROSSFADE);
            self.repeat(&mut tail[..len]);
            let steps = i32::try_from(len).unwrap_or(1) + 1;
            for ((sample, old), step) in samples.iter_mut().zip(tail).zip(1..) {
                *sample = clamp((i32::from(*sample) * step + i32::from(old) * (steps - step)) / steps);
            }
            self.made_up = 0;
        }
        self.remember(samples);
    }

    /// Makes up sound.
    pub(crate) fn fill(&mut self, samples: &mut [i16]) {
        if self.made_up == 0 {
            self.cycle = self.find_cycle();
        }
        self.repeat(samples);
    }

    fn repeat(&mut self, samples: &mut [i16]) {
        let cycle = &self.history[HISTORY - self.cycle..];
        for sample in samples {
            let gain = FADED_SAMPLES.saturating_sub(self.made_up.max(FULL_SAMPLES)).cast_signed();
            let old = i32::from(cycle[self.made_up as usize % cycle.len()]);
            *sample = clamp(old * gain / (FADED_SAMPLES - FULL_SAMPLES).cast_signed());
            self.made_up = self.made_up.saturating_add(1);
        }
    }

    fn remember(&mut self, samples: &[i16]) {
        let samples = &samples[samples.len().saturating_sub(HISTORY)..];
        self.history.copy_within(samples.len().., 0);
        self.history[HISTORY - samples.len()..].copy_from_slice(samples);
    }

    /// The distance at which the last 10 ms look most like themselves.
    fn find_cycle(&self) -> usize {
        let recent = &self.history[HISTORY - COMPARED..];
        let likeness = |cycle: usize| {
            let earlier = &self.history[HISTORY - COMPARED - cycle..HISTORY - cycle];
            let (mut product, mut energy) = (0i64, 1i64);
            for (&a, &b) in recent.iter().zip(earlier) {
                product += i64::from(a) * i64::from(b);
                energy += i64::from(b) * i64::from(b);
            }
            // Normalized by the earlier piece alone: the recent one is the same for all. Only an ordering, so f64 will do.
            #[expect(clippy::cast_precision_loss, reason = "an ordering of large sums")]
            let likeness = product as f64 / (energy as f64).sqrt();
            likeness
        };
        let best = (CYCLE_MIN..=CYCLE_MAX).map(|cycle| (cycle, likeness(cycle)));
        best.fold((CYCLE_MIN, f64::MIN), |best, next| if next.1 > best.1 { next } else { best }).0
    }
}

const _: () = assert!(FRAME_SAMPLES <= HISTORY, "one frame is remembered whole");

fn clamp(sample: i32) -> i16 {
    i16::try_from(sample).unwrap_or(if sample < 0 { i16::MIN } else { i16::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tone, pitch_level_db};

    #[test]
    fn a_lost_frame_of_a_steady_pitch_is_hardly_missed_and_nothing_clicks() {
        for pitch_hz in [150.0, 310.0, 1000.0] {
            let mut tone = Tone::new(pitch_hz, -10.0);
            let (mut concealment, mut heard) = (Concealment::default(), Vec::new());
            for n in 0..20 {
                let mut frame = [0; FRAME_SAMPLES];
                tone.fill(&mut frame);
                if n == 10 {
                    concealment.fill(&mut frame);
                } else {
                    concealment.heard(&mut frame);
                }
                heard.extend(frame);
            }
            let made_up = pitch_level_db(&heard[1600..1680], pitch_hz);
            assert!((made_up + 10.0).abs() < 1.5, "{pitch_hz} Hz: {made_up} dB instead of -10");
            let steepest =
                |samples: &[i16]| samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max();
            let usual = steepest(&heard[..1600]).unwrap();
            assert!(steepest(&heard[1590..]).unwrap() <= usual * 3 / 2 + 100, "{pitch_hz} Hz clicks");
        }
    }

    #[test]
    fn after_sixty_milliseconds_it_is_silent_and_stays_so() {
        let (mut concealment, mut frame) = (Concealment::default(), [9000; FRAME_SAMPLES]);
        concealment.heard(&mut frame);
        for _ in 0..3 {
            concealment.fill(&mut frame);
        }
        assert!(frame[159].abs() < 50);
        concealment.fill(&mut frame);
        assert_eq!(frame, [0; FRAME_SAMPLES]);
    }
}
