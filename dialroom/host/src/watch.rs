//! A file that somebody may change while we run.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How often it is looked at. Looking costs one system call.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Tells when a file was changed: by a look every two seconds, which works on every file system and through every way of
/// saving (write, rename, link).
#[derive(Debug)]
pub struct FileWatch {
    path: PathBuf,
    seen: Option<Stamp>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    len_bytes: u64,
}

impl FileWatch {
    /// Watches `path` from its present state on.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let seen = stamp(&path);
        Self { path, seen }
    }

    /// Returns when the file has changed since the last look. A file that vanishes is no change; its return is.
    pub async fn changed(&mut self) {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            if self.look() {
                return;
            }
        }
    }

    fn look(&mut self) -> bool {
        let now = stamp(&self.path);
        let changed = now.is_some() && now != self.seen;
        if changed {
            self.seen = now;
        }
        changed
    }
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), len_bytes: metadata.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_change_and_a_return() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dialroom.toml");
        fs::write(&path, "a").unwrap();
        let mut watch = FileWatch::new(path.clone());
        assert!(!watch.look());
        fs::write(&path, "ab").unwrap();
        assert!(watch.look() && !watch.look());
        fs::remove_file(&path).unwrap();
        assert!(!watch.look());
        fs::write(&path, "abc").unwrap();
        assert!(watch.look());
    }
}
