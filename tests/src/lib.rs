//! The worlds in which all of Dialroom is tested.
//!
//! [`World`] joins planner and conference on pretended time: a calendar, a way to the mixer that may be slow, telephones;
//! everything from one seed. The other modules drive the real programs.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test world fails by panicking and talks to whoever runs it"
)]

pub mod house;
pub mod seed;
mod world;

pub use world::World;
