//! What keeps the mixer's copy equal to ours, and fetches its call records.
//!
//! Hand-offs run from the outbox, each booking's last revision first and alone: a later state contains all earlier ones.
//! At the start and again every half minute both sides' lists are compared, so that whatever went wrong heals by itself.
//! The mixer may be down for days: bookings are made all the same, and all of this waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use connector_planner::handed_over;
use dialroom_booking::{Booking, BookingId, BookingState};
use dialroom_host::{Batch, Clock};
use futures_util::StreamExt;
use tokio::sync::Notify;

use crate::handoff::{Mixer, MixerError, Record, Taken};
use crate::metrics::Metrics;
use crate::shelf::Shelf;
use crate::store::{self, CallsMark, Keep, KeepError};

/// How often both lists are compared.
const COMPARE_INTERVAL: Duration = Duration::from_secs(30);
/// How often call records are asked for.
const RECORDS_INTERVAL: Duration = Duration::from_secs(1);
/// First pause after a failed hand-off, doubled up to the next: a mixer that comes back is served within seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// Hand-offs under way at a time.
const MAX_IN_FLIGHT: usize = 8;
/// Call records of one request.
const RECORDS_PAGE: usize = 500;

/// The two tasks that speak to the mixer share this.
#[derive(Clone, Debug)]
pub(crate) struct MixerLink {
    /// The way there.
    pub(crate) mixer: Mixer,
    /// The store.
    pub(crate) keep: Keep,
    /// Committed bookings.
    pub(crate) shelf: Arc<Shelf>,
    /// The clock.
    pub(crate) clock: Clock,
    /// Counts.
    pub(crate) metrics: Arc<Metrics>,
    /// Rung when hand-offs wait.
    pub(crate) waiting: Arc<Notify>,
}

impl MixerLink {
    /// Hands over, for good.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn run_hand_offs(self) -> Result<(), KeepError> {
        let mut failures = 0_u32;
        let mut compare_at = self.clock.instant();
        let mut strangers = 0;
        loop {
            let mut trouble = self.hand_over_waiting().await?;
            if self.clock.instant() >= compare_at {
                match self.compare().await {
                    Ok((differ, unknown)) => {
                        if unknown > std::mem::replace(&mut strangers, unknown) {
                            tracing::warn!(unknown, "the mixer holds bookings that we do not know; left as they are");
                        }
                        compare_at = self.clock.instant() + COMPARE_INTERVAL;
                        self.mark_differing(&differ).await?;
                        if !differ.is_empty() {
                            continue;
                        }
                    }
                    Err(error) => trouble = Some(error),
                }
            }
            let Some(error) = trouble else {
                if std::mem::take(&mut failures) > 0 {
                    tracing::info!("the mixer takes what it is told again");
                }
                tokio::select! {
                    () = self.waiting.notified() => {}
                    () = self.clock.sleep_until(compare_at) => {}
                }
                continue;
            };
            // Told once, or a mixer that is down for a weekend fills the log.
            if failures == 0 {
                tracing::warn!(%error, "the mixer does not take what it is told; it waits and is tried again");
            }
            failures = failures.saturating_add(1);
            let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(8)).min(MAX_PAUSE);
            // A mixer that refuses one booking may take the next.
            let others_may_go = matches!(error, MixerError::Refused(_));
            tokio::select! {
                () = self.waiting.notified(), if others_may_go => {}
                () = self.clock.sleep_until(self.clock.instant() + pause) => {}
            }
        }
    }

    /// Why something that waited was not taken.
    async fn hand_over_waiting(&self) -> Result<Option<MixerError>, KeepError> {
        let mut latest: BTreeMap<BookingId, Vec<u64>> = BTreeMap::new();
        for (id, revision) in self.keep.hand_offs()? {
            latest.entry(id).or_default().push(revision);
        }
        self.metrics.hand_offs_waiting.set(latest.len());
        let mut results = futures_util::stream::iter(latest)
            .map(|(id, revisions)| async move { self.hand_over(&id, &revisions).await })
            .buffer_unordered(MAX_IN_FLIGHT);
        let mut trouble = None;
        while let Some(failed) = results.next().await {
            trouble = failed?.or(trouble);
        }
        Ok(trouble)
    }

    async fn hand_over(&self, id: &BookingId, revisions: &[u64]) -> Result<Option<MixerError>, KeepError> {
        // Committed, but not on the shelf yet: the bell rings once it is.
        let Some(booking) = self.shelf.find(id) else { return Ok(None) };
        match self.tell(&booking).await {
            Ok(Taken::Yes | Taken::Newer) => self.metrics.hand_offs.add(),
            Ok(Taken::Conflict) => {
                self.metrics.hand_off_conflicts.add();
                let revision = booking.revision;
                tracing::error!(booking = %id, revision, "the mixer holds something else under this revision");
            }
            Err(error) => {
                self.metrics.hand_offs_failed.add();
                tracing::debug!(booking = %id, %error, "not handed over, it is tried again");
                return Ok(Some(error));
            }
        }
        let mut batch = Batch::default();
        // A revision above the shelf's was committed meanwhile; it stays, and the bell rings for it too.
        let told = revisions.iter().filter(|revision| **revision <= booking.revision);
        told.for_each(|revision| store::hand_off_done(&mut batch, id, *revision));
        self.keep.commit(batch).await?;
        Ok(None)
    }

    async fn tell(&self, booking: &Booking) -> Result<Taken, MixerError> {
        match booking.state {
            BookingState::Active => self.mixer.put(&handed_over(booking)).await,
            BookingState::LineClosed | BookingState::Cancelled => {
                self.mixer.delete(&booking.id, booking.revision).await
            }
        }
    }

    /// Bookings of which the mixer does not hold what it should, and how many it holds that we do not know.
    async fn compare(&self) -> Result<(Vec<Arc<Booking>>, usize), MixerError> {
        let theirs: HashMap<_, _> = self.mixer.list().await?.into_iter().map(|one| (one.id, one.revision)).collect();
        let now = self.clock.wall();
        let ours = self.shelf.all();
        let unknown = theirs.keys().filter(|id| self.shelf.find(id).is_none()).count();
        let differs = |booking: &Arc<Booking>| {
            let held = theirs.get(&booking.id).copied();
            let lives = booking.windows().any(|(_, window)| window.closes() > now);
            match booking.state {
                BookingState::Active => lives && held.is_none_or(|held| held < booking.revision),
                BookingState::LineClosed | BookingState::Cancelled => held.is_some_and(|held| held < booking.revision),
            }
        };
        Ok((ours.into_iter().filter(differs).collect(), unknown))
    }

    async fn mark_differing(&self, differ: &[Arc<Booking>]) -> Result<(), KeepError> {
        if differ.is_empty() {
            return Ok(());
        }
        tracing::info!(bookings = differ.len(), "the mixer lacks bookings, handing them over");
        let mut batch = Batch::default();
        differ.iter().for_each(|booking| store::put_hand_off(&mut batch, &booking.id, booking.revision));
        self.keep.commit(batch).await
    }

    /// Fetches call records, for good.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn run_records(self) -> Result<(), KeepError> {
        let mut acknowledged = 0;
        loop {
            match self.fetch_records(&mut acknowledged).await? {
                Ok(full_page) if full_page => {}
                Ok(_) => self.clock.sleep_until(self.clock.instant() + RECORDS_INTERVAL).await,
                Err(error) => {
                    tracing::debug!(%error, "no call records from the mixer");
                    self.clock.sleep_until(self.clock.instant() + MAX_PAUSE).await;
                }
            }
        }
    }

    /// Whether there may be more at once.
    async fn fetch_records(&self, acknowledged: &mut u64) -> Result<Result<bool, MixerError>, KeepError> {
        let mut mark = self.keep.calls_mark()?;
        let page = match self.mixer.records(mark.theirs, RECORDS_PAGE).await {
            Ok(page) => page,
            Err(error) => return Ok(Err(error)),
        };
        if page.last < mark.theirs && page.records.is_empty() {
            tracing::warn!("the mixer counts its call records anew; all it has are fetched");
            let mut batch = Batch::default();
            store::put_calls_mark(&mut batch, CallsMark { theirs: 0, ..mark });
            self.keep.commit(batch).await?;
            *acknowledged = 0;
            return Ok(Ok(page.last > 0));
        }
        if !page.records.is_empty() {
            self.keep_records(&page.records, &mut mark).await?;
        }
        // Also when nothing new came: an acknowledgement that was lost would let the mixer keep them beyond their time.
        if mark.theirs > *acknowledged {
            match self.mixer.acknowledge(mark.theirs).await {
                Ok(()) => *acknowledged = mark.theirs,
                Err(error) => tracing::debug!(%error, "call records not acknowledged; they are with the next page"),
            }
        }
        Ok(Ok(page.records.len() == RECORDS_PAGE))
    }

    async fn keep_records(&self, records: &[Record], mark: &mut CallsMark) -> Result<(), KeepError> {
        let mut batch = Batch::default();
        for record in records {
            mark.ours += 1;
            mark.theirs = record.n;
            store::put_call(&mut batch, mark.ours, &record.numbered(mark.ours));
            self.metrics.call_records.add();
        }
        store::put_calls_mark(&mut batch, *mark);
        self.keep.commit(batch).await
    }
}
