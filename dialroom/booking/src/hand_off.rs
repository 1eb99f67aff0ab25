//! A booking as it crosses from the connector to the mixer.
//!
//! Only what a telephone needs: no mail, no calendar id, no office secret. PINs are written, never read back: a
//! [`HandedOver`] goes out, a [`HandedView`] comes back.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::fmt;

use crate::{BookingId, DialInWindow, E164, Language, OccurrenceState, OriginalStart, Pin, RoomNumber};

/// Most dates of one booking: a daily series over the 400 days of the horizon, with room to spare.
pub const MAX_WINDOWS: usize = 1000;
/// Most people whose numbers let them in: Graph allows 500 attendees, other calendars more.
pub const MAX_CALLERS: usize = 2000;

/// What the connector PUTs (`/v1/bookings/{id}`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedOver {
    /// The booking's id, as in the path.
    pub id: BookingId,
    /// The booking's revision; a lower one than held is refused.
    pub revision: u64,
    /// UID of the calendar entry, for tracing.
    pub uid: String,
    /// Number to key.
    pub room: RoomNumber,
    /// What to key behind it.
    pub pins: HandedPins,
    /// Subject, for people who watch the conference; never spoken as text.
    pub title: String,
    /// Whose it is, for the limit on all conferences of one account: the organizer's address. Empty: nobody's, no limit.
    #[serde(default)]
    pub account: String,
    /// Language of the prompts.
    pub language: Language,
    /// Zone in which times are spoken.
    pub time_zone: Tz,
    /// Every date, at most [`MAX_WINDOWS`], ordered by `original_start`.
    pub windows: Vec<HandedWindow>,
    /// Everybody who may be let in by number, at most [`MAX_CALLERS`].
    pub callers: Vec<HandedCaller>,
    /// A room that is always open; then `windows` is empty.
    #[serde(default)]
    pub permanent: bool,
}

/// One date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedWindow {
    /// Which date of the series.
    pub original_start: OriginalStart,
    /// When its line is open.
    #[serde(flatten)]
    pub window: DialInWindow,
    /// Whether it takes place.
    pub state: OccurrenceState,
}

/// Somebody with a telephone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedCaller {
    /// Key of his recorded name and of his call records: his mail address.
    pub person: String,
    /// His name, for people who watch the conference.
    pub name: Option<String>,
    /// Numbers that are his alone.
    pub numbers: Vec<E164>,
    /// Whether his number makes him moderator.
    pub moderator: bool,
    /// Whether he said he would not come.
    pub declined: bool,
}

/// PINs on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedPins {
    /// For everybody invited; `None` only for a room without PIN.
    pub participant: Option<HandedPin>,
    /// For the moderator.
    pub moderator: Option<HandedPin>,
}

/// A PIN on its way to the mixer; serializes to its digits, prints nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HandedPin(pub Pin);

impl fmt::Debug for HandedPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for HandedPin {
    type Error = crate::PinError;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        Pin::parse(&digits).map(Self)
    }
}

impl From<HandedPin> for String {
    fn from(pin: HandedPin) -> Self {
        pin.0.expose().to_owned()
    }
}

/// What the mixer shows of a booking it holds (`GET /v1/bookings/{id}`): everything but PINs and numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandedView {
    /// As handed over.
    pub id: BookingId,
    /// As handed over.
    pub revision: u64,
    /// As handed over.
    pub uid: String,
    /// As handed over.
    pub room: RoomNumber,
    /// As handed over.
    pub title: String,
    /// As handed over.
    pub windows: Vec<HandedWindow>,
    /// As handed over.
    pub permanent: bool,
}

impl From<&HandedOver> for HandedView {
    fn from(booking: &HandedOver) -> Self {
        Self {
            id: booking.id.clone(),
            revision: booking.revision,
            uid: booking.uid.clone(),
            room: booking.room,
            title: booking.title.clone(),
            windows: booking.windows.clone(),
            permanent: booking.permanent,
        }
    }
}

impl HandedOver {
    /// Instant after which nothing of it can be dialled any more; `None` for a permanent room.
    #[must_use]
    pub fn last_closes(&self) -> Option<DateTime<Utc>> {
        self.windows.iter().map(|date| date.window.closes()).max()
    }
}
