//! Where random numbers come from: the operating system in the program, a seed in a simulation.

use dialroom_host::OsRandom;
use rand_core::{CryptoRng, RngCore};

/// A generator fit for PINs and secrets; cheap to clone, all clones draw from one well.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chance(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    #[cfg(test)]
    Seeded(std::sync::Arc<std::sync::Mutex<rand_chacha::ChaCha20Rng>>),
}

impl Chance {
    /// The same seed gives the same numbers.
    #[cfg(test)]
    pub(crate) fn seeded(seed: u64) -> Self {
        use rand_chacha::rand_core::SeedableRng;
        let rng = rand_chacha::ChaCha20Rng::seed_from_u64(seed);
        Self(Source::Seeded(std::sync::Arc::new(std::sync::Mutex::new(rng))))
    }
}

impl CryptoRng for Chance {}

impl RngCore for Chance {
    fn next_u32(&mut self) -> u32 {
        match &self.0 {
            Source::System => OsRandom.next_u32(),
            #[cfg(test)]
            Source::Seeded(rng) => rng.lock().unwrap().next_u32(),
        }
    }

    fn next_u64(&mut self) -> u64 {
        match &self.0 {
            Source::System => OsRandom.next_u64(),
            #[cfg(test)]
            Source::Seeded(rng) => rng.lock().unwrap().next_u64(),
        }
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System => OsRandom.fill_bytes(bytes),
            #[cfg(test)]
            Source::Seeded(rng) => rng.lock().unwrap().fill_bytes(bytes),
        }
    }
}
