//! Letters on their way: each until the mail server took it, never twice by our doing.
//!
//! A letter is durable before it comes here, and marked as accepted right after the server's yes. Between the two lies
//! the one window that every SMTP sender has; a repeat out of it carries the same Message-ID. Letters to one person about
//! one booking go in their order, everything else side by side: a dead address delays nobody else.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use dialroom_booking::{Booking, BookingId, EmailAddress};
use dialroom_host::{Batch, Clock};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::store::{self, GivenUp, Keep, KeepError, MailKey, MailRow, MailSent};

/// Letters being offered at a time; the mailer has its own bound on connections.
const MAX_IN_FLIGHT: usize = 8;
/// Pause after a first failure; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause: a server that comes back is found within a minute.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// A mail that no server took for so long is given up, and the administrator sees it; mail servers wait as long.
const LONGEST_WAIT: TimeDelta = TimeDelta::days(5);

/// A letter with the booking it tells of.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    /// The letter.
    pub(crate) row: MailRow,
    /// The booking in that revision; `None` for a refusal.
    pub(crate) booking: Option<Arc<Booking>>,
}

/// Writes a letter and hands it to the mail server.
#[async_trait]
pub(crate) trait Post: Send + Sync {
    /// Offers it once.
    async fn post(&self, posted: &Posted, message_id: &str) -> Result<(), PostError>;
    /// Domain for Message-IDs.
    fn domain(&self) -> String;
}

/// Why a letter was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PostError {
    /// Another try gives the same.
    #[error("{0}")]
    Permanent(String),
    /// Try again later.
    #[error("{0}")]
    Temporary(String),
    /// Offered whole, no answer: one more try at most.
    #[error("{0}")]
    AfterData(String),
}

type LaneKey = (BookingId, EmailAddress);

#[derive(Debug, Default)]
struct Lane {
    letters: VecDeque<Posted>,
    failures: u32,
}

/// What became of one try.
enum Tried {
    /// Accepted or given up, and durably so.
    Done,
    /// To be tried again; perhaps it was accepted.
    Again { perhaps_accepted: bool },
}

/// The task that sends.
pub(crate) struct Outbox {
    keep: Keep,
    clock: Clock,
    metrics: Arc<Metrics>,
    post: Arc<dyn Post>,
    lanes: HashMap<LaneKey, Lane>,
    ready: VecDeque<LaneKey>,
    paused: BinaryHeap<Reverse<(Instant, LaneKey)>>,
}

impl Outbox {
    /// An outbox with all that the store says is still to be sent.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn open(
        keep: Keep,
        clock: Clock,
        metrics: Arc<Metrics>,
        post: Arc<dyn Post>,
    ) -> Result<Self, KeepError> {
        let rows = keep.mails()?;
        let mut outbox = Self {
            keep,
            clock,
            metrics,
            post,
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            paused: BinaryHeap::new(),
        };
        let mut bookings: HashMap<(BookingId, u64), Option<Arc<Booking>>> = HashMap::new();
        for row in rows {
            let (id, revision) = (row.key.booking.clone(), row.key.revision);
            let booking = match bookings.get(&(id.clone(), revision)) {
                Some(booking) => booking.clone(),
                None => {
                    let booking = outbox.keep.mail_booking(&id, revision)?.map(Arc::new);
                    bookings.insert((id, revision), booking.clone());
                    booking
                }
            };
            outbox.take(Posted { row, booking });
        }
        Ok(outbox)
    }

    /// Sends until `stopping`; a letter that is being offered then is still seen through, or its next offer would be its
    /// second.
    ///
    /// # Errors
    /// When the store takes no more: without it nothing can be marked as sent, so nothing may be.
    pub(crate) async fn run(
        mut self,
        mut posted: mpsc::UnboundedReceiver<Posted>,
        stopping: CancellationToken,
    ) -> Result<(), KeepError> {
        let mut trials: JoinSet<(LaneKey, Result<Tried, KeepError>)> = JoinSet::new();
        loop {
            if stopping.is_cancelled() && trials.is_empty() {
                return Ok(());
            }
            while !stopping.is_cancelled()
                && trials.len() < MAX_IN_FLIGHT
                && let Some(key) = self.ready.pop_front()
            {
                if let Some(letter) = self.lanes.get(&key).and_then(|lane| lane.letters.front()) {
                    let trial = self.trial();
                    let letter = letter.clone();
                    trials.spawn(async move { (key, trial.offer(letter).await) });
                }
            }
            self.metrics.mails_waiting.set(self.lanes.values().map(|lane| lane.letters.len()).sum());
            let wake = self.paused.peek().map(|Reverse((at, _))| *at);
            tokio::select! {
                () = stopping.cancelled(), if !stopping.is_cancelled() => {}
                letter = posted.recv(), if !stopping.is_cancelled() => match letter {
                    Some(letter) => self.take(letter),
                    None => return Ok(()),
                },
                Some(tried) = trials.join_next() => match tried {
                    Ok((key, tried)) => self.settle(key, tried?),
                    Err(error) => tracing::error!(%error, "a letter could not be offered; it waits for the next start"),
                },
                () = sleep_until(&self.clock, wake), if wake.is_some() && !stopping.is_cancelled() => self.wake(),
            }
        }
    }

    fn take(&mut self, posted: Posted) {
        let key = (posted.row.key.booking.clone(), posted.row.key.recipient.clone());
        let lane = self.lanes.entry(key.clone()).or_default();
        lane.letters.push_back(posted);
        if lane.letters.len() == 1 {
            self.ready.push_back(key);
        }
    }

    fn settle(&mut self, key: LaneKey, tried: Tried) {
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        match tried {
            Tried::Done => {
                lane.letters.pop_front();
                lane.failures = 0;
                if lane.letters.is_empty() {
                    self.lanes.remove(&key);
                } else {
                    self.ready.push_back(key);
                }
            }
            Tried::Again { perhaps_accepted } => {
                if let Some(front) = lane.letters.front_mut() {
                    front.row.perhaps_accepted |= perhaps_accepted;
                }
                lane.failures += 1;
                let pause = FIRST_PAUSE.saturating_mul(1 << (lane.failures - 1).min(10)).min(MAX_PAUSE);
                self.paused.push(Reverse((self.clock.instant() + pause, key)));
            }
        }
    }

    fn wake(&mut self) {
        let now = self.clock.instant();
        while self.paused.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((_, key))) = self.paused.pop() {
                self.ready.push_back(key);
            }
        }
    }

    fn trial(&self) -> Trial {
        Trial {
            keep: self.keep.clone(),
            clock: self.clock.clone(),
            metrics: Arc::clone(&self.metrics),
            post: Arc::clone(&self.post),
        }
    }
}

async fn sleep_until(clock: &Clock, wake: Option<Instant>) {
    if let Some(wake) = wake {
        clock.sleep_until(wake).await;
    }
}

/// One try of one letter.
struct Trial {
    keep: Keep,
    clock: Clock,
    metrics: Arc<Metrics>,
    post: Arc<dyn Post>,
}

impl Trial {
    async fn offer(self, mut letter: Posted) -> Result<Tried, KeepError> {
        let key = letter.row.key.clone();
        if self.keep.mail_sent(&key)?.is_some() {
            return Ok(Tried::Done);
        }
        let message_id = message_id(&key, &self.post.domain());
        match self.post.post(&letter, &message_id).await {
            Ok(()) => {
                self.metrics.mails_accepted.add();
                tracing::info!(booking = %key.booking, revision = key.revision, "mail accepted");
                self.done(&key, message_id, None).await
            }
            Err(PostError::Temporary(why)) if !is_overdue(letter.row.queued_at, self.clock.wall()) => {
                self.metrics.mails_failed.add();
                tracing::warn!(booking = %key.booking, %why, "mail not taken, it is tried again");
                Ok(Tried::Again { perhaps_accepted: false })
            }
            Err(PostError::AfterData(why)) if !letter.row.perhaps_accepted => {
                self.metrics.mails_failed.add();
                tracing::warn!(booking = %key.booking, %why, "no answer after a mail was sent; once more with the same id");
                letter.row.perhaps_accepted = true;
                let mut batch = Batch::default();
                store::put_mail(&mut batch, &letter.row);
                self.keep.commit(batch).await?;
                Ok(Tried::Again { perhaps_accepted: true })
            }
            Err(PostError::AfterData(why) | PostError::Permanent(why) | PostError::Temporary(why)) => {
                self.metrics.mails_refused.add();
                let to = key.recipient.masked();
                let told = why.replace(key.recipient.as_str(), &to);
                tracing::error!(booking = %key.booking, %to, why = %told, "mail given up; see GET /api/v1/diagnostics");
                self.done(&key, message_id, Some(why)).await
            }
        }
    }

    async fn done(&self, key: &MailKey, message_id: String, given_up: Option<String>) -> Result<Tried, KeepError> {
        let (mut batch, at) = (Batch::default(), self.clock.wall());
        if let Some(why) = &given_up {
            let mail = GivenUp { at, booking: key.booking.clone(), to: key.recipient.clone(), why: why.clone() };
            self.keep.put_given_up(&mut batch, key, &mail)?;
        }
        store::mail_done(&mut batch, key, &MailSent { at, message_id, given_up });
        self.keep.commit(batch).await?;
        // Looked for after the commit: of two letters that end together, the later sees that none is left.
        if !self.keep.mails_wait(&key.booking, key.revision) {
            let mut batch = Batch::default();
            store::remove_mail_booking(&mut batch, &key.booking, key.revision);
            self.keep.commit(batch).await?;
        }
        Ok(Tried::Done)
    }
}

/// The same for every try of one letter, another for every other letter.
fn message_id(key: &MailKey, domain: &str) -> String {
    let MailKey { booking, revision, resend, recipient } = key;
    let sum = Sha256::digest(format!("{booking}\n{revision}\n{resend}\n{recipient}"));
    let text: String = sum[..20].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{text}@{domain}")
}

fn is_overdue(queued_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - queued_at >= LONGEST_WAIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_offered_for_five_days() {
        let queued_at = DateTime::from_timestamp(1_795_683_600, 0).unwrap();
        assert!(!is_overdue(queued_at, queued_at + LONGEST_WAIT - TimeDelta::seconds(1)));
        assert!(is_overdue(queued_at, queued_at + LONGEST_WAIT));
    }
}
