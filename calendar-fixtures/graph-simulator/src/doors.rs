//! The way from the tenant to a subscriber: POSTs of notifications and handshakes.
//!
//! Over HTTP as a rule. A simulation on pretended time has no sockets and brings its own [`Doors`].

use std::time::Duration;

use async_trait::async_trait;

/// A POST to a subscriber's URL.
#[derive(Clone, Debug)]
pub struct Post {
    /// Whole, with its query.
    pub url: String,
    /// `application/json`, or `text/plain` in a handshake.
    pub content_type: &'static str,
    /// Its body.
    pub body: String,
    /// How long the subscriber may think.
    pub patience: Duration,
}

/// What the subscriber said.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`; empty where there was none.
    pub content_type: String,
    /// Its body.
    pub body: String,
}

/// Takes POSTs to where they go.
#[async_trait]
pub trait Doors: Send + Sync + 'static {
    /// Hands it over.
    ///
    /// # Errors
    /// A sentence when nobody answered in time; it holds no URL.
    async fn post(&self, post: Post) -> Result<Reply, String>;
}

/// Real HTTP.
#[derive(Debug)]
pub(crate) struct Http(pub(crate) reqwest::Client);

#[async_trait]
impl Doors for Http {
    async fn post(&self, post: Post) -> Result<Reply, String> {
        let request = self.0.post(&post.url).header("content-type", post.content_type).body(post.body);
        let answer = request.timeout(post.patience).send().await.map_err(|error| error.without_url().to_string())?;
        let content_type = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let (status, content_type) = (answer.status().as_u16(), content_type.to_owned());
        let body = answer.text().await.unwrap_or_default();
        Ok(Reply { status, content_type, body })
    }
}
