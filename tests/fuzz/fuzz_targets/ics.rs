//! iCalendar as we write it (RFC 5545): whatever the texts hold, they stay in their property and in their line.
#![no_main]

mod support;

use chrono::{DateTime, TimeDelta};
use connector_calendar::ics::{Invite, InviteDate, Method, write};
use dialroom_booking::{EmailAddress, Person};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(4, '\u{1}');
    let mut part = || parts.next().unwrap_or_default();
    let (summary, location, description, name) = (part(), part(), part(), part());
    let address = EmailAddress::parse("anna@contoso.example").expect("an address");
    let organizer = Person { name: Some(name.to_owned()), address: address.clone() };
    let start = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    let written = write(&Invite {
        method: Method::Request,
        stamp: start,
        uid: summary,
        sequence: 1,
        // Its rules are the same for every text, and take most of the time.
        time_zone: chrono_tz::UTC,
        dates: &[InviteDate { recurrence_id: None, start, end: start + TimeDelta::hours(1) }],
        organizer: &organizer,
        attendees: &[],
        recipient: &address,
        private: false,
        summary,
        location,
        description,
        html: Some(description),
        conference: None,
    });
    let lines: Vec<_> = written.split("\r\n").collect();
    assert!(lines.iter().all(|line| line.len() <= 75 && !line.contains(['\r', '\n'])), "a line is too long or broken");
    let count = |word: &str| lines.iter().filter(|line| **line == word).count();
    assert_eq!((count("BEGIN:VEVENT"), count("END:VEVENT"), count("BEGIN:VCALENDAR")), (1, 1, 1));
    assert_eq!(count("BEGIN:VALARM") + count("BEGIN:VTODO"), 0);
});
