//! The dates of one booking in the order in which their lines open, and how one of them stands at a given moment.
//!
//! Apart from the agenda because a series has up to a thousand dates and a call asks about two or three of them: what
//! is near is found by bisection.

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_booking::{DialInWindow, HandedWindow, OccurrenceState, OriginalStart};

/// A caller this little early waits with music instead of being sent away.
pub(crate) const EARLY: TimeDelta = TimeDelta::minutes(5);
/// A known caller is told of a conference that opens within this time.
pub(crate) const AHEAD: TimeDelta = TimeDelta::hours(12);
/// A known caller is told of a conference that closed within this time.
pub(crate) const BEHIND: TimeDelta = TimeDelta::hours(1);

/// One date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) original_start: OriginalStart,
    pub(crate) window: DialInWindow,
    pub(crate) cancelled: bool,
}

/// How a date stands at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Open,
    /// Opens within [`EARLY`].
    Early,
    Later,
    Over,
    Cancelled,
}

impl Date {
    pub(crate) fn standing(&self, now: DateTime<Utc>) -> Standing {
        if self.cancelled {
            Standing::Cancelled
        } else if self.window.is_open(now) {
            Standing::Open
        } else if now >= self.window.closes() {
            Standing::Over
        } else if self.window.opens() - now <= EARLY {
            Standing::Early
        } else {
            Standing::Later
        }
    }

    /// Time between `now` and the window; zero inside it.
    pub(crate) fn distance(&self, now: DateTime<Utc>) -> TimeDelta {
        (self.window.opens() - now).max(now - self.window.closes()).max(TimeDelta::zero())
    }

    /// Time between `now` and the scheduled start.
    pub(crate) fn start_distance(&self, now: DateTime<Utc>) -> TimeDelta {
        (self.window.start() - now).abs()
    }
}

/// Every date of one booking.
#[derive(Debug, Default)]
pub(crate) struct Dates {
    by_opens: Vec<Date>,
    /// For each date the latest `closes` up to and including it: says how far back to look.
    latest_closes: Vec<DateTime<Utc>>,
}

impl Dates {
    pub(crate) fn new(windows: &[HandedWindow]) -> Self {
        let mut by_opens: Vec<Date> = windows
            .iter()
            .map(|date| Date {
                original_start: date.original_start,
                window: date.window,
                cancelled: date.state == OccurrenceState::Cancelled,
            })
            .collect();
        by_opens.sort_by_key(|date| (date.window.opens(), date.original_start));
        let mut dates = Self { by_opens, latest_closes: Vec::new() };
        dates.note_closes();
        dates
    }

    /// Dates with `closes > from` and `opens ≤ to`, cancelled ones too, the latest first.
    pub(crate) fn near(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = &Date> {
        let end = self.by_opens.partition_point(|date| date.window.opens() <= to);
        let start = self.latest_closes[..end].partition_point(|closes| *closes <= from);
        self.by_opens[start..end].iter().rev().filter(move |date| date.window.closes() > from)
    }

    /// The next date that takes place and opens after `now`.
    pub(crate) fn next_after(&self, now: DateTime<Utc>) -> Option<&Date> {
        let start = self.by_opens.partition_point(|date| date.window.opens() <= now);
        self.by_opens[start..].iter().find(|date| !date.cancelled)
    }

    pub(crate) fn get(&self, original_start: OriginalStart) -> Option<&Date> {
        self.by_opens.iter().find(|date| date.original_start == original_start)
    }

    /// Keeps a line open at least until `closes`.
    pub(crate) fn extend(&mut self, original_start: OriginalStart, closes: DateTime<Utc>) {
        if let Some(date) = self.by_opens.iter_mut().find(|date| date.original_start == original_start) {
            let window = date.window;
            let closes = closes.max(window.closes());
            date.window =
                DialInWindow::from_parts(window.opens(), window.start(), window.end(), closes).unwrap_or(window);
            self.note_closes();
        }
    }

    /// When the last line closes; `None` without a date.
    pub(crate) fn last_closes(&self) -> Option<DateTime<Utc>> {
        self.latest_closes.last().copied()
    }

    /// The date that a holder of the PIN means at `now`: the open one, else the one that opens in a moment, else the
    /// nearest that is over or comes, however far ahead.
    pub(crate) fn meant(&self, now: DateTime<Utc>) -> Option<Date> {
        let near = || self.near(now - BEHIND, now + AHEAD);
        let with = |standing| near().filter(move |date| date.standing(now) == standing);
        with(Standing::Open)
            .min_by_key(|date| date.start_distance(now))
            .or_else(|| with(Standing::Early).min_by_key(|date| date.window.opens()))
            .or_else(|| near().min_by_key(|date| date.distance(now)))
            .or_else(|| self.next_after(now))
            .copied()
    }

    fn note_closes(&mut self) {
        let mut latest = DateTime::<Utc>::MIN_UTC;
        self.latest_closes = self
            .by_opens
            .iter()
            .map(|date| {
                latest = latest.max(date.window.closes());
                latest
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap()
    }

    fn dates(starts: &[i64]) -> Dates {
        let windows: Vec<HandedWindow> = starts
            .iter()
            .map(|start| HandedWindow {
                original_start: at(*start),
                window: DialInWindow::new(at(*start), at(start + 30), TimeDelta::minutes(10), TimeDelta::minutes(15))
                    .unwrap(),
                state: OccurrenceState::Scheduled,
            })
            .collect();
        Dates::new(&windows)
    }

    fn meant(starts: &[i64], now: i64) -> Option<i64> {
        dates(starts).meant(at(now)).map(|date| (date.original_start - at(0)).num_minutes())
    }

    #[test]
    fn a_date_stands_open_early_later_or_over() {
        let date = *dates(&[0]).get(at(0)).unwrap();
        let standing = [-16, -15, -11, -10, 44, 45].map(|minute| date.standing(at(minute)));
        use Standing::{Early, Later, Open, Over};
        assert_eq!(standing, [Later, Early, Early, Open, Open, Over]);
    }

    #[test]
    fn the_date_meant_is_open_or_near() {
        assert_eq!(meant(&[0, 1440, 2880], 1450), Some(1440));
        assert_eq!(meant(&[0, 1440], 60), Some(0), "just over, the next is tomorrow");
        assert_eq!(meant(&[0, 14400], 600), Some(14400), "far ahead, but the only one");
        assert_eq!(meant(&[0], 60 + 45), None, "over for an hour");
        assert_eq!(meant(&[], 0), None);
    }

    #[test]
    fn near_finds_a_long_date_behind_short_ones() {
        let mut many = dates(&(0..500).map(|day| day * 1440).collect::<Vec<_>>());
        many.extend(at(0), at(300 * 1440));
        let near: Vec<_> = many.near(at(200 * 1440), at(200 * 1440)).map(|date| date.original_start).collect();
        assert_eq!(near, [at(200 * 1440), at(0)]);
    }
}
