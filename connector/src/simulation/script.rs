//! What people do, at random from a seed.

use std::fmt::Debug;

use axum::http::Method;
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::{Value, json};

use super::world::{ANNA, BERND, EVA, World};

const CLARA: &str = "clara@contoso.example";
const PEOPLE: [&str; 4] = [ANNA, BERND, CLARA, "david@contoso.example"];
const ORGANIZERS: [&str; 3] = [ANNA, BERND, CLARA];
const ZONES: [&str; 7] = [
    "W. Europe Standard Time",
    "Europe/London",
    "Pacific Standard Time",
    "UTC",
    "India Standard Time",
    "AUS Eastern Standard Time",
    "America/Sao_Paulo",
];
const DAYS: [&str; 5] = ["monday", "tuesday", "wednesday", "thursday", "friday"];
/// Meetings of one run.
const MAX_MEETINGS: usize = 8;

/// Dice that a seed throws the same way every time.
#[derive(Debug)]
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(super) fn below(&mut self, sides: u64) -> u64 {
        self.0.next_u64() % sides
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below(u64::try_from(high - low).unwrap())).unwrap()
    }

    pub(super) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    /// Once in so many.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A rate up to this.
    pub(super) fn rate(&mut self, most: f64) -> f64 {
        if self.once_in(2) { 0.0 } else { most * f64::from(u32::try_from(self.below(1000)).unwrap()) / 1000.0 }
    }
}

/// A meeting that somebody made.
#[derive(Clone, Debug)]
struct Meeting {
    key: String,
    series: bool,
}

/// People at work.
pub(super) struct Script {
    pub(super) dice: Dice,
    meetings: Vec<Meeting>,
    /// What they did, for whoever has to find out.
    pub(super) log: Vec<String>,
    /// Changes by organizers, each of which may cost an attendee one mail of ours.
    pub(super) changes: usize,
}

impl Script {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), meetings: Vec::new(), log: Vec::new(), changes: 0 }
    }

    /// Somebody does something.
    pub(super) async fn act(&mut self, world: &World) {
        if self.meetings.is_empty() || (self.meetings.len() < MAX_MEETINGS && self.dice.once_in(4)) {
            return self.create(world).await;
        }
        let meeting = self.dice.one(&self.meetings).clone();
        let change = match self.dice.below(if meeting.series { 24 } else { 16 }) {
            0..3 => self.moved(world),
            3 => json!({"categories": []}),
            4 => json!({"categories": ["Telephone conference", "Blue"]}),
            5 => json!({"subject": format!("Subject {}", self.dice.below(1000))}),
            6 => json!({"body": format!("Agenda {}", self.dice.below(1000))}),
            7 | 8 => json!({"attendees": self.attendees()}),
            9 => json!({"location": self.dice.one(&["Room 1", "@telefon", ""])}),
            10 => json!({"property": self.dice.once_in(2)}),
            11 => json!({"zone": self.dice.one(&ZONES)}),
            12 => json!({"sensitivity": self.dice.one(&["normal", "private"])}),
            13 => return self.respond(world, &meeting).await,
            14 if self.meetings.len() < MAX_MEETINGS => return self.copy(world, &meeting).await,
            14 | 15 => return self.delete(world, &meeting).await,
            16..19 => self.date(world, &meeting, true).await,
            19 | 20 => self.date(world, &meeting, false).await,
            21 | 22 => {
                let date = self.date(world, &meeting, true).await;
                json!({"occurrence": date["occurrence"], "attendees": [self.dice.one(&["solo@fabrikam.example", BERND])]})
            }
            _ => json!({"recurrence": self.recurrence()}),
        };
        self.changes += 1;
        let (status, told) =
            world.try_control(Method::PATCH, &format!("/events/{}", meeting.key), change.clone()).await;
        // Exchange refuses some of what people try: a date moved over its neighbour, or one that is no more.
        assert!(status < 500, "{status} {told}");
        self.note(world, &(meeting.key, change, status));
    }

    async fn create(&mut self, world: &World) {
        let series = self.dice.once_in(3);
        let mut wanted = json!({
            "mailbox": self.dice.one(&ORGANIZERS), "subject": format!("Meeting {}", self.dice.below(1000)),
            "zone": self.dice.one(&ZONES), "duration_minutes": self.dice.between(1, 12) * 15,
            "start": self.time(world), "attendees": self.attendees(), "body": "Bring your numbers.",
            "draft": self.dice.once_in(12), "online": self.dice.once_in(4),
        });
        match self.dice.below(6) {
            0 => wanted["property"] = json!(true),
            1 => wanted["location"] = json!("Office, @telefon"),
            2 => wanted["attendees"].as_array_mut().unwrap().push(json!("conference@contoso.example")),
            3 if self.dice.once_in(2) => {}
            _ => wanted["categories"] = json!(["Telefonkonferenz"]),
        }
        if series {
            wanted["recurrence"] = self.recurrence();
        }
        if self.dice.once_in(10) {
            let day = (world.now() + TimeDelta::days(2)).format("%Y-%m-%dT00:00:00").to_string();
            (wanted["all_day"], wanted["start"], wanted["duration_minutes"]) = (json!(true), json!(day), json!(1440));
        }
        let made = world.control(Method::POST, "/events", wanted.clone()).await;
        let key = made["key"].as_str().unwrap().to_owned();
        self.note(world, &(&key, wanted));
        self.meetings.push(Meeting { key, series });
        self.changes += 1;
    }

    fn recurrence(&mut self) -> Value {
        let count = self.dice.between(2, 8);
        match self.dice.below(5) {
            0 => json!({"pattern": "daily", "count": count}),
            1 => json!({"pattern": "daily", "interval": 3, "count": count}),
            2 => json!({"pattern": "weekly", "interval": 4, "days": [self.dice.one(&DAYS)]}),
            3 => json!({"pattern": "weekly", "days": ["monday", "thursday"], "count": count}),
            _ => json!({"pattern": "weekly", "days": [self.dice.one(&DAYS)], "count": count}),
        }
    }

    fn attendees(&mut self) -> Value {
        let mut people = Vec::new();
        for person in PEOPLE.iter().chain(&[EVA, "guest@fabrikam.example", "conference@contoso.example"]) {
            let rarely = person.starts_with("conference");
            if self.dice.once_in(if rarely { 10 } else { 2 }) {
                people.push(*person);
            }
        }
        json!(people)
    }

    /// Some time in the next days, seldom just over.
    fn time(&mut self, world: &World) -> String {
        let hour = world.now() + TimeDelta::hours(self.dice.between(-1, 120));
        text(hour.with_minute(if self.dice.once_in(2) { 0 } else { 30 }).unwrap())
    }

    fn moved(&mut self, world: &World) -> Value {
        let start = self.time(world);
        if self.dice.once_in(2) {
            json!({"start": start, "all_day": false})
        } else {
            json!({"start": start, "all_day": false, "duration_minutes": self.dice.between(1, 20) * 15})
        }
    }

    /// One date of a series is moved or cancelled.
    async fn date(&mut self, world: &World, meeting: &Meeting, moves: bool) -> Value {
        let (from, to) = (text(world.now()), text(world.now() + TimeDelta::days(40)));
        let shown = world.control(Method::GET, &format!("/calendar?from={from}&to={to}"), Value::Null).await;
        let dates = shown["events"].as_array().unwrap();
        let own: Vec<_> = dates.iter().filter(|date| date["key"] == meeting.key.as_str()).collect();
        if own.is_empty() {
            return json!({"subject": "No date left"});
        }
        let date = *self.dice.one(&own);
        if !moves {
            return json!({"occurrence": date["date"], "cancel": true});
        }
        let start: DateTime<Utc> = date["start"].as_str().unwrap().parse().unwrap();
        let start = start + TimeDelta::minutes(self.dice.between(-16, 16) * 30);
        json!({"occurrence": date["date"], "start": text(start), "duration_minutes": self.dice.between(1, 9) * 15})
    }

    async fn respond(&mut self, world: &World, meeting: &Meeting) {
        let answer =
            json!({"address": BERND, "response": self.dice.one(&["accepted", "declined", "tentativelyAccepted"])});
        world.control(Method::POST, &format!("/events/{}/respond", meeting.key), answer.clone()).await;
        self.note(world, &(&meeting.key, answer));
    }

    async fn copy(&mut self, world: &World, meeting: &Meeting) {
        let start = json!({"start": self.time(world), "all_day": false});
        let made = world.control(Method::POST, &format!("/events/{}/copy", meeting.key), start.clone()).await;
        self.note(world, &("copy", &meeting.key, start));
        self.meetings.push(Meeting { key: made["key"].as_str().unwrap().to_owned(), series: meeting.series });
        self.changes += 1;
    }

    async fn delete(&mut self, world: &World, meeting: &Meeting) {
        world.delete(&meeting.key).await;
        self.note(world, &("delete", &meeting.key));
        self.meetings.retain(|one| one.key != meeting.key);
        self.changes += 1;
    }

    pub(super) fn note(&mut self, world: &World, what: &dyn Debug) {
        self.log.push(format!("{} {what:?}", world.now().format("%d %H:%M:%S")));
    }
}

fn text(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:00Z").to_string()
}
