//! VTIMEZONE from tzdata (RFC 5545 section 3.6.5): nothing else generates it from `chrono-tz`.
//!
//! Offsets are looked up, changes found by halving. Where every year ahead changes by one rule, that rule is written;
//! where it does not (Morocco follows the moon; Israel changes two days before a Sunday), each change stands by itself.

use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::{OffsetComponents, OffsetName, Tz};
use ical::parser::ical::component::{IcalTimeZone, IcalTimeZoneTransition, IcalTimeZoneTransitionType};
use ical::property::Property;

use super::line::property;

/// Years over which changes must follow one rule before it is called a rule. Twelve tell "fourth Sunday" from "last".
const RULE_YEARS: u32 = 12;
/// Most years whose changes are listed one by one; a date beyond keeps the last offset listed.
const MAX_LISTED_YEARS: u32 = 5;
/// Distance of two looks. No zone changes twice within it (tzdata, since 1970).
const LOOK_HOURS: i64 = 12;

/// What clocks show from some instant on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Observance {
    /// Seconds east of UTC.
    offset: i32,
    /// Seconds of it that are summer time; negative where winter is the exception (Dublin).
    summer: i32,
    /// `CET`.
    name: String,
}

/// One change of the clocks.
#[derive(Clone, Debug)]
struct Change {
    at: DateTime<Utc>,
    before: Observance,
    after: Observance,
}

impl Change {
    /// The moment as the clocks showed it before the change, as DTSTART and RRULE count it.
    fn local(&self) -> NaiveDateTime {
        self.at.naive_utc() + TimeDelta::seconds(self.before.offset.into())
    }
}

/// The VTIMEZONE of `tz`, right from the year before `first` at least to `last`. `None` for UTC by any name, which has no
/// VTIMEZONE: its times are written with `Z` (RFC 5545 section 3.2.19).
pub(super) fn time_zone(tz: Tz, first: DateTime<Utc>, last: DateTime<Utc>) -> Option<IcalTimeZone> {
    let from = year_start(first, -1);
    let ahead = changes(tz, from, year_start(first, i32::try_from(RULE_YEARS).unwrap_or(0)));
    let initial = observance(tz, from);
    if ahead.is_empty() && initial.offset == 0 {
        return None;
    }
    let summer_is_named = !ahead.iter().any(|change| change.before.summer < 0 || change.after.summer < 0);
    let is_daylight = |observance: &Observance| {
        if summer_is_named { observance.summer > 0 } else { observance.summer == 0 }
    };
    let transitions = match rules(&ahead, RULE_YEARS) {
        Some(rules) => rules
            .into_iter()
            .map(|(change, rule)| written(change.local(), &change.before, &change.after, is_daylight, Some(rule)))
            .collect(),
        None => {
            let until = year_start(last, 1).min(year_start(first, i32::try_from(MAX_LISTED_YEARS).unwrap_or(0)));
            let start = from.naive_utc() + TimeDelta::seconds(initial.offset.into());
            let mut listed = vec![written(start, &initial, &initial, is_daylight, None)];
            listed.extend(
                ahead
                    .iter()
                    .filter(|change| change.at < until)
                    .map(|change| written(change.local(), &change.before, &change.after, is_daylight, None)),
            );
            listed
        }
    };
    let properties = vec![property("TZID", &[], tz.name()), property("X-LIC-LOCATION", &[], tz.name())];
    Some(IcalTimeZone { properties, transitions })
}

/// Midnight UTC at the start of the year that lies `years` after that of `instant`.
fn year_start(instant: DateTime<Utc>, years: i32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(instant.year().saturating_add(years), 1, 1, 0, 0, 0).single().unwrap_or(instant)
}

fn observance(tz: Tz, at: DateTime<Utc>) -> Observance {
    let offset = tz.offset_from_utc_datetime(&at.naive_utc());
    let seconds = offset.fix().local_minus_utc();
    let summer = i32::try_from(offset.dst_offset().num_seconds()).unwrap_or(0);
    let name = offset.abbreviation().map_or_else(|| offset_text(seconds), ToOwned::to_owned);
    Observance { offset: seconds, summer, name }
}

/// Every change in `[from, until)`, in order.
fn changes(tz: Tz, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Change> {
    let mut found = Vec::new();
    let (mut at, mut before) = (from, observance(tz, from));
    while at < until {
        let next = at + TimeDelta::hours(LOOK_HOURS);
        let after = observance(tz, next);
        if after != before {
            let change = Change { at: halved(tz, at, next, &before), before, after: after.clone() };
            found.push(change);
        }
        (at, before) = (next, after);
    }
    found
}

/// The first second in `(low, high]` at which `before` no longer holds.
fn halved(tz: Tz, mut low: DateTime<Utc>, mut high: DateTime<Utc>, before: &Observance) -> DateTime<Utc> {
    while high - low > TimeDelta::seconds(1) {
        let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
        if observance(tz, middle) == *before { low = middle } else { high = middle }
    }
    high
}

/// The changes of the first year with their yearly rules, when all years follow them. A zone that never changes has one
/// rule-less observance, which the caller lists.
fn rules(ahead: &[Change], years: u32) -> Option<Vec<(&Change, String)>> {
    let first_year = ahead.first()?.local().year();
    let per_year = ahead.iter().filter(|change| change.local().year() == first_year).count();
    // `ahead` begins one year before the event's.
    let years = usize::try_from(years).ok()? + 1;
    if per_year == 0 || ahead.len() != per_year * years {
        return None;
    }
    let of_kind = |kind: usize| ahead.iter().skip(kind).step_by(per_year);
    (0..per_year)
        .map(|kind| {
            let model = &ahead[kind];
            let alike = of_kind(kind).enumerate().all(|(year, change)| {
                (&change.before, &change.after) == (&model.before, &model.after)
                    && change.local().time() == model.local().time()
                    && change.local().month() == model.local().month()
                    && change.local().weekday() == model.local().weekday()
                    && i64::from(change.local().year()) == i64::from(first_year) + i64::try_from(year).unwrap_or(-1)
            });
            let week = alike.then(|| common_week(of_kind(kind).map(Change::local)))??;
            let day = weekday(model.local().weekday());
            Some((model, format!("FREQ=YEARLY;BYMONTH={};BYDAY={week}{day}", model.local().month())))
        })
        .collect()
}

/// Which week of its month all the dates lie in: -1 for the last, else 1 to 4; `None` when they do not agree.
fn common_week(dates: impl Iterator<Item = NaiveDateTime>) -> Option<i8> {
    let (mut last, mut nth) = (true, None::<Option<i8>>);
    for date in dates {
        last &= date.checked_add_signed(TimeDelta::days(7)).is_none_or(|next| next.month() != date.month());
        let week = i8::try_from((date.day() - 1) / 7 + 1).ok();
        nth = Some(nth.map_or(week, |earlier| earlier.filter(|_| earlier == week)));
    }
    if last { Some(-1) } else { nth.flatten() }
}

fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "MO",
        Weekday::Tue => "TU",
        Weekday::Wed => "WE",
        Weekday::Thu => "TH",
        Weekday::Fri => "FR",
        Weekday::Sat => "SA",
        Weekday::Sun => "SU",
    }
}

fn written(
    start: NaiveDateTime,
    before: &Observance,
    after: &Observance,
    is_daylight: impl Fn(&Observance) -> bool,
    rule: Option<String>,
) -> IcalTimeZoneTransition {
    let mut properties: Vec<Property> = vec![
        property("DTSTART", &[], &start.format("%Y%m%dT%H%M%S").to_string()),
        property("TZOFFSETFROM", &[], &offset_text(before.offset)),
        property("TZOFFSETTO", &[], &offset_text(after.offset)),
        property("TZNAME", &[], &after.name),
    ];
    properties.extend(rule.map(|rule| property("RRULE", &[], &rule)));
    let transition =
        if is_daylight(after) { IcalTimeZoneTransitionType::DAYLIGHT } else { IcalTimeZoneTransitionType::STANDARD };
    IcalTimeZoneTransition { transition, properties }
}

/// `+0100`; with seconds only where there are some (RFC 5545 section 3.3.14).
fn offset_text(seconds: i32) -> String {
    let (sign, size) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let (hours, minutes, rest) = (size / 3600, size / 60 % 60, size % 60);
    if rest == 0 { format!("{sign}{hours:02}{minutes:02}") } else { format!("{sign}{hours:02}{minutes:02}{rest:02}") }
}
