//! The directory (U1).

use axum::http::Method;
use serde_json::{Value, json};

use super::assert_right;
use crate::simulation::world::{Beginning, World};

async fn numbers(people: &[Value], attendees: Value) -> Vec<(String, Vec<String>)> {
    let world = World::start(Beginning::default()).await;
    for person in people {
        world.control(Method::POST, "/people", person.clone()).await;
    }
    world.book(json!({"attendees": attendees})).await;
    world.pass(5).await;
    assert_right(&world).await;
    let booking = world.booking();
    let shown = connector_planner::handed_over(&booking).callers.into_iter();
    let texts =
        |one: &dialroom_booking::HandedCaller| one.numbers.iter().map(|number| number.as_str().to_owned()).collect();
    shown.map(|one| (one.person.clone(), texts(&one))).collect()
}

#[tokio::test(start_paused = true)]
async fn graph_u1_numbers_in_every_spelling_are_recognized() {
    let people = [
        json!({"address": "f@contoso.example", "business_phone": "030 / 23 125-006", "mobile_phone": "ask the desk"}),
        json!({"address": "g@contoso.example", "business_phone": "+49 (0)30 23125007"}),
        json!({"address": "h@contoso.example", "business_phone": "0049-30-23125008"}),
    ];
    let found = numbers(&people, json!(["f@contoso.example", "g@contoso.example", "h@contoso.example"])).await;
    let all: Vec<_> = found.iter().flat_map(|(_, numbers)| numbers).map(String::as_str).collect();
    assert_eq!(all, ["+493023125001", "+493023125006", "+493023125007", "+493023125008"]);
}

#[tokio::test(start_paused = true)]
async fn graph_u1_a_number_of_two_people_names_neither() {
    let people = [
        json!({"address": "f@contoso.example", "business_phone": "+49 30 23125 009"}),
        json!({"address": "g@contoso.example", "business_phone": "+49 30 23125 009"}),
    ];
    let found = numbers(&people, json!(["f@contoso.example", "g@contoso.example"])).await;
    assert_eq!(found.len(), 1, "the organizer alone: {found:?}");
}

#[tokio::test(start_paused = true)]
async fn graph_u1_somebody_signs_in_by_another_name_than_his_address() {
    let people = [
        json!({"address": "f@contoso.example", "sign_in": "u4711@contoso.example", "business_phone": "+49 30 23125 006"}),
    ];
    let found = numbers(&people, json!(["F@contoso.example"])).await;
    assert_eq!(found[1], ("f@contoso.example".to_owned(), vec!["+493023125006".to_owned()]));
}
