//! `kill -9` of connector and of mixer at random instants while bookings arrive: nothing acknowledged is lost, nothing is
//! done twice (F1, F2, F8, F9 of the house's robustness catalogue).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_tests::house::{House, eventually, meeting, read_mails, time};
use dialroom_tests::seed::{Replay, is_long, seeds};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use serde_json::{Value, json};

/// How long everything may take to be as it should after the last kill.
const HEALED: Duration = Duration::from_secs(60);

/// Bookings that the connector acknowledged, by id.
type Acknowledged = BTreeMap<String, Value>;

async fn book_until(house: Arc<House>, start: DateTime<Utc>, stop: Arc<AtomicBool>) -> (Acknowledged, usize) {
    let (mut acknowledged, mut refused, mut n) = (Acknowledged::new(), 0, 0);
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let start = start + TimeDelta::minutes(n % 600);
        let wanted = json!({
            "title": format!("Booked {n}"),
            "start": time(start),
            "end": time(start + TimeDelta::minutes(15)),
            "organizer": "anna@contoso.example",
            "attendees": ["eva@fabrikam.example"],
        });
        match house.api(reqwest::Method::POST, "/api/v1/conferences", Some(wanted)).await {
            Ok(made) => drop(acknowledged.insert(made["id"].as_str().expect("an id").to_owned(), made)),
            Err(_) => refused += 1,
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    (acknowledged, refused)
}

/// Meetings booked in the calendar meanwhile, by title.
async fn meet_until(house: Arc<House>, start: DateTime<Utc>, stop: Arc<AtomicBool>) -> BTreeSet<String> {
    let (mut titles, mut n) = (BTreeSet::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let title = format!("Met {n}");
        house.book(meeting(&title, start + TimeDelta::minutes(n % 600), 15, &["eva@fabrikam.example"])).await;
        titles.insert(title);
        tokio::time::sleep(Duration::from_millis(90)).await;
    }
    titles
}

/// Kills a program and waits until the next one has its place.
async fn kill(house: &House, program: &str) {
    let old = house.pid(program);
    nix::sys::signal::kill(old, nix::sys::signal::Signal::SIGKILL).expect("it runs");
    eventually("the next process", HEALED, async || Some(()).filter(|()| house.pid(program) != old)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_whatever_is_killed() {
    let seed = seeds(1).start;
    let _replay = Replay { seed, test: "kill" };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let kills = if is_long() { 100 } else { 10 };
    let house = Arc::new(House::open().await);
    let start = house.now().await + TimeDelta::hours(2);
    let stop = Arc::new(AtomicBool::new(false));
    let booking = tokio::spawn(book_until(Arc::clone(&house), start, Arc::clone(&stop)));
    let meeting = tokio::spawn(meet_until(Arc::clone(&house), start, Arc::clone(&stop)));
    for _ in 0..kills {
        for program in ["connector", "mixer"] {
            tokio::time::sleep(Duration::from_millis(u64::from(rng.next_u32() % 1500))).await;
            kill(&house, program).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    let (acknowledged, refused) = booking.await.expect("it ends");
    let titles = meeting.await.expect("it ends");
    assert!(acknowledged.len() > 20 && titles.len() > 20, "{} and {}", acknowledged.len(), titles.len());

    let bookings = eventually("every acknowledged and every met booking", HEALED, async || {
        let bookings = house.conferences().await;
        let held = |id: &String| bookings.iter().any(|booking| booking["id"] == **id);
        let met = |title: &String| bookings.iter().any(|booking| booking["title"] == **title);
        Some(bookings.clone()).filter(|_| acknowledged.keys().all(held) && titles.iter().all(met))
    })
    .await;
    for (id, made) in &acknowledged {
        let held = bookings.iter().find(|booking| booking["id"] == **id).expect("just seen");
        assert_eq!((&held["room"], &held["pins"]), (&made["room"], &made["pins"]), "as acknowledged");
    }
    let mut met: HashMap<&str, usize> = HashMap::new();
    for booking in bookings.iter().filter(|booking| booking["origin"] == "graph") {
        *met.entry(booking["title"].as_str().expect("text")).or_default() += 1;
    }
    assert!(met.values().all(|count| *count == 1), "no meeting is booked twice");
    no_room_is_shared(&bookings);

    let wanted: BTreeMap<String, u64> = bookings
        .iter()
        .map(|booking| {
            (booking["id"].as_str().expect("text").to_owned(), booking["revision"].as_u64().expect("a number"))
        })
        .collect();
    eventually("the mixer to hold all of it", HEALED, async || {
        let held = house.control("/v1/bookings").await.ok()?;
        let list = held.as_array().or_else(|| held["bookings"].as_array())?.clone();
        let held: BTreeMap<_, _> = list
            .iter()
            .filter_map(|booking| Some((booking["id"].as_str()?.to_owned(), booking["revision"].as_u64()?)))
            .collect();
        Some(()).filter(|()| held == wanted)
    })
    .await;

    // Two mails a booking; a repeat only where a kill fell between the server's acceptance and our note of it.
    let files = eventually("all mails", HEALED, async || {
        let files = house.mail_files();
        Some(files.clone()).filter(|_| files.len() >= 2 * bookings.len())
    })
    .await;
    let mut ids: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for mail in read_mails(&files).await {
        let header = |name: &str| mail["headers"][name].as_str().expect("a header").to_owned();
        ids.entry((header("To"), header("Subject"))).or_default().push(header("Message-ID"));
    }
    let mut repeats = 0;
    let mut titles_booked_twice: HashMap<&str, usize> = HashMap::new();
    for booking in &bookings {
        *titles_booked_twice.entry(booking["title"].as_str().expect("text")).or_default() += 1;
    }
    for ((to, subject), messages) in &ids {
        let distinct: BTreeSet<_> = messages.iter().collect();
        let bookings =
            titles_booked_twice.iter().filter(|(title, _)| subject.ends_with(**title)).map(|(_, count)| *count).max();
        assert!(distinct.len() <= bookings.unwrap_or(1), "{to}: {subject}: a second mail with an id of its own");
        repeats += messages.len() - distinct.len();
    }
    assert!(repeats <= 2 * kills, "{repeats} repeats: more than one a kill of either program");
    println!(
        "figure: {kills} kills each of connector and mixer (seed {seed}): {} acknowledged, {refused} refused, {} met in the calendar, \
         {} bookings; 0 lost, 0 double, {repeats} mails repeated with the same Message-ID",
        acknowledged.len(),
        titles.len(),
        bookings.len()
    );
    match Arc::try_unwrap(house) {
        Ok(house) => house.close().await,
        Err(_) => panic!("nobody else holds the house"),
    }
}

fn no_room_is_shared(bookings: &[Value]) {
    let instant = |value: &Value| value.as_str().expect("text").parse::<DateTime<Utc>>().expect("RFC 3339");
    type Span = (DateTime<Utc>, DateTime<Utc>);
    let mut by_room: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    for booking in bookings {
        for window in booking["windows"].as_array().expect("a list") {
            let span = (instant(&window["opens"]), instant(&window["closes"]));
            by_room.entry(booking["room"].as_str().expect("text")).or_default().push(span);
        }
    }
    for (room, mut spans) in by_room {
        spans.sort();
        assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "room {room} is shared");
    }
}
