//! Call records: who was in, from when to when.
//!
//! A record is durable before anybody is told of it, gets the next number, and stays until it was acknowledged and
//! `privacy.call_records_days` have passed. Writing waits for nobody: the switchboard hands records to a queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_host::{Batch, Clock, Store, StoreError};
use mixer_conference::CallRecord;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::metrics::Metrics;

/// Records that wait for the store. A store that takes nothing for this many calls loses them, and says so.
const MAX_WAITING: usize = 10_000;
/// Records written by one commit.
const MAX_GROUP: usize = 256;
/// Records removed by one commit.
const MAX_REMOVED: usize = 1000;
/// How long to wait before a failed write is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

const RECORDS: &str = "records";
const MARKS: &str = "record-marks";
const LAST: &str = "last";
const ACKNOWLEDGED: &str = "acknowledged";

/// Every call record held; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    store: Store,
    marks: Arc<Marks>,
}

#[derive(Debug)]
struct Marks {
    /// Number of the last record that is durable; 0 when there was none.
    last: AtomicU64,
    /// Every record up to this one is known to the connector.
    acknowledged: AtomicU64,
}

/// Where the switchboard leaves records.
#[derive(Debug)]
pub(crate) struct RecordQueue {
    sender: mpsc::Sender<CallRecord>,
    metrics: Arc<Metrics>,
}

/// A record with its number, as `GET /v1/records` gives it.
#[derive(Debug, Serialize)]
pub(crate) struct Numbered {
    n: u64,
    #[serde(flatten)]
    record: CallRecord,
}

impl Records {
    /// Reads where numbering stands.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn load(store: Store) -> Result<Self, StoreError> {
        let mark = |name: &str| Ok(store.get(MARKS, name.as_bytes())?.map_or(0, |value| number(&value)));
        let (last, acknowledged) = (mark(LAST)?, mark(ACKNOWLEDGED)?);
        let marks = Marks { last: AtomicU64::new(last), acknowledged: AtomicU64::new(acknowledged) };
        Ok(Self { store, marks: Arc::new(marks) })
    }

    /// The queue, and the work of writing it down: ends when every queue handle is gone and all is written.
    pub(crate) fn queue(&self, clock: Clock, metrics: Arc<Metrics>) -> (RecordQueue, impl Future<Output = ()> + use<>) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        (RecordQueue { sender, metrics: Arc::clone(&metrics) }, self.clone().write_all(receiver, clock, metrics))
    }

    /// At most `limit` records behind number `after`, and the number of the last there is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn page(&self, after: u64, limit: usize) -> Result<(Vec<Numbered>, u64), StoreError> {
        // The store shows writes a moment before they are durable; nobody may see them earlier.
        let last = self.marks.last.load(Ordering::Acquire);
        let entries = self.store.scan_from(RECORDS, &after.to_be_bytes(), limit)?;
        let entries = entries.iter().map(|(key, value)| (number(key), value)).filter(|(n, _)| *n <= last);
        let read = |(n, value): (u64, &Vec<u8>)| match serde_json::from_slice(value) {
            Ok(record) => Some(Numbered { n, record }),
            Err(_) => {
                tracing::error!(n, "a stored call record cannot be read; it is passed over");
                None
            }
        };
        Ok((entries.filter_map(read).collect(), last))
    }

    /// Remembers that every record up to `n` is known to the connector. Gives `false` when there is no such record.
    ///
    /// # Errors
    /// When the store does not take it.
    pub(crate) async fn acknowledge(&self, n: u64) -> Result<bool, StoreError> {
        if n > self.marks.last.load(Ordering::Acquire) {
            return Ok(false);
        }
        if n > self.marks.acknowledged.load(Ordering::Acquire) {
            let mut batch = Batch::default();
            batch.put(MARKS, ACKNOWLEDGED, n.to_be_bytes());
            self.store.commit(batch).await?;
            self.marks.acknowledged.fetch_max(n, Ordering::AcqRel);
        }
        Ok(true)
    }

    /// Removes acknowledged records of calls that ended more than `days` ago. Gives how many.
    ///
    /// # Errors
    /// When the store cannot be read or does not take it.
    pub(crate) async fn forget_old(&self, now: DateTime<Utc>, days: u16) -> Result<usize, StoreError> {
        let before = now - TimeDelta::days(i64::from(days));
        let acknowledged = self.marks.acknowledged.load(Ordering::Acquire);
        let old = |value: &[u8]| serde_json::from_slice(value).is_ok_and(|record: CallRecord| record.ended < before);
        let (mut after, mut removed) = (0_u64.to_be_bytes().to_vec(), 0);
        loop {
            let entries = self.store.scan_from(RECORDS, &after, MAX_REMOVED)?;
            let Some((last_key, _)) = entries.last() else { return Ok(removed) };
            after.clone_from(last_key);
            let gone: Vec<_> =
                entries.iter().filter(|(key, value)| number(key) <= acknowledged && old(value)).collect();
            if !gone.is_empty() {
                let mut batch = Batch::default();
                gone.iter().for_each(|(key, _)| batch.remove(RECORDS, key));
                self.store.commit(batch).await?;
                removed += gone.len();
            }
        }
    }

    async fn write_all(self, mut receiver: mpsc::Receiver<CallRecord>, clock: Clock, metrics: Arc<Metrics>) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        while receiver.recv_many(&mut group, MAX_GROUP).await > 0 {
            while let Err(why) = self.write(&group).await {
                metrics.store_failures.raise();
                tracing::error!(%why, waiting = group.len(), "call records cannot be written; trying again");
                if receiver.is_closed() {
                    metrics.records_lost.add(group.len() as u64);
                    break;
                }
                clock.sleep_until(clock.instant() + RETRY_AFTER).await;
            }
            group.clear();
        }
    }

    async fn write(&self, group: &[CallRecord]) -> Result<(), StoreError> {
        let (mut batch, mut n) = (Batch::default(), self.marks.last.load(Ordering::Acquire));
        for record in group {
            let Ok(value) = serde_json::to_vec(record) else { continue };
            n += 1;
            batch.put(RECORDS, n.to_be_bytes(), value);
        }
        batch.put(MARKS, LAST, n.to_be_bytes());
        self.store.commit(batch).await?;
        self.marks.last.store(n, Ordering::Release);
        Ok(())
    }
}

impl RecordQueue {
    /// Leaves a record to be written; never waits.
    pub(crate) fn keep(&self, record: CallRecord) {
        if self.sender.try_send(record).is_err() {
            self.metrics.records_lost.raise();
            tracing::error!("a call record is lost: {MAX_WAITING} wait for the store already");
        }
    }
}

/// A number of eight bytes, big end first, so that keys stand in order; 0 for anything else.
fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}
