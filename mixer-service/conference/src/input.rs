//! What can happen to a focus.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dialroom_booking::{BookingId, E164, HandedOver, Language, Trust};

use crate::PlaybackId;

/// One instant, read from both clocks at once: digits time out on the monotonic one, windows open on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time.
    pub instant: Instant,
    /// Wall time; may jump (a demo's clock is moved, a machine's is set), never more than forward by months.
    pub wall: DateTime<Utc>,
}

/// One call of ours, from its INVITE to its end. Never reused while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A booking was handed over, or a newer revision of one. Revisions were compared before.
    Booking(&'a HandedOver),
    /// A booking was taken back: its line closes now, who is in is told and ended.
    Withdrawn(&'a BookingId),
    /// The house rules changed; they hold from the next decision on.
    Policy(Policy),
    /// Somebody calls. Answered by `Output::Answer` or `Output::Refuse`.
    Call(LegId, Call),
    /// The caller confirmed our answer (ACK): sound reaches him from here on.
    Established(LegId),
    /// A key was pressed, once, whole.
    Digit(LegId, Digit),
    /// What `Output::Say` asked for has been played to its end (not sent after `Output::Hush`).
    Played(LegId, PlaybackId),
    /// The call is over at the caller's end.
    HungUp(LegId),
    /// Time passed; look at deadlines.
    Time,
    /// The program ends: every call ends with a record, and nobody is let in any more.
    Shutdown,
}

/// A call as it arrives.
#[derive(Clone, Debug)]
pub struct Call {
    /// The number that the trunk's settings let us believe or not; `None` when withheld or unreadable.
    pub caller: Option<E164>,
    /// How far it is believed.
    pub trust: Trust,
    /// Digits dialled behind the conference number: `4711` of `884711`; empty for the number alone.
    pub dialled_along: String,
}

/// A key of a telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Digit {
    /// `0` to `9`.
    Number(u8),
    /// `*`.
    Star,
    /// `#`.
    Pound,
}

impl Digit {
    /// The key for a character; `None` for letters A to D and anything else that no telephone has.
    #[must_use]
    pub fn from_char(key: char) -> Option<Self> {
        match key {
            '0'..='9' => u8::try_from(key.to_digit(10)?).ok().map(Self::Number),
            '*' => Some(Self::Star),
            '#' => Some(Self::Pound),
            _ => None,
        }
    }
}

/// The house rules, as the settings have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether conferences are switched on at all.
    pub enabled: bool,
    /// Who is let in by number.
    pub automatic_login: AutomaticLogin,
    /// What the others hear when somebody comes or goes.
    pub announce: Announce,
    /// Most people in one conference.
    pub max_participants: usize,
    /// Most people in all conferences of one account.
    pub max_account_participants: usize,
    /// Whether callers from outside may dial in.
    pub external_callers: bool,
    /// Digits of the longest room number configured: so many need no `#`.
    pub longest_room: usize,
    /// Silence after a key that completes what was keyed (`dial_in.inter_digit_seconds`).
    pub digit_timeout: Duration,
    /// What is spoken to a caller before anybody knows which conference he means.
    pub language: Language,
}

/// Who is let in by number (`conference.automatic_login`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutomaticLogin {
    /// Whoever's number is believed and known.
    Everyone,
    /// Own extensions only.
    Internal,
    /// Nobody.
    Off,
}

/// What is heard of joins and leaves (`conference.announce`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce {
    /// A rising and a falling tone.
    Tones,
    /// Nothing.
    None,
}
