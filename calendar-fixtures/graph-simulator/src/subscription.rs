//! Subscriptions to mailboxes: made after a handshake (N1), renewed, listed, ended (N2).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::answer::{Refusal, json_answer};
use crate::tenant::Tenant;
use crate::world::Shared;
use crate::zone::stamp;

/// Longest life of a subscription to events (graph.md section 4).
const MAX_LIFE: TimeDelta = TimeDelta::minutes(10_080);
/// A shorter life is raised to this.
const MIN_LIFE: TimeDelta = TimeDelta::minutes(45);
/// Most subscriptions of one mailbox.
const MAX_PER_MAILBOX: usize = 1_000;
/// Longest client state in characters.
const MAX_CLIENT_STATE: usize = 128;

/// Somebody wants to hear of changes in a mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    /// Index of the mailbox' owner.
    pub(crate) owner: usize,
    /// As the client wrote it.
    pub(crate) resource: String,
    pub(crate) change_type: String,
    pub(crate) notification_url: String,
    pub(crate) lifecycle_url: Option<String>,
    pub(crate) client_state: Option<String>,
    pub(crate) expires: DateTime<Utc>,
    /// Resource data names items by this form of id.
    pub(crate) immutable_ids: bool,
}

impl Subscription {
    fn as_json(&self, application_id: &str) -> Value {
        json!({
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity",
            "id": self.id,
            "resource": self.resource,
            "applicationId": application_id,
            "changeType": self.change_type,
            "clientState": self.client_state,
            "notificationUrl": self.notification_url,
            "notificationQueryOptions": null,
            "lifecycleNotificationUrl": self.lifecycle_url,
            "expirationDateTime": stamp(self.expires),
            "creatorId": "8ee44408-0679-472c-bc2a-692812af3437",
            "includeResourceData": null,
            "latestSupportedTlsVersion": "v1_2",
            "encryptionCertificate": null,
            "encryptionCertificateId": null,
            "notificationUrlAppId": null,
        })
    }
}

impl Tenant {
    /// Forgets subscriptions whose time is over.
    pub(crate) fn expire_subscriptions(&mut self, now: DateTime<Utc>) {
        self.subscriptions.retain(|subscription| subscription.expires > now);
    }

    /// Whether subscriptions are served just now.
    fn subscribing(&mut self) -> Result<(), Refusal> {
        let rate = self.faults.refused_subscriptions;
        if self.dice.happens(rate) {
            let message = "The operation is not served at the moment.";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "ExtensionError", message));
        }
        Ok(())
    }

    fn subscription(&mut self, now: DateTime<Utc>, id: &str) -> Result<usize, Refusal> {
        self.expire_subscriptions(now);
        let found = self.subscriptions.iter().position(|subscription| subscription.id.eq_ignore_ascii_case(id));
        found.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "ResourceNotFound", "The object was not found."))
    }
}

pub(crate) async fn create(
    State(world): State<Shared>,
    headers: axum::http::HeaderMap,
    Json(wanted): Json<Value>,
) -> Result<Response, Refusal> {
    let immutable_ids = crate::query::Prefer::read(&headers)?.immutable;
    let subscription = {
        let now = world.now();
        let mut tenant = world.tenant();
        tenant.expire_subscriptions(now);
        tenant.subscribing()?;
        wanted_subscription(&mut tenant, now, &wanted, immutable_ids)?
    };
    // Both URLs have to prove themselves while this request is still open.
    let urls = std::iter::once(&subscription.notification_url).chain(subscription.lifecycle_url.as_ref());
    for url in urls {
        world.validate(url).await.map_err(|reason| {
            let message = format!("Subscription validation request failed. {reason}");
            Refusal::new(StatusCode::BAD_REQUEST, "ValidationError", message)
        })?;
    }
    let mut tenant = world.tenant();
    let answer = subscription.as_json(&tenant.client_id);
    tenant.subscriptions.push(subscription);
    Ok(json_answer(StatusCode::CREATED, &answer))
}

fn wanted_subscription(
    tenant: &mut Tenant,
    now: DateTime<Utc>,
    wanted: &Value,
    immutable_ids: bool,
) -> Result<Subscription, Refusal> {
    let invalid = |message: &str| Refusal::new(StatusCode::BAD_REQUEST, "InvalidRequest", message);
    let text = |field: &str| wanted[field].as_str().map(str::to_owned);
    let change_type = text("changeType").ok_or_else(|| invalid("changeType is needed"))?;
    if !change_type.split(',').all(|kind| ["created", "updated", "deleted"].contains(&kind.trim())) {
        return Err(invalid("changeType holds an unknown kind"));
    }
    let notification_url = text("notificationUrl").ok_or_else(|| invalid("notificationUrl is needed"))?;
    let resource = text("resource").ok_or_else(|| invalid("resource is needed"))?;
    let owner = watched_user(tenant, &resource)?;
    let client_state = text("clientState");
    if client_state.as_ref().is_some_and(|state| state.chars().count() > MAX_CLIENT_STATE) {
        return Err(invalid("clientState has at most 128 characters"));
    }
    let expires = expiry(now, wanted)?;
    let same = |one: &Subscription| one.resource.eq_ignore_ascii_case(&resource) && one.change_type == change_type;
    if tenant.subscriptions.iter().any(same) {
        let message = format!("A subscription for {resource} with these change types exists already.");
        return Err(Refusal::new(StatusCode::CONFLICT, "ExtensionError", message));
    }
    if tenant.subscriptions.iter().filter(|one| one.owner == owner).count() >= MAX_PER_MAILBOX {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "ExtensionError", "The mailbox has too many subscriptions."));
    }
    let lifecycle_url = text("lifecycleNotificationUrl");
    let id = tenant.dice.guid();
    Ok(Subscription {
        id,
        owner,
        resource,
        change_type,
        notification_url,
        lifecycle_url,
        client_state,
        expires,
        immutable_ids,
    })
}

/// Whose events `users/{id}/events` are; other resources cannot be watched here.
fn watched_user(tenant: &Tenant, resource: &str) -> Result<usize, Refusal> {
    let parts: Vec<_> = resource.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        [users, id, events] if users.eq_ignore_ascii_case("users") && events.eq_ignore_ascii_case("events") => {
            tenant.user(id).ok_or_else(|| {
                let message = "Operation: Create; Exception: [Status Code: NotFound; Reason: Not Found]";
                Refusal::new(StatusCode::NOT_FOUND, "ExtensionError", message)
            })
        }
        _ => Err(Refusal::new(StatusCode::BAD_REQUEST, "InvalidRequest", "only users/{id}/events can be watched")),
    }
}

fn expiry(now: DateTime<Utc>, wanted: &Value) -> Result<DateTime<Utc>, Refusal> {
    let invalid = |message: &str| Refusal::new(StatusCode::BAD_REQUEST, "ValidationError", message);
    let raw = wanted["expirationDateTime"].as_str().ok_or_else(|| invalid("expirationDateTime is needed"))?;
    let expires = DateTime::parse_from_rfc3339(raw).map_err(|_| invalid("expirationDateTime is no time"))?.to_utc();
    if expires > now + MAX_LIFE {
        return Err(invalid("Subscription expiration can only be 10080 minutes in the future."));
    }
    if expires <= now {
        return Err(invalid("Subscription expiration is in the past."));
    }
    Ok(expires.max(now + MIN_LIFE))
}

pub(crate) async fn list(State(world): State<Shared>) -> Response {
    let now = world.now();
    let mut tenant = world.tenant();
    tenant.expire_subscriptions(now);
    let list: Vec<_> = tenant.subscriptions.iter().map(|one| one.as_json(&tenant.client_id)).collect();
    let context = "https://graph.microsoft.com/v1.0/$metadata#subscriptions";
    json_answer(StatusCode::OK, &json!({"@odata.context": context, "value": list}))
}

pub(crate) async fn get(State(world): State<Shared>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let now = world.now();
    let mut tenant = world.tenant();
    let index = tenant.subscription(now, &id)?;
    Ok(json_answer(StatusCode::OK, &tenant.subscriptions[index].as_json(&tenant.client_id)))
}

pub(crate) async fn renew(
    State(world): State<Shared>,
    Path(id): Path<String>,
    Json(wanted): Json<Value>,
) -> Result<Response, Refusal> {
    let now = world.now();
    let mut tenant = world.tenant();
    tenant.subscribing()?;
    let index = tenant.subscription(now, &id)?;
    tenant.subscriptions[index].expires = expiry(now, &wanted)?;
    Ok(json_answer(StatusCode::OK, &tenant.subscriptions[index].as_json(&tenant.client_id)))
}

pub(crate) async fn delete(State(world): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let now = world.now();
    let mut tenant = world.tenant();
    let index = tenant.subscription(now, &id)?;
    tenant.subscriptions.remove(index);
    Ok(StatusCode::NO_CONTENT)
}
