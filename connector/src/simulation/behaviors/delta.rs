//! Delta (D1 to D8).

use dialroom_booking::BookingState;
use serde_json::json;

use super::{assert_right, start};
use crate::simulation::world::{Beginning, World};

#[tokio::test(start_paused = true)]
async fn graph_d1_delta_is_asked_without_options_and_its_window_slides_once_a_day() {
    let world = World::start(Beginning::default()).await;
    world.pass(26 * 3600).await;
    let requests = world.journal("requests").await;
    let rounds: Vec<_> = requests
        .iter()
        .filter_map(|one| one["path"].as_str())
        .filter(|path| path.contains("/delta?") && !path.contains("token="))
        .collect();
    assert_eq!(rounds.len(), 8, "a full round for each of four mailboxes at the start and a day later");
    assert!(rounds.iter().all(|path| !path.contains("%24") && !path.contains('$')));
    assert!(requests.iter().all(|one| one["status"] == 200 || one["status"] == 201), "nothing was refused");
}

#[tokio::test(start_paused = true)]
async fn graph_d3_removed_does_not_mean_deleted() {
    let world = World::start(Beginning::default()).await;
    let (moving, doomed) = (world.book(json!({})).await, world.book(json!({"subject": "Doomed"})).await);
    world.pass(5).await;
    assert_eq!(world.bookings().len(), 2);
    // Out of the window, and another one far outside from its beginning.
    world.change(&moving, json!({"start": world.in_hours(500 * 24)})).await;
    world.book(json!({"subject": "Far", "start": world.in_hours(450 * 24)})).await;
    world.delete(&doomed).await;
    world.pass(10).await;
    let states: Vec<_> = world.bookings().iter().map(|one| (one.title.clone(), one.state)).collect();
    assert!(states.contains(&("Budget review".to_owned(), BookingState::Active)), "{states:?}");
    assert!(states.contains(&("Doomed".to_owned(), BookingState::Cancelled)), "{states:?}");
    let room = world.bookings().iter().find(|one| one.title == "Budget review").unwrap().room;
    world.change(&moving, json!({"start": world.in_hours(9)})).await;
    world.pass(10).await;
    assert_eq!(world.bookings().iter().find(|one| one.title == "Budget review").unwrap().room, room);
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_d5_items_that_come_twice_again_or_late_are_taken_as_they_are_now() {
    let world = World::start(Beginning::default()).await;
    world.faults(json!({"repeated_items": 1.0, "replayed_items": 1.0, "late_changes": 1.0})).await;
    let keys = [world.book(json!({})).await, world.book(json!({"recurrence": {"pattern": "daily", "count": 3}})).await];
    world.pass(700).await;
    assert_right(&world).await;
    let mails = world.mail.arrived().len();
    world.change(&keys[0], json!({"start": world.in_hours(7)})).await;
    world.change(&keys[1], json!({"start": world.in_hours(8)})).await;
    world.pass(700).await;
    assert_right(&world).await;
    assert_eq!(world.mail.arrived().len(), 2 * mails, "everybody heard of each change once");
}

#[tokio::test(start_paused = true)]
async fn graph_d6_a_lost_sync_state_costs_a_full_round_and_no_line() {
    let world = World::start(Beginning { seed: 3, ..Beginning::default() }).await;
    let (kept, gone) = (world.book(json!({})).await, world.book(json!({"subject": "Gone"})).await);
    world.pass(5).await;
    world.faults(json!({"lost_sync_state": 1.0, "page_size": 1})).await;
    world.change(&kept, json!({"start": world.in_hours(6)})).await;
    world.delete(&gone).await;
    // Every link is forgotten at once, those within a full round too.
    world.pass(900).await;
    world.faults(json!({"lost_sync_state": 0.3})).await;
    world.pass(900).await;
    let active = world.bookings().iter().filter(|one| one.state == BookingState::Active).count();
    assert_eq!(active, 1);
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_d6_what_vanished_while_the_state_was_lost_is_confirmed_before_it_is_released() {
    let world = World::start(Beginning::default()).await;
    let (gone, far) = (world.book(json!({"subject": "Gone"})).await, world.book(json!({"subject": "Far"})).await);
    world.pass(5).await;
    // A full round shows neither of the two, and only one of them is gone.
    world.faults(json!({"lost_notifications": 1.0})).await;
    world.delete(&gone).await;
    world.change(&far, json!({"start": world.in_hours(600 * 24)})).await;
    world.faults(json!({"lost_sync_state": 0.9})).await;
    world.pass(1800).await;
    world.faults(json!({"lost_sync_state": 0.0})).await;
    world.pass(600).await;
    let state = |title: &str| world.bookings().iter().find(|one| one.title == title).unwrap().state;
    assert_eq!((state("Gone"), state("Far")), (BookingState::Cancelled, BookingState::Active));
}

#[tokio::test(start_paused = true)]
async fn graph_d7_changes_between_two_pages_are_not_skipped() {
    let world = World::start(Beginning::default()).await;
    world.faults(json!({"page_size": 1, "late_answers_ms": 2000, "lost_notifications": 1.0})).await;
    let mut keys = Vec::new();
    for number in 0..6 {
        keys.push(world.book(json!({"subject": format!("Meeting {number}")})).await);
    }
    // The round of the safety look begins, and things move under it.
    for key in keys.iter().chain(&keys) {
        world.pass(53).await;
        world.change(key, json!({"start": world.in_hours(5 + i64::try_from(keys.len()).unwrap())})).await;
    }
    world.delete(&keys[5]).await;
    world.pass(900).await;
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_look_that_somebody_asks_for_finds_what_nobody_told() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({})).await;
    world.pass(5).await;
    world.faults(json!({"lost_notifications": 1.0})).await;
    world.change(&key, json!({"start": world.in_hours(20)})).await;
    let before = start(&world);
    world.pass(20).await;
    assert_eq!(start(&world), before, "nobody told us");
    assert_eq!(world.knock(axum::http::Method::POST, "/api/v1/sync", "").await.0, 202);
    world.pass(2).await;
    assert_right(&world).await;
}
