//! Where the demo listens: the usual ports, flags that change them, and free ones in place of busy ones.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use anyhow::{Context as _, bail};

/// How often a port that is free for TCP may turn out to be taken for UDP.
const MAX_TRIES: usize = 50;

/// Flags that change an endpoint; port 0 picks a free one.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Wishes {
    /// Pages and API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<SocketAddr>,
    /// Telephone side, UDP and TCP [default: 127.0.0.1:5060]
    #[arg(long, value_name = "ADDR:PORT")]
    sip: Option<SocketAddr>,
    /// The mixer's control API [default: 127.0.0.1:8070]
    #[arg(long, value_name = "ADDR:PORT")]
    control: Option<SocketAddr>,
    /// Simulated Microsoft Graph [default: 127.0.0.1:8090]
    #[arg(long, value_name = "ADDR:PORT")]
    graph: Option<SocketAddr>,
    /// Mail server that keeps the mails [default: 127.0.0.1:2525]
    #[arg(long, value_name = "ADDR:PORT")]
    smtp: Option<SocketAddr>,
}

/// Where everything listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) sip: SocketAddr,
    pub(crate) control: SocketAddr,
    pub(crate) graph: SocketAddr,
    pub(crate) smtp: SocketAddr,
}

/// Addresses that are free, and the sockets of this process' own two.
#[derive(Debug)]
pub(crate) struct Endpoints {
    pub(crate) addresses: Addresses,
    pub(crate) graph: TcpListener,
    pub(crate) smtp: TcpListener,
    /// Defaults that were busy: what for, and which port was meant.
    pub(crate) moved: Vec<(&'static str, u16)>,
}

impl Endpoints {
    /// Chooses all of them. Those of the children are free when this returns; all are held until then, so that no two
    /// are given the same.
    ///
    /// # Errors
    /// When a port named by flag is busy, or none is free.
    pub(crate) fn choose(wishes: &Wishes) -> anyhow::Result<Self> {
        let mut moved = Vec::new();
        let http = claim("http", wishes.http, 8080, false, &mut moved)?;
        let sip = claim("sip", wishes.sip, 5060, true, &mut moved)?;
        let control = claim("control", wishes.control, 8070, false, &mut moved)?;
        let graph = claim("graph", wishes.graph, 8090, false, &mut moved)?;
        let smtp = claim("smtp", wishes.smtp, 2525, false, &mut moved)?;
        let addresses = Addresses {
            http: http.address,
            sip: sip.address,
            control: control.address,
            graph: graph.address,
            smtp: smtp.address,
        };
        Ok(Self { addresses, graph: graph.tcp, smtp: smtp.tcp, moved })
    }
}

struct Claim {
    address: SocketAddr,
    tcp: TcpListener,
    _udp: Option<UdpSocket>,
}

fn claim(
    name: &'static str,
    wish: Option<SocketAddr>,
    default_port: u16,
    with_udp: bool,
    moved: &mut Vec<(&'static str, u16)>,
) -> anyhow::Result<Claim> {
    if let Some(address) = wish {
        if name == "control" && !address.ip().is_loopback() {
            bail!("--control {address}: PINs cross here in clear; name a loopback address");
        }
        return bind(address, with_udp).with_context(|| format!("--{name} {address}: busy, or not ours; name another"));
    }
    let default = SocketAddr::from(([127, 0, 0, 1], default_port));
    bind(default, with_udp).or_else(|_| {
        moved.push((name, default_port));
        bind(SocketAddr::from(([127, 0, 0, 1], 0)), with_udp).with_context(|| format!("no free port for {name}"))
    })
}

fn bind(wanted: SocketAddr, with_udp: bool) -> std::io::Result<Claim> {
    for _ in 0..MAX_TRIES {
        let tcp = TcpListener::bind(wanted)?;
        let address = tcp.local_addr()?;
        match with_udp.then(|| UdpSocket::bind(address)).transpose() {
            Ok(udp) => return Ok(Claim { address, tcp, _udp: udp }),
            Err(_) if wanted.port() == 0 => {}
            Err(busy) => return Err(busy),
        }
    }
    Err(std::io::ErrorKind::AddrInUse.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> Option<SocketAddr> {
        Some(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    #[test]
    fn port_0_picks_free_ones_all_different() {
        let wishes = Wishes { http: any(), sip: any(), control: any(), graph: any(), smtp: any() };
        let chosen = Endpoints::choose(&wishes).unwrap();
        let Addresses { http, sip, control, graph, smtp } = chosen.addresses;
        let mut ports: Vec<_> = [http, sip, control, graph, smtp].iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 5);
        assert!(!ports.contains(&0) && chosen.moved.is_empty());
    }

    #[test]
    fn a_busy_port_named_by_flag_is_an_error_that_names_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let told = claim("smtp", Some(address), 2525, false, &mut Vec::new()).err().unwrap().to_string();
        assert!(told.contains(&format!("--smtp {address}")), "{told}");
    }

    #[test]
    fn a_busy_default_moves_and_says_so() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut moved = Vec::new();
        let claim = claim("graph", None, port, false, &mut moved).unwrap();
        assert_ne!(claim.address.port(), port);
        assert_eq!(moved, [("graph", port)]);
    }

    #[test]
    fn sip_needs_its_port_for_udp_too() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(bind(taken.local_addr().unwrap(), true).is_err());
    }

    #[test]
    fn control_stays_on_loopback() {
        let told = claim("control", "0.0.0.0:0".parse().ok(), 8070, false, &mut Vec::new()).err().unwrap().to_string();
        assert!(told.contains("loopback"), "{told}");
    }
}
