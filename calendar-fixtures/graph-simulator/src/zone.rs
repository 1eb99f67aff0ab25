//! Zones and times as Graph spells them: Windows names beside IANA names, seven decimals, no offset.

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use windows_timezones::WindowsTimezone;

/// The zone that a name means; Windows names first, since Exchange knows them best. `None` for anything else.
pub(crate) fn zone_by_name(name: &str) -> Option<Tz> {
    match name.parse::<WindowsTimezone>() {
        Ok(windows) => windows.tzdb_id().parse().ok(),
        Err(_) => name.parse().ok(),
    }
}

/// The instant of a wall clock reading: the earlier one where it comes twice, an hour later where it never comes.
pub(crate) fn instant(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.to_utc(),
        LocalResult::None => {
            let later = local + TimeDelta::hours(1);
            zone.from_local_datetime(&later).earliest().map_or_else(|| later.and_utc(), |time| time.to_utc())
        }
    }
}

/// `2026-11-26T09:00:00.0000000`: how `dateTimeTimeZone` writes a time.
pub(crate) fn seven_decimals(time: NaiveDateTime) -> String {
    format!("{}.0000000", time.format("%Y-%m-%dT%H:%M:%S"))
}

/// `2026-11-26T09:00:00.1234567Z`: how a `DateTimeOffset` property is written.
pub(crate) fn stamp(time: DateTime<Utc>) -> String {
    let tenths_of_microseconds = time.timestamp_subsec_nanos() / 100;
    format!("{}.{tenths_of_microseconds:07}Z", time.format("%Y-%m-%dT%H:%M:%S"))
}

/// Reads what people and Graph write: RFC 3339 with an offset (turned into `zone`), or a reading of that zone's clock.
pub(crate) fn local_time(raw: &str, zone: Tz) -> Option<NaiveDateTime> {
    if let Ok(time) = DateTime::parse_from_rfc3339(raw) {
        return Some(time.with_timezone(&zone).naive_local());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"].iter().find_map(|form| NaiveDateTime::parse_from_str(raw, form).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_names_are_known_and_custom_ones_are_not() {
        assert_eq!(zone_by_name("W. Europe Standard Time"), Some(chrono_tz::Europe::Berlin));
        assert_eq!(zone_by_name("Europe/Berlin"), Some(chrono_tz::Europe::Berlin));
        assert!(zone_by_name("UTC").is_some());
        assert_eq!(zone_by_name("tzone://Microsoft/Custom"), None);
    }

    #[test]
    fn an_hour_that_never_comes_is_the_next() {
        let skipped = local_time("2026-03-29T02:30:00", chrono_tz::Europe::Berlin).unwrap();
        assert_eq!(instant(skipped, chrono_tz::Europe::Berlin).to_rfc3339(), "2026-03-29T01:30:00+00:00");
    }
}
