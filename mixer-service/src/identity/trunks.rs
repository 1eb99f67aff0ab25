//! Which telephone system a request comes from.

use std::collections::HashMap;
use std::net::IpAddr;

use dialroom_settings::{Settings, Trunk};

/// Addresses that the servers of trunks have, by the name of the trunk, as DNS last said. A telephone system that we
/// register with calls us from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerAddresses(HashMap<String, Vec<IpAddr>>);

impl ServerAddresses {
    /// Most addresses kept of one trunk; no provider needs more.
    pub const MAX_ADDRESSES: usize = 64;

    /// Replaces what is known of a trunk.
    pub fn set(&mut self, trunk: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        let addresses = addresses.into_iter().map(|address| address.to_canonical()).take(Self::MAX_ADDRESSES).collect();
        self.0.insert(trunk.to_owned(), addresses);
    }

    /// What is known of a trunk.
    #[must_use]
    pub fn of(&self, trunk: &str) -> &[IpAddr] {
        self.0.get(trunk).map_or(&[], Vec::as_slice)
    }
}

/// The trunk that a request comes from; `None` for a stranger.
///
/// `tls_names` are the names in the certificate that the connection proved, and no others. What is proved by a certificate
/// goes before an address; the closest block of addresses before a wider one; written addresses before those of a server.
/// Trunks that share a server are told apart by none of these: the first in the file has the call.
#[must_use]
pub fn trunk_of<'a>(
    settings: &'a Settings,
    servers: &ServerAddresses,
    source: IpAddr,
    tls_names: &[String],
) -> Option<&'a Trunk> {
    let trunks = &settings.trunks;
    let proves = |trunk: &&Trunk| trunk.tls_names.iter().any(|name| tls_names.iter().any(|proved| same(proved, name)));
    trunks.iter().find(proves).or_else(|| closest(trunks, source)).or_else(|| {
        let source = source.to_canonical();
        trunks.iter().find(|trunk| has_server_at(trunk, servers, source))
    })
}

/// Names of hosts differ in case only (RFC 4343), and a final dot changes none.
fn same(proved: &str, name: &str) -> bool {
    proved.strip_suffix('.').unwrap_or(proved).eq_ignore_ascii_case(name)
}

fn closest(trunks: &[Trunk], source: IpAddr) -> Option<&Trunk> {
    let mut closest: Option<(u8, &Trunk)> = None;
    for trunk in trunks {
        let block =
            trunk.addresses.iter().filter(|block| block.contains(source)).map(|block| block.prefix_bits()).max();
        if let Some(bits) = block
            && closest.is_none_or(|(other, _)| bits > other)
        {
            closest = Some((bits, trunk));
        }
    }
    closest.map(|(_, trunk)| trunk)
}

fn has_server_at(trunk: &Trunk, servers: &ServerAddresses, source: IpAddr) -> bool {
    let written = [&trunk.server, &trunk.outbound_proxy].into_iter().flatten().filter_map(|server| server.address());
    written
        .map(|address| address.to_canonical())
        .chain(servers.of(&trunk.name).iter().copied())
        .any(|one| one == source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let text = "[sip]\ntls_listen = [\"127.0.0.1:5061\"]\n\
            [sip.tls]\ncertificate_file = \"c\"\nkey_file = \"k\"\nclient_ca_file = \"ca\"\n\
            [[trunk]]\nname = \"wide\"\naddresses = [\"10.0.0.0/8\", \"2001:db8::/32\"]\n\
            [[trunk]]\nname = \"close\"\naddresses = [\"10.0.0.5\"]\ntls_names = [\"pbx.example.com\"]\n\
            [[trunk]]\nname = \"registrar\"\nserver = \"192.0.2.9:5070\"\n\
            [[trunk]]\nname = \"provider\"\nserver = \"sip.example.net\"\noutbound_proxy = \"192.0.2.10\"\n";
        Settings::read(std::path::Path::new("dialroom.toml"), text).expect("settings that hold")
    }

    fn check(source: &str, tls_names: &[&str], expected: Option<&str>) {
        let mut servers = ServerAddresses::default();
        servers.set("provider", ["198.51.100.1".parse().unwrap(), "::ffff:198.51.100.2".parse().unwrap()]);
        let names: Vec<String> = tls_names.iter().map(ToString::to_string).collect();
        let settings = settings();
        let found = trunk_of(&settings, &servers, source.parse().unwrap(), &names).map(|trunk| trunk.name.as_str());
        assert_eq!(found, expected, "{source} {tls_names:?}");
    }

    #[test]
    fn an_address_is_a_trunk_or_a_stranger() {
        check("10.1.2.3", &[], Some("wide"));
        check("2001:db8::7", &[], Some("wide"));
        check("10.0.0.5", &[], Some("close"));
        check("::ffff:10.0.0.5", &[], Some("close"));
        check("192.0.2.9", &[], Some("registrar"));
        check("192.0.2.10", &[], Some("provider"));
        check("198.51.100.1", &[], Some("provider"));
        check("198.51.100.2", &[], Some("provider"));
        check("198.51.100.3", &[], None);
        check("127.0.0.1", &[], None);
        check("2001:db9::7", &[], None);
    }

    #[test]
    fn a_proved_name_goes_before_an_address() {
        check("203.0.113.1", &["PBX.example.com"], Some("close"));
        check("203.0.113.1", &["other.example.com", "pbx.example.com."], Some("close"));
        check("10.1.2.3", &["pbx.example.com"], Some("close"));
        check("10.1.2.3", &["evil.example.com"], Some("wide"));
        check("203.0.113.1", &["pbx.example.com.evil.net", "*.example.com", ""], None);
    }

    #[test]
    fn what_dns_said_last_counts_alone() {
        let mut servers = ServerAddresses::default();
        let (old, new): (IpAddr, IpAddr) = ("198.51.100.1".parse().unwrap(), "198.51.100.2".parse().unwrap());
        servers.set("provider", [old]);
        servers.set("provider", [new]);
        let settings = settings();
        assert!(trunk_of(&settings, &servers, old, &[]).is_none());
        assert!(trunk_of(&settings, &servers, new, &[]).is_some());
    }
}
