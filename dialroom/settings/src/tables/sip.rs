//! `[sip]` as written.

use std::net::{IpAddr, SocketAddr};

use crate::meant::{Advertised, CertificateFiles, Sip, SipBudgets, SipTls};
use crate::table::{Reader, Table, one};

pub(crate) fn sip(reader: &mut Reader<'_>, mut table: Table<'_>) -> Sip {
    let tls = one(reader, &mut table, "tls", tls);
    let tls_listen: Vec<SocketAddr> = table.list(reader, "tls_listen");
    if !tls_listen.is_empty() && tls.certificate.is_none() {
        table.wrong(reader, "tls_listen", "needs certificate_file and key_file in [sip.tls]");
    }
    if tls_listen.is_empty() && tls.client_ca_file.is_some() {
        table.wrong(reader, "tls", "client_ca_file has nobody to ask without sip.tls_listen = [\"192.0.2.1:5061\"]");
    }
    let sip = Sip {
        listen: listen(reader, &mut table, &tls_listen),
        tls_listen,
        advertised: advertised(reader, &mut table),
        tls,
        max_calls: table.whole(reader, "max_calls", 1..=10_000, 5000),
        budgets: budgets(reader, &mut table),
    };
    table.finish(reader);
    sip
}

fn listen(reader: &mut Reader<'_>, table: &mut Table<'_>, tls_listen: &[SocketAddr]) -> Vec<SocketAddr> {
    let listen: Vec<SocketAddr> = table.list(reader, "listen");
    let is_empty_list = table.item("listen").and_then(|item| item.as_array()).is_some_and(|array| array.is_empty());
    if let Some(twice) = listen.iter().find(|address| address.port() != 0 && tls_listen.contains(address)) {
        table.wrong(
            reader,
            "tls_listen",
            format!("{twice} stands in sip.listen too; give TLS a port of its own, 5061"),
        );
    }
    match (is_empty_list, tls_listen.is_empty()) {
        (true, true) => table.wrong(reader, "listen", "is empty; nobody could call. Leave the key out instead"),
        (true, false) => return listen,
        (false, _) => {}
    }
    if listen.is_empty() { vec![([127, 0, 0, 1], 5060).into()] } else { listen }
}

fn advertised(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Advertised {
    let mut advertised = Advertised::default();
    let written: Vec<IpAddr> = table.list(reader, "advertised");
    for address in written {
        let another = match address.to_canonical() {
            address if address.is_unspecified() || address.is_multicast() => {
                table.wrong(reader, "advertised", format!("{address}: nobody is reached by such an address"));
                false
            }
            IpAddr::V4(v4) => advertised.v4.replace(v4).is_some(),
            IpAddr::V6(v6) => advertised.v6.replace(v6).is_some(),
        };
        if another {
            table.wrong(reader, "advertised", "names two addresses of one family; one IPv4 and one IPv6 can be told");
        }
    }
    advertised
}

fn tls(reader: &mut Reader<'_>, mut table: Table<'_>) -> SipTls {
    let certificate = match (table.path(reader, "certificate_file"), table.path(reader, "key_file")) {
        (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            table.wrong(reader, "certificate_file", "has no key; name its key_file");
            None
        }
        (None, Some(_)) => {
            table.wrong(reader, "key_file", "has no certificate; name its certificate_file");
            None
        }
    };
    let tls = SipTls {
        certificate,
        client_ca_file: table.path(reader, "client_ca_file"),
        server_ca_file: table.path(reader, "server_ca_file"),
    };
    table.finish(reader);
    tls
}

fn budgets(reader: &mut Reader<'_>, table: &mut Table<'_>) -> SipBudgets {
    let budgets = SipBudgets {
        stranger_requests_per_second: table.whole(reader, "stranger_requests_per_second", 1..=10_000, 20),
        stranger_burst: table.whole(reader, "stranger_burst", 1..=10_000, 60),
        ban_after_misses: table.whole(reader, "ban_after_misses", 1..=1000, 20),
        ban_minutes: table.whole(reader, "ban_minutes", 1..=1440, 15),
        max_connections: table.whole(reader, "max_connections", 10..=20_000, 2000),
        max_connections_per_source: table.whole(reader, "max_connections_per_source", 1..=20_000, 200),
    };
    if budgets.stranger_burst < budgets.stranger_requests_per_second {
        let rate = budgets.stranger_requests_per_second;
        table.wrong(
            reader,
            "stranger_burst",
            format!("{} is less than stranger_requests_per_second = {rate}; make it as large", budgets.stranger_burst),
        );
    }
    budgets
}
