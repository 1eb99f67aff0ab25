//! Recorded names: `<folder>/<mail address>.wav`, read when they are needed, for they come and go while we run.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use mixer_media::Clip;

use super::wav::{WavError, decode};

/// Nobody's name is longer.
const LONGEST_NAME: Duration = Duration::from_secs(10);
/// A name of [`LONGEST_NAME`] in stereo at 48 kHz and 32 bits has less; what is larger is not read.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Names kept decoded, 16 kB each; beyond it all are dropped and come back as they are needed.
const MAX_KEPT: usize = 1000;

/// The folder, and what of it was decoded already.
#[derive(Debug)]
pub(super) struct Names {
    folder: PathBuf,
    kept: Mutex<HashMap<PathBuf, Kept>>,
}

/// A file as it was when it was read.
#[derive(Debug)]
struct Kept {
    modified: Option<SystemTime>,
    len: u64,
    clip: Option<Clip>,
}

impl Names {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), kept: Mutex::default() }
    }

    /// The name of a person; `None` when none was recorded, or none that can be played (told in the log, once).
    pub(super) fn clip(&self, person: &str) -> Option<Clip> {
        let path = self.folder.join(file_name(person)?);
        let about = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let (modified, len) = (about.modified().ok(), about.len());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(&path)
            && (known.modified, known.len) == (modified, len)
        {
            return known.clip.clone();
        }
        let clip = read(&path, len)
            .inspect_err(|reason| tracing::warn!(file = %path.display(), "recorded name cannot be played: {reason}"))
            .ok();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(path, Kept { modified, len, clip: clip.clone() });
        clip
    }
}

fn read(path: &Path, len: u64) -> Result<Clip, String> {
    if len > MAX_FILE_BYTES {
        return Err(format!("{len} bytes; a name has at most {MAX_FILE_BYTES}"));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    decode(&bytes, LONGEST_NAME).map_err(|error: WavError| error.to_string())
}

/// The file of a person. An address may hold `/` and dots (RFC 5321 section 4.1.2); a file name of ours never leaves the
/// folder.
fn file_name(person: &str) -> Option<String> {
    let plain = |c: char| c.is_alphanumeric() || "!#$%&'*+-=?^_`{|}~.@".contains(c);
    let fits = !person.is_empty() && person.len() <= 250 && !person.starts_with('.') && person.chars().all(plain);
    fits.then(|| format!("{person}.wav"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_never_leaves_the_folder() {
        for person in ["../secret", "a/b@c", "..", ".hidden@c", "a\\b@c", "", "a\0b@c", "/etc/passwd", "a b@c"] {
            assert_eq!(file_name(person), None, "{person:?}");
        }
        assert_eq!(file_name("anna@contoso.example").unwrap(), "anna@contoso.example.wav");
    }

    #[test]
    fn names_come_and_go_while_we_run() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::new(folder.path());
        assert!(names.clip("anna@contoso.example").is_none());
        let file = folder.path().join("anna@contoso.example.wav");
        fs::copy("../templates/prompts/names/anna@contoso.example.wav", &file).unwrap();
        assert!(names.clip("anna@contoso.example").unwrap().duration() > Duration::from_millis(500));
        fs::write(&file, b"no sound").unwrap();
        assert!(names.clip("anna@contoso.example").is_none());
        fs::remove_file(&file).unwrap();
        assert!(names.clip("anna@contoso.example").is_none());
    }
}
