//! `a=crypto` (RFC 4568), with the suites of RFC 7714: which of the keys offered we take, and how ours are written.

use std::fmt::Write;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::text::Line;
use crate::types::{CryptoSuite, Keying};

/// Our suites, the strongest first: the order in which they are offered and in which one is chosen.
pub(super) const SUITES: [CryptoSuite; 4] =
    [CryptoSuite::AesGcm256, CryptoSuite::AesGcm128, CryptoSuite::AesCm128Sha1Tag80, CryptoSuite::AesCm128Sha1Tag32];
/// A key that may protect fewer packets than 2^22 (eleven hours of a hundred a second) is not taken: calls never change
/// keys on their own, and the longest conference is shorter than that.
const MIN_LIFETIME_BITS: u32 = 22;
/// Lines looked at; nobody has more suites than there are.
const MAX_CRYPTO_LINES: usize = 16;
/// Digits of a tag (RFC 4568 section 9.1).
const MAX_TAG_DIGITS: usize = 9;

/// Some telephones leave the padding out where the suite's length would ask for it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One usable line: which number it has, and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CryptoLine {
    /// The number that an answer repeats.
    pub(super) tag: u32,
    /// Its suite.
    pub(super) suite: CryptoSuite,
    /// What its writer encrypts with.
    pub(super) key: Keying,
}

/// The strongest usable key of a media line; of equals the first.
pub(super) fn strongest(line: &Line<'_>) -> Option<CryptoLine> {
    usable(line).min_by_key(|crypto| SUITES.iter().position(|&suite| suite == crypto.suite))
}

/// The line's usable keys, in its order. A line that wants what we do not do is passed over, never half obeyed.
pub(super) fn usable<'s>(line: &'s Line<'_>) -> impl Iterator<Item = CryptoLine> + 's {
    line.all("crypto").take(MAX_CRYPTO_LINES).filter_map(read)
}

/// Writes a line.
pub(super) fn write(sdp: &mut String, crypto: &CryptoLine) {
    let suite = crypto.suite;
    let (key, salt) = (&crypto.key.key[..suite.key_len()], &crypto.key.salt[..suite.salt_len()]);
    let inline = LENIENT.encode([key, salt].concat());
    let _ = write!(sdp, "a=crypto:{} {} inline:{inline}\r\n", crypto.tag, name(suite));
}

/// A drawn key, cut to what the suite needs: both sides then hold equal values.
pub(super) fn cut(suite: CryptoSuite, drawn: Keying) -> Keying {
    let mut cut = drawn;
    cut.key[suite.key_len()..].fill(0);
    cut.salt[suite.salt_len()..].fill(0);
    cut
}

const fn name(suite: CryptoSuite) -> &'static str {
    match suite {
        CryptoSuite::AesGcm256 => "AEAD_AES_256_GCM",
        CryptoSuite::AesGcm128 => "AEAD_AES_128_GCM",
        CryptoSuite::AesCm128Sha1Tag80 => "AES_CM_128_HMAC_SHA1_80",
        CryptoSuite::AesCm128Sha1Tag32 => "AES_CM_128_HMAC_SHA1_32",
    }
}

/// `1 AES_CM_128_HMAC_SHA1_80 inline:…|2^48 WSH=64`
fn read(value: &str) -> Option<CryptoLine> {
    let mut words = value.split_ascii_whitespace();
    let (tag, suite, key) = (words.next()?, words.next()?, words.next()?);
    let is_number = (1..=MAX_TAG_DIGITS).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_digit());
    let tag = is_number.then(|| tag.parse().ok()).flatten()?;
    let suite = SUITES.into_iter().find(|&known| name(known).eq_ignore_ascii_case(suite))?;
    if !words.all(is_harmless) {
        return None;
    }
    Some(CryptoLine { tag, suite, key: read_key(suite, key)? })
}

/// Session parameters that change nothing for us: a window size, which is advice, and those that say themselves that
/// they may be ignored (RFC 4568 section 6.3.7). `UNENCRYPTED_SRTP` and its like, key derivation rates and error
/// correction are refused with their line.
fn is_harmless(parameter: &str) -> bool {
    parameter.starts_with('-') || parameter.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("WSH="))
}

/// One key, inline. A list of keys, or a key with an identifier (MKI) in every packet, is not ours.
fn read_key(suite: CryptoSuite, written: &str) -> Option<Keying> {
    let (method, info) = written.split_once(':')?;
    if !method.eq_ignore_ascii_case("inline") || info.contains(';') {
        return None;
    }
    let mut parts = info.split('|');
    let (encoded, rest) = (parts.next()?, parts.next());
    if parts.next().is_some() || rest.is_some_and(|lifetime| !is_long_enough(lifetime)) {
        return None;
    }
    // One byte more than the longest key fails below, and nothing longer is even decoded.
    if encoded.len() > 64 {
        return None;
    }
    let bytes = LENIENT.decode(encoded).ok()?;
    if bytes.len() != suite.key_len() + suite.salt_len() {
        return None;
    }
    let (key, salt) = bytes.split_at(suite.key_len());
    let mut keying = Keying { key: [0; 32], salt: [0; 14] };
    keying.key[..key.len()].copy_from_slice(key);
    keying.salt[..salt.len()].copy_from_slice(salt);
    Some(keying)
}

/// `2^48` or `1048576`; what has a colon is no lifetime but an identifier.
fn is_long_enough(lifetime: &str) -> bool {
    lifetime.strip_prefix("2^").map_or_else(
        || lifetime.parse::<u64>().is_ok_and(|packets| packets >= 1 << MIN_LIFETIME_BITS),
        |bits| bits.parse::<u32>().is_ok_and(|bits| (MIN_LIFETIME_BITS..=48).contains(&bits)),
    )
}
