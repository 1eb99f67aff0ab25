//! Keying a room and its PIN: what each key means, and when an entry is complete.
//!
//! Pure digits and time; whether they open anything is judged elsewhere, and only when both are there: until then a room
//! that exists and one that does not behave alike.

use std::fmt;
use std::time::{Duration, Instant};

use dialroom_booking::RoomNumber;

use crate::Digit;

/// Most digits of one entry: the longest PIN has 12, and who keys more than that is lost. What follows is not kept, and
/// the entry matches nothing.
pub(crate) const MAX_ENTRY_DIGITS: usize = 16;
/// A `#` so soon after a room number that needed none still belongs to it.
pub(crate) const POUND_GRACE: Duration = Duration::from_millis(1500);

/// Lengths at which an entry is complete by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) longest_room: usize,
    pub(crate) longest_pin: usize,
}

/// An entry in progress.
#[derive(Debug)]
pub(crate) enum KeyIn {
    Room(Digits),
    Pin {
        room: Digits,
        pin: Digits,
        /// When the room number ended without a `#`.
        room_ended: Option<Instant>,
        /// The PIN had the longest length once and was tried: from here on it counts, whatever is keyed next.
        tried: bool,
    },
}

/// What a key or a pause leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing happened.
    Ignored,
    /// One digit more.
    More,
    /// The room number is complete: ask for the PIN. Or the PIN was cleared: ask again.
    AskPin,
    /// Start over with the room.
    AskRoom,
    /// The PIN has the longest length: it counts already if it is right.
    Try,
    /// The entry is complete and counts.
    Judge,
    /// A pause in which nothing was keyed.
    Silence,
}

impl KeyIn {
    pub(crate) fn new() -> Self {
        Self::Room(Digits::default())
    }

    /// An entry whose room was dialled along (`884711`): asks for the PIN if that can be a room number, else for the room.
    pub(crate) fn dialled_along(dialled: &str, longest_room: usize) -> Self {
        let mut room = Digits::default();
        for digit in dialled.chars().filter(char::is_ascii_digit).take(longest_room) {
            room.push(digit);
        }
        if room.room().is_some() { Self::pin_for(room, None) } else { Self::new() }
    }

    pub(crate) fn press(&mut self, now: Instant, key: Digit, lengths: Lengths) -> Step {
        match (&mut *self, key) {
            (Self::Room(room), Digit::Number(digit)) => {
                room.push(char::from(b'0' + digit % 10));
                if room.len() == lengths.longest_room { self.room_done(Some(now)) } else { Step::More }
            }
            (Self::Room(room), Digit::Pound) if room.len() == 0 => Step::Ignored,
            (Self::Room(_), Digit::Pound) => self.room_done(None),
            (Self::Room(_), Digit::Star) => self.start_over(),
            (Self::Pin { pin, tried, .. }, Digit::Number(digit)) => {
                pin.push(char::from(b'0' + digit % 10));
                if pin.len() == lengths.longest_pin {
                    *tried = true;
                    return Step::Try;
                }
                Step::More
            }
            (Self::Pin { pin, room_ended, .. }, Digit::Pound) => {
                let grace = room_ended.take().is_some_and(|ended| now.duration_since(ended) <= POUND_GRACE);
                if pin.len() == 0 && grace { Step::Ignored } else { Step::Judge }
            }
            // Clearing a PIN that was tried already would make guessing free.
            (Self::Pin { tried: true, .. }, Digit::Star) => Step::Judge,
            (Self::Pin { pin, .. }, Digit::Star) if pin.len() == 0 => self.start_over(),
            (Self::Pin { pin, .. }, Digit::Star) => {
                *pin = Digits::default();
                Step::AskPin
            }
        }
    }

    /// Nothing was keyed for the time between two digits, or since the prompt ended.
    pub(crate) fn pause(&mut self, now: Instant) -> Step {
        match self {
            Self::Room(room) if room.len() == 0 => Step::Silence,
            Self::Room(_) => self.room_done(Some(now)),
            Self::Pin { pin, .. } if pin.len() == 0 => Step::Silence,
            Self::Pin { .. } => Step::Judge,
        }
    }

    /// The room keyed, if such a number can exist.
    pub(crate) fn room(&self) -> Option<RoomNumber> {
        match self {
            Self::Room(room) | Self::Pin { room, .. } => room.room(),
        }
    }

    /// The PIN keyed; `None` when it has more digits than any PIN.
    pub(crate) fn pin(&self) -> Option<&str> {
        match self {
            Self::Room(_) => None,
            Self::Pin { pin, .. } => pin.whole(),
        }
    }

    pub(crate) fn asks_pin(&self) -> bool {
        matches!(self, Self::Pin { .. })
    }

    fn room_done(&mut self, ended_without_pound: Option<Instant>) -> Step {
        if let Self::Room(room) = self {
            *self = Self::pin_for(std::mem::take(room), ended_without_pound);
        }
        Step::AskPin
    }

    fn start_over(&mut self) -> Step {
        *self = Self::new();
        Step::AskRoom
    }

    fn pin_for(room: Digits, room_ended: Option<Instant>) -> Self {
        Self::Pin { room, pin: Digits::default(), room_ended, tried: false }
    }
}

/// At most [`MAX_ENTRY_DIGITS`] digits; they never print.
#[derive(Default)]
pub(crate) struct Digits {
    text: String,
    too_many: bool,
}

impl Digits {
    fn push(&mut self, digit: char) {
        if self.text.len() < MAX_ENTRY_DIGITS {
            self.text.push(digit);
        } else {
            self.too_many = true;
        }
    }

    fn len(&self) -> usize {
        self.text.len()
    }

    fn whole(&self) -> Option<&str> {
        (!self.too_many).then_some(self.text.as_str())
    }

    fn room(&self) -> Option<RoomNumber> {
        RoomNumber::parse(self.whole()?).ok()
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digits({})", self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::focus_tests::start;

    const LENGTHS: Lengths = Lengths { longest_room: 4, longest_pin: 6 };

    /// Keys `keys`, 100 ms apart; `_` is a pause of 2 s, `~` the time-out. Gives room, PIN and the last step.
    fn check(keys: &str, room: Option<&str>, pin: Option<&str>, last: Step) {
        let (mut key_in, mut now, mut step) = (KeyIn::new(), start().instant, Step::Ignored);
        for key in keys.chars() {
            now += Duration::from_millis(if key == '_' { 2000 } else { 100 });
            match (key, Digit::from_char(key)) {
                ('~', _) => step = key_in.pause(now),
                (_, Some(digit)) => step = key_in.press(now, digit, LENGTHS),
                (_, None) => {}
            }
        }
        assert_eq!(key_in.room().map(|room| room.to_string()).as_deref(), room, "{keys}");
        assert_eq!((key_in.pin(), step), (pin, last), "{keys}");
    }

    #[test]
    fn four_digits_need_no_pound_three_do() {
        check("1234", Some("1234"), Some(""), Step::AskPin);
        check("123", Some("123"), None, Step::More);
        check("123#", Some("123"), Some(""), Step::AskPin);
        check("123~", Some("123"), Some(""), Step::AskPin);
    }

    #[test]
    fn a_pound_right_after_a_full_room_belongs_to_it() {
        check("1234#567890#", Some("1234"), Some("567890"), Step::Judge);
        check("1234567890#", Some("1234"), Some("567890"), Step::Judge);
        check("1234_#", Some("1234"), Some(""), Step::Judge);
        check("123#5678#", Some("123"), Some("5678"), Step::Judge);
        check("1234##", Some("1234"), Some(""), Step::Judge);
    }

    #[test]
    fn star_clears() {
        check("12*1234", Some("1234"), Some(""), Step::AskPin);
        check("123456*78", Some("1234"), Some("78"), Step::More);
        check("123456**", None, None, Step::AskRoom);
    }

    #[test]
    fn the_longest_pin_is_tried_once_and_then_counts() {
        check("1234567890", Some("1234"), Some("567890"), Step::Try);
        check("1234567890*", Some("1234"), Some("567890"), Step::Judge);
        check("12345678901", Some("1234"), Some("5678901"), Step::More);
        check("1234567890~", Some("1234"), Some("567890"), Step::Judge);
    }

    #[test]
    fn endless_keys_are_not_kept() {
        check(&format!("1234{}", "5".repeat(5000)), Some("1234"), None, Step::More);
    }

    #[test]
    fn silence_is_no_entry() {
        check("~", None, None, Step::Silence);
        check("1234~", Some("1234"), Some(""), Step::Silence);
        check("#", None, None, Step::Ignored);
    }

    #[test]
    fn a_room_may_be_dialled_along() {
        assert_eq!(KeyIn::dialled_along("4711", 4).room().unwrap().to_string(), "4711");
        assert_eq!(KeyIn::dialled_along("123", 4).room().unwrap().to_string(), "123");
        assert!(!KeyIn::dialled_along("12", 4).asks_pin() && !KeyIn::dialled_along("", 4).asks_pin());
        assert_eq!(format!("{:?}", Digits { text: "482915".into(), too_many: false }), "Digits(6)");
    }
}
