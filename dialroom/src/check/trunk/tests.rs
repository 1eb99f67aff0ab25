//! The order of the questions, and what is left out when an earlier one fails.

use std::path::Path;

use super::*;

fn settings(trunks: &str) -> Arc<Settings> {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "[dial_in]\nnumber = \"88\"\nexternal_number = \"+49 30 23125 88\"\n[sip]\nlisten = [\"127.0.0.1:{port}\"]\n\
         [media]\nrtp_ports = \"40000-40999\"\n{}",
        trunks.replace("PORT", &port.to_string())
    );
    Arc::new(Settings::read(Path::new("/nowhere/dialroom.toml"), &text).unwrap())
}

fn outcomes(report: &Report) -> Vec<(&'static str, Outcome)> {
    report.steps.iter().map(|step| (step.step, step.outcome)).collect()
}

#[tokio::test]
async fn a_trunk_that_only_calls_us_is_told_so() {
    let settings = settings("[[trunk]]\nname = \"pbx\"\naddresses = [\"127.0.0.1\"]\n");
    let report = examine(&settings, &settings.trunks[0]).await;
    assert!(report.holds() && report.steps.len() == 6, "{report}");
    assert!(report.steps[1].told.contains("has no server"), "{report}");
    assert!(report.callers.contains("with any number that it asserts"), "{report}");
}

#[tokio::test]
async fn the_whole_way_to_a_trunk_that_leads_back_to_us() {
    let settings = settings("[[trunk]]\nname = \"pbx\"\nserver = \"127.0.0.1:PORT\"\ntransport = \"tcp\"\n");
    let report = examine(&settings, &settings.trunks[0]).await;
    let expected = [
        ("settings", Outcome::Passed),
        ("DNS", Outcome::Passed),
        ("transport", Outcome::Passed),
        ("OPTIONS", Outcome::Passed),
        ("registration", Outcome::Skipped),
        ("test call", Outcome::Passed),
    ];
    assert_eq!(outcomes(&report), expected, "{report}");
    assert!(report.steps[5].told.contains("88 came back to us"), "{report}");
}

#[tokio::test]
async fn without_a_connection_nothing_more_is_asked() {
    let settings = settings("[[trunk]]\nname = \"pbx\"\nserver = \"127.0.0.1:9\"\ntransport = \"tcp\"\n");
    let report = examine(&settings, &settings.trunks[0]).await;
    assert!(!report.holds());
    assert_eq!(report.steps[2].outcome, Outcome::Failed, "{report}");
    assert!(report.steps[2].remedies[0].contains("nobody listens there"), "{report}");
    assert!(report.steps[3..].iter().all(|step| step.outcome == Outcome::Skipped), "{report}");
}

#[test]
fn trunks_are_chosen_by_name() {
    let two =
        "[[trunk]]\nname = \"a\"\naddresses = [\"192.0.2.1\"]\n[[trunk]]\nname = \"b\"\naddresses = [\"192.0.2.2\"]\n";
    let settings = settings(two);
    assert_eq!(chosen(&settings, None).unwrap().len(), 2);
    assert_eq!(chosen(&settings, Some("b")).unwrap()[0].name, "b");
    assert!(chosen(&settings, Some("c")).unwrap_err().to_string().contains("there are \"a\", \"b\""));
}

#[test]
fn our_number_is_written_as_the_other_side_knows_it() {
    let number = |keys: &str| {
        let settings = settings(&format!("[[trunk]]\nname = \"pbx\"\nserver = \"192.0.2.1\"\n{keys}\n"));
        own_number(&settings, &settings.trunks[0])
    };
    assert_eq!(number(""), "88");
    assert_eq!(number("register = true\nuser = \"x\""), "+49302312588");
    assert_eq!(number("register = true\nuser = \"x\"\nnumbers = [\"4930 2312588\"]"), "49302312588");
}
