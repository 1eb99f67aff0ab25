//! A whole bridge: datagrams, orders and beats: any bytes only return.
#![no_main]

mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    mixer_media::fuzzing::bridge(bytes, support::start());
});
