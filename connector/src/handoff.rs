//! The way to the mixer: its control API as the connector uses it.
//!
//! All that the connector knows of the mixer stands here. Every request may be repeated: a booking goes with its revision,
//! records are asked for from a number on.

use std::time::Duration;

use dialroom_booking::{BookingId, HandedOver};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

/// The mixer is near; one that needs longer is as good as down.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read: the list of bookings, or a page of records.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Speaks to the mixer; cheap to clone.
#[derive(Clone)]
pub(crate) struct Mixer {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// What became of a hand-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The mixer holds it now.
    Yes,
    /// It holds a newer one already.
    Newer,
    /// It holds something else under the same revision: one of the two was tampered with or restored from a backup.
    Conflict,
}

/// Why the mixer did not take it; always worth another try.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MixerError {
    /// No answer.
    #[error("the mixer does not answer: {0}")]
    Unreachable(String),
    /// An answer that helps nobody.
    #[error("the mixer answers with status {0}; check handoff.token_file and its logs")]
    Refused(u16),
    /// An answer that cannot be read.
    #[error("the mixer's answer cannot be read: {0}")]
    Malformed(String),
}

/// A booking as the mixer lists it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Listed {
    /// Which.
    pub(crate) id: BookingId,
    /// In which revision.
    pub(crate) revision: u64,
}

/// A page of call records. What a record holds is the mixer's business; it is kept and shown as it came.
#[derive(Debug, Deserialize)]
pub(crate) struct Records {
    /// In order of their numbers.
    pub(crate) records: Vec<Record>,
    /// Number of the last one; 0 when there is none.
    #[serde(default)]
    pub(crate) last: u64,
}

/// A call record as it came, apart from its number.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    /// The mixer's number of it, rising.
    pub(crate) n: u64,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl Record {
    /// The record under a number of ours, as JSON.
    pub(crate) fn numbered(&self, n: u64) -> Vec<u8> {
        let mut whole = self.rest.clone();
        whole.insert("n".to_owned(), n.into());
        serde_json::Value::Object(whole).to_string().into_bytes()
    }
}

impl Mixer {
    /// A client for this mixer.
    pub(crate) fn new(http: reqwest::Client, url: &str, token: String) -> Self {
        Self { http, url: url.trim_end_matches('/').to_owned(), token }
    }

    /// Hands a booking over.
    pub(crate) async fn put(&self, booking: &HandedOver) -> Result<Taken, MixerError> {
        let path = format!("/v1/bookings/{}", booking.id);
        let (status, body) = self.ask(self.http.put(self.at(&path)).json(booking)).await?;
        taken(status, &body, booking.revision)
    }

    /// Takes a booking back.
    pub(crate) async fn delete(&self, id: &BookingId, revision: u64) -> Result<Taken, MixerError> {
        let path = format!("/v1/bookings/{id}?revision={revision}");
        let (status, body) = self.ask(self.http.delete(self.at(&path))).await?;
        // It never had it, or has forgotten it long since.
        if status == 404 { Ok(Taken::Yes) } else { taken(status, &body, revision) }
    }

    /// What it holds.
    pub(crate) async fn list(&self) -> Result<Vec<Listed>, MixerError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum List {
            Plain(Vec<Listed>),
            Wrapped { bookings: Vec<Listed> },
        }
        match self.read(self.http.get(self.at("/v1/bookings"))).await? {
            List::Plain(bookings) | List::Wrapped { bookings } => Ok(bookings),
        }
    }

    /// Call records behind number `after`.
    pub(crate) async fn records(&self, after: u64, limit: usize) -> Result<Records, MixerError> {
        self.read(self.http.get(self.at(&format!("/v1/records?after={after}&limit={limit}")))).await
    }

    /// Says that records up to `n` are kept here: the mixer may forget them.
    pub(crate) async fn acknowledge(&self, n: u64) -> Result<(), MixerError> {
        #[derive(Serialize)]
        struct Acknowledged {
            n: u64,
        }
        match self.ask(self.http.post(self.at("/v1/records/ack")).json(&Acknowledged { n })).await? {
            (200..300, _) => Ok(()),
            (status, _) => Err(MixerError::Refused(status)),
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn read<T: for<'a> Deserialize<'a>>(&self, request: reqwest::RequestBuilder) -> Result<T, MixerError> {
        match self.ask(request).await? {
            (200..300, body) => serde_json::from_slice(&body).map_err(|error| MixerError::Malformed(error.to_string())),
            (status, _) => Err(MixerError::Refused(status)),
        }
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), MixerError> {
        let broken = |error: reqwest::Error| MixerError::Unreachable(error.without_url().to_string());
        let response = request.bearer_auth(&self.token).timeout(TIMEOUT).send().await.map_err(broken)?;
        let status = response.status().as_u16();
        let (mut body, mut chunks) = (Vec::new(), response.bytes_stream());
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(broken)?);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(MixerError::Malformed(format!("longer than {MAX_ANSWER_BYTES} bytes")));
            }
        }
        Ok((status, body))
    }
}

impl std::fmt::Debug for Mixer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mixer").field("url", &self.url).finish_non_exhaustive()
    }
}

fn taken(status: u16, body: &[u8], revision: u64) -> Result<Taken, MixerError> {
    #[derive(Deserialize)]
    struct Held {
        #[serde(alias = "revision")]
        held: u64,
    }
    match status {
        200..300 => Ok(Taken::Yes),
        409 => match serde_json::from_slice::<Held>(body) {
            Ok(Held { held }) if held > revision => Ok(Taken::Newer),
            _ => Ok(Taken::Conflict),
        },
        _ => Err(MixerError::Refused(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_the_mixer_holds() {
        assert_eq!(taken(204, b"", 3).unwrap(), Taken::Yes);
        assert_eq!(taken(409, br#"{"held":4}"#, 3).unwrap(), Taken::Newer);
        assert_eq!(taken(409, br#"{"revision":3}"#, 3).unwrap(), Taken::Conflict);
        assert!(taken(500, b"", 3).is_err() && taken(401, b"", 3).is_err());
    }
}
