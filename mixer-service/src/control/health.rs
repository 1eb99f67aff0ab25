//! Whether the mixer lives, whether it takes calls, and what it counts. Open to whoever reaches the address: no secret
//! and no name is told.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::Control;
use super::problem::Problem;
use crate::metrics::{engine_text, sip_text};

/// `GET /healthz`: the program runs.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the schedule is loaded, SIP listens, and changes can be kept.
pub(crate) async fn ready(State(control): State<Control>) -> Result<&'static str, Problem> {
    if !control.ready.load(Ordering::Acquire) {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "calls are not taken yet, or no longer"));
    }
    if !control.schedule.is_sound() {
        let detail = "the store takes no changes; look at the log, then start the program again";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    }
    Ok("ready\n")
}

/// `GET /metrics`: Prometheus text.
pub(crate) async fn metrics(State(control): State<Control>) -> impl IntoResponse {
    let mut text = control.metrics.text();
    if let Some((sip, engine)) = control.machines.get() {
        text.push_str(&sip_text(&sip.counters().read()));
        text.push_str(&engine_text(&engine.metrics()));
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
