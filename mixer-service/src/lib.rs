//! The mixer of Dialroom: answers calls, asks for the PIN, mixes.
//!
//! The shell around three machines: signalling ([`sip`]), sound ([`engine`]) and the focus of `mixer-conference`, which alone
//! decides who enters which room. The switchboard turns what one of them says into what the others must do; the control
//! API is how bookings come in and call records go out. It sees no calendar, no mail and no office secret.

pub mod identity;
pub mod sip;
pub mod telephone;

pub mod engine;

mod control;
mod dialled;
mod far_end;
mod metrics;
pub mod prompts;
mod records;
mod run;
mod schedule;
mod settings_watch;
mod switchboard;
pub mod trial;
pub mod trunks;

#[cfg(test)]
mod testing;

pub use run::{Mixer, Options, run};
