//! G.711 (ITU-T G.711; RFC 3551 sections 4.5.14): one byte a sample, two ways of counting.
//!
//! The arithmetic is `audio-codec`'s; its answers are put into our own tables once, at the first use, so that the audio
//! path is one look-up a sample with no call through a trait, no result to check and no buffer that could be too small.

use std::sync::LazyLock;

use audio_codec::pcma::{PcmaDecoder, PcmaEncoder};
use audio_codec::pcmu::{PcmuDecoder, PcmuEncoder};
use audio_codec::{Decoder, Encoder};

use crate::{FRAME_SAMPLES, Frame};

/// A frame of 20 ms as G.711 carries it: one byte a sample.
pub type Payload = [u8; FRAME_SAMPLES];

/// Which of the two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum G711 {
    /// PCMA, static payload type 8.
    ALaw,
    /// PCMU, static payload type 0.
    MuLaw,
}

impl G711 {
    /// The payload type RFC 3551 section 6 gives it for good.
    #[must_use]
    pub fn static_payload_type(self) -> u8 {
        match self {
            Self::ALaw => 8,
            Self::MuLaw => 0,
        }
    }

    /// Decodes `payload` into the beginning of `samples`; stops at the end of the shorter one and says how many.
    pub fn decode(self, payload: &[u8], samples: &mut [i16]) -> usize {
        let table = &self.tables().decode;
        for (sample, &code) in samples.iter_mut().zip(payload) {
            *sample = table[usize::from(code)];
        }
        samples.len().min(payload.len())
    }

    /// Encodes one frame.
    pub fn encode(self, frame: &Frame, payload: &mut Payload) {
        let table = &self.tables().encode;
        for (code, &sample) in payload.iter_mut().zip(frame) {
            *code = table[usize::from(sample.cast_unsigned())];
        }
    }

    fn tables(self) -> &'static Tables {
        match self {
            Self::ALaw => &A_LAW,
            Self::MuLaw => &MU_LAW,
        }
    }
}

static A_LAW: LazyLock<Tables> = LazyLock::new(|| Tables::ask(&mut PcmaDecoder::new(), &mut PcmaEncoder::new()));
static MU_LAW: LazyLock<Tables> = LazyLock::new(|| Tables::ask(&mut PcmuDecoder::new(), &mut PcmuEncoder::new()));

struct Tables {
    /// By code.
    decode: [i16; 256],
    /// By the sample's bits read as an unsigned number.
    encode: Box<[u8; 65536]>,
}

impl Tables {
    fn ask(decoder: &mut impl Decoder, encoder: &mut impl Encoder) -> Self {
        let codes: Vec<u8> = (0..=u8::MAX).collect();
        let samples: Vec<i16> = (0..=u16::MAX).map(u16::cast_signed).collect();
        let mut tables = Self { decode: [0; 256], encode: Box::new([0; 65536]) };
        let decoded = decoder.decode_into(&codes, &mut tables.decode);
        let encoded = encoder.encode_into(&samples, tables.encode.as_mut_slice());
        debug_assert!(decoded.is_ok() && encoded.is_ok(), "the buffers have the size of the input");
        tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference points of ITU-T G.711 tables 1a and 2a, in 16-bit units.
    #[test]
    fn codes_are_those_of_the_standard() {
        let mut sample = [0];
        for (law, code, expected) in [
            (G711::MuLaw, 0xff, 0),
            (G711::MuLaw, 0x80, 32124),
            (G711::MuLaw, 0x00, -32124),
            (G711::ALaw, 0xd5, 8),
            (G711::ALaw, 0x55, -8),
            (G711::ALaw, 0xaa, 32256),
            (G711::ALaw, 0x2a, -32256),
        ] {
            law.decode(&[code], &mut sample);
            assert_eq!(sample[0], expected, "{law:?} {code:#x}");
        }
    }

    #[test]
    fn every_sample_comes_back_within_a_quantization_step() {
        for law in [G711::ALaw, G711::MuLaw] {
            for sample in (i16::MIN..=i16::MAX).step_by(7) {
                let (mut payload, mut back) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
                law.encode(&[sample; FRAME_SAMPLES], &mut payload);
                law.decode(&payload, &mut back);
                let error = (i32::from(sample) - i32::from(back[0])).abs();
                assert!(error <= 16 + i32::from(sample).abs() / 16, "{law:?} {sample} came back as {}", back[0]);
            }
        }
    }

    #[test]
    fn decoding_stops_at_the_shorter_side() {
        let mut samples = [7; 3];
        assert_eq!(G711::MuLaw.decode(&[0xff, 0xff], &mut samples), 2);
        assert_eq!(samples, [0, 0, 7]);
        assert_eq!(G711::MuLaw.decode(&[0xff; 9], &mut samples), 3);
    }
}
