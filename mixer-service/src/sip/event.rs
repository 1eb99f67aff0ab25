//! What the boundary tells: calls that come, are confirmed, change and end.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::RemoteMedia;

/// One call, in or out. Never reused while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey(pub u64);

/// Something that happened to a call.
#[derive(Debug)]
pub enum SipEvent {
    /// Somebody calls; 100 was sent. Wants `answer` or `refuse`; without either it is given up after three minutes.
    Incoming {
        /// The call from here on.
        call: CallKey,
        /// Where the INVITE came from: what trunks are known by.
        source: SocketAddr,
        /// Our address as the caller reaches it: what media sockets bind to and what our SDP should name.
        local: IpAddr,
        /// User part of the Request-URI.
        called: Called,
        /// Who he says he is.
        headers: CallerHeaders,
    },
    /// A call of ours rings at the other end (18x with this status).
    Ringing {
        /// The call.
        call: CallKey,
        /// 180 to 189.
        status: u16,
    },
    /// Both ends agree: the ACK arrived, or our call was answered. Sound may flow.
    Established {
        /// The call.
        call: CallKey,
        /// Where and how to send.
        remote: RemoteMedia,
    },
    /// A re-INVITE changed the sound: hold, resume, another address. It is answered already.
    Reoffered {
        /// The call.
        call: CallKey,
        /// Where and how to send from now on.
        remote: RemoteMedia,
    },
    /// The call is over, whoever ended it; nothing more comes for this key.
    Ended {
        /// The call.
        call: CallKey,
        /// Who ended it, and why.
        cause: Cause,
    },
}

/// A number as it was dialled: only digits, `+`, `*` and `#`. `Debug` counts its keys: some telephones dial a PIN along.
#[derive(Clone, PartialEq, Eq)]
pub struct Called(pub(crate) String);

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
/// bytes. `crate::identity` alone decides what they are worth. `Debug` shows only how many there are: they hold numbers.
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
