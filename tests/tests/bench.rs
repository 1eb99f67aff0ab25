//! `dialroom bench` against a mixer of ours: who hears whom, that nothing is lost, and that refused calls are counted.
//!
//! Times are printed, never asserted: the machine may be busy.

use std::time::Duration;

use dialroom_tests::house::executable;
use dialroom_tests::mixer::{Mixer, Setup};
use serde_json::Value;
use tokio::process::Command;

/// Start, calls and farewell of a small bench, on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs it with these flags; answers its JSON.
async fn bench(flags: &[&str]) -> Value {
    let mut command = Command::new(executable());
    command.args(["bench", "--json"]).args(flags).kill_on_drop(true);
    let ended = tokio::time::timeout(LIMIT, command.output()).await.expect("it ends").expect("it runs");
    let words = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{words}");
    serde_json::from_slice(&ended.stdout).unwrap_or_else(|why| panic!("{why}: {words}"))
}

fn run<'a>(report: &'a Value, name: &str) -> &'a Value {
    let runs = report["runs"].as_array().expect("runs");
    runs.iter().find(|run| run["name"] == name).unwrap_or_else(|| panic!("no {name}: {report:#}"))
}

fn figure(name: &str, run: &Value) {
    let three = |key: &str| format!("{} / {} / {}", run[key]["p50"], run[key]["p99"], run[key]["max"]);
    println!(
        "figure: bench, {name}: {} legs, CPU {} ms/leg·s ({}), jitter {} ms, mouth-to-ear {} ms (p50/p99/max)",
        run["legs"]["up"],
        run["cpu_ms_per_leg_second"],
        run["cpu_ratio"],
        three("jitter_ms"),
        three("mouth_to_ear_ms"),
    );
}

/// Everybody hears the talkers of his room and nobody else; not a packet is missing.
fn assert_all_is_heard(run: &Value, legs: u64) {
    assert_eq!(run["legs"]["up"], legs, "{run:#}");
    assert_eq!(run["legs"]["dropped"], 0, "{run:#}");
    assert_eq!(run["voices"]["heard"], run["voices"]["expected"], "{run:#}");
    assert!(run["voices"]["expected"].as_u64().is_some_and(|voices| voices > 0), "{run:#}");
    assert_eq!((&run["hear_themselves"], &run["hear_strangers"]), (&0.into(), &0.into()), "{run:#}");
    assert_eq!((&run["packets"]["lost"], &run["packets"]["unsent"]), (&0.into(), &0.into()), "{run:#}");
    let received = run["packets"]["received"].as_f64().expect("a count");
    let expected = run["packets"]["expected"].as_f64().expect("a count");
    // The ends of what is measured are not those of a beat, and what waits in sockets is fetched every 60 ms.
    assert!((received / expected - 1.0).abs() < 0.1, "{run:#}");
    assert!(run["mouth_to_ear_ms"]["count"].as_u64().is_some_and(|count| count > 0), "{run:#}");
}

#[tokio::test]
async fn a_mixer_of_its_own_beside_both_echoes() {
    let report = bench(&["--legs", "30", "--rooms", "6", "--talkers", "3", "--seconds", "5"]).await;
    let mixer = run(&report, "dialroom mixer");
    assert_all_is_heard(mixer, 30);
    assert_eq!(mixer["voices"]["expected"], 6 * (3 * 2 + 2 * 3));
    assert!(mixer["cpu_ms_per_leg_second"].as_f64().is_some_and(|ms| ms > 0.0), "{mixer:#}");
    figure("a mixer of its own", mixer);
    for name in ["echo, a socket per leg", "echo, one socket"] {
        let echo = run(&report, name);
        assert_eq!((&echo["packets"]["lost"], &echo["voices"]["heard"]), (&0.into(), &18.into()), "{echo:#}");
        assert!(mixer["cpu_ratio"][name].as_f64().is_some_and(|ratio| ratio > 0.0), "{mixer:#}");
        figure(name, echo);
    }
}

#[tokio::test]
async fn a_server_that_runs_with_room_and_pin_keyed() {
    let mixer = Mixer::open(Setup::loopback()).await;
    mixer.book_room("First", "1001", "482915", &[]).await;
    mixer.book_room("Second", "1002", "482915", &[]).await;
    let (server, pid) = (mixer.sip().to_string(), mixer.pid().to_string());
    let flags = ["--server", &server, "--pid", &pid, "--number", "88", "--digits", ",{room}#,,482915#", "--legs", "8"];
    let more = ["--rooms", "2", "--talkers", "2", "--seconds", "3", "--settle", "8", "--no-echo"];
    let report = bench(&[&flags[..], &more[..]].concat()).await;
    let run = run(&report, "server");
    assert_all_is_heard(run, 8);
    assert_eq!(run["voices"]["expected"], 2 * (2 + 2 * 2));
    figure("a server that runs", run);
    mixer.close().await;
}

#[tokio::test]
async fn calls_that_are_refused_are_counted_and_no_fault() {
    let mut setup = Setup::loopback();
    setup.sip = "max_calls = 6\n".to_owned();
    let mixer = Mixer::open(setup).await;
    mixer.book_room("First", "1001", "482915", &[]).await;
    let server = mixer.sip().to_string();
    let flags = ["--server", &server, "--number", "88", "--digits", ",1001#,,482915#", "--legs", "10", "--rooms", "1"];
    let report = bench(&[&flags[..], &["--talkers", "1", "--seconds", "1", "--settle", "0"]].concat()).await;
    let run = run(&report, "server");
    assert_eq!((&run["legs"]["up"], &run["legs"]["refused"]["503"]), (&6.into(), &4.into()), "{run:#}");
    assert!(run["cpu_ms_per_leg_second"].is_null(), "its process was not told");
    mixer.close().await;
}

/// Whether the system's Janus is there to be driven.
fn janus_is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("janus").is_file())
}

#[tokio::test]
async fn janus_beside_a_mixer_of_its_own_in_the_same_run() {
    if !janus_is_installed() {
        println!("skipped: janus is not installed (Debian: apt-get install janus)");
        return;
    }
    let flags = ["--janus", "--janus-prebuffer", "6,1", "--legs", "10", "--rooms", "2", "--talkers", "2"];
    let report = bench(&[&flags[..], &["--seconds", "4", "--settle", "1"]].concat()).await;
    let names: Vec<_> = report["runs"].as_array().expect("runs").iter().map(|run| run["name"].as_str()).collect();
    let janus = |prebuffer: &str| {
        let is_it = |name: &&str| name.starts_with("Janus 1") && name.ends_with(prebuffer);
        run(&report, names.iter().flatten().copied().find(is_it).unwrap_or_else(|| panic!("{names:?}")))
    };
    for (prebuffer, of) in [("prebuffer 6", janus("prebuffer 6")), ("prebuffer 1", janus("prebuffer 1"))] {
        assert_all_is_heard(of, 10);
        assert_eq!(of["voices"]["expected"], 2 * (2 + 3 * 2), "{prebuffer}");
        assert!(of["memory_kib_per_leg"].as_f64().is_some_and(|kib| kib > 0.0), "{of:#}");
        assert!(of["cpu_ratio"]["echo, a socket per leg"].as_f64().is_some_and(|ratio| ratio > 0.0), "{of:#}");
        figure(&format!("Janus, {prebuffer}"), of);
    }
    figure("a mixer of its own beside it", run(&report, "dialroom mixer"));
}

#[tokio::test]
async fn where_janus_is_missing_its_package_is_named_before_anything_is_measured() {
    let mut command = Command::new(executable());
    command.args(["bench", "--janus"]).env("PATH", "/no/such/folder").kill_on_drop(true);
    let ended = tokio::time::timeout(LIMIT, command.output()).await.expect("it ends").expect("it runs");
    let words = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && words.contains("apt-get install janus"), "{words}");
    assert!(!words.contains("echo,"), "{words}");
}
