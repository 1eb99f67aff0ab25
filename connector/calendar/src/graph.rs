//! Microsoft Graph events (v1.0), bytes in, [`Appointment`] out. No JSON leaves this module.
//!
//! Graph's own documentation and examples disagree about letter case and about which fields are there, and organizers can
//! put anything into the rest: what is not as expected becomes a [`Problem`], only what an appointment cannot be without
//! is an error.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use dialroom_booking::{EmailAddress, Origin, Person, Response, Role};

use crate::html::{html_to_text, plain_text};
use crate::recurrence::Dates;
use crate::zone::zone_from_name;
use crate::{Appointment, AppointmentDate, Attendee, BLOCK_MARKER, Marks, Problem};

mod delta;
mod wire;

pub use delta::{DeltaItem, DeltaPage, EventKind, read_delta_page};
use wire::{Event, Lenient, ZonedTime};

/// Largest event read; Exchange itself stops at 1 MB of body or so.
pub const MAX_EVENT_BYTES: usize = 4 << 20;
/// Largest page of events read.
pub const MAX_PAGE_BYTES: usize = 16 << 20;
/// The extended property in which Exchange keeps a meeting's SEQUENCE (PidLidAppointmentSequence).
pub const SEQUENCE_PROPERTY: &str = "Integer {00062002-0000-0000-C000-000000000046} Id 0x8201";
/// What to ask for of an event (`$select`): without it a series keeps its cancelled dates to itself.
pub const EVENT_SELECT: &str = wire::SELECT;
/// Longest subject, location, name or category kept, in characters; Outlook stops at 255.
const MAX_LINE_CHARS: usize = 500;
/// Most categories looked at.
const MAX_CATEGORIES: usize = 50;
/// Most problems told of one event; the rest says nothing new.
const MAX_PROBLEMS: usize = 20;

/// What must be known beside an event's bytes.
#[derive(Clone, Debug)]
pub struct GraphContext<'a> {
    /// Object id of the mailbox it was read from.
    pub mailbox: &'a str,
    /// Whose mailbox that is; organizer of entries that name none.
    pub owner: &'a Person,
    /// Zone for people, where the event's own has no known name.
    pub home_zone: Tz,
    /// Instant up to which instances were asked for: a series that goes on behind it is endless to us.
    pub horizon: DateTime<Utc>,
}

/// Why bytes are no appointment.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// Too large to look at.
    #[error("a calendar answer of {0} bytes is larger than any real one; it was not read")]
    TooLarge(usize),
    /// Not what Graph sends.
    #[error("the calendar's answer is no such object: {0}")]
    NotJson(#[source] serde_json::Error),
    /// It lacks what no appointment can be without.
    #[error("the event has no usable {field}: {why}")]
    Unusable {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads one event (`GET /users/{id}/events/{id}`), of a series the master, with the pages of its instances
/// (`…/instances`), in the order in which they came. Ask with `Prefer: outlook.timezone="UTC"`, immutable ids,
/// [`EVENT_SELECT`], and the extended properties expanded; any other zone is understood too.
///
/// # Errors
/// When it is no event, or has no id, start, end or organizer that can be used. A broken instance is only a problem.
pub fn appointment_from_graph<P: AsRef<[u8]>>(
    event: &[u8],
    instances: &[P],
    context: &GraphContext<'_>,
) -> Result<(Appointment, Vec<Problem>), GraphError> {
    let event: Event = wire::read(event, MAX_EVENT_BYTES)?;
    let mut reader = Reader { context, problems: Vec::new() };
    let mut appointment = reader.appointment(&event)?;
    if event.is_master() {
        reader.series(&mut appointment, &event, instances);
    }
    Ok((appointment, reader.problems))
}

struct Reader<'a> {
    context: &'a GraphContext<'a>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn appointment(&mut self, event: &Event) -> Result<Appointment, GraphError> {
        let id = event.id.get().filter(|id| !id.is_empty()).ok_or_else(|| unusable("id", "it is missing"))?.clone();
        let all_day = event.is_all_day.or(false);
        let time_zone = self.display_zone(event);
        let (start, end) = times(event, all_day, time_zone)?;
        let marks = self.marks(event);
        let is_organizer = event.is_organizer.or(false);
        let modified = self.instant("lastModifiedDateTime", &event.last_modified_date_time);
        let created = self.instant("createdDateTime", &event.created_date_time).or(modified);
        let uid = event.i_cal_u_id.get().filter(|uid| !uid.is_empty()).cloned();
        if uid.is_none() {
            self.problem("iCalUId", "it is missing; the event's id stands in for it");
        }
        Ok(Appointment {
            origin: Origin::Graph { mailbox: self.context.mailbox.to_owned(), event: id.clone() },
            uid: uid.unwrap_or(id),
            sequence: event.extended(SEQUENCE_PROPERTY).and_then(|value| value.trim().parse().ok()),
            subject: line(event.subject.get()),
            text: text(event),
            organizer: self.organizer(event)?,
            is_organizer,
            attendees: self.attendees(event),
            hide_attendees: event.hide_attendees.or(false),
            time_zone,
            all_day,
            series: event.is_master(),
            dates: vec![AppointmentDate { original_start: start, start, end, cancelled: false }],
            endless_or_beyond_horizon: false,
            cancelled: event.is_cancelled.or(false),
            draft: event.is_draft.or(false),
            marks,
            private: event.sensitivity.is("private") || event.sensitivity.is("confidential"),
            created: created.unwrap_or(DateTime::UNIX_EPOCH),
            modified: modified.or(created).unwrap_or(DateTime::UNIX_EPOCH),
        })
    }

    /// Replaces the master's first date by all that the pages and the master's own lists say.
    fn series<P: AsRef<[u8]>>(&mut self, appointment: &mut Appointment, master: &Event, pages: &[P]) {
        let mut dates = Dates::default();
        for (number, page) in pages.iter().enumerate() {
            match wire::read::<wire::Page>(page.as_ref(), MAX_PAGE_BYTES) {
                Ok(page) => page.value.items().for_each(|one| self.instance(&mut dates, one, appointment, number)),
                Err(error) => self.problem("instances", &format!("page {number}: {error}")),
            }
        }
        master.exception_occurrences.items().for_each(|one| self.instance(&mut dates, one, appointment, 0));
        let first = (appointment.dates[0].start, appointment.dates[0].end);
        for cancelled in master.cancelled_occurrences.items() {
            // `OID.<master id>.<yyyy-mm-dd>`; ids may hold dots themselves.
            let day = cancelled.get().and_then(|id| id.rsplit('.').next()?.parse::<NaiveDate>().ok());
            match day {
                Some(day) => dates.cancel(day, appointment.time_zone, first),
                None => self.problem("cancelledOccurrences", "an id without a date at its end"),
            }
        }
        let (dates, truncated) = dates.finish();
        if truncated {
            self.problem("instances", "more dates than a booking holds; the later ones follow when they come nearer");
        }
        appointment.endless_or_beyond_horizon = truncated || self.goes_on(master, appointment.time_zone, &dates);
        appointment.dates = dates;
    }

    fn instance(&mut self, dates: &mut Dates, event: &Lenient<Event>, series: &Appointment, page: usize) {
        let Some(event) = event.get() else {
            return self.problem("instances", &format!("page {page}: an instance that is no event"));
        };
        let (start, end) = match times(event, series.all_day, series.time_zone) {
            Ok(times) => times,
            Err(error) => return self.problem("instances", &error.to_string()),
        };
        let original_start = self.instant("originalStart", &event.original_start).unwrap_or(start);
        dates.insert(AppointmentDate { original_start, start, end, cancelled: event.is_cancelled.or(false) });
    }

    fn goes_on(&self, master: &Event, zone: Tz, dates: &[AppointmentDate]) -> bool {
        let Some(range) = master.recurrence.get().and_then(|recurrence| recurrence.range.get()) else { return false };
        let last_day = range.end_date.get().and_then(|day| day.parse::<NaiveDate>().ok());
        if range.kind.is("noEnd") {
            return true;
        }
        if range.kind.is("numbered") {
            return range.number_of_occurrences.or(0) > dates.len() as i64 && self.next_is_beyond_horizon(dates);
        }
        last_day.is_some_and(|day| day > self.context.horizon.with_timezone(&zone).date_naive())
    }

    /// A counted series has more dates than came: either they are over, or the next one lies behind the horizon.
    fn next_is_beyond_horizon(&self, dates: &[AppointmentDate]) -> bool {
        match dates {
            [.., before, last] => {
                let step = last.original_start - before.original_start;
                last.original_start.checked_add_signed(step).is_none_or(|next| next > self.context.horizon)
            }
            // Of a yearly series one date is in sight.
            [only] => only.original_start + TimeDelta::days(366) > self.context.horizon,
            [] => false,
        }
    }

    fn organizer(&self, event: &Event) -> Result<Person, GraphError> {
        let Some(recipient) = event.organizer.get() else { return Ok(self.context.owner.clone()) };
        match person(recipient) {
            Ok(person) => Ok(person),
            Err(_) if event.is_organizer.or(false) => Ok(self.context.owner.clone()),
            Err(why) => Err(unusable("organizer", &why)),
        }
    }

    fn attendees(&mut self, event: &Event) -> Vec<Attendee> {
        let mut attendees = Vec::new();
        for (index, attendee) in event.attendees.items().enumerate() {
            if index >= Appointment::MAX_ATTENDEES {
                self.problem("attendees", "more than 2000; the rest is left out");
                break;
            }
            match attendee.get().ok_or_else(|| "not readable".to_owned()).and_then(read_attendee) {
                Ok(attendee) => attendees.push(attendee),
                Err(why) => self.problem(&format!("attendees[{index}]"), &why),
            }
        }
        attendees
    }

    fn marks(&mut self, event: &Event) -> Marks {
        let content = event.body.get().and_then(|body| body.content.get());
        Marks {
            property: self.mark_property(event),
            block: content.is_some_and(|content| content.contains(BLOCK_MARKER)),
            categories: event.categories.items().take(MAX_CATEGORIES).map(|name| line(name.get())).collect(),
            location: line(event.location.get().and_then(|location| location.display_name.get())),
        }
    }

    /// The add-in's custom properties count as a mark while they hold anything. A text that no longer parses counts too:
    /// better a line too many than a meeting without.
    fn mark_property(&mut self, event: &Event) -> Option<String> {
        let (name, value) = event.add_in_property()?;
        let value = value.trim();
        match serde_json::from_str::<serde_json::Value>(value) {
            _ if value.is_empty() => None,
            Ok(serde_json::Value::Null | serde_json::Value::Bool(false)) => None,
            Ok(serde_json::Value::Object(members)) if members.is_empty() => None,
            Ok(serde_json::Value::String(text)) if text.trim().is_empty() => None,
            Ok(_) => Some(name),
            Err(_) => {
                self.problem("singleValueExtendedProperties", "the add-in's property is no JSON; it counts as set");
                Some(name)
            }
        }
    }

    /// The zone for people: the event's own, else that of its pattern, else home. Instants never depend on this guess.
    fn display_zone(&mut self, event: &Event) -> Tz {
        let own = event.original_start_time_zone.get().filter(|name| !name.trim().is_empty());
        let range = event.recurrence.get().and_then(|recurrence| recurrence.range.get());
        let pattern = range.and_then(|range| range.recurrence_time_zone.get()).filter(|name| !name.trim().is_empty());
        let Some(name) = own.or(pattern) else { return self.context.home_zone };
        let known =
            zone_from_name(name).or_else(|error| pattern.and_then(|name| zone_from_name(name).ok()).ok_or(error));
        known.unwrap_or_else(|error| {
            let home = self.context.home_zone;
            self.problem("originalStartTimeZone", &format!("{error}; times are written for {home}"));
            home
        })
    }

    fn instant(&mut self, field: &str, text: &Lenient<String>) -> Option<DateTime<Utc>> {
        let text = text.get()?;
        let read = DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc));
        if read.is_none() {
            self.problem(field, "not an instant");
        }
        read
    }

    fn problem(&mut self, field: &str, message: &str) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { field: field.to_owned(), message: message.to_owned() });
        }
    }
}

/// Start and end as instants.
fn times(event: &Event, all_day: bool, zone: Tz) -> Result<(DateTime<Utc>, DateTime<Utc>), GraphError> {
    let start = instant("start", event.start.get(), all_day, zone)?;
    let end = instant("end", event.end.get(), all_day, zone)?;
    Ok((start, end.max(start)))
}

/// A `dateTimeTimeZone`: seven decimals, no offset, in the zone beside it (UTC when that is missing).
///
/// A whole day stands on midnight in whatever zone was asked for; it means the day where the event lives.
fn instant(
    field: &'static str,
    time: Option<&ZonedTime>,
    all_day: bool,
    home: Tz,
) -> Result<DateTime<Utc>, GraphError> {
    let time = time.ok_or_else(|| unusable(field, "it is missing"))?;
    let text = time.date_time.get().ok_or_else(|| unusable(field, "dateTime is missing"))?.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.with_timezone(&Utc));
    }
    let local: NaiveDateTime = text.parse().map_err(|error| unusable(field, &format!("dateTime: {error}")))?;
    let named = time.time_zone.get().filter(|name| !name.trim().is_empty());
    let zone = named.map_or(Ok(Tz::UTC), |name| zone_from_name(name));
    let zone = zone.map_err(|error| unusable(field, &error.to_string()))?;
    let zone = if all_day && local.time() == NaiveTime::MIN { home } else { zone };
    // A time that the clocks skip is read as the one an hour later, one that comes twice as the first.
    let later = || zone.from_local_datetime(&local.checked_add_signed(TimeDelta::hours(1))?).earliest();
    let found = zone.from_local_datetime(&local).earliest().or_else(later);
    found.map(|at| at.with_timezone(&Utc)).ok_or_else(|| unusable(field, "a time that no clock shows"))
}

fn text(event: &Event) -> String {
    let Some(body) = event.body.get() else { return String::new() };
    let content = body.content.get().map_or("", String::as_str);
    if body.content_type.is("text") { plain_text(content) } else { html_to_text(content) }
}

fn read_attendee(attendee: &wire::Recipient) -> Result<Attendee, String> {
    let response = attendee.status.get().map(|status| &status.response);
    Ok(Attendee {
        person: person(attendee)?,
        role: match attendee.kind.lower().as_deref() {
            Some("optional") => Role::Optional,
            Some("resource") => Role::Resource,
            _ => Role::Required,
        },
        response: match response.and_then(Lenient::lower).as_deref() {
            Some("accepted" | "organizer") => Response::Accepted,
            Some("tentativelyaccepted") => Response::Tentative,
            Some("declined") => Response::Declined,
            _ => Response::None,
        },
    })
}

fn person(recipient: &wire::Recipient) -> Result<Person, String> {
    let address = recipient.email_address.get().ok_or("no emailAddress")?;
    let written = address.address.get().ok_or("no address")?;
    let parsed = EmailAddress::parse(written).map_err(|error| error.to_string())?;
    let name = line(address.name.get());
    Ok(Person { address: parsed, name: (!name.is_empty() && !name.eq_ignore_ascii_case(written)).then_some(name) })
}

/// One line of text, bounded, without control characters.
fn line(text: Option<&String>) -> String {
    let text = text.map_or("", String::as_str);
    let spaced = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    spaced.take(MAX_LINE_CHARS).collect::<String>().trim().to_owned()
}

fn unusable(field: &'static str, why: &str) -> GraphError {
    GraphError::Unusable { field, why: why.to_owned() }
}

#[cfg(test)]
mod tests;
