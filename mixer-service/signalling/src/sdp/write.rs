//! How our descriptions are written: one audio line, everything a telephone asks about said once.

use std::fmt::Write;

use super::crypto::{self, CryptoLine};
use super::{Direction, OurSession, audio};
use crate::types::{Codec, LocalMedia};

/// Opus as the room hears it: one channel, mixed at 8000 Hz, and redundancy against loss (RFC 7587 section 6.1).
const OPUS_PARAMETERS: &str = "stereo=0;sprop-stereo=0;maxplaybackrate=8000;useinbandfec=1";

/// What an audio line of ours says.
#[derive(Debug)]
pub(super) struct Audio<'a> {
    pub(super) proto: &'a str,
    pub(super) port: u16,
    pub(super) codecs: &'a [(Codec, u8)],
    /// Payload type and clock of telephone events.
    pub(super) events: &'a [(u8, u32)],
    pub(super) comfort_noise: Option<u8>,
    pub(super) crypto: &'a [CryptoLine],
    pub(super) packet_ms: u8,
    pub(super) direction: Direction,
    pub(super) rtcp_mux: bool,
}

/// Everything before the first media line.
pub(super) fn head(local: LocalMedia, ours: OurSession) -> String {
    let family = if local.ip.is_ipv4() { "IP4" } else { "IP6" };
    let (id, version, ip) = (ours.id, ours.version, local.ip);
    format!("v=0\r\no=- {id} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n")
}

impl Audio<'_> {
    /// Appends the line and its attributes.
    pub(super) fn write(&self, sdp: &mut String) {
        let _ = write!(sdp, "m=audio {} {}", self.port, self.proto);
        let sounds = self.codecs.iter().map(|&(_, payload_type)| payload_type);
        let events = self.events.iter().map(|&(payload_type, _)| payload_type);
        for payload_type in sounds.chain(events).chain(self.comfort_noise) {
            let _ = write!(sdp, " {payload_type}");
        }
        sdp.push_str("\r\n");
        for crypto in self.crypto {
            crypto::write(sdp, crypto);
        }
        for &(codec, payload_type) in self.codecs {
            let _ = write!(sdp, "a=rtpmap:{payload_type} {}\r\n", encoding(codec));
            if codec == Codec::Opus {
                let _ = write!(sdp, "a=fmtp:{payload_type} {OPUS_PARAMETERS}\r\n");
            }
        }
        for (event, clock) in self.events {
            let _ = write!(sdp, "a=rtpmap:{event} telephone-event/{clock}\r\na=fmtp:{event} 0-15\r\n");
        }
        if let Some(noise) = self.comfort_noise {
            let _ = write!(sdp, "a=rtpmap:{noise} CN/8000\r\n");
        }
        let _ = write!(sdp, "a=ptime:{}\r\na={}\r\n", self.packet_ms, self.direction.as_str());
        if self.rtcp_mux {
            sdp.push_str("a=rtcp-mux\r\n");
        }
    }
}

impl Direction {
    /// Its attribute.
    const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The mirror of what he does: he only sends, so we only receive.
    pub(super) const fn mirror(speaks: bool, listens: bool) -> Self {
        match (speaks, listens) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::RecvOnly,
            (false, true) => Self::SendOnly,
            (false, false) => Self::Inactive,
        }
    }
}

fn encoding(codec: Codec) -> String {
    let (name, channels) = match codec {
        Codec::Pcma => ("PCMA", ""),
        Codec::Pcmu => ("PCMU", ""),
        Codec::G722 => ("G722", ""),
        Codec::Opus => ("opus", "/2"),
    };
    format!("{name}/{}{channels}", audio::clock(codec))
}
