//! Sound files of a telephone: 8 kHz, mono, 16 bit.

use std::path::Path;

use anyhow::{Context, ensure};

use crate::engine::Clip;

/// Longest file that is played, in samples: ten minutes.
const MAX_SAMPLES: u32 = 600 * 8_000;

/// Reads a recording to play.
///
/// # Errors
/// When the file cannot be read, or is of another shape; the message says how to convert it.
pub fn read_wav(file: &Path) -> anyhow::Result<Clip> {
    let mut reader = hound::WavReader::open(file).with_context(|| format!("reading {}", file.display()))?;
    let shape = reader.spec();
    ensure!(
        shape.channels == 1 && shape.sample_rate == 8_000 && shape.bits_per_sample == 16,
        "{}: {} channels, {} Hz, {} bit; a telephone plays 1 channel, 8000 Hz, 16 bit: sox {} -r 8000 -c 1 -b 16 out.wav",
        file.display(),
        shape.channels,
        shape.sample_rate,
        shape.bits_per_sample,
        file.display()
    );
    ensure!(reader.duration() <= MAX_SAMPLES, "{}: longer than ten minutes", file.display());
    let samples = reader.samples::<i16>().collect::<Result<Vec<_>, _>>();
    Ok(Clip::from(samples.with_context(|| format!("reading {}", file.display()))?))
}

/// Writes what was heard.
///
/// # Errors
/// When the file cannot be written.
pub fn write_wav(file: &Path, samples: &[i16]) -> anyhow::Result<()> {
    let shape = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let write = || {
        let mut writer = hound::WavWriter::create(file, shape)?;
        for sample in samples {
            writer.write_sample(*sample)?;
        }
        writer.finalize()
    };
    write().with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("heard.wav");
        write_wav(&file, &[0, 1, -1, i16::MAX, i16::MIN]).unwrap();
        assert_eq!(read_wav(&file).unwrap().samples(), [0, 1, -1, i16::MAX, i16::MIN]);
        assert!(read_wav(&folder.path().join("none.wav")).unwrap_err().to_string().contains("none.wav"));
    }
}
