//! Room numbers: what a caller keys first.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// 3 to 6 digits, leading zeros kept: `0123` and `123` are two rooms.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomNumber {
    len: u8,
    value: u32,
}

impl RoomNumber {
    /// Fewest digits.
    pub const MIN_LEN: usize = 3;
    /// Most digits.
    pub const MAX_LEN: usize = 6;

    /// Reads digits as keyed.
    ///
    /// # Errors
    /// When they are not 3 to 6 decimal digits.
    pub fn parse(digits: &str) -> Result<Self, RoomNumberError> {
        let fits = (Self::MIN_LEN..=Self::MAX_LEN).contains(&digits.len());
        if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RoomNumberError(digits.chars().take(16).collect()));
        }
        let value = digits.bytes().fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0'));
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_LEN = 6")]
        let len = digits.len() as u8;
        Ok(Self { len, value })
    }

    /// How many digits it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a room number is never empty")]
    pub fn len(self) -> usize {
        usize::from(self.len)
    }

    /// Its value as a number, without leading zeros.
    #[must_use]
    pub fn value(self) -> u32 {
        self.value
    }
}

impl fmt::Display for RoomNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.value, width = usize::from(self.len))
    }
}

impl fmt::Debug for RoomNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for RoomNumber {
    type Err = RoomNumberError;

    fn from_str(digits: &str) -> Result<Self, RoomNumberError> {
        Self::parse(digits)
    }
}

impl TryFrom<String> for RoomNumber {
    type Error = RoomNumberError;

    fn try_from(digits: String) -> Result<Self, RoomNumberError> {
        Self::parse(&digits)
    }
}

impl From<RoomNumber> for String {
    fn from(room: RoomNumber) -> Self {
        room.to_string()
    }
}

/// Digits that are no room number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no room number; a room number has 3 to 6 digits")]
pub struct RoomNumberError(String);

/// Room numbers of one length from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomRange {
    first: RoomNumber,
    last: RoomNumber,
}

impl RoomRange {
    /// Both ends belong to the range; `None` when their lengths differ or they are turned around.
    #[must_use]
    pub fn new(first: RoomNumber, last: RoomNumber) -> Option<Self> {
        (first.len == last.len && first.value <= last.value).then_some(Self { first, last })
    }

    /// Whether `room` lies in it.
    #[must_use]
    pub fn contains(self, room: RoomNumber) -> bool {
        room.len == self.first.len && self.values().contains(&room.value)
    }

    /// Whether the two have a number in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.first.len == other.first.len
            && self.first.value <= other.last.value
            && other.first.value <= self.last.value
    }

    /// How many numbers it holds, at least 1.
    #[must_use]
    pub fn count(self) -> usize {
        (self.last.value - self.first.value) as usize + 1
    }

    /// Every number of the range, in rising order.
    pub fn iter(self) -> impl Iterator<Item = RoomNumber> {
        self.values().map(move |value| RoomNumber { len: self.first.len, value })
    }

    fn values(self) -> RangeInclusive<u32> {
        self.first.value..=self.last.value
    }
}

impl fmt::Display for RoomRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Several ranges, as in `100-999, 9000-9999`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomRanges(Vec<RoomRange>);

impl RoomRanges {
    /// Reads `1000-7999` or `100-999, 9000-9999`.
    ///
    /// # Errors
    /// Names the part that is no range, or that overlaps an earlier one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut ranges: Vec<RoomRange> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let range = parse_range(part).ok_or_else(|| format!("{part:?} is no range; write 1000-7999"))?;
            if ranges.iter().any(|earlier| earlier.overlaps(range)) {
                return Err(format!("{range} overlaps another range of the same list"));
            }
            ranges.push(range);
        }
        Ok(Self(ranges))
    }

    /// Whether `room` lies in one of them.
    #[must_use]
    pub fn contains(&self, room: RoomNumber) -> bool {
        self.0.iter().any(|range| range.contains(room))
    }

    /// Whether the two have a number in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|mine| other.0.iter().any(|theirs| mine.overlaps(*theirs)))
    }

    /// How many numbers they hold together.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(|range| range.count()).sum()
    }

    /// The number at `index` in the order of [`iter`](Self::iter), without walking there.
    #[must_use]
    pub fn nth(&self, mut index: usize) -> Option<RoomNumber> {
        for range in &self.0 {
            if index < range.count() {
                let offset = u32::try_from(index).ok()?;
                return Some(RoomNumber { len: range.first.len, value: range.first.value + offset });
            }
            index -= range.count();
        }
        None
    }

    /// The longest number among them; 0 when there is none.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.0.iter().map(|range| range.first.len()).max().unwrap_or(0)
    }

    /// Every number of every range.
    pub fn iter(&self) -> impl Iterator<Item = RoomNumber> {
        self.0.iter().flat_map(|range| range.iter())
    }
}

fn parse_range(part: &str) -> Option<RoomRange> {
    let (first, last) = part.split_once('-')?;
    RoomRange::new(RoomNumber::parse(first.trim()).ok()?, RoomNumber::parse(last.trim()).ok()?)
}

impl fmt::Display for RoomRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            range.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn leading_zeros_are_kept() {
        let room = RoomNumber::parse("0123").unwrap();
        assert_eq!((room.to_string().as_str(), room.len()), ("0123", 4));
        assert_ne!(room, RoomNumber::parse("123").unwrap());
    }

    #[test]
    fn what_is_no_room_number_is_refused() {
        for digits in ["", "12", "1234567", "12a4", "12 4", "١٢٣٤"] {
            assert!(RoomNumber::parse(digits).is_err(), "{digits}");
        }
    }

    #[test]
    fn ranges_know_their_numbers() {
        let ranges = RoomRanges::parse("100-999, 9000-9999").unwrap();
        assert_eq!((ranges.count(), ranges.longest()), (1900, 4));
        assert!(ranges.contains(RoomNumber::parse("9000").unwrap()));
        assert!(!ranges.contains(RoomNumber::parse("0100").unwrap()));
        assert_eq!(ranges.to_string(), "100-999, 9000-9999");
        assert!(ranges.iter().enumerate().all(|(index, room)| ranges.nth(index) == Some(room)));
        assert_eq!(ranges.nth(1900), None);
    }

    #[test]
    fn a_range_names_its_mistake() {
        assert!(RoomRanges::parse("100-99").unwrap_err().contains("100-99"));
        assert!(RoomRanges::parse("100-200, 150-160").unwrap_err().contains("overlaps"));
        assert!(RoomRanges::parse("").is_err());
    }

    proptest! {
        #[test]
        fn print_and_parse_agree(digits in "[0-9]{3,6}") {
            prop_assert_eq!(RoomNumber::parse(&digits).unwrap().to_string(), digits);
        }
    }
}
