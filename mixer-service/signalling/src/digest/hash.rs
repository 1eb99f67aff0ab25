//! The hashes of a digest, and the sums that RFC 7616 section 3.4 makes of them.

use std::fmt::Write;

use md5::{Digest, Md5};
use ring::digest;

/// Most bytes that a hash has here.
const MAX_BYTES: usize = 32;

/// A hash of digest authentication, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Algorithm {
    /// Broken for signatures, still what most telephones have; as a keyed sum it holds.
    Md5,
    Sha256,
    Sha512Trunc256,
}

impl Algorithm {
    /// The algorithm of an `algorithm` parameter, and whether it is the variant that makes a key for the session.
    /// Without a parameter it is MD5 (RFC 7616 section 3.3).
    pub(super) fn of(parameter: Option<&str>) -> Option<(Self, bool)> {
        let Some(name) = parameter else { return Some((Self::Md5, false)) };
        let split = name.len().saturating_sub(SESSION.len());
        let session = name.get(split..).is_some_and(|end| end.eq_ignore_ascii_case(SESSION));
        let plain = if session { &name[..split] } else { name };
        let all = [Self::Md5, Self::Sha256, Self::Sha512Trunc256];
        all.into_iter().find(|known| known.name().eq_ignore_ascii_case(plain)).map(|known| (known, session))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512Trunc256 => "SHA-512-256",
        }
    }

    /// The hash of the parts with a colon between each two, in hexadecimal.
    pub(super) fn of_parts(self, parts: &[&[u8]]) -> String {
        match self {
            Self::Md5 => {
                let mut hash = Md5::new();
                feed(parts, |bytes| hash.update(bytes));
                hex(&hash.finalize())
            }
            Self::Sha256 => of_parts_by_ring(&digest::SHA256, parts),
            Self::Sha512Trunc256 => of_parts_by_ring(&digest::SHA512_256, parts),
        }
    }
}

const SESSION: &str = "-sess";

/// What goes into a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) session: bool,
    pub(super) user: &'a str,
    pub(super) realm: &'a str,
    pub(super) password: &'a str,
    pub(super) nonce: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    /// `None` is the form of RFC 2069, for servers that know no other.
    pub(super) protection: Option<Protection<'a>>,
}

/// The parts that `qop` adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Protection<'a> {
    pub(super) qop: &'a str,
    pub(super) count: &'a str,
    pub(super) cnonce: &'a str,
    /// The body where it is covered (`auth-int`).
    pub(super) body: Option<&'a [u8]>,
}

impl Sum<'_> {
    /// The response, in hexadecimal.
    pub(super) fn response(&self) -> String {
        let hash = |parts: &[&[u8]]| self.algorithm.of_parts(parts);
        let (nonce, cnonce) = (self.nonce.as_bytes(), self.protection.map_or("", |protection| protection.cnonce));
        let mut secret = hash(&[self.user.as_bytes(), self.realm.as_bytes(), self.password.as_bytes()]);
        if self.session {
            secret = hash(&[secret.as_bytes(), nonce, cnonce.as_bytes()]);
        }
        let (method, uri) = (self.method.as_bytes(), self.uri.as_bytes());
        let request = match self.protection.and_then(|protection| protection.body) {
            Some(body) => hash(&[method, uri, hash(&[body]).as_bytes()]),
            None => hash(&[method, uri]),
        };
        match self.protection {
            Some(Protection { qop, count, .. }) => hash(&[
                secret.as_bytes(),
                nonce,
                count.as_bytes(),
                cnonce.as_bytes(),
                qop.as_bytes(),
                request.as_bytes(),
            ]),
            None => hash(&[secret.as_bytes(), nonce, request.as_bytes()]),
        }
    }
}

/// The bytes of a response in hexadecimal of either case; `None` if it is none.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() > MAX_BYTES {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

fn of_parts_by_ring(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> String {
    let mut hash = digest::Context::new(algorithm);
    feed(parts, |bytes| hash.update(bytes));
    hex(hash.finish().as_ref())
}

fn feed(parts: &[&[u8]], mut update: impl FnMut(&[u8])) {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            update(b":");
        }
        update(part);
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
