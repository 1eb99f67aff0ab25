//! Reading: what is forgiven, what is refused, and what the refused hear.

use super::super::{Message, Name, Request, Response};
use super::*;

const HEAD: &str = "OPTIONS sip:88@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK1\r\n\
                    From: <sip:a@b>;tag=1\r\nTo: <sip:88@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n";

fn request(bytes: impl AsRef<[u8]>) -> Request {
    match read(bytes.as_ref()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn response(bytes: impl AsRef<[u8]>) -> Response {
    match read(bytes.as_ref()) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

/// Code of the fault, and the answer's first line, empty for silence.
fn refused(bytes: impl AsRef<[u8]>) -> (&'static str, String) {
    let unreadable = read(bytes.as_ref()).unwrap_err();
    let answer = unreadable.answer().map(|answer| String::from_utf8(answer).unwrap()).unwrap_or_default();
    (unreadable.fault.code, answer.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn a_request_is_read() {
    let request = request(format!("{HEAD}Content-Length: 3\r\n\r\nabc"));
    assert_eq!((request.method.as_str(), request.uri.as_str()), ("OPTIONS", "sip:88@127.0.0.1"));
    assert_eq!((request.call_id(), request.from_tag(), request.to_tag()), (Some("1"), Some("1"), None));
    assert_eq!(request.body, b"abc");
    assert_eq!(request.headers.len(), 6);
}

#[test]
fn a_missing_length_is_the_rest_and_a_short_one_cuts_it() {
    assert_eq!(request(format!("{HEAD}\r\nv=0\r\n")).body, b"v=0\r\n");
    assert_eq!(request(format!("{HEAD}l:2\r\n\r\nabINVITE sip:b SIP/2.0\r\n\r\n")).body, b"ab");
    assert_eq!(request(HEAD).body, b"", "not even an empty line");
}

#[test]
fn bare_line_feeds_end_lines_but_the_body_stays() {
    let bare = format!("\n\r\n{HEAD}l: 4\r\n\r\n").replace("\r\n", "\n") + "a\nb\n";
    let request = request(bare);
    assert_eq!(request.headers.len(), 6);
    assert_eq!(request.body, b"a\nb\n");
}

#[test]
fn latin_1_becomes_utf_8_line_by_line() {
    let mut bytes = format!("{HEAD}Subject: ?\r\nX-Odd: ä\r\n\r\n").into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[at] = 0xfc;
    let request = request(bytes);
    assert_eq!(request.headers.get(&Name::Subject), Some("ü"));
    assert_eq!(request.headers.get(&"X-Odd".into()), Some("ä"));
}

#[test]
fn folded_lines_are_one_value() {
    let request = request(format!("{HEAD}Subject :\r\n\tone\r\n  two \r\n \r\nC: x\r\n\r\n"));
    assert_eq!(request.headers.get(&Name::Subject), Some("one two"));
    assert_eq!(request.headers.get(&Name::ContentType), Some("x"));
}

#[test]
fn a_stray_carriage_return_begins_no_header() {
    let request = request(format!("{HEAD}Subject: a\rP-Asserted-Identity: <tel:1>\r\n\r\n"));
    assert_eq!(request.headers.count(&Name::PAssertedIdentity), 0);
    assert_eq!(request.headers.get(&Name::Subject), Some("a P-Asserted-Identity: <tel:1>"));
}

#[test]
fn responses_are_read_with_patience() {
    let read = response("sip/2.0 180\r\nVia: x\r\nno header\r\n goes on\r\nC%: y\r\n\r\n");
    assert_eq!((read.status, read.reason.as_str(), read.headers.len()), (180, "", 2));
    assert_eq!(response("SIP/2.0 200 = 2 ×  100\r\n\r\n").reason, "= 2 ×  100");
    for start in [
        "SIP/2.0 99 x",
        "SIP/2.0 700 x",
        "SIP/2.0 0200 x",
        "SIP/2.0 4294967496 x",
        "SIP/2.0 2OO x",
        "SIP/3.0 200 OK",
        "SIP/2.0",
    ] {
        assert_eq!(refused(format!("{start}\r\nVia: x\r\n\r\n")), ("no-sip", String::new()), "{start}");
    }
    assert_eq!(refused("SIP/2.0 200 OK\r\nVia: x\r\nl: 9\r\n\r\nshort"), ("short-body", String::new()));
}

#[test]
fn what_is_no_sip_is_met_with_silence() {
    let noise = [
        "",
        "\r\n\r\n",
        "hello",
        "GET / HTTP/1.1\r\nVia: x\r\n\r\n",
        "INVITE sip:a\r\nVia: x\r\n\r\n",
        "IN(ITE a SIP/2.0\r\n\r\n",
    ];
    for bytes in noise {
        assert_eq!(refused(bytes), ("no-sip", String::new()), "{bytes:?}");
    }
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_refused() {
    for (rest, code) in [
        ("Content-Length: 9\r\n\r\nshort", "short-body"),
        ("Content-Length: 0\r\nl: 3\r\n\r\nabc", "two-lengths"),
        ("Content-Length: 3\r\nl: 3\r\n\r\nabc", "two-lengths"),
        ("Content-Length: 99999999999999999999999\r\n\r\n", "short-body"),
        ("Content-Length: -3\r\n\r\nabc", "content-length"),
        ("Content-Length: 3, 3\r\n\r\nabc", "content-length"),
        ("Content-Length:\r\n\r\nabc", "content-length"),
        ("P-Asserted -Identity: <tel:1>\r\n\r\n", "header-line"),
        ("P-Asserted-Identity\r\n\r\n", "header-line"),
        (": x\r\n\r\n", "header-line"),
    ] {
        let bad_request = ("SIP/2.0 400 ", code);
        let (found, answer) = refused(format!("{HEAD}{rest}"));
        assert_eq!((&answer[..12], found), bad_request, "{rest}");
    }
    let folded_start = format!("{}\r\n", HEAD.replacen("\r\nVia", "\r\n Via", 1)) + "Via: SIP/2.0/UDP h\r\n";
    assert_eq!(refused(folded_start).0, "header-line");
}

#[test]
fn a_broken_start_line_still_has_somebody_to_answer() {
    for (start, code, status) in [
        ("OPTIONS  sip:88@a SIP/2.0", "request-line", "400"),
        ("OPTIONS sip:88@a  SIP/2.0", "request-line", "400"),
        ("OPTIONS sip:88@a SIP/2.0  ", "request-line", "400"),
        ("OPTIONS sip:88@a; lr SIP/2.0", "request-line", "400"),
        ("OPTIONS SIP/2.0 SIP/2.0 SIP/2.0", "request-line", "400"),
        ("OPTIONS sip:88@a SIP/7.0", "version", "505"),
        ("OPTIONS sip:88@a sip/", "version", "505"),
    ] {
        let (found, answer) = refused(HEAD.replace("OPTIONS sip:88@127.0.0.1 SIP/2.0", start) + "\r\n");
        assert_eq!((found, &answer[8..11]), (code, status), "{start}");
    }
}

#[test]
fn the_answer_repeats_what_answers_repeat_and_nothing_else() {
    let unreadable = read(format!("{HEAD}Subject: x\r\nl: 9\r\n\r\n").as_bytes()).unwrap_err();
    let answer = String::from_utf8(unreadable.answer().unwrap()).unwrap();
    let head = "SIP/2.0 400 Body Too Short\r\nVia: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK1\r\n\
    From: <sip:a@b>;tag=1\r\nTo: <sip:88@b>;tag=";
    let tail = "\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    assert!(answer.starts_with(head) && answer.ends_with(tail), "{answer}");
    let again = read(format!("{HEAD}Subject: y\r\nl: 9\r\n\r\n").as_bytes()).unwrap_err();
    assert_eq!(again.answer(), unreadable.answer(), "the same tag to a repetition");
}

#[test]
fn nobody_answers_an_ack_or_without_a_way_back() {
    let ack = HEAD.replace("OPTIONS", "ACK");
    assert_eq!(refused(format!("{ack}l: 9\r\n\r\n")), ("short-body", String::new()));
    let lost = HEAD.replace("Via", "X-Via");
    assert_eq!(refused(format!("{lost}l: 9\r\n\r\n")), ("short-body", String::new()));
}

#[test]
fn everything_has_a_bound() {
    let lines = |count: usize| format!("{HEAD}{}\r\n", "X: y\r\n".repeat(count - 5));
    assert_eq!(request(lines(MAX_HEADERS)).headers.len(), MAX_HEADERS);
    assert_eq!(refused(lines(MAX_HEADERS + 1)).0, "too-large");
    let long = |len: usize| format!("{HEAD}X: {}\r\n\r\n", "y".repeat(len - HEAD.len() - 7));
    assert_eq!(long(MAX_HEAD_BYTES).len(), MAX_HEAD_BYTES);
    assert_eq!(request(long(MAX_HEAD_BYTES)).headers.len(), 6);
    assert_eq!(refused(long(MAX_HEAD_BYTES + 1)), ("too-large", "SIP/2.0 513 Message Too Large".to_owned()));
    let body = |len: usize| format!("{HEAD}\r\n{}", "b".repeat(len));
    assert_eq!(request(body(MAX_BODY_BYTES)).body.len(), MAX_BODY_BYTES);
    assert_eq!(refused(body(MAX_BODY_BYTES + 1)).0, "too-large");
}
