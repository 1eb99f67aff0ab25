//! `calendarView/delta`: what changed in a window since the last round (D1 to D4), with all that makes it hard.
//!
//! A token carries the window and a change number; the tenant keeps nothing. Items are told in the order of their last
//! change, so that what changes between two pages comes again in the next round and nothing is skipped.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::answer::{Refusal, json_answer};
use crate::item::Item;
use crate::query::{Options, Prefer};
use crate::wire;
use crate::world::Shared;

/// D1: no `$select`, `$expand`, `$filter`, `$orderby`, `$search`.
const ALLOWED: &[&str] = &["startdatetime", "enddatetime", "$skiptoken", "$deltatoken"];

/// A place in a round.
#[derive(Clone, Copy, Debug)]
struct Place {
    owner: usize,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// The last change that was told.
    told: u64,
    /// The last change of this round; 0 in a delta token.
    until: u64,
    /// In the first round deleted items are no news.
    first: bool,
}

pub(crate) async fn delta(
    State(world): State<Shared>,
    Path(user): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (prefer, options) = (Prefer::read(&headers)?, Options::read(&pairs, ALLOWED)?);
    let mut tenant = world.tenant();
    let owner = tenant.user_or_refuse(&user)?;
    let place = match options.skip_token.as_ref().or(options.delta_token.as_ref()) {
        Some(token) => Place::read(token).filter(|place| place.owner == owner).ok_or_else(sync_state_not_found)?,
        None => {
            let (from, to) = options.window()?;
            Place { owner, from, to, told: 0, until: 0, first: true }
        }
    };
    let starts = place.until == 0;
    let until = if starts { tenant.changes } else { place.until };
    let place = Place { until, ..place };
    let rate = tenant.faults.empty_pages;
    if starts && place.first && tenant.dice.happens(rate) {
        return Ok(answer(&world.base_url, &user, &prefer, Vec::new(), Some(place.write()), None));
    }
    let mut items: Vec<&Item> = tenant
        .items_of(owner)
        .filter(|item| item.version > place.told && item.version <= until && !(place.first && item.deleted))
        .collect();
    items.sort_by_key(|item| item.version);
    let (mut told, mut values) = (place.told, Vec::new());
    let mut rest = items.into_iter().peekable();
    while let Some(item) = rest.next_if(|_| values.len() < options.page_size(&prefer)) {
        values.extend(tell(item, &place, &prefer));
        told = item.version;
    }
    let (skip, delta) = match rest.peek() {
        Some(_) => (Some(Place { told, ..place }.write()), None),
        None => (None, Some(Place { told: until, until: 0, first: false, ..place }.write())),
    };
    Ok(answer(&world.base_url, &user, &prefer, values, skip, delta))
}

/// What delta says of one item: the whole series together, however long (D2); `@removed` for whatever does not lie in
/// the window, deleted or not (D3); nothing of a cancelled date (D4).
fn tell(item: &Item, place: &Place, prefer: &Prefer) -> Vec<Value> {
    let removed = json!({
        "@odata.type": "#microsoft.graph.event",
        "id": item.ids.form(prefer.immutable),
        "@removed": {"reason": "deleted"},
    });
    let dates = if item.deleted { Vec::new() } else { item.facts.instances_between(place.from, place.to) };
    if dates.is_empty() {
        // A first round tells what is there; what lies outside of the window is no news.
        return if place.first { Vec::new() } else { vec![removed] };
    }
    let whole = |one: Option<&crate::item::Instance>| {
        let mut event = wire::event(item, one, prefer, &Options::default());
        event["@odata.type"] = json!("#microsoft.graph.event");
        event
    };
    if item.facts.recurrence.is_none() {
        return vec![whole(None)];
    }
    let date = |one: &crate::item::Instance| match one.date.and_then(|date| item.date_ids.get(&date)) {
        Some(ids) if !one.moved => wire::bare_occurrence(item, one, ids, prefer),
        Some(_) | None => whole(Some(one)),
    };
    std::iter::once(whole(None)).chain(dates.iter().map(date)).collect()
}

fn answer(
    base_url: &str,
    user: &str,
    prefer: &Prefer,
    values: Vec<Value>,
    skip: Option<String>,
    delta: Option<String>,
) -> Response {
    let url = format!("{base_url}/v1.0/users/{user}/calendarView/delta");
    let mut answer =
        json!({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Collection(event)", "value": values});
    if let Some(token) = skip {
        answer["@odata.nextLink"] = json!(format!("{url}?$skiptoken={token}"));
    }
    if let Some(token) = delta {
        answer["@odata.deltaLink"] = json!(format!("{url}?$deltatoken={token}"));
    }
    prefer.confirm(json_answer(StatusCode::OK, &answer))
}

fn sync_state_not_found() -> Refusal {
    let message = "The sync state generation is not found; generation=1;[highest=2]";
    Refusal::new(StatusCode::GONE, "SyncStateNotFound", message)
}

impl Place {
    fn write(&self) -> String {
        let (from, to) = (self.from.timestamp(), self.to.timestamp());
        let plain = format!("{} {from} {to} {} {} {}", self.owner, self.told, self.until, u8::from(self.first));
        URL_SAFE_NO_PAD.encode(plain)
    }

    fn read(token: &str) -> Option<Self> {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let numbers: Vec<i64> = plain.split(' ').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let [owner, from, to, told, until, first] = numbers.try_into().ok()?;
        Some(Self {
            owner: usize::try_from(owner).ok()?,
            from: DateTime::from_timestamp(from, 0)?,
            to: DateTime::from_timestamp(to, 0)?,
            told: u64::try_from(told).ok()?,
            until: u64::try_from(until).ok()?,
            first: first == 1,
        })
    }
}
