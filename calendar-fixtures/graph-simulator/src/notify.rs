//! Change notifications: from a touched item to a POST at the subscriber's door, and again until it is taken (N3 to N5).

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::doors::{Post, Reply};
use crate::endpoint::{SLOW_DELAY, Standing};
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
/// Shortest wait for something that is due: what is due now may need the others to move first.
const SHORTEST_NAP: Duration = Duration::from_millis(1);

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
            .filter(|one| one.owner == item.owner && wants(&one.change_type) && !one.silent)
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

    /// Tells a subscriber something of his subscription (N6).
    pub(crate) fn lifecycle(&mut self, now: DateTime<Utc>, index: usize, event: &str) {
        let subscription = self.subscriptions[index].clone();
        let payload = json!({
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": subscription.expires.to_rfc3339(),
            "clientState": subscription.client_state,
            "tenantId": self.tenant_id,
            "lifecycleEvent": event,
        });
        if let Some(url) = subscription.lifecycle_url {
            self.jobs.push(Job { url, payload, first: now, due: now, attempts: 0 });
        }
    }

    /// When the next attempt is due.
    pub(crate) fn next_job(&self) -> Option<DateTime<Utc>> {
        let forgiven = self.endpoints.values().filter_map(crate::endpoint::Endpoint::dropping_until);
        self.jobs.iter().map(|job| job.due).chain(forgiven).min()
    }

    /// Whoever was dropped and is no more hears that he missed something (N5).
    fn forgive(&mut self, now: DateTime<Utc>) {
        let over: Vec<_> =
            self.endpoints.iter_mut().filter_map(|(url, one)| one.forgiven(now).then(|| url.clone())).collect();
        for index in 0..self.subscriptions.len() {
            if over.contains(&self.subscriptions[index].notification_url) {
                self.lifecycle(now, index, "missed");
            }
        }
    }

    fn queue(&mut self, now: DateTime<Utc>, url: &str, payload: Value) {
        let standing = self.endpoints.get(url).map_or(Standing::Good, |one| one.standing(now));
        if standing == Standing::Dropped {
            let kind = "dropped";
            let dropped = Attempt { at: now, kind, url: url.to_owned(), notifications: 1, status: 0, attempt: 0 };
            return self.journal.attempt(dropped);
        }
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
            let mut due = if standing == Standing::Slow { now + SLOW_DELAY } else { now };
            if self.dice.happens(self.faults.late_notifications) {
                let most = usize::try_from(self.faults.late_notification_seconds).unwrap_or(0);
                due += TimeDelta::seconds(i64::try_from(self.dice.below(most)).unwrap_or(0) + 1);
            }
            self.jobs.push(Job { url: url.to_owned(), payload: payload.clone(), first: now, due, attempts: 0 });
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
        let batches = {
            let now = world.now();
            let mut tenant = world.tenant();
            tenant.forgive(now);
            tenant.due_batches(now)
        };
        for (url, jobs) in batches {
            tokio::spawn(deliver_batch(world.clone(), url, jobs));
        }
        let next = world.tenant().next_due();
        let Some(next) = next else {
            world.wake.notified().await;
            continue;
        };
        // What is due follows the tenant's clock, which may jump; a short look is all that needs.
        let left = (next - world.now()).to_std().unwrap_or_default().max(SHORTEST_NAP);
        _ = tokio::time::timeout(left.min(world.look), world.wake.notified()).await;
    }
}

async fn deliver_batch(world: Shared, url: String, jobs: Vec<Job>) {
    let payloads: Vec<_> = jobs.iter().map(|job| &job.payload).collect();
    let body = json!({"value": payloads});
    let begun = world.now();
    let post =
        Post { url: url.clone(), content_type: "application/json", body: body.to_string(), patience: ANSWER_TIME };
    let status = world.doors.post(post).await.map_or(0, |reply| reply.status);
    let now = world.now();
    let mut tenant = world.tenant();
    let slow = status == 0 || status >= 500 || (now - begun).to_std().unwrap_or_default() >= ANSWER_TIME;
    tenant.endpoints.entry(url.clone()).or_default().answered(now, slow);
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
        let content_type = "text/plain; charset=utf-8";
        let post = Post { url: target.into(), content_type, body: String::new(), patience: HANDSHAKE_TIME };
        let answer = self.doors.post(post).await;
        let at = self.now();
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        let attempt = Attempt { at, kind: "validation", url: url.to_owned(), notifications: 0, status, attempt: 1 };
        self.tenant().journal.attempt(attempt);
        let Reply { content_type: kind, body, .. } =
            answer.map_err(|error| format!("The endpoint did not answer: {error}"))?;
        if status != 200 || !kind.starts_with("text/plain") || body != token {
            return Err(format!("Status {status}, content type '{kind}', or another token than the one sent."));
        }
        Ok(())
    }
}
