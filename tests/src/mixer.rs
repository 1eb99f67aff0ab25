//! The mixer alone, with settings of the test's own and bookings put by hand: a telephone system's view of Dialroom.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use dialroom_booking::{
    BookingId, DialInWindow, E164, HandedCaller, HandedOver, HandedPin, HandedPins, HandedWindow, Language,
    OccurrenceState, Pin, RoomNumber,
};
use dialroom_host::Clock;
use serde_json::Value;
use tokio::process::Command;

use crate::house::{Phone, SOON, eventually, executable};
use crate::ports::free_port;
use crate::program::Program;

/// Invitees whose numbers let them in.
pub const ANNA: &str = "+493023125001";
/// Another one.
pub const BERND: &str = "+493023125002";
/// In nobody's directory.
pub const GUEST: &str = "+447700900123";
/// Room and PIN of [`Mixer::book`], as keyed.
pub const KEYS: &str = "4711#482915#";

/// How the mixer under test is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where it listens.
    pub address: IpAddr,
    /// Lines below `[sip]`, after `listen`.
    pub sip: String,
    /// `[[trunk]]` tables.
    pub trunks: String,
    /// Any other tables.
    pub more: String,
    /// A command that starts the mixer, such as `prlimit --nofile=256`.
    pub launcher: Vec<String>,
}

impl Setup {
    /// On this address, believing callers from that one.
    #[must_use]
    pub fn new(address: IpAddr, trusted: IpAddr) -> Self {
        let trunks =
            format!("[[trunk]]\nname = \"pbx\"\naddresses = [\"{trusted}\"]\nown_numbers = [\"+493023125\"]\n");
        Self { address, sip: String::new(), trunks, more: String::new(), launcher: Vec::new() }
    }

    /// On loopback, where everybody is believed.
    #[must_use]
    pub fn loopback() -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self::new(loopback, loopback)
    }

    /// Writes the settings alone, for a command that reads them.
    #[must_use]
    pub fn write(&self, folder: &Path) -> PathBuf {
        let free = || SocketAddr::new(self.address, free_port(self.address));
        let file = folder.join("dialroom.toml");
        std::fs::write(&file, settings_text(self, free(), free())).expect("settings");
        file
    }
}

/// A running mixer. Ends with the test.
#[derive(Debug)]
pub struct Mixer {
    program: Program,
    folder: tempfile::TempDir,
    http: reqwest::Client,
    sip: SocketAddr,
    tls: Option<SocketAddr>,
    control: SocketAddr,
}

impl Mixer {
    /// Writes its settings, starts it and waits until it takes calls.
    pub async fn open(setup: Setup) -> Self {
        Self::open_in(tempfile::tempdir().expect("a folder"), setup).await
    }

    /// The same, with TLS too: the certificate is `server.pem` in its folder, and believed by who believes that file.
    pub async fn open_with_tls(mut setup: Setup) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let names = format!("IP:{},DNS:dialroom.example", setup.address);
        certificate(folder.path(), "server", &names).await;
        let tls = SocketAddr::new(setup.address, free_port(setup.address));
        let files = "certificate_file = \"server.pem\"\nkey_file = \"server.key\"\n";
        setup.sip = format!("tls_listen = [\"{tls}\"]\n{}\n[sip.tls]\n{files}", setup.sip);
        Self { tls: Some(tls), ..Self::open_in(folder, setup).await }
    }

    async fn open_in(folder: tempfile::TempDir, setup: Setup) -> Self {
        let sip = SocketAddr::new(setup.address, free_port(setup.address));
        let control = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), free_port(Ipv4Addr::LOCALHOST.into()));
        let settings = folder.path().join("dialroom.toml");
        std::fs::write(&settings, settings_text(&setup, sip, control)).expect("settings");
        let mut words: Vec<OsString> = setup.launcher.iter().map(Into::into).collect();
        words.extend([executable().into_os_string(), "mixer".into(), "--settings".into(), settings.into()]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("DIALROOM_LOG", log_filter()).env("NO_COLOR", "1");
        let program = Program::start("dialroom mixer", &mut command);
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mixer = Self { program, folder, http, sip, tls: None, control };
        eventually("the mixer is ready", SOON, async || {
            let ready = mixer.http.get(format!("http://{control}/readyz")).send().await;
            ready.ok().filter(|answer| answer.status().is_success())
        })
        .await;
        mixer
    }

    /// Where SIP listens.
    #[must_use]
    pub fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// Where it takes TLS.
    ///
    /// # Panics
    /// Where it was opened without.
    #[must_use]
    pub fn tls(&self) -> SocketAddr {
        self.tls.expect("opened with TLS")
    }

    /// Its folder: settings, store, and what a test puts there.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.program.pid()
    }

    /// Everything it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.words()
    }

    /// Puts a booking of this title, open now: room 4711, PIN 482915, Anna and Bernd invited.
    pub async fn book(&self, title: &str) {
        self.book_room(title, "4711", "482915", &[ANNA, BERND]).await;
    }

    /// Puts a booking that is open now.
    pub async fn book_room(&self, title: &str, room: &str, pin: &str, callers: &[&str]) {
        let booking = booking(title, room, pin, callers);
        let url = format!("http://{}/v1/bookings/{}", self.control, booking.id);
        let answer =
            self.http.put(url).bearer_auth(self.token()).json(&booking).send().await.expect("the mixer answers");
        assert!(answer.status().is_success(), "{}: {}", answer.status(), answer.text().await.unwrap_or_default());
    }

    /// Deletes the booking of that title: its line closes.
    pub async fn cancel(&self, title: &str) {
        let url = format!("http://{}/v1/bookings/{}?revision=2", self.control, id_of(title));
        let answer = self.http.delete(url).bearer_auth(self.token()).send().await.expect("the mixer answers");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("handoff.token")).expect("a token").trim().to_owned()
    }

    /// A look at the control API.
    pub async fn control(&self, path: &str) -> Result<Value, String> {
        let url = format!("http://{}{path}", self.control);
        let answer = self.http.get(url).bearer_auth(self.token()).send().await.map_err(|why| why.to_string())?;
        answer.error_for_status().map_err(|why| why.to_string())?.json().await.map_err(|why| why.to_string())
    }

    /// `/metrics`, one value; 0 where the name does not appear. Values of one name with different labels are added up.
    pub async fn metric(&self, name: &str) -> f64 {
        let answer = self.http.get(format!("http://{}/metrics", self.control)).send().await.expect("an answer");
        let text = answer.text().await.expect("text");
        let values =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Who is in the conference of that title now.
    pub async fn participants(&self, title: &str) -> Vec<Value> {
        let running = self.control("/v1/conferences").await.expect("the mixer answers");
        let conference = running.as_array().and_then(|list| list.iter().find(|one| one["title"] == title)).cloned();
        conference.and_then(|one| one["participants"].as_array().cloned()).unwrap_or_default()
    }

    /// Waits until so many are in the conference of that title.
    pub async fn until_in(&self, title: &str, count: usize) -> Vec<Value> {
        self.until_in_within(title, count, SOON).await
    }

    /// The same, with a limit of its own.
    pub async fn until_in_within(&self, title: &str, count: usize, limit: Duration) -> Vec<Value> {
        eventually(&format!("{count} people in {title:?}"), limit, async || {
            Some(self.participants(title).await).filter(|participants| participants.len() == count)
        })
        .await
    }

    /// The call records that it holds.
    pub async fn records(&self) -> Vec<Value> {
        let page = self.control("/v1/records?after=0").await.expect("the mixer answers");
        page["records"].as_array().or_else(|| page.as_array()).cloned().unwrap_or_default()
    }

    /// Resident memory, in kB.
    #[must_use]
    pub fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("it runs")
    }

    /// Seconds of processor time used so far.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        // Fields 14 and 15 of proc(5), in hundredths.
        (ticks(11) + ticks(12)) / 100.0
    }

    /// A telephone of ours that will call with these flags.
    #[must_use]
    pub fn call(&self, flags: &[&str]) -> Phone {
        self.call_via(self.sip, flags)
    }

    /// The same, through somebody between it and the mixer.
    #[must_use]
    pub fn call_via(&self, via: SocketAddr, flags: &[&str]) -> Phone {
        let mut command = Command::new(executable());
        command.args(["phone", "--json", "--via", &via.to_string()]).args(flags);
        Phone::start(command)
    }

    /// Asks it to end; it must end cleanly.
    pub async fn close(self) {
        let (well, words) = self.program.end().await;
        assert!(well, "the mixer did not end cleanly:\n{words}");
        assert!(!words.contains("panicked"), "{words}");
    }
}

/// Set by whoever looks for a fault; a test's own choice would hide it.
fn log_filter() -> String {
    std::env::var("DIALROOM_LOG").unwrap_or_else(|_| "info".to_owned())
}

fn settings_text(setup: &Setup, sip: SocketAddr, control: SocketAddr) -> String {
    let Setup { sip: more_sip, trunks, more, .. } = setup;
    format!(
        "[store]\ndata = \".\"\n\n[dial_in]\nnumber = \"88\"\n\n[conference]\nmax_participants = 5000\n\n\
         [account]\nmax_participants = 5000\n\n[handoff]\nlisten = \"{control}\"\n\n\
         [directory]\nhome_region = \"DE\"\n\n[sip]\nlisten = [\"{sip}\"]\n{more_sip}\n{more}\n{trunks}"
    )
}

fn booking(title: &str, room: &str, pin: &str, callers: &[&str]) -> HandedOver {
    let begin = Clock::real().wall();
    let (lead, overrun) = (TimeDelta::minutes(10), TimeDelta::minutes(15));
    let window = DialInWindow::new(begin, begin + TimeDelta::minutes(60), lead, overrun).expect("a window");
    let id = id_of(title);
    let caller = |(index, number): (usize, &&str)| HandedCaller {
        person: format!("caller-{index}@contoso.example"),
        name: None,
        numbers: vec![E164::international(number).expect("a number")],
        moderator: false,
        declined: false,
    };
    HandedOver {
        id: BookingId::parse(&id).expect("an id"),
        revision: 1,
        uid: format!("{id}@contoso.example"),
        room: RoomNumber::parse(room).expect("a room"),
        pins: HandedPins { participant: Some(HandedPin(Pin::parse(pin).expect("a PIN"))), moderator: None },
        title: title.to_owned(),
        account: String::new(),
        language: Language::En,
        time_zone: chrono_tz::Europe::Berlin,
        windows: vec![HandedWindow { original_start: begin, window, state: OccurrenceState::Scheduled }],
        callers: callers.iter().enumerate().map(caller).collect(),
        permanent: false,
    }
}

fn id_of(title: &str) -> String {
    title.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Makes a certificate for these names and addresses, and its key: `<folder>/<stem>.pem`, `<folder>/<stem>.key`.
pub async fn certificate(folder: &Path, stem: &str, names: &str) -> (PathBuf, PathBuf) {
    let (pem, key) = (folder.join(format!("{stem}.pem")), folder.join(format!("{stem}.key")));
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "30",
    ]);
    command.args(["-subj", &format!("/CN={stem}.example"), "-addext", &format!("subjectAltName={names}")]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&pem);
    let made = command.output().await.expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (pem, key)
}
