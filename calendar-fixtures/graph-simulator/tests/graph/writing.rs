//! What clients write (W2, W4 to W6, W10), rounds side by side (D8), and the mailbox' owner (A3).

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::World;
use crate::{MARK, WINDOW, kinds, path};

async fn patch_if(world: &World, event: &str, etag: &str, change: Value) -> StatusCode {
    let request = world.http.patch(format!("{}/v1.0{event}", world.simulator.base_url)).bearer_auth(&world.token);
    request.header("if-match", etag).json(&change).send().await.unwrap().status()
}

#[tokio::test]
async fn graph_w2_a_change_to_a_state_that_is_over_is_refused() {
    let world = World::start().await;
    let booked = world.book(json!({})).await;
    let event = path("anna@contoso.example", &booked["id"]);
    let etag = world.get(&event).await["@odata.etag"].as_str().unwrap().to_owned();
    assert_eq!(patch_if(&world, &event, &etag, json!({"subject": "First"})).await, StatusCode::OK);
    assert_eq!(patch_if(&world, &event, &etag, json!({"subject": "Second"})).await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(world.get(&event).await["subject"], "First");
    world.faults(json!({"spontaneous_conflicts": 1.0})).await;
    let refused = world.send(Method::PATCH, &event, "", Some(json!({"subject": "Third"}))).await;
    assert_eq!(refused.body["error"]["code"], "ErrorIrresolvableConflict");
}

#[tokio::test]
async fn graph_w4_a_body_without_the_teams_block_loses_the_online_meeting() {
    let world = World::start().await;
    let booked = world.book(json!({"online": true, "body": "Agenda"})).await;
    let event = path("anna@contoso.example", &booked["id"]);
    let body = world.get(&event).await["body"]["content"].as_str().unwrap().to_owned();
    let kept = json!({"body": {"contentType": "html", "content": body.replace("Agenda", "Agenda, changed")}});
    assert_eq!(world.send(Method::PATCH, &event, "", Some(kept)).await.body["isOnlineMeeting"], true);
    assert!(world.journal("losses").await.is_empty());
    let careless = json!({"body": {"contentType": "html", "content": "<p>Agenda</p>"}});
    assert_eq!(world.send(Method::PATCH, &event, "", Some(careless)).await.body["isOnlineMeeting"], false);
    assert_eq!(world.journal("losses").await.len(), 1);
}

#[tokio::test]
async fn graph_w5_a_deed_may_be_done_although_nobody_hears_of_it() {
    let world = World::start().await;
    let booked = world.book(json!({})).await;
    let event = path("anna@contoso.example", &booked["id"]);
    world.faults(json!({"lost_answers": 1.0})).await;
    let answer = world.send(Method::PATCH, &event, "", Some(json!({"subject": "Done"}))).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    world.faults(json!({"lost_answers": 0.0})).await;
    assert_eq!(world.get(&event).await["subject"], "Done");
    let time = |text: &str| json!({"dateTime": text, "timeZone": "UTC"});
    let wanted = json!({"subject": "Once", "transactionId": "t-1", "start": time("2026-11-27T09:00:00"), "end": time("2026-11-27T10:00:00")});
    let [one, other] = [wanted.clone(), wanted]
        .map(|wanted| world.send(Method::POST, "/users/anna@contoso.example/events", "", Some(wanted)));
    assert_eq!(one.await.body["id"], other.await.body["id"], "the same transaction makes no second event");
}

#[tokio::test]
async fn graph_w6_an_occurrence_does_not_cross_its_neighbours() {
    let world = World::start().await;
    let booked = world.book(json!({"recurrence": {"pattern": "daily", "count": 3}})).await;
    let dates = world.round(WINDOW).await.0;
    let second = path("anna@contoso.example", &dates[2]["id"]);
    let time = |text: &str| json!({"dateTime": text, "timeZone": "UTC"});
    let jump = json!({"start": time("2026-11-28T09:00:00"), "end": time("2026-11-28T09:30:00")});
    let refused = world.send(Method::PATCH, &second, "", Some(jump)).await;
    assert_eq!(refused.body["error"]["code"], "ErrorOccurrenceCrossingBoundary", "{booked}");
    let near = json!({"start": time("2026-11-27T15:00:00"), "end": time("2026-11-27T15:30:00")});
    assert_eq!(world.send(Method::PATCH, &second, "", Some(near)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn graph_w10_an_attendees_change_stays_in_his_mailbox() {
    let world = World::start().await;
    let booked = world.book(json!({})).await;
    let list = world.get("/users/bernd@contoso.example/events").await;
    let copy = path("bernd@contoso.example", &list["value"][0]["id"]);
    let mails = world.journal("mails").await.len();
    world.send(Method::PATCH, &copy, "", Some(json!({"subject": "Mine"}))).await;
    assert_eq!(world.get(&path("anna@contoso.example", &booked["id"])).await["subject"], "Budget review");
    assert_eq!(world.journal("mails").await.len(), mails);
}

#[tokio::test]
async fn graph_d8_two_rounds_side_by_side_do_not_disturb_each_other() {
    let world = World::start().await;
    world.book(json!({})).await;
    let (_, one) = world.round(WINDOW).await;
    world.book(json!({"subject": "Second"})).await;
    let (_, other) = world.round(WINDOW).await;
    world.book(json!({"subject": "Third"})).await;
    assert_eq!(kinds(&world.round(&one).await.0), ["singleInstance"; 2]);
    assert_eq!(kinds(&world.round(&other).await.0), ["singleInstance"]);
    assert_eq!(kinds(&world.round(&one).await.0), ["singleInstance"; 2], "a token may be used again");
}

#[tokio::test]
async fn graph_a3_a_grant_to_read_writes_nothing() {
    let world = World::start().await;
    let booked = world.book(json!({})).await;
    let event = path("anna@contoso.example", &booked["id"]);
    world.faults(json!({"read_only": true})).await;
    let refused = world.send(Method::PATCH, &event, "", Some(json!({"subject": "x"}))).await;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (StatusCode::FORBIDDEN, &json!("ErrorAccessDenied")));
    world.get(&event).await;
    assert_eq!(world.send(Method::GET, "/me", "", None).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn graph_x2_a_copy_carries_the_marks_and_is_a_meeting_of_its_own() {
    let world = World::start().await;
    let booked = world.book(json!({"property": true})).await;
    let copy = format!("/events/{}/copy", booked["key"].as_str().unwrap());
    let copy = world.control(Method::POST, &copy, json!({"start": "2026-11-30T09:00:00Z"})).await;
    assert_ne!(copy["iCalUId"], booked["iCalUId"]);
    let event = world.get(&format!("{}?{}", path("anna@contoso.example", &copy["id"]), crate::expand(MARK))).await;
    assert_eq!(event["singleValueExtendedProperties"][0]["value"], "{\"telephone\":true}");
}
