//! Durations counted into bins, so that hours of packets cost no more memory than a second of them.

use std::time::Duration;

/// Bins of one histogram; what lies beyond the last is only known by the longest.
const BINS: usize = 20_000;

/// Counts of durations; quantiles are exact to one bin.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    bin_ns: u64,
    bins: Vec<u64>,
    beyond: u64,
    longest_ns: u64,
}

impl Histogram {
    /// An empty one, with bins of this width.
    pub(super) fn new(bin: Duration) -> Self {
        Self { bin_ns: nanoseconds(bin).max(1), bins: vec![0; BINS], beyond: 0, longest_ns: 0 }
    }

    pub(super) fn add_ns(&mut self, duration_ns: u64) {
        let place = usize::try_from(duration_ns / self.bin_ns).unwrap_or(usize::MAX);
        match self.bins.get_mut(place) {
            Some(bin) => *bin += 1,
            None => self.beyond += 1,
        }
        self.longest_ns = self.longest_ns.max(duration_ns);
    }

    pub(super) fn add(&mut self, duration: Duration) {
        self.add_ns(nanoseconds(duration));
    }

    /// Takes over what another of the same width counted.
    pub(super) fn merge(&mut self, other: &Self) {
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            *bin += more;
        }
        self.beyond += other.beyond;
        self.longest_ns = self.longest_ns.max(other.longest_ns);
    }

    pub(super) fn count(&self) -> u64 {
        self.bins.iter().sum::<u64>() + self.beyond
    }

    pub(super) fn longest_ms(&self) -> Option<f64> {
        (self.count() > 0).then(|| milliseconds(self.longest_ns))
    }

    /// The duration, in milliseconds, that this part (0 to 1) of them does not exceed: the upper end of its bin.
    pub(super) fn quantile_ms(&self, part: f64) -> Option<f64> {
        let count = self.count();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a count, not negative")]
        let wanted = ((count as f64 * part).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        for (bin, end_ns) in self.bins.iter().zip((1u64..).map(|place| place * self.bin_ns)) {
            seen += bin;
            if seen >= wanted {
                return Some(milliseconds(end_ns.min(self.longest_ns)));
            }
        }
        self.longest_ms()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIN: Duration = Duration::from_micros(10);

    fn of(durations_us: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::new(BIN);
        for us in durations_us {
            histogram.add(Duration::from_micros(us));
        }
        histogram
    }

    #[test]
    fn quantiles_are_those_of_a_sorted_list_to_a_bin() {
        let histogram = of(1..=1_000);
        for (part, ms) in [(0.5, 0.5), (0.99, 0.99), (1.0, 1.0)] {
            let found = histogram.quantile_ms(part).unwrap();
            assert!((found - ms).abs() <= 0.011, "{part}: {found}");
        }
        assert_eq!((histogram.count(), histogram.longest_ms()), (1_000, Some(1.0)));
    }

    #[test]
    fn nothing_has_no_quantile_and_a_single_one_is_all_of_them() {
        assert_eq!((of([]).quantile_ms(0.5), of([]).longest_ms()), (None, None));
        assert_eq!(of([3_700]).quantile_ms(0.01), of([3_700]).quantile_ms(1.0));
    }

    #[test]
    fn what_is_beyond_the_bins_is_counted_and_known_by_the_longest() {
        let histogram = of([5, 10_000_000]);
        assert_eq!((histogram.count(), histogram.quantile_ms(1.0)), (2, Some(10_000.0)));
    }

    #[test]
    fn merged_is_as_if_counted_by_one() {
        let (mut one, other) = (of([1, 2, 3]), of([40_000, 9_000_000]));
        one.merge(&other);
        assert_eq!((one.count(), one.longest_ms()), (5, Some(9_000.0)));
    }
}
