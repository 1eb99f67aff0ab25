//! PINs at rest: encrypted with a key that lives outside the store (ChaCha20-Poly1305, RFC 8439).

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::{BookingId, Pin};

/// The key of a store's PINs.
pub struct SealKey(LessSafeKey);

impl SealKey {
    /// Bytes of a key.
    pub const LEN: usize = 32;
    /// Bytes of chance that one sealing needs. A nonce must never come twice under one key: draw it, 96 random bits.
    pub const NONCE_LEN: usize = NONCE_LEN;

    /// A key of these bytes.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the array has the length that the algorithm asks for")]
    pub fn new(bytes: &[u8; Self::LEN]) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("32 bytes are a key")))
    }

    /// Encrypts a PIN for one booking; a copy moved to another booking does not open.
    #[must_use]
    #[expect(clippy::expect_used, reason = "sealing a dozen bytes cannot exceed the algorithm's 256 GiB")]
    pub fn seal(&self, booking: &BookingId, pin: &Pin, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let mut sealed = pin.expose().as_bytes().to_vec();
        let aad = Aad::from(booking.as_str().as_bytes());
        self.0.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).expect("short text");
        let mut out = nonce.to_vec();
        out.append(&mut sealed);
        out
    }

    /// Decrypts what [`seal`](Self::seal) made for this booking.
    ///
    /// # Errors
    /// When the key is another one, the booking is another one, or a bit was changed.
    pub fn open(&self, booking: &BookingId, sealed: &[u8]) -> Result<Pin, SealError> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let mut text = text.to_vec();
        let plain =
            self.0.open_in_place(nonce, Aad::from(booking.as_str().as_bytes()), &mut text).map_err(|_| SealError)?;
        std::str::from_utf8(plain).ok().and_then(|digits| Pin::parse(digits).ok()).ok_or(SealError)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

/// A PIN that does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored PIN does not open with this key file; restore the key file that belongs to the store")]
pub struct SealError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_its_key_and_booking() {
        let (key, pin) = (SealKey::new(&[7; 32]), Pin::parse("482915").unwrap());
        let (mine, other) = (BookingId::parse("a").unwrap(), BookingId::parse("b").unwrap());
        let sealed = key.seal(&mine, &pin, [1; 12]);
        assert!(!sealed.windows(6).any(|part| part == b"482915"));
        assert_eq!(key.open(&mine, &sealed).unwrap(), pin);
        assert!(key.open(&other, &sealed).is_err() && SealKey::new(&[8; 32]).open(&mine, &sealed).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut bent = sealed.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(&mine, &bent).is_err());
        }
        assert!((0..sealed.len()).all(|len| key.open(&mine, &sealed[..len]).is_err()));
    }
}
