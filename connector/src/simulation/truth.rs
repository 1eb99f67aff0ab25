//! What the calendars say there should be, reckoned without the connector, and whether its bookings are just that.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use dialroom_booking::{BookingState, OccurrenceState};
use serde_json::Value;

use super::attendees::calendar_of;
use super::world::{EVA, World};

/// `conference.max_duration_minutes`.
const LONGEST: TimeDelta = TimeDelta::minutes(480);
/// Shortest window's meeting.
const SHORTEST: TimeDelta = TimeDelta::minutes(1);
/// So far ahead the connector has looked for certain: its horizon, less two days since it may have looked then.
const SURE: TimeDelta = TimeDelta::days(398);

/// A meeting that should have a line: its dates still to come, by original start.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Meeting {
    pub(super) event: String,
    pub(super) series: bool,
    pub(super) attendees: BTreeSet<String>,
    /// Who is invited to one date, and to which.
    pub(super) guests: BTreeSet<(String, DateTime<Utc>)>,
    pub(super) dates: BTreeMap<DateTime<Utc>, (DateTime<Utc>, DateTime<Utc>)>,
}

/// Every marked meeting with dates to come, by UID.
pub(super) async fn truth(world: &World) -> BTreeMap<String, Meeting> {
    let now = world.now();
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (from, to) = (text(now - TimeDelta::days(2)), text(now + SURE));
    let shown = world.control(Method::GET, &format!("/calendar?from={from}&to={to}"), Value::Null).await;
    let mut meetings = BTreeMap::<String, Meeting>::new();
    for date in shown["events"].as_array().unwrap().iter().filter(|date| is_marked(date) && date["draft"] == false) {
        let at = |name: &str| date[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        let (start, end) = (at("start"), at("end"));
        let end = end.clamp(start + SHORTEST, start + LONGEST);
        // Once its time is over a meeting gets no line any more; one that it had stays open for its overrun.
        if end <= now || start >= now + SURE {
            continue;
        }
        let meeting = meetings.entry(date["iCalUId"].as_str().unwrap().to_owned()).or_default();
        meeting.event = date["immutable_id"].as_str().unwrap().to_owned();
        meeting.series = date["series"] == true;
        let people =
            date["attendees"].as_array().unwrap().iter().map(|one| one["address"].as_str().unwrap().to_lowercase());
        // Whoever organizes it and lists himself is no guest of his.
        meeting.attendees = people.filter(|one| date["organizer"]["address"] != one.as_str()).collect();
        let original = at("original_start");
        let guests = date["guests"].as_array().unwrap().iter().map(|one| one.as_str().unwrap());
        for guest in guests.filter(|one| !meeting.attendees.contains(*one) && date["organizer"]["address"] != **one) {
            meeting.guests.insert((guest.to_owned(), original));
        }
        meeting.dates.insert(original, (start, end));
    }
    meetings
}

fn is_marked(date: &Value) -> bool {
    let categories = date["categories"].as_array().unwrap();
    let category = categories.iter().any(|name| name == "Telephone conference" || name == "Telefonkonferenz");
    let place = date["location"].as_str().unwrap();
    let invited =
        date["attendees"].as_array().unwrap().iter().any(|one| one["address"] == "conference@contoso.example");
    category || place.contains("@telefon") || invited || date["property"] == true
}

/// Says what is wrong; nothing when all is right.
pub(super) async fn problems(world: &World) -> Vec<String> {
    let mut problems = differing_bookings(world).await;
    problems.extend(shared_rooms(world));
    problems.extend(wrong_entries(world).await);
    let requests = world.journal("requests").await;
    let rude = requests.iter().filter(|one| one["rude"] == true).count();
    if rude > 0 {
        problems.push(format!("{rude} requests before Retry-After was over"));
    }
    let writes = requests.iter().filter(|one| {
        one["method"] != "GET" && one["path"].as_str().is_some_and(|path| !path.contains("/subscriptions"))
    });
    problems.extend(writes.map(|one| format!("a write: {} {}", one["method"], one["path"])));
    problems
}

async fn differing_bookings(world: &World) -> Vec<String> {
    let (now, expected) = (world.now(), truth(world).await);
    let mut problems = Vec::new();
    let mut held = BTreeMap::<String, Meeting>::new();
    for booking in world.shelf.all().iter().filter(|one| one.state == BookingState::Active) {
        let dates = booking.occurrences.iter().filter(|(_, date)| date.state == OccurrenceState::Scheduled);
        let live = dates.filter(|(_, date)| date.window.end() > now && date.window.start() < now + SURE);
        let dates: BTreeMap<_, _> = live.map(|(at, date)| (*at, (date.window.start(), date.window.end()))).collect();
        if dates.is_empty() {
            continue;
        }
        let event = match &booking.origin {
            dialroom_booking::Origin::Graph { event, .. } => event.clone(),
            dialroom_booking::Origin::Dialroom => String::new(),
        };
        let (whole, single): (Vec<_>, Vec<_>) = booking.invitees.iter().partition(|one| one.only.is_none());
        let address = |one: &dialroom_booking::Invitee| one.person.address.as_str().to_owned();
        let attendees = whole.into_iter().map(address).collect();
        let invited =
            single.into_iter().flat_map(|one| one.only.iter().flatten().map(move |date| (address(one), *date)));
        let guests = invited.filter(|(_, date)| dates.contains_key(date)).collect();
        let meeting = Meeting { event, series: booking.series, attendees, guests, dates };
        if held.insert(booking.uid.clone(), meeting).is_some() {
            problems.push(format!("two living bookings for {}", booking.uid));
        }
    }
    for uid in expected.keys().chain(held.keys()).collect::<BTreeSet<_>>() {
        match (expected.get(uid), held.get(uid)) {
            (Some(wanted), Some(found)) if same(wanted, found) => {}
            (wanted, found) => problems.push(format!("meeting {uid}:\n  calendar {wanted:?}\n  booking  {found:?}")),
        }
    }
    problems
}

/// A single meeting keeps the key of its first time when it moves.
fn same(wanted: &Meeting, found: &Meeting) -> bool {
    let times = |one: &Meeting| one.dates.values().copied().collect::<Vec<_>>();
    let dates = if wanted.series { wanted.dates == found.dates } else { times(wanted) == times(found) };
    dates
        && wanted.event == found.event
        && wanted.series == found.series
        && wanted.attendees == found.attendees
        && wanted.guests == found.guests
}

fn shared_rooms(world: &World) -> Vec<String> {
    let all = world.shelf.all();
    let mut windows = Vec::new();
    for booking in all.iter().filter(|one| one.state == BookingState::Active) {
        windows
            .extend(booking.windows().map(|(_, window)| (booking.room, window.opens(), window.closes(), &booking.id)));
    }
    windows.sort();
    let clash = |pair: &&[_]| matches!(pair, [(a, _, closes, one), (b, opens, _, other)] if a == b && closes > opens && one != other);
    windows.windows(2).filter(clash).map(|pair| format!("a room twice: {pair:?}")).collect()
}

/// A guest has one entry for each meeting that invites him, and it stands at the right time.
async fn wrong_entries(world: &World) -> Vec<String> {
    let mails = world.journal("mails").await;
    let calendar = calendar_of(EVA, &mails, &world.mail.arrived());
    let mut problems = Vec::new();
    for (uid, meeting) in truth(world).await.iter().filter(|(_, one)| one.attendees.contains(EVA)) {
        let Some(entry) = calendar.get(uid) else {
            problems.push(format!("the guest has no entry for {uid}"));
            continue;
        };
        let (start, _) = meeting.dates.values().next().copied().unwrap_or_default();
        // Of a series the calendar's mail names the first date, which may be over; ours names the next.
        let right = meeting.series || start.to_rfc3339_opts(SecondsFormat::Secs, true) == entry.start;
        if !right {
            problems.push(format!("the guest's entry for {uid} stands at {} instead of {start}", entry.start));
        }
    }
    problems
}
