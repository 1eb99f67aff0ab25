//! `GET /api/v1/why?appointment=…`: what was seen of an appointment and how, which rule fired, what was decided, which mails
//! went out, which calls used it (D13).

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use dialroom_booking::{Booking, BookingId, BookingState, EmailAddress, Origin, RoomNumber};
use serde::{Deserialize, Serialize};

use super::Console;
use super::problem::ApiProblem;
use crate::store::{KeepError, MailKey, SeenBy, Step, entry_key};
use crate::trace::{ignored, sentence};

/// Appointments in one answer.
const MAX_FOUND: usize = 10;
/// Call records that are looked through, the last ones.
const CALLS_LOOKED_AT: u64 = 20_000;
/// Longest text that is searched for: an event's id is shorter.
const MAX_WANTED_LEN: usize = 512;

/// `?appointment=…`: a booking's id, an event's id, a UID, or part of a subject.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    appointment: String,
}

#[derive(Serialize)]
struct Why {
    appointments: Vec<Story>,
}

/// What is known of one appointment.
#[derive(Serialize)]
struct Story {
    /// Its booking; absent where there never was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    booking: Option<BookingId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<BookingState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<RoomNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    uid: Option<String>,
    /// Object id of the mailbox, and the event there.
    mailbox: Option<String>,
    event: Option<String>,
    /// When it was last seen without anything to do; since the connector's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_since: Option<SeenSince>,
    /// Decisions, the last first.
    decisions: Vec<Told>,
    /// Call records, as the mixer wrote them.
    calls: Vec<serde_json::Value>,
}

#[derive(Serialize)]
struct SeenSince {
    at: DateTime<Utc>,
    seen_by: SeenBy,
    says: &'static str,
}

#[derive(Serialize)]
struct Told {
    /// In one sentence.
    says: String,
    mails: Vec<MailTold>,
    #[serde(flatten)]
    step: Step,
}

#[derive(Serialize)]
struct MailTold {
    to: EmailAddress,
    kind: String,
    /// `accepted`, `given-up`, `waiting` or `unknown`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<DateTime<Utc>>,
}

/// Tells the story of every appointment that fits.
pub(super) async fn why(
    State(console): State<Console>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, ApiProblem> {
    let Query(Wanted { appointment }) = wanted.map_err(|error| ApiProblem::bad_request(error.body_text()))?;
    let wanted = appointment.trim();
    if wanted.is_empty() || wanted.len() > MAX_WANTED_LEN {
        let told = "appointment: give a booking's id, an event's id, a UID, or part of a subject";
        return Err(ApiProblem::bad_request(told));
    }
    let unavailable = |error: KeepError| ApiProblem::unavailable(error.to_string());
    let mut appointments = Vec::new();
    for booking in bookings(&console, wanted) {
        appointments.push(story(&console, &booking).map_err(unavailable)?);
    }
    if appointments.is_empty() {
        for passed in console.0.passed.find(wanted).into_iter().take(MAX_FOUND) {
            let (mailbox, event) = passed.place;
            let origin = Origin::Graph { mailbox: mailbox.clone(), event: event.clone() };
            let decisions = decisions(&console, &origin, None).map_err(unavailable)?;
            let seen_since = Some(SeenSince { at: passed.at, seen_by: passed.seen_by, says: ignored(passed.why) });
            let (booking, state, room, title, uid) = (None, None, None, None, passed.uid);
            let (mailbox, event, calls) = (Some(mailbox), Some(event), Vec::new());
            appointments.push(Story { booking, state, room, title, uid, mailbox, event, seen_since, decisions, calls });
        }
    }
    if appointments.is_empty() {
        let told = "no such appointment was seen since the connector started; is its organizer's mailbox in \
                    graph.mailboxes, and not in GET /api/v1/diagnostics among those that cannot be read?";
        return Err(ApiProblem::not_found(told));
    }
    Ok(Json(Why { appointments }).into_response())
}

/// By id, event or UID; else by subject, those that live first.
fn bookings(console: &Console, wanted: &str) -> Vec<Arc<Booking>> {
    let all = console.0.shelf.all();
    let event = |booking: &Booking| matches!(&booking.origin, Origin::Graph { event, .. } if event == wanted);
    let exactly = |booking: &&Arc<Booking>| booking.id.as_str() == wanted || booking.uid == wanted || event(booking);
    let mut found: Vec<_> = all.iter().filter(exactly).cloned().collect();
    if found.is_empty() {
        let lower = wanted.to_lowercase();
        // A private subject is nobody's to search.
        found = all.into_iter().filter(|one| !one.private && one.title.to_lowercase().contains(&lower)).collect();
    }
    found
        .sort_by_key(|one| (one.state != BookingState::Active, one.occurrences.keys().next().copied(), one.id.clone()));
    found.truncate(MAX_FOUND);
    found
}

fn story(console: &Console, booking: &Booking) -> Result<Story, KeepError> {
    let (mailbox, event) = match &booking.origin {
        Origin::Graph { mailbox, event } => (Some(mailbox.clone()), Some(event.clone())),
        Origin::Dialroom => (None, None),
    };
    let passed = mailbox.clone().zip(event.clone()).and_then(|place| console.0.passed.at(&place));
    Ok(Story {
        booking: Some(booking.id.clone()),
        state: Some(booking.state),
        room: Some(booking.room),
        title: (!booking.private).then(|| booking.title.clone()),
        uid: Some(booking.uid.clone()),
        mailbox,
        event,
        seen_since: passed.map(|one| SeenSince { at: one.at, seen_by: one.seen_by, says: ignored(one.why) }),
        decisions: decisions(console, &booking.origin, Some(&booking.id))?,
        calls: console.0.keep.calls_of(&booking.id, CALLS_LOOKED_AT)?,
    })
}

fn decisions(console: &Console, origin: &Origin, booking: Option<&BookingId>) -> Result<Vec<Told>, KeepError> {
    let keep = &console.0.keep;
    let trace = keep.entry(&entry_key(origin, booking))?;
    let mut told = Vec::new();
    for step in trace.map(|trace| trace.history).unwrap_or_default() {
        let mut mails = Vec::new();
        for (to, kind) in &step.letters {
            let key = booking.zip(step.revision).map(|(booking, revision)| MailKey {
                booking: booking.clone(),
                revision,
                resend: 0,
                recipient: to.clone(),
            });
            let sent = key.as_ref().map(|key| keep.mail_sent(key)).transpose()?.flatten();
            let waits = key.as_ref().map(|key| keep.mail_waits(key)).transpose()?.unwrap_or(false);
            let state = match &sent {
                Some(sent) if sent.given_up.is_some() => "given-up",
                Some(_) => "accepted",
                None if waits => "waiting",
                None => "unknown",
            };
            mails.push(MailTold { to: to.clone(), kind: kind.clone(), state, at: sent.map(|sent| sent.at) });
        }
        told.push(Told { says: sentence(&step.decision), mails, step });
    }
    Ok(told)
}
