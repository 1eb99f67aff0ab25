//! An RTP packet (RFC 3550 section 5.1): any bytes only return.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mixer_media::fuzzing::rtp(bytes);
});
