//! Chance from the operating system's cryptographic generator.

use rand_core::{CryptoRng, RngCore};

/// The operating system's generator; for PINs, tokens and keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl CryptoRng for OsRandom {}

#[expect(
    clippy::expect_used,
    reason = "a system without entropy cannot make a PIN; going on would make a guessable one"
)]
impl RngCore for OsRandom {
    fn next_u32(&mut self) -> u32 {
        getrandom::u32().expect("the operating system gives random bytes")
    }

    fn next_u64(&mut self) -> u64 {
        getrandom::u64().expect("the operating system gives random bytes")
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
