//! What every request to Graph passes: token (T4), limits of the mailbox (L1), lateness, and the journal.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::answer::Refusal;
use crate::journal;
use crate::login::authorize;
use crate::throttle::Wait;
use crate::world::{Shared, World};

pub(crate) async fn gate(State(world): State<Shared>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let request_id = request.headers().get("client-request-id").cloned();
    let (mut response, rude) = admitted(&world, request, next).await;
    if let Some(id) = request_id {
        response.headers_mut().insert("client-request-id", id);
    }
    let status = response.status().as_u16();
    let at = world.now();
    world.tenant().journal.request(journal::Request { at, method, path, status, rude });
    response
}

async fn admitted(world: &Shared, request: Request, next: Next) -> (Response, bool) {
    let now = world.now();
    let (owner, late_ms) = {
        let mut tenant = world.tenant();
        if let Err(refusal) = authorize(&mut tenant, now, request.headers()) {
            return (refusal.into_response(), false);
        }
        let owner = mailbox(request.uri().path()).and_then(|id| tenant.user(&id));
        let unlucky = owner.is_some() && {
            let rate = tenant.faults.throttled;
            tenant.dice.happens(rate)
        };
        let entered = owner.map(|owner| tenant.throttles.entry(owner).or_default().enter(now, unlucky));
        if let Some(Err(wait)) = entered {
            let rude = wait.rude;
            return (throttled(wait).into_response(), rude);
        }
        (owner, tenant.faults.late_answers_ms)
    };
    // Leaves the mailbox whatever happens, also when the client hangs up and this future is dropped.
    let _inside = Inside { world, owner };
    if late_ms > 0 {
        tokio::time::sleep(Duration::from_millis(late_ms)).await;
    }
    (next.run(request).await, false)
}

struct Inside<'a> {
    world: &'a World,
    owner: Option<usize>,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if let Some(owner) = self.owner {
            self.world.tenant().throttles.entry(owner).or_default().leave();
        }
    }
}

fn throttled(wait: Wait) -> Refusal {
    let message = match wait.code {
        "ApplicationThrottled" => "Application is over its MailboxConcurrency limit.",
        _ => "Too many requests.",
    };
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, wait.code, message);
    match wait.retry_after {
        Some(value) => refusal.with_header(header::RETRY_AFTER, value),
        None => refusal,
    }
}

/// Whose mailbox a path below `/v1.0` leads into; directory look-ups have limits of their own.
fn mailbox(path: &str) -> Option<String> {
    let path = path.strip_prefix("/v1.0").unwrap_or(path);
    let mut parts = path.split('/').skip(1);
    let (users, id, _below) = (parts.next()?, parts.next()?, parts.next()?);
    let id = percent_encoding::percent_decode_str(id).decode_utf8().ok()?;
    (users == "users").then(|| id.into_owned())
}
