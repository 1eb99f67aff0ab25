//! Digests (RFC 7616, RFC 8760): challenges of strange servers, claims of strange clients.
#![no_main]

mod support;

use mixer_signalling::{Ask, Challenger, Claim, Credentials, NonceCount, Realms, Verdict, answer_challenge};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    let text = String::from_utf8_lossy(bytes);
    let ask = Ask { method: "REGISTER", uri: "sip:example.com", body: b"" };
    let credentials = Credentials { user: "88".to_owned(), password: "secret word".to_owned() };
    let mut nonces = NonceCount::default();
    for realms in [Realms::Only("example.com"), Realms::First] {
        // A challenge on each line, as many as a server may send.
        if let Some(answer) = answer_challenge(text.lines(), &ask, &credentials, realms, &mut nonces, "c") {
            assert!(!answer.contains("secret word") && !answer.contains(['\r', '\n']), "{answer}");
        }
    }
    let mut challenger = Challenger::new(support::start(), &[7; 32]);
    let _ = challenger.challenge(support::start(), support::address(2), "example.com", false);
    let claim = Claim {
        source: support::address(2),
        realm: "example.com",
        header: &text,
        method: "INVITE",
        uri: "sip:88@example.com",
    };
    let verdict = challenger.verify(support::start(), &claim, |_| Some("unguessable".to_owned()));
    assert!(!matches!(verdict, Verdict::Accepted { .. }), "nobody knows that password");
});
