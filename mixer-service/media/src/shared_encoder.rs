//! One encoder for all who only listen in a room, where the codec remembers what it said: G.722 and Opus.
//!
//! What it makes goes to each of them. Who stops being a mere listener hears his own encoder from then on, and the far end's
//! decoder must not notice: so that encoder first encodes what the shared one did lately, and has nearly its memory.

use crate::codec::{Codec, Encoder};
use crate::outbound::PAYLOAD_MAX;
use crate::{WIDE_SAMPLES, WideFrame};

/// What is kept of the common mix: 240 ms. G.722 forgets with a time constant of 32 ms (ITU-T G.722 section 3.6.3), so that after
/// seven of them nothing is left that the noise of its own does not cover.
const PAST_FRAMES: usize = 12;
/// Opus writes each packet so that it can be understood without the one before, but for the pitch: 60 ms are enough.
const PAST_FRAMES_OPUS: usize = 3;
/// So many may begin to hear something of their own on one beat; to those beyond it a click is better than a late beat to all.
const RUN_INS_MAX: u8 = 8;

/// Encodes a room's common mix, once a beat at most.
#[derive(Debug)]
pub(crate) struct SharedEncoder {
    encoder: Encoder,
    past_max: usize,
    /// What it encoded on the beats before this one; the newest is in front of `next`.
    past: [WideFrame; PAST_FRAMES],
    past_len: usize,
    next: usize,
    payload: [u8; PAYLOAD_MAX],
    /// Of this beat; `None` while nobody asked.
    len: Option<usize>,
    run_ins: u8,
    /// The worst that those who listen lose, in percent: of this beat so far, and what the encoder was told.
    loss_percent: u8,
    loss_told: u8,
}

impl SharedEncoder {
    /// `None` for a codec without a memory.
    pub(crate) fn new(codec: Codec) -> Option<Box<Self>> {
        let past_max = match codec {
            Codec::ALaw | Codec::MuLaw => return None,
            Codec::G722 => PAST_FRAMES,
            Codec::Opus => PAST_FRAMES_OPUS,
        };
        Some(Box::new(Self {
            encoder: Encoder::new(codec),
            past_max,
            past: [[0; WIDE_SAMPLES]; PAST_FRAMES],
            past_len: 0,
            next: 0,
            payload: [0; PAYLOAD_MAX],
            len: None,
            run_ins: 0,
            loss_percent: 0,
            loss_told: 0,
        }))
    }

    /// Begins a beat; `common` is still the mix of the one before.
    pub(crate) fn begin(&mut self, common: &WideFrame) {
        if self.len.take().is_some() {
            self.past[self.next] = *common;
            self.next = (self.next + 1) % PAST_FRAMES;
            self.past_len = (self.past_len + 1).min(PAST_FRAMES);
        }
        self.run_ins = 0;
        if self.loss_told != self.loss_percent {
            self.loss_told = self.loss_percent;
            self.encoder.expect_loss(self.loss_percent);
        }
        self.loss_percent = 0;
    }

    /// This beat's common mix as the codec says it, for one who loses so many percent.
    pub(crate) fn payload(&mut self, common: &WideFrame, loss_percent: u8) -> &[u8] {
        self.loss_percent = self.loss_percent.max(loss_percent);
        let len = match self.len {
            Some(len) => len,
            None => self.encoder.encode(common, &mut self.payload),
        };
        self.len = Some(len);
        &self.payload[..len]
    }

    /// Lets another encoder hear what this one heard until now.
    pub(crate) fn run_in(&mut self, other: &mut Encoder) {
        if self.run_ins >= RUN_INS_MAX {
            return;
        }
        self.run_ins += 1;
        let mut unheard = [0; PAYLOAD_MAX];
        for back in (1..=self.past_len.min(self.past_max)).rev() {
            other.encode(&self.past[(self.next + PAST_FRAMES - back) % PAST_FRAMES], &mut unheard);
        }
    }
}
