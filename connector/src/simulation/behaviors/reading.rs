//! Reading events (R1 to R7).

use chrono_tz::Tz;
use serde_json::json;

use super::{assert_right, start};
use crate::simulation::world::{Beginning, World};

#[tokio::test(start_paused = true)]
async fn graph_r1_a_series_is_read_in_few_requests() {
    let world = World::start(Beginning::default()).await;
    world.book(json!({"recurrence": {"pattern": "daily", "count": 300}})).await;
    world.pass(20).await;
    assert_eq!(world.booking().occurrences.len(), 300);
    let pages = world.asked("GET", "/instances").await;
    assert!(pages <= 6, "{pages} requests for one series");
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_r2_ids_that_differ_in_case_alone_are_two_meetings() {
    let world = World::start(Beginning::default()).await;
    for subject in ["One", "Other"] {
        world.book(json!({"subject": subject, "attendees": []})).await;
    }
    world.pass(5).await;
    let bookings = world.bookings();
    assert_eq!(bookings.len(), 2);
    assert_ne!(bookings[0].room, bookings[1].room);
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_r3_another_etag_alone_is_no_change() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({})).await;
    world.pass(5).await;
    let before = (world.booking().revision, world.mail.arrived().len());
    world.change(&key, json!({"categories": ["Telephone conference", "Blue"]})).await;
    world.pass(5).await;
    assert_eq!((world.booking().revision, world.mail.arrived().len()), before);
}

#[tokio::test(start_paused = true)]
async fn graph_r4_zones_of_every_spelling_give_the_right_instants() {
    for (label, zone) in [
        ("Pacific Standard Time", Tz::America__Los_Angeles),
        ("America/Los_Angeles", Tz::America__Los_Angeles),
        ("tzone://Microsoft/Custom", Tz::Europe__Berlin),
        ("Customized Time Zone", Tz::Europe__Berlin),
        ("", Tz::Europe__Berlin),
    ] {
        let world = World::start(Beginning::default()).await;
        let key = world
            .book(json!({
                "start": "2026-11-24T21:00:00", "zone": "Pacific Standard Time", "zone_label": label,
                "recurrence": {"pattern": "daily", "count": 6},
            }))
            .await;
        world.pass(5).await;
        assert_eq!(world.booking().time_zone, zone, "{label:?}");
        assert_eq!(start(&world), "2026-11-25T05:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap());
        assert_right(&world).await;
        // Late in the evening there is another day elsewhere: the cancelled one is the one that the series means.
        world.change(&key, json!({"occurrence": "2026-11-26", "cancel": true})).await;
        world.pass(5).await;
        assert_right(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn graph_r5_our_block_is_recognized_whatever_saving_made_of_it() {
    for level in 0..=3 {
        let world = World::start(Beginning::default()).await;
        world.faults(json!({"html_level": level})).await;
        let body = "<p>Tagesordnung</p><div class='x' id='dialroom-block'>88</div><!-- end -->";
        world.book(json!({"categories": [], "body_html": body})).await;
        world.pass(5).await;
        assert_eq!(world.bookings().len(), 1, "level {level}");
        assert!(world.booking().description.contains("Tagesordnung"));
    }
}

#[tokio::test(start_paused = true)]
async fn graph_r6_odd_spelling_changes_nothing() {
    let world = World::start(Beginning::default()).await;
    world.book(json!({"sensitivity": "private"})).await;
    let key = world.book(json!({"subject": "Weekly", "recurrence": {"pattern": "daily", "count": 4}})).await;
    world.pass(5).await;
    world
        .change(&key, json!({"occurrence": (world.now() + chrono::TimeDelta::days(1)).date_naive(), "cancel": true}))
        .await;
    world.pass(5).await;
    let before: Vec<_> = world.bookings().iter().map(|one| one.revision).collect();
    assert_right(&world).await;
    world.faults(json!({"odd_spelling": true})).await;
    world.set(|_| {});
    world.pass(10).await;
    assert_eq!(world.bookings().iter().map(|one| one.revision).collect::<Vec<_>>(), before);
    assert!(world.bookings()[0].private || world.bookings()[1].private);
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_r7_links_are_followed_as_they_are_and_never_to_another_host() {
    let mut world = World::new(Beginning::default());
    world.faults(json!({"empty_pages": 1.0, "page_size": 1, "foreign_links": 1.0})).await;
    for number in 0..5 {
        world.book(json!({"subject": format!("Meeting {number}")})).await;
    }
    world.start_connector().await;
    // Whoever sends a request to another host ends the test.
    world.pass(300).await;
    assert!(world.bookings().is_empty());
    world.faults(json!({"foreign_links": 0.0})).await;
    world.pass(120).await;
    world.assert_alive();
    assert_eq!(world.bookings().len(), 5);
    assert_right(&world).await;
}
