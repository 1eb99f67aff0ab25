//! What a leg's packets are decoded with, piece by piece as the beat wants them.

use super::{Codec, G711, g722, opus};
use crate::jitter_buffer::Sound;

/// Decodes one far end's packets, in the order in which they are played.
#[derive(Debug)]
pub(crate) enum Decoder {
    Law(G711),
    G722(Box<g722::Decoder>),
    Opus(Box<opus::Decoder>),
}

impl Decoder {
    /// A fresh one; this and nothing later allocates.
    pub(crate) fn new(codec: Codec) -> Self {
        match codec {
            Codec::ALaw => Self::Law(G711::ALaw),
            Codec::MuLaw => Self::Law(G711::MuLaw),
            Codec::G722 => Self::G722(Box::default()),
            Codec::Opus => Self::Opus(Box::default()),
        }
    }

    /// Decodes a piece into the beginning of `samples`, at the codec's rate here; says how many, at most those of `sound.len`.
    pub(crate) fn decode(&mut self, sound: Sound<'_>, samples: &mut [i16]) -> usize {
        match self {
            Self::Law(law) => law.decode(sound.bytes(), samples),
            Self::G722(decoder) => decoder.decode(sound.bytes(), samples),
            Self::Opus(decoder) => decoder.decode(sound, samples),
        }
    }

    /// Makes up what never came the way the codec itself does, from `next`, the packet behind the gap, if it tells about it.
    /// `false`: the codec has no way of its own.
    pub(crate) fn conceal(&mut self, next: Option<&[u8]>, samples: &mut [i16]) -> bool {
        match self {
            Self::Law(_) | Self::G722(_) => false,
            Self::Opus(decoder) => decoder.conceal(next, samples),
        }
    }

    /// What a packet sounds like that is to be decoded later, where nothing of what is before it has to be known for that.
    /// Says how many samples, 0 where it cannot be told.
    pub(crate) fn peek(&self, payload: &[u8], samples: &mut [i16]) -> usize {
        match self {
            Self::Law(law) => law.decode(payload, samples),
            Self::G722(_) | Self::Opus(_) => 0,
        }
    }

    /// Payloads that looked right and could not be decoded.
    pub(crate) fn failures(&self) -> u64 {
        match self {
            Self::Law(_) | Self::G722(_) => 0,
            Self::Opus(decoder) => decoder.failures(),
        }
    }
}
