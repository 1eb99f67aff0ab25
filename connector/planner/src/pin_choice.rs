//! Choosing PINs: uniform by rejection, without those that anybody would try first.

use dialroom_booking::{Pin, Pins};
use rand_core::CryptoRng;

use crate::allocation::uniform_below;

/// In how many places the two PINs of a booking differ at least: a slip of the finger makes nobody moderator.
const MIN_DISTANCE: usize = 3;

/// A participant's and a moderator's PIN of `digits` digits, brought into 4 to 12.
#[must_use]
pub fn choose_pins(digits: u8, rng: &mut impl CryptoRng) -> Pins {
    let participant = choose_pin(digits, rng);
    loop {
        let moderator = choose_pin(digits, rng);
        if distance(&participant, &moderator) >= MIN_DISTANCE {
            return Pins { participant, moderator };
        }
    }
}

#[expect(clippy::expect_used, reason = "the length is brought into the range that a PIN has")]
fn choose_pin(digits: u8, rng: &mut impl CryptoRng) -> Pin {
    let len = usize::from(digits).clamp(Pin::MIN_LEN, Pin::MAX_LEN);
    loop {
        let drawn: Vec<u8> = (0..len).map(|_| b"0123456789"[uniform_below(rng, 10)]).collect();
        if !is_guessed_first(&drawn) {
            let text: String = drawn.into_iter().map(char::from).collect();
            return Pin::parse(&text).expect("4 to 12 digits");
        }
    }
}

/// A run up or down (`123456`, `987654`, over the 0 too), or a pattern that repeats (`000000`, `121212`, `482482`).
fn is_guessed_first(digits: &[u8]) -> bool {
    let run = |step: u8| digits.windows(2).all(|pair| (pair[0] - b'0' + step) % 10 == pair[1] - b'0');
    let repeats = |period: usize| (period..digits.len()).all(|at| digits[at] == digits[at - period]);
    run(1) || run(9) || (1..=digits.len() / 2).any(repeats)
}

fn distance(a: &Pin, b: &Pin) -> usize {
    a.expose().bytes().zip(b.expose().bytes()).filter(|(a, b)| a != b).count()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn what_anybody_tries_first_is_no_pin() {
        for digits in ["000000", "123456", "654321", "890123", "111111", "121212", "482482", "4848", "1234"] {
            assert!(is_guessed_first(digits.as_bytes()), "{digits}");
        }
        for digits in ["482915", "0012", "100000", "123457", "112233"] {
            assert!(!is_guessed_first(digits.as_bytes()), "{digits}");
        }
    }

    #[test]
    fn the_two_pins_are_far_apart_and_as_long_as_asked() {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        for digits in 4..=12 {
            for _ in 0..200 {
                let pins = choose_pins(digits, &mut rng);
                assert!(distance(&pins.participant, &pins.moderator) >= MIN_DISTANCE);
                assert_eq!(pins.participant.expose().len(), usize::from(digits));
            }
        }
    }

    #[test]
    fn every_digit_is_equally_likely_in_every_place() {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let mut count = [[0_f64; 10]; 6];
        let draws = 20_000;
        for _ in 0..draws {
            for (place, digit) in choose_pin(6, &mut rng).expose().bytes().enumerate() {
                count[place][usize::from(digit - b'0')] += 1.0;
            }
        }
        let expected = f64::from(draws) / 10.0;
        for place in count {
            let chi_square: f64 = place.iter().map(|hits| (hits - expected).powi(2) / expected).sum();
            // 9 degrees of freedom: 27.9 is passed once in a thousand.
            assert!(chi_square < 27.9, "{chi_square}: {place:?}");
        }
    }
}
