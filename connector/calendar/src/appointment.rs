//! An event as its calendar tells it, whichever calendar it was.

use std::fmt;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use dialroom_booking::{Origin, OriginalStart, Person, Response, Role};
use serde::Serialize;

/// An entry of a calendar: a single meeting, or a whole series with its dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appointment {
    /// Where the entry lives. For a resource mailbox' copy: that mailbox.
    pub origin: Origin,
    /// Its UID; of a series that of the master, since in Graph every occurrence carries another.
    pub uid: String,
    /// Its SEQUENCE (RFC 5545 section 3.8.7.4); `None` where the calendar does not tell.
    pub sequence: Option<u32>,
    /// Subject as written; empty is allowed.
    pub subject: String,
    /// The organizer's own text, plain, lines ended by `\n`.
    pub text: String,
    /// Whose meeting it is.
    pub organizer: Person,
    /// Whether this copy is the organizer's own.
    pub is_organizer: bool,
    /// Everybody invited but the organizer, in the calendar's order; at most 2000.
    pub attendees: Vec<Attendee>,
    /// Whether attendees must not learn of each other.
    pub hide_attendees: bool,
    /// Zone in which it was made, and in which times are written to people.
    pub time_zone: Tz,
    /// Whole days, midnight to midnight.
    pub all_day: bool,
    /// Whether it is a series, however many of its dates are known.
    pub series: bool,
    /// Its dates in order of `original_start`; a single meeting has one. At most [`Self::MAX_DATES`].
    pub dates: Vec<AppointmentDate>,
    /// A series whose last date is not among `dates`: its number stays blocked for every window after its start.
    pub endless_or_beyond_horizon: bool,
    /// Cancelled as a whole.
    pub cancelled: bool,
    /// The organizer has not sent it yet; nothing of it is final.
    pub draft: bool,
    /// What may make it ours.
    pub marks: Marks,
    /// Its subject is not for other people's eyes.
    pub private: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When anybody last changed it.
    pub modified: DateTime<Utc>,
}

impl Appointment {
    /// Most dates of one series: a daily one over the horizon of 400 days, with room to spare.
    pub const MAX_DATES: usize = dialroom_booking::MAX_WINDOWS;
    /// Most attendees: Graph allows 500, other calendars more.
    pub const MAX_ATTENDEES: usize = dialroom_booking::MAX_CALLERS;
}

/// One date of an appointment, half-open `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AppointmentDate {
    /// The start it had in its series before anybody moved it.
    pub original_start: OriginalStart,
    /// When it starts.
    pub start: DateTime<Utc>,
    /// When it ends; never before `start`.
    pub end: DateTime<Utc>,
    /// Whether this date alone was cancelled.
    pub cancelled: bool,
}

/// Somebody invited by the calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attendee {
    /// Who.
    pub person: Person,
    /// In what capacity.
    pub role: Role,
    /// What he answered.
    pub response: Response,
}

/// What in an entry may say "this one wants a telephone line".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Marks {
    /// Name of the add-in's property in lower case (`cecp-…`), when it is set to something.
    pub property: Option<String>,
    /// Whether our block stands in the body.
    pub block: bool,
    /// Categories as written.
    pub categories: Vec<String>,
    /// Location as written.
    pub location: String,
}

/// Something about an entry that could not be read and was left out; the rest of it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `attendees[3]`, `originalStartTimeZone`.
    pub field: String,
    /// What was wrong, with the remedy where there is one; holds no personal data.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}
