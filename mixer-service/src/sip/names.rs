//! Names to addresses as SIP wants it (RFC 3263): NAPTR says which transport, SRV which hosts, A and AAAA where they are.
//!
//! What to ask is decided here; who answers is [`Zone`], the system's resolver or a table in tests.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dialroom_host::OsRandom;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};
use mixer_signalling::Transport;
use rand_core::RngCore;
use tokio::sync::{OnceCell, Semaphore};

/// How long one name may take in all; signalling itself waits twice as long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Look-ups at a time; strangers can cause some by the names in their Contacts. At the bound a name is not found.
const MAX_LOOKUPS: usize = 64;
/// Records of one answer that are looked at.
const MAX_RECORDS: usize = 16;
/// Places that are handed on.
const MAX_TARGETS: usize = 8;

/// A NAPTR record with flag `s` (RFC 3403, RFC 3263 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    order: u16,
    preference: u16,
    service: String,
    replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

/// Who knows names. What is not there is an empty list, and so is what cannot be asked.
trait Zone {
    async fn services(&self, name: &str) -> Vec<Service>;
    async fn hosts(&self, name: &str) -> Vec<Host>;
    async fn addresses(&self, name: &str) -> Vec<IpAddr>;
}

/// The system's resolver, asked at most so often at a time.
#[derive(Debug)]
pub(super) struct Names {
    system: OnceCell<Option<System>>,
    places: Semaphore,
}

impl Default for Names {
    fn default() -> Self {
        Self { system: OnceCell::new(), places: Semaphore::new(MAX_LOOKUPS) }
    }
}

impl Names {
    /// Where a host is reached, best first; empty when it cannot be found in time.
    pub(super) async fn find(
        &self,
        host: &str,
        port: Option<u16>,
        transport: Option<Transport>,
    ) -> Vec<(Transport, SocketAddr)> {
        let Ok(_place) = self.places.try_acquire() else {
            return Vec::new();
        };
        let Some(system) = self.system.get_or_init(System::new).await else {
            return Vec::new();
        };
        let mut chance = below_by_chance;
        let found = find(system, host, port, transport, &mut chance);
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_default()
    }
}

fn below_by_chance(below: u32) -> u32 {
    OsRandom.next_u32().checked_rem(below).unwrap_or_default()
}

/// RFC 3263 section 4. `chance(n)` gives a number below `n`.
async fn find(
    zone: &impl Zone,
    host: &str,
    port: Option<u16>,
    transport: Option<Transport>,
    chance: &mut (dyn FnMut(u32) -> u32 + Send),
) -> Vec<(Transport, SocketAddr)> {
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        let transport = transport.unwrap_or(Transport::Udp);
        return vec![(transport, SocketAddr::new(ip, port.unwrap_or_else(|| transport.default_port())))];
    }
    let mut found = Vec::new();
    if port.is_none() {
        for (transport, name) in records_to_ask(zone, host, transport).await {
            for Host { port, target, .. } in in_order(zone.hosts(&name).await, chance) {
                let addresses = zone.addresses(&target).await;
                found.extend(addresses.into_iter().map(|ip| (transport, SocketAddr::new(ip, port))));
            }
            if found.len() >= MAX_TARGETS {
                break;
            }
        }
    }
    if found.is_empty() {
        let transport = transport.unwrap_or(Transport::Udp);
        let port = port.unwrap_or_else(|| transport.default_port());
        found.extend(zone.addresses(host).await.into_iter().map(|ip| (transport, SocketAddr::new(ip, port))));
    }
    found.truncate(MAX_TARGETS);
    found
}

/// Which SRV records say where the host is, and what transport each stands for.
async fn records_to_ask(zone: &impl Zone, host: &str, transport: Option<Transport>) -> Vec<(Transport, String)> {
    let usual = |transport| (transport, format!("{}.{host}", srv_label(transport)));
    if let Some(transport) = transport {
        return vec![usual(transport)];
    }
    let mut services = zone.services(host).await;
    services.sort_by_key(|service| (service.order, service.preference));
    let named: Vec<(Transport, String)> = services
        .into_iter()
        .take(MAX_RECORDS)
        .filter_map(|service| Some((transport_of(&service.service)?, service.replacement)))
        .collect();
    if named.is_empty() { [Transport::Udp, Transport::Tcp, Transport::Tls].map(usual).to_vec() } else { named }
}

const fn srv_label(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    }
}

fn transport_of(service: &str) -> Option<Transport> {
    let is = |known: &str| service.eq_ignore_ascii_case(known);
    match () {
        () if is("SIPS+D2T") => Some(Transport::Tls),
        () if is("SIP+D2T") => Some(Transport::Tcp),
        () if is("SIP+D2U") => Some(Transport::Udp),
        () => None,
    }
}

/// Lowest priority first; among equals the heavier one more often (RFC 2782).
fn in_order(mut hosts: Vec<Host>, chance: &mut (dyn FnMut(u32) -> u32 + Send)) -> Vec<Host> {
    hosts.truncate(MAX_RECORDS);
    // A single dot says that there is no such service.
    hosts.retain(|host| !matches!(host.target.as_str(), "" | "."));
    hosts.sort_by_key(|host| (host.priority, host.weight));
    let mut ordered = Vec::with_capacity(hosts.len());
    while let Some(first) = hosts.first() {
        let equals = hosts.iter().take_while(|host| host.priority == first.priority).count();
        let total: u32 = hosts[..equals].iter().map(|host| u32::from(host.weight)).sum();
        let wanted = chance(total.saturating_add(1));
        let mut sum = 0;
        let picked = hosts[..equals].iter().position(|host| {
            sum += u32::from(host.weight);
            sum >= wanted
        });
        ordered.push(hosts.remove(picked.unwrap_or(0)));
    }
    ordered
}

/// The resolver that the system's settings describe.
#[derive(Debug)]
struct System(TokioResolver);

impl System {
    async fn new() -> Option<Self> {
        match TokioResolver::builder_tokio().and_then(|builder| builder.build()) {
            Ok(resolver) => Some(Self(resolver)),
            Err(error) => {
                tracing::error!(%error, "names cannot be looked up: the system's settings name no resolver");
                None
            }
        }
    }

    async fn records(&self, name: &str, kind: RecordType) -> Vec<RData> {
        // With a final dot no search list of the system is tried behind it.
        let name = format!("{}.", name.trim_end_matches('.'));
        let Ok(answer) = self.0.lookup(name.as_str(), kind).await else {
            return Vec::new();
        };
        answer.answers().iter().take(MAX_RECORDS).map(|record| record.data.clone()).collect()
    }
}

impl Zone for System {
    async fn services(&self, name: &str) -> Vec<Service> {
        let records = self.records(name, RecordType::NAPTR).await.into_iter();
        let services = records.filter_map(|record| match record {
            RData::NAPTR(naptr) if naptr.flags.eq_ignore_ascii_case(b"s") => Some(Service {
                order: naptr.order,
                preference: naptr.preference,
                service: String::from_utf8_lossy(&naptr.services).into_owned(),
                replacement: naptr.replacement.to_utf8(),
            }),
            _ => None,
        });
        services.collect()
    }

    async fn hosts(&self, name: &str) -> Vec<Host> {
        let records = self.records(name, RecordType::SRV).await.into_iter();
        let hosts = records.filter_map(|record| match record {
            RData::SRV(srv) => {
                Some(Host { priority: srv.priority, weight: srv.weight, port: srv.port, target: srv.target.to_utf8() })
            }
            _ => None,
        });
        hosts.collect()
    }

    async fn addresses(&self, name: &str) -> Vec<IpAddr> {
        // As the system would: its file of hosts first, and its search list for short names.
        let found = self.0.lookup_ip(name).await;
        found.map(|found| found.iter().take(MAX_RECORDS).collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a zone file would say: `name kind value`, a line each.
    struct Table(&'static str);

    impl Table {
        fn of(&self, name: &str, kind: &str) -> Vec<Vec<&'static str>> {
            let lines = self.0.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            lines
                .filter(|line| line.len() > 2 && line[0] == name && line[1] == kind)
                .map(|line| line[2..].to_vec())
                .collect()
        }
    }

    impl Zone for Table {
        async fn services(&self, name: &str) -> Vec<Service> {
            let service = |line: Vec<&str>| Service {
                order: line[0].parse().unwrap(),
                preference: line[1].parse().unwrap(),
                service: line[2].into(),
                replacement: line[3].into(),
            };
            self.of(name, "NAPTR").into_iter().map(service).collect()
        }

        async fn hosts(&self, name: &str) -> Vec<Host> {
            let host = |line: Vec<&str>| Host {
                priority: line[0].parse().unwrap(),
                weight: line[1].parse().unwrap(),
                port: line[2].parse().unwrap(),
                target: line[3].into(),
            };
            self.of(name, "SRV").into_iter().map(host).collect()
        }

        async fn addresses(&self, name: &str) -> Vec<IpAddr> {
            self.of(name, "A").into_iter().map(|line| line[0].parse().unwrap()).collect()
        }
    }

    const ZONE: &str = "
        pbx.example NAPTR 20 10 SIP+D2U _sip._udp.pbx.example
        pbx.example NAPTR 10 20 SIP+D2T _sip._tcp.pbx.example
        pbx.example NAPTR 10 10 SIPS+D2T _sips._tcp.pbx.example
        pbx.example NAPTR 5 10 E2U+web _http._tcp.pbx.example
        _sips._tcp.pbx.example SRV 1 0 5071 secure.pbx.example
        _sip._tcp.pbx.example SRV 2 0 5070 b.pbx.example
        _sip._tcp.pbx.example SRV 1 0 5072 a.pbx.example
        _sip._udp.pbx.example SRV 1 0 5074 a.pbx.example
        pbx.example A 192.0.2.1
        secure.pbx.example A 192.0.2.9
        a.pbx.example A 192.0.2.10
        b.pbx.example A 192.0.2.11
        plain.example A 192.0.2.20
        plain.example A 2001:db8::20
        udp.example A 192.0.2.30
        _sip._udp.udp.example SRV 1 0 5066 udp.example
        _sips._tcp.none.example SRV 0 0 0 .
        none.example A 192.0.2.40";

    #[tokio::test]
    async fn a_host_is_found_as_its_zone_says() {
        for (host, port, transport, expected) in [
            ("192.0.2.5", None, None, "UDP 192.0.2.5:5060"),
            ("[2001:db8::5]", Some(5070), Some(Transport::Tls), "TLS [2001:db8::5]:5070"),
            (
                "pbx.example",
                None,
                None,
                "TLS 192.0.2.9:5071, TCP 192.0.2.10:5072, TCP 192.0.2.11:5070, UDP 192.0.2.10:5074",
            ),
            ("pbx.example", None, Some(Transport::Tcp), "TCP 192.0.2.10:5072, TCP 192.0.2.11:5070"),
            ("pbx.example", Some(5099), None, "UDP 192.0.2.1:5099"),
            ("pbx.example", Some(5099), Some(Transport::Tls), "TLS 192.0.2.1:5099"),
            ("plain.example", None, None, "UDP 192.0.2.20:5060, UDP [2001:db8::20]:5060"),
            ("plain.example", None, Some(Transport::Tls), "TLS 192.0.2.20:5061, TLS [2001:db8::20]:5061"),
            ("udp.example", None, None, "UDP 192.0.2.30:5066"),
            ("none.example", None, Some(Transport::Tls), "TLS 192.0.2.40:5061"),
            ("nobody.example", None, None, ""),
        ] {
            let found = find(&Table(ZONE), host, port, transport, &mut |_| 0).await;
            let told: Vec<String> =
                found.iter().map(|(transport, to)| format!("{} {to}", transport.as_str())).collect();
            assert_eq!(told.join(", "), expected, "{host} {port:?} {transport:?}");
        }
    }

    #[test]
    fn the_heavier_host_comes_first_more_often_and_priority_before_weight() {
        let host = |priority, weight, target: &str| Host { priority, weight, port: 5060, target: target.to_owned() };
        let hosts = vec![host(2, 100, "backup"), host(1, 10, "light"), host(1, 90, "heavy")];
        let mut heavy_first = 0;
        for n in 0..=100 {
            let mut first = true;
            let ordered = in_order(hosts.clone(), &mut |below| if std::mem::take(&mut first) { n % below } else { 0 });
            assert_eq!((ordered.len(), ordered[2].target.as_str()), (3, "backup"));
            heavy_first += u32::from(ordered[0].target == "heavy");
        }
        assert_eq!(heavy_first, 90);
    }

    #[tokio::test]
    async fn a_crowd_of_names_is_turned_away() {
        let names = Names { system: OnceCell::new(), places: Semaphore::new(0) };
        assert!(names.find("localhost", Some(5060), None).await.is_empty());
    }
}
