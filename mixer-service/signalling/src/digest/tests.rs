//! Digests as RFC 7616 shows them, and as those write them who should not get in.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::config::Credentials;
use crate::some_instant;

const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
const INVITE: Ask<'_> = Ask { method: "INVITE", uri: "sip:bob@biloxi.com", body: b"v=0\r\n" };

fn mufasa() -> Credentials {
    Credentials { user: "Mufasa".to_owned(), password: "Circle of Life".to_owned() }
}

fn bob() -> Credentials {
    Credentials { user: "bob".to_owned(), password: "zanzibar".to_owned() }
}

fn answer(challenges: &[&str], ask: &Ask<'_>, credentials: &Credentials, cnonce: &str) -> Option<String> {
    let mut nonces = NonceCount::default();
    answer_challenge(challenges.iter().copied(), ask, credentials, Realms::First, &mut nonces, cnonce)
}

fn response(value: &str) -> &str {
    value.split_once("response=\"").unwrap().1.split_once('"').unwrap().0
}

/// RFC 7616 section 3.9.1.
const LION: &str = "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
    nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
const LION_CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
const LION_ASK: Ask<'_> = Ask { method: "GET", uri: "/dir/index.html", body: b"" };

#[test]
fn the_examples_of_rfc_7616_come_out() {
    let md5 = answer(&[&format!("Digest {LION}, algorithm=MD5")], &LION_ASK, &mufasa(), LION_CNONCE).unwrap();
    assert_eq!(response(&md5), "8ca523f5e9506fed4657c9700eebdbec");
    let sha = answer(&[&format!("Digest {LION}, algorithm=SHA-256")], &LION_ASK, &mufasa(), LION_CNONCE).unwrap();
    assert_eq!(response(&sha), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    for part in
        ["algorithm=SHA-256", "qop=auth, nc=00000001", "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""]
    {
        assert!(sha.contains(part), "{part} is missing in {sha}");
    }
}

#[test]
fn a_name_beyond_ascii_is_hashed_as_utf_8() {
    let doe = Credentials { user: "Jäsøn Doe".to_owned(), password: "Secret, or not?".to_owned() };
    let challenge = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
        nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\"";
    let ask = Ask { method: "GET", uri: "/doe.json", body: b"" };
    let value = answer(&[challenge], &ask, &doe, "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm").unwrap();
    assert_eq!(response(&value), "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c");
}

#[test]
fn the_strongest_challenge_counts_wherever_it_stands() {
    let all = ["MD5", "SHA-256", "SHA-512-256", "SHA-3"].map(|name| format!("Digest {LION}, algorithm={name}"));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let value = answer(&all, &LION_ASK, &mufasa(), LION_CNONCE).unwrap();
    assert_eq!(response(&value), "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0");
    assert!(value.contains("algorithm=SHA-512-256"));
}

#[test]
fn old_and_odd_forms_are_answered() {
    let challenge = |more: &str| format!("digest realm=\"biloxi.com\",nonce=\"abc\"{more}");
    let respond = |more: &str| answer(&[&challenge(more)], &INVITE, &bob(), "0a4f113b");
    let old = respond("").unwrap();
    assert_eq!(response(&old), "ad54c709a8ba0e8be0a11f5d91bc879c");
    assert!(!old.contains("cnonce") && !old.contains("nc=") && !old.contains("algorithm"));
    let session = respond(", algorithm=MD5-sess, qop=\"auth\"").unwrap();
    assert_eq!(response(&session), "8627c48edc3f0f5f9c1ad486c6070884");
    let whole = answer(
        &["Digest realm=\"biloxi.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", qop=\"auth-int\""],
        &INVITE,
        &bob(),
        "0a4f113b",
    );
    assert_eq!(response(&whole.unwrap()), "77226bb823dc077c1ad3537415667bae");
    for unusable in [", qop=\"auth-conf\"", ", algorithm=SHA-3", ", nonce=\"def\"", ", x=\"", &", y".repeat(3)] {
        assert_eq!(respond(unusable), None, "{unusable}");
    }
    assert_eq!(answer(&["Basic realm=\"biloxi.com\""], &INVITE, &bob(), "c"), None);
}

#[test]
fn no_realm_but_ours_is_answered() {
    let challenge = |realm: &str| format!("Digest realm=\"{realm}\", nonce=\"abc\", qop=\"auth\"");
    let mut nonces = NonceCount::default();
    let mut ask = |realm: &str, realms| {
        answer_challenge([challenge(realm).as_str()].into_iter(), &INVITE, &bob(), realms, &mut nonces, "c").is_some()
    };
    assert!(!ask("evil.example", Realms::Only("biloxi.com")));
    assert!(ask("Biloxi.com", Realms::Only("biloxi.com")));
    let mut nonces = NonceCount::default();
    let mut ask = |realm: &str, nonce: &str| {
        nonces.accepted();
        let challenge = format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\"");
        answer_challenge([challenge.as_str()].into_iter(), &INVITE, &bob(), Realms::First, &mut nonces, "c").is_some()
    };
    assert!(ask("asterisk", "1"));
    assert!(!ask("evil.example", "2"), "the first realm stays the only one");
    assert!(ask("asterisk", "3"));
}

#[test]
fn nobody_keeps_us_busy_with_challenges() {
    let mut nonces = NonceCount::default();
    let mut asked = |nonce: &str, more: &str| {
        let challenge = format!("Digest realm=\"biloxi.com\", nonce=\"{nonce}\", qop=\"auth\"{more}");
        answer_challenge([challenge.as_str()].into_iter(), &INVITE, &bob(), Realms::First, &mut nonces, "c").is_some()
    };
    assert!(asked("1", ""));
    assert!(!asked("1", ""), "the same nonce again: the password is wrong");
    assert!(asked("2", ", stale=true"));
    assert!(!asked("3", ", stale=true"), "twice is enough");
    nonces.accepted();
    assert!(nonces.again(&INVITE, &bob(), "c").is_some());
}

#[test]
fn a_nonce_is_used_again_with_a_higher_count() {
    let mut nonces = NonceCount::default();
    assert_eq!(nonces.again(&INVITE, &bob(), "c"), None);
    let challenge = "Digest realm=\"biloxi.com\", nonce=\"abc\", qop=\"auth\"";
    answer_challenge([challenge].into_iter(), &INVITE, &bob(), Realms::First, &mut nonces, "c").unwrap();
    assert!(nonces.again(&INVITE, &bob(), "c").unwrap().contains("nc=00000002"));
    nonces.accepted();
    let next = challenge.replace("abc", "def");
    let value =
        answer_challenge([next.as_str()].into_iter(), &INVITE, &bob(), Realms::First, &mut nonces, "c").unwrap();
    assert!(value.contains("nc=00000001"));
}

#[test]
fn a_user_name_cannot_break_out_of_its_quotes() {
    let odd = Credentials { user: "bo\"b\\\r\nX: y".to_owned(), password: "p".to_owned() };
    let value = answer(&["Digest realm=\"r\", nonce=\"n\""], &INVITE, &odd, "c").unwrap();
    assert!(value.contains("username=\"bo\\\"b\\\\X: y\""), "{value}");
}

/// A server that knows Bob, and how to ask and answer it.
struct Desk {
    now: Instant,
    challenger: Challenger,
}

impl Desk {
    fn new() -> Self {
        let now = some_instant();
        Self { now, challenger: Challenger::new(now, &[7; 32]) }
    }

    /// Bob's answer to the challenge at this place of the list.
    fn answered(&mut self, place: usize) -> String {
        let challenges = self.challenger.challenge(self.now, SOURCE, "biloxi.com", false);
        answer(&[&challenges[place]], &INVITE, &bob(), "0a4f113b").unwrap()
    }

    fn weigh(&mut self, claim: &Claim<'_>) -> Verdict {
        self.challenger.verify(self.now, claim, |user| (user == "bob").then(|| "zanzibar".to_owned()))
    }
}

fn claim(header: &str) -> Claim<'_> {
    Claim { source: SOURCE, realm: "biloxi.com", header, method: "INVITE", uri: "sip:bob@biloxi.com" }
}

fn accepted() -> Verdict {
    Verdict::Accepted { user: "bob".to_owned() }
}

#[test]
fn sha_256_is_asked_for_first_and_md_5_still_taken() {
    let mut desk = Desk::new();
    let challenges = desk.challenger.challenge(desk.now, SOURCE, "biloxi.com", false);
    assert!(challenges[0].contains("algorithm=SHA-256") && challenges[1].contains("algorithm=MD5"), "{challenges:?}");
    for place in 0..2 {
        let header = desk.answered(place);
        assert_eq!(desk.weigh(&claim(&header)), accepted());
    }
    let stale = desk.challenger.challenge(desk.now, SOURCE, "biloxi.com", true);
    assert!(stale.iter().all(|challenge| challenge.ends_with(", stale=true")));
}

#[test]
fn a_repeated_proof_is_worth_nothing() {
    let mut desk = Desk::new();
    let header = desk.answered(0);
    assert_eq!(desk.weigh(&claim(&header)), accepted());
    assert_eq!(desk.weigh(&claim(&header)), Verdict::Stale);
}

#[test]
fn a_count_must_rise() {
    let mut desk = Desk::new();
    let challenges = desk.challenger.challenge(desk.now, SOURCE, "biloxi.com", false);
    let mut nonces = NonceCount::default();
    let first =
        answer_challenge([challenges[0].as_str()].into_iter(), &INVITE, &bob(), Realms::First, &mut nonces, "c")
            .unwrap();
    let second = nonces.again(&INVITE, &bob(), "c").unwrap();
    let third = nonces.again(&INVITE, &bob(), "c").unwrap();
    assert_eq!(desk.weigh(&claim(&first)), accepted());
    assert_eq!(desk.weigh(&claim(&third)), accepted());
    assert_eq!(desk.weigh(&claim(&second)), Verdict::Stale, "lower than one that was seen");
}

#[test]
fn a_proof_holds_for_its_own_request_alone() {
    let mut desk = Desk::new();
    let header = desk.answered(0);
    let good = claim(&header);
    assert_eq!(desk.weigh(&Claim { method: "BYE", ..good }), Verdict::Refused);
    assert_eq!(desk.weigh(&Claim { uri: "sip:carol@biloxi.com", ..good }), Verdict::Refused);
    assert_eq!(desk.weigh(&Claim { uri: "sip:bob@chicago.com", ..good }), Verdict::Refused);
    assert_eq!(desk.weigh(&Claim { realm: "chicago.com", ..good }), Verdict::Refused);
    assert_eq!(desk.weigh(&Claim { source: "192.0.2.8".parse().unwrap(), ..good }), Verdict::Stale);
    // None of these spent it.
    assert_eq!(desk.weigh(&Claim { uri: "SIP:bob@Biloxi.com;transport=tcp", ..good }), accepted());
}

#[test]
fn a_nonce_lives_for_five_minutes() {
    let mut desk = Desk::new();
    let header = desk.answered(0);
    desk.now += Duration::from_millis(299_999);
    assert_eq!(desk.weigh(&claim(&header)), accepted());
    let header = desk.answered(0);
    desk.now += Duration::from_secs(300);
    assert_eq!(desk.weigh(&claim(&header)), Verdict::Stale);
}

#[test]
fn wrong_and_unknown_are_refused_alike() {
    let mut desk = Desk::new();
    let challenges = desk.challenger.challenge(desk.now, SOURCE, "biloxi.com", false);
    let nobody = "nobody has this one";
    for (user, password) in [("bob", "zanzibaz"), ("carol", "zanzibar"), ("carol", nobody), ("bob", "")] {
        let wrong = Credentials { user: user.to_owned(), password: password.to_owned() };
        let header = answer(&[&challenges[0]], &INVITE, &wrong, "c").unwrap();
        assert_eq!(desk.weigh(&claim(&header)), Verdict::Refused, "{user} {password}");
    }
}

#[test]
fn a_nonce_that_is_not_ours_is_never_accepted() {
    let mut desk = Desk::new();
    let mut other = Challenger::new(desk.now, &[8; 32]);
    let mut foreign = other.challenge(desk.now, SOURCE, "biloxi.com", false);
    foreign.push("Digest realm=\"biloxi.com\", nonce=\"\", qop=\"auth\"".to_owned());
    foreign
        .push("Digest realm=\"biloxi.com\", nonce=\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\", qop=\"auth\"".to_owned());
    for challenge in foreign {
        let header = answer(&[&challenge], &INVITE, &bob(), "c").unwrap();
        assert_eq!(desk.weigh(&claim(&header)), Verdict::Stale, "{challenge}");
    }
}

#[test]
fn a_weaker_form_than_asked_for_is_refused() {
    let mut desk = Desk::new();
    let header = desk.answered(1);
    let count = header.replace("nc=00000001", "nc=1");
    let uncovered = header.replace(", qop=auth", "");
    let session = header.replace("algorithm=MD5", "algorithm=MD5-sess");
    let challenges = desk.challenger.challenge(desk.now, SOURCE, "biloxi.com", false);
    let without_qop = challenges[0].replace(", qop=\"auth\"", "");
    let old = answer(&[&without_qop], &INVITE, &bob(), "c").unwrap();
    let whole = answer(&[&challenges[0].replace("\"auth\"", "\"auth-int\"")], &INVITE, &bob(), "c").unwrap();
    let longer = answer(&[&challenges[0].replace("SHA-256", "SHA-512-256")], &INVITE, &bob(), "c").unwrap();
    for header in [
        &*old,
        &*whole,
        &*longer,
        &*count,
        &*session,
        &*uncovered,
        "",
        "Digest",
        "Digest username=\"bob\"",
        "Basic Ym9iOng=",
    ] {
        assert_eq!(desk.weigh(&claim(header)), Verdict::Refused, "{header}");
    }
}

proptest! {
    #[test]
    fn only_the_password_opens(password in "[a-z]{1,12}", uri in "sip:[a-z]{1,5}@[a-z]{1,5}", user in "[a-zA-Z\"\\\\ ]{1,8}") {
        let mut desk = Desk::new();
        let credentials = Credentials { user: user.clone(), password: password.clone() };
        let ask = Ask { method: "REGISTER", uri: &uri, body: b"" };
        let challenges = desk.challenger.challenge(desk.now, SOURCE, "r", false);
        let header = answer(&[&challenges[0]], &ask, &credentials, "c").unwrap();
        let claim = Claim { source: SOURCE, realm: "r", header: &header, method: "REGISTER", uri: &uri };
        let other = desk.challenger.verify(desk.now, &claim, |_| Some(format!("{password}x")));
        prop_assert_eq!(other, Verdict::Refused);
        let right = desk.challenger.verify(desk.now, &claim, |asked| (asked == user).then(|| password.clone()));
        prop_assert_eq!(right, Verdict::Accepted { user });
    }

    #[test]
    fn no_header_panics(text in "\\PC{0,200}", params in "Digest ([a-z]{1,9}=(\"[ -~]{0,20}\"|[ -~]{0,10}),? ?){0,12}") {
        let mut desk = Desk::new();
        for text in [&text, &params] {
            let _ = desk.weigh(&claim(text));
            let _ = answer(&[text], &INVITE, &bob(), "c");
        }
    }
}
