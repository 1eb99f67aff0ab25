//! How the worker fares: counters it writes and anybody reads, without a lock between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mixer_media::BEAT;

/// Upper bounds of the lateness buckets, in microseconds; the last bucket of [`EngineMetrics::lateness`] is what is beyond.
pub const LATENESS_BOUNDS_US: [u64; 9] = [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 100_000];

/// Counts since the engine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineMetrics {
    /// Streams open now.
    pub streams: u64,
    /// Worker threads, one a core.
    pub workers: u64,
    /// How much of its beat the busiest worker works, in thousandths: a mean over about half a second.
    pub busy_permille: u64,
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
    /// Datagrams to a shared port from where no call comes.
    pub packets_stray: u64,
    /// Streams without reports (RTCP), because the port beside theirs was not to be had.
    pub streams_without_reports: u64,
    /// Orders refused because too many were waiting.
    pub orders_refused: u64,
    /// Reports lost because nobody took them for very long.
    pub reports_lost: u64,
}

/// Beats that the mean of their work goes over.
const SMOOTH: u64 = 32;
/// The longest work that counts, in sixteenths of a microsecond: ten beats.
const WORK_MAX: u64 = 16 * 10 * BEAT_US;
#[expect(clippy::cast_possible_truncation, reason = "20 000")]
const BEAT_US: u64 = BEAT.as_micros() as u64;

#[derive(Debug, Default)]
pub(super) struct Counters {
    streams: AtomicU64,
    /// How long a beat's work takes, a mean, in sixteenths of a microsecond.
    work: AtomicU64,
    beats: AtomicU64,
    beats_skipped: AtomicU64,
    lateness: [AtomicU64; LATENESS_BOUNDS_US.len() + 1],
    lateness_max_us: AtomicU64,
    packets_unsent: AtomicU64,
    packets_stray: AtomicU64,
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

    /// A beat's work took so long. Only the worker itself writes this.
    pub(super) fn worked(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).saturating_mul(16);
        let mean = self.work.load(Ordering::Relaxed);
        self.work.store(mean - mean / SMOOTH + took.min(WORK_MAX) / SMOOTH, Ordering::Relaxed);
    }

    /// It has nothing to do.
    pub(super) fn idle(&self) {
        self.work.store(0, Ordering::Relaxed);
    }

    /// How much of a beat its work takes, in thousandths.
    pub(super) fn busy_permille(&self) -> u64 {
        self.work.load(Ordering::Relaxed) / 16 * 1_000 / BEAT_US
    }

    pub(super) fn streams(&self, streams: usize) {
        self.streams.store(streams as u64, Ordering::Relaxed);
    }

    pub(super) fn unsent_packet(&self) {
        self.packets_unsent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stray_packet(&self) {
        self.packets_stray.fetch_add(1, Ordering::Relaxed);
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

    /// Adds what this worker counted.
    pub(super) fn add_to(&self, sum: &mut EngineMetrics) {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        sum.workers += 1;
        sum.streams += value(&self.streams);
        sum.busy_permille = sum.busy_permille.max(self.busy_permille());
        sum.beats += value(&self.beats);
        sum.beats_skipped += value(&self.beats_skipped);
        sum.lateness.iter_mut().zip(&self.lateness).for_each(|(sum, counter)| *sum += value(counter));
        sum.lateness_max_us = sum.lateness_max_us.max(value(&self.lateness_max_us));
        sum.packets_unsent += value(&self.packets_unsent);
        sum.packets_stray += value(&self.packets_stray);
        sum.streams_without_reports += value(&self.streams_without_reports);
        sum.orders_refused += value(&self.orders_refused);
        sum.reports_lost += value(&self.reports_lost);
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
        let mut metrics = EngineMetrics::default();
        counters.add_to(&mut metrics);
        assert_eq!((metrics.lateness[0], metrics.lateness[1], metrics.lateness[9]), (2, 1, 1));
        assert_eq!(metrics.lateness_max_us, 2_000_000);
    }

    #[test]
    fn how_busy_a_worker_is_follows_its_work() {
        let counters = Counters::default();
        (0..200).for_each(|_| counters.worked(BEAT * 4 / 5));
        assert!((780..=800).contains(&counters.busy_permille()), "{}", counters.busy_permille());
        counters.worked(Duration::from_secs(100));
        assert!(counters.busy_permille() < 1_100, "one long beat is not everything");
        counters.idle();
        assert_eq!(counters.busy_permille(), 0);
    }
}
