//! A request of ours on its way: for whom it is sent, and where it may still go.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::config::{PeerId, Transport};
use crate::digest::NonceCount;
use crate::event::FlowId;
use crate::message::Request;
use crate::types::CallKey;

/// For whom a request was sent: who hears its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The INVITE of a call of ours.
    Invite(CallKey),
    /// An INVITE or an UPDATE inside a call.
    Change(CallKey),
    /// PRACK for a provisional answer to a call of ours.
    Prack(CallKey),
    /// A question whether the other side is still there.
    Probe(CallKey),
    /// INFO, NOTIFY: answered or not, the call goes on unless it is unknown there.
    Inside(CallKey),
    /// A registration.
    Registration(PeerId),
    /// A question outside calls.
    Ping(u64),
    /// BYE, CANCEL: nobody waits for the answer.
    Nobody,
}

impl Owner {
    /// The call it belongs to.
    pub(crate) const fn call(self) -> Option<CallKey> {
        match self {
            Self::Invite(call) | Self::Change(call) | Self::Prack(call) | Self::Probe(call) | Self::Inside(call) => {
                Some(call)
            }
            Self::Registration(_) | Self::Ping(_) | Self::Nobody => None,
        }
    }
}

/// A request without its Via, and where it may go.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) owner: Owner,
    pub(crate) request: Request,
    /// Where it may go, best first.
    pub(crate) candidates: VecDeque<(Transport, SocketAddr)>,
    /// The name that a certificate there must have.
    pub(crate) name: Arc<str>,
    /// Whose credentials answer a challenge.
    pub(crate) peer: Option<PeerId>,
    /// The flow to take if it is open.
    pub(crate) hint: Option<FlowId>,
    /// Contact to add once the flow is known; requests inside dialogs have theirs.
    pub(crate) contact: Option<Contact>,
    /// Stands in for our address where the socket listens on all.
    pub(crate) seen_as: Option<IpAddr>,
    /// Challenges answered so far.
    pub(crate) nonces: Option<Box<NonceCount>>,
    /// Whether it may go over TCP because it is too large for a datagram (RFC 3261 section 18.1.1).
    pub(crate) may_grow: bool,
}

/// Our Contact: user part and parameters behind the address.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) user: Option<String>,
    pub(crate) params: &'static str,
}

impl Contact {
    /// As it is written where we are reached at this address.
    pub(crate) fn at(&self, transport: Transport, address: SocketAddr) -> String {
        let user = self.user.as_deref().map(|user| format!("{}@", escaped(user))).unwrap_or_default();
        let stream = match transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
        };
        format!("<sip:{user}{address}{stream}>{}", self.params)
    }
}

/// A user part without what would end it.
pub(crate) fn escaped(user: &str) -> String {
    let mut written = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
    written
}

impl Parcel {
    pub(crate) fn new(owner: Owner, request: Request) -> Self {
        Self {
            owner,
            request,
            candidates: VecDeque::new(),
            name: Arc::default(),
            peer: None,
            hint: None,
            contact: None,
            seen_as: None,
            nonces: None,
            may_grow: false,
        }
    }
}

/// A parcel that waits for a name or a stream.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) parcel: Parcel,
    pub(crate) until: Instant,
    pub(crate) alarm: Option<Instant>,
    /// Where the stream is to lead that it waits for; `None` while it waits for a name.
    pub(crate) opening: Option<(Transport, SocketAddr)>,
}
