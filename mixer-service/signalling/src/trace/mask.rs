//! What is left of addresses, numbers and free text when a message is kept.
//!
//! The rule is to show only what is known to be harmless. A number keeps its beginning, which says where it is from;
//! its end is kept only where the text says it is a caller's, as what was dialled may have a room and a PIN behind it.

use std::net::Ipv6Addr;

/// In place of what is not shown.
pub(super) const HIDDEN: &str = "[hidden]";
/// In place of the middle or the rest of a number.
const STARS: &str = "***";
/// Characters of an international number shown at its beginning, the `+` included; as `E164` masks it in every log.
const HEAD_LEN: usize = 5;
/// Digits of another number shown at its beginning.
const SHORT_HEAD_LEN: usize = 2;
/// A number of so few digits is shown whole: it is the number of a service, and no PIN is as short.
const SERVICE_DIGITS: usize = 3;
/// With fewer digits than this its last two would say too much of a number.
const TAIL_FROM_DIGITS: usize = 8;
/// ITU-T E.164; what is longer has more behind it than a number.
const MAX_NUMBER_DIGITS: usize = 15;
/// Digits in a row that free text may show: status codes, causes, not PINs.
const TEXT_DIGITS: usize = 3;

/// Parameters of an address or a URI whose values are shown; they hold names and switches.
const SHOWN_PARAMS: [&str; 22] = [
    "tag",
    "expires",
    "q",
    "lr",
    "ob",
    "transport",
    "user",
    "maddr",
    "ttl",
    "method",
    "isfocus",
    "reg-id",
    "verstat",
    "privacy",
    "screen",
    "party",
    "reason",
    "counter",
    "index",
    "audio",
    "video",
    "rport",
];

/// Whether the last two digits of a number may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Shown,
    Hidden,
}

/// Appends a list of addresses (`From`, `Contact`, `Route` …): names hidden, numbers masked.
pub(super) fn addresses(out: &mut String, value: &str, tail: Tail) {
    for (index, address) in split_outside(value, ',').enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        one_address(out, address.trim(), tail);
    }
}

fn one_address(out: &mut String, address: &str, tail: Tail) {
    let Some(open) = find_outside_quotes(address, '<') else {
        let (uri, parameters) = address.split_once(';').unwrap_or((address, ""));
        self::uri(out, uri, tail);
        params(out, parameters);
        return;
    };
    if !address[..open].trim().is_empty() {
        out.push_str("\"…\" ");
    }
    let inside = &address[open + 1..];
    let (inside, after) = inside.split_once('>').unwrap_or((inside, ""));
    out.push('<');
    uri(out, inside, tail);
    out.push('>');
    if let Some((_, parameters)) = after.split_once(';') {
        params(out, parameters);
    }
}

/// Appends a URI.
pub(super) fn uri(out: &mut String, uri: &str, tail: Tail) {
    let uri = uri.trim();
    if uri == "*" {
        out.push('*');
        return;
    }
    let Some((scheme, rest)) = uri.split_once(':') else { return out.push_str(HIDDEN) };
    let is = |wanted: &str| scheme.eq_ignore_ascii_case(wanted);
    if is("tel") {
        let (number, parameters) = rest.split_once(';').unwrap_or((rest, ""));
        out.push_str("tel:");
        user(out, number, tail);
        params(out, parameters);
    } else if is("sip") || is("sips") {
        out.push_str(if is("sip") { "sip:" } else { "sips:" });
        sip_uri(out, rest, tail);
    } else {
        let known = ["http", "https", "mailto", "urn", "im", "pres"].into_iter().find(|known| is(known));
        out.push_str(known.unwrap_or("other"));
        out.push(':');
        out.push_str(HIDDEN);
    }
}

fn sip_uri(out: &mut String, rest: &str, tail: Tail) {
    // Headers in a URI may be anything, even credentials.
    let (rest, headers) = rest.split_once('?').map_or((rest, false), |(rest, _)| (rest, true));
    let (userinfo, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    if let Some(userinfo) = userinfo {
        let shown = userinfo.split([':', ';']).next().unwrap_or_default();
        user(out, shown, tail);
        if shown.len() < userinfo.len() {
            out.push(';');
            out.push_str(HIDDEN);
        }
        out.push('@');
    }
    let (host, parameters) = rest.split_once(';').unwrap_or((rest, ""));
    self::host(out, host);
    params(out, parameters);
    if headers {
        out.push('?');
        out.push_str(HIDDEN);
    }
}

/// A host is shown unless it is a number without an `@` behind it, or has something else behind it than a port: a
/// message cut short ends in the middle of a password.
fn host(out: &mut String, host: &str) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        Some(_) | None => (host, ""),
    };
    let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    let is_named = is_name && name.contains(|c: char| c == '.' || c.is_ascii_alphabetic());
    let is_six =
        name.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
    if is_port && (is_named || is_six) {
        out.push_str(host);
    } else if is_name && port.is_empty() {
        user(out, host, Tail::Hidden);
    } else {
        out.push_str(HIDDEN);
    }
}

/// Appends the user part of an address.
pub(super) fn user(out: &mut String, user: &str, tail: Tail) {
    let user = decoded(user);
    let is_number =
        user.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#' | '-' | '.' | '(' | ')' | ' ' | ','));
    if is_number {
        number(out, &user, tail);
    } else {
        text(out, &user);
    }
}

fn number(out: &mut String, written: &str, tail: Tail) {
    let keys: String = written.chars().filter(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#')).collect();
    let digits = keys.bytes().filter(u8::is_ascii_digit).count();
    if digits <= SERVICE_DIGITS {
        out.push_str(&keys);
        return;
    }
    let head_len = if keys.starts_with('+') && digits >= TAIL_FROM_DIGITS { HEAD_LEN } else { SHORT_HEAD_LEN };
    out.push_str(&keys[..head_len]);
    out.push_str(STARS);
    let pure = !keys.contains(['*', '#']) && !keys[1..].contains('+');
    if tail == Tail::Shown && pure && (TAIL_FROM_DIGITS..=MAX_NUMBER_DIGITS).contains(&digits) {
        out.push_str(&keys[keys.len() - 2..]);
    }
}

/// Appends free text: longer rows of digits become stars.
pub(super) fn text(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let len = rest[start..].bytes().take_while(u8::is_ascii_digit).count();
        let (before, digits, after) = (&rest[..start], &rest[start..start + len], &rest[start + len..]);
        out.push_str(before);
        out.push_str(if len <= TEXT_DIGITS { digits } else { STARS });
        rest = after;
    }
    out.push_str(rest);
}

/// Appends parameters, each with its semicolon; values only of those that are known.
fn params(out: &mut String, parameters: &str) {
    for parameter in split_outside(parameters, ';').map(str::trim).filter(|parameter| !parameter.is_empty()) {
        let (name, value) =
            parameter.split_once('=').map_or((parameter, None), |(name, value)| (name.trim(), Some(value)));
        let shown = SHOWN_PARAMS.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        out.push(';');
        match (shown, value) {
            (None, _) => out.push_str(HIDDEN),
            (Some(name), None) => out.push_str(name),
            (Some("tag"), Some(tag)) => {
                out.push_str("tag=");
                out.push_str(tag.trim());
            }
            (Some(name), Some(value)) => {
                out.push_str(name);
                out.push('=');
                text(out, value.trim());
            }
        }
    }
}

/// A user part with its escapes taken back, as far as they are ASCII: digits may be written `%30`.
fn decoded(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    let mut rest = user;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let byte = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(u8::is_ascii_graphic);
        match byte {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &after[2..];
            }
            None => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Splits at a sign that stands outside quotes and angle brackets.
fn split_outside(text: &str, sign: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped, mut inside) = (false, false, false);
    text.split(move |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => inside = true,
            '>' if !quoted => inside = false,
            _ => return c == sign && !quoted && !inside,
        }
        false
    })
}

fn find_outside_quotes(text: &str, sign: char) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().find_map(|(index, c)| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == sign && !quoted => return Some(index),
            _ => {}
        }
        None
    })
}
