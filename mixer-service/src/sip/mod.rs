//! Signalling: calls in and out over SIP (RFC 3261), in our own words.
//!
//! The only place that may name a type of the SIP library: the boundary is what makes the library replaceable. It knows
//! calls, addresses and numbers dialled; it knows no room, no PIN and no sample. Offers are answered here, and the
//! caller's media address is handed up only once he has confirmed our answer.

mod call;
mod counters;
mod dialog;
mod endpoint;
mod event;
mod incoming;
mod listen;
mod message;
mod outgoing;
mod sdp;
mod stream;
mod tidy;
mod uri;

#[cfg(test)]
mod tests;

pub use counters::{SipCounters, SipCounts};
pub use endpoint::{Invite, Limits, Listen, SipEndpoint, Transport};
pub use event::{CallKey, Called, CallerHeaders, Cause, EndedBy, SipEvent};
pub use sdp::{Codec, LocalMedia, RemoteMedia};
