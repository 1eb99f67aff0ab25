//! The sound's side of an offer and its answer (RFC 3264, RFC 4566), for audio alone.

use std::net::{IpAddr, SocketAddr};

/// Our end of the sound: where the caller shall send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// Address as the caller reaches it.
    pub ip: IpAddr,
    /// RTP port.
    pub port: u16,
}

/// The far end of the sound, as agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Where to send RTP.
    pub address: SocketAddr,
    /// In which codec.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// Payload type of telephone events (RFC 4733), 8000 Hz, where agreed.
    pub telephone_event: Option<u8>,
    /// Payload type of comfort noise (RFC 3389), where agreed.
    pub comfort_noise: Option<u8>,
    /// Milliseconds of sound in a packet to him; 10 to 60.
    pub packet_ms: u8,
    /// Whether he wants to hear us; false while he holds the call.
    pub listens: bool,
    /// Whether he sends; false while he only listens.
    pub speaks: bool,
}

/// What sound is coded in on the wire (ITU-T G.711), 8000 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// A-law, static payload type 8.
    Pcma,
    /// µ-law, static payload type 0.
    Pcmu,
}
