//! What the page shows at a moment, gathered from the simulated tenant, the connector and the mixer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use dialroom_host::Clock;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::demo::link::Link;
use crate::demo::page::{Page, Parts, SinceQuery};
use crate::demo::{banner, calendar, people};

/// How old an answer may be: several open pages ask our programs no more often than one.
const MAX_AGE: Duration = Duration::from_millis(300);
/// Most call records that are shown; the oldest go first.
const MAX_CALLS: usize = 1_000;

/// What was gathered last.
#[derive(Default)]
pub(super) struct Watched(Mutex<Gathered>);

#[derive(Default)]
struct Gathered {
    at: Option<Instant>,
    answer: Arc<Value>,
    calls: Vec<Value>,
    last_call: u64,
}

pub(super) async fn show(State(page): State<Page>, since: SinceQuery) -> Response {
    let parts = &page.0;
    let gathered = gather(parts).await;
    let now = parts.clock.wall();
    let mails = parts.mailbox.after(since.mails_after);
    let answer = json!({
        "run": parts.run,
        "now": now.to_rfc3339_opts(SecondsFormat::Millis, true),
        "soon": calendar::soon(now).to_rfc3339_opts(SecondsFormat::Secs, true),
        "mails": mails,
        "shown": *gathered,
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

async fn gather(parts: &Parts) -> Arc<Value> {
    let now = Clock::real().instant();
    // Whoever comes while somebody gathers waits for the same answer.
    let mut gathered = parts.watched.0.lock().await;
    if gathered.at.is_some_and(|at| now.duration_since(at) < MAX_AGE) {
        return Arc::clone(&gathered.answer);
    }
    let link = &parts.link;
    let calls_path = format!("/api/v1/calls?after={}", gathered.last_call);
    let (week, bookings, calls, live) = tokio::join!(
        calendar::week(&link.http, &link.graph_url, parts.clock.wall()),
        connector(link, "/api/v1/conferences?pins=1"),
        connector(link, &calls_path),
        mixer(link),
    );
    let mut problems = Vec::new();
    let mut told = |part: &str, result: anyhow::Result<Value>| {
        result.unwrap_or_else(|_| {
            problems.push(format!("the {part} does not answer"));
            Value::Null
        })
    };
    let (week, live) = (told("simulated tenant", week), told("mixer", live));
    let (bookings, calls) = (told("connector", bookings), calls.unwrap_or_default());
    gathered.last_call = calls["last"].as_u64().unwrap_or(gathered.last_call);
    gathered.calls.extend(calls["records"].as_array().into_iter().flatten().cloned());
    let too_many = gathered.calls.len().saturating_sub(MAX_CALLS);
    gathered.calls.drain(..too_many);
    let lines: Vec<_> = bookings["conferences"].as_array().into_iter().flatten().map(|one| line(link, one)).collect();
    gathered.answer = Arc::new(json!({
        "week": week,
        "lines": lines,
        "live": live,
        "calls": gathered.calls,
        "problems": problems,
    }));
    gathered.at = Some(now);
    Arc::clone(&gathered.answer)
}

async fn connector(link: &Link, path: &str) -> anyhow::Result<Value> {
    let request = link.http.get(format!("{}{path}", link.http_url)).bearer_auth(&link.api_token);
    Ok(request.timeout(Duration::from_secs(2)).send().await?.error_for_status()?.json().await?)
}

async fn mixer(link: &Link) -> anyhow::Result<Value> {
    let request = link.http.get(format!("{}/v1/conferences", link.control_url)).bearer_auth(&link.control_token);
    Ok(request.timeout(Duration::from_secs(2)).send().await?.error_for_status()?.json().await?)
}

/// A booking with what to dial for it.
fn line(link: &Link, booking: &Value) -> Value {
    let executable = banner::executable();
    let staff = people::facts();
    let room = booking["room"].as_str().unwrap_or_default();
    let pin = booking["pins"]["participant"].as_str().unwrap_or_default();
    let invited = std::iter::once(&booking["organizer"]).chain(booking["attendees"].as_array().into_iter().flatten());
    let known = invited.filter_map(|person| {
        let person = staff.iter().find(|one| Some(one.address.as_str()) == person["address"].as_str())?;
        Some(json!({"who": person.name, "command": banner::call(&executable, &link.sip, &person.number, None)}))
    });
    let keys = format!("{room}#{pin}#");
    let stranger = banner::call(&executable, &link.sip, &people::guest().number, Some(&keys));
    let dial: Vec<_> = known.chain([json!({"who": "a guest, with room and PIN", "command": stranger})]).collect();
    json!({
        "id": booking["id"],
        "title": booking["title"],
        "state": booking["state"],
        "room": room,
        "pin": pin,
        "windows": booking["windows"],
        "dial": dial,
    })
}

/// `[opens, closes)` of every date that takes place.
pub(super) async fn windows(link: &Link) -> anyhow::Result<Vec<(DateTime<Utc>, DateTime<Utc>)>> {
    let bookings = connector(link, "/api/v1/conferences").await?;
    let time = |value: &Value| value.as_str().and_then(|raw| raw.parse().ok());
    let alive = bookings["conferences"].as_array().into_iter().flatten().filter(|one| one["state"] == "active");
    let dates = alive.flat_map(|one| one["windows"].as_array().into_iter().flatten());
    let planned = dates.filter(|date| date["state"] == "scheduled");
    Ok(planned.filter_map(|date| time(&date["opens"]).zip(time(&date["closes"]))).collect())
}
