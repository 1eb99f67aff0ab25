//! A load, whatever server carries it: all calls come up, people talk, and what that costs is measured.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::bail;
use dialroom_host::Clock;
use tokio::sync::watch;

use super::figures::{Figures, Window};
use super::histogram::Histogram;
use super::options::Plan;
use super::ports::Ports;
use super::process::Snapshot;
use super::progress;
use super::sound::Sound;

/// From the beginning of the talk to what is measured: by then every talker has begun once.
pub(super) const TALK_BEFORE: Duration = Duration::from_secs(2);
/// How long the last call may take to be answered.
const ANSWER: Duration = Duration::from_secs(15);
/// From one line of progress to the next.
const TOLD_INTERVAL: Duration = Duration::from_secs(2);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const SET_UP_BIN: Duration = Duration::from_micros(500);

/// How calls of one kind are begun, followed and ended.
pub(super) trait Calls {
    /// Begins the call of a leg.
    ///
    /// # Errors
    /// When no ports are left, or nothing can be asked of the server.
    async fn place(&mut self, leg: usize, ports: &mut Ports) -> anyhow::Result<()>;

    /// Waits for what happens next, and takes note of it. Given up while it waits, it has missed nothing.
    ///
    /// # Errors
    /// When the sound or the signalling has ended.
    async fn follow(&mut self, sound: &mut Sound) -> anyhow::Result<()>;

    /// Takes note of what happens until then, or until it is time to stop.
    ///
    /// # Errors
    /// As for [`follow`](Self::follow).
    async fn follow_until(
        &mut self,
        deadline: Instant,
        sound: &mut Sound,
        stop: &mut watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let clock = Clock::real();
        loop {
            tokio::select! {
                biased;
                () = asked_to_stop(stop) => return Ok(()),
                followed = self.follow(sound) => followed?,
                () = clock.sleep_until(deadline) => return Ok(()),
            }
        }
    }

    /// Calls without an answer so far.
    fn waiting(&self) -> usize;

    /// Waits no longer for those; counts them as refused.
    fn give_up(&mut self);

    /// How long the keys take that each leg presses once it is up.
    ///
    /// # Errors
    /// When one of them is none.
    fn keys_take(&self) -> anyhow::Result<Duration>;

    /// What they came to so far.
    fn counts(&self) -> &Counts;

    /// Ends all calls, and waits for a while until the other side has taken note.
    async fn hang_up(self) -> Counts;
}

/// What calls came to.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    /// Answered.
    pub(super) up: usize,
    /// Refused or unanswered, by why.
    pub(super) refused: BTreeMap<String, usize>,
    /// Ended by the other side while they should have lasted.
    pub(super) dropped: usize,
    /// From asking to answer.
    pub(super) set_up: Histogram,
}

impl Default for Counts {
    fn default() -> Self {
        Self { up: 0, refused: BTreeMap::new(), dropped: 0, set_up: Histogram::new(SET_UP_BIN) }
    }
}

/// What carries the load.
#[derive(Debug)]
pub(super) struct Carrier {
    /// In the table.
    pub(super) name: String,
    /// Where it is, for people.
    pub(super) place: String,
    /// Our address on the way to it.
    pub(super) local: IpAddr,
    /// Its process, where that is known, and how it was before the first call.
    pub(super) process: Option<(u32, Snapshot)>,
}

/// Calls a server, lets people talk, and measures.
///
/// # Errors
/// When no call comes up, or the server's process or the signalling ends.
pub(super) async fn measure(
    plan: &Plan,
    carrier: Carrier,
    mut calls: impl Calls,
    stop: &mut watch::Receiver<bool>,
) -> anyhow::Result<Figures> {
    let Carrier { name, place, local, process } = carrier;
    let clock = Clock::real();
    let mut sound = Sound::start(plan.seating, plan.codec, plan.sound_threads())?;
    place_all(plan, &name, local, &mut calls, &mut sound, stop).await?;
    if calls.counts().up == 0 && !*stop.borrow() {
        let refused = calls.counts().refused.iter().map(|(why, count)| format!("{why} ({count} ×)"));
        bail!("no call came up at {place}: {}", refused.collect::<Vec<_>>().join(", "));
    }
    let settle = calls.keys_take()? + Duration::from_secs(plan.settle.into());
    calls.follow_until(clock.instant() + settle, &mut sound, stop).await?;
    sound.talk();
    calls.follow_until(clock.instant() + TALK_BEFORE, &mut sound, stop).await?;
    progress(&format!("{name}: {} calls up; {} s", calls.counts().up, plan.seconds));
    let window = Window::open(&sound, process.as_ref().map(|(pid, _)| *pid))?;
    calls.follow_until(clock.instant() + Duration::from_secs(plan.seconds.into()), &mut sound, stop).await?;
    let spent = window.close(&sound, process.as_ref().map(|(_, idle)| idle))?;
    let calls = calls.hang_up().await;
    Ok(Figures { name, seating: plan.seating, calls, spent, sound: sound.finish() })
}

/// Places all calls at an even pace, and waits until each is up or refused; or until it is time to stop.
async fn place_all(
    plan: &Plan,
    name: &str,
    local: IpAddr,
    calls: &mut impl Calls,
    sound: &mut Sound,
    stop: &mut watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (clock, legs, mut ports) = (Clock::real(), plan.seating.legs, Ports::new(local));
    let begun = clock.instant();
    let mut tell_at = begun;
    let mut tell = |up| {
        if clock.instant() >= tell_at {
            tell_at += TOLD_INTERVAL;
            progress(&format!("{name}: {up} of {legs} calls up"));
        }
    };
    for leg in 0..legs {
        let due = begun + Duration::from_secs(1).mul_f64(leg as f64 / f64::from(plan.ramp));
        calls.follow_until(due, sound, stop).await?;
        if *stop.borrow() {
            return Ok(());
        }
        calls.place(leg, &mut ports).await?;
        tell(calls.counts().up);
    }
    let patience = clock.instant() + ANSWER;
    while calls.waiting() > 0 && clock.instant() < patience && !*stop.borrow() {
        calls.follow_until((clock.instant() + LOOK_INTERVAL).min(patience), sound, stop).await?;
        tell(calls.counts().up);
    }
    calls.give_up();
    Ok(())
}

/// Whoever cannot ask any more does not need it either.
pub(super) async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending().await
    }
}
