//! Encrypted sound and reports (RFC 3711, RFC 7714): any bytes only return.
#![no_main]

mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    mixer_media::fuzzing::srtp(bytes);
});
