//! A connector over a tenant, both in this process, on the runtime's time.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Uri};
use chrono::{DateTime, TimeDelta, Utc};
use dialroom_booking::{Booking, SealKey};
use dialroom_host::{Clock, Store};
use dialroom_settings::Settings;
use graph_simulator::{Doors, Post, Reply, Simulator, SimulatorClock, Within, demo_people};
use oauth2::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::post::Mailboxes;
use crate::assembly::{self, Parts, assemble};
use crate::chance::Chance;
use crate::console;
use crate::handoff::Mixer;
use crate::metrics::Metrics;
use crate::shelf::Shelf;
use crate::source::graph::{GraphClient, watch as watch_graph};
use crate::store::Keep;
use crate::way::Exchange;

/// Where the connector answers.
pub(super) const CONNECTOR: &str = "http://connector.example";
pub(super) const ANNA: &str = "anna@contoso.example";
pub(super) const BERND: &str = "bernd@contoso.example";
/// A guest whose calendar the tenant does not hold.
pub(super) const EVA: &str = "eva@fabrikam.example";
/// Nothing within the process is larger.
const MAX_BODY: usize = 32 << 20;
/// The API's token.
const TOKEN: &str = "token";

pub(super) struct World {
    pub(super) tenant: Within,
    pub(super) clock: Clock,
    pub(super) mail: Arc<Mailboxes>,
    pub(super) metrics: Arc<Metrics>,
    /// Bookings as the running connector shows them.
    pub(super) shelf: Arc<Shelf>,
    pub(super) secret_file: std::path::PathBuf,
    seed: u64,
    starts: u64,
    store: Store,
    settings: watch::Sender<Arc<Settings>>,
    door: Arc<Door>,
    running: Option<JoinSet<()>>,
    _folder: tempfile::TempDir,
}

/// How a world begins.
pub(super) struct Beginning<'a> {
    pub(super) seed: u64,
    pub(super) at: &'a str,
    pub(super) notifications: bool,
}

impl Default for Beginning<'_> {
    fn default() -> Self {
        Self { seed: 1, at: "2026-11-23T08:00:00Z", notifications: true }
    }
}

struct TenantTime(Clock);

impl SimulatorClock for TenantTime {
    fn now(&self) -> DateTime<Utc> {
        self.0.wall()
    }

    fn advance(&self, _: TimeDelta) -> Result<(), String> {
        Err("time passes by itself here".to_owned())
    }
}

/// From the tenant to the connector, while one is up.
#[derive(Default)]
struct Door(Mutex<Option<Router>>);

#[async_trait]
impl Doors for Door {
    async fn post(&self, post: Post) -> Result<Reply, String> {
        let router = self.0.lock().unwrap().clone().ok_or("connection refused")?;
        let path = post.url.strip_prefix(CONNECTOR).ok_or("no such host")?;
        let request =
            Request::post(path).header("content-type", post.content_type).body(Body::from(post.body)).unwrap();
        let answer = tokio::time::timeout(post.patience, router.oneshot(request)).await;
        let answer = answer.map_err(|_| "too late".to_owned())?.unwrap();
        let kind = answer.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap());
        let (status, content_type) = (answer.status().as_u16(), kind.to_owned());
        let body = axum::body::to_bytes(answer.into_body(), MAX_BODY).await.map_err(|error| error.to_string())?;
        Ok(Reply { status, content_type, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// From the connector to the tenant.
struct ToTenant(Router);

#[async_trait]
impl Exchange for ToTenant {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, String> {
        let (mut parts, body) = request.into_parts();
        // Whoever sends a request elsewhere would send a token along.
        assert_eq!(parts.uri.host(), Some("graph.example"), "a request to another host");
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = path.parse::<Uri>().map_err(|error| error.to_string())?;
        let answer = self.0.clone().oneshot(Request::from_parts(parts, Body::from(body))).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| "the answer breaks off".to_owned())?;
        Ok(HttpResponse::from_parts(parts, body.to_vec()))
    }
}

/// An HTTP client takes long to make and is never used here.
fn idle_http() -> reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(reqwest::Client::new).clone()
}

impl World {
    /// A tenant, and a connector that has looked at all its mailboxes once.
    pub(super) async fn start(beginning: Beginning<'_>) -> Self {
        let mut world = Self::new(beginning);
        world.start_connector().await;
        world.pass(1).await;
        world
    }

    pub(super) fn new(Beginning { seed, at, notifications }: Beginning<'_>) -> Self {
        let clock = Clock::of_runtime(at.parse().unwrap());
        let door = Arc::<Door>::default();
        let doors: Arc<dyn Doors> = Arc::clone(&door) as _;
        let tenant = Simulator::within(seed, Arc::new(TenantTime(clock.clone())), demo_people(), doors);
        let folder = tempfile::tempdir().unwrap();
        let secret_file = folder.path().join("graph.secret");
        std::fs::write(&secret_file, &tenant.client_secret).unwrap();
        let text = settings_text(&tenant, &secret_file, notifications);
        let read = Settings::read(Path::new("dialroom.toml"), &text).unwrap_or_else(|problems| panic!("{problems}"));
        let read = Arc::new(read);
        let mail = Arc::new(Mailboxes::new(seed, clock.clone(), Arc::clone(&read)));
        Self {
            tenant,
            clock,
            mail,
            metrics: Arc::default(),
            shelf: Arc::default(),
            secret_file,
            seed,
            starts: 0,
            store: Store::in_memory(),
            settings: watch::channel(read).0,
            door,
            running: None,
            _folder: folder,
        }
    }

    /// Starts the connector on what is stored.
    pub(super) async fn start_connector(&mut self) {
        self.starts += 1;
        let settings = self.settings.subscribe();
        let read = Arc::clone(&settings.borrow());
        let (metrics, chance) = (Arc::<Metrics>::default(), Chance::seeded(self.seed << 16 | self.starts));
        let to_tenant = Arc::new(ToTenant(self.tenant.router.clone()));
        let graph = read.graph.as_ref().unwrap();
        let graph = GraphClient::within(to_tenant, graph, self.clock.clone(), chance.clone(), Arc::clone(&metrics));
        let Parts { worker, outbox, posted, link: _, console, watching } = assemble(assembly::World {
            keep: self.keep(),
            clock: self.clock.clone(),
            chance,
            metrics: Arc::clone(&metrics),
            settings,
            graph: Some(graph.unwrap()),
            mixer: Mixer::new(idle_http(), "http://mixer.example", String::new()),
            post: Arc::clone(&self.mail) as _,
            token: TOKEN.to_owned(),
            http: idle_http(),
            demo: None,
        })
        .unwrap();
        let watching = watching.unwrap();
        (self.metrics, self.shelf) = (metrics, Arc::clone(&watching.shelf));
        *self.door.0.lock().unwrap() = Some(console::router(console));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { worker.run().await.unwrap() });
        tasks.spawn(async move { outbox.run(posted, CancellationToken::new()).await.unwrap() });
        tasks.spawn(async move { watch_graph(watching).await.unwrap() });
        self.running = Some(tasks);
    }

    /// Ends it where it stands.
    pub(super) async fn kill_connector(&mut self) {
        *self.door.0.lock().unwrap() = None;
        if let Some(mut tasks) = self.running.take() {
            tasks.shutdown().await;
        }
    }

    /// Fails when a part of the connector ended by itself.
    pub(super) fn assert_alive(&mut self) {
        if let Some(tasks) = &mut self.running
            && let Some(ended) = tasks.try_join_next()
        {
            panic!("seed {}: a part of the connector ended: {ended:?}", self.seed);
        }
    }

    /// A disk that is no more.
    pub(super) fn lose_store(&mut self) {
        assert!(self.running.is_none(), "the connector is down");
        self.store = Store::in_memory();
    }

    pub(super) fn keep(&self) -> Keep {
        Keep::new(self.store.clone(), SealKey::new(&[7; SealKey::LEN]))
    }

    /// Changes the settings under way.
    pub(super) fn set(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = Settings::clone(&self.settings.borrow());
        change(&mut settings);
        self.settings.send_replace(Arc::new(settings));
    }

    /// Lets time pass.
    pub(super) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.wall()
    }

    /// A time of day, so many hours from now, as the tenant's control API takes it.
    pub(super) fn in_hours(&self, hours: i64) -> String {
        (self.now() + TimeDelta::hours(hours)).format("%Y-%m-%dT%H:00:00Z").to_string()
    }

    /// Anna books half an hour, four hours from now, with Bernd and a guest; `more` adds to it or replaces. The key.
    pub(super) async fn book(&self, more: Value) -> String {
        let mut wanted = json!({
            "mailbox": ANNA, "subject": "Budget review", "start": self.in_hours(4), "duration_minutes": 30,
            "attendees": [BERND, EVA], "categories": ["Telephone conference"],
        });
        for (name, value) in more.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        self.control(Method::POST, "/events", wanted).await["key"].as_str().unwrap().to_owned()
    }

    pub(super) async fn change(&self, key: &str, change: Value) {
        self.control(Method::PATCH, &format!("/events/{key}"), change).await;
    }

    pub(super) async fn delete(&self, key: &str) {
        self.control(Method::DELETE, &format!("/events/{key}"), Value::Null).await;
    }

    pub(super) async fn faults(&self, faults: Value) {
        self.control(Method::POST, "/faults", faults).await;
    }

    /// Asks the tenant's control API; it must not refuse.
    pub(super) async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, value) = self.try_control(method, path, body).await;
        assert!((200..300).contains(&status), "seed {}: {path}: {status} {value}", self.seed);
        value
    }

    pub(super) async fn try_control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(format!("/control{path}"));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
        let answer = self.tenant.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), MAX_BODY).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
    }

    /// Sends the connector something; status and body of its answer.
    pub(super) async fn knock(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let router = self.door.0.lock().unwrap().clone().expect("a connector that is up");
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        let answer = router.oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), MAX_BODY).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
    }

    pub(super) async fn journal(&self, kind: &str) -> Vec<Value> {
        self.control(Method::GET, "/journal", Value::Null).await[kind].as_array().unwrap().clone()
    }

    /// Requests that ask this of the tenant.
    pub(super) async fn asked(&self, method: &str, part: &str) -> usize {
        let is = |one: &&Value| one["method"] == method && one["path"].as_str().unwrap().contains(part);
        self.journal("requests").await.iter().filter(is).count()
    }

    /// Bookings, those made first first.
    pub(super) fn bookings(&self) -> Vec<Arc<Booking>> {
        let mut all = self.shelf.all();
        all.sort_by(|a, b| (a.occurrences.keys().next(), &a.uid).cmp(&(b.occurrences.keys().next(), &b.uid)));
        all
    }

    /// The one booking there is.
    pub(super) fn booking(&self) -> Arc<Booking> {
        let mut all = self.bookings();
        assert_eq!(all.len(), 1, "one booking");
        all.remove(0)
    }
}

fn settings_text(tenant: &Within, secret_file: &Path, notifications: bool) -> String {
    let Within { base_url, tenant: id, client_id, .. } = tenant;
    let secret_file = secret_file.display();
    format!(
        r#"
        [dial_in]
        number = "88"
        external_number = "+49 30 23125 88"
        [graph]
        login_url = "{base_url}"
        base_url = "{base_url}"
        tenant = "{id}"
        client_id = "{client_id}"
        client_secret_file = "{secret_file}"
        mailboxes = ["anna@contoso.example", "bernd@contoso.example", "clara@contoso.example"]
        resource_mailbox = "conference@contoso.example"
        notifications = {notifications}
        adopt = true
        [mail]
        host = "mail.example"
        from = "dialroom@contoso.example"
        [http]
        public_url = "{CONNECTOR}"
        "#
    )
}
