//! The worlds in which all of Dialroom is tested.
//!
//! [`World`] joins planner and conference on pretended time: a calendar, a way to the mixer that may be slow, telephones;
//! everything from one seed. The other modules drive the real programs.

pub mod house;
pub mod seed;
mod world;

pub use world::World;
