//! The parameters of a challenge or of its answer (RFC 7235 section 2.1), borrowed.

use std::borrow::Cow;

/// Parameters looked at; a challenge has about eight, and what has more is no digest.
const MAX_PARAMS: usize = 24;
/// Longest value that is of use; servers put kilobytes of state into a nonce, not more.
const MAX_VALUE_LEN: usize = 1024;

/// `Digest a="b", c=d`. Values of quoted strings are kept as written, escapes included: that is what is hashed.
#[derive(Debug)]
pub(super) struct Params<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Params<'a> {
    /// Reads a header's value; `None` for another scheme, a name that comes twice, or what cannot be read.
    pub(super) fn read(value: &'a str) -> Option<Self> {
        let (scheme, mut rest) = value.trim_start().split_once(|c: char| c.is_ascii_whitespace())?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut params = Self(Vec::with_capacity(10));
        loop {
            rest = rest.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
            if rest.is_empty() {
                return Some(params);
            }
            let (name, after) = rest.split_once('=')?;
            let name = name.trim_end();
            let after = after.trim_start();
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => split_quoted(quoted)?,
                None => {
                    let (value, after) = after.split_at(after.find(',').unwrap_or(after.len()));
                    (value.trim_end(), after)
                }
            };
            if params.0.len() == MAX_PARAMS || value.len() > MAX_VALUE_LEN || params.get(name).is_some() {
                return None;
            }
            params.0.push((name, value));
            rest = after;
        }
    }

    /// A parameter's value, without quotes.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, value)| value)
    }
}

/// What stands before the closing quote, and what after.
fn split_quoted(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((&text[..end], &text[end + 1..]))
}

/// A quoted string's content with its escapes taken back.
pub(super) fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return value.into();
    }
    let mut escaped = false;
    let kept = value.chars().filter(|&c| {
        escaped = c == '\\' && !escaped;
        !escaped
    });
    kept.collect::<String>().into()
}

/// Content for a quoted string. Line breaks would end the header and are left out.
pub(super) fn escaped(value: &str) -> Cow<'_, str> {
    if !value.contains(|c: char| matches!(c, '"' | '\\') || c.is_control()) {
        return value.into();
    }
    let mut text = String::with_capacity(value.len() + 4);
    for c in value.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.into()
}
