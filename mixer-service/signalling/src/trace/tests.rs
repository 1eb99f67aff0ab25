//! What is kept of calls, and above all what is not.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::redact::redact;
use super::*;
use crate::some_instant;

fn peer() -> SocketAddr {
    "192.0.2.7:5060".parse().unwrap()
}

fn lines(text: &str) -> String {
    text.replace('\n', "\r\n")
}

const INVITE: &str = "INVITE sip:881234567890@198.51.100.1;transport=udp SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK776asdhds
Max-Forwards: 70
From: \"Anna Beispiel\" <sip:+493023125002@192.0.2.7;user=phone>;tag=1928301774
t: <sip:881234567890@198.51.100.1>
Call-ID: a84b4c76e66710@192.0.2.7
CSeq: 314159 INVITE
P-Asserted-Identity: \"Anna\" <tel:+493023125002;verstat=TN-Validation-Passed>
Contact: <sip:anna:secret@192.0.2.7;x=1?Replaces=abc>
Authorization: Digest username=\"anna\", response=\"6629fae49393a05397450978507c4ef1\"
X-Token: 0123456789abcdef
Subject: about the house
c: application/sdp
Content-Length: 0

v=0
o=anna 1 2 IN IP4 192.0.2.7
s=Anna's telephone
c=IN IP4 192.0.2.7
t=0 0
m=audio 4000 RTP/SAVP 8
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4
a=rtpmap:8 PCMA/8000
a=ice-pwd:asd88fgpdd777uzjYhagZg
a=sendrecv
";

#[test]
fn an_invitation_keeps_its_shape_and_loses_its_secrets() {
    let expected = "INVITE sip:88***@198.51.100.1;transport=udp SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK776asdhds
Max-Forwards: 70
From: \"…\" <sip:+4930***02@192.0.2.7;user=phone>;tag=1928301774
t: <sip:88***@198.51.100.1>
Call-ID: a84b4c76e66710@192.0.2.7
CSeq: 314159 INVITE
P-Asserted-Identity: \"…\" <tel:+4930***02;verstat=TN-Validation-Passed>
Contact: <sip:anna;[hidden]@192.0.2.7;[hidden]?[hidden]>
Authorization: Digest [hidden]
X-Token: [hidden]
Subject: [hidden]
c: application/sdp
Content-Length: 0

v=0
o=… 1 2 IN IP4 192.0.2.7
s=[hidden]
c=IN IP4 192.0.2.7
t=0 0
m=audio 4000 RTP/SAVP 8
a=crypto:1 AES_CM_128_HMAC_SHA1_80 [hidden]
a=rtpmap:8 PCMA/8000
a=ice-pwd:[hidden]
a=sendrecv
";
    assert_eq!(redact(lines(INVITE).as_bytes(), Way::In), expected);
    assert_eq!(redact(INVITE.as_bytes(), Way::In), expected, "line feeds alone");
}

#[test]
fn a_folded_line_is_one_line() {
    let text =
        redact(b"OPTIONS sip:a@b SIP/2.0\r\nTo: \"A\"\r\n\t<sip:a@b>\r\n ;tag=1\r\nCSeq: 1 OPTIONS\r\n\r\n", Way::In);
    assert!(text.contains("To: \"…\" <sip:a@b>;tag=1\nCSeq: 1 OPTIONS\n"), "{text}");
}

#[test]
fn keys_told_by_info_are_counted_not_shown() {
    for (kind, body) in [
        ("application/dtmf-relay", "Signal=7\r\nDuration=160\r\n"),
        ("application/dtmf", "7"),
        ("application/sdp", "7=7"),
    ] {
        let info = format!("INFO sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Type: {kind}\r\n\r\n{body}");
        let text = redact(info.as_bytes(), Way::In);
        assert!(text.ends_with(&format!("\n\n[{} bytes hidden]\n", body.len())), "{text}");
    }
}

#[test]
fn two_kinds_of_body_are_none_that_is_shown() {
    let text = "INVITE sip:a@b SIP/2.0\nContent-Type: text/plain\nc: application/sdp\n\nv=0\n";
    assert!(redact(text.as_bytes(), Way::In).ends_with("[4 bytes hidden]\n"));
}

#[test]
fn only_a_caller_shows_the_end_of_his_number() {
    let request = "BYE sip:a@b SIP/2.0\nFrom: <sip:+49302312588123@x>;tag=1\nTo: <sip:+493023125002@y>;tag=2\n\n";
    let ours = redact(request.as_bytes(), Way::Out);
    assert!(ours.contains("From: <sip:+4930***@x>;tag=1") && ours.contains("To: <sip:+4930***@y>;tag=2"), "{ours}");
    let his = redact(request.as_bytes(), Way::In);
    assert!(his.contains("From: <sip:+4930***23@x>;tag=1") && his.contains("To: <sip:+4930***@y>;tag=2"), "{his}");
    let answer = request.replace("BYE sip:a@b SIP/2.0", "SIP/2.0 200 OK");
    assert!(redact(answer.as_bytes(), Way::Out).contains("From: <sip:+4930***23@x>"));
    assert!(redact(answer.as_bytes(), Way::In).contains("From: <sip:+4930***@x>"));
}

#[test]
fn odd_addresses_show_nothing() {
    for (written, shown) in [
        ("<sip:%34%39301234567@b>", "<sip:49***@b>"),
        ("sip:88*4711#482915@b", "sip:88***@b"),
        ("sip:room-4711-482915@b", "sip:room-***-***@b"),
        ("\"a, <b>\" <sip:123@b>, <sip:99999@c>", "\"…\" <sip:123@b>, <sip:99***@c>"),
        ("tel:0301234567;phone-context=+49;postd=ppp1234", "tel:03***;[hidden];[hidden]"),
        ("<sip:4711482915>", "<sip:47***>"),
        ("<mailto:anna@contoso.example>", "<mailto:[hidden]>"),
        ("<sip:a@b", "<sip:a@b>"),
        ("<sip:a:secret", "<sip:[hidden]>"),
        (
            "<sip:b:5060>, <sip:[2001:db8::1]:5060>, <sip:[2001:db8::1]>",
            "<sip:b:5060>, <sip:[2001:db8::1]:5060>, <sip:[2001:db8::1]>",
        ),
        ("<sip:[secret]>", "<sip:[hidden]>"),
        ("anna", "[hidden]"),
        ("*", "*"),
    ] {
        let message = format!("INVITE sip:a@b SIP/2.0\nDiversion: {written}\n\n");
        let text = redact(message.as_bytes(), Way::In);
        assert!(text.contains(&format!("Diversion: {shown}\n")), "{written}: {text}");
    }
}

#[test]
fn a_reason_shows_its_cause_and_no_number() {
    let text = redact(b"SIP/2.0 486 Busy 0301234567\nReason: Q.850;cause=17;text=\"to 0301234567\"\n\n", Way::In);
    assert_eq!(text, "SIP/2.0 486 Busy ***\nReason: Q.850;cause=17;text=\"to ***\"\n");
}

struct Desk {
    now: Instant,
    traces: Traces,
}

impl Desk {
    fn new(bounds: TraceBounds) -> Self {
        Self { now: some_instant(), traces: Traces::new(bounds) }
    }

    fn note(&mut self, way: Way, text: &str) {
        self.traces.note(self.now, way, peer(), Transport::Udp, lines(text).as_bytes());
        self.now += Duration::from_millis(20);
    }

    fn call(&mut self, call_id: &str) {
        self.note(Way::In, &format!("INVITE sip:88@b SIP/2.0\nCall-ID: {call_id}\n\n"));
    }

    fn kept(&self) -> Vec<&str> {
        self.traces.recent().into_iter().map(|summary| summary.call_id).collect()
    }
}

#[test]
fn a_call_is_drawn_as_a_ladder() {
    let mut desk = Desk::new(TraceBounds::default());
    desk.note(Way::In, INVITE);
    for (way, text) in [
        (Way::Out, "SIP/2.0 100 Trying"),
        (Way::Out, "SIP/2.0 200 OK"),
        (Way::In, "ACK sip:88@198.51.100.1 SIP/2.0"),
        (Way::In, "BYE sip:88@198.51.100.1 SIP/2.0"),
    ] {
        desk.note(way, &format!("{text}\nCall-ID: a84b4c76e66710@192.0.2.7\n\n"));
    }
    desk.traces.bind(CallKey(4), "a84b4c76e66710@192.0.2.7");
    let drawn = ladder(desk.traces.of(CallKey(4)).unwrap(), false);
    let expected = "             dialroom                                                     far end
     +0.000  |<--- INVITE sip:88***@198.51.100.1;transport=udp (SDP) ---| 192.0.2.7:5060 UDP
     +0.020  |---------------------- 100 Trying ----------------------->| 192.0.2.7:5060 UDP
     +0.040  |------------------------ 200 OK ------------------------->| 192.0.2.7:5060 UDP
     +0.060  |<---------------- ACK sip:88@198.51.100.1 ----------------| 192.0.2.7:5060 UDP
     +0.080  |<---------------- BYE sip:88@198.51.100.1 ----------------| 192.0.2.7:5060 UDP
";
    assert_eq!(drawn, expected, "\n{drawn}");
    assert!(ladder(desk.traces.of(CallKey(4)).unwrap(), true).contains("|  Via: SIP/2.0/UDP 192.0.2.7:5060"));
    assert_eq!(ladder(&[], true), "");
}

#[test]
fn a_call_is_found_by_its_key_its_call_id_or_the_beginning_of_it() {
    let mut desk = Desk::new(TraceBounds::default());
    for call_id in ["abc1", "abc2", "xyz"] {
        desk.call(call_id);
    }
    desk.traces.bind(CallKey(2), "xyz");
    assert!(desk.traces.of(CallKey(2)).is_some() && desk.traces.of(CallKey(4)).is_none());
    assert!(desk.traces.of_call_id("abc1").is_some() && desk.traces.of_call_id("x").is_some());
    assert!(desk.traces.of_call_id("abc").is_none() && desk.traces.of_call_id("q").is_none());
    let recent = desk.traces.recent();
    assert_eq!(
        (recent[0].call_id, recent[0].call, recent[0].first_line),
        ("xyz", Some(CallKey(2)), "INVITE sip:88@b SIP/2.0")
    );
}

#[test]
fn what_never_became_a_call_goes_first() {
    let mut desk = Desk::new(TraceBounds { calls: 3, ..TraceBounds::default() });
    desk.call("real");
    desk.traces.bind(CallKey(2), "real");
    for n in 0..50 {
        desk.call(&format!("scan-{n}"));
    }
    assert_eq!(desk.kept(), ["scan-49", "scan-48", "real"]);
}

#[test]
fn bytes_are_bounded() {
    let bounds = TraceBounds { calls: 1_000, messages: 8, message_bytes: 300, bytes: 20_000 };
    let mut desk = Desk::new(bounds);
    for n in 0..300 {
        let long = "x".repeat(10_000);
        desk.note(Way::In, &format!("INVITE sip:88@b SIP/2.0\nCall-ID: {}\nUser-Agent: {long}\n\n", n % 40));
        assert!(desk.traces.bytes <= 20_000);
        let sum: usize = desk
            .traces
            .traces
            .values()
            .flat_map(|trace| &trace.entries)
            .map(|entry| entry.text.len() + ENTRY_BYTES)
            .sum();
        assert_eq!(desk.traces.bytes, sum);
    }
    assert!(desk.kept().len() > 10);
}

#[test]
fn a_long_call_keeps_its_beginning_and_its_end() {
    let mut desk = Desk::new(TraceBounds { messages: 4, ..TraceBounds::default() });
    for n in 0..100 {
        desk.note(Way::Out, &format!("OPTIONS sip:n{n} SIP/2.0\nCall-ID: 1\n\n"));
    }
    let entries = desk.traces.of_call_id("1").unwrap();
    let first: Vec<_> = entries.iter().map(|entry| entry.text.lines().next().unwrap()).collect();
    assert_eq!(
        first,
        ["OPTIONS sip:n0 SIP/2.0", "OPTIONS sip:n1 SIP/2.0", "OPTIONS sip:n98 SIP/2.0", "OPTIONS sip:n99 SIP/2.0"]
    );
    assert_eq!(entries[1].left_out_after, 96);
    assert_eq!(desk.traces.recent()[0].messages, 100);
    assert!(ladder(entries, false).contains("… 96 messages left out"));
}

#[test]
fn line_breaks_before_a_message_are_passed_over() {
    let mut desk = Desk::new(TraceBounds::default());
    desk.note(Way::In, "\n\nOPTIONS sip:a SIP/2.0\ni : x\n\n");
    assert_eq!(desk.traces.recent()[0].first_line, "OPTIONS sip:a SIP/2.0");
}

#[test]
fn what_has_no_call_id_is_not_kept() {
    let mut desk = Desk::new(TraceBounds::default());
    desk.note(Way::In, "OPTIONS sip:a SIP/2.0\n\n");
    desk.note(Way::In, &format!("OPTIONS sip:a SIP/2.0\nCall-ID: {}\n\n", "x".repeat(300)));
    desk.call("a b");
    assert_eq!(desk.kept(), Vec::<&str>::new());
}

/// Secrets that must not be kept, whatever is around them.
const PIN: &str = "739154";
const NUMBER: &str = "4930231250029";
const PASSWORD: &str = "kanarienvogel";
const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

fn secretive() -> Vec<String> {
    let mut parts: Vec<String> = [
        format!("Authorization: Digest username=\"x\", response=\"{PASSWORD}\""),
        format!("proxy-AUTHORIZATION :Digest nonce=\"1\",\r\n response=\"{PASSWORD}\""),
        format!("WWW-Authenticate: Digest nonce=\"{PASSWORD}\""),
        format!("Authentication-Info: nextnonce=\"{PASSWORD}\""),
        format!("Identity: {PASSWORD}"),
        format!("X-Anything: {PIN} {NUMBER} {PASSWORD}"),
        format!("From: \"{PASSWORD} {PIN}\" <sip:+{NUMBER}@a>;tag=1;x={PIN}"),
        format!("f: {PASSWORD} {PIN}\r\n\t<sip:{NUMBER}@a;y={PASSWORD}>"),
        format!("TO : sip:88{PIN}@a"),
        format!("t: <tel:+{NUMBER};postd={PIN}>"),
        format!("Contact: <sip:a:{PASSWORD}@b?h={PASSWORD}>;+sip.instance=\"{PASSWORD}\""),
        format!("P-Asserted-Identity: <sip:+{NUMBER}@a>, <tel:+{NUMBER}>"),
        format!("Remote-Party-ID: \"{PASSWORD}\" <sip:{NUMBER}@a>;party=calling"),
        format!("Refer-To: <sip:{NUMBER},,{PIN}@a>"),
        format!("Route: <sip:88{PIN}@a;lr>"),
        format!("Reason: SIP;cause=486;text=\"{NUMBER} {PIN}\""),
        format!("Replaces: {PASSWORD};to-tag=1"),
        format!("Subject: {PASSWORD}"),
        format!("{PASSWORD}{PIN}"),
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1".to_owned(),
        "CSeq: 1 INVITE".to_owned(),
    ]
    .into();
    parts.extend(
        ["Content-Type: application/sdp", "c: application/dtmf-relay", "c : APPLICATION/SDP;x=1"].map(str::to_owned),
    );
    parts
}

fn secret_bodies() -> Vec<String> {
    vec![
        String::new(),
        format!("Signal={PIN}\r\nDuration=100\r\n"),
        format!(
            "v=0\r\no={PASSWORD} 1 1 IN IP4 1.2.3.4\r\ns={PASSWORD}\r\ne={PASSWORD}\r\np=+{NUMBER}\r\nk=clear:{PASSWORD}\r\n"
        ),
        format!(
            "v=0\r\nm=audio 1 RTP/SAVP 8\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20\r\na=ice-pwd:{PASSWORD}\r\n"
        ),
        format!(
            "v=0\na=CRYPTO:{KEY}\na = crypto:1 x inline:{KEY}\na=crypto: 1 X {KEY}\na=ptime:20\ra=crypto:1 X inline:{KEY}\n"
        ),
        format!("--b\r\nContent-Type: application/sdp\r\n\r\na=crypto:1 X inline:{KEY}\r\n"),
    ]
}

fn start_lines() -> Vec<String> {
    ["INVITE", "INFO", "REGISTER", "MESSAGE", "BYE", "BR0KEN "]
        .map(|method| format!("{method} sip:88{PIN}@198.51.100.1;x={PASSWORD} SIP/2.0"))
        .into_iter()
        .chain([
            format!("SIP/2.0 200 {NUMBER} {PIN}"),
            format!("INVITE tel:+{NUMBER};postd={PIN} SIP/2.0"),
            format!("INVITE  sip:{NUMBER}:{PASSWORD}@a  SIP/2.0"),
            format!("INVITE sip:88{PIN}"),
        ])
        .collect()
}

proptest! {
    #[test]
    fn no_canary_is_ever_kept(
        start in proptest::sample::select(start_lines()),
        headers in proptest::sample::subsequence(secretive(), 0..=24).prop_shuffle(),
        body in proptest::sample::select(secret_bodies()),
        bare in any::<bool>(),
        out in any::<bool>(),
        end in 0..80_usize,
    ) {
        let mut message = format!("{start}\r\n{}\r\nCall-ID: 1\r\n\r\n{body}", headers.join("\r\n"));
        if bare {
            message = message.replace("\r\n", "\n");
        }
        // Also what arrives cut short.
        message.truncate(message.floor_char_boundary(message.len() - message.len().min(end)));
        let kept = redact(message.as_bytes(), if out { Way::Out } else { Way::In });
        for canary in [PIN, NUMBER, PASSWORD, KEY] {
            prop_assert!(!kept.contains(canary), "{canary} in\n{kept}\nof\n{message}");
        }
    }

    #[test]
    fn nothing_panics_and_no_number_is_kept(noise in proptest::collection::vec(any::<u8>(), 0..200), text in "(\\PC|[\r\n:;<>\"@%=?]){0,200}") {
        for message in [&noise[..], text.as_bytes()] {
            let kept = redact(message, Way::In);
            prop_assert!(!kept.contains('\r'));
            let _ = ladder(&[Entry { at: some_instant(), way: Way::In, peer: peer(), transport: Transport::Tls, text: kept, left_out_after: 0 }], true);
        }
    }
}

#[test]
fn a_call_can_be_bound_to_the_message_kept_last() {
    let now = some_instant();
    let mut traces = Traces::new(TraceBounds::default());
    for call_id in ["one", "two"] {
        let message = INVITE.replace("a84b4c76e66710@192.0.2.7", call_id);
        traces.note(now, Way::In, peer(), Transport::Udp, message.as_bytes());
    }
    traces.bind_latest(CallKey(7));
    traces.bind_latest(CallKey(7));
    let bound: Vec<_> = traces.recent().into_iter().map(|kept| (kept.call_id, kept.call)).collect();
    assert_eq!(bound, [("two", Some(CallKey(7))), ("one", None)]);
}
