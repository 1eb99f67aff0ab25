//! What stands in headers and bodies of calls: the number dialled, who says he calls, reasons, and which part is sound.

use crate::config::CalledFrom;
use crate::endpoint::SDP;
use crate::message::{Headers, Method, Name, Request, Response, Scheme, Uri, body, uri_in};
use crate::types::{Called, CallerHeaders};

/// The longest number dialled; more digits than any dial string with room and PIN behind it.
const MAX_CALLED_LEN: usize = 64;
/// Longest reason text that is read or written.
const MAX_REASON_LEN: usize = 80;

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
    if body.is_empty() {
        return SdpPart::None;
    }
    let encoded =
        headers.get(&Name::ContentEncoding).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    match body::part(headers, body, SDP).filter(|_| !encoded) {
        Some(sdp) => SdpPart::Some(sdp),
        None if body::is_optional(headers) => SdpPart::None,
        None => SdpPart::Foreign,
    }
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
        assert_eq!(sdp_part(&request), SdpPart::Some(b"v=0\r\n"));
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
