//! Tokens (T1, T3 to T6).

use axum::http::Method;
use serde_json::json;

use super::assert_right;
use crate::simulation::world::{Beginning, World};

#[tokio::test(start_paused = true)]
async fn graph_t1_a_wrong_secret_books_nothing_until_the_file_is_right() {
    let mut world = World::new(Beginning::default());
    std::fs::write(&world.secret_file, "wrong").unwrap();
    world.start_connector().await;
    world.book(json!({})).await;
    world.pass(600).await;
    assert!(world.bookings().is_empty());
    std::fs::write(&world.secret_file, &world.tenant.client_secret).unwrap();
    world.pass(70).await;
    world.assert_alive();
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_t3_short_lives_and_refused_tokens_cost_nothing_but_requests() {
    let world = World::start(Beginning::default()).await;
    world.faults(json!({"token_seconds": 20, "refused_tokens": 0.3})).await;
    for number in 0..10 {
        world.book(json!({"subject": format!("Meeting {number}")})).await;
        world.pass(90).await;
    }
    world.faults(json!({"refused_tokens": 0.0})).await;
    world.pass(300).await;
    assert_eq!(world.bookings().len(), 10);
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_t4_a_refused_token_is_replaced_at_once() {
    let world = World::start(Beginning::default()).await;
    world.faults(json!({"refused_tokens": 0.2})).await;
    world.book(json!({})).await;
    world.pass(60).await;
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_t5_a_secret_is_rotated_without_a_restart() {
    let world = World::start(Beginning::default()).await;
    world.control(Method::POST, "/secret", json!({"client_secret": "the next one"})).await;
    world.book(json!({})).await;
    world.pass(10).await;
    assert_right(&world).await;
    // The token is over, and the file still holds the old secret.
    world.pass(4000).await;
    let key = world.book(json!({"subject": "Late"})).await;
    world.pass(60).await;
    assert_eq!(world.bookings().len(), 1, "what was booked stays");
    std::fs::write(&world.secret_file, "the next one").unwrap();
    world.pass(120).await;
    assert_eq!(world.bookings().len(), 2, "{key}");
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_t6_a_login_that_answers_with_a_page_is_asked_again() {
    let world = World::start(Beginning::default()).await;
    world.faults(json!({"broken_logins": 0.8, "token_seconds": 30})).await;
    world.book(json!({})).await;
    world.pass(1200).await;
    assert_right(&world).await;
}
