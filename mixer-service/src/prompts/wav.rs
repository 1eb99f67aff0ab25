//! From the bytes of a WAV file to a clip of 8 kHz mono, or a reason why not.
//!
//! Files come from people: the header's word is checked against the bytes that are there before anything is allocated.

use std::io::Cursor;
use std::time::Duration;

use hound::{SampleFormat, WavReader};
use mixer_media::Clip;

use super::resample::{OUTPUT_RATE_HZ, resample};

/// Sample rates that are taken; others are odd enough to be a mistake.
const RATES_HZ: [u32; 8] = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/// Why a file is no prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// No byte in it.
    #[error("the file is empty")]
    Empty,
    /// Not a WAV file at all, or a compressed one.
    #[error("not an uncompressed WAV file ({0}); convert it with: sox in.mp3 -r 16000 -c 1 -b 16 out.wav")]
    NotWav(String),
    /// Neither mono nor stereo.
    #[error("{0} channels; mono and stereo can be played")]
    Channels(u16),
    /// A rate that no telephone prompt has.
    #[error("{0} samples a second; 8000, 11025, 16000, 22050, 24000, 32000, 44100 and 48000 can be played")]
    Rate(u32),
    /// The header promises samples that are not there.
    #[error("the header promises {promised} bytes of sound, the file has {there}; it was cut off")]
    CutOff {
        /// By the header.
        promised: u64,
        /// In the file.
        there: usize,
    },
    /// Longer than such a file may be.
    #[error("{seconds} seconds; at most {at_most} are allowed here")]
    TooLong {
        /// As promised.
        seconds: u32,
        /// The bound.
        at_most: u64,
    },
    /// No sample in it.
    #[error("the file has a header, but no sound")]
    NoSound,
}

/// Decodes a whole file of at most `longest`.
pub(super) fn decode(bytes: &[u8], longest: Duration) -> Result<Clip, WavError> {
    let (samples, rate_hz) = read(bytes, longest)?;
    let samples = resample(&samples, rate_hz);
    let clip: Vec<i16> = samples.into_iter().map(to_i16).collect();
    Ok(Clip::from(clip))
}

/// The file's samples, mixed down to mono, full scale at 1.0.
fn read(bytes: &[u8], longest: Duration) -> Result<(Vec<f32>, u32), WavError> {
    if bytes.is_empty() {
        return Err(WavError::Empty);
    }
    let not_wav = |error: hound::Error| WavError::NotWav(error.to_string());
    let mut reader = WavReader::new(Cursor::new(bytes)).map_err(not_wav)?;
    let spec = reader.spec();
    if !(1..=2).contains(&spec.channels) {
        return Err(WavError::Channels(spec.channels));
    }
    if !RATES_HZ.contains(&spec.sample_rate) {
        return Err(WavError::Rate(spec.sample_rate));
    }
    let promised = u64::from(reader.len()) * u64::from(spec.bits_per_sample.div_ceil(8));
    if promised > bytes.len() as u64 {
        return Err(WavError::CutOff { promised, there: bytes.len() });
    }
    let seconds = reader.duration() / spec.sample_rate;
    if u64::from(seconds) >= longest.as_secs() {
        return Err(WavError::TooLong { seconds, at_most: longest.as_secs() });
    }
    if reader.len() == 0 {
        return Err(WavError::NoSound);
    }
    let interleaved: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        SampleFormat::Float => reader.samples::<f32>().collect(),
        SampleFormat::Int => {
            let full_scale = 2f32.powi(i32::from(spec.bits_per_sample) - 1);
            #[expect(clippy::cast_precision_loss, reason = "24 bits are more than a telephone carries")]
            reader.samples::<i32>().map(|sample| sample.map(|sample| sample as f32 / full_scale)).collect()
        }
    };
    let interleaved = interleaved.map_err(not_wav)?;
    let channels = usize::from(spec.channels);
    #[expect(clippy::cast_precision_loss, reason = "one or two")]
    let mono = interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect();
    Ok((mono, spec.sample_rate))
}

/// A sample of full scale 1.0, held to the range; what is no number is silence.
#[expect(clippy::cast_possible_truncation, reason = "float to integer saturates, and NaN becomes 0")]
pub(super) fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

/// Length of so many samples at 8 kHz, for those who count them.
pub(super) fn samples_of(time: Duration) -> usize {
    usize::try_from(time.as_millis()).unwrap_or(0) * OUTPUT_RATE_HZ as usize / 1000
}

#[cfg(test)]
mod tests {
    use hound::{WavSpec, WavWriter};
    use proptest::prelude::*;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(20);

    fn wav(channels: u16, rate_hz: u32, seconds: f32) -> Vec<u8> {
        let spec = WavSpec { channels, sample_rate: rate_hz, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut file = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut file, spec).unwrap();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "test"
        )]
        for index in 0..(seconds * rate_hz as f32) as u32 {
            let phase = std::f32::consts::TAU * 1000.0 * index as f32 / rate_hz as f32;
            for _ in 0..channels {
                writer.write_sample((phase.sin() * 8000.0) as i16).unwrap();
            }
        }
        writer.finalize().unwrap();
        file.into_inner()
    }

    #[test]
    fn every_usual_rate_becomes_8_khz_mono_at_its_level() {
        for (channels, rate_hz) in [(1, 8_000), (2, 8_000), (1, 16_000), (2, 44_100), (1, 48_000), (1, 22_050)] {
            let clip = decode(&wav(channels, rate_hz, 1.0), LONGEST).unwrap();
            let length = clip.samples().len();
            assert!((7_999..=8_001).contains(&length), "{rate_hz}: {length}");
            let middle = &clip.samples()[2_000..6_000];
            let power = middle.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 4_000.0;
            let level_db = 10.0 * (power / (8000.0f64.powi(2) / 2.0)).log10();
            assert!(level_db.abs() < 0.2, "{rate_hz}: {level_db} dB");
        }
    }

    #[test]
    fn odd_files_are_refused_with_a_reason() {
        let good = wav(1, 16_000, 0.5);
        let mut lying = good.clone();
        lying[40..44].copy_from_slice(&4_000_000_000u32.to_le_bytes());
        let cases: [(&[u8], &str); 7] = [
            (b"", "empty"),
            (b"ID3\x04mp3 mp3 mp3 mp3 mp3 mp3 mp3 mp3 mp3 mp3 mp3", "sox"),
            (&good[..good.len() - 4000], "cut off"),
            (&lying, "cut off"),
            (&wav(3, 16_000, 0.1), "3 channels"),
            (&wav(1, 96_000, 0.1), "96000"),
            (&wav(1, 8_000, 21.0), "21 seconds"),
        ];
        for (bytes, reason) in cases {
            let error = decode(bytes, LONGEST).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!(decode(&wav(1, 8_000, 0.0), LONGEST), Err(WavError::NoSound));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(flips in proptest::collection::vec((0usize..200, any::<u8>()), 0..8), len in 0usize..400) {
            let mut bytes = wav(1, 8_000, 0.02);
            for (at, value) in flips {
                bytes[at] = value;
            }
            bytes.truncate(len);
            let _ = decode(&bytes, LONGEST);
        }
    }
}
