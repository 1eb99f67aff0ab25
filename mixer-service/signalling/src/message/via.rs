//! Via: where a request came along, and where its response goes (RFC 3261 sections 18.2 and 20.42, RFC 3581).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::Params;
use super::text::{find_outside, is_space, is_token, split_outside, trim};
use super::uri::{host_port, ip_of, write_host_port};

/// What a branch of RFC 3261 begins with (section 8.1.1.7).
pub const COOKIE: &str = "z9hG4bK";

/// One hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS` or what else the hop says, in its own case.
    pub transport: String,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Where it differs from the default.
    pub port: Option<u16>,
    /// Which transaction.
    pub branch: Option<String>,
    /// The address the request really came from.
    pub received: Option<String>,
    /// `Some(None)` asks for the port the request really came from, `Some(Some(port))` tells it (RFC 3581).
    pub rport: Option<Option<u16>>,
    /// An address that the response goes to instead.
    pub maddr: Option<String>,
    /// Hops of a multicast.
    pub ttl: Option<u8>,
    /// All others.
    pub params: Params,
}

impl Via {
    /// A hop of ours that asks for `rport`.
    pub fn new(transport: impl Into<String>, address: SocketAddr, branch: impl Into<String>) -> Self {
        Self {
            transport: transport.into(),
            host: address.ip().to_string(),
            port: Some(address.port()),
            branch: Some(branch.into()),
            received: None,
            rport: Some(None),
            maddr: None,
            ttl: None,
            params: Params::default(),
        }
    }

    /// Reads one hop, not a list; `None` where the grammar is broken or the protocol is not SIP/2.0.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (sent, params) = value.split_at(find_outside(value, b';').unwrap_or(value.len()));
        let (name, rest) = sent.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        let rest = rest.trim_start_matches(is_space);
        let (transport, sent_by) = rest.split_once(is_space)?;
        if !trim(name).eq_ignore_ascii_case("SIP") || trim(version) != "2.0" || !is_token(transport) {
            return None;
        }
        let (host, port) = host_port(trim(sent_by))?;
        let mut params = Params::of_header(params)?;
        let rport = match params.remove("rport") {
            Some(Some(port)) if !port.is_empty() => Some(Some(port.parse().ok()?)),
            Some(_) => Some(None),
            None => None,
        };
        Some(Self {
            transport: transport.to_owned(),
            host: host.to_owned(),
            port,
            branch: params.remove("branch").flatten(),
            received: params.remove("received").flatten(),
            rport,
            maddr: params.remove("maddr").flatten(),
            ttl: params.remove("ttl").flatten().and_then(|ttl| ttl.parse().ok()),
            params,
        })
    }

    /// The branch, if it is one of RFC 3261: with the cookie and something behind it. RFC 4475 section 3.2.1: the cookie
    /// alone tells nothing apart.
    #[must_use]
    pub fn unique_branch(&self) -> Option<&str> {
        let branch = self.branch.as_deref()?;
        let (cookie, rest) = branch.split_at_checked(COOKIE.len())?;
        (cookie.eq_ignore_ascii_case(COOKIE) && !rest.is_empty()).then_some(branch)
    }

    /// The host as an address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        ip_of(&self.host)
    }

    /// `received` as an address, with or without brackets (RFC 5118 section 4.5).
    #[must_use]
    pub fn received_ip(&self) -> Option<IpAddr> {
        ip_of(self.received.as_deref()?)
    }
}

/// The text of a hop with where the request really came from: `received` where it differs or `rport` is asked for (RFC
/// 3261 section 18.2.1, RFC 3581 section 4), whatever the sender wrote there himself. All else stays to the letter: some
/// proxies keep notes of their own in their Via and read them in the answer.
pub(super) fn stamped(text: &str, source: SocketAddr) -> Option<String> {
    let via = Via::parse(text)?;
    let (sent, params) = text.split_at(find_outside(text, b';').unwrap_or(text.len()));
    let mut stamped = sent.to_owned();
    for param in split_outside(params, b';').map(trim).filter(|param| !param.is_empty()) {
        let name = trim(param.split('=').next().unwrap_or_default());
        if name.eq_ignore_ascii_case("rport") {
            stamped.push_str(&format!(";rport={}", source.port()));
        } else if !name.eq_ignore_ascii_case("received") {
            stamped.push(';');
            stamped.push_str(param);
        }
    }
    if via.rport.is_some() || via.ip() != Some(source.ip()) {
        stamped.push_str(&format!(";received={}", source.ip()));
    }
    Some(stamped)
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} ", self.transport)?;
        write_host_port(f, &self.host, self.port)?;
        let mut params = Params::default();
        match self.rport {
            Some(Some(port)) => params.set("rport", Some(&port.to_string())),
            Some(None) => params.set("rport", None),
            None => {}
        }
        for (name, value) in [("received", &self.received), ("maddr", &self.maddr), ("branch", &self.branch)] {
            if value.is_some() {
                params.set(name, value.as_deref());
            }
        }
        if let Some(ttl) = self.ttl {
            params.set("ttl", Some(&ttl.to_string()));
        }
        params.write_header(f)?;
        self.params.write_header(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Via {
        Via::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn the_parts_of_a_hop() {
        let via = read("sip /\t2.0 /  UDP   pbx.example : 5070 ; branch\t= z9hG4bK7;rport ;ttl=3;maddr=x;alias");
        assert_eq!((via.transport.as_str(), via.host.as_str(), via.port), ("UDP", "pbx.example", Some(5070)));
        assert_eq!((via.unique_branch(), via.rport, via.ttl), (Some("z9hG4bK7"), Some(None), Some(3)));
        assert_eq!(via.to_string(), "SIP/2.0/UDP pbx.example:5070;rport;maddr=x;branch=z9hG4bK7;ttl=3;alias");
    }

    #[test]
    fn old_branches_tell_nothing_apart() {
        for (branch, unique) in [("z9hG4bK", false), ("1", false), ("z9hG4bKä", true), ("Z9HG4BKx", true)] {
            assert_eq!(read(&format!("SIP/2.0/UDP h;branch={branch}")).unique_branch().is_some(), unique, "{branch}");
        }
    }

    #[test]
    fn what_is_no_hop() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 h",
            "SIP/3.0/UDP h",
            "HTTP/2.0/UDP h",
            "SIP/2.0/U,P h",
            "SIP/2.0/UDP h h",
            "SIP/2.0/UDP h:99999",
            "SIP/2.0/UDP ::1",
            "SIP/2.0/UDP h;;,;",
            "SIP/2.0/UDP h;branch=1;branch=2",
            "SIP/2.0/UDP h;rport=x",
        ] {
            assert_eq!(Via::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_stamp_says_where_it_really_came_from_and_changes_nothing_else() {
        let source = "192.0.2.7:4444".parse().unwrap();
        for (text, expected) in [
            ("SIP/2.0/UDP 192.0.2.7;branch=1", "SIP/2.0/UDP 192.0.2.7;branch=1"),
            ("SIP/2.0/UDP 192.0.2.7;received=9.9.9.9", "SIP/2.0/UDP 192.0.2.7"),
            ("SIP/2.0/UDP 10.0.0.1", "SIP/2.0/UDP 10.0.0.1;received=192.0.2.7"),
            ("SIP/2.0/TCP pbx ; Rport = 1;x", "SIP/2.0/TCP pbx ;rport=4444;x;received=192.0.2.7"),
            ("sip/2.0/UDP 192.0.2.7;note=a==;branch=\"1;2\";", "sip/2.0/UDP 192.0.2.7;note=a==;branch=\"1;2\""),
        ] {
            assert_eq!(stamped(text, source).as_deref(), Some(expected), "{text}");
        }
        let source = "[2001:db8::2]:5060".parse().unwrap();
        let text = stamped("SIP/2.0/UDP [2001:db8::9];received=[2001:db8::1]", source).unwrap();
        assert_eq!(text, "SIP/2.0/UDP [2001:db8::9];received=2001:db8::2");
        assert_eq!(read(&text).received_ip(), "2001:db8::2".parse().ok());
        assert_eq!(stamped("nonsense", source), None);
    }
}
