//! Encrypted sound and reports (RFC 3711, RFC 7714): any bytes only return.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mixer_media::fuzzing::srtp(bytes);
});
