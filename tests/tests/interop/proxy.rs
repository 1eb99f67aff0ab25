//! Kamailio between the telephones and the mixer: as a proxy that stays in the way, and as the system at which the mixer
//! registers like a telephone.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use dialroom_tests::house::{Phone, SOON, executable};
use dialroom_tests::kamailio::Kamailio;
use dialroom_tests::mixer::{ANNA, BERND, Mixer, Setup, certificate};
use dialroom_tests::ports::free_port;
use dialroom_tests::program;
use dialroom_tests::sipp::{Body, Run, Scenario};
use serde_json::Value;
use tokio::process::Command;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "correct horse 7";

fn here() -> SocketAddr {
    SocketAddr::new(LOOPBACK, free_port(LOOPBACK))
}

/// Two telephones of ours call through it: both are heard, and both ends hang up.
async fn talk_through(mixer: &Mixer, via: SocketAddr, what: &str) {
    let anna = mixer.call_via(via, &["--from", ANNA, "--tone", "440", "--expect-tone", "1000", "88"]);
    let bernd = mixer.call_via(via, &["--from", BERND, "--tone", "1000", "--expect-tone", "440", "--for", "12", "88"]);
    mixer.until_in("Through", 2).await;
    let report = bernd.report().await.expect("Bernd hears Anna");
    let (ms, _) = report.heard(440);
    // Our own BYE takes the same way: the line closes.
    mixer.cancel("Through").await;
    let report = anna.report().await.expect("Anna hears Bernd");
    assert_eq!(report.report["ended_by"], "the other side", "{:#}", report.report);
    println!("figure: Kamailio, {what}: sound both ways ({ms} ms), BYE both ways");
}

async fn front(transport: &str) {
    let setup = Setup::loopback();
    let mixer = if transport == "tls" { Mixer::open_with_tls(setup).await } else { Mixer::open(setup).await };
    mixer.book("Through").await;
    let server = if transport == "tls" { mixer.tls() } else { mixer.sip() };
    certificate(mixer.folder(), "proxy", "DNS:proxy.example").await;
    let (server, tls, folder) = (server.to_string(), here().to_string(), mixer.folder().display().to_string());
    let words = [("SERVER", &*server), ("TRANSPORT", transport), ("TLS", &*tls), ("FOLDER", &*folder)];
    let more: &[&str] = if transport == "tls" { &["-A", "WITH_TLS"] } else { &[] };
    let kamailio = Kamailio::start("front.cfg", here(), &words, more).await;
    let run = Run::of(kamailio.address());
    let name = |what: &str| format!("{what} through Kamailio, then {}", transport.to_uppercase());
    let held = Scenario::new(&name("hold, UPDATE and resume"))
        .call()
        .send("INVITE", &[], Body::Sound("sendonly"))
        .expect(200, &["a=recvonly"], &[])
        .ack(Body::None)
        .send("UPDATE", &[], Body::Sound("sendrecv"))
        .expect(200, &["a=sendrecv"], &[])
        .bye();
    let hidden = Scenario::new(&name("Record-Route comes back"))
        .invite(&[], Body::Sound("sendrecv"))
        .expect(200, &["Record-Route:.*lr"], &["Via:.*Via:"])
        .ack(Body::None)
        .bye();
    run.expect_over_each(&[held, hidden]).await;
    talk_through(&mixer, kamailio.address(), &name("two telephones")).await;
    kamailio.end().await;
    mixer.close().await;
}

#[tokio::test]
async fn a_proxy_in_front_over_udp() {
    println!("figure: {}", program::version("kamailio", "-v").await);
    front("udp").await;
}

#[tokio::test]
async fn a_proxy_in_front_over_tcp() {
    front("tcp").await;
}

#[tokio::test]
async fn a_proxy_in_front_over_tls() {
    front("tls").await;
}

fn secret_file(password: &str) -> PathBuf {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.keep().join("pbx.secret");
    std::fs::write(&file, format!("{password}\n")).expect("a file");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("a file");
    file
}

/// Settings by which the mixer registers there, with this password.
fn extension(registrar: SocketAddr, transport: &str, password: &str) -> Setup {
    let file = secret_file(password);
    let mut setup = Setup::loopback();
    setup.trunks = format!(
        "[[trunk]]\nname = \"pbx\"\nserver = \"{registrar}\"\ntransport = \"{transport}\"\nregister = true\nuser = \"88\"\n\
         domain = \"pbx.example\"\npassword_file = \"{}\"\nexpires_seconds = 60\ncalled_from = \"to\"\n\
         own_numbers = [\"+493023125\"]\n",
        file.display()
    );
    setup
}

async fn registered(transport: &'static str, algorithm: &str) {
    let at = here();
    let words = [("PASSWORD", PASSWORD), ("ALGORITHM", algorithm)];
    let kamailio = Kamailio::start("registrar.cfg", at, &words, &[]).await;
    let mixer = Mixer::open(extension(at, transport, PASSWORD)).await;
    mixer.book("Through").await;
    kamailio.says("REGISTER accepted", 1, SOON).await;
    let what = format!("registered over {} with {algorithm}", transport.to_uppercase());
    talk_through(&mixer, at, &format!("{what}, called as extension 88")).await;
    // It forgets everything. It grants twenty seconds of the sixty asked for: the next REGISTER comes before they are over.
    kamailio.end().await;
    let kamailio = Kamailio::start("registrar.cfg", at, &words, &[]).await;
    kamailio.says("REGISTER accepted", 1, Duration::from_secs(20)).await;
    println!("figure: Kamailio, {what}: registers again after the registrar has forgotten it");
    mixer.close().await;
    kamailio.says("REGISTER taken away", 1, SOON).await;
    println!("figure: Kamailio, {what}: takes its registration away when it ends");
    kamailio.end().await;
}

#[tokio::test]
async fn an_extension_registers_over_udp_with_md5() {
    registered("udp", "MD5").await;
}

#[tokio::test]
async fn an_extension_registers_over_tcp_with_sha_256() {
    registered("tcp", "SHA-256").await;
}

/// A telephone of ours is the extension, and SIPp wants to be sure that it rings.
#[tokio::test]
async fn a_telephone_that_rings_is_confirmed_by_prack() {
    let at = here();
    let kamailio = Kamailio::start("registrar.cfg", at, &[("PASSWORD", PASSWORD), ("ALGORITHM", "MD5")], &[]).await;
    let secret = secret_file(PASSWORD);
    let flags = ["--answer", "30", "--register", "--user", "77", "--domain", "pbx.example", "--password-file"];
    let run = Run { service: "77", ..Run::of(at) };
    let sure = Scenario::new("180 confirmed by PRACK, through Kamailio")
        .invite(&["Require: 100rel", "Supported: 100rel"], Body::Sound("sendrecv"))
        .expect_reliable(180)
        .prack()
        // Of the PRACK and of the INVITE, in either order: ringing told nothing that would have to be known first.
        .answer(200, &[], &[])
        .answer(200, &[], &[])
        .ack(Body::None)
        .pause(500)
        .bye();
    for (count, run) in [run.clone(), run.over_tcp()].into_iter().enumerate() {
        let mut command = Command::new(executable());
        command.args(["phone", "--json", "--via", &at.to_string()]).args(flags).arg(&secret);
        let phone = Phone::start(command);
        kamailio.says("REGISTER accepted, 77", count + 1, SOON).await;
        run.expect(&sure).await;
        let report = phone.report().await;
        assert_eq!(report.report["ended_by"], "the other side", "{:#}", report.report);
        kamailio.says("REGISTER taken away, 77", count + 1, SOON).await;
    }
    kamailio.end().await;
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again_and_again() {
    let at = here();
    let kamailio = Kamailio::start("registrar.cfg", at, &[("PASSWORD", PASSWORD), ("ALGORITHM", "MD5")], &[]).await;
    let mixer = Mixer::open(extension(at, "udp", "wrong")).await;
    kamailio.says("REGISTER challenged", 2, SOON).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let tries = kamailio.count("REGISTER challenged");
    assert!(tries <= 4, "{tries} tries within seconds");
    assert!(mixer.log().contains("pbx"), "the log names the trunk");
    println!("figure: Kamailio, a wrong password: {tries} requests in the first seconds");
    mixer.close().await;
    kamailio.end().await;
}

/// What `dialroom check trunk` says: the outcome and the words of each step, by its name.
async fn check(setup: &Setup) -> (bool, HashMap<String, (String, String)>) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = setup.write(folder.path());
    let mut command = Command::new(executable());
    command.args(["check", "trunk", "pbx", "--json", "--settings"]).arg(file).kill_on_drop(true);
    let output = tokio::time::timeout(SOON, command.output()).await.expect("it ends").expect("it ran");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let steps = report[0]["steps"].as_array().expect("steps").iter();
    let steps = steps.map(|step| {
        let outcome = step["outcome"].as_str().expect("an outcome").to_owned();
        (step["step"].as_str().expect("a name").to_owned(), (outcome, step.to_string()))
    });
    (output.status.success(), steps.collect())
}

#[tokio::test]
async fn a_trunk_is_checked_step_by_step() {
    let at = here();
    let kamailio = Kamailio::start("registrar.cfg", at, &[("PASSWORD", PASSWORD), ("ALGORITHM", "MD5")], &[]).await;
    for transport in ["udp", "tcp"] {
        let (well, steps) = check(&extension(at, transport, PASSWORD)).await;
        assert!(well, "{steps:#?}");
        for step in ["DNS", "transport", "OPTIONS", "registration", "test call"] {
            assert_eq!(steps[step].0, "passed", "{step}: {steps:#?}");
        }
        println!("figure: dialroom check trunk, Kamailio over {transport}: {}", steps["test call"].1);
    }
    let (well, steps) = check(&extension(at, "udp", "wrong")).await;
    let (outcome, words) = &steps["registration"];
    assert!(!well && outcome == "failed" && words.contains("401") && words.contains("password"), "{steps:#?}");
    assert_eq!(steps["test call"].0, "skipped", "{steps:#?}");
    kamailio.end().await;
    let (well, steps) = check(&extension(at, "tcp", PASSWORD)).await;
    let (outcome, words) = &steps["transport"];
    assert!(!well && outcome == "failed" && words.contains(&at.to_string()), "{steps:#?}");
}
