//! What follows from a change in a calendar: allocation of rooms and PINs, and the plan.
//!
//! [`plan()`] compares what a calendar shows with the booking we hold and says all that must happen: the new booking, who
//! is written to, what the mixer must know, which room numbers are taken when. It does none of it. No I/O, no async, no
//! clock; time is an argument, chance a generator passed in. It never sees HTTP, SMTP or a store.

mod allocation;
mod change;
mod draft;
mod hand_off;
mod ledger;
mod letters;
mod pin_choice;
mod plan;
mod rules;
#[cfg(test)]
mod testing;
mod windows;

pub use allocation::{AllRoomsTaken, choose_room};
pub use change::{Change, Difference, differences};
pub use hand_off::{HandOff, handed_over, recognized_numbers};
pub use ledger::{Block, Hold, Ledger};
pub use letters::{IcsKind, Letter, LetterKind, Note};
pub use pin_choice::choose_pins;
pub use plan::{Decision, Ignored, Plan, Refusal, Seen, Sighting, Stored, plan};
pub use rules::{Contact, Directory, PlanRules};
