//! How what is made up sounds, told by its level and its steps.

use super::*;
use crate::comfort_noise::ComfortNoise;
use crate::{FRAME_SAMPLES, Tone, level_dbov, pitch_level_db};

/// A frame as it comes, or what is made up in its place.
#[derive(Clone, Copy, PartialEq)]
enum Comes {
    Here,
    Lost,
    /// Lost, and the next one is here.
    Between,
}

fn heard(source: &[i16], comes: impl Fn(usize) -> Comes) -> Vec<i16> {
    let (mut concealment, mut heard) = (Concealment::new(8), Vec::new());
    let frames: Vec<&[i16]> = source.chunks_exact(FRAME_SAMPLES).collect();
    for (n, frame) in frames.iter().enumerate() {
        let mut frame = frame.to_vec();
        match comes(n) {
            Comes::Here => concealment.heard(&mut frame),
            Comes::Lost => concealment.fill(&mut frame),
            Comes::Between => concealment.lead_to(frames[n + 1], &mut frame),
        }
        heard.extend(frame);
    }
    heard
}

fn steepest(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap()
}

/// Something like a vowel: pulses at a pitch that glides, each ringing.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small numbers of a test")]
fn vowel(from_hz: f32, to_hz: f32, len: usize) -> Vec<i16> {
    let (mut phase, mut samples) = (0f32, Vec::new());
    let mut ring = [0f32; 2];
    for n in 0..len {
        phase += (from_hz + (to_hz - from_hz) * n as f32 / len as f32) / 8000.0;
        let pulse = if phase >= 1.0 { 6000.0 } else { 0.0 };
        phase -= phase.floor();
        let next = pulse + 1.75 * ring[0] - 0.9 * ring[1];
        ring = [next, ring[0]];
        samples.push((next * 0.5) as i16);
    }
    samples
}

#[test]
fn a_lost_frame_of_a_steady_pitch_is_hardly_missed_and_nothing_clicks() {
    for comes in [Comes::Lost, Comes::Between] {
        for pitch_hz in [150.0, 310.0, 1000.0] {
            let heard = heard(&Tone::new(pitch_hz, -10.0).take(3200), |n| if n == 10 { comes } else { Comes::Here });
            let made_up = pitch_level_db(&heard[1600..1760], pitch_hz);
            assert!((made_up + 10.0).abs() < 1.5, "{pitch_hz} Hz: {made_up} dB instead of -10");
            let usual = steepest(&heard[..1600]);
            assert!(steepest(&heard[1590..]) <= usual * 3 / 2 + 100, "{pitch_hz} Hz clicks");
        }
    }
}

#[test]
fn a_voice_that_glides_is_led_over_a_gap_closer_than_it_is_repeated() {
    for (from_hz, to_hz) in [(100.0, 130.0), (220.0, 180.0), (120.0, 120.0)] {
        let source = vowel(from_hz, to_hz, 3200);
        let error = |comes: Comes| {
            let heard = heard(&source, |n| if n % 4 == 2 { comes } else { Comes::Here });
            let difference: Vec<i16> = heard.iter().zip(&source).map(|(a, b)| a.saturating_sub(*b)).collect();
            level_dbov(&difference[320..]) - level_dbov(&source[320..])
        };
        let (repeated, led) = (error(Comes::Lost), error(Comes::Between));
        println!("{from_hz} to {to_hz} Hz: {repeated:.1} dB off when repeated, {led:.1} dB when led over");
        assert!(led < repeated - 3.0 && led < -12.0, "{from_hz} to {to_hz} Hz: {repeated} and {led}");
    }
}

#[test]
fn noise_stays_noise_of_its_level() {
    let mut noise = [0; 8000];
    ComfortNoise::new(30, 3).fill(&mut noise);
    for comes in [Comes::Lost, Comes::Between] {
        let heard = heard(&noise, |n| if n % 5 == 3 { comes } else { Comes::Here });
        let made_up: Vec<i16> = heard.chunks(160).skip(3).step_by(5).flatten().copied().collect();
        let level = level_dbov(&made_up);
        assert!((level + 30.0).abs() < 1.5, "{level}");
    }
}

#[test]
fn a_burst_fades_and_returns_without_a_click() {
    for pitch_hz in [110.0, 240.0] {
        let source = vowel(pitch_hz, pitch_hz, 4800);
        let heard = heard(&source, |n| if (10..13).contains(&n) { Comes::Lost } else { Comes::Here });
        let usual = steepest(&source);
        assert!(steepest(&heard[1590..2240]) <= usual * 2, "{pitch_hz} Hz: {} after {usual}", steepest(&heard));
        let (before, end) = (level_dbov(&heard[1280..1600]), level_dbov(&heard[2000..2080]));
        assert!(end < before - 9.0, "{pitch_hz} Hz: {before} dB before, {end} dB at the end");
    }
}

#[test]
fn after_seventy_milliseconds_it_is_silent_and_stays_so() {
    let (mut concealment, mut frame) = (Concealment::new(8), [9000; FRAME_SAMPLES]);
    concealment.heard(&mut frame);
    for _ in 0..4 {
        concealment.fill(&mut frame);
    }
    assert_eq!(frame[80..], [0; 80]);
    concealment.fill(&mut frame);
    assert_eq!(frame, [0; FRAME_SAMPLES]);
}

#[test]
fn at_sixteen_kilohertz_it_does_the_same() {
    let (mut concealment, mut tone) = (Concealment::new(16), Tone::new(150.0, -10.0));
    let mut frame = [0; 320];
    for n in 0..10 {
        tone.fill(&mut frame);
        if n == 8 {
            concealment.fill(&mut frame);
        } else {
            concealment.heard(&mut frame);
        }
        assert!(n < 2 || (pitch_level_db(&frame, 150.0) + 10.0).abs() < 2.0, "{n}");
    }
}

proptest::proptest! {
    #[test]
    fn any_sound_and_any_future_give_sound(
        steps in proptest::collection::vec((0u8..3, 1usize..320, proptest::prelude::any::<i16>(), 0usize..200), 1..30),
    ) {
        let mut concealment = Concealment::new(8);
        for (kind, len, sample, future) in steps {
            let mut samples = vec![sample; len];
            match kind {
                0 => concealment.heard(&mut samples),
                1 => concealment.fill(&mut samples),
                _ => concealment.lead_to(&vec![sample; future], &mut samples),
            }
        }
    }
}
