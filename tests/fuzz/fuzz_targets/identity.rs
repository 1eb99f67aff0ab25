//! Who calls (RFC 3325, RFC 3966): whatever stands in the headers, a stranger is never believed, and a telephone system that
//! may speak for its own numbers alone never is about others.
#![no_main]

mod support;

use std::path::Path;
use std::sync::OnceLock;

use dialroom_booking::Trust;
use dialroom_settings::{Settings, Trunk};
use mixer_service::identity::{Believed, believed};
use mixer_service::sip::CallerHeaders;

const SETTINGS: &str = r#"
[dial_in]
number = "88"
[[trunk]]
name = "own"
addresses = ["192.0.2.1"]
believes = "extensions"
own_numbers = ["+493023125"]
[[trunk]]
name = "all"
addresses = ["192.0.2.2"]
identity = ["From", "P-Asserted-Identity"]
[[trunk.rewrite]]
prefix = "0"
replace = "+49"
"#;

fn settings() -> &'static Settings {
    static SETTINGS_READ: OnceLock<Settings> = OnceLock::new();
    SETTINGS_READ.get_or_init(|| Settings::read(Path::new("/dialroom.toml"), SETTINGS).expect("settings"))
}

/// What each INVITE costs.
fn caller(trunk: Option<&Trunk>, headers: &CallerHeaders) -> Believed {
    let _watch = support::Watch::start();
    believed(settings(), trunk, headers)
}

/// The plans of all countries' numbers are read once.
fn warm_up() {
    let from = vec!["<sip:3023125002@a>".to_owned()];
    let headers = CallerHeaders { from, ..CallerHeaders::default() };
    let _ = believed(settings(), settings().trunks.last(), &headers);
    let _ = believed(settings(), None, &headers);
}

libfuzzer_sys::fuzz_target!(init: warm_up(), |bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut headers = CallerHeaders::default();
    // A line for each header; its first sign says which.
    for line in text.lines().take(12) {
        let (kind, value) = line.split_at(line.chars().next().map_or(0, char::len_utf8));
        let into = match kind {
            "f" => &mut headers.from,
            "p" => &mut headers.privacy,
            _ => &mut headers.asserted,
        };
        // More or longer ones never come this far.
        if into.len() < CallerHeaders::MAX_VALUES && value.len() <= CallerHeaders::MAX_VALUE_LEN {
            into.push(value.to_owned());
        }
    }
    let stranger = caller(None, &headers);
    assert_eq!(stranger.trust, Trust::Claimed, "{stranger:?}");
    for trunk in &settings().trunks {
        let caller = caller(Some(trunk), &headers);
        if caller.number.is_none() {
            assert_eq!(caller.trust, Trust::Claimed, "nobody is believed");
        }
        if let (Some(number), "own") = (&caller.number, &*trunk.name) {
            let own = number.as_str().starts_with("+493023125");
            assert!(own || caller.trust == Trust::Claimed, "{caller:?}");
        }
    }
});
