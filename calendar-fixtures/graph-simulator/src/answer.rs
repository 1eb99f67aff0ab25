//! What Graph says when it says no: its error envelope, with the inner error that other clients log.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refused request.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(crate) fn item_not_found() -> Self {
        let message =
            "The specified object was not found in the store., The process failed to get the correct properties.";
        Self::new(StatusCode::NOT_FOUND, "ErrorItemNotFound", message)
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let inner = json!({
            "date": "2026-01-01T00:00:00",
            "request-id": "5fb7c6a4-9b0e-4d1c-8a63-0d2f6f6a1b52",
            "client-request-id": "5fb7c6a4-9b0e-4d1c-8a63-0d2f6f6a1b52",
        });
        let body = json!({"error": {"code": self.code, "message": self.message, "innerError": inner}});
        let mut response = json_answer(self.status, &body);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// A JSON answer with the content type that Graph writes.
pub(crate) fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let kind = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
    (status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
}
