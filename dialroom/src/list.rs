//! `dialroom list`: what is booked.

use std::io::Write as _;

use serde_json::Value;

use crate::api::{Api, Which};

/// Which connector is asked.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    which: Which,
}

/// Prints a line for each booking.
pub(crate) async fn run(arguments: ListArgs) -> anyhow::Result<()> {
    let bookings = Api::find(arguments.which)?.get("/api/v1/conferences").await?;
    let mut out = std::io::stdout().lock();
    for booking in bookings["conferences"].as_array().into_iter().flatten() {
        writeln!(out, "{}", line(booking))?;
    }
    Ok(())
}

fn line(booking: &Value) -> String {
    let dates = booking["windows"].as_array();
    let first = dates.and_then(|dates| dates.first()).and_then(|date| date["start"].as_str()).unwrap_or("-");
    let count = dates.map_or(0, Vec::len);
    let dates = if count > 1 { format!("{first} and {} more", count - 1) } else { first.to_owned() };
    let text = |value: &Value| printable(value.as_str().unwrap_or("-"));
    let (room, state, title) = (text(&booking["room"]), text(&booking["state"]), text(&booking["title"]));
    format!("{}  room {room}  {state}  {dates}  {title}", text(&booking["id"]))
}

/// Text that comes from strangers must not steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subject_cannot_steer_the_terminal() {
        let booking = json!({"id": "b1", "room": "4711", "state": "active", "title": "Hi\u{1b}[2J\nroom 1", "windows": [{"start": "2026-11-26T09:00:00Z"}]});
        assert_eq!(line(&booking), "b1  room 4711  active  2026-11-26T09:00:00Z  Hi\u{fffd}[2J\u{fffd}room 1");
    }
}
