//! Responses: what each one must carry.

use std::sync::Arc;

use rsipstack::sip::{Header, HeadersExt, Request, Response, StatusCode};
use rsipstack::transaction::make_tag;
use rsipstack::transaction::transaction::Transaction;

use super::dialog::tag_of;
use super::endpoint::{Shared, TRANSACTION_LIFE};

/// The methods we know, for `Allow` (RFC 3261 section 20.5).
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO";
/// The one body we read.
pub(super) const SDP: &str = "application/sdp";
/// Seconds after which a refused caller may try again.
const RETRY_AFTER_SECONDS: &str = "5";
/// Longest reason text that is read or written.
const MAX_REASON_LEN: usize = 80;

/// A response with our tag, and with what its status asks for.
pub(super) fn response(
    shared: &Shared,
    request: &Request,
    status: u16,
    local_tag: &str,
    body: Option<String>,
) -> Response {
    let has_body = body.is_some();
    let mut response = shared.stack.make_response(request, StatusCode::from(status), body.map(String::into_bytes));
    for header in response.headers.iter_mut() {
        if let Header::To(to) = header
            && tag_of(to.value()).is_none()
        {
            to.replace(format!("{};tag={local_tag}", to.value()));
        }
    }
    match status {
        200 | 405 | 501 => response.headers.push(Header::Allow(ALLOW.into())),
        415 | 488 => response.headers.push(Header::Accept(SDP.into())),
        420 => response.headers.push(Header::Unsupported(required(request).into())),
        500 | 503 => response.headers.push(Header::RetryAfter(RETRY_AFTER_SECONDS.into())),
        _ => {}
    }
    if has_body {
        response.headers.push(Header::ContentType(SDP.into()));
    }
    response
}

/// A 2xx to an INVITE: the route and our Contact with it (RFC 3261 section 12.1.1).
pub(super) fn acceptance(shared: &Shared, invite: &Request, local_tag: &str, contact: &str, sdp: String) -> Response {
    let mut response = response(shared, invite, 200, local_tag, Some(sdp));
    let routes = invite.headers.iter().filter(|header| matches!(header, Header::RecordRoute(_))).cloned();
    response.headers.extend(routes.collect());
    response.headers.push(Header::Contact(contact.into()));
    response
}

/// Answers a request that belongs to no call.
pub(super) async fn answer_plainly(shared: Arc<Shared>, mut transaction: Box<Transaction>, status: u16) {
    let mut response = response(&shared, &transaction.original, status, make_tag().value(), None);
    if status == 200 {
        response.headers.push(Header::Accept(SDP.into()));
    }
    let finish = async {
        if transaction.respond(response).await.is_ok() {
            // An INVITE's refusal is repeated until its ACK comes; the transaction does it while it is listened to.
            while transaction.receive().await.is_some() {}
        }
    };
    let _ = tokio::time::timeout(TRANSACTION_LIFE, finish).await;
}

/// Extensions that the request insists on and we do not have: all of them (RFC 3261 section 8.2.2.3).
pub(super) fn required(request: &Request) -> String {
    let values = request.headers.iter().filter_map(|header| match header {
        Header::Require(require) => Some(require.value()),
        _ => None,
    });
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Whether the body, if there is one, is SDP.
pub(super) fn is_sdp_or_empty(request: &Request) -> bool {
    let content_type = request.headers.iter().find_map(|header| match header {
        Header::ContentType(content_type) => Some(content_type.value()),
        _ => None,
    });
    let media_type = content_type.map(|value| value.split(';').next().unwrap_or_default().trim());
    request.body.is_empty() || media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case(SDP))
}

/// A Reason header (RFC 3326) that says in words why we end a call.
pub(super) fn reason_header(text: &str) -> Header {
    let text: String =
        text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).take(MAX_REASON_LEN).collect();
    Header::Reason(format!("SIP;cause=200;text=\"{text}\"").into())
}

/// The text of a Reason header, else its cause; empty without one.
pub(super) fn reason_of(request: &Request) -> String {
    let value = request.reason_header().map(|reason| reason.value().to_owned()).unwrap_or_default();
    let text = value.split_once("text=").map(|(_, text)| text.trim_matches('"'));
    let cause = value.split_once("cause=").map(|(_, cause)| cause.split(';').next().unwrap_or_default());
    text.or(cause).unwrap_or_default().chars().filter(|c| !c.is_control()).take(MAX_REASON_LEN).collect()
}
