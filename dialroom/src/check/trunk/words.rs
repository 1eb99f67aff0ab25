//! From what the network said to a step of the report: passed or not, why, and what to do.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_settings::SipServer;
use mixer_service::sip::{Certificate, Codec, Pong, Reached, Transport};
use mixer_service::trial::{AnsweredBy, NoCall, Registered, Sound, TestCall};

use super::remedy::{NO_ANSWER, of_status};
use crate::check::report::Step;

/// A certificate that ends sooner is worth a word.
const ENDS_SOON: TimeDelta = TimeDelta::days(21);
/// Quieter than this is not heard: the tones leave with −12 dB.
const HEARD_DB: f64 = -35.0;
/// More loss than this is heard by everybody.
const MAX_LOSS_PERCENT: f64 = 3.0;
/// Packets of 20 ms that must have come in seconds of talk: some paths cut the beginning.
const MIN_PACKETS: u64 = 50;
/// Names of a certificate that are told.
const MAX_NAMES: usize = 4;

/// The name, looked up.
pub(super) fn names(server: &SipServer, places: &[(Transport, SocketAddr)]) -> Step {
    const STEP: &str = "DNS";
    let listed: Vec<_> =
        places.iter().map(|(transport, place)| format!("{place} over {}", transport.as_str())).collect();
    match (server.address(), listed.is_empty()) {
        (Some(address), _) => Step::passed(STEP, format!("{address} is an address; there is nothing to look up")),
        (None, false) => Step::passed(STEP, format!("{server} is at {}", listed.join(", then "))),
        (None, true) => Step::failed(
            STEP,
            format!("{server} is not found: neither SRV nor address records answer in 5 s"),
            "look at the spelling and at the resolver of this machine; an address in its place always works",
        ),
    }
}

/// A connection that was opened.
pub(super) fn reached(transport: Transport, place: SocketAddr, reached: &Reached, now: DateTime<Utc>) -> Step {
    let name = transport.as_str();
    let step = format!("{name} to {place} from {}", reached.local.ip());
    let Some(Certificate { version, names, until }) = &reached.certificate else {
        return Step::passed("transport", step);
    };
    let told = names.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>().join(", ");
    let named = if told.is_empty() { "no host name".to_owned() } else { told };
    let ends = until.map_or_else(String::new, |until| format!(", good until {}", until.format("%Y-%m-%d")));
    let step = Step::passed("transport", format!("{step}, {version}; certificate for {named}{ends}"));
    match until {
        Some(until) if *until - now < ENDS_SOON => {
            step.remedy(format!("note: the certificate ends in {} days", (*until - now).num_days()))
        }
        Some(_) | None => step,
    }
}

/// A connection that could not be opened.
pub(super) fn not_reached(transport: Transport, place: SocketAddr, why: &anyhow::Error) -> Step {
    let told = format!("{} to {place}: {why:#}", transport.as_str());
    let said = told.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let remedy = if has(&["unknownissuer", "unknown issuer", "selfsigned", "self-signed"]) {
        "its certificate was signed by nobody we believe; name the authority's certificate in sip.tls.server_ca_file"
    } else if has(&["notvalidforname", "not valid for name"]) {
        "its certificate has other names; write one of them as server"
    } else if has(&["expired"]) {
        "its certificate is over; the other side needs a new one (or this machine's clock is wrong)"
    } else if has(&["certificaterequired", "certificate required"]) {
        "it wants a certificate of ours; name certificate_file and key_file in [sip.tls]"
    } else if has(&["refused"]) {
        "nobody listens there: another port, another transport, or its SIP is not running"
    } else if transport == Transport::Tls && has(&["invalidcontenttype", "corrupt message", "eof", "protocol"]) {
        "what answers there speaks no TLS: try port 5061, or transport = \"tcp\""
    } else {
        "a firewall between, or a wrong address or port"
    };
    Step::failed("transport", told, remedy)
}

/// What OPTIONS came to: any answer shows that somebody is there (RFC 3261 section 11.2).
pub(super) fn options(pong: &Pong) -> Step {
    const STEP: &str = "OPTIONS";
    let took = milliseconds(pong.took);
    match pong.status {
        None => Step::failed(STEP, format!("no answer within {took}: {}", pong.text), NO_ANSWER),
        Some(status @ 200..=299) => Step::passed(STEP, format!("{status} {} after {took}", pong.text)),
        Some(status @ (408 | 500..=599)) => {
            Step::failed(STEP, format!("{status} {} after {took}", pong.text), of_status(status))
        }
        Some(status) => {
            let step = Step::passed(STEP, format!("{status} {} after {took}: somebody is there", pong.text));
            step.remedy(format!("note: {}", of_status(status)))
        }
    }
}

/// What the registrar said.
pub(super) fn registration(registered: &Registered) -> Step {
    const STEP: &str = "registration";
    match registered {
        Registered::For(granted) => Step::passed(STEP, format!("granted for {} s", granted.as_secs())),
        Registered::Failed { status: None, text } => Step::failed(STEP, text.clone(), NO_ANSWER),
        Registered::Failed { status: Some(status), text } => {
            Step::failed(STEP, format!("{status} {text}"), of_status(*status))
        }
    }
}

/// What the test call came to. `ours` says whether it could have come back to the check itself.
pub(super) fn test_call(number: &str, ours: bool, outcome: &Result<TestCall, NoCall>) -> Step {
    const STEP: &str = "test call";
    let call = match outcome {
        Ok(call) => call,
        Err(NoCall::Ended(cause)) => {
            let remedy = cause.status.map_or(NO_ANSWER, of_status);
            return Step::failed(STEP, format!("{number}: {cause}"), remedy);
        }
        Err(why @ NoCall::Port(_)) => {
            return Step::failed(STEP, format!("{number}: {why}"), "free ports in media.rtp_ports, or widen it");
        }
        Err(why @ NoCall::Rang) => {
            return Step::failed(
                STEP,
                format!("{number}: {why}"),
                "its route for this number leads to somebody who rings",
            );
        }
    };
    let answered = match (call.answered_by, ours) {
        (AnsweredBy::Us, _) => "came back to us",
        (AnsweredBy::Another, false) => "was answered (by the mixer, if the route for it is right)",
        (AnsweredBy::Another, true) => "was answered by somebody else",
    };
    let there = call.there.as_ref().map_or_else(|| "not told".to_owned(), sound);
    let told = format!(
        "{number} {answered} after {}; {}{}; there {there}; back {}",
        milliseconds(call.answered_after),
        codec(call.codec),
        if call.encrypted { ", encrypted" } else { "" },
        sound(&call.back),
    );
    let mut remedies = Vec::new();
    if (call.answered_by, ours) == (AnsweredBy::Another, true) {
        remedies.push(format!("the other side's route for {number} must lead to sip.listen of this machine"));
    }
    if call.there.as_ref().is_some_and(|there| !is_well(there)) {
        remedies.push(
            "our sound does not arrive well: RTP from media.rtp_ports to the other side, its NAT and firewall"
                .to_owned(),
        );
    }
    if !is_well(&call.back) {
        let remedy =
            "its sound does not arrive well: UDP to media.rtp_ports must reach us; behind a NAT set sip.advertised";
        remedies.push(remedy.to_owned());
    }
    let mut remedies = remedies.into_iter();
    match remedies.next() {
        None => Step::passed(STEP, told),
        Some(first) => remedies.fold(Step::failed(STEP, told, first), Step::remedy),
    }
}

fn is_well(sound: &Sound) -> bool {
    sound.received >= MIN_PACKETS
        && loss_percent(sound) <= MAX_LOSS_PERCENT
        && sound.level_db.is_none_or(|level| level >= HEARD_DB)
}

fn sound(sound: &Sound) -> String {
    if sound.received == 0 {
        return "nothing".to_owned();
    }
    let level = sound.level_db.map(|level| format!("{level:.0} dB, ")).unwrap_or_default();
    format!("{level}{:.1} % lost, jitter {:.0} ms", loss_percent(sound), sound.jitter_ms)
}

#[expect(clippy::cast_precision_loss, reason = "packets of some seconds")]
fn loss_percent(sound: &Sound) -> f64 {
    let all = sound.received + sound.lost;
    if all == 0 { 0.0 } else { 100.0 * sound.lost as f64 / all as f64 }
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

const fn codec(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcma => "PCMA",
        Codec::Pcmu => "PCMU",
        Codec::G722 => "G.722",
        Codec::Opus => "Opus",
    }
}

#[cfg(test)]
mod tests {
    use mixer_service::sip::{Cause, EndedBy};

    use super::*;
    use crate::check::report::Outcome;

    fn check(step: &Step, outcome: Outcome, told: &str, remedy: &str) {
        assert_eq!(step.outcome, outcome, "{step:?}");
        assert!(step.told.contains(told), "{step:?}");
        match remedy {
            "" => assert!(step.remedies.is_empty(), "{step:?}"),
            _ => assert!(step.remedies.iter().any(|one| one.contains(remedy)), "{step:?}"),
        }
    }

    fn place() -> SocketAddr {
        "192.0.2.10:5061".parse().unwrap()
    }

    #[test]
    fn a_name_is_told_with_its_places() {
        let server = |text: &str| text.parse::<SipServer>().unwrap();
        check(&names(&server("192.0.2.10"), &[]), Outcome::Passed, "nothing to look up", "");
        let found = [(Transport::Tls, place())];
        check(&names(&server("sip.example.com"), &found), Outcome::Passed, "192.0.2.10:5061 over TLS", "");
        check(&names(&server("sip.example.com"), &[]), Outcome::Failed, "not found", "spelling");
    }

    #[test]
    fn a_certificate_that_ends_soon_is_noted() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let told = |days: i64| {
            let certificate = Certificate {
                version: "TLS 1.3",
                names: vec!["pbx.example.com".to_owned()],
                until: Some(now + TimeDelta::days(days)),
            };
            let found = Reached { local: "192.0.2.20:40000".parse().unwrap(), certificate: Some(certificate) };
            reached(Transport::Tls, place(), &found, now)
        };
        check(&told(90), Outcome::Passed, "TLS 1.3; certificate for pbx.example.com, good until", "");
        check(&told(5), Outcome::Passed, "TLS 1.3", "ends in 5 days");
    }

    #[test]
    fn a_connection_that_fails_has_a_remedy() {
        for (why, remedy) in [
            ("invalid peer certificate: UnknownIssuer", "server_ca_file"),
            ("invalid peer certificate: certificate not valid for name \"x\"", "other names"),
            ("invalid peer certificate: Expired", "new one"),
            ("received fatal alert: CertificateRequired", "certificate_file"),
            ("Connection refused (os error 111)", "nobody listens"),
            ("received corrupt message of type InvalidContentType", "5061"),
            ("nobody answers", "firewall"),
        ] {
            let step = not_reached(Transport::Tls, place(), &anyhow::anyhow!("{why}"));
            check(&step, Outcome::Failed, why, remedy);
        }
    }

    #[test]
    fn any_answer_to_options_is_one() {
        let pong =
            |status, text: &str| options(&Pong { status, text: text.to_owned(), took: Duration::from_millis(12) });
        check(&pong(Some(200), "OK"), Outcome::Passed, "200 OK after 12 ms", "");
        check(&pong(Some(404), "Not Found"), Outcome::Passed, "somebody is there", "route");
        check(&pong(Some(503), "Service Unavailable"), Outcome::Failed, "503", "trouble of its own");
        check(&pong(None, "no answer"), Outcome::Failed, "no answer", "firewall");
    }

    #[test]
    fn a_registrar_is_quoted() {
        check(&registration(&Registered::For(Duration::from_secs(300))), Outcome::Passed, "300 s", "");
        let failed = Registered::Failed { status: Some(403), text: "Forbidden".to_owned() };
        check(&registration(&failed), Outcome::Failed, "403 Forbidden", "does not let us");
        let silent = Registered::Failed { status: None, text: "no answer".to_owned() };
        check(&registration(&silent), Outcome::Failed, "no answer", "firewall");
    }

    fn heard(level_db: Option<f64>, received: u64, lost: u64) -> Sound {
        Sound { level_db, received, lost, jitter_ms: 1.4 }
    }

    fn call(answered_by: AnsweredBy, there: Option<Sound>, back: Sound) -> Result<TestCall, NoCall> {
        let answered_after = Duration::from_millis(80);
        Ok(TestCall { answered_after, codec: Codec::Pcma, encrypted: false, answered_by, there, back })
    }

    #[test]
    fn a_test_call_is_judged_both_ways() {
        let well = heard(Some(-12.0), 200, 0);
        let step = |there, back| test_call("88", true, &call(AnsweredBy::Us, there, back));
        check(
            &step(Some(well), well),
            Outcome::Passed,
            "came back to us after 80 ms; PCMA; there -12 dB, 0.0 % lost",
            "",
        );
        check(&step(Some(well), heard(Some(-12.0), 180, 20)), Outcome::Failed, "10.0 % lost", "sip.advertised");
        check(&step(Some(heard(Some(-60.0), 200, 0)), well), Outcome::Failed, "there -60 dB", "our sound");
        check(&step(Some(well), heard(None, 0, 0)), Outcome::Failed, "back nothing", "its sound");
        let both = step(Some(heard(None, 0, 0)), heard(None, 0, 0));
        assert_eq!(both.remedies.len(), 2, "{both:?}");
    }

    #[test]
    fn who_answers_a_test_call_matters_only_while_the_port_is_ours() {
        let well = heard(Some(-20.0), 400, 0);
        let step = |ours| test_call("88", ours, &call(AnsweredBy::Another, None, well));
        check(&step(false), Outcome::Passed, "by the mixer, if the route for it is right) after 80 ms", "");
        check(&step(false), Outcome::Passed, "there not told", "");
        check(&step(true), Outcome::Failed, "by somebody else", "sip.listen of this machine");
    }

    #[test]
    fn no_call_has_its_reason_and_remedy() {
        let ended = |status, by| test_call("88", true, &Err(NoCall::Ended(Cause { by, status, text: String::new() })));
        check(&ended(Some(404), EndedBy::Peer), Outcome::Failed, "404", "does not know this number");
        check(&ended(None, EndedBy::Silence), Outcome::Failed, "no longer answers", "firewall");
        check(&test_call("88", true, &Err(NoCall::Rang)), Outcome::Failed, "nobody answered", "rings");
    }
}
