//! Sounds that are computed: the tones of coming and going, and the music of who waits.

use std::f32::consts::{PI, TAU};
use std::time::Duration;

use mixer_media::Clip;

use super::resample::OUTPUT_RATE_HZ;
use super::wav::{samples_of, to_i16};

/// Length of the music; it begins again without a seam.
const MUSIC: Duration = Duration::from_secs(16);
/// The music's loudest sample: well below speech, which peaks near 0.5.
const MUSIC_PEAK: f32 = 0.12;
/// Loudness of a tone; heard beneath the talk, not over it.
const TONE_PEAK: f32 = 0.12;
const TONE: Duration = Duration::from_millis(110);

/// Four chords, as frequencies in Hz within what a telephone carries well: C, A minor, F, G.
const CHORDS: [[f32; 4]; 4] = [
    [261.63, 329.63, 392.00, 523.25],
    [220.00, 329.63, 440.00, 523.25],
    [261.63, 349.23, 440.00, 698.46],
    [246.94, 293.66, 392.00, 587.33],
];
/// Which note of its chord sounds in each eighth of it.
const FIGURE: [usize; 8] = [0, 2, 1, 3, 2, 1, 3, 1];

/// Two notes, a fifth up or down.
pub(super) fn tone(rising: bool) -> Clip {
    let notes = if rising { [523.25, 783.99] } else { [783.99, 523.25] };
    let len = samples_of(TONE);
    let note = |hz: f32| (0..len).map(move |index| TONE_PEAK * bell(index, len) * sine(hz, index));
    notes.into_iter().flat_map(note).map(to_i16).collect::<Vec<_>>().into()
}

/// A quiet figure of plucked notes over four chords.
#[expect(clippy::cast_precision_loss, reason = "counts of a few thousand samples")]
pub(super) fn music() -> Clip {
    let len = samples_of(MUSIC);
    let eighth = len / (CHORDS.len() * FIGURE.len());
    let ring = samples_of(Duration::from_millis(2400));
    let mut sound = vec![0f32; len];
    for (beat, (chord, note)) in
        CHORDS.iter().flat_map(|chord| FIGURE.iter().map(move |note| (chord, *note))).enumerate()
    {
        let accent = if beat % FIGURE.len() == 0 { 1.0 } else { 0.7 };
        for index in 0..ring {
            let attack = (index as f32 / 160.0).min(1.0);
            let decay = (-4.0 * index as f32 / ring as f32).exp() - (-4.0f32).exp();
            let hz = chord[note];
            let wave = sine(hz, index) + 0.25 * sine(2.0 * hz, index) + 0.06 * sine(3.0 * hz, index);
            // A note that rings beyond the end rings on at the beginning: that is what hides the seam.
            sound[(beat * eighth + index) % len] += accent * attack * decay * wave;
        }
    }
    let peak = sound.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
    sound.into_iter().map(|sample| to_i16(sample * MUSIC_PEAK / peak)).collect::<Vec<_>>().into()
}

/// Nothing, for this long.
pub(super) fn silence(time: Duration) -> Clip {
    vec![0i16; samples_of(time)].into()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few thousand samples")]
fn sine(hz: f32, index: usize) -> f32 {
    (TAU * hz * index as f32 / OUTPUT_RATE_HZ as f32).sin()
}

/// Rises from silence and falls back to it.
#[expect(clippy::cast_precision_loss, reason = "counts of a few thousand samples")]
fn bell(index: usize, len: usize) -> f32 {
    (PI * index as f32 / len as f32).sin().powi(2).sqrt().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(samples: &[i16]) -> i32 {
        samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap()
    }

    #[test]
    fn the_music_has_no_seam_and_is_soft() {
        let music = music();
        let samples = music.samples();
        assert_eq!(music.duration(), MUSIC);
        let seam = (i32::from(samples[0]) - i32::from(samples[samples.len() - 1])).abs();
        assert!(seam <= steps(samples), "{seam}");
        let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64;
        let level_dbfs = 10.0 * (power / 32_768f64.powi(2)).log10();
        assert!(peak < 4_000 && (-40.0..-26.0).contains(&level_dbfs), "{peak} {level_dbfs}");
    }

    #[test]
    fn tones_begin_and_end_in_silence() {
        for rising in [true, false] {
            let tone = tone(rising);
            let samples = tone.samples();
            assert!(samples[0].abs() < 200 && samples[samples.len() - 1].abs() < 200 && steps(samples) < 3_000);
            assert_eq!(tone.duration(), 2 * TONE);
        }
        assert_ne!(tone(true), tone(false));
    }
}
