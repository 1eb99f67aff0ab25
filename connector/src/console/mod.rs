//! The connector's web side: API, webhook, health, and in the demo the way to its page.
//!
//! Everything under `/api` needs the bearer token. The webhook is for everybody, and believes nobody.

mod api;
mod booking_request;
mod demo;
mod problem;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use dialroom_host::Clock;
use dialroom_settings::Settings;
use serde::Deserialize;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use self::problem::ApiProblem;
use crate::DemoLink;
use crate::directory::Directory;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::shelf::Shelf;
use crate::source::graph::{Doorbells, MAX_BODY_BYTES, MAX_VALIDATION_TOKEN_LEN};
use crate::store::Keep;

/// Largest request of the API: a conference with as many attendees as one may have.
const MAX_API_BODY_BYTES: usize = 1024 * 1024;

/// What every handler may see; cheap to clone.
#[derive(Clone)]
pub(crate) struct Console(pub(crate) Arc<Parts>);

/// The parts of the console.
pub(crate) struct Parts {
    /// The store.
    pub(crate) keep: Keep,
    /// Committed bookings.
    pub(crate) shelf: Arc<Shelf>,
    /// Decides.
    pub(crate) pipeline: Pipeline,
    /// Knows people.
    pub(crate) directory: Directory,
    /// The settings of the moment.
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    /// The clock.
    pub(crate) clock: Clock,
    /// Counts.
    pub(crate) metrics: Arc<Metrics>,
    /// Bells that notifications ring.
    pub(crate) doorbells: Arc<Doorbells>,
    /// Mailboxes not yet looked at.
    pub(crate) unread: Arc<AtomicUsize>,
    /// What whoever uses the API must show.
    pub(crate) token: String,
    /// For the demo's page.
    pub(crate) http: reqwest::Client,
    /// Where the demo's page is.
    pub(crate) demo: Option<DemoLink>,
}

/// Everything that the connector answers to.
pub(crate) fn router(console: Console) -> Router {
    let api = Router::new()
        .route("/conferences", post(api::book).get(api::list))
        .route("/conferences/{id}", get(api::show).delete(api::cancel))
        .route("/calls", get(api::calls))
        .route("/diagnostics", get(api::diagnostics))
        .route("/sync", post(api::sync))
        .fallback(|| async { ApiProblem::not_found("no such resource; see GET /api/v1/conferences") })
        .method_not_allowed_fallback(|| async {
            ApiProblem::new(StatusCode::METHOD_NOT_ALLOWED, "this resource does not take that method")
        })
        .layer(DefaultBodyLimit::max(MAX_API_BODY_BYTES))
        .layer(middleware::from_fn_with_state(console.clone(), only_with_token));
    let demo = Router::new()
        .route("/", get(front_page))
        .route("/demo", any(demo::pass_on))
        .route("/demo/{*rest}", any(demo::pass_on))
        .layer(middleware::from_fn_with_state(console.clone(), only_by_our_name));
    Router::new()
        .nest("/api/v1", api)
        .merge(demo)
        .route("/graph/notifications", post(notifications).layer(DefaultBodyLimit::max(MAX_BODY_BYTES)))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(console)
}

async fn only_with_token(State(console): State<Console>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("");
    if bool::from(shown.as_bytes().ct_eq(console.0.token.as_bytes())) {
        next.run(request).await
    } else {
        ApiProblem::new(StatusCode::UNAUTHORIZED, "send the token of http.token_file as Authorization: Bearer")
            .into_response()
    }
}

/// On loopback, a page of the web must not reach the demo through a name that it made point here (DNS rebinding).
async fn only_by_our_name(State(console): State<Console>, request: Request, next: Next) -> Response {
    let allowed = {
        let settings = console.0.settings.borrow();
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
        !settings.http.listen.ip().is_loopback() || is_our_name(host, settings.http.public_url.as_deref())
    };
    if allowed {
        next.run(request).await
    } else {
        ApiProblem::new(StatusCode::MISDIRECTED_REQUEST, "open this page by its own address").into_response()
    }
}

fn is_our_name(host: &str, public_url: Option<&str>) -> bool {
    let bare = |authority: &str| -> String {
        let name = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        name.map_or(authority, |(name, _)| name).trim_matches(['[', ']']).to_ascii_lowercase()
    };
    let name = bare(host);
    let public = public_url.and_then(|url| url::Url::parse(url).ok()?.host_str().map(bare));
    name == "localhost"
        || public.as_deref() == Some(&name)
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn front_page(State(console): State<Console>) -> Response {
    if console.0.demo.is_some() {
        return Redirect::temporary("/demo").into_response();
    }
    Html(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Dialroom</title>\
         <h1>Dialroom</h1><p>You book a meeting; Dialroom gives it a telephone line. This is its connector: it watches \
         calendars, allocates rooms and invites. Its API is at <code>/api/v1</code>.</p></html>",
    )
    .into_response()
}

async fn ready(State(console): State<Console>) -> Response {
    let (unread, sound) = (console.0.unread.load(Ordering::Relaxed), console.0.keep.is_sound());
    match (sound, unread) {
        (true, 0) => "ready\n".into_response(),
        (false, _) => ApiProblem::unavailable("the store takes no changes; start the program again").into_response(),
        (true, _) => ApiProblem::unavailable(format!("{unread} mailboxes are not yet looked at")).into_response(),
    }
}

async fn metrics(State(console): State<Console>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], console.0.metrics.text())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Validation {
    validation_token: Option<String>,
}

/// Graph's webhook: echoes the validation token while a subscription is made, else takes hints and says 202 at once,
/// to friend and stranger alike.
async fn notifications(State(console): State<Console>, Query(validation): Query<Validation>, body: Bytes) -> Response {
    if let Some(token) = validation.validation_token {
        if token.len() > MAX_VALIDATION_TOKEN_LEN {
            return StatusCode::BAD_REQUEST.into_response();
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        return (headers, token).into_response();
    }
    console.0.doorbells.take(&body, &console.0.metrics);
    StatusCode::ACCEPTED.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_somebody_made_point_here_is_not_ours() {
        for host in ["127.0.0.1:8080", "localhost", "[::1]:8080", "LOCALHOST:80", "dialroom.contoso.example:8443"] {
            assert!(is_our_name(host, Some("https://dialroom.contoso.example")), "{host}");
        }
        for host in ["", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1:8080"] {
            assert!(!is_our_name(host, None), "{host}");
        }
    }
}
