//! What the boundary counts, for `/metrics` and for tests.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start; rising only.
#[derive(Debug, Default)]
pub struct SipCounters {
    received: AtomicU64,
    malformed: AtomicU64,
    too_large: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
}

/// Why a request was turned away by the boundary itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A bound of calls was reached (503).
    TooManyCalls,
    /// The same INVITE came by two ways (482).
    Merged,
    /// `Require` names an extension that we do not have (420).
    Extension,
    /// No such method here (405, 501).
    Method,
    /// A dialog that does not exist (481).
    NoDialog,
    /// Headers or body beyond their bounds (513).
    Size,
    /// A header twice that may stand once, or one that is missing (400).
    Headers,
    /// A body that is no SDP (415), or an SDP that we cannot agree to (488).
    Media,
}

/// The counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SipCounts {
    /// Requests and responses that reached the stack by datagram, and requests that reached us by stream.
    pub received: u64,
    /// Datagrams that are no SIP.
    pub malformed: u64,
    /// Datagrams longer than the bound, dropped.
    pub too_large: u64,
    /// Requests turned away, by reason; the label is fit for a metric.
    pub refused: Vec<(&'static str, u64)>,
}

impl Refusal {
    const ALL: [Self; 8] = [
        Self::TooManyCalls,
        Self::Merged,
        Self::Extension,
        Self::Method,
        Self::NoDialog,
        Self::Size,
        Self::Headers,
        Self::Media,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::TooManyCalls => "too_many_calls",
            Self::Merged => "merged",
            Self::Extension => "extension",
            Self::Method => "method",
            Self::NoDialog => "no_dialog",
            Self::Size => "size",
            Self::Headers => "headers",
            Self::Media => "media",
        }
    }
}

impl SipCounters {
    pub(super) fn count_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_too_large(&self) {
        self.too_large.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused(&self, refusal: Refusal) {
        let index = Refusal::ALL.iter().position(|known| *known == refusal);
        if let Some(counter) = index.and_then(|index| self.refused.get(index)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reads all counts.
    #[must_use]
    pub fn read(&self) -> SipCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SipCounts {
            received: load(&self.received),
            malformed: load(&self.malformed),
            too_large: load(&self.too_large),
            refused: Refusal::ALL.iter().zip(&self.refused).map(|(why, count)| (why.label(), load(count))).collect(),
        }
    }
}
