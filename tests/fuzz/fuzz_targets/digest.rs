//! Digests (RFC 7616, RFC 8760): challenges of strange servers, claims of strange clients.
#![no_main]

mod support;

use mixer_signalling::message::{Message, Method, Name, Request, read};
use mixer_signalling::{Ask, Challenger, Claim, Credentials, NonceCount, Realms, Verdict, answer_challenge};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    // As it comes in a response; line breaks begin another header, as many as a server may send.
    let response = [b"SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: ", bytes, b"\r\n\r\n"].concat();
    let headers = match read(&response) {
        Ok(Message::Response(response)) => response.headers,
        Ok(Message::Request(_)) | Err(_) => return,
    };
    let ask = Ask { method: "REGISTER", uri: "sip:example.com", body: b"" };
    let credentials = Credentials { user: "88".to_owned(), password: "secret word".to_owned() };
    let mut nonces = NonceCount::default();
    for realms in [Realms::Only("example.com"), Realms::First] {
        let challenges = headers.all(&Name::WwwAuthenticate);
        let Some(answer) = answer_challenge(challenges, &ask, &credentials, realms, &mut nonces, "c") else { continue };
        assert!(!answer.contains("secret word"), "{answer}");
        // It stays one header of one line, whatever stood in the challenge.
        let mut request = Request::new(Method::Register, "sip:example.com");
        request.headers.push(Name::CallId, "a");
        request.headers.push(Name::Authorization, answer);
        let written = request.write();
        let Ok(Message::Request(again)) = read(&written) else { panic!("our own request cannot be read") };
        assert_eq!(again.headers.count(&Name::Authorization), 1);
        assert!(again.headers.iter().count() <= 3 && again.body.is_empty(), "{}", String::from_utf8_lossy(&written));
    }
    let mut challenger = Challenger::new(support::start(), &[7; 32]);
    let _ = challenger.challenge(support::start(), support::address(2), "example.com", false);
    for header in headers.all(&Name::WwwAuthenticate) {
        let (source, realm) = (support::address(2), "example.com");
        let claim = Claim { source, realm, header, method: "INVITE", uri: "sip:88@example.com" };
        let verdict = challenger.verify(support::start(), &claim, |_| Some("unguessable".to_owned()));
        assert!(!matches!(verdict, Verdict::Accepted { .. }), "nobody knows that password");
    }
});
