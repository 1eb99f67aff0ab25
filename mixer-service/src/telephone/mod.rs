//! A telephone without a person: calls and is called, presses keys, plays a tone and tells what it hears.
//!
//! The instrument behind `dialroom phone`, the self-test and the end-to-end tests. It is made of the same parts as the
//! mixer's own legs, seen from the other end: an endpoint of [`crate::sip`] and a stream of [`crate::engine`]. A [`Line`] is
//! the telephone on its hook, registered or not; a [`Telephone`] is one call on it.

mod call;
mod hearing;
mod keys;
mod line;
mod probe;
#[cfg(test)]
mod tests;
mod wav;

pub use call::{CallReport, Phase, Telephone};
pub use hearing::{Hearing, Pitch, pitches};
pub use keys::KeysBy;
pub use line::{Account, Called, Dial, Line, LineSetup};
pub use wav::{read_wav, write_wav};
