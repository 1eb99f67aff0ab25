//! What the body of a message is (RFC 3261 section 7.4), and parts of one that has several (RFC 5621).

use memchr::memchr;

use super::text::{find_outside, split_list, trim};
use super::{Headers, Name, Params};

/// Most parts of a body that are looked at.
const MAX_PARTS: usize = 16;
/// Longest boundary (RFC 2046 section 5.1.1).
const MAX_BOUNDARY_BYTES: usize = 70;

/// Type and subtype in lower case, without parameters.
pub(super) fn content_type(headers: &Headers) -> Option<String> {
    media_type(headers.get(&Name::ContentType)?)
}

/// Whether an answer may have a body of that type. Without Accept it may be SDP (RFC 3261 section 20.1).
pub(super) fn accepts(headers: &Headers, wanted: &str) -> bool {
    let mut lines = headers.all(&Name::Accept).peekable();
    if lines.peek().is_none() {
        return wanted == "application/sdp";
    }
    let kind = wanted.split_once('/').map_or(wanted, |(kind, _)| kind);
    let any = format!("{kind}/*");
    lines.flat_map(split_list).filter_map(media_type).any(|range| range == wanted || range == any || range == "*/*")
}

/// Whether the sender minds if the body is passed over (RFC 3261 section 20.11, `handling=optional`).
pub(crate) fn is_optional(headers: &Headers) -> bool {
    let parameters = headers.get(&Name::ContentDisposition).and_then(parameters_of);
    parameters.is_some_and(|params| params.get("handling").is_some_and(|how| how.eq_ignore_ascii_case("optional")))
}

/// The body, if it is of that type, or the first part of it that is.
pub(crate) fn part<'a>(headers: &Headers, body: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    let value = headers.get(&Name::ContentType)?;
    let media_type = media_type(value)?;
    if media_type == wanted {
        return Some(body);
    }
    if !media_type.starts_with("multipart/") {
        return None;
    }
    let params = parameters_of(value)?;
    let boundary = params.get("boundary").filter(|boundary| (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()))?;
    parts(body, boundary).take(MAX_PARTS).find_map(|part| part_of_type(part, wanted))
}

fn media_type(value: &str) -> Option<String> {
    let (kind, subtype) = value.split(';').next()?.split_once('/')?;
    Some(format!("{}/{}", trim(kind), trim(subtype)).to_ascii_lowercase())
}

fn parameters_of(value: &str) -> Option<Params> {
    Params::of_header(find_outside(value, b';').map_or("", |at| &value[at..]))
}

/// What stands between the delimiters; without the last one the rest is a part too.
fn parts<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = &'a [u8]> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut rest = delimiter_at(body, &delimiter).map(|at| &body[at + delimiter.len()..]);
    std::iter::from_fn(move || {
        let text = rest.take().filter(|text| !text.starts_with(b"--"))?;
        let end = delimiter_at(text, &delimiter);
        rest = end.map(|end| &text[end + delimiter.len()..]);
        Some(end.map_or(text, |end| &text[..end]))
    })
}

/// Where a line begins with the delimiter.
fn delimiter_at(text: &[u8], delimiter: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        if text[from..].starts_with(delimiter) {
            return Some(from);
        }
        from += memchr(b'\n', &text[from..])? + 1;
    }
}

/// The part's content without the line end that belongs to the delimiter behind it.
fn part_of_type<'a>(part: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    let after_delimiter = memchr(b'\n', part).map(|at| &part[at + 1..])?;
    let (head, content) = match after_delimiter {
        [b'\n', content @ ..] | [b'\r', b'\n', content @ ..] => (&[][..], content),
        other => other.split_at(super::read::head_end(other)?),
    };
    let headers = super::read::headers_of(super::read::Lines::of(head)).0;
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    let content = content.strip_suffix(b"\r").unwrap_or(content);
    (content_type(&headers)? == wanted).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_among_others() {
        let body = b"preface\r\n--b\r\nContent-Type: text/plain\r\n\r\n--bold\r\n--b\r\n\
        c: Application/SDP; x=1\r\n\r\nv=0\r\n\r\n--b--\r\nend";
        for content_type in ["multipart/mixed; boundary=b", "Multipart/Related;boundary=\"b\""] {
            let headers = Headers::of(&[(Name::ContentType, content_type)]);
            assert_eq!(part(&headers, body, "application/sdp"), Some(&b"v=0\r\n"[..]), "{content_type}");
            assert_eq!(part(&headers, body, "image/png"), None);
        }
        let plain = Headers::of(&[(Name::ContentType, "application/sdp ;charset=x")]);
        assert_eq!(part(&plain, b"v=0", "application/sdp"), Some(&b"v=0"[..]));
        assert_eq!(part(&Headers::new(), b"v=0", "application/sdp"), None);
    }

    #[test]
    fn without_accept_sdp_is_welcome() {
        assert!(accepts(&Headers::new(), "application/sdp"));
        for (accept, sdp) in
            [("text/nonsense", false), ("", false), ("text/plain, application/*;q=0.2", true), ("*/*", true)]
        {
            assert_eq!(accepts(&Headers::of(&[(Name::Accept, accept)]), "application/sdp"), sdp, "{accept}");
        }
    }

    #[test]
    fn optional_bodies_say_so() {
        assert!(is_optional(&Headers::of(&[(Name::ContentDisposition, "by-reference; handling=OPTIONAL")])));
        assert!(!is_optional(&Headers::of(&[(Name::ContentDisposition, "session")])));
        assert!(!is_optional(&Headers::new()));
    }
}
