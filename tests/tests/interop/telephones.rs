//! baresip in a conference: every codec, encrypted sound, TLS; sound measured both ways.
//!
//! The other one in each conference is a telephone of ours in A-law, so that what is heard has passed the mix.

use std::net::SocketAddr;
use std::time::Duration;

use dialroom_tests::baresip::Caller;
use dialroom_tests::lab::{FAR, FARTHER, Far, SERVER, TRUNK, in_lab};
use dialroom_tests::mixer::{Mixer, Setup};
use dialroom_tests::program;
use futures_util::future::join_all;

/// How long baresip stays: greeting and five seconds of the other's voice.
const STAY: Duration = Duration::from_secs(14);
/// From this on the voice counts as heard.
const STEADY: Duration = Duration::from_secs(3);

/// A pair in a conference of its own, the case's place in the list telling room and numbers.
async fn pair(
    mixer: &Mixer,
    far: &Far,
    index: usize,
    name: &str,
    caller: Caller,
    server: SocketAddr,
) -> Result<(), String> {
    let (room, pin) = (format!("{}", 4000 + index), format!("48{:04}", 1357 + 11 * index));
    let (ours, theirs) = (format!("+49302312510{index}"), format!("+49302312520{index}"));
    mixer.book_room(name, &room, &pin, &[&ours, &theirs]).await;
    let (own_hz, its_hz) = (440, caller.hz);
    let (tone, expected) = (own_hz.to_string(), its_hz.to_string());
    let local = TRUNK.to_string();
    let flags = ["--local", &local, "--from", &ours, "--tone", &tone, "--expect-tone", &expected, "88"];
    let phone = mixer.call(&flags);
    let baresip = Caller { number: theirs, ..caller }.dial(far, "88", server);
    let (words, rate, heard) = baresip.end(STAY * 3).await;
    let report = phone.hang_up().await;
    let (here, here_db) = report.heard(its_hz);
    let (there, there_db) = dialroom_tests::sound::longest_tone(&heard, rate, own_hz);
    let is_secret = words.contains("SRTP is Enabled") || !name.contains("SRTP");
    if report.code != 0 || there < STEADY || !is_secret {
        return Err(format!("--- {name}: we heard {here} ms, it heard {there:?} of {} samples\n{words}", heard.len()));
    }
    let there = there.as_millis();
    println!("figure: baresip, {name}: heard {here} ms at {here_db:.0} dB, hears {there} ms at {there_db:.0} dB");
    Ok(())
}

fn caller() -> Caller {
    Caller {
        number: String::new(),
        local: FAR,
        codec: "PCMA",
        hz: 1000,
        transport: "udp",
        encryption: None,
        authorities: None,
        certificate: None,
        stay: STAY,
    }
}

async fn setup() -> Mixer {
    let mut setup = Setup::new(SERVER, TRUNK);
    setup.trunks = setup.trunks.replace("addresses = [", &format!("addresses = [\"{FAR}\", "));
    setup.trunks = setup.trunks.replace("own_numbers", "srtp = \"optional\"\nown_numbers");
    setup.trunks += &format!(
        "[[trunk]]\nname = \"secret\"\naddresses = [\"{}\"]\nsrtp = \"required\"\nown_numbers = [\"+493023125\"]\n",
        FARTHER
    );
    Mixer::open_with_tls(setup).await
}

#[test]
fn every_codec_encrypted_or_not_is_heard_both_ways() {
    in_lab(async || {
        println!("figure: {}", program::version("baresip", "-h").await);
        let (mixer, far) = (setup().await, Far::new());
        let (plain, tls) = (mixer.sip(), mixer.tls());
        let authorities = Some(mixer.folder().join("server.pem"));
        let secret = FARTHER;
        let cases = [
            ("G.711 A-law", caller(), plain),
            ("G.711 u-law over TCP", Caller { codec: "PCMU", transport: "tcp", ..caller() }, plain),
            ("G.722", Caller { codec: "G722/16000/1", ..caller() }, plain),
            ("Opus", Caller { codec: "opus/48000/2", ..caller() }, plain),
            ("SRTP by SDES where it is optional", Caller { encryption: Some("srtp"), ..caller() }, plain),
            (
                "SRTP and Opus over TLS where it is required",
                Caller {
                    codec: "opus/48000/2",
                    transport: "tls",
                    encryption: Some("srtp-mand"),
                    authorities: authorities.clone(),
                    local: secret,
                    ..caller()
                },
                tls,
            ),
            ("G.722 over TLS", Caller { codec: "G722/16000/1", transport: "tls", authorities, ..caller() }, tls),
        ];
        let pairs = cases.into_iter().enumerate();
        let pairs = pairs.map(|(index, (name, caller, server))| pair(&mixer, &far, index, name, caller, server));
        let wrong: Vec<_> = join_all(pairs).await.into_iter().filter_map(Result::err).collect();
        assert!(wrong.is_empty(), "{} went wrong\n{}", wrong.len(), wrong.join("\n"));
        // Sound in clear has no place where it must be encrypted.
        let clear =
            Caller { number: "+493023125300".to_owned(), local: secret, stay: Duration::from_secs(5), ..caller() };
        let (words, ..) = clear.dial(&far, "88", plain).end(STAY).await;
        assert!(words.contains("488"), "{words}");
        println!("figure: baresip, sound in clear where SRTP is required: refused with 488");
        mixer.close().await;
    });
}
