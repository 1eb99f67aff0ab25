//! What signalling counts, for `/metrics` and for tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mixer_signalling::Counts;

/// Counts since the start, and what holds at this moment.
#[derive(Debug, Default)]
pub struct SipCounters {
    received: AtomicU64,
    unsent: AtomicU64,
    orders_lost: AtomicU64,
    streams_refused: AtomicU64,
    handshakes: AtomicU64,
    handshakes_failed: AtomicU64,
    by_reason: Mutex<ByReason>,
    now: Mutex<SipState>,
}

#[derive(Debug, Default)]
struct ByReason {
    refused: BTreeMap<&'static str, u64>,
    dropped: BTreeMap<&'static str, u64>,
    banned: BTreeMap<&'static str, u64>,
}

/// What holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SipState {
    /// What the endpoint remembers.
    pub remembered: Counts,
    /// Streams that are open.
    pub streams: usize,
    /// Sources that are banned.
    pub banned: usize,
}

/// The counts at one moment. Reasons are fit for labels of metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SipCounts {
    /// Messages that were read: of peers all, of strangers those within their budgets.
    pub received: u64,
    /// Requests refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Messages that were not even read, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Sources banned, by the reason that was one too many.
    pub banned: Vec<(&'static str, u64)>,
    /// Messages that the system, or a peer who does not read, did not take.
    pub unsent: u64,
    /// Orders of the program that found no room.
    pub orders_lost: u64,
    /// Streams turned away, or closed to make room.
    pub streams_refused: u64,
    /// TLS handshakes that came to their end.
    pub handshakes: u64,
    /// TLS handshakes that did not.
    pub handshakes_failed: u64,
    /// What holds.
    pub now: SipState,
}

impl SipCounters {
    pub(super) fn count_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_unsent(&self) {
        self.unsent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_order_lost(&self) {
        self.orders_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_stream_refused(&self) {
        self.streams_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_handshake(&self, held: bool) {
        let counter = if held { &self.handshakes } else { &self.handshakes_failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused(&self, reason: &'static str) {
        *self.reasons().refused.entry(reason).or_default() += 1;
    }

    pub(super) fn count_dropped(&self, reason: &'static str, more: u64) {
        *self.reasons().dropped.entry(reason).or_default() += more;
    }

    pub(super) fn count_banned(&self, reason: &'static str) {
        *self.reasons().banned.entry(reason).or_default() += 1;
    }

    pub(super) fn set(&self, now: SipState) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// What holds at this moment.
    #[must_use]
    pub fn now(&self) -> SipState {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all counts.
    #[must_use]
    pub fn read(&self) -> SipCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let listed = |counts: &BTreeMap<&'static str, u64>| counts.iter().map(|(why, count)| (*why, *count)).collect();
        let reasons = self.reasons();
        SipCounts {
            received: load(&self.received),
            refused: listed(&reasons.refused),
            dropped: listed(&reasons.dropped),
            banned: listed(&reasons.banned),
            unsent: load(&self.unsent),
            orders_lost: load(&self.orders_lost),
            streams_refused: load(&self.streams_refused),
            handshakes: load(&self.handshakes),
            handshakes_failed: load(&self.handshakes_failed),
            now: self.now(),
        }
    }

    fn reasons(&self) -> MutexGuard<'_, ByReason> {
        // Counts stay counts, whoever died while raising one.
        self.by_reason.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
