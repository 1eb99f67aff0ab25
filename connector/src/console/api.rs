//! `/api/v1`: conferences, calls, diagnostics.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use connector_planner::Decision;
use dialroom_booking::{Booking, BookingId, BookingState, Origin};
use serde::{Deserialize, Serialize};

use super::Console;
use super::booking_request::BookingRequest;
use super::problem::ApiProblem;
use super::view::ConferenceView;
use crate::pipeline::Sighted;
use crate::store::GivenUp;

/// Call records of one answer.
const CALLS_PAGE: usize = 500;

/// `?pins=1`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Pins {
    #[serde(default)]
    pins: u8,
}

/// `?after=n`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

#[derive(Serialize)]
struct Conferences {
    conferences: Vec<ConferenceView>,
}

/// Books a conference that no calendar knows: full invitations go out.
pub(super) async fn book(
    State(console): State<Console>,
    request: Result<Json<BookingRequest>, JsonRejection>,
) -> Result<Response, ApiProblem> {
    let Json(request) = request.map_err(|error| ApiProblem::new(error.status(), error.body_text()))?;
    let parts = &console.0;
    let settings = parts.settings.borrow().clone();
    let appointment = request.appointment(&settings, parts.clock.wall()).map_err(ApiProblem::bad_request)?;
    let people = std::iter::once(&appointment.organizer).chain(appointment.attendees.iter().map(|one| &one.person));
    let addresses: Vec<_> = people.map(|person| person.address.clone()).collect();
    let directory = parts
        .directory
        .look_up(&settings, addresses)
        .await
        .map_err(|error| ApiProblem::unavailable(format!("the directory does not answer: {error}")))?;
    let sighted = Sighted { appointment, mailbox: None, first_sync: None, directory };
    let outcome = parts.pipeline.sighted(sighted).await.map_err(|error| ApiProblem::unavailable(error.to_string()))?;
    match (outcome.decision, outcome.booking) {
        (Some(Decision::Allocate), Some(booking)) => {
            let place = format!("/api/v1/conferences/{}", booking.id);
            Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(ConferenceView::new(&booking, true)))
                .into_response())
        }
        (Some(Decision::Refuse(refusal)), _) => {
            Err(ApiProblem::new(StatusCode::CONFLICT, format!("there is no line: {refusal}")))
        }
        (decision, _) => Err(ApiProblem::bad_request(format!("nothing was booked: {decision:?}"))),
    }
}

/// Every booking, the next first.
pub(super) async fn list(
    State(console): State<Console>,
    pins: Result<Query<Pins>, QueryRejection>,
) -> Result<Response, ApiProblem> {
    let with_pins = pins_asked(pins)?;
    let mut bookings = console.0.shelf.all();
    bookings.sort_by_key(|booking| (first_start(booking), booking.id.clone()));
    let conferences = bookings.iter().map(|booking| ConferenceView::new(booking, with_pins)).collect();
    Ok(Json(Conferences { conferences }).into_response())
}

/// One booking.
pub(super) async fn show(
    State(console): State<Console>,
    Path(id): Path<String>,
    pins: Result<Query<Pins>, QueryRejection>,
) -> Result<Response, ApiProblem> {
    let with_pins = pins_asked(pins)?;
    let booking = parse_id(&id).and_then(|id| console.0.shelf.find(&id)).ok_or_else(unknown)?;
    Ok(Json(ConferenceView::new(&booking, with_pins)).into_response())
}

/// Cancels a booking that was made with us.
pub(super) async fn cancel(State(console): State<Console>, Path(id): Path<String>) -> Result<Response, ApiProblem> {
    let booking = parse_id(&id).and_then(|id| console.0.shelf.find(&id)).ok_or_else(unknown)?;
    if booking.origin != Origin::Dialroom {
        let told = "this conference belongs to a calendar entry; cancel the meeting there, or take its mark away";
        return Err(ApiProblem::new(StatusCode::CONFLICT, told));
    }
    if booking.state == BookingState::Active {
        let cancelled = console.0.pipeline.cancel(booking.id.clone()).await;
        cancelled.map_err(|error| ApiProblem::unavailable(error.to_string()))?;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Call records, as the mixer wrote them, under numbers of our own.
pub(super) async fn calls(
    State(console): State<Console>,
    after: Result<Query<After>, QueryRejection>,
) -> Result<Response, ApiProblem> {
    let Query(After { after }) = after.map_err(|error| ApiProblem::bad_request(error.body_text()))?;
    let found = console.0.keep.calls(after, CALLS_PAGE).map_err(|error| ApiProblem::unavailable(error.to_string()))?;
    let last = found.last().map_or(after, |(n, _)| *n);
    let records: Vec<_> = found.iter().map(|(_, record)| String::from_utf8_lossy(record)).collect();
    // Each is a JSON object already, written by us.
    let body = format!("{{\"records\":[{}],\"last\":{last}}}", records.join(","));
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response())
}

#[derive(Serialize)]
struct Diagnostics {
    now: chrono::DateTime<chrono::Utc>,
    version: &'static str,
    store_sound: bool,
    bookings: usize,
    mailboxes_not_yet_read: usize,
    mails_waiting: u64,
    /// Mails that nobody took, the last hundred; whom they did not reach is for whoever holds the token.
    mails_given_up: Vec<GivenUp>,
    hand_offs_waiting: u64,
    hand_off_conflicts: u64,
    graph_requests: u64,
    notifications: u64,
    forged_notifications: u64,
    failed_rounds: u64,
}

/// How we are.
pub(super) async fn diagnostics(State(console): State<Console>) -> Result<Response, ApiProblem> {
    let parts = &console.0;
    let metrics = &parts.metrics;
    let told = Diagnostics {
        now: parts.clock.wall(),
        version: env!("CARGO_PKG_VERSION"),
        store_sound: parts.keep.is_sound(),
        bookings: parts.shelf.len(),
        mailboxes_not_yet_read: parts.unread.load(Ordering::Relaxed),
        mails_waiting: metrics.mails_waiting.value(),
        mails_given_up: parts.keep.given_up().map_err(|error| ApiProblem::unavailable(error.to_string()))?,
        hand_offs_waiting: metrics.hand_offs_waiting.value(),
        hand_off_conflicts: metrics.hand_off_conflicts.value(),
        graph_requests: metrics.graph_requests.value(),
        notifications: metrics.notifications.value(),
        forged_notifications: metrics.forged_notifications.value(),
        failed_rounds: metrics.failed_rounds.value(),
    };
    Ok(Json(told).into_response())
}

/// Looks at all mailboxes now.
pub(super) async fn sync(State(console): State<Console>) -> Response {
    console.0.doorbells.ring_all();
    StatusCode::ACCEPTED.into_response()
}

fn pins_asked(pins: Result<Query<Pins>, QueryRejection>) -> Result<bool, ApiProblem> {
    pins.map(|Query(Pins { pins })| pins == 1).map_err(|error| ApiProblem::bad_request(error.body_text()))
}

fn parse_id(id: &str) -> Option<BookingId> {
    BookingId::parse(id).ok()
}

fn unknown() -> ApiProblem {
    ApiProblem::not_found("no conference has this id")
}

fn first_start(booking: &Booking) -> Option<chrono::DateTime<chrono::Utc>> {
    booking.occurrences.values().map(|date| date.window.start()).min()
}
