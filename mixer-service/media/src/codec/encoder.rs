//! What a leg's sound is encoded with, where the codec remembers. G.711 has no memory and is encoded by whoever mixes.

use super::{Codec, g722, opus};

/// Encodes what one leg hears.
#[derive(Debug)]
pub(crate) enum Encoder {
    /// Nothing to remember.
    Law,
    G722(Box<g722::Encoder>),
    Opus(Box<opus::Encoder>),
}

impl Encoder {
    /// A fresh one; this and nothing later allocates.
    pub(crate) fn new(codec: Codec) -> Self {
        match codec {
            Codec::ALaw | Codec::MuLaw => Self::Law,
            Codec::G722 => Self::G722(Box::default()),
            Codec::Opus => Self::Opus(Box::default()),
        }
    }

    /// Encodes part of a wideband frame into `payload` and says how many bytes; 0 when nothing came of it.
    ///
    /// Opus takes 10 or 20 ms at once. G.711 is not encoded here.
    pub(crate) fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        match self {
            Self::Law => 0,
            Self::G722(encoder) => encoder.encode(samples, payload),
            Self::Opus(encoder) => encoder.encode(samples, payload),
        }
    }

    /// The far end tells how much it loses, in percent: Opus then repeats itself a little (RFC 6716 section 2.1.7).
    pub(crate) fn expect_loss(&mut self, percent: u8) {
        match self {
            Self::Law | Self::G722(_) => {}
            Self::Opus(encoder) => encoder.expect_loss(percent),
        }
    }
}
