//! Writing iCalendar: the object that an invitation or a cancellation carries (RFC 5545, RFC 5546, RFC 7986).
//!
//! `ical` gives the model (components of properties) and nothing else: its own writer folds by characters, escapes
//! nothing and panics on some names, so the way from model to octets is `line.rs`'s. Apart from the rest of the crate
//! because nothing here reads; time and texts come as arguments.

mod line;
mod zone;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use dialroom_booking::{EmailAddress, OriginalStart, Person, Response, Role};
use ical::parser::ical::component::{IcalCalendar, IcalEvent};
use ical::property::Property;

use line::{Stamp, escape_text, property, uri_property, write_calendar};

/// Most dates that one object carries; the mail says how many more there are. A daily series over two months, a weekly
/// one over a year: beyond that an object grows past what mail gateways and telephones like.
pub const MAX_DATES: usize = 60;
/// Most ATTENDEE lines of one object, all dates together. Above it an object names its recipient alone: the list is
/// for reading, and 500 people on 60 dates would be 3 MB.
pub const MAX_ATTENDEE_LINES: usize = 2000;

/// What the object asks its reader to do (RFC 5546 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Enter or update the meeting.
    Request,
    /// Take it out.
    Cancel,
}

impl Method {
    /// As in METHOD, and as in the `method` parameter of the mail part, which must be equal (RFC 6047 section 2.4).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "REQUEST",
            Self::Cancel => "CANCEL",
        }
    }
}

/// One date of the meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteDate {
    /// The date's place in its series (RECURRENCE-ID); `None` for a single meeting.
    pub recurrence_id: Option<OriginalStart>,
    /// Scheduled start.
    pub start: DateTime<Utc>,
    /// Scheduled end.
    pub end: DateTime<Utc>,
}

/// Somebody named in the object.
#[derive(Clone, Copy, Debug)]
pub struct Guest<'a> {
    /// Who.
    pub person: &'a Person,
    /// In what capacity.
    pub role: Role,
    /// What he answered.
    pub response: Response,
}

/// An invitation or a cancellation as its recipient shall read it.
///
/// A series is written as one VEVENT per date, each with the RECURRENCE-ID of its original start, and no master. Where
/// the calendar owns the series, a master of ours would replace its rule and take out every date we do not know; an
/// occurrence touches only itself (RFC 5546 section 3.2.2: such a REQUEST "updates one instance"). Where the series is
/// ours, the reader gets plain dates: Outlook does not import a list of RDATE, while Outlook, Apple and Google all take
/// an invitation to single occurrences of a series they do not have.
#[derive(Clone, Debug)]
pub struct Invite<'a> {
    /// What to do with it.
    pub method: Method,
    /// DTSTAMP: when this object is made.
    pub stamp: DateTime<Utc>,
    /// UID of the meeting: the calendar's where a calendar has it.
    pub uid: &'a str,
    /// SEQUENCE; never above the calendar's own.
    pub sequence: u32,
    /// Zone of the written times.
    pub time_zone: Tz,
    /// The dates; only the first [`MAX_DATES`] are written.
    pub dates: &'a [InviteDate],
    /// ORGANIZER.
    pub organizer: &'a Person,
    /// ATTENDEEs. Where the calendar hides its attendees, the recipient alone.
    pub attendees: &'a [Guest<'a>],
    /// Whom the mail goes to: what remains of `attendees` above [`MAX_ATTENDEE_LINES`].
    pub recipient: &'a EmailAddress,
    /// CLASS:PRIVATE, so that a copy in somebody's calendar stays as private as the original.
    pub private: bool,
    /// SUMMARY; never with a PIN.
    pub summary: &'a str,
    /// LOCATION; begins with the telephone number, never with a PIN.
    pub location: &'a str,
    /// DESCRIPTION: the organizer's text, then ours.
    pub description: &'a str,
    /// The same as HTML (`X-ALT-DESC`, for Outlook).
    pub html: Option<&'a str>,
    /// The one-tap link.
    pub conference: Option<ConferenceLink<'a>>,
}

/// CONFERENCE (RFC 7986 section 5.11).
#[derive(Clone, Copy, Debug)]
pub struct ConferenceLink<'a> {
    /// What the reader sees.
    pub label: &'a str,
    /// `tel:+49302312588,,4711%23,,482915%23`; written as it is, since a URI knows no backslash.
    pub uri: &'a str,
}

/// Writes the object: CRLF line ends, lines of at most 75 octets, UTF-8.
///
/// Whatever the texts hold, they stay inside their property; characters that iCalendar cannot carry are left out.
#[must_use]
pub fn write(invite: &Invite<'_>) -> String {
    let dates = &invite.dates[..invite.dates.len().min(MAX_DATES)];
    let zone = dates
        .iter()
        .map(|date| (date.start.min(date.recurrence_id.unwrap_or(date.start)), date.end))
        .reduce(|span, next| (span.0.min(next.0), span.1.max(next.1)))
        .and_then(|(first, last)| zone::time_zone(invite.time_zone, first, last));
    let tz = zone.is_some().then_some(invite.time_zone);
    let calendar = IcalCalendar {
        properties: vec![
            property("PRODID", &[], "-//Dialroom//Dialroom//EN"),
            property("VERSION", &[], "2.0"),
            property("CALSCALE", &[], "GREGORIAN"),
            property("METHOD", &[], invite.method.as_str()),
        ],
        events: dates.iter().map(|date| event(invite, *date, tz, dates.len())).collect(),
        timezones: zone.into_iter().collect(),
        ..IcalCalendar::new()
    };
    write_calendar(&calendar)
}

/// One VEVENT; times in `tz`, or in UTC without one.
fn event(invite: &Invite<'_>, date: InviteDate, tz: Option<Tz>, dates: usize) -> IcalEvent {
    let (status, busy) = match invite.method {
        Method::Request => ("CONFIRMED", "BUSY"),
        Method::Cancel => ("CANCELLED", "FREE"),
    };
    let mut properties = vec![
        property("UID", &[], &escape_text(invite.uid)),
        property("SEQUENCE", &[], &invite.sequence.to_string()),
        property("DTSTAMP", &[], &Stamp::utc(invite.stamp)),
    ];
    properties.extend(date.recurrence_id.map(|original| Stamp(original, tz).property("RECURRENCE-ID")));
    properties.push(Stamp(date.start, tz).property("DTSTART"));
    properties.push(Stamp(date.end, tz).property("DTEND"));
    properties.push(property("SUMMARY", &[], &escape_text(invite.summary)));
    properties.push(organizer(invite.organizer));
    let whole_list = invite.attendees.len().saturating_mul(dates) <= MAX_ATTENDEE_LINES;
    let listed = |guest: &&Guest<'_>| whole_list || guest.person.address == *invite.recipient;
    properties.extend(invite.attendees.iter().filter(listed).map(attendee));
    if !invite.location.is_empty() {
        properties.push(property("LOCATION", &[], &escape_text(invite.location)));
    }
    if !invite.description.is_empty() {
        properties.push(property("DESCRIPTION", &[], &escape_text(invite.description)));
    }
    properties.extend(invite.html.map(|html| property("X-ALT-DESC", &[("FMTTYPE", "text/html")], &escape_text(html))));
    properties.extend(invite.conference.map(|link| {
        uri_property("CONFERENCE", &[("VALUE", "URI"), ("FEATURE", "PHONE"), ("LABEL", link.label)], link.uri)
    }));
    properties.extend(invite.private.then(|| property("CLASS", &[], "PRIVATE")));
    properties.push(property("STATUS", &[], status));
    properties.push(property("TRANSP", &[], "OPAQUE"));
    properties.push(property("X-MICROSOFT-CDO-BUSYSTATUS", &[], busy));
    IcalEvent { properties, alarms: Vec::new() }
}

fn organizer(person: &Person) -> Property {
    match &person.name {
        Some(name) => uri_property("ORGANIZER", &[("CN", name)], &mailto(&person.address)),
        None => uri_property("ORGANIZER", &[], &mailto(&person.address)),
    }
}

fn attendee(guest: &Guest<'_>) -> Property {
    let (cutype, role) = match guest.role {
        Role::Required => ("INDIVIDUAL", "REQ-PARTICIPANT"),
        Role::Optional => ("INDIVIDUAL", "OPT-PARTICIPANT"),
        Role::Resource => ("RESOURCE", "NON-PARTICIPANT"),
    };
    let answer = match guest.response {
        Response::None => "NEEDS-ACTION",
        Response::Accepted => "ACCEPTED",
        Response::Tentative => "TENTATIVE",
        Response::Declined => "DECLINED",
    };
    let name = guest.person.name.as_deref().unwrap_or(guest.person.address.as_str());
    let params = [("CUTYPE", cutype), ("ROLE", role), ("PARTSTAT", answer), ("RSVP", "TRUE"), ("CN", name)];
    uri_property("ATTENDEE", &params, &mailto(&guest.person.address))
}

/// The address as a URI (RFC 6068 section 2): what a URI cannot carry bare is percent-encoded.
fn mailto(address: &EmailAddress) -> String {
    let mut uri = String::from("mailto:");
    for c in address.as_str().chars() {
        match c {
            '%' | '#' | '?' | '&' | '^' | '`' | '{' | '|' | '}' => uri.push_str(&format!("%{:02X}", u32::from(c))),
            _ => uri.push(c),
        }
    }
    uri
}

#[cfg(test)]
mod tests;
