//! A mail server and a mixer that do what they are told, failing included.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use dialroom_host::Clock;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::PATIENCE;

/// What the mail server took.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) to: String,
    pub(super) message: String,
    pub(super) at: Instant,
}

/// How long a slow mail server thinks.
const SLOW: Duration = Duration::from_millis(300);

/// How the mail server behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    Accepting,
    /// 451 at RCPT.
    Deferring,
    /// Takes the message, then hangs up without a word.
    Mute,
    /// Takes the message, and says so after a while.
    Slow,
    /// Takes no message, and repeats the line that it does not like: the one with the PIN.
    Filtering,
    /// 550 at RCPT, with the address in its words.
    Refusing,
}

pub(super) struct MailServer {
    pub(super) address: SocketAddr,
    pub(super) taken: watch::Receiver<Vec<Taken>>,
    pub(super) mood: watch::Sender<Mood>,
}

impl MailServer {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, taken) = watch::channel(Vec::new());
        let (mood, moods) = watch::channel(Mood::Accepting);
        let sender = Arc::new(sender);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(dialogue(stream, Arc::clone(&sender), moods.clone()));
            }
        });
        Self { address, taken, mood }
    }

    pub(super) async fn until(&mut self, enough: impl Fn(&[Taken]) -> bool) -> Vec<Taken> {
        let taken = tokio::time::timeout(PATIENCE, self.taken.wait_for(|taken| enough(taken))).await;
        taken.expect("the mails arrive").unwrap().clone()
    }
}

async fn dialogue(
    stream: TcpStream,
    taken: Arc<watch::Sender<Vec<Taken>>>,
    moods: watch::Receiver<Mood>,
) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let (mut lines, mut to) = (BufReader::new(read).lines(), String::new());
    write.write_all(b"220 sink\r\n").await.ok()?;
    while let Some(line) = lines.next_line().await.ok()? {
        let mood = *moods.borrow();
        let verb = line.split_whitespace().next().unwrap_or("").to_ascii_uppercase();
        let reply = match verb.as_str() {
            "RCPT" if mood == Mood::Deferring => "451 later",
            "RCPT" if mood == Mood::Refusing => &format!("550 no such user {line}"),
            "RCPT" => {
                to = line.split(['<', '>']).nth(1)?.to_owned();
                "250 ok"
            }
            "DATA" => {
                write.write_all(b"354 go\r\n").await.ok()?;
                let mut message = String::new();
                while let Some(line) = lines.next_line().await.ok()?.filter(|line| line != ".") {
                    message.push_str(&line);
                    message.push('\n');
                }
                if mood == Mood::Filtering {
                    let line = message.lines().find(|line| line.contains("tel:")).unwrap_or("no such line");
                    write.write_all(format!("554 looks like a swindle: {line}\r\n").as_bytes()).await.ok()?;
                    continue;
                }
                let at = Clock::real().instant();
                taken.send_modify(|taken| taken.push(Taken { to: to.clone(), message, at }));
                if mood == Mood::Mute {
                    return None;
                }
                if mood == Mood::Slow {
                    tokio::time::sleep(SLOW).await;
                }
                "250 taken"
            }
            "QUIT" => return write.write_all(b"221 bye\r\n").await.ok(),
            _ => "250 ok",
        };
        write.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
    }
    None
}

/// What the mixer holds: revision and body; `None` for a tombstone.
pub(super) type Held = BTreeMap<String, (u64, Option<Value>)>;

#[derive(Clone)]
pub(super) struct FakeMixer {
    held: watch::Sender<Held>,
    pub(super) up: watch::Sender<bool>,
    /// Call records that were acknowledged, by the last number.
    pub(super) acknowledged: watch::Sender<u64>,
    pub(super) puts: Arc<Mutex<HashMap<(String, u64), u32>>>,
}

impl FakeMixer {
    pub(super) async fn start() -> (Self, SocketAddr) {
        let mixer = Self {
            held: watch::channel(Held::new()).0,
            up: watch::channel(true).0,
            acknowledged: watch::channel(0).0,
            puts: Arc::default(),
        };
        let router = Router::new()
            .route("/v1/bookings", get(list))
            .route("/v1/bookings/{id}", put(take).delete(forget))
            .route("/v1/records", get(records))
            .route("/v1/records/ack", post(acknowledge))
            .with_state(mixer.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (mixer, address)
    }

    pub(super) async fn until(&self, enough: impl Fn(&Held) -> bool) -> Held {
        let mut held = self.held.subscribe();
        let held = tokio::time::timeout(PATIENCE, held.wait_for(|held| enough(held))).await;
        held.expect("the mixer is told").unwrap().clone()
    }
}

async fn list(State(mixer): State<FakeMixer>) -> Result<Json<Value>, StatusCode> {
    mixer.up.borrow().then_some(()).ok_or(StatusCode::BAD_GATEWAY)?;
    let held = mixer.held.borrow().clone();
    Ok(Json(held.iter().map(|(id, (revision, _))| json!({"id": id, "revision": revision})).collect()))
}

async fn take(State(mixer): State<FakeMixer>, Path(id): Path<String>, Json(body): Json<Value>) -> StatusCode {
    if !*mixer.up.borrow() {
        return StatusCode::BAD_GATEWAY;
    }
    let revision = body["revision"].as_u64().unwrap();
    *mixer.puts.lock().unwrap().entry((id.clone(), revision)).or_default() += 1;
    mixer.held.send_modify(|held| drop(held.insert(id, (revision, Some(body)))));
    StatusCode::NO_CONTENT
}

async fn forget(
    State(mixer): State<FakeMixer>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, u64>>,
) -> StatusCode {
    if !*mixer.up.borrow() {
        return StatusCode::BAD_GATEWAY;
    }
    mixer.held.send_modify(|held| drop(held.insert(id, (query["revision"], None))));
    StatusCode::NO_CONTENT
}

async fn acknowledge(State(mixer): State<FakeMixer>, Json(body): Json<Value>) -> StatusCode {
    if !*mixer.up.borrow() {
        return StatusCode::BAD_GATEWAY;
    }
    mixer.acknowledged.send_replace(body["n"].as_u64().unwrap());
    StatusCode::NO_CONTENT
}

async fn records(Query(query): Query<HashMap<String, u64>>) -> Json<Value> {
    let records: Vec<_> = (query["after"] + 1..=2).map(|n| json!({"n": n, "room": "4711"})).collect();
    Json(json!({"last": 2, "records": records}))
}

pub(super) fn to(taken: &[Taken], address: &str) -> usize {
    taken.iter().filter(|mail| mail.to == address).count()
}
