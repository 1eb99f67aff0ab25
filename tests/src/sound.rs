//! Voices and ears of the telephones here: a tone in A-law out, packets in, and how much of a pitch they held.
//!
//! Nothing of it comes from the product: an instrument must not be what it measures.

use std::f64::consts::TAU;
use std::time::{Duration, Instant};

use audio_codec::pcma::{PcmaDecoder, PcmaEncoder};
use audio_codec::{Decoder as _, Encoder as _};

/// Samples of a packet of 20 ms.
pub const FRAME: usize = 160;
/// How long a packet lasts.
pub const BEAT: Duration = Duration::from_millis(20);
/// From this level on a frame counts as voiced; voices speak at −12 dB.
const VOICED_DB: f64 = -30.0;
const RTP_HEADER_LEN: usize = 12;

/// A steady tone, packet by packet.
#[derive(Debug)]
pub struct Voice {
    hz: f64,
    level_db: f64,
    sample: u64,
    /// Of the next packet.
    pub sequence: u16,
    /// Who speaks.
    pub ssrc: u32,
}

impl Voice {
    /// A voice at −12 dB.
    #[must_use]
    pub fn new(hz: u32, ssrc: u32) -> Self {
        Self { hz: f64::from(hz), level_db: -12.0, sample: 0, sequence: 1000, ssrc }
    }

    /// The next packet: RTP (RFC 3550 section 5.1) with 20 ms of A-law, payload type 8.
    pub fn packet(&mut self) -> Vec<u8> {
        let peak = 32_767.0 * 10f64.powf(self.level_db / 20.0);
        let step = TAU * self.hz / 8000.0;
        let samples: Vec<i16> = (self.sample..).take(FRAME).map(|n| ((n as f64 * step).sin() * peak) as i16).collect();
        let mut packet = rtp_header(8, self.sequence, self.sample as u32, self.ssrc);
        packet.extend(PcmaEncoder::new().encode(&samples));
        self.sequence = self.sequence.wrapping_add(1);
        self.sample += FRAME as u64;
        packet
    }
}

/// The twelve bytes before the sound.
#[must_use]
pub fn rtp_header(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet
}

/// Everything that one telephone was sent.
#[derive(Debug, Default)]
pub struct Heard {
    packets: Vec<(Instant, u16, Vec<i16>)>,
}

impl Heard {
    /// Takes a datagram; what is no A-law of 20 ms is not kept.
    pub fn take(&mut self, now: Instant, datagram: &[u8]) {
        if datagram.len() == RTP_HEADER_LEN + FRAME && datagram[0] == 0x80 && datagram[1] & 0x7f == 8 {
            let sequence = u16::from_be_bytes([datagram[2], datagram[3]]);
            self.packets.push((now, sequence, PcmaDecoder::new().decode(&datagram[RTP_HEADER_LEN..])));
        }
    }

    /// Packets kept.
    #[must_use]
    pub fn count(&self) -> usize {
        self.packets.len()
    }

    /// When the first packet came that held this pitch, not before `since`.
    #[must_use]
    pub fn first(&self, hz: u32, since: Instant) -> Option<Instant> {
        let voiced = |(at, _, samples): &&(Instant, u16, Vec<i16>)| *at >= since && level_db(samples, hz) > VOICED_DB;
        self.packets.iter().find(voiced).map(|(at, _, _)| *at)
    }

    /// Of the 20 ms that lie within this time, the part that held the pitch: a packet that is lost, late beyond the end or
    /// silent counts against it.
    #[must_use]
    pub fn voiced(&self, hz: u32, from: Instant, to: Instant) -> f64 {
        let within = self.packets.iter().filter(|(at, _, _)| (from..to).contains(at));
        let voiced = within.filter(|(_, _, samples)| level_db(samples, hz) > VOICED_DB).count();
        let beats = (to - from).as_secs_f64() / BEAT.as_secs_f64();
        // Packets that waited for the begin, or one more at the edge, are no gain.
        (voiced as f64 / beats).min(1.0)
    }

    /// The level of a pitch over all of this time, in dB against a full-scale sine.
    #[must_use]
    pub fn level_db(&self, hz: u32, from: Instant, to: Instant) -> f64 {
        let mut packets: Vec<_> = self.packets.iter().filter(|(at, _, _)| (from..to).contains(at)).collect();
        packets.sort_by_key(|(at, _, _)| *at);
        let samples: Vec<i16> = packets.iter().flat_map(|(_, _, samples)| samples).copied().collect();
        level_db(&samples, hz)
    }
}

/// Level of one pitch in samples of 8 kHz, in dB against a full-scale sine; −120 at the least.
#[must_use]
pub fn level_db(samples: &[i16], hz: u32) -> f64 {
    level_db_at(samples, hz, 8_000)
}

/// The longest time without a break for which a recording held a pitch, and its mean level then.
#[must_use]
pub fn longest_tone(samples: &[i16], rate_hz: u32, hz: u32) -> (Duration, f64) {
    let block = rate_hz as usize / 10;
    let levels: Vec<f64> = samples.chunks_exact(block).map(|block| level_db_at(block, hz, rate_hz)).collect();
    let longest = levels.split(|level| *level < VOICED_DB).max_by_key(|stretch| stretch.len()).unwrap_or_default();
    let mean = longest.iter().sum::<f64>() / longest.len().max(1) as f64;
    (Duration::from_millis(100) * longest.len() as u32, mean)
}

/// Goertzel's sum under a Hann window.
fn level_db_at(samples: &[i16], hz: u32, rate_hz: u32) -> f64 {
    let len = samples.len() as f64;
    let step = TAU * f64::from(hz) / f64::from(rate_hz);
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let n = n as f64;
        let window = 0.5 - 0.5 * (TAU * (n + 0.5) / len).cos();
        re += window * f64::from(*sample) * (step * n).cos();
        im += window * f64::from(*sample) * (step * n).sin();
        weight += window;
    }
    let amplitude = 2.0 * f64::hypot(re, im) / (weight * 32_767.0).max(1.0);
    20.0 * amplitude.max(1e-6).log10()
}

/// The samples of a WAV file with 16 bits, one channel.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn read_wav(file: &std::path::Path) -> (u32, Vec<i16>) {
    let bytes = std::fs::read(file).expect("a recording");
    assert!(bytes.len() > 44 && bytes.starts_with(b"RIFF"), "{} is no recording", file.display());
    let rate_hz = u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]);
    let channels = usize::from(bytes[22]);
    let data = bytes.windows(4).position(|word| word == b"data").expect("a data chunk") + 8;
    let samples = bytes[data..].chunks_exact(2 * channels).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    (rate_hz, samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_is_heard_at_its_pitch_and_level_and_at_no_other() {
        let start = dialroom_host::Clock::real().instant();
        let (mut voice, mut heard) = (Voice::new(700, 1), Heard::default());
        for beat in 0..50 {
            heard.take(start + BEAT * beat, &voice.packet());
        }
        let end = start + BEAT * 50;
        assert!((heard.level_db(700, start, end) + 12.0).abs() < 0.5);
        assert!(heard.level_db(1000, start, end) < -60.0);
        assert!((heard.voiced(700, start, end) - 1.0).abs() < 1e-9);
        assert!(heard.voiced(1000, start, end) < 1e-9);
        assert_eq!((heard.count(), heard.first(700, start)), (50, Some(start)));
    }
}
