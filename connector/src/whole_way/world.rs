//! A connector over a simulated tenant, beside a mail server and a mixer; all of it in this process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_host::Clock;
use graph_simulator::{Running, Simulator, SimulatorClock, SimulatorOptions};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::PATIENCE;
use super::neighbors::{FakeMixer, MailServer};
use crate::run::run_until;
use crate::{DemoLink, Options};

/// The connector's clock is the tenant's: the machine's, and what it was moved forward.
struct SharedTime {
    clock: Clock,
    offset: PathBuf,
}

impl SimulatorClock for SharedTime {
    fn now(&self) -> DateTime<Utc> {
        self.clock.wall()
    }

    fn advance(&self, by: TimeDelta) -> Result<(), String> {
        let held = std::fs::read_to_string(&self.offset).unwrap_or_default().parse::<i64>().unwrap_or(0);
        std::fs::write(&self.offset, (held + by.num_milliseconds()).to_string()).map_err(|error| error.to_string())
    }
}

pub(super) struct World {
    pub(super) tenant: Running,
    pub(super) mails: MailServer,
    pub(super) mixer: FakeMixer,
    pub(super) folder: tempfile::TempDir,
    settings: PathBuf,
    clock: Clock,
    pub(super) connector: String,
    pub(super) http: reqwest::Client,
    running: Option<(oneshot::Sender<()>, tokio::task::JoinHandle<anyhow::Result<()>>)>,
}

impl World {
    pub(super) async fn start(notifications: bool) -> Self {
        Self::with_seed(notifications, 1).await
    }

    /// A tenant of this seed, whose faults then come in their order.
    pub(super) async fn with_seed(notifications: bool, seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let offset = folder.path().join("clock-offset");
        let clock = Clock::following(offset.clone());
        let time = SharedTime { clock: clock.clone(), offset };
        let options = SimulatorOptions { seed, ..SimulatorOptions::new(Arc::new(time)) };
        let tenant = Simulator::start(options).await.unwrap();
        let mails = MailServer::start().await;
        let (mixer, mixer_address) = FakeMixer::start().await;
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let connector = format!("http://{free}");
        std::fs::write(folder.path().join("graph.secret"), &tenant.client_secret).unwrap();
        let settings = folder.path().join("dialroom.toml");
        let Running { base_url, tenant: tenant_id, client_id, .. } = &tenant;
        let (smtp_host, smtp_port) = (mails.address.ip(), mails.address.port());
        let text = format!(
            r#"
            [dial_in]
            number = "88"
            external_number = "+49 30 23125 88"
            [graph]
            login_url = "{base_url}"
            base_url = "{base_url}"
            tenant = "{tenant_id}"
            client_id = "{client_id}"
            client_secret_file = "graph.secret"
            mailboxes = ["anna@contoso.example", "bernd@contoso.example", "clara@contoso.example"]
            resource_mailbox = "conference@contoso.example"
            notifications = {notifications}
            poll_seconds = 5
            [mail]
            host = "{smtp_host}"
            port = {smtp_port}
            tls = "none"
            from = "dialroom@contoso.example"
            [http]
            listen = "{free}"
            public_url = "{connector}"
            [handoff]
            url = "http://{mixer_address}"
            "#
        );
        std::fs::write(&settings, text).unwrap();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut world = Self { tenant, mails, mixer, folder, settings, clock, connector, http, running: None };
        world.start_connector().await;
        world
    }

    pub(super) async fn start_connector(&mut self) {
        let ready = async {
            loop {
                // One that has just ended may still hold the store for a moment.
                if self.running.as_ref().is_none_or(|(_, task)| task.is_finished()) {
                    self.running = Some(self.spawn());
                }
                let answer = self.http.get(format!("{}/readyz", self.connector)).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("ready");
    }

    fn spawn(&self) -> (oneshot::Sender<()>, tokio::task::JoinHandle<anyhow::Result<()>>) {
        let (stop, stopped) = oneshot::channel();
        let demo = DemoLink { url: self.tenant.base_url.clone() };
        let options = Options { settings: self.settings.clone(), clock: self.clock.clone(), demo: Some(demo) };
        let asked = async move {
            let _ = stopped.await;
            Ok(())
        };
        (stop, tokio::spawn(run_until(options, asked)))
    }

    pub(super) async fn stop_connector(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        let _ = stop.send(());
        task.await.unwrap().unwrap();
    }

    /// Books as Anna would in Outlook, an hour from now; the event's key.
    pub(super) async fn create(&self, subject: &str, attendees: &[&str]) -> String {
        let start = self.clock.wall() + TimeDelta::hours(1);
        self.book(json!({
            "mailbox": "anna@contoso.example", "subject": subject, "zone": "UTC",
            "start": start.format("%Y-%m-%dT%H:%M:%S").to_string(), "duration_minutes": 30,
            "attendees": attendees, "categories": ["Telephone conference"],
        }))
        .await
    }

    /// Books this; the event's key.
    pub(super) async fn book(&self, event: Value) -> String {
        self.control("events", event).await["key"].as_str().unwrap().to_owned()
    }

    /// What is changed of a booked event.
    pub(super) async fn change(&self, key: &str, change: Value) {
        let url = format!("{}/control/events/{key}", self.tenant.base_url);
        let answer = self.http.patch(url).json(&change).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// Asks the tenant's control API for something.
    pub(super) async fn control(&self, path: &str, wanted: Value) -> Value {
        let url = format!("{}/control/{path}", self.tenant.base_url);
        let answer = self.http.post(url).json(&wanted).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// Requests that the tenant was asked, oldest first.
    pub(super) async fn requests(&self) -> Vec<Value> {
        let url = format!("{}/control/journal", self.tenant.base_url);
        let journal: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        journal["requests"].as_array().unwrap().clone()
    }

    /// Has all mailboxes looked at.
    pub(super) async fn sync(&self) {
        let url = format!("{}/api/v1/sync", self.connector);
        assert_eq!(self.http.post(url).bearer_auth(self.token()).send().await.unwrap().status(), 202);
    }

    /// Waits until the API shows this.
    pub(super) async fn until(&self, path: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let shown = async {
            loop {
                let shown = self.api(path).await;
                if enough(&shown) {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, shown).await.expect("the API shows it")
    }

    pub(super) fn token(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("data/api.token")).unwrap()
    }

    pub(super) async fn api(&self, path: &str) -> Value {
        let url = format!("{}/api/v1/{path}", self.connector);
        self.http.get(url).bearer_auth(self.token()).send().await.unwrap().json().await.unwrap()
    }
}
