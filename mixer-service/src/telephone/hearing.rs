//! Which pitches were heard, how loud and for how long.
//!
//! A prompt has every pitch for a moment; a voice of a test has one and keeps it. So what counts is the longest stretch.

use std::time::Duration;

use mixer_media::pitch_level_db;

/// What was heard of one pitch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hearing {
    /// The pitch that was listened for.
    pub hz: u32,
    /// Longest time without a break at or above [`Hearing::AUDIBLE_DB`].
    pub longest: Duration,
    /// Mean level over that time, in dB against a full-scale sine; of the loudest block when it was never audible.
    pub level_db: f64,
}

/// A pitch found without being asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pitch {
    /// To 10 Hz.
    pub hz: u32,
    /// In dB against a full-scale sine.
    pub level_db: f64,
}

/// A block is long enough to tell pitches 8 Hz apart, and blocks overlap so that a stretch is known to 100 ms.
const BLOCK_SAMPLES: usize = 4_000;
const HOP_SAMPLES: usize = 800;
const HOP: Duration = Duration::from_millis(100);
const BLOCK: Duration = Duration::from_millis(500);
/// Where pitches are looked for: what a telephone carries.
const BAND_HZ: std::ops::RangeInclusive<u32> = 200..=3_400;
/// More voices than an ear can tell apart.
const MAX_PITCHES: usize = 16;

impl Hearing {
    /// What counts as heard. A caller's voice of −12 dB comes through at −12 dB; an echo of it must stay below.
    pub const AUDIBLE_DB: f64 = -35.0;
    /// A pitch was there when it was audible for so long.
    pub const STEADY: Duration = Duration::from_secs(1);

    /// Listens for one pitch in samples of 8 kHz.
    #[must_use]
    pub fn of(samples: &[i16], hz: u32) -> Self {
        let levels: Vec<f64> = samples
            .windows(BLOCK_SAMPLES)
            .step_by(HOP_SAMPLES)
            .map(|block| pitch_level_db(block, f64::from(hz)))
            .collect();
        let longest = levels
            .split(|level| *level < Self::AUDIBLE_DB)
            .max_by_key(|stretch| stretch.len())
            .filter(|stretch| !stretch.is_empty());
        longest.map_or_else(
            || Self { hz, longest: Duration::ZERO, level_db: levels.iter().copied().fold(-200.0, f64::max) },
            |stretch| {
                let blocks = u32::try_from(stretch.len()).unwrap_or(u32::MAX);
                let level_db = stretch.iter().sum::<f64>() / f64::from(blocks);
                Self { hz, longest: BLOCK + HOP * (blocks - 1), level_db }
            },
        )
    }

    /// Whether the pitch was there, steadily.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        self.longest >= Self::STEADY
    }
}

/// The pitches that stand out in the last half second of these samples, loudest first.
#[must_use]
pub fn pitches(samples: &[i16]) -> Vec<Pitch> {
    let block = &samples[samples.len().saturating_sub(BLOCK_SAMPLES)..];
    if block.len() < BLOCK_SAMPLES {
        return Vec::new();
    }
    let spectrum: Vec<Pitch> =
        BAND_HZ.step_by(10).map(|hz| Pitch { hz, level_db: pitch_level_db(block, f64::from(hz)) }).collect();
    let mut found: Vec<Pitch> = spectrum
        .windows(3)
        .filter(|near| {
            near[1].level_db >= Hearing::AUDIBLE_DB
                && near[1].level_db >= near[0].level_db
                && near[1].level_db > near[2].level_db
        })
        .map(|near| near[1])
        .collect();
    found.sort_by(|a, b| b.level_db.total_cmp(&a.level_db));
    found.truncate(MAX_PITCHES);
    found
}

#[cfg(test)]
mod tests {
    use mixer_media::Tone;

    use super::*;

    #[test]
    fn a_steady_voice_is_told_from_a_moment_of_it() {
        let mut samples = vec![0; 8_000];
        samples.extend(Tone::new(440.0, -12.0).take(16_000));
        samples.extend(Tone::new(1_000.0, -12.0).take(4_800));
        let voice = Hearing::of(&samples, 440);
        assert!(voice.is_steady() && (voice.level_db + 12.0).abs() < 3.0, "{voice:?}");
        assert!(!Hearing::of(&samples, 1_000).is_steady());
        assert!(!Hearing::of(&samples, 700).is_steady());
    }

    #[test]
    fn silence_has_no_pitch() {
        assert!(Hearing::of(&[], 440).longest.is_zero());
        assert!(pitches(&[0; 8_000]).is_empty());
    }

    #[test]
    fn two_voices_at_once_are_two_pitches() {
        let (mut low, mut high) = (Tone::new(440.0, -18.0), Tone::new(1_250.0, -15.0));
        let both: Vec<i16> = low.take(8_000).iter().zip(high.take(8_000)).map(|(a, b)| a + b).collect();
        let heard: Vec<u32> = pitches(&both).iter().map(|pitch| pitch.hz).collect();
        assert_eq!(heard, [1_250, 440]);
    }
}
