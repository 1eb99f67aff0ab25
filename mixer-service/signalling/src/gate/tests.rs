//! Floods, scanners and those who only want to call.

use proptest::prelude::*;

use super::*;
use crate::some_instant;

const SCANNER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 66));
const CALLER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n";

fn request(method: &str, to_tag: &str) -> Vec<u8> {
    format!(
        "{method} sip:88@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK776asdhds\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.7>;tag=1928301774\r\nTo: <sip:88@198.51.100.1>{to_tag}\r\n\
         Call-ID: a84b4c76e66710@192.0.2.7\r\nCSeq: 314159 {method}\r\nContact: <sip:a@192.0.2.7>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    )
    .into_bytes()
}

struct Desk {
    now: Instant,
    gate: Gate,
}

impl Desk {
    fn new(budgets: Budgets) -> Self {
        let now = some_instant();
        Self { now, gate: Gate::new(now, budgets, [5; 16]) }
    }

    fn admit(&mut self, source: IpAddr, message: &[u8]) -> Admission {
        self.gate.admit(self.now, source, false, message)
    }

    fn passed(&mut self, source: IpAddr, message: &[u8], times: u32) -> u32 {
        (0..times).map(|_| u32::from(self.admit(source, message) == Admission::Pass)).sum()
    }
}

#[test]
fn a_source_has_a_burst_and_then_a_rate() {
    let mut desk = Desk::new(Budgets::default());
    let invite = request("INVITE", "");
    assert_eq!(desk.passed(SCANNER, &invite, 1_000), 60);
    assert_eq!(desk.passed(CALLER, &invite, 10), 10, "another source has its own");
    desk.now += Duration::from_secs(1);
    assert_eq!(desk.passed(SCANNER, &invite, 1_000), 20);
}

#[test]
fn whoever_is_trusted_always_passes() {
    let mut desk = Desk::new(Budgets::default());
    let invite = request("INVITE", "");
    for _ in 0..5_000 {
        assert_eq!(desk.gate.admit(desk.now, SCANNER, true, &invite), Admission::Pass);
    }
    assert_eq!(desk.passed(SCANNER, &invite, 60), 60, "and it costs him nothing");
}

#[test]
fn what_goes_on_passes_when_nothing_new_does() {
    let mut desk = Desk::new(Budgets::default());
    desk.passed(CALLER, &request("INVITE", ""), 1_000);
    for (method, tag) in [("BYE", ";tag=1"), ("ACK", ""), ("CANCEL", ""), ("INVITE", ";tag=1")] {
        assert_eq!(desk.admit(CALLER, &request(method, tag)), Admission::Pass, "{method}");
    }
    assert_eq!(desk.admit(CALLER, b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n"), Admission::Pass);
    assert_eq!(desk.passed(CALLER, &request("BYE", ";tag=1"), 1_000), 400 - 5, "but has its bound");
    assert_eq!(desk.admit(CALLER, &request("BYE", ";tag=1")), Admission::Drop(ReasonCode::SourceBudget));
}

#[test]
fn all_strangers_together_have_a_bound() {
    let mut desk = Desk::new(Budgets { all_requests_per_second: 50, ..Budgets::default() });
    let invite = request("INVITE", "");
    let passed: u32 = (0..200_u8).map(|n| desk.passed(IpAddr::from([10, 0, 0, n]), &invite, 1)).sum();
    assert_eq!(passed, 100);
    let mut desk = Desk::new(Budgets { all_dialog_messages_per_second: 50, ..Budgets::default() });
    let bye = request("BYE", ";tag=1");
    let passed: u32 = (0..200_u8).map(|n| desk.passed(IpAddr::from([10, 0, 0, n]), &bye, 1)).sum();
    assert_eq!(passed, 100);
}

#[test]
fn a_crowd_of_invented_addresses_displaces_nobody() {
    let mut desk = Desk::new(Budgets { all_requests_per_second: 2, sources: 8, ..Budgets::default() });
    for _ in 0..19 {
        desk.gate.miss(desk.now, CALLER, "number");
    }
    let passed: u32 = (0..200_u8).map(|n| desk.passed(IpAddr::from([10, 0, 0, n]), &request("INVITE", ""), 1)).sum();
    assert_eq!(passed, 4);
    assert!(desk.gate.miss(desk.now, CALLER, "number").is_some(), "his misses are still known");
}

#[test]
fn a_few_are_told_to_come_back_and_none_gains_by_it() {
    let mut desk = Desk::new(Budgets::default());
    let invite = request("INVITE", "");
    desk.passed(CALLER, &invite, 60);
    let told: Vec<_> = (0..100)
        .filter_map(|_| match desk.admit(CALLER, &invite) {
            Admission::Answer(bytes) => Some(bytes),
            Admission::Pass | Admission::Drop(_) => None,
        })
        .collect();
    assert_eq!(told.len(), 4);
    let text = String::from_utf8(told[0].clone()).unwrap();
    let (before, after) = text.split_once(";tag=").map(|(before, rest)| (before, &rest[8..])).unwrap();
    assert_eq!(
        before,
        "SIP/2.0 503 Service Unavailable\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK776asdhds\r\n\
         From: <sip:a@192.0.2.7>"
    );
    assert!(after.ends_with("\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"), "{text}");
    assert!(told.iter().all(|answer| answer == &told[0]), "the same to every copy");
    assert!(told[0].len() <= invite.len());
}

#[test]
fn answers_have_a_budget_over_all() {
    let mut desk =
        Desk::new(Budgets { requests_per_second: 1, request_burst: 1, answers_per_second: 10, ..Budgets::default() });
    let invite = request("INVITE", "");
    let answers = (0..200_u8).filter(|&n| {
        let source = IpAddr::from([10, 0, 0, n]);
        desk.admit(source, &invite);
        matches!(desk.admit(source, &invite), Admission::Answer(_))
    });
    assert_eq!(answers.count(), 10);
}

#[test]
fn what_would_be_answered_with_more_than_it_is_hears_nothing() {
    let mut desk = Desk::new(Budgets { requests_per_second: 1, request_burst: 1, ..Budgets::default() });
    let short = "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a>\r\nTo: <sip:b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
    desk.admit(CALLER, short.as_bytes());
    assert_eq!(desk.admit(CALLER, short.as_bytes()), Admission::Drop(ReasonCode::SourceBudget));
    let long = short.replace("To:", &format!("X-Long: {}\r\nTo:", "x".repeat(300)));
    assert!(busy::answer(long.as_bytes(), 7).is_some());
    for needed in
        ["Via: SIP/2.0/UDP a\r\n", "From: <sip:a>\r\n", "To: <sip:b>\r\n", "Call-ID: 1\r\n", "CSeq: 1 OPTIONS\r\n"]
    {
        assert_eq!(busy::answer(long.replace(needed, "").as_bytes(), 7), None, "without {needed}");
        let twice = busy::answer(long.replace(needed, &needed.repeat(2)).as_bytes(), 7);
        assert_eq!(twice.is_some(), needed.starts_with("Via"), "twice {needed}");
    }
}

#[test]
fn twenty_misses_ban_for_a_quarter_of_an_hour() {
    let mut desk = Desk::new(Budgets::default());
    let invite = request("INVITE", "");
    for _ in 0..19 {
        assert_eq!(desk.gate.miss(desk.now, SCANNER, "no_dialog"), None);
    }
    assert_eq!(desk.admit(SCANNER, &invite), Admission::Pass);
    assert_eq!(desk.gate.miss(desk.now, SCANNER, "wrong_digest"), Some(Duration::from_secs(900)));
    for message in [&invite, &request("BYE", ";tag=1"), &b"\r\n\r\n".to_vec()] {
        assert_eq!(desk.admit(SCANNER, message), Admission::Drop(ReasonCode::Banned));
    }
    assert_eq!(desk.admit(CALLER, &invite), Admission::Pass);
    assert_eq!(
        desk.gate.admit(desk.now, SCANNER, true, &invite),
        Admission::Pass,
        "a telephone system is never banned"
    );
    desk.now += Duration::from_secs(800);
    let ban = Ban { source: SCANNER, left: Duration::from_secs(100), reason: "wrong_digest" };
    assert_eq!(desk.gate.banned(desk.now), [ban]);
    desk.now += Duration::from_secs(100);
    assert_eq!(desk.admit(SCANNER, &invite), Admission::Pass);
    assert_eq!(desk.gate.banned(desk.now), []);
}

#[test]
fn old_misses_are_forgiven() {
    let mut desk = Desk::new(Budgets::default());
    for n in 0..100 {
        desk.now += Duration::from_secs(35);
        assert_eq!(desk.gate.miss(desk.now, CALLER, "number"), None, "miss {n}: a wrong number now and then");
    }
}

#[test]
fn a_ban_can_be_taken_back() {
    let mut desk = Desk::new(Budgets { ban_after_misses: 1, ..Budgets::default() });
    desk.gate.miss(desk.now, CALLER, "number");
    desk.gate.forgive(desk.now, CALLER);
    assert_eq!(desk.admit(CALLER, &request("INVITE", "")), Admission::Pass);
}

#[test]
fn noise_is_a_miss_and_a_sign_of_life_is_none() {
    let mut desk = Desk::new(Budgets::default());
    for _ in 0..100 {
        assert_eq!(desk.admit(CALLER, b"\r\n\r\n"), Admission::Drop(ReasonCode::KeepAlive));
    }
    for _ in 0..20 {
        assert_eq!(desk.admit(SCANNER, b"\x16\x03\x01"), Admission::Drop(ReasonCode::NotSip));
    }
    assert_eq!(desk.admit(SCANNER, &request("INVITE", "")), Admission::Drop(ReasonCode::Banned));
    assert_eq!(desk.gate.banned(desk.now)[0].reason, "not_sip");
}

#[test]
fn settings_may_change_while_a_ban_holds() {
    let mut desk = Desk::new(Budgets { ban_after_misses: 1, ..Budgets::default() });
    desk.gate.miss(desk.now, SCANNER, "number");
    desk.gate.set_budgets(Budgets { request_burst: 2, ..Budgets::default() });
    assert_eq!(desk.admit(SCANNER, &request("INVITE", "")), Admission::Drop(ReasonCode::Banned));
    assert_eq!(desk.passed(CALLER, &request("INVITE", ""), 10), 2);
}

proptest! {
    #[test]
    fn nothing_panics_and_no_answer_is_longer(
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        lines in "((Via|v|From|f|To|t|CSeq|Call-ID|i|X) ?: ?[ -~]{0,30}(\r\n|\n|\n ))\n{0,12}",
        start in "[A-Z]{1,8} sip:[a-z]{1,3} SIP/2.0\r\n",
    ) {
        let mut desk = Desk::new(Budgets { requests_per_second: 1, request_burst: 1, ..Budgets::default() });
        let request = format!("{start}{lines}");
        for message in [&noise[..], request.as_bytes(), request.as_bytes()] {
            if let Admission::Answer(bytes) = desk.admit(CALLER, message) {
                prop_assert!(bytes.len() <= message.len());
            }
            if let Some(bytes) = busy::answer(message, 7) {
                prop_assert!(bytes.len() <= message.len());
            }
        }
    }
}
