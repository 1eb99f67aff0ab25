//! A disk that takes nothing any more: no change is acknowledged, none reaches the conferences, and calls go on.
//!
//! A program of its own, for the limit that stands in for the full disk (`RLIMIT_FSIZE`) holds for a whole process.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dialroom_host::Clock;
use mixer_service::sip::Transport;
use mixer_service::telephone::{Dial, LineSetup, Telephone};
use mixer_service::{Mixer, Options};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

const BERND: &str = "+493023125002";
const CLARA: &str = "+493023125003";
/// Nothing here takes so long, not even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The signal for a file that grows beyond the limit; ignored, the write fails as on a full disk.
const SIGXFSZ: i32 = 25;

struct Asker {
    control: SocketAddr,
    token: String,
}

impl Asker {
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.control).await.unwrap();
        let (token, len) = (&self.token, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: {len}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), answer)
    }

    /// Waits until so many people are in.
    async fn until_in(&self, people: usize) {
        let looking = async {
            while self.ask("GET", "/v1/conferences", "").await.1.matches("\"leg\":").count() != people {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("they are in");
    }
}

/// No file of this process grows while it is held; nor does the log that the test's own words may go to.
struct FullDisk {
    before: u64,
    most: u64,
}

impl FullDisk {
    fn new() -> Self {
        let (before, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, 0, most).unwrap();
        Self { before, most }
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        setrlimit(Resource::RLIMIT_FSIZE, self.before, self.most).unwrap();
    }
}

/// A booking whose line is open now, for whoever has this number.
fn booking(id: &str, room: &str, number: &str) -> String {
    let now = Clock::real().wall();
    let at = |minutes| (now + chrono::TimeDelta::minutes(minutes)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let (opens, start, end, closes) = (at(-10), at(0), at(30), at(45));
    format!(
        r#"{{"id":"{id}","revision":1,"uid":"u","room":"{room}","pins":{{"participant":"482915","moderator":"703164"}},
        "title":"Budget review","account":"anna@contoso.example","language":"en","time_zone":"Europe/Berlin",
        "windows":[{{"original_start":"{start}","opens":"{opens}","start":"{start}","end":"{end}","closes":"{closes}","state":"scheduled"}}],
        "callers":[{{"person":"{id}@contoso.example","name":null,"numbers":["{number}"],"moderator":false,"declined":false}}]}}"#
    )
}

async fn call(sip: SocketAddr, from: &str) -> Telephone {
    let local: IpAddr = [127, 0, 0, 1].into();
    let line = LineSetup::to(sip, Transport::Udp, local);
    let dial = Dial { line, number: "88".to_owned(), from: Some(from.to_owned()) };
    let telephone = Telephone::place(dial).await.unwrap();
    telephone.answered().await.unwrap();
    telephone
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_is_acknowledged_and_calls_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dialroom.toml");
    let settings = "[dial_in]\nnumber = \"88\"\n[sip]\nlisten = [\"127.0.0.1:0\"]\n[handoff]\nlisten = \"127.0.0.1:0\"\n\
        token_file = \"token\"\n[[trunk]]\nname = \"pbx\"\naddresses = [\"127.0.0.1\"]\n";
    std::fs::write(&file, settings).unwrap();
    let mixer = Mixer::start(Options { settings: file, clock: Clock::real() }).await.unwrap();
    let token = std::fs::read_to_string(folder.path().join("token")).unwrap().trim().to_owned();
    let (asker, sip) = (Asker { control: mixer.control_address(), token }, mixer.sip_addresses()[0]);
    let served = tokio::spawn(mixer.serve_until(std::future::pending()));
    assert_eq!(asker.ask("PUT", "/v1/bookings/a", &booking("a", "4711", BERND)).await.0, 204);
    let bernd = call(sip, BERND).await;
    asker.until_in(1).await;

    let _ignored = signal(SignalKind::from_raw(SIGXFSZ)).unwrap();
    let full = FullDisk::new();
    for (method, path, body) in [
        ("PUT", "/v1/bookings/b", booking("b", "4712", CLARA)),
        ("DELETE", "/v1/bookings/a?revision=2", String::new()),
        ("PUT", "/v1/bookings/b", booking("b", "4712", CLARA)),
    ] {
        let (status, answer) = asker.ask(method, path, &body).await;
        assert!(status == 503 && answer.contains("application/problem+json"), "{method} {path}: {answer}");
    }
    assert_eq!(asker.ask("GET", "/readyz", "").await.0, 503);
    let (_, metrics) = asker.ask("GET", "/metrics", "").await;
    assert!(metrics.contains("dialroom_mixer_store_failures_total 3\n"), "{metrics}");

    // Neither change reached the conferences: Bernd talks on and may call again, and Clara's number is nobody's.
    let (_, held) = asker.ask("GET", "/v1/bookings", "").await;
    assert!(held.ends_with(r#"[{"id":"a","revision":1}]"#), "{held}");
    let (again, clara) = (call(sip, BERND).await, call(sip, CLARA).await);
    asker.until_in(2).await;
    assert_eq!(bernd.phase(), mixer_service::telephone::Phase::Talking);
    drop((again.hang_up().await, clara.hang_up().await));
    asker.until_in(1).await;
    drop(bernd.hang_up().await);
    served.abort();
    drop(full);
}
