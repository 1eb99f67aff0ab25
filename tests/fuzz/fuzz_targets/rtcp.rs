//! A compound RTCP packet (RFC 3550 section 6): any bytes only return.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mixer_media::fuzzing::rtcp(bytes);
});
