//! Who may ask: whoever holds the bearer token (RFC 6750 section 2.1).

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq;

use super::Control;
use super::problem::Problem;

/// The secret that both programs share. Never prints.
#[derive(Clone)]
pub(crate) struct Token(Arc<str>);

impl Token {
    /// The token with this text.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether a header carries it; takes the same time wherever the first difference stands.
    fn fits(&self, header: &[u8]) -> bool {
        let (scheme, text) = header.split_at(header.len().min("Bearer ".len()));
        scheme.eq_ignore_ascii_case(b"Bearer ") && text.ct_eq(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Lets a request pass that carries the token.
pub(crate) async fn check(State(control): State<Control>, request: Request, next: Next) -> Result<Response, Problem> {
    let header = request.headers().get(AUTHORIZATION);
    if header.is_some_and(|header| control.token.fits(header.as_bytes())) {
        return Ok(next.run(request).await);
    }
    control.metrics.unauthorized.raise();
    let detail = "send the token of handoff.token_file as Authorization: Bearer …";
    Err(Problem::new(StatusCode::UNAUTHORIZED, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_fits() {
        let token = Token::new("abc");
        assert!(token.fits(b"Bearer abc") && token.fits(b"bearer abc"));
        for header in ["", "Bearer", "Bearer ", "Bearer ab", "Bearer abcd", "Bearer abd", "Basic abc", "abc"] {
            assert!(!token.fits(header.as_bytes()), "{header}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }
}
