//! Items as Graph writes them (R3, R4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{NaiveDateTime, Weekday};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use crate::item::{Address, Facts, Ids, Instance, Item, Range, Recurrence, uid_of_date};
use crate::query::{Options, Prefer};
use crate::tenant::same;
use crate::zone::{instant, seven_decimals, stamp};

/// The property that holds an event's SEQUENCE (W12).
const SEQUENCE_PROPERTY: &str = "Integer {00062002-0000-0000-C000-000000000046} Id 0x8201";
/// Characters of `bodyPreview`.
const PREVIEW: usize = 255;

/// The etag of a version: `W/"` and the change key and `"`.
pub(crate) fn etag(version: u64) -> String {
    format!("W/\"{}\"", change_key(version))
}

fn change_key(version: u64) -> String {
    let mut raw = *b"\xd3\x19\x2f\xbeGraph00000000";
    raw[9..].copy_from_slice(&version.to_be_bytes());
    STANDARD.encode(raw)
}

/// A whole event: single meeting, master, or one date of a series.
pub(crate) fn event(item: &Item, one: Option<&Instance>, prefer: &Prefer, options: &Options) -> Value {
    let facts = &item.facts;
    let date = one.and_then(|one| one.date);
    let ids = date.and_then(|date| item.date_ids.get(&date)).unwrap_or(&item.ids);
    let kind = match (&facts.recurrence, one.filter(|one| one.date.is_some())) {
        (None, _) => "singleInstance",
        (Some(_), None) => "seriesMaster",
        (Some(_), Some(one)) if one.moved => "exception",
        (Some(_), Some(_)) => "occurrence",
    };
    let (start, end) = one.map_or((facts.start, facts.end), |one| (one.start, one.end));
    let text = text_of(&facts.body_html);
    let mut event = Map::new();
    let mut put = |field: &str, value: Value| _ = event.insert(field.to_owned(), value);
    put("@odata.etag", json!(etag(item.version)));
    put("id", json!(ids.form(prefer.immutable)));
    put("createdDateTime", json!(stamp(item.created)));
    put("lastModifiedDateTime", json!(stamp(item.modified)));
    put("changeKey", json!(change_key(item.version)));
    put("categories", json!(item.categories));
    put("transactionId", Value::Null);
    put("originalStartTimeZone", json!(facts.zone_name));
    put("originalEndTimeZone", json!(facts.zone_name));
    put("iCalUId", json!(date.map_or_else(|| item.uid.clone(), |date| uid_of_date(&item.uid, date))));
    put("reminderMinutesBeforeStart", json!(15));
    put("isReminderOn", json!(true));
    put("hasAttachments", json!(false));
    put("subject", json!(facts.subject));
    put("bodyPreview", json!(text.chars().take(PREVIEW).collect::<String>()));
    put("importance", json!("normal"));
    put("sensitivity", json!(facts.sensitivity));
    put("isAllDay", json!(facts.all_day));
    put("isCancelled", json!(item.cancelled));
    put("isOrganizer", json!(item.is_organizer));
    put("responseRequested", json!(true));
    put("seriesMasterId", date.map_or(Value::Null, |_| json!(item.ids.form(prefer.immutable))));
    put("showAs", json!("busy"));
    put("type", json!(kind));
    put("webLink", json!("https://outlook.office365.com/owa/?itemid=simulated&exvsurl=1&path=/calendar/item"));
    put("onlineMeetingUrl", Value::Null);
    put("isOnlineMeeting", json!(false));
    put("onlineMeetingProvider", json!("unknown"));
    put("allowNewTimeProposals", json!(true));
    put("isDraft", json!(facts.draft));
    put("hideAttendees", json!(facts.hide_attendees));
    put("recurrence", if date.is_some() { Value::Null } else { recurrence(facts) });
    put("onlineMeeting", Value::Null);
    put("responseStatus", response_status(item));
    put("body", body(facts, &text, prefer.text_body));
    put("start", time(facts, start, prefer));
    put("end", time(facts, end, prefer));
    put("location", location(&facts.location));
    let places = if facts.location.is_empty() { json!([]) } else { json!([location(&facts.location)]) };
    put("locations", places);
    put("attendees", attendees(facts));
    put("organizer", json!({"emailAddress": address(&item.organizer)}));
    if let Some(one) = one.filter(|one| one.date.is_some()) {
        put("originalStart", json!(stamp(one.original_start)));
    }
    if !options.properties.is_empty()
        && let Some(shown) = extended(item, &options.properties)
    {
        put("singleValueExtendedProperties", shown);
    }
    if kind == "seriesMaster" {
        if options.select.iter().flatten().any(|field| field.eq_ignore_ascii_case("cancelledOccurrences")) {
            let master = item.ids.form(prefer.immutable);
            let dropped: Vec<_> = facts.dropped.iter().map(|date| format!("OID.{master}.{date}")).collect();
            put("cancelledOccurrences", json!(dropped));
        }
        if options.expand_exceptions {
            let inner = Options { select: None, expand_exceptions: false, ..options.clone() };
            let moved: Vec<_> = facts.instances().into_iter().filter(|one| one.moved).collect();
            put("exceptionOccurrences", moved.iter().map(|one| self::event(item, Some(one), prefer, &inner)).collect());
        }
    }
    if let Some(fields) = &options.select {
        let always = ["@odata.etag", "id", "singleValueExtendedProperties", "exceptionOccurrences"];
        let wanted = |name: &str| always.contains(&name) || fields.iter().any(|field| same(field, name));
        event.retain(|name, _| wanted(name));
    }
    Value::Object(event)
}

/// A date of a series as delta writes it: bare (D2).
pub(crate) fn bare_occurrence(item: &Item, one: &Instance, ids: &Ids, prefer: &Prefer) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": etag(item.version),
        "seriesMasterId": item.ids.form(prefer.immutable),
        "type": "occurrence",
        "id": ids.form(prefer.immutable),
        "start": time(&item.facts, one.start, prefer),
        "end": time(&item.facts, one.end, prefer),
    })
}

/// The extended properties asked for, as far as the item has them; `None`: the field is absent.
fn extended(item: &Item, wanted: &[String]) -> Option<Value> {
    let found: Vec<_> = wanted
        .iter()
        .filter_map(|id| {
            let value = match id.eq_ignore_ascii_case(SEQUENCE_PROPERTY) {
                true => item.facts.sequence.to_string(),
                false => item.properties.get(id)?.clone(),
            };
            Some(json!({"id": id, "value": value}))
        })
        .collect();
    (!found.is_empty()).then_some(Value::Array(found))
}

/// An all-day event lies at midnight of whatever zone is asked for.
fn time(facts: &Facts, local: NaiveDateTime, prefer: &Prefer) -> Value {
    let shown = match facts.all_day {
        true => local,
        false => instant(local, facts.zone).with_timezone(&prefer.zone).naive_local(),
    };
    json!({"dateTime": seven_decimals(shown), "timeZone": prefer.zone_name})
}

fn body(facts: &Facts, text: &str, as_text: bool) -> Value {
    match as_text {
        true => json!({"contentType": "text", "content": text}),
        false => json!({"contentType": "html", "content": facts.body_html}),
    }
}

fn location(name: &str) -> Value {
    match name {
        "" => {
            json!({"displayName": "", "locationType": "default", "uniqueIdType": "unknown", "address": {}, "coordinates": {}})
        }
        name => json!({"displayName": name, "locationType": "default", "uniqueId": name, "uniqueIdType": "private"}),
    }
}

fn address(who: &Address) -> Value {
    json!({"name": who.name, "address": who.address})
}

/// Nobody's answer has a time before there is one: Graph writes the year 1.
fn attendees(facts: &Facts) -> Value {
    let one = |attendee: &crate::item::Attendee| {
        let status = json!({"response": attendee.response, "time": "0001-01-01T00:00:00Z"});
        json!({"type": attendee.kind, "status": status, "emailAddress": address(&attendee.who)})
    };
    facts.attendees.iter().map(one).collect()
}

fn response_status(item: &Item) -> Value {
    let response = if item.is_organizer { "organizer" } else { "notResponded" };
    json!({"response": response, "time": "0001-01-01T00:00:00Z"})
}

fn recurrence(facts: &Facts) -> Value {
    let Some(Recurrence { interval, days, range }) = &facts.recurrence else { return Value::Null };
    let names: Vec<_> = days.iter().map(|day| day_name(*day)).collect();
    let (kind, until, count) = match range {
        Range::Until(date) => ("endDate", date.to_string(), 0),
        Range::Count(count) => ("numbered", "0001-01-01".to_owned(), *count),
        Range::Endless => ("noEnd", "0001-01-01".to_owned(), 0),
    };
    let mut pattern = json!({
        "type": if days.is_empty() { "daily" } else { "weekly" },
        "interval": interval,
        "month": 0,
        "dayOfMonth": 0,
        "firstDayOfWeek": "sunday",
        "index": "first",
    });
    if !days.is_empty() {
        pattern["daysOfWeek"] = json!(names);
    }
    let range = json!({
        "type": kind,
        "startDate": facts.start.date().to_string(),
        "endDate": until,
        "recurrenceTimeZone": facts.zone_name,
        "numberOfOccurrences": count,
    });
    json!({"pattern": pattern, "range": range})
}

fn day_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "monday",
        Weekday::Tue => "tuesday",
        Weekday::Wed => "wednesday",
        Weekday::Thu => "thursday",
        Weekday::Fri => "friday",
        Weekday::Sat => "saturday",
        Weekday::Sun => "sunday",
    }
}

/// Exchange's idea of a body as text: tags away, entities back, lines of CRLF.
fn text_of(html: &str) -> String {
    let body = html.split_once("<body>").map_or(html, |(_, body)| body);
    let (mut text, mut in_tag) = (String::new(), false);
    for letter in body.replace("\r\n", "\n").replace("</div>", "</div>\n").chars() {
        match letter {
            '<' => in_tag = true,
            '>' if in_tag => in_tag = false,
            _ if in_tag => {}
            letter => text.push(letter),
        }
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\u{a0}").replace("&amp;", "&");
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.join("\r\n")
}

/// What the control API tells of an item's times: instants, whatever the zone.
pub(crate) fn instant_text(local: NaiveDateTime, zone: Tz) -> String {
    instant(local, zone).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
