//! From a master key to the keys of a session (RFC 3711 section 4.3; RFC 7714 section 11). The key derivation rate is zero,
//! as SDES has it unless it says otherwise: keys are derived once.

use super::cipher::{BlockCipher, keystream};
use super::{Keying, Suite};

/// What a derived key is for.
#[derive(Clone, Copy)]
pub(super) enum Label {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
}

/// Sound or reports; they have keys of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rtp = 0,
    Rtcp = 3,
}

/// Session keys of one direction and kind.
pub(super) struct Keys {
    pub(super) encryption: [u8; 32],
    pub(super) authentication: [u8; 20],
    pub(super) salt: [u8; 14],
}

impl Keys {
    pub(super) fn derive(suite: Suite, keying: &Keying, kind: Kind) -> Self {
        let master = BlockCipher::new(suite, &keying.key);
        let mut keys = Self { encryption: [0; 32], authentication: [0; 20], salt: [0; 14] };
        fill(&master, keying, kind, Label::Encryption, &mut keys.encryption[..suite.key_bytes()]);
        fill(&master, keying, kind, Label::Authentication, &mut keys.authentication);
        fill(&master, keying, kind, Label::Salt, &mut keys.salt[..suite.salt_bytes()]);
        keys
    }
}

impl Suite {
    pub(super) fn key_bytes(self) -> usize {
        match self {
            Self::AesCm128Sha1Tag80 | Self::AesCm128Sha1Tag32 | Self::AesGcm128 => 16,
            Self::AesGcm256 => 32,
        }
    }

    pub(super) fn salt_bytes(self) -> usize {
        match self {
            Self::AesCm128Sha1Tag80 | Self::AesCm128Sha1Tag32 => 14,
            Self::AesGcm128 | Self::AesGcm256 => 12,
        }
    }
}

/// The pseudo-random function: the keystream that belongs to this label.
fn fill(master: &BlockCipher, keying: &Keying, kind: Kind, label: Label, key: &mut [u8]) {
    let mut start = [0; 16];
    // A salt of 12 bytes is followed by zeros here (RFC 7714 section 11).
    start[..14].copy_from_slice(&keying.salt);
    start[7] ^= kind as u8 + label as u8;
    key.fill(0);
    keystream(master, start, key);
}
