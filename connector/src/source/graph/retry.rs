//! When a refused request may be sent again (RFC 9110 section 10.2.3, Graph throttling guidance).
//!
//! Pure: what was answered and how often goes in, how long to wait comes out. Graph prolongs the punishment of who
//! comes too early, so a `Retry-After` is always waited out whole, however long it is.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Tries of one request, the first included; what still fails is left to the next look at the mailbox.
pub(crate) const MAX_TRIES: u32 = 5;
/// A request waits this long at most; where more is asked, the mailbox rests and the request fails.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(120);
/// First pause where none is named; doubled with every try.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause of our own choice.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// No mailbox rests longer, whatever a header says: a mistyped date must not end its service.
const MAX_REST: Duration = Duration::from_secs(3600);

/// Whether a request that was answered so may be repeated. `idempotent`: repeating it cannot do a thing twice.
pub(crate) fn may_repeat(status: u16, idempotent: bool) -> bool {
    match status {
        // Not begun: throttled, or nobody there to begin it.
        429 | 503 => true,
        // Perhaps done, the answer lost.
        500 | 502 | 504 | 509 => idempotent,
        _ => false,
    }
}

/// How long to wait before try number `tries + 1`. `chance` in `0..=255` spreads those who fail together.
pub(crate) fn pause(retry_after: Option<&str>, now: DateTime<Utc>, tries: u32, chance: u8) -> Duration {
    if let Some(asked) = retry_after.and_then(|value| parse_retry_after(value, now)) {
        // A little later than asked, never earlier.
        return (asked + Duration::from_millis(u64::from(chance))).min(MAX_REST);
    }
    let doubled = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(MAX_PAUSE);
    doubled / 2 + (doubled / 2).mul_f64(f64::from(chance) / 255.0)
}

/// Whole seconds, fractional seconds, or an HTTP date.
fn parse_retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0)
            .then(|| Duration::from_secs_f64(seconds.min(MAX_REST.as_secs_f64())));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.to_utc() - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-26T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn every_spelling_of_retry_after_is_waited_out() {
        for (value, at_least_ms) in [
            ("3", 3000),
            ("1.25", 1250),
            (" 0 ", 0),
            ("Thu, 26 Nov 2026 09:00:07 GMT", 7000),
            ("Thu, 26 Nov 2026 08:00:00 GMT", 0),
            ("999999999999", 3_600_000),
        ] {
            for chance in [0, 128, 255] {
                let wait = pause(Some(value), now(), 1, chance).as_millis();
                assert!(wait >= at_least_ms && wait <= at_least_ms + 255, "{value}: {wait}");
            }
        }
    }

    #[test]
    fn without_a_header_pauses_double_and_spread() {
        for value in [None, Some("soon"), Some("-1"), Some("NaN"), Some("inf")] {
            assert_eq!(pause(value, now(), 1, 0), Duration::from_millis(250));
            assert_eq!(pause(value, now(), 1, 255), Duration::from_millis(500));
            assert_eq!(pause(value, now(), 3, 255), Duration::from_secs(2));
            assert_eq!(pause(value, now(), 40, 255), MAX_PAUSE);
        }
    }

    #[test]
    fn a_request_that_may_have_worked_is_not_repeated_blindly() {
        assert!(may_repeat(429, false) && may_repeat(503, false) && may_repeat(504, true));
        assert!(!may_repeat(504, false) && !may_repeat(400, true) && !may_repeat(401, true) && !may_repeat(200, true));
    }
}
