//! Keys pressed, told by INFO: `application/dtmf-relay` and `application/dtmf`, as telephones have always sent them.

use crate::message::{Method, Request};
use crate::types::Digit;

/// What an INFO says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Info {
    /// A key.
    Digit(Digit),
    /// Nothing; or a key that is none, such as a flash hook.
    Nothing,
    /// A body that we do not read.
    Foreign,
}

/// Reads an INFO.
pub(crate) fn info(request: &Request) -> Info {
    if request.body.is_empty() {
        return Info::Nothing;
    }
    let body = String::from_utf8_lossy(&request.body);
    let key = match request.content_type().as_deref() {
        Some("application/dtmf-relay") => body.lines().find_map(signal),
        Some("application/dtmf") => Some(body.lines().find_map(signal).unwrap_or_else(|| body.trim().to_owned())),
        Some(_) | None => return Info::Foreign,
    };
    key.as_deref().and_then(digit).map_or(Info::Nothing, Info::Digit)
}

fn signal(line: &str) -> Option<String> {
    let (name, value) = line.split_once('=')?;
    name.trim().eq_ignore_ascii_case("signal").then(|| value.trim().to_owned())
}

/// A key by its own sign, or by its number as an event (RFC 4733 section 3.2).
fn digit(text: &str) -> Option<Digit> {
    let mut chars = text.chars();
    match (chars.next()?, chars.as_str()) {
        (key @ ('0'..='9' | '*' | '#' | 'A'..='D'), "") => Some(Digit(key)),
        (key @ 'a'..='d', "") => Some(Digit(key.to_ascii_uppercase())),
        ('1', "0") => Some(Digit('*')),
        ('1', "1") => Some(Digit('#')),
        ('1', "2") => Some(Digit('A')),
        ('1', "3") => Some(Digit('B')),
        ('1', "4") => Some(Digit('C')),
        ('1', "5") => Some(Digit('D')),
        _ => None,
    }
}

/// How long a key of ours is said to be held.
const HELD_MS: u32 = 160;

/// An INFO that tells a key.
pub(crate) fn tell(request: &mut Request, digit: Digit) {
    debug_assert_eq!(request.method, Method::Info);
    request.headers.push(crate::message::Name::ContentType, "application/dtmf-relay");
    request.body = format!("Signal={}\r\nDuration={HELD_MS}\r\n", digit.0).into_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Name;

    fn read(kind: &str, body: &str) -> Info {
        let mut request = Request::new(Method::Info, "sip:88@192.0.2.1");
        request.headers.push(Name::ContentType, kind);
        request.body = body.as_bytes().to_vec();
        info(&request)
    }

    #[test]
    fn keys_are_read_in_every_spelling() {
        for (kind, body, key) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160", '5'),
            ("application/dtmf-relay", "Signal= 5\r\nDuration= 160\r\n", '5'),
            ("Application/DTMF-Relay", "signal=*\n", '*'),
            ("application/dtmf-relay", "Signal=11\r\nDuration=100", '#'),
            ("application/dtmf-relay", "Duration=100\r\nSignal=d", 'D'),
            ("application/dtmf", "7", '7'),
            ("application/dtmf; charset=utf-8", "#\r\n", '#'),
            ("application/dtmf", "Signal=1\r\nDuration=250", '1'),
        ] {
            assert_eq!(read(kind, body), Info::Digit(Digit(key)), "{kind} {body:?}");
        }
    }

    #[test]
    fn keys_are_read_by_their_numbers_as_events() {
        for (number, key) in (0..16).zip("0123456789*#ABCD".chars()) {
            assert_eq!(read("application/dtmf-relay", &format!("Signal={number}\r\n")), Info::Digit(Digit(key)));
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        for (kind, body, info) in [
            ("application/dtmf-relay", "", Info::Nothing),
            ("application/dtmf-relay", "Signal=16\r\n", Info::Nothing),
            ("application/dtmf-relay", "Signal=!\r\n", Info::Nothing),
            ("application/dtmf-relay", "5", Info::Nothing),
            ("application/dtmf", "55", Info::Nothing),
            ("application/media_control+xml", "<x/>", Info::Foreign),
        ] {
            assert_eq!(read(kind, body), info, "{kind} {body:?}");
        }
    }

    #[test]
    fn what_we_tell_we_read() {
        for key in "0123456789*#ABCD".chars() {
            let mut request = Request::new(Method::Info, "sip:88@192.0.2.1");
            tell(&mut request, Digit(key));
            assert_eq!(info(&request), Info::Digit(Digit(key)));
        }
    }
}
