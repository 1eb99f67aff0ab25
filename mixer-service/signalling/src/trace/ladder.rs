//! One call as people draw it: us on the left, the others on the right, an arrow for each message.

use std::fmt::Write;
use std::time::Duration;

use super::{Entry, Way};

/// Columns between the two uprights.
const WIDTH: usize = 58;

/// Draws a ladder. With `whole`, each message stands under its arrow, as far as it may be shown.
#[must_use]
pub fn ladder(entries: &[Entry], whole: bool) -> String {
    let mut out = String::new();
    let Some(first) = entries.first() else { return out };
    let _ = writeln!(out, "{:>11}  {:<width$} far end", "", "dialroom", width = WIDTH + 2);
    for entry in entries {
        let at = entry.at.saturating_duration_since(first.at);
        let label = label(&entry.text);
        let arrow = match entry.way {
            Way::In => format!("<{label:-^width$}", width = WIDTH - 1),
            Way::Out => format!("{label:-^width$}>", width = WIDTH - 1),
        };
        let _ = writeln!(out, "{}  |{arrow}| {} {}", seconds(at), entry.peer, entry.transport.as_str());
        if whole {
            for line in entry.text.lines() {
                let _ = writeln!(out, "{:>11}  |  {line}", "");
            }
            let _ = writeln!(out, "{:>11}  |", "");
        }
        if entry.left_out_after > 0 {
            let _ = writeln!(out, "{:>11}  |  … {} messages left out", "", entry.left_out_after);
        }
    }
    out
}

fn seconds(at: Duration) -> String {
    format!("{:>+9}.{:03}", at.as_secs(), at.subsec_millis()).chars().skip(2).collect()
}

/// What an arrow says: method and address or status and phrase, and whether sound is described.
fn label(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let first = first.strip_prefix("SIP/2.0 ").or_else(|| first.strip_suffix(" SIP/2.0")).unwrap_or(first);
    let described = if text.contains("\n\nv=0") { " (SDP)" } else { "" };
    let room = WIDTH - 5 - described.len();
    let cut: String = if first.chars().count() > room {
        first.chars().take(room - 1).chain(['…']).collect()
    } else {
        first.to_owned()
    };
    format!(" {}{described} ", cut.trim())
}
