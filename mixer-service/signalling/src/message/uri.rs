//! Addresses: SIP and SIPS URIs (RFC 3261 section 19.1), telephone numbers (RFC 3966), and the rest uninterpreted.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv6Addr};

use super::Params;
use super::text::{is_token_byte, unescaped, write_escaped};

/// What kind of address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other, in the sender's case.
    Other(Box<str>),
}

impl Scheme {
    /// As written, without the colon.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Tel => "tel",
            Self::Other(name) => name,
        }
    }
}

/// An address. Escapes are resolved in user, password, parameters and headers, and written again by `Display`; whoever
/// must repeat an address to the letter keeps the text it came in ([`super::uri_in`]). `Debug` shows neither user,
/// password nor headers.
#[derive(Clone, PartialEq, Eq)]
pub struct Uri {
    /// Which kind.
    pub scheme: Scheme,
    /// The part before `@`, with its own parameters (`88;phone-context=…`); of `tel:` the number.
    pub user: Option<String>,
    /// The part of it behind a colon; deprecated by RFC 3261.
    pub password: Option<String>,
    /// Name or address, IPv6 without its brackets; empty for `tel:`; of an unknown scheme all that follows the colon.
    pub host: String,
    /// Where it differs from the default.
    pub port: Option<u16>,
    /// `;name=value`
    pub params: Params,
    /// `?name=value&…`
    pub headers: Vec<(String, String)>,
}

impl Uri {
    /// A SIP address of a host.
    pub fn sip(host: impl Into<String>, port: Option<u16>) -> Self {
        Self { port, ..Self::bare(Scheme::Sip, host.into()) }
    }

    /// Reads an address; `None` where the grammar is broken: no scheme, white space, two `@`, no host, a port beyond
    /// 65535, an IPv6 address without brackets, a parameter twice.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let first_is_letter = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_scheme = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let printable = rest.bytes().all(|byte| byte > b' ' && byte != 0x7f && !matches!(byte, b'<' | b'>' | b'"'));
        if !first_is_letter || !is_scheme || !printable || rest.is_empty() {
            return None;
        }
        match scheme {
            _ if scheme.eq_ignore_ascii_case("sip") => Self::of_sip(Scheme::Sip, rest),
            _ if scheme.eq_ignore_ascii_case("sips") => Self::of_sip(Scheme::Sips, rest),
            _ if scheme.eq_ignore_ascii_case("tel") => Self::of_tel(rest),
            _ => Some(Self::bare(Scheme::Other(scheme.into()), rest.to_owned())),
        }
    }

    /// The host as an address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        ip_of(&self.host)
    }

    /// Whether it is `sip:` or `sips:`.
    #[must_use]
    pub const fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// Whether `lr` says that its proxy routes loosely (RFC 3261 section 16.12).
    #[must_use]
    pub fn is_loose(&self) -> bool {
        self.params.has("lr")
    }

    fn bare(scheme: Scheme, host: String) -> Self {
        Self { scheme, user: None, password: None, host, port: None, params: Params::default(), headers: Vec::new() }
    }

    fn of_sip(scheme: Scheme, rest: &str) -> Option<Self> {
        let (userinfo, rest) = rest.split_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        if rest.contains('@') {
            return None;
        }
        let (rest, headers) = rest.split_once('?').map_or((rest, None), |(rest, headers)| (rest, Some(headers)));
        let (hostport, params) = rest.split_once(';').unwrap_or((rest, ""));
        let (host, port) = host_port(hostport)?;
        let (user, password) =
            match userinfo.map(|info| info.split_once(':').map_or((info, None), |(u, p)| (u, Some(p)))) {
                // Some gateways write an empty user for callers without a number.
                Some(("", None)) => (None, None),
                Some(("", Some(_))) => return None,
                Some((user, password)) => (Some(unescaped(user)), password.map(unescaped)),
                None => (None, None),
            };
        let headers = headers.map_or_else(|| Some(Vec::new()), uri_headers)?;
        Some(Self { scheme, user, password, host: host.to_owned(), port, params: Params::of_uri(params)?, headers })
    }

    fn of_tel(rest: &str) -> Option<Self> {
        let (number, params) = rest.split_once(';').unwrap_or((rest, ""));
        let user = Some(unescaped(number)).filter(|number| !number.is_empty());
        user.is_some().then_some(())?;
        Some(Self { user, params: Params::of_uri(params)?, ..Self::bare(Scheme::Tel, String::new()) })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme.as_str())?;
        if matches!(self.scheme, Scheme::Other(_)) {
            return f.write_str(&self.host);
        }
        if let Some(user) = &self.user {
            write_escaped(f, user, if self.scheme == Scheme::Tel { b"+#" } else { b"&=+$,;?/" })?;
        }
        if let Some(password) = &self.password {
            f.write_char(':')?;
            write_escaped(f, password, b"&=+$,")?;
        }
        if self.scheme != Scheme::Tel {
            f.write_str(if self.user.is_some() { "@" } else { "" })?;
            write_host_port(f, &self.host, self.port)?;
        }
        self.params.write_uri(f)?;
        for (index, (name, value)) in self.headers.iter().enumerate() {
            f.write_char(if index == 0 { '?' } else { '&' })?;
            write_escaped(f, name, b"[]/?:+$")?;
            f.write_char('=')?;
            write_escaped(f, value, b"[]/?:+$")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.user.is_some() { "…@" } else { "" };
        let host = if matches!(self.scheme, Scheme::Other(_)) { "…" } else { &self.host };
        write!(f, "Uri({}:{user}{host})", self.scheme.as_str())
    }
}

fn uri_headers(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split('&').take(super::MAX_PARAMS + 1).map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (!name.is_empty()).then(|| (unescaped(name), unescaped(value)))
    });
    pairs.collect::<Option<Vec<_>>>().filter(|pairs| pairs.len() <= super::MAX_PARAMS)
}

/// Reads `host`, `host:port`, `[IPv6]` or `[IPv6]:port`; the host comes without brackets.
pub(super) fn host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inside) => inside.split_once(']').filter(|(host, _)| is_ipv6(host))?,
        None => {
            let (host, rest) =
                text.split_at(text.find(|c: char| c == ':' || super::text::is_space(c)).unwrap_or(text.len()));
            (is_host_name(host).then_some(host)?, rest)
        }
    };
    let rest = super::text::trim(rest);
    if rest.is_empty() {
        return Some((host, None));
    }
    let port = super::text::number(super::text::trim(rest.strip_prefix(':')?))?;
    Some((host, Some(u16::try_from(port).ok()?)))
}

pub(super) fn write_host_port(f: &mut fmt::Formatter<'_>, host: &str, port: Option<u16>) -> fmt::Result {
    if host.contains(':') {
        write!(f, "[{host}]")?
    } else {
        f.write_str(host)?
    }
    port.map_or(Ok(()), |port| write!(f, ":{port}"))
}

/// An address with or without brackets. RFC 5118 section 4.10: the old grammar led some to write three colons where an
/// IPv4 address follows; they mean two.
pub(super) fn ip_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| ipv6_of(bare).map(IpAddr::V6))
}

fn ipv6_of(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| text.contains(":::").then(|| text.replacen(":::", "::", 1).parse().ok()).flatten())
}

fn is_ipv6(text: &str) -> bool {
    ipv6_of(text).is_some()
}

/// Underscores are no part of a host name, but of many networks.
fn is_host_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| is_token_byte(byte) && (byte.is_ascii_alphanumeric() || b"-._".contains(&byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Uri {
        Uri::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn the_parts_of_an_address() {
        let uri = read("SIP:88;phone-context=x:se%63ret@pbx_1.example:5070;Transport=TCP;lr?Subject=a%20b&x=");
        assert_eq!((uri.scheme.clone(), uri.user.as_deref()), (Scheme::Sip, Some("88;phone-context=x")));
        assert_eq!(
            (uri.password.as_deref(), uri.host.as_str(), uri.port),
            (Some("secret"), "pbx_1.example", Some(5070))
        );
        assert_eq!(uri.params.get("transport"), Some("TCP"));
        assert!(uri.is_loose() && uri.is_sip());
        assert_eq!(uri.headers, [("Subject".to_owned(), "a b".to_owned()), ("x".to_owned(), String::new())]);
        assert_eq!((read("sips:host").user, read("sip:@host").user), (None, None));
        assert_eq!(read("tel:+49-30;phone-context=a.example").user.as_deref(), Some("+49-30"));
        assert_eq!(read("urn:service:sos").host, "service:sos");
    }

    #[test]
    fn addresses_of_the_network() {
        for (text, host, port) in [
            ("sip:[2001:db8::1]:5070", "2001:db8::1", Some(5070)),
            ("sip:[2001:db8::1:5070]", "2001:db8::1:5070", None),
            ("sip:a@[::ffff:192.0.2.1]", "::ffff:192.0.2.1", None),
            ("sip:192.0.2.1:65535", "192.0.2.1", Some(65535)),
        ] {
            let uri = read(text);
            assert_eq!((uri.host.as_str(), uri.port, uri.ip().is_some()), (host, port, true), "{text}");
            assert_eq!(uri.to_string(), text);
        }
        assert_eq!(read("sip:[2001:db8:::192.0.2.1]").ip(), read("sip:[2001:db8::192.0.2.1]").ip());
        assert_eq!(read("sip:pbx.example").ip(), None);
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "sip",
            "sip:",
            ":88",
            "88@pbx",
            "sip::x@pbx",
            "sip:a@",
            "sip:a b@pbx",
            "sip:a@b@c",
            "sip:a@b;x=y@z",
            "<sip:a@b>",
            "sip:2001:db8::10",
            "sip:[2001:db8::10",
            "sip:[pbx]",
            "sip:[1:2]",
            "sip:pbx:",
            "sip:pbx:65536",
            "sip:pbx:-1",
            "sip:pbx:5060x",
            "sip:pb,x",
            "sip:a@b?",
            "sip:a@b?x",
            "sip:a@b;tag=1;TAG=2",
            "sip:a@b;=1",
            "tel:",
            "1sip:a",
            "sip:\u{7f}",
        ] {
            assert_eq!(Uri::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_would_end_a_part_is_escaped() {
        for text in ["sip:a%20b%23%40%3A@pbx.example", "sip:%C3%A4;x=/@pbx", "sip:%00@pbx", "sip:88:%3Ax@pbx;a=%3Bb%3D"]
        {
            assert_eq!(read(text).to_string(), text);
        }
        assert_eq!(read("sip:sips%3Auser%40example@host").user.as_deref(), Some("sips:user@example"));
        assert_eq!(read("sip:a@h;%6C%72").to_string(), "sip:a@h;lr");
    }

    #[test]
    fn nobody_is_named_in_a_log() {
        assert_eq!(format!("{:?}", read("sip:+493023125001:pin@pbx")), "Uri(sip:…@pbx)");
        assert_eq!(format!("{:?}", read("tel:+493023125001")), "Uri(tel:…@)");
    }
}
