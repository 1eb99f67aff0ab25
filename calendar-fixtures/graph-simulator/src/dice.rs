//! Seeded chance: the same seed gives the same ids, faults and messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};

use crate::item::Ids;

#[derive(Debug)]
pub(crate) struct Dice {
    rng: ChaCha8Rng,
    twin: Option<(String, String)>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), twin: None }
    }

    /// True with this probability.
    pub(crate) fn happens(&mut self, rate: f64) -> bool {
        f64::from(self.rng.next_u32()) < rate * (f64::from(u32::MAX) + 1.0)
    }

    /// A number below `sides`; 0 when there are none.
    pub(crate) fn below(&mut self, sides: usize) -> usize {
        let roll = usize::try_from(self.rng.next_u32()).unwrap_or(0);
        roll.checked_rem(sides).unwrap_or(0)
    }

    pub(crate) fn guid(&mut self) -> String {
        let mut raw = [0; 16];
        self.rng.fill_bytes(&mut raw);
        let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
    }

    /// A text nobody can guess, for tokens and secrets of the simulation.
    pub(crate) fn token(&mut self) -> String {
        let mut raw = [0; 33];
        self.rng.fill_bytes(&mut raw);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(raw)
    }

    /// The hexadecimal global object id that Exchange makes for a meeting.
    pub(crate) fn meeting_uid(&mut self) -> String {
        let mut raw = [0; 32];
        self.rng.fill_bytes(&mut raw);
        let tail: String = raw.iter().map(|byte| format!("{byte:02X}")).collect();
        format!("040000008200E00074C5B7101A82E00800000000{tail}00000000")
    }

    /// Ids of an item. They hold `/`, `+` and `=`; every second pair differs from the one before only in the case of
    /// one letter, as happens in real mailboxes too.
    pub(crate) fn ids(&mut self) -> Ids {
        if let Some((default, immutable)) = self.twin.take() {
            return Ids { default, immutable };
        }
        let default = format!("AAMkAG{}/x+{}=", self.letters(27), self.letters(12));
        let immutable = format!("AAkALg{}/q+{}=", self.letters(21), self.letters(8));
        self.twin = Some((default.replacen("/x+", "/X+", 1), immutable.replacen("/q+", "/Q+", 1)));
        Ids { default, immutable }
    }

    fn letters(&mut self, bytes: usize) -> String {
        let mut raw = vec![0; bytes];
        self.rng.fill_bytes(&mut raw);
        STANDARD.encode(raw)
    }
}
