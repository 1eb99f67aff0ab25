//! The two ways of encrypting a packet, on session keys. AES-GCM is `ring`'s; AES in counter mode, which `ring` does not offer, is
//! the block cipher of `aes` and a counter, and HMAC-SHA1, which `ring` has without the processor's help, is that of `sha1`.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256, Block};
use hmac::{Hmac, Mac};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::keys::{Keys, Kind};
use super::{Keying, Refused, Suite};

/// Bytes of the tag that GCM writes.
const GCM_TAG: usize = 16;
/// Blocks of keystream made at once: a packet of 20 ms has ten.
const BLOCKS: usize = 8;

/// The block cipher of either key length.
pub(super) enum BlockCipher {
    Aes128(Aes128),
    Aes256(Aes256),
}

impl BlockCipher {
    pub(super) fn new(suite: Suite, key: &[u8; 32]) -> Self {
        match suite {
            Suite::AesCm128Sha1Tag80 | Suite::AesCm128Sha1Tag32 | Suite::AesGcm128 => {
                let mut short = [0; 16];
                short.copy_from_slice(&key[..16]);
                Self::Aes128(Aes128::new(&short.into()))
            }
            Suite::AesGcm256 => Self::Aes256(Aes256::new(&(*key).into())),
        }
    }

    fn encrypt(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(cipher) => cipher.encrypt_blocks(blocks),
            Self::Aes256(cipher) => cipher.encrypt_blocks(blocks),
        }
    }
}

/// Lays the keystream over `bytes` (RFC 3711 section 4.1.1). No packet is longer than the 16 bits of its counter reach.
pub(super) fn keystream(cipher: &BlockCipher, start: [u8; 16], bytes: &mut [u8]) {
    let mut counter = u128::from_be_bytes(start);
    for chunk in bytes.chunks_mut(BLOCKS * 16) {
        let mut blocks = [Block::default(); BLOCKS];
        let blocks = &mut blocks[..chunk.len().div_ceil(16)];
        for block in &mut *blocks {
            *block = counter.to_be_bytes().into();
            counter = counter.wrapping_add(1);
        }
        cipher.encrypt(blocks);
        for (bytes, block) in chunk.chunks_mut(16).zip(blocks) {
            bytes.iter_mut().zip(&*block).for_each(|(byte, key)| *byte ^= key);
        }
    }
}

/// A direction and kind, ready for packets.
pub(super) enum Cipher {
    Counter { cipher: Box<BlockCipher>, hmac: Box<Hmac<Sha1>>, salt: [u8; 14], tag: usize },
    Gcm { key: Option<Box<LessSafeKey>>, salt: [u8; 12] },
}

/// Which packet of which sender; the index is roll-over counter and sequence number, or SRTCP's own.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) ssrc: u32,
    pub(super) index: u64,
}

impl Cipher {
    pub(super) fn new(suite: Suite, keying: &Keying, kind: Kind) -> Self {
        let keys = Keys::derive(suite, keying, kind);
        let tag = match (suite, kind) {
            (Suite::AesCm128Sha1Tag32, Kind::Rtp) => 4,
            (Suite::AesCm128Sha1Tag32, Kind::Rtcp) | (Suite::AesCm128Sha1Tag80, _) => 10,
            (Suite::AesGcm128 | Suite::AesGcm256, _) => return Self::gcm(suite, &keys),
        };
        let cipher = Box::new(BlockCipher::new(suite, &keys.encryption));
        // HMAC takes a whole block as its key; a shorter one is the same with zeros behind it (RFC 2104 section 2).
        let mut block = [0; 64];
        block[..keys.authentication.len()].copy_from_slice(&keys.authentication);
        Self::Counter { cipher, hmac: Box::new(Hmac::new(&block.into())), salt: keys.salt, tag }
    }

    pub(super) fn gcm(suite: Suite, keys: &Keys) -> Self {
        let algorithm = if suite.key_bytes() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        // A key of the algorithm's own length is never refused; without one nothing would pass.
        let key = UnboundKey::new(algorithm, &keys.encryption[..suite.key_bytes()]).ok();
        let mut salt = [0; 12];
        salt.copy_from_slice(&keys.salt[..12]);
        Self::Gcm { key: key.map(|key| Box::new(LessSafeKey::new(key))), salt }
    }

    /// Encrypts what lies between `clear` and `len`, and puts the tag behind; gives the new length. `extra` is authenticated
    /// with it: the roll-over counter, or the SRTCP index word.
    ///
    /// GCM's tag belongs to the cipher text and the index word comes after it; HMAC's comes last of all. So `trailer`, which
    /// is on the wire for SRTCP alone, is put where the suite wants it.
    pub(super) fn seal(
        &self,
        place: Place,
        packet: &mut [u8],
        clear: usize,
        len: usize,
        extra: Extra,
    ) -> Option<usize> {
        match self {
            Self::Counter { cipher, hmac, salt, tag } => {
                keystream(cipher, counter_start(salt, place), packet.get_mut(clear..len)?);
                let len = extra.append(packet, len)?;
                let sum = authenticate(hmac, &packet[..len], extra);
                packet.get_mut(len..len + tag)?.copy_from_slice(&sum[..*tag]);
                Some(len + tag)
            }
            Self::Gcm { key, salt } => {
                let (head, body) = packet.get_mut(..len)?.split_at_mut_checked(clear)?;
                let (aad, aad_len) = extra.aad(head);
                let aad = Aad::from(aad.get(..aad_len).unwrap_or(head));
                let nonce = nonce(salt, place, extra);
                let tag = key.as_ref()?.seal_in_place_separate_tag(nonce, aad, body).ok()?;
                packet.get_mut(len..len + GCM_TAG)?.copy_from_slice(tag.as_ref());
                extra.append(packet, len + GCM_TAG)
            }
        }
    }

    /// Checks and decrypts in place a packet without its trailer; gives the length of what is left of it.
    pub(super) fn open(&self, place: Place, packet: &mut [u8], clear: usize, extra: Extra) -> Result<usize, Refused> {
        match self {
            Self::Counter { cipher, hmac, salt, tag } => {
                let len = packet.len().checked_sub(*tag).filter(|len| *len >= clear).ok_or(Refused::Malformed)?;
                let (body, theirs) = packet.split_at_mut(len);
                let sum = authenticate(hmac, body, extra);
                if !bool::from(sum[..*tag].ct_eq(theirs)) {
                    return Err(Refused::Tag);
                }
                let end = len - extra.on_wire();
                keystream(cipher, counter_start(salt, place), body.get_mut(clear..end).ok_or(Refused::Malformed)?);
                Ok(end)
            }
            Self::Gcm { key, salt } => {
                let end = packet.len().checked_sub(extra.on_wire()).ok_or(Refused::Malformed)?;
                let (head, body) = packet[..end].split_at_mut_checked(clear).ok_or(Refused::Malformed)?;
                let (aad, aad_len) = extra.aad(head);
                let aad = Aad::from(aad.get(..aad_len).unwrap_or(head));
                let key = key.as_ref().ok_or(Refused::Malformed)?;
                let plain = key.open_in_place(nonce(salt, place, extra), aad, body).map_err(|_| Refused::Tag)?;
                Ok(clear + plain.len())
            }
        }
    }

    /// Bytes that a packet has at least beyond what is in clear.
    pub(super) fn tag_bytes(&self) -> usize {
        match self {
            Self::Counter { tag, .. } => *tag,
            Self::Gcm { .. } => GCM_TAG,
        }
    }

    /// Where SRTCP's index word lies from the end.
    pub(super) fn behind_index(&self) -> usize {
        match self {
            Self::Counter { tag, .. } => *tag,
            Self::Gcm { .. } => 0,
        }
    }
}

/// What is authenticated beside the packet.
#[derive(Clone, Copy)]
pub(super) enum Extra {
    /// The roll-over counter, which nobody sends.
    RollOver(u32),
    /// SRTCP's word: that it is encrypted, and its index. It is sent.
    Index(u32),
}

impl Extra {
    fn on_wire(self) -> usize {
        match self {
            Self::RollOver(_) => 0,
            Self::Index(_) => 4,
        }
    }

    fn append(self, packet: &mut [u8], len: usize) -> Option<usize> {
        if let Self::Index(word) = self {
            packet.get_mut(len..len + 4)?.copy_from_slice(&word.to_be_bytes());
        }
        Some(len + self.on_wire())
    }

    /// What GCM authenticates beside the cipher text: the header, and for SRTCP the index word behind it
    /// (RFC 7714 sections 8.2 and 9.2). A length beyond the array means the header itself.
    fn aad(self, head: &[u8]) -> ([u8; 12], usize) {
        let mut aad = [0; 12];
        match self {
            Self::RollOver(_) => (aad, usize::MAX),
            Self::Index(word) => {
                aad[..8].copy_from_slice(head.get(..8).unwrap_or(&[0; 8]));
                aad[8..].copy_from_slice(&word.to_be_bytes());
                (aad, 12)
            }
        }
    }
}

fn authenticate(key: &Hmac<Sha1>, bytes: &[u8], extra: Extra) -> [u8; 20] {
    let mut sum = key.clone();
    sum.update(bytes);
    if let Extra::RollOver(counter) = extra {
        sum.update(&counter.to_be_bytes());
    }
    sum.finalize().into_bytes().into()
}

/// RFC 3711 section 4.1.1: salt, SSRC and index, each at its place, and sixteen bits to count blocks with.
fn counter_start(salt: &[u8; 14], place: Place) -> [u8; 16] {
    let mut start = [0; 16];
    start[..14].copy_from_slice(salt);
    let value = u128::from_be_bytes(start) ^ u128::from(place.ssrc) << 64 ^ u128::from(place.index) << 16;
    value.to_be_bytes()
}

/// RFC 7714 sections 8.1 and 9.1.
fn nonce(salt: &[u8; 12], place: Place, extra: Extra) -> Nonce {
    let index = match extra {
        Extra::RollOver(_) => place.index,
        Extra::Index(_) => place.index & 0x7fff_ffff,
    };
    let mut bytes = *salt;
    for (byte, mine) in bytes[2..6].iter_mut().zip(place.ssrc.to_be_bytes()) {
        *byte ^= mine;
    }
    for (byte, mine) in bytes[6..].iter_mut().zip(&index.to_be_bytes()[2..]) {
        *byte ^= mine;
    }
    Nonce::assume_unique_for_key(bytes)
}
