//! How the worker fares: counters it writes and anybody reads, without a lock between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the lateness buckets, in microseconds; the last bucket of [`EngineMetrics::lateness`] is what is beyond.
pub const LATENESS_BOUNDS_US: [u64; 9] = [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 100_000];

/// Counts since the engine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineMetrics {
    /// Streams open now.
    pub streams: u64,
    /// Beats done.
    pub beats: u64,
    /// Beats left out because the machine had slept.
    pub beats_skipped: u64,
    /// Beats by how late they began, see [`LATENESS_BOUNDS_US`].
    pub lateness: [u64; LATENESS_BOUNDS_US.len() + 1],
    /// The latest.
    pub lateness_max_us: u64,
    /// Datagrams that the system did not take.
    pub packets_unsent: u64,
    /// Streams without reports (RTCP), because the port beside theirs was not to be had.
    pub streams_without_reports: u64,
    /// Orders refused because too many were waiting.
    pub orders_refused: u64,
    /// Reports lost because nobody took them for very long.
    pub reports_lost: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    streams: AtomicU64,
    beats: AtomicU64,
    beats_skipped: AtomicU64,
    lateness: [AtomicU64; LATENESS_BOUNDS_US.len() + 1],
    lateness_max_us: AtomicU64,
    packets_unsent: AtomicU64,
    streams_without_reports: AtomicU64,
    orders_refused: AtomicU64,
    reports_lost: AtomicU64,
}

impl Counters {
    pub(super) fn beat(&self, lateness: Duration, streams: usize, beats_skipped: u64) {
        let late_us = u64::try_from(lateness.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENESS_BOUNDS_US.partition_point(|bound| *bound < late_us);
        self.lateness[bucket].fetch_add(1, Ordering::Relaxed);
        self.lateness_max_us.fetch_max(late_us, Ordering::Relaxed);
        self.beats.fetch_add(1, Ordering::Relaxed);
        self.beats_skipped.store(beats_skipped, Ordering::Relaxed);
        self.streams(streams);
    }

    pub(super) fn streams(&self, streams: usize) {
        self.streams.store(streams as u64, Ordering::Relaxed);
    }

    pub(super) fn unsent_packet(&self) {
        self.packets_unsent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn without_reports(&self) {
        self.streams_without_reports.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused_order(&self) {
        self.orders_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn lost_report(&self) {
        self.reports_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> EngineMetrics {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EngineMetrics {
            streams: value(&self.streams),
            beats: value(&self.beats),
            beats_skipped: value(&self.beats_skipped),
            lateness: std::array::from_fn(|bucket| value(&self.lateness[bucket])),
            lateness_max_us: value(&self.lateness_max_us),
            packets_unsent: value(&self.packets_unsent),
            streams_without_reports: value(&self.streams_without_reports),
            orders_refused: value(&self.orders_refused),
            reports_lost: value(&self.reports_lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_falls_into_its_bucket() {
        let counters = Counters::default();
        for late_us in [0, 100, 101, 2_000_000] {
            counters.beat(Duration::from_micros(late_us), 1, 0);
        }
        let metrics = counters.read();
        assert_eq!((metrics.lateness[0], metrics.lateness[1], metrics.lateness[9]), (2, 1, 1));
        assert_eq!(metrics.lateness_max_us, 2_000_000);
    }
}
