//! Connector and mixer as child processes of this executable: started, started again when they end, ended with us.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use dialroom_host::Clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

/// Pause before the first restart, and the longest one; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A child that ran so long starts again with the first pause.
const SETTLED: Duration = Duration::from_secs(30);
/// Time to end cleanly; then it is killed.
const FAREWELL: Duration = Duration::from_secs(10);

/// What runs as a child.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// `connector` or `mixer`.
    pub(crate) name: &'static str,
    /// Behind the name.
    pub(crate) arguments: Vec<OsString>,
    /// Takes its standard error; `None`: ours.
    pub(crate) log: Option<PathBuf>,
}

/// A program that is kept running until it is ended.
#[derive(Debug)]
pub(crate) struct Kept {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Kept {
    /// Starts it, and again whenever it ends; `started` hears of every process id.
    ///
    /// # Errors
    /// When the first start fails.
    pub(crate) fn start(program: Program, started: impl Fn(u32) + Send + 'static) -> anyhow::Result<Self> {
        let first = spawn(&program)?;
        started(first.child.id().unwrap_or_default());
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(keep(program, first, started, stopped));
        Ok(Self { stop, task })
    }

    /// Asks it to end and waits until it has.
    pub(crate) async fn end(self) {
        // The receiver lives in the task; an ended task has ended its child.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn keep(
    program: Program,
    first: Tied,
    started: impl Fn(u32) + Send + 'static,
    mut stopped: watch::Receiver<bool>,
) {
    let clock = Clock::real();
    let (mut child, mut since, mut pause) = (Some(first), clock.instant(), FIRST_PAUSE);
    loop {
        if let Some(running) = &mut child {
            let ended = tokio::select! {
                ended = running.child.wait() => Some(ended),
                () = asked_to_stop(&mut stopped) => None,
            };
            let Some(ended) = ended else { return farewell(&mut running.child).await };
            let how = ended.map_or_else(|why| why.to_string(), |status| status.to_string());
            tracing::warn!(program = program.name, how, "ended; it is started again");
        }
        if clock.instant().duration_since(since) >= SETTLED {
            pause = FIRST_PAUSE;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = asked_to_stop(&mut stopped) => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        since = clock.instant();
        child = match spawn(&program) {
            Ok(tied) => {
                started(tied.child.id().unwrap_or_default());
                Some(tied)
            }
            Err(why) => {
                tracing::error!(program = program.name, %why, "cannot be started; tried again");
                None
            }
        };
    }
}

/// Whoever cannot ask any more does not need it either.
async fn asked_to_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// A child, and the tie that tells it of our end.
struct Tied {
    child: Child,
    _stdin: Option<ChildStdin>,
}

fn spawn(program: &Program) -> anyhow::Result<Tied> {
    let mut command = Command::new(executable()?);
    command.arg(program.name).args(&program.arguments).arg("--with-parent");
    // Standard input is the tie to us: it closes when we end, however we end.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
    // A process group of its own, so that Ctrl-C reaches the parent alone, which then ends its children in order.
    command.process_group(0);
    if let Some(log) = &program.log {
        let file = File::options().create(true).append(true).open(log);
        command.stderr(file.with_context(|| format!("the log {} cannot be opened", log.display()))?);
    }
    let mut child = command.spawn().with_context(|| format!("{} cannot be started", program.name))?;
    // Waiting for a child closes its standard input, unless somebody else holds it.
    let stdin = child.stdin.take();
    Ok(Tied { child, _stdin: stdin })
}

/// Where this program lies. Looked up once: after an upgrade has replaced the file, the system says "(deleted)" behind its
/// name, and by that name neither a child nor a command that people copy could be started.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn executable() -> anyhow::Result<&'static Path> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let found = std::env::current_exe().context("this executable cannot be found")?;
    Ok(FOUND.get_or_init(|| found))
}

async fn farewell(child: &mut Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended this very moment.
        let _ = kill(pid, Signal::SIGTERM);
    }
    if tokio::time::timeout(FAREWELL, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// Ends this process, cleanly if it can, once its standard input closes: the parent is gone.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn end_with_parent() -> anyhow::Result<()> {
    let watch = || {
        let mut nothing = [0; 16];
        while std::io::stdin().read(&mut nothing).is_ok_and(|read| read > 0) {}
        let _ = kill(Pid::this(), Signal::SIGTERM);
        std::thread::park_timeout(FAREWELL);
        let _ = kill(Pid::this(), Signal::SIGKILL);
    };
    std::thread::Builder::new().name("parent".to_owned()).spawn(watch).context("no thread can be started")?;
    Ok(())
}
