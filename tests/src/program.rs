//! Programs that we did not write, and what they say.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::house::eventually;

/// How much of its words a failed test shows.
const TAIL_LINES: usize = 40;

/// A program that runs until the test is over.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    child: Child,
    words: PathBuf,
    /// Holds `words`.
    _folder: tempfile::TempDir,
}

impl Program {
    /// Starts it; everything it says is kept.
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn start(name: &'static str, command: &mut Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let words = folder.path().join("words");
        let out = std::fs::File::create(&words).expect("a file");
        let err = out.try_clone().expect("a file");
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command.spawn().unwrap_or_else(|why| panic!("{name}: {why}"));
        Self { name, child, words, _folder: folder }
    }

    /// Everything it has said so far.
    #[must_use]
    pub fn words(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.words).unwrap_or_default()).into_owned()
    }

    /// Waits until it has said this.
    pub async fn says(&self, words: &str, limit: Duration) {
        let what = format!("{}: {words:?}", self.name);
        eventually(&what, limit, async || self.words().contains(words).then_some(())).await;
    }

    /// Its process id; 0 once it has ended.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default()
    }

    /// Asks it to end and waits; answers whether it ended well, and what it said.
    pub async fn end(mut self) -> (bool, String) {
        self.ask_to_end();
        self.wait(Duration::from_secs(20)).await
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self, limit: Duration) -> (bool, String) {
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        let Ok(ended) = ended else { panic!("{} does not end:\n{}", self.name, self.tail()) };
        (ended.expect("it ran").success(), self.words())
    }

    fn ask_to_end(&self) {
        if self.pid() > 0 {
            let pid = nix::unistd::Pid::from_raw(self.pid());
            // It may have ended this very moment.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        }
    }

    fn tail(&self) -> String {
        let words = self.words();
        let lines: Vec<_> = words.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

/// Ends with the test: asked, not killed, for some have children of their own. A failed test tells what it had to say.
impl Drop for Program {
    fn drop(&mut self) {
        self.ask_to_end();
        if std::thread::panicking() {
            eprintln!("--- the end of what {} said\n{}", self.name, self.tail());
        }
    }
}

/// Whether the command is there.
#[must_use]
pub fn is_installed(command: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into()]).any(|folder| folder.join(command).exists())
}

/// The first line that `command flag` prints, for the figures: who was tried.
pub async fn version(command: &str, flag: &str) -> String {
    let output = Command::new(command).arg(flag).output().await.map(|output| [output.stdout, output.stderr].concat());
    let text = output.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("not installed").to_owned()
}
