//! Which number of a caller is believed, and how far.
//!
//! Pure functions decide it, for every call: [`trunk_of`] says which telephone system sent it, [`believed`] which of its
//! headers counts. Everything else about a caller is a hint: `P-Preferred-Identity`, `Remote-Party-ID`, `Diversion`,
//! `History-Info` and `Identity` are never looked at. Follows RFC 3325 (asserted identity), RFC 3323 (privacy), RFC 3966
//! (`tel:`) and the `verstat` parameter of 3GPP TS 24.229. Where two readings are possible, nobody is believed: the price is
//! a PIN to key.

mod address;
mod number;
mod trunks;

use dialroom_booking::{E164, HomeRegion, Trust};
use dialroom_settings::{Believes, IdentityHeader, Settings, Trunk};

use self::address::{Verstat, addresses_of};
use self::number::number_of;
use crate::sip::CallerHeaders;

pub use self::trunks::{ServerAddresses, trunk_of};

/// What is known of a caller's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// His number; `None` when withheld, ambiguous or unreadable.
    pub number: Option<E164>,
    /// How far it is believed; [`Trust::Claimed`] whenever `number` is `None`.
    pub trust: Trust,
    /// Why, for the log and `dialroom check trunk`.
    pub why: &'static str,
}

/// Without a trunk the headers are looked at in this order, for the log alone.
const USUAL_ORDER: [IdentityHeader; 2] = [IdentityHeader::PAssertedIdentity, IdentityHeader::From];

/// Decides which number of a call counts.
///
/// `trunk` is the telephone system that sent the call, as [`trunk_of`] found it; `None` is a stranger, whose number is a
/// claim. The trunk's settings say which header counts; the first that is present does, and a doubt about it is not healed
/// by the next.
#[must_use]
pub fn believed(settings: &Settings, trunk: Option<&Trunk>, headers: &CallerHeaders) -> Believed {
    let order = trunk.map_or(&USUAL_ORDER[..], |trunk| &trunk.identity);
    if headers.privacy.iter().any(|line| asks_for_privacy(line)) {
        return unknown("withheld by Privacy");
    }
    let present = order.iter().map(|header| lines_of(headers, *header)).find(|lines| !lines.is_empty());
    let Some(lines) = present else {
        return unknown("no header names the caller");
    };
    let home = trunk.and_then(|trunk| trunk.home_region).unwrap_or(settings.directory.home_region);
    match only_identity(lines, trunk, home) {
        Err(why) => unknown(why),
        Ok(identity) => {
            let (trust, why) = trunk.map_or((Trust::Claimed, "from no trunk"), |trunk| trust_of(trunk, &identity));
            Believed { number: Some(identity.number), trust, why }
        }
    }
}

const fn unknown(why: &'static str) -> Believed {
    Believed { number: None, trust: Trust::Claimed, why }
}

fn lines_of(headers: &CallerHeaders, header: IdentityHeader) -> &[String] {
    match header {
        IdentityHeader::PAssertedIdentity => &headers.asserted,
        IdentityHeader::From => &headers.from,
    }
}

fn asks_for_privacy(line: &str) -> bool {
    line.split([';', ','])
        .any(|value| ["id", "user", "header"].iter().any(|asked| value.trim().eq_ignore_ascii_case(asked)))
}

struct Identity {
    number: E164,
    /// The network's verdict on the signature, where it gave one.
    verstat: Option<Verstat>,
}

/// The one identity of all lines: a `sip:` and a `tel:` form of the same number are one (RFC 3325 section 9.1).
fn only_identity(lines: &[String], trunk: Option<&Trunk>, home: HomeRegion) -> Result<Identity, &'static str> {
    let mut found: Option<Identity> = None;
    for line in lines {
        for address in addresses_of(line)? {
            let identity = Identity { number: number_of(&address, trunk, home)?, verstat: address.verstat };
            found = match found {
                None => Some(identity),
                Some(first) if first.number == identity.number => {
                    Some(Identity { verstat: first.verstat.max(identity.verstat), ..first })
                }
                Some(_) => return Err("two numbers, and no telling which counts"),
            };
        }
    }
    found.ok_or("no number in the header")
}

fn trust_of(trunk: &Trunk, identity: &Identity) -> (Trust, &'static str) {
    let own = trunk.own_numbers.iter().any(|prefix| identity.number.as_str().starts_with(prefix.as_str()));
    let attested = identity.verstat == Some(Verstat::PassedA);
    match (trunk.believes, identity.verstat) {
        (_, Some(Verstat::Failed)) => (Trust::Claimed, "its signature did not hold"),
        // A call from inside carries no verdict of the public network: an own number with one comes from outside.
        (_, None | Some(Verstat::PassedA)) if own => (Trust::Internal, "an own number from its trunk"),
        (Believes::Extensions, _) => (Trust::Claimed, "this trunk is believed for own numbers only"),
        (Believes::Attested | Believes::All, _) if attested => (Trust::Attested, "attested at level A"),
        (Believes::Attested, _) => (Trust::Claimed, "not attested at level A"),
        (Believes::All, _) => (Trust::Asserted, "asserted by its trunk"),
    }
}

#[cfg(test)]
mod tests;
