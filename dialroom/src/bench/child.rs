//! A server as a process of its own, on a core of its own: one of ours, or a program that others wrote.

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
    /// Ends what knows nothing of us, should we be killed.
    guard: Option<Child>,
}

impl Server {
    /// Starts this executable with these arguments, its standard streams as set up, on this core.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(core: Option<usize>, set_up: impl FnOnce(&mut Command)) -> anyhow::Result<Self> {
        let mut command = Command::new(children::executable()?);
        set_up(&mut command);
        command.arg("--with-parent").stdin(Stdio::piped());
        let mut child = spawn_on(core, &mut command).context("the server cannot be started")?;
        let stdin = child.stdin.take();
        Ok(Self { child, _stdin: stdin, guard: None })
    }

    /// Starts a program that is not ours on this core.
    ///
    /// # Errors
    /// When it cannot be started, or nothing (`sh`) that would end it should we be killed.
    pub(super) fn start_other(core: Option<usize>, command: &mut Command) -> anyhow::Result<Self> {
        let child = spawn_on(core, command.stdin(Stdio::null()))
            .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        let mut server = Self { child, _stdin: None, guard: None };
        server.guard = Some(guard(server.pid())?);
        Ok(server)
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
        // First, while the process id is still the child's.
        if let Some(mut guard) = self.guard.take() {
            let _ = guard.kill();
            let _ = guard.wait();
        }
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

fn spawn_on(core: Option<usize>, command: &mut Command) -> anyhow::Result<Child> {
    // Ctrl-C at the terminal is for us; we end our children in our own order.
    std::os::unix::process::CommandExt::process_group(command, 0);
    let spawn = || {
        if let Some(core) = core {
            keep_this_thread_on(&[core])?;
        }
        anyhow::Ok(command.spawn()?)
    };
    // A process stays where the thread was that started it; ours must not.
    let started = std::thread::scope(|scope| scope.spawn(spawn).join());
    started.map_err(|_| anyhow::anyhow!("the thread that starts it has ended"))?
}

/// A process that ends another one as soon as its standard input closes, which it does when we end, however we end.
fn guard(pid: u32) -> anyhow::Result<Child> {
    let mut command = Command::new("sh");
    command.args(["-c", "read -r _; kill \"$0\"", &pid.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().context("sh, which would end the server with us, cannot be started")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than the test takes, and no burden should it fail.
    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("30");
        command
    }

    fn runs(pid: u32) -> bool {
        std::path::Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn a_program_of_others_and_its_guard_end_when_dropped() {
        let server = Server::start_other(None, &mut sleeper()).unwrap();
        let pids = [server.pid(), server.guard.as_ref().unwrap().id()];
        assert!(pids.into_iter().all(runs));
        drop(server);
        assert!(!pids.into_iter().any(runs));
    }

    #[test]
    fn a_guard_ends_its_program_when_nobody_holds_it_any_more() {
        use std::os::unix::process::ExitStatusExt as _;
        let mut child = sleeper().spawn().unwrap();
        let mut guard = guard(child.id()).unwrap();
        // What happens to it when we are killed.
        drop(guard.stdin.take());
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        guard.wait().unwrap();
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = Server::start_other(None, &mut Command::new("/no/such/program")).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such/program cannot be started"), "{error:#}");
    }
}
