//! The simulated tenant's calendar, as the page shows it and as people change it.

use anyhow::Context as _;
use chrono::{DateTime, Datelike as _, Days, NaiveTime, SecondsFormat, TimeDelta, TimeZone as _, Utc, Weekday};
use chrono_tz::Europe::Berlin;
use serde_json::{Value, json};

use crate::http;

/// What marks a meeting for us.
pub(crate) const CATEGORY: &str = "Telephone conference";
/// Days that the page shows, today included.
const SHOWN_DAYS: u64 = 7;

/// The dates of the next days, every meeting once.
pub(crate) async fn week(client: &reqwest::Client, graph_url: &str, now: DateTime<Utc>) -> anyhow::Result<Value> {
    let today = now.with_timezone(&Berlin).date_naive();
    let midnight = |days| {
        let day = (today + Days::new(days)).and_time(NaiveTime::MIN);
        let instant = Berlin.from_local_datetime(&day).earliest().map_or_else(|| day.and_utc(), |time| time.to_utc());
        instant.to_rfc3339_opts(SecondsFormat::Secs, true)
    };
    let url = format!("{graph_url}/control/calendar");
    let answer = client.get(url).query(&[("from", midnight(0)), ("to", midnight(SHOWN_DAYS))]).send().await;
    let mut answer: Value = answer?.error_for_status()?.json().await?;
    Ok(answer["events"].take())
}

/// What a control request came to: the answer, or the reason in Graph's words.
pub(crate) async fn ask(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await.context("the simulated tenant does not answer")?;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    anyhow::bail!("{}", body["error"]["message"].as_str().unwrap_or("the simulated tenant refused"))
}

/// A few meetings to look at. None is near the start of the demo or invites those of the newcomer's story on that day,
/// so that a call of theirs has one conference to lead into.
pub(crate) async fn book_samples(graph_url: &str, now: DateTime<Utc>) -> anyhow::Result<()> {
    let client = http::client()?;
    for meeting in samples(now) {
        ask(client.post(format!("{graph_url}/control/events")).json(&meeting)).await?;
    }
    Ok(())
}

fn samples(now: DateTime<Utc>) -> Vec<Value> {
    let today = now.with_timezone(&Berlin).date_naive();
    let workday = |mut days: u64| {
        while [Weekday::Sat, Weekday::Sun].contains(&(today + Days::new(days)).weekday()) {
            days += 1;
        }
        today + Days::new(days)
    };
    let meeting = |days: u64, time: &str, minutes: i64, mailbox: &str, subject: &str, attendees: &[&str]| {
        json!({
            "mailbox": format!("{mailbox}@contoso.example"),
            "subject": subject,
            "start": format!("{}T{time}", workday(days)),
            "duration_minutes": minutes,
            "attendees": attendees,
        })
    };
    let mut weekly = meeting(2, "10:00:00", 30, "david", "Support round", &["emil@contoso.example"]);
    let day = workday(2).weekday();
    weekly["recurrence"] = json!({"pattern": "weekly", "days": [day_name(day)], "count": 6});
    weekly["categories"] = json!([CATEGORY]);
    let mut supplier =
        meeting(2, "14:00:00", 60, "emil", "Supplier call", &["david@contoso.example", "otto@fabrikam.example"]);
    supplier["location"] = json!("@telefon");
    let lunch = meeting(2, "12:30:00", 45, "clara", "Lunch", &["anna@contoso.example"]);
    let mut planning =
        meeting(3, "09:00:00", 90, "clara", "Planning", &["anna@contoso.example", "bernd@contoso.example"]);
    planning["attendees"].as_array_mut().into_iter().for_each(|list| {
        list.push(json!({"address": super::people::RESOURCE, "type": "resource"}));
    });
    vec![weekly, supplier, lunch, planning]
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

/// The next full five minutes that are at least five minutes away: the line of such a meeting opens at once.
pub(crate) fn soon(now: DateTime<Utc>) -> DateTime<Utc> {
    let earliest = now.timestamp() + 300;
    let rounded = earliest + (300 - earliest.rem_euclid(300)) % 300;
    DateTime::from_timestamp(rounded, 0).unwrap_or(now + TimeDelta::minutes(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soon_is_a_round_time_at_least_five_minutes_away() {
        for (now, then) in [("10:00:00", "10:05:00"), ("10:00:01", "10:10:00"), ("10:04:59", "10:10:00")] {
            let at = |time: &str| format!("2026-11-26T{time}Z").parse::<DateTime<Utc>>().unwrap();
            assert_eq!(soon(at(now)), at(then));
        }
    }

    #[test]
    fn samples_leave_the_newcomers_story_alone() {
        let now: DateTime<Utc> = "2026-11-26T08:00:00Z".parse().unwrap();
        for meeting in samples(now) {
            let start = meeting["start"].as_str().unwrap();
            assert!(start >= "2026-11-28", "{start}");
        }
    }
}
