//! One request to Graph: which headers, how many at once, when again, and what its refusal means.
//!
//! The SDK builds and sends; token, pauses, limits and errors are ours (`may not wait unbounded`, `answers are checked`,
//! `no token leaves for another host`). Its paging is not used: it forgets our headers on page two.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dialroom_host::{Clock, OsRandom};
use dialroom_settings::Graph;
use futures_util::StreamExt;
use graph_rs_sdk::header::{HeaderName, HeaderValue};
use graph_rs_sdk::{GraphClientConfiguration, GraphFailure};
use rand_core::RngCore;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::retry::{MAX_TRIES, MAX_WAIT, may_repeat, pause};
use super::subscriptions::{NewSubscription, Renewal};
use super::token::{TokenError, TokenSource};
use crate::metrics::Metrics;

/// Graph serves four requests at a time per application and mailbox; the fourth is left to whoever else is there.
const CONCURRENT_PER_MAILBOX: usize = 3;
/// A whole request with its answer; Graph itself gives up earlier.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Reaching the host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read: a page of events with their bodies.
pub(crate) const MAX_ANSWER_BYTES: usize = connector_calendar::MAX_PAGE_BYTES;
/// Ids that outlive a move, times in UTC: on every request, or ids and times of two answers differ. Bodies come as HTML:
/// as text they would have lost the id of our block.
const PREFER: &str = r#"IdType="ImmutableId", outlook.timezone="UTC""#;
/// Requests that belong to no mailbox share this lane.
pub(crate) const NO_MAILBOX: &str = "";

/// Why Graph did not give what was asked for. No message holds a token or an address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GraphError {
    /// No token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The mailbox rests; nothing may be asked before.
    #[error("Graph asks us to pause for {} s", wait.as_secs())]
    Throttled {
        /// How long.
        wait: Duration,
    },
    /// The item is not there (any more).
    #[error("Graph has no such item ({0})")]
    NotFound(Refusal),
    /// The delta token is forgotten: a full round is needed.
    #[error("Graph forgot where we stood ({0})")]
    SyncStateLost(Refusal),
    /// Not ours to see: outside the application's scope, or a permission is missing.
    #[error("Graph denies access ({0}); check the application's permissions and its scope of mailboxes")]
    Denied(Refusal),
    /// The user has no mailbox in Exchange Online.
    #[error("the user has no mailbox that Graph serves ({0})")]
    NoMailbox(Refusal),
    /// There is one already.
    #[error("Graph holds one already ({0})")]
    Conflict(Refusal),
    /// Any other refusal.
    #[error("Graph refuses ({0})")]
    Refused(Refusal),
    /// No answer, or a broken one.
    #[error("Graph does not answer: {0}")]
    Unreachable(String),
    /// A link leads to another host than the configured one.
    #[error("Graph sent a link to another host, {0}; not followed, it would carry our token there")]
    ForeignLink(String),
    /// The answer cannot be read.
    #[error("Graph's answer cannot be read: {0}")]
    Malformed(String),
}

/// What a refusal says of itself: status, code, and the id under which Microsoft finds it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusal {
    /// HTTP status.
    pub(crate) status: u16,
    /// `error.code`; the only part one may act on.
    pub(crate) code: String,
    request_id: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}, code {:?}, request-id {:?}", self.status, self.code, self.request_id)
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// GET of this URL.
    Get(Url),
    /// POST /subscriptions.
    Subscribe(NewSubscription),
    /// PATCH /subscriptions/{id}.
    Renew(String, Renewal),
    /// DELETE /subscriptions/{id}.
    Unsubscribe(String),
}

/// Asks Graph; cheap to clone, all clones share token, connections and limits.
#[derive(Clone)]
pub(crate) struct GraphClient(Arc<Inner>);

struct Inner {
    sdk: graph_rs_sdk::GraphClient,
    tokens: TokenSource,
    base: Url,
    clock: Clock,
    metrics: Arc<Metrics>,
    lanes: Mutex<HashMap<String, Lane>>,
}

#[derive(Clone)]
struct Lane {
    places: Arc<Semaphore>,
    /// Nothing may be sent before.
    rests_until: Option<Instant>,
}

impl GraphClient {
    /// A client for the tenant of these settings; sends nothing yet.
    pub(crate) fn new(settings: &Graph, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, GraphError> {
        let text = format!("{}/v1.0", settings.base_url.trim_end_matches('/'));
        let base = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| GraphError::Unreachable(format!("graph.base_url {text:?} is no http URL")))?;
        let tokens = TokenSource::new(settings, clock.clone())?;
        let configuration = GraphClientConfiguration::new()
            .client_application(tokens.clone())
            .https_only(base.scheme() == "https")
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .referer(false);
        let mut sdk = graph_rs_sdk::GraphClient::from(configuration);
        // The SDK knows six hosts and panics at any other; the host is checked above, and every link against it below.
        sdk.use_test_endpoint(&base);
        Ok(Self(Arc::new(Inner { sdk, tokens, base, clock, metrics, lanes: Mutex::default() })))
    }

    /// URL below `/v1.0` with these path segments and query pairs, all of them escaped: ids hold `/`, `+` and `=`.
    pub(crate) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.0.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            // Written by hand: `+` for a space, as forms have it, is not understood in OData filters everywhere.
            let escape = |text: &str| {
                percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
            };
            let pairs: Vec<_> = query
                .iter()
                .map(|(key, value)| format!("{}={}", escape(key).replace("%24", "$"), escape(value)))
                .collect();
            url.set_query(Some(&pairs.join("&")));
        }
        url
    }

    /// A link that Graph sent, checked to lead to the configured host.
    pub(crate) fn link(&self, text: &str) -> Result<Url, GraphError> {
        let url = Url::parse(text).map_err(|error| GraphError::Malformed(format!("a link that is no URL: {error}")))?;
        if url.origin() == self.0.base.origin() {
            Ok(url)
        } else {
            Err(GraphError::ForeignLink(url.host_str().unwrap_or("?").chars().take(100).collect()))
        }
    }

    /// The body of what a GET gives.
    pub(crate) async fn get(&self, mailbox: &str, url: Url) -> Result<Vec<u8>, GraphError> {
        self.ask(mailbox, Ask::Get(url)).await
    }

    /// Sends until it is answered, refused for good, or too long a pause is asked for.
    pub(crate) async fn ask(&self, mailbox: &str, ask: Ask) -> Result<Vec<u8>, GraphError> {
        let idempotent = !matches!(ask, Ask::Subscribe(_));
        let mut tries = 0;
        let mut token_refused = false;
        loop {
            let (place, generation) = self.place(mailbox).await?;
            tries += 1;
            let answer = self.send(&ask).await;
            drop(place);
            let (refusal, retry_after) = match answer {
                Ok(Answer::Body(body)) => return Ok(body),
                Ok(Answer::Refused(refusal, retry_after)) => (refusal, retry_after),
                Err(error) if idempotent && tries < MAX_TRIES && matches!(error, GraphError::Unreachable(_)) => {
                    tracing::debug!(%error, tries, "no answer from Graph, asking again");
                    self.rest(None, tries).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if refusal.status == 401 && !token_refused {
                token_refused = true;
                self.0.tokens.refuse(generation).await;
                continue;
            }
            if !may_repeat(refusal.status, idempotent) || tries == MAX_TRIES {
                return Err(meaning(refusal));
            }
            self.0.metrics.graph_repeats.add();
            let wait = self.rest_of(retry_after.as_deref(), tries);
            self.let_rest(mailbox, wait);
            tracing::debug!(%refusal, tries, wait_ms = wait.as_millis(), "Graph asks us to come again");
            if wait > MAX_WAIT {
                return Err(GraphError::Throttled { wait });
            }
        }
    }

    /// Waits for a place in the mailbox' lane, for a token, and for the end of the lane's rest: that last, for it may begin
    /// while a token is fetched. Gives the token's generation too.
    async fn place(&self, mailbox: &str) -> Result<(OwnedSemaphorePermit, u64), GraphError> {
        let places = self.lane(mailbox).places;
        let place = places.acquire_owned().await.map_err(|_| GraphError::Unreachable("stopping".to_owned()))?;
        loop {
            let generation = self.0.tokens.ready().await?;
            let now = self.0.clock.instant();
            let Some(until) = self.lane(mailbox).rests_until.filter(|until| *until > now) else {
                return Ok((place, generation));
            };
            if until - now > MAX_WAIT {
                return Err(GraphError::Throttled { wait: until - now });
            }
            self.0.clock.sleep_until(until).await;
        }
    }

    fn lane(&self, mailbox: &str) -> Lane {
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Lane { places: Arc::new(Semaphore::new(CONCURRENT_PER_MAILBOX)), rests_until: None };
        lanes.entry(mailbox.to_owned()).or_insert_with(new).clone()
    }

    fn let_rest(&self, mailbox: &str, wait: Duration) {
        let until = self.0.clock.instant() + wait;
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get_mut(mailbox) {
            lane.rests_until = lane.rests_until.max(Some(until));
        }
    }

    fn rest_of(&self, retry_after: Option<&str>, tries: u32) -> Duration {
        let mut chance = [0];
        OsRandom.fill_bytes(&mut chance);
        pause(retry_after, self.wall(), tries, chance[0])
    }

    async fn rest(&self, retry_after: Option<&str>, tries: u32) {
        self.0.clock.sleep_until(self.0.clock.instant() + self.rest_of(retry_after, tries)).await;
    }

    fn wall(&self) -> DateTime<Utc> {
        self.0.clock.wall()
    }

    async fn send(&self, ask: &Ask) -> Result<Answer, GraphError> {
        self.0.metrics.graph_requests.add();
        let sdk = &self.0.sdk;
        let mut request = match ask {
            Ask::Get(url) => {
                let mut request = sdk.users().list_user();
                *AsMut::<Url>::as_mut(&mut request) = url.clone();
                request
            }
            Ask::Subscribe(wanted) => sdk.subscriptions().create_subscription(wanted),
            Ask::Renew(id, renewal) => sdk.subscription(id).update_subscription(renewal),
            Ask::Unsubscribe(id) => sdk.subscription(id).delete_subscription(),
        };
        let headers = request.headers_mut();
        headers.insert(HeaderName::from_static("prefer"), HeaderValue::from_static(PREFER));
        if let Ok(id) = HeaderValue::from_str(&request_id()) {
            headers.insert(HeaderName::from_static("client-request-id"), id);
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = read(response).await?;
        if (200..300).contains(&status) {
            return Ok(Answer::Body(body));
        }
        let refusal = read_refusal(status, &body);
        tracing::debug!(%refusal, "Graph refuses");
        Ok(Answer::Refused(refusal, retry_after))
    }
}

enum Answer {
    Body(Vec<u8>),
    Refused(Refusal, Option<String>),
}

async fn read(response: reqwest::Response) -> Result<Vec<u8>, GraphError> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(|error| GraphError::Unreachable(error.without_url().to_string()))?);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(GraphError::Malformed(format!("longer than {MAX_ANSWER_BYTES} bytes")));
        }
    }
    Ok(body)
}

fn unreachable(failure: GraphFailure) -> GraphError {
    match failure {
        // A URL may hold an address; the rest of the message says enough.
        GraphFailure::ReqwestError(error) => GraphError::Unreachable(error.without_url().to_string()),
        _ => GraphError::Unreachable("the request could not be sent".to_owned()),
    }
}

/// Reads `{"error":{"code","innerError":{"request-id"}}}`; anything else leaves the status alone to speak.
fn read_refusal(status: u16, body: &[u8]) -> Refusal {
    #[derive(Deserialize)]
    struct Envelope {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(default)]
        code: String,
        #[serde(default, alias = "innererror", rename = "innerError")]
        inner: Option<Ids>,
    }
    #[derive(Deserialize)]
    struct Ids {
        #[serde(default, rename = "request-id")]
        request_id: String,
    }
    let cut = |text: String| text.chars().filter(|c| !c.is_control()).take(80).collect();
    match serde_json::from_slice::<Envelope>(body) {
        Ok(Envelope { error }) => Refusal {
            status,
            code: cut(error.code),
            request_id: cut(error.inner.map(|ids| ids.request_id).unwrap_or_default()),
        },
        Err(_) => Refusal { status, ..Refusal::default() },
    }
}

/// What a refusal means, by status and `code`, never by its message.
fn meaning(refusal: Refusal) -> GraphError {
    let code = refusal.code.as_str();
    let is = |other: &str| code.eq_ignore_ascii_case(other);
    match refusal.status {
        _ if is("syncStateNotFound") || is("resyncRequired") => GraphError::SyncStateLost(refusal),
        410 => GraphError::SyncStateLost(refusal),
        404 if is("MailboxNotEnabledForRESTAPI") => GraphError::NoMailbox(refusal),
        404 => GraphError::NotFound(refusal),
        401 | 403 => GraphError::Denied(refusal),
        409 => GraphError::Conflict(refusal),
        429 => GraphError::Throttled { wait: MAX_WAIT },
        _ => GraphError::Refused(refusal),
    }
}

/// A fresh GUID, by which Microsoft's support finds our request.
fn request_id() -> String {
    let mut bytes = [0; 16];
    OsRandom.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

impl fmt::Debug for GraphClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphClient").field("base", &self.0.base.as_str()).finish_non_exhaustive()
    }
}
