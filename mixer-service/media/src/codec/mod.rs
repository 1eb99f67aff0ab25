//! Codecs: samples to payload and back, as table look-ups that neither allocate nor branch.

mod g711;

pub use g711::{G711, Payload};
