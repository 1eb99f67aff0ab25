//! The simulated tenant, behaviour by behaviour. Every answer is held against the schemas of Graph v1.0.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

mod world;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Subscriber, World};

const WINDOW: &str = "/users/anna@contoso.example/calendarView/delta?startDateTime=2026-11-23T00:00:00Z&endDateTime=2026-12-23T00:00:00Z";
const SEQUENCE: &str = "Integer {00062002-0000-0000-C000-000000000046} Id 0x8201";
const MARK: &str = "String {00020329-0000-0000-C000-000000000046} Name cecp-7d5c1c1e-2f0e-4c53-9c8e-5f3c7f0f6a11";

fn path(user: &str, id: &Value) -> String {
    format!("/users/{user}/events/{}", utf8_percent_encode(id.as_str().unwrap(), NON_ALPHANUMERIC))
}

fn expand(property: &str) -> String {
    let option = format!("singleValueExtendedProperties($filter=id eq '{property}')");
    format!("$expand={}", utf8_percent_encode(&option, NON_ALPHANUMERIC))
}

fn kinds(events: &[Value]) -> Vec<&str> {
    let removed = |event: &Value| event.get("@removed").is_some();
    events.iter().map(|event| if removed(event) { "removed" } else { event["type"].as_str().unwrap() }).collect()
}

#[tokio::test]
async fn graph_t1_wrong_secret_scope_or_tenant_is_told_with_codes() {
    let world = World::start().await;
    let (status, body) = world.login("wrong", "https://graph.microsoft.com/.default").await;
    assert_eq!((status, body["error"].as_str()), (StatusCode::UNAUTHORIZED, Some("invalid_client")));
    assert!(body["error_description"].as_str().unwrap().starts_with("AADSTS7000215"));
    let (status, body) = world.login(&world.simulator.client_secret, "https://elsewhere.example/.default").await;
    assert_eq!((status, body["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_scope")));
}

#[tokio::test]
async fn graph_t3_a_token_ends_on_the_tenants_clock() {
    let world = World::start().await;
    world.advance(3598).await;
    world.get("/users/anna@contoso.example").await;
    world.advance(1).await;
    let answer = world.send(Method::GET, "/users/anna@contoso.example", "", None).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn graph_t4_a_bad_token_is_refused_with_a_challenge() {
    let mut world = World::start().await;
    world.token = "garbage".into();
    let answer = world.send(Method::GET, "/users", "", None).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.body["error"]["code"], "InvalidAuthenticationToken");
    assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
}

#[tokio::test]
async fn graph_r1_an_event_shows_what_was_selected_and_expanded() {
    let world = World::start().await;
    let booked = world.book(json!({"property": true})).await;
    let event =
        world.get(&format!("{}?$select=subject&{}", path("anna@contoso.example", &booked["id"]), expand(MARK))).await;
    assert_eq!(event["singleValueExtendedProperties"][0]["value"], "{\"telephone\":true}");
    assert_eq!((event["subject"].as_str(), event.get("start")), (Some("Budget review"), None));
    let plain = world.get(&path("anna@contoso.example", &booked["id"])).await;
    assert!(plain.get("singleValueExtendedProperties").is_none());
    let filter = utf8_percent_encode("singleValueExtendedProperties/Any(ep: ep/id eq '", NON_ALPHANUMERIC).to_string();
    let mark = utf8_percent_encode(MARK, NON_ALPHANUMERIC);
    let list = world
        .get(&format!("/users/anna@contoso.example/events?$filter={filter}{mark}%27%20and%20ep/value%20ne%20null)"))
        .await;
    assert_eq!(list["value"].as_array().unwrap().len(), 1);
    let answer = world.send(Method::GET, "/users/anna@contoso.example/events?$count=true", "", None).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn graph_r1_lists_come_in_pages_and_views_expand_series() {
    let world = World::start().await;
    world.book(json!({"recurrence": {"pattern": "daily", "count": 12}})).await;
    let view = "/users/anna@contoso.example/calendarView?startDateTime=2026-11-23T00:00:00Z&endDateTime=2026-12-23T00:00:00Z&$select=subject,start";
    let first = world.get(view).await;
    assert_eq!(first["value"].as_array().unwrap().len(), 10);
    let second = world.get(first["@odata.nextLink"].as_str().unwrap()).await;
    assert_eq!(second["value"].as_array().unwrap().len(), 2);
    assert!(second.get("@odata.nextLink").is_none());
    let masters = world.get("/users/anna@contoso.example/events").await;
    assert_eq!(kinds(masters["value"].as_array().unwrap()), ["seriesMaster"]);
}

#[tokio::test]
async fn graph_r2_ids_come_in_two_forms_and_need_encoding() {
    let world = World::start().await;
    let (one, other) = (world.book(json!({"attendees": []})).await, world.book(json!({"attendees": []})).await);
    let (id, twin) = (one["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    assert!(id.contains('/') && id.contains('+') && id.ends_with('='));
    assert!(id != twin && id.eq_ignore_ascii_case(twin), "{id} {twin}");
    let answer =
        world.send(Method::GET, &path("anna@contoso.example", &one["id"]), "IdType=\"ImmutableId\"", None).await;
    assert_eq!(answer.body["id"], one["immutable_id"]);
    assert_eq!(answer.headers["preference-applied"], "IdType=\"ImmutableId\"");
}

#[tokio::test]
async fn graph_r3_every_change_changes_the_etag() {
    let world = World::start().await;
    let booked = world.book(json!({})).await;
    let before = world.get(&path("anna@contoso.example", &booked["id"])).await;
    assert_eq!(before["@odata.etag"], format!("W/\"{}\"", before["changeKey"].as_str().unwrap()));
    world
        .control(Method::PATCH, &format!("/events/{}", booked["key"].as_str().unwrap()), json!({"categories": []}))
        .await;
    let after = world.get(&path("anna@contoso.example", &booked["id"])).await;
    assert_ne!(before["@odata.etag"], after["@odata.etag"]);
}

#[tokio::test]
async fn graph_r4_times_have_seven_decimals_and_the_zone_asked_for() {
    let world = World::start().await;
    let booked = world.book(json!({})).await;
    let event = path("anna@contoso.example", &booked["id"]);
    let utc = world.get(&event).await;
    assert_eq!(utc["start"], json!({"dateTime": "2026-11-26T09:00:00.0000000", "timeZone": "UTC"}));
    assert_eq!(utc["originalStartTimeZone"], "W. Europe Standard Time");
    let local = world.send(Method::GET, &event, "outlook.timezone=\"Europe/Berlin\"", None).await.body;
    assert_eq!(local["start"], json!({"dateTime": "2026-11-26T10:00:00.0000000", "timeZone": "Europe/Berlin"}));
    let unknown = world.send(Method::GET, &event, "outlook.timezone=\"tzone://Microsoft/Custom\"", None).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn graph_d1_a_round_takes_no_select_and_its_window_is_frozen() {
    let world = World::start().await;
    world.book(json!({})).await;
    let (told, link) = world.round(WINDOW).await;
    assert_eq!(kinds(&told), ["singleInstance"]);
    assert!(world.round(&link).await.0.is_empty());
    let answer = world.send(Method::GET, &format!("{WINDOW}&$select=subject"), "", None).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let garbage =
        world.send(Method::GET, "/users/anna@contoso.example/calendarView/delta?$deltatoken=x", "", None).await;
    assert_eq!((garbage.status, &garbage.body["error"]["code"]), (StatusCode::GONE, &json!("SyncStateNotFound")));
}

#[tokio::test]
async fn graph_d1_pages_lose_nothing_when_something_changes_between_them() {
    let world = World::start().await;
    let mut booked = Vec::new();
    for _ in 0..25 {
        booked.push(world.book(json!({"attendees": []})).await);
    }
    world.faults(json!({"empty_pages": 1.0})).await;
    let empty = world.get(WINDOW).await;
    assert_eq!(empty["value"], json!([]));
    let page = world.get(empty["@odata.nextLink"].as_str().unwrap()).await;
    let last = booked[24]["key"].as_str().unwrap();
    world.control(Method::PATCH, &format!("/events/{last}"), json!({"subject": "Changed"})).await;
    let (rest, link) = world.round(page["@odata.nextLink"].as_str().unwrap()).await;
    let (later, _) = world.round(&link).await;
    assert_eq!(page["value"].as_array().unwrap().len() + rest.len() + later.len(), 25);
    assert_eq!(later[0]["subject"], "Changed");
}

#[tokio::test]
async fn graph_d2_a_series_is_told_whole_with_bare_dates() {
    let world = World::start().await;
    let series = world
        .book(json!({"start": "2026-11-02T10:00:00", "end": "2026-11-02T10:30:00",
        "recurrence": {"pattern": "weekly", "days": ["monday"], "count": 30}}))
        .await;
    let moved = json!({"occurrence": "2026-11-30", "start": "2026-12-01T15:00:00"});
    world.control(Method::PATCH, &format!("/events/{}", series["key"].as_str().unwrap()), moved).await;
    let (told, _) = world.round(WINDOW).await;
    assert_eq!(
        kinds(&told),
        ["seriesMaster", "occurrence", "exception", "occurrence", "occurrence", "occurrence"][..told.len()]
    );
    assert_eq!(told[0]["start"]["dateTime"], "2026-11-02T09:00:00.0000000");
    assert!(told[1].get("subject").is_none() && told[1]["seriesMasterId"] == told[0]["id"]);
    assert_eq!(told[2]["originalStart"], "2026-11-30T09:00:00.0000000Z");
    assert_ne!(told[2]["iCalUId"], told[0]["iCalUId"]);
}

#[tokio::test]
async fn graph_d3_removed_is_said_of_deleted_and_of_living_events() {
    let world = World::start().await;
    let (doomed, mover) = (world.book(json!({})).await, world.book(json!({})).await);
    let (_, link) = world.round(WINDOW).await;
    world.control(Method::DELETE, &format!("/events/{}", doomed["key"].as_str().unwrap()), Value::Null).await;
    let far = json!({"start": "2027-05-26T09:00:00Z"});
    world.control(Method::PATCH, &format!("/events/{}", mover["key"].as_str().unwrap()), far).await;
    world.book(json!({"start": "2027-06-01T09:00:00Z", "end": "2027-06-01T10:00:00Z"})).await;
    let (told, link) = world.round(&link).await;
    assert_eq!(kinds(&told), ["removed", "removed", "removed"]);
    world.get(&path("anna@contoso.example", &mover["id"])).await;
    let gone = world.send(Method::GET, &path("anna@contoso.example", &doomed["id"]), "", None).await;
    assert_eq!((gone.status, &gone.body["error"]["code"]), (StatusCode::NOT_FOUND, &json!("ErrorItemNotFound")));
    let back = json!({"start": "2026-11-27T09:00:00Z"});
    world.control(Method::PATCH, &format!("/events/{}", mover["key"].as_str().unwrap()), back).await;
    assert_eq!(kinds(&world.round(&link).await.0), ["singleInstance"]);
}

#[tokio::test]
async fn graph_d4_a_cancelled_date_is_silence_and_a_rescheduled_series_has_new_ids() {
    let world = World::start().await;
    let series = world.book(json!({"recurrence": {"pattern": "daily", "count": 3}})).await;
    let key = format!("/events/{}", series["key"].as_str().unwrap());
    let (before, link) = world.round(WINDOW).await;
    world.control(Method::PATCH, &key, json!({"occurrence": "2026-11-27", "cancel": true})).await;
    let (told, link) = world.round(&link).await;
    assert_eq!(kinds(&told), ["seriesMaster", "occurrence", "occurrence"]);
    let master =
        world.get(&format!("{}?$select=cancelledOccurrences", path("anna@contoso.example", &series["id"]))).await;
    assert!(master["cancelledOccurrences"][0].as_str().unwrap().ends_with(".2026-11-27"));
    world.control(Method::PATCH, &key, json!({"start": "2026-11-26T12:00:00Z"})).await;
    let (after, _) = world.round(&link).await;
    assert_eq!(after.len(), 4);
    assert!(after[1..].iter().all(|date| before[1..].iter().all(|old| old["id"] != date["id"])));
}

#[tokio::test]
async fn graph_w1_a_patch_changes_only_what_it_names() {
    let world = World::start().await;
    let booked = world.book(json!({"body": "Bring <numbers>."})).await;
    let event = path("anna@contoso.example", &booked["id"]);
    let before = world.get(&event).await;
    let place = json!({"location": {"displayName": "Room 1"}, "iCalUId": "mine"});
    let answer = world.send(Method::PATCH, &event, "", Some(place)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["locations"][0]["displayName"], "Room 1");
    for field in ["subject", "start", "iCalUId", "body", "attendees"] {
        assert_eq!(answer.body[field], before[field], "{field}");
    }
    assert_ne!(answer.body["@odata.etag"], before["@odata.etag"]);
    let text = world.send(Method::GET, &event, "outlook.body-content-type=\"text\"", None).await;
    assert_eq!(text.body["body"], json!({"contentType": "text", "content": "Bring <numbers>."}));
}

#[tokio::test]
async fn graph_w3_exchange_mails_what_attendees_can_notice_and_nothing_else() {
    let world = World::start().await;
    let booked = world.book(json!({})).await;
    let key = format!("/events/{}", booked["key"].as_str().unwrap());
    let told = |mails: &[Value]| {
        mails
            .iter()
            .map(|mail| format!("{} {}", mail["kind"].as_str().unwrap(), mail["to"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let everybody = ["bernd@contoso.example", "clara@contoso.example", "eva@fabrikam.example"];
    let mails = world.journal("mails").await;
    assert_eq!(told(&mails), everybody.map(|one| format!("invitation {one}")));
    world.control(Method::PATCH, &key, json!({"categories": [], "property": true})).await;
    assert_eq!(world.journal("mails").await.len(), 3);
    world
        .control(
            Method::PATCH,
            &key,
            json!({"attendees": ["bernd@contoso.example", "clara@contoso.example", "david@contoso.example"]}),
        )
        .await;
    let mails = world.journal("mails").await;
    assert_eq!(told(&mails[3..]), ["cancellation eva@fabrikam.example", "invitation david@contoso.example"]);
    world.control(Method::PATCH, &key, json!({"start": "2026-11-26T11:00:00Z"})).await;
    let mails = world.journal("mails").await;
    assert_eq!(mails[5..].iter().filter(|mail| mail["kind"] == "update").count(), 3);
    world.control(Method::DELETE, &key, Value::Null).await;
    let mails = world.journal("mails").await;
    assert_eq!(mails[8..].iter().filter(|mail| mail["kind"] == "cancellation").count(), 3);
}

#[tokio::test]
async fn graph_w3_attendees_have_copies_without_the_organizers_marks() {
    let world = World::start().await;
    let booked = world.book(json!({"property": true})).await;
    let list = world.get(&format!("/users/bernd@contoso.example/events?{}", expand(MARK))).await;
    let copy = &list["value"][0];
    assert_eq!((copy["isOrganizer"].as_bool(), &copy["iCalUId"]), (Some(false), &booked["iCalUId"]));
    assert_ne!(copy["id"], booked["id"]);
    assert!(copy.get("singleValueExtendedProperties").is_none() && copy["categories"] == json!([]));
    world.control(Method::DELETE, &format!("/events/{}", booked["key"].as_str().unwrap()), Value::Null).await;
    let copy = world.get(&path("bernd@contoso.example", &copy["id"])).await;
    assert_eq!(
        (copy["isCancelled"].as_bool(), copy["subject"].as_str()),
        (Some(true), Some("Canceled: Budget review"))
    );
}

#[tokio::test]
async fn graph_w12_the_sequence_rises_when_the_time_changes() {
    let world = World::start().await;
    let booked = world.book(json!({})).await;
    let key = format!("/events/{}", booked["key"].as_str().unwrap());
    let event = format!("{}?{}", path("anna@contoso.example", &booked["id"]), expand(SEQUENCE));
    let sequence = async || world.get(&event).await["singleValueExtendedProperties"][0]["value"].clone();
    assert_eq!(sequence().await, "0");
    world.control(Method::PATCH, &key, json!({"subject": "Budget"})).await;
    assert_eq!(sequence().await, "0");
    world.control(Method::PATCH, &key, json!({"start": "2026-11-26T11:00:00Z"})).await;
    assert_eq!(sequence().await, "1");
}

fn wanted_subscription(url: &str) -> Value {
    json!({
        "changeType": "created,updated,deleted",
        "notificationUrl": url,
        "lifecycleNotificationUrl": url,
        "resource": "users/anna@contoso.example/events",
        "expirationDateTime": "2026-11-25T08:00:00Z",
        "clientState": "secret",
    })
}

#[tokio::test]
async fn graph_n1_both_urls_must_answer_the_handshake() {
    let world = World::start().await;
    let subscriber = Subscriber::start(&[]).await;
    let made = world.send(Method::POST, "/subscriptions", "", Some(wanted_subscription(&subscriber.url))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let again = world.send(Method::POST, "/subscriptions", "", Some(wanted_subscription(&subscriber.url))).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let handshakes = world.journal("notifications").await;
    assert_eq!(handshakes.iter().filter(|one| one["kind"] == "validation").count(), 2);
    let mut deaf = wanted_subscription(&format!("{}/control/clock", world.simulator.base_url));
    deaf["changeType"] = json!("updated");
    let refused = world.send(Method::POST, "/subscriptions", "", Some(deaf)).await;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("ValidationError")));
    let mut long = wanted_subscription(&subscriber.url);
    long["expirationDateTime"] = json!("2026-12-25T08:00:00Z");
    assert_eq!(world.send(Method::POST, "/subscriptions", "", Some(long)).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn graph_n2_a_subscription_is_renewed_listed_deleted_and_ends_on_the_clock() {
    let world = World::start().await;
    let subscriber = Subscriber::start(&[]).await;
    let made = world.send(Method::POST, "/subscriptions", "", Some(wanted_subscription(&subscriber.url))).await.body;
    let one = format!("/subscriptions/{}", made["id"].as_str().unwrap());
    let renewed =
        world.send(Method::PATCH, &one, "", Some(json!({"expirationDateTime": "2026-11-23T08:01:00Z"}))).await;
    assert_eq!(renewed.body["expirationDateTime"], "2026-11-23T08:45:00.1234567Z", "raised to 45 minutes");
    assert_eq!(world.get("/subscriptions").await["value"].as_array().unwrap().len(), 1);
    world.advance(2700).await;
    let late = world.send(Method::PATCH, &one, "", Some(json!({"expirationDateTime": "2026-11-24T08:00:00Z"}))).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
    assert_eq!(world.send(Method::DELETE, &one, "", None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn graph_n3_a_change_is_told_at_once() {
    let world = World::start().await;
    let mut subscriber = Subscriber::start(&[]).await;
    world
        .send(Method::POST, "/subscriptions", "IdType=\"ImmutableId\"", Some(wanted_subscription(&subscriber.url)))
        .await;
    let booked = world.book(json!({})).await;
    let told = subscriber.inbox.recv().await.unwrap();
    let one = &told["value"][0];
    world.check("microsoft.graph.changeNotificationCollection", &told);
    assert_eq!((one["changeType"].as_str(), one["clientState"].as_str()), (Some("created"), Some("secret")));
    assert_eq!(one["resourceData"]["id"], booked["immutable_id"]);
    assert_eq!(one["resourceData"]["@odata.type"], "#Microsoft.Graph.Event");
}

#[tokio::test]
async fn graph_n4_notifications_come_twice_or_never() {
    let world = World::start().await;
    let mut subscriber = Subscriber::start(&[]).await;
    world.send(Method::POST, "/subscriptions", "", Some(wanted_subscription(&subscriber.url))).await;
    world.faults(json!({"lost_notifications": 1.0})).await;
    world.book(json!({"subject": "Lost"})).await;
    world.faults(json!({"lost_notifications": 0.0, "duplicate_notifications": 1.0})).await;
    let booked = world.book(json!({"subject": "Twice"})).await;
    let told = subscriber.inbox.recv().await.unwrap();
    let ids: Vec<_> = told["value"].as_array().unwrap().iter().map(|one| &one["resourceData"]["id"]).collect();
    assert!(ids.len() >= 2 && ids.iter().all(|id| **id == booked["id"]), "{told}");
}

#[tokio::test]
async fn graph_n5_what_is_not_taken_comes_again_with_growing_gaps() {
    let world = World::start().await;
    let mut subscriber = Subscriber::start(&[503, 500]).await;
    world.send(Method::POST, "/subscriptions", "", Some(wanted_subscription(&subscriber.url))).await;
    world.book(json!({})).await;
    let attempts = async |wanted: usize| loop {
        let all = world.journal("notifications").await;
        let tried: Vec<_> = all.into_iter().filter(|one| one["kind"] == "delivery").collect();
        if tried.len() >= wanted {
            return tried;
        }
        tokio::task::yield_now().await;
    };
    attempts(1).await;
    world.advance(2).await;
    attempts(2).await;
    world.advance(6).await;
    subscriber.inbox.recv().await.unwrap();
    let tried = attempts(3).await;
    assert_eq!(tried.iter().map(|one| one["status"].as_u64().unwrap()).collect::<Vec<_>>(), [503, 500, 202]);
    assert!(subscriber.answers.lock().unwrap().is_empty());
}

#[tokio::test]
async fn graph_l1_the_fifth_request_at_a_time_is_refused() {
    let world = World::start().await;
    world.faults(json!({"late_answers_ms": 300})).await;
    let one = || world.send(Method::GET, "/users/anna@contoso.example/events", "", None);
    let (a, b, c, d, e, f) = tokio::join!(one(), one(), one(), one(), one(), one());
    let refused =
        [a, b, c, d, e, f].into_iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).count();
    assert_eq!(refused, 2);
    let rude = world.journal("requests").await.iter().filter(|one| one["rude"] == true).count();
    assert_eq!(rude, 0, "the sixth was under way when the fifth was refused");
}

#[tokio::test]
async fn graph_l1_a_rate_of_requests_is_throttled() {
    let world = World::start().await;
    world.faults(json!({"throttled": 1.0})).await;
    let answer = world.send(Method::GET, "/users/anna@contoso.example/events", "", None).await;
    assert_eq!(
        (answer.status, &answer.body["error"]["code"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("TooManyRequests"))
    );
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn graph_u1_users_are_found_by_address_with_their_numbers_as_typed() {
    let world = World::start().await;
    let list = world.get("/users?$filter=mail%20eq%20'bernd@contoso.example'&$select=id,mail,businessPhones").await;
    assert_eq!(list["value"][0]["businessPhones"], json!(["+49 (30) 23125-002"]));
    assert!(list["value"][0].get("displayName").is_none());
    let user = world.get(&format!("/users/{}", list["value"][0]["id"].as_str().unwrap())).await;
    assert_eq!(user["displayName"], "Bernd Brandt");
    let settings = world.get("/users/anna@contoso.example/mailboxSettings").await;
    assert_eq!(
        (settings["timeZone"].as_str(), settings["language"]["locale"].as_str()),
        (Some("W. Europe Standard Time"), Some("de-DE"))
    );
    assert_eq!(world.send(Method::GET, "/users/nobody@contoso.example", "", None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn control_shows_the_week_and_refuses_a_clock_that_runs_back() {
    let world = World::start().await;
    world.book(json!({"recurrence": {"pattern": "daily", "count": 2}})).await;
    let week =
        world.control(Method::GET, "/calendar?from=2026-11-23T00:00:00Z&to=2026-11-30T00:00:00Z", Value::Null).await;
    let starts: Vec<_> =
        week["events"].as_array().unwrap().iter().map(|event| event["start"].as_str().unwrap()).collect();
    assert_eq!(starts, ["2026-11-26T09:00:00Z", "2026-11-27T09:00:00Z"]);
    let url = format!("{}/control/clock", world.simulator.base_url);
    let back = world.http.post(url).json(&json!({"advance_seconds": -1})).send().await.unwrap();
    assert_eq!(back.status(), StatusCode::BAD_REQUEST);
}
