//! The yardstick: a plain pitch repeater in the manner of ITU-T G.711 Appendix I, as most telephones have one.
//!
//! The last pitch cycle is repeated, after 10 and 20 ms the last two and three; it fades by a fifth every 10 ms after the first
//! and is silent after 60; where a cycle meets the next, and where real sound comes back, a quarter of a cycle (and 4 ms more
//! for each further 10 ms) is blended. The Appendix delays everything by 3.75 ms to blend at the beginning as well; so does
//! this.

use mixer_media::FRAME_SAMPLES;

/// Pitch cycles between 5 and 15 ms.
const CYCLE_MIN: usize = 40;
const CYCLE_MAX: usize = 120;
/// Two pieces of 20 ms are compared to find the cycle.
const COMPARED: usize = 160;
/// Everything is heard so much later, so that the last real samples can still be blended into what is made up.
const DELAY: usize = 30;
/// Three cycles and a quarter, behind two frames that were made up.
const HISTORY: usize = 3 * CYCLE_MAX + CYCLE_MAX / 4 + 2 * FRAME_SAMPLES + DELAY;
const BLOCK: usize = 80;

/// Hears packets of 20 ms or their absence.
pub(crate) struct Repeater {
    history: Vec<f32>,
    cycle: usize,
    /// The samples that are repeated now, and where in them it stands.
    pattern: Vec<f32>,
    at: usize,
    /// Blocks of 10 ms made up so far.
    blocks: u8,
}

impl Default for Repeater {
    fn default() -> Self {
        Self { history: vec![0.0; HISTORY], cycle: CYCLE_MAX, pattern: vec![0.0; CYCLE_MAX], at: 0, blocks: 0 }
    }
}

impl Repeater {
    /// Takes a packet, or none, and gives what is heard, [`DELAY`] samples late.
    pub(crate) fn hear(&mut self, packet: Option<&[i16; FRAME_SAMPLES]>) -> [i16; FRAME_SAMPLES] {
        match packet {
            Some(packet) => {
                let mut samples: Vec<f32> = packet.iter().map(|&sample| f32::from(sample)).collect();
                if self.blocks > 0 {
                    self.return_to(&mut samples);
                }
                self.history.extend(samples);
            }
            None => {
                self.conceal();
                self.conceal();
            }
        }
        let end = self.history.len() - DELAY;
        let mut heard = [0; FRAME_SAMPLES];
        for (out, sample) in heard.iter_mut().zip(&self.history[end - FRAME_SAMPLES..]) {
            #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of a sample")]
            let sample = sample.clamp(-32768.0, 32767.0) as i16;
            *out = sample;
        }
        self.history.drain(..self.history.len() - HISTORY);
        heard
    }

    fn conceal(&mut self) {
        match self.blocks {
            0 => self.begin(),
            1 => self.widen(2),
            2 => self.widen(3),
            _ => {}
        }
        let before = self.gain();
        self.blocks = self.blocks.saturating_add(1);
        let after = self.gain();
        for n in 0u8..80 {
            let gain = before + (after - before) * f32::from(n) / 80.0;
            let sample = self.next() * gain;
            self.history.push(sample);
        }
    }

    /// The first block is as loud as before, each further one a fifth of that softer.
    fn gain(&self) -> f32 {
        (1.2 - 0.2 * f32::from(self.blocks.max(1))).max(0.0)
    }

    fn next(&mut self) -> f32 {
        let sample = self.pattern[self.at];
        self.at = (self.at + 1) % self.pattern.len();
        sample
    }

    /// Finds the cycle, and lets the last real samples run over into its repetition.
    fn begin(&mut self) {
        self.cycle = self.find_cycle();
        self.pattern = self.last_cycles(1);
        self.at = 0;
        let quarter = self.cycle / 4;
        let len = self.history.len();
        for (n, sample) in self.history[len - quarter..].iter_mut().enumerate() {
            *sample = self.pattern[self.cycle - quarter + n];
        }
    }

    /// From here on the last so many cycles, blended with what was repeated before.
    fn widen(&mut self, cycles: usize) {
        let (quarter, mut old) = (self.cycle / 4, Vec::new());
        let at = self.at % self.cycle;
        for _ in 0..quarter {
            old.push(self.next());
        }
        self.pattern = self.last_cycles_of_real(cycles);
        self.at = at;
        let len = self.pattern.len();
        for (old, n) in old.iter().zip(0usize..) {
            let place = (at + n) % len;
            self.pattern[place] = mix(*old, self.pattern[place], n, quarter);
        }
    }

    /// The end of the real samples, cut so that its end runs over into its beginning.
    fn last_cycles(&self, cycles: usize) -> Vec<f32> {
        let (len, quarter) = (self.history.len(), self.cycle / 4);
        let start = len - cycles * self.cycle;
        let mut pattern = self.history[start..].to_vec();
        let end = pattern.len() - quarter;
        for n in 0..quarter {
            pattern[end + n] = mix(pattern[end + n], self.history[start - quarter + n], n, quarter);
        }
        pattern
    }

    fn last_cycles_of_real(&self, cycles: usize) -> Vec<f32> {
        let made_up = usize::from(self.blocks) * BLOCK;
        let real = Self {
            history: self.history[..self.history.len() - made_up].to_vec(),
            cycle: self.cycle,
            ..Self::default()
        };
        real.last_cycles(cycles)
    }

    fn return_to(&mut self, samples: &mut [f32]) {
        let len = (self.cycle / 4 + 32 * usize::from(self.blocks.saturating_sub(1))).min(BLOCK);
        let gain = self.gain();
        for (n, sample) in samples.iter_mut().take(len).enumerate() {
            *sample = mix(self.next() * gain, *sample, n, len);
        }
        self.blocks = 0;
    }

    /// The distance at which the last 20 ms look most like themselves.
    fn find_cycle(&self) -> usize {
        let len = self.history.len();
        let recent = &self.history[len - COMPARED..];
        let likeness = |cycle: usize| {
            let earlier = &self.history[len - COMPARED - cycle..len - cycle];
            let product: f32 = recent.iter().zip(earlier).map(|(a, b)| a * b).sum();
            let energy: f32 = earlier.iter().map(|b| b * b).sum();
            product / energy.max(1.0).sqrt()
        };
        (CYCLE_MIN..=CYCLE_MAX).max_by(|&a, &b| likeness(a).total_cmp(&likeness(b))).unwrap_or(CYCLE_MAX)
    }
}

/// From one to the other: at step `n` of `len`.
fn mix(from: f32, to: f32, n: usize, len: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "at most 120")]
    let part = (n as f32 + 0.5) / len.max(1) as f32;
    from + (to - from) * part
}
