//! Whether anybody has the port that is called.
//!
//! A datagram to nobody comes back as an ICMP error, but only to a socket that is connected to him, and the one of
//! signalling is connected to nobody. So a caller would wait 32 s for what the system knows at once.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::sip::{Cause, EndedBy, Transport};

/// A keep-alive (RFC 5626 section 4.4.1): no server takes offence at it, whether it answers or not.
const KEEP_ALIVE: &[u8] = b"\r\n\r\n";
/// Such an error comes within a round trip, or never.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns only when nobody listens there; TCP finds that out by itself.
pub(super) async fn nobody_there(transport: Transport, local: IpAddr, server: SocketAddr) -> Cause {
    if transport == Transport::Udp && is_refused(local, server).await {
        let text = format!("nobody listens at {server} over UDP");
        return Cause { by: EndedBy::Silence, status: None, text };
    }
    std::future::pending().await
}

async fn is_refused(local: IpAddr, server: SocketAddr) -> bool {
    let ask = async {
        let socket = UdpSocket::bind((local, 0)).await?;
        socket.connect(server).await?;
        socket.send(KEEP_ALIVE).await?;
        socket.recv(&mut [0; 1]).await
    };
    let answer = tokio::time::timeout(PATIENCE, ask).await;
    matches!(answer, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
}
