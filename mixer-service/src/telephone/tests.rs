//! Two telephones in one room of a bare engine: signalling and sound together, without any rule of conferences.

use std::collections::HashMap;
use std::time::Duration;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// Answers every call and joins it to one room; notes the keys pressed.
struct Exchange {
    sip: SipEndpoint,
    keys: Arc<Mutex<String>>,
}

impl Exchange {
    async fn start() -> Self {
        let listen = Listen { addresses: vec!["127.0.0.1:0".parse().unwrap()], advertised: None };
        let (sip, mut events) = SipEndpoint::start(listen, Limits::default()).await.unwrap();
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
                            engine.connect(streams[&call], Remote::from(&remote));
                            engine.join(streams[&call], crate::engine::RoomKey(1));
                        }
                        SipEvent::Ended { call, .. } => engine.close(streams[&call], false),
                        SipEvent::Ringing { .. } => {}
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

    async fn phone(&self, transport: Transport) -> Telephone {
        let dial = Dial {
            server: self.sip.addresses()[0],
            transport,
            local: "127.0.0.1".parse().unwrap(),
            number: "88".to_owned(),
            from: Some("+493023125002".to_owned()),
        };
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

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let dial = Dial {
        server: "127.0.0.1:9".parse().unwrap(),
        transport: Transport::Tcp,
        local: "127.0.0.1".parse().unwrap(),
        number: "88".to_owned(),
        from: None,
    };
    let error = Telephone::place(dial.clone()).await.unwrap_err();
    assert!(format!("{error:#}").contains("127.0.0.1:9"), "{error:#}");
    let telephone = Telephone::place(Dial { transport: Transport::Udp, ..dial }).await.unwrap();
    let cause = tokio::time::timeout(PATIENCE, telephone.answered()).await.expect("long before 32 s").unwrap_err();
    assert_eq!((cause.by, cause.text.contains("127.0.0.1:9")), (EndedBy::Silence, true), "{cause}");
}
