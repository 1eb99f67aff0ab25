//! An RTP packet (RFC 3550 section 5.1): any bytes only return.
#![no_main]

mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    mixer_media::fuzzing::rtp(bytes);
});
