//! Digest authentication (RFC 7616, RFC 8760; RFC 3261 section 22), both ways.
//!
//! As a client we answer what our own telephone system asks, with the strongest hash it offers, and never twice in
//! vain. As a server we ask with nonces that carry their own proof, so that a question costs no memory; only a right
//! answer does.

mod client;
mod hash;
mod nonce;
mod params;
mod server;
#[cfg(test)]
mod tests;

pub use client::{Ask, NonceCount, Realms, answer_challenge};
pub use server::{Challenger, Claim, Verdict};
