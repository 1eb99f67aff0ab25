//! The control API: what people do in Outlook, the clock, faults, the journal. For tests and for the demo page.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::change::{Change, recurrence, strings, text_as_html};
use crate::faults::Faults;
use crate::item::{Address, Attendee, Item};
use crate::tenant::{Tenant, same};
use crate::wire::instant_text;
use crate::world::Shared;
use crate::zone::{instant, local_time, zone_by_name};

/// How far one call may move the clock.
const MAX_ADVANCE_SECONDS: i64 = 400 * 86_400;
/// The zone that Outlook would take from the organizer's computer.
const DEFAULT_ZONE: &str = "W. Europe Standard Time";
/// The add-in's mark, as the demo settings know it.
const MARK_PROPERTY: &str =
    "String {00020329-0000-0000-C000-000000000046} Name cecp-7d5c1c1e-2f0e-4c53-9c8e-5f3c7f0f6a11";

/// Whoever follows the clock looks at it every 100 ms; an advance is answered when they have seen it.
const FOLLOW_TIME: Duration = Duration::from_millis(250);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Advance {
    advance_seconds: i64,
}

pub(crate) async fn clock(State(world): State<Shared>, Json(wanted): Json<Advance>) -> Result<Response, Refusal> {
    if !(0..=MAX_ADVANCE_SECONDS).contains(&wanted.advance_seconds) {
        return Err(Refusal::bad_request("advance_seconds: time runs forward, by at most 400 days"));
    }
    let failed = |message| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "clock", message);
    world.advance(TimeDelta::seconds(wanted.advance_seconds)).map_err(failed)?;
    tokio::time::sleep(FOLLOW_TIME).await;
    Ok(Json(json!({"now": world.now().to_rfc3339_opts(SecondsFormat::Millis, true)})).into_response())
}

pub(crate) async fn now(State(world): State<Shared>) -> Response {
    Json(json!({"now": world.now().to_rfc3339_opts(SecondsFormat::Millis, true)})).into_response()
}

/// Sets the faults that are named; the others stay.
pub(crate) async fn faults(State(world): State<Shared>, Json(wanted): Json<Value>) -> Result<Response, Refusal> {
    let mut tenant = world.tenant();
    let mut merged = serde_json::to_value(&tenant.faults).unwrap_or_default();
    for (name, value) in wanted.as_object().into_iter().flatten() {
        merged[name] = value.clone();
    }
    let faults: Faults = serde_json::from_value(merged).map_err(|error| Refusal::bad_request(error.to_string()))?;
    if let Some(name) = faults.problem() {
        return Err(Refusal::bad_request(format!("{name}: out of range")));
    }
    tenant.faults = faults;
    Ok(Json(&tenant.faults).into_response())
}

pub(crate) async fn journal(State(world): State<Shared>) -> Response {
    Json(world.tenant().journal.page()).into_response()
}

/// Books a meeting as `mailbox`, who becomes its organizer.
pub(crate) async fn create(State(world): State<Shared>, Json(wanted): Json<Value>) -> Result<Response, Refusal> {
    let now = world.now();
    let mut tenant = world.tenant();
    let owner = tenant.user_or_refuse(wanted["mailbox"].as_str().unwrap_or(""))?;
    let change = user_change(&tenant, &wanted, None)?;
    let index = tenant.create(now, owner, change)?;
    let answer = summary(&tenant, index);
    drop(tenant);
    world.wake.notify_one();
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Changes a meeting as its owner would; `id` is its key or either form of its id.
pub(crate) async fn change(
    State(world): State<Shared>,
    Path(id): Path<String>,
    Json(wanted): Json<Value>,
) -> Result<Response, Refusal> {
    let now = world.now();
    let mut tenant = world.tenant();
    let index = find(&tenant, &id)?;
    let change = user_change(&tenant, &wanted, Some(&tenant.items[index]))?;
    tenant.change(now, index, change)?;
    let answer = summary(&tenant, index);
    drop(tenant);
    world.wake.notify_one();
    Ok(Json(answer).into_response())
}

pub(crate) async fn delete(State(world): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let now = world.now();
    let mut tenant = world.tenant();
    let index = find(&tenant, &id)?;
    tenant.delete(now, index);
    drop(tenant);
    world.wake.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(crate) struct Week {
    mailbox: Option<String>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

/// Dates in a window: of one mailbox, or every meeting once, as its organizer has it.
pub(crate) async fn calendar(State(world): State<Shared>, Query(week): Query<Week>) -> Result<Response, Refusal> {
    let tenant = world.tenant();
    let owner = week.mailbox.as_deref().map(|id| tenant.user_or_refuse(id)).transpose()?;
    let shown = |item: &Item| !item.deleted && owner.map_or(item.is_organizer, |owner| item.owner == owner);
    let mut dates = Vec::new();
    for (index, item) in tenant.items.iter().enumerate().filter(|(_, item)| shown(item)) {
        for one in item.facts.instances_between(week.from, week.to) {
            let mut date = summary(&tenant, index);
            date["start"] = json!(instant_text(one.start, item.facts.zone));
            date["end"] = json!(instant_text(one.end, item.facts.zone));
            date["date"] = json!(one.date.map(|date| date.to_string()));
            dates.push((instant(one.start, item.facts.zone), date));
        }
    }
    dates.sort_by_key(|(start, _)| *start);
    let dates: Vec<_> = dates.into_iter().map(|(_, date)| date).collect();
    Ok(Json(json!({"events": dates})).into_response())
}

fn find(tenant: &Tenant, id: &str) -> Result<usize, Refusal> {
    let by_key = id.parse::<usize>().ok().filter(|key| tenant.items.get(*key).is_some_and(|item| !item.deleted));
    let by_id = || tenant.items.iter().position(|item| !item.deleted && item.ids.are(id));
    by_key.or_else(by_id).ok_or_else(Refusal::item_not_found)
}

fn summary(tenant: &Tenant, index: usize) -> Value {
    let item = &tenant.items[index];
    let facts = &item.facts;
    let person = |who: &Address| json!({"name": who.name, "address": who.address});
    let attendee = |one: &Attendee| json!({"name": one.who.name, "address": one.who.address, "type": one.kind});
    json!({
        "key": index.to_string(),
        "id": item.ids.default,
        "immutable_id": item.ids.immutable,
        "iCalUId": item.uid,
        "mailbox": tenant.users[item.owner].person.address,
        "subject": facts.subject,
        "start": instant_text(facts.start, facts.zone),
        "end": instant_text(facts.end, facts.zone),
        "zone": facts.zone_name,
        "all_day": facts.all_day,
        "series": facts.recurrence.is_some(),
        "organizer": person(&item.organizer),
        "is_organizer": item.is_organizer,
        "attendees": facts.attendees.iter().map(attendee).collect::<Vec<_>>(),
        "location": facts.location,
        "categories": item.categories,
        "property": item.properties.contains_key(MARK_PROPERTY),
        "cancelled": item.cancelled,
        "sequence": facts.sequence,
    })
}

/// Reads what a person does: plain fields, marks, and single dates of a series.
fn user_change(tenant: &Tenant, wanted: &Value, item: Option<&Item>) -> Result<Change, Refusal> {
    let text = |field: &str| wanted[field].as_str().map(str::to_owned);
    let (zone_name, zone) = match (text("zone"), item) {
        (None, Some(item)) => (item.facts.zone_name.clone(), item.facts.zone),
        (name, _) => known_zone(name.unwrap_or_else(|| DEFAULT_ZONE.to_owned()))?,
    };
    let mut change = Change {
        subject: text("subject"),
        body_html: text("body_html").or_else(|| text("body").map(|text| text_as_html(&text))),
        all_day: wanted["all_day"].as_bool(),
        location: text("location"),
        categories: wanted["categories"].as_array().map(|list| strings(list)),
        hide_attendees: wanted["hide_attendees"].as_bool(),
        sensitivity: text("sensitivity"),
        draft: wanted["draft"].as_bool(),
        attendees: wanted["attendees"]
            .as_array()
            .map(|list| list.iter().filter_map(|one| attendee(tenant, one)).collect()),
        ..Change::default()
    };
    if item.is_none() || wanted["zone"].is_string() {
        change.zone = Some((zone_name, zone));
    }
    let length = item.map(|item| item.facts.end - item.facts.start);
    (change.start, change.end) = times(wanted, zone, length)?;
    if let Some(raw) = wanted.get("recurrence") {
        change.recurrence = Some(if raw.is_null() { None } else { Some(recurrence(raw)?) });
    }
    if let Some(on) = wanted["property"].as_bool() {
        change.properties.push((MARK_PROPERTY.to_owned(), on.then(|| "{\"telephone\":true}".to_owned())));
    }
    if let Some(properties) = wanted["properties"].as_object() {
        let pairs = properties.iter().map(|(id, value)| (id.clone(), value.as_str().map(str::to_owned)));
        change.properties.extend(pairs);
    }
    if let Some(raw) = wanted["occurrence"].as_str() {
        change.date = Some(one_date(raw, wanted, zone, &mut change, length)?);
    }
    Ok(change)
}

/// `{"occurrence": "2026-11-24", "cancel": true}`, or with `start` and perhaps `end`: only that date is touched.
fn one_date(
    raw: &str,
    wanted: &Value,
    zone: Tz,
    change: &mut Change,
    length: Option<TimeDelta>,
) -> Result<(NaiveDate, Option<(chrono::NaiveDateTime, chrono::NaiveDateTime)>), Refusal> {
    let date = raw.parse().map_err(|_| Refusal::bad_request("occurrence: write its original date, 2026-11-24"))?;
    if wanted["cancel"].as_bool() == Some(true) {
        return Ok((date, None));
    }
    let (start, end) = times(wanted, zone, length)?;
    (change.start, change.end) = (None, None);
    let moved = start.zip(end).ok_or_else(|| Refusal::bad_request("occurrence: write start and end, or cancel"))?;
    Ok((date, Some(moved)))
}

/// Start and end; a start alone keeps the length, `duration_minutes` sets it.
fn times(
    wanted: &Value,
    zone: Tz,
    length: Option<TimeDelta>,
) -> Result<(Option<chrono::NaiveDateTime>, Option<chrono::NaiveDateTime>), Refusal> {
    let time = |field: &str| {
        let parse =
            |raw: &str| local_time(raw, zone).ok_or_else(|| Refusal::bad_request(format!("{field}: no time: '{raw}'")));
        wanted[field].as_str().map(parse).transpose()
    };
    let (start, end) = (time("start")?, time("end")?);
    let minutes = wanted["duration_minutes"].as_i64().filter(|minutes| (0..=100_000).contains(minutes));
    let length = minutes.map(TimeDelta::minutes).or(length);
    let by_length = start.zip(length).and_then(|(start, length)| start.checked_add_signed(length));
    Ok((start, end.or(by_length)))
}

fn known_zone(name: String) -> Result<(String, Tz), Refusal> {
    let zone = zone_by_name(&name).ok_or_else(|| Refusal::bad_request(format!("zone: '{name}' is not known")))?;
    Ok((name, zone))
}

/// `"bernd@contoso.example"`, or `{"address", "name", "type", "response"}`; names of the house come from the directory.
fn attendee(tenant: &Tenant, raw: &Value) -> Option<Attendee> {
    let address = raw.as_str().or_else(|| raw["address"].as_str())?.to_owned();
    let known =
        tenant.users.iter().find(|user| same(&user.person.address, &address)).map(|user| user.person.name.clone());
    let name = raw["name"].as_str().map(str::to_owned).or(known).unwrap_or_else(|| address.clone());
    let kind = raw["type"].as_str().unwrap_or("required").to_owned();
    let response = raw["response"].as_str().unwrap_or("none").to_owned();
    Some(Attendee { who: Address { name, address }, kind, response })
}
