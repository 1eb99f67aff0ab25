//! The login: access tokens for a client secret (T1, T3), and the check that Graph makes of them (T4).

use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;

use crate::answer::{Refusal, json_answer};
use crate::tenant::{Tenant, same};
use crate::world::Shared;

/// Most tokens alive; beyond it the login is busy.
const MAX_TOKENS: usize = 10_000;
/// The domain name of the tenant, as good as its GUID in the token URL.
const DOMAIN: &str = "contoso.example";

/// The form of a token request.
#[derive(Deserialize)]
pub(crate) struct TokenRequest {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
}

pub(crate) async fn token(
    State(world): State<Shared>,
    Path(tenant_name): Path<String>,
    headers: HeaderMap,
    Form(form): Form<TokenRequest>,
) -> Response {
    let now = world.now();
    let mut tenant = world.tenant();
    match grant(&mut tenant, now, &tenant_name, &headers, form, &world.base_url) {
        Ok(token) => token.into_response(),
        Err(failure) => failure.answer(&mut tenant, now),
    }
}

struct Failure {
    status: StatusCode,
    error: &'static str,
    code: u32,
    text: String,
}

impl Failure {
    fn new(status: StatusCode, error: &'static str, code: u32, text: impl Into<String>) -> Self {
        Self { status, error, code, text: text.into() }
    }

    fn answer(self, tenant: &mut Tenant, now: DateTime<Utc>) -> Response {
        let (trace, correlation) = (tenant.dice.guid(), tenant.dice.guid());
        let timestamp = now.format("%Y-%m-%d %H:%M:%SZ").to_string();
        let description = format!(
            "AADSTS{}: {}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {timestamp}",
            self.code, self.text
        );
        let body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
        });
        json_answer(self.status, &body)
    }
}

fn grant(
    tenant: &mut Tenant,
    now: DateTime<Utc>,
    name: &str,
    headers: &HeaderMap,
    form: TokenRequest,
    base_url: &str,
) -> Result<Response, Failure> {
    let bad = StatusCode::BAD_REQUEST;
    if !same(name, &tenant.tenant_id) && !same(name, DOMAIN) {
        return Err(Failure::new(bad, "invalid_request", 90002, format!("Tenant '{name}' not found.")));
    }
    if form.grant_type.as_deref() != Some("client_credentials") {
        return Err(Failure::new(bad, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."));
    }
    let (id, secret) = basic_auth(headers).or_else(|| form.client_id.zip(form.client_secret)).unwrap_or_default();
    if id != tenant.client_id {
        let text = format!("Application with identifier '{id}' was not found in the directory.");
        return Err(Failure::new(bad, "unauthorized_client", 700_016, text));
    }
    if secret != tenant.client_secret {
        let text =
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value.";
        return Err(Failure::new(StatusCode::UNAUTHORIZED, "invalid_client", 7_000_215, text));
    }
    // The scope follows the Graph host, which here is the simulator itself.
    let scope = form.scope.unwrap_or_default();
    let hosts = ["https://graph.microsoft.com", base_url];
    if !hosts.iter().any(|host| scope == format!("{host}/.default")) {
        let text = format!("The provided value for scope {scope} is not valid.");
        return Err(Failure::new(bad, "invalid_scope", 70011, text));
    }
    tenant.tokens.retain(|_, expires| *expires > now);
    if tenant.tokens.len() >= MAX_TOKENS {
        return Err(Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            90033,
            "Too many tokens.",
        ));
    }
    let token = format!("eyJ0eXAiOiJKV1QifQ.{}.{}", tenant.dice.token(), tenant.dice.token());
    let life = tenant.faults.token_seconds;
    tenant.tokens.insert(token.clone(), now + TimeDelta::seconds(life));
    let body = json!({"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token});
    let answer = json_answer(StatusCode::OK, &body);
    Ok(([(header::CACHE_CONTROL, "no-store, no-cache"), (header::PRAGMA, "no-cache")], answer).into_response())
}

/// RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
fn basic_auth(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let plain = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = plain.split_once(':')?;
    let decode = |part: &str| {
        let part = part.replace('+', " ");
        percent_encoding::percent_decode_str(&part).decode_utf8().map(std::borrow::Cow::into_owned).ok()
    };
    decode(id).zip(decode(secret))
}

/// What Graph thinks of the token of a request (T4). Its messages vary; its code does not.
pub(crate) fn authorize(tenant: &mut Tenant, now: DateTime<Utc>, headers: &HeaderMap) -> Result<(), Refusal> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let message = match token.map(|token| tenant.tokens.get(token)) {
        None => "Access token is empty.",
        Some(None) => match tenant.dice.below(3) {
            0 => "CompactToken parsing failed with error code: 80049217",
            1 => "IDX14100: JWT is not well formed, there are no dots (.).",
            _ => "Access token validation failure. Invalid audience.",
        },
        Some(Some(expires)) if *expires <= now => match tenant.dice.below(2) {
            0 => "Access token has expired or is not yet valid.",
            _ => "Lifetime validation failed, the token is expired.",
        },
        Some(Some(_)) => {
            let rate = tenant.faults.refused_tokens;
            if !tenant.dice.happens(rate) {
                return Ok(());
            }
            "Lifetime validation failed, the token is not yet valid."
        }
    };
    let challenge = "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"";
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message);
    Err(refusal.with_header(header::WWW_AUTHENTICATE, challenge))
}
