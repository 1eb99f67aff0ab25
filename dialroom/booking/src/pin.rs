//! PINs: what a caller keys second, and what nobody else may ever read.

use std::fmt;

use subtle::ConstantTimeEq;

/// 4 to 12 digits. It never prints: `Debug` gives `Pin(6 digits)`, there is no `Display` and no `Serialize`.
///
/// Comparing takes the same time wherever the first difference stands (the length is no secret).
#[derive(Clone)]
pub struct Pin(String);

impl Pin {
    /// Fewest digits.
    pub const MIN_LEN: usize = 4;
    /// Most digits.
    pub const MAX_LEN: usize = 12;

    /// Takes digits as they are.
    ///
    /// # Errors
    /// When they are not 4 to 12 decimal digits. The error does not repeat them.
    pub fn parse(digits: &str) -> Result<Self, PinError> {
        if !(Self::MIN_LEN..=Self::MAX_LEN).contains(&digits.len()) {
            return Err(PinError::Length(digits.len()));
        }
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PinError::NotDigits);
        }
        Ok(Self(digits.to_owned()))
    }

    /// The digits themselves, for its owner's mail and for the encrypted store. Never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The digits in groups of three, as people read them: `482 915`, `4829 15` never.
    #[must_use]
    pub fn grouped(&self) -> String {
        let mut text = String::with_capacity(self.0.len() + 3);
        for (index, digit) in self.0.chars().enumerate() {
            if index > 0 && index % 3 == 0 {
                text.push(' ');
            }
            text.push(digit);
        }
        text
    }
}

impl PartialEq for Pin {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Pin {}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({} digits)", self.0.len())
    }
}

/// Why a text is no PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Too short or too long.
    #[error("{0} digits; a PIN has 4 to 12")]
    Length(usize),
    /// Something other than 0 to 9.
    #[error("a PIN consists of digits alone")]
    NotDigits,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints() {
        let pin = Pin::parse("482915").unwrap();
        assert_eq!(format!("{pin:?} {:?}", Pin::parse("48291x").unwrap_err()), "Pin(6 digits) NotDigits");
    }

    #[test]
    fn groups_of_three() {
        assert_eq!(Pin::parse("482915").unwrap().grouped(), "482 915");
        assert_eq!(Pin::parse("4829").unwrap().grouped(), "482 9");
    }

    #[test]
    fn equal_only_to_itself() {
        let pin = Pin::parse("0000").unwrap();
        assert!(pin == Pin::parse("0000").unwrap() && pin != Pin::parse("00000").unwrap());
        assert!(pin != Pin::parse("0001").unwrap());
    }
}
