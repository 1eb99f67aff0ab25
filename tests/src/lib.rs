//! The worlds in which all of Dialroom is tested.
//!
//! [`World`] joins planner and conference on pretended time: a calendar, a way to the mixer that may be slow, telephones;
//! everything from one seed. The other modules drive the real programs: [`house`] the whole demo, [`mixer`] the mixer alone.
//! Who calls it is a program that we did not write ([`sipp`], [`baresip`], [`kamailio`]) or a telephone of few lines that shares no code
//! with the product ([`bare`], [`load`]), through a network of the test's own ([`lab`]) or a bad one ([`relay`]).

pub mod bare;
pub mod baresip;
pub mod bystanders;
pub mod hostile;
pub mod house;
pub mod kamailio;
pub mod lab;
pub mod load;
pub mod mixer;
pub mod ports;
pub mod program;
pub mod relay;
pub mod seed;
pub mod sipp;
pub mod sound;
mod world;

pub use world::World;
