//! A change to a meeting: what a client of Graph may PATCH, and what a person does in Outlook. Both are parsed into
//! [`Change`] and applied in one place.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use chrono::{NaiveDate, NaiveDateTime, Weekday};
use chrono_tz::Tz;
use serde_json::Value;

use crate::answer::Refusal;
use crate::html;
use crate::item::{Address, Attendee, Facts, Range, Recurrence};
use crate::zone::{local_time, zone_by_name};

/// Most attendees of one event (graph.md section 3).
const MAX_ATTENDEES: usize = 500;
/// Longest subject and location in characters, longest body in bytes.
const MAX_TEXT: usize = 1_024;
const MAX_BODY: usize = 1_000_000;
/// What Teams leaves in a body, and by what it is recognized.
const TEAMS_BLOCK: &str =
    "<div class=\"teams-meeting\"><a href=\"https://teams.example/l/meetup-join/1\">Join</a></div>";
pub(crate) const TEAMS_MARK: &str = "teams.example/l/meetup-join";
/// Longest value of an extended property in characters.
const MAX_PROPERTY: usize = 2_500;

/// Only what is given changes (W1).
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) subject: Option<String>,
    pub(crate) body_html: Option<String>,
    pub(crate) start: Option<NaiveDateTime>,
    pub(crate) end: Option<NaiveDateTime>,
    /// Zone of both, as named by the client.
    pub(crate) zone: Option<(String, Tz)>,
    /// What the item calls its zone, whatever the zone is (R4).
    pub(crate) zone_label: Option<String>,
    pub(crate) all_day: Option<bool>,
    pub(crate) location: Option<String>,
    pub(crate) categories: Option<Vec<String>>,
    pub(crate) attendees: Option<Vec<Attendee>>,
    pub(crate) hide_attendees: Option<bool>,
    pub(crate) sensitivity: Option<String>,
    pub(crate) draft: Option<bool>,
    /// Whether it is a Teams meeting too; a client of Graph cannot take that away.
    pub(crate) online: Option<bool>,
    /// `Some(None)` makes a series a single meeting.
    pub(crate) recurrence: Option<Option<Recurrence>>,
    /// Extended properties; `None` removes one.
    pub(crate) properties: Vec<(String, Option<String>)>,
    /// One date of a series: moved there, or cancelled.
    pub(crate) date: Option<(NaiveDate, Option<(NaiveDateTime, NaiveDateTime)>)>,
    /// Who is invited to one date beside those of the series.
    pub(crate) guests: Option<(NaiveDate, Vec<Attendee>)>,
}

/// What a new item starts with: facts, categories, extended properties.
pub(crate) type NewItem = (Facts, Vec<String>, BTreeMap<String, String>);

impl Change {
    /// Reads an event as Graph clients write it. Fields that cannot be written are ignored, as Exchange mostly does.
    pub(crate) fn from_graph(event: &Value) -> Result<Self, Refusal> {
        let text = |field: &str| event[field].as_str().map(str::to_owned);
        let mut change = Self {
            subject: text("subject"),
            body_html: graph_body(&event["body"]),
            all_day: event["isAllDay"].as_bool(),
            location: graph_location(event),
            categories: event["categories"].as_array().map(|list| strings(list)),
            hide_attendees: event["hideAttendees"].as_bool(),
            sensitivity: text("sensitivity"),
            online: event["isOnlineMeeting"].as_bool().filter(|online| *online),
            ..Self::default()
        };
        for (field, slot) in [("start", &mut change.start), ("end", &mut change.end)] {
            if let Some(raw) = event[field]["dateTime"].as_str() {
                let name = event[field]["timeZone"].as_str().unwrap_or("UTC");
                let zone =
                    zone_by_name(name).ok_or_else(|| Refusal::bad_request(format!("unknown time zone '{name}'")))?;
                *slot = Some(local_time(raw, zone).ok_or_else(|| Refusal::bad_request(format!("no time: '{raw}'")))?);
                change.zone = Some((name.to_owned(), zone));
            }
        }
        if let Some(list) = event["attendees"].as_array() {
            change.attendees = Some(list.iter().filter_map(graph_attendee).collect());
        }
        for property in event["singleValueExtendedProperties"].as_array().into_iter().flatten() {
            if let Some(id) = property["id"].as_str() {
                change.properties.push((id.to_owned(), property["value"].as_str().map(str::to_owned)));
            }
        }
        Ok(change)
    }

    /// What a new meeting is made of.
    pub(crate) fn into_new(self, html_level: u8) -> Result<NewItem, Refusal> {
        let (Some(start), Some(end)) = (self.start, self.end) else {
            return Err(Refusal::bad_request("start and end are needed"));
        };
        let (zone_name, zone) = self.zone.clone().unwrap_or_else(|| ("UTC".to_owned(), Tz::UTC));
        let mut facts = Facts {
            subject: String::new(),
            body_html: html::saved("", html_level),
            start,
            end,
            zone_name,
            zone,
            all_day: false,
            location: String::new(),
            attendees: Vec::new(),
            hide_attendees: false,
            sensitivity: "normal".to_owned(),
            draft: false,
            online: false,
            sequence: 0,
            recurrence: None,
            moved: BTreeMap::new(),
            dropped: Default::default(),
            guests: BTreeMap::new(),
        };
        let (mut categories, mut properties) = (Vec::new(), BTreeMap::new());
        self.apply(html_level, &mut facts, &mut categories, &mut properties)?;
        Ok((facts, categories, properties))
    }

    /// Changes what is given, or nothing at all when something does not fit.
    pub(crate) fn apply(
        self,
        html_level: u8,
        facts: &mut Facts,
        categories: &mut Vec<String>,
        properties: &mut BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        self.check(facts)?;
        if let Some((date, moved_to)) = self.date {
            match moved_to {
                Some(times) => _ = facts.moved.insert(date, times),
                None => {
                    facts.moved.remove(&date);
                    facts.guests.remove(&date);
                    facts.dropped.insert(date);
                }
            }
        }
        if let Some((date, guests)) = self.guests {
            facts.guests.insert(date, guests);
        }
        set(&mut facts.subject, self.subject);
        set(&mut facts.online, self.online);
        // A Teams meeting is one as long as its part of the body stands (W4).
        let rewritten = self.body_html.is_some();
        let body = self.body_html.map(|html| if self.online == Some(true) { html + TEAMS_BLOCK } else { html });
        set(&mut facts.body_html, body.map(|html| html::saved(&html, html_level)));
        if self.online == Some(true) && !rewritten {
            facts.body_html = html::saved(&(facts.body_html.clone() + TEAMS_BLOCK), html_level);
        }
        facts.online &= !rewritten || facts.body_html.contains(TEAMS_MARK);
        set(&mut facts.start, self.start);
        set(&mut facts.end, self.end);
        if let Some((name, zone)) = self.zone {
            (facts.zone_name, facts.zone) = (name, zone);
        }
        set(&mut facts.zone_name, self.zone_label);
        set(&mut facts.all_day, self.all_day);
        set(&mut facts.location, self.location);
        set(&mut facts.attendees, self.attendees);
        set(&mut facts.hide_attendees, self.hide_attendees);
        set(&mut facts.sensitivity, self.sensitivity);
        set(&mut facts.draft, self.draft);
        set(&mut facts.recurrence, self.recurrence);
        set(categories, self.categories);
        for (id, value) in self.properties {
            match value {
                Some(value) => _ = properties.insert(id, value),
                None => _ = properties.remove(&id),
            }
        }
        Ok(())
    }

    fn check(&self, facts: &Facts) -> Result<(), Refusal> {
        let (start, end) = (self.start.unwrap_or(facts.start), self.end.unwrap_or(facts.end));
        if end < start {
            return Err(Refusal::bad_request("the end is before the start"));
        }
        // Whole days stand on midnight; who moves one to an hour has to say that it is none any more.
        let whole = self.all_day.unwrap_or(facts.all_day);
        let moved = self.date.as_ref().and_then(|(_, to)| *to);
        let at_midnight = |time: NaiveDateTime| time.time() == chrono::NaiveTime::MIN;
        let (first, last) = moved.unwrap_or((start, end));
        if whole && !(at_midnight(first) && at_midnight(last)) {
            let message = "The Event.Start and Event.End properties of an all-day event must be set to midnight.";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "ErrorInvalidRequest", message));
        }
        let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.chars().count() > MAX_TEXT);
        if long(&self.subject) || long(&self.location) {
            return Err(Refusal::bad_request("subject or location is too long"));
        }
        if self.body_html.as_ref().is_some_and(|html| html.len() > MAX_BODY) {
            return Err(Refusal::bad_request("the body is too long"));
        }
        if self.attendees.as_ref().is_some_and(|list| list.len() > MAX_ATTENDEES) {
            return Err(Refusal::bad_request("an event has at most 500 attendees"));
        }
        let fits = |value: &Option<String>| value.as_ref().is_none_or(|text| text.chars().count() <= MAX_PROPERTY);
        if !self.properties.iter().all(|(_, value)| fits(value)) {
            return Err(Refusal::bad_request("an extended property is too long"));
        }
        let known = |date: &NaiveDate| facts.series_dates().contains(date) && !facts.dropped.contains(date);
        if self.guests.as_ref().is_some_and(|(date, _)| !known(date)) {
            return Err(Refusal::item_not_found());
        }
        match &self.date {
            Some((date, _)) if !known(date) => Err(Refusal::item_not_found()),
            Some((_, Some((start, end)))) if end < start => Err(Refusal::bad_request("the end is before the start")),
            Some((date, Some((start, _)))) if crosses_a_neighbor(facts, *date, *start) => {
                let message = "Modified occurrence is crossing or overlapping adjacent occurrence.";
                Err(Refusal::new(StatusCode::BAD_REQUEST, "ErrorOccurrenceCrossingBoundary", message))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether a date moved there would stand before the one before it, behind the one behind it, or on the day of either (W6).
fn crosses_a_neighbor(facts: &Facts, date: NaiveDate, start: NaiveDateTime) -> bool {
    let dates = facts.instances();
    let day = |one: &crate::item::Instance| one.start.date();
    let others = |before: bool| {
        let side = move |one: &&crate::item::Instance| {
            one.date.is_some_and(|other| if before { other < date } else { other > date })
        };
        dates.iter().filter(side)
    };
    others(true).any(|one| start.date() <= day(one)) || others(false).any(|one| start.date() >= day(one))
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

pub(crate) fn strings(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// `location` replaces `locations`; alone, the first of `locations` counts.
fn graph_location(event: &Value) -> Option<String> {
    let single = event["location"]["displayName"].as_str();
    single.or_else(|| event["locations"][0]["displayName"].as_str()).map(str::to_owned)
}

fn graph_body(body: &Value) -> Option<String> {
    let content = body["content"].as_str()?;
    let is_text = body["contentType"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("text"));
    Some(if is_text { text_as_html(content) } else { content.to_owned() })
}

fn graph_attendee(attendee: &Value) -> Option<Attendee> {
    let address = attendee["emailAddress"]["address"].as_str()?.to_owned();
    let name = attendee["emailAddress"]["name"].as_str().unwrap_or(&address).to_owned();
    let kind = attendee["type"].as_str().unwrap_or("required").to_lowercase();
    let response = attendee["status"]["response"].as_str().unwrap_or("none").to_owned();
    Some(Attendee { who: Address { name, address }, kind, response })
}

/// Plain text as the HTML that Exchange makes of it.
pub(crate) fn text_as_html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let lines: Vec<_> = escaped.lines().map(|line| format!("<div>{line}</div>")).collect();
    lines.join("\r\n")
}

/// Reads `{"pattern": "daily"|"weekly", "interval": 1, "days": ["monday"], "until": "2026-12-24" | "count": 10}`.
pub(crate) fn recurrence(raw: &Value) -> Result<Recurrence, Refusal> {
    let interval = raw["interval"].as_u64().unwrap_or(1);
    let interval = u32::try_from(interval).ok().filter(|weeks| (1..=99).contains(weeks));
    let interval = interval.ok_or_else(|| Refusal::bad_request("recurrence.interval: write 1 to 99"))?;
    let days = raw["days"].as_array().map(|list| strings(list)).unwrap_or_default();
    let days: Result<Vec<Weekday>, _> = days.iter().map(|day| day.parse()).collect();
    let days = days.map_err(|_| Refusal::bad_request("recurrence.days: write monday to sunday"))?;
    let days = match raw["pattern"].as_str() {
        Some("daily") => Vec::new(),
        Some("weekly") if !days.is_empty() => days,
        _ => return Err(Refusal::bad_request("recurrence.pattern: write daily, or weekly with days")),
    };
    let until = raw["until"].as_str().map(str::parse::<NaiveDate>).transpose();
    let until = until.map_err(|_| Refusal::bad_request("recurrence.until: write a date, 2026-12-24"))?;
    let count = raw["count"].as_u64().and_then(|count| u32::try_from(count).ok());
    let range = match (until, count) {
        (Some(date), _) => Range::Until(date),
        (None, Some(count)) => Range::Count(count),
        (None, None) => Range::Endless,
    };
    Ok(Recurrence { interval, days, range })
}
