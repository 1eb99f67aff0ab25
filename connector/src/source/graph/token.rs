//! Access tokens by client credentials (RFC 6749 section 4.4), from the login host that the settings name.
//!
//! Apart from the requests, because the SDK's own credentials know four login hosts and no other. One token serves
//! everybody; who finds it due fetches a new one while the others wait for that same answer.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dialroom_host::{Clock, SecretError, read_secret};
use dialroom_settings::Graph;
use futures_util::StreamExt;
use graph_core::identity::{ClientApplication, ForceTokenRefresh};
use graph_rs_sdk::error::{AuthExecutionError, AuthExecutionResult};
use oauth2::basic::BasicClient;
use oauth2::{AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, Scope, TokenResponse, TokenUrl};
use tokio::sync::Mutex;

/// A token is replaced when this much of its life is over, so that none expires on its way.
const REFRESH_AT_PERCENT: u32 = 80;
/// What a login host that names no life gets.
const LIFE_UNLESS_TOLD: Duration = Duration::from_secs(600);
/// A token answer is a kilobyte or two; a login host that sends more is something else.
const MAX_ANSWER_LEN: usize = 64 * 1024;
/// A login host that does not answer within this time counts as unreachable.
const TIMEOUT: Duration = Duration::from_secs(20);
/// After a failure nobody asks again for so long: an expired secret and a thousand mailboxes must not storm the login host.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Error descriptions go on for lines; an operator needs the first.
const MAX_DESCRIPTION_CHARS: usize = 300;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// The file with the secret cannot be read.
    #[error("graph.client_secret_file: {0}")]
    SecretFile(#[from] SecretError),
    /// The login host refused.
    #[error("the login host refused our credentials: {0}; check graph.tenant, graph.client_id and the secret")]
    Refused(String),
    /// No answer, or none that is one.
    #[error("the login host does not answer as it should: {0}")]
    Unreachable(String),
    /// Another asked a moment ago and was told this.
    #[error("{0}")]
    Resting(String),
}

/// Gives the token of the moment; cheap to clone, all clones share it.
#[derive(Clone)]
pub(crate) struct TokenSource(Arc<Inner>);

struct Inner {
    clock: Clock,
    http: reqwest::Client,
    token_url: TokenUrl,
    client_id: ClientId,
    secret_file: PathBuf,
    scope: Scope,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Token>,
    /// Counts the tokens there have been, so that a refused one is dropped once, not its successor.
    generation: u64,
    /// When the last question failed, and why.
    failed: Option<(Instant, String)>,
}

struct Token {
    secret: String,
    refresh_at: Instant,
}

impl TokenSource {
    /// A source for the tenant of these settings; asks for nothing yet.
    ///
    /// # Errors
    /// When the login URL is none, or no HTTP client can be made.
    pub(crate) fn new(settings: &Graph, clock: Clock) -> Result<Self, TokenError> {
        let login = settings.login_url.trim_end_matches('/');
        let token_url = TokenUrl::new(format!("{login}/{}/oauth2/v2.0/token", settings.tenant))
            .map_err(|error| TokenError::Unreachable(format!("graph.login_url {login} is no URL: {error}")))?;
        let scope = format!("{}/.default", settings.base_url.trim_end_matches('/'));
        // A login host that redirects would carry the secret elsewhere.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| TokenError::Unreachable(error.to_string()))?;
        Ok(Self(Arc::new(Inner {
            clock,
            http,
            token_url,
            client_id: ClientId::new(settings.client_id.clone()),
            secret_file: settings.client_secret_file.clone(),
            scope: Scope::new(scope),
            held: Mutex::default(),
        })))
    }

    /// Makes sure there is a token and says which generation it is; name it to [`refuse`](Self::refuse) on a 401.
    pub(crate) async fn ready(&self) -> Result<u64, TokenError> {
        self.current().await.map(|(_, generation)| generation)
    }

    /// Drops the token of this generation, which Graph did not take; a newer one stays.
    pub(crate) async fn refuse(&self, generation: u64) {
        let mut held = self.0.held.lock().await;
        if held.generation == generation {
            held.token = None;
        }
    }

    async fn current(&self) -> Result<(String, u64), TokenError> {
        // Held while asking: whoever comes meanwhile waits here for the one answer.
        let mut held = self.0.held.lock().await;
        if let Some(token) = held.token.as_ref().filter(|token| self.0.clock.instant() < token.refresh_at) {
            return Ok((token.secret.clone(), held.generation));
        }
        let rests = |since: &Instant| self.0.clock.instant().duration_since(*since) < REST_AFTER_FAILURE;
        if let Some((_, why)) = held.failed.as_ref().filter(|(since, _)| rests(since)) {
            return Err(TokenError::Resting(why.clone()));
        }
        let token = match self.0.ask().await {
            Ok(token) => token,
            Err(error) => {
                held.failed = Some((self.0.clock.instant(), error.to_string()));
                return Err(error);
            }
        };
        let secret = token.secret.clone();
        (held.token, held.failed) = (Some(token), None);
        held.generation += 1;
        Ok((secret, held.generation))
    }
}

impl Inner {
    async fn ask(&self) -> Result<Token, TokenError> {
        // Read anew each time: a rotated secret needs no restart, and none stays in memory.
        let secret = read_secret(&self.secret_file)?;
        let client = BasicClient::new(self.client_id.clone())
            .set_client_secret(ClientSecret::new(secret))
            .set_token_uri(self.token_url.clone())
            .set_auth_type(AuthType::RequestBody);
        let asked = self.clock.instant();
        let http = self.http.clone();
        let carrier = move |request| carry(http.clone(), request);
        let exchange = client.exchange_client_credentials().add_scope(self.scope.clone());
        let answer = exchange.request_async(&carrier).await.map_err(describe)?;
        let life = answer.expires_in().unwrap_or(LIFE_UNLESS_TOLD);
        Ok(Token {
            secret: answer.access_token().secret().clone(),
            refresh_at: asked + life * REFRESH_AT_PERCENT / 100,
        })
    }
}

async fn carry(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, CarryError> {
    let response = http.execute(request.try_into()?).await?;
    let mut answer = HttpResponse::new(Vec::new());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        answer.body_mut().extend_from_slice(&chunk?);
        if answer.body().len() > MAX_ANSWER_LEN {
            return Err(CarryError::TooLong);
        }
    }
    Ok(answer)
}

/// Why an answer did not arrive; names neither secret nor token.
#[derive(Debug, thiserror::Error)]
enum CarryError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("the answer is longer than {MAX_ANSWER_LEN} bytes")]
    TooLong,
}

fn describe<T>(error: oauth2::RequestTokenError<CarryError, oauth2::StandardErrorResponse<T>>) -> TokenError
where
    T: oauth2::ErrorResponseType + fmt::Display + 'static,
{
    match error {
        oauth2::RequestTokenError::ServerResponse(answer) => {
            let description = answer.error_description().map_or("", |text| text.lines().next().unwrap_or(""));
            let text = format!("{} {description}", answer.error());
            TokenError::Refused(text.chars().take(MAX_DESCRIPTION_CHARS).collect())
        }
        oauth2::RequestTokenError::Request(error) => TokenError::Unreachable(error.to_string()),
        oauth2::RequestTokenError::Parse(error, _) => {
            TokenError::Unreachable(format!("no token in its answer: {error}"))
        }
        oauth2::RequestTokenError::Other(text) => TokenError::Unreachable(text),
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("token_url", &self.0.token_url.as_str()).finish_non_exhaustive()
    }
}

#[async_trait]
impl ClientApplication for TokenSource {
    fn get_token_silent(&mut self) -> AuthExecutionResult<String> {
        Err(AuthExecutionError::Other("the connector asks for tokens asynchronously only".into()))
    }

    async fn get_token_silent_async(&mut self) -> AuthExecutionResult<String> {
        self.current().await.map(|(secret, _)| secret).map_err(|error| AuthExecutionError::Other(Box::new(error)))
    }

    fn with_force_token_refresh(&mut self, _: ForceTokenRefresh) {
        // Nobody asks the SDK to: who meets a 401 calls `refuse`.
    }
}
