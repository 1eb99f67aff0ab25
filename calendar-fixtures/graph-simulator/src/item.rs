//! One calendar item of one mailbox, and the dates it has.
//!
//! Exchange keeps an item per mailbox: the organizer's, and a copy for every attendee with a mailbox of the tenant,
//! with another id and the same `iCalUId`. What all copies share is [`Facts`].

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, TimeDelta, Utc, Weekday};
use chrono_tz::Tz;

use crate::zone::instant;

/// Most dates of a series that are kept apart; an endless one simply stops here (about three years of working days).
pub(crate) const MAX_DATES: usize = 1_000;

/// The two ids of an item. Both may hold `/`, `+` and `=`, and are compared with case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) default: String,
    pub(crate) immutable: String,
}

impl Ids {
    pub(crate) fn form(&self, immutable: bool) -> &str {
        if immutable { &self.immutable } else { &self.default }
    }

    pub(crate) fn are(&self, id: &str) -> bool {
        self.default == id || self.immutable == id
    }
}

/// One item of one mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) ids: Ids,
    /// Index of the mailbox' owner in the tenant's users.
    pub(crate) owner: usize,
    /// Equal in all mailboxes; hexadecimal, 112 characters.
    pub(crate) uid: String,
    pub(crate) organizer: Address,
    pub(crate) is_organizer: bool,
    /// Number of the tenant's change that touched it last; its change key is made from it.
    pub(crate) version: u64,
    pub(crate) created: DateTime<Utc>,
    pub(crate) modified: DateTime<Utc>,
    pub(crate) facts: Facts,
    /// Private to the mailbox: attendees never see the organizer's.
    pub(crate) categories: Vec<String>,
    /// Extended properties by their id; private to the mailbox.
    pub(crate) properties: BTreeMap<String, String>,
    /// Ids of a series' dates; made anew when the series is rescheduled, which nobody is told.
    pub(crate) date_ids: BTreeMap<NaiveDate, Ids>,
    /// The organizer cancelled, or removed this attendee.
    pub(crate) cancelled: bool,
    /// Gone from the calendar; kept so that delta can say so.
    pub(crate) deleted: bool,
}

/// What the organizer's item and all its copies share.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Facts {
    pub(crate) subject: String,
    pub(crate) body_html: String,
    pub(crate) start: NaiveDateTime,
    pub(crate) end: NaiveDateTime,
    /// As the organizer's client named it.
    pub(crate) zone_name: String,
    pub(crate) zone: Tz,
    pub(crate) all_day: bool,
    pub(crate) location: String,
    pub(crate) attendees: Vec<Attendee>,
    pub(crate) hide_attendees: bool,
    pub(crate) sensitivity: String,
    /// Has changes that were not sent yet.
    pub(crate) draft: bool,
    /// SEQUENCE of RFC 5545 section 3.8.7.4: rises when the time changes.
    pub(crate) sequence: u32,
    pub(crate) recurrence: Option<Recurrence>,
    /// Dates that were moved, by their original date.
    pub(crate) moved: BTreeMap<NaiveDate, (NaiveDateTime, NaiveDateTime)>,
    /// Dates that were cancelled.
    pub(crate) dropped: BTreeSet<NaiveDate>,
}

/// Somebody with an address, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) name: String,
    pub(crate) address: String,
}

/// Somebody invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attendee {
    pub(crate) who: Address,
    /// `required`, `optional` or `resource`.
    pub(crate) kind: String,
    /// A `responseType`.
    pub(crate) response: String,
}

/// How a series repeats: daily, or weekly on some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recurrence {
    /// Days or weeks from one to the next; 1 to 99.
    pub(crate) interval: u32,
    /// Days of the week; empty for a daily series.
    pub(crate) days: Vec<Weekday>,
    pub(crate) range: Range,
}

/// Where a series stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// On this date, included.
    Until(NaiveDate),
    /// After so many dates.
    Count(u32),
    /// Never.
    Endless,
}

/// One date of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    /// Original date in a series; `None` for a single meeting.
    pub(crate) date: Option<NaiveDate>,
    pub(crate) original_start: DateTime<Utc>,
    pub(crate) start: NaiveDateTime,
    pub(crate) end: NaiveDateTime,
    pub(crate) moved: bool,
}

impl Facts {
    /// Original dates of the series, cancelled ones included; at most [`MAX_DATES`].
    pub(crate) fn series_dates(&self) -> Vec<NaiveDate> {
        let Some(recurrence) = &self.recurrence else { return Vec::new() };
        let first = self.start.date();
        let interval = u64::from(recurrence.interval.max(1));
        let (limit, last) = match recurrence.range {
            Range::Until(date) => (MAX_DATES, date),
            Range::Count(count) => (MAX_DATES.min(usize::try_from(count).unwrap_or(MAX_DATES)), NaiveDate::MAX),
            Range::Endless => (MAX_DATES, NaiveDate::MAX),
        };
        if recurrence.days.is_empty() {
            return (0..)
                .map_while(|n| first.checked_add_days(Days::new(n * interval)))
                .take_while(|date| *date <= last)
                .take(limit)
                .collect();
        }
        let monday = first - Days::new(u64::from(first.weekday().num_days_from_monday()));
        (0..)
            .map_while(|week| monday.checked_add_days(Days::new(week * interval * 7)))
            .take_while(|monday| *monday <= last)
            .flat_map(|monday| (0..7).filter_map(move |day| monday.checked_add_days(Days::new(day))))
            .filter(|date| *date >= first && *date <= last && recurrence.days.contains(&date.weekday()))
            .take(limit)
            .collect()
    }

    /// The one date of a single meeting, or those of the series that take place.
    pub(crate) fn instances(&self) -> Vec<Instance> {
        let length = self.end - self.start;
        if self.recurrence.is_none() {
            let original_start = instant(self.start, self.zone);
            return vec![Instance { date: None, original_start, start: self.start, end: self.end, moved: false }];
        }
        let alive = self.series_dates().into_iter().filter(|date| !self.dropped.contains(date));
        alive.map(|date| self.instance(date, length)).collect()
    }

    fn instance(&self, date: NaiveDate, length: TimeDelta) -> Instance {
        let planned = date.and_time(self.start.time());
        let moved = self.moved.get(&date);
        let (start, end) = moved.copied().unwrap_or((planned, planned + length));
        let original_start = instant(planned, self.zone);
        Instance { date: Some(date), original_start, start, end, moved: moved.is_some() }
    }

    /// Those that touch the half-open window.
    pub(crate) fn instances_between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Instance> {
        let touches = |one: &Instance| instant(one.start, self.zone) < to && instant(one.end, self.zone) > from;
        self.instances().into_iter().filter(touches).collect()
    }
}

/// `iCalUId` of one date: the global object id of the series with the date written into it, so that it differs for
/// each date and nobody can match it with the master's by comparing.
pub(crate) fn uid_of_date(uid: &str, date: NaiveDate) -> String {
    let written = format!("{:04X}{:02X}{:02X}", date.year(), date.month(), date.day());
    match (uid.get(..32), uid.get(40..)) {
        (Some(head), Some(tail)) => format!("{head}{written}{tail}"),
        _ => uid.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(recurrence: Recurrence) -> Facts {
        let start = NaiveDate::from_ymd_opt(2026, 10, 20).unwrap().and_hms_opt(9, 0, 0).unwrap();
        Facts {
            subject: String::new(),
            body_html: String::new(),
            start,
            end: start + TimeDelta::minutes(30),
            zone_name: "Europe/Berlin".into(),
            zone: chrono_tz::Europe::Berlin,
            all_day: false,
            location: String::new(),
            attendees: Vec::new(),
            hide_attendees: false,
            sensitivity: "normal".into(),
            draft: false,
            sequence: 0,
            recurrence: Some(recurrence),
            moved: BTreeMap::new(),
            dropped: BTreeSet::new(),
        }
    }

    #[test]
    fn a_weekly_series_keeps_its_clock_over_the_end_of_summer_time() {
        let facts = series(Recurrence { interval: 1, days: vec![Weekday::Tue], range: Range::Count(2) });
        let starts: Vec<_> = facts.instances().iter().map(|one| one.original_start.to_rfc3339()).collect();
        assert_eq!(starts, ["2026-10-20T07:00:00+00:00", "2026-10-27T08:00:00+00:00"]);
    }

    #[test]
    fn every_second_week_counts_weeks_and_not_dates() {
        let days = vec![Weekday::Tue, Weekday::Thu];
        let facts = series(Recurrence { interval: 2, days, range: Range::Count(4) });
        let dates: Vec<_> = facts.series_dates().iter().map(|date| date.format("%m-%d").to_string()).collect();
        assert_eq!(dates, ["10-20", "10-22", "11-03", "11-05"]);
    }

    #[test]
    fn an_endless_series_stops_at_the_bound() {
        let facts = series(Recurrence { interval: 1, days: Vec::new(), range: Range::Endless });
        assert_eq!(facts.series_dates().len(), MAX_DATES);
    }
}
