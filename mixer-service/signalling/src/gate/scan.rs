//! A look at a message before it is parsed: what it is at all, and its header lines as they stand.

use memchr::memchr;

/// Longest method looked at; RFC 4475 section 3.1.1.2 shows one of 43 characters.
const MAX_METHOD_LEN: usize = 64;
/// How far `To` is looked for; it stands among the first lines of every real request.
const MAX_SCAN_LEN: usize = 4096;

/// What a message is, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Line breaks alone: a sign of life.
    KeepAlive,
    /// A response, or a request that belongs to something begun: it has a tag in `To`, or is an ACK or a CANCEL.
    Begun,
    /// A request that begins something.
    New,
    /// No SIP.
    Other,
}

/// Looks at a message.
pub(super) fn kind(message: &[u8]) -> Kind {
    let message = message.trim_ascii_start();
    if message.is_empty() {
        return Kind::KeepAlive;
    }
    let first = &message[..message.len().min(MAX_METHOD_LEN + 1)];
    let Some(method) = memchr(b' ', first).map(|end| &first[..end]) else { return Kind::Other };
    if matches!(method, b"ACK" | b"CANCEL") || method.eq_ignore_ascii_case(b"SIP/2.0") {
        return Kind::Begun;
    }
    if !method.iter().copied().all(is_token) {
        return Kind::Other;
    }
    let to = lines(&message[..message.len().min(MAX_SCAN_LEN)]).find(|line| line.is(b"to", b't'));
    if to.is_some_and(|to| has_tag(to.value)) { Kind::Begun } else { Kind::New }
}

/// A header line, folded ones whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawLine<'a> {
    /// The name as written, without space before the colon.
    pub(crate) name: &'a [u8],
    /// The value as written, line breaks of a fold included.
    pub(crate) value: &'a [u8],
}

impl RawLine<'_> {
    /// Whether it is this header, by its long or its short name, whatever their case.
    pub(crate) const fn is(&self, long: &[u8], short: u8) -> bool {
        self.name.eq_ignore_ascii_case(long) || (self.name.len() == 1 && self.name[0].eq_ignore_ascii_case(&short))
    }
}

/// The header lines of a message, those after the first line and up to the empty one. Lines without a colon are left
/// out.
pub(crate) fn lines(message: &[u8]) -> impl Iterator<Item = RawLine<'_>> {
    // Line breaks may come before the first line (RFC 3261 section 7.5).
    let message = message.trim_ascii_start();
    let mut rest = memchr(b'\n', message).map_or(&[][..], |end| &message[end + 1..]);
    std::iter::from_fn(move || {
        loop {
            let (line, after) = split_folded(rest)?;
            rest = after;
            let Some(colon) = memchr(b':', line) else { continue };
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            return Some(RawLine { name: name.trim_ascii(), value: value.trim_ascii() });
        }
    })
}

/// The next line with all that is folded under it, and what comes after; `None` at the empty line and at the end.
fn split_folded(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut end = 0;
    loop {
        let line_end = memchr(b'\n', &text[end..]).map_or(text.len(), |at| end + at + 1);
        if end == 0 && text[..line_end].trim_ascii().is_empty() {
            return None;
        }
        end = line_end;
        match text.get(end) {
            Some(b' ' | b'\t') => {}
            Some(_) | None => return Some((&text[..end], &text[end..])),
        }
    }
}

/// Whether an address has a tag. A display name may pretend to; it only gets its request into another bucket.
fn has_tag(to: &[u8]) -> bool {
    let mut rest = to;
    while let Some(at) = memchr(b';', rest) {
        rest = rest[at + 1..].trim_ascii_start();
        let is_tag = rest.get(..3).is_some_and(|name| name.eq_ignore_ascii_case(b"tag"));
        if is_tag && rest[3..].trim_ascii_start().first() == Some(&b'=') {
            return true;
        }
    }
    false
}

/// RFC 3261 section 25.1.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_tells_what_it_is() {
        for (message, expected) in [
            ("INVITE sip:a@b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n", Kind::New),
            ("INVITE sip:a@b SIP/2.0\r\nTo: <sip:a@b>;tag=1\r\n\r\n", Kind::Begun),
            ("BYE sip:a@b SIP/2.0\nVia: x\n y\nt :\n <sip:a@b>;x=y\n ; TAG = 1\n\n", Kind::Begun),
            (
                "OPTIONS sip:a@b SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b;tagged=1>\r\n\r\nTo: x;tag=1\r\n",
                Kind::New,
            ),
            ("OPTIONS sip:a@b SIP/2.0\r\nSubject: 1\r\n To: x;tag=1\r\nTo: y\r\n\r\n", Kind::New),
            ("ACK sip:a@b SIP/2.0\r\n\r\n", Kind::Begun),
            ("CANCEL sip:a@b SIP/2.0\r\n\r\n", Kind::Begun),
            ("SIP/2.0 200 OK\r\n\r\n", Kind::Begun),
            ("\r\n\r\nREGISTER sip:b SIP/2.0\r\n\r\n", Kind::New),
            ("!interesting-Method0123456789_*+`.%indeed'~ sip:x SIP/2.0\r\n\r\n", Kind::New),
            ("\r\n\r\n", Kind::KeepAlive),
            ("", Kind::KeepAlive),
            ("GET / HTTP/1.1\r\n\r\n", Kind::New),
            ("hello", Kind::Other),
            ("\u{0}\u{1} \u{0}", Kind::Other),
        ] {
            assert_eq!(kind(message.as_bytes()), expected, "{message:?}");
        }
    }
}
