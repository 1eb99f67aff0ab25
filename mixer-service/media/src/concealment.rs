//! What is played in place of what never came.
//!
//! A voice goes on in its last pitch cycle, first that one again and again, after a while the last two and three, so that it
//! does not sound like a machine; noise goes on backwards, as a mirror shows it, which repeats nothing. Both fade. When the
//! packet behind the gap is here already, `gap.rs` leads from one side to the other, and nothing fades.

use crate::gap::{self, Side};
use crate::pitch;

/// Pitch cycles looked for: 400 Hz down to 66 Hz.
pub(crate) const CYCLE_MIN_TENTHS_MS: usize = 25;
pub(crate) const CYCLE_MAX_MS: usize = 15;
/// Two pieces so long are compared to find the cycle: hardly more than one, for it is the very last that goes on.
const COMPARED_MS: usize = 8;
/// Three of the longest cycles, and room to blend.
const HISTORY_MS: usize = 3 * CYCLE_MAX_MS + 5;
/// Less alike than this, and it is noise.
pub(crate) const VOICED_LIKENESS: f32 = 0.45;
/// After so long two cycles are repeated, and after twice as long three.
const WIDENED_MS: usize = 10;
/// As loud as before for so long; then softer, to nothing, for longer repetition sounds like a machine.
const FULL_MS: usize = 20;
const FADED_MS: usize = 70;
/// Noise is mirrored so far back.
const MIRROR_MS: usize = 20;
/// Real sound fades in over what was made up, so that no step clicks.
const CROSSFADE_MS: usize = 6;
/// A step from the last real sample to the first repeated one is smoothed over so long.
const SMOOTHED_MS: usize = 2;

/// So often the history fits into the room that it is written to.
const HISTORIES: usize = 4;
/// At most 16 samples in a millisecond.
const CROSSFADE_MAX: usize = CROSSFADE_MS * 16;

/// Remembers what was heard and goes on with it for a while.
#[derive(Clone, Debug)]
pub(crate) struct Concealment {
    per_ms: usize,
    /// What was played last, made up or not, is the end of what is written here; the rest is room to write on.
    history: Vec<i16>,
    written: usize,
    /// The history as it was when the gap began.
    source: Vec<i16>,
    going_on: GoingOn,
}

/// Where the making up stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GoingOn {
    cycle: usize,
    exact: f32,
    pub(crate) voiced: bool,
    /// Samples made up since the last real one.
    made_up: usize,
    /// Next sample of the source, counted from its end; at 0 another round begins.
    back: usize,
    /// How far from its end the next round begins.
    then: usize,
    /// How far the first repeated sample lies from where the sound was going.
    step: f32,
}

impl Concealment {
    /// For sound of so many samples a millisecond, 8 or 16. This and nothing later allocates.
    pub(crate) fn new(per_ms: usize) -> Self {
        let len = HISTORY_MS * per_ms;
        let history = vec![0; len * HISTORIES];
        Self { per_ms, history, written: len, source: vec![0; len], going_on: GoingOn::default() }
    }

    pub(crate) fn per_ms(&self) -> usize {
        self.per_ms
    }

    /// See [`Stream::fetch`](crate::stream::Stream::fetch).
    pub(crate) fn fetch(&self) -> u32 {
        let next = self.history.iter().skip(self.written).step_by(32).take(6);
        u32::from(next.fold(0, |all, &sample| all ^ sample).cast_unsigned())
    }

    /// Takes real sound; its beginning is blended with what was made up just before.
    pub(crate) fn heard(&mut self, samples: &mut [i16]) {
        if self.going_on.made_up > 0 {
            let mut tail = [0f32; CROSSFADE_MAX];
            let len = samples.len().min(CROSSFADE_MS * self.per_ms).min(CROSSFADE_MAX);
            for sample in &mut tail[..len] {
                *sample = self.going_on.next(&self.source, self.per_ms);
            }
            for (sample, (old, part)) in samples.iter_mut().zip(tail.into_iter().zip(gap::ramp(len))) {
                *sample = gap::integer(old + (f32::from(*sample) - old) * part);
            }
            self.going_on.made_up = 0;
        }
        self.remember(samples);
    }

    /// Makes up sound, not knowing what comes behind.
    pub(crate) fn fill(&mut self, samples: &mut [i16]) {
        self.begin();
        for sample in samples.iter_mut() {
            *sample = gap::integer(self.going_on.next(&self.source, self.per_ms));
        }
        self.remember(samples);
    }

    /// Makes up sound that ends where `future` begins, which is heard next.
    pub(crate) fn lead_to(&mut self, future: &[i16], samples: &mut [i16]) {
        self.begin();
        let side = Side { source: &self.source, going_on: self.going_on, per_ms: self.per_ms };
        gap::lead(side, future, samples);
        self.going_on.made_up = 0;
        self.remember(samples);
    }

    fn begin(&mut self) {
        if self.going_on.made_up > 0 {
            return;
        }
        let from = self.written - self.source.len();
        self.source.copy_from_slice(&self.history[from..self.written]);
        let cycles = CYCLE_MIN_TENTHS_MS * self.per_ms / 10..=CYCLE_MAX_MS * self.per_ms;
        let pitch = pitch::of_the_end(&self.source, cycles, COMPARED_MS * self.per_ms);
        let back = |distance: usize| f32::from(self.source[self.source.len() - distance]);
        let voiced = pitch.likeness > VOICED_LIKENESS;
        self.going_on = GoingOn {
            cycle: pitch.cycle,
            exact: pitch.exact,
            voiced,
            made_up: 0,
            back: pitch.cycle,
            then: pitch.cycle,
            step: if voiced { back(1) - back(pitch.cycle + 1) } else { 0.0 },
        };
    }

    fn remember(&mut self, samples: &[i16]) {
        let len = self.source.len();
        let samples = &samples[samples.len().saturating_sub(len)..];
        if self.written + samples.len() > self.history.len() {
            // What is remembered goes back to the beginning: seldom, for each beat would copy more than it brings.
            self.history.copy_within(self.written - len..self.written, 0);
            self.written = len;
        }
        self.history[self.written..self.written + samples.len()].copy_from_slice(samples);
        self.written += samples.len();
    }
}

impl GoingOn {
    pub(crate) fn cycle(&self) -> usize {
        self.cycle
    }

    pub(crate) fn exact_cycle(&self) -> f32 {
        self.exact
    }

    /// How loud it is now, compared to what was heard; 1 at the beginning.
    pub(crate) fn gain(&self, per_ms: usize) -> f32 {
        let (full, faded) = (FULL_MS * per_ms, FADED_MS * per_ms);
        fraction(faded.saturating_sub(self.made_up.max(full)), faded - full)
    }

    /// The next sample that is made up, fading.
    pub(crate) fn next(&mut self, source: &[i16], per_ms: usize) -> f32 {
        self.gain(per_ms) * self.next_unfaded(source, per_ms)
    }

    /// The same as loud as what was heard.
    pub(crate) fn next_unfaded(&mut self, source: &[i16], per_ms: usize) -> f32 {
        let sample = if self.voiced { self.repeated(source, per_ms) } else { self.mirrored(source, per_ms) };
        self.made_up = self.made_up.saturating_add(1);
        sample
    }

    fn repeated(&mut self, source: &[i16], per_ms: usize) -> f32 {
        let at = |back: usize| f32::from(source[source.len() - back]);
        let sample = at(self.back);
        // The end of a round runs over into what came before its beginning.
        let quarter = self.cycle / 4;
        let blended = if self.back <= quarter {
            let part = fraction(quarter + 1 - self.back, quarter + 1);
            sample + (at(self.then + self.back) - sample) * part
        } else {
            sample
        };
        let smoothing = 1.0 - fraction(self.made_up, SMOOTHED_MS * per_ms).min(1.0);
        self.back -= 1;
        if self.back == 0 {
            self.back = self.then;
            let at_its_end = self.made_up + self.back;
            self.then = self.cycle * (1 + at_its_end / (WIDENED_MS * per_ms)).min(3);
        }
        blended + self.step * smoothing
    }

    fn mirrored(&self, source: &[i16], per_ms: usize) -> f32 {
        let len = MIRROR_MS * per_ms;
        let (round, at) = (self.made_up / len, self.made_up % len);
        let back = if round.is_multiple_of(2) { at + 1 } else { len - at };
        f32::from(source[source.len() - back])
    }
}

#[expect(clippy::cast_precision_loss, reason = "both are some thousands at most")]
pub(crate) fn fraction(part: usize, whole: usize) -> f32 {
    part as f32 / whole.max(1) as f32
}

#[cfg(test)]
#[path = "concealment_tests.rs"]
mod tests;
