//! The address in a header that names a caller (RFC 3261 section 25.1 `name-addr`, RFC 3966).
//!
//! Read by ourselves and strictly: a reader that is generous here lets somebody in. Whatever could be read in two ways is
//! an error.

/// A caller's address, taken apart.
pub(super) struct Address {
    /// User part of a `sip:` address or the number of a `tel:` one, decoded, without parameters.
    pub(super) user: String,
    /// Whether the number is a local one of the place that `phone-context` names.
    pub(super) has_context: bool,
    /// What the network found out about the signature.
    pub(super) verstat: Option<Verstat>,
    host: String,
}

/// The verdict of STIR/SHAKEN as the trunk tells it, best first: of two, the worse counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verstat {
    /// Validated, and the signer knows the caller and his right to the number.
    PassedA,
    /// Validated at a lower or untold level, or not validated at all.
    Lower,
    /// Not valid, contradictory, or no word we know.
    Failed,
}

/// User parts that mean: no number.
const NOBODY: [&str; 7] =
    ["anonymous", "unavailable", "restricted", "unknown", "private", "withheld", "id-unavailable"];

impl Address {
    pub(super) fn is_anonymous(&self) -> bool {
        NOBODY.iter().any(|name| self.user.eq_ignore_ascii_case(name))
            || self.host.to_ascii_lowercase().ends_with("anonymous.invalid")
    }
}

/// All addresses of a header line, which may hold several with commas between them.
pub(super) fn addresses_of(line: &str) -> Result<Vec<Address>, &'static str> {
    split_outside_quotes(line)?.into_iter().map(address_of).collect()
}

const UNREADABLE: &str = "the header cannot be read";

fn split_outside_quotes(line: &str) -> Result<Vec<&str>, &'static str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped, mut angled) = (false, false, false);
    for (at, sign) in line.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !angled => quoted = !quoted,
            '<' if !quoted => angled = true,
            '>' if !quoted => angled = false,
            ',' if !quoted && !angled => {
                parts.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if quoted || angled {
        return Err(UNREADABLE);
    }
    parts.push(&line[start..]);
    Ok(parts)
}

fn address_of(value: &str) -> Result<Address, &'static str> {
    let value = after_quoted_name(value.trim());
    let (uri, header_params) = match value.split_once('<') {
        Some((_, rest)) => rest.split_once('>').ok_or(UNREADABLE)?,
        // Without brackets all parameters are the header's (RFC 3261 section 20).
        None => value.split_at(value.find(';').unwrap_or(value.len())),
    };
    let (scheme, rest) = uri.trim().split_once(':').ok_or(UNREADABLE)?;
    let rest = rest.split('?').next().unwrap_or_default();
    let (user, user_params, host, uri_params) = match scheme.to_ascii_lowercase().as_str() {
        "sip" | "sips" => {
            let (userinfo, host) = rest.split_once('@').ok_or("no number in the header")?;
            if host.contains('@') {
                return Err(UNREADABLE);
            }
            let (user, user_params) = cut(userinfo);
            let (host, uri_params) = cut(host);
            (user.split(':').next().unwrap_or_default(), user_params, host, uri_params)
        }
        "tel" => {
            let (number, params) = cut(rest);
            (number, params, "", "")
        }
        _ => return Err("neither a sip: nor a tel: address"),
    };
    let params: Vec<(String, &str)> =
        [user_params, uri_params, header_params].into_iter().flat_map(params_of).collect();
    Ok(Address {
        user: decoded(user).ok_or(UNREADABLE)?,
        has_context: params.iter().any(|(name, _)| name == "phone-context"),
        verstat: params.iter().filter(|(name, _)| name == "verstat").map(|(_, value)| verstat_of(value)).max(),
        host: host.to_owned(),
    })
}

/// What follows a quoted display name; the name may hold anything, brackets too.
fn after_quoted_name(value: &str) -> &str {
    let Some(rest) = value.strip_prefix('"') else {
        return value;
    };
    let mut escaped = false;
    let end = rest.char_indices().find(|(_, sign)| {
        let is_end = *sign == '"' && !escaped;
        escaped = *sign == '\\' && !escaped;
        is_end
    });
    end.map_or("", |(at, _)| &rest[at + 1..])
}

fn cut(text: &str) -> (&str, &str) {
    text.split_once(';').unwrap_or((text, ""))
}

fn params_of(text: &str) -> impl Iterator<Item = (String, &str)> {
    text.split(';').filter(|param| !param.trim().is_empty()).map(|param| {
        let (name, value) = param.split_once('=').unwrap_or((param, ""));
        (name.trim().to_ascii_lowercase(), value.trim())
    })
}

fn verstat_of(value: &str) -> Verstat {
    match value.to_ascii_lowercase().as_str() {
        "tn-validation-passed-a" => Verstat::PassedA,
        "tn-validation-passed" | "tn-validation-passed-b" | "tn-validation-passed-c" | "no-tn-validation" => {
            Verstat::Lower
        }
        _ => Verstat::Failed,
    }
}

/// Percent-decodes to plain ASCII; anything else is no telephone number anyway.
fn decoded(text: &str) -> Option<String> {
    let mut decoded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let byte = u8::from_str_radix(after.get(..2)?, 16).ok().filter(u8::is_ascii_graphic)?;
        decoded.push(char::from(byte));
        rest = after.get(2..)?;
    }
    decoded.push_str(rest);
    Some(decoded)
}
