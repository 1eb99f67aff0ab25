//! Graph on a bad day: errors of every status in every kind of body (L2), answers that break off (L4), nobody there (L5).

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::dice::Dice;

/// What an unlucky request is answered with.
const STATUSES: [u16; 7] = [500, 502, 503, 503, 504, 507, 509];
/// So much of an answer arrives before it breaks off.
const CUT_AT: usize = 40;

/// One of the errors that Graph has, in one of the bodies that they come in.
pub(crate) fn any(dice: &mut Dice) -> Response {
    let status = STATUSES[dice.below(STATUSES.len())];
    let body = match dice.below(4) {
        0 => String::new(),
        1 => "<!DOCTYPE html><html><body><h1>Server Error</h1></body></html>".to_owned(),
        2 => json!({"error": {"code": "UnknownError", "message": "", "innererror": {"request-id": "0"}}}).to_string(),
        _ => {
            let nested =
                json!({"code": "generalException", "innerError": {"code": "ErrorInternalServerTransientError"}});
            json!({"error": {"code": "serviceNotAvailable", "message": "busy", "innerError": nested}}).to_string()
        }
    };
    let mut response = (status_of(status), body).into_response();
    if status == 503 && dice.below(2) == 0 {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("2"));
    }
    response
}

/// Done, and nobody was told.
pub(crate) fn gateway_timeout() -> Response {
    (StatusCode::GATEWAY_TIMEOUT, json!({"error": {"code": "UnknownError", "message": ""}}).to_string()).into_response()
}

/// Nobody is there.
pub(crate) fn away() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "<html><body>Service unavailable</body></html>").into_response()
}

/// The answer breaks off in its middle.
pub(crate) fn cut(answer: Response) -> Response {
    let (parts, body) = answer.into_parts();
    let whole = futures_util::TryStreamExt::map_err(body.into_data_stream(), std::io::Error::other);
    let first = futures_util::StreamExt::map(futures_util::StreamExt::take(whole, 1), |chunk| {
        chunk.map(|bytes| bytes.slice(..bytes.len().min(CUT_AT)))
    });
    let end = futures_util::stream::iter([Err(std::io::Error::other("cut"))]);
    Response::from_parts(parts, Body::from_stream(futures_util::StreamExt::chain(first, end)))
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
