//! Dates and times as people read them: "Thursday, November 26, 2026" / „Donnerstag, 26. November 2026“, "9:50" / „9:50 Uhr“.
//!
//! A locale library would bring megabytes for two languages; a language added is one arm more in each `match`.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc, Weekday};
use chrono_tz::Tz;
use dialroom_booking::{DialInWindow, Language};

/// One date of a meeting, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrittenDate {
    /// The day it starts.
    pub(super) date: String,
    /// When it starts.
    pub(super) start: String,
    /// From when to when; an end on another day names it.
    pub(super) times: String,
    /// When the line opens; with the day where it is another one.
    pub(super) opens: String,
}

impl WrittenDate {
    /// `window` as read in `zone`.
    pub(super) fn new(window: &DialInWindow, zone: Tz, language: Language) -> Self {
        let local = |instant: DateTime<Utc>| instant.with_timezone(&zone).naive_local();
        let (opens, start, end) = (local(window.opens()), local(window.start()), local(window.end()));
        let date = long_date(start.date(), language);
        let times = if start.date() == end.date() {
            with_unit(&format!("{}–{}", clock(start.time()), clock(end.time())), language)
        } else {
            let last = format!("{}, {}", long_date(end.date(), language), with_unit(&clock(end.time()), language));
            format!("{} – {last}", with_unit(&clock(start.time()), language))
        };
        let opens_at = with_unit(&clock(opens.time()), language);
        let opens = if opens.date() == start.date() {
            opens_at
        } else {
            match language {
                Language::En => format!("{opens_at} on {}", long_date(opens.date(), language)),
                Language::De => format!("{}, {opens_at}", long_date(opens.date(), language)),
            }
        };
        Self { date, start: with_unit(&clock(start.time()), language), times, opens }
    }
}

/// The city that names a zone: `Buenos Aires` of `America/Argentina/Buenos_Aires`.
pub(super) fn city(zone: Tz) -> String {
    zone.name().rsplit('/').next().unwrap_or_default().replace('_', " ")
}

fn clock(time: chrono::NaiveTime) -> String {
    format!("{}:{:02}", time.hour(), time.minute())
}

fn with_unit(clock: &str, language: Language) -> String {
    match language {
        Language::En => clock.to_owned(),
        Language::De => format!("{clock} Uhr"),
    }
}

fn long_date(date: NaiveDate, language: Language) -> String {
    let (day, month, year) = (date.day(), month(date, language), date.year());
    match language {
        Language::En => format!("{}, {month} {day}, {year}", weekday(date.weekday(), language)),
        Language::De => format!("{}, {day}. {month} {year}", weekday(date.weekday(), language)),
    }
}

fn weekday(day: Weekday, language: Language) -> &'static str {
    let (en, de) = match day {
        Weekday::Mon => ("Monday", "Montag"),
        Weekday::Tue => ("Tuesday", "Dienstag"),
        Weekday::Wed => ("Wednesday", "Mittwoch"),
        Weekday::Thu => ("Thursday", "Donnerstag"),
        Weekday::Fri => ("Friday", "Freitag"),
        Weekday::Sat => ("Saturday", "Samstag"),
        Weekday::Sun => ("Sunday", "Sonntag"),
    };
    match language {
        Language::En => en,
        Language::De => de,
    }
}

fn month(date: NaiveDate, language: Language) -> &'static str {
    const EN: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DE: [&str; 12] = [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ];
    let names = match language {
        Language::En => &EN,
        Language::De => &DE,
    };
    usize::try_from(date.month0()).ok().and_then(|month| names.get(month)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn written(start: &str, minutes: i64, language: Language) -> WrittenDate {
        let start: DateTime<Utc> = start.parse().unwrap();
        let end = start + TimeDelta::minutes(minutes);
        let window = DialInWindow::new(start, end, TimeDelta::minutes(10), TimeDelta::minutes(15)).unwrap();
        WrittenDate::new(&window, Tz::Europe__Berlin, language)
    }

    #[test]
    fn as_people_write_it() {
        let en = written("2026-11-26T09:00:00Z", 30, Language::En);
        assert_eq!((en.date.as_str(), en.times.as_str()), ("Thursday, November 26, 2026", "10:00–10:30"));
        assert_eq!((en.start.as_str(), en.opens.as_str()), ("10:00", "9:50"));
        let de = written("2026-03-02T09:00:00Z", 30, Language::De);
        assert_eq!((de.date.as_str(), de.times.as_str()), ("Montag, 2. März 2026", "10:00–10:30 Uhr"));
        assert_eq!((de.start.as_str(), de.opens.as_str()), ("10:00 Uhr", "9:50 Uhr"));
    }

    #[test]
    fn around_midnight_the_other_day_is_named() {
        let en = written("2026-11-25T23:05:00Z", 24 * 60, Language::En);
        assert_eq!(en.opens, "23:55 on Wednesday, November 25, 2026");
        assert_eq!(en.times, "0:05 – Friday, November 27, 2026, 0:05");
        let de = written("2026-11-25T23:05:00Z", 30, Language::De);
        assert_eq!((de.opens.as_str(), de.times.as_str()), ("Mittwoch, 25. November 2026, 23:55 Uhr", "0:05–0:35 Uhr"));
    }

    #[test]
    fn a_zone_is_known_by_its_city() {
        assert_eq!(city(Tz::America__Argentina__Buenos_Aires), "Buenos Aires");
        assert_eq!(city(Tz::UTC), "UTC");
    }
}
