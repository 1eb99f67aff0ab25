//! Asking others to prove themselves, and weighing their proof.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use subtle::ConstantTimeEq;

use super::hash::{Algorithm, Protection, Sum, unhex};
use super::nonce::{Genuine, Nonces};
use super::params::{Params, escaped, unescaped};

/// What we ask with, the one we like best first (RFC 8760 section 2.3).
const OFFERED: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];
/// What an unknown user's password is taken to be: any will do, it never fits.
const NOBODYS_PASSWORD: &str = "nobody has this one";

/// Asks for digests and weighs them. Remembers only nonces that were used with a right password.
pub struct Challenger {
    nonces: Nonces,
}

impl fmt::Debug for Challenger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenger").finish_non_exhaustive()
    }
}

/// A request that claims to come from somebody we know.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// Where it came from.
    pub source: IpAddr,
    /// The realm that it was asked in.
    pub realm: &'a str,
    /// The value of its `Authorization` or `Proxy-Authorization`.
    pub header: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its Request-URI, as written.
    pub uri: &'a str,
}

impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("source", &self.source).field("method", &self.method).finish_non_exhaustive()
    }
}

/// What a claim is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is proved.
    Accepted {
        /// Whose password it was.
        user: String,
    },
    /// The password is right, the nonce is not: too old, used before, or another's. Ask once more, with `stale`.
    Stale,
    /// Wrong, or no proof at all.
    Refused,
}

/// A claim's parts, as far as they can be weighed.
struct Proof<'a> {
    user: &'a str,
    nonce: &'a str,
    uri: &'a str,
    response: Vec<u8>,
    algorithm: Algorithm,
    cnonce: &'a str,
    count: &'a str,
    count_value: u32,
}

impl Challenger {
    /// `secret` signs the nonces: from the system, never written down.
    #[must_use]
    pub fn new(now: Instant, secret: &[u8; 32]) -> Self {
        Self { nonces: Nonces::new(now, secret) }
    }

    /// Values for `WWW-Authenticate` or `Proxy-Authenticate` headers, one each, in this order. `stale` tells that only
    /// the nonce was at fault.
    pub fn challenge(&mut self, now: Instant, source: IpAddr, realm: &str, stale: bool) -> Vec<String> {
        let nonce = self.nonces.draw(now, source, realm);
        let stale = if stale { ", stale=true" } else { "" };
        let realm = escaped(realm);
        OFFERED
            .iter()
            .map(|algorithm| {
                let algorithm = algorithm.name();
                format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}")
            })
            .collect()
    }

    /// Weighs a claim. `password` finds a user's; one that nobody has costs as much time as a wrong password.
    pub fn verify(
        &mut self,
        now: Instant,
        claim: &Claim<'_>,
        password: impl FnOnce(&str) -> Option<String>,
    ) -> Verdict {
        let Some(proof) = Proof::read(claim) else { return Verdict::Refused };
        let user = unescaped(proof.user);
        let known = password(&user);
        let fits = proof.fits(claim, known.as_deref().unwrap_or(NOBODYS_PASSWORD));
        if !fits || known.is_none() {
            return Verdict::Refused;
        }
        match self.nonces.check(now, claim.source, claim.realm, proof.nonce) {
            Some(genuine) if self.is_fresh(now, genuine, &proof) => Verdict::Accepted { user: user.into_owned() },
            Some(_) | None => Verdict::Stale,
        }
    }

    fn is_fresh(&mut self, now: Instant, genuine: Genuine, proof: &Proof<'_>) -> bool {
        self.nonces.spend(now, genuine, proof.count_value)
    }
}

impl<'a> Proof<'a> {
    /// `None` for what nobody who was asked by us would write: another realm or resource, a hash that we did not offer,
    /// or the form without `qop`, which can be played back.
    fn read(claim: &Claim<'a>) -> Option<Self> {
        let params = Params::read(claim.header)?;
        let (algorithm, session) = Algorithm::of(params.get("algorithm"))?;
        let asked = OFFERED.contains(&algorithm) && !session;
        let here = params.get("realm").is_some_and(|realm| unescaped(realm) == claim.realm);
        let covered = params.get("qop").is_some_and(|qop| qop.eq_ignore_ascii_case("auth"));
        let uri = params.get("uri")?;
        if !(asked && here && covered && is_same_resource(uri, claim.uri)) {
            return None;
        }
        let count = params.get("nc")?;
        let count_value = u32::from_str_radix(count, 16).ok().filter(|_| count.len() == 8)?;
        Some(Self {
            user: params.get("username")?,
            nonce: params.get("nonce")?,
            uri,
            response: unhex(params.get("response")?)?,
            algorithm,
            cnonce: params.get("cnonce")?,
            count,
            count_value,
        })
    }

    fn fits(&self, claim: &Claim<'_>, password: &str) -> bool {
        let user = unescaped(self.user);
        let sum = Sum {
            algorithm: self.algorithm,
            session: false,
            user: &user,
            realm: claim.realm,
            password,
            nonce: self.nonce,
            method: claim.method,
            uri: self.uri,
            protection: Some(Protection { qop: "auth", count: self.count, cnonce: self.cnonce, body: None }),
        };
        let expected = unhex(&sum.response()).unwrap_or_default();
        expected.ct_eq(&self.response).into()
    }
}

/// Whether a digest was made for this request. Proxies on the way add parameters to the Request-URI or take them off;
/// who is called and where must be the same.
fn is_same_resource(proved: &str, asked: &str) -> bool {
    proved == asked || (split_uri(proved).is_some() && split_uri(proved) == split_uri(asked))
}

/// Scheme, user part and host with port; scheme and host in lower case.
fn split_uri(uri: &str) -> Option<(String, &str, String)> {
    let (scheme, rest) = uri.split_once(':')?;
    let (user, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    let host = rest.split([';', '?']).next().unwrap_or_default();
    Some((scheme.to_ascii_lowercase(), user, host.to_ascii_lowercase()))
}
