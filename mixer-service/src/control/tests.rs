use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_booking::{BookingId, HandedOver, HandedPin, HandedPins, HandedWindow, Pin};
use dialroom_host::{Store, seal_key_file};
use mixer_conference::{CallRecord, EndReason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::records::RecordQueue;
use crate::schedule::Change;
use crate::testing;

const PINS: [&str; 2] = ["482915", "70316482"];

/// The control API over a real store, and what the focus would have been told.
struct World {
    address: std::net::SocketAddr,
    changes: mpsc::Receiver<Change>,
    control: Control,
    records: RecordQueue,
}

impl World {
    async fn open(folder: &Path) -> Self {
        let store = open_store(&folder.join("store")).await;
        let (sender, changes) = mpsc::channel(1000);
        let seal = seal_key_file(&folder.join("seal.key")).unwrap();
        let (schedule, unreadable) = Schedule::load(store.clone(), seal, sender).unwrap();
        assert!(unreadable.is_empty(), "{unreadable:?}");
        let records = Records::load(store).unwrap();
        let (queue, writing) = records.queue(Clock::real(), Arc::default());
        tokio::spawn(writing);
        let control = Control {
            token: Token::new("let-me-in"),
            schedule,
            records,
            events: broadcast::channel(4).0,
            questions: mpsc::channel(1).0,
            metrics: Arc::default(),
            machines: Arc::default(),
            clock: Clock::real(),
            ready: Arc::default(),
            stop: CancellationToken::new(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, control.clone()));
        Self { address, changes, control, records: queue }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.ask_with(method, path, body, "Authorization: Bearer let-me-in\r\n").await
    }

    async fn ask_with(&self, method: &str, path: &str, body: &str, headers: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        // A server that refuses early may close before it has read all: what it answered counts.
        drop(stream.write_all(head.as_bytes()).await);
        drop(stream.write_all(body.as_bytes()).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        let answer = String::from_utf8(answer).unwrap();
        (answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap()), answer)
    }

    async fn put(&self, booking: &HandedOver) -> (u16, String) {
        let path = format!("/v1/bookings/{}", booking.id);
        self.ask("PUT", &path, &serde_json::to_string(booking).unwrap()).await
    }
}

/// The writer thread lets go of the folder a moment after the last handle is dropped.
async fn open_store(folder: &Path) -> Store {
    loop {
        match Store::open(folder) {
            Ok(store) => return store,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

fn now() -> DateTime<Utc> {
    Clock::real().wall()
}

fn booking(id: &str, revision: u64) -> HandedOver {
    let moderator = Some(HandedPin(Pin::parse(PINS[1]).unwrap()));
    let booking = testing::booking(DateTime::from_timestamp(4_000_000_000, 0).unwrap());
    let pins = HandedPins { moderator, ..booking.pins };
    HandedOver { id: BookingId::parse(id).unwrap(), revision, pins, ..booking }
}

fn titled(id: &str, revision: u64, title: &str) -> HandedOver {
    HandedOver { title: title.into(), ..booking(id, revision) }
}

#[tokio::test]
async fn revisions_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path()).await;
    // What is asked, what must be answered, which revision a conflict names, whether the focus is told.
    enum Ask {
        Put(Box<HandedOver>),
        Delete(u64),
    }
    let rows = [
        ("a first one", Ask::Put(Box::new(booking("a", 3))), 204, None, true),
        ("its repeat", Ask::Put(Box::new(booking("a", 3))), 204, None, false),
        ("equal and different", Ask::Put(Box::new(titled("a", 3, "x"))), 409, Some(3), false),
        ("lower", Ask::Put(Box::new(booking("a", 2))), 409, Some(3), false),
        ("higher", Ask::Put(Box::new(titled("a", 5, "x"))), 204, None, true),
        ("deleted below", Ask::Delete(4), 409, Some(5), false),
        ("deleted", Ask::Delete(6), 204, None, true),
        ("deleted again", Ask::Delete(6), 204, None, false),
        ("deleted by an older order", Ask::Delete(5), 204, None, false),
        ("put below the tombstone", Ask::Put(Box::new(titled("a", 5, "x"))), 409, Some(6), false),
        ("put at the tombstone", Ask::Put(Box::new(booking("a", 6))), 409, Some(6), false),
        ("put above the tombstone", Ask::Put(Box::new(booking("a", 7))), 204, None, true),
        ("deleted at its own revision", Ask::Delete(7), 204, None, true),
    ];
    for (row, ask, status, held, told) in rows {
        let (answered, text) = match ask {
            Ask::Put(booking) => world.put(&booking).await,
            Ask::Delete(revision) => world.ask("DELETE", &format!("/v1/bookings/a?revision={revision}"), "").await,
        };
        assert_eq!(answered, status, "{row}: {text}");
        if let Some(held) = held {
            let kind = text.contains("application/problem+json");
            assert!(kind && text.contains(&format!("\"held\":{held}")), "{row}: {text}");
        }
        assert_eq!(world.changes.try_recv().is_ok(), told, "{row}");
    }
    assert_eq!(world.control.metrics.hand_off_conflicts.value(), 1);
}

#[tokio::test]
async fn a_deletion_that_comes_first_keeps_the_late_booking_out() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    assert_eq!(world.ask("DELETE", "/v1/bookings/a?revision=2", "").await.0, 204);
    assert_eq!(world.put(&booking("a", 1)).await.0, 409);
}

#[tokio::test]
async fn a_restart_finds_the_same_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, gone) = (booking("kept", 4), booking("gone", 1));
    {
        let world = World::open(folder.path()).await;
        assert_eq!((world.put(&kept).await.0, world.put(&gone).await.0), (204, 204));
        assert_eq!(world.ask("DELETE", "/v1/bookings/gone?revision=2", "").await.0, 204);
        world.control.stop.cancel();
    }
    let world = World::open(folder.path()).await;
    assert_eq!(world.control.schedule.bookings(), [Arc::new(kept.clone())]);
    assert_eq!((world.put(&kept).await.0, world.put(&gone).await.0), (204, 409));
    let (_, list) = world.ask("GET", "/v1/bookings", "").await;
    assert!(list.ends_with(r#"[{"id":"kept","revision":4}]"#), "{list}");
}

#[tokio::test]
async fn pins_are_written_and_never_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let booking = booking("a", 1);
    assert_eq!(world.put(&booking).await.0, 204);
    let number_as_pin = serde_json::to_string(&booking).unwrap().replace("\"482915\"", "482915");
    let mut seen = format!("{booking:?} {:?}", world.control);
    for (method, path, body) in [
        ("GET", "/v1/bookings", ""),
        ("GET", "/v1/bookings/a", ""),
        ("PUT", "/v1/bookings/a", &number_as_pin),
        ("GET", "/metrics", ""),
    ] {
        seen.push_str(&world.ask(method, path, body).await.1);
    }
    assert!(seen.contains("\"title\":\"Budget review\""), "{seen}");
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.extend(std::fs::read(path).unwrap()) }
        }
    }
    let holds = |hay: &[u8], needle: &str| hay.windows(needle.len()).any(|part| part == needle.as_bytes());
    assert!(holds(&files, "Budget review"), "the store's bytes were looked at");
    for pin in PINS {
        assert!(!holds(seen.as_bytes(), pin) && !holds(&files, pin), "{pin}");
    }
}

#[tokio::test]
async fn before_calls_are_taken_there_are_no_traces() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    for path in ["/v1/traces", "/v1/calls/1/trace"] {
        assert_eq!(world.ask("GET", path, "").await.0, 503, "{path}");
        assert_eq!(world.ask_with("GET", path, "", "").await.0, 401, "{path}");
    }
}

#[tokio::test]
async fn without_the_token_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    for headers in ["", "Authorization: Bearer let-me-out\r\n", "Authorization: Basic let-me-in\r\n"] {
        let (status, text) = world.ask_with("GET", "/v1/bookings", "", headers).await;
        assert!(status == 401 && text.contains("www-authenticate: Bearer"), "{text}");
    }
    assert_eq!(world.control.metrics.unauthorized.value(), 3);
    assert_eq!(world.ask_with("GET", "/healthz", "", "").await.0, 200);
}

#[tokio::test]
async fn ready_only_once_calls_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    assert_eq!(world.ask("GET", "/readyz", "").await.0, 503);
    world.control.ready.store(true, std::sync::atomic::Ordering::Release);
    assert_eq!(world.ask("GET", "/readyz", "").await.0, 200);
}

#[tokio::test]
async fn what_is_no_booking_is_told_as_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path()).await;
    let with = |change: fn(&mut HandedOver)| {
        let mut booking = booking("a", 1);
        change(&mut booking);
        serde_json::to_string(&booking).unwrap()
    };
    let twice = with(|booking| booking.windows.push(booking.windows[0]));
    let crowd = with(|booking| booking.callers = vec![booking.callers[0].clone(); 2001]);
    let same_pins = with(|booking| booking.pins.moderator.clone_from(&booking.pins.participant));
    let another = with(|booking| booking.id = BookingId::parse("b").unwrap());
    let permanent = with(|booking| booking.permanent = true);
    let series = with(|booking| {
        let date = booking.windows[0];
        let at = |n| HandedWindow { original_start: date.original_start + TimeDelta::days(n), ..date };
        booking.windows = (0..1001).map(at).collect();
    });
    let long = with(|booking| booking.title = "x".repeat(3 * 1024 * 1024));
    for (what, body, status) in [
        ("nothing", String::new(), 422),
        ("text", "[".repeat(100_000), 422),
        ("a date twice", twice, 422),
        ("too many callers", crowd, 422),
        ("too many windows", series, 422),
        ("one PIN for both", same_pins, 422),
        ("another id", another, 422),
        ("a permanent room with windows", permanent, 422),
        ("too long", long, 413),
    ] {
        let (answered, text) = world.ask("PUT", "/v1/bookings/a", &body).await;
        assert!(answered == status && text.contains("application/problem+json"), "{what}: {text}");
    }
    for (method, path, status) in [
        ("GET", "/v1/bookings/a", 404),
        ("GET", "/v1/bookings/a%2Fb", 422),
        ("DELETE", "/v1/bookings/a", 400),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/bookings", 405),
        ("GET", "/v1/records?after=x", 400),
        ("POST", "/v1/records/ack", 400),
    ] {
        let (answered, text) = world.ask(method, path, "").await;
        assert!(answered == status && text.contains("application/problem+json"), "{method} {path}: {text}");
    }
    assert!(world.changes.try_recv().is_err());
}

#[tokio::test]
async fn old_bookings_and_tombstones_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path()).await;
    assert_eq!((world.put(&booking("a", 1)).await.0, world.put(&booking("b", 1)).await.0), (204, 204));
    assert_eq!(world.ask("DELETE", "/v1/bookings/b?revision=1", "").await.0, 204);
    while world.changes.try_recv().is_ok() {}
    let closes = booking("a", 1).last_closes().unwrap();
    let schedule = &world.control.schedule;
    assert_eq!(schedule.forget_old(now() + TimeDelta::days(29)).await.unwrap(), 0);
    assert_eq!(schedule.forget_old(now() + TimeDelta::days(31)).await.unwrap(), 1, "the tombstone");
    assert_eq!(schedule.forget_old(closes + TimeDelta::days(30)).await.unwrap(), 0);
    assert_eq!(schedule.forget_old(closes + TimeDelta::days(31)).await.unwrap(), 1, "the booking");
    assert!(matches!(world.changes.try_recv(), Ok(Change::Withdrawn(id)) if id.as_str() == "a"));
}

fn record(ended: DateTime<Utc>) -> CallRecord {
    CallRecord {
        conference: None,
        room: None,
        person: None,
        name: None,
        caller: None,
        admission: None,
        login: "unknown-number".into(),
        answered: ended,
        joined: None,
        ended,
        end_reason: EndReason::WrongEntries,
    }
}

#[tokio::test]
async fn records_are_numbered_paged_acknowledged_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let last = |text: &str| text.rsplit_once("\"last\":").map(|(_, end)| end.to_owned()).unwrap_or_default();
    {
        let world = World::open(folder.path()).await;
        (0..5).for_each(|_| world.records.keep(record(now())));
        while last(&world.ask("GET", "/v1/records", "").await.1) != "5}" {}
        let (_, page) = world.ask("GET", "/v1/records?after=1&limit=2", "").await;
        assert!(page.contains("{\"n\":2,") && page.contains("{\"n\":3,") && !page.contains("{\"n\":4,"), "{page}");
        assert_eq!(world.ask("POST", "/v1/records/ack", "{\"n\":6}").await.0, 422);
        assert_eq!(world.ask("POST", "/v1/records/ack", "{\"n\":3}").await.0, 204);
        assert_eq!(world.ask("POST", "/v1/records/ack", "{\"n\":2}").await.0, 204);
        world.control.stop.cancel();
    }
    let world = World::open(folder.path()).await;
    let records = &world.control.records;
    assert_eq!(records.forget_old(now(), 90).await.unwrap(), 0, "acknowledged, but young");
    assert_eq!(records.forget_old(now() + TimeDelta::days(91), 90).await.unwrap(), 3, "old, but two are not fetched");
    world.records.keep(record(now()));
    while last(&world.ask("GET", "/v1/records", "").await.1) != "6}" {}
    let (_, page) = world.ask("GET", "/v1/records", "").await;
    assert!(page.contains("{\"n\":4,") && page.contains("{\"n\":6,") && !page.contains("{\"n\":3,"), "{page}");
}

#[tokio::test]
async fn a_slow_listener_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let request = "GET /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer let-me-in\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    // More at once than the channel holds, and no turn for the listener between them.
    (0..50).for_each(|n| drop(world.control.events.send(format!("{{\"n\":{n}}}").into())));
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(world.control.metrics.listeners_dropped.value(), 1);
}
