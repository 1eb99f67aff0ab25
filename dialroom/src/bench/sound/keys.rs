//! Keys as telephone events (RFC 4733), in the place of sound: a leg of a load presses them once it is answered.

use std::collections::VecDeque;
use std::str::FromStr;

use anyhow::bail;

/// Keys that one leg may press.
const KEYS_MAX: usize = 64;
/// Packets of 20 ms: of a key, of its end told over and over (RFC 4733 section 2.5.1.4), of the pause behind it, of a comma.
const PRESSED: u16 = 5;
const ENDS: u16 = 3;
const PAUSE: u16 = 5;
const COMMA: u16 = 50;

/// One thing to do; at most [`KEYS_MAX`] of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// An event of RFC 4733 section 3.2.
    Event(u8),
    Comma,
}

/// Keys that are still to be pressed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::bench) struct Keys {
    left: VecDeque<Key>,
    /// Packets since the key in front was begun.
    step: u16,
    /// Packets until the first.
    wait: u32,
}

/// A packet of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Press {
    pub(super) event: u8,
    /// The first packet of this key.
    pub(super) begins: bool,
    pub(super) ends: bool,
    /// Packets of 20 ms that it has lasted, this one included.
    pub(super) lasted: u16,
}

/// What a leg sends instead of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Press(Press),
    /// Nothing of the keys: sound.
    Sound,
}

impl Keys {
    /// The same, begun so many packets later.
    pub(in crate::bench) fn after(self, packets: u32) -> Self {
        Self { wait: packets, ..self }
    }

    /// Packets until the last key is pressed.
    pub(in crate::bench) fn packets(&self) -> u32 {
        let of = |key: &Key| match key {
            Key::Event(_) => u32::from(PRESSED + ENDS + PAUSE),
            Key::Comma => u32::from(COMMA),
        };
        self.wait + self.left.iter().map(of).sum::<u32>()
    }

    /// What to send now; to be asked every 20 ms.
    pub(super) fn turn(&mut self) -> Turn {
        if self.wait > 0 {
            self.wait -= 1;
            return Turn::Sound;
        }
        let Some(key) = self.left.front().copied() else { return Turn::Sound };
        let step = self.step;
        let lasts = match key {
            Key::Event(_) => PRESSED + ENDS + PAUSE,
            Key::Comma => COMMA,
        };
        self.step += 1;
        if self.step == lasts {
            self.left.pop_front();
            self.step = 0;
        }
        match key {
            Key::Event(event) if step < PRESSED + ENDS => {
                Turn::Press(Press { event, begins: step == 0, ends: step >= PRESSED, lasted: (step + 1).min(PRESSED) })
            }
            Key::Event(_) | Key::Comma => Turn::Sound,
        }
    }
}

impl FromStr for Keys {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let left: Option<VecDeque<Key>> = text.chars().map(key).collect();
        match left {
            Some(left) if left.len() <= KEYS_MAX => Ok(Self { left, ..Self::default() }),
            _ => {
                bail!("--digits {text}: at most {KEYS_MAX} of 0 to 9, *, #, A to D, and the comma for a second's pause")
            }
        }
    }
}

fn key(sign: char) -> Option<Key> {
    Some(match sign {
        ',' => Key::Comma,
        '0'..='9' => Key::Event(u8::try_from(sign.to_digit(10)?).ok()?),
        '*' => Key::Event(10),
        '#' => Key::Event(11),
        'A'..='D' => Key::Event(12 + u8::try_from(u32::from(sign) - u32::from('A')).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_grows_ends_three_times_and_is_followed_by_a_pause() {
        let mut keys: Keys = "5#".parse().unwrap();
        let whole = keys.packets();
        let turns: Vec<Turn> = (0..whole).map(|_| keys.turn()).collect();
        let press = |event, begins, ends, lasted| Turn::Press(Press { event, begins, ends, lasted });
        assert_eq!(turns[0], press(5, true, false, 1));
        assert_eq!(turns[4], press(5, false, false, 5));
        assert!(turns[5..8].iter().all(|turn| *turn == press(5, false, true, 5)));
        assert!(turns[8..13].iter().all(|turn| *turn == Turn::Sound));
        assert_eq!(turns[13], press(11, true, false, 1));
        assert_eq!((whole, keys.turn()), (26, Turn::Sound), "then there is none left");
    }

    #[test]
    fn the_first_waits_and_a_comma_is_a_second() {
        let mut keys = ",1".parse::<Keys>().unwrap().after(2);
        let before = (0..52).filter(|_| keys.turn() == Turn::Sound).count();
        assert_eq!(before, 52);
        assert!(matches!(keys.turn(), Turn::Press(Press { event: 1, begins: true, .. })));
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_is_one() {
        for text in ["12x", "1 2", "a", &"1".repeat(65)] {
            let error = text.parse::<Keys>().unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("0 to 9"), "{error}");
        }
    }
}
