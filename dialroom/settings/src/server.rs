//! Where a telephone system answers: a name or an address, and a port where it is no matter of DNS.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Letters of the longest name that DNS knows (RFC 1035 section 2.3.4).
const MAX_HOST_LEN: usize = 253;

/// `sip.example.com`, `sip.example.com:5061`, `192.0.2.10:5060`, `[2001:db8::1]:5060`.
///
/// Without a port, a name is looked up as RFC 3263 section 4.2 says for a transport that is known: SRV before addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipServer {
    host: String,
    port: Option<u16>,
}

impl SipServer {
    /// Name in lower case, or address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port as written.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The address, where no name is written.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for SipServer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "write a name or an address, with a port if need be: sip.example.com or 192.0.2.10:5060";
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { host: address.to_string(), port: None });
        }
        let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, port))) => {
                let address: std::net::Ipv6Addr = host.parse().map_err(|_| SHAPE)?;
                (address.to_string(), port.strip_prefix(':').or(if port.is_empty() { None } else { Some("") }))
            }
            Some(None) => return Err(SHAPE),
            None => {
                let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
                (host_name(host).ok_or(SHAPE)?, port)
            }
        };
        let port = port.map(|port| port.parse().ok().filter(|port| *port != 0).ok_or(SHAPE)).transpose()?;
        Ok(Self { host, port })
    }
}

/// A host name (or IPv4 address) in lower case; `None` for what DNS could not know.
pub(crate) fn host_name(text: &str) -> Option<String> {
    let host = text.to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let digits_alone = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let fits = host.len() <= MAX_HOST_LEN && host.split('.').all(is_label);
    // What looks like an address must be one: 192.0.2.300 is no name.
    (fits && (!digits_alone || host.parse::<IpAddr>().is_ok())).then_some(host)
}

impl fmt::Display for SipServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracketed = self.host.contains(':') && self.port.is_some();
        if bracketed {
            write!(f, "[{}]", self.host)?
        } else {
            f.write_str(&self.host)?
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_ports() {
        for (text, host, port) in [
            ("SIP.example.com", "sip.example.com", None),
            ("sip.example.com:5061", "sip.example.com", Some(5061)),
            ("192.0.2.10", "192.0.2.10", None),
            ("192.0.2.10:5060", "192.0.2.10", Some(5060)),
            ("2001:db8::1", "2001:db8::1", None),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[2001:DB8::1]:5060", "2001:db8::1", Some(5060)),
            ("pbx", "pbx", None),
        ] {
            let server: SipServer = text.parse().unwrap();
            assert_eq!((server.host(), server.port()), (host, port), "{text}");
            assert_eq!(server.to_string().parse::<SipServer>().unwrap(), server, "{text}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "sip:pbx.example.com",
            "pbx.example.com:0",
            "pbx.example.com:65536",
            "pbx.example.com:",
            "192.0.2.300",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "[pbx]:5060",
            "a..b",
            "user@pbx",
            "*.example.com",
            "",
        ] {
            assert!(text.parse::<SipServer>().is_err(), "{text}");
        }
    }
}
