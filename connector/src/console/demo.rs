//! Passes `/demo` and `/demo/*` on to the demo process: one address to open, one program that knows the demo.
//!
//! A plain reverse proxy (RFC 9110 section 7.6.1): hop-by-hop fields are dropped, bodies flow both ways as they come, so
//! that the page's event stream works.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;

use super::Console;
use super::problem::ApiProblem;

/// What is meant for the next hop alone.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Carries one request there and its answer back.
pub(super) async fn pass_on(State(console): State<Console>, request: Request) -> Result<Response, ApiProblem> {
    let demo = console.0.demo.as_ref().ok_or_else(|| ApiProblem::not_found("this is no demo"))?;
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/demo", |target| target.as_str());
    let url = format!("{}{target}", demo.url.trim_end_matches('/'));
    let mut headers = parts.headers;
    drop_hop_by_hop(&mut headers);
    headers.remove(header::HOST);
    let sent = console.0.http.request(parts.method, url).headers(headers);
    let answer = sent
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send()
        .await
        .map_err(|_| ApiProblem::new(StatusCode::BAD_GATEWAY, "the demo does not answer"))?;
    let status = answer.status();
    let mut headers = answer.headers().clone();
    drop_hop_by_hop(&mut headers);
    let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    // `Connection` may name further ones.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    named.iter().for_each(|name| drop(headers.remove(name)));
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(*name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_next_hop_alone_may_see_is_dropped() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, X-Secret"), ("x-secret", "1"), ("te", "trailers"), ("accept", "text/event-stream")]
        {
            headers.insert(name, value.parse().unwrap());
        }
        drop_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
