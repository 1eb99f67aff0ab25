//! Everything that nobody may guess: tags, branches, keys, and the jitter of what would otherwise happen all at once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

/// A generator fed by the program's seed, and a secret for tags that need no memory.
pub(crate) struct Chance {
    generator: ChaCha20Rng,
    secret: [u8; 32],
}

impl Chance {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let mut generator = ChaCha20Rng::from_seed(seed);
        let mut secret = [0; 32];
        generator.fill_bytes(&mut secret);
        Self { generator, secret }
    }

    /// A number nobody can guess.
    pub(crate) fn number(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// Fills key material.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.generator.fill_bytes(bytes);
    }

    /// A Call-ID of our own, without a host: nothing about us is in it.
    pub(crate) fn call_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.number(), self.number())
    }

    /// A time between half and the whole of `longest`.
    pub(crate) fn jittered(&mut self, longest: Duration) -> Duration {
        let part = u32::try_from(self.number() % 1_000).unwrap_or_default();
        longest / 2 + longest / 2_000 * part
    }

    /// The same words give the same number, and nobody else can tell which (RFC 3261 section 8.2.7: tags without memory).
    pub(crate) fn mark(&self, words: &[&str]) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        words.hash(&mut hasher);
        hasher.finish()
    }
}

/// A number as a tag.
pub(crate) fn tag(number: u64) -> String {
    format!("{number:016x}")
}

/// The number behind a tag of ours; `None` for all that we never wrote.
pub(crate) fn untag(tag: &str) -> Option<u64> {
    let ours = tag.len() == 16 && tag.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    ours.then(|| u64::from_str_radix(tag, 16).ok()).flatten()
}
