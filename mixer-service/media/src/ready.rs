//! Sound between the decoder and the beat: what was decoded, made up or stretched, and is not played yet.

use crate::concealment::CYCLE_MAX_MS;
use crate::gap::GAP_MAX_MS;
use crate::time_scale;

const FRAME_MS: usize = 20;
/// Samples of 8 kHz in a millisecond.
const PER_MS: usize = 8;
/// A frame, a gap that was led over, and what one stretch adds; and what rounding up to 2.5 ms leaves over.
const CAPACITY_MS: usize = FRAME_MS + GAP_MAX_MS + 2 * CYCLE_MAX_MS + 3;

/// A short queue of samples.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    per_ms: usize,
    /// 0 at 8 kHz, 1 at 16: so many times a count of samples is doubled.
    octave: u32,
    samples: Vec<i16>,
    len: usize,
    /// So many from the beginning hold a voice somewhere, and something made up.
    voiced: usize,
    concealed: usize,
}

/// What some samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sent by the far end.
    Voice,
    /// Made up in place of what the far end sent.
    MadeUp,
    /// Silence, or noise of ours.
    Rest,
}

impl Ready {
    /// For sound of so many samples a millisecond, 8 or 16. This and nothing later allocates.
    pub(crate) fn new(per_ms: usize) -> Self {
        let octave = u32::from(per_ms > PER_MS);
        Self { per_ms, octave, samples: vec![0; CAPACITY_MS * per_ms], len: 0, voiced: 0, concealed: 0 }
    }

    fn frame_samples(&self) -> usize {
        FRAME_MS * self.per_ms
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Samples of 8 kHz until there are `len` of sound, in whole steps of 2.5 ms, in which packets and what codecs make up are
    /// counted.
    pub(crate) fn wanted(&self, len: usize) -> usize {
        self.counted(len.saturating_sub(self.len) + (1 << self.octave) - 1).next_multiple_of(PER_MS * 5 / 2)
    }

    /// Samples of sound as samples of 8 kHz, a half one cut off.
    pub(crate) fn counted(&self, samples: usize) -> usize {
        samples >> self.octave
    }

    /// Samples of 8 kHz as samples of sound.
    pub(crate) fn sounding(&self, samples: usize) -> usize {
        samples << self.octave
    }

    /// Room for so many samples at the end, to be filled, and counted with [`added`](Self::added).
    pub(crate) fn room(&mut self, len: usize) -> &mut [i16] {
        let end = (self.len + len).min(self.samples.len());
        &mut self.samples[self.len..end]
    }

    /// So many were filled.
    pub(crate) fn added(&mut self, len: usize, kind: Kind) {
        self.len = (self.len + len).min(self.samples.len());
        match kind {
            Kind::Voice => self.voiced = self.len,
            Kind::MadeUp => (self.voiced, self.concealed) = (self.len, self.len),
            Kind::Rest => {}
        }
    }

    /// Longer by `wanted`, or by a cycle of the voice, where that can be done unheard; says by how much.
    pub(crate) fn stretch(&mut self, wanted: usize) -> usize {
        let (frame, per_ms) = (self.frame_samples(), self.per_ms);
        let room = (frame * 3 / 4).min(self.samples.len() - self.len);
        if self.len < frame || self.concealed > 0 {
            return 0;
        }
        let Some(by) = time_scale::distance(&self.samples[..self.len], wanted, room, per_ms) else { return 0 };
        self.len = time_scale::stretch(&mut self.samples, self.len, by, per_ms);
        self.voiced += if self.voiced > 0 { by } else { 0 };
        by
    }

    /// Shorter by at most `longest`, if a frame is left and where that can be done unheard; says by how much.
    pub(crate) fn shorten(&mut self, longest: usize) -> usize {
        let longest = longest.min(self.len.saturating_sub(self.frame_samples()));
        if self.concealed > 0 {
            return 0;
        }
        let Some(by) = time_scale::distance(&self.samples[..self.len], longest, longest, self.per_ms) else { return 0 };
        self.len = time_scale::shorten(&mut self.samples[..self.len], by, self.per_ms);
        self.voiced = self.voiced.min(self.len);
        by
    }

    /// Takes out a frame; whether a voice was in it, and whether something made up.
    pub(crate) fn take<const N: usize>(&mut self, frame: &mut [i16; N]) -> (bool, bool) {
        frame.copy_from_slice(&self.samples[..N]);
        let told = (self.voiced > 0, self.concealed > 0);
        self.samples.copy_within(N..self.len.max(N), 0);
        for left in [&mut self.len, &mut self.voiced, &mut self.concealed] {
            *left = left.saturating_sub(N);
        }
        told
    }
}
