//! Which sentences are spoken on which occasion.
//!
//! Apart from the rules so that the words stand side by side: what a stranger hears must be the same for every reason.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::dates::{Date, Standing};
use crate::{Sentence, SpokenDay};

/// `at` on the clock of `zone`, with its day as said at `now`.
pub(crate) fn spoken(now: DateTime<Utc>, at: DateTime<Utc>, zone: Tz) -> (chrono::NaiveTime, SpokenDay) {
    let (today, local) = (now.with_timezone(&zone).date_naive(), at.with_timezone(&zone).naive_local());
    let day = match local.date() - today {
        days if days == TimeDelta::zero() => SpokenDay::Today,
        days if days == TimeDelta::days(1) => SpokenDay::Tomorrow,
        _ => SpokenDay::On(local.date()),
    };
    (local.time(), day)
}

/// "The line opens at nine fifty."
pub(crate) fn opens_at(now: DateTime<Utc>, date: &Date, zone: Tz) -> Sentence {
    let (time, day) = spoken(now, date.window.opens(), zone);
    Sentence::OpensAt { time, day }
}

/// "The line now stays open until ten fifteen."
pub(crate) fn open_until(now: DateTime<Utc>, closes: DateTime<Utc>, zone: Tz) -> Sentence {
    let (time, day) = spoken(now, closes, zone);
    Sentence::OpenUntil { time, day }
}

/// "Your ten o'clock conference."
pub(crate) fn your_conference(date: &Date, zone: Tz) -> Sentence {
    Sentence::YourConference { start: date.window.start().with_timezone(&zone).time() }
}

/// Why this date lets nobody in at `now`.
pub(crate) fn reason(now: DateTime<Utc>, date: &Date, zone: Tz) -> Sentence {
    match date.standing(now) {
        Standing::Cancelled => Sentence::Cancelled,
        Standing::Over => Sentence::Over,
        Standing::Open | Standing::Early | Standing::Later => opens_at(now, date, zone),
    }
}
