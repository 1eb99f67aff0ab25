//! Voices that a machine can tell apart: a pitch for each talker, and an ear that listens for one pitch in 20 ms of sound.
//!
//! All pitches are multiples of 50 Hz: 20 ms hold whole periods of each, so that one is not heard in another, and the same
//! packet sent over and over is a steady tone.

use std::f32::consts::TAU;

/// Samples in a packet of ours, at 8 kHz.
pub(super) const PACKET_SAMPLES: usize = 160;
/// Pitches that there are.
pub(super) const TONES: usize = 60;
/// The lowest, and the step from one to the next, in hertz.
const FIRST_HZ: usize = 350;
const STEP_HZ: usize = 50;
/// Neighbours in a room stand this many pitches apart; it has no divisor in common with [`TONES`], so all of them are used.
const APART: usize = 7;
/// Peak of a talker's tone, of full scale; three of them together are far from clipping.
pub(super) const LEVEL: f32 = 0.12;

/// Which pitch; less than [`TONES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tone(usize);

impl Tone {
    /// The voice of a talker, counted over all rooms.
    pub(super) fn of_talker(talker: usize) -> Self {
        Self(talker * APART % TONES)
    }

    /// Its pitch.
    fn hz(self) -> usize {
        FIRST_HZ + self.0 * STEP_HZ
    }
}

/// Sines and cosines of every pitch.
#[derive(Debug)]
pub(super) struct Tones(Vec<Waves>);

#[derive(Debug)]
struct Waves {
    sine: [f32; PACKET_SAMPLES],
    cosine: [f32; PACKET_SAMPLES],
}

impl Tones {
    pub(super) fn new() -> Self {
        Self((0..TONES).map(|place| Waves::new(Tone(place).hz())).collect())
    }

    /// A packet of this tone, at [`LEVEL`]; begins at a zero.
    pub(super) fn packet(&self, tone: Tone) -> [i16; PACKET_SAMPLES] {
        #[expect(clippy::cast_possible_truncation, reason = "a part of full scale")]
        self.0[tone.0].sine.map(|sine| (sine * LEVEL * 32_767.0).round() as i16)
    }

    /// The peak of this tone within a packet, of full scale (a Fourier sum at one pitch).
    pub(super) fn level(&self, tone: Tone, sound: &[f32; PACKET_SAMPLES]) -> f32 {
        let Waves { sine, cosine } = &self.0[tone.0];
        let (mut in_phase, mut across) = (0.0f32, 0.0f32);
        for ((sample, sine), cosine) in sound.iter().zip(sine).zip(cosine) {
            in_phase += sample * sine;
            across += sample * cosine;
        }
        in_phase.hypot(across) * 2.0 / SAMPLES
    }
}

impl Waves {
    fn new(hz: usize) -> Self {
        let angle = |sample: usize| {
            let turned = u16::try_from(hz * sample % 8_000).unwrap_or_default();
            TAU * f32::from(turned) / 8_000.0
        };
        Self { sine: std::array::from_fn(|n| angle(n).sin()), cosine: std::array::from_fn(|n| angle(n).cos()) }
    }
}

/// Mean square of a packet, of full scale, without what is steady: nobody hears that. G.711 in A-law has no zero, and a mixer
/// that adds up hundreds who are silent has moved far from it.
pub(super) fn energy(sound: &[f32; PACKET_SAMPLES]) -> f32 {
    let steady = sound.iter().sum::<f32>() / SAMPLES;
    sound.iter().map(|sample| (sample - steady).powi(2)).sum::<f32>() / SAMPLES
}

/// [`PACKET_SAMPLES`] as a divisor.
const SAMPLES: f32 = 160.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(tones: &Tones, voices: &[Tone]) -> [f32; PACKET_SAMPLES] {
        let packets: Vec<_> = voices.iter().map(|tone| tones.packet(*tone)).collect();
        std::array::from_fn(|n| packets.iter().map(|packet| f32::from(packet[n]) / 32_767.0).sum())
    }

    #[test]
    fn a_tone_is_heard_at_its_level_among_others_and_no_other_is() {
        let tones = Tones::new();
        let voices = [Tone(0), Tone(1), Tone(59)];
        let sound = sound(&tones, &voices);
        for place in 0..TONES {
            let level = tones.level(Tone(place), &sound);
            let expected = if voices.contains(&Tone(place)) { LEVEL } else { 0.0 };
            assert!((level - expected).abs() < 0.001, "{place}: {level}");
        }
        assert!((energy(&sound) - 3.0 * LEVEL * LEVEL / 2.0).abs() < 1e-4);
        let beside_hundreds_who_are_silent = sound.map(|sample| sample + 0.1);
        assert!((energy(&beside_hundreds_who_are_silent) - energy(&sound)).abs() < 1e-4);
    }

    #[test]
    fn as_many_talkers_as_there_are_tones_differ() {
        let mut places: Vec<_> = (0..TONES).map(|talker| Tone::of_talker(talker).0).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), TONES);
        assert!(Tone(TONES - 1).hz() < 3_400);
    }
}
