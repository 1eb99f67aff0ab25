//! G.722 at 64 kbit/s (ITU-T G.722; RFC 3551 section 4.5.2): a byte is two samples of 16 kHz.
//!
//! Always both halves of its band: the library's shortcut for 8 kHz writes wrong codes (audio-codec 0.4.13, `encode_low_band`).

use std::fmt;

use audio_codec::Encoder as _;
use audio_codec::g722::{Bitrate, G722Decoder, G722Encoder};

/// Decodes; the order of payloads matters.
pub(crate) struct Decoder(G722Decoder);

impl Default for Decoder {
    fn default() -> Self {
        Self(G722Decoder::with_options(Bitrate::Mode1_64000, false, false))
    }
}

impl Decoder {
    pub(crate) fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        let len = payload.len().min(samples.len() / 2);
        self.0.decode_frame_into(&payload[..len], &mut samples[..2 * len]).unwrap_or(0)
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("G722Decoder")
    }
}

/// Encodes; a byte for two samples.
pub(crate) struct Encoder(G722Encoder);

impl Default for Encoder {
    fn default() -> Self {
        Self(G722Encoder::new())
    }
}

impl Encoder {
    pub(crate) fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        let len = samples.len().min(2 * payload.len());
        self.0.encode_into(&samples[..len], payload).unwrap_or(0)
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("G722Encoder")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WIDE_SAMPLES;
    use crate::resample::wide;

    #[test]
    fn a_voice_keeps_its_level_on_the_way_out_and_in() {
        for (pitch_hz, tolerance_db) in
            [(100.0, 0.5), (300.0, 0.5), (1000.0, 0.5), (2500.0, 0.5), (3300.0, 0.7), (5000.0, 1.0), (6800.0, 1.5)]
        {
            let (mut tone, mut encoder, mut decoder) =
                (wide::tone(pitch_hz, -15.0), Encoder::default(), Decoder::default());
            let mut heard = Vec::new();
            for _ in 0..50 {
                let (mut payload, mut samples) = ([0; 160], [0; WIDE_SAMPLES]);
                assert_eq!(encoder.encode(&tone.take(WIDE_SAMPLES), &mut payload), 160);
                assert_eq!(decoder.decode(&payload, &mut samples), WIDE_SAMPLES);
                heard.extend(samples);
            }
            let (level, mirrored) =
                (wide::level_db(&heard[3200..], pitch_hz), wide::level_db(&heard[3200..], 8000.0 - pitch_hz));
            println!("{pitch_hz} Hz: {level:.2} dB, mirrored {mirrored:.1} dB");
            assert!((level + 15.0).abs() < tolerance_db && mirrored < -50.0);
        }
    }

    #[test]
    fn decoding_stops_at_the_shorter_side_and_takes_any_bytes() {
        let (mut decoder, mut samples) = (Decoder::default(), [0; 101]);
        assert_eq!(decoder.decode(&[0xff; 480], &mut samples), 100);
        assert_eq!(decoder.decode(&[0x00; 7], &mut samples), 14);
        assert_eq!(decoder.decode(&[], &mut samples), 0);
    }
}
