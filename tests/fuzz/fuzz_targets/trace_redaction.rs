//! What is kept for `dialroom trace`: a secret in any place where secrets stand is not in it, whatever surrounds it.
#![no_main]

mod support;

use mixer_signalling::{TraceBounds, Traces, Transport, Way, ladder};

const SECRET: &str = "K4n4rienvogel";
/// Where secrets stand. The fuzzer's bytes go before, between and behind.
const PLACES: [&str; 6] = [
    "Authorization: Digest username=\"a\", response=\"K4n4rienvogel\"\r\n",
    "Proxy-Authorization: Digest username=\"a\", cnonce=\"K4n4rienvogel\"\r\n",
    "WWW-Authenticate: Digest realm=\"a\", nonce=\"K4n4rienvogel\"\r\n",
    "authorization : Basic K4n4rienvogel\r\n",
    "PROXY-AUTHENTICATE: Digest realm=\"a\",\r\n nonce=\"K4n4rienvogel\"\r\n",
    "Authentication-Info: nextnonce=\"K4n4rienvogel\"\r\n",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    let Some((&first, rest)) = bytes.split_first() else { return };
    let (head, body) = rest.split_at(rest.len() / 2);
    // Whole lines before the secret; what would hide its line in a fold or a body is no header then.
    let head: Vec<u8> = head.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let place = PLACES[usize::from(first) % PLACES.len()];
    let message = [
        b"INFO sip:88@example.com SIP/2.0\r\nCall-ID: a\r\nX-Fuzz: ",
        &*head,
        b"\r\n",
        place.as_bytes(),
        b"Content-Type: application/sdp\r\n\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:K4n4rienvogel\r\n",
        body,
    ]
    .concat();
    let mut traces = Traces::new(TraceBounds::default());
    for message in [&message[..], rest] {
        traces.note(support::start(), Way::In, support::socket(2), Transport::Udp, message);
    }
    let entries = traces.of_call_id("a").unwrap_or_default();
    // The fuzzer may write the word itself, where no secret stands.
    if !head.windows(SECRET.len()).chain(rest.windows(SECRET.len())).any(|window| window == SECRET.as_bytes()) {
        for whole in [false, true] {
            assert!(!ladder(entries, whole).contains(SECRET), "{}", ladder(entries, whole));
        }
    }
});
