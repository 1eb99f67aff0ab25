//! A booking and its people, as small as tests can read them.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use connector_calendar::{Appointment, AppointmentDate, Attendee, MarkRule, Marks};
use dialroom_booking::{
    Booking, BookingId, BookingState, Delivery, DialInWindow, E164, EmailAddress, Invitee, KnownCaller, Language,
    Occurrence, OccurrenceState, Origin, Person, Pin, Pins, Response, Role, RoomNumber, RoomRanges,
};

use crate::PlanRules;

/// Minutes after Monday, 2 November 2026, 8:00 UTC.
pub(crate) fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_793_606_400 + minute * 60, 0).unwrap()
}

pub(crate) fn person(address: &str) -> Person {
    Person { address: EmailAddress::parse(address).unwrap(), name: None }
}

pub(crate) fn caller(number: &str) -> KnownCaller {
    KnownCaller { number: E164::international(number).unwrap(), written: number.to_owned() }
}

pub(crate) fn invitee(address: &str, numbers: &[&str]) -> Invitee {
    Invitee {
        person: person(address),
        role: Role::Required,
        response: Response::None,
        numbers: numbers.iter().map(|number| caller(number)).collect(),
        language: None,
        invited_already: true,
    }
}

pub(crate) fn window(start: i64, end: i64) -> DialInWindow {
    DialInWindow::new(at(start), at(end), TimeDelta::minutes(10), TimeDelta::minutes(15)).unwrap()
}

pub(crate) fn booking() -> Booking {
    let date = Occurrence { window: window(60, 90), state: OccurrenceState::Scheduled };
    Booking {
        id: BookingId::parse("b1").unwrap(),
        revision: 1,
        uid: "uid-1".into(),
        sequence: 0,
        origin: origin("e1"),
        title: "Budget review".into(),
        description: String::new(),
        private: false,
        hide_attendees: false,
        organizer: person("anna@contoso.example"),
        language: Language::En,
        time_zone: Tz::Europe__Berlin,
        delivery: Delivery::Ics,
        room: RoomNumber::parse("4711").unwrap(),
        pins: Pins { participant: Pin::parse("482915").unwrap(), moderator: Pin::parse("731604").unwrap() },
        invitees: vec![],
        organizer_numbers: vec![],
        series: false,
        occurrences: [(at(60), date)].into(),
        state: BookingState::Active,
    }
}

pub(crate) fn origin(event: &str) -> Origin {
    Origin::Graph { mailbox: "m-anna".into(), event: event.into() }
}

/// Anna's meeting with Bernd and Clara, marked.
pub(crate) fn appointment(start: i64, end: i64) -> Appointment {
    let attendee = |address| Attendee { person: person(address), role: Role::Required, response: Response::None };
    Appointment {
        origin: origin("e1"),
        uid: "uid-1".into(),
        sequence: Some(0),
        subject: "Budget review".into(),
        text: String::new(),
        organizer: person("anna@contoso.example"),
        is_organizer: true,
        attendees: vec![attendee("bernd@contoso.example"), attendee("clara@contoso.example")],
        hide_attendees: false,
        time_zone: Tz::Europe__Berlin,
        all_day: false,
        series: false,
        dates: vec![date(start, end)],
        endless_or_beyond_horizon: false,
        cancelled: false,
        draft: false,
        marks: Marks { location: "@dialroom".into(), ..Marks::default() },
        private: false,
        created: at(0),
        modified: at(0),
    }
}

pub(crate) fn date(start: i64, end: i64) -> AppointmentDate {
    AppointmentDate { original_start: at(start), start: at(start), end: at(end), cancelled: false }
}

pub(crate) fn rules() -> PlanRules {
    let resource = EmailAddress::parse("conference@contoso.example").unwrap();
    PlanRules {
        enabled: true,
        rules: vec![MarkRule::Resource(resource.clone()), MarkRule::Keyword("@dialroom".into())],
        booked: RoomRanges::parse("1000-7999").unwrap(),
        guard: TimeDelta::minutes(5),
        lead: TimeDelta::minutes(10),
        overrun: TimeDelta::minutes(15),
        max_duration: TimeDelta::minutes(480),
        pin_digits: 6,
        delivery: Delivery::Ics,
        resource_mailbox: Some(resource),
        service: None,
        resource_organizers: vec!["contoso.example".into()],
        language: Language::En,
    }
}
