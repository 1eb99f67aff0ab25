//! A folder for the settings and the log of a server that a bench starts; it goes with the server.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Lines at the end of a log that say why a server does not start.
const LOG_END_LINES: usize = 5;
/// What is shown of each of them, in characters.
const LOG_LINE_MAX: usize = 300;

/// The folder, below the system's one for what is temporary. One at a time. Goes when dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it, empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("dialroom-bench-{}", std::process::id()));
        // What an earlier bench with this process id left, should it have been killed.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).with_context(|| format!("the folder {} cannot be made", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn log(&self) -> PathBuf {
        self.0.join("server.log")
    }

    /// An empty log.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn make_log(&self) -> anyhow::Result<fs::File> {
        fs::File::create(self.log()).context("the log cannot be written")?;
        self.add_to_log()
    }

    /// The same log once more, for a second stream.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn add_to_log(&self) -> anyhow::Result<fs::File> {
        fs::File::options().append(true).open(self.log()).context("the log cannot be written")
    }

    /// The last lines of the log.
    pub(super) fn log_end(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let mut end: Vec<String> =
            log.lines().rev().take(LOG_END_LINES).map(|line| line.chars().take(LOG_LINE_MAX).collect()).collect();
        end.reverse();
        end.join("\n")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
