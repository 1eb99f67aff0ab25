//! What was said on the wire (`/v1/traces`, `/v1/calls/{call}/trace`): for whoever must find out why a call failed.
//!
//! Credentials, keys, digits and the most part of numbers are hidden before anything is kept.

use std::time::Instant;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Control;
use super::problem::Problem;
use crate::sip::{SipEndpoint, TracedCall};

/// One of the calls whose messages are remembered.
#[derive(Debug, Serialize)]
pub(crate) struct Traced {
    /// Its number here; none before somebody answered, or when nobody did.
    leg: Option<u64>,
    call_id: String,
    started: String,
    seconds: u64,
    source: String,
    /// The first line of the first message.
    request: String,
    messages: usize,
}

/// A call's messages.
#[derive(Debug, Serialize)]
pub(crate) struct Ladder {
    #[serde(flatten)]
    call: Traced,
    /// As people draw it.
    ladder: String,
}

/// How much of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    /// Whole messages under their arrows.
    #[serde(default)]
    messages: bool,
}

/// `GET /v1/traces`: the calls whose messages are remembered, the latest first.
pub(crate) async fn list(State(control): State<Control>) -> Result<Json<Vec<Traced>>, Problem> {
    let sip = signalling(&control)?;
    Ok(Json(sip.traces().into_iter().map(|call| traced(&control, call)).collect()))
}

/// `GET /v1/calls/{call}/trace?messages=true`: one call as a ladder; `call` is its number here, its Call-ID, or the
/// beginning of that.
pub(crate) async fn show(
    State(control): State<Control>,
    Path(wanted): Path<String>,
    how: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Ladder>, Problem> {
    let Query(Wanted { messages }) =
        how.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "ask with ?messages=true, or without"))?;
    let sip = signalling(&control)?;
    let unknown =
        || Problem::new(StatusCode::NOT_FOUND, "no such call is remembered; GET /v1/traces lists those that are");
    let call = find(sip.traces(), &wanted).ok_or_else(unknown)?;
    let ladder = sip.ladder(&call.call_id, messages).ok_or_else(unknown)?;
    Ok(Json(Ladder { call: traced(&control, call), ladder }))
}

fn signalling(control: &Control) -> Result<&SipEndpoint, Problem> {
    let starting = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "calls are not taken yet");
    control.machines.get().map(|(sip, _)| sip).ok_or_else(starting)
}

/// By number first: a Call-ID that begins with digits is still found by more of it.
fn find(calls: Vec<TracedCall>, wanted: &str) -> Option<TracedCall> {
    let number: Option<u64> = wanted.parse().ok();
    let by_number = calls.iter().position(|call| number.is_some() && call.leg == number);
    let by_id = || {
        let mut found = calls.iter().enumerate().filter(|(_, call)| call.call_id.starts_with(wanted));
        let exact = calls.iter().position(|call| call.call_id == wanted);
        exact.or_else(|| found.next().filter(|_| found.next().is_none()).map(|(at, _)| at))
    };
    let at = by_number.or_else(by_id)?;
    calls.into_iter().nth(at)
}

fn traced(control: &Control, call: TracedCall) -> Traced {
    Traced {
        leg: call.leg,
        started: wall(control, call.began).to_rfc3339_opts(SecondsFormat::Millis, true),
        seconds: call.last.saturating_duration_since(call.began).as_secs(),
        source: call.peer.to_string(),
        request: call.first_line,
        messages: call.messages,
        call_id: call.call_id,
    }
}

/// Wall time of an instant that has passed.
fn wall(control: &Control, instant: Instant) -> DateTime<Utc> {
    let ago = control.clock.instant().saturating_duration_since(instant);
    control.clock.wall() - TimeDelta::from_std(ago).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some instant; it is never read again")]
    fn a_call_is_found_by_its_number_its_id_or_the_beginning_of_it() {
        let began = Instant::now();
        let peer = "192.0.2.1:5060".parse().unwrap();
        let call = |call_id: &str, leg| TracedCall {
            call_id: call_id.to_owned(),
            leg,
            began,
            last: began,
            first_line: String::new(),
            peer,
            messages: 1,
        };
        let calls = vec![call("7abc", Some(3)), call("7xyz", Some(7)), call("q", None)];
        for (wanted, found) in [
            ("3", Some("7abc")),
            ("7", Some("7xyz")),
            ("7a", Some("7abc")),
            ("q", Some("q")),
            ("9", None),
            ("", None),
            ("z", None),
        ] {
            assert_eq!(find(calls.clone(), wanted).map(|call| call.call_id).as_deref(), found, "{wanted}");
        }
    }
}
