//! `dialroom.toml`: every text is settings or a list of problems, each of one line and in its place.
#![no_main]

mod support;

use std::path::Path;

use dialroom_settings::Settings;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    let text = String::from_utf8_lossy(bytes);
    if let Err(problems) = Settings::read(Path::new("/etc/dialroom.toml"), &text) {
        assert!(!problems.to_string().is_empty());
    }
});
