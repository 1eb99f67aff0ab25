//! Two telephones in one room of a bare engine: signalling and sound together, without any rule of conferences.

use std::collections::HashMap;
use std::time::Duration;

use std::sync::{Arc, Mutex};

use super::*;
use crate::engine::{Engine, Report, RoomKey, StreamId};
use crate::far_end::far_end;
use crate::sip::{Codec, EndedBy, Listen, LocalMedia, Setup, SipEndpoint, SipEvent, Srtp, Transport};

const PATIENCE: Duration = Duration::from_secs(10);

/// Answers every call and joins it to one room; notes the keys pressed.
struct Exchange {
    sip: SipEndpoint,
    keys: Arc<Mutex<String>>,
}

impl Exchange {
    async fn start() -> Self {
        let mut setup = Setup::open(Listen::on("127.0.0.1:0".parse().unwrap()));
        setup.config.capabilities.srtp = Srtp::Optional;
        setup.config.capabilities.codecs = vec![Codec::Opus, Codec::G722, Codec::Pcma];
        let (sip, mut events) = SipEndpoint::start(setup).await.unwrap();
        let (engine, mut reports) = Engine::start((0, 0), 0).unwrap();
        let keys = Arc::new(Mutex::new(String::new()));
        let (answering, noted) = (sip.clone(), keys.clone());
        tokio::spawn(async move {
            let mut streams = HashMap::new();
            loop {
                tokio::select! {
                    Some(event) = events.recv() => match event {
                        SipEvent::Incoming { call, local, .. } => {
                            let stream = StreamId(call.0);
                            streams.insert(call, stream);
                            let port = engine.open(stream, local).unwrap();
                            answering.answer(call, LocalMedia { ip: local, port });
                        }
                        SipEvent::Established { call, remote } | SipEvent::Reoffered { call, remote } => {
                            engine.connect(streams[&call], far_end(&remote, remote.address.ip(), true));
                            engine.join(streams[&call], RoomKey(1));
                        }
                        SipEvent::Ended { call, .. } => engine.close(streams[&call], false),
                        SipEvent::Pressed { call, digit } => engine.pressed(streams[&call], digit.0),
                        _ => {}
                    },
                    Some(report) = reports.recv() => if let Report::Digit(_, key) = report {
                        noted.lock().unwrap().push(key);
                    },
                    else => return,
                }
            }
        });
        Self { sip, keys }
    }

    fn line(&self, transport: Transport) -> LineSetup {
        LineSetup::to(self.sip.addresses()[0], transport, "127.0.0.1".parse().unwrap())
    }

    async fn phone(&self, transport: Transport) -> Telephone {
        self.phone_on(self.line(transport)).await
    }

    async fn phone_on(&self, line: LineSetup) -> Telephone {
        let dial = Dial { line, number: "88".to_owned(), from: Some("+493023125002".to_owned()) };
        let telephone = Telephone::place(dial).await.unwrap();
        telephone.answered().await.unwrap();
        telephone
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_hears_the_other_and_not_himself() {
    let exchange = Exchange::start().await;
    let (low, high) = (exchange.phone(Transport::Udp).await, exchange.phone(Transport::Tcp).await);
    low.tone(Some((440, -12.0)));
    high.tone(Some((1_000, -12.0)));
    for (phone, other, own) in [(&low, 1_000, 440), (&high, 440, 1_000)] {
        until("the other is heard", || Hearing::of(&phone.heard_last(2_000), other).is_steady()).await;
        let (voice, echo) = (Hearing::of(&phone.heard_last(2_000), other), Hearing::of(&phone.heard_last(2_000), own));
        assert!((voice.level_db + 12.0).abs() < 3.0, "{voice:?}");
        assert!(echo.level_db < -40.0, "{echo:?}");
        assert_eq!(pitches(&phone.heard_last(1_000))[0].hz, other);
    }
    let report = high.hang_up().await;
    assert_eq!(report.cause.by, EndedBy::Us);
    let counts = report.statistics.expect("counts");
    assert!(counts.packets_sent >= 40 && counts.packets_received >= 40, "{counts:?}");
    assert!(report.answered_after.unwrap() < Duration::from_secs(1) && report.first_sound_after.is_some());
    drop(low);
    until("no call is left", || exchange.sip.calls() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_arrive_once_and_in_order() {
    let exchange = Exchange::start().await;
    let phone = exchange.phone(Transport::Udp).await;
    phone.press("4711#,09*").await.unwrap();
    until("all keys arrive", || exchange.keys.lock().unwrap().len() >= 8).await;
    assert_eq!(*exchange.keys.lock().unwrap(), "4711#09*");
    assert!(phone.press("x").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_arrive_by_info_and_as_tones_as_well() {
    for keys_by in [KeysBy::Info, KeysBy::InBand] {
        let exchange = Exchange::start().await;
        let phone = exchange.phone_on(LineSetup { keys_by, ..exchange.line(Transport::Udp) }).await;
        phone.press("47#").await.unwrap();
        until("all keys arrive", || exchange.keys.lock().unwrap().len() >= 3).await;
        assert_eq!(*exchange.keys.lock().unwrap(), "47#", "{keys_by:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wide_codecs_and_encrypted_sound_are_heard() {
    let exchange = Exchange::start().await;
    for (codec, srtp, hz) in [(Codec::G722, Srtp::Off, 440), (Codec::Opus, Srtp::Required, 1_000)] {
        let line = LineSetup { codecs: vec![codec], srtp, ..exchange.line(Transport::Udp) };
        let (speaks, hears) = (exchange.phone_on(line.clone()).await, exchange.phone_on(line).await);
        speaks.tone(Some((hz, -12.0)));
        until("it is heard", || Hearing::of(&hears.heard_last(2_000), hz).is_steady()).await;
        drop((speaks.hang_up().await, hears.hang_up().await));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_telephone_is_called_and_answers() {
    let local = "127.0.0.1".parse().unwrap();
    let nobody = "127.0.0.1:9".parse().unwrap();
    let called = Line::start(LineSetup::to(nobody, Transport::Udp, local)).await.unwrap();
    let line = LineSetup::to(called.sip().addresses()[0], Transport::Udp, local);
    let caller = Telephone::place(Dial { line, number: "100".to_owned(), from: None }).await.unwrap();
    let who = called.next_call().await.unwrap();
    assert_eq!(who.number.as_str(), "100");
    let answered = called.answer(&who).unwrap();
    caller.answered().await.unwrap();
    caller.tone(Some((440, -12.0)));
    until("the caller is heard", || Hearing::of(&answered.heard_last(2_000), 440).is_steady()).await;
    caller.press("42").await.unwrap();
    until("his keys are heard", || answered.keys_heard() == "42").await;
    drop(answered.hang_up().await);
    assert_eq!(caller.ended().await.by, EndedBy::Peer);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let line = LineSetup::to("127.0.0.1:9".parse().unwrap(), transport, "127.0.0.1".parse().unwrap());
        let telephone = Telephone::place(Dial { line, number: "88".to_owned(), from: None }).await.unwrap();
        let cause = tokio::time::timeout(PATIENCE, telephone.answered()).await.expect("long before 32 s").unwrap_err();
        assert_eq!(cause.by, EndedBy::Silence, "{transport:?} {cause}");
    }
}
