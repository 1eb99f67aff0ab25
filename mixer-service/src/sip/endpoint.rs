//! The endpoint: sockets, the table of calls, and what others may ask of it.

use std::net::{IpAddr, SocketAddr};

use tokio::sync::mpsc;

use super::{CallKey, LocalMedia, SipEvent};

/// Where to listen, UDP and TCP on each address; port 0 picks one that is free for both.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Local addresses.
    pub addresses: Vec<SocketAddr>,
    /// Address that others reach us by, where it is another one.
    pub advertised: Option<IpAddr>,
}

/// Bounds of the endpoint; at a bound new calls get 503, running ones notice nothing.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls that are not confirmed yet, in all.
    pub calls_in_setup: usize,
    /// Calls in all.
    pub calls: usize,
    /// Bytes of all headers of one request.
    pub header_bytes: usize,
    /// Bytes of one SDP.
    pub sdp_bytes: usize,
    /// TCP connections at a time.
    pub tcp_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { calls_in_setup: 2_000, calls: 10_000, header_bytes: 7_000, sdp_bytes: 4_000, tcp_connections: 2_000 }
    }
}

/// Over which transport a call of ours goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
}

/// A call to place.
#[derive(Clone)]
pub struct Invite {
    /// Who is asked to take it.
    pub server: SocketAddr,
    /// How he is reached.
    pub transport: Transport,
    /// User part of the Request-URI.
    pub number: String,
    /// User part of From and, where it is an international number, P-Asserted-Identity; `None` calls anonymously.
    pub from: Option<String>,
    /// Where the other side shall send its sound.
    pub local: LocalMedia,
}

impl std::fmt::Debug for Invite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invite")
            .field("server", &self.server)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// The endpoint; cheap to clone.
#[derive(Clone, Debug)]
pub struct SipEndpoint {
    orders: mpsc::UnboundedSender<(CallKey, Order)>,
    addresses: Vec<SocketAddr>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "the calls that read these follow")]
enum Order {
    Answer(LocalMedia),
    Refuse(u16, String),
    HangUp(String),
}

impl SipEndpoint {
    /// Binds all addresses and starts to serve.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub async fn start(listen: Listen, limits: Limits) -> anyhow::Result<(Self, mpsc::Receiver<SipEvent>)> {
        let _ = (listen, limits);
        anyhow::bail!("not bound")
    }

    /// The addresses it listens on, in the order they were asked for, ports filled in.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Answers an incoming call: 200 with our SDP. `Established` follows, or `Ended`.
    pub fn answer(&self, call: CallKey, local: LocalMedia) {
        let _ = self.orders.send((call, Order::Answer(local)));
    }

    /// Refuses an incoming call with a final status (400 to 699) and a reason of a few words. `Ended` follows.
    pub fn refuse(&self, call: CallKey, status: u16, reason: &str) {
        let _ = self.orders.send((call, Order::Refuse(status, reason.to_owned())));
    }

    /// Ends a call: BYE, CANCEL or a refusal, whichever its state wants, with a Reason header. `Ended` follows.
    pub fn hang_up(&self, call: CallKey, reason: &str) {
        let _ = self.orders.send((call, Order::HangUp(reason.to_owned())));
    }

    /// Places a call. `Ringing`, `Established` and `Ended` tell how it goes on.
    ///
    /// # Errors
    /// When the bounds are reached or the number cannot stand in a SIP URI.
    pub async fn invite(&self, request: Invite) -> anyhow::Result<CallKey> {
        let _ = request;
        anyhow::bail!("not bound")
    }

    /// Ends every call with BYE and this reason, then stops listening.
    pub async fn shutdown(&self, reason: &str) {
        let _ = reason;
    }
}
