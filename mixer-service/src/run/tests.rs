use std::net::IpAddr;

use mixer_media::pitch_level_db;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::sip::{EndedBy, Transport};
use crate::telephone::{Dial, LineSetup, Telephone};
use crate::testing::{BERND, GUEST, booking};

/// Greeting and keys included, nothing here takes so long, not even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that is not told by itself.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// A whole mixer on free ports, with a folder of its own.
struct World {
    _folder: tempfile::TempDir,
    control: SocketAddr,
    sip: SocketAddr,
    token: String,
    events: broadcast::Receiver<Arc<str>>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("dialroom.toml");
        let settings = "[dial_in]\nnumber = \"88\"\nexternal_number = \"+49 30 23125 88\"\n\
            [sip]\nlisten = [\"127.0.0.1:0\"]\n[handoff]\nlisten = \"127.0.0.1:0\"\n\
            [[trunk]]\nname = \"pbx\"\naddresses = [\"127.0.0.1\"]\n";
        std::fs::write(&file, settings).unwrap();
        let mixer = Mixer::start(Options { settings: file.clone(), clock: Clock::real() }).await.unwrap();
        let token = settings_watch::read(&file).unwrap().hand_off.token_file;
        let (stop, stopped) = oneshot::channel::<()>();
        Self {
            control: mixer.control_address(),
            sip: mixer.sip_addresses()[0],
            token: std::fs::read_to_string(token).unwrap(),
            events: mixer.control.events.subscribe(),
            stop,
            served: tokio::spawn(mixer.serve_until(async {
                stopped.await.ok();
                Ok(())
            })),
            _folder: folder,
        }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.control).await.unwrap();
        let (token, len) = (&self.token, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: {len}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn call(&self, transport: Transport, from: &str, tone_hz: u32) -> Telephone {
        let local: IpAddr = [127, 0, 0, 1].into();
        let (number, from) = ("88".to_owned(), Some(from.to_owned()));
        let dial = Dial { line: LineSetup::to(self.sip, transport, local), number, from };
        let telephone = Telephone::place(dial).await.unwrap();
        telephone.answered().await.unwrap();
        telephone.tone(Some((tone_hz, -16.0)));
        telephone
    }

    async fn happens(&mut self, event: &str) {
        let wanted = format!("\"event\":\"{event}\"");
        let heard = async { while !self.events.recv().await.unwrap().contains(&wanted) {} };
        tokio::time::timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("nobody told of {event}"));
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// The main job, over real sockets: a known number and a guest with the PIN are in one conference, each hears the other
/// and not himself, a deletion ends both calls, and what happened is on record.
#[tokio::test(flavor = "multi_thread")]
async fn two_telephones_talk_until_the_booking_is_deleted() {
    let mut world = World::start().await;
    let clock = Clock::real();
    assert!(world.ask("GET", "/readyz", "").await.starts_with("HTTP/1.1 200"));
    let body = serde_json::to_string(&booking(clock.wall())).unwrap();
    let put = world.ask("PUT", "/v1/bookings/a", &body).await;
    assert!(put.starts_with("HTTP/1.1 204"), "{put}");

    let dialled = clock.instant();
    let bernd = world.call(Transport::Udp, BERND, 620).await;
    let answered = clock.instant() - dialled;
    world.happens("joined").await;
    println!(
        "call to answer {answered:?}, call to joined by number, greeting included: {:?}",
        clock.instant() - dialled
    );
    let guest = world.call(Transport::Tcp, GUEST, 1150).await;
    guest.press("4711#482915#").await.unwrap();
    let keyed = clock.instant();
    world.happens("joined").await;
    println!("last key to joined by PIN: {:?}", clock.instant() - keyed);

    for (who, ear, own_hz, other_hz) in [("Bernd", &bernd, 620.0, 1150.0), ("guest", &guest, 1150.0, 620.0)] {
        let level = |hz| pitch_level_db(&ear.heard_last(500), hz);
        until("the other's tone is heard", async || level(other_hz) > -30.0 && level(own_hz) < -40.0).await;
        println!("{who} hears the other at {:.1} dB, himself at {:.1} dB", level(other_hz), level(own_hz));
    }
    let view = world.ask("GET", "/v1/conferences", "").await;
    assert!(view.contains("\"title\":\"Budget review\"") && view.contains("\"name\":\"Bernd\""), "{view}");
    let metrics = world.ask("GET", "/metrics", "").await;
    assert!(metrics.contains("dialroom_mixer_legs 2\n") && metrics.contains("dialroom_mixer_streams 2\n"), "{metrics}");
    assert!(metrics.contains("dialroom_mixer_sip_calls 2\n") && metrics.contains("sip_banned 0\n"), "{metrics}");
    assert!(!view.contains(BERND) && !view.contains(GUEST), "numbers are masked: {view}");
    let traces = world.ask("GET", "/v1/traces", "").await;
    assert!(traces.contains("\"leg\":1") && traces.contains("\"leg\":2"), "{traces}");
    let ladder = world.ask("GET", "/v1/calls/2/trace?messages=true", "").await;
    assert!(ladder.contains("INVITE sip:88@") && ladder.contains(" ACK ") && ladder.contains("TCP"), "{ladder}");
    assert!(!ladder.contains(&GUEST[1..]), "numbers are masked: {ladder}");
    for (path, status) in [("/v1/calls/99/trace", "404"), ("/v1/calls/2/trace?messages=perhaps", "400")] {
        let answer = world.ask("GET", path, "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }

    assert!(world.ask("DELETE", "/v1/bookings/a?revision=2", "").await.starts_with("HTTP/1.1 204"));
    for telephone in [&bernd, &guest] {
        let cause = tokio::time::timeout(PATIENCE, telephone.ended()).await.expect("a BYE for both");
        assert_eq!((cause.by, cause.text.contains("cancelled")), (EndedBy::Peer, true), "{cause}");
    }
    until("both calls are on record", async || world.ask("GET", "/v1/records", "").await.contains("\"last\":2")).await;
    let records = world.ask("GET", "/v1/records", "").await;
    assert!(records.contains("\"admission\":\"number\"") && records.contains("\"admission\":\"pin\""), "{records}");
    assert!(records.contains("\"end_reason\":\"cancelled\"") && !records.contains("482915"), "{records}");

    let report = bernd.hang_up().await;
    println!("INVITE to answer {:?}, to the first word {:?}", report.answered_after, report.first_sound_after);

    world.stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, world.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_program_is_a_goodbye_and_a_record() {
    let world = World::start().await;
    let caller = world.call(Transport::Udp, GUEST, 620).await;
    // Spoken to: the mixer has his ACK. A call that is not confirmed leaves no record.
    until("the voice is heard", async || caller.heard_last(1000).iter().any(|sample| sample.unsigned_abs() > 500))
        .await;
    world.stop.send(()).unwrap();
    let cause = tokio::time::timeout(PATIENCE, caller.ended()).await.expect("a BYE");
    assert_eq!((cause.by, cause.text.contains("stopped")), (EndedBy::Peer, true), "{cause}");
    tokio::time::timeout(PATIENCE, world.served).await.unwrap().unwrap().unwrap();
    let store = loop {
        // The store lets go of its folder a moment after the mixer is gone.
        match Store::open(&world._folder.path().join("data/mixer/store")) {
            Ok(store) => break store,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let (records, last) = Records::load(store).unwrap().page(0, 10).unwrap();
    assert_eq!((records.len(), last), (1, 1), "{records:?}");
}

/// Everything that is logged in this process from now on.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// At the finest level.
    fn capture() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing_subscriber::fmt().with_env_filter("trace").with_ansi(false).with_writer(move || writer.clone()).init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// However finely it logs: no PIN, no key, no whole number and no token stands in a log, whoever says it and wherever.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged_at_the_finest_level() {
    const WRONG_PIN: &str = "739164";
    let log = Log::capture();
    let mut world = World::start().await;
    let body = serde_json::to_string(&booking(Clock::real().wall())).unwrap();
    assert!(world.ask("PUT", "/v1/bookings/a", &body).await.starts_with("HTTP/1.1 204"));
    // The parser's own words would repeat what they stumble over.
    world.ask("PUT", "/v1/bookings/a", &body.replace("\"482915\"", "482915")).await;
    let named = world.call(Transport::Udp, BERND, 620).await;
    world.happens("joined").await;
    let guest = world.call(Transport::Tcp, GUEST, 1150).await;
    guest.press(&format!("4711#{WRONG_PIN}#,4711#482915#")).await.unwrap();
    world.happens("joined").await;

    // A telephone that dials its PIN along, and gives its number for the reason why it hangs up.
    let hand = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let me = hand.local_addr().unwrap();
    let request = |method: &str, seq: u8, more: &str| {
        format!(
            "{method} sip:884711%23482915%23@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{seq}{method}\r\n\
             From: \"{GUEST}\" <sip:{GUEST}@{me}>;tag=1\r\nTo: <sip:88@{to}>\r\nCall-ID: canary\r\nCSeq: {seq} {method}\r\n\
             Contact: <sip:{GUEST}@{me}>\r\n{more}Content-Length: 0\r\n\r\n",
            to = world.sip
        )
    };
    hand.send_to(request("INVITE", 1, "").as_bytes(), world.sip).await.unwrap();
    until("the third call", async || log.text().contains("leg=3")).await;
    let reason = format!("Reason: SIP;cause=200;text=\"{GUEST} keyed 482915\"\r\n");
    let mut answer = [0; 4096];
    let tag = loop {
        let len = hand.recv(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..len]).into_owned();
        if let Some((_, tag)) = answer.split_once(";tag=").filter(|_| answer.starts_with("SIP/2.0 200 ")) {
            let to = tag.split_once("To: ").and_then(|(_, to)| to.split_once(";tag=")).map_or("", |(_, tag)| tag);
            break to.lines().next().unwrap_or_default().to_owned();
        }
    };
    for (method, seq) in [("ACK", 1), ("BYE", 2)] {
        let inside = request(method, seq, &reason)
            .replace(&format!("<sip:88@{}>", world.sip), &format!("<sip:88@{}>;tag={tag}", world.sip));
        hand.send_to(inside.as_bytes(), world.sip).await.unwrap();
    }
    until("it hangs up", async || log.text().matches("call over").count() > 0).await;
    drop((named.hang_up().await, guest.hang_up().await));
    world.stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, world.served).await.unwrap().unwrap().unwrap();

    let text = log.text();
    assert!(text.contains("joined the conference") && text.contains("TRACE"), "it was listened at all:\n{text}");
    let number = |number: &str| number.trim_start_matches('+').to_owned();
    for secret in ["482915", "703164", WRONG_PIN, &number(BERND), &number(GUEST), world.token.trim(), "Digit("] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret is in the log");
    }
}

#[tokio::test]
async fn a_control_address_that_others_could_reach_is_refused() {
    let told = listen_for_control("0.0.0.0:0".parse().unwrap()).await.unwrap_err().to_string();
    assert!(told.contains("handoff.listen") && told.contains("127.0.0.1"), "{told}");
}

#[test]
fn the_next_night_is_ahead() {
    let at = |hour, minute| DateTime::<Utc>::UNIX_EPOCH + TimeDelta::hours(hour) + TimeDelta::minutes(minute);
    assert_eq!(next_night(at(1, 0)), at(2, 30));
    assert_eq!(next_night(at(2, 30)), at(26, 30));
    assert_eq!(next_night(at(23, 0)), at(26, 30));
}
