//! A limiter in place of clipping: where voices add up to more than a sample can hold, all of them become softer, smoothly.
//!
//! The gain is known for a whole frame before any of it is heard, so it can fall in time within the frame: no delay. It is
//! held for a while lest it follow each wave, which would be a distortion of its own, and then rises slowly.

use crate::concealment::fraction;

/// What a frame is looked at in, at either rate: pieces of 2 ms. Between their edges the gain is a straight line.
const BLOCKS: usize = 10;
/// What fits into a sample; the one value beyond, 32768 upwards, becomes 32767.
const CEILING: f32 = 32768.0;
/// Where there is time within the frame, the gain falls no faster than to half of it in a block.
const FALL: f32 = 2.0;
/// The gain stays for 20 ms after it was last needed: longer than half a wave of the lowest voice.
const HOLD_BLOCKS: u8 = 10;
/// Of what is left to full gain so much is won back in each block: a time constant of 250 ms.
const RELEASE: f32 = 0.008;
/// So near to full gain it is full: a step of −66 dB.
const FULL: f32 = 0.9995;
/// Needed to within 2 % counts as needed: each period of a tone peaks a little differently.
const NEARLY: f32 = 1.02;

/// The loudest that each block of a frame can become, whichever of its voices are taken out: the sum of their peaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds([u32; BLOCKS]);

impl Bounds {
    /// Adds a voice.
    pub(crate) fn add<const N: usize>(&mut self, voice: &[i16; N]) {
        for (bound, block) in self.0.iter_mut().zip(voice.chunks_exact(N / BLOCKS)) {
            // The two ends apart: of signed numbers a processor takes eight at once.
            let highest = block.iter().fold(0, |highest: i16, &sample| highest.max(sample));
            let lowest = block.iter().fold(0, |lowest: i16, &sample| lowest.min(sample));
            *bound += u32::from(highest.unsigned_abs().max(lowest.unsigned_abs()));
        }
    }

    /// Adds voices that are never taken out one by one.
    pub(crate) fn add_sum<const N: usize>(&mut self, sum: &[i32; N]) {
        for (bound, block) in self.0.iter_mut().zip(sum.chunks_exact(N / BLOCKS)) {
            *bound += block.iter().fold(0, |peak, &sample| peak.max(sample.unsigned_abs()));
        }
    }

    /// The loudest of all blocks.
    pub(crate) fn peak(&self) -> u32 {
        self.0.iter().fold(0, |peak, &bound| peak.max(bound))
    }
}

/// A gain for each sample of a frame.
pub(crate) type Gains<const N: usize> = [f32; N];

/// Remembers how much it takes away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limiter {
    gain: f32,
    hold: u8,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { gain: 1.0, hold: 0 }
    }
}

impl Limiter {
    /// Whether it takes nothing away from a frame of this peak: then [`Limiter::beat`] need not be asked.
    pub(crate) fn is_open(&self, peak: u32) -> bool {
        self.gain >= 1.0 && from_bound(peak) <= CEILING
    }

    /// The gains with which a frame fits: talk of these bounds that is multiplied with `talk_gains` beforehand, and what is
    /// laid over it.
    pub(crate) fn beat<const N: usize>(
        &mut self,
        talk: &Bounds,
        talk_gains: &Gains<N>,
        over: &Bounds,
        gains: &mut Gains<N>,
    ) {
        let allowed = allowed(talk, talk_gains, over);
        let mut edges = [1.0_f32; BLOCKS + 1];
        for (edge, pair) in edges[1..].iter_mut().zip(allowed.windows(2)) {
            *edge = pair[0].min(pair[1]);
        }
        edges[BLOCKS] = allowed[BLOCKS - 1];
        for n in (1..BLOCKS).rev() {
            edges[n] = edges[n].min(edges[n + 1] * FALL);
        }
        for (gains, &edge) in gains.chunks_exact_mut(N / BLOCKS).zip(&edges[1..]) {
            let before = self.gain;
            self.step(edge);
            let slope = (self.gain - before) / fraction(N, BLOCKS);
            let mut gain = before;
            for out in gains {
                gain += slope;
                *out = gain;
            }
        }
    }

    /// To the next edge, where no more than `edge` is allowed.
    fn step(&mut self, edge: f32) {
        if edge <= self.gain * NEARLY && edge < 1.0 {
            self.hold = HOLD_BLOCKS;
            self.gain = self.gain.min(edge);
        } else if self.hold > 0 {
            self.hold -= 1;
        } else {
            let gain = self.gain + (1.0 - self.gain) * RELEASE;
            self.gain = if gain > FULL { 1.0 } else { gain }.min(edge);
        }
    }
}

/// The gain that each block would fit with.
fn allowed<const N: usize>(bounds: &Bounds, gains: &Gains<N>, over: &Bounds) -> [f32; BLOCKS] {
    let mut allowed = [1.0; BLOCKS];
    let blocks = gains.chunks_exact(N / BLOCKS).zip(bounds.0.iter().zip(&over.0));
    for (allowed, (gains, (&bound, &over))) in allowed.iter_mut().zip(blocks) {
        // A gain that glides is largest at one end of the block.
        let gain = gains[0].max(gains[N / BLOCKS - 1]);
        let loudest = from_bound(bound) * gain + from_bound(over);
        if loudest > CEILING {
            *allowed = CEILING / loudest;
        }
    }
    allowed
}

/// A sum of some peaks: far below what a float counts exactly, 2²⁴.
#[expect(clippy::cast_precision_loss, reason = "a room mixes so few voices that their sum stays below 2^24")]
fn from_bound(bound: u32) -> f32 {
    bound as f32
}

/// 1.5 × 2²³: a float so large counts in whole numbers, and the last bits of it are those of a small one added to it.
const WHOLE: f32 = 12_582_912.0;

/// The nearest sample; no number becomes silence. Rounded by an addition: a conversion that looks for what does not fit costs
/// several times as much, on each sample of each mix.
pub(crate) fn sample(value: f32) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "the last 16 bits are wanted")]
    let bits = (value.clamp(-32768.0, 32767.0) + WHOLE).to_bits() as u16;
    bits.cast_signed()
}

/// The nearest whole number of a sum of some voices, which is below 2²² either way: rounded by the same addition.
pub(crate) fn whole(value: f32) -> i32 {
    (value + WHOLE).to_bits().cast_signed().wrapping_sub(WHOLE.to_bits().cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FRAME_SAMPLES, Tone, pitch_level_db};

    /// Frames of some tones together, limited.
    fn limited(pitches: &[f64], level_db: f64, frames: usize) -> (Vec<i16>, Vec<f32>) {
        let mut tones: Vec<_> = pitches.iter().map(|&pitch_hz| Tone::new(pitch_hz, level_db)).collect();
        let (mut limiter, mut heard, mut applied) = (Limiter::default(), Vec::new(), Vec::new());
        for _ in 0..frames {
            let (mut sum, mut bounds, mut gains) = ([0.0; FRAME_SAMPLES], Bounds::default(), [1.0; FRAME_SAMPLES]);
            for tone in &mut tones {
                let mut voice = [0; FRAME_SAMPLES];
                tone.fill(&mut voice);
                bounds.add(&voice);
                sum.iter_mut().zip(voice).for_each(|(sum, sample)| *sum += f32::from(sample));
            }
            limiter.beat(&bounds, &[1.0; FRAME_SAMPLES], &Bounds::default(), &mut gains);
            heard.extend(sum.iter().zip(&gains).map(|(sum, gain)| sample(sum * gain)));
            applied.extend(gains);
        }
        (heard, applied)
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let (heard, gains) = limited(&[700.0], -0.0, 5);
        assert_eq!(heard, Tone::new(700.0, 0.0).take(800));
        assert!(gains.iter().all(|gain| gain.to_bits() == 1.0_f32.to_bits()));
    }

    #[test]
    fn samples_are_the_nearest_whole_numbers() {
        for (value, expected) in [
            (0.0, 0),
            (0.4, 0),
            (-0.4, 0),
            (0.6, 1),
            (-0.6, -1),
            (32766.6, 32767),
            (-32767.6, -32768),
            (1e9, 32767),
            (-1e9, -32768),
            (f32::INFINITY, 32767),
            (f32::NAN, 0),
        ] {
            assert_eq!(sample(value), expected, "{value}");
        }
        assert!((i16::MIN..=i16::MAX).all(|whole| sample(f32::from(whole)) == whole));
        assert_eq!([-1.6, 0.4, 70_000.0, -900_000.4].map(whole), [-2, 0, 70_000, -900_000]);
    }

    #[test]
    fn too_loud_becomes_softer_and_stays_clean() {
        let pitches = [210.0, 460.0, 730.0, 1000.0, 1310.0, 1770.0, 2230.0, 2900.0];
        let (heard, _) = limited(&pitches, 0.0, 150);
        let heard = &heard[8000..];
        let levels: Vec<_> = pitches.iter().map(|&pitch_hz| pitch_level_db(heard, pitch_hz)).collect();
        println!("{levels:.1?}");
        assert!(levels.iter().all(|level| (-19.5..-17.0).contains(level)), "each an eighth: -18 dB");
        for between in [330.0, 850.0, 1500.0, 2000.0, 2600.0, 3300.0, 3700.0] {
            let level = pitch_level_db(heard, between);
            assert!(level < -58.0, "{between} Hz: {level:.1} dB, 40 below the tones");
        }
    }

    #[test]
    fn the_gain_moves_without_a_step_and_comes_back() {
        let (_, mut gains) = limited(&[500.0, 600.0], 0.0, 20);
        let mut limiter = Limiter { gain: *gains.last().unwrap(), hold: HOLD_BLOCKS };
        for _ in 0..75 {
            let mut more = [1.0; FRAME_SAMPLES];
            limiter.beat(&Bounds::default(), &[1.0; FRAME_SAMPLES], &Bounds::default(), &mut more);
            gains.extend(more);
        }
        let steepest = gains.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(steepest <= 0.1, "half of it in a block: {steepest}");
        let at = |ms: usize| gains[20 * FRAME_SAMPLES + ms * 8];
        println!("{:.2} {:.2} {:.2} {:.2}", at(0), at(250), at(500), at(1400));
        assert!(at(0) < 0.55 && (0.7..0.9).contains(&at(250)) && at(500) > 0.85 && at(1400) > 0.98);
        assert!(gains.windows(2).skip(20 * FRAME_SAMPLES).all(|pair| pair[1] - pair[0] < 0.001), "slowly");
    }

    #[test]
    fn a_sudden_noise_is_caught_within_its_frame() {
        let (mut limiter, mut bounds, mut gains) = (Limiter::default(), Bounds::default(), [1.0; FRAME_SAMPLES]);
        bounds.0[5] = 32768 * 8;
        limiter.beat(&bounds, &[1.0; FRAME_SAMPLES], &Bounds::default(), &mut gains);
        assert!(gains[80..96].iter().all(|&gain| gain <= 0.1251), "{:?}", &gains[80..96]);
        assert!(gains[..32].iter().all(|&gain| gain >= 0.9), "not before it has to");
    }
}
