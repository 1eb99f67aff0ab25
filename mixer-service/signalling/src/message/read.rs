//! Bytes to one message: a datagram, or what [`super::framing`] cut out of a stream.

use memchr::memchr;

use super::text::{is_token, number, text_of, trim};
use super::unreadable::{
    BAD_HEADER, BAD_LENGTH, BAD_START, NO_SIP, SHORT_BODY, TOO_LARGE, TWO_LENGTHS, Unreadable, WRONG_VERSION,
};
use super::{Fault, Headers, MAX_HEADERS, Message, Method, Name, Request, Response};

/// Start line and headers of one message.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Body of one message.
pub const MAX_BODY_BYTES: usize = 48 * 1024;

/// Reads one message. Without Content-Length the body is the rest; bytes behind a stated length are passed over (RFC 3261
/// section 18.3). A response is read with more patience than a request: nobody can be told that it is broken.
///
/// # Errors
/// What is no SIP, or cannot be read in one way only; [`Unreadable::answer`] is what the sender should hear.
pub fn read(bytes: &[u8]) -> Result<Message, Unreadable> {
    // RFC 3261 section 7.5: line ends before a message are no part of it.
    let lead = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let bytes = &bytes[lead..];
    let head_len = head_end(bytes).unwrap_or(bytes.len());
    let (head, body) = bytes.split_at(head_len.min(MAX_HEAD_BYTES));
    let mut lines = Lines::of(head);
    let start = lines.next().map(text_of).unwrap_or_default();
    let Some(start) = Start::of(&start) else {
        return Err(Unreadable::silent(NO_SIP));
    };
    let (headers, bad_line) = headers_of(lines);
    let too_large = (head_len > MAX_HEAD_BYTES || headers.len() > MAX_HEADERS).then_some(TOO_LARGE);
    let body = body_of(&headers, body);
    match start {
        Start::Request { method, uri, problem } => {
            let mut request = Request { method, uri: uri.to_owned(), headers, body: Vec::new() };
            match problem.or(too_large).or(bad_line).map_or(body, Err) {
                Ok(body) => {
                    body.clone_into(&mut request.body);
                    Ok(Message::Request(request))
                }
                Err(fault) => Err(Unreadable::of(fault, request)),
            }
        }
        Start::Response { status, reason } => {
            let body = too_large.map_or(body, Err).map_err(Unreadable::silent)?.to_vec();
            Ok(Message::Response(Response { status, reason: reason.to_owned(), headers, body }))
        }
    }
}

/// Where the body begins: behind the first empty line.
pub(super) fn head_end(message: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(len) = memchr(b'\n', &message[from..]) {
        let next = from + len + 1;
        match message[next..] {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ => from = next,
        }
    }
    None
}

/// The lines of a head, without their ends, up to the empty one.
pub(super) struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    pub(super) const fn of(head: &'a [u8]) -> Self {
        Self(head)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr(b'\n', self.0);
        let line = &self.0[..end.unwrap_or(self.0.len())];
        self.0 = end.map_or(&[], |end| &self.0[end + 1..]);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.is_empty()).then_some(line)
    }
}

/// Whether a line goes on with the one before (RFC 3261 section 7.3.1).
pub(super) const fn is_folded(line: &[u8]) -> bool {
    matches!(line, [b' ' | b'\t', ..])
}

enum Start<'a> {
    /// Also one whose line is broken in a way that leaves somebody to answer.
    Request {
        method: Method,
        uri: &'a str,
        problem: Option<Fault>,
    },
    Response {
        status: u16,
        reason: &'a str,
    },
}

impl<'a> Start<'a> {
    fn of(line: &'a str) -> Option<Self> {
        if version_of(line).is_some() { Self::of_response(line) } else { Self::of_request(line) }
    }

    fn of_request(line: &'a str) -> Option<Self> {
        let (method, rest) = line.split_once(' ').filter(|(method, _)| is_token(method))?;
        let (uri, version) = rest.trim_end_matches(' ').rsplit_once(' ')?;
        let version = version_of(version)?;
        // RFC 4475 sections 3.1.2.9 and 3.1.2.10: one space between the words, none behind them.
        let problem = if version != "2.0" {
            Some(WRONG_VERSION)
        } else if uri.is_empty() || uri.contains([' ', '\t']) || rest.ends_with(' ') {
            Some(BAD_START)
        } else {
            None
        };
        Some(Self::Request { method: Method::from(method), uri, problem })
    }

    /// RFC 4475 section 3.1.2.19: a status beyond 699 is passed over. The space behind the status may be missing.
    fn of_response(line: &'a str) -> Option<Self> {
        let (version, rest) = line.split_once(' ')?;
        let (digits, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status = number(digits).and_then(|status| u16::try_from(status).ok())?;
        let legal = version_of(version) == Some("2.0") && digits.len() == 3 && (100..=699).contains(&status);
        legal.then_some(Self::Response { status, reason: trim(reason) })
    }
}

/// What follows `SIP/`, whose case does not count (RFC 3261 section 7.1).
fn version_of(text: &str) -> Option<&str> {
    let (name, version) = text.split_at_checked(4)?;
    name.eq_ignore_ascii_case("SIP/").then_some(version)
}

/// The headers that can be read, one more than allowed at most, and whether there was a line that can not.
pub(super) fn headers_of(lines: Lines<'_>) -> (Headers, Option<Fault>) {
    let (mut headers, mut problem) = (Headers::new(), None);
    let mut open: Option<(Name, String)> = None;
    for line in lines {
        let text = text_of(line);
        if is_folded(line) {
            match &mut open {
                Some((_, value)) => fold(value, trim(&text)),
                None => problem = Some(BAD_HEADER),
            }
            continue;
        }
        open.take().into_iter().for_each(|(name, value)| headers.push(name, value));
        if headers.len() > MAX_HEADERS {
            break;
        }
        match header_of(&text) {
            Some(header) => open = Some(header),
            None => problem = Some(BAD_HEADER),
        }
    }
    open.into_iter().for_each(|(name, value)| headers.push(name, value));
    (headers, problem)
}

fn fold(value: &mut String, more: &str) {
    if !value.is_empty() && !more.is_empty() {
        value.push(' ');
    }
    value.push_str(more);
}

fn header_of(line: &str) -> Option<(Name, String)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end_matches([' ', '\t']);
    is_token(name).then(|| (Name::from(name), trim(value).to_owned()))
}

fn body_of<'a>(headers: &Headers, rest: &'a [u8]) -> Result<&'a [u8], Fault> {
    let length = stated_length(headers.all(&Name::ContentLength))?.unwrap_or(rest.len());
    if length > MAX_BODY_BYTES && rest.len() > MAX_BODY_BYTES {
        return Err(TOO_LARGE);
    }
    rest.get(..length).ok_or(SHORT_BODY)
}

/// Content-Length, if stated. Two of them, even equal ones, are a message smuggled past somebody.
pub(super) fn stated_length<'a>(mut values: impl Iterator<Item = &'a str>) -> Result<Option<usize>, Fault> {
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(TWO_LENGTHS);
    }
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BAD_LENGTH);
    }
    // Digits beyond the range of the type are a length, only too large.
    Ok(Some(value.parse().unwrap_or(usize::MAX)))
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
