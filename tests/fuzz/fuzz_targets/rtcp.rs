//! A compound RTCP packet (RFC 3550 section 6): any bytes only return.
#![no_main]

mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    mixer_media::fuzzing::rtcp(bytes);
});
