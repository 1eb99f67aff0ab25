//! What talkers send, encoded before the first call; and decoders for those whose ears are looked into.
//!
//! A talker repeats a period of four seconds: silence, then his tone. Its packets are made once for all who have the same
//! tone, so that sending is copying bytes.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use audio_codec::Encoder as _;
use audio_codec::g722::{Bitrate, G722Decoder, G722Encoder};
use audio_codec::pcma::{PcmaDecoder, PcmaEncoder};
use audio_codec::pcmu::{PcmuDecoder, PcmuEncoder};
use mixer_service::sip::Codec;
use opus_rs::{Application, OpusDecoder, OpusEncoder};

use super::tones::{PACKET_SAMPLES, Tone, Tones};

/// Packets until a talker begins again.
pub(super) const PERIOD: usize = 200;
/// Packets of silence at its beginning. No whole part of the period, so that talkers who share a room evenly do not begin
/// when another one ends.
pub(super) const PAUSE: usize = 23;
/// Longest payload that we make.
pub(super) const PAYLOAD_MAX: usize = 400;
/// Of an Opus stream, in bits a second.
const OPUS_BPS: i32 = 24_000;

/// A period of payloads; equal ones are stored once.
#[derive(Debug)]
pub(super) struct Score {
    payloads: Vec<Vec<u8>>,
    order: Vec<usize>,
}

impl Score {
    /// What a talker with this tone sends; without one, silence.
    ///
    /// # Errors
    /// When the codec refuses.
    pub(super) fn write(codec: Codec, tones: &Tones, tone: Option<Tone>) -> anyhow::Result<Self> {
        let voice = tone.map_or([0; PACKET_SAMPLES], |tone| tones.packet(tone));
        let mut encoder = Encoder::new(codec)?;
        let (mut score, mut known) = (Self { payloads: Vec::new(), order: Vec::new() }, HashMap::new());
        for place in 0..PERIOD {
            let payload = encoder.encode(if place < PAUSE { &[0; PACKET_SAMPLES] } else { &voice })?;
            let index = *known.entry(payload.clone()).or_insert(score.payloads.len());
            if index == score.payloads.len() {
                score.payloads.push(payload);
            }
            score.order.push(index);
        }
        Ok(score)
    }

    /// The payload at this place of the period.
    pub(super) fn payload(&self, place: usize) -> &[u8] {
        &self.payloads[self.order[place % PERIOD]]
    }
}

/// Ticks of the RTP clock in a packet (RFC 3551 section 4.5; RFC 7587 section 4.1).
pub(super) const fn ticks_per_packet(codec: Codec) -> u32 {
    match codec {
        Codec::Pcma | Codec::Pcmu | Codec::G722 => 160,
        Codec::Opus => 960,
    }
}

enum Encoder {
    ALaw(PcmaEncoder),
    MuLaw(PcmuEncoder),
    G722(Box<G722Encoder>, i16),
    Opus(Box<OpusEncoder>),
}

impl Encoder {
    fn new(codec: Codec) -> anyhow::Result<Self> {
        Ok(match codec {
            Codec::Pcma => Self::ALaw(PcmaEncoder::new()),
            Codec::Pcmu => Self::MuLaw(PcmuEncoder::new()),
            Codec::G722 => Self::G722(Box::new(G722Encoder::new()), 0),
            Codec::Opus => {
                let mut encoder = OpusEncoder::new(8_000, 1, Application::Voip).map_err(anyhow::Error::msg)?;
                encoder.bitrate_bps = OPUS_BPS;
                Self::Opus(Box::new(encoder))
            }
        })
    }

    fn encode(&mut self, samples: &[i16; PACKET_SAMPLES]) -> anyhow::Result<Vec<u8>> {
        let mut payload = [0; PAYLOAD_MAX];
        let len = match self {
            Self::ALaw(encoder) => encoder.encode_into(samples, &mut payload)?,
            Self::MuLaw(encoder) => encoder.encode_into(samples, &mut payload)?,
            Self::G722(encoder, last) => encoder.encode_into(&doubled(samples, last), &mut payload)?,
            Self::Opus(encoder) => {
                encoder.encode_i16(samples, PACKET_SAMPLES, &mut payload).map_err(anyhow::Error::msg)?
            }
        };
        Ok(payload[..len].to_vec())
    }
}

/// At 16 kHz, by straight lines: what they add lies above the telephone's band.
fn doubled(samples: &[i16; PACKET_SAMPLES], last: &mut i16) -> Vec<i16> {
    let between = |from: i16, to: i16| from / 2 + to / 2;
    samples.iter().flat_map(|sample| [between(std::mem::replace(last, *sample), *sample), *sample]).collect()
}

/// Decodes what one leg hears.
pub(super) enum Decoder {
    /// G.711: a table without memory.
    Law(Arc<[f32; 256]>),
    G722(Box<G722Decoder>),
    Opus(Box<OpusDecoder>),
}

impl Decoder {
    /// One for the leg of a call.
    ///
    /// # Errors
    /// When the codec refuses.
    pub(super) fn new(codec: Codec) -> anyhow::Result<Self> {
        Ok(match codec {
            Codec::Pcma => Self::Law(table(&mut PcmaDecoder::new())?),
            Codec::Pcmu => Self::Law(table(&mut PcmuDecoder::new())?),
            Codec::G722 => Self::G722(Box::new(G722Decoder::with_options(Bitrate::Mode1_64000, false, true))),
            Codec::Opus => Self::Opus(Box::new(OpusDecoder::new(8_000, 1).map_err(anyhow::Error::msg)?)),
        })
    }

    /// Whether it wants every packet, because it remembers the last.
    pub(super) const fn remembers(&self) -> bool {
        match self {
            Self::Law(_) => false,
            Self::G722(_) | Self::Opus(_) => true,
        }
    }

    /// The samples of a packet of 20 ms, of full scale; `None` when it is none.
    pub(super) fn decode(&mut self, payload: &[u8]) -> Option<[f32; PACKET_SAMPLES]> {
        match self {
            Self::Law(table) => {
                let codes: &[u8; PACKET_SAMPLES] = payload.try_into().ok()?;
                Some(codes.map(|code| table[usize::from(code)]))
            }
            Self::G722(decoder) => {
                let mut samples = [0; PACKET_SAMPLES];
                let len = decoder.decode_frame_into(payload, &mut samples).ok()?;
                (len == PACKET_SAMPLES).then(|| samples.map(|sample| f32::from(sample) / 32_768.0))
            }
            Self::Opus(decoder) => {
                let mut samples = [0.0; 6 * PACKET_SAMPLES];
                let len = decoder.decode(payload, samples.len(), &mut samples).ok()?;
                (len == PACKET_SAMPLES).then(|| std::array::from_fn(|n| samples[n]))
            }
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

fn table(decoder: &mut impl audio_codec::Decoder) -> anyhow::Result<Arc<[f32; 256]>> {
    let codes: Vec<u8> = (0..=u8::MAX).collect();
    let mut samples = [0; 256];
    decoder.decode_into(&codes, &mut samples).context("the table of G.711")?;
    Ok(Arc::new(samples.map(|sample| f32::from(sample) / 32_768.0)))
}

#[cfg(test)]
mod tests {
    use super::super::tones::LEVEL;
    use super::*;

    #[test]
    fn every_codec_carries_a_talkers_tone_and_his_pause() {
        let tones = Tones::new();
        for codec in [Codec::Pcma, Codec::Pcmu, Codec::G722, Codec::Opus] {
            let tone = Tone::of_talker(1);
            let score = Score::write(codec, &tones, Some(tone)).unwrap();
            let mut decoder = Decoder::new(codec).unwrap();
            // Twice: the end of a period must join its beginning.
            let levels: Vec<_> = (0..2 * PERIOD)
                .map(|place| tones.level(tone, &decoder.decode(score.payload(place)).expect("a packet of 20 ms")))
                .collect();
            for (place, level) in levels.iter().enumerate() {
                let expected = if place % PERIOD < PAUSE { 0.0 } else { LEVEL };
                // Codecs that remember need a moment after each change.
                let settled = (3..PAUSE).contains(&(place % PERIOD)) || place % PERIOD >= PAUSE + 3;
                assert!(!settled || (level - expected).abs() < LEVEL / 4.0, "{codec:?} {place}: {level}");
            }
        }
    }

    #[test]
    fn g711_sends_the_same_two_packets_over_and_over() {
        let score = Score::write(Codec::Pcma, &Tones::new(), Some(Tone::of_talker(0))).unwrap();
        assert_eq!(score.payloads.len(), 2);
    }
}
