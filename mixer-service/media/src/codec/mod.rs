//! Codecs: samples to payload and back, at 8 kHz for G.711 and at 16 kHz for the others, whatever rate the wire speaks of.
//! Time is counted in samples of 8 kHz everywhere; one of those is two samples of sound in a wideband codec.
//!
//! G.711 is a look-up without state. G.722 and Opus remember, so each leg has its own [`Decoder`] and [`Encoder`], made when it
//! connects, and each room one more for all who only listen; after that nothing allocates.

mod decoder;
mod encoder;
mod g711;
mod g722;
mod opus;

pub(crate) use decoder::Decoder;
pub(crate) use encoder::Encoder;
pub use g711::{G711, Payload};

use crate::{FRAME_SAMPLES, SAMPLE_RATE_HZ, WIDE_SAMPLES};

/// What sound is coded in on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 A-law (PCMA).
    ALaw,
    /// G.711 µ-law (PCMU).
    MuLaw,
    /// G.722 at 64 kbit/s; sampled at 16 kHz, while its RTP clock says 8000 (RFC 3551 section 4.5.2).
    G722,
    /// Opus (RFC 6716), mono; its RTP clock says 48000 (RFC 7587 section 4.1).
    Opus,
}

impl Codec {
    /// The payload type that RFC 3551 section 6 gives it for good; for Opus, which has none, the one mostly taken.
    #[must_use]
    pub fn usual_payload_type(self) -> u8 {
        match self {
            Self::MuLaw => 0,
            Self::ALaw => 8,
            Self::G722 => 9,
            Self::Opus => 111,
        }
    }

    /// Ticks a second of its RTP timestamps.
    #[must_use]
    pub fn clock_hz(self) -> u32 {
        SAMPLE_RATE_HZ * self.ticks_per_sample()
    }

    /// Whether it carries more than a telephone's band: its sound is sampled at 16 kHz here.
    pub(crate) fn is_wide(self) -> bool {
        match self {
            Self::ALaw | Self::MuLaw => false,
            Self::G722 | Self::Opus => true,
        }
    }

    /// Samples of its sound in a millisecond.
    pub(crate) fn samples_per_ms(self) -> usize {
        if self.is_wide() { WIDE_SAMPLES / 20 } else { FRAME_SAMPLES / 20 }
    }

    /// RTP ticks in one sample of 8 kHz.
    pub(crate) fn ticks_per_sample(self) -> u32 {
        match self {
            Self::ALaw | Self::MuLaw | Self::G722 => 1,
            Self::Opus => 6,
        }
    }

    /// The law of G.711, for the two that are.
    pub(crate) fn law(self) -> Option<G711> {
        match self {
            Self::ALaw => Some(G711::ALaw),
            Self::MuLaw => Some(G711::MuLaw),
            Self::G722 | Self::Opus => None,
        }
    }

    /// Longest payload taken from a far end; a longer one is refused.
    pub(crate) fn payload_max(self) -> usize {
        match self {
            // 60 ms, one byte a sample.
            Self::ALaw | Self::MuLaw | Self::G722 => 480,
            Self::Opus => opus::PAYLOAD_MAX,
        }
    }

    /// Samples of 8 kHz that a payload plays; `None` when it is none of this codec.
    pub(crate) fn samples(self, payload: &[u8]) -> Option<u16> {
        match self {
            Self::ALaw | Self::MuLaw | Self::G722 => u16::try_from(payload.len()).ok(),
            Self::Opus => opus::samples(payload),
        }
    }

    /// Whether its decoder makes up what never came.
    pub(crate) fn conceals(self) -> bool {
        match self {
            Self::ALaw | Self::MuLaw | Self::G722 => false,
            Self::Opus => true,
        }
    }

    /// Whether a payload only says that its sender is silent: discontinuous transmission of Opus (RFC 6716 section 2.1.9).
    pub(crate) fn is_rest(self, payload: &[u8]) -> bool {
        self == Self::Opus && (1..=opus::REST_BYTES_MAX).contains(&payload.len())
    }
}

impl From<G711> for Codec {
    fn from(law: G711) -> Self {
        match law {
            G711::ALaw => Self::ALaw,
            G711::MuLaw => Self::MuLaw,
        }
    }
}
