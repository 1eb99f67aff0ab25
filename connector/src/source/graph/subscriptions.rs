//! The subscription of one mailbox: made while our listener runs, renewed at half of its life, made again when lost.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use dialroom_host::{Clock, OsRandom};
use rand_core::RngCore;
use serde::{Deserialize, Serialize};

use super::client::{Ask, GraphClient, GraphError};

/// Life asked for: a little below Graph's bound for events, 10,080 minutes.
const LIFE_MINUTES: i64 = 10_000;
/// What older national clouds allow.
const SHORT_LIFE_MINUTES: i64 = 4_200;
/// Subscriptions looked through for one that stands in our way.
const MAX_PAGES: usize = 50;

/// A subscription of ours, as it is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Subscription {
    /// Graph's id of it.
    pub(crate) id: String,
    /// The secret that its notifications show.
    pub(crate) client_state: String,
    /// Where they go; another public URL needs another subscription.
    pub(crate) notification_url: String,
    /// When it was made or renewed.
    pub(crate) renewed: DateTime<Utc>,
    /// When it ends.
    pub(crate) expires: DateTime<Utc>,
}

impl Subscription {
    /// When it is to be renewed: at half of its life.
    pub(crate) fn renew_at(&self) -> DateTime<Utc> {
        self.renewed + (self.expires - self.renewed) / 2
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("id", &self.id).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// The body that makes one.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewSubscription {
    change_type: &'static str,
    notification_url: String,
    lifecycle_notification_url: String,
    resource: String,
    expiration_date_time: String,
    client_state: String,
}

impl std::fmt::Debug for NewSubscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSubscription").field("resource", &self.resource).finish_non_exhaustive()
    }
}

/// The body that prolongs one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Renewal {
    expiration_date_time: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    id: String,
    expiration_date_time: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Listed {
    value: Vec<ListedOne>,
    #[serde(rename = "@odata.nextLink")]
    next_link: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedOne {
    id: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    notification_url: Option<String>,
}

/// Makes sure that this mailbox (by object id) has a subscription that lives: renews `held`, else makes one. Graph calls
/// the notification URL while the request to make one is still open.
pub(crate) async fn ensure(
    graph: &GraphClient,
    clock: &Clock,
    mailbox: &str,
    notification_url: &str,
    held: Option<Subscription>,
) -> Result<Subscription, GraphError> {
    if let Some(held) = held {
        if held.notification_url == notification_url && held.expires > clock.wall() {
            match renew(graph, clock, mailbox, held).await {
                Err(GraphError::NotFound(_)) => {}
                other => return other,
            }
        } else {
            // What is left of it ends by itself at the latest.
            let _ = graph.ask(mailbox, Ask::Unsubscribe(held.id)).await;
        }
    }
    match make(graph, clock, mailbox, notification_url).await {
        Err(GraphError::Conflict(_)) => {
            // One of ours from an earlier life, whose secret we no longer hold: it makes way.
            remove_others(graph, mailbox, notification_url).await?;
            make(graph, clock, mailbox, notification_url).await
        }
        other => other,
    }
}

async fn renew(
    graph: &GraphClient,
    clock: &Clock,
    mailbox: &str,
    held: Subscription,
) -> Result<Subscription, GraphError> {
    let renewal = |life| Renewal { expiration_date_time: expiry(clock, life) };
    let ask = |life| graph.ask(mailbox, Ask::Renew(held.id.clone(), renewal(life)));
    let answer = match ask(LIFE_MINUTES).await {
        Err(GraphError::Refused(refusal)) if refusal.status == 400 => ask(SHORT_LIFE_MINUTES).await?,
        other => other?,
    };
    let made: Made = read(&answer)?;
    Ok(Subscription { renewed: clock.wall(), expires: made.expiration_date_time, ..held })
}

async fn make(
    graph: &GraphClient,
    clock: &Clock,
    mailbox: &str,
    notification_url: &str,
) -> Result<Subscription, GraphError> {
    let client_state = fresh_secret();
    let wanted = |life| NewSubscription {
        change_type: "created,updated,deleted",
        notification_url: notification_url.to_owned(),
        lifecycle_notification_url: notification_url.to_owned(),
        resource: resource(mailbox),
        expiration_date_time: expiry(clock, life),
        client_state: client_state.clone(),
    };
    let answer = match graph.ask(mailbox, Ask::Subscribe(wanted(LIFE_MINUTES))).await {
        Err(GraphError::Refused(refusal)) if refusal.status == 400 => {
            graph.ask(mailbox, Ask::Subscribe(wanted(SHORT_LIFE_MINUTES))).await?
        }
        other => other?,
    };
    let made: Made = read(&answer)?;
    Ok(Subscription {
        id: made.id,
        client_state,
        notification_url: notification_url.to_owned(),
        renewed: clock.wall(),
        expires: made.expiration_date_time,
    })
}

async fn remove_others(graph: &GraphClient, mailbox: &str, notification_url: &str) -> Result<(), GraphError> {
    let mut next = Some(graph.url(&["subscriptions"], &[]));
    for _ in 0..MAX_PAGES {
        let Some(url) = next.take() else { break };
        let page: Listed = read(&graph.get(mailbox, url).await?)?;
        for other in page.value {
            let ours = other.notification_url.as_deref() == Some(notification_url);
            if ours && other.resource.trim_start_matches('/').eq_ignore_ascii_case(&resource(mailbox)) {
                graph.ask(mailbox, Ask::Unsubscribe(other.id)).await?;
            }
        }
        next = page.next_link.map(|link| graph.link(&link)).transpose()?;
    }
    Ok(())
}

fn resource(mailbox: &str) -> String {
    format!("users/{mailbox}/events")
}

fn expiry(clock: &Clock, life_minutes: i64) -> String {
    (clock.wall() + TimeDelta::minutes(life_minutes)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn fresh_secret() -> String {
    let mut bytes = [0; 32];
    OsRandom.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, GraphError> {
    serde_json::from_slice(body).map_err(|error| GraphError::Malformed(format!("a subscription: {error}")))
}
