//! Packets of Opus (RFC 6716): any bytes only return.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mixer_media::fuzzing::opus(bytes);
});
