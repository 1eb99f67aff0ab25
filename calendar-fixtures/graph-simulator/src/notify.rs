//! Change notifications: from a touched item to a POST at the subscriber's door, and again until it is taken (N3 to N5).

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::journal::Attempt;
use crate::tenant::Tenant;
use crate::world::Shared;

/// Time a subscriber has for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Time a subscriber has for the handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Gap before the first repetition; every further one is three times as long.
const FIRST_GAP_SECONDS: i64 = 2;
/// After this a notification is given up.
const GIVE_UP_AFTER: TimeDelta = TimeDelta::hours(4);
/// Most notifications in one POST.
const MAX_BATCH: usize = 50;
/// Most notifications that wait; beyond it the oldest are lost, as they are with Graph.
const MAX_JOBS: usize = 50_000;
/// How often the clock is looked at while a notification waits for its repetition.
const LOOK: Duration = Duration::from_millis(50);

/// What happened to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KindOfChange {
    Created,
    Updated,
    Deleted,
}

impl KindOfChange {
    fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// One notification on its way.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    url: String,
    payload: Value,
    first: DateTime<Utc>,
    due: DateTime<Utc>,
    attempts: u32,
}

impl Tenant {
    /// Queues a notification for every subscription that wants it.
    pub(crate) fn notify(&mut self, now: DateTime<Utc>, index: usize, kind: KindOfChange) {
        self.expire_subscriptions(now);
        let item = &self.items[index];
        let wants = |types: &str| types.split(',').any(|word| word.trim() == kind.word());
        let concerned: Vec<_> = self
            .subscriptions
            .iter()
            .filter(|one| one.owner == item.owner && wants(&one.change_type))
            .cloned()
            .collect();
        for subscription in concerned {
            let item = &self.items[index];
            let id = item.ids.form(subscription.immutable_ids).to_owned();
            let guid = self.users[item.owner].guid.clone();
            let etag = crate::wire::etag(item.version);
            // Both spellings occur; readers may not parse them.
            let path = match self.dice.below(2) {
                0 => format!("Users/{guid}/Events/{id}"),
                _ => format!("Users('{guid}')/events('{id}')"),
            };
            let offset = FixedOffset::east_opt(0).map(|zone| subscription.expires.with_timezone(&zone).to_rfc3339());
            let payload = json!({
                "subscriptionId": subscription.id,
                "subscriptionExpirationDateTime": offset,
                "changeType": kind.word(),
                "resource": path,
                "resourceData": {
                    "@odata.type": "#Microsoft.Graph.Event",
                    "@odata.id": path,
                    "@odata.etag": etag,
                    "id": id,
                },
                "clientState": subscription.client_state,
                "tenantId": self.tenant_id,
            });
            self.queue(now, &subscription.notification_url, payload);
        }
    }

    fn queue(&mut self, now: DateTime<Utc>, url: &str, payload: Value) {
        if self.dice.happens(self.faults.lost_notifications) {
            let lost = Attempt { at: now, kind: "lost", url: url.to_owned(), notifications: 1, status: 0, attempt: 0 };
            self.journal.attempt(lost);
            return;
        }
        let repeats = if self.dice.happens(self.faults.duplicate_notifications) { 2 + self.dice.below(2) } else { 1 };
        for _ in 0..repeats {
            if self.jobs.len() >= MAX_JOBS {
                self.jobs.remove(0);
            }
            let job = Job { url: url.to_owned(), payload: payload.clone(), first: now, due: now, attempts: 0 };
            self.jobs.push(job);
        }
    }

    /// Takes what is due, gathered by URL (N3: one POST mixes subscriptions).
    fn due_batches(&mut self, now: DateTime<Utc>) -> Vec<(String, Vec<Job>)> {
        let (due, waiting): (Vec<_>, Vec<_>) = self.jobs.drain(..).partition(|job| job.due <= now);
        self.jobs = waiting;
        // What was tried once is not mixed with what is fresh: a poisoned batch would hold up the rest.
        let mut batches: BTreeMap<(String, u32), Vec<Job>> = BTreeMap::new();
        for job in due {
            batches.entry((job.url.clone(), job.attempts)).or_default().push(job);
        }
        let split = |((url, _), jobs): ((String, u32), Vec<Job>)| {
            let parts: Vec<_> = jobs.chunks(MAX_BATCH).map(|part| (url.clone(), part.to_vec())).collect();
            parts
        };
        batches.into_iter().flat_map(split).collect()
    }

    fn again(&mut self, now: DateTime<Utc>, jobs: Vec<Job>) {
        for mut job in jobs {
            job.attempts += 1;
            let gap = FIRST_GAP_SECONDS.saturating_mul(3_i64.saturating_pow(job.attempts.min(20) - 1));
            job.due = now + TimeDelta::seconds(gap.min(GIVE_UP_AFTER.num_seconds()));
            if job.due <= job.first + GIVE_UP_AFTER && self.jobs.len() < MAX_JOBS {
                self.jobs.push(job);
            }
        }
    }
}

/// Delivers for as long as the simulator runs. Waits for a change, or for the time of a repetition.
pub(crate) async fn deliver(world: Shared) {
    loop {
        let batches = world.tenant().due_batches(world.now());
        for (url, jobs) in batches {
            tokio::spawn(deliver_batch(world.clone(), url, jobs));
        }
        let waiting = !world.tenant().jobs.is_empty();
        if waiting {
            // Repetitions follow the tenant's clock, which may run or jump; a short look is all that needs.
            _ = tokio::time::timeout(LOOK, world.wake.notified()).await;
        } else {
            world.wake.notified().await;
        }
    }
}

async fn deliver_batch(world: Shared, url: String, jobs: Vec<Job>) {
    let payloads: Vec<_> = jobs.iter().map(|job| &job.payload).collect();
    let body = json!({"value": payloads});
    let answer = world.http.post(&url).timeout(ANSWER_TIME).json(&body).send().await;
    let status = answer.map_or(0, |answer| answer.status().as_u16());
    let now = world.now();
    let mut tenant = world.tenant();
    let attempt = jobs.first().map_or(1, |job| job.attempts + 1);
    tenant.journal.attempt(Attempt { at: now, kind: "delivery", url, notifications: jobs.len(), status, attempt });
    if !(200..300).contains(&status) {
        tenant.again(now, jobs);
        drop(tenant);
        world.wake.notify_one();
    }
}

impl crate::world::World {
    /// The handshake (N1): the endpoint echoes a token that holds whatever breaks careless decoding.
    pub(crate) async fn validate(&self, url: &str) -> Result<(), String> {
        let token = format!("Validation: Testing client application {} ü+%20&ok=1/§", self.tenant().dice.token());
        let mut target = reqwest::Url::parse(url).map_err(|error| format!("The URL is invalid: {error}"))?;
        target.query_pairs_mut().append_pair("validationToken", &token);
        let request =
            self.http.post(target).header("content-type", "text/plain; charset=utf-8").timeout(HANDSHAKE_TIME);
        let answer = request.send().await;
        let at = self.now();
        let status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
        let attempt = Attempt { at, kind: "validation", url: url.to_owned(), notifications: 0, status, attempt: 1 };
        self.tenant().journal.attempt(attempt);
        let answer = answer.map_err(|error| format!("The endpoint did not answer: {}", error.without_url()))?;
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("").to_owned();
        let body = answer.text().await.unwrap_or_default();
        if status != 200 || !kind.starts_with("text/plain") || body != token {
            return Err(format!("Status {status}, content type '{kind}', or another token than the one sent."));
        }
        Ok(())
    }
}
