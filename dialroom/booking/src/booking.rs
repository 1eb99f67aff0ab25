//! A booking: our promise of a telephone line to a meeting.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{DialInWindow, KnownCaller, Language, Pin, RoomNumber};

/// The start an occurrence had in its series before anybody moved it (RFC 5545 section 3.8.4.4, RECURRENCE-ID).
pub type OriginalStart = DateTime<Utc>;

/// A meeting with its room, its PINs, its invitees and a window per occurrence.
///
/// A series is one booking. Its id outlives every move; its revision grows with every change that anybody is told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Booking {
    /// Ours, random, for good.
    pub id: BookingId,
    /// Our own counter; starts at 1. Not the SEQUENCE of any ICS.
    pub revision: u64,
    /// UID of the calendar entry (of the series' master), the calendar's or ours.
    pub uid: String,
    /// SEQUENCE for the ICS we write (RFC 5545 section 3.8.7.4): the calendar's as last read, or of our own entries, ours.
    pub sequence: u32,
    /// Where the entry lives.
    pub origin: Origin,
    /// Subject of the meeting, as the organizer wrote it; empty is allowed.
    pub title: String,
    /// The organizer's own text, plain.
    pub description: String,
    /// Whether title and description are for invitees only.
    pub private: bool,
    /// Whether invitees must not learn of each other: a mail then names its recipient alone.
    pub hide_attendees: bool,
    /// Whose meeting it is.
    pub organizer: Person,
    /// Language of the organizer, for recipients whose own is not known.
    pub language: Language,
    /// Zone in which times are written to people.
    pub time_zone: Tz,
    /// How its dial-in data reaches people; fixed once it was sent.
    pub delivery: Delivery,
    /// Number to key.
    pub room: RoomNumber,
    /// What to key behind it.
    pub pins: Pins,
    /// Everybody but the organizer, in the calendar's order.
    pub invitees: Vec<Invitee>,
    /// Telephone numbers of the organizer, who is moderator by them.
    pub organizer_numbers: Vec<KnownCaller>,
    /// Whether it is a series, of which perhaps only one date lies within the horizon.
    pub series: bool,
    /// Every date, by the start it had originally. A single meeting has one.
    pub occurrences: BTreeMap<OriginalStart, Occurrence>,
    /// Whether the line lives.
    pub state: BookingState,
}

impl Booking {
    /// Dates that take place, in order of their original start.
    pub fn windows(&self) -> impl Iterator<Item = (OriginalStart, DialInWindow)> {
        self.occurrences
            .iter()
            .filter(|(_, occurrence)| occurrence.state == OccurrenceState::Scheduled)
            .map(|(original_start, occurrence)| (*original_start, occurrence.window))
    }
}

/// One date of a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// When its line is open.
    pub window: DialInWindow,
    /// Whether it takes place.
    pub state: OccurrenceState,
}

/// Whether a date takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OccurrenceState {
    /// It does.
    Scheduled,
    /// It was cancelled; kept so that a caller can be told.
    Cancelled,
}

/// Whether a booking's line lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BookingState {
    /// It does.
    Active,
    /// The mark was removed while the meeting lives: no line any more, the meeting is not ours to cancel.
    LineClosed,
    /// The meeting was cancelled.
    Cancelled,
}

/// The PINs of a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    /// For everybody invited.
    pub participant: Pin,
    /// For the organizer alone.
    pub moderator: Pin,
}

/// Who keeps the calendar entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Origin {
    /// An event in a mailbox of a Microsoft Graph tenant.
    Graph {
        /// Object id of the mailbox' owner.
        mailbox: String,
        /// Immutable id of the event (of the master).
        event: String,
    },
    /// Nobody but us: made by `dialroom book`, the API or the planner.
    Dialroom,
}

/// How dial-in data reaches those who were invited by their calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// By one mail of ours with the ICS attached.
    #[default]
    Ics,
    /// By a block in the event itself.
    Calendar,
}

/// Somebody with an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// Where mail reaches him.
    pub address: EmailAddress,
    /// What he is called; `None` where the calendar only knows the address.
    pub name: Option<String>,
}

/// Somebody invited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitee {
    /// Who.
    pub person: Person,
    /// In what capacity.
    pub role: Role,
    /// What he answered.
    pub response: Response,
    /// Numbers that let him in without a PIN; none for guests.
    pub numbers: Vec<KnownCaller>,
    /// His own language, where a directory tells it.
    pub language: Option<Language>,
    /// Whether his calendar system invited him already, so that we must not do it again.
    pub invited_already: bool,
}

/// In what capacity somebody is invited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Has to come.
    Required,
    /// May come.
    Optional,
    /// A room or a device, not a person.
    Resource,
}

/// An invitee's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    /// None yet.
    #[default]
    None,
    /// Comes.
    Accepted,
    /// Perhaps.
    Tentative,
    /// Does not come.
    Declined,
}

/// An id of ours: 1 to 64 characters of `A-Z a-z 0-9 - _`, safe in paths and file names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BookingId(String);

impl BookingId {
    /// Takes an id as it is.
    ///
    /// # Errors
    /// When it is empty, longer than 64 characters, or holds any other character.
    pub fn parse(id: &str) -> Result<Self, BookingIdError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (1..=64).contains(&id.len()) && id.bytes().all(allowed) {
            Ok(Self(id.to_owned()))
        } else {
            Err(BookingIdError)
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BookingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for BookingId {
    type Error = BookingIdError;

    fn try_from(id: String) -> Result<Self, BookingIdError> {
        Self::parse(&id)
    }
}

impl From<BookingId> for String {
    fn from(id: BookingId) -> Self {
        id.0
    }
}

/// A text that is no booking id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a booking id has 1 to 64 letters, digits, '-' or '_'")]
pub struct BookingIdError;

/// A mail address in lower case, so that two spellings compare equal. Held to what a header and an SMTP command can
/// carry: no space, no control character, no angle bracket (RFC 5321 section 4.1.2, without quoted local parts).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Longest address that SMTP can carry (RFC 5321 section 4.5.3.1.3, less the brackets).
    pub const MAX_LEN: usize = 254;

    /// Reads an address, with or without `mailto:` in front.
    ///
    /// # Errors
    /// When it is none that could be written to.
    pub fn parse(raw: &str) -> Result<Self, EmailAddressError> {
        let raw = raw.trim();
        let raw =
            raw.get(..7).filter(|head| head.eq_ignore_ascii_case("mailto:")).map_or(raw, |head| &raw[head.len()..]);
        let (local, domain) = raw.rsplit_once('@').ok_or(EmailAddressError)?;
        let plain = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        let host = |c: char| c.is_alphanumeric() || c == '-' || c == '.';
        let dots_fit = |part: &str| !part.starts_with('.') && !part.ends_with('.') && !part.contains("..");
        let fits = raw.len() <= Self::MAX_LEN && !local.is_empty() && local.len() <= 64 && !domain.is_empty();
        if fits && local.chars().all(plain) && domain.chars().all(host) && dots_fit(local) && dots_fit(domain) {
            Ok(Self(raw.to_lowercase()))
        } else {
            Err(EmailAddressError)
        }
    }

    /// The address, lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address with its owner hidden, for logs: `b***@contoso.example`.
    #[must_use]
    pub fn masked(&self) -> String {
        format!("{}***@{}", self.0.chars().next().unwrap_or('*'), self.domain())
    }

    /// What stands behind the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = EmailAddressError;

    fn try_from(raw: String) -> Result<Self, EmailAddressError> {
        Self::parse(&raw)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

/// A text that is no mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a mail address; write name@domain")]
pub struct EmailAddressError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_compare_without_case() {
        assert_eq!(EmailAddress::parse("MAILTO:Anna@Contoso.Example").unwrap().as_str(), "anna@contoso.example");
        let address = EmailAddress::parse("müller@größe.example").unwrap();
        assert_eq!((address.domain(), address.masked().as_str()), ("größe.example", "m***@größe.example"));
    }

    #[test]
    fn what_could_break_out_of_a_header_is_refused() {
        for raw in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c",
            "a@b>\r\nRCPT TO:<x@y>",
            "a@b\n",
            "<a@b>",
            "\"a\"@b",
            "a..b@c",
            "a@b,c@d",
            "a@b@c d",
        ] {
            let address = EmailAddress::parse(raw);
            assert!(address.is_err() || raw.ends_with('\n'), "{raw:?}: {address:?}");
        }
    }

    proptest! {
        #[test]
        fn an_address_holds_nothing_but_itself(raw in "\\PC{0,60}|[a-c@.<>\\r\\n ,;:\"]{0,20}") {
            if let Ok(address) = EmailAddress::parse(&raw) {
                prop_assert!(!address.as_str().contains(|c: char| c.is_control() || c.is_whitespace() || "<>\",;:".contains(c)));
                prop_assert_eq!(EmailAddress::parse(address.as_str()).unwrap(), address);
            }
        }

        #[test]
        fn an_id_never_leaves_its_folder(id in "\\PC{0,70}") {
            if let Ok(id) = BookingId::parse(&id) {
                prop_assert!(!id.as_str().contains(['/', '.', '\\', '%']));
            }
        }
    }
}
