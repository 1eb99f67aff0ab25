//! Kamailio as a proxy in front of the mixer, and as the telephone system at which it registers.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::program::Program;

/// How long it may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running Kamailio. Ends with the test.
#[derive(Debug)]
pub struct Kamailio {
    program: Program,
    here: SocketAddr,
    /// Its configuration and its run-time files.
    _folder: tempfile::TempDir,
}

impl Kamailio {
    /// Starts it with a configuration of `tests/interop/`, in which each word of `@WORDS@` is replaced.
    pub async fn start(file: &str, here: SocketAddr, words: &[(&str, &str)], more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(file);
        let text = std::fs::read_to_string(source).expect("a configuration");
        let text = words.iter().fold(text.replace("@HERE@", &here.to_string()), |text, (word, value)| {
            text.replace(&format!("@{word}@"), value)
        });
        let configuration = folder.path().join("kamailio.cfg");
        std::fs::write(&configuration, text).expect("a file");
        // It must not outlive us, nor its children it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "kamailio", "-DD", "-E", "-m", "64", "-M", "8"]).args(more);
        command.arg("-f").arg(configuration).arg("-Y").arg(folder.path()).arg("-P").arg(folder.path().join("pid"));
        let mut path = std::env::var_os("PATH").unwrap_or_default();
        path.push(":/usr/sbin");
        let program = Program::start("kamailio", command.env("PATH", path));
        let kamailio = Self { program, here, _folder: folder };
        kamailio.until_it_answers().await;
        kamailio
    }

    async fn until_it_answers(&self) {
        // A listening TCP socket of its own is the last thing that it opens.
        crate::house::eventually("Kamailio listens", START_LIMIT, async || {
            tokio::net::TcpStream::connect(self.here).await.ok()
        })
        .await;
    }

    /// Where it takes SIP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.here
    }

    /// How often it has said this.
    #[must_use]
    pub fn count(&self, words: &str) -> usize {
        self.program.words().matches(words).count()
    }

    /// Waits until it has said this so often.
    pub async fn says(&self, words: &str, times: usize, limit: Duration) {
        crate::house::eventually(&format!("Kamailio says {words:?}"), limit, async || {
            (self.count(words) >= times).then_some(())
        })
        .await;
    }

    /// Ends it.
    pub async fn end(self) {
        let _ = self.program.end().await;
    }
}
