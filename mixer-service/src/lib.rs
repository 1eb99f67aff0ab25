//! The mixer of Dialroom: answers calls, asks for the PIN, mixes.

pub mod identity;
pub mod sip;

pub mod engine;

mod control;
mod metrics;
mod records;
mod schedule;
