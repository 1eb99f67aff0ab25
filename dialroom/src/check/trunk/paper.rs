//! What a trunk's table alone tells: whether its secret can be read, and what will go otherwise than meant.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dialroom_host::read_secret;
use dialroom_settings::{CalledFrom, Settings, SipTransport, SrtpPolicy, Trunk};

use crate::check::report::Step;

const STEP: &str = "settings";

/// The first step: the table, and the file that it names.
pub(super) fn step(settings: &Settings, trunk: &Trunk) -> Step {
    let file = trunk.login.as_ref().and_then(|login| login.password_file.as_deref());
    let step = match file.map(|file| (file, read_secret(file))) {
        None => Step::passed(STEP, "the table can be used; it names no secret"),
        Some((file, Ok(_))) => Step::passed(STEP, format!("the table can be used; {} can be read", file.display())),
        Some((file, Err(why))) => Step::failed(
            STEP,
            format!("trunk.password_file: {why}"),
            format!("write the password alone into {}, chmod 600, owned by who runs the mixer", file.display()),
        ),
    };
    notes(settings, trunk, file).into_iter().fold(step, Step::remedy)
}

/// What is allowed, and yet seldom meant.
fn notes(settings: &Settings, trunk: &Trunk, file: Option<&Path>) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |holds: bool, text: String| {
        if holds {
            notes.push(format!("note: {text}"));
        }
    };
    if let Some((file, mode)) = file.and_then(|file| Some((file, std::fs::metadata(file).ok()?.permissions().mode()))) {
        note(mode & 0o077 != 0, format!("others can read {}; chmod 600", file.display()));
    }
    let in_clear = trunk.transport != SipTransport::Tls;
    note(
        trunk.srtp != SrtpPolicy::Off && in_clear,
        "the keys of srtp cross the network in clear; set transport = \"tls\"".to_owned(),
    );
    note(
        trunk.register && trunk.called_from == CalledFrom::RequestUri,
        "a registered extension rarely sees the number dialled in the Request-URI; try called_from = \"to\"".to_owned(),
    );
    note(
        trunk.login.as_ref().is_some_and(|login| login.password_file.is_none()),
        "without password_file no challenge can be answered".to_owned(),
    );
    let only_loopback = settings.sip.listen.iter().chain(&settings.sip.tls_listen).all(|at| at.ip().is_loopback());
    let outside = trunk.addresses.iter().any(|block| block.only_address().is_none_or(|address| !address.is_loopback()));
    note(
        only_loopback && outside && !trunk.register,
        "sip.listen is loopback alone; no call from another machine can arrive".to_owned(),
    );
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::Outcome;

    fn told(keys: &str) -> Step {
        let text = format!("[[trunk]]\nname = \"pbx\"\naddresses = [\"127.0.0.1\"]\n{keys}\n");
        let settings = Settings::read(Path::new("/nowhere/dialroom.toml"), &text).unwrap();
        step(&settings, &settings.trunks[0])
    }

    fn check(keys: &str, note: &str) {
        let step = told(keys);
        assert!(step.remedies.iter().any(|remedy| remedy.contains(note)), "{keys}: {step:?}");
    }

    #[test]
    fn a_secret_that_cannot_be_read_fails_with_its_name() {
        let step = told("user = \"88\"\npassword_file = \"pbx.secret\"");
        assert_eq!(step.outcome, Outcome::Failed);
        assert!(step.told.contains("/nowhere/pbx.secret") && step.remedies[0].contains("chmod 600"), "{step:?}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("open.secret");
        std::fs::write(&file, "s3cret\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let step = told(&format!("user = \"88\"\npassword_file = {file:?}"));
        assert_eq!(step.outcome, Outcome::Passed);
        assert!(step.remedies[0].contains("others can read") && !format!("{step:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_seldom_meant_is_noted() {
        assert!(told("").remedies.is_empty());
        check("srtp = \"required\"", "transport = \"tls\"");
        check("user = \"88\"", "no challenge can be answered");
        check("server = \"pbx.example.com\"\nregister = true\nuser = \"88\"", "called_from = \"to\"");
        let text = "[[trunk]]\nname = \"pbx\"\naddresses = [\"192.0.2.10\"]\n";
        let settings = Settings::read(Path::new("dialroom.toml"), text).unwrap();
        assert!(step(&settings, &settings.trunks[0]).remedies[0].contains("sip.listen is loopback"));
    }
}
