//! A conference as somebody asks for it (`POST /api/v1/conferences`), and the appointment it becomes.
//!
//! Read once into what cannot be wrong: whatever passes here can be planned, written in a mail and kept.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use connector_calendar::{Appointment, AppointmentDate, Attendee, Marks};
use dialroom_booking::{EmailAddress, Origin, Person, Response, Role};
use dialroom_host::OsRandom;
use dialroom_settings::Settings;
use rand_core::RngCore;
use serde::Deserialize;

/// Longest title, in characters; Outlook stops there too.
const MAX_TITLE_CHARS: usize = 255;
/// Longest name of a person, in characters.
const MAX_NAME_CHARS: usize = 128;
/// Longest text, in characters.
const MAX_TEXT_CHARS: usize = 20_000;
/// Furthest ahead a conference may be booked: the horizon of all bookings.
const HORIZON_DAYS: i64 = 400;
/// Longest conference that is asked for; what is beyond `conference.max_duration_minutes` is cut.
const MAX_DAYS: i64 = 31;

/// The request's body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BookingRequest {
    title: String,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    organizer: PersonRequest,
    #[serde(default)]
    attendees: Vec<AttendeeRequest>,
    /// IANA name; `directory.time_zone` unless told.
    #[serde(default)]
    time_zone: Option<Tz>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    private: bool,
}

/// `"anna@contoso.example"` or `{"address": …, "name": …}`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum PersonRequest {
    Address(EmailAddress),
    Named {
        address: EmailAddress,
        #[serde(default)]
        name: Option<String>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum AttendeeRequest {
    Address(EmailAddress),
    Full {
        address: EmailAddress,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        role: Option<Role>,
    },
}

impl BookingRequest {
    /// The appointment that is asked for.
    ///
    /// # Errors
    /// Says which field does not fit and what would.
    pub(super) fn appointment(self, settings: &Settings, now: DateTime<Utc>) -> Result<Appointment, String> {
        let Self { title, start, end, organizer, attendees, time_zone, text, private } = self;
        if start >= end {
            return Err(format!("end: {end} is not after start {start}"));
        }
        if end <= now {
            return Err(format!("end: {end} is over; it is {now}"));
        }
        if start > now + TimeDelta::days(HORIZON_DAYS) {
            return Err(format!("start: {start} is more than {HORIZON_DAYS} days ahead"));
        }
        if end - start > TimeDelta::days(MAX_DAYS) {
            return Err(format!("end: a conference lasts at most {MAX_DAYS} days"));
        }
        if attendees.len() > Appointment::MAX_ATTENDEES {
            return Err(format!("attendees: {}; at most {}", attendees.len(), Appointment::MAX_ATTENDEES));
        }
        let organizer = match organizer {
            PersonRequest::Address(address) => Person { address, name: None },
            PersonRequest::Named { address, name } => Person { address, name: name_in("organizer.name", name)? },
        };
        let mut invited: Vec<Attendee> = Vec::new();
        for attendee in attendees {
            let (person, role) = match attendee {
                AttendeeRequest::Address(address) => (Person { address, name: None }, Role::Required),
                AttendeeRequest::Full { address, name, role } => {
                    (Person { address, name: name_in("attendees.name", name)? }, role.unwrap_or(Role::Required))
                }
            };
            let known =
                person.address == organizer.address || invited.iter().any(|one| one.person.address == person.address);
            if !known {
                invited.push(Attendee { person, role, response: Response::None });
            }
        }
        Ok(Appointment {
            origin: Origin::Dialroom,
            uid: fresh_uid(settings),
            sequence: Some(0),
            subject: line("title", title, MAX_TITLE_CHARS)?,
            text: block("text", text)?,
            organizer,
            is_organizer: true,
            attendees: invited,
            hide_attendees: false,
            time_zone: time_zone.unwrap_or(settings.directory.time_zone),
            all_day: false,
            series: false,
            dates: vec![AppointmentDate { original_start: start, start, end, cancelled: false }],
            endless_or_beyond_horizon: false,
            cancelled: false,
            draft: false,
            marks: Marks::default(),
            private,
            created: now,
            modified: now,
        })
    }
}

fn name_in(field: &str, name: Option<String>) -> Result<Option<String>, String> {
    name.map(|name| line(field, name, MAX_NAME_CHARS)).transpose()
}

/// One line of text without control characters.
fn line(field: &str, text: String, max_chars: usize) -> Result<String, String> {
    let len = text.chars().count();
    if len > max_chars {
        return Err(format!("{field}: {len} characters; at most {max_chars}"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{field}: holds a line break or another control character"));
    }
    Ok(text.trim().to_owned())
}

fn block(field: &str, text: String) -> Result<String, String> {
    let len = text.chars().count();
    if len > MAX_TEXT_CHARS {
        return Err(format!("{field}: {len} characters; at most {MAX_TEXT_CHARS}"));
    }
    let text = text.replace("\r\n", "\n");
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(format!("{field}: holds a control character"));
    }
    Ok(text)
}

fn fresh_uid(settings: &Settings) -> String {
    let mut bytes = [0; 16];
    OsRandom.fill_bytes(&mut bytes);
    let domain = settings.mail.as_ref().map_or("dialroom.invalid", |mail| mail.from.domain());
    format!("{}@{domain}", uuid::Builder::from_random_bytes(bytes).into_uuid())
}
