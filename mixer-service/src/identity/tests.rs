//! Whom a trunk makes somebody, and that nobody else makes anybody anyone.

use std::net::SocketAddr;

use dialroom_host::Clock;
use mixer_signalling::{Config, Endpoint, Flow, FlowId, Input, Output, SipEvent, Transport};
use proptest::prelude::*;

use super::*;

const TRUNK: &str = "10.0.0.5";
const STRANGER: &str = "198.51.100.7";

fn settings(believes: &str) -> Settings {
    let text = format!(
        "[dial_in]\nnumber = \"88\"\n[[trunk]]\nname = \"pbx\"\naddresses = [\"{TRUNK}\"]\nbelieves = \"{believes}\"\n\
         own_numbers = [\"+493023125\"]\n"
    );
    Settings::read(std::path::Path::new("dialroom.toml"), &text).expect("settings that hold")
}

fn headers(from: &[&str], asserted: &[&str]) -> CallerHeaders {
    let owned = |values: &[&str]| values.iter().map(ToString::to_string).collect();
    CallerHeaders { from: owned(from), asserted: owned(asserted), privacy: Vec::new() }
}

fn decide(believes: &str, source: &str, headers: &CallerHeaders) -> (Option<String>, Trust) {
    let settings = settings(believes);
    let trunk = trunk_of(&settings, &ServerAddresses::default(), source.parse().unwrap(), &[]);
    let believed = believed(&settings, trunk, headers);
    (believed.number.map(String::from), believed.trust)
}

fn check(value: &str, number: Option<&str>, trust: Trust) {
    let (found, given) = decide("all", TRUNK, &headers(&["<sip:ignored@pbx>;tag=1"], &[value]));
    assert_eq!((found.as_deref(), given), (number, trust), "{value}");
}

/// Spellings of Bernd's number (own) and of a guest's, as telephone systems send them.
const SPELLINGS: [(&str, Option<&str>, Trust); 60] = {
    const BERND: Option<&str> = Some("+493023125002");
    const GUEST: Option<&str> = Some("+447700900123");
    [
        ("<sip:+493023125002@pbx>", BERND, Trust::Internal),
        ("sip:+493023125002@pbx", BERND, Trust::Internal),
        ("sip:+493023125002@pbx;tag=1", BERND, Trust::Internal),
        ("<SIP:+493023125002@pbx;user=phone>;tag=x", BERND, Trust::Internal),
        ("<sips:+493023125002@pbx>", BERND, Trust::Internal),
        ("<tel:+493023125002>", BERND, Trust::Internal),
        ("tel:+49-30-23125-002", BERND, Trust::Internal),
        ("<tel:+49(30)23125.002>", BERND, Trust::Internal),
        ("\"Bernd\" <sip:+493023125002@pbx>", BERND, Trust::Internal),
        ("Bernd Brot <sip:+493023125002@pbx>", BERND, Trust::Internal),
        ("\"Brot, Bernd\" <sip:+493023125002@pbx>", BERND, Trust::Internal),
        ("\"<sip:+493023125001@pbx>\" <sip:+493023125002@pbx>", BERND, Trust::Internal),
        ("\"a\\\"b\" <sip:+493023125002@pbx>", BERND, Trust::Internal),
        ("<sip:%2B493023125002@pbx>", BERND, Trust::Internal),
        ("<sip:%2b%34%393023125002@pbx>", BERND, Trust::Internal),
        ("<sip:00493023125002@pbx>", BERND, Trust::Internal),
        ("<sip:03023125002@pbx;user=phone>", BERND, Trust::Internal),
        ("<sip:002@pbx>", BERND, Trust::Internal),
        ("<sip:+493023125002:secret@pbx>", BERND, Trust::Internal),
        ("<sip:+493023125002;cpc=ordinary@pbx>", BERND, Trust::Internal),
        ("<sip:+493023125002@pbx>, <tel:+493023125002>", BERND, Trust::Internal),
        ("<sip:+493023125002@[2001:db8::1]:5060>", BERND, Trust::Internal),
        ("<sip:+49-30-23125-002@pbx;user=phone>", BERND, Trust::Internal),
        ("<sip:0049-30-23125002@pbx;user=phone>", BERND, Trust::Internal),
        ("<tel:+493023125002;phone-context=+1>", BERND, Trust::Internal),
        ("<sip:+493023125002@pbx>;screen=yes;privacy=off", BERND, Trust::Internal),
        ("<tel:+493023125002>, <tel:00493023125002>", BERND, Trust::Internal),
        ("<sip:+447700900123@pbx>", GUEST, Trust::Asserted),
        ("<sip:00447700900123@pbx;user=phone>", GUEST, Trust::Asserted),
        ("<tel:+447700900123;verstat=TN-Validation-Passed-A>", GUEST, Trust::Attested),
        ("<sip:+447700900123;verstat=TN-Validation-Passed-A@pbx>", GUEST, Trust::Attested),
        ("<sip:+447700900123@pbx>;verstat=tn-validation-passed-a", GUEST, Trust::Attested),
        ("<tel:+447700900123;verstat=TN-Validation-Passed>", GUEST, Trust::Asserted),
        ("<tel:+447700900123;verstat=TN-Validation-Passed-B>", GUEST, Trust::Asserted),
        ("<tel:+447700900123;verstat=No-TN-Validation>", GUEST, Trust::Asserted),
        ("<tel:+447700900123;verstat=TN-Validation-Failed>", GUEST, Trust::Claimed),
        ("<tel:+447700900123;verstat=TN-Validation-Failed-A>", GUEST, Trust::Claimed),
        ("<tel:+447700900123;verstat=TN-Validation-Passed-A;verstat=x>", GUEST, Trust::Claimed),
        ("<tel:+493023125002;verstat=TN-Validation-Passed-C>", BERND, Trust::Asserted),
        ("<sip:+493023125002@pbx>, <sip:+493023125003@pbx>", None, Trust::Claimed),
        ("<sip:+493023125002@evil@pbx>", None, Trust::Claimed),
        ("<sip:anonymous@anonymous.invalid>", None, Trust::Claimed),
        ("<sip:+493023125002@anonymous.invalid>", None, Trust::Claimed),
        ("\"+493023125002\" <sip:unknown@pbx>", None, Trust::Claimed),
        ("<sip:bernd@pbx>", None, Trust::Claimed),
        ("<sip:@pbx>", None, Trust::Claimed),
        ("<mailto:+493023125002@pbx>", None, Trust::Claimed),
        ("<tel:002;phone-context=example.com>", None, Trust::Claimed),
        ("<sip:0000@pbx>", None, Trust::Claimed),
        ("<sip:112@pbx>", None, Trust::Claimed),
        ("<sip:Anonymous@pbx>", None, Trust::Claimed),
        ("\"Anonymous\" <sip:unavailable@unknown.invalid>", None, Trust::Claimed),
        ("<sip:private@pbx>", None, Trust::Claimed),
        ("<sip:911@pbx>", None, Trust::Claimed),
        ("<sip:000@pbx>", None, Trust::Claimed),
        ("<sip:%@pbx>", None, Trust::Claimed),
        ("<sip:+493023125002%00@pbx>", None, Trust::Claimed),
        ("<tel:+493023125002>, <tel:+493023125003>", None, Trust::Claimed),
        ("<sip:+493023125002@pbx", None, Trust::Claimed),
        ("", None, Trust::Claimed),
    ]
};

#[test]
fn every_spelling_from_the_trunk() {
    for (value, number, trust) in SPELLINGS {
        check(value, number, trust);
    }
}

#[test]
fn no_spelling_of_a_stranger_is_more_than_a_claim() {
    for (value, ..) in SPELLINGS {
        for believes in ["extensions", "attested", "all"] {
            for headers in [headers(&[value], &[]), headers(&[value], &[value]), headers(&[], &[value, value])] {
                let (_, trust) = decide(believes, STRANGER, &headers);
                assert_eq!(trust, Trust::Claimed, "{value}");
            }
        }
    }
}

#[test]
fn whom_a_trunk_believes() {
    let table = [
        ("extensions", "<tel:+493023125002>", Trust::Internal),
        ("extensions", "<tel:+447700900123;verstat=TN-Validation-Passed-A>", Trust::Claimed),
        ("attested", "<tel:+493023125002>", Trust::Internal),
        ("attested", "<tel:+447700900123;verstat=TN-Validation-Passed-A>", Trust::Attested),
        ("attested", "<tel:+447700900123;verstat=TN-Validation-Passed-B>", Trust::Claimed),
        ("attested", "<tel:+447700900123;verstat=TN-Validation-Passed>", Trust::Claimed),
        ("attested", "<tel:+447700900123>", Trust::Claimed),
        ("attested", "<tel:+493023125002;verstat=No-TN-Validation>", Trust::Claimed),
        ("all", "<tel:+447700900123>", Trust::Asserted),
    ];
    for (believes, value, trust) in table {
        assert_eq!(decide(believes, TRUNK, &headers(&[], &[value])).1, trust, "{believes} {value}");
    }
}

#[test]
fn a_number_is_rewritten_once_before_anybody_reads_it() {
    let text = "[[trunk]]\nname = \"pbx\"\naddresses = [\"10.0.0.5\"]\nown_numbers = [\"+493023125\", \"+4989555\"]\n\
                [[trunk.rewrite]]\nprefix = \"9\"\nreplace = \"\"\n\
                [[trunk.rewrite]]\nprefix = \"49\"\nreplace = \"+49\"\n\
                [[trunk.rewrite]]\nprefix = \"7\"\nreplace = \"+4989555\"\nmin_digits = 3\n\
                [[trunk.rewrite]]\nprefix = \"+4930\"\nreplace = \"+1\"\n";
    let settings = Settings::read(std::path::Path::new("dialroom.toml"), text).unwrap();
    for (user, expected) in [
        ("493023125002", Some("+493023125002")),
        ("49-30-23125-002", Some("+493023125002")),
        ("9004930231250020", Some("+4930231250020")),
        ("902034567", Some("+492034567")),
        ("712", Some("+498955512")),
        // An extension that no rule names is still one of two blocks, and a short number is left alone.
        ("912", None),
        ("71", None),
        ("+493099887766", Some("+199887766")),
        ("+447700900123", Some("+447700900123")),
    ] {
        let value = format!("<sip:{user}@pbx>");
        let believed = believed(&settings, Some(&settings.trunks[0]), &headers(&[], &[&value]));
        assert_eq!(believed.number.as_ref().map(E164::as_str), expected, "{user}");
    }
    // Rules are the trunk's: a stranger's number is read as it comes.
    let stranger = believed(&settings, None, &headers(&[], &["<sip:712@pbx>"]));
    assert_eq!((stranger.number, stranger.trust), (None, Trust::Claimed));
}

#[test]
fn a_trunk_that_names_one_header_is_asked_for_no_other() {
    let text = "[[trunk]]\nname = \"pbx\"\naddresses = [\"10.0.0.5\"]\nidentity = [\"P-Asserted-Identity\"]\n";
    let settings = Settings::read(std::path::Path::new("dialroom.toml"), text).unwrap();
    let believed = believed(&settings, Some(&settings.trunks[0]), &headers(&["<sip:+493023125002@pbx>"], &[]));
    assert_eq!((believed.number, believed.why), (None, "no header names the caller"));
}

#[test]
fn the_first_header_present_decides_alone() {
    let bernd = "<sip:+493023125002@pbx>";
    assert_eq!(decide("all", TRUNK, &headers(&[bernd], &[])).1, Trust::Internal);
    // A doubtful P-Asserted-Identity is not healed by From.
    assert_eq!(decide("all", TRUNK, &headers(&[bernd], &["<sip:bernd@pbx>"])), (None, Trust::Claimed));
    // Nor is one that was too long to be kept.
    assert_eq!(decide("all", TRUNK, &headers(&[bernd], &[""])), (None, Trust::Claimed));
    assert_eq!(decide("all", TRUNK, &headers(&[bernd, "<sip:+493023125003@pbx>"], &[])), (None, Trust::Claimed));
    assert_eq!(decide("all", TRUNK, &headers(&[], &[])), (None, Trust::Claimed));
}

#[test]
fn who_withholds_his_number_is_nobody() {
    for privacy in ["id", "id;critical", "user; id", "header", "ID"] {
        let mut headers = headers(&[], &["<sip:+493023125002@pbx>"]);
        headers.privacy.push(privacy.to_owned());
        assert_eq!(decide("all", TRUNK, &headers), (None, Trust::Claimed), "{privacy}");
    }
    let mut headers = headers(&[], &["<sip:+493023125002@pbx>"]);
    headers.privacy.push("none".to_owned());
    assert_eq!(decide("all", TRUNK, &headers).1, Trust::Internal);
}

#[test]
fn an_ipv4_address_written_as_ipv6_is_the_same_trunk() {
    let headers = headers(&[], &["<sip:+493023125002@pbx>"]);
    assert_eq!(decide("all", "::ffff:10.0.0.5", &headers).1, Trust::Internal);
}

proptest! {
    #[test]
    fn no_text_panics_or_lifts_a_stranger(from in "\\PC{0,80}", asserted in "[<>;:@,\"\\\\+%0-9a-z=-]{0,80}") {
        let headers = headers(&[&from], &[&asserted]);
        let settings = settings("all");
        prop_assert_eq!(believed(&settings, None, &headers).trust, Trust::Claimed);
        let _ = believed(&settings, settings.trunks.first(), &headers);
    }
}

/// The headers that signalling hands on of an INVITE with these lines.
fn through_signalling(from: &str, lines: &str) -> CallerHeaders {
    const SDP: &str =
        "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n";
    let invite = format!(
        "INVITE sip:88@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK-1\r\nMax-Forwards: 70\r\n\
         From: {from};tag=1\r\nTo: <sip:88@10.0.0.1>\r\nCall-ID: 1@pbx\r\nCSeq: 1 INVITE\r\nContact: <sip:pbx@10.0.0.5>\r\n\
         {lines}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    let now = Clock::real().instant();
    let mut endpoint = Endpoint::new(now, Config::default(), [7; 32]);
    let (local, source): (SocketAddr, SocketAddr) =
        ("10.0.0.1:5060".parse().unwrap(), "10.0.0.5:5060".parse().unwrap());
    let flow = Flow { id: FlowId(1), transport: Transport::Udp, local, remote: None, tls_names: Vec::new() };
    endpoint.handle(now, Input::FlowOpened(flow));
    endpoint.handle(now, Input::Message { flow: FlowId(1), source, bytes: invite.as_bytes(), peer: None });
    loop {
        match endpoint.poll() {
            Output::Event(SipEvent::Incoming { headers, .. }) => return headers,
            Output::Wait(_) => panic!("no call: {invite}"),
            _ => {}
        }
    }
}

#[test]
fn hints_of_a_whole_invite_name_nobody() {
    const GUEST: &str = "<sip:+447700900123@pbx>";
    let settings = settings("all");
    for hint in [
        "P-Preferred-Identity: <sip:+493023125002@pbx>",
        "Remote-Party-ID: <sip:+493023125002@pbx>;party=calling;screen=yes;privacy=off",
        "Diversion: <sip:+493023125002@pbx>;reason=unconditional",
        "History-Info: <sip:+493023125002@pbx>;index=1",
        "Identity: eyJhbGciOiJub25lIn0.e30.;info=<https://example.com/c.pem>;alg=none",
        "Referred-By: <sip:+493023125002@pbx>",
        "Reply-To: <sip:+493023125002@pbx>",
        "X-P-Asserted-Identity: <sip:+493023125002@pbx>",
        "Subject: x\r\n P-Asserted-Identity: <sip:+493023125002@pbx>",
    ] {
        let headers = through_signalling(GUEST, &format!("{hint}\r\n"));
        let trusted = believed(&settings, settings.trunks.first(), &headers);
        assert_eq!(trusted.number.as_ref().map(E164::as_str), Some("+447700900123"), "{hint}");
        assert_eq!(believed(&settings, None, &headers).trust, Trust::Claimed, "{hint}");
    }
}

#[test]
fn an_asserted_number_is_found_however_its_header_is_written() {
    const GUEST: &str = "<sip:+447700900123@pbx>";
    let settings = settings("all");
    for (lines, expected) in [
        ("P-Asserted-Identity: <sip:+493023125002@pbx>\r\n", Some("+493023125002")),
        ("p-asserted-IDENTITY : <sip:+493023125002@pbx>\r\n", Some("+493023125002")),
        ("P-Asserted-Identity:\r\n <sip:+493023125002@pbx>\r\n", Some("+493023125002")),
        (
            "P-Asserted-Identity: <sip:+493023125002@pbx>\r\nP-Asserted-Identity: <tel:+493023125002>\r\n",
            Some("+493023125002"),
        ),
        ("P-Asserted-Identity: <sip:+493023125002@pbx>\r\nP-Asserted-Identity: <tel:+493023125003>\r\n", None),
        ("P-Asserted-Identity: <sip:+493023125002@pbx>\r\nPrivacy: id\r\n", None),
    ] {
        let headers = through_signalling(GUEST, lines);
        let trusted = believed(&settings, settings.trunks.first(), &headers);
        assert_eq!(trusted.number.as_ref().map(E164::as_str), expected, "{lines}");
        assert_eq!(believed(&settings, None, &headers).trust, Trust::Claimed, "{lines}");
    }
}
