//! Opus (RFC 6716, RFC 7587) at 16 kHz: any Opus packet in, wideband speech of about 32 kbit/s out.
//!
//! `opus-rs` itself, not the wrapper in `audio-codec`, which knows packets of 20 ms alone and no concealment. A packet is
//! decoded whole when its first sample is due and handed out in the pieces that the beat wants.

use std::fmt;

use opus_rs::{Application, OpusDecoder, OpusEncoder};

use crate::jitter_buffer::Sound;
use crate::{WIDE_RATE_HZ, WIDE_SAMPLES};

/// Longest frame that Opus knows (RFC 6716 section 3.4, requirement 2); a packet of several is refused beyond it too.
pub(crate) const PAYLOAD_MAX: usize = 1275;
/// A payload no longer than this says only that nothing is to be said.
pub(crate) const REST_BYTES_MAX: usize = 2;
/// Longest packet: 120 ms (RFC 6716 section 3.1).
const SAMPLES_MAX: usize = 6 * WIDE_SAMPLES;
/// The longest piece that is made up at once: a frame of ours.
const CONCEALED_MAX: usize = WIDE_SAMPLES;
/// What concealment comes in: 2.5 ms.
const CONCEALED_STEP: usize = WIDE_SAMPLES / 8;
/// Samples of sound for each of 8 kHz, in which packets and pieces of them are counted.
const RATIO: usize = 2;
/// What is asked for; speech takes four fifths of it. Less costs no less processor and is heard.
const BITRATE_BPS: i32 = 40_000;
/// Of 0–10: above 5 the ear no longer notices on a telephone, the processor does.
const COMPLEXITY: i32 = 5;

/// Samples of 8 kHz in a packet, as its first bytes say (RFC 6716 section 3.1).
pub(crate) fn samples(payload: &[u8]) -> Option<u16> {
    let toc = *payload.first()?;
    let config = usize::from(toc >> 3);
    let frame = match config {
        0..=11 => [80, 160, 320, 480][config % 4],
        12..=15 => [80, 160][config % 2],
        _ => [20, 40, 80, 160][config % 4],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u16::from(payload.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|samples| (1..=SAMPLES_MAX / RATIO).contains(&usize::from(*samples)))
}

/// Decodes; the order of packets matters.
pub(crate) struct Decoder {
    raw: Option<OpusDecoder>,
    floats: [f32; SAMPLES_MAX],
    /// The packet decoded last, by its timestamp: its sound may be wanted in several pieces.
    decoded: Option<u32>,
    samples: [i16; SAMPLES_MAX],
    failures: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        // 16 kHz mono is among what it offers, so this is always `Some`; without one every packet would count as a failure.
        let raw = OpusDecoder::new(WIDE_RATE_HZ.cast_signed(), 1).ok();
        Self { raw, floats: [0.0; SAMPLES_MAX], decoded: None, samples: [0; SAMPLES_MAX], failures: 0 }
    }
}

impl Decoder {
    pub(crate) fn decode(&mut self, sound: Sound<'_>, samples: &mut [i16]) -> usize {
        if self.decoded != Some(sound.timestamp) {
            self.decoded = Some(sound.timestamp);
            self.decode_whole(sound.payload);
        }
        let (offset, len) = (RATIO * sound.offset, (RATIO * sound.len).min(samples.len()));
        let wanted = self.samples.get(offset..offset + len).unwrap_or_default();
        samples[..wanted.len()].copy_from_slice(wanted);
        wanted.len()
    }

    /// Makes up sound in place of a packet, from the redundancy within the next one if it has any.
    pub(crate) fn conceal(&mut self, next: Option<&[u8]>, samples: &mut [i16]) -> bool {
        let len = samples.len();
        let Some(raw) = self.raw.as_mut().filter(|_| len <= CONCEALED_MAX && len.is_multiple_of(CONCEALED_STEP)) else {
            return false;
        };
        let floats = &mut self.floats[..len];
        let done = match next {
            Some(next) => raw.decode_fec(next, len, floats),
            None => raw.decode(&[], len, floats),
        };
        for (sample, &float) in samples.iter_mut().zip(&*floats) {
            *sample = integer(float);
        }
        done.is_ok()
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    fn decode_whole(&mut self, payload: &[u8]) {
        let decoded = self.raw.as_mut().and_then(|raw| raw.decode(payload, SAMPLES_MAX, &mut self.floats).ok());
        let len = decoded.unwrap_or(0).min(SAMPLES_MAX);
        for (sample, &float) in self.samples.iter_mut().zip(&self.floats[..len]) {
            *sample = integer(float);
        }
        self.samples[len..].fill(0);
        self.failures += u64::from(decoded.is_none());
    }
}

fn integer(float: f32) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of a sample; no number becomes 0")]
    let sample = (float * 32768.0).clamp(-32768.0, 32767.0) as i16;
    sample
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpusDecoder")
    }
}

/// Encodes.
pub(crate) struct Encoder(Option<OpusEncoder>);

impl Default for Encoder {
    fn default() -> Self {
        let mut raw = OpusEncoder::new(WIDE_RATE_HZ.cast_signed(), 1, Application::Voip).ok();
        if let Some(raw) = &mut raw {
            raw.bitrate_bps = BITRATE_BPS;
            raw.complexity = COMPLEXITY;
        }
        Self(raw)
    }
}

impl Encoder {
    /// Takes 10 or 20 ms.
    pub(crate) fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        self.0.as_mut().and_then(|raw| raw.encode_i16(samples, samples.len(), payload).ok()).unwrap_or(0)
    }

    pub(crate) fn expect_loss(&mut self, percent: u8) {
        if let Some(raw) = &mut self.0 {
            raw.use_inband_fec = percent > 0;
            raw.packet_loss_perc = i32::from(percent.min(100));
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpusEncoder")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::level_dbov;
    use crate::resample::wide;

    /// A packet as the jitter buffer hands it out.
    fn whole(timestamp: u32, payload: &[u8], len: usize) -> Sound<'_> {
        Sound { timestamp, payload, offset: 0, len }
    }

    /// Packets of this sound.
    fn packets(redundant: bool, mut sound: impl FnMut(&mut [i16; 320])) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::default();
        if redundant {
            encoder.expect_loss(20);
        }
        let packet = |_| {
            let (mut frame, mut payload) = ([0; 320], [0; PAYLOAD_MAX]);
            sound(&mut frame);
            let len = encoder.encode(&frame, &mut payload);
            payload[..len].to_vec()
        };
        (0..100).map(packet).collect()
    }

    /// What is heard of them, with some lost and made up from the packet behind, or from nothing.
    fn heard(packets: &[Vec<u8>], lost: impl Fn(u32) -> bool) -> Vec<i16> {
        let (mut decoder, mut heard) = (Decoder::default(), Vec::new());
        for (n, packet) in (0u32..).zip(packets) {
            let mut samples = [0; 320];
            if lost(n) {
                assert!(decoder.conceal(packets.get(n as usize + 1).map(Vec::as_slice), &mut samples));
            } else {
                assert_eq!(decoder.decode(whole(n * 160, packet, 160), &mut samples), 320);
            }
            heard.extend(samples);
        }
        heard
    }

    fn tone(pitch_hz: f64) -> impl FnMut(&mut [i16; 320]) {
        let mut tone = wide::tone(pitch_hz, -15.0);
        move |frame| tone.fill(frame)
    }

    /// Something like syllables: steady tones are no voice to Opus, and it repeats only voices.
    fn syllables() -> impl FnMut(&mut [i16; 320]) {
        let mut harmonics: Vec<_> = (1..12).map(|n| wide::tone(150.0 * f64::from(n), -20.0 - f64::from(n))).collect();
        let mut beat = 0;
        move |frame| {
            beat += 1;
            for harmonic in &mut harmonics {
                let mut one = [0; 320];
                harmonic.fill(&mut one);
                let sounds = beat % 12 < 8;
                frame.iter_mut().zip(one).for_each(|(sum, sample)| *sum += if sounds { sample } else { 0 });
            }
        }
    }

    #[test]
    fn a_voice_keeps_its_level_and_its_bitrate() {
        for pitch_hz in [300.0, 1000.0, 2500.0, 5000.0, 6800.0] {
            let level = wide::level_db(&heard(&packets(false, tone(pitch_hz)), |_| false)[8000..], pitch_hz);
            println!("{pitch_hz} Hz: {level:.2} dB");
            assert!((level + 15.0).abs() < 1.0, "{pitch_hz} Hz: {level:.2} dB");
        }
        let (mut tone, mut encoder, mut bytes) = (wide::tone(440.0, -15.0), Encoder::default(), 0);
        for _ in 0..500 {
            bytes += encoder.encode(&tone.take(320), &mut [0; PAYLOAD_MAX]);
        }
        assert!((3000..=6000).contains(&(bytes / 10)), "{} bytes a second", bytes / 10);
    }

    #[test]
    fn lost_packets_are_made_up() {
        let level = level_dbov(&heard(&packets(false, tone(440.0)), |n| n % 5 == 3)[8000..]) + 3.01;
        println!("{level:.2} dB");
        assert!((level + 15.0).abs() < 2.5);
    }

    #[test]
    fn what_a_packet_repeats_of_the_one_before_takes_its_place() {
        let off = |redundant: bool| {
            let packets = packets(redundant, syllables());
            let (whole, covered) = (heard(&packets, |_| false), heard(&packets, |n| n % 5 == 3));
            let off: Vec<_> = whole.iter().zip(&covered).map(|(a, b)| a.saturating_sub(*b)).collect();
            level_dbov(&off) - level_dbov(&whole)
        };
        let (alone, repeated) = (off(false), off(true));
        println!("off by {alone:.1} dB alone, {repeated:.1} dB repeated");
        assert!(repeated < alone - 3.0);
    }

    #[test]
    fn the_first_bytes_tell_how_long_a_packet_plays() {
        for (payload, expected) in [
            (&[0x00u8][..], Some(80)),
            (&[0x08], Some(160)),
            (&[0x18], Some(480)),
            (&[0x60], Some(80)),
            (&[0x80], Some(20)),
            (&[0xf8], Some(160)),
            (&[0xf9], Some(320)),
            (&[0xfb, 0x06], Some(960)),
            (&[0xfb, 0x07], None),
            (&[0x1b, 0x03], None),
            (&[0xfb, 0x00], None),
            (&[0xfb], None),
            (&[], None),
        ] {
            assert_eq!(samples(payload), expected, "{payload:x?}");
        }
    }

    #[test]
    fn a_packet_longer_than_a_frame_is_decoded_once_and_handed_out_in_pieces() {
        let (mut encoder, mut payload) = (OpusEncoder::new(16_000, 1, Application::Voip).unwrap(), [0; PAYLOAD_MAX]);
        let len = encoder.encode_i16(&wide::tone(500.0, -10.0).take(960), 960, &mut payload).unwrap();
        assert_eq!(samples(&payload[..len]), Some(480));
        let (mut decoder, mut other) = (Decoder::default(), Decoder::default());
        let (mut at_once, mut piecewise) = ([0; 960], [0; 960]);
        decoder.decode(whole(7, &payload[..len], 480), &mut at_once);
        for (offset, piece) in (0..).step_by(160).zip(piecewise.chunks_mut(320)) {
            other.decode(Sound { timestamp: 7, payload: &payload[..len], offset, len: 160 }, piece);
        }
        assert_eq!(at_once, piecewise);
        assert!(at_once.iter().any(|sample| sample.abs() > 3000));
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "samples between -1 and 1")]
    fn stereo_and_fullband_from_the_far_end_are_heard() {
        for (rate, channels, application) in [
            (48_000, 2, Application::Audio),
            (48_000, 1, Application::Voip),
            (48_000, 2, Application::RestrictedLowDelay),
            (16_000, 1, Application::Voip),
        ] {
            let (mut encoder, mut decoder) =
                (OpusEncoder::new(rate, channels, application).unwrap(), Decoder::default());
            encoder.bitrate_bps = 64_000;
            let (mut heard, step) = (Vec::new(), usize::try_from(rate).unwrap() / 50);
            for n in 0..60u32 {
                let frame: Vec<f32> = (0..step)
                    .flat_map(|i| {
                        let at = f64::from(n) * 0.02 + i as f64 / f64::from(rate);
                        vec![(0.2 * (std::f64::consts::TAU * 700.0 * at).sin()) as f32; channels]
                    })
                    .collect();
                let (mut payload, mut samples) = ([0; PAYLOAD_MAX], [0; 320]);
                let len = encoder.encode(&frame, step, &mut payload).unwrap();
                decoder.decode(whole(n, &payload[..len], 160), &mut samples);
                heard.extend(samples);
            }
            let level = wide::level_db(&heard[9600..], 700.0);
            assert!((level + 14.0).abs() < 1.5, "{rate} Hz, {channels} channels, {application:?}: {level:.1} dB");
            assert_eq!(decoder.failures(), 0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn arbitrary_packets_never_panic(packets in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..200), 0u8..6), 1..20)) {
            let mut decoder = Decoder::default();
            let mut samples = [0; 320];
            for (n, (packet, kind)) in (0u32..).zip(&packets) {
                match kind {
                    0 => { decoder.conceal(None, &mut samples); }
                    1 => { decoder.conceal(Some(packet), &mut samples[..160]); }
                    _ => { decoder.decode(whole(n, packet, 160), &mut samples); }
                }
            }
        }
    }
}
