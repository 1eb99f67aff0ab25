//! INVITEs that no standard allows, made by rule: every field of the message meets every way of being wrong.
//!
//! The manner is that of the PROTOS suite for SIP, the fields and the ways are our own. [`mutated`] adds blind chance.

use std::net::SocketAddr;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};

/// Longest message that fits a datagram of UDP over IPv4.
pub const MAX_DATAGRAM: usize = 65_507;
/// Fields that lie in the line of the request, in headers and in the description of the session. Each is a group of cases.
const FIELDS: [&str; 60] = [
    "method",
    "uri-scheme",
    "uri-user",
    "uri-host",
    "uri-port",
    "uri-parameter",
    "uri-header",
    "version",
    "line-blank",
    "via-protocol",
    "via-transport",
    "via-host",
    "via-port",
    "via-branch",
    "via-parameter",
    "via-more",
    "max-forwards",
    "from-name",
    "from-uri",
    "from-tag",
    "from-more",
    "to-name",
    "to-uri",
    "to-tag",
    "call-id",
    "cseq-number",
    "cseq-method",
    "contact-name",
    "contact-uri",
    "contact-parameter",
    "expires",
    "content-type",
    "content-length",
    "content-disposition",
    "content-encoding",
    "accept",
    "allow",
    "supported",
    "require",
    "record-route",
    "route",
    "user-agent",
    "asserted",
    "authorization",
    "session-expires",
    "date",
    "subject",
    "header-name",
    "header-end",
    "body-begin",
    "sdp-version",
    "sdp-origin",
    "sdp-name",
    "sdp-connection",
    "sdp-time",
    "sdp-media-port",
    "sdp-media-formats",
    "sdp-rtpmap",
    "sdp-fmtp",
    "sdp-direction",
];
/// The call that each case spoils in one place: text with the fields' names in braces.
const CALL: &str = "{method}INVITE{/}{line-blank} {/}{uri-scheme}sip{/}:{uri-user}88{/}@{uri-host}SERVER-IP{/}:{uri-port}SERVER-PORT{/}\
{uri-parameter};user=phone{/}{uri-header}{/} {version}SIP/2.0{/}\r\n\
Via: {via-protocol}SIP/2.0{/}/{via-transport}UDP{/} {via-host}CLIENT-IP{/}:{via-port}CLIENT-PORT{/};branch={via-branch}z9hG4bKCASE{/}{via-parameter};rport{/}\r\n\
{via-more}{/}Max-Forwards: {max-forwards}70{/}\r\n\
From: {from-name}\"Caller\"{/} <{from-uri}sip:caller@example.com{/}>;tag={from-tag}tCASE{/}{from-more}{/}\r\n\
To: {to-name}\"Called\"{/} <{to-uri}sip:88@example.com{/}>{to-tag}{/}\r\n\
Call-ID: {call-id}case-CASE@example.com{/}\r\n\
CSeq: {cseq-number}1{/} {cseq-method}INVITE{/}\r\n\
Contact: {contact-name}{/}<{contact-uri}sip:caller@CLIENT-IP:CLIENT-PORT{/}>{contact-parameter}{/}\r\n\
Expires: {expires}120{/}\r\nAccept: {accept}application/sdp{/}\r\nAllow: {allow}INVITE, ACK, BYE{/}\r\n\
Supported: {supported}timer{/}\r\nRequire: {require}{/}\r\nRecord-Route: {record-route}<sip:proxy.example.com;lr>{/}\r\n\
Route: {route}<sip:SERVER-IP:SERVER-PORT;lr>{/}\r\nUser-Agent: {user-agent}cases{/}\r\n\
P-Asserted-Identity: {asserted}<sip:+493023125002@example.com>{/}\r\nAuthorization: {authorization}Digest username=\"a\"{/}\r\n\
Session-Expires: {session-expires}1800;refresher=uac{/}\r\nDate: {date}Sat, 13 Nov 2010 23:29:00 GMT{/}\r\nSubject: {subject}cases{/}\r\n\
{header-name}X-Case{/}: a{header-end}\r\n{/}Content-Disposition: {content-disposition}session{/}\r\nContent-Encoding: {content-encoding}identity{/}\r\n\
Content-Type: {content-type}application/sdp{/}\r\nContent-Length: {content-length}LENGTH{/}\r\n{body-begin}\r\n{/}";
const SESSION: &str = "v={sdp-version}0{/}\r\no={sdp-origin}case 1 1 IN IP4 CLIENT-IP{/}\r\ns={sdp-name}-{/}\r\n\
c={sdp-connection}IN IP4 CLIENT-IP{/}\r\nt={sdp-time}0 0{/}\r\nm=audio {sdp-media-port}40000{/} RTP/AVP {sdp-media-formats}8 101{/}\r\n\
a=rtpmap:{sdp-rtpmap}101 telephone-event/8000{/}\r\na=fmtp:{sdp-fmtp}101 0-15{/}\r\na={sdp-direction}sendrecv{/}\r\n";

/// A message with one thing wrong.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where.
    pub field: &'static str,
    /// As it is sent.
    pub message: Vec<u8>,
}

/// Every field in every wrong way.
#[must_use]
pub fn cases(server: SocketAddr, client: SocketAddr) -> Vec<Case> {
    let wrongs = wrongs();
    let mut cases = Vec::with_capacity(FIELDS.len() * wrongs.len());
    for field in FIELDS {
        for wrong in &wrongs {
            let number = cases.len().to_string();
            let body = spoiled(SESSION, field, wrong);
            let head = spoiled(CALL, field, wrong);
            let message = [head, body.clone()].concat();
            let words = [
                ("SERVER-IP", server.ip().to_string()),
                ("SERVER-PORT", server.port().to_string()),
                ("CLIENT-IP", client.ip().to_string()),
                ("CLIENT-PORT", client.port().to_string()),
                ("CASE", number),
                ("LENGTH", body.len().to_string()),
            ];
            let message = words.iter().fold(message, |message, (word, value)| replaced(&message, word, value));
            if message.len() <= MAX_DATAGRAM {
                cases.push(Case { field, message });
            }
        }
    }
    cases
}

/// How many groups of cases there are.
#[must_use]
pub fn groups() -> usize {
    FIELDS.len()
}

/// What stands in a field's place.
fn wrongs() -> Vec<Vec<u8>> {
    let mut wrongs: Vec<Vec<u8>> = Vec::new();
    // Too long.
    wrongs.extend((0..16).map(|n| vec![b'a'; 1 << n]));
    wrongs.extend((4..16).step_by(3).map(|n| vec![b'1'; 1 << n]));
    // Numbers that do not fit.
    wrongs.extend(
        [
            "-1",
            "0",
            "1",
            "255",
            "256",
            "32768",
            "65535",
            "65536",
            "2147483647",
            "2147483648",
            "4294967295",
            "4294967296",
            "9223372036854775808",
            "18446744073709551616",
            "99999999999999999999999999999999",
            "-9223372036854775809",
            "0x10",
            "1.5",
            "1e9",
            "+1",
            "00000000000000000001",
            "NaN",
        ]
        .map(Vec::from),
    );
    // What a printf, a shell, a path or a page would take as an order.
    wrongs.extend(
        ["%s%s%s%s", "%n%n%n%n", "%x", "%00", "%", "%ff%fe", "$(id)", "../../etc/passwd", "<b>"].map(Vec::from),
    );
    // Bytes of no text, or of another one.
    wrongs.extend(
        [
            &b"\0"[..],
            b"a\0b",
            b"\xff",
            b"\xc3\xa4\xc3\xb6",
            b"\xc3",
            b"\xf0\x9f\x93\x9e",
            b"\xed\xa0\x80",
            b"\x1b[2J",
            b"\x7f",
        ]
        .map(Vec::from),
    );
    // Nothing, and blanks.
    wrongs.extend(["", " ", "\t", "  \t  "].map(Vec::from));
    // Every sign that parts something from something, once and often.
    for sign in [",", ";", ":", "=", "@", "<", ">", "\"", "\\", "/", "?", "&", "(", ")", "[", "]"] {
        wrongs.push(sign.into());
        wrongs.push(sign.repeat(100).into());
    }
    // Quotes and brackets that do not end.
    wrongs.extend(["\"a", "a\"", "\"\\\"", "\"\"", "<sip:a", "sip:a>", "(((a", "[::1", "[::g]"].map(Vec::from));
    // Lines that end too early or never.
    wrongs.extend(["\r", "\n", "\r\n", "\r\n ", "\r\n\r\n", "a\r\nX: y", "a\n\n"].map(Vec::from));
    // Many of what there may be one of, and one of what there may be none.
    wrongs.extend([",a".repeat(500), ";a=b".repeat(500), "a=b;".repeat(500), "a, ".repeat(500)].map(Vec::from));
    wrongs.extend([" 8".repeat(1000), "\r\na=x".repeat(500), "\r\nVia: SIP/2.0/UDP a".repeat(200)].map(Vec::from));
    wrongs.extend(
        ["sip:", "sips:x", "tel:+1", "mailto:a@b", "urn:service:sos", "IN IP6 ::1", "IN IP4 224.0.0.1"].map(Vec::from),
    );
    wrongs
}

/// The text with one field's content replaced and all marks gone.
fn spoiled(text: &str, field: &str, wrong: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(text.len() + wrong.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("every mark is closed");
        let (content, after) = after.split_once("{/}").expect("every field ends");
        written.extend(before.as_bytes());
        written.extend(if name == field { wrong } else { content.as_bytes() });
        rest = after;
    }
    written.extend(rest.as_bytes());
    written
}

fn replaced(message: &[u8], word: &str, value: &str) -> Vec<u8> {
    let mut written = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.windows(word.len()).position(|window| window == word.as_bytes()) {
        written.extend(&rest[..at]);
        written.extend(value.as_bytes());
        rest = &rest[at + word.len()..];
    }
    written.extend(rest);
    written
}

/// A message with some of its bits flipped: from 4 in a thousand to 5 in a hundred bytes.
#[must_use]
pub fn mutated(message: &[u8], seed: u64) -> Vec<u8> {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let per_thousand = 4 + chance.next_u32() % 47;
    let mut message = message.to_vec();
    for byte in &mut message {
        if chance.next_u32() % 1000 < per_thousand {
            *byte ^= 1 << (chance.next_u32() % 8);
        }
    }
    // One in eight is cut.
    if chance.next_u32().is_multiple_of(8) {
        message.truncate(chance.next_u32() as usize % (message.len() + 1));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn there_are_more_than_five_thousand_cases_in_more_than_fifty_four_groups() {
        let cases = cases(address(5060), address(4000));
        assert!(groups() >= 54 && cases.len() >= 5_000, "{} cases in {} groups", cases.len(), groups());
        for field in FIELDS {
            let of_field: Vec<_> = cases.iter().filter(|case| case.field == field).map(|case| &case.message).collect();
            assert!(of_field.len() > 80, "{field}: {}", of_field.len());
            assert!(of_field.windows(2).all(|pair| pair[0] != pair[1]), "{field}: each is another one");
        }
    }

    #[test]
    fn a_case_is_wrong_in_its_field_alone() {
        let cases = cases(address(5060), address(4000));
        let case = cases.iter().find(|case| case.field == "cseq-number").expect("it is there");
        let text = String::from_utf8_lossy(&case.message);
        assert!(text.starts_with("INVITE sip:88@127.0.0.1:5060;user=phone SIP/2.0\r\n"), "{text}");
        assert!(text.contains("CSeq: a INVITE\r\n") && text.contains("m=audio 40000 RTP/AVP 8 101\r\n"), "{text}");
        let (_, body) = text.split_once("\r\n\r\n").expect("a body");
        assert!(text.contains(&format!("Content-Length: {}\r\n", body.len())), "{text}");
    }

    #[test]
    fn a_mutation_is_its_seed() {
        let message = vec![b'x'; 500];
        assert_eq!(mutated(&message, 5), mutated(&message, 5));
        assert_ne!(mutated(&message, 5), mutated(&message, 6));
    }
}
