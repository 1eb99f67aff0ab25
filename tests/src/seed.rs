//! Seeds: every random test prints the one it failed with, and takes it back from `DIALROOM_SEED`.

use std::ops::Range;

/// The seeds to run: `DIALROOM_SEED` alone if set, else the first `count` (ten times as many with `DIALROOM_LONG`).
#[must_use]
pub fn seeds(count: u64) -> Range<u64> {
    if let Some(seed) = std::env::var("DIALROOM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return seed..seed + 1;
    }
    0..if is_long() { count * 10 } else { count }
}

/// Whether this is a long run.
#[must_use]
pub fn is_long() -> bool {
    std::env::var_os("DIALROOM_LONG").is_some()
}

/// Prints how to replay, should the test fail while it is held.
#[derive(Debug)]
pub struct Replay {
    /// What to replay.
    pub seed: u64,
    /// Name of the test.
    pub test: &'static str,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, test } = self;
            eprintln!("replay: DIALROOM_SEED={seed} cargo test --workspace --test {test}");
        }
    }
}
