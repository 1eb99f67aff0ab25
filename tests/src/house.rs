//! The real programs: the demo started as a newcomer would, on free ports and a folder of its own, without sample
//! meetings; and telephones, each a process of its own.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long the house may take to be ready, on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long anything else may take that is to happen at once.
pub const SOON: Duration = Duration::from_secs(20);
/// How much of a program's log a failed test shows.
const LOG_TAIL_LINES: usize = 40;
/// Pause between two looks at something that is to happen.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A running demo. Ends with the test.
#[derive(Debug)]
pub struct House {
    demo: Child,
    folder: tempfile::TempDir,
    http: reqwest::Client,
}

impl House {
    /// Starts the demo and waits for its `ready`.
    pub async fn open() -> Self {
        Self::open_with("info").await
    }

    /// The same, with logs as fine as this filter says.
    pub async fn open_with(log: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(executable());
        command.args(["demo", "--empty", "--data"]).arg(folder.path()).env("DIALROOM_LOG", log);
        for endpoint in ["--http", "--sip", "--control", "--graph", "--smtp"] {
            command.args([endpoint, "127.0.0.1:0"]);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::inherit()).stdin(Stdio::null()).kill_on_drop(true);
        let mut demo = command.spawn().expect("the executable starts");
        let mut lines = BufReader::new(demo.stdout.take().expect("it is piped")).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.expect("text") {
                if line == "ready" {
                    return true;
                }
            }
            false
        };
        assert!(
            tokio::time::timeout(READY_LIMIT, ready).await.expect("ready in time"),
            "the demo ended before it was ready"
        );
        tokio::spawn(async move { while lines.next_line().await.is_ok_and(|line| line.is_some()) {} });
        Self { demo, folder, http: reqwest::Client::builder().no_proxy().build().expect("a client") }
    }

    /// Asks the demo to end and waits until it has; it must end cleanly.
    pub async fn close(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.demo.id().expect("it runs")).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
        let ended = tokio::time::timeout(SOON, self.demo.wait()).await.expect("it ends in time").expect("it ran");
        assert!(ended.success(), "the demo ended with {ended}");
    }

    /// `demo.json`.
    #[must_use]
    pub fn facts(&self) -> Value {
        let text = std::fs::read(self.data().join("demo.json")).expect("demo.json");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    /// Process id of `connector` or `mixer`.
    #[must_use]
    pub fn pid(&self, program: &str) -> nix::unistd::Pid {
        let pid = self.facts()["pids"][program].as_i64().expect("a pid");
        nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a pid"))
    }

    /// Edits `dialroom.toml` while the programs run.
    pub fn change_settings(&self, change: impl FnOnce(&str) -> String) {
        let file = self.data().join("dialroom.toml");
        let before = std::fs::read_to_string(&file).expect("settings");
        let after = change(&before);
        assert_ne!(before, after, "something changes");
        std::fs::write(&file, after).expect("settings");
    }

    fn url(&self, part: &str, path: &str) -> String {
        format!("{}{path}", self.facts()[part].as_str().expect("a URL"))
    }

    // --- what people do in Outlook ---

    /// Books a meeting; answers what the tenant made of it, with its `key`.
    pub async fn book(&self, meeting: Value) -> Value {
        self.graph(reqwest::Method::POST, "/control/events", Some(meeting)).await
    }

    /// Changes a meeting.
    pub async fn change(&self, meeting: &Value, change: Value) -> Value {
        let path = format!("/control/events/{}", meeting["key"].as_str().expect("a key"));
        self.graph(reqwest::Method::PATCH, &path, Some(change)).await
    }

    /// Deletes a meeting.
    pub async fn delete(&self, meeting: &Value) {
        let path = format!("/control/events/{}", meeting["key"].as_str().expect("a key"));
        self.graph(reqwest::Method::DELETE, &path, None).await;
    }

    /// Sets fault rates of the simulated tenant.
    pub async fn faults(&self, faults: Value) {
        self.graph(reqwest::Method::POST, "/control/faults", Some(faults)).await;
    }

    /// What the simulated tenant saw and did.
    pub async fn journal(&self) -> Value {
        self.graph(reqwest::Method::GET, "/control/journal", None).await
    }

    async fn graph(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.http.request(method, self.url("graph", path));
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request.send().await.expect("the tenant answers")).await
    }

    // --- time ---

    /// The demo's time.
    pub async fn now(&self) -> DateTime<Utc> {
        let clock = self.graph(reqwest::Method::GET, "/control/clock", None).await;
        clock["now"].as_str().expect("a time").parse().expect("RFC 3339")
    }

    /// Moves the demo's time forward, to the second before `at` is reached or the second after.
    pub async fn advance_to(&self, at: DateTime<Utc>) {
        let seconds = (at - self.now().await).num_seconds().max(0);
        self.graph(reqwest::Method::POST, "/control/clock", Some(json!({ "advance_seconds": seconds }))).await;
    }

    // --- what the programs say ---

    /// A call of the connector's API.
    pub async fn api(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> Result<Value, String> {
        let token = self.facts()["api_token"].as_str().expect("a token").to_owned();
        let mut request = self.http.request(method, self.url("http", path)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|why| why.to_string())?;
        let status = response.status();
        let body = response.json().await.unwrap_or(Value::Null);
        if status.is_success() { Ok(body) } else { Err(format!("{status}: {body}")) }
    }

    /// A look at the mixer's control API.
    pub async fn control(&self, path: &str) -> Result<Value, String> {
        let token = self.facts()["control_token"].as_str().expect("a token").to_owned();
        let request = self.http.get(self.url("control", path)).bearer_auth(token);
        let response = request.send().await.map_err(|why| why.to_string())?;
        response.error_for_status().map_err(|why| why.to_string())?.json().await.map_err(|why| why.to_string())
    }

    /// The text of a page that anybody may read (`/metrics`, `/healthz`) of connector (`http`) or mixer (`control`).
    pub async fn page(&self, part: &str, path: &str) -> String {
        let answer = self.http.get(self.url(part, path)).send().await.expect("an answer");
        answer.text().await.expect("text")
    }

    /// Every booking, with its PINs.
    pub async fn conferences(&self) -> Vec<Value> {
        let list = self.api(reqwest::Method::GET, "/api/v1/conferences?pins=1", None).await.unwrap_or(Value::Null);
        list["conferences"].as_array().cloned().unwrap_or_default()
    }

    /// The booking of that title, once it is there and `holds`.
    pub async fn conference(&self, title: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("the booking of {title:?}"), SOON, async || {
            self.conferences().await.into_iter().find(|booking| booking["title"] == title && holds(booking))
        })
        .await
    }

    /// The booking of that title, once the mixer holds its revision too.
    pub async fn handed_over(&self, title: &str) -> Value {
        let booking = self.conference(title, |_| true).await;
        let path = format!("/v1/bookings/{}", booking["id"].as_str().expect("an id"));
        eventually("the hand-off", SOON, async || {
            self.control(&path).await.ok().filter(|held| held["revision"] == booking["revision"])
        })
        .await;
        booking
    }

    /// Who is in the conference of that title now, by name or masked number.
    pub async fn participants(&self, title: &str) -> Vec<Value> {
        let running = self.control("/v1/conferences").await.expect("the mixer answers");
        let conference = running.as_array().and_then(|list| list.iter().find(|one| one["title"] == title)).cloned();
        conference.and_then(|one| one["participants"].as_array().cloned()).unwrap_or_default()
    }

    /// Waits until so many are in the conference of that title.
    pub async fn until_in(&self, title: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} people in {title:?}"), SOON, async || {
            Some(self.participants(title).await).filter(|participants| participants.len() == count)
        })
        .await
    }

    /// Call records that the connector holds.
    pub async fn calls(&self) -> Vec<Value> {
        let page = self.api(reqwest::Method::GET, "/api/v1/calls?after=0", None).await.expect("the connector answers");
        page["records"].as_array().or_else(|| page["calls"].as_array()).cloned().unwrap_or_default()
    }

    // --- mail ---

    /// The files of all mails accepted so far, oldest first.
    #[must_use]
    pub fn mail_files(&self) -> Vec<PathBuf> {
        let Ok(folder) = std::fs::read_dir(self.data().join("mails")) else { return Vec::new() };
        let files = folder.filter_map(|entry| Some(entry.ok()?.path()));
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "eml")).collect();
        files.sort();
        files
    }

    /// Waits until so many mails have come, then reads them all with parsers that we did not write.
    pub async fn mails(&self, count: usize) -> Vec<Value> {
        let files = eventually(&format!("{count} mails"), SOON, async || {
            Some(self.mail_files()).filter(|files| files.len() >= count)
        })
        .await;
        assert_eq!(files.len(), count, "no more mails than expected");
        read_mails(&files).await
    }

    // --- telephones ---

    /// A telephone that will call with these flags (`--from …`, `--keys …`, `88`).
    pub fn call(&self, flags: &[&str]) -> Phone {
        let mut command = Command::new(executable());
        command.args(["phone", "--json", "--via", self.facts()["sip"].as_str().expect("an address")]).args(flags);
        Phone::start(command)
    }
}

/// A failed test tells what the programs had to say.
impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for program in ["connector", "mixer"] {
                let log =
                    std::fs::read_to_string(self.folder.path().join(format!("{program}.log"))).unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
                eprintln!("--- the end of {program}.log\n{}", tail.join("\n"));
            }
        }
    }
}

/// A telephone in a call.
#[derive(Debug)]
pub struct Phone {
    process: Child,
}

impl Phone {
    /// Starts a telephone by its command line.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::inherit()).stdin(Stdio::null()).kill_on_drop(true);
        Self { process: command.spawn().expect("the executable starts") }
    }

    /// Presses the hook: it reports and ends.
    pub async fn hang_up(self) -> Report {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id().unwrap_or_default()).expect("a pid"));
        if pid.as_raw() > 0 {
            // It may have ended this very moment.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        }
        self.report().await
    }

    /// Waits until the call is over.
    pub async fn report(self) -> Report {
        let output = tokio::time::timeout(Duration::from_secs(120), self.process.wait_with_output());
        let output = output.await.expect("the call ends").expect("it ran");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let report = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why} in {text:?}"));
        Report { code: output.status.code().unwrap_or(-1), report }
    }
}

/// What a telephone tells of its call.
#[derive(Clone, Debug)]
pub struct Report {
    /// Exit status.
    pub code: i32,
    /// Its JSON.
    pub report: Value,
}

impl Report {
    /// How long it heard a pitch that it was to listen for, in milliseconds, and how loud.
    #[must_use]
    pub fn heard(&self, hz: u32) -> (u64, f64) {
        let voices = self.report["listened_for"].as_array().expect("a list");
        let voice = voices.iter().find(|voice| voice["hz"] == hz).expect("it listened for it");
        (voice["longest_ms"].as_u64().expect("a number"), voice["level_db"].as_f64().unwrap_or(f64::NEG_INFINITY))
    }

    /// Fails the test when an expectation did not hold.
    #[must_use]
    pub fn expect(self, what: &str) -> Self {
        assert_eq!(self.code, 0, "{what}: {:#}", self.report);
        self
    }
}

/// Reads mails with Python's own parser and `icalendar`.
pub async fn read_mails(files: &[PathBuf]) -> Vec<Value> {
    if files.is_empty() {
        return Vec::new();
    }
    let python = std::env::var_os("DIALROOM_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/read_mail.py");
    let output = Command::new(python).arg(script).args(files).output().await.expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Looks again and again until `look` finds something; fails after `limit`.
pub async fn eventually<T, F>(what: &str, limit: Duration, look: impl Fn() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    tokio::time::timeout(limit, found).await.unwrap_or_else(|_| panic!("{what}: not within {limit:?}"))
}

/// A meeting as a person books it: organizer Anna, in Berlin, with the telephone mark.
#[must_use]
pub fn meeting(subject: &str, start: DateTime<Utc>, minutes: i64, attendees: &[&str]) -> Value {
    json!({
        "mailbox": "anna@contoso.example",
        "subject": subject,
        "start": time(start),
        "end": time(start + TimeDelta::minutes(minutes)),
        "attendees": attendees,
        "categories": ["Telephone conference"],
    })
}

/// A time as the simulated tenant's control takes it.
#[must_use]
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Room and PIN of a booking, as keyed: `4711#482915#`.
#[must_use]
pub fn keys(booking: &Value) -> String {
    let digits = |value: &Value| value.as_str().expect("digits").to_owned();
    format!("{}#{}#", digits(&booking["room"]), digits(&booking["pins"]["participant"]))
}

async fn answer(response: reqwest::Response) -> Value {
    let status = response.status();
    let text = response.text().await.expect("an answer");
    assert!(status.is_success(), "{status}: {text}");
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") }
}

/// The executable under test: `DIALROOM_BIN`, or the one beside the test's own folder.
#[must_use]
pub fn executable() -> PathBuf {
    if let Some(named) = std::env::var_os("DIALROOM_BIN") {
        return named.into();
    }
    let test = std::env::current_exe().expect("a path");
    let built = test.ancestors().nth(2).expect("target/debug/deps/test").join("dialroom");
    assert!(built.exists(), "{} is missing; cargo build --workspace --bins", built.display());
    built
}

/// The value below which 99 of 100 lie; the largest of fewer.
#[must_use]
pub fn p99(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() * 99).div_ceil(100).saturating_sub(1);
    values.get(index).copied().unwrap_or(f64::NAN)
}
