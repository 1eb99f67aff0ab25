//! Offer and answer (RFC 3264, RFC 8866), for audio alone.
//!
//! Reading is generous where telephones are careless (static payload types without a name, several lines, unknown
//! attributes) and strict where an address would make us send to somebody who did not ask, or where encryption was
//! asked for and would be lost. Nothing here knows a dialog: who offers when is decided above.

mod audio;
mod crypto;
mod offer;
mod own;
#[cfg(test)]
mod tests;
mod text;
mod write;

use std::net::{IpAddr, SocketAddr};

pub use offer::Offer;
pub use own::{OwnOffer, own_offer};

use crate::config::Capabilities;
use crate::types::RemoteMedia;

/// What a description is read against.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Codecs and encryption that we have with him.
    pub capabilities: &'a Capabilities,
    /// Where he signals from. Stands in for the address of an old-fashioned hold (`c=IN IP4 0.0.0.0`); sound goes to
    /// the same family of addresses, and to this machine's own inside only if he signals from there.
    pub held_at: IpAddr,
    /// Our own SIP sockets as others reach them, the advertised ones included: no sound is sent there.
    pub own_sip: &'a [SocketAddr],
    /// What this call agreed on before; `None` for its first description.
    pub before: Option<&'a RemoteMedia>,
}

/// `o=` of our descriptions: an id for the call, and a version that rises with every change (RFC 3264 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OurSession {
    /// Stays for the whole call.
    pub id: u32,
    /// Rises by one whenever our description is not the one before.
    pub version: u32,
}

/// Who speaks, as we want it; he sees the mirror of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    SendRecv,
    /// We alone: he is held.
    SendOnly,
    /// He alone.
    RecvOnly,
    /// Nobody.
    Inactive,
}

/// Why a description cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// It is none.
    #[error("the SDP cannot be read")]
    Unreadable,
    /// No line for sound, or all refused.
    #[error("no audio line over RTP/AVP or RTP/SAVP")]
    NoAudio,
    /// No codec in common.
    #[error("none of the codecs allowed here is offered")]
    NoCodec,
    /// Sound would go to a group, to nobody or to ourselves.
    #[error("the media address is no unicast IP address of a telephone")]
    Address,
    /// Sound would go to IPv4 while the signalling is IPv6, or the other way round.
    #[error("media and signalling must use the same version of IP")]
    Family,
    /// Only encrypted lines, and encryption is off.
    #[error("encrypted sound is switched off here; offer RTP/AVP")]
    Encrypted,
    /// Only plain lines, and encryption is required.
    #[error("sound must be encrypted here; offer RTP/SAVP with a=crypto")]
    Plain,
    /// Encrypted lines with nothing that we can use.
    #[error("no usable a=crypto line; offer AEAD_AES_256_GCM, AEAD_AES_128_GCM or AES_CM_128_HMAC_SHA1_80")]
    NoSuite,
    /// An answer to something that was not offered.
    #[error("the answer does not fit the offer")]
    Answer,
}

impl SdpError {
    /// The status that refuses an offer: what nobody can read is a bad request, all else is not acceptable here.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Unreadable => 400,
            Self::NoAudio
            | Self::NoCodec
            | Self::Address
            | Self::Family
            | Self::Encrypted
            | Self::Plain
            | Self::NoSuite
            | Self::Answer => 488,
        }
    }

    /// Code of the `Warning` header that goes with it (RFC 3261 section 20.43).
    #[must_use]
    pub const fn warning(self) -> u16 {
        match self {
            Self::NoAudio => 304,
            Self::NoCodec => 305,
            Self::Address | Self::Family => 301,
            Self::Encrypted | Self::Plain | Self::NoSuite => 302,
            Self::Unreadable | Self::Answer => 399,
        }
    }
}
