//! A series from the calendar to the mixer: one booking, one room, a window for each date.

use std::collections::HashSet;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use dialroom_host::Clock;
use serde_json::{Value, json};

use super::neighbors::to;
use super::world::World;

const BERND: &str = "bernd@contoso.example";

fn times(window: &Value) -> (DateTime<Utc>, DateTime<Utc>) {
    let time = |name: &str| window[name].as_str().unwrap().parse().unwrap();
    (time("original_start"), time("start"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_series_has_one_room_and_a_window_for_each_date() {
    let mut world = World::start(true).await;
    // Far from any change of clocks, since the tenant is told UTC.
    let first = (Clock::real().wall() + TimeDelta::days(1)).date_naive().and_hms_opt(10, 0, 0).unwrap();
    let (weekday, week) = (first.weekday().to_string().to_lowercase(), TimeDelta::weeks(1));
    let text = |time: chrono::NaiveDateTime| time.format("%Y-%m-%dT%H:%M:%S").to_string();
    let key = world
        .book(json!({
            "mailbox": "anna@contoso.example", "subject": "Weekly", "zone": "UTC", "start": text(first),
            "duration_minutes": 30, "attendees": [BERND], "categories": ["Telephone conference"],
            "recurrence": {"pattern": "weekly", "days": [weekday], "count": 6},
        }))
        .await;
    let held = world.mixer.until(|held| held.len() == 1).await;
    let (id, (_, body)) = held.into_iter().next().unwrap();
    let booked = body.unwrap();
    assert_eq!(booked["windows"].as_array().unwrap().len(), 6);
    world.mails.until(|taken| taken.len() >= 2).await;

    let second = (first + week).date().to_string();
    let moved_to = first + week + TimeDelta::hours(3);
    let move_one = json!({"occurrence": second, "start": text(moved_to), "duration_minutes": 45, "zone": "UTC"});
    world.change(&key, move_one).await;
    world.mails.until(|taken| to(taken, BERND) == 2).await;
    world.change(&key, json!({"occurrence": (first + week * 3).date().to_string(), "cancel": true})).await;
    let cancelled = |body: &Value| {
        body["windows"].as_array().unwrap().iter().filter(|window| window["state"] == "cancelled").count() == 1
    };
    let held = world.mixer.until(|held| held[&id].1.as_ref().is_some_and(cancelled)).await;
    assert_eq!(held.len(), 1, "one booking");
    let (_, body) = &held[&id];
    let body = body.as_ref().unwrap();
    assert_eq!((&body["room"], &body["pins"]), (&booked["room"], &booked["pins"]));
    let windows = body["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 6);
    for (number, window) in windows.iter().enumerate() {
        let original = (first + week * i32::try_from(number).unwrap()).and_utc();
        let start = if number == 1 { moved_to.and_utc() } else { original };
        assert_eq!(times(window), (original, start), "date {number}");
        assert_eq!(window["state"], if number == 3 { "cancelled" } else { "scheduled" });
    }

    // Of the cancelled date the calendar tells; and looking again tells nobody anything.
    world.sync().await;
    world.stop_connector().await;
    world.start_connector().await;
    let mails = world.mails.taken.borrow().clone();
    assert_eq!((to(&mails, BERND), to(&mails, "anna@contoso.example")), (2, 2));
    assert_eq!(world.api("conferences").await["conferences"].as_array().unwrap().len(), 1);

    // Its dates are read from Anna's calendar alone: Bernd's copy says that it is not his.
    let requests = world.requests().await;
    let paths = requests.iter().filter_map(|request| request["path"].as_str());
    let read: HashSet<_> =
        paths.filter(|path| path.contains("/instances?")).map(|path| path.split('/').nth(2)).collect();
    assert_eq!(read.len(), 1, "{read:?}");
    world.stop_connector().await;
}
