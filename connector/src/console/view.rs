//! What the API shows of a booking. PINs only to who asks for them; numbers never, only whether somebody is recognized.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use dialroom_booking::{Booking, BookingId, BookingState, Delivery, Origin, Person, Response, Role, RoomNumber};
use serde::Serialize;

/// A booking as JSON.
#[derive(Serialize)]
pub(super) struct ConferenceView {
    id: BookingId,
    revision: u64,
    state: BookingState,
    uid: String,
    /// `graph` or `dialroom`.
    origin: &'static str,
    title: String,
    private: bool,
    room: RoomNumber,
    time_zone: Tz,
    delivery: Delivery,
    organizer: PersonView,
    attendees: Vec<AttendeeView>,
    windows: Vec<WindowView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pins: Option<PinsView>,
}

#[derive(Serialize)]
struct PersonView {
    address: String,
    name: Option<String>,
    /// Whether a telephone of his lets him in without a PIN.
    recognized: bool,
}

#[derive(Serialize)]
struct AttendeeView {
    #[serde(flatten)]
    person: PersonView,
    role: Role,
    response: Response,
}

#[derive(Serialize)]
struct WindowView {
    original_start: DateTime<Utc>,
    opens: DateTime<Utc>,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    closes: DateTime<Utc>,
    state: dialroom_booking::OccurrenceState,
}

#[derive(Serialize)]
struct PinsView {
    participant: String,
    moderator: String,
}

impl ConferenceView {
    /// A view; with PINs when they were asked for.
    pub(super) fn new(booking: &Booking, with_pins: bool) -> Self {
        let person = |person: &Person, numbers: usize| PersonView {
            address: person.address.as_str().to_owned(),
            name: person.name.clone(),
            recognized: numbers > 0,
        };
        let attendees = booking.invitees.iter().map(|one| AttendeeView {
            person: person(&one.person, one.numbers.len()),
            role: one.role,
            response: one.response,
        });
        let windows = booking.occurrences.iter().map(|(original_start, date)| WindowView {
            original_start: *original_start,
            opens: date.window.opens(),
            start: date.window.start(),
            end: date.window.end(),
            closes: date.window.closes(),
            state: date.state,
        });
        Self {
            id: booking.id.clone(),
            revision: booking.revision,
            state: booking.state,
            uid: booking.uid.clone(),
            origin: match booking.origin {
                Origin::Graph { .. } => "graph",
                Origin::Dialroom => "dialroom",
            },
            // A private subject is for invitees only, and the API is read by administrators.
            title: if booking.private { String::new() } else { booking.title.clone() },
            private: booking.private,
            room: booking.room,
            time_zone: booking.time_zone,
            delivery: booking.delivery,
            organizer: person(&booking.organizer, booking.organizer_numbers.len()),
            attendees: attendees.collect(),
            windows: windows.collect(),
            pins: with_pins.then(|| PinsView {
                participant: booking.pins.participant.expose().to_owned(),
                moderator: booking.pins.moderator.expose().to_owned(),
            }),
        }
    }
}
