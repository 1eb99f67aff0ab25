//! A server of ours as a process of its own, on a core of its own.

use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::process::keep_this_thread_on;
use crate::children;

/// Time to end cleanly; then it is killed.
const FAREWELL: Duration = Duration::from_secs(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The process. Ends when dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) child: Child,
    /// Closes when we end, however we end.
    _stdin: Option<ChildStdin>,
}

impl Server {
    /// Starts this executable with these arguments, its standard streams as set up, on this core.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(core: Option<usize>, set_up: impl FnOnce(&mut Command) + Send) -> anyhow::Result<Self> {
        let executable = children::executable()?;
        // A process stays where the thread was that started it; ours must not.
        let started = std::thread::scope(|scope| {
            let start = || {
                if let Some(core) = core {
                    keep_this_thread_on(&[core])?;
                }
                let mut command = Command::new(executable);
                set_up(&mut command);
                std::os::unix::process::CommandExt::process_group(&mut command, 0);
                command.arg("--with-parent").stdin(Stdio::piped()).spawn().context("the server cannot be started")
            };
            scope.spawn(start).join()
        });
        let mut child = started.map_err(|_| anyhow::anyhow!("the server cannot be started"))??;
        let stdin = child.stdin.take();
        Ok(Self { child, _stdin: stdin })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(super) fn lives(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.pid()) {
            // It may have ended this very moment.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let mut waited = Duration::ZERO;
        while self.lives() && waited < FAREWELL {
            std::thread::park_timeout(LOOK_INTERVAL);
            waited += LOOK_INTERVAL;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
