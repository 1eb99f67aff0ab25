//! Sound between the decoder and the beat: what was decoded, made up or stretched, and is not played yet.

use crate::FRAME_SAMPLES;
use crate::concealment::CYCLE_MAX_MS;
use crate::gap::GAP_MAX_MS;
use crate::time_scale;

/// Samples in a millisecond.
const PER_MS: usize = FRAME_SAMPLES / 20;
/// A frame, a gap that was led over, and what one stretch adds; and what rounding up to 2.5 ms leaves over.
const CAPACITY: usize = FRAME_SAMPLES + (GAP_MAX_MS + 2 * CYCLE_MAX_MS + 3) * PER_MS;

/// A short queue of samples.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    samples: [i16; CAPACITY],
    len: usize,
    /// So many from the beginning hold a voice somewhere, and something made up.
    voiced: usize,
    concealed: usize,
}

impl Default for Ready {
    fn default() -> Self {
        Self { samples: [0; CAPACITY], len: 0, voiced: 0, concealed: 0 }
    }
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
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Samples until there is a frame, in whole steps of 2.5 ms, in which packets and what codecs make up are counted.
    pub(crate) fn wanted(&self, len: usize) -> usize {
        len.saturating_sub(self.len).next_multiple_of(PER_MS * 5 / 2)
    }

    /// Room for so many samples at the end, to be filled, and counted with [`added`](Self::added).
    pub(crate) fn room(&mut self, len: usize) -> &mut [i16] {
        let end = (self.len + len).min(CAPACITY);
        &mut self.samples[self.len..end]
    }

    /// So many were filled.
    pub(crate) fn added(&mut self, len: usize, kind: Kind) {
        self.len = (self.len + len).min(CAPACITY);
        match kind {
            Kind::Voice => self.voiced = self.len,
            Kind::MadeUp => (self.voiced, self.concealed) = (self.len, self.len),
            Kind::Rest => {}
        }
    }

    /// Longer by `wanted`, or by a cycle of the voice, where that can be done unheard; says by how much.
    pub(crate) fn stretch(&mut self, wanted: usize) -> usize {
        let room = (FRAME_SAMPLES * 3 / 4).min(CAPACITY - self.len);
        if self.len < FRAME_SAMPLES || self.concealed > 0 {
            return 0;
        }
        let Some(by) = time_scale::distance(&self.samples[..self.len], wanted, room, PER_MS) else { return 0 };
        self.len = time_scale::stretch(&mut self.samples, self.len, by, PER_MS);
        self.voiced += if self.voiced > 0 { by } else { 0 };
        by
    }

    /// Shorter by at most `longest`, if a frame is left and where that can be done unheard; says by how much.
    pub(crate) fn shorten(&mut self, longest: usize) -> usize {
        let longest = longest.min(self.len.saturating_sub(FRAME_SAMPLES));
        if self.concealed > 0 {
            return 0;
        }
        let Some(by) = time_scale::distance(&self.samples[..self.len], longest, longest, PER_MS) else { return 0 };
        self.len = time_scale::shorten(&mut self.samples[..self.len], by, PER_MS);
        self.voiced = self.voiced.min(self.len);
        by
    }

    /// Takes out a frame; whether a voice was in it, and whether something made up.
    pub(crate) fn take(&mut self, frame: &mut [i16; FRAME_SAMPLES]) -> (bool, bool) {
        frame.copy_from_slice(&self.samples[..FRAME_SAMPLES]);
        let told = (self.voiced > 0, self.concealed > 0);
        self.samples.copy_within(FRAME_SAMPLES..self.len.max(FRAME_SAMPLES), 0);
        for left in [&mut self.len, &mut self.voiced, &mut self.concealed] {
            *left = left.saturating_sub(FRAME_SAMPLES);
        }
        told
    }
}
