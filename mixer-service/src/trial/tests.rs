//! Trunks on loopback: one that sends our call back to us, one that somebody else answers, one that is not there.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use dialroom_settings::Settings;

use super::*;
use crate::sip::{LocalMedia, Transport};
use crate::trunks::{peer_id, setup, target};

/// A port below those that the system gives to whoever asks for any: nobody takes it before it is listened on.
fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let free = |port: &u16| UdpSocket::bind(at(*port)).is_ok() && TcpListener::bind(at(*port)).is_ok();
    // By twos: TLS may be asked for on the next one.
    let mut ports = std::iter::repeat_with(|| 12_000 + 2 * (GIVEN.fetch_add(1, Ordering::Relaxed) % 2_000));
    ports.by_ref().take(2_000).find(free).unwrap()
}

fn settings(listen: u16, server: u16, keys: &str) -> Arc<Settings> {
    let text = format!(
        "[sip]\nlisten = [\"127.0.0.1:{listen}\"]\n[[trunk]]\nname = \"pbx\"\nserver = \"127.0.0.1:{server}\"\n{keys}\n"
    );
    Arc::new(Settings::read(Path::new("/nowhere/dialroom.toml"), &text).unwrap())
}

async fn trial(settings: &Arc<Settings>) -> Trial {
    let peer = peer_id(settings, "pbx").unwrap();
    Trial::start(setup(settings), peer, ((0, 0), 46), false).await.unwrap()
}

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

#[tokio::test]
async fn a_call_that_comes_back_is_measured_at_both_ends() {
    let port = free_port();
    let settings = settings(port, port, "codecs = [\"PCMA\"]");
    let mut trial = trial(&settings).await;
    assert!(trial.holds_our_ports());
    let call = trial.call("88", at(port)).await.unwrap();
    assert_eq!((call.answered_by, call.codec, call.encrypted), (AnsweredBy::Us, crate::sip::Codec::Pcma, false));
    for sound in [call.there.unwrap(), call.back] {
        assert!(sound.level_db.unwrap() > -16.0 && sound.received > 150, "{sound:?}");
        assert!(sound.lost * 50 < sound.received, "{sound:?}");
    }
    trial.finish().await;
}

#[tokio::test]
async fn one_trial_after_the_other_has_our_ports() {
    let port = free_port();
    let settings = settings(port, port, "");
    for _ in 0..3 {
        let trial = trial(&settings).await;
        assert!(trial.holds_our_ports());
        trial.finish().await;
    }
}

#[tokio::test]
async fn where_the_mixer_has_our_port_it_answers() {
    let port = free_port();
    let settings = settings(port, port, "register = true\nuser = \"88\"");
    let (mixer, mut events) = SipEndpoint::start(setup(&settings)).await.unwrap();
    let (engine, _reports) = crate::engine::Engine::start((0, 0), 46).unwrap();
    let ours = engine.clone();
    let answering = mixer.clone();
    tokio::spawn(async move {
        let stream = crate::engine::StreamId(1);
        while let Some(event) = events.recv().await {
            match event {
                SipEvent::Incoming { call, local, .. } => {
                    let port = ours.open(stream, local).unwrap();
                    answering.answer(call, LocalMedia { ip: local, port });
                }
                SipEvent::Established { remote, .. } => {
                    ours.connect(stream, crate::far_end::far_end(&remote, [127, 0, 0, 1].into(), false));
                    let tone = mixer_media::Tone::new(440.0, -12.0).take(8_000);
                    ours.music(stream, crate::engine::Clip::from(tone));
                }
                _ => {}
            }
        }
    });
    let mut trial = trial(&settings).await;
    assert!(!trial.holds_our_ports());
    let call = trial.call("88", at(port)).await.unwrap();
    assert_eq!(call.answered_by, AnsweredBy::Another);
    assert!(call.back.level_db.unwrap() > -30.0, "{call:?}");
    let there = call.there.expect("its reports tell how our sound arrived");
    assert!(there.lost * 50 < there.received && there.level_db.is_none(), "{there:?}");
    trial.finish().await;
    mixer.shutdown("over").await;
}

#[tokio::test]
async fn nobody_there_is_told_by_each_question() {
    let settings = settings(free_port(), free_port(), "transport = \"tcp\"\nregister = true\nuser = \"88\"");
    let mut trial = trial(&settings).await;
    let trunk = &settings.trunks[0];
    let server = trunk.server.as_ref().unwrap();
    let place = at(server.port().unwrap());
    assert!(trial.endpoint().reach(Transport::Tcp, place, server.host()).await.is_err());
    assert_eq!(trial.options(target(server, trunk.transport)).await.status.filter(|status| *status != 503), None);
    assert!(matches!(trial.registered().await, Registered::Failed { .. }));
    assert!(matches!(trial.call("88", place).await, Err(NoCall::Ended(_))));
    trial.finish().await;
}

#[tokio::test]
async fn under_tls_the_certificate_is_told_and_sound_is_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "pbx.example.com".to_owned()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let port = free_port();
    let text = format!(
        "[sip]\nlisten = []\ntls_listen = [\"127.0.0.1:{port}\"]\n[sip.tls]\ncertificate_file = \"cert.pem\"\n\
         key_file = \"key.pem\"\nserver_ca_file = \"cert.pem\"\n[[trunk]]\nname = \"pbx\"\nserver = \"127.0.0.1:{port}\"\n\
         transport = \"tls\"\nsrtp = \"required\"\n"
    );
    let settings = Arc::new(Settings::read(&folder.path().join("dialroom.toml"), &text).unwrap());
    let mut trial = trial(&settings).await;
    let reached = trial.endpoint().reach(Transport::Tls, at(port), "127.0.0.1").await.unwrap();
    let certificate = reached.certificate.unwrap();
    assert_eq!((certificate.version, certificate.names), ("TLS 1.3", vec!["pbx.example.com".to_owned()]));
    assert!(certificate.until.unwrap() > Clock::real().wall());
    let wrong = trial.endpoint().reach(Transport::Tls, at(port), "other.example.com").await.unwrap_err();
    assert!(format!("{wrong:#}").contains("not valid for name"), "{wrong:#}");
    let call = trial.call("88", at(port)).await.unwrap();
    assert!(call.encrypted && call.answered_by == AnsweredBy::Us, "{call:?}");
    assert!(call.back.level_db.unwrap() > -16.0 && call.there.unwrap().level_db.unwrap() > -16.0, "{call:?}");
    trial.finish().await;
}
