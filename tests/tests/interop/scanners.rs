//! What scanners learn: nothing about the product's version, nothing about which numbers exist; and they are soon deaf.

use std::net::IpAddr;
use std::time::Duration;

use dialroom_tests::bare::Bare;
use dialroom_tests::lab::{SERVER, TRUNK, in_lab, stranger};
use dialroom_tests::mixer::{BERND, GUEST, Mixer, Setup};
use dialroom_tests::program::{self, Program};
use tokio::process::Command;

/// Longest time that a scan may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Numbers that are tried; 88 is the one that exists.
const NUMBERS: &str = "70-99";

async fn words(name: &'static str, arguments: &[&str]) -> String {
    let (_, words) = Program::start(name, Command::new(name).args(arguments)).wait(LIMIT).await;
    words
}

/// Whether OPTIONS from that address are answered.
async fn is_heard(mixer: &Mixer, from: IpAddr) -> bool {
    let mut bare = Bare::new(from, mixer.sip(), BERND).await;
    let options = bare.slip.request("OPTIONS", "", ("", ""));
    bare.exchange_within(&options, Duration::from_millis(1_200)).await.is_some_and(|answer| answer.status == 200)
}

#[test]
fn a_scanner_learns_nothing_and_is_banned() {
    in_lab(async || {
        println!("figure: {}", program::version("sipsak", "--version").await);
        let mixer = Mixer::open(Setup::new(SERVER, TRUNK)).await;
        let (server, port) = (SERVER.to_string(), mixer.sip().port().to_string());

        let uri = format!("sip:88@{}", mixer.sip());
        let (asked, told) =
            Program::start("sipsak", Command::new("sipsak").args(["-s", &uri, "-vv"])).wait(LIMIT).await;
        assert!(asked && told.contains("200 OK"), "{told}");
        println!("figure: sipsak: OPTIONS answered with 200");

        let mapped = words("svmap", &["-p", &port, &server]).await;
        assert!(mapped.contains(&server), "it is found: {mapped}");
        let versions = [env!("CARGO_PKG_VERSION"), "rsip", "/0", "/1"];
        assert!(!versions.iter().any(|version| mapped.contains(version)), "and tells no version: {mapped}");
        println!("figure: svmap: finds a server, no version");

        let of = ["-e", NUMBERS, "-m", "INVITE", "-p", &port, "-t", "1", &server];
        let scanned = words("svwar", &of).await;
        let told = (70..100).filter(|number| scanned.contains(&format!("| {number} "))).count();
        assert!(told == 0 || told == 30, "all numbers look alike: {scanned}");
        println!("figure: svwar: tells {told} of 30 numbers from the others");

        let cracked = words("svcrack", &["-u", "88", "-r", "1-60", "-p", &port, &server]).await;
        assert!(!cracked.contains("| 88 "), "{cracked}");
        println!("figure: svcrack: no password");

        // It gives up at the first answer. Somebody who does not misses each time.
        let source = stranger(2);
        let mut cracker = Bare::new(source, mixer.sip(), "88").await;
        for _ in 0..20 {
            let register = cracker.slip.request("REGISTER", "", ("", ""));
            let answer = cracker.exchange_within(&register, Duration::from_millis(400)).await;
            assert!(answer.is_none_or(|answer| answer.status == 405), "nobody registers here");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        assert!(!is_heard(&mixer, source).await, "whoever misses so often is not answered any more");
        assert!(is_heard(&mixer, stranger(3)).await, "his neighbour is");
        assert!(is_heard(&mixer, TRUNK).await, "the telephone system is");
        println!("figure: 20 attempts to register: the source is banned, others are not");

        let mut guest = Bare::new(TRUNK, mixer.sip(), GUEST).await;
        let took = guest.call().await;
        assert!(took < Duration::from_millis(500), "a call from the telephone system is up in {took:?}");
        guest.hang_up().await;
        mixer.close().await;
    });
}
