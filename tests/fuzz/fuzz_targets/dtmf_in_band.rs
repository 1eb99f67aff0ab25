//! Sound in which keys may be heard (ITU-T Q.24): any bytes only return.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mixer_media::fuzzing::key_tones(bytes);
});
