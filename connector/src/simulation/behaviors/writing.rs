//! What people and others write (W8, W10 to W12); the connector itself writes nothing.

use axum::http::Method;
use serde_json::{Value, json};

use super::{assert_right, start};
use crate::simulation::attendees::calendar_of;
use crate::simulation::world::{ANNA, BERND, Beginning, EVA, World};

#[tokio::test(start_paused = true)]
async fn graph_w1_to_w7_nothing_is_ever_written_to_a_meeting() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({"online": true})).await;
    world.pass(30).await;
    world.change(&key, json!({"start": world.in_hours(9)})).await;
    world.pass(30).await;
    // `problems` counts every write; and the meeting is still an online one.
    assert_right(&world).await;
    assert!(world.journal("losses").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn graph_w8_what_exchange_touches_by_itself_is_no_change() {
    let world = World::start(Beginning::default()).await;
    world.faults(json!({"tracking_seconds": 4})).await;
    let key = world.book(json!({})).await;
    world.pass(60).await;
    let (revision, mails) = (world.booking().revision, world.mail.arrived().len());
    assert_eq!((revision, mails), (1, 3));
    world
        .control(Method::POST, &format!("/events/{key}/respond"), json!({"address": BERND, "response": "accepted"}))
        .await;
    world.pass(60).await;
    assert_eq!(world.mail.arrived().len(), mails, "an answer is written to nobody");
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_w9_a_block_that_somebody_takes_out_closes_the_line_and_brings_it_back() {
    let world = World::start(Beginning::default()).await;
    let block = "<p>Agenda</p><div id=\"dialroom-block\">88</div>";
    let key = world.book(json!({"categories": [], "body_html": block})).await;
    world.pass(5).await;
    let before = world.booking();
    world.change(&key, json!({"body_html": "<p>Agenda</p>"})).await;
    world.pass(5).await;
    assert_eq!(world.booking().state, dialroom_booking::BookingState::LineClosed);
    world.change(&key, json!({"body_html": format!("<p>First</p>{block}<div id='other-block'>x</div>")})).await;
    world.pass(5).await;
    let after = world.booking();
    assert_eq!((after.room, &after.pins, after.state), (before.room, &before.pins, before.state));
}

#[tokio::test(start_paused = true)]
async fn graph_w10_what_an_attendee_does_with_his_copy_is_his_own() {
    let world = World::start(Beginning::default()).await;
    world.book(json!({})).await;
    world.pass(5).await;
    let (before, mails) = (start(&world), world.mail.arrived().len());
    let week = "/calendar?mailbox=bernd@contoso.example&from=2026-11-23T00:00:00Z&to=2026-12-23T00:00:00Z";
    let copy = world.control(Method::GET, week, Value::Null).await["events"][0].clone();
    assert_eq!(copy["is_organizer"], false);
    let key = copy["key"].as_str().unwrap();
    world.change(key, json!({"start": world.in_hours(40), "categories": ["Telephone conference"]})).await;
    world.pass(400).await;
    world.delete(key).await;
    world.pass(400).await;
    assert_eq!((start(&world), world.mail.arrived().len()), (before, mails));
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_w11_a_guest_who_opens_our_mail_has_one_entry_with_the_organizers_text() {
    for unreadable in [false, true] {
        let world = World::start(Beginning::default()).await;
        world.faults(json!({"sequence_unreadable": unreadable})).await;
        let key = world.book(json!({"body": "Bring the figures of October."})).await;
        world.pass(5).await;
        world.change(&key, json!({"start": world.in_hours(8)})).await;
        world.pass(5).await;
        world.change(&key, json!({"attendees": [BERND, EVA, ANNA]})).await;
        world.pass(5).await;
        let ours = world.mail.to(EVA);
        assert!(ours.iter().all(|one| one.ics.as_ref().unwrap().contains("figures of October")));
        let calendar = calendar_of(EVA, &world.journal("mails").await, &ours);
        assert_eq!(calendar.len(), 1);
        assert_right(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn graph_w12_our_sequence_is_the_calendars_own_or_lower() {
    for (unreadable, expected) in [(false, "SEQUENCE:2"), (true, "SEQUENCE:0")] {
        let world = World::start(Beginning::default()).await;
        world.faults(json!({"sequence_unreadable": unreadable})).await;
        let key = world.book(json!({})).await;
        for hours in [6, 9] {
            world.pass(5).await;
            world.change(&key, json!({"start": world.in_hours(hours)})).await;
        }
        world.pass(5).await;
        let last = world.mail.to(EVA).pop().unwrap();
        assert!(last.ics.unwrap().lines().any(|line| line.trim_end() == expected));
    }
}
