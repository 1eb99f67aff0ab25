//! Telephone numbers in international form (ITU-T E.164).
//!
//! A number is compared only in this form: `+49 30 123`, `0049 30 123` and `030 123` (from Germany) are one number.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Digits of the longest number, country code included (ITU-T E.164 section 6).
const MAX_DIGITS: usize = 15;
/// Shorter strings are extensions or service numbers, never a person's international number.
const MIN_DIGITS: usize = 6;
/// Free text from a directory is cut off here before anything looks at it.
const MAX_INPUT_LEN: usize = 64;

/// A telephone number: `+` and 6 to 15 digits.
///
/// `Debug` masks it (`+49301***56`); [`as_str`](Self::as_str) gives it whole, for wires and for its owner.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(String);

impl E164 {
    /// Reads a number that is already international: `+` and digits, with the usual spaces, dots, dashes, slashes and
    /// brackets between them, or `00` in place of `+`.
    ///
    /// # Errors
    /// [`PhoneError::NotInternational`] for anything else.
    pub fn international(raw: &str) -> Result<Self, PhoneError> {
        let compact = compact(raw)?;
        let digits =
            compact.strip_prefix('+').or_else(|| compact.strip_prefix("00")).ok_or(PhoneError::NotInternational)?;
        Self::from_digits(digits)
    }

    /// Reads a number as people and directories write it; a national one belongs to `home`.
    ///
    /// Text that `phonenumber` refuses, but that has the international form, is kept: numbering plans change faster
    /// than metadata.
    ///
    /// # Errors
    /// When no number can be made of it.
    pub fn parse(raw: &str, home: HomeRegion) -> Result<Self, PhoneError> {
        if let Ok(number) = Self::international(raw) {
            return Ok(number);
        }
        let compact = compact(raw)?;
        let parsed = phonenumber::parse(Some(home.0), &compact).map_err(|_| PhoneError::NotANumber)?;
        Self::international(&parsed.format().mode(phonenumber::Mode::E164).to_string())
    }

    /// The number with its `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as people abroad dial it too: `written` if that is international already, else in groups as its country
    /// writes it, `+49 30 23125002`. A bracketed trunk zero, which only some people drop, does not count as such.
    #[must_use]
    pub fn shown(&self, written: &str) -> String {
        let written = written.trim();
        let is_plain = written.starts_with('+') && !written.contains("(0)");
        if is_plain && Self::international(written).as_ref() == Ok(self) {
            return written.to_owned();
        }
        // Numbering plans change faster than metadata: what it does not know is shown in one piece.
        let grouped = phonenumber::parse(None, &self.0);
        grouped.map_or_else(
            |_| self.0.clone(),
            |number| number.format().mode(phonenumber::Mode::International).to_string(),
        )
    }

    /// The number with its middle hidden, for logs and for people it does not belong to: `+49301***56`.
    #[must_use]
    pub fn masked(&self) -> String {
        let (head, tail) = (&self.0[..self.0.len().min(6) - 1], &self.0[self.0.len() - 2..]);
        format!("{head}***{tail}")
    }

    fn from_digits(digits: &str) -> Result<Self, PhoneError> {
        if digits.len() < MIN_DIGITS || digits.len() > MAX_DIGITS {
            return Err(PhoneError::Length(digits.len()));
        }
        if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PhoneError::NotInternational);
        }
        Ok(Self(format!("+{digits}")))
    }
}

/// Drops what people put between digits; fails on anything a number cannot hold.
fn compact(raw: &str) -> Result<String, PhoneError> {
    if raw.len() > MAX_INPUT_LEN {
        return Err(PhoneError::Length(raw.len()));
    }
    // "+49 (0)30": the bracketed trunk zero is written for people at home and is no digit of the number.
    let raw = raw.trim().replacen("(0)", "", 1);
    raw.chars()
        .filter(|c| !matches!(c, ' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')'))
        .map(|c| if c.is_ascii_digit() || c == '+' { Ok(c) } else { Err(PhoneError::NotANumber) })
        .collect()
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl TryFrom<String> for E164 {
    type Error = PhoneError;

    fn try_from(raw: String) -> Result<Self, PhoneError> {
        Self::international(&raw)
    }
}

impl From<E164> for String {
    fn from(number: E164) -> Self {
        number.0
    }
}

/// The country whose national numbers are meant where none is named (ISO 3166-1 alpha-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HomeRegion(phonenumber::country::Id);

impl HomeRegion {
    /// Germany, the default.
    pub const GERMANY: Self = Self(phonenumber::country::Id::DE);
}

impl std::str::FromStr for HomeRegion {
    type Err = PhoneError;

    fn from_str(code: &str) -> Result<Self, PhoneError> {
        code.parse().map(Self).map_err(|_| PhoneError::UnknownRegion)
    }
}

/// Why a text is no telephone number. The text itself is not repeated: it may be somebody's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// Neither `+` nor `00` in front, or a zero behind it.
    #[error("not an international number; write it as +49 30 123456")]
    NotInternational,
    /// Letters or signs that no number holds, or no number of the home country.
    #[error("not a telephone number")]
    NotANumber,
    /// Too short or too long.
    #[error("{0} digits; an international number has {MIN_DIGITS} to {MAX_DIGITS}")]
    Length(usize),
    /// No such country.
    #[error("not a country; write two letters as in DE, US or GB")]
    UnknownRegion,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(raw: &str, expected: &str) {
        assert_eq!(E164::parse(raw, HomeRegion::GERMANY).unwrap().as_str(), expected, "{raw}");
    }

    #[test]
    fn every_spelling_is_one_number() {
        for raw in [
            "+49 30 23125 002",
            "0049 30 23125002",
            "030 23125-002",
            "030/23125002",
            "+49 (0)30 23125 002",
            "(030) 23125.002",
        ] {
            check(raw, "+493023125002");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for raw in
            ["", "anonymous", "0000", "112", "+", "+0123456789", "+1234567890123456", "tel:+493023125002", "88;ext=1"]
        {
            assert!(E164::parse(raw, HomeRegion::GERMANY).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_number_is_shown_as_everybody_can_dial_it() {
        let number = E164::international("+493023125003").unwrap();
        for (written, shown) in [
            ("+49 30 23125 003", "+49 30 23125 003"),
            ("030/23125-003", "+49 30 23125003"),
            ("0049 30 23125003", "+49 30 23125003"),
            ("+49 (0)30 23125-003", "+49 30 23125003"),
            ("+49 30 999", "+49 30 23125003"),
            ("", "+49 30 23125003"),
        ] {
            assert_eq!(number.shown(written), shown, "{written}");
        }
        assert_eq!(E164::international("+999123456").unwrap().shown("x"), "+999123456");
    }

    #[test]
    fn debug_hides_the_middle() {
        let number = E164::international("+493023125002").unwrap();
        assert_eq!(format!("{number:?}"), "+4930***02");
    }

    proptest! {
        #[test]
        fn never_panics_and_keeps_its_shape(raw in "\\PC{0,80}") {
            if let Ok(number) = E164::parse(&raw, HomeRegion::GERMANY) {
                prop_assert_eq!(&E164::international(number.as_str()).unwrap(), &number);
                prop_assert_eq!(E164::international(&number.shown(&raw)).unwrap(), number);
            }
        }
    }
}
