//! Keys pressed at the far end, whichever way they come: as telephone events, by SIP INFO, as tones in the sound.
//!
//! Some telephones tell one press in two ways. What comes twice by one way was pressed twice; what comes by another way soon
//! after is the same press once more. Here is also the only bound on how fast keys are obeyed.

use std::time::{Duration, Instant};

/// How a key came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A telephone event (RFC 4733).
    Event,
    /// A request of signalling.
    Info,
    /// A pair of tones in the sound.
    Tone,
}

/// Two ways tell of one press within this time: a request that was lost once and repeated comes half a second later.
const SAME_PRESS: Duration = Duration::from_secs(1);
/// Presses remembered to know their other ways by; no finger makes more in [`SAME_PRESS`].
const REMEMBERED: usize = 16;
/// Keys at once: a room, a PIN and a few more from a telephone's memory.
const BURST_KEYS: u32 = 40;
/// And then one every 65 ms, faster than any finger and as fast as the fastest dialler.
const KEY_EVERY: Duration = Duration::from_millis(65);

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    /// To be told.
    Once,
    /// Told already: another way was faster.
    Again,
    /// More keys than anybody presses.
    TooFast,
}

/// Merges the ways.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    presses: [Option<Press>; REMEMBERED],
    next: usize,
    /// When the burst allowed is whole again.
    whole_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    key: char,
    at: Instant,
    /// By [`Way`], in its order.
    told: [bool; 3],
}

impl Keys {
    pub(crate) fn new(now: Instant) -> Self {
        Self { presses: [None; REMEMBERED], next: 0, whole_at: now }
    }

    /// Takes a key that came by one way.
    pub(crate) fn press(&mut self, now: Instant, way: Way, key: char) -> Pressed {
        let is_same = |press: &Press| {
            press.key == key && !press.told[way as usize] && now.saturating_duration_since(press.at) <= SAME_PRESS
        };
        let same = self.presses.iter_mut().flatten().filter(|press| is_same(press)).min_by_key(|press| press.at);
        if let Some(press) = same {
            press.told[way as usize] = true;
            return Pressed::Again;
        }
        if self.is_too_fast(now) {
            return Pressed::TooFast;
        }
        let mut press = Press { key, at: now, told: [false; 3] };
        press.told[way as usize] = true;
        self.presses[self.next] = Some(press);
        self.next = (self.next + 1) % REMEMBERED;
        Pressed::Once
    }

    fn is_too_fast(&mut self, now: Instant) -> bool {
        let owed = self.whole_at.max(now);
        let refused = owed.saturating_duration_since(now) > KEY_EVERY * (BURST_KEYS - 1);
        if !refused {
            self.whole_at = owed + KEY_EVERY;
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::some_instant;

    /// The keys told of a list of (milliseconds, way, key).
    fn check(presses: &[(u64, Way, char)], expected: &str) {
        let start = some_instant();
        let mut keys = Keys::new(start);
        let told: String = presses
            .iter()
            .filter(|(at_ms, way, key)| keys.press(start + Duration::from_millis(*at_ms), *way, *key) == Pressed::Once)
            .map(|press| press.2)
            .collect();
        assert_eq!(told, expected, "{presses:?}");
    }

    use Way::{Event, Info, Tone};

    #[test]
    fn one_press_told_in_two_or_three_ways_is_one() {
        check(&[(0, Event, '5'), (40, Info, '5')], "5");
        check(&[(0, Info, '5'), (900, Event, '5'), (950, Tone, '5')], "5");
    }

    #[test]
    fn two_presses_told_in_one_way_are_two_and_in_two_ways_too() {
        check(&[(0, Event, '5'), (80, Event, '5')], "55");
        check(&[(0, Tone, '5'), (80, Tone, '5'), (120, Tone, '5')], "555");
        check(&[(0, Event, '5'), (30, Info, '5'), (160, Event, '5'), (190, Info, '5')], "55");
        check(&[(0, Event, '5'), (160, Event, '5'), (190, Info, '5'), (230, Info, '5')], "55");
    }

    #[test]
    fn other_keys_and_later_ones_are_presses_of_their_own() {
        check(&[(0, Event, '5'), (40, Info, '6'), (80, Info, '5')], "56");
        check(&[(0, Event, '5'), (1001, Info, '5')], "55");
    }

    #[test]
    fn a_whole_pin_in_two_ways_one_of_them_late_is_one_pin() {
        let pin = "4711#482915#";
        let mut presses: Vec<_> = pin.chars().enumerate().map(|(n, key)| (n as u64 * 160, Event, key)).collect();
        presses.extend(pin.chars().enumerate().map(|(n, key)| (n as u64 * 160 + 700, Info, key)));
        presses.sort_by_key(|press| press.0);
        check(&presses, pin);
    }

    #[test]
    fn two_hundred_keys_a_second_are_not_obeyed() {
        let (start, ways) = (some_instant(), [Event, Info, Tone]);
        for way in ways {
            let mut keys = Keys::new(start);
            let heard = (0..2000u64)
                .filter(|n| keys.press(start + Duration::from_millis(n * 5), way, '1') == Pressed::Once)
                .count();
            assert!((40..=40 + 160).contains(&heard), "{heard} keys in ten seconds");
        }
    }
}
