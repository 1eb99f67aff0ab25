//! One rule each: what spoils a request, and what does not.

use super::super::{Message, read};
use super::*;

const GOOD: &str = "INVITE sip:88@pbx.example SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\nMax-Forwards: 70\n\
                    From: \"Anna\" <sip:anna@pbx.example>;tag=1\nTo: <sip:88@pbx.example>\nCall-ID: 1@h\nCSeq: 1 INVITE\n\
                    Contact: <sip:anna@192.0.2.1>\n\n";

fn code(text: &str) -> &'static str {
    let Ok(Message::Request(request)) = read(text.as_bytes()) else { panic!("{text}") };
    fault(&request).map_or("", |fault| fault.code)
}

/// The code for the good request with one line in place of another.
fn with(line: &str, instead: &str) -> &'static str {
    let begin = GOOD.find(line).unwrap();
    let end = begin + GOOD[begin..].find('\n').unwrap() + 1;
    code(&format!("{}{instead}{}{}", &GOOD[..begin], if instead.is_empty() { "" } else { "\n" }, &GOOD[end..]))
}

#[test]
fn a_good_request_has_no_fault() {
    assert_eq!(code(GOOD), "");
    assert_eq!(with("Max-Forwards", ""), "", "RFC 2543");
    assert_eq!(with("Max-Forwards", "Max-Forwards: 0"), "", "an endpoint takes it");
    assert_eq!(with("Contact", ""), "");
    assert_eq!(with("From", "f:Anna Müller<sip:anna@pbx.example>"), "", "RFC 2543 knows no tag");
    assert_eq!(with("INVITE", "INVITE tel:+493023125088 SIP/2.0"), "");
}

#[test]
fn needed_headers_stand_once_in_whatever_spelling() {
    for (line, spellings) in [
        ("From", ["From", "f", "FROM"]),
        ("To", ["To", "t", "tO"]),
        ("Call-ID", ["Call-ID", "i", "call-id"]),
        ("CSeq", ["CSeq", "cseq", "CSEQ"]),
    ] {
        assert_eq!(with(line, ""), "missing-header", "{line}");
        assert_eq!(with(line, &format!("{line}:")), "missing-header", "{line}");
        let begin = GOOD.find(&format!("\n{line}")).unwrap() + 1;
        let value = GOOD[begin..].lines().next().unwrap().split_once(':').unwrap().1;
        for spelling in spellings {
            let twice = GOOD.replace("\n\n", &format!("\n{spelling} :{value}\n\n"));
            assert_eq!(code(&twice), "repeated-header", "{spelling}");
        }
    }
    assert_eq!(with("Via", ""), "no-via");
}

#[test]
fn some_others_stand_at_most_once() {
    for name in AT_MOST_ONCE {
        let line = format!("{name}: 1\n");
        let twice = GOOD.replace("Max-Forwards: 70\n", &line.repeat(2));
        assert_eq!(code(&twice), "repeated-header", "{name}");
    }
    assert_eq!(with("Contact", "User-Agent: a\nUser-Agent: b"), "");
}

#[test]
fn each_part_is_read() {
    for (line, instead, expected) in [
        ("Via", "Via: SIP/2.0/UDP 192.0.2.1;;,;,,", "via"),
        ("Via", "Via: SIP/2.0/UDP 192.0.2.1, nonsense", "via"),
        ("CSeq", "CSeq: 2147483648 INVITE", "cseq"),
        ("CSeq", "CSeq: INVITE", "cseq"),
        ("CSeq", "CSeq: 1 OPTIONS", "cseq-method"),
        ("INVITE", "BREW sip:88@pbx.example SIP/2.0", "method"),
        ("Max-Forwards", "Max-Forwards: 256", "max-forwards"),
        ("Max-Forwards", "Max-Forwards: -1", "max-forwards"),
        ("Call-ID", "Call-ID: 1, 2", "call-id"),
        ("INVITE", "INVITE <sip:88@pbx.example> SIP/2.0", "request-uri"),
        ("INVITE", "INVITE sip:2001:db8::1 SIP/2.0", "request-uri"),
        ("INVITE", "INVITE sip:88@pbx.example?Route=%3Csip:evil.example%3E SIP/2.0", "uri-headers"),
        ("INVITE", "INVITE http://pbx.example/ SIP/2.0", "scheme"),
        ("To", "To: \"Nobody <sip:88@pbx.example>", "to"),
        ("To", "To: <sip:88@pbx.example>;tag=\"1\"", "to"),
        ("From", "From: <sip:anna@pbx.example>, <sip:bernd@pbx.example>;tag=1", "from"),
        ("From", "From: <sip:anna@pbx.example>;tag=1;TAG=2", "from"),
        ("Contact", "Contact: <sip:anna@192.0.2.1>;;;", "contact"),
        ("Contact", "Contact: *", "contact"),
        ("Contact", "m: <sip:anna@192.0.2.1>\nContact: <sip:anna@192.0.2.2>", "two-contacts"),
    ] {
        assert_eq!(with(line, instead), expected, "{instead}");
    }
}

#[test]
fn a_registration_is_of_an_address_and_may_end_all_contacts() {
    let register = GOOD.replace("INVITE", "REGISTER");
    assert_eq!(code(&register.replace("<sip:anna@192.0.2.1>", "*")), "");
    assert_eq!(code(&register.replace("<sip:88@pbx.example>", "<tel:88>")), "address-of-record");
}

#[test]
fn statuses_are_those_of_the_standard() {
    for (uri, status) in [("mailto:a@b", 416), ("sip:a b@c", 400)] {
        let mut request = Request::new(Method::Options, uri);
        for (name, value) in [
            (Name::Via, "SIP/2.0/UDP h"),
            (Name::From, "<sip:a>"),
            (Name::To, "<sip:b>"),
            (Name::CallId, "1"),
            (Name::CSeq, "1 OPTIONS"),
        ] {
            request.headers.push(name, value);
        }
        let fault = fault(&request).unwrap();
        let response = fault.response(&request);
        assert_eq!((fault.status, response.status), (status, status), "{uri}");
        assert!(response.to_tag().is_some());
        assert_eq!(response, fault.response(&request));
    }
}
