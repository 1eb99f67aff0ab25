//! Floods, bursts and rubbish at full speed: what the mixer bears, in figures. One test at a time, or they measure each other.
//!
//! Each test runs in a network of its own. `DIALROOM_LONG=1` runs at full length.

use std::time::Duration;

use dialroom_tests::bare::{Bare, legitimate_call};
use dialroom_tests::bystanders::{Bystanders, MISSING_MAX};
use dialroom_tests::hostile;
use dialroom_tests::lab::{SERVER, TRUNK, in_lab, now, pause, percent, stranger};
use dialroom_tests::load::{Plan, flood, make};
use dialroom_tests::mixer::{GUEST, Mixer, Setup};
use dialroom_tests::seed::is_long;
use tokio::net::UdpSocket;
use tokio::task::spawn_blocking;

/// S6.
#[test]
fn a_flood_of_invites_disturbs_nobody() {
    in_lab(async || {
        let lasts = Duration::from_secs(if is_long() { 10 } else { 3 });
        let mixer = Mixer::open(Setup::new(SERVER, TRUNK)).await;
        let both = Bystanders::meet(&mixer, TRUNK).await;
        let control = both.control(lasts).await;
        let (memory, cpu, since) = (mixer.memory_kb(), mixer.cpu_seconds(), now());
        let server = mixer.sip();
        let flooding = spawn_blocking(move || flood(server, &[stranger(0), stranger(1)], 100_000, lasts));
        let (mut took, mut most) = (Vec::new(), memory);
        while !flooding.is_finished() {
            took.push(legitimate_call(&mixer).await.unwrap_or(4_000.0));
            most = most.max(mixer.memory_kb());
            pause(0.05).await;
        }
        let flooded = flooding.await.expect("the flood ends");
        let missing = both.missing_since(since);
        let grown = most.max(mixer.memory_kb()).saturating_sub(memory) / 1024;
        took.sort_by(f64::total_cmp);
        let at = |quantile: f64| took[((took.len() as f64 * quantile).ceil() as usize).clamp(1, took.len()) - 1];
        println!(
            "figure: INVITE flood, {:.0}/s offered for {:.1} s from two sources: {} of the tone missing (control {}), {} legitimate \
             calls, median {:.1} ms, 95 % within {:.1} ms, memory +{grown} MB, {:.1} s of processor time, {:.2} bytes back for each",
            flooded.per_second(),
            flooded.took.as_secs_f64(),
            percent(missing),
            percent(control),
            took.len(),
            at(0.5),
            at(0.95),
            mixer.cpu_seconds() - cpu,
            flooded.amplification(),
        );
        assert!(missing - control < MISSING_MAX, "{missing} of the tone is missing, {control} without a flood");
        assert!(at(0.5) <= 500.0 && at(0.95) <= 1_500.0, "{took:?}");
        assert!(grown <= 64 && flooded.amplification() <= 1.0);
        both.part().await;
        mixer.close().await;
    });
}

/// Set-up with sound allocated, on one core.
#[test]
fn calls_come_up_as_fast_as_they_come_in() {
    in_lab(async || {
        let mut setup = Setup::new(SERVER, TRUNK);
        setup.launcher = ["taskset", "-c", "0"].map(str::to_owned).to_vec();
        let mixer = Mixer::open(setup).await;
        let server = mixer.sip();
        legitimate_call(&mixer).await.expect("a first call");
        let bursts = 3;
        let mut rates = Vec::new();
        for _ in 0..bursts {
            let burst = make(Plan::burst(TRUNK, server, 400)).await;
            assert_eq!((burst.set_up.len(), burst.hung_up), (400, 400), "{:?}", burst.refused);
            rates.push(400.0 / burst.all_up_after.as_secs_f64());
            pause(0.5).await;
        }
        let best = rates.iter().copied().fold(0.0, f64::max);
        let seconds = if is_long() { 30 } else { 5 };
        let sustained = make(Plan { per_second: 400.0, ..Plan::burst(TRUNK, server, 400 * seconds) }).await;
        let (p50, p99) = (sustained.set_up_ms(0.5), sustained.set_up_ms(0.99));
        println!(
            "figure: call set-up on one core: bursts of 400 at {rates:.0?} calls/s; 400 calls/s for {seconds} s: {} of {} up, median \
             {p50:.2} ms, 99 % within {p99:.1} ms, {} INVITEs repeated",
            sustained.set_up.len(),
            400 * seconds,
            sustained.repeated
        );
        assert_eq!(sustained.set_up.len() as u32, 400 * seconds, "{:?}", sustained.refused);
        if is_optimized() {
            assert!(best >= 800.0 && p99 <= 10.0, "{rates:?}, {p99} ms");
        }
        mixer.close().await;
    });
}

/// M9: a crowd joins at 200 a second, and everybody leaves within one.
#[test]
fn a_crowd_that_leaves_at_once_disturbs_nobody() {
    in_lab(async || {
        let crowd = if is_long() { 1_500 } else { 300 };
        let mixer = Mixer::open(Setup::new(SERVER, TRUNK)).await;
        let both = Bystanders::meet(&mixer, TRUNK).await;
        let control = both.control(Duration::from_secs(3)).await;
        mixer.book_room("Crowd", "4712", "482916", &["+493023125300"]).await;
        let (server, since) = (mixer.sip(), now());
        // The last of them has heard his greeting by then.
        let gathered = Duration::from_secs(u64::from(crowd) / 200 + 12);
        let plan = Plan {
            per_second: 200.0,
            together: Some(gathered),
            number: |_| "+493023125300".to_owned(),
            ..Plan::burst(TRUNK, server, crowd)
        };
        let crowding = tokio::spawn(make(plan));
        pause(gathered.as_secs_f64() - 0.5).await;
        let most = mixer.participants("Crowd").await.len();
        let came = crowding.await.expect("the crowd calls");
        pause(1.0).await;
        let (left, missing) = (mixer.participants("Crowd").await.len(), both.missing_since(since));
        let latest = mixer.metric("dialroom_mixer_beat_lateness_max_us").await / 1000.0;
        println!(
            "figure: {} of {crowd} in one room, most at a time {most}, all gone within a second: {left} left, latest beat {latest:.1} ms, {} of \
             the running conference missing (control {})",
            came.set_up.len(),
            percent(missing),
            percent(control)
        );
        assert_eq!((came.set_up.len() as u32, came.hung_up, left), (crowd, crowd, 0), "{:?}", came.refused);
        assert!(most as u32 > crowd * 9 / 10, "{most} of {crowd} were in");
        assert!(missing - control < 2.0 * MISSING_MAX, "{missing}, {control} without a crowd");
        if is_optimized() {
            assert!(latest <= 100.0, "{latest} ms");
        }
        both.part().await;
        mixer.close().await;
    });
}

/// Whether the program under test is a build whose speed counts.
fn is_optimized() -> bool {
    std::env::var("DIALROOM_BIN").is_ok_and(|path| path.contains("/release/") || path.contains("/dist/"))
}

/// S3 and S5, against the program that runs.
#[test]
fn malformed_invites_take_nothing_down() {
    in_lab(async || {
        let mixer = Mixer::open(Setup::new(SERVER, TRUNK)).await;
        let both = Bystanders::meet(&mixer, TRUNK).await;
        let socket = UdpSocket::bind((TRUNK, 0)).await.expect("an address of ours");
        let client = socket.local_addr().expect("bound");
        // Made before the listening begins: the telephones stand still meanwhile, which is no fault of the mixer.
        let cases = hostile::cases(mixer.sip(), client);
        let count = cases.len();
        pause(1.0).await;
        let (memory, since) = (mixer.memory_kb(), now());
        let (mut slowest, mut pace) = (Duration::ZERO, tokio::time::interval(Duration::from_micros(500)));
        for batch in cases.chunks(50) {
            for case in batch {
                // Longer than a datagram of this network can be: not sent.
                let _ = socket.send_to(&case.message, mixer.sip()).await;
                pace.tick().await;
            }
            slowest = slowest.max(alive(&mixer, batch[0].field).await);
        }
        let mutations = if is_long() { 1_000_000 } else { 10_000 };
        let seed = cases.first().expect("cases").message.clone();
        for number in 0..mutations {
            let message = hostile::mutated(&seed, number);
            let _ = socket.send_to(&message, mixer.sip()).await;
            pace.tick().await;
            if number % 500 == 499 {
                slowest = slowest.max(alive(&mixer, "mutation").await);
            }
        }
        let (missing, memory) = (both.missing_since(since), mixer.memory_kb().saturating_sub(memory) / 1024);
        println!(
            "figure: {count} malformed INVITEs in {} groups and {mutations} mutations: alive, slowest answer beside them {slowest:.1?}, memory \
             +{memory} MB, {} of the running conference missing",
            hostile::groups(),
            percent(missing)
        );
        assert!(slowest <= Duration::from_millis(500), "{slowest:?}");
        assert!(missing < 2.0 * MISSING_MAX, "{missing}");
        both.part().await;
        mixer.close().await;
    });
}

/// Asks whether it lives; answers how long that took.
async fn alive(mixer: &Mixer, after: &str) -> Duration {
    let begun = now();
    let mut bare = Bare::new(TRUNK, mixer.sip(), GUEST).await;
    let options = bare.slip.request("OPTIONS", "", ("", ""));
    let answer = bare.exchange_within(&options, Duration::from_secs(3)).await;
    assert!(answer.is_some_and(|answer| answer.status == 200), "no answer after {after}\n{}", mixer.log());
    now() - begun
}
