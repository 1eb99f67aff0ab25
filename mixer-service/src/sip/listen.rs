//! Sockets: UDP behind the tidy-up, TCP accepted by ourselves so that a busy port is an error and not a log line.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use rsipstack::transport::transport_layer::DomainResolver;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportLayer};
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio_util::sync::CancellationToken;

use super::counters::SipCounters;
use super::endpoint::Shared;
use super::stream;
use super::tidy::TidySocket;

/// One address we listen on.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) bound: SocketAddr,
    pub(super) udp: SipConnection,
}

/// With port 0 the system picks the port for TCP, and UDP may have it taken; then we try the next.
const PORT_ATTEMPTS: usize = 32;
/// Longest wait for a TCP connection of ours.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failed accept: out of file handles, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds every address for UDP and TCP.
pub(super) async fn open(
    addresses: &[SocketAddr],
    counters: &Arc<SipCounters>,
    stop: &CancellationToken,
) -> anyhow::Result<(Vec<(Listener, TcpListener)>, TransportLayer)> {
    let layer = TransportLayer::new_with_domain_resolver(stop.clone(), Box::new(NoNames));
    let mut listeners = Vec::new();
    for address in addresses {
        let (udp, tcp) = bind_both(*address).await.with_context(|| format!("listening for SIP on {address}"))?;
        let bound = tcp.local_addr()?;
        let tidy = Arc::new(TidySocket::new(udp, counters.clone()));
        let udp = SipConnection::Udp(UdpConnection::from_socket(tidy, None, Some(stop.child_token())).await?);
        layer.add_transport(udp.clone());
        listeners.push((Listener { bound, udp }, tcp));
    }
    Ok((listeners, layer))
}

async fn bind_both(address: SocketAddr) -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let tcp = TcpListener::bind(address).await?;
        match UdpSocket::bind(SocketAddr::new(address.ip(), tcp.local_addr()?.port())).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(error) if address.port() != 0 || attempt == PORT_ATTEMPTS => return Err(error),
            Err(_) => {}
        }
    }
}

/// Accepts streams until the endpoint stops; beyond the bound they are closed at once.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if shared.streams.len() < shared.limits.tcp_connections {
            let _ = stream::serve(&shared, stream).await;
        }
    }
}

/// Opens a stream from the listener's address to a server.
pub(super) async fn connect(
    shared: &Arc<Shared>,
    listener: &Listener,
    server: SocketAddr,
) -> anyhow::Result<SipConnection> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.bind(SocketAddr::new(listener.bound.ip(), 0))?;
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, socket.connect(server))
        .await
        .map_err(|_| anyhow::anyhow!("no answer from {server} within {} s", CONNECT_TIMEOUT.as_secs()))?
        .with_context(|| format!("connecting to {server} over TCP"))?;
    stream::serve(shared, stream).await
}

/// Names in SIP addresses are not looked up: what we answer goes to where the request came from.
struct NoNames;

#[async_trait]
impl DomainResolver for NoNames {
    async fn resolve(&self, _target: &SipAddr) -> rsipstack::Result<SipAddr> {
        Err(rsipstack::Error::DnsResolutionError("names are not looked up".to_owned()))
    }
}
