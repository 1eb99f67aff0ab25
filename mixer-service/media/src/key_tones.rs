//! Keys heard in the sound: pairs of tones (ITU-T Q.23), detected within the limits of Q.24 and kept from everybody else.
//!
//! Windows of 13 ms overlap by half. A window in which two tones are alone, at levels that belong together, is a hit; four hits
//! of one key in a row, 32 ms, are that key pressed. A voice seldom makes one hit and hardly ever four.
//!
//! The tone must not be heard by the others, its beginning included. So a leg with keys in its sound is one frame behind, and a
//! first hit silences the frame held back too; it began there.

use std::f32::consts::TAU;

use crate::{FRAME_SAMPLES, Frame, WIDE_SAMPLES, WideFrame};

/// Samples looked at together: short enough for a tone that is 1.5 % off, long enough to tell neighbours apart.
const WINDOW: usize = 102;
/// From one look to the next.
const HOP: usize = 51;
/// What is looked at once more before a key is told: all but the edges of the hits.
const LONG: usize = 2 * WINDOW;
/// Hits in a row that make a key: a tone of 40 ms has four whole windows wherever it begins; one of 23 ms never has.
const HITS: u8 = 4;
/// Windows without a hit that end a key: more than an interruption of 10 ms reaches into, and as many as a pause of 40 ms has.
const MISSES: u8 = 4;
/// Frames made up in a row beyond which a key is over, whatever they hid.
const BLIND_FRAMES_MAX: u8 = 3;

const LOW_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Softest tone: −40 dBov each.
const POWER_MIN: f32 = 32768.0 * 32768.0 * 1e-4;
/// The high tone may be louder than the low one by 4 dB (Q.24), and a window adds one, …
const TWIST_MAX: f32 = 3.2;
/// … or softer by 8 dB, and the window adds up to three.
const TWIST_MIN: f32 = 0.08;
/// A tone stands out of the others of its group by 7 dB.
const PROMINENCE: f32 = 5.0;
/// The two tones are most of what there is; a voice has more beside them.
const PURITY: f32 = 0.72;
/// And over the longer look, at the very pitches that were measured, nearly all.
const PURITY_LONG: f32 = 0.95;
/// From one hit to the next the level stays within 2.5 dB …
const STEADY: f32 = 1.8;
/// … and each tone turns as its pitch does, roughly: the other one disturbs it.
const OFF_MAX_HOP: f32 = 0.045;
/// Over the whole of the hits that disturbance is gone. Q.24 accepts 1.5 % and refuses 3.5 %.
const OFF_MAX: f32 = 0.019;

/// Hears keys in sound.
#[derive(Clone, Debug)]
pub(crate) struct KeyTones {
    line: [f32; LONG],
    /// Samples until the next look.
    until_look: usize,
    run: Option<Run>,
    blind_frames: u8,
    coefficients: [f32; 8],
    /// Hann's, for the longer look: there the two tones do not disturb each other.
    taper: [f32; LONG],
}

/// Hits of one key in a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    key: char,
    hits: u8,
    misses: u8,
    hit: Hit,
    /// How far each tone turned too much since the first hit, in turns.
    off: [f32; 2],
    /// Long enough and in tune.
    ripe: bool,
    told: bool,
}

/// Two tones alone in a window.
#[derive(Clone, Copy, Debug)]
struct Hit {
    low: usize,
    high: usize,
    power: f32,
    /// Of both tones at the window's end.
    phase: [f32; 2],
}

impl Hit {
    fn key(&self) -> char {
        KEYS[self.low][self.high]
    }

    /// How much further each tone turned since the hit before, one hop ago, than its pitch does, in turns. `None`: these are
    /// not the same tones, for they are louder, softer or out of tune.
    fn off_since(&self, before: &Self) -> Option<[f32; 2]> {
        let steady = self.power <= before.power * STEADY && before.power <= self.power * STEADY;
        let off = [0, 1].map(|n| {
            let off = (self.phase[n] - before.phase[n]) / TAU - self.turns(n);
            off - off.round()
        });
        let in_tune = (0..2).all(|n| off[n].abs() <= OFF_MAX_HOP * self.turns(n));
        (steady && in_tune).then_some(off)
    }

    /// What the pitch of the low tone, or of the high one, turns in a hop.
    fn turns(&self, n: usize) -> f32 {
        let hz = if n == 0 { LOW_HZ[self.low] } else { HIGH_HZ[self.high] };
        hz * HOP as f32 / 8000.0
    }
}

impl Run {
    fn new(hit: Hit) -> Self {
        Self { key: hit.key(), hits: 1, misses: 0, hit, off: [0.0; 2], ripe: false, told: false }
    }

    /// With another hit of the same key.
    fn with(mut self, hit: Hit) -> Self {
        match hit.off_since(&self.hit).filter(|_| self.misses == 0) {
            Some(off) => {
                self.hits = self.hits.saturating_add(1);
                self.off = [self.off[0] + off[0], self.off[1] + off[1]];
            }
            // The first window of a tone holds only some of it; what does not go on from the hit before begins there.
            None => (self.hits, self.off) = (1, [0.0; 2]),
        }
        let hops = f32::from(self.hits - 1);
        let in_tune = (0..2).all(|n| self.off[n].abs() <= OFF_MAX * hops * hit.turns(n));
        Self { misses: 0, hit, ripe: self.hits >= HITS && in_tune, ..self }
    }

    /// The pitches of both tones, as measured.
    fn pitches_hz(&self) -> [f32; 2] {
        let hops = f32::from(self.hits.max(2) - 1);
        [0, 1].map(|n| (self.hit.turns(n) + self.off[n] / hops) * 8000.0 / HOP as f32)
    }
}

/// What was found in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// A key that was down long enough just now.
    pub(crate) key: Option<char>,
    /// There was a hit, or a key is still down.
    pub(crate) suspected: bool,
}

impl Default for KeyTones {
    fn default() -> Self {
        let tones: [f32; 8] = std::array::from_fn(|n| if n < 4 { LOW_HZ[n] } else { HIGH_HZ[n - 4] });
        Self {
            line: [0.0; LONG],
            until_look: WINDOW,
            run: None,
            blind_frames: 0,
            coefficients: tones.map(|hz| 2.0 * (TAU * hz / 8000.0).cos()),
            taper: std::array::from_fn(|n| 0.5 - 0.5 * (TAU * (n as f32 + 0.5) / LONG as f32).cos()),
        }
    }
}

impl KeyTones {
    /// Listens to a frame that arrived.
    pub(crate) fn hear(&mut self, frame: &Frame) -> Found {
        self.blind_frames = 0;
        let mut found = Found::default();
        let mut rest = &frame[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(self.until_look));
            self.line.copy_within(now.len().., 0);
            for (place, &sample) in self.line[LONG - now.len()..].iter_mut().zip(now) {
                *place = f32::from(sample);
            }
            self.until_look -= now.len();
            rest = later;
            if self.until_look == 0 {
                self.until_look = HOP;
                found = self.look(found);
            }
        }
        found
    }

    /// A frame was made up: it tells nothing, and a key that was down is believed to be so still.
    pub(crate) fn pass(&mut self) -> Found {
        self.until_look = WINDOW;
        self.blind_frames = self.blind_frames.saturating_add(1);
        if self.blind_frames > BLIND_FRAMES_MAX {
            self.run = None;
        }
        Found { key: None, suspected: self.run.is_some_and(|run| run.told) }
    }

    fn look(&mut self, found: Found) -> Found {
        let hit = self.hit();
        let mut key = found.key;
        self.run = match (self.run, hit) {
            (Some(run), Some(hit)) if run.key == hit.key() => {
                let mut next = run.with(hit);
                if next.ripe && !next.told && self.is_pure(next.pitches_hz()) {
                    next.told = true;
                    key = Some(next.key);
                }
                Some(next)
            }
            (_, Some(hit)) => Some(Run::new(hit)),
            (Some(run), None) if run.told && run.misses + 1 < MISSES => Some(Run { misses: run.misses + 1, ..run }),
            (_, None) => None,
        };
        Found { key, suspected: found.suspected || hit.is_some() || self.run.is_some_and(|run| run.told) }
    }

    /// The two tones that are alone in this window.
    fn hit(&self) -> Option<Hit> {
        let line = &self.line[LONG - WINDOW..];
        let energy: f32 = line.iter().map(|sample| sample * sample).sum::<f32>() / WINDOW as f32;
        if energy < POWER_MIN {
            return None;
        }
        let tones = spectrum(line, &self.coefficients);
        let power: [f32; 8] = std::array::from_fn(|n| tones[n].power(self.coefficients[n]));
        let ((low, low_power), (high, high_power)) = (strongest(&power[..4])?, strongest(&power[4..])?);
        let pair = low_power + high_power;
        let stands = low_power.min(high_power) >= POWER_MIN;
        if !stands || !(TWIST_MIN..=TWIST_MAX).contains(&(high_power / low_power)) || pair < PURITY * energy {
            return None;
        }
        let phase = [tones[low].phase(LOW_HZ[low]), tones[4 + high].phase(HIGH_HZ[high])];
        Some(Hit { low, high, power: pair, phase })
    }

    /// Whether there is next to nothing beside these two pitches.
    fn is_pure(&self, pitches_hz: [f32; 2]) -> bool {
        let mut line = self.line;
        line.iter_mut().zip(&self.taper).for_each(|(sample, taper)| *sample *= taper);
        let energy: f32 = line.iter().map(|sample| sample * sample).sum::<f32>();
        // Hann's taper is a half in the mean, and three eighths in the mean square.
        let whole = 2.0 / (LONG as f32 * 0.5).powi(2) * (LONG as f32 * 0.375);
        let pair: f32 = pitches_hz
            .iter()
            .map(|hz| {
                let coefficient = 2.0 * (TAU * hz / 8000.0).cos();
                let (mut last, mut before) = (0.0f32, 0.0f32);
                for sample in line {
                    (before, last) = (last, sample + coefficient * last - before);
                }
                last * last + before * before - coefficient * last * before
            })
            .sum();
        pair * whole >= PURITY_LONG * energy
    }
}

/// A tone's part of a window, as Goertzel's recursion leaves it.
#[derive(Clone, Copy, Default)]
struct Part {
    last: f32,
    before: f32,
}

impl Part {
    /// Its mean square.
    fn power(self, coefficient: f32) -> f32 {
        let Self { last, before } = self;
        (last * last + before * before - coefficient * last * before).max(0.0) * 2.0 / (WINDOW * WINDOW) as f32
    }

    fn phase(self, hz: f32) -> f32 {
        let (sin, cos) = (TAU * hz / 8000.0).sin_cos();
        (self.before * sin).atan2(self.last - self.before * cos)
    }
}

/// All eight at once.
fn spectrum(line: &[f32], coefficients: &[f32; 8]) -> [Part; 8] {
    let (mut last, mut before) = ([0.0f32; 8], [0.0f32; 8]);
    for &sample in line {
        for n in 0..8 {
            let next = sample + coefficients[n] * last[n] - before[n];
            (before[n], last[n]) = (last[n], next);
        }
    }
    std::array::from_fn(|n| Part { last: last[n], before: before[n] })
}

/// The strongest of a group, if it stands out of the others.
fn strongest(group: &[f32]) -> Option<(usize, f32)> {
    let stronger = |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
    let best = group.iter().copied().enumerate().fold((0, f32::MIN), stronger);
    let others = group.iter().enumerate().filter(|(n, _)| *n != best.0).map(|(_, power)| *power);
    (others.fold(f32::MIN, f32::max) <= best.1 / PROMINENCE).then_some(best)
}

/// Keeps tones from the others' ears: one frame behind, silent wherever a key is or may be.
#[derive(Clone, Debug)]
pub(crate) struct Muffle {
    tones: KeyTones,
    held: Frame,
    /// The same at 16 kHz, of a leg that has it.
    held_wide: WideFrame,
    held_voiced: bool,
    /// Whether there was a hit in the frame held, and in the one before it.
    suspected: [bool; 2],
}

impl Default for Muffle {
    fn default() -> Self {
        Self {
            tones: KeyTones::default(),
            held: [0; FRAME_SAMPLES],
            held_wide: [0; WIDE_SAMPLES],
            held_voiced: false,
            suspected: [false; 2],
        }
    }
}

/// What comes out of [`Muffle::pass`] beside the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) key: Option<char>,
    pub(crate) voiced: bool,
    /// There was a voice, and it was silenced.
    pub(crate) muted: bool,
    /// Whatever there was, it was.
    pub(crate) silenced: bool,
}

impl Muffle {
    /// Takes a frame and gives the one before it in its place. `real`: it arrived, and was not made up.
    pub(crate) fn pass(&mut self, frame: &mut Frame, voiced: bool, real: bool) -> Passed {
        let found = if real { self.tones.hear(frame) } else { self.tones.pass() };
        std::mem::swap(frame, &mut self.held);
        let was_voiced = std::mem::replace(&mut self.held_voiced, voiced);
        // A hit in the frame behind began in this one; a tone with a hit in the frame before may end in this one.
        let muted = found.suspected || self.suspected.contains(&true);
        self.suspected = [found.suspected, self.suspected[0]];
        if muted {
            frame.fill(0);
        }
        Passed { key: found.key, voiced: was_voiced && !muted, muted: muted && was_voiced, silenced: muted }
    }

    /// The same of sound at 16 kHz, of which `frame` is the lower half: that half decides, for no key has a tone in the other.
    pub(crate) fn pass_wide(&mut self, frame: &mut Frame, wide: &mut WideFrame, voiced: bool, real: bool) -> Passed {
        let passed = self.pass(frame, voiced, real);
        std::mem::swap(wide, &mut self.held_wide);
        if passed.silenced {
            wide.fill(0);
        }
        passed
    }
}

#[cfg(test)]
mod tests;
