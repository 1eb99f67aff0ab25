//! Limits of a mailbox (L1): four requests at a time, ten thousand in ten minutes, and rudeness has its price.

use chrono::{DateTime, TimeDelta, Utc};

/// Requests of one application in one mailbox at a time.
const MAX_CONCURRENT: u32 = 4;
/// Requests in a span of ten minutes.
const MAX_IN_SPAN: u32 = 10_000;
const SPAN: TimeDelta = TimeDelta::minutes(10);
/// What arrives so soon after a refusal was sent before its client could read it: that is no rudeness.
const UNDER_WAY: TimeDelta = TimeDelta::milliseconds(250);

/// How busy a mailbox is.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    in_flight: u32,
    span_start: Option<DateTime<Utc>>,
    in_span: u32,
    not_before: Option<DateTime<Utc>>,
    refused_at: Option<DateTime<Utc>>,
    refused: u32,
}

/// Why a request has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// The value of `Retry-After`; `None`: the header is absent.
    pub(crate) retry_after: Option<String>,
    pub(crate) code: &'static str,
    /// It came before the time that an earlier refusal had named.
    pub(crate) rude: bool,
}

impl Throttle {
    /// Lets a request in, or says why not. `leave` follows each that was let in. Refused ones count as well.
    pub(crate) fn enter(&mut self, now: DateTime<Utc>, unlucky: bool) -> Result<(), Wait> {
        if self.span_start.is_none_or(|start| now >= start + SPAN) {
            (self.span_start, self.in_span) = (Some(now), 0);
        }
        self.in_span += 1;
        if self.not_before.is_some_and(|time| now < time) {
            let rude = self.refused_at.is_none_or(|refused| now >= refused + UNDER_WAY);
            return Err(self.refuse(now, "ApplicationThrottled", rude));
        }
        let code = if self.in_flight >= MAX_CONCURRENT {
            "ApplicationThrottled"
        } else if unlucky || self.in_span > MAX_IN_SPAN {
            "TooManyRequests"
        } else {
            self.in_flight += 1;
            return Ok(());
        };
        self.refused_at = Some(now);
        Err(self.refuse(now, code, false))
    }

    pub(crate) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// `Retry-After` comes as an integer, with a fraction, as an HTTP date, or not at all.
    fn refuse(&mut self, now: DateTime<Utc>, code: &'static str, rude: bool) -> Wait {
        self.refused += 1;
        let (pause, retry_after) = match self.refused % 4 {
            1 => (TimeDelta::seconds(1), Some("1".to_owned())),
            2 => (TimeDelta::milliseconds(500), Some("0.5".to_owned())),
            3 => {
                let until = now + TimeDelta::seconds(2);
                (TimeDelta::seconds(1), Some(until.format("%a, %d %b %Y %H:%M:%S GMT").to_string()))
            }
            _ => (TimeDelta::zero(), None),
        };
        self.not_before = Some(now + pause);
        Wait { retry_after, code, rude }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graph_l1_the_fifth_at_a_time_waits_and_a_rude_one_waits_longer() {
        let now = DateTime::UNIX_EPOCH;
        let mut throttle = Throttle::default();
        for _ in 0..4 {
            throttle.enter(now, false).unwrap();
        }
        let wait = throttle.enter(now, false).unwrap_err();
        assert_eq!((wait.retry_after.as_deref(), wait.rude), (Some("1"), false));
        throttle.leave();
        assert!(!throttle.enter(now + TimeDelta::milliseconds(50), false).unwrap_err().rude, "it was under way");
        assert!(throttle.enter(now + TimeDelta::milliseconds(400), false).unwrap_err().rude);
        throttle.enter(now + TimeDelta::seconds(3), false).unwrap();
    }
}
