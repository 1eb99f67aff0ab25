//! Asking Janus, over its plain HTTP interface (<https://janus.conf.meetecho.com/docs/rest.html>).

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mixer_service::sip::Codec;
use serde_json::{Value, json};

use super::answer::{self, Event};
use crate::http;

/// Before every path.
pub(super) const BASE_PATH: &str = "/janus";
/// Time for one answer; Janus may have no processor time left.
const ANSWER: Duration = Duration::from_secs(15);
/// The same for what happened: Janus itself answers after 30 s when nothing does.
const QUIET: Duration = Duration::from_secs(45);
/// Events asked for at once: who joins is told to all of the room, so they come by thousands in a large one.
const EVENTS_MAX: usize = 1_000;
/// Longest answer that is read: an event has 250 bytes, and one for each who joins lists all the others at 60 bytes each.
const ANSWER_MAX_BYTES: usize = 16 * 1024 * 1024;
const PLUGIN: &str = "janus.plugin.audiobridge";
/// Samples a second of every room, as of its participants.
const ROOM_HZ: u32 = 8_000;

/// The interface of one Janus.
#[derive(Clone, Debug)]
pub(super) struct Api {
    client: reqwest::Client,
    root: String,
}

/// A session there, which lasts as long as it asks what happened (60 s without end it).
#[derive(Clone, Debug)]
pub(super) struct Session {
    api: Api,
    url: String,
}

/// A participant to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joining {
    pub(super) leg: usize,
    /// Counted from 0.
    pub(super) room: usize,
    pub(super) codec: Codec,
    /// Where its sound is to be sent.
    pub(super) sound: SocketAddr,
}

impl Api {
    /// # Errors
    /// When no HTTP client can be built.
    pub(super) fn at(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { client: http::client()?, root: format!("http://{address}{BASE_PATH}") })
    }

    /// The version of the program.
    pub(super) async fn version(&self) -> anyhow::Result<String> {
        answer::version(&self.send(self.client.get(format!("{}/info", self.root)).timeout(ANSWER)).await?)
    }

    async fn ask(&self, url: &str, request: &Value) -> anyhow::Result<Vec<u8>> {
        self.send(self.client.post(url).json(request).timeout(ANSWER)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Vec<u8>> {
        let unheard = |why: reqwest::Error| anyhow::Error::new(why.without_url()).context("Janus does not answer");
        let mut answer = request.send().await.map_err(unheard)?;
        let mut whole = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(unheard)? {
            if whole.len() + part.len() > ANSWER_MAX_BYTES {
                bail!("an answer of Janus is longer than {ANSWER_MAX_BYTES} bytes; make more and smaller rooms");
            }
            whole.extend_from_slice(&part);
        }
        Ok(whole)
    }
}

impl Session {
    pub(super) async fn open(api: Api) -> anyhow::Result<Self> {
        let request = json!({ "janus": "create", "transaction": "session" });
        let number = answer::identifier(&api.ask(&api.root, &request).await?).context("a session is asked for")?;
        Ok(Self { url: format!("{}/{number}", api.root), api })
    }

    /// A handle of the AudioBridge: whoever joins has one of his own.
    pub(super) async fn attach(&self) -> anyhow::Result<u64> {
        let request = json!({ "janus": "attach", "plugin": PLUGIN, "transaction": "handle" });
        answer::identifier(&self.api.ask(&self.url, &request).await?).context("a handle is asked for")
    }

    /// Makes a room, which is counted from 0.
    pub(super) async fn make_room(&self, handle: u64, room: usize, prebuffer: u32) -> anyhow::Result<()> {
        let body = json!({
            "request": "create",
            "room": number_of(room),
            "is_private": true,
            "sampling_rate": ROOM_HZ,
            "audiolevel_ext": false,
            "default_prebuffering": prebuffer,
            "allow_rtp_participants": true,
        });
        let answer = self.tell(handle, "room", &body).await?;
        answer::room_made(&answer).with_context(|| format!("room {}", number_of(room)))
    }

    /// Lets somebody join; whether he did is an event whose transaction is the leg.
    pub(super) async fn join(&self, handle: u64, joining: Joining) -> anyhow::Result<()> {
        let Joining { leg, room, codec, sound } = joining;
        let body = json!({
            "request": "join",
            "room": number_of(room),
            "codec": codec_name(codec),
            "rtp": { "ip": sound.ip().to_string(), "port": sound.port() },
        });
        answer::acknowledged(&self.tell(handle, &leg.to_string(), &body).await?).with_context(|| format!("leg {leg}"))
    }

    /// Waits until something happens, half a minute at most.
    pub(super) async fn events(&self) -> anyhow::Result<Vec<Event>> {
        let url = format!("{}?maxev={EVENTS_MAX}", self.url);
        answer::events(&self.api.send(self.api.client.get(url).timeout(QUIET)).await?)
    }

    /// Ends it, and with it all that is in its rooms.
    pub(super) async fn end(&self) -> anyhow::Result<()> {
        let request = json!({ "janus": "destroy", "transaction": "end" });
        self.api.ask(&self.url, &request).await.map(drop)
    }

    async fn tell(&self, handle: u64, transaction: &str, body: &Value) -> anyhow::Result<Vec<u8>> {
        let request = json!({ "janus": "message", "transaction": transaction, "body": body });
        self.api.ask(&format!("{}/{handle}", self.url), &request).await
    }
}

/// Janus chooses a number itself where 0 is asked for.
const fn number_of(room: usize) -> usize {
    room + 1
}

/// As `join` takes it; the plan of a bench has no other codec for Janus than the first two.
const fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcma => "pcma",
        Codec::Pcmu => "pcmu",
        Codec::G722 => "g722",
        Codec::Opus => "opus",
    }
}
