//! The far end of a stream, as its SDP describes it.

use std::net::SocketAddr;

use crate::G711;

/// Where to send, and how both sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Address of `c=` and `m=`; audio is accepted from here (`latch.rs` has the one exception).
    pub address: SocketAddr,
    /// Which law.
    pub codec: G711,
    /// Its payload type, 0–127.
    pub payload_type: u8,
    /// Payload type of telephone events (RFC 4733), if agreed.
    pub telephone_event: Option<u8>,
    /// Payload type of comfort noise (RFC 3389), if agreed; 13 at 8 kHz.
    pub comfort_noise: Option<u8>,
    /// Length of the packets we send; 10, 20, 30, 40, 50 or 60. Anything else sends 20.
    pub packet_ms: u8,
}
