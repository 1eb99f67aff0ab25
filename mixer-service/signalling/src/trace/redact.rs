//! A message as it may be kept: what is known to be harmless stands as it came, everything else is hidden.
//!
//! Hidden are credentials, keys, digits told or dialled, names of people, and every header, attribute and body that is
//! not known here. Hiding too much costs a question to the telephone system's own log; showing too much cannot be taken
//! back.

use std::borrow::Cow;

use memchr::memchr2;

use super::Way;
use super::mask::{self, HIDDEN, Tail};

/// Headers that are shown as they came. They hold methods, numbers of messages, and marks of software.
const PLAIN: [&str; 30] = [
    "via",
    "call-id",
    "cseq",
    "max-forwards",
    "content-type",
    "content-length",
    "content-encoding",
    "content-disposition",
    "allow",
    "allow-events",
    "accept",
    "accept-encoding",
    "accept-language",
    "supported",
    "require",
    "proxy-require",
    "unsupported",
    "expires",
    "min-expires",
    "session-expires",
    "min-se",
    "rseq",
    "rack",
    "retry-after",
    "user-agent",
    "server",
    "date",
    "event",
    "subscription-state",
    "mime-version",
];
/// Headers of free text: shown without longer numbers.
const TEXT: [&str; 3] = ["reason", "warning", "privacy"];
/// Headers of addresses.
const ADDRESSES: [&str; 18] = [
    "from",
    "to",
    "contact",
    "route",
    "record-route",
    "path",
    "service-route",
    "p-asserted-identity",
    "p-preferred-identity",
    "remote-party-id",
    "p-called-party-id",
    "p-associated-uri",
    "diversion",
    "history-info",
    "refer-to",
    "referred-by",
    "reply-to",
    "target-uri",
];
/// Those of them that name the far end, where the far end wrote them.
const CALLERS: [&str; 4] = ["from", "p-asserted-identity", "p-preferred-identity", "remote-party-id"];
/// Headers of a digest: the scheme is shown.
const DIGESTS: [&str; 4] = ["authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate"];
/// Short names (RFC 3261 section 20 and others).
const SHORT: [(&str, &str); 15] = [
    ("i", "call-id"),
    ("m", "contact"),
    ("e", "content-encoding"),
    ("l", "content-length"),
    ("c", "content-type"),
    ("f", "from"),
    ("k", "supported"),
    ("t", "to"),
    ("v", "via"),
    ("u", "allow-events"),
    ("o", "event"),
    ("x", "session-expires"),
    ("r", "refer-to"),
    ("b", "referred-by"),
    ("s", "subject"),
];
/// Attributes of a description that are shown.
const ATTRIBUTES: [&str; 19] = [
    "rtpmap",
    "fmtp",
    "ptime",
    "maxptime",
    "sendrecv",
    "sendonly",
    "recvonly",
    "inactive",
    "rtcp",
    "rtcp-mux",
    "rtcp-fb",
    "mid",
    "group",
    "setup",
    "fingerprint",
    "candidate",
    "extmap",
    "silencesupp",
    "rtcp-rsize",
];
/// Methods whose bodies may be shown at all; those of INFO and MESSAGE are keys and words of people.
const WITH_DESCRIPTION: [&str; 5] = ["INVITE", "ACK", "PRACK", "UPDATE", "OPTIONS"];

/// A message as text, lines ended by `\n`.
pub(super) fn redact(message: &[u8], way: Way) -> String {
    let text = String::from_utf8_lossy(message);
    let mut lines = Lines { rest: text.trim_start() };
    let mut out = String::with_capacity(text.len());
    let first = lines.next().unwrap_or_default();
    first_line(&mut out, first);
    out.push('\n');
    let is_response = first.starts_with("SIP/");
    let far_end_asks = is_response == (way == Way::Out);
    let mut bodies = Bodies { method_allows: is_response || has_description(first), ..Bodies::default() };
    while let Some(line) = lines.next_folded() {
        header(&mut out, line, far_end_asks, &mut bodies);
    }
    if !lines.rest.trim_ascii().is_empty() {
        out.push('\n');
        body(&mut out, lines.rest, bodies.is_description());
    }
    out
}

/// Lines, ended by whatever a telephone or a forger takes for an end.
struct Lines<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr2(b'\r', b'\n', self.rest.as_bytes()).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix("\r\n").or_else(|| rest.get(1..)).unwrap_or_default();
        Some(line)
    }
}

impl<'a> Lines<'a> {
    /// The next line with all that is folded under it; `None` after the empty line that ends the head.
    fn next_folded(&mut self) -> Option<&'a str> {
        let start = self.rest;
        let mut len = self.next().filter(|line| !line.is_empty())?.len();
        while self.rest.starts_with([' ', '\t']) {
            let fold = self.rest;
            let line = self.next().unwrap_or_default();
            len = start.len() - fold.len() + line.len();
        }
        Some(&start[..len])
    }
}

/// What the head said about the body.
#[derive(Default)]
struct Bodies {
    method_allows: bool,
    descriptions: usize,
    types: usize,
}

impl Bodies {
    const fn is_description(&self) -> bool {
        self.method_allows && self.types == 1 && self.descriptions == 1
    }
}

fn first_line(out: &mut String, line: &str) {
    let line = line.trim();
    if line.starts_with("SIP/") {
        mask::text(out, &clean(line));
        return;
    }
    let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (uri, version) = rest.trim().rsplit_once(' ').unwrap_or((rest, ""));
    mask::text(out, &clean(method));
    out.push(' ');
    mask::uri(out, &clean(uri), Tail::Hidden);
    out.push(' ');
    mask::text(out, &clean(version));
}

fn has_description(first: &str) -> bool {
    let method = first.split_whitespace().next().unwrap_or_default();
    WITH_DESCRIPTION.contains(&method)
}

fn header(out: &mut String, line: &str, far_end_asks: bool, bodies: &mut Bodies) {
    let Some((written, value)) = line.split_once(':') else {
        out.push_str(HIDDEN);
        out.push('\n');
        return;
    };
    let (written, value) = (written.trim(), clean(value.trim()));
    let lower = written.to_ascii_lowercase();
    let name = SHORT.iter().find(|(short, _)| *short == lower).map_or(lower.as_str(), |(_, long)| long);
    if name == "content-type" {
        bodies.types += 1;
        let kind = value.split(';').next().unwrap_or_default().trim();
        bodies.descriptions += usize::from(kind.eq_ignore_ascii_case("application/sdp"));
    }
    mask::text(out, &clean(written));
    out.push_str(": ");
    if PLAIN.contains(&name) {
        out.push_str(&value);
    } else if TEXT.contains(&name) {
        mask::text(out, &value);
    } else if ADDRESSES.contains(&name) {
        let tail = if far_end_asks && CALLERS.contains(&name) { Tail::Shown } else { Tail::Hidden };
        mask::addresses(out, &value, tail);
    } else {
        if DIGESTS.contains(&name) && value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("digest ")) {
            out.push_str("Digest ");
        }
        out.push_str(HIDDEN);
    }
    out.push('\n');
}

fn body(out: &mut String, body: &str, is_description: bool) {
    use std::fmt::Write;
    if !is_description {
        let _ = writeln!(out, "[{} bytes hidden]", body.trim_start().len());
        return;
    }
    for line in (Lines { rest: body }).filter(|line| !line.is_empty()) {
        description_line(out, &clean(line));
        out.push('\n');
    }
}

fn description_line(out: &mut String, line: &str) {
    let Some((kind, value)) = line.split_once('=').filter(|(kind, _)| kind.len() == 1) else {
        return out.push_str(HIDDEN);
    };
    match kind {
        "v" | "t" | "c" | "m" | "b" => out.push_str(line),
        "o" => {
            out.push_str("o=… ");
            out.push_str(value.split_once(' ').map_or(HIDDEN, |(_, rest)| rest));
        }
        "a" => attribute(out, value),
        _ => {
            mask::text(out, kind);
            out.push('=');
            out.push_str(if value == "-" { value } else { HIDDEN });
        }
    }
}

fn attribute(out: &mut String, attribute: &str) {
    let (name, value) = attribute.split_once(':').map_or((attribute, None), |(name, value)| (name, Some(value)));
    let lower = name.to_ascii_lowercase();
    out.push_str("a=");
    if ATTRIBUTES.contains(&lower.as_str()) {
        out.push_str(attribute);
    } else if lower == "crypto" {
        out.push_str("crypto:");
        // Number and suite, as long as they look like that and not like a key.
        let mut words = value.unwrap_or_default().split_whitespace();
        let (tag, suite) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_tag = tag.len() <= 9 && tag.bytes().all(|byte| byte.is_ascii_digit());
        let is_suite = suite.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        if is_tag && is_suite && suite.contains('_') && suite.len() <= 32 {
            out.push_str(tag);
            out.push(' ');
            out.push_str(suite);
            out.push(' ');
        }
        out.push_str(HIDDEN);
    } else {
        mask::text(out, &lower);
        if value.is_some() {
            out.push(':');
            out.push_str(HIDDEN);
        }
    }
}

/// Control characters would move a reader's terminal, and line breaks of a fold are none any more.
fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return text.into();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
