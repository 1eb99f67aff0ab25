//! The demo page: calendar, mails, what to dial, who is in, and the buttons that move time.
//!
//! It lives on the simulator's listener under `/demo` and is reached through the connector, so that there is one address
//! to open. What it shows is text only: the script puts names and subjects into text nodes, never into markup.

use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use dialroom_host::Clock;
use graph_simulator::SimulatorClock as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::demo::calendar;
use crate::demo::clock::DemoClock;
use crate::demo::link::Link;
use crate::demo::mailbox::Mailbox;
use crate::demo::people;

mod state;

/// The page's source; texts come from here, data from `state`.
const PAGE: &str = include_str!("../../../templates/console/demo.html");
const STYLE: &str = include_str!("../../../templates/console/demo.css");
const SCRIPT: &str = include_str!("../../../templates/console/demo.js");
const ICON: &str = include_str!("../../../templates/console/icon.svg");
/// No foreign request, no inline script, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// How long before the line opens the first button leads: late enough to wait with music.
const BEFORE_OPENING: TimeDelta = TimeDelta::minutes(3);
/// The warning comes two minutes before the line closes; the button leads a breath before it.
const BEFORE_CLOSING: TimeDelta = TimeDelta::seconds(125);

/// What the page's handlers share.
#[derive(Clone)]
struct Page(Arc<Parts>);

struct Parts {
    link: Link,
    mailbox: Mailbox,
    clock: Arc<DemoClock>,
    html: String,
    /// Tells this run from the one before: a page left open then begins afresh, as the demo did.
    run: String,
    watched: state::Watched,
}

/// The page's routes.
///
/// # Errors
/// When the page's template is broken.
pub(crate) fn router(link: Link, mailbox: Mailbox, clock: Arc<DemoClock>) -> anyhow::Result<Router> {
    let mut context = tera::Context::new();
    context.insert("people", &people::facts());
    context.insert("guest", &people::guest());
    context.insert("number", people::NUMBER);
    let html = tera::Tera::one_off(PAGE, &context, true).context("the demo page's template is broken")?;
    let run = Clock::real().wall().to_rfc3339_opts(SecondsFormat::Nanos, true);
    let page = Page(Arc::new(Parts { link, mailbox, clock, html, run, watched: state::Watched::default() }));
    Ok(Router::new()
        .route("/demo", get(async |State(page): State<Page>| asset("text/html; charset=utf-8", page.0.html.clone())))
        .route("/demo/style.css", get(async || asset("text/css; charset=utf-8", STYLE.to_owned())))
        .route("/demo/script.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT.to_owned())))
        .route("/demo/icon.svg", get(async || asset("image/svg+xml", ICON.to_owned())))
        .route("/demo/state", get(state::show))
        .route("/demo/mails/{name}", get(raw_mail))
        .route("/demo/book", post(book))
        .route("/demo/meetings/{key}/move", post(move_meeting))
        .route("/demo/meetings/{key}/delete", post(delete_meeting))
        .route("/demo/clock", post(move_clock))
        .with_state(page))
}

fn asset(kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}

/// What went wrong, for the page to show.
struct Failed(anyhow::Error);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({"problem": format!("{:#}", self.0)}))).into_response()
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

/// A mail as it came, to be saved: a browser must not show a stranger's HTML as ours.
async fn raw_mail(State(page): State<Page>, Path(name): Path<String>) -> Response {
    let n = name.strip_suffix(".eml").and_then(|n| n.parse().ok());
    let Some(raw) = n.and_then(|n| page.0.mailbox.raw(n)) else { return StatusCode::NOT_FOUND.into_response() };
    let attachment = n.and_then(|n: u64| HeaderValue::try_from(format!("attachment; filename=\"{n}.eml\"")).ok());
    let mut response = asset("message/rfc822", String::new());
    *response.body_mut() = raw.into();
    if let Some(attachment) = attachment {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, attachment);
    }
    response.headers_mut().remove(HeaderName::from_static("content-length"));
    response
}

/// What the form says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    subject: String,
    organizer: String,
    attendees: Vec<String>,
    start: DateTime<Utc>,
    duration_minutes: u32,
    telephone: bool,
}

async fn book(State(page): State<Page>, Json(wanted): Json<Wanted>) -> Result<Json<Value>, Failed> {
    let parts = &page.0;
    let meeting = json!({
        "mailbox": wanted.organizer,
        "subject": wanted.subject,
        "attendees": wanted.attendees,
        "start": wanted.start,
        "duration_minutes": wanted.duration_minutes,
        "categories": if wanted.telephone { vec![calendar::CATEGORY] } else { Vec::new() },
    });
    let request = parts.link.http.post(format!("{}/control/events", parts.link.graph_url));
    Ok(Json(calendar::ask(request.json(&meeting)).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    /// Where it starts now; its length stays.
    start: DateTime<Utc>,
    /// Original date of the one occurrence that moves, in a series.
    date: Option<String>,
}

async fn move_meeting(
    State(page): State<Page>,
    Path(key): Path<u64>,
    Json(wanted): Json<Move>,
) -> Result<Json<Value>, Failed> {
    let mut change = json!({"start": wanted.start});
    if let Some(date) = wanted.date {
        change["occurrence"] = json!(date);
    }
    Ok(Json(change_event(&page, key, change).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    date: Option<String>,
}

async fn delete_meeting(
    State(page): State<Page>,
    Path(key): Path<u64>,
    Json(wanted): Json<Delete>,
) -> Result<Json<Value>, Failed> {
    if let Some(date) = wanted.date {
        return Ok(Json(change_event(&page, key, json!({"occurrence": date, "cancel": true})).await?));
    }
    let url = format!("{}/control/events/{key}", page.0.link.graph_url);
    Ok(Json(calendar::ask(page.0.link.http.delete(url)).await?))
}

async fn change_event(page: &Page, key: u64, change: Value) -> anyhow::Result<Value> {
    let url = format!("{}/control/events/{key}", page.0.link.graph_url);
    calendar::ask(page.0.link.http.patch(url).json(&change)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveClock {
    to: Moment,
}

/// Where a button leads.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Moment {
    BeforeItOpens,
    TwoMinutesLeft,
    ItCloses,
}

async fn move_clock(State(page): State<Page>, Json(wanted): Json<MoveClock>) -> Result<Json<Value>, Failed> {
    let parts = &page.0;
    let now = parts.clock.wall();
    let windows = state::windows(&parts.link).await?;
    let target = next_moment(now, wanted.to, &windows).context("no meeting with a line lies ahead; book one")?;
    parts.clock.advance(target - now).map_err(anyhow::Error::msg)?;
    Ok(Json(json!({"now": target.to_rfc3339_opts(SecondsFormat::Secs, true)})))
}

/// The nearest moment of that kind that is still to come: where this meeting's is past, the next one's.
fn next_moment(now: DateTime<Utc>, kind: Moment, windows: &[(DateTime<Utc>, DateTime<Utc>)]) -> Option<DateTime<Utc>> {
    let moment = |(opens, closes): &(DateTime<Utc>, DateTime<Utc>)| match kind {
        Moment::BeforeItOpens => *opens - BEFORE_OPENING,
        Moment::TwoMinutesLeft => *closes - BEFORE_CLOSING,
        Moment::ItCloses => *closes,
    };
    windows.iter().map(moment).filter(|moment| *moment > now).min()
}

/// What `state` is asked for.
#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    mails_after: u64,
}

type SinceQuery = Query<Since>;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-11-26T{time}Z").parse().unwrap()
    }

    #[test]
    fn a_button_whose_moment_is_past_takes_the_next_meeting() {
        let windows = [(at("09:50:00"), at("10:45:00")), (at("13:50:00"), at("14:45:00"))];
        let lead = |now: &str, kind| next_moment(at(now), kind, &windows);
        assert_eq!(lead("09:00:00", Moment::BeforeItOpens), Some(at("09:47:00")));
        assert_eq!(lead("09:48:00", Moment::BeforeItOpens), Some(at("13:47:00")));
        assert_eq!(lead("09:48:00", Moment::TwoMinutesLeft), Some(at("10:42:55")));
        assert_eq!(lead("10:44:00", Moment::ItCloses), Some(at("10:45:00")));
        assert_eq!(lead("14:45:00", Moment::ItCloses), None);
    }

    #[test]
    fn the_page_asks_nobody_else_and_runs_no_inline_script() {
        let html = PAGE.to_lowercase();
        assert!(!html.contains("http://") && !html.contains("https://"));
        assert_eq!(html.matches("<script").count(), html.matches("<script src=\"/demo/").count());
        assert!(!html.contains(" style=") && !html.contains(" onclick="));
    }

    #[test]
    fn what_comes_from_people_never_becomes_markup() {
        for danger in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!SCRIPT.contains(danger), "{danger}");
        }
    }
}
