//! Signalling's shell: sockets, TLS and names around the machine of `mixer-signalling`.
//!
//! The machine ([`mixer_signalling::Endpoint`]) decides all that RFC 3261 leaves to decide; here are one thread that drives
//! it, the sockets of datagrams, a task for each stream, and the handle that the program holds. Strangers pass the gate
//! before anything of theirs is read.

mod audit;
mod connections;
mod counters;
mod datagrams;
mod driver;
mod endpoint;
mod inlet;
mod names;
mod reach;
mod setup;
mod streams;
mod tls;
mod validity;

#[cfg(test)]
mod tests;

pub use counters::{SipCounters, SipCounts, SipState};
pub use endpoint::{Invite, Pong, Registration, SipEndpoint, TracedCall};
pub use mixer_signalling::{
    CallKey, Called, CallerHeaders, Cause, Codec, Config, Credentials, Digit, EndedBy, LocalMedia, Peer, PeerId,
    RemoteMedia, SipEvent, Srtp, Target, Transport,
};
pub use reach::{Certificate, Reached};
pub use setup::{Budgets, Listen, Setup, Who};
