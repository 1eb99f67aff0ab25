//! Every object written here is read back by two parsers that are not ours.

use std::io::BufReader;

use calcard::icalendar::{ICalendar, ICalendarComponentType, ICalendarProperty};
use chrono::{Datelike, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::{Africa, America, Asia, Australia, Europe};
use proptest::prelude::*;

use super::line::{MAX_LINE_LEN, clean, fold};
use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn person(address: &str, name: Option<&str>) -> Person {
    Person { address: EmailAddress::parse(address).unwrap(), name: name.map(ToOwned::to_owned) }
}

struct Texts {
    uid: String,
    summary: String,
    location: String,
    description: String,
    name: String,
}

fn texts() -> Texts {
    Texts {
        uid: "040000008200E00074C5B7101A82E008".to_owned(),
        summary: "Budget review".to_owned(),
        location: "+49 30 23125 88, room 4711".to_owned(),
        description: "Line one\nLine two; three".to_owned(),
        name: "Müller, Jörg".to_owned(),
    }
}

fn written(texts: &Texts, tz: Tz, dates: &[InviteDate], method: Method) -> String {
    let (organizer, bernd) =
        (person("anna@contoso.example", Some("Anna Albrecht")), person("bernd@contoso.example", Some(&texts.name)));
    let guest = person("eva%x@fabrikam.example", None);
    write(&Invite {
        method,
        stamp: at("2026-11-20T08:00:00Z"),
        uid: &texts.uid,
        sequence: 3,
        time_zone: tz,
        dates,
        organizer: &organizer,
        attendees: &[
            Guest { person: &bernd, role: Role::Required, response: Response::Accepted },
            Guest { person: &guest, role: Role::Optional, response: Response::None },
        ],
        recipient: &bernd.address,
        private: false,
        summary: &texts.summary,
        location: &texts.location,
        description: &texts.description,
        html: Some("<p>Room &amp; PIN; one, two</p>"),
        conference: Some(ConferenceLink { label: "Dial in", uri: "tel:+49302312588,,4711%23,,482915%23" }),
    })
}

fn single() -> Vec<InviteDate> {
    let (start, end) = (at("2026-11-26T09:00:00Z"), at("2026-11-26T09:30:00Z"));
    vec![InviteDate { recurrence_id: None, start, end }]
}

fn unfolded(text: &str) -> String {
    text.replace("\r\n ", "")
}

#[test]
fn the_whole_object() {
    let expected = "BEGIN:VCALENDAR\r\n\
PRODID:-//Dialroom//Dialroom//EN\r\n\
VERSION:2.0\r\n\
CALSCALE:GREGORIAN\r\n\
METHOD:REQUEST\r\n\
BEGIN:VTIMEZONE\r\n\
TZID:Europe/Berlin\r\n\
X-LIC-LOCATION:Europe/Berlin\r\n\
BEGIN:DAYLIGHT\r\n\
DTSTART:20250330T020000\r\n\
TZOFFSETFROM:+0100\r\n\
TZOFFSETTO:+0200\r\n\
TZNAME:CEST\r\n\
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r\n\
END:DAYLIGHT\r\n\
BEGIN:STANDARD\r\n\
DTSTART:20251026T030000\r\n\
TZOFFSETFROM:+0200\r\n\
TZOFFSETTO:+0100\r\n\
TZNAME:CET\r\n\
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r\n\
END:STANDARD\r\n\
END:VTIMEZONE\r\n\
BEGIN:VEVENT\r\n\
UID:040000008200E00074C5B7101A82E008\r\n\
SEQUENCE:3\r\n\
DTSTAMP:20261120T080000Z\r\n\
DTSTART;TZID=Europe/Berlin:20261126T100000\r\n\
DTEND;TZID=Europe/Berlin:20261126T103000\r\n\
SUMMARY:Budget review\r\n\
ORGANIZER;CN=\"Anna Albrecht\":mailto:anna@contoso.example\r\n\
ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=TRUE\
;CN=\"Müller, Jörg\":mailto:bernd@contoso.example\r\n\
ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=OPT-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE\
;CN=eva%x@fabrikam.example:mailto:eva%25x@fabrikam.example\r\n\
LOCATION:+49 30 23125 88\\, room 4711\r\n\
DESCRIPTION:Line one\\nLine two\\; three\r\n\
X-ALT-DESC;FMTTYPE=text/html:<p>Room &amp\\; PIN\\; one\\, two</p>\r\n\
CONFERENCE;VALUE=URI;FEATURE=PHONE;LABEL=\"Dial in\":tel:+49302312588,,4711%23,,482915%23\r\n\
STATUS:CONFIRMED\r\n\
TRANSP:OPAQUE\r\n\
X-MICROSOFT-CDO-BUSYSTATUS:BUSY\r\n\
END:VEVENT\r\n\
END:VCALENDAR\r\n";
    assert_eq!(unfolded(&written(&texts(), Tz::Europe__Berlin, &single(), Method::Request)), expected);
}

#[test]
fn a_series_is_its_dates_and_never_a_master() {
    let dates: Vec<_> = (0..100)
        .map(|week| {
            let original = at("2026-10-22T08:00:00Z") + TimeDelta::weeks(week);
            InviteDate { recurrence_id: Some(original), start: original, end: original + TimeDelta::hours(1) }
        })
        .collect();
    let ics = unfolded(&written(&texts(), Tz::Europe__Berlin, &dates, Method::Request));
    assert_eq!(ics.matches("BEGIN:VEVENT").count(), MAX_DATES);
    assert_eq!(ics.matches("RECURRENCE-ID;TZID=Europe/Berlin:").count(), MAX_DATES);
    assert!(ics.contains("RECURRENCE-ID;TZID=Europe/Berlin:20261022T100000\r\n"), "summer time");
    assert!(ics.contains("RECURRENCE-ID;TZID=Europe/Berlin:20261029T090000\r\n"), "winter time");
    assert!(!ics.contains("RDATE") && ics.matches("UID:").count() == MAX_DATES);
}

#[test]
fn a_cancellation_says_so_three_times() {
    let ics = written(&texts(), Tz::Europe__Berlin, &single(), Method::Cancel);
    assert!(
        ics.contains("METHOD:CANCEL\r\n") && ics.contains("STATUS:CANCELLED\r\n") && ics.contains("BUSYSTATUS:FREE")
    );
}

#[test]
fn utc_has_no_time_zone_component() {
    for tz in [Tz::UTC, Tz::Etc__GMT, Tz::Etc__UCT] {
        let ics = written(&texts(), tz, &single(), Method::Request);
        assert!(!ics.contains("TZID") && ics.contains("DTSTART:20261126T090000Z\r\n"), "{tz}");
    }
}

#[test]
fn a_crowd_over_many_dates_is_left_out() {
    let crowd: Vec<_> = (0..500).map(|n| person(&format!("p{n}@contoso.example"), None)).collect();
    let guests: Vec<_> =
        crowd.iter().map(|person| Guest { person, role: Role::Required, response: Response::None }).collect();
    let date = |day: i64| {
        let start = at("2026-11-26T09:00:00Z") + TimeDelta::days(day);
        InviteDate { recurrence_id: Some(start), start, end: start + TimeDelta::hours(1) }
    };
    for (days, lines) in [(1, 500), (4, 2000), (5, 5)] {
        let dates: Vec<_> = (0..days).map(date).collect();
        let invite = Invite {
            method: Method::Request,
            stamp: at("2026-11-20T08:00:00Z"),
            uid: "u",
            sequence: 0,
            time_zone: Tz::UTC,
            dates: &dates,
            organizer: &crowd[0],
            attendees: &guests,
            recipient: &crowd[7].address,
            private: true,
            summary: "",
            location: "",
            description: "",
            html: None,
            conference: None,
        };
        let ics = unfolded(&write(&invite));
        assert_eq!(ics.matches("ATTENDEE").count(), lines);
        assert!(ics.contains("mailto:p7@contoso.example") && ics.contains("\r\nCLASS:PRIVATE\r\n"));
    }
}

/// What two parsers read of an object with `texts`, against the texts themselves.
fn check_read_back(texts: &Texts) {
    let ics = written(texts, Tz::Europe__Berlin, &single(), Method::Request);
    assert!(ics.split("\r\n").all(|line| line.len() <= MAX_LINE_LEN), "a line is too long");
    assert!(!ics.replace("\r\n", "").contains(['\r', '\n']), "a bare line break");
    let kept = |text: &str| clean(text).collect::<String>();

    let read = ICalendar::parse(&ics).unwrap();
    let types: Vec<_> = read.components.iter().map(|component| component.component_type.clone()).collect();
    let events = types.iter().filter(|kind| **kind == ICalendarComponentType::VEvent).count();
    assert_eq!((types.len(), events), (5, 1), "components");
    let event = read.components.iter().find(|c| c.component_type == ICalendarComponentType::VEvent).unwrap();
    assert_eq!(event.entries.len(), 16, "properties: {ics}");
    let text = |property: ICalendarProperty| {
        event.property(&property).and_then(|entry| entry.values.first()).and_then(|value| value.as_text())
    };
    assert_eq!(text(ICalendarProperty::Summary).unwrap_or_default(), kept(&texts.summary));
    assert_eq!(text(ICalendarProperty::Location).unwrap_or_default(), kept(&texts.location));
    assert_eq!(text(ICalendarProperty::Description).unwrap_or_default(), kept(&texts.description));

    let unfolded = unfolded(&ics);
    let mut parser = ical::IcalParser::new(BufReader::new(unfolded.as_bytes()));
    let calendar = parser.next().unwrap().unwrap();
    assert!(parser.next().is_none() && calendar.events.len() == 1 && calendar.timezones.len() == 1);
    let names: Vec<_> = calendar.events[0].properties.iter().map(|property| property.name.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "UID SEQUENCE DTSTAMP DTSTART DTEND SUMMARY ORGANIZER ATTENDEE ATTENDEE LOCATION DESCRIPTION X-ALT-DESC \
         CONFERENCE STATUS TRANSP X-MICROSOFT-CDO-BUSYSTATUS"
    );
    let property = |name: &str| calendar.events[0].properties.iter().find(|p| p.name == name).unwrap();
    // `ical` trims lines and drops a colon at a value's front; the rest must be equal.
    let bare = |text: &str| text.trim_start_matches(':').trim_end().to_owned();
    for (name, text) in [("UID", &texts.uid), ("SUMMARY", &texts.summary), ("DESCRIPTION", &texts.description)] {
        let value = property(name).value.clone().unwrap_or_default();
        assert_eq!(bare(&value), bare(&escape_text(text)), "{name}");
        assert_eq!(unescaped(&escape_text(text)), kept(text), "{name}");
    }
    let cn = property("ATTENDEE").params.iter().flatten().find(|(key, _)| key == "CN").unwrap().1.concat();
    assert_eq!(cn.replace("^n", "\n").replace("^'", "\"").replace("^^", "^"), kept(&texts.name));
    assert_eq!(property("ATTENDEE").value.as_deref(), Some("mailto:bernd@contoso.example"));
    assert_eq!(property("CONFERENCE").value.as_deref(), Some("tel:+49302312588,,4711%23,,482915%23"));
}

fn unescaped(value: &str) -> String {
    let mut chars = value.chars();
    std::iter::from_fn(|| {
        let c = chars.next()?;
        if c != '\\' {
            return Some(c);
        }
        chars.next().map(|escaped| if escaped == 'n' { '\n' } else { escaped })
    })
    .collect()
}

/// Pieces that have broken some writer or reader of calendars before.
pub(super) fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\r\nATTENDEE:mailto:x@evil.example".to_owned()),
        Just("\nEND:VEVENT\nBEGIN:VEVENT\n".to_owned()),
        Just("\r\n BEGIN:VALARM".to_owned()),
        Just("\\n\\;\\,\\".to_owned()),
        Just(";CN=\"x\":y,z".to_owned()),
        Just("\u{0}\u{7}\u{1b}\u{7f}".to_owned()),
        Just("\u{85}\u{2028}\u{2029}\u{b}\u{c}".to_owned()),
        Just("Größe ÄÖÜ 🎉🎊 漢字".to_owned()),
        Just("a".repeat(998)),
        Just("🎉".repeat(40)),
        "\\PC{0,40}",
        "[a-z:;,\"\\\\^ ]{0,90}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("x{}x", pieces.concat()))
}

proptest! {
    #[test]
    fn folding_is_undone_by_unfolding(line in "\\PC{0,300}|[äß🎉a]{0,200}") {
        let mut folded = String::new();
        fold(&mut folded, &line);
        prop_assert!(folded.split("\r\n").all(|piece| piece.len() <= MAX_LINE_LEN));
        prop_assert_eq!(unfolded(folded.strip_suffix("\r\n").unwrap()), line);
    }

    #[test]
    fn hostile_texts_stay_in_their_property(
        uid in hostile(), summary in hostile(), location in hostile(), description in hostile(), name in "[^^]{0,60}",
    ) {
        check_read_back(&Texts { uid, summary, location, description, name: format!("x{name}x") });
    }
}

/// What a VTIMEZONE says of an instant: an interpreter of its own, year by year, onset by onset.
fn offset_by_component(zone: &ical::parser::ical::component::IcalTimeZone, instant: DateTime<Utc>) -> i32 {
    let mut onsets: Vec<(NaiveDateTime, i32)> = Vec::new();
    for observance in &zone.transitions {
        let value = |name: &str| {
            observance.properties.iter().find(|property| property.name == name).and_then(|p| p.value.clone())
        };
        let seconds = |text: String| {
            let number = |range: std::ops::Range<usize>| text.get(range).unwrap().parse::<i32>().unwrap();
            (number(1..3) * 3600 + number(3..5) * 60) * if text.starts_with('-') { -1 } else { 1 }
        };
        let (from, to) = (seconds(value("TZOFFSETFROM").unwrap()), seconds(value("TZOFFSETTO").unwrap()));
        let start = NaiveDateTime::parse_from_str(&value("DTSTART").unwrap(), "%Y%m%dT%H%M%S").unwrap();
        let mut locals = vec![start];
        if let Some(rule) = value("RRULE") {
            let part = |key: &str| rule.split(';').find_map(|part| part.strip_prefix(key)).unwrap().to_owned();
            let (month, day) = (part("BYMONTH=").parse::<u32>().unwrap(), part("BYDAY="));
            let (week, name) = day.split_at(day.len() - 2);
            let weekday = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"].iter().position(|n| *n == name).unwrap();
            for year in start.year() + 1..=instant.year() + 1 {
                let days: Vec<_> = (1..=31)
                    .filter_map(|day| NaiveDate::from_ymd_opt(year, month, day))
                    .filter(|date| date.weekday().num_days_from_monday() as usize == weekday)
                    .collect();
                let index = match week {
                    "-1" => days.len() - 1,
                    nth => nth.parse::<usize>().unwrap() - 1,
                };
                locals.push(days[index].and_time(start.time()));
            }
        }
        onsets.extend(locals.into_iter().map(|local| (local - TimeDelta::seconds(from.into()), to)));
    }
    onsets.retain(|(onset, _)| *onset <= instant.naive_utc());
    onsets.into_iter().max().unwrap().1
}

#[test]
fn time_zones_say_what_tzdata_says() {
    let (first, last) = (at("2026-02-01T00:00:00Z"), at("2027-12-31T00:00:00Z"));
    let mut instants: Vec<_> = (0..700).map(|day| first + TimeDelta::hours(day * 24 + day % 24)).collect();
    instants.retain(|instant| *instant <= last);
    // Both sides of the changes in Berlin and in New York.
    for change in ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"] {
        instants.extend([at(change) - TimeDelta::seconds(1), at(change)]);
    }
    let mut by_rule = 0;
    for tz in chrono_tz::TZ_VARIANTS {
        let Some(zone) = zone::time_zone(tz, first, last) else { continue };
        by_rule += usize::from(zone.transitions.iter().any(|t| t.properties.iter().any(|p| p.name == "RRULE")));
        assert!(zone.transitions.len() <= 12, "{tz}");
        for instant in &instants {
            let expected = tz.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc();
            assert_eq!(offset_by_component(&zone, *instant), expected, "{tz} at {instant}");
        }
    }
    assert!(by_rule > 100, "{by_rule} zones by rule");
}

#[test]
fn rules_where_years_agree_and_lists_where_they_do_not() {
    let zone = |tz| {
        let zone = zone::time_zone(tz, at("2026-05-01T00:00:00Z"), at("2027-05-01T00:00:00Z")).unwrap();
        let rule = |t: &ical::parser::ical::component::IcalTimeZoneTransition| {
            t.properties.iter().find(|p| p.name == "RRULE").and_then(|p| p.value.clone()).unwrap_or_default()
        };
        zone.transitions.iter().map(rule).collect::<Vec<_>>()
    };
    assert_eq!(
        zone(America::New_York),
        ["FREQ=YEARLY;BYMONTH=3;BYDAY=2SU", "FREQ=YEARLY;BYMONTH=11;BYDAY=1SU"].map(ToOwned::to_owned)
    );
    assert_eq!(zone(Australia::Sydney)[1], "FREQ=YEARLY;BYMONTH=10;BYDAY=1SU");
    assert_eq!(zone(Asia::Kolkata), [""]);
    assert!(zone(Africa::Casablanca).len() > 4 && zone(Africa::Casablanca).iter().all(String::is_empty));
    assert_eq!(zone(Europe::Dublin).len(), 2);
}
