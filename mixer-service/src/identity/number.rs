//! From the number as a telephone system sends it to the number everybody means: rewriting, extensions, E.164.

use std::borrow::Cow;

use dialroom_booking::{E164, HomeRegion};
use dialroom_settings::{Rewrite, Trunk};

use super::address::Address;

/// Longest internal number without its company's prefix; anything longer is a national number.
const MAX_EXTENSION_LEN: usize = 5;
/// Nobody's extension, whatever a telephone system sends.
const SERVICE_NUMBERS: [&str; 4] = ["110", "112", "911", "999"];

/// The number of an address, in the one form in which numbers are compared.
pub(super) fn number_of(address: &Address, trunk: Option<&Trunk>, home: HomeRegion) -> Result<E164, &'static str> {
    if address.is_anonymous() {
        return Err("anonymous");
    }
    if address.has_context && !address.user.starts_with('+') {
        return Err("a local number of somewhere else");
    }
    let user = rewritten(&address.user, trunk.map_or(&[], |trunk| &trunk.rewrite));
    let is_extension = user.len() <= MAX_EXTENSION_LEN && user.bytes().all(|byte| byte.is_ascii_digit());
    if is_extension { extension(&user, trunk) } else { E164::parse(&user, home).map_err(|_| "not a telephone number") }
}

/// The number after the first rule that fits; rules see digits alone, however the number was grouped.
fn rewritten<'a>(user: &'a str, rules: &[Rewrite]) -> Cow<'a, str> {
    if rules.is_empty() {
        return Cow::Borrowed(user);
    }
    let compact: String = user.chars().filter(|sign| !matches!(sign, '-' | '.' | '(' | ')')).collect();
    let digits = compact.bytes().filter(u8::is_ascii_digit).count();
    let fits = |rule: &&Rewrite| digits >= usize::from(rule.min_digits) && compact.starts_with(rule.prefix.as_str());
    match rules.iter().find(fits) {
        Some(rule) => Cow::Owned(format!("{}{}", rule.replace, &compact[rule.prefix.len()..])),
        None => Cow::Borrowed(user),
    }
}

/// The whole number of an extension; a company with two number blocks must send whole numbers itself, or rewrite them.
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
