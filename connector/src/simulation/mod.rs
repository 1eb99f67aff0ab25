//! The connector on pretended time: the program itself, put together as always, over a simulated tenant in the same
//! process, with a store that survives it. No socket, no disk, no waiting: a day passes in the time that its work takes.
//!
//! `behaviors` holds one test for each numbered behaviour of the simulated tenant (see `calendar-fixtures/README.md`);
//! `random` lets people, faults and kills come at random from a seed and then asks whether the bookings are what the
//! calendars say.

mod attendees;
mod behaviors;
mod post;
mod random;
mod script;
mod truth;
mod why;
mod world;
