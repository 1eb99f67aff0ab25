//! Series (D2, D4, W6), as they change.

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_booking::{BookingState, OccurrenceState};
use serde_json::json;

use super::assert_right;
use crate::simulation::world::{BERND, Beginning, EVA, World};

fn starts(world: &World) -> Vec<String> {
    let booking = world.booking();
    let live = booking.occurrences.values().filter(|date| date.state == OccurrenceState::Scheduled);
    live.map(|date| date.window.start().format("%m-%d %H:%M").to_string()).collect()
}

async fn weekly(world: &World) -> String {
    world
        .book(json!({
            "start": "2026-11-24T10:00:00", "recurrence": {"pattern": "weekly", "days": ["tuesday"], "count": 5},
        }))
        .await
}

#[tokio::test(start_paused = true)]
async fn graph_d2_a_series_is_one_booking_with_a_window_for_each_date() {
    let world = World::start(Beginning::default()).await;
    weekly(&world).await;
    world.pass(5).await;
    let booking = world.booking();
    assert_eq!((booking.series, booking.occurrences.len()), (true, 5));
    assert_eq!(world.mail.arrived().len(), 3, "one mail for all of its dates");
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_d4_dates_are_moved_and_cancelled_one_by_one() {
    let world = World::start(Beginning::default()).await;
    let key = weekly(&world).await;
    world.pass(5).await;
    let before = world.booking();
    world.change(&key, json!({"occurrence": "2026-12-01", "start": "2026-12-02T15:00:00"})).await;
    world.pass(5).await;
    world.change(&key, json!({"occurrence": "2026-12-08", "cancel": true})).await;
    world.pass(5).await;
    assert_eq!(starts(&world), ["11-24 09:00", "12-02 14:00", "12-15 09:00", "12-22 09:00"]);
    let moved = world.booking().occurrences["2026-12-01T09:00:00Z".parse::<DateTime<Utc>>().as_ref().unwrap()];
    assert_eq!(moved.window.start().to_rfc3339(), "2026-12-02T14:00:00+00:00", "kept under its first time");
    assert_eq!((world.booking().room, &world.booking().pins), (before.room, &before.pins));
    // The move is told, the cancelled date by the calendar alone.
    assert_eq!(world.mail.to(EVA).len(), 2);
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_d4_a_rescheduled_series_forgets_its_old_dates() {
    let world = World::start(Beginning::default()).await;
    let key = weekly(&world).await;
    world.change(&key, json!({"occurrence": "2026-12-01", "start": "2026-12-02T15:00:00"})).await;
    world.pass(5).await;
    let before = world.booking();
    world.change(&key, json!({"start": "2026-11-24T16:00:00", "duration_minutes": 60})).await;
    world.pass(5).await;
    assert_eq!(starts(&world), ["11-24 15:00", "12-01 15:00", "12-08 15:00", "12-15 15:00", "12-22 15:00"]);
    assert_eq!(world.booking().room, before.room);
    assert_eq!(world.mail.to(EVA).len(), 2, "one mail for the series, one for its new time");
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn graph_w6_a_date_does_not_jump_over_its_neighbour() {
    let world = World::start(Beginning::default()).await;
    let key = weekly(&world).await;
    let jump = json!({"occurrence": "2026-12-01", "start": "2026-12-09T10:00:00"});
    let (status, told) = world.try_control(axum::http::Method::PATCH, &format!("/events/{key}"), jump).await;
    assert_eq!((status, told["error"]["code"].as_str()), (400, Some("ErrorOccurrenceCrossingBoundary")));
    world.pass(5).await;
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_date_that_is_over_changes_no_more_and_the_last_one_ends_the_line() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({"recurrence": {"pattern": "daily", "count": 3}, "start": world.in_hours(2)})).await;
    world.pass(5).await;
    world.pass(86_400).await;
    world.change(&key, json!({"occurrence": (world.now() + TimeDelta::hours(2)).date_naive(), "cancel": true})).await;
    world.pass(600).await;
    assert_right(&world).await;
    world.pass(2 * 86_400).await;
    assert_eq!(world.booking().state, BookingState::Active, "it has ended by itself, nobody cancelled it");
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn an_endless_series_keeps_its_number_and_goes_on_with_the_days() {
    let world = World::start(Beginning::default()).await;
    let key = world
        .book(json!({"start": "2026-11-24T10:00:00", "recurrence": {"pattern": "weekly", "interval": 4, "days": ["tuesday"]}}))
        .await;
    world.pass(5).await;
    let before = world.booking();
    let last = |world: &World| *world.booking().occurrences.keys().next_back().unwrap();
    let first_horizon = last(&world);
    assert!(first_horizon > world.now() + TimeDelta::days(365));
    world.pass(60 * 86_400).await;
    assert!(last(&world) > first_horizon, "dates come into sight");
    assert_eq!((world.booking().room, &world.booking().pins), (before.room, &before.pins));
    assert_eq!(world.mail.to(EVA).len(), 1, "they were promised; nobody is written to");
    assert_right(&world).await;
    // Nobody else gets its number, however far ahead.
    world
        .change(&key, json!({"recurrence": {"pattern": "weekly", "interval": 4, "days": ["tuesday"], "count": 6}}))
        .await;
    world.pass(30).await;
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn clocks_that_change_within_a_series_move_no_meeting() {
    for (zone, day, weekday, hours) in [
        ("W. Europe Standard Time", "2026-10-20", "tuesday", ["07:00", "08:00"]),
        ("Pacific Standard Time", "2026-10-27", "tuesday", ["16:00", "17:00"]),
        ("AUS Eastern Standard Time", "2026-09-29", "tuesday", ["23:00", "22:00"]),
    ] {
        let at = format!("{day}T00:00:00Z").parse::<DateTime<Utc>>().unwrap() - TimeDelta::days(3);
        let at = at.to_rfc3339();
        let world = World::start(Beginning { at: &at, ..Beginning::default() }).await;
        world
            .book(json!({
                "start": format!("{day}T09:00:00"), "zone": zone,
                "recurrence": {"pattern": "weekly", "days": [weekday], "count": 2},
            }))
            .await;
        world.pass(5).await;
        let found: Vec<_> = starts(&world).iter().map(|start| start[6..].to_owned()).collect();
        assert_eq!(found, hours, "{zone}");
        assert_right(&world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_zone_moves_a_series_and_keeps_its_number() {
    let world = World::start(Beginning::default()).await;
    let key = weekly(&world).await;
    world.pass(5).await;
    let room = world.booking().room;
    world.change(&key, json!({"zone": "Pacific Standard Time"})).await;
    world.pass(5).await;
    assert_eq!(starts(&world)[0], "11-24 18:00");
    assert_eq!((world.booking().room, world.booking().time_zone), (room, chrono_tz::Tz::America__Los_Angeles));
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn whole_days_lie_where_the_organizer_lives() {
    let world = World::start(Beginning::default()).await;
    world
        .book(json!({
            "start": "2026-11-24T00:00:00", "zone": "Pacific Standard Time", "all_day": true, "duration_minutes": 1440,
            "recurrence": {"pattern": "daily", "count": 2},
        }))
        .await;
    world.pass(5).await;
    assert_eq!(starts(&world), ["11-24 08:00", "11-25 08:00"]);
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_single_meeting_becomes_a_series_and_a_series_single() {
    let world = World::start(Beginning::default()).await;
    let key = world.book(json!({"start": "2026-11-24T10:00:00"})).await;
    world.pass(5).await;
    let before = world.booking();
    world.change(&key, json!({"recurrence": {"pattern": "daily", "count": 3}})).await;
    world.pass(5).await;
    assert_eq!(starts(&world), ["11-24 09:00", "11-25 09:00", "11-26 09:00"]);
    assert_right(&world).await;
    world.change(&key, json!({"recurrence": null})).await;
    world.pass(5).await;
    assert_eq!(starts(&world), ["11-24 09:00"]);
    assert_eq!((world.booking().room, &world.booking().pins), (before.room, &before.pins));
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_added_to_a_series_later_gets_its_dates_and_nobody_else_hears_of_it() {
    let world = World::start(Beginning::default()).await;
    let key = weekly(&world).await;
    world.pass(5).await;
    let before = world.mail.arrived().len();
    world.change(&key, json!({"attendees": [BERND, EVA, "guest@fabrikam.example"]})).await;
    world.pass(5).await;
    let mails = world.mail.arrived();
    assert_eq!(mails.len(), before + 1);
    let last = mails.last().unwrap();
    assert_eq!(last.to, "guest@fabrikam.example");
    assert_eq!(last.ics.as_ref().unwrap().matches("BEGIN:VEVENT").count(), 5);
    world.change(&key, json!({"attendees": [BERND]})).await;
    world.pass(5).await;
    assert_eq!(world.mail.arrived().len(), before + 1, "who is removed hears it from the calendar");
    assert_right(&world).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_added_to_one_date_gets_that_date_alone() {
    let world = World::start(Beginning::default()).await;
    let key = weekly(&world).await;
    world.pass(5).await;
    let before = world.mail.arrived().len();
    world.change(&key, json!({"occurrence": "2026-12-08", "attendees": ["solo@fabrikam.example"]})).await;
    world.pass(5).await;
    let mails = world.mail.arrived();
    assert_eq!((mails.len(), mails.last().unwrap().to.as_str()), (before + 1, "solo@fabrikam.example"));
    let ics = mails.last().unwrap().ics.clone().unwrap();
    assert_eq!(ics.matches("BEGIN:VEVENT").count(), 1);
    assert!(ics.contains("RECURRENCE-ID;TZID=Europe/Berlin:20261208T100000"), "{ics}");
    assert_right(&world).await;
    // Another date is moved: that is not his; then his own.
    world.change(&key, json!({"occurrence": "2026-12-01", "start": "2026-12-02T15:00:00"})).await;
    world.pass(5).await;
    assert_eq!(world.mail.to("solo@fabrikam.example").len(), 1);
    world.change(&key, json!({"occurrence": "2026-12-08", "start": "2026-12-08T15:00:00"})).await;
    world.pass(5).await;
    assert_eq!(world.mail.to("solo@fabrikam.example").len(), 2);
    // A number would let him in on every date.
    let callers = connector_planner::handed_over(&world.booking()).callers;
    assert!(callers.iter().all(|one| one.person != "solo@fabrikam.example"));
    world.change(&key, json!({"attendees": [BERND, EVA, "solo@fabrikam.example"]})).await;
    world.pass(5).await;
    assert_eq!(world.mail.to("solo@fabrikam.example").len(), 3, "all of it now");
    assert_right(&world).await;
}
