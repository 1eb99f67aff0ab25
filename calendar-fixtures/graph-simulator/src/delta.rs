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
use crate::dice::Dice;
use crate::item::Item;
use crate::query::{Options, Prefer};
use crate::tenant::Tenant;
use crate::wire;
use crate::world::Shared;

/// D1: no `$select`, `$expand`, `$filter`, `$orderby`, `$search`.
const ALLOWED: &[&str] = &["startdatetime", "enddatetime", "$skiptoken", "$deltatoken", "odd"];
/// A host that nobody configured (R7).
const FOREIGN: &str = "https://graph.evil.example";

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
    let token = options.skip_token.as_ref().or(options.delta_token.as_ref());
    let rate = tenant.faults.lost_sync_state;
    if token.is_some() && tenant.dice.happens(rate) {
        return Err(forgotten(&mut tenant.dice, &world.base_url, &user));
    }
    let place = match token {
        Some(token) => Place::read(token).filter(|place| place.owner == owner).ok_or_else(sync_state_not_found)?,
        None => {
            let (from, to) = options.window()?;
            Place { owner, from, to, told: 0, until: 0, first: true }
        }
    };
    let starts = place.until == 0;
    let until = if starts { tenant.changes } else { place.until };
    let size = match tenant.faults.page_size {
        0 => options.page_size(&prefer),
        size => size,
    };
    let odd = tenant.faults.odd_spelling;
    let place = Place { until, ..place };
    let rate = tenant.faults.empty_pages;
    if starts && place.first && tenant.dice.happens(rate) {
        return Ok(answer(&world.base_url, &user, &prefer, Vec::new(), Some(place.write()), None));
    }
    let new = |item: &&Item| item.shown_version > place.told && item.shown_version <= until;
    let shown = |item: &&Item| new(item) && !(place.first && item.deleted);
    let mut items: Vec<Item> = tenant.items_of(owner).filter(shown).cloned().collect();
    items.sort_by_key(|item| item.shown_version);
    let (mut told, mut values) = (place.told, Vec::new());
    if starts && !place.first {
        values.extend(replays(&mut tenant, &place, &prefer));
    }
    let rate = tenant.faults.repeated_items;
    let mut rest = items.iter().peekable();
    while let Some(item) = rest.next_if(|_| values.len() < size) {
        if tenant.dice.happens(rate) {
            values.push(stale(item, &prefer, &mut tenant.dice));
        }
        values.extend(tell(item, &place, &prefer));
        told = item.shown_version;
    }
    if odd {
        values.iter_mut().for_each(wire::spell_oddly);
    }
    let (skip, delta) = match rest.peek() {
        Some(_) => (Some(Place { told, ..place }.write()), None),
        None => (None, Some(Place { told: until, until: 0, first: false, ..place }.write())),
    };
    let rate = tenant.faults.foreign_links;
    let host = if skip.is_some() && tenant.dice.happens(rate) { FOREIGN } else { &world.base_url };
    Ok(answer(host, &user, &prefer, values, skip, delta))
}

/// The same item in a state that is over, or as removed: the last word of a round counts (D5).
fn stale(item: &Item, prefer: &Prefer, dice: &mut Dice) -> Value {
    if dice.below(2) == 0 {
        return removed(item, prefer);
    }
    let mut event = wire::event(item, None, prefer, &Options::default());
    event["subject"] = json!("As it was");
    event["@odata.type"] = json!("#microsoft.graph.event");
    event
}

/// Items that were told before and are told again, although nothing happened to them (D5).
fn replays(tenant: &mut Tenant, place: &Place, prefer: &Prefer) -> Vec<Value> {
    let rate = tenant.faults.replayed_items;
    let old: Vec<Item> =
        tenant.items_of(place.owner).filter(|item| item.shown_version <= place.told).cloned().collect();
    let again = old.iter().filter(|_| tenant.dice.happens(rate));
    again.flat_map(|item| tell(item, place, prefer)).collect()
}

/// What delta says of one item: the whole series together, however long (D2); `@removed` for whatever does not lie in
/// the window, deleted or not (D3); nothing of a cancelled date (D4).
fn tell(item: &Item, place: &Place, prefer: &Prefer) -> Vec<Value> {
    let dates = if item.deleted { Vec::new() } else { item.facts.instances_between(place.from, place.to) };
    if dates.is_empty() {
        // A first round tells what is there; what lies outside of the window is no news.
        return if place.first { Vec::new() } else { vec![removed(item, prefer)] };
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

fn removed(item: &Item, prefer: &Prefer) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.event",
        "id": item.ids.form(prefer.immutable),
        "@removed": {"reason": "deleted"},
    })
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
        // A client that takes links apart and puts them together again stumbles here (R7).
        answer["@odata.nextLink"] = json!(format!("{url}?$skiptoken={token}&odd=%2B%26%20%C3%BC+"));
    }
    if let Some(token) = delta {
        answer["@odata.deltaLink"] = json!(format!("{url}?$deltatoken={token}"));
    }
    prefer.confirm(json_answer(StatusCode::OK, &answer))
}

/// The ways in which Graph says that it forgot where a client stood (D6).
fn forgotten(dice: &mut Dice, base_url: &str, user: &str) -> Refusal {
    let message = "The sync state generation is not found; generation=149;[highest=157]";
    match dice.below(5) {
        0 => {
            let fresh = format!("{base_url}/v1.0/users/{user}/calendarView/delta?$skiptoken=fresh");
            Refusal::new(StatusCode::GONE, "", message).with_header(axum::http::header::LOCATION, fresh)
        }
        1 => sync_state_not_found(),
        2 => Refusal::new(StatusCode::NOT_FOUND, "SyncStateNotFound", message),
        3 => Refusal::new(StatusCode::BAD_REQUEST, "syncStateNotFound", message),
        _ => Refusal::new(StatusCode::BAD_REQUEST, "resyncRequired", message),
    }
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
