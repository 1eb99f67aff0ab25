//! `GET /api/v1/why`: the story of an appointment.

use axum::http::Method;
use serde_json::{Value, json};

use super::world::{Beginning, World};

async fn why(world: &World, wanted: &str) -> (u16, Value) {
    let wanted = percent_encoding::utf8_percent_encode(wanted, percent_encoding::NON_ALPHANUMERIC);
    world.knock(Method::GET, &format!("/api/v1/why?appointment={wanted}"), "").await
}

#[tokio::test(start_paused = true)]
async fn a_meeting_tells_what_was_seen_and_what_followed() {
    let mut world = World::start(Beginning::default()).await;
    let key = world.book(json!({})).await;
    world.pass(5).await;
    world.faults(json!({"lost_notifications": 1.0})).await;
    world.change(&key, json!({"start": world.in_hours(9)})).await;
    world.pass(400).await;
    world.change(&key, json!({"categories": []})).await;
    world.pass(1).await;
    assert_eq!(world.knock(Method::POST, "/api/v1/sync", "").await.0, 202);
    world.pass(5).await;
    let booking = world.booking();
    let (status, told) = why(&world, "budget REVIEW").await;
    assert_eq!(status, 200);
    let story = &told["appointments"][0];
    assert_eq!((story["booking"].as_str(), story["state"].as_str()), (Some(booking.id.as_str()), Some("line-closed")));
    let decisions = story["decisions"].as_array().unwrap();
    let seen: Vec<_> =
        decisions.iter().map(|one| (one["seen_by"].as_str().unwrap(), one["revision"].as_u64().unwrap())).collect();
    assert_eq!(seen, [("asked", 3), ("look", 2), ("notice", 1)]);
    assert!(decisions[0]["says"].as_str().unwrap().contains("the mark is gone"));
    assert_eq!(decisions[2]["rule"]["rule"]["category"], "Telephone conference");
    let mails = decisions[1]["mails"].as_array().unwrap();
    assert!(
        mails.len() == 3 && mails.iter().all(|one| one["state"] == "accepted" && one["kind"] == "what has changed")
    );
    let record = json!({"n": 7, "conference": {"booking": booking.id, "original_start": "2026-11-23T12:00:00Z"}});
    let mut batch = dialroom_host::Batch::default();
    crate::store::put_call(&mut batch, 1, record.to_string().as_bytes());
    crate::store::put_call(&mut batch, 2, br#"{"n":8,"conference":null}"#);
    crate::store::put_calls_mark(&mut batch, crate::store::CallsMark { theirs: 8, ours: 2 });
    world.keep().commit(batch).await.unwrap();
    assert_eq!(why(&world, &booking.uid).await.1["appointments"][0]["calls"], json!([record]));
    let text = told.to_string();
    assert!(!text.contains(booking.pins.participant.expose()) && !text.contains(booking.pins.moderator.expose()));
    // By every name it has, and after a restart.
    world.kill_connector().await;
    world.start_connector().await;
    world.pass(5).await;
    let dialroom_booking::Origin::Graph { event, .. } = &booking.origin else { panic!("of a calendar") };
    for name in [booking.id.as_str(), &booking.uid, event] {
        let (_, again) = why(&world, name).await;
        assert_eq!(again["appointments"][0]["decisions"], story["decisions"], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_meeting_without_a_line_says_what_is_missing() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({"categories": []})).await;
    world.pass(5).await;
    let shown = world.control(Method::PATCH, &format!("/events/{key}"), json!({})).await;
    for name in ["immutable_id", "iCalUId"] {
        let (status, told) = why(&world, shown[name].as_str().unwrap()).await;
        let says = told["appointments"].as_array().unwrap().iter().map(|one| one["seen_since"]["says"].to_string());
        assert!(status == 200 && says.into_iter().any(|says| says.contains("no [[rule]] makes it ours")), "{told}");
    }
    let (status, told) = why(&world, "never heard of").await;
    assert!(status == 404 && told["detail"].as_str().unwrap().contains("graph.mailboxes"));
    assert_eq!(why(&world, " ").await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_one_meeting_is_bounded() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({"recurrence": {"pattern": "daily", "count": 200}})).await;
    world.pass(5).await;
    for number in 0..30 {
        world.change(&key, json!({"start": world.in_hours(4 + number % 3)})).await;
        world.pass(5).await;
    }
    let (_, told) = why(&world, world.booking().id.as_str()).await;
    let decisions = told["appointments"][0]["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), crate::trace::MAX_STEPS);
    assert!(told.to_string().len() < 100_000);
}
