//! `dialroom book`: a conference that no calendar knows.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use dialroom_host::Clock;
use serde_json::json;

use crate::api::{Api, Which};

/// What is booked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BookArgs {
    /// What the meeting is called
    title: String,
    /// Start, RFC 3339 (2026-11-26T10:00:00+01:00), or minutes from now as in +10m
    #[arg(long, default_value = "+10m", allow_hyphen_values = true)]
    start: String,
    /// Minutes that it lasts
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=44_640))]
    minutes: u32,
    /// Mail address of who invites
    #[arg(long, value_name = "ADDRESS")]
    organizer: String,
    /// Mail addresses of who is invited
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    attendees: Vec<String>,
    #[command(flatten)]
    which: Which,
}

/// Books, and prints number, room and PINs: the only time that they are told here.
pub(crate) async fn run(arguments: BookArgs) -> anyhow::Result<()> {
    let api = Api::find(arguments.which)?;
    // The demo's time may run ahead of the machine's.
    let diagnostics = api.get("/api/v1/diagnostics").await?;
    let now = diagnostics["now"].as_str().and_then(|now| now.parse().ok()).unwrap_or_else(|| Clock::real().wall());
    let start = start(&arguments.start, now)?;
    let end = start + TimeDelta::minutes(arguments.minutes.into());
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let wanted = json!({
        "title": arguments.title,
        "start": time(start),
        "end": time(end),
        "organizer": arguments.organizer,
        "attendees": arguments.attendees,
    });
    let booked = api.post("/api/v1/conferences", &wanted).await?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    let window = &booked["windows"][0];
    let mut out = std::io::stdout().lock();
    writeln!(out, "Booked as {}", text(&booked["id"]))?;
    writeln!(out, "Room {}, PIN {}", text(&booked["room"]), text(&booked["pins"]["participant"]))?;
    writeln!(out, "Moderator PIN {}", text(&booked["pins"]["moderator"]))?;
    writeln!(out, "The line opens at {} and closes at {}", text(&window["opens"]), text(&window["closes"]))?;
    Ok(())
}

fn start(raw: &str, now: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    if let Some(minutes) = raw.strip_prefix('+').and_then(|rest| rest.strip_suffix('m')) {
        let minutes: u32 = minutes.parse().with_context(|| format!("--start {raw}: write +10m"))?;
        let whole_minute = now.timestamp() - now.timestamp().rem_euclid(60);
        return DateTime::from_timestamp(whole_minute + i64::from(minutes) * 60, 0).context("--start is too far ahead");
    }
    match DateTime::parse_from_rfc3339(raw) {
        Ok(time) => Ok(time.to_utc()),
        Err(_) => bail!("--start {raw}: write 2026-11-26T10:00:00+01:00, or +10m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_time_or_minutes_from_now() {
        let now: DateTime<Utc> = "2026-11-26T09:00:30Z".parse().unwrap();
        assert_eq!(start("+10m", now).unwrap().to_rfc3339(), "2026-11-26T09:10:00+00:00");
        assert_eq!(start("2026-11-26T10:00:00+01:00", now).unwrap().to_rfc3339(), "2026-11-26T09:00:00+00:00");
        for raw in ["10:00", "+m", "+-5m", "tomorrow"] {
            assert!(start(raw, now).is_err(), "{raw}");
        }
    }
}
