//! What the application may see (A1 to A5).

use axum::http::Method;
use dialroom_booking::BookingState;
use serde_json::{Value, json};

use super::{assert_right, start};
use crate::simulation::world::{ANNA, BERND, Beginning, World};

async fn access(world: &World, mailbox: &str, change: Value) {
    let mut wanted = json!({"mailbox": mailbox});
    for (name, value) in change.as_object().unwrap() {
        wanted[name] = value.clone();
    }
    world.control(Method::POST, "/access", wanted).await;
}

/// Anna's mailbox cannot be read for hours; her line stays as it was, and follows once it can.
async fn stays_and_follows(gone: Value, back: Value) {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({})).await;
    world.pass(5).await;
    let before = world.booking();
    access(&world, ANNA, gone).await;
    // While it cannot be seen it may not be told apart from what is gone.
    world.change(&key, json!({"start": world.in_hours(30)})).await;
    world.pass(3 * 3600).await;
    let unseen = world.booking();
    assert_eq!((unseen.state, unseen.revision), (BookingState::Active, before.revision));
    access(&world, ANNA, back).await;
    world.pass(600).await;
    assert!(start(&world) > before.occurrences.values().next().unwrap().window.start());
    assert_eq!((world.booking().room, &world.booking().pins), (before.room, &before.pins));
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_a1_a_mailbox_that_leaves_the_scope_keeps_its_lines() {
    stays_and_follows(json!({"in_scope": false}), json!({"in_scope": true})).await;
}

#[tokio::test(start_paused = true)]
async fn graph_a1_the_scope_may_change_in_the_middle_of_a_round() {
    let world = World::start(Beginning::default()).await;
    for number in 0..4 {
        world.book(json!({"subject": format!("Meeting {number}")})).await;
    }
    world.pass(10).await;
    world.faults(json!({"page_size": 1, "late_answers_ms": 700})).await;
    access(&world, ANNA, json!({"in_scope": false, "after_seconds": 2})).await;
    let (status, _) = world.knock(Method::POST, "/api/v1/sync", "").await;
    assert_eq!(status, 202);
    world.pass(1800).await;
    assert!(world.bookings().iter().all(|one| one.state == BookingState::Active) && world.bookings().len() == 4);
    access(&world, ANNA, json!({"in_scope": true, "after_seconds": 1800})).await;
    world.pass(3600).await;
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_a2_a_mailbox_that_is_switched_off_keeps_its_lines() {
    stays_and_follows(json!({"has_mailbox": false}), json!({"has_mailbox": true})).await;
}

#[tokio::test(start_paused = true)]
async fn graph_a2_a_user_without_mailbox_is_no_reason_to_stop() {
    let mut world = World::new(Beginning::default());
    access(&world, BERND, json!({"has_mailbox": false})).await;
    world.start_connector().await;
    world.pass(30).await;
    world.book(json!({})).await;
    world.pass(30).await;
    world.assert_alive();
    assert_right(&world).await;
    access(&world, BERND, json!({"has_mailbox": true})).await;
    world.pass(120).await;
    world.book(json!({"mailbox": BERND, "attendees": [ANNA]})).await;
    world.pass(30).await;
    assert_eq!(world.bookings().len(), 2);
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_a3_the_right_to_read_is_enough() {
    let world = World::start(Beginning::default()).await;
    world.faults(json!({"read_only": true})).await;
    let key = world.book(json!({})).await;
    world.pass(5).await;
    world.change(&key, json!({"start": world.in_hours(6)})).await;
    world.pass(5).await;
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_a4_a_user_who_is_deleted_takes_no_line_along() {
    stays_and_follows(json!({"exists": false}), json!({"exists": true})).await;
}

#[tokio::test(start_paused = true)]
async fn graph_a4_a_user_deleted_in_the_middle_of_a_round_takes_no_line_along() {
    let world = World::start(Beginning::default()).await;
    for number in 0..4 {
        world.book(json!({"subject": format!("Meeting {number}")})).await;
    }
    world.pass(10).await;
    world.faults(json!({"late_answers_ms": 700})).await;
    for seconds in [1, 2, 3] {
        world.set(|_| {});
        access(&world, ANNA, json!({"exists": false, "after_seconds": seconds})).await;
        world.pass(20).await;
        let touched = world.bookings().iter().filter(|one| one.revision != 1).count();
        assert_eq!((world.bookings().len(), touched), (4, 0), "gone after {seconds} s");
        access(&world, ANNA, json!({"exists": true})).await;
        world.pass(120).await;
    }
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_a5_nobody_asks_for_me() {
    let world = World::start(Beginning::default()).await;
    world.book(json!({})).await;
    world.pass(60).await;
    assert_eq!(world.asked("GET", "/me").await, 0);
}
