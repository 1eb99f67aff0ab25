//! Calls of every kind by SIPp, a program that we did not write: what a telephone system says, and what we must answer.
//!
//! The scenarios run beside each other: most of their time is waiting.

use std::net::SocketAddr;

use dialroom_tests::house::{Phone, SOON, eventually, executable};
use dialroom_tests::mixer::{GUEST, KEYS, Mixer, Setup};
use dialroom_tests::seed::is_long;
use dialroom_tests::sipp::{Body, Run, Scenario};
use tokio::process::Command;

const SOUND: Body<'_> = Body::Sound("sendrecv");
/// What a telephone system that can do more writes.
const ABLE: &str = "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, INFO\nSupported: timer, 100rel";

async fn open() -> (Mixer, Run) {
    let mixer = Mixer::open_with_tls(Setup::loopback()).await;
    mixer.book("Interop").await;
    let tls = Some((mixer.tls(), mixer.folder().join("server.pem")));
    let run = Run { tls, ..Run::of(mixer.sip()) };
    (mixer, run)
}

#[tokio::test]
async fn a_call_is_held_resumed_and_moved() {
    let (mixer, run) = open().await;
    let begin = |name| Scenario::new(name).call().pause(200);
    let again = |scenario: Scenario, method: &str, body, holds: &[&str]| {
        let answered = scenario.send(method, &[ABLE], body).expect(200, holds, &[]);
        if method == "INVITE" { answered.ack(Body::None) } else { answered }.pause(200)
    };
    let held = |scenario, method| {
        let scenario = again(scenario, method, Body::Sound("sendonly"), &["a=recvonly"]);
        let scenario = again(scenario, method, Body::Sound("inactive"), &["a=inactive"]);
        again(scenario, method, SOUND, &["m=audio [1-9][0-9]* "]).bye()
    };
    run.expect_over_each(&[
        begin("a call").bye(),
        held(begin("hold and resume by re-INVITE"), "INVITE"),
        held(begin("hold and resume by UPDATE"), "UPDATE"),
        again(begin("a new address by re-INVITE"), "INVITE", Body::SoundAt("40002"), &["m=audio"]).bye(),
        again(begin("a new address by UPDATE"), "UPDATE", Body::SoundAt("40004"), &["m=audio"]).bye(),
        begin("an offer asked for within the call")
            .send("INVITE", &[ABLE], Body::None)
            .expect(200, &["m=audio [1-9]", "a=rtpmap:[0-9]* telephone-event/8000"], &[])
            .ack(SOUND)
            .pause(200)
            .bye(),
        begin("an offer that cannot be taken leaves the call as it was")
            .send("INVITE", &[ABLE], Body::Other("application/sdp", &offer("audio 40000 RTP/AVP 18")))
            .expect(488, &[], &[])
            .ack_refusal()
            .send("OPTIONS", &[], Body::None)
            .expect(200, &["Allow:.*INVITE"], &[])
            .bye(),
    ])
    .await;
    mixer.close().await;
}

/// A description with this media line.
fn offer(media: &str) -> String {
    format!("v=0\no=sipp 1 9 IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\nm={media}\n")
}

#[tokio::test]
async fn odd_but_legal_beginnings_are_understood() {
    let (mixer, run) = open().await;
    let with = |name, media: &str, holds: &[&str]| {
        let body = offer(media);
        let begun = Scenario::new(name).invite(&[], Body::Other("application/sdp", &body));
        begun.expect(200, holds, &[]).ack(Body::None).pause(200).bye()
    };
    run.expect_over_each(&[
        Scenario::new("an offer that comes with the answer")
            .invite(&[], Body::None)
            .expect(200, &["m=audio [1-9]", "RTP/AVP"], &[])
            .ack(SOUND)
            .pause(200)
            .bye(),
        with("static payload types without rtpmap", "audio 40000 RTP/AVP 0", &["m=audio [1-9][0-9]* RTP/AVP 0"]),
        with("packets of 30 ms", "audio 40000 RTP/AVP 8\na=ptime:30\na=x-odd:1", &["m=audio [1-9][0-9]* RTP/AVP 8"]),
        with(
            "sound and picture",
            "audio 40000 RTP/AVP 8\nm=video 40002 RTP/AVP 96\na=rtpmap:96 H264/90000",
            &["m=audio [1-9]", "m=video 0 "],
        ),
        with("a picture first", "video 40002 RTP/AVP 96\nm=audio 40000 RTP/AVP 8", &["m=video 0 .*m=audio [1-9]"]),
        Scenario::new("sound that may not flow yet")
            .invite(&[], Body::Sound("inactive"))
            .expect(200, &["a=inactive"], &[])
            .ack(Body::None)
            .pause(200)
            .bye(),
        Scenario::new("codecs that nobody here has")
            .invite(&[], Body::Other("application/sdp", &offer("audio 40000 RTP/AVP 18 4")))
            .expect(488, &[], &[])
            .ack_refusal(),
        Scenario::new("a body of another kind")
            .invite(&[], Body::Other("text/plain", "hello"))
            .expect(415, &["Accept:.*application/sdp"], &[])
            .ack_refusal(),
    ])
    .await;
    mixer.close().await;
}

#[tokio::test]
async fn what_is_asked_beside_calls_is_answered_by_the_book() {
    let (mixer, run) = open().await;
    let refused = |name: &str, method: &str, headers: &[&str], status, holds: &[&str]| {
        Scenario::new(name).begin(method, headers, Body::None).expect(status, holds, &[])
    };
    run.expect_over_each(&[
        refused("OPTIONS", "OPTIONS", &[], 200, &["Allow:.*INVITE", "Accept:.*application/sdp", "Supported:"]),
        Scenario::new("a requirement that nobody here meets")
            .invite(&["Require: teleportation"], SOUND)
            .expect(420, &["Unsupported:.*teleportation"], &[])
            .ack_refusal(),
        refused("a message", "MESSAGE", &[], 405, &["Allow:.*INVITE"]),
        refused("a publication", "PUBLISH", &["Event: presence"], 405, &[]),
        refused("an unknown method", "DANCE", &[], 501, &["Allow:.*INVITE"]),
        refused("a BYE of no call", "BYE", &[], 481, &[]),
    ])
    .await;
    mixer.close().await;
}

#[tokio::test]
async fn digits_in_messages_open_the_room() {
    let (mixer, run) = open().await;
    let keyed = |name: &str, kind: &str, text: fn(char) -> String| {
        let call = Scenario::new(name).call().pause(1_000);
        let press = |call: Scenario, key| {
            call.send("INFO", &[], Body::Other(kind, &text(key))).expect(200, &[], &[]).pause(200)
        };
        KEYS.chars().fold(call, press).pause(4_000).bye()
    };
    let run = Run { from: GUEST, ..run };
    let relay =
        keyed("digits by INFO, dtmf-relay", "application/dtmf-relay", |key| format!("Signal={key}\nDuration=160\n"));
    let plain = keyed("digits by INFO, dtmf", "application/dtmf", |key| key.to_string());
    run.expect_over_each(&[relay, plain]).await;
    let records =
        eventually("the records", SOON, async || Some(mixer.records().await).filter(|records| records.len() == 6))
            .await;
    assert!(records.iter().all(|record| record.to_string().contains("\"pin\"")), "{records:#?}");
    mixer.close().await;
}

#[tokio::test]
async fn sessions_are_refreshed_by_either_side() {
    let (mixer, run) = open().await;
    let expires = |refresher: &str| format!("Session-Expires: 90;refresher={refresher}\nMin-SE: 90\n{ABLE}");
    let timed = |name: &str, refresher: &str| {
        let agreed = format!("Session-Expires: *90; *refresher={refresher}");
        let begun = Scenario::new(name).invite(&[&expires(refresher)], SOUND);
        begun.expect(200, &[&agreed], &[]).ack(Body::None)
    };
    let ours_by_update = timed("a session refreshed by us with UPDATE", "uas")
        // SIPp is silent, so it is asked whether it lives.
        .receive("OPTIONS", &[])
        .reply("200 OK", &[], Body::None)
        .receive("UPDATE", &["Session-Expires: *90"])
        .reply("200 OK", &["Require: timer", "Session-Expires: 90;refresher=uac"], Body::None)
        .pause(200)
        .bye();
    let theirs = timed("a session refreshed by SIPp", "uac")
        .pause(1_000)
        .send("UPDATE", &[&expires("uac")], Body::None)
        .expect(200, &["Session-Expires: *90"], &[])
        .send("INVITE", &[&expires("uac")], SOUND)
        .expect(200, &["Session-Expires: *90"], &[])
        .ack(Body::None)
        .bye();
    let too_short = Scenario::new("a session interval that is too short")
        .invite(&["Session-Expires: 30", "Supported: timer"], SOUND)
        .expect(422, &["Min-SE: *90"], &[])
        .ack_refusal();
    let mut scenarios = vec![ours_by_update, theirs, too_short];
    if is_long() {
        // Nobody refreshes: ended by us before the interval is over (RFC 4028 section 10).
        let forgotten = timed("a session that nobody refreshes", "uac");
        let asked = forgotten.receive("OPTIONS", &[]).reply("200 OK", &[], Body::None);
        scenarios.push(asked.receive("BYE", &["Reason:"]).reply("200 OK", &[], Body::None));
    }
    run.expect_over_each(&scenarios).await;
    mixer.close().await;
}

/// A telephone of ours calls SIPp: the other half of the same core.
#[tokio::test]
async fn our_own_calls_are_understood() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
    let sure = Scenario::new("early sound that we confirm by PRACK, then hold and resume by us")
        .be_invited(&["Supported:.*100rel", "m=audio [1-9]", "telephone-event"])
        .reply_to_invite("183 Session Progress", &["Require: 100rel", "RSeq: 41"], SOUND)
        .receive("PRACK", &["RAck: *41 [0-9]* INVITE"])
        .reply("200 OK", &[], Body::None)
        .reply_to_invite("200 OK", &[ABLE], SOUND)
        .receive("ACK", &[])
        .be_invited(&["a=sendonly"])
        .reply("200 OK", &[], Body::Sound("recvonly"))
        .receive("ACK", &[])
        .be_invited(&["a=sendrecv"])
        .reply("200 OK", &[], SOUND)
        .receive("ACK", &[])
        .receive("BYE", &["Reason:"])
        .reply("200 OK", &[], Body::None);
    let busy = Scenario::new("a refusal with a reason")
        .be_invited(&[])
        .reply_to_invite("486 Busy Here", &[], Body::None)
        .receive("ACK", &[]);
    let elsewhere = Scenario::new("a call sent elsewhere is not followed to strangers")
        .be_invited(&[])
        .reply_to_invite("302 Moved Temporarily", &["Contact: <sip:88@192.0.2.66>"], Body::None)
        .receive("ACK", &[]);
    for transport in ["udp", "tcp"] {
        let run = Run { transport, ..Run::of(nobody) };
        for (scenario, flags, code) in [
            (&sure, &["--hold", "0.5+0.5", "--for", "2"][..], 0),
            (&busy, &["--expect-end", "486"], 0),
            (&elsewhere, &["--expect-end", "302"], 0),
        ] {
            let (mut sipp, here) = run.await_call(scenario).await;
            let mut command = Command::new(executable());
            command
                .args(["phone", "--json", "--via", &here.to_string(), "--transport", transport])
                .args(flags)
                .arg("88");
            let report = Phone::start(command).report().await;
            let (well, words) = sipp.wait(SOON).await;
            assert!(well, "{scenario:?}: {words}\n{:#}", report.report);
            assert_eq!(report.code, code, "{:#}", report.report);
            println!("figure: SIPp, {}, {}: as expected", scenario.name(), transport.to_uppercase());
        }
    }
}
