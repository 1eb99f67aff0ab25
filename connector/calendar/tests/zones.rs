//! Times of every zone against a reckoning that shares nothing with ours; `calendar-fixtures/zones.py` asks and compares.
//!
//! Without `DIALROOM_ZONES`, the file with its questions, there is nothing to answer.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::io::Write as _;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use connector_calendar::ics::{Invite, InviteDate, Method, write};
use connector_calendar::{Appointment, GraphContext, appointment_from_graph};
use dialroom_booking::{EmailAddress, Person};
use serde::{Deserialize, Serialize};

/// One zone in one year.
#[derive(Deserialize)]
struct Question {
    /// As a calendar names it.
    zone: String,
    /// Instants at which a series meets.
    starts: Vec<DateTime<Utc>>,
    /// Whole days.
    days: Vec<String>,
}

#[derive(Serialize)]
struct Answer {
    zone: String,
    tz: &'static str,
    ics: String,
    /// When each of the days begins.
    midnights: Vec<String>,
}

fn read(event: &str, pages: &[String]) -> Appointment {
    let owner = Person { address: EmailAddress::parse("anna@contoso.example").unwrap(), name: None };
    // Nobody's zone: one that is not understood shows.
    let (home_zone, horizon) = (Tz::Pacific__Chatham, "2100-01-01T00:00:00Z".parse().unwrap());
    let context = GraphContext { mailbox: "m", owner: &owner, home_zone, horizon };
    appointment_from_graph(event.as_bytes(), pages, &context).unwrap().0
}

fn time(at: &str) -> String {
    format!(r#"{{"dateTime":"{at}.0000000","timeZone":"UTC"}}"#)
}

fn event(zone: &str, more: &str, start: &str, end: &str) -> String {
    let (start, end) = (time(start), time(end));
    format!(
        r#"{{"id":"1","iCalUId":"u","isOrganizer":true,"originalStartTimeZone":"{zone}","start":{start},"end":{end}{more}}}"#
    )
}

fn answer(question: Question) -> Answer {
    let Question { zone, starts, days } = question;
    let plain = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%S").to_string();
    let instances: Vec<_> = starts
        .iter()
        .map(|at| {
            let more = format!(r#","type":"occurrence","originalStart":"{}Z""#, plain(*at));
            event(&zone, &more, &plain(*at), &plain(*at + TimeDelta::hours(1)))
        })
        .collect();
    let page = format!(r#"{{"value":[{}]}}"#, instances.join(","));
    let first = plain(starts[0]);
    let series = read(&event(&zone, r#","type":"seriesMaster""#, &first, &first), &[page]);
    let dates = series.dates.iter().map(|date| InviteDate {
        recurrence_id: Some(date.original_start),
        start: date.start,
        end: date.end,
    });
    let organizer = &series.organizer;
    let ics = write(&Invite {
        method: Method::Request,
        stamp: starts[0],
        uid: "u",
        sequence: 0,
        time_zone: series.time_zone,
        dates: &dates.collect::<Vec<_>>(),
        organizer,
        attendees: &[],
        recipient: &organizer.address,
        private: false,
        summary: "s",
        location: "l",
        description: "d",
        html: None,
        conference: None,
    });
    let midnight = |day: &String| {
        let whole =
            read(&event(&zone, r#","isAllDay":true"#, &format!("{day}T00:00:00"), &format!("{day}T00:00:00")), &[]);
        whole.dates[0].start.to_rfc3339_opts(SecondsFormat::Secs, true)
    };
    Answer { tz: series.time_zone.name(), ics, midnights: days.iter().map(midnight).collect(), zone }
}

#[test]
fn zones_are_answered_for() {
    let Ok(file) = std::env::var("DIALROOM_ZONES") else { return };
    let mut out = std::io::BufWriter::new(std::fs::File::create(format!("{file}.answers")).unwrap());
    for line in std::fs::read_to_string(&file).unwrap().lines() {
        let answer = answer(serde_json::from_str(line).unwrap());
        writeln!(out, "{}", serde_json::to_string(&answer).unwrap()).unwrap();
    }
}
