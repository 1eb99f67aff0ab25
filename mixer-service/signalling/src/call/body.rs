//! What stands in headers and bodies of calls: the number dialled, who says he calls, reasons, and which part is sound.

use crate::config::CalledFrom;
use crate::endpoint::SDP;
use crate::message::{Headers, Method, Name, Request, Response, Scheme, Uri, uri_in};
use crate::types::{Called, CallerHeaders};

/// The longest number dialled; more digits than any dial string with room and PIN behind it.
const MAX_CALLED_LEN: usize = 64;
/// Longest reason text that is read or written.
const MAX_REASON_LEN: usize = 80;
/// Parts of one body that are looked at.
const MAX_PARTS: usize = 8;

/// The number dialled, from where this telephone system tells it; from the Request-URI where that place is empty.
pub(crate) fn called(request: &Request, from: CalledFrom) -> Called {
    let header = match from {
        CalledFrom::RequestUri => None,
        CalledFrom::To => request.headers.get(&Name::To),
        CalledFrom::PCalledPartyId => request.headers.get(&Name::PCalledPartyId),
    };
    let told = header.and_then(uri_in).map(number_in).filter(|number| !number.is_empty());
    Called(told.unwrap_or_else(|| number_in(&request.uri)))
}

/// The number in an address, as digits and signs: from a `sip:` user part or a `tel:` number, without parameters.
fn number_in(uri: &str) -> String {
    let Some(uri) = Uri::parse(uri) else {
        return String::new();
    };
    let user = match uri.scheme {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => uri.user.unwrap_or_default(),
        Scheme::Other(_) => String::new(),
    };
    let user = user.split(';').next().unwrap_or_default();
    let keys = user.chars().filter(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#'));
    keys.take(MAX_CALLED_LEN).collect()
}

/// Whether a number can be dialled or shown.
pub(crate) fn is_dialable(number: &str) -> bool {
    let keys = number.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#'));
    keys && !number.is_empty() && number.len() <= MAX_CALLED_LEN
}

/// The headers that may say who calls, as received.
pub(crate) fn caller_headers(request: &Request) -> CallerHeaders {
    let values = |name: &Name| {
        // A value left out whole would make way for a header that counts less.
        let bounded =
            request.headers.all(name).map(|value| if value.len() > CallerHeaders::MAX_VALUE_LEN { "" } else { value });
        bounded.take(CallerHeaders::MAX_VALUES).map(str::to_owned).collect()
    };
    CallerHeaders {
        from: values(&Name::From),
        asserted: values(&Name::PAssertedIdentity),
        privacy: values(&Name::Privacy),
    }
}

/// A Reason header (RFC 3326) that says in words why we end a call.
pub(crate) fn reason_header(text: &str) -> String {
    let text = text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).take(MAX_REASON_LEN);
    format!("SIP;cause=200;text=\"{}\"", text.collect::<String>())
}

/// The text of a Reason header, else its cause; empty without one.
pub(crate) fn reason_of(request: &Request) -> String {
    let value = request.headers.get(&Name::Reason).unwrap_or_default();
    let text = value.split_once("text=").map(|(_, text)| text.trim_matches('"'));
    let cause = value.split_once("cause=").map(|(_, cause)| cause.split(';').next().unwrap_or_default());
    told_text(text.or(cause).unwrap_or_default())
}

/// A text of the other side's, cut to what a line of a record holds.
pub(crate) fn told_text(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_REASON_LEN).collect()
}

/// The description of sound in a message's body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SdpPart<'a> {
    /// It has one.
    Some(&'a [u8]),
    /// It has none, and need not.
    None,
    /// It has a body that we do not read.
    Foreign,
}

/// Finds the SDP in a request: the body, or a part of a `multipart/mixed` (RFC 5621 section 3).
pub(crate) fn sdp_part(request: &Request) -> SdpPart<'_> {
    part_of(&request.headers, &request.body)
}

/// Finds the SDP in a response.
pub(crate) fn sdp_part_of_response(response: &Response) -> SdpPart<'_> {
    part_of(&response.headers, &response.body)
}

fn part_of<'a>(headers: &Headers, body: &'a [u8]) -> SdpPart<'a> {
    let encoded =
        headers.get(&Name::ContentEncoding).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    if body.is_empty() {
        return SdpPart::None;
    }
    let optional = headers.get(&Name::ContentDisposition).is_some_and(|value| {
        value.split(';').skip(1).any(|param| param.replace(' ', "").eq_ignore_ascii_case("handling=optional"))
    });
    let foreign = if optional { SdpPart::None } else { SdpPart::Foreign };
    if encoded {
        return foreign;
    }
    let content_type = headers.get(&Name::ContentType).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().replace([' ', '\t'], "").to_ascii_lowercase();
    if kind == SDP {
        return SdpPart::Some(body);
    }
    let boundary = kind.starts_with("multipart/").then(|| boundary_of(content_type)).flatten();
    boundary.and_then(|boundary| sdp_among(body, &boundary)).map_or(foreign, SdpPart::Some)
}

fn boundary_of(content_type: &str) -> Option<String> {
    let at = content_type.to_ascii_lowercase().find("boundary=")?;
    let value = &content_type[at + "boundary=".len()..];
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => value.split(';').next()?.trim(),
    };
    (!value.is_empty() && value.len() <= 70).then(|| format!("--{value}"))
}

fn sdp_among<'a>(body: &'a [u8], boundary: &str) -> Option<&'a [u8]> {
    let mut rest = body;
    for _ in 0..=MAX_PARTS {
        let at = find(rest, boundary.as_bytes())?;
        let part = &rest[at + boundary.len()..];
        let end = find(part, boundary.as_bytes())?;
        if let Some(sdp) = sdp_of_part(&part[..end]) {
            return Some(sdp);
        }
        rest = &part[end..];
    }
    None
}

fn sdp_of_part(part: &[u8]) -> Option<&[u8]> {
    let (head_end, gap) = match (find(part, b"\r\n\r\n"), find(part, b"\n\n")) {
        (Some(at), _) => (at, 4),
        (None, Some(at)) => (at, 2),
        (None, None) => return None,
    };
    let head = String::from_utf8_lossy(&part[..head_end]).to_ascii_lowercase();
    let is_sdp = head.lines().any(|line| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        matches!(name.trim(), "content-type" | "c") && value.trim().split(';').next() == Some(SDP)
    });
    is_sdp.then(|| part[head_end + gap..].trim_ascii_end())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Whether the other side says that it takes a method.
pub(crate) fn allows(headers: &Headers, method: &Method) -> bool {
    headers.list(&Name::Allow).any(|allowed| allowed == method.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_dialled_is_digits_and_signs() {
        for (uri, called) in [
            ("sip:88@127.0.0.1", "88"),
            ("sip:88@127.0.0.1:5060;transport=tcp", "88"),
            ("sip:+493023125088@pbx.example;user=phone", "+493023125088"),
            ("sip:%2B493023125088@pbx.example", "+493023125088"),
            ("sip:884711%23123456%23@pbx.example", "884711#123456#"),
            ("sip:88;phone-context=example.com@pbx.example", "88"),
            ("tel:+49-30-23125-88", "+49302312588"),
            ("tel:88;phone-context=example.com", "88"),
            ("sip:127.0.0.1", ""),
            ("sip:alice@pbx.example", ""),
        ] {
            assert_eq!(number_in(uri), called, "{uri}");
        }
    }

    #[test]
    fn a_registered_extension_is_told_the_number_elsewhere() {
        let mut request = Request::new(Method::Invite, "sip:dialroom@192.0.2.1");
        request.headers.push(Name::To, "\"Conference\" <sip:88123@pbx.example>");
        request.headers.push(Name::PCalledPartyId, "<tel:+493023125088>");
        assert_eq!(called(&request, CalledFrom::RequestUri).as_str(), "");
        assert_eq!(called(&request, CalledFrom::To).as_str(), "88123");
        assert_eq!(called(&request, CalledFrom::PCalledPartyId).as_str(), "+493023125088");
        "sip:88@192.0.2.1".clone_into(&mut request.uri);
        request.headers.remove(&Name::PCalledPartyId);
        assert_eq!(called(&request, CalledFrom::PCalledPartyId).as_str(), "88");
    }

    #[test]
    fn sound_is_found_among_other_parts() {
        let mut request = Request::new(Method::Invite, "sip:88@192.0.2.1");
        request.headers.push(Name::ContentType, "multipart/mixed;boundary=\"b 1\"");
        request.body = b"--b 1\r\nContent-Type: application/pidf+xml\r\n\r\n<x/>\r\n--b 1\r\nContent-Type: \
            application/sdp\r\nContent-Disposition: session\r\n\r\nv=0\r\n\r\n--b 1--\r\n"
            .to_vec();
        assert_eq!(sdp_part(&request), SdpPart::Some(b"v=0"));
        request.body.truncate(60);
        assert_eq!(sdp_part(&request), SdpPart::Foreign);
        request.headers.set(Name::ContentType, "application/xml");
        assert_eq!(sdp_part(&request), SdpPart::Foreign);
        request.headers.push(Name::ContentDisposition, "icon; handling = optional");
        assert_eq!(sdp_part(&request), SdpPart::None);
    }

    #[test]
    fn reasons_are_cut_and_hold_no_quotes() {
        let mut bye = Request::new(Method::Bye, "sip:a@b");
        bye.headers.push(Name::Reason, reason_header(&format!("a \"b\"\r\n{}", "x".repeat(200))));
        assert_eq!(reason_of(&bye), format!("a b{}", "x".repeat(77)));
        bye.headers.set(Name::Reason, "Q.850;cause=16");
        assert_eq!(reason_of(&bye), "16");
    }
}
