//! A tenant that throttles, loses, repeats and refuses; a mail server that thinks slowly or refuses; a clock that jumps.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use dialroom_host::Clock;
use serde_json::json;

use super::neighbors::{Mood, to};
use super::world::World;

const SEED: u64 = 20_261_126;
const BOOKINGS: usize = 30;

/// No request may come before the pause that Graph asked for is over: it prolongs the pause of who does.
async fn assert_polite(world: &World) {
    let rude: Vec<_> = world.requests().await.into_iter().filter(|request| request["rude"] == true).collect();
    assert!(rude.is_empty(), "seed {SEED}: {rude:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_all_faults_at_once_everything_is_booked_once() {
    let mut world = World::with_seed(true, SEED).await;
    world
        .control(
            "faults",
            json!({
                "throttled": 0.15, "lost_notifications": 0.3, "duplicate_notifications": 0.3, "empty_pages": 0.5,
                "refused_tokens": 0.15,
            }),
        )
        .await;
    let people = ["anna", "bernd", "clara"].map(|name| format!("{name}@contoso.example"));
    let mut expected = BTreeMap::new();
    for number in 0..BOOKINGS {
        let (organizer, colleague) = (&people[number % 3], &people[(number + 1) % 3]);
        let (subject, guest) = (format!("Meeting-{number}-"), format!("guest{number}@fabrikam.example"));
        let start = Clock::real().wall() + TimeDelta::hours(2);
        world
            .book(json!({
                "mailbox": organizer, "subject": subject, "zone": "UTC", "duration_minutes": 30,
                "start": start.format("%Y-%m-%dT%H:%M:%S").to_string(), "attendees": [colleague, guest],
                "categories": ["Telefonkonferenz"],
            }))
            .await;
        for recipient in [organizer, colleague, &guest] {
            expected.insert((subject.clone(), recipient.clone()), 1);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(world.requests().await.iter().any(|request| request["status"] == 429), "faults happen");
    let quiet = ["throttled", "lost_notifications", "duplicate_notifications", "empty_pages", "refused_tokens"];
    world.control("faults", quiet.iter().map(|name| ((*name).to_owned(), json!(0.0))).collect()).await;
    world.sync().await;

    world.mails.until(|taken| taken.len() >= expected.len()).await;
    let held = world.mixer.until(|held| held.len() >= BOOKINGS).await;
    assert!(held.values().all(|(revision, _)| *revision == 1) && held.len() == BOOKINGS, "seed {SEED}");
    // Whatever comes now would be too much.
    world.sync().await;
    world.until("diagnostics", |shown| shown["mails_waiting"] == 0).await;
    let mut told = BTreeMap::new();
    for mail in world.mails.taken.borrow().iter() {
        let subject = mail.message.lines().find(|line| line.starts_with("Subject: ")).unwrap();
        let meeting = subject.split_whitespace().find(|word| word.starts_with("Meeting-")).unwrap();
        *told.entry((meeting.to_owned(), mail.to.clone())).or_insert(0) += 1;
    }
    assert_eq!(told, expected, "seed {SEED}");
    assert_polite(&world).await;
    world.stop_connector().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_is_refused_is_no_reason_to_ask_without_pause() {
    let mut world = World::start(true).await;
    world.control("faults", json!({"refused_subscriptions": 1.0})).await;
    // Past half of the subscriptions' life: they are due, and refused.
    world.control("clock", json!({"advance_seconds": 4 * 86_400})).await;
    let renewals = |requests: &[serde_json::Value]| requests.iter().filter(|one| one["method"] == "PATCH").count();
    let asked = async {
        while renewals(&world.requests().await) < 4 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, asked).await.expect("renewals are asked for");
    // The full rounds that the jump asks for pass; then it is quiet.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = world.requests().await.len();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let more = world.requests().await.len() - before;
    assert!(more < 8, "{more} requests in a second without news");
    // Notifications still arrive.
    world.create("Still here", &[]).await;
    world.mails.until(|taken| taken.len() == 1).await;
    world.stop_connector().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_sees_the_mail_under_way_through() {
    let mut world = World::start(true).await;
    world.mails.mood.send_replace(Mood::Slow);
    world.create("Slow", &[]).await;
    world.mails.until(|taken| taken.len() == 1).await;
    world.stop_connector().await;
    world.start_connector().await;
    assert_eq!(world.api("diagnostics").await["mails_waiting"], 0);
    world.stop_connector().await;
    assert_eq!(world.mails.taken.borrow().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_nobody_takes_is_shown_to_the_administrator() {
    let mut world = World::start(true).await;
    world.mails.mood.send_replace(Mood::Refusing);
    world.create("Refused", &["eva@fabrikam.example"]).await;
    let given_up = |shown: &serde_json::Value| shown["mails_given_up"].as_array().map_or(0, Vec::len);
    world.until("diagnostics", |shown| given_up(shown) == 2).await;
    world.stop_connector().await;
    world.mails.mood.send_replace(Mood::Accepting);
    world.start_connector().await;
    let shown = world.api("diagnostics").await;
    let one = shown["mails_given_up"].as_array().unwrap().iter().find(|one| one["to"] == "eva@fabrikam.example");
    assert!(one.unwrap()["why"].as_str().unwrap().contains("550"), "it is kept over a restart");
    assert_eq!(to(&world.mails.taken.borrow(), "eva@fabrikam.example"), 0, "another try would give the same");
    world.stop_connector().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_that_was_lost_is_given_again() {
    let mut world = World::start(false).await;
    world.mixer.up.send_replace(false);
    world.until("calls", |calls| calls["last"] == 2).await;
    world.stop_connector().await;
    world.mixer.acknowledged.send_replace(0);
    world.mixer.up.send_replace(true);
    world.start_connector().await;
    let mut acknowledged = world.mixer.acknowledged.subscribe();
    let given = tokio::time::timeout(super::PATIENCE, acknowledged.wait_for(|n| *n == 2)).await;
    assert!(given.is_ok(), "no new record came, and none is needed");
    assert_eq!(world.api("calls").await["last"], 2, "none is kept twice");
    world.stop_connector().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_pin_comes_back_in_a_mail_servers_words() {
    let mut world = World::start(true).await;
    world.mails.mood.send_replace(Mood::Filtering);
    world.create("Filtered", &["eva@fabrikam.example"]).await;
    let held = world.mixer.until(|held| held.len() == 1).await;
    let pins = held.into_values().next().unwrap().1.unwrap()["pins"].clone();
    let shown = world.until("diagnostics", |shown| shown["mails_given_up"].as_array().unwrap().len() == 2).await;
    let told = shown["mails_given_up"].to_string();
    assert_eq!(told.matches("looks like a swindle").count(), 2);
    assert!(told.contains("tel:") && told.contains("***"), "{told}");
    for pin in ["participant", "moderator"] {
        assert!(!told.contains(pins[pin].as_str().unwrap()), "{told}");
    }
    world.stop_connector().await;
}
