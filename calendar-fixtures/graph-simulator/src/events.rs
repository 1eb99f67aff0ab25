//! Events: read (R1), changed (W1), made and deleted, one mailbox at a time.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::answer::{Refusal, json_answer};
use crate::change::Change;
use crate::item::{Instance, Item};
use crate::query::{Options, Prefer, quoted};
use crate::tenant::Tenant;
use crate::wire;
use crate::world::Shared;
use crate::zone::instant;

type Pairs = Query<Vec<(String, String)>>;

const ONE: &[&str] = &["$select", "$expand"];
const LIST: &[&str] = &["$select", "$expand", "$top", "$skip", "$filter", "$orderby"];
const VIEW: &[&str] = &["$select", "$expand", "$top", "$skip", "$orderby", "startdatetime", "enddatetime"];

/// Single meetings and masters.
pub(crate) async fn list(
    State(world): State<Shared>,
    Path(user): Path<String>,
    Query(pairs): Pairs,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (prefer, options) = (Prefer::read(&headers)?, Options::read(&pairs, LIST)?);
    let tenant = world.tenant();
    let owner = tenant.user_or_refuse(&user)?;
    let mut items: Vec<_> = tenant.items_of(owner).filter(|item| !item.deleted).collect();
    if let Some(filter) = &options.filter {
        let (property, not_null) = extended_filter(filter)?;
        items.retain(|item| item.properties.contains_key(&property) && not_null);
    }
    items.sort_by_key(|item| item.facts.start);
    let events = items.iter().map(|item| wire::event(item, None, &prefer, &options)).collect();
    let path = format!("users/{user}/events");
    Ok(page(&world.base_url, &path, &pairs, &prefer, &options, events))
}

/// Single meetings and the dates of series in a window.
pub(crate) async fn calendar_view(
    State(world): State<Shared>,
    Path(user): Path<String>,
    Query(pairs): Pairs,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (prefer, options) = (Prefer::read(&headers)?, Options::read(&pairs, VIEW)?);
    let (from, to) = options.window()?;
    let tenant = world.tenant();
    let owner = tenant.user_or_refuse(&user)?;
    let alive = tenant.items_of(owner).filter(|item| !item.deleted);
    let mut dates: Vec<(&Item, Instance)> =
        alive.flat_map(|item| item.facts.instances_between(from, to).into_iter().map(move |one| (item, one))).collect();
    dates.sort_by_key(|(item, one)| instant(one.start, item.facts.zone));
    let events = dates.iter().map(|(item, one)| wire::event(item, Some(one), &prefer, &options)).collect();
    let path = format!("users/{user}/calendarView");
    Ok(page(&world.base_url, &path, &pairs, &prefer, &options, events))
}

/// The dates of one series in a window.
pub(crate) async fn instances(
    State(world): State<Shared>,
    Path((user, id)): Path<(String, String)>,
    Query(pairs): Pairs,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (prefer, options) = (Prefer::read(&headers)?, Options::read(&pairs, VIEW)?);
    let (from, to) = options.window()?;
    let tenant = world.tenant();
    let owner = tenant.user_or_refuse(&user)?;
    let item = &tenant.items[tenant.item(owner, &id)?];
    if item.facts.recurrence.is_none() {
        let message = "The operation can't be performed on a single instance.";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "ErrorInvalidRequest", message));
    }
    let dates = item.facts.instances_between(from, to);
    let events = dates.iter().map(|one| wire::event(item, Some(one), &prefer, &options)).collect();
    let encoded = percent_encoding::utf8_percent_encode(&id, percent_encoding::NON_ALPHANUMERIC);
    let path = format!("users/{user}/events/{encoded}/instances");
    Ok(page(&world.base_url, &path, &pairs, &prefer, &options, events))
}

pub(crate) async fn get(
    State(world): State<Shared>,
    Path((user, id)): Path<(String, String)>,
    Query(pairs): Pairs,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (prefer, options) = (Prefer::read(&headers)?, Options::read(&pairs, ONE)?);
    let tenant = world.tenant();
    let owner = tenant.user_or_refuse(&user)?;
    let (index, one) = item_or_date(&tenant, owner, &id)?;
    let event = wire::event(&tenant.items[index], one.as_ref(), &prefer, &options);
    Ok(entity(&user, event, StatusCode::OK, &prefer))
}

pub(crate) async fn patch(
    State(world): State<Shared>,
    Path((user, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(wanted): Json<Value>,
) -> Result<Response, Refusal> {
    let prefer = Prefer::read(&headers)?;
    let mut change = Change::from_graph(&wanted)?;
    let now = world.now();
    let mut tenant = world.tenant();
    let owner = tenant.user_or_refuse(&user)?;
    let (index, one) = item_or_date(&tenant, owner, &id)?;
    if let Some((date, one)) = one.as_ref().and_then(|one| one.date.zip(Some(one))) {
        let times = (change.start.take().unwrap_or(one.start), change.end.take().unwrap_or(one.end));
        change = Change { date: Some((date, Some(times))), ..Change::default() };
    }
    tenant.change(now, index, change)?;
    let event = wire::event(&tenant.items[index], one.as_ref(), &prefer, &Options::default());
    drop(tenant);
    world.wake.notify_one();
    Ok(entity(&user, event, StatusCode::OK, &prefer))
}

pub(crate) async fn create(
    State(world): State<Shared>,
    Path(user): Path<String>,
    headers: HeaderMap,
    Json(wanted): Json<Value>,
) -> Result<Response, Refusal> {
    let (prefer, change) = (Prefer::read(&headers)?, Change::from_graph(&wanted)?);
    let now = world.now();
    let mut tenant = world.tenant();
    let owner = tenant.user_or_refuse(&user)?;
    let index = tenant.create(now, owner, change)?;
    let event = wire::event(&tenant.items[index], None, &prefer, &Options::default());
    drop(tenant);
    world.wake.notify_one();
    Ok(entity(&user, event, StatusCode::CREATED, &prefer))
}

pub(crate) async fn delete(
    State(world): State<Shared>,
    Path((user, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let now = world.now();
    let mut tenant = world.tenant();
    let owner = tenant.user_or_refuse(&user)?;
    let index = tenant.item(owner, &id)?;
    tenant.delete(now, index);
    drop(tenant);
    world.wake.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

/// An item, or one date of a series, by either form of its id.
fn item_or_date(tenant: &Tenant, owner: usize, id: &str) -> Result<(usize, Option<Instance>), Refusal> {
    if let Ok(index) = tenant.item(owner, id) {
        return Ok((index, None));
    }
    let mut items = tenant.items.iter().enumerate().filter(|(_, item)| item.owner == owner && !item.deleted);
    let found = items.find_map(|(index, item)| {
        let date = item.date_ids.iter().find(|(_, ids)| ids.are(id)).map(|(date, _)| *date)?;
        let one = item.facts.instances().into_iter().find(|one| one.date == Some(date))?;
        Some((index, Some(one)))
    });
    found.ok_or_else(Refusal::item_not_found)
}

/// `singleValueExtendedProperties/Any(ep: ep/id eq '…' and ep/value ne null)` is the one filter that is understood.
fn extended_filter(filter: &str) -> Result<(String, bool), Refusal> {
    let fits = filter.trim_start().to_ascii_lowercase().starts_with("singlevalueextendedproperties/any(");
    match (fits, quoted(filter).first()) {
        (true, Some(id)) => Ok((id.clone(), filter.contains("ne null"))),
        _ => Err(Refusal::bad_request(format!("Invalid filter clause: '{filter}'."))),
    }
}

fn entity(user: &str, mut event: Value, status: StatusCode, prefer: &Prefer) -> Response {
    let context = format!("https://graph.microsoft.com/v1.0/$metadata#users('{user}')/events/$entity");
    event["@odata.context"] = json!(context);
    prefer.confirm(json_answer(status, &event))
}

/// One page of a list; the next link repeats the options and skips what was shown.
fn page(
    base_url: &str,
    path: &str,
    pairs: &[(String, String)],
    prefer: &Prefer,
    options: &Options,
    events: Vec<Value>,
) -> Response {
    let size = options.page_size(prefer);
    let more = events.len() > options.skip.saturating_add(size);
    let shown: Vec<_> = events.into_iter().skip(options.skip).take(size).collect();
    let mut answer = json!({
        "@odata.context": format!("https://graph.microsoft.com/v1.0/$metadata#{path}"),
        "value": shown,
    });
    if more {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let skip = (options.skip + size).to_string();
        query.extend_pairs(pairs.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("$skip")));
        query.append_pair("$skip", &skip);
        answer["@odata.nextLink"] = json!(format!("{base_url}/v1.0/{path}?{}", query.finish()));
    }
    prefer.confirm(json_answer(StatusCode::OK, &answer))
}
