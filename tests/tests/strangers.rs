//! Strangers who listen in, forge, connect and say nothing; telephone systems that restart; a machine that runs out: what
//! each of them may cost.
//!
//! Each test runs in a network of its own and may run beside the others. `DIALROOM_LONG=1` runs at full length.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dialroom_tests::bare::{Bare, Line, legitimate_call, sdp};
use dialroom_tests::bystanders::{ANNA_HZ, BERND_HZ, Bystanders, MISSING_MAX};
use dialroom_tests::house::eventually;
use dialroom_tests::lab::{SERVER, TRUNK, in_lab, now, pause, percent, stranger};
use dialroom_tests::load::{Plan, make};
use dialroom_tests::mixer::{GUEST, Mixer, Setup};
use dialroom_tests::seed::is_long;
use dialroom_tests::sound::Voice;
use futures_util::future::join_all;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// M1.
#[test]
fn a_stranger_is_neither_heard_nor_answered() {
    in_lab(async || {
        let ways = [
            ("another address, his SSRC, after learning", stranger(5), false, false),
            ("another address, Anna's SSRC, after learning", stranger(5), true, false),
            ("Anna's address and another port, his SSRC, after learning", TRUNK, false, false),
            ("Anna's address and another port, Anna's SSRC, after learning", TRUNK, true, false),
            ("another address, Anna's SSRC, before she speaks", stranger(5), true, true),
            ("Anna's address and another port, his SSRC, before she speaks", TRUNK, false, true),
        ];
        let all = ways.map(|(what, from, right_ssrc, learning)| intrude(what, from, right_ssrc, learning));
        join_all(all).await;
    });
}

async fn intrude(what: &str, from: IpAddr, right_ssrc: bool, learning: bool) {
    const HZ: u32 = 700;
    let mixer = Mixer::open(Setup::new(SERVER, TRUNK)).await;
    let both = Bystanders::meet(&mixer, TRUNK).await;
    let target = both.anna.line.target().expect("it is told where to speak");
    let ssrc = if right_ssrc { 0xA11A } else { 0x0BAD };
    let intruder = Line::open(from).await;
    intruder.toward(target);
    let since = now();
    if learning {
        // Anna calls again, and he is faster than she is. Every other port of the range is worth a try, too.
        let mut anna = Bare::new(TRUNK, mixer.sip(), dialroom_tests::mixer::ANNA).await;
        anna.line.speak(Voice::new(ANNA_HZ, 0xA11B));
        anna.line.mute(true);
        anna.call().await;
        intruder.toward(anna.line.target().expect("it is told where to speak"));
        intruder.speak(Voice::new(HZ, if right_ssrc { 0xA11B } else { 0x0BAD }));
        pause(1.5).await;
        anna.line.mute(false);
        mixer.until_in("Calm", 3).await;
        pause(2.0).await;
        let heard_by_him = intruder.with_heard(|heard| heard.count());
        let in_the_mix = both.bernd.line.with_heard(|heard| heard.level_db(HZ, now() - Duration::from_secs(2), now()));
        report_intrusion(what, heard_by_him, in_the_mix, None);
        let _ = anna.hang_up().await;
    } else {
        let mut voice = Voice::new(HZ, ssrc);
        // As near to hers as a listener on the wire could come.
        voice.sequence = both.anna.line.take_voice().map_or(0, |mut anna| {
            let _ = anna.packet();
            let near = anna.sequence;
            both.anna.line.speak(anna);
            near
        });
        intruder.speak(voice);
        pause(3.0).await;
        let heard_by_him = intruder.with_heard(|heard| heard.count());
        let in_the_mix = both.bernd.line.with_heard(|heard| heard.level_db(HZ, since, now()));
        report_intrusion(what, heard_by_him, in_the_mix, Some(both.missing_since(since)));
    }
    both.part().await;
    mixer.close().await;
}

fn report_intrusion(what: &str, packets: usize, in_the_mix: f64, missing: Option<f64>) {
    let talker = missing.map(|missing| format!(", {} of the talker missing", percent(missing))).unwrap_or_default();
    println!(
        "figure: a stranger's sound, {what}: {packets} packets to him, {in_the_mix:.0} dB of him in the mix{talker}"
    );
    assert_eq!(packets, 0, "{what}");
    assert!(in_the_mix <= -60.0, "{what}: {in_the_mix} dB");
    assert!(missing.is_none_or(|missing| missing < 2.0 * MISSING_MAX), "{what}: {missing:?} of the talker is missing");
}

/// M7: the NAT before a telephone gives it another port; then it asks for another address itself.
#[test]
fn a_moved_port_is_followed_both_ways() {
    in_lab(async || {
        let mixer = Mixer::open(Setup::new(SERVER, TRUNK)).await;
        let mut both = Bystanders::meet(&mixer, TRUNK).await;
        for round in 0..2 {
            let target = both.anna.line.target();
            let moved = Line::going_on(TRUNK, both.anna.line.take_voice()).await;
            moved.toward(target.expect("it is told where to speak"));
            both.anna.line = moved;
            let since = now();
            let hears =
                move |line: &Line, hz| line.with_heard(|heard| heard.first(hz, since + Duration::from_millis(200)));
            let (there, here) = eventually("both hear each other again", Duration::from_secs(5), async || {
                hears(&both.bernd.line, ANNA_HZ).zip(hears(&both.anna.line, BERND_HZ))
            })
            .await;
            let (there, here) = (there - since, here - since);
            println!("figure: a moved port, time {round}: heard again after {there:.0?}, hears again after {here:.0?}");
            assert!(there <= Duration::from_secs(1) && here <= Duration::from_secs(1));
            pause(1.0).await;
        }
        // Another address by re-INVITE: no silence is needed first.
        let line = Line::going_on(stranger(9), both.anna.line.take_voice()).await;
        line.toward(both.anna.line.target().expect("it is told where to speak"));
        let since = now();
        let invite = both.anna.slip.invite(&sdp(line.address(), "sendrecv"));
        let answer = both.anna.exchange(&invite).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        both.anna.line = line;
        both.anna.confirm(&answer).await;
        let hears = |line: &Line, hz| line.with_heard(|heard| heard.first(hz, since));
        let (there, here) = eventually("both hear each other again", Duration::from_secs(5), async || {
            hears(&both.bernd.line, ANNA_HZ).zip(hears(&both.anna.line, BERND_HZ))
        })
        .await;
        println!("figure: a new address by re-INVITE: hears after {:.0?}, was heard on", here - since);
        assert!(there - since <= Duration::from_secs(1) && here - since <= Duration::from_millis(500));
        both.part().await;
        mixer.close().await;
    });
}

/// S11, S14: what looks like a part of a call and is none.
#[test]
fn forged_requests_change_nothing() {
    in_lab(async || {
        let mixer = Mixer::open(Setup::new(SERVER, TRUNK)).await;
        let both = Bystanders::meet(&mixer, TRUNK).await;
        let since = now();
        let mut forger = Bare::new(stranger(0), mixer.sip(), GUEST).await;
        for (what, change) in [("a wrong tag", "tag=f"), ("a wrong call", "Call-ID: bare-")] {
            for method in ["BYE", "INFO", "UPDATE", "INVITE", "REFER"] {
                let real = both.anna.slip.clone().request(method, "", ("", ""));
                let forged = real
                    .replace(change, &format!("{change}0"))
                    .replace(&both.anna.slip.local.to_string(), &forger.slip.local.to_string());
                forger.slip.call_id =
                    forged.lines().find_map(|line| line.strip_prefix("Call-ID: ")).expect("a Call-ID").to_owned();
                let answer = forger.exchange_within(&forged, Duration::from_millis(400)).await;
                let status = answer.map(|answer| answer.status);
                assert!(status.is_none_or(|status| status >= 400), "{method} with {what}: {status:?}");
            }
        }
        for source in 1..10 {
            // From somewhere else, with an old number.
            let mut forger = Bare::new(stranger(source), mixer.sip(), GUEST).await;
            let real = both.anna.slip.same_branch("BYE");
            forger.slip.call_id = both.anna.slip.call_id.clone();
            let answer = forger.exchange_within(&real, Duration::from_millis(200)).await;
            assert!(answer.is_none_or(|answer| answer.status >= 400), "an old BYE from another address");
        }
        assert_eq!(mixer.participants("Calm").await.len(), 2, "nobody was thrown out");
        let missing = both.missing_since(since);
        assert!(missing < 2.0 * MISSING_MAX, "{missing}");
        println!(
            "figure: forged BYE, INFO, UPDATE, INVITE and REFER: all refused, {} of the tone missing",
            percent(missing)
        );
        both.part().await;
        mixer.close().await;
    });
}
/// S7.
#[test]
fn calls_that_nobody_confirms_cost_little_and_end() {
    in_lab(async || {
        let mixer = Mixer::open(Setup::new(SERVER, TRUNK)).await;
        // What is made at the first call is not counted.
        legitimate_call(&mixer).await.expect("a first call");
        let (count, memory) = (2_000, mixer.memory_kb());
        let server = mixer.sip();
        let asking = tokio::spawn(make(Plan {
            per_second: 1_000.0,
            hold: None,
            acknowledge: false,
            linger: Duration::from_secs(35),
            ..Plan::burst(TRUNK, server, count)
        }));
        pause(4.0).await;
        let each = mixer.memory_kb().saturating_sub(memory) / u64::from(count);
        // As many as there may be calls: one more is told so.
        let served = legitimate_call(&mixer).await.map_or("refused".to_owned(), |ms| format!("up after {ms:.0} ms"));
        let outcome = asking.await.expect("the telephones live");
        let up = outcome.set_up.len();
        println!(
            "figure: {count} INVITEs without ACK: {up} answered, {each} kB each, {} ended by BYE within 35 s, {} datagrams of sound; \
             one more meanwhile: {served}",
            outcome.byes, outcome.sound
        );
        assert!(up as u32 + outcome.refused.values().sum::<u32>() == count && up >= 1_000, "{:?}", outcome.refused);
        assert!(each <= 64, "{each} kB");
        assert_eq!((outcome.byes as usize, outcome.sound), (up, 0), "each ends, and none hears anything");
        let left = mixer.metric("dialroom_mixer_legs").await + mixer.metric("dialroom_mixer_sip_calls").await;
        assert!(left == 0.0, "{left} are still there");
        for _ in 0..20 {
            assert!(legitimate_call(&mixer).await.is_some_and(|ms| ms < 500.0), "and new ones come up at once");
        }
        mixer.close().await;
    });
}

/// S8.
#[test]
fn slow_connections_keep_nobody_out() {
    in_lab(async || {
        let mixer = Mixer::open(Setup::new(SERVER, TRUNK)).await;
        let memory = mixer.memory_kb();
        let beginnings = [
            "",
            "INVITE sip:88@example.com SIP/2.0\r\nX: ",
            "INVITE sip:88@example.com SIP/2.0\r\nContent-Length: 2000000000\r\n\r\n",
            "\r\n\r\n",
        ];
        let mut open = Vec::new();
        for number in 0..2_000u32 {
            let from = SocketAddr::new(stranger((number % 20) as u8), 0);
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind(from).expect("an address of ours");
            let connected = tokio::time::timeout(Duration::from_secs(2), socket.connect(mixer.sip())).await;
            if let Ok(Ok(mut stream)) = connected {
                // Whoever is turned away at once is no error of ours.
                let _ = stream.write_all(beginnings[number as usize % beginnings.len()].as_bytes()).await;
                open.push(stream);
            }
        }
        let held = mixer.memory_kb().saturating_sub(memory);
        let by_system = options_over_tcp(TRUNK, mixer.sip()).await;
        let by_stranger = options_over_tcp(stranger(30), mixer.sip()).await;
        println!(
            "figure: {} slow TCP connections of 20 sources, {held} kB for all: a new one of the telephone system is served in {}, a \
             stranger's in {}",
            open.len(),
            told(by_system),
            told(by_stranger)
        );
        assert!(by_system.is_some_and(|took| took <= Duration::from_secs(1)));
        assert!(held <= 32 * 1024, "{held} kB");
        // One byte a second keeps nobody here for long.
        let begun = now();
        while now() < begun + Duration::from_secs(12) {
            for stream in &mut open {
                let _ = stream.try_write(b"a");
            }
            pause(1.0).await;
        }
        let alive = open.iter().filter(|stream| is_open(stream)).count();
        println!("figure: slow TCP connections still open after 12 s of a byte a second: {alive} of {}", open.len());
        assert!(alive <= open.len() / 20, "{alive} are still there");
        mixer.close().await;
    });
}

fn told(took: Option<Duration>) -> String {
    took.map_or_else(|| "no time".to_owned(), |took| format!("{:.1} ms", took.as_secs_f64() * 1000.0))
}

fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0; 64];
    loop {
        match stream.try_read(&mut byte) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(why) => return why.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

/// Connects, asks and is answered, all in this time.
async fn options_over_tcp(from: IpAddr, server: SocketAddr) -> Option<Duration> {
    let begun = now();
    let asked = async {
        let socket = tokio::net::TcpSocket::new_v4().ok()?;
        socket.bind(SocketAddr::new(from, 0)).ok()?;
        let mut stream = socket.connect(server).await.ok()?;
        let local = stream.local_addr().ok()?;
        let request = format!(
            "OPTIONS sip:88@{server} SIP/2.0\r\nVia: SIP/2.0/TCP {local};branch=z9hG4bKslow\r\nMax-Forwards: 70\r\nFrom: <sip:a@{local}>;tag=1\r\n\
             To: <sip:88@{server}>\r\nCall-ID: slow@{local}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        stream.readable().await.ok()?;
        let mut answer = [0; 2048];
        let len = stream.try_read(&mut answer).ok()?;
        answer[..len].starts_with(b"SIP/2.0 200").then(|| now() - begun)
    };
    tokio::time::timeout(Duration::from_secs(5), asked).await.ok()?
}

/// F11.
#[test]
fn a_telephone_system_restarts_and_everybody_calls_again() {
    in_lab(async || {
        const PEOPLE: u32 = 200;
        fn number(index: u32) -> String {
            format!("+4930231252{index:03}")
        }
        let mixer = Mixer::open(Setup::new(SERVER, TRUNK)).await;
        let numbers: Vec<_> = (0..PEOPLE).map(number).collect();
        let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
        mixer.book_room("Large", "4712", "482916", &numbers).await;
        let plan = Plan { per_second: 100.0, hold: None, number, ..Plan::burst(TRUNK, mixer.sip(), PEOPLE) };
        let first = make(plan.clone()).await;
        assert_eq!(first.set_up.len() as u32, PEOPLE, "{:?}", first.refused);
        let before = mixer.until_in_within("Large", PEOPLE as usize, Duration::from_secs(30)).await;
        let before: Vec<_> = before.iter().filter_map(|one| one["leg"].as_u64()).collect();
        // Everything of the old system is gone: its sockets are closed, its calls forgotten.
        let begun = now();
        let again = make(plan).await;
        assert_eq!(again.set_up.len() as u32, PEOPLE, "{:?}", again.refused);
        let up = now() - begun;
        println!(
            "figure: telephone system restarts, {PEOPLE} people call again within 2 s: all up after {:.2?}, median {:.1} ms, 99 % within {:.1} ms",
            again.all_up_after,
            again.set_up_ms(0.5),
            again.set_up_ms(0.99)
        );
        assert!(again.all_up_after <= Duration::from_secs(5) && up <= Duration::from_secs(8));
        let newcomer = |one: &serde_json::Value| one["leg"].as_u64().is_some_and(|leg| !before.contains(&leg));
        let all_in = async {
            while mixer.participants("Large").await.iter().filter(|one| newcomer(one)).count() < PEOPLE as usize {
                pause(0.1).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all_in).await.expect("everybody is in the conference");
        if is_long() {
            // Dead legs are found by their silence; the telephones of the second time stay silent as well.
            let gone = eventually("dead legs end", Duration::from_secs(90), async || {
                Some(mixer.participants("Large").await.len()).filter(|left| *left == 0)
            })
            .await;
            println!("figure: telephone system restarts: {gone} dead legs left after {:.0?}", now() - begun);
        }
        mixer.close().await;
    });
}

/// F13.
#[test]
fn out_of_descriptors_new_calls_are_refused_and_running_ones_go_on() {
    in_lab(async || {
        let mut setup = Setup::new(SERVER, TRUNK);
        setup.launcher = ["prlimit", "--nofile=256"].map(str::to_owned).to_vec();
        let mixer = Mixer::open(setup).await;
        let both = Bystanders::meet(&mixer, TRUNK).await;
        let since = now();
        let plan =
            Plan { per_second: 100.0, hold: Some(Duration::from_secs(4)), ..Plan::burst(TRUNK, mixer.sip(), 300) };
        let outcome = make(plan).await;
        let missing = both.missing_since(since);
        println!(
            "figure: 256 descriptors, 300 calls: {} up, refused {:?}, {} of the running conference missing",
            outcome.set_up.len(),
            outcome.refused,
            percent(missing)
        );
        let refused = outcome.refused.get(&503).copied().unwrap_or_default();
        assert!(refused > 0 && outcome.set_up.len() as u32 + refused == 300, "{:?}", outcome.refused);
        assert!(missing < 2.0 * MISSING_MAX, "{missing}");
        assert!(legitimate_call(&mixer).await.is_some(), "once they are gone there is room again");
        both.part().await;
        mixer.close().await;
    });
}
