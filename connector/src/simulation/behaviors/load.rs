//! Limits and failures (L1, L2, L4, L5).

use serde_json::json;

use super::assert_right;
use crate::simulation::world::{ANNA, Beginning, World};

async fn busy(world: &World) {
    let mut keys = Vec::new();
    for number in 0..8 {
        let organizer = if number % 2 == 0 { ANNA } else { "bernd@contoso.example" };
        keys.push(world.book(json!({"mailbox": organizer, "subject": format!("Meeting {number}")})).await);
        world.pass(3).await;
    }
    for key in &keys[..4] {
        world.change(key, json!({"start": world.in_hours(7)})).await;
        world.pass(3).await;
    }
    world.delete(&keys[7]).await;
}

/// Everything is booked, changed and told once in the end, whatever happened to requests.
async fn survives(faults: serde_json::Value) {
    let world = World::start(Beginning::default()).await;
    let names: Vec<_> = faults.as_object().unwrap().keys().cloned().collect();
    world.faults(faults).await;
    busy(&world).await;
    world.pass(900).await;
    world.faults(names.iter().map(|name| (name.clone(), json!(0.0))).collect()).await;
    world.pass(600).await;
    assert_eq!(world.bookings().iter().filter(|one| one.state == dialroom_booking::BookingState::Active).count(), 7);
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_l1_throttling_is_waited_out_to_the_letter() {
    // `problems`, asked at the end, counts every request that came before its Retry-After was over.
    survives(json!({"throttled": 0.4})).await;
}

#[tokio::test(start_paused = true)]
async fn graph_l1_never_more_than_four_at_a_time() {
    let world = World::start(Beginning::default()).await;
    world.faults(json!({"late_answers_ms": 500})).await;
    busy(&world).await;
    world.pass(600).await;
    let refused = world.journal("requests").await.iter().filter(|one| one["status"] == 429).count();
    assert_eq!(refused, 0);
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_l2_errors_of_every_kind_are_survived() {
    survives(json!({"server_errors": 0.4})).await;
}

#[tokio::test(start_paused = true)]
async fn graph_l2_a_deed_without_an_answer_is_done_once() {
    survives(json!({"lost_answers": 0.4})).await;
}

#[tokio::test(start_paused = true)]
async fn graph_l4_answers_that_break_off_are_asked_for_again() {
    survives(json!({"cut_answers": 0.4})).await;
}

#[tokio::test(start_paused = true)]
async fn graph_l5_without_graph_for_hours_every_line_stays_and_then_follows() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({"start": world.in_hours(20)})).await;
    world.pass(5).await;
    let before = world.booking();
    world.faults(json!({"away": true})).await;
    world.change(&key, json!({"start": world.in_hours(30)})).await;
    world.pass(6 * 3600).await;
    assert_eq!(*world.booking(), *before);
    let asked = world.journal("requests").await.len();
    assert!(asked < 4 * 6 * 60 * 6, "{asked} requests: nobody storms a service that is away");
    world.faults(json!({"away": false})).await;
    world.pass(90).await;
    assert_right(&world).await;
}
