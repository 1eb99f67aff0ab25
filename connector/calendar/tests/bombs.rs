//! Entries made to hurt: each is read or refused in little time and little memory.
//!
//! One test, since memory is counted for the whole process. Reading is asked for 50 ms and 16 MB beyond the input itself;
//! without optimization the time is a multiple of that, and is bounded so.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use connector_calendar::{Appointment, GraphContext, GraphError, appointment_from_graph, read_delta_page};
use dialroom_booking::{EmailAddress, Person};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What reading one entry may take.
const MOST_BYTES: usize = 16 << 20;
const MOST_TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1500 } else { 50 });

fn event(more: &str) -> String {
    format!(
        r#"{{"id":"AAMk=","iCalUId":"0400","start":{{"dateTime":"2026-11-26T09:00:00.0000000","timeZone":"UTC"}},
        "end":{{"dateTime":"2026-11-26T09:30:00.0000000","timeZone":"UTC"}},"isOrganizer":true,
        "organizer":{{"emailAddress":{{"address":"anna@contoso.example"}}}}{more}}}"#
    )
}

fn series(more: &str) -> String {
    event(&format!(r#","type":"seriesMaster"{more}"#))
}

fn instance(start: DateTime<Utc>, kind: &str, more: &str) -> String {
    let text = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%S").to_string();
    let (first, last) = (text(start), text(start + TimeDelta::minutes(30)));
    format!(
        r#"{{"id":"{first}","type":"{kind}","originalStart":"{first}Z","start":{{"dateTime":"{first}","timeZone":"UTC"}},"end":{{"dateTime":"{last}","timeZone":"UTC"}}{more}}}"#
    )
}

fn page(instances: impl Iterator<Item = String>) -> String {
    format!(r#"{{"value":[{}]}}"#, instances.collect::<Vec<_>>().join(","))
}

fn seconds(count: i64) -> impl Iterator<Item = DateTime<Utc>> {
    let first: DateTime<Utc> = "2026-11-26T09:00:00Z".parse().unwrap();
    (0..count).map(move |second| first + TimeDelta::seconds(second))
}

struct Told {
    name: &'static str,
    took: Duration,
    bytes: usize,
    dates: usize,
}

/// Reads it within bounds; what comes out is bounded too.
#[expect(clippy::disallowed_methods, reason = "the figure is a time")]
fn read(name: &'static str, event: &str, pages: &[String]) -> Told {
    let owner = Person { address: EmailAddress::parse("anna@contoso.example").unwrap(), name: None };
    let horizon = "2027-12-31T00:00:00Z".parse().unwrap();
    let context = GraphContext { mailbox: "m", owner: &owner, home_zone: Tz::Europe__Berlin, horizon };
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let read = appointment_from_graph(event.as_bytes(), pages, &context);
    let bytes = MEMORY.peak_usage().saturating_sub(before);
    // Whatever else the machine does only adds to a time: of several the least is what it takes.
    let time = || {
        let begun = Instant::now();
        drop(appointment_from_graph(event.as_bytes(), pages, &context));
        begun.elapsed()
    };
    let took = (0..5).map(|_| time()).min().unwrap();
    let dates = match &read {
        Ok((appointment, problems)) => {
            assert!(appointment.dates.len() <= Appointment::MAX_DATES, "{name}");
            assert!(appointment.attendees.len() <= Appointment::MAX_ATTENDEES && problems.len() <= 20, "{name}");
            assert!(appointment.text.len() < 200_000 && appointment.subject.len() < 4_000, "{name}");
            appointment.dates.len()
        }
        Err(
            GraphError::TooLarge(_) | GraphError::TooMany(_) | GraphError::NotJson(_) | GraphError::Unusable { .. },
        ) => 0,
    };
    Told { name, took, bytes, dates }
}

#[test]
fn entries_made_to_hurt_are_read_within_bounds() {
    let range = |text: &str| format!(r#","recurrence":{{"pattern":{{"type":"daily","interval":0}},"range":{text}}}"#);
    let guest = |n: usize| format!(r#"{{"emailAddress":{{"address":"guest{n}@fabrikam.example","name":"{n}"}}}}"#);
    let crowd = |n: usize| (0..n).map(guest).collect::<Vec<_>>().join(",");
    let attendees = format!(r#","attendees":[{}]"#, crowd(10_000));
    let cancelled: Vec<_> = (0..20_000).map(|n| format!(r#""OID.AAMk=.{:04}-01-01""#, n % 9999 + 1)).collect();
    let nested = "[".repeat(100_000);
    let long = "x".repeat(1 << 20);
    let tags = "<p>".repeat((3 << 20) / 3);
    let exceptions = page(seconds(3_000).map(|at| {
        instance(at, "exception", &format!(r#","attendees":[{}]"#, guest(usize::try_from(at.timestamp()).unwrap())))
    }));
    let told = [
        read(
            "a billion dates",
            &series(&range(r#"{"type":"numbered","numberOfOccurrences":9223372036854775807}"#)),
            &[],
        ),
        read(
            "dates before and after all years",
            &series(&range(r#"{"type":"endDate","startDate":"0001-01-01","endDate":"9999-12-31"}"#)),
            &[page(["-262143-01-01T00:00:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59"].into_iter().map(|at| {
                format!(
                    r#"{{"start":{{"dateTime":"{at}","timeZone":"UTC"}},"end":{{"dateTime":"{at}","timeZone":"UTC"}}}}"#
                )
            }))],
        ),
        read(
            "a date each second",
            &series(&range(r#"{"type":"noEnd"}"#)),
            &[page(seconds(20_000).map(|at| instance(at, "occurrence", "")))],
        ),
        read(
            "the same date again and again",
            &series(""),
            &[page((0..20_000).map(|_| instance(DateTime::UNIX_EPOCH, "occurrence", "")))],
        ),
        read("exceptions with a guest each", &series(""), &[exceptions]),
        read("cancelled dates", &series(&format!(r#","cancelledOccurrences":[{}]"#, cancelled.join(","))), &[]),
        read("ten thousand attendees", &event(&attendees), &[]),
        read("a subject of a megabyte", &event(&format!(r#","subject":"{long}""#)), &[]),
        read("a body of tags", &event(&format!(r#","body":{{"contentType":"html","content":"{tags}"}}"#)), &[]),
        read(
            "a body of a hundred megabytes",
            &event(&format!(r#","body":{{"content":"{}"}}"#, "x".repeat(100 << 20))),
            &[],
        ),
        read("nesting", &event(&format!(r#","hologram":{nested}"#)), &[]),
    ];
    for one in &told {
        println!("figure: {}: {:?}, {} kB, {} dates", one.name, one.took, one.bytes >> 10, one.dates);
    }
    let worst = |one: &&Told| one.took > MOST_TIME || one.bytes > MOST_BYTES;
    let beyond: Vec<_> = told.iter().filter(worst).map(|one| one.name).collect();
    assert!(beyond.is_empty(), "beyond {MOST_TIME:?} or {MOST_BYTES} bytes: {beyond:?}");
    assert!(read_delta_page(format!(r#"{{"value":{nested}"#).as_bytes()).is_err());
}
