//! The settings file at work: `check`, `serve`, and a change while people talk.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_tests::house::{House, SOON, eventually, executable, meeting};
use dialroom_tests::ports::free_port;
use tokio::process::Command;

fn instant(value: &serde_json::Value) -> DateTime<Utc> {
    value.as_str().expect("text").parse().expect("RFC 3339")
}

async fn check(file: &Path) -> (bool, String) {
    let output = Command::new(executable()).args(["check", "--settings"]).arg(file).output().await.expect("it runs");
    (output.status.success(), String::from_utf8(output.stdout).expect("text"))
}

#[tokio::test]
async fn check_names_every_problem_and_says_who_gets_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("dialroom.toml");
    std::fs::write(&file, "[pin]\ndigits = 3\n\n[dail_in]\nnumber = \"88\"\n").expect("written");
    let (sound, told) = check(&file).await;
    assert!(!sound, "{told}");
    assert!(told.contains("dialroom.toml:2: pin.digits: 3 is too short, a PIN has 4 to 12 digits"), "{told}");
    assert!(told.contains("dialroom.toml:4: dail_in: is no setting of Dialroom; did you mean \"dial_in\"?"), "{told}");

    let house = House::open().await;
    let (sound, told) = check(&house.data().join("dialroom.toml")).await;
    assert!(sound, "{told}");
    assert!(told.contains("get in without a PIN") && told.contains("everybody else keys room and PIN"), "{told}");
    house.close().await;
}

#[tokio::test]
async fn serve_runs_the_product_and_ends_cleanly() {
    // The demo lends its tenant and its mail server; the product beside it has a folder and ports of its own.
    let house = House::open().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("dialroom.toml");
    let facts = house.facts();
    let address = |part: &str| facts[part].as_str().expect("text").trim_start_matches("http://").to_owned();
    let mut text = std::fs::read_to_string(house.data().join("dialroom.toml")).expect("settings");
    let free = || free_port(Ipv4Addr::LOCALHOST.into());
    let http = free();
    for (part, port) in [("http", http), ("control", free()), ("sip", free())] {
        text = text.replace(&address(part), &format!("127.0.0.1:{port}"));
    }
    std::fs::write(&file, text).expect("settings");
    std::fs::copy(house.data().join("graph.secret"), folder.path().join("graph.secret")).expect("the secret");
    let mut serve = Command::new(executable());
    serve.args(["serve", "--settings"]).arg(&file).stderr(Stdio::null()).kill_on_drop(true);
    let mut serve = serve.spawn().expect("it starts");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let ready = format!("http://127.0.0.1:{http}/readyz");
    eventually("the product to be ready", SOON * 3, async || {
        client.get(&ready).send().await.ok().filter(|answer| answer.status().is_success())
    })
    .await;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(serve.id().expect("it runs")).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    let ended = tokio::time::timeout(SOON, serve.wait()).await.expect("it ends in time").expect("it ran");
    assert!(ended.success(), "{ended}");
    house.close().await;
}

#[tokio::test]
async fn a_change_of_settings_reaches_running_programs_and_hurts_no_call() {
    let house = House::open().await;
    let start = house.now().await + TimeDelta::minutes(5);
    house.book(meeting("Talking", start, 30, &["bernd@contoso.example"])).await;
    house.handed_over("Talking").await;
    let bernd = house.call(&["--from", "+493023125002", "--tone", "500", "88"]);
    house.until_in("Talking", 1).await;
    house.change_settings(|text| text.replace("lead_minutes = 10 ", "lead_minutes = 25 "));
    let later = start + TimeDelta::hours(3);
    let lead = eventually("a booking by the new settings", SOON * 2, async || {
        let title = format!("Booked at {}", house.now().await);
        house.book(meeting(&title, later, 30, &["bernd@contoso.example"])).await;
        let booking = house.conference(&title, |_| true).await;
        let window = &booking["windows"][0];
        Some(instant(&window["start"]) - instant(&window["opens"])).filter(|lead| *lead == TimeDelta::minutes(25))
    })
    .await;
    assert_eq!(lead, TimeDelta::minutes(25));
    assert_eq!(house.participants("Talking").await.len(), 1, "he talks on");
    house.change_settings(|text| text.replace("lead_minutes = 25 ", "lead_minutes = 999 "));
    house.book(meeting("Still", later, 30, &["bernd@contoso.example"])).await;
    house.conference("Still", |_| true).await;
    assert_eq!(house.participants("Talking").await.len(), 1, "a mistake in the file changes nothing");
    let _ = bernd.hang_up().await;
    house.close().await;
}
