//! Subscriptions and notifications (N1 to N9).

use axum::http::Method;
use serde_json::{Value, json};

use super::{assert_right, start};
use crate::simulation::world::{ANNA, Beginning, World};

/// Shorter than the look that finds what nobody told.
const SOON: u64 = 60;

async fn made(world: &World) -> usize {
    let is = |one: &&Value| one["method"] == "POST" && one["status"] == 201;
    world.journal("requests").await.iter().filter(is).count()
}

/// A change arrives by notification, not by looking.
async fn assert_told(world: &World, key: &str) {
    world.change(key, json!({"start": world.in_hours(11)})).await;
    world.pass(SOON).await;
    assert_right(world).await;
    world.change(key, json!({"start": world.in_hours(12)})).await;
    world.pass(SOON).await;
    assert_right(world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_n1_every_mailbox_is_subscribed_by_the_handshake() {
    let world = World::start(Beginning::default()).await;
    assert_eq!(made(&world).await, 4);
    let attempts = world.journal("notifications").await;
    let handshakes: Vec<_> = attempts.iter().filter(|one| one["kind"] == "validation").collect();
    assert_eq!(handshakes.len(), 8, "both URLs of each");
    assert!(handshakes.iter().all(|one| one["status"] == 200));
}

#[tokio::test(start_paused = true)]
async fn graph_n1_a_subscription_of_an_earlier_life_makes_way() {
    let mut world = World::start(Beginning::default()).await;
    world.kill_connector().await;
    world.lose_store();
    world.start_connector().await;
    let key = world.book(json!({})).await;
    world.pass(SOON).await;
    assert_eq!(made(&world).await, 8);
    assert_told(&world, &key).await;
}

#[tokio::test(start_paused = true)]
async fn graph_n2_subscriptions_are_renewed_before_they_end() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({"start": world.in_hours(400)})).await;
    world.pass(8 * 86_400).await;
    assert_eq!((made(&world).await, world.asked("PATCH", "/subscriptions/").await), (4, 8));
    world.change(&key, json!({"start": world.in_hours(300)})).await;
    world.pass(SOON).await;
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_n2_where_no_subscription_is_to_be_had_mailboxes_are_looked_at() {
    let mut world = World::new(Beginning::default());
    world.faults(json!({"refused_subscriptions": 1.0})).await;
    world.start_connector().await;
    world.pass(5).await;
    let key = world.book(json!({})).await;
    world.pass(70).await;
    assert_right(&world).await;
    world.faults(json!({"refused_subscriptions": 0.0})).await;
    world.pass(120).await;
    assert_told(&world, &key).await;
}

#[tokio::test(start_paused = true)]
async fn graph_n3_one_post_may_tell_of_several_mailboxes() {
    let world = World::start(Beginning::default()).await;
    world.faults(json!({"late_notifications": 1.0, "late_notification_seconds": 1})).await;
    for organizer in [ANNA, "bernd@contoso.example", "clara@contoso.example"] {
        world.book(json!({"mailbox": organizer, "attendees": []})).await;
    }
    world.pass(SOON).await;
    let mixed = world.journal("notifications").await.iter().any(|one| one["notifications"].as_u64() > Some(2));
    assert!(mixed, "they come together");
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_n4_twice_out_of_order_late_or_never() {
    let world = World::start(Beginning::default()).await;
    world
        .faults(json!({"duplicate_notifications": 0.6, "late_notifications": 0.6, "late_notification_seconds": 14_400,
            "lost_notifications": 0.3}))
        .await;
    let mut keys = Vec::new();
    for number in 0..6 {
        keys.push(world.book(json!({"subject": format!("Meeting {number}"), "start": world.in_hours(30)})).await);
        world.pass(20).await;
    }
    world.pass(300).await;
    let mails = world.mail.arrived().len();
    assert_right(&world).await;
    world.delete(&keys[0]).await;
    for key in &keys[1..] {
        world.change(key, json!({"start": world.in_hours(40)})).await;
    }
    world.pass(5 * 3600).await;
    assert_right(&world).await;
    assert_eq!(world.mail.arrived().len(), mails + 5 * 3, "one letter for each change and person");
}

#[tokio::test(start_paused = true)]
async fn graph_n4_a_burst_costs_a_few_rounds() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({})).await;
    world.pass(SOON).await;
    let before = world.asked("GET", "/delta").await;
    for number in 0..500 {
        world.change(&key, json!({"subject": format!("Subject {number}")})).await;
    }
    world.pass(SOON).await;
    assert_eq!(world.booking().title, "Subject 499");
    let rounds = world.asked("GET", "/delta").await - before;
    assert!(rounds < 20, "{rounds} rounds for 500 notifications of three mailboxes");
}

#[tokio::test(start_paused = true)]
async fn graph_n5_whoever_was_dropped_looks_at_everything_when_told() {
    let mut world = World::start(Beginning::default()).await;
    let key = world.book(json!({"start": world.in_hours(48)})).await;
    world.pass(SOON).await;
    world.kill_connector().await;
    for number in 0..30 {
        world.change(&key, json!({"subject": format!("Subject {number}")})).await;
        world.pass(10).await;
    }
    world.start_connector().await;
    world.change(&key, json!({"start": world.in_hours(50)})).await;
    world.pass(700).await;
    let attempts = world.journal("notifications").await;
    assert!(attempts.iter().any(|one| one["kind"] == "dropped"));
    assert_right(&world).await;
    assert_told(&world, &key).await;
}

#[tokio::test(start_paused = true)]
async fn graph_n6_lifecycle_events_are_cared_for() {
    for event in ["reauthorizationRequired", "subscriptionRemoved", "missed", "somethingNew"] {
        let world = World::start(Beginning::default()).await;
        let key = world.book(json!({})).await;
        world.pass(SOON).await;
        // What happens now nobody hears of, but for the lifecycle event.
        world.faults(json!({"lost_notifications": 1.0})).await;
        world.change(&key, json!({"start": world.in_hours(9)})).await;
        world.faults(json!({"lost_notifications": 0.0})).await;
        world.control(Method::POST, "/lifecycle", json!({"mailbox": ANNA, "event": event})).await;
        world.pass(SOON).await;
        assert_right(&world).await;
        assert_told(&world, &key).await;
    }
}

#[tokio::test(start_paused = true)]
async fn graph_n6_whoever_asks_for_authorization_gets_it() {
    let mut world = World::new(Beginning::default());
    world.faults(json!({"reauthorization_minutes": 7})).await;
    world.start_connector().await;
    let key = world.book(json!({"start": world.in_hours(48)})).await;
    world.pass(3 * 3600).await;
    assert_told(&world, &key).await;
}

#[tokio::test(start_paused = true)]
async fn graph_n7_a_forged_notification_does_nothing() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({})).await;
    world.pass(SOON).await;
    world.faults(json!({"lost_notifications": 1.0})).await;
    world.change(&key, json!({"start": world.in_hours(9)})).await;
    let (before, requests) = (start(&world), world.journal("requests").await.len());
    let listed = world.keep().subscription(&dialroom_booking::EmailAddress::parse(ANNA).unwrap()).unwrap().unwrap();
    for (id, state) in [
        (listed.id.as_str(), "wrong"),
        ("00000000-0000-0000-0000-000000000000", &listed.client_state),
        (&listed.id, ""),
    ] {
        let forged = json!({"value": [{"subscriptionId": id, "clientState": state, "changeType": "updated",
            "tenantId": "another", "resource": "Users/x/Events/y", "resourceData": {"id": "y"}}]});
        assert_eq!(world.knock(Method::POST, "/graph/notifications", &forged.to_string()).await.0, 202);
    }
    let token = "/graph/notifications?validationToken=%3Cscript%3E";
    assert_eq!(world.knock(Method::POST, token, "").await, (200, json!("<script>")));
    world.pass(5).await;
    assert_eq!((start(&world), world.journal("requests").await.len()), (before, requests));
    assert_eq!(world.metrics.forged_notifications.value(), 3);
    // The right secret is believed, whatever tenant the notification names: it is a hint and nothing more.
    let hint =
        json!({"value": [{"subscriptionId": listed.id, "clientState": listed.client_state, "tenantId": "another"}]});
    assert_eq!(world.knock(Method::POST, "/graph/notifications", &hint.to_string()).await.0, 202);
    world.pass(5).await;
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_n8_notifications_of_what_is_gone_or_not_ours_to_see() {
    let world = World::start(Beginning::default()).await;
    world.faults(json!({"late_notifications": 1.0, "late_notification_seconds": 20})).await;
    let key = world.book(json!({})).await;
    world.delete(&key).await;
    world.book(json!({"subject": "Other", "mailbox": "david@contoso.example"})).await;
    world.control(Method::POST, "/access", json!({"mailbox": "clara@contoso.example", "in_scope": false})).await;
    world.book(json!({"subject": "Unseen", "mailbox": "clara@contoso.example"})).await;
    world.pass(SOON).await;
    assert!(world.bookings().is_empty());
}

#[tokio::test(start_paused = true)]
async fn graph_n9_an_hour_of_nobody_at_home_then_all_at_once() {
    let mut world = World::start(Beginning::default()).await;
    let key = world.book(json!({"start": world.in_hours(48)})).await;
    world.pass(SOON).await;
    world.kill_connector().await;
    for number in 0..8 {
        world.change(&key, json!({"start": world.in_hours(40 + number)})).await;
        world.pass(450).await;
    }
    world.start_connector().await;
    world.pass(SOON).await;
    assert_right(&world).await;
    let mails = world.mail.arrived().len();
    world.pass(4 * 3600).await;
    assert_eq!(world.mail.arrived().len(), mails, "what is repeated for hours says nothing new");
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_was_acknowledged_survives_a_kill() {
    for pause_ms in [0, 1, 5, 50, 150] {
        let mut world = World::start(Beginning::default()).await;
        let key = world.book(json!({})).await;
        world.pass(SOON).await;
        world.faults(json!({"late_answers_ms": 40})).await;
        world.change(&key, json!({"start": world.in_hours(9)})).await;
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
        world.kill_connector().await;
        // Graph takes it as told and says nothing more.
        world.faults(json!({"lost_notifications": 1.0})).await;
        world.pass(5).await;
        world.start_connector().await;
        world.pass(SOON).await;
        assert_right(&world).await;
    }
}
