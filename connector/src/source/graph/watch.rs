//! The life of one watched mailbox: subscribe, take a round in, wait for the next reason to look.
//!
//! The first hint is followed at once. Hints that come while a round runs are followed by one more round, and rounds
//! keep a short distance, so that a burst of notifications costs a few rounds and its last change is never left lying.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::Timelike;
use dialroom_booking::EmailAddress;
use dialroom_host::{Batch, Clock};
use dialroom_settings::Settings;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::{GraphClient, GraphError};
use super::delta::{Mailbox, RoundError, Rounds};
use super::subscriptions::{self, Subscription};
use super::webhook::{Bell, Doorbells};
use crate::directory::Directory;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::shelf::Shelf;
use crate::store::{self, Keep, KeepError, SyncState};

/// Least time between the starts of two rounds over one mailbox.
const MIN_DISTANCE: Duration = Duration::from_millis(100);
/// Where notifications arrive, some are lost; this finds what they left.
const SAFETY_POLL: Duration = Duration::from_secs(300);
/// Pause after a first failed round; doubled up to the next.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Pause after a subscription that could not be made; until then the mailbox is polled.
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(60);
/// Path of the webhook below `http.public_url`.
pub(crate) const WEBHOOK_PATH: &str = "/graph/notifications";

/// What watching needs.
#[derive(Clone, Debug)]
pub(crate) struct Watching {
    /// Asks Graph.
    pub(crate) graph: GraphClient,
    /// Decides.
    pub(crate) pipeline: Pipeline,
    /// Knows people.
    pub(crate) directory: Directory,
    /// Committed bookings.
    pub(crate) shelf: Arc<Shelf>,
    /// The store.
    pub(crate) keep: Keep,
    /// The settings of the moment.
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    /// The clock.
    pub(crate) clock: Clock,
    /// Counts.
    pub(crate) metrics: Arc<Metrics>,
    /// Bells that notifications ring.
    pub(crate) doorbells: Arc<Doorbells>,
    /// How many mailboxes were not yet looked at since the start.
    pub(crate) unread: Arc<AtomicUsize>,
}

/// Watches the mailboxes that the settings name, as they name them.
///
/// # Errors
/// When the store fails.
pub(crate) async fn watch(watching: Watching) -> Result<(), KeepError> {
    let mut settings = watching.settings.clone();
    let mut tasks: JoinSet<Result<(), KeepError>> = JoinSet::new();
    let mut running = HashMap::new();
    // Those of the start are counted as unread before anybody can ask whether we are ready.
    let mut counted = mailboxes(&settings.borrow());
    loop {
        let wanted = mailboxes(&settings.borrow_and_update());
        running.retain(|address: &EmailAddress, task: &mut tokio::task::AbortHandle| {
            // One that ended by a fault of ours begins anew.
            let stays = wanted.contains(address) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for address in wanted {
            if let Entry::Vacant(place) = running.entry(address) {
                if !counted.contains(place.key()) {
                    watching.unread.fetch_add(1, Ordering::Relaxed);
                }
                let task = Task::new(watching.clone(), place.key().clone());
                place.insert(tasks.spawn(task.run()));
            }
        }
        counted.clear();
        tokio::select! {
            changed = settings.changed() => match changed {
                Ok(()) => watching.doorbells.look_anew(),
                Err(_) => return Ok(()),
            },
            Some(ended) = tasks.join_next() => match ended {
                Ok(ended) => ended?,
                Err(fault) if fault.is_panic() => {
                    tracing::error!("watching a mailbox failed by a fault of ours; it begins anew");
                    watching.clock.sleep_until(watching.clock.instant() + FIRST_PAUSE).await;
                }
                // No longer wanted.
                Err(_) => {}
            },
        }
    }
}

/// Every mailbox that these settings have watched, each once.
pub(crate) fn mailboxes(settings: &Settings) -> Vec<EmailAddress> {
    let Some(graph) = &settings.graph else { return Vec::new() };
    let mut wanted: Vec<_> = graph.mailboxes.iter().chain(&graph.resource_mailbox).cloned().collect();
    wanted.sort();
    wanted.dedup();
    wanted
}

/// One mailbox.
struct Task {
    watching: Watching,
    address: EmailAddress,
    bell: Arc<Bell>,
    rounds: Rounds,
    subscription: Option<Subscription>,
    /// Graph asked for a renewal, whatever the calendar says.
    care: bool,
    /// No subscription is asked for before: a moment ago none was to be had.
    subscribe_at: Instant,
    looked: bool,
}

impl Drop for Task {
    /// Whoever asks whether all mailboxes were looked at does not wait for one that is not watched any more.
    fn drop(&mut self) {
        self.mark_looked();
    }
}

impl Task {
    fn new(watching: Watching, address: EmailAddress) -> Self {
        let Watching { graph, pipeline, directory, shelf, metrics, .. } = watching.clone();
        let rounds = Rounds { graph, pipeline, directory, shelf, metrics };
        let bell = watching.doorbells.bell(&address);
        let subscribe_at = watching.clock.instant();
        Self { watching, address, bell, rounds, subscription: None, care: false, subscribe_at, looked: false }
    }

    async fn run(mut self) -> Result<(), KeepError> {
        let mailbox = self.identify().await;
        self.subscription = self.watching.keep.subscription(&self.address)?;
        if let Some(held) = &self.subscription {
            self.watching.doorbells.open(&held.id, &held.client_state, Arc::clone(&self.bell));
        }
        let clock = self.watching.clock.clone();
        let mut failures = 0_u32;
        loop {
            // Before looking: what changes between the two is then notified.
            if clock.instant() >= self.subscribe_at && !self.subscribe(&mailbox).await? {
                self.subscribe_at = clock.instant() + SUBSCRIBE_AGAIN;
            }
            let begun = clock.instant();
            let pause = self.look(&mailbox).await?;
            self.mark_looked();
            match pause {
                Some(asked) => {
                    failures += 1;
                    let own = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(10)).min(MAX_PAUSE);
                    clock.sleep_until(clock.instant() + own.min(FIRST_PAUSE).max(asked)).await;
                    // What Graph asked for is over; what we chose ourselves ends when there is news.
                    tokio::select! {
                        () = self.bell.look.notified() => {}
                        () = clock.sleep_until(begun + own) => {}
                    }
                }
                None => {
                    failures = 0;
                    self.wait().await;
                    clock.sleep_until(begun + MIN_DISTANCE).await;
                }
            }
        }
    }

    fn mark_looked(&mut self) {
        if !std::mem::replace(&mut self.looked, true) {
            self.watching.unread.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Finds out whose mailbox it is; asks until it is told.
    async fn identify(&mut self) -> Mailbox {
        let mut pause = FIRST_PAUSE;
        loop {
            let settings = Arc::clone(&self.watching.settings.borrow());
            match self.watching.directory.object_id(&settings, &self.address).await {
                Ok(Some(id)) => return Mailbox { address: self.address.clone(), id },
                Ok(None) => tracing::warn!(mailbox = %self.address, "no such user in the tenant, or not ours to read"),
                Err(error) => tracing::warn!(mailbox = %self.address, %error, "cannot find the mailbox"),
            }
            self.mark_looked();
            self.watching.directory.forget(&self.address);
            self.watching.clock.sleep_until(self.watching.clock.instant() + pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Makes sure there is a subscription where there should be; whether all is well.
    async fn subscribe(&mut self, mailbox: &Mailbox) -> Result<bool, KeepError> {
        let Some(url) = self.notification_url() else {
            self.care = false;
            return Ok(true);
        };
        let now = self.watching.clock.wall();
        let held = self.subscription.clone();
        if !self.care && held.as_ref().is_some_and(|held| held.notification_url == url && held.renew_at() > now) {
            return Ok(true);
        }
        let Watching { graph, clock, .. } = &self.watching;
        match subscriptions::ensure(graph, clock, &mailbox.id, &url, held.clone()).await {
            Ok(subscription) => {
                if let Some(old) = held.filter(|old| old.id != subscription.id) {
                    self.watching.doorbells.close(&old.id);
                }
                let bell = Arc::clone(&self.bell);
                self.watching.doorbells.open(&subscription.id, &subscription.client_state, bell);
                let mut batch = Batch::default();
                store::put_subscription(&mut batch, &self.address, &subscription);
                self.watching.keep.commit(batch).await?;
                tracing::info!(mailbox = %self.address, until = %subscription.expires, "subscribed");
                self.subscription = Some(subscription);
                self.care = false;
                Ok(true)
            }
            Err(error) => {
                tracing::warn!(mailbox = %self.address, %error, "no subscription, the mailbox is polled");
                Ok(false)
            }
        }
    }

    fn notification_url(&self) -> Option<String> {
        let settings = self.watching.settings.borrow();
        let public = settings
            .http
            .public_url
            .as_ref()
            .filter(|_| settings.graph.as_ref().is_some_and(|graph| graph.notifications))?;
        Some(format!("{}{WEBHOOK_PATH}", public.trim_end_matches('/')))
    }

    /// Takes one round in; how long to pause when it failed.
    async fn look(&self, mailbox: &Mailbox) -> Result<Option<Duration>, KeepError> {
        let Watching { keep, clock, metrics, .. } = &self.watching;
        let now = clock.wall();
        let state = match keep.sync(&self.address)? {
            Some(state) => state,
            None => {
                // Durable before the first round: an entry made while that round fails is not older than it.
                // Whole seconds, as Graph counts: what is made in this second is not older than it.
                let first_sync = now.with_nanosecond(0).unwrap_or(now);
                let state = SyncState { first_sync, delta_link: None, full_at: now };
                let mut batch = Batch::default();
                store::put_sync(&mut batch, &self.address, &state);
                keep.commit(batch).await?;
                state
            }
        };
        let whole = self.bell.whole.swap(false, Ordering::Relaxed);
        let settings = Arc::clone(&self.watching.settings.borrow());
        match self.rounds.take(&settings, now, mailbox, &state, whole).await {
            Ok(next) => {
                metrics.rounds.add();
                if state.delta_link != next.delta_link || state.full_at != next.full_at {
                    let mut batch = Batch::default();
                    store::put_sync(&mut batch, &self.address, &next);
                    keep.commit(batch).await?;
                }
                Ok(None)
            }
            Err(error) => {
                metrics.failed_rounds.add();
                self.bell.whole.fetch_or(whole, Ordering::Relaxed);
                tracing::warn!(mailbox = %self.address, %error, "calendar not read, trying again");
                Ok(Some(match error {
                    RoundError::Graph(GraphError::Throttled { wait }) => wait,
                    RoundError::Graph(_)
                    | RoundError::Unreadable(_)
                    | RoundError::Stopping(_)
                    | RoundError::Endless => Duration::ZERO,
                }))
            }
        }
    }

    /// Returns when there is a reason to look again.
    async fn wait(&mut self) {
        let clock = &self.watching.clock;
        let now = clock.wall();
        // A subscription that the settings no longer want may live on at Graph, but is not relied upon.
        let url = self.notification_url();
        let wanted = |held: &&Subscription| held.expires > now && url.as_ref() == Some(&held.notification_url);
        let subscribed = self.subscription.as_ref().filter(|_| !self.care).filter(wanted);
        let seconds = self.watching.settings.borrow().graph.as_ref().map_or(60, |graph| graph.poll_seconds);
        let poll = if subscribed.is_some() { SAFETY_POLL } else { Duration::from_secs(u64::from(seconds)) };
        let renew_at = if self.care { Some(now) } else { subscribed.map(Subscription::renew_at) };
        let renewal = async {
            match renew_at {
                // One that is refused stays due; it is asked for again after its pause, not at once.
                Some(at) => {
                    clock.sleep_until_wall(at).await;
                    clock.sleep_until(self.subscribe_at).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.bell.look.notified() => {}
            () = self.bell.subscription.notified() => {
                self.care = true;
            }
            () = renewal => {}
            () = clock.sleep_until(clock.instant() + poll) => {}
        }
    }
}
