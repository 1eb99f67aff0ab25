//! A change to a meeting: what a client of Graph may PATCH, and what a person does in Outlook. Both are parsed into
//! [`Change`] and applied in one place.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime, Weekday};
use chrono_tz::Tz;
use serde_json::Value;

use crate::answer::Refusal;
use crate::item::{Address, Attendee, Facts, Range, Recurrence};
use crate::zone::{local_time, zone_by_name};

/// Most attendees of one event (graph.md section 3).
const MAX_ATTENDEES: usize = 500;
/// Longest subject and location in characters, longest body in bytes.
const MAX_TEXT: usize = 1_024;
const MAX_BODY: usize = 1_000_000;
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
    pub(crate) all_day: Option<bool>,
    pub(crate) location: Option<String>,
    pub(crate) categories: Option<Vec<String>>,
    pub(crate) attendees: Option<Vec<Attendee>>,
    pub(crate) hide_attendees: Option<bool>,
    pub(crate) sensitivity: Option<String>,
    pub(crate) draft: Option<bool>,
    /// `Some(None)` makes a series a single meeting.
    pub(crate) recurrence: Option<Option<Recurrence>>,
    /// Extended properties; `None` removes one.
    pub(crate) properties: Vec<(String, Option<String>)>,
    /// One date of a series: moved there, or cancelled.
    pub(crate) date: Option<(NaiveDate, Option<(NaiveDateTime, NaiveDateTime)>)>,
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
    pub(crate) fn into_new(self) -> Result<NewItem, Refusal> {
        let (Some(start), Some(end)) = (self.start, self.end) else {
            return Err(Refusal::bad_request("start and end are needed"));
        };
        let (zone_name, zone) = self.zone.clone().unwrap_or_else(|| ("UTC".to_owned(), Tz::UTC));
        let mut facts = Facts {
            subject: String::new(),
            body_html: normal_html(""),
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
            sequence: 0,
            recurrence: None,
            moved: BTreeMap::new(),
            dropped: Default::default(),
        };
        let (mut categories, mut properties) = (Vec::new(), BTreeMap::new());
        self.apply(&mut facts, &mut categories, &mut properties)?;
        Ok((facts, categories, properties))
    }

    /// Changes what is given, or nothing at all when something does not fit.
    pub(crate) fn apply(
        self,
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
                    facts.dropped.insert(date);
                }
            }
        }
        set(&mut facts.subject, self.subject);
        set(&mut facts.body_html, self.body_html.map(|html| normal_html(&html)));
        set(&mut facts.start, self.start);
        set(&mut facts.end, self.end);
        if let Some((name, zone)) = self.zone {
            (facts.zone_name, facts.zone) = (name, zone);
        }
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
        match &self.date {
            Some((date, _)) if !known(date) => Err(Refusal::item_not_found()),
            Some((_, Some((start, end)))) if end < start => Err(Refusal::bad_request("the end is before the start")),
            Some(_) | None => Ok(()),
        }
    }
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

/// Exchange never keeps a body as it was written: it wraps it, and ends lines with CRLF.
fn normal_html(html: &str) -> String {
    if html.trim_start().to_ascii_lowercase().starts_with("<html") {
        return html.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    let inner = html.replace("\r\n", "\n").replace('\n', "\r\n");
    let head = "<html><head>\r\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">";
    format!("{head}</head>\r\n<body>\r\n{inner}\r\n</body>\r\n</html>\r\n")
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
