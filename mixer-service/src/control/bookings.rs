//! The hand-off: bookings put, shown and deleted (`/v1/bookings`).

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use dialroom_booking::{BookingId, HandedOver, HandedView, MAX_CALLERS, MAX_WINDOWS};
use serde::{Deserialize, Serialize};

use super::Control;
use super::problem::Problem;
use crate::schedule::NotTaken;

/// Longest free text: subject, UID, a person's name or address.
const MAX_TEXT_LEN: usize = 1000;
/// Most numbers of one person.
const MAX_NUMBERS: usize = 20;

/// An id and its revision, for comparing.
#[derive(Debug, Serialize)]
pub(crate) struct Revision {
    id: BookingId,
    revision: u64,
}

/// `GET /v1/bookings`: every id with its revision.
pub(crate) async fn list(State(control): State<Control>) -> Json<Vec<Revision>> {
    let bookings = control.schedule.bookings();
    Json(bookings.iter().map(|booking| Revision { id: booking.id.clone(), revision: booking.revision }).collect())
}

/// `GET /v1/bookings/{id}`: everything but PINs and numbers.
pub(crate) async fn show(State(control): State<Control>, Path(id): Path<String>) -> Result<Json<HandedView>, Problem> {
    let held = control.schedule.booking(&parse_id(&id)?);
    let held = held.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "no such booking is held"))?;
    Ok(Json(HandedView::from(&*held)))
}

/// `PUT /v1/bookings/{id}`: 204 once the booking is durable.
pub(crate) async fn put(
    State(control): State<Control>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let booking = parse_booking(&parse_id(&id)?, body)?;
    let revision = booking.revision;
    let taken = control.schedule.put(booking).await;
    answer(&control, &id, revision, taken)
}

/// The revision at which a booking was deleted.
#[derive(Debug, Deserialize)]
pub(crate) struct At {
    revision: u64,
}

/// `DELETE /v1/bookings/{id}?revision=n`: 204 once the deletion is durable; its line closes.
pub(crate) async fn delete(
    State(control): State<Control>,
    Path(id): Path<String>,
    at: Result<Query<At>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let Query(At { revision }) =
        at.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "say at which revision: ?revision=n"))?;
    let taken = control.schedule.delete(parse_id(&id)?, revision, control.clock.wall()).await;
    answer(&control, &id, revision, taken)
}

fn answer(control: &Control, id: &str, revision: u64, taken: Result<(), NotTaken>) -> Result<StatusCode, Problem> {
    control.metrics.bookings.set(control.schedule.count());
    match &taken {
        Ok(()) => tracing::info!(booking = id, revision, "hand-off taken"),
        Err(NotTaken::Differs(_)) => {
            control.metrics.hand_off_conflicts.raise();
            tracing::error!(booking = id, revision, "hand-off refused: this revision is held with another content");
        }
        Err(NotTaken::Store(why)) => {
            control.metrics.store_failures.raise();
            tracing::error!(booking = id, revision, %why, "hand-off refused: it cannot be made durable");
        }
        Err(why) => tracing::warn!(booking = id, revision, %why, "hand-off refused"),
    }
    taken.map(|()| StatusCode::NO_CONTENT).map_err(Problem::from)
}

fn parse_id(id: &str) -> Result<BookingId, Problem> {
    BookingId::parse(id).map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why.to_string()))
}

fn parse_booking(id: &BookingId, body: Result<Bytes, BytesRejection>) -> Result<HandedOver, Problem> {
    let body = body.map_err(|why| Problem::new(why.status(), "the body is too long or broke off"))?;
    let refuse = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
    // The parser's own words may repeat what it read, and that may be a PIN.
    let place = |why: serde_json::Error| format!("not a booking: line {}, column {}", why.line(), why.column());
    let booking: HandedOver = serde_json::from_slice(&body).map_err(|why| refuse(place(why)))?;
    if booking.id != *id {
        return Err(refuse(format!("the path names {id}, the body another booking")));
    }
    within_bounds(&booking).map_err(refuse)?;
    Ok(booking)
}

/// What the types alone cannot promise.
fn within_bounds(booking: &HandedOver) -> Result<(), String> {
    let check = |fits: bool, told: &str| if fits { Ok(()) } else { Err(told.to_owned()) };
    let HandedOver { windows, callers, pins, .. } = booking;
    check(windows.len() <= MAX_WINDOWS, &format!("{} windows; at most {MAX_WINDOWS}", windows.len()))?;
    check(callers.len() <= MAX_CALLERS, &format!("{} callers; at most {MAX_CALLERS}", callers.len()))?;
    let dates: BTreeSet<_> = windows.iter().map(|date| date.original_start).collect();
    check(dates.len() == windows.len(), "two windows with the same original_start")?;
    check(windows.is_sorted_by_key(|date| date.original_start), "windows stand in order of original_start")?;
    check(!booking.permanent || windows.is_empty(), "a permanent room has no windows")?;
    check(pins.participant.is_none() || pins.participant != pins.moderator, "both PINs are the same")?;
    let texts = [&booking.title, &booking.uid].into_iter();
    let texts = texts.chain(callers.iter().flat_map(|caller| [Some(&caller.person), caller.name.as_ref()]).flatten());
    check({ texts }.all(|text| text.len() <= MAX_TEXT_LEN), &format!("a text of more than {MAX_TEXT_LEN} bytes"))?;
    let numbers = callers.iter().all(|caller| caller.numbers.len() <= MAX_NUMBERS);
    check(numbers, &format!("a caller with more than {MAX_NUMBERS} numbers"))
}
