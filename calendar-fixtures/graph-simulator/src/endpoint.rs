//! How well a subscriber answers, and what Graph does with a slow one (N5): above a tenth of slow answers within ten
//! minutes notifications come later, above fifteen in a hundred they are dropped for ten minutes, and then said to be missed.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

/// The span that is looked at, and the time for which notifications are dropped.
const SPAN: TimeDelta = TimeDelta::minutes(10);
/// Fewer answers say nothing.
const MIN_ANSWERS: usize = 20;
/// Most answers that are remembered.
const MAX_ANSWERS: usize = 1_000;
/// How much later a slow subscriber hears.
pub(crate) const SLOW_DELAY: TimeDelta = TimeDelta::seconds(10);

/// One subscriber's URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoint {
    answers: VecDeque<(DateTime<Utc>, bool)>,
    dropping_until: Option<DateTime<Utc>>,
}

/// How it is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Slow,
    Dropped,
}

impl Endpoint {
    /// It answered, or not; says whether it is dropped from now on.
    pub(crate) fn answered(&mut self, now: DateTime<Utc>, slow: bool) -> bool {
        self.answers.push_back((now, slow));
        while self.answers.len() > MAX_ANSWERS || self.answers.front().is_some_and(|(at, _)| *at + SPAN < now) {
            self.answers.pop_front();
        }
        let dropped = self.share_of_slow() > 0.15 && self.dropping_until.is_none();
        if dropped {
            self.dropping_until = Some(now + SPAN);
        }
        dropped
    }

    pub(crate) fn standing(&self, now: DateTime<Utc>) -> Standing {
        if self.dropping_until.is_some_and(|until| now < until) {
            Standing::Dropped
        } else if self.share_of_slow() > 0.10 {
            Standing::Slow
        } else {
            Standing::Good
        }
    }

    /// Whether its time of being dropped is over; asked once, it begins anew.
    pub(crate) fn forgiven(&mut self, now: DateTime<Utc>) -> bool {
        let over = self.dropping_until.is_some_and(|until| until <= now);
        if over {
            *self = Self::default();
        }
        over
    }

    pub(crate) fn dropping_until(&self) -> Option<DateTime<Utc>> {
        self.dropping_until
    }

    fn share_of_slow(&self) -> f64 {
        if self.answers.len() < MIN_ANSWERS {
            return 0.0;
        }
        let slow = self.answers.iter().filter(|(_, slow)| *slow).count();
        f64::from(u32::try_from(slow).unwrap_or(u32::MAX)) / f64::from(u32::try_from(self.answers.len()).unwrap_or(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graph_n5_a_slow_subscriber_is_delayed_then_dropped_then_forgiven() {
        let (now, mut endpoint) = (DateTime::UNIX_EPOCH, Endpoint::default());
        for number in 0..40 {
            assert!(!endpoint.answered(now, number % 8 == 7));
        }
        assert_eq!(endpoint.standing(now), Standing::Slow);
        let dropped = (0..10).any(|_| endpoint.answered(now, true));
        assert!(dropped && endpoint.standing(now) == Standing::Dropped);
        assert!(!endpoint.forgiven(now) && endpoint.forgiven(now + SPAN));
        assert_eq!(endpoint.standing(now + SPAN), Standing::Good);
    }
}
