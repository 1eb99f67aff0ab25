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
        // One after the other: the places of eight samples are found at once, the codes one by one.
        let mut places = [0; FRAME_SAMPLES];
        for (found, &sample) in places.iter_mut().zip(frame) {
            *found = place(sample);
        }
        for (code, place) in payload.iter_mut().zip(places) {
            *code = table[usize::from(place) % PLACES];
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
    /// By [`place`]. Neither law tells more than one sample in four from its neighbours, and a quarter of the table stays in
    /// the processor's nearest cache.
    encode: Box<[u8; PLACES]>,
}

/// Places of the table to encode with: its length is a power of two, so that no place needs to be checked.
const PLACES: usize = 1 << 14;

/// Where the code of a sample stands: of those above and of those below nothing, four have one.
fn place(sample: i16) -> u16 {
    let below = sample >> 15;
    sample.saturating_add(below).cast_unsigned() >> 2
}

impl Tables {
    fn ask(decoder: &mut impl Decoder, encoder: &mut impl Encoder) -> Self {
        let codes: Vec<u8> = (0..=u8::MAX).collect();
        let samples: Vec<i16> = (0..=u16::MAX).map(u16::cast_signed).collect();
        let mut encoded_samples = vec![0; samples.len()];
        let mut tables = Self { decode: [0; 256], encode: Box::new([0; PLACES]) };
        let decoded = decoder.decode_into(&codes, &mut tables.decode);
        let encoded = encoder.encode_into(&samples, &mut encoded_samples);
        for (sample, code) in samples.into_iter().zip(encoded_samples).rev() {
            tables.encode[usize::from(place(sample))] = code;
        }
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

    /// The smaller table says what the library says, for each of all samples but one: −8, which A-law has a code for, and which
    /// the library gives the code of 8.
    #[test]
    fn no_step_of_either_law_is_moved() {
        let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let mut expected = [vec![0; samples.len()], vec![0; samples.len()]];
        PcmaEncoder::new().encode_into(&samples, &mut expected[0]).unwrap();
        PcmuEncoder::new().encode_into(&samples, &mut expected[1]).unwrap();
        for (law, expected) in [G711::ALaw, G711::MuLaw].into_iter().zip(&expected) {
            for (samples, expected) in samples.chunks(FRAME_SAMPLES).zip(expected.chunks(FRAME_SAMPLES)) {
                let (mut frame, mut payload) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
                frame[..samples.len()].copy_from_slice(samples);
                law.encode(&frame, &mut payload);
                let told = samples.iter().zip(payload).zip(expected);
                let moved =
                    told.filter(|((sample, code), expected)| code != *expected && (law, **sample) != (G711::ALaw, -8));
                assert_eq!(moved.count(), 0, "{law:?} from {}", samples[0]);
            }
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
