//! Encrypted sound and reports: SRTP and SRTCP (RFC 3711), with AES in counter mode and HMAC-SHA1, or AES-GCM (RFC 7714).
//!
//! Works in the place where the packet lies and allocates nothing per packet. What fails its tag, comes twice or is too old is
//! refused with a word; whoever asked counts it, and nothing else ever follows from it: neither state nor a call's end.

mod cipher;
mod inbound;
mod keys;
mod outbound;
mod replay;

use std::fmt;

pub(crate) use inbound::Unprotect;
pub(crate) use outbound::Protect;

/// What a packet grows by at most: a tag of 16 bytes and an SRTCP index of 4.
pub(crate) const TRAILER_MAX: usize = 20;

/// How a stream is encrypted, as SDES (RFC 4568) or whoever else agreed on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Srtp {
    /// Cipher and tag.
    pub suite: Suite,
    /// What we encrypt with.
    pub ours: Keying,
    /// What the far end encrypts with.
    pub theirs: Keying,
}

/// Cipher and tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`: a tag of 80 bits.
    AesCm128Sha1Tag80,
    /// `AES_CM_128_HMAC_SHA1_32`: a tag of 32 bits on sound, of 80 on reports.
    AesCm128Sha1Tag32,
    /// `AEAD_AES_128_GCM`.
    AesGcm128,
    /// `AEAD_AES_256_GCM`.
    AesGcm256,
}

/// Master key and master salt; as long as the suite says, the rest zero. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keying {
    /// 16 bytes, or 32 for [`Suite::AesGcm256`].
    pub key: [u8; 32],
    /// 14 bytes, or 12 for the two of GCM.
    pub salt: [u8; 14],
}

impl fmt::Debug for Srtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Srtp({:?})", self.suite)
    }
}

impl fmt::Debug for Keying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keying")
    }
}

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("too short, or its header does not fit")]
    Malformed,
    #[error("its tag is wrong")]
    Tag,
    #[error("seen before, or too old to tell")]
    Replay,
}

#[cfg(test)]
mod tests;
