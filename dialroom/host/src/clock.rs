//! The only place that reads clocks.
//!
//! Wall time is the machine's, plus an offset in the demo. Sound and time-outs run on the monotonic clock, which no
//! offset ever touches.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

/// How often the demo's offset file is looked at: soon enough for a button to feel immediate.
const OFFSET_LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Longest sleep towards a wall deadline before looking again: somebody may set the machine's clock meanwhile.
const WALL_LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Tells the time; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Milliseconds that wall time runs ahead; `None` when it is the machine's own.
    ahead_ms: Option<watch::Receiver<i64>>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn real() -> Self {
        Self { ahead_ms: None }
    }

    /// The machine's clock plus the milliseconds that `offset_file` names, looked at again and again. The offset only
    /// ever grows; a missing or unreadable file leaves it as it was, 0 at first. Needs a runtime.
    #[must_use]
    pub fn following(offset_file: PathBuf) -> Self {
        let (sender, ahead_ms) = watch::channel(read_offset(&offset_file).unwrap_or(0).max(0));
        tokio::spawn(follow(offset_file, sender));
        Self { ahead_ms: Some(ahead_ms) }
    }

    /// Wall time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn wall(&self) -> DateTime<Utc> {
        let ahead_ms = self.ahead_ms.as_ref().map_or(0, |offset| *offset.borrow());
        Utc::now() + TimeDelta::milliseconds(ahead_ms)
    }

    /// Monotonic time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Returns once wall time has reached `deadline`, at once when it has.
    pub async fn sleep_until_wall(&self, deadline: DateTime<Utc>) {
        let mut offset = self.ahead_ms.clone();
        while let Ok(left) = (deadline - self.wall()).to_std()
            && !left.is_zero()
        {
            let nap = tokio::time::sleep(left.min(WALL_LOOK_INTERVAL));
            match &mut offset {
                None => nap.await,
                Some(offset) => tokio::select! {
                    () = nap => {}
                    // The sender lives as long as the runtime; its end means that nobody waits for us any more either.
                    changed = offset.changed() => if changed.is_err() { return },
                },
            }
        }
    }

    /// Returns once monotonic time has reached `deadline`, at once when it has.
    pub async fn sleep_until(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline.into()).await;
    }
}

async fn follow(file: PathBuf, sender: watch::Sender<i64>) {
    while !sender.is_closed() {
        tokio::time::sleep(OFFSET_LOOK_INTERVAL).await;
        take(&sender, read_offset(&file));
    }
}

fn take(sender: &watch::Sender<i64>, read: Option<i64>) {
    sender.send_if_modified(|held| {
        let grown = read.is_some_and(|read| read > *held);
        *held = read.unwrap_or(*held).max(*held);
        grown
    });
}

fn read_offset(file: &Path) -> Option<i64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_jump_wakes_sleepers() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("offset");
        let clock = Clock::following(file.clone());
        let deadline = clock.wall() + TimeDelta::hours(5);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until_wall(deadline).await }
        });
        std::fs::write(&file, "18000001").unwrap();
        sleeper.await.unwrap();
        assert!(clock.wall() >= deadline);
    }

    #[test]
    fn the_offset_never_goes_back() {
        let (sender, offset) = watch::channel(0);
        for (read, held) in [(Some(500), 500), (Some(5), 500), (None, 500), (Some(501), 501)] {
            take(&sender, read);
            assert_eq!(*offset.borrow(), held);
        }
    }

    #[tokio::test]
    async fn a_past_deadline_does_not_wait() {
        let clock = Clock::real();
        clock.sleep_until_wall(clock.wall() - TimeDelta::days(400)).await;
    }
}
