//! SIP (RFC 3261) without a socket: messages, transactions, dialogs, calls, offers, and who may ask.
//!
//! [`Endpoint`] is the machine that a program drives: bytes come in with the instant of their arrival and the flow they
//! came by, orders come in from the switchboard, and what is to be sent, looked up, opened or told comes out. Nothing here
//! knows a room, a PIN or a sample, and nothing here reads a clock, opens a socket or asks the system for randomness.

mod call;
mod config;
mod dialog;
mod digest;
mod endpoint;
mod event;
mod gate;
pub mod message;
mod registration;
mod sdp;
mod trace;
mod transaction;
mod types;

pub use config::{
    CalledFrom, Capabilities, Config, Credentials, Limits, Local, Peer, PeerId, Srtp, Target, Timers, Transport,
};
pub use digest::{Ask, Challenger, Claim, NonceCount, Realms, Verdict, answer_challenge};
pub use endpoint::{Counts, Endpoint};
pub use event::{Flow, FlowId, Input, Invite, LookupId, OpenId, Order, Output, Refusal, Refused, SipEvent};
pub use gate::{Admission, Ban, Budgets, Gate, ReasonCode};
pub use sdp::{Direction, Offer, OurSession, OwnOffer, SdpError, Terms, own_offer};
pub use trace::{Entry, Summary, TraceBounds, Traces, Way, ladder};
pub use types::{
    CallKey, Called, CallerHeaders, Cause, Codec, CryptoSuite, Digit, EndedBy, Keying, LocalMedia, MediaCrypto,
    RemoteMedia, RtcpPath,
};

/// Where a test's time begins; pretended from there on.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
pub(crate) fn some_instant() -> std::time::Instant {
    std::time::Instant::now()
}
