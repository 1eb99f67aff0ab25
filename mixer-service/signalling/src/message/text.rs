//! The small grammar under all headers (RFC 3261 section 25.1): tokens, quotes, escapes, lists.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// UTF-8 as it is; anything else is taken for Latin-1, which every byte sequence is.
pub(super) fn text_of(raw: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(raw)
        .map_or_else(|_| Cow::Owned(raw.iter().map(|byte| char::from(*byte)).collect()), Cow::Borrowed)
}

pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// White space of SIP; a stray carriage return counts, since it ends no line here.
pub(super) const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// The quoted string at the beginning, still escaped and without its quotes, and what follows; `None` if it never ends.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((&inside[..at], &inside[at + 1..])),
            _ => {}
        }
    }
    None
}

/// A quoted string's text without its backslashes.
pub(super) fn unquoted(inside: &str) -> String {
    let mut text = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            other => text.push(other),
        }
    }
    text
}

pub(super) fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

/// The parts of a comma list, trimmed; commas in quotes and in angle brackets separate nothing, empty parts are passed
/// over (RFC 3261 section 7.3.1).
pub(super) fn split_list(value: &str) -> impl Iterator<Item = &str> {
    split_outside(value, b',').map(trim).filter(|part| !part.is_empty())
}

/// Splits at a separator that stands neither in quotes nor in angle brackets. Empty text has one empty part.
pub(super) fn split_outside(value: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = find_outside(text, separator);
        rest = end.map(|at| &text[at + 1..]);
        Some(end.map_or(text, |at| &text[..at]))
    })
}

/// Where the byte first stands outside quotes and angle brackets.
pub(super) fn find_outside(text: &str, wanted: u8) -> Option<usize> {
    let (mut quotes, mut brackets, mut escaped) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quotes => escaped = true,
            b'"' if !brackets => quotes = !quotes,
            _ if quotes => {}
            b'>' if brackets => brackets = false,
            _ if brackets => {}
            _ if byte == wanted => return Some(at),
            b'<' => brackets = true,
            _ => {}
        }
    }
    None
}

/// Text of a URI without its escapes (RFC 3261 section 19.1.2); a percent sign that begins no escape stays.
pub(super) fn unescaped(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = if *first == b'%' { tail.first_chunk::<2>().and_then(hex) } else { None };
        bytes.push(escape.unwrap_or(*first));
        rest = if escape.is_some() { &tail[2..] } else { tail };
    }
    text_of(&bytes).into_owned()
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

/// Writes text of a URI with all but letters, digits, marks and `allowed` escaped.
pub(super) fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str, allowed: &[u8]) -> fmt::Result {
    for byte in text.bytes() {
        let mark = matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')');
        if byte.is_ascii_alphanumeric() || mark || allowed.contains(&byte) {
            f.write_char(char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

/// Digits alone, at most [`u32::MAX`].
pub(super) fn number(text: &str) -> Option<u32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Digits alone; what is larger than the limit counts as the limit.
pub(super) fn clamped(text: &str, limit: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().map_or(limit, |number: u32| number.min(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_outside_quotes_and_brackets() {
        for (value, parts) in [
            ("a, b,c", vec!["a", "b", "c"]),
            ("\"a, b\" <sip:x>, <sip:a,b>;p=\",\"", vec!["\"a, b\" <sip:x>", "<sip:a,b>;p=\",\""]),
            ("\"\\\",\", b", vec!["\"\\\",\"", "b"]),
            (" ,, ", vec![]),
            ("\"never closed, b", vec!["\"never closed, b"]),
            ("<sip:a\"b>,c", vec!["<sip:a\"b>", "c"]),
        ] {
            assert_eq!(split_list(value).collect::<Vec<_>>(), parts, "{value}");
        }
    }

    #[test]
    fn escapes_that_are_none_stay() {
        for (text, plain) in
            [("a%20b", "a b"), ("%Z%45", "%ZE"), ("%", "%"), ("%4", "%4"), ("%C3%A4", "ä"), ("%e4", "ä")]
        {
            assert_eq!(unescaped(text), plain, "{text}");
        }
    }

    #[test]
    fn numbers_are_digits_alone() {
        assert_eq!(number("0009"), Some(9));
        assert_eq!(["+9", "-1", "", " 1", "4294967296"].map(number), [None; 5]);
        assert_eq!(clamped("99999999999999999999", 7), Some(7));
        assert_eq!(clamped("-1", 7), None);
    }
}
