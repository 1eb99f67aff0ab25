//! Bytes to one message: a datagram, or what [`super::framing`] cut out of a stream.

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
/// section 18.3).
///
/// # Errors
/// What is no SIP, or cannot be read in one way only; [`Unreadable::answer`] is what the sender should hear.
pub fn read(bytes: &[u8]) -> Result<Message, Unreadable> {
    let lead = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let bytes = &bytes[lead..];
    let head_len = head_end(bytes).unwrap_or(bytes.len());
    let (head, body) = bytes.split_at(head_len.min(MAX_HEAD_BYTES));
    let mut lines = Lines(head);
    let start = lines.next().map(text_of).unwrap_or_default();
    let Some(start) = Start::of(&start) else {
        return Err(Unreadable::silent(NO_SIP));
    };
    let mut headers = Headers::new();
    let problem = take_headers(lines, &mut headers).err();
    let problem = problem.or_else(|| (head_len > MAX_HEAD_BYTES).then_some(TOO_LARGE));
    let body = body_of(&headers, body);
    let problem = start.problem().or(problem);
    match (start, problem, body) {
        (Start::Request { method, uri, .. }, None, Ok(body)) => {
            Ok(Message::Request(Request { method, uri: uri.to_owned(), headers, body: body.to_vec() }))
        }
        (Start::Response { status, reason }, None, Ok(body)) => {
            Ok(Message::Response(Response { status, reason: reason.to_owned(), headers, body: body.to_vec() }))
        }
        (Start::Request { method, uri, .. }, Some(fault), _)
        | (Start::Request { method, uri, .. }, None, Err(fault)) => {
            let request = Request { method, uri: uri.to_owned(), headers, body: Vec::new() };
            Err(Unreadable::of(fault, request))
        }
        (Start::Response { .. }, Some(fault), _) | (Start::Response { .. }, None, Err(fault)) => {
            Err(Unreadable::silent(fault))
        }
    }
}

/// Where the body begins: behind the first empty line.
pub(super) fn head_end(message: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(len) = message[from..].iter().position(|byte| *byte == b'\n') {
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
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\n');
        let line = &self.0[..end.unwrap_or(self.0.len())];
        self.0 = end.map_or(&[], |end| &self.0[end + 1..]);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.is_empty()).then_some(line)
    }
}

enum Start<'a> {
    Request { method: Method, uri: &'a str, problem: Option<Fault> },
    Response { status: u16, reason: &'a str },
}

impl<'a> Start<'a> {
    fn of(line: &'a str) -> Option<Self> {
        if line.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("SIP/")) {
            return Self::of_response(line);
        }
        // Anything between the first word and the version: what does not fit the grammar can still be answered.
        let (method, rest) = line.split_once(' ').filter(|(method, _)| is_token(method))?;
        let (uri, version) = rest.trim_end_matches(' ').rsplit_once(' ')?;
        let version = version.get(..4).filter(|begin| begin.eq_ignore_ascii_case("SIP/")).map(|_| &version[4..])?;
        let problem = if version != "2.0" {
            Some(WRONG_VERSION)
        } else if uri.is_empty() || uri.contains([' ', '\t']) || rest.ends_with(' ') {
            Some(BAD_START)
        } else {
            None
        };
        Some(Self::Request { method: Method::from(method), uri, problem })
    }

    fn of_response(line: &'a str) -> Option<Self> {
        let (version, rest) = line.split_once(' ')?;
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status = number(status).filter(|status| status_is_known(*status) && status_len_is_three(rest))?;
        (&version[4..] == "2.0").then_some(Self::Response { status: u16::try_from(status).ok()?, reason: trim(reason) })
    }

    const fn problem(&self) -> Option<Fault> {
        match self {
            Self::Request { problem, .. } => *problem,
            Self::Response { .. } => None,
        }
    }
}

fn status_is_known(status: u32) -> bool {
    (100..=699).contains(&status)
}

fn status_len_is_three(rest: &str) -> bool {
    rest.split(' ').next().is_some_and(|digits| digits.len() == 3)
}

/// Reads headers up to the first that cannot be read.
fn take_headers(lines: Lines<'_>, headers: &mut Headers) -> Result<(), Fault> {
    let mut last: Option<(Name, String)> = None;
    let mut count = 0;
    for line in lines {
        let text = text_of(line);
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // A folded line (RFC 3261 section 7.3.1) goes on with the value before; nothing stands before the first.
            let (_, value) = last.as_mut().ok_or(BAD_HEADER)?;
            let more = trim(&text);
            if !value.is_empty() && !more.is_empty() {
                value.push(' ');
            }
            value.push_str(more);
            continue;
        }
        if let Some((name, value)) = last.take() {
            headers.push(name, value);
        }
        count += 1;
        if count > MAX_HEADERS {
            return Err(TOO_LARGE);
        }
        let (name, value) = text.split_once(':').ok_or(BAD_HEADER)?;
        let name = name.trim_end_matches([' ', '\t']);
        if !is_token(name) {
            return Err(BAD_HEADER);
        }
        last = Some((Name::from(name), trim(value).to_owned()));
    }
    if let Some((name, value)) = last {
        headers.push(name, value);
    }
    Ok(())
}

fn body_of<'a>(headers: &Headers, rest: &'a [u8]) -> Result<&'a [u8], Fault> {
    let length = stated_length(headers.all(&Name::ContentLength))?;
    if length.unwrap_or(rest.len()) > MAX_BODY_BYTES {
        return Err(TOO_LARGE);
    }
    rest.get(..length.unwrap_or(rest.len())).ok_or(SHORT_BODY)
}

/// Content-Length, if stated. Two of them, even equal ones, are a message smuggled past somebody.
pub(super) fn stated_length<'a>(mut values: impl Iterator<Item = &'a str>) -> Result<Option<usize>, Fault> {
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(TWO_LENGTHS);
    }
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(BAD_LENGTH);
    }
    // Digits beyond the range of the type are a length, only too large.
    Ok(Some(value.parse().unwrap_or(usize::MAX)))
}
