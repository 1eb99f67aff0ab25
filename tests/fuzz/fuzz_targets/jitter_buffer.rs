//! Packets that come late, twice, or from anywhere in time: any bytes only return.
#![no_main]

mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    mixer_media::fuzzing::jitter_buffer(bytes, support::start());
});
