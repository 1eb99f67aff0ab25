//! The calendar of a guest whom the tenant does not host: what Exchange mails him, and what he opens of our mails, by the
//! rules of RFC 5546 section 3.2.2.1 (a higher SEQUENCE wins, then a later DTSTAMP).

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::post::Arrived;

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    stamp: DateTime<Utc>,
    /// Start of the first date as the mail had it; of ours, its first `DTSTART` line.
    pub(super) start: String,
}

/// Entries by UID.
pub(super) type Calendar = BTreeMap<String, Entry>;

/// The calendar of `address` after `mails` of Exchange and `ours`, in the order in which they came.
pub(super) fn calendar_of(address: &str, mails: &[Value], ours: &[Arrived]) -> Calendar {
    let mut calendar = Calendar::new();
    let mut steps: Vec<(DateTime<Utc>, Step<'_>)> = Vec::new();
    for mail in mails.iter().filter(|mail| mail["to"] == address) {
        steps.push((mail["at"].as_str().unwrap().parse().unwrap(), Step::Exchange(mail)));
    }
    for letter in ours.iter().filter(|letter| letter.to == address) {
        if let Some(ics) = &letter.ics {
            steps.push((letter.at, Step::Ours(ics)));
        }
    }
    steps.sort_by_key(|(at, _)| *at);
    for (at, step) in steps {
        match step {
            Step::Exchange(mail) if mail["kind"] == "cancellation" => {
                drop(calendar.remove(mail["uid"].as_str().unwrap()))
            }
            Step::Exchange(mail) => {
                let sequence = mail["sequence"].as_u64().unwrap();
                let start = mail["start"].as_str().unwrap().to_owned();
                calendar.insert(mail["uid"].as_str().unwrap().to_owned(), Entry { sequence, stamp: at, start });
            }
            Step::Ours(ics) => open(&mut calendar, ics),
        }
    }
    calendar
}

enum Step<'a> {
    Exchange(&'a Value),
    Ours(&'a str),
}

fn open(calendar: &mut Calendar, ics: &str) {
    let line = |name: &str| {
        let found = ics.lines().map(str::trim_end).find(|line| line.starts_with(name));
        found.and_then(|line| line.rsplit_once(':')).map(|(_, value)| value.to_owned())
    };
    let event = &ics[ics.find("BEGIN:VEVENT").unwrap()..];
    let in_event = |name: &str| {
        let found = event.lines().map(str::trim_end).find(|line| line.starts_with(name));
        found.and_then(|line| line.rsplit_once(':')).map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let uid = in_event("UID");
    if line("METHOD").as_deref() == Some("CANCEL") {
        calendar.remove(&uid);
        return;
    }
    let sequence: u64 = in_event("SEQUENCE").parse().unwrap_or(0);
    let stamp = chrono::NaiveDateTime::parse_from_str(&in_event("DTSTAMP"), "%Y%m%dT%H%M%SZ").unwrap().and_utc();
    let newer = calendar.get(&uid).is_none_or(|held| (sequence, stamp) >= (held.sequence, held.stamp));
    if newer {
        let start = event.lines().map(str::trim_end).find(|line| line.starts_with("DTSTART")).unwrap();
        calendar.insert(uid, Entry { sequence, stamp, start: instant(start) });
    }
}

/// `DTSTART;TZID=Europe/Berlin:20261123T100000` or `DTSTART:20261123T090000Z` as an instant.
fn instant(line: &str) -> String {
    let (name, value) = line.rsplit_once(':').unwrap();
    let local = chrono::NaiveDateTime::parse_from_str(value.trim_end_matches('Z'), "%Y%m%dT%H%M%S").unwrap();
    let zone = name.split_once("TZID=").map_or(chrono_tz::UTC, |(_, zone)| zone.trim_matches('"').parse().unwrap());
    let at = local.and_local_timezone(zone).earliest().unwrap();
    at.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true)
}
