//! Whether a stream to somebody can be opened at all, and what his certificate says: for those who check a trunk.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use mixer_signalling::Transport;

use super::endpoint::SipEndpoint;
use super::{tls, validity};

/// How long a connection and its handshake may take, each.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stream that could be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Our end of it.
    pub local: SocketAddr,
    /// What the other end proved; `None` without TLS.
    pub certificate: Option<Certificate>,
}

/// What a server proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The version of TLS.
    pub version: &'static str,
    /// The names in it.
    pub names: Vec<String>,
    /// Until when it is good; `None` where that cannot be read.
    pub until: Option<DateTime<Utc>>,
}

impl SipEndpoint {
    /// Opens a stream as a call would, and closes it again; `name` is what the certificate must have. Datagrams need no
    /// stream, and are reached by asking.
    ///
    /// # Errors
    /// Who refused: the network, or the certificate.
    pub async fn reach(&self, transport: Transport, to: SocketAddr, name: &str) -> anyhow::Result<Reached> {
        let streams = self.streams();
        let connected = tokio::time::timeout(PATIENCE, streams.connect(transport, to)).await;
        let stream = connected.context("nobody answers")??;
        let local = stream.local_addr()?;
        match transport {
            Transport::Udp | Transport::Tcp => Ok(Reached { local, certificate: None }),
            Transport::Tls => {
                let (connector, name) = streams.tls.connector(name)?;
                let shaken = tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await;
                let stream = shaken.context("the handshake does not end")??;
                let connection = stream.get_ref().1;
                let first = connection.peer_certificates().and_then(<[_]>::first);
                let certificate = Certificate {
                    version: match connection.protocol_version() {
                        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
                        _ => "TLS 1.2",
                    },
                    names: tls::names_of(connection),
                    until: first.and_then(|certificate| validity::until(certificate)),
                };
                Ok(Reached { local, certificate: Some(certificate) })
            }
        }
    }
}
