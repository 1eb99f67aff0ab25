//! G.722 at 64 kbit/s (ITU-T G.722; RFC 3551 section 4.5.2) for a mix of 8 kHz: a byte is one sample of ours.
//!
//! Of what arrives only the lower half of its band is decoded, for the mix has no other. What is sent is raised to 16 kHz
//! first: the library's shortcut for 8 kHz input writes wrong codes (audio-codec 0.4.13, `encode_low_band`).

use std::f32::consts::PI;
use std::fmt;

use audio_codec::Encoder as _;
use audio_codec::g722::{Bitrate, G722Decoder, G722Encoder};

use crate::FRAME_SAMPLES;

/// Decodes; the order of payloads matters.
pub(crate) struct Decoder(G722Decoder);

impl Default for Decoder {
    fn default() -> Self {
        Self(G722Decoder::with_options(Bitrate::Mode1_64000, false, true))
    }
}

impl Decoder {
    pub(crate) fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        let len = payload.len().min(samples.len());
        self.0.decode_frame_into(&payload[..len], &mut samples[..len]).unwrap_or(0)
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("G722Decoder")
    }
}

/// Encodes; a byte a sample.
pub(crate) struct Encoder {
    raw: G722Encoder,
    doubler: Doubler,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { raw: G722Encoder::new(), doubler: Doubler::default() }
    }
}

impl Encoder {
    /// At most one frame at once.
    pub(crate) fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        let mut wide = [0; FRAME_SAMPLES * 2];
        let samples = &samples[..samples.len().min(FRAME_SAMPLES)];
        self.doubler.double(samples, &mut wide);
        self.raw.encode_into(&wide[..samples.len() * 2], payload).unwrap_or(0)
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("G722Encoder")
    }
}

/// Samples on either side that a new one between two is made from, twice.
const REACH: usize = 8;
const REACH_F32: f32 = 8.0;

/// From 8 to 16 kHz: every sample stays, and between two a new one is interpolated (a half-band filter).
struct Doubler {
    taps: [f32; REACH * 2],
    past: [i16; REACH * 2],
}

impl Default for Doubler {
    fn default() -> Self {
        let mut taps = [0.0; REACH * 2];
        for (tap, n) in taps.iter_mut().zip(0u8..) {
            let at = f32::from(n) - REACH_F32 + 0.5;
            let window = (PI * at / (2.0 * REACH_F32)).cos().powi(2);
            *tap = (PI * at).sin() / (PI * at) * window;
        }
        Self { taps, past: [0; REACH * 2] }
    }
}

impl Doubler {
    fn double(&mut self, samples: &[i16], wide: &mut [i16]) {
        let mut line = [0; FRAME_SAMPLES + REACH * 2];
        line[..REACH * 2].copy_from_slice(&self.past);
        line[REACH * 2..REACH * 2 + samples.len()].copy_from_slice(samples);
        for (pair, around) in wide.chunks_exact_mut(2).zip(line.windows(REACH * 2)).take(samples.len()) {
            let between: f32 = around.iter().zip(&self.taps).map(|(&sample, tap)| f32::from(sample) * tap).sum();
            pair[0] = around[REACH - 1];
            #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of a sample")]
            let between = between.clamp(-32768.0, 32767.0) as i16;
            pair[1] = between;
        }
        self.past.copy_from_slice(&line[samples.len()..samples.len() + REACH * 2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tone, pitch_level_db};

    /// Reference of the wire: the library's wideband decoder, which others' implementations agree with.
    fn wide_decoder() -> G722Decoder {
        G722Decoder::with_options(Bitrate::Mode1_64000, false, false)
    }

    #[test]
    fn a_voice_keeps_its_level_on_the_way_out_and_in() {
        for (pitch_hz, tolerance_db) in [(300.0, 0.5), (1000.0, 0.5), (2500.0, 0.7), (3300.0, 2.0)] {
            let (mut tone, mut encoder, mut decoder) =
                (Tone::new(pitch_hz, -15.0), Encoder::default(), Decoder::default());
            let mut heard = Vec::new();
            for _ in 0..50 {
                let (mut payload, mut samples) = ([0; 160], [0; 160]);
                assert_eq!(encoder.encode(&tone.take(160), &mut payload), 160);
                assert_eq!(decoder.decode(&payload, &mut samples), 160);
                heard.extend(samples);
            }
            let level = pitch_level_db(&heard[1600..], pitch_hz);
            assert!((level + 15.0).abs() < tolerance_db, "{pitch_hz} Hz: {level:.2} dB");
        }
    }

    #[test]
    fn a_wideband_telephone_hears_it_at_sixteen_kilohertz() {
        let (mut tone, mut encoder, mut decoder) = (Tone::new(1000.0, -15.0), Encoder::default(), wide_decoder());
        let mut heard = Vec::new();
        for _ in 0..50 {
            let (mut payload, mut samples) = ([0; 160], [0; 320]);
            encoder.encode(&tone.take(160), &mut payload);
            decoder.decode_frame_into(&payload, &mut samples).unwrap();
            heard.extend(samples);
        }
        // At twice the rate 1000 Hz reads as 500, and its image above 4 kHz must not be there.
        let level = pitch_level_db(&heard[3200..], 500.0);
        assert!((level + 15.0).abs() < 0.5, "{level:.2} dB");
        assert!(pitch_level_db(&heard[3200..], 3500.0) < -55.0);
    }

    #[test]
    fn decoding_stops_at_the_shorter_side_and_takes_any_bytes() {
        let (mut decoder, mut samples) = (Decoder::default(), [0; 100]);
        assert_eq!(decoder.decode(&[0xff; 480], &mut samples), 100);
        assert_eq!(decoder.decode(&[0x00; 7], &mut samples), 7);
    }
}
