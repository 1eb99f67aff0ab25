//! People, faults and kills at random: whatever happened, in the end the bookings are what the calendars say.
//!
//! `DIALROOM_SEEDS=20000` runs so many seeds instead of the usual number, `DIALROOM_FIRST_SEED` says where they begin, and
//! `DIALROOM_SEED=17` replays one and prints what happened.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use dialroom_booking::{BookingId, RoomNumber};
use serde_json::json;

use super::script::Script;
use super::truth::problems;
use super::world::{Beginning, World};

/// Seeds of an ordinary run of the tests.
const SEEDS: u64 = 500;
/// Threads that they are shared by.
const THREADS: u64 = 2;
/// Things done in one run.
const STEPS: u64 = 20;
/// Days on which runs begin: an ordinary one, and some before the clocks change in one place or another.
const DAYS: [&str; 5] = ["2026-11-23", "2026-10-23", "2027-03-26", "2027-03-12", "2027-10-02"];
/// After the last fault everything is found within this time: a look at each mailbox without being told, with its repeats.
const SETTLED_SECONDS: u64 = 700;

#[test]
fn whatever_happens_bookings_are_what_the_calendars_say() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("DIALROOM_SEED") {
        let told = run(seed);
        println!("{}", told.log.join("\n"));
        assert!(told.problems.is_empty(), "seed {seed}: {:#?}", told.problems);
        return;
    }
    let (first, seeds) = (number("DIALROOM_FIRST_SEED").unwrap_or(1), number("DIALROOM_SEEDS").unwrap_or(SEEDS));
    let next = AtomicU64::new(first);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let told = std::panic::catch_unwind(|| run(seed).problems);
                    let problems = told.unwrap_or_else(|_| vec!["a panic, see above".to_owned()]);
                    if !problems.is_empty() {
                        failures.lock().unwrap().push((seed, problems));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let told: Vec<_> =
        failures.iter().take(5).map(|(seed, what)| format!("DIALROOM_SEED={seed}: {}", what.join("\n"))).collect();
    assert!(failures.is_empty(), "{} of {seeds} seeds fail, among them:\n{}", failures.len(), told.join("\n"));
}

#[test]
fn a_seed_replays_to_the_letter() {
    assert_eq!(run(4).trace, run(4).trace);
}

struct Told {
    problems: Vec<String>,
    log: Vec<String>,
    /// Everything that the tenant was asked and everybody was written.
    trace: Vec<String>,
}

fn run(seed: u64) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(story(seed))
}

async fn story(seed: u64) -> Told {
    let mut script = Script::new(seed);
    let day = format!("{}T08:{:02}:00Z", script.dice.one(&DAYS), script.dice.below(60));
    let notifications = !script.dice.once_in(4);
    let mut world = World::start(Beginning { seed, at: &day, notifications }).await;
    world.mail.everybody_opens.store(false, Ordering::Relaxed);
    let mut rooms = Rooms::default();
    break_things(&mut script, &world).await;
    for _ in 0..STEPS {
        match script.dice.below(12) {
            0 => restart(&mut script, &mut world).await,
            1 => break_things(&mut script, &world).await,
            _ => script.act(&world).await,
        }
        let pause = match script.dice.below(8) {
            0..4 => 0,
            4..7 => script.dice.below(30),
            _ => script.dice.below(1800),
        };
        world.pass(pause).await;
        world.assert_alive();
        rooms.look(&world);
    }
    world.faults(mended()).await;
    *world.mail.mood.lock().unwrap() = Default::default();
    if script.dice.once_in(2) {
        restart(&mut script, &mut world).await;
    }
    world.pass(SETTLED_SECONDS).await;
    world.assert_alive();
    rooms.look(&world);
    let mut problems = problems(&world).await;
    problems.extend(rooms.problems);
    let mails = world.mail.arrived().len();
    // Exchange counts what people do, we what is told of it; nobody hears more often of a meeting than it was changed.
    let mut told = BTreeMap::new();
    for one in world.mail.arrived() {
        *told.entry((one.to, one.uid)).or_insert(0) += 1;
    }
    let too_many = told.iter().filter(|(_, mails)| **mails > script.changes + 1);
    problems.extend(too_many.map(|(who, mails)| format!("{mails} mails for {who:?} after {} changes", script.changes)));
    // What was unreadable for a while, a SEQUENCE, is read now, and nobody is written to because of it.
    let (status, _) = world.knock(axum::http::Method::POST, "/api/v1/sync", "").await;
    assert_eq!(status, 202);
    world.pass(60).await;
    let commits = world.metrics.commits.value();
    world.pass(SETTLED_SECONDS).await;
    if world.mail.arrived().len() != mails {
        problems.push(format!("{} mails although nothing happens", world.mail.arrived().len() - mails));
    }
    let more = world.metrics.commits.value() - commits;
    if more > 0 {
        problems.push(format!("{more} commits although nothing happens"));
    }
    let mut trace: Vec<_> = world.journal("requests").await.iter().map(ToString::to_string).collect();
    trace.extend(world.mail.arrived().iter().map(|one| format!("{} {} {} {:?}", one.at, one.to, one.uid, one.kind)));
    Told { problems, log: script.log, trace }
}

async fn restart(script: &mut Script, world: &mut World) {
    script.note(world, &"kill");
    world.kill_connector().await;
    world.pass(script.dice.below(120)).await;
    world.start_connector().await;
    script.note(world, &"start");
}

async fn break_things(script: &mut Script, world: &World) {
    let dice = &mut script.dice;
    let faults = json!({
        "duplicate_notifications": dice.rate(0.5), "lost_notifications": dice.rate(0.5),
        "late_notifications": dice.rate(0.5), "throttled": dice.rate(0.1), "server_errors": dice.rate(0.1),
        "lost_answers": dice.rate(0.1), "cut_answers": dice.rate(0.1), "empty_pages": dice.rate(1.0),
        "page_size": dice.below(3), "repeated_items": dice.rate(0.5), "replayed_items": dice.rate(0.3),
        "late_changes": dice.rate(0.5), "lost_sync_state": dice.rate(0.2), "odd_spelling": dice.once_in(4),
        "html_level": dice.below(4), "tracking_seconds": dice.below(2) * 7,
        "property_delay_seconds": dice.below(2) * 20, "sequence_unreadable": dice.once_in(6),
        "refused_tokens": dice.rate(0.1), "broken_logins": dice.rate(0.2), "refused_subscriptions": dice.rate(0.3),
        "reauthorization_minutes": dice.below(2) * 12, "token_seconds": 60 + dice.below(3000),
        "away": dice.once_in(20), "foreign_links": dice.rate(0.05), "late_answers_ms": dice.below(3) * 400,
    });
    let mood = super::post::Mood { deferring: dice.rate(0.3), mute: dice.rate(0.1) };
    *world.mail.mood.lock().unwrap() = mood;
    world.faults(faults.clone()).await;
    script.note(world, &(faults.to_string(), mood));
}

fn mended() -> serde_json::Value {
    let rates = [
        "duplicate_notifications",
        "lost_notifications",
        "late_notifications",
        "throttled",
        "server_errors",
        "lost_answers",
        "cut_answers",
        "empty_pages",
        "repeated_items",
        "replayed_items",
        "late_changes",
        "lost_sync_state",
        "refused_tokens",
        "broken_logins",
        "refused_subscriptions",
        "foreign_links",
    ];
    let mut faults: serde_json::Map<_, _> = rates.iter().map(|name| ((*name).to_owned(), json!(0.0))).collect();
    for (name, value) in [
        ("away", json!(false)),
        ("sequence_unreadable", json!(false)),
        ("late_answers_ms", json!(0)),
        ("token_seconds", json!(3599)),
        ("tracking_seconds", json!(0)),
        ("page_size", json!(0)),
        ("property_delay_seconds", json!(0)),
        ("reauthorization_minutes", json!(0)),
        ("odd_spelling", json!(false)),
    ] {
        faults.insert(name.to_owned(), value);
    }
    faults.into()
}

/// A booking keeps its room and its PINs for as long as it lives, and a meeting keeps its booking.
#[derive(Default)]
struct Rooms {
    by_booking: BTreeMap<BookingId, (String, RoomNumber, String)>,
    problems: Vec<String>,
}

impl Rooms {
    fn look(&mut self, world: &World) {
        for booking in world.shelf.all() {
            let shown = (booking.uid.clone(), booking.room, booking.pins.participant.expose().to_owned());
            let held = self.by_booking.entry(booking.id.clone()).or_insert_with(|| shown.clone());
            if *held != shown {
                self.problems.push(format!("booking {} changed from {held:?} to {shown:?}", booking.id));
            }
        }
        let uids: std::collections::BTreeSet<_> = self.by_booking.values().map(|(uid, ..)| uid).collect();
        if uids.len() != self.by_booking.len() {
            self.problems.push("a meeting has had two bookings".to_owned());
        }
    }
}
