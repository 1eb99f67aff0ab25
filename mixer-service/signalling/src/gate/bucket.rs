//! A bucket that fills at a steady rate, kept as one instant: the one at which it would be full again.

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// From one drop to the next.
    interval_ns: u64,
    /// The whole bucket, as time.
    whole_ns: u64,
}

const SECOND_NS: u64 = 1_000_000_000;

impl Rate {
    /// So many a second, so many at once; zero counts as one.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let interval_ns = SECOND_NS / u64::from(per_second.max(1));
        Self { interval_ns, whole_ns: interval_ns.saturating_mul(burst.max(1).into()) }
    }
}

/// One bucket; a new one is full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    full_at_ns: u64,
}

impl Bucket {
    /// Whether a drop is in it.
    pub(super) fn holds(&self, now_ns: u64, rate: Rate) -> bool {
        self.full_at_ns.max(now_ns) + rate.interval_ns - now_ns <= rate.whole_ns
    }

    /// Takes one drop; `false` leaves an empty bucket as it is.
    pub(super) fn take(&mut self, now_ns: u64, rate: Rate) -> bool {
        let holds = self.holds(now_ns, rate);
        if holds {
            self.full_at_ns = self.full_at_ns.max(now_ns) + rate.interval_ns;
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_rate() {
        let (rate, mut bucket) = (Rate::new(10, 3), Bucket::default());
        let taken = |bucket: &mut Bucket, now_ns| (0..9).filter(|_| bucket.take(now_ns, rate)).count();
        assert_eq!(taken(&mut bucket, 7), 3);
        assert_eq!(taken(&mut bucket, 7 + SECOND_NS / 10), 1);
        assert_eq!(taken(&mut bucket, 7 + 2 * SECOND_NS), 3);
    }
}
