//! From one side of a gap to the other, when both are known.
//!
//! From before, the sound goes on in its last cycle; towards what comes behind, it comes from that one's first cycle, counted
//! backwards. One is blended into the other over the whole gap, and both are bent so that their pitch pulses fall together:
//! the cycles in the gap then become longer or shorter bit by bit, as they do in a voice.

use crate::concealment::{CYCLE_MAX_MS, CYCLE_MIN_TENTHS_MS, GoingOn, VOICED_LIKENESS, fraction};
use crate::pitch::{self, Pitch};

/// Longest gap led over: beyond it nobody knows what was said.
pub(crate) const GAP_MAX_MS: usize = 40;
/// At most 16 samples in a millisecond.
const FORWARD_MAX: usize = (GAP_MAX_MS + 2 * CYCLE_MAX_MS) * 16;
/// So many samples of what really comes stand before those that are counted backwards from it.
const SEEN: isize = 2;
const SEEN_F32: f32 = 2.0;
/// What comes behind is looked at so far.
const FUTURE_MS: usize = 20;
/// So much of it shows how the pulses fall.
const COMPARED_MS: usize = 4;
/// Bent only if the two then look so much alike.
const BENT_LIKENESS: f32 = 0.3;
/// So much less alike may they be at the nearest place than at the farthest: half a cycle either way is no bend of a voice.
const FAR_COSTS: f32 = 0.1;

/// What was before the gap.
pub(crate) struct Side<'a> {
    pub(crate) source: &'a [i16],
    pub(crate) going_on: GoingOn,
    pub(crate) per_ms: usize,
}

/// Fills the gap between the side and `future`.
pub(crate) fn lead(side: Side<'_>, future: &[i16], gap: &mut [i16]) {
    let Side { source, mut going_on, per_ms } = side;
    let future = &future[..future.len().min(FUTURE_MS * per_ms)];
    // What already faded stays as soft as it is; what comes behind makes it louder.
    let gain = going_on.gain(per_ms);
    let mut forward = [0i16; FORWARD_MAX];
    // As far as the two are compared behind the gap: half a cycle further, and one cycle long.
    let beyond = if going_on.voiced { 2 * going_on.cycle() + 2 * COMPARED_MS * per_ms } else { COMPARED_MS * per_ms };
    let len = (gap.len() + beyond).min(FORWARD_MAX);
    for sample in &mut forward[..len] {
        *sample = integer(gain * going_on.next_unfaded(source, per_ms));
    }
    let (forward, behind) = (&forward[..len], Behind::new(future, &going_on, per_ms));
    let mut backward = [0i16; FORWARD_MAX];
    for (sample, at) in backward[..len].iter_mut().zip(-SEEN..) {
        *sample = behind.sample(-at);
    }
    let backward = &backward[..len];
    let voiced = going_on.voiced && behind.voiced;
    let Bends { forward: bent_forward, backward: bent_backward, likeness } = if voiced {
        bends(source, (forward, backward), &behind, gap.len(), &going_on, per_ms)
    } else {
        Bends::default()
    };
    let whole = float(gap.len());
    let steps = ramp(gap.len());
    for ((out, part), n) in gap.iter_mut().zip(steps).zip(0..) {
        let n = float(n);
        let before = interpolated(bent_forward.at(n, whole), forward);
        let after = interpolated(bent_backward.at(whole - n, whole) + SEEN_F32, backward);
        let (old, new) = (1.0 - part, part);
        // Two sounds that have nothing in common are softer together than either.
        let loudness = (old * old + new * new + 2.0 * likeness.max(0.0) * old * new).sqrt();
        *out = integer((before * old + after * new) / loudness.max(0.5));
    }
}

/// How one side is bent: at its own end it goes on as fast as the voice was, at the other it has come so much further.
#[derive(Clone, Copy, Debug)]
struct Bend {
    /// Samples of it to a sample, at its own end.
    speed: f32,
    /// Samples of it in excess of the gap.
    further: f32,
}

#[derive(Clone, Copy, Debug)]
struct Bends {
    forward: Bend,
    backward: Bend,
    /// How alike the two are where they meet.
    likeness: f32,
}

impl Default for Bends {
    fn default() -> Self {
        let straight = Bend { speed: 1.0, further: 0.0 };
        Self { forward: straight, backward: straight, likeness: 0.0 }
    }
}

impl Bend {
    /// What is due `n` samples from its own end, of a gap of `whole`.
    fn at(self, n: f32, whole: f32) -> f32 {
        let part = n / whole;
        n * self.speed + (self.further - whole * (self.speed - 1.0)) * part * part
    }
}

/// What comes behind the gap, counted backwards from where it begins.
struct Behind<'a> {
    future: &'a [i16],
    cycle: usize,
    exact: f32,
    voiced: bool,
    step: f32,
    smoothed: usize,
}

impl<'a> Behind<'a> {
    fn new(future: &'a [i16], before: &GoingOn, per_ms: usize) -> Self {
        // A voice changes its pitch by less than a third in a gap; elsewhere any is looked for.
        let (min, max) = (CYCLE_MIN_TENTHS_MS * per_ms / 10, future.len() * 3 / 5);
        let (min, max) = match before.voiced {
            true => (min.max(before.cycle() * 3 / 4), max.min(before.cycle() * 4 / 3)),
            false => (min, max),
        };
        let compared = future.len().saturating_sub(max);
        let pitch = match min <= max && compared > 0 {
            true => pitch::of_the_beginning(future, min..=max, compared),
            false => Pitch { cycle: min, exact: float(min), likeness: 0.0 },
        };
        let voiced = pitch.likeness > VOICED_LIKENESS;
        let at = |index: usize| future.get(index).map_or(0.0, |&sample| f32::from(sample));
        let step = if voiced { at(0) - at(pitch.cycle) } else { 0.0 };
        Self { future, cycle: pitch.cycle.max(1), exact: pitch.exact, voiced, step, smoothed: 2 * per_ms }
    }

    /// The sample at `at`, which lies before 0; from there on what really comes.
    fn sample(&self, at: isize) -> i16 {
        if at >= 0 || self.future.is_empty() {
            return self.future.get(at.unsigned_abs()).copied().unwrap_or(0);
        }
        let back = at.unsigned_abs() - 1;
        if !self.voiced {
            return self.future[back % self.future.len()];
        }
        let index = self.cycle - 1 - back % self.cycle;
        let sample = f32::from(self.future[index]);
        // The beginning of a cycle runs over into what came after its end.
        let quarter = self.cycle / 4;
        let next = self.future.get(index + self.cycle).filter(|_| index < quarter);
        let blended =
            next.map_or(sample, |&next| sample + (f32::from(next) - sample) * (1.0 - fraction(index, quarter + 1)));
        let smoothing = 1.0 - fraction(back, self.smoothed).min(1.0);
        integer(blended + self.step * smoothing)
    }
}

/// How both sides are to be bent so that their pulses fall together.
fn bends(
    source: &[i16],
    (forward, backward): (&[i16], &[i16]),
    behind: &Behind<'_>,
    gap: usize,
    going_on: &GoingOn,
    per_ms: usize,
) -> Bends {
    let compared = |cycle: usize| COMPARED_MS.max(cycle / per_ms) * per_ms;
    let half = |cycle: usize| cycle.div_ceil(2).min(gap / 2);
    // From before, until it looks like what comes.
    let cycle = going_on.cycle();
    let len = compared(cycle).min(behind.future.len());
    let forward_meets = |further: isize| {
        let start = gap.saturating_add_signed(further);
        forward.get(start..start + len).map_or(f32::MIN, |piece| pitch::likeness(piece, &behind.future[..len]))
    };
    let (further, likeness) = meeting(half(cycle), forward_meets);
    // What comes, backwards until it looks like what was.
    let backward = &backward[SEEN.unsigned_abs() + 1..];
    let len = compared(behind.cycle);
    let (reach, end) = (half(behind.cycle), source.len());
    let mut before = [0i16; FORWARD_MAX];
    let len = len.min(end).min(FORWARD_MAX);
    for (sample, back) in before[..len].iter_mut().zip(1..) {
        *sample = source[end - back];
    }
    let backward_meets = |further: isize| {
        let start = gap.saturating_add_signed(further);
        backward.get(start..start + len).map_or(f32::MIN, |piece| pitch::likeness(piece, &before[..len]))
    };
    let (back_further, back_likeness) = meeting(reach, backward_meets);
    if likeness.min(back_likeness) < BENT_LIKENESS {
        return Bends::default();
    }
    Bends {
        forward: Bend { speed: float(cycle) / going_on.exact_cycle().max(1.0), further },
        backward: Bend { speed: float(behind.cycle) / behind.exact.max(1.0), further: back_further },
        likeness: (likeness + back_likeness) / 2.0,
    }
}

/// Where, at most `reach` to either side, the likeness is greatest, the nearer the better; and how great.
fn meeting(reach: usize, likeness: impl Fn(isize) -> f32) -> (f32, f32) {
    let reach = reach.cast_signed();
    let worth = |further: isize| likeness(further) - FAR_COSTS * fraction(further.unsigned_abs(), reach.unsigned_abs());
    // Every other place, then those beside the best.
    let best_of = |places: &mut dyn Iterator<Item = isize>| {
        let worths = places.map(|further| (further, worth(further)));
        worths.fold((0, f32::MIN), |best, next| if next.1 > best.1 { next } else { best }).0
    };
    let about = best_of(&mut (-reach..=reach).step_by(2));
    let best = best_of(&mut (about - 1..=about + 1));
    let like = likeness(best);
    let between = pitch::top(likeness(best - 1), like, likeness(best + 1));
    #[expect(clippy::cast_precision_loss, reason = "some hundreds at most")]
    let further = best as f32 + between;
    (further, like)
}

/// Between samples, along a cubic through the four around it (Catmull and Rom). `at` is not below 0; beyond the ends the last
/// sample goes on.
fn interpolated(at: f32, samples: &[i16]) -> f32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to some thousands")]
    let index = at.max(0.0) as usize;
    let part = at.max(0.0) - float(index);
    let sample = |index: usize| samples.get(index).or_else(|| samples.last()).map_or(0.0, |&sample| f32::from(sample));
    let middle = sample(index);
    if part < 1e-3 {
        return middle;
    }
    let (before, next, after) = (sample(index.saturating_sub(1)), sample(index + 1), sample(index + 2));
    let a = 3.0 * (middle - next) + after - before;
    let b = 2.0 * before - 5.0 * middle + 4.0 * next - after;
    middle + 0.5 * part * (next - before + part * (b + part * a))
}

/// From just above 0 to just below 1, in so many steps.
pub(crate) fn ramp(steps: usize) -> impl Iterator<Item = f32> {
    (1..=steps).map(move |step| fraction(step, steps + 1))
}

pub(crate) fn integer(sample: f32) -> i16 {
    // Up by a half and cut off; below zero that needs the detour. Rounding itself is a call on older processors.
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of a sample; no number becomes 0")]
    let sample = (sample.clamp(-32768.0, 32767.0) + 32768.5) as i32 - 32768;
    i16::try_from(sample).unwrap_or(i16::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "some thousands at most")]
fn float(len: usize) -> f32 {
    len as f32
}
