//! One sound over another: talk becomes softer while something is spoken over it, and both together fit into a sample.

use crate::concealment::fraction;
use crate::limiter::{Bounds, Gains, Limiter, sample};

/// Remembers how soft the talk is, and glides from there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blend {
    /// Gain of the talk while something is spoken over it.
    ducked: f32,
    duck: f32,
    limiter: Limiter,
}

/// What one beat's talk is multiplied with, and what is added to it.
#[derive(Clone, Debug)]
pub(crate) struct Blended<const N: usize> {
    talk: Gains<N>,
    over: [f32; N],
}

impl Blend {
    /// `ducked`: the gain of the talk while something is spoken over it, 0 to 1.
    pub(crate) fn new(ducked: f32) -> Self {
        Self { ducked, duck: 1.0, limiter: Limiter::default() }
    }

    /// One in which something is spoken already.
    pub(crate) fn lowered(ducked: f32) -> Self {
        Self { duck: ducked, ..Self::new(ducked) }
    }

    /// Whether the talk is as loud as it is alone, and nothing is taken away from what fits.
    pub(crate) fn is_idle(&self) -> bool {
        self.duck >= 1.0 && self.limiter.is_open(0)
    }

    /// How a beat's talk of these bounds becomes sound, with something over it or not. `None`: as it is.
    pub(crate) fn beat<const N: usize>(&mut self, talk: &Bounds, over: Option<&[i16; N]>) -> Option<Blended<N>> {
        if over.is_none() && self.is_idle() && self.limiter.is_open(talk.peak()) {
            return None;
        }
        let (before, after) = (self.duck, if over.is_some() { self.ducked } else { 1.0 });
        self.duck = after;
        let mut blended = Blended { talk: [0.0; N], over: [0.0; N] };
        let mut limits = [1.0; N];
        // The gain glides over the whole frame lest it click.
        for (gain, n) in blended.talk.iter_mut().zip(1..) {
            *gain = before + (after - before) * fraction(n, N);
        }
        let mut bounds = Bounds::default();
        if let Some(over) = over {
            bounds.add(over);
        }
        self.limiter.beat(talk, &blended.talk, &bounds, &mut limits);
        for (gain, limit) in blended.talk.iter_mut().zip(&limits) {
            *gain *= limit;
        }
        if let Some(over) = over {
            for ((out, &over), limit) in blended.over.iter_mut().zip(over).zip(&limits) {
                *out = f32::from(over) * limit;
            }
        }
        Some(blended)
    }

    /// The same for talk that is a frame already.
    pub(crate) fn lay<const N: usize>(&mut self, over: Option<&[i16; N]>, frame: &mut [i16; N]) {
        let mut bounds = Bounds::default();
        bounds.add(frame);
        if let Some(blended) = self.beat(&bounds, over) {
            let talk = frame.map(i32::from);
            blended.apply(talk.into_iter(), frame);
        }
    }
}

impl<const N: usize> Blended<N> {
    /// Makes sound of some talk: all of it, or what is left without one voice.
    pub(crate) fn apply(&self, talk: impl Iterator<Item = i32>, frame: &mut [i16; N]) {
        for (((out, talk), gain), over) in frame.iter_mut().zip(talk).zip(&self.talk).zip(&self.over) {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a room mixes so few voices that their sum stays below 2^24"
            )]
            let talk = talk as f32;
            *out = sample(talk * gain + over);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FRAME_SAMPLES, Frame, Tone, pitch_level_db};

    #[test]
    fn what_is_spoken_over_talk_lowers_it_gliding_and_both_fit() {
        let (mut talk, mut prompt) = (Tone::new(400.0, -1.0), Tone::new(1000.0, -1.0));
        let (mut blend, mut heard) = (Blend::new(0.25), Vec::new());
        for n in 0..200 {
            let mut frame: Frame = talk.take(FRAME_SAMPLES).try_into().unwrap();
            let spoken: Frame = prompt.take(FRAME_SAMPLES).try_into().unwrap();
            blend.lay((50..100).contains(&n).then_some(&spoken), &mut frame);
            heard.extend(frame);
        }
        let level = |from: usize, pitch_hz| pitch_level_db(&heard[from * 160..(from + 45) * 160], pitch_hz);
        println!("{:.1} {:.1} {:.1} {:.1}", level(0, 400.0), level(52, 400.0), level(52, 1000.0), level(104, 400.0));
        assert!((level(0, 400.0) + 1.0).abs() < 0.1);
        assert!((level(52, 400.0) + 13.9).abs() < 1.0 && (level(52, 1000.0) + 1.9).abs() < 0.6);
        assert!(level(52, 2400.0) < -50.0, "no clipping: {:.1}", level(52, 2400.0));
        assert!((level(104, 400.0) + 1.0).abs() < 0.7 && blend.is_idle());
        assert_eq!(&heard[..8000], Tone::new(400.0, -1.0).take(8000), "alone it is left as it is");
    }
}
