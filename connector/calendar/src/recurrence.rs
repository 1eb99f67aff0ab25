//! The dates of a series, put together from what its calendar gives: instances, exceptions and cancelled dates.
//!
//! Graph expands the pattern itself; what is left to do is to know each date by its original start, to take the last word
//! where two pages disagree, and to stay within bounds.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use dialroom_booking::OriginalStart;

use crate::{Appointment, AppointmentDate};

/// Collects the dates of one series.
#[derive(Debug, Default)]
pub(crate) struct Dates {
    by_original_start: BTreeMap<OriginalStart, AppointmentDate>,
    truncated: bool,
}

impl Dates {
    /// Adds a date; a later word on the same original start replaces an earlier one.
    pub(crate) fn insert(&mut self, date: AppointmentDate) {
        self.by_original_start.insert(date.original_start, date);
        // Twice the bound leaves room for cancelled dates before the cut; more is never held.
        if self.by_original_start.len() > 2 * Appointment::MAX_DATES {
            self.by_original_start.pop_last();
            self.truncated = true;
        }
    }

    /// Marks the date that stood on this day in the series' zone as cancelled.
    ///
    /// `first` is the master's own first date: it tells the time of day and the length.
    pub(crate) fn cancel(&mut self, day: NaiveDate, zone: Tz, first: (DateTime<Utc>, DateTime<Utc>)) {
        let on_day = |at: &&OriginalStart| at.with_timezone(&zone).date_naive() == day;
        let known = self.by_original_start.keys().find(on_day).copied();
        let original_start = known.or_else(|| local(zone, day, first.0));
        let Some(original_start) = original_start else { return };
        let length = (first.1 - first.0).max(TimeDelta::zero());
        let Some(end) = original_start.checked_add_signed(length) else { return };
        self.insert(AppointmentDate { original_start, start: original_start, end, cancelled: true });
    }

    /// All dates in order, and whether some had to be left out.
    pub(crate) fn finish(self) -> (Vec<AppointmentDate>, bool) {
        let truncated = self.truncated || self.by_original_start.len() > Appointment::MAX_DATES;
        (self.by_original_start.into_values().take(Appointment::MAX_DATES).collect(), truncated)
    }
}

/// The instant on `day` at the time of day that `pattern` has in `zone`; the earlier of two, the next after a gap.
fn local(zone: Tz, day: NaiveDate, pattern: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let wanted = day.and_time(pattern.with_timezone(&zone).time());
    let found = zone.from_local_datetime(&wanted).earliest();
    let after_gap = || zone.from_local_datetime(&(wanted + TimeDelta::hours(1))).earliest();
    found.or_else(after_gap).map(|at| at.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_cancelled_day_keeps_its_local_time_over_the_change_of_clocks() {
        let mut dates = Dates::default();
        let first = (at("2026-10-19T08:00:00Z"), at("2026-10-19T09:00:00Z"));
        dates.cancel("2026-10-26".parse().unwrap(), Tz::Europe__Berlin, first);
        let (dates, truncated) = dates.finish();
        assert_eq!((dates[0].original_start, dates[0].end), (at("2026-10-26T09:00:00Z"), at("2026-10-26T10:00:00Z")));
        assert!(dates[0].cancelled && !truncated);
    }

    #[test]
    fn the_last_word_on_a_date_counts_and_a_thousand_are_kept() {
        let mut dates = Dates::default();
        let first = at("2026-01-01T00:00:00Z");
        for day in 0..1200 {
            let start = first + TimeDelta::days(day);
            dates.insert(AppointmentDate { original_start: start, start, end: start, cancelled: day > 0 });
        }
        dates.insert(AppointmentDate { original_start: first, start: first, end: first, cancelled: true });
        let (dates, truncated) = dates.finish();
        assert!(truncated && dates.len() == Appointment::MAX_DATES && dates[0].cancelled);
    }
}
