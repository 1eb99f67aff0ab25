//! `dialroom why`: what was seen of an appointment, what was decided, and what followed.

use std::io::Write as _;

use serde_json::Value;

use crate::api::{Api, Which};
use crate::list::printable;
use crate::trace::escaped;

/// Which appointment, and of which connector.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WhyArgs {
    /// A booking's id, an event's id, a UID, or part of a subject
    appointment: String,
    #[command(flatten)]
    which: Which,
}

/// Prints the story of each appointment that fits.
pub(crate) async fn run(arguments: WhyArgs) -> anyhow::Result<()> {
    let path = format!("/api/v1/why?appointment={}", escaped(&arguments.appointment));
    let found = Api::find(arguments.which)?.get(&path).await?;
    let mut out = std::io::stdout().lock();
    for story in found["appointments"].as_array().into_iter().flatten() {
        for line in lines(story) {
            writeln!(out, "{line}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// One appointment, the oldest decision first: a story is read from its beginning.
fn lines(story: &Value) -> Vec<String> {
    let text = |value: &Value| printable(value.as_str().unwrap_or("-"));
    let mut lines = vec![match story["booking"].as_str() {
        Some(id) => {
            let (room, state, title) = (text(&story["room"]), text(&story["state"]), text(&story["title"]));
            format!("{}  room {room}  {state}  {title}", printable(id))
        }
        None => format!("no booking  UID {}", text(&story["uid"])),
    }];
    for told in story["decisions"].as_array().into_iter().flatten().rev() {
        let seen = seen_by(&told["seen_by"]);
        lines.push(format!("  {}  seen by {seen}: {}", text(&told["at"]), text(&told["says"])));
        if let Some((name, value)) = told["rule"]["rule"].as_object().and_then(|rule| rule.iter().next()) {
            lines.push(format!("      rule: {} {}", printable(name), text(value)));
        }
        for change in told["decision"]["detail"].as_array().into_iter().flatten() {
            lines.push(format!("      change: {}", printable(&change.to_string())));
        }
        for mail in told["mails"].as_array().into_iter().flatten() {
            let (to, kind, state) = (text(&mail["to"]), text(&mail["kind"]), text(&mail["state"]));
            lines.push(format!("      mail to {to}: {kind}, {state}"));
        }
    }
    if let Some(says) = story["seen_since"]["says"].as_str() {
        let (at, seen) = (text(&story["seen_since"]["at"]), seen_by(&story["seen_since"]["seen_by"]));
        lines.push(format!("  {at}  seen by {seen}: {}", printable(says)));
    }
    let calls = story["calls"].as_array().map_or(0, Vec::len);
    lines.push(format!("  calls that used it: {calls}"));
    lines
}

fn seen_by(value: &Value) -> &'static str {
    match value.as_str() {
        Some("notice") => "a notification",
        Some("asked") => "a look that was asked for",
        Some("comparison") => "comparing the whole calendar",
        Some("request") => "a request to us",
        _ => "looking at the calendar",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_story_is_told_from_its_beginning_and_steers_no_terminal() {
        let story = json!({
            "booking": "b1", "room": "4711", "state": "active", "title": "Hi\u{1b}[2J", "uid": "u", "calls": [{}],
            "decisions": [
                {"at": "t2", "seen_by": "asked", "says": "second", "decision": {"decision": "cancel"}, "mails": []},
                {"at": "t1", "seen_by": "notice", "says": "first", "rule": {"index": 0, "rule": {"category": "Tel"}},
                 "mails": [{"to": "a@b.example", "kind": "dial-in data", "state": "accepted"}]},
            ],
        });
        let expected = [
            "b1  room 4711  active  Hi\u{fffd}[2J",
            "  t1  seen by a notification: first",
            "      rule: category Tel",
            "      mail to a@b.example: dial-in data, accepted",
            "  t2  seen by a look that was asked for: second",
            "  calls that used it: 1",
        ];
        assert_eq!(lines(&story), expected);
    }
}
