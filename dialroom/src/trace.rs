//! `dialroom trace`: what was said on the wire, as a ladder; without a call, which calls are remembered.
//!
//! The mixer keeps the messages in memory and hides credentials, keys, digits and the most part of numbers before it does.

use std::io::Write as _;

use serde_json::Value;

use crate::api::{Api, Which};
use crate::list::printable;

/// Which call, and of which mixer.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TraceArgs {
    /// The call: its number as in the log and in the list, or the beginning of its Call-ID; without it, the list
    call: Option<String>,
    /// Whole messages under their arrows
    #[arg(long, requires = "call")]
    messages: bool,
    #[command(flatten)]
    which: Which,
}

/// Prints the ladder, or the list.
pub(crate) async fn run(arguments: TraceArgs) -> anyhow::Result<()> {
    let mixer = Api::mixer(arguments.which)?;
    let mut out = std::io::stdout().lock();
    let Some(call) = arguments.call else {
        let calls = mixer.get("/v1/traces").await?;
        writeln!(out, "{}", head())?;
        for call in calls.as_array().into_iter().flatten() {
            writeln!(out, "{}", line(call))?;
        }
        return Ok(());
    };
    let path = format!("/v1/calls/{}/trace?messages={}", escaped(&call), arguments.messages);
    let found = mixer.get(&path).await?;
    writeln!(out, "{}\n{}\n", head(), line(&found))?;
    for line in found["ladder"].as_str().unwrap_or_default().lines() {
        writeln!(out, "{}", printable(line))?;
    }
    Ok(())
}

fn head() -> String {
    format!("{:>6}  {:24}  {:>7}  {:>8}  {:21}  request, Call-ID", "call", "began", "seconds", "messages", "from")
}

fn line(call: &Value) -> String {
    let text = |key: &str| printable(call[key].as_str().unwrap_or("-"));
    let number = |key: &str| call[key].as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string());
    format!(
        "{:>6}  {:24}  {:>7}  {:>8}  {:21}  {}, {}",
        number("leg"),
        text("started"),
        number("seconds"),
        number("messages"),
        text("source"),
        text("request"),
        text("call_id"),
    )
}

/// A Call-ID in a path (RFC 3986 section 2.1).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_a_line_that_cannot_steer_the_terminal() {
        let call = json!({
            "leg": 7, "call_id": "a\u{1b}[2J@b", "started": "2026-11-26T09:00:00.000Z", "seconds": 12, "messages": 9,
            "source": "192.0.2.1:5060", "request": "INVITE sip:88@192.0.2.9 SIP/2.0"
        });
        assert_eq!(
            line(&call),
            "     7  2026-11-26T09:00:00.000Z       12         9  192.0.2.1:5060         INVITE sip:88@192.0.2.9 SIP/2.0, \
             a\u{fffd}[2J@b"
        );
        assert!(line(&json!({"call_id": "x"})).contains("     -  -"));
    }

    #[test]
    fn a_call_id_may_hold_anything() {
        assert_eq!(escaped("a/b?c d@host"), "a%2Fb%3Fc%20d@host");
    }
}
