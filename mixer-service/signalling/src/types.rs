//! What crosses the boundary: calls, who ends them, and what both sides agreed to send.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One call, in or out. Never reused while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(pub u64);

impl CallKey {
    /// The key of the `n`th call that the program places; odd, so that it never meets the key of a call that comes.
    #[must_use]
    pub const fn placed(n: u64) -> Self {
        Self(n.wrapping_mul(2).wrapping_add(1))
    }

    /// Whether it is a call of ours.
    #[must_use]
    pub const fn is_placed(self) -> bool {
        self.0 % 2 == 1
    }
}

/// A number as it was dialled: only digits, `+`, `*` and `#`. `Debug` counts its keys: some telephones dial a PIN along.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Called(pub String);

impl Called {
    /// The keys.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Called({} keys)", self.0.len())
    }
}

/// A key of a telephone, as SIP INFO told it: `0`–`9`, `*`, `#`, `A`–`D`. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digit(pub char);

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digit(?)")
    }
}

/// Who ended a call, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Which side.
    pub by: EndedBy,
    /// The final SIP status, where a response ended the call.
    pub status: Option<u16>,
    /// Text of the Reason header (RFC 3326) or of the response; at most 80 characters, may be empty.
    pub text: String,
}

/// Which side ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The far end: BYE, CANCEL or a refusal.
    Peer,
    /// We did.
    Us,
    /// Nobody answered: no ACK, no response, no transport.
    Silence,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.by {
            EndedBy::Peer => "ended by the other side",
            EndedBy::Us => "ended by us",
            EndedBy::Silence => "the other side no longer answers",
        })?;
        if let Some(status) = self.status {
            write!(f, ", {status}")?;
        }
        if !self.text.is_empty() {
            write!(f, ", {}", self.text)?;
        }
        Ok(())
    }
}

/// The headers of an INVITE that may say who calls, as received, each value at most [`CallerHeaders::MAX_VALUE_LEN`]
/// bytes. Whoever decides about identity alone knows what they are worth. `Debug` shows only how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CallerHeaders {
    /// Every `From`; a legal request has one.
    pub from: Vec<String>,
    /// Every `P-Asserted-Identity` line (RFC 3325).
    pub asserted: Vec<String>,
    /// Every `Privacy` line (RFC 3323).
    pub privacy: Vec<String>,
}

impl CallerHeaders {
    /// Longest value kept; a longer one is kept as an empty one: it was there, and names nobody.
    pub const MAX_VALUE_LEN: usize = 512;
    /// Most values kept of each header; more than one is ambiguous already.
    pub const MAX_VALUES: usize = 4;
}

impl fmt::Debug for CallerHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerHeaders")
            .field("from", &self.from.len())
            .field("asserted", &self.asserted.len())
            .field("privacy", &self.privacy.len())
            .finish()
    }
}

/// Our end of the sound: where the other side shall send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// Address as the other side reaches it.
    pub ip: IpAddr,
    /// RTP port; RTCP is on the next one, or on the same where the other side can (RFC 5761).
    pub port: u16,
}

/// The far end of the sound, as agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Where to send RTP.
    pub address: SocketAddr,
    /// Where RTCP goes.
    pub rtcp: RtcpPath,
    /// In which codec.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// Payload type of telephone events (RFC 4733) at the codec's RTP clock, where agreed.
    pub telephone_event: Option<u8>,
    /// Payload type of comfort noise (RFC 3389), where agreed.
    pub comfort_noise: Option<u8>,
    /// Milliseconds of sound in a packet to him; 10, 20, 30, 40, 50 or 60.
    pub packet_ms: u8,
    /// Whether he wants to hear us; false while he holds the call.
    pub listens: bool,
    /// Whether he sends; false while he only listens.
    pub speaks: bool,
    /// How the sound is encrypted; `None` in clear.
    pub crypto: Option<MediaCrypto>,
}

/// Where RTCP of a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPath {
    /// On the RTP port (RFC 5761).
    Mux,
    /// To this address (the next port, or what `a=rtcp` says, RFC 3605).
    Address(SocketAddr),
}

/// What sound is coded in on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 A-law, static payload type 8.
    Pcma,
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.722 at 64 kbit/s, static payload type 9; its RTP clock says 8000 (RFC 3551 section 4.5.2).
    G722,
    /// Opus (RFC 7587); its RTP clock is 48000.
    Opus,
}

/// Keys of SRTP as SDES agreed on them (RFC 4568). `Debug` shows the suite alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MediaCrypto {
    /// Cipher and tag.
    pub suite: CryptoSuite,
    /// What we encrypt with.
    pub ours: Keying,
    /// What the far end encrypts with.
    pub theirs: Keying,
}

impl fmt::Debug for MediaCrypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediaCrypto({:?})", self.suite)
    }
}

/// A crypto suite of SDES.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CryptoSuite {
    /// `AES_CM_128_HMAC_SHA1_80` (RFC 4568 section 6.2).
    AesCm128Sha1Tag80,
    /// `AES_CM_128_HMAC_SHA1_32`.
    AesCm128Sha1Tag32,
    /// `AEAD_AES_128_GCM` (RFC 7714).
    AesGcm128,
    /// `AEAD_AES_256_GCM` (RFC 7714).
    AesGcm256,
}

impl CryptoSuite {
    /// Bytes of the master key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AesCm128Sha1Tag80 | Self::AesCm128Sha1Tag32 | Self::AesGcm128 => 16,
            Self::AesGcm256 => 32,
        }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AesCm128Sha1Tag80 | Self::AesCm128Sha1Tag32 => 14,
            Self::AesGcm128 | Self::AesGcm256 => 12,
        }
    }
}

/// Master key and salt; as long as the suite says, the rest zero. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keying {
    /// Master key.
    pub key: [u8; 32],
    /// Master salt.
    pub salt: [u8; 14],
}

impl fmt::Debug for Keying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keying")
    }
}
