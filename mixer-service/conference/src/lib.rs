//! Who may enter which conference, and what they hear.
//!
//! One machine, the [`Focus`] (RFC 4353): it takes what happened ([`Input`]), gives what to do ([`Output`]), and the last
//! output of every drain is the next deadline. It speaks of legs, digits and sentences. It never sees an address, SDP, a
//! sample or a clock: time comes as [`Now`].

mod input;
mod output;

mod focus;

mod entry;
mod key_in;
mod leg;
mod login;

mod admission;
mod announcement;
mod room;

mod agenda;
mod closing;
mod dates;

#[cfg(test)]
mod focus_tests;
#[cfg(test)]
mod simulation;

pub use focus::Focus;
pub use input::{Announce, AutomaticLogin, Call, Digit, Input, LegId, Now, Policy};
pub use output::{
    Admission, CallRecord, ConferenceId, ConferenceView, EndReason, Event, Output, ParticipantView, PlaybackId,
    Refusal, Sentence, SpokenDay,
};
