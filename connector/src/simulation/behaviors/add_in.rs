//! The add-in's mark (X1, X2).

use axum::http::Method;
use dialroom_booking::BookingState;
use serde_json::json;

use super::assert_right;
use crate::simulation::world::{Beginning, World};

const MAPI: &str = "String {00020329-0000-0000-C000-000000000046} Name cecp-";
const ADD_IN: &str = "7d5c1c1e-2f0e-4c53-9c8e-5f3c7f0f6a11";

async fn booked_by(id: &str, value: &str) -> bool {
    let world = World::start(Beginning::default()).await;
    let mut properties = serde_json::Map::new();
    properties.insert(format!("{MAPI}{id}"), json!(value));
    world.book(json!({"categories": [], "properties": properties})).await;
    world.pass(5).await;
    world.bookings().iter().any(|one| one.state == BookingState::Active)
}

#[tokio::test(start_paused = true)]
async fn graph_x1_the_mark_counts_in_either_case_and_in_every_size() {
    let long = format!("{{\"telephone\":true,\"note\":\"{}\"}}", "x".repeat(2_450));
    for value in ["{\"telephone\":true}", "{\"broken\":", &long] {
        assert!(booked_by(ADD_IN, value).await, "{value:.30}");
        assert!(booked_by(&ADD_IN.to_uppercase(), value).await, "in capitals: {value:.30}");
    }
    for value in ["null", "{}", "", "  ", "false"] {
        assert!(!booked_by(ADD_IN, value).await, "{value:?}");
    }
    assert!(!booked_by("00000000-0000-0000-0000-000000000000", "{\"a\":1}").await, "another add-in");
}

#[tokio::test(start_paused = true)]
async fn graph_x1_a_mark_that_comes_after_the_meeting_is_found() {
    let world = World::start(Beginning::default()).await;
    world.faults(json!({"property_delay_seconds": 90})).await;
    let key = world.book(json!({"categories": [], "property": true})).await;
    world.pass(60).await;
    assert!(world.bookings().is_empty());
    world.pass(60).await;
    assert_eq!(world.booking().state, BookingState::Active);
    world.change(&key, json!({"property": false})).await;
    world.pass(120).await;
    assert_eq!(world.booking().state, BookingState::LineClosed);
}

#[tokio::test(start_paused = true)]
async fn graph_x2_a_copied_meeting_has_a_line_of_its_own() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({"property": true})).await;
    world.pass(5).await;
    let start = world.in_hours(4);
    world.control(Method::POST, &format!("/events/{key}/copy"), json!({"start": start})).await;
    world.pass(5).await;
    let bookings = world.bookings();
    assert_eq!(bookings.len(), 2);
    assert_ne!(bookings[0].room, bookings[1].room);
    assert_ne!(bookings[0].pins, bookings[1].pins);
    world.delete(&key).await;
    world.pass(5).await;
    let active = world.bookings().iter().filter(|one| one.state == BookingState::Active).count();
    assert_eq!(active, 1, "the copy lives on");
    assert_right(&world).await;
}
