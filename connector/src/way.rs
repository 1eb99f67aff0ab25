//! The way to a server over HTTP: whole requests out, whole answers of bounded length in.
//!
//! In a simulation on pretended time there are no sockets, and the way leads to a server in the same process.

use oauth2::{HttpRequest, HttpResponse};

/// Takes requests to a server; cheap to clone.
#[derive(Clone)]
pub(crate) enum Way {
    /// Over HTTP.
    Http(reqwest::Client),
    /// Within the process.
    #[cfg(test)]
    Within(std::sync::Arc<dyn Exchange>),
}

/// A server within the process.
#[cfg(test)]
#[async_trait::async_trait]
pub(crate) trait Exchange: Send + Sync {
    /// Answers, or says why nobody does.
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, String>;
}

/// Why no answer came; names neither an address nor a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WayError {
    /// Nobody answers, or not to the end.
    #[error("{0}")]
    Broken(String),
    /// More than anybody has to say.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl Way {
    /// Sends it, and reads at most `max_bytes` of the answer.
    pub(crate) async fn send(&self, request: HttpRequest, max_bytes: usize) -> Result<HttpResponse, WayError> {
        match self {
            Self::Http(client) => {
                let request = request.try_into().map_err(broken)?;
                let response = client.execute(request).await.map_err(broken)?;
                let mut answer = HttpResponse::new(Vec::new());
                *answer.status_mut() = response.status();
                *answer.headers_mut() = response.headers().clone();
                *answer.body_mut() = body(response, max_bytes).await?;
                Ok(answer)
            }
            #[cfg(test)]
            Self::Within(server) => server.exchange(request).await.map_err(WayError::Broken),
        }
    }
}

/// The body of a response, as long as it is within bounds.
pub(crate) async fn body(mut response: reqwest::Response, max_bytes: usize) -> Result<Vec<u8>, WayError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        body.extend_from_slice(&chunk);
        if body.len() > max_bytes {
            return Err(WayError::TooLong(max_bytes));
        }
    }
    Ok(body)
}

fn broken(error: reqwest::Error) -> WayError {
    WayError::Broken(error.without_url().to_string())
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Way")
    }
}
