//! Answering challenges: only of the realm that is ours, only with what the settings hold, and at most twice in a row.

use std::fmt::{self, Write};

use super::hash::{Algorithm, Protection, Sum};
use super::params::{Params, escaped};
use crate::config::Credentials;

/// Answers in a row without one that is accepted; the third challenge means that they are wrong (CVE-2020-28242:
/// whoever goes on can be kept busy for ever).
const MAX_ATTEMPTS: u8 = 2;

/// The request that proves itself.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its Request-URI, as written.
    pub uri: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

/// Whose challenges are answered. A password that is hashed for a realm not ours is a gift to its owner
/// (CVE-2021-41158).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realms<'a> {
    /// Of this realm alone.
    Only(&'a str),
    /// Of whichever realm comes first, and from then on of that alone: for responses that are known to come from the
    /// server that the settings name.
    First,
}

/// What is remembered of the challenges of one server: its realm, the nonce in use and how often it was used. `Debug`
/// shows the count alone.
#[derive(Clone, Default)]
pub struct NonceCount {
    realm: Option<String>,
    challenge: Option<Challenge>,
    count: u32,
    attempts: u8,
}

impl fmt::Debug for NonceCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonceCount({})", self.count)
    }
}

#[derive(Clone)]
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    session: bool,
    /// As the server wrote it; some take no other spelling back.
    written_algorithm: Option<String>,
    qop: Option<Qop>,
    stale: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Qop {
    Auth,
    AuthInt,
}

/// Answers the challenges of a 401 (`WWW-Authenticate`) or a 407 (`Proxy-Authenticate`): the value for `Authorization`
/// or `Proxy-Authorization`. The strongest challenge that we can answer counts. `cnonce` is fresh and hard to guess.
///
/// `None`: nothing of ours is asked for, or it was answered in vain already.
pub fn answer_challenge<'a>(
    challenges: impl Iterator<Item = &'a str>,
    ask: &Ask<'_>,
    credentials: &Credentials,
    realms: Realms<'_>,
    nonces: &mut NonceCount,
    cnonce: &str,
) -> Option<String> {
    let known = nonces.realm.as_deref();
    let is_ours = |challenge: &Challenge| match realms {
        Realms::Only(realm) => challenge.realm.eq_ignore_ascii_case(realm),
        Realms::First => known.is_none_or(|known| challenge.realm == known),
    };
    let strongest =
        challenges.filter_map(Challenge::read).filter(is_ours).max_by_key(|challenge| challenge.algorithm)?;
    if nonces.attempts >= MAX_ATTEMPTS || nonces.was_in_vain(&strongest) {
        return None;
    }
    nonces.attempts += 1;
    if nonces.challenge.as_ref().is_none_or(|known| known.nonce != strongest.nonce) {
        nonces.count = 0;
    }
    nonces.realm.get_or_insert_with(|| strongest.realm.clone());
    nonces.challenge = Some(strongest);
    nonces.again(ask, credentials, cnonce)
}

impl NonceCount {
    /// The value for a further request to the same server without being asked again; `None` before the first challenge.
    pub fn again(&mut self, ask: &Ask<'_>, credentials: &Credentials, cnonce: &str) -> Option<String> {
        let challenge = self.challenge.as_ref()?;
        self.count = self.count.saturating_add(1);
        Some(challenge.answer(ask, credentials, self.count, cnonce))
    }

    /// The server took an answer: any response that is no challenge.
    pub const fn accepted(&mut self) {
        self.attempts = 0;
    }

    /// The same nonce once more without a word that it had only grown old: the password is wrong.
    fn was_in_vain(&self, challenge: &Challenge) -> bool {
        let same = self.challenge.as_ref().is_some_and(|known| known.nonce == challenge.nonce);
        same && self.attempts > 0 && !challenge.stale
    }
}

impl Challenge {
    fn read(value: &str) -> Option<Self> {
        let params = Params::read(value)?;
        let written_algorithm = params.get("algorithm");
        let (algorithm, session) = Algorithm::of(written_algorithm)?;
        let qop = match params.get("qop") {
            None => None,
            Some(list) => {
                let offers = |wanted: &str| list.split(',').any(|qop| qop.trim().eq_ignore_ascii_case(wanted));
                let chosen = if offers("auth") { Some(Qop::Auth) } else { offers("auth-int").then_some(Qop::AuthInt) };
                Some(chosen?)
            }
        };
        Some(Self {
            realm: params.get("realm")?.to_owned(),
            nonce: params.get("nonce")?.to_owned(),
            opaque: params.get("opaque").map(str::to_owned),
            algorithm,
            session,
            written_algorithm: written_algorithm.map(str::to_owned),
            qop,
            stale: params.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    fn answer(&self, ask: &Ask<'_>, credentials: &Credentials, count: u32, cnonce: &str) -> String {
        let count = format!("{count:08x}");
        let protection = self.qop.map(|qop| Protection {
            qop: qop.as_str(),
            count: &count,
            cnonce,
            body: (qop == Qop::AuthInt).then_some(ask.body),
        });
        let sum = Sum {
            algorithm: self.algorithm,
            session: self.session,
            user: &credentials.user,
            realm: &self.realm,
            password: &credentials.password,
            nonce: &self.nonce,
            method: ask.method,
            uri: ask.uri,
            protection,
        };
        let response = sum.response();
        let (user, realm, nonce, uri) = (escaped(&credentials.user), &self.realm, &self.nonce, ask.uri);
        let mut value = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\""
        );
        if let Some(algorithm) = &self.written_algorithm {
            let _ = write!(value, ", algorithm={algorithm}");
        }
        if let Some(Protection { qop, count, .. }) = protection {
            let _ = write!(value, ", qop={qop}, nc={count}");
        }
        if protection.is_some() || self.session {
            let _ = write!(value, ", cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(value, ", opaque=\"{opaque}\"");
        }
        value
    }
}

impl Qop {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}
