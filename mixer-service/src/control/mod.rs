//! The control API: how the connector hands bookings over and learns what became of calls.
//!
//! HTTP with a bearer token (RFC 6750) on loopback; every error is a problem document (RFC 9457). Nothing is answered
//! with 2xx before it is durable. PINs come in and never go out: not in answers, not in errors, which therefore name the
//! place of a mistake and never its text.

mod bookings;
mod calls;
mod conferences;
mod health;
mod problem;
mod token;
mod traces;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use dialroom_host::Clock;
use mixer_conference::ConferenceView;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::records::Records;
use crate::schedule::Schedule;
use crate::sip::SipEndpoint;
use problem::Problem;
pub(crate) use token::Token;

/// Largest body: a booking with all its windows and callers is about 1 MB.
const MAX_BODY_LEN: usize = 2 * 1024 * 1024;

/// What every request may need; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    /// Who may ask.
    pub(crate) token: Token,
    /// The bookings.
    pub(crate) schedule: Schedule,
    /// The call records.
    pub(crate) records: Records,
    /// What happens, as JSON, to whoever listens.
    pub(crate) events: broadcast::Sender<Arc<str>>,
    /// Asks the switchboard who is in.
    pub(crate) questions: mpsc::Sender<oneshot::Sender<Vec<ConferenceView>>>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Signalling and sound, once they stand: they count for themselves.
    pub(crate) machines: Arc<OnceLock<(SipEndpoint, Engine)>>,
    /// Time of deletions.
    pub(crate) clock: Clock,
    /// Whether calls are taken.
    pub(crate) ready: Arc<AtomicBool>,
    /// Ends what would never end by itself: streams of events.
    pub(crate) stop: CancellationToken,
}

/// Serves until `control.stop` is cancelled, and lets requests that run come to their end.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve(listener: TcpListener, control: Control) -> std::io::Result<()> {
    let stop = control.stop.clone();
    axum::serve(listener, router(control)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(control: Control) -> Router {
    let protected = Router::new()
        .route("/v1/bookings", get(bookings::list))
        .route("/v1/bookings/{id}", get(bookings::show).put(bookings::put).delete(bookings::delete))
        .route("/v1/conferences", get(conferences::list))
        .route("/v1/events", get(conferences::events))
        .route("/v1/traces", get(traces::list))
        .route("/v1/calls/{call}/trace", get(traces::show))
        .route("/v1/records", get(calls::list))
        .route("/v1/records/ack", post(calls::acknowledge))
        .route_layer(middleware::from_fn_with_state(control.clone(), token::check));
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .merge(protected)
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "nothing lives at this path"))
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "not with this method"))
        .layer(DefaultBodyLimit::max(MAX_BODY_LEN))
        .with_state(control)
}

#[cfg(test)]
mod tests;
