//! Which number of a caller is believed, and how far.
//!
//! One pure function decides it, for every call, from the source address and the headers; everything else about a
//! caller is a hint. Follows RFC 3325 (asserted identity), RFC 3323 (privacy), RFC 3966 (`tel:`) and the `verstat`
//! parameter of 3GPP TS 24.229. Where two readings are possible, nobody is believed: the price is a PIN to key.

mod address;

use std::net::IpAddr;

use dialroom_booking::{E164, HomeRegion, Trust};
use dialroom_settings::{Believes, IdentityHeader, Settings, Trunk};

use self::address::{Address, Verstat, addresses_of};
use crate::sip::CallerHeaders;

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

/// Longest internal number without its company's prefix; anything longer is a national number.
const MAX_EXTENSION_LEN: usize = 5;
/// Nobody's extension, whatever a telephone system sends.
const SERVICE_NUMBERS: [&str; 3] = ["110", "112", "911"];
/// Without a trunk the headers are looked at in this order, for the log alone.
const USUAL_ORDER: [IdentityHeader; 2] = [IdentityHeader::PAssertedIdentity, IdentityHeader::From];

/// Decides which number of a call counts.
///
/// `source` is the address that the request came from. The trunk with that address decides by its settings which header
/// counts; the first that is present does, and a doubt about it is not healed by the next.
#[must_use]
pub fn believed(settings: &Settings, source: IpAddr, headers: &CallerHeaders) -> Believed {
    let source = source.to_canonical();
    let trunk = settings.trunks.iter().find(|trunk| trunk.addresses.iter().any(|known| known.to_canonical() == source));
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
            let identity = identity_of(&address, trunk, home)?;
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

fn identity_of(address: &Address, trunk: Option<&Trunk>, home: HomeRegion) -> Result<Identity, &'static str> {
    if address.is_anonymous() {
        return Err("anonymous");
    }
    let user = address.user.as_str();
    if address.has_context && !user.starts_with('+') {
        return Err("a local number of somewhere else");
    }
    let is_extension = user.len() <= MAX_EXTENSION_LEN && user.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_extension {
        extension(user, trunk)?
    } else {
        E164::parse(user, home).map_err(|_| "not a telephone number")?
    };
    Ok(Identity { number, verstat: address.verstat })
}

/// The whole number of an extension; a company with two number blocks must send whole numbers itself.
fn extension(digits: &str, trunk: Option<&Trunk>) -> Result<E164, &'static str> {
    if SERVICE_NUMBERS.contains(&digits) || digits.bytes().all(|byte| byte == b'0') {
        return Err("a service number");
    }
    match trunk.map(|trunk| trunk.own_numbers.as_slice()) {
        Some([prefix]) => E164::international(&format!("{prefix}{digits}")).map_err(|_| "not a telephone number"),
        Some([]) | None => Err("an extension, and the trunk has no own_numbers"),
        Some(_) => Err("an extension of one of several number blocks"),
    }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRUNK: &str = "10.0.0.5";
    const STRANGER: &str = "198.51.100.7";

    fn settings(believes: &str) -> Settings {
        let text = format!(
            "[dial_in]\nnumber = \"88\"\n[[trunk]]\nname = \"pbx\"\naddresses = [\"{TRUNK}\"]\nbelieves = \"{believes}\"\n\
             own_numbers = [\"+493023125\"]\n"
        );
        Settings::read(std::path::Path::new("dialroom.toml"), &text).expect("settings that hold")
    }

    fn headers(from: &[&str], asserted: &[&str]) -> CallerHeaders {
        let owned = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        CallerHeaders { from: owned(from), asserted: owned(asserted), privacy: Vec::new() }
    }

    fn decide(believes: &str, source: &str, headers: &CallerHeaders) -> (Option<String>, Trust) {
        let believed = believed(&settings(believes), source.parse().unwrap(), headers);
        (believed.number.map(String::from), believed.trust)
    }

    fn check(value: &str, number: Option<&str>, trust: Trust) {
        let (found, given) = decide("all", TRUNK, &headers(&["<sip:ignored@pbx>;tag=1"], &[value]));
        assert_eq!((found.as_deref(), given), (number, trust), "{value}");
    }

    /// Spellings of Bernd's number (own) and of a guest's, as telephone systems send them.
    const SPELLINGS: [(&str, Option<&str>, Trust); 46] = {
        const BERND: Option<&str> = Some("+493023125002");
        const GUEST: Option<&str> = Some("+447700900123");
        [
            ("<sip:+493023125002@pbx>", BERND, Trust::Internal),
            ("sip:+493023125002@pbx", BERND, Trust::Internal),
            ("sip:+493023125002@pbx;tag=1", BERND, Trust::Internal),
            ("<SIP:+493023125002@pbx;user=phone>;tag=x", BERND, Trust::Internal),
            ("<sips:+493023125002@pbx>", BERND, Trust::Internal),
            ("<tel:+493023125002>", BERND, Trust::Internal),
            ("tel:+49-30-23125-002", BERND, Trust::Internal),
            ("<tel:+49(30)23125.002>", BERND, Trust::Internal),
            ("\"Bernd\" <sip:+493023125002@pbx>", BERND, Trust::Internal),
            ("Bernd Brot <sip:+493023125002@pbx>", BERND, Trust::Internal),
            ("\"Brot, Bernd\" <sip:+493023125002@pbx>", BERND, Trust::Internal),
            ("\"<sip:+493023125001@pbx>\" <sip:+493023125002@pbx>", BERND, Trust::Internal),
            ("\"a\\\"b\" <sip:+493023125002@pbx>", BERND, Trust::Internal),
            ("<sip:%2B493023125002@pbx>", BERND, Trust::Internal),
            ("<sip:%2b%34%393023125002@pbx>", BERND, Trust::Internal),
            ("<sip:00493023125002@pbx>", BERND, Trust::Internal),
            ("<sip:03023125002@pbx;user=phone>", BERND, Trust::Internal),
            ("<sip:002@pbx>", BERND, Trust::Internal),
            ("<sip:+493023125002:secret@pbx>", BERND, Trust::Internal),
            ("<sip:+493023125002;cpc=ordinary@pbx>", BERND, Trust::Internal),
            ("<sip:+493023125002@pbx>, <tel:+493023125002>", BERND, Trust::Internal),
            ("<sip:+493023125002@[2001:db8::1]:5060>", BERND, Trust::Internal),
            ("<sip:+447700900123@pbx>", GUEST, Trust::Asserted),
            ("<tel:+447700900123;verstat=TN-Validation-Passed-A>", GUEST, Trust::Attested),
            ("<sip:+447700900123;verstat=TN-Validation-Passed-A@pbx>", GUEST, Trust::Attested),
            ("<sip:+447700900123@pbx>;verstat=tn-validation-passed-a", GUEST, Trust::Attested),
            ("<tel:+447700900123;verstat=TN-Validation-Passed>", GUEST, Trust::Asserted),
            ("<tel:+447700900123;verstat=TN-Validation-Passed-B>", GUEST, Trust::Asserted),
            ("<tel:+447700900123;verstat=No-TN-Validation>", GUEST, Trust::Asserted),
            ("<tel:+447700900123;verstat=TN-Validation-Failed>", GUEST, Trust::Claimed),
            ("<tel:+447700900123;verstat=TN-Validation-Failed-A>", GUEST, Trust::Claimed),
            ("<tel:+447700900123;verstat=TN-Validation-Passed-A;verstat=x>", GUEST, Trust::Claimed),
            ("<tel:+493023125002;verstat=TN-Validation-Passed-C>", BERND, Trust::Asserted),
            ("<sip:+493023125002@pbx>, <sip:+493023125003@pbx>", None, Trust::Claimed),
            ("<sip:+493023125002@evil@pbx>", None, Trust::Claimed),
            ("<sip:anonymous@anonymous.invalid>", None, Trust::Claimed),
            ("<sip:+493023125002@anonymous.invalid>", None, Trust::Claimed),
            ("\"+493023125002\" <sip:unknown@pbx>", None, Trust::Claimed),
            ("<sip:bernd@pbx>", None, Trust::Claimed),
            ("<sip:@pbx>", None, Trust::Claimed),
            ("<mailto:+493023125002@pbx>", None, Trust::Claimed),
            ("<tel:002;phone-context=example.com>", None, Trust::Claimed),
            ("<sip:0000@pbx>", None, Trust::Claimed),
            ("<sip:112@pbx>", None, Trust::Claimed),
            ("<sip:+493023125002@pbx", None, Trust::Claimed),
            ("", None, Trust::Claimed),
        ]
    };

    #[test]
    fn every_spelling_from_the_trunk() {
        for (value, number, trust) in SPELLINGS {
            check(value, number, trust);
        }
    }

    #[test]
    fn no_spelling_of_a_stranger_is_more_than_a_claim() {
        for (value, ..) in SPELLINGS {
            for believes in ["extensions", "attested", "all"] {
                for headers in [headers(&[value], &[]), headers(&[value], &[value]), headers(&[], &[value, value])] {
                    let (_, trust) = decide(believes, STRANGER, &headers);
                    assert_eq!(trust, Trust::Claimed, "{value}");
                }
            }
        }
    }

    #[test]
    fn whom_a_trunk_believes() {
        let table = [
            ("extensions", "<tel:+493023125002>", Trust::Internal),
            ("extensions", "<tel:+447700900123;verstat=TN-Validation-Passed-A>", Trust::Claimed),
            ("attested", "<tel:+493023125002>", Trust::Internal),
            ("attested", "<tel:+447700900123;verstat=TN-Validation-Passed-A>", Trust::Attested),
            ("attested", "<tel:+447700900123;verstat=TN-Validation-Passed-B>", Trust::Claimed),
            ("attested", "<tel:+447700900123;verstat=TN-Validation-Passed>", Trust::Claimed),
            ("attested", "<tel:+447700900123>", Trust::Claimed),
            ("attested", "<tel:+493023125002;verstat=No-TN-Validation>", Trust::Claimed),
            ("all", "<tel:+447700900123>", Trust::Asserted),
        ];
        for (believes, value, trust) in table {
            assert_eq!(decide(believes, TRUNK, &headers(&[], &[value])).1, trust, "{believes} {value}");
        }
    }

    #[test]
    fn the_first_header_present_decides_alone() {
        let bernd = "<sip:+493023125002@pbx>";
        assert_eq!(decide("all", TRUNK, &headers(&[bernd], &[])).1, Trust::Internal);
        // A doubtful P-Asserted-Identity is not healed by From.
        assert_eq!(decide("all", TRUNK, &headers(&[bernd], &["<sip:bernd@pbx>"])), (None, Trust::Claimed));
        // Nor is one that was too long to be kept.
        assert_eq!(decide("all", TRUNK, &headers(&[bernd], &[""])), (None, Trust::Claimed));
        assert_eq!(decide("all", TRUNK, &headers(&[bernd, "<sip:+493023125003@pbx>"], &[])), (None, Trust::Claimed));
        assert_eq!(decide("all", TRUNK, &headers(&[], &[])), (None, Trust::Claimed));
    }

    #[test]
    fn who_withholds_his_number_is_nobody() {
        for privacy in ["id", "id;critical", "user; id", "header", "ID"] {
            let mut headers = headers(&[], &["<sip:+493023125002@pbx>"]);
            headers.privacy.push(privacy.to_owned());
            assert_eq!(decide("all", TRUNK, &headers), (None, Trust::Claimed), "{privacy}");
        }
        let mut headers = headers(&[], &["<sip:+493023125002@pbx>"]);
        headers.privacy.push("none".to_owned());
        assert_eq!(decide("all", TRUNK, &headers).1, Trust::Internal);
    }

    #[test]
    fn an_ipv4_address_written_as_ipv6_is_the_same_trunk() {
        let headers = headers(&[], &["<sip:+493023125002@pbx>"]);
        assert_eq!(decide("all", "::ffff:10.0.0.5", &headers).1, Trust::Internal);
    }

    proptest! {
        #[test]
        fn no_text_panics_or_lifts_a_stranger(from in "\\PC{0,80}", asserted in "[<>;:@,\"\\\\+%0-9a-z=-]{0,80}") {
            let headers = headers(&[&from], &[&asserted]);
            let settings = settings("all");
            prop_assert_eq!(believed(&settings, STRANGER.parse().unwrap(), &headers).trust, Trust::Claimed);
            let _ = believed(&settings, TRUNK.parse().unwrap(), &headers);
        }
    }
}
