//! Errors as problem documents (RFC 9457).

use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::schedule::NotTaken;

/// One error, as whoever asked shall read it.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// For conflicts: the revision that is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<u64>,
}

impl Problem {
    /// An error whose status says it all, and a sentence about it.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind: "about:blank", title, status: status.as_u16(), detail: detail.into(), held: None }
    }

    fn conflict(kind: &'static str, title: &'static str, held: u64, detail: String) -> Self {
        Self { kind, title, status: StatusCode::CONFLICT.as_u16(), detail, held: Some(held) }
    }
}

impl From<NotTaken> for Problem {
    fn from(why: NotTaken) -> Self {
        let detail = why.to_string();
        match why {
            NotTaken::Older(held) => Self::conflict("urn:dialroom:older-revision", "Older revision", held, detail),
            NotTaken::Differs(held) => {
                Self::conflict("urn:dialroom:different-content", "Same revision, other content", held, detail)
            }
            NotTaken::Deleted(held) => Self::conflict("urn:dialroom:deleted", "Deleted", held, detail),
            NotTaken::Full => Self::new(StatusCode::INSUFFICIENT_STORAGE, detail),
            NotTaken::Unwritable => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
            NotTaken::Store(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
