//! Keys within the limits of Q.24 are heard, voices are not taken for keys, and nobody else hears a tone.
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers of a test")]

use super::*;
use crate::{G711, Tone, level_dbov, pitch_level_db};

/// Seeded chance.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.next()
    }

    /// Roughly normal, of effective value 1.
    fn noise(&mut self) -> f32 {
        ((0..6).map(|_| self.next()).sum::<f32>() - 3.0) * std::f32::consts::SQRT_2
    }
}

/// How a key is pressed.
#[derive(Clone, Copy, Debug)]
struct Press {
    on_ms: usize,
    off_ms: usize,
    /// Of the low tone, against a full-scale sine.
    level_db: f64,
    /// The high tone against the low one.
    twist_db: f64,
    /// Both tones off by so much.
    off: f64,
    noise_db: Option<f64>,
}

const USUAL: Press = Press { on_ms: 40, off_ms: 40, level_db: -12.0, twist_db: 0.0, off: 0.0, noise_db: None };

fn place(key: char) -> (usize, usize) {
    (0..16).map(|n| (n / 4, n % 4)).find(|&(low, high)| KEYS[low][high] == key).unwrap()
}

/// The sound of these keys, after so many samples of silence, coded and decoded as a telephone line does.
fn dialled(keys: &str, press: Press, silence: usize) -> Vec<i16> {
    let mut sound = vec![0i16; silence];
    for key in keys.chars() {
        let (low, high) = place(key);
        let mut low = Tone::new(f64::from(LOW_HZ[low]) * (1.0 + press.off), press.level_db);
        let mut high = Tone::new(f64::from(HIGH_HZ[high]) * (1.0 + press.off), press.level_db + press.twist_db);
        let len = press.on_ms * 8;
        sound.extend(low.take(len).iter().zip(high.take(len)).map(|(&a, b)| a.saturating_add(b)));
        sound.extend(vec![0; press.off_ms * 8]);
    }
    sound.extend(vec![0; 800 - sound.len() % 160]);
    if let Some(noise_db) = press.noise_db {
        let (mut chance, rms) = (Chance(11), 32767.0 * 10f32.powf(noise_db as f32 / 20.0));
        sound.iter_mut().for_each(|sample| *sample = sample.saturating_add((chance.noise() * rms) as i16));
    }
    coded(&sound)
}

fn coded(sound: &[i16]) -> Vec<i16> {
    let mut out = vec![0; sound.len()];
    for (frame, out) in sound.chunks_exact(160).zip(out.chunks_exact_mut(160)) {
        let mut payload = [0; 160];
        G711::ALaw.encode(frame.try_into().unwrap(), &mut payload);
        G711::ALaw.decode(&payload, out);
    }
    out
}

fn heard(sound: &[i16]) -> String {
    let mut tones = KeyTones::default();
    sound.chunks_exact(160).filter_map(|frame| tones.hear(frame.try_into().unwrap()).key).collect()
}

fn check(keys: &str, press: Press) {
    for silence in (0..160).step_by(7) {
        assert_eq!(heard(&dialled(keys, press, silence)), keys, "{press:?}, {silence} samples later");
    }
}

const ALL: &str = "1234567890*#ABCD";

#[test]
fn every_key_is_heard_once_at_forty_milliseconds_wherever_it_begins() {
    check(ALL, USUAL);
    check("11223344", USUAL);
    check("5", Press { on_ms: 5000, ..USUAL });
    check("4711#482915#", Press { on_ms: 100, off_ms: 100, ..USUAL });
}

#[test]
fn levels_twist_and_tones_a_little_off_are_within_bounds() {
    for level_db in [-5.0, -20.0, -33.0] {
        check(ALL, Press { level_db, ..USUAL });
    }
    for twist_db in [4.0, -4.0, -8.0] {
        check(ALL, Press { twist_db, ..USUAL });
    }
    for off in [0.015, -0.015] {
        check(ALL, Press { off, ..USUAL });
    }
}

#[test]
fn noise_at_fifteen_decibels_hides_no_key() {
    check(ALL, Press { noise_db: Some(-30.0), level_db: -15.0, on_ms: 50, off_ms: 50, ..USUAL });
}

#[test]
fn what_is_no_key_is_none() {
    assert_eq!(heard(&dialled(ALL, Press { on_ms: 22, ..USUAL }, 30)), "", "too short");
    assert_eq!(heard(&dialled(ALL, Press { twist_db: 8.0, ..USUAL }, 30)), "", "the high tone too loud");
    assert_eq!(heard(&dialled(ALL, Press { twist_db: -13.0, ..USUAL }, 30)), "", "the high tone too soft");
    assert_eq!(heard(&dialled(ALL, Press { level_db: -48.0, ..USUAL }, 30)), "", "too soft");
    assert_eq!(heard(&Tone::new(770.0, -10.0).take(16_000)), "", "one tone alone");
    // Dial tone, ringing, busy: pairs of other pitches.
    for (low, high) in [(350.0, 440.0), (440.0, 480.0), (480.0, 620.0), (425.0, 850.0)] {
        let (low, high) = (Tone::new(low, -10.0).take(16_000), Tone::new(high, -10.0).take(16_000));
        assert_eq!(heard(&low.iter().zip(high).map(|(&a, b)| a + b).collect::<Vec<_>>()), "");
    }
}

#[test]
fn an_interruption_of_ten_milliseconds_makes_no_second_key() {
    for at in (400..1200).step_by(13) {
        let mut sound = dialled("5", Press { on_ms: 200, ..USUAL }, 0);
        sound[at..at + 80].fill(0);
        assert_eq!(heard(&sound), "5", "at {at}");
    }
}

#[test]
fn a_frame_lost_within_a_key_makes_no_second_key() {
    for lost in 0..10 {
        let sound = dialled("5", Press { on_ms: 200, ..USUAL }, 50);
        let mut tones = KeyTones::default();
        let keys: String = sound
            .chunks_exact(160)
            .enumerate()
            .filter_map(|(n, frame)| if n == lost { tones.pass() } else { tones.hear(frame.try_into().unwrap()) }.key)
            .collect();
        assert_eq!(keys, "5", "frame {lost}");
    }
}

/// Something like a voice: a pulse train of a wandering pitch through three wandering resonances, with hiss between, in
/// syllables. Gives so many frames, one by one.
struct Voice {
    chance: Chance,
    pitch_hz: f32,
    /// By which the pitch changes with each sample.
    glide: f32,
    phase: f32,
    formants: [(f32, f32, f32); 3],
    left: usize,
    kind: f32,
    loud: f32,
}

impl Voice {
    fn new(seed: u64) -> Self {
        let mut voice = Self {
            chance: Chance(seed),
            pitch_hz: 120.0,
            glide: 0.0,
            phase: 0.0,
            formants: [(500.0, 0.0, 0.0), (1500.0, 0.0, 0.0), (2500.0, 0.0, 0.0)],
            left: 0,
            kind: 0.0,
            loud: 0.0,
        };
        (0..20).for_each(|_| _ = voice.chance.next());
        voice
    }

    fn syllable(&mut self) {
        self.left = self.chance.between(400.0, 2400.0) as usize;
        self.kind = self.chance.next();
        self.loud = 10f32.powf(self.chance.between(-1.6, 0.0));
        self.pitch_hz = self.chance.between(70.0, 400.0);
        // From steady to a fifth in half a second, up or down.
        self.glide = self.chance.between(-1e-4, 1e-4);
        for (formant, (low, high)) in self.formants.iter_mut().zip([(250.0, 900.0), (800.0, 2300.0), (1900.0, 3300.0)])
        {
            formant.0 = self.chance.between(low, high);
        }
    }

    fn sample(&mut self) -> f32 {
        if self.left == 0 {
            self.syllable();
        }
        self.left -= 1;
        self.pitch_hz *= 1.0 + self.glide;
        self.phase += self.pitch_hz / 8000.0;
        let pulse = if self.phase >= 1.0 { 1.0 } else { 0.0 };
        self.phase = self.phase.fract();
        let source = match self.kind {
            kind if kind < 0.65 => pulse * 8.0 + 0.02 * self.chance.noise(),
            kind if kind < 0.8 => 0.5 * self.chance.noise(),
            kind if kind < 0.9 => pulse * 4.0 + 0.3 * self.chance.noise(),
            _ => 0.0,
        };
        let mut out = source;
        // 60, 90 and 130 Hz wide.
        for ((hz, last, before), radius) in self.formants.iter_mut().zip([0.977f32, 0.965, 0.95]) {
            let next = out * 0.25 + 2.0 * radius * (TAU * *hz / 8000.0).cos() * *last - radius * radius * *before;
            (*before, *last) = (*last, next);
            out = next;
        }
        out * self.loud * 6000.0
    }

    fn frame(&mut self) -> Frame {
        std::array::from_fn(|_| self.sample().clamp(-32000.0, 32000.0) as i16)
    }
}

/// Keys heard and frames suspected in so many hours of voices.
fn voices(hours: u32) -> (usize, usize) {
    let (mut keys, mut suspected) = (0, 0);
    for minute in 0..u64::from(hours * 60) {
        let (mut voice, mut tones) = (Voice::new(minute + 1), KeyTones::default());
        for _ in 0..3000 {
            let found = tones.hear(&voice.frame());
            keys += usize::from(found.key.is_some());
            suspected += usize::from(found.suspected);
        }
    }
    (keys, suspected)
}

#[test]
fn an_hour_of_voices_holds_no_key() {
    let (keys, suspected) = voices(1);
    println!("1 h of voices: {keys} keys, {suspected} of 180000 frames suspected");
    assert_eq!(keys, 0);
    assert!(suspected < 180, "one in a thousand frames is silenced for nothing");
}

#[test]
#[ignore = "half a minute: `tests/run long` runs it; the hour above is the same with less of it"]
fn ten_hours_of_voices_hold_no_key() {
    let (keys, suspected) = voices(10);
    println!("10 h of voices: {keys} keys, {suspected} of 1800000 frames suspected");
    assert_eq!(keys, 0);
}

#[test]
fn nobody_hears_a_tone_nor_its_beginning_nor_its_end() {
    for silence in (0..160).step_by(9) {
        let sound = dialled("4711#", Press { on_ms: 100, off_ms: 60, ..USUAL }, 320 + silence);
        let (mut muffle, mut out, mut keys) = (Muffle::default(), Vec::new(), String::new());
        for frame in sound.chunks_exact(160) {
            let mut frame: Frame = frame.try_into().unwrap();
            keys.extend(muffle.pass(&mut frame, true, true).key);
            out.extend(frame);
        }
        assert_eq!(keys, "4711#");
        let loudest = out.chunks(80).map(level_dbov).fold(f64::MIN, f64::max);
        assert!(loudest < -60.0, "{silence}: {loudest} dBov of the tones are left");
    }
}

#[test]
fn a_voice_passes_one_frame_later_and_whole() {
    let (mut muffle, mut tone, mut out) = (Muffle::default(), Tone::new(500.0, -10.0), Vec::new());
    for n in 0..50 {
        let mut frame: Frame = tone.take(160).try_into().unwrap();
        let passed = muffle.pass(&mut frame, true, true);
        assert_eq!(passed, Passed { key: None, voiced: n > 0, muted: false, silenced: false });
        out.extend(frame);
    }
    assert!((pitch_level_db(&out[160..], 500.0) + 10.0).abs() < 0.1);
}
