//! When the line is open.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// The dial-in window of one date: `opens ≤ start < end ≤ closes`, half-open `[opens, closes)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct DialInWindow {
    opens: DateTime<Utc>,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    closes: DateTime<Utc>,
}

impl DialInWindow {
    /// The window of a date from `start` to `end`, open `lead` before and `overrun` after it.
    ///
    /// # Errors
    /// When it does not end after it starts, or lead or overrun are negative.
    pub fn new(
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        lead: TimeDelta,
        overrun: TimeDelta,
    ) -> Result<Self, WindowError> {
        let opens = start.checked_sub_signed(lead).ok_or(WindowError::OutOfRange)?;
        let closes = end.checked_add_signed(overrun).ok_or(WindowError::OutOfRange)?;
        Self::from_parts(opens, start, end, closes)
    }

    /// The window with these four instants.
    ///
    /// # Errors
    /// When their order is not `opens ≤ start < end ≤ closes`.
    pub fn from_parts(
        opens: DateTime<Utc>,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        closes: DateTime<Utc>,
    ) -> Result<Self, WindowError> {
        if opens <= start && start < end && end <= closes {
            Ok(Self { opens, start, end, closes })
        } else {
            Err(WindowError::Order { opens, start, end, closes })
        }
    }

    /// First instant at which callers are let in.
    #[must_use]
    pub fn opens(&self) -> DateTime<Utc> {
        self.opens
    }

    /// Scheduled start.
    #[must_use]
    pub fn start(&self) -> DateTime<Utc> {
        self.start
    }

    /// Scheduled end.
    #[must_use]
    pub fn end(&self) -> DateTime<Utc> {
        self.end
    }

    /// First instant at which nobody is in any more.
    #[must_use]
    pub fn closes(&self) -> DateTime<Utc> {
        self.closes
    }

    /// Whether the line is open at `now`.
    #[must_use]
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.opens <= now && now < self.closes
    }

    /// Whether some instant lies in both dial-in windows.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.opens < other.closes && other.opens < self.closes
    }

    /// Whether some instant lies in both scheduled times `[start, end)`.
    #[must_use]
    pub fn schedules_overlap(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

#[derive(Serialize, Deserialize)]
struct Parts {
    opens: DateTime<Utc>,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    closes: DateTime<Utc>,
}

impl TryFrom<Parts> for DialInWindow {
    type Error = WindowError;

    fn try_from(parts: Parts) -> Result<Self, WindowError> {
        Self::from_parts(parts.opens, parts.start, parts.end, parts.closes)
    }
}

impl From<DialInWindow> for Parts {
    fn from(window: DialInWindow) -> Self {
        Self { opens: window.opens, start: window.start, end: window.end, closes: window.closes }
    }
}

/// Why four instants are no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not in order.
    #[error("a dial-in window needs opens <= start < end <= closes, not {opens}, {start}, {end}, {closes}")]
    Order {
        /// As given.
        opens: DateTime<Utc>,
        /// As given.
        start: DateTime<Utc>,
        /// As given.
        end: DateTime<Utc>,
        /// As given.
        closes: DateTime<Utc>,
    },
    /// Beyond the calendar's years.
    #[error("a dial-in window lies beyond the years that can be reckoned")]
    OutOfRange,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap()
    }

    fn window(start: i64, end: i64) -> DialInWindow {
        DialInWindow::new(at(start), at(end), TimeDelta::minutes(10), TimeDelta::minutes(15)).unwrap()
    }

    #[test]
    fn open_at_opens_shut_at_closes() {
        let window = window(0, 30);
        assert!(!window.is_open(at(-11)) && window.is_open(at(-10)));
        assert!(window.is_open(at(44)) && !window.is_open(at(45)));
    }

    #[test]
    fn neighbours_overlap_only_by_lead_and_overrun() {
        assert!(window(0, 30).overlaps(&window(30, 60)));
        assert!(!window(0, 30).schedules_overlap(&window(30, 60)));
        assert!(!window(0, 30).overlaps(&window(55, 60)));
    }

    #[test]
    fn an_empty_meeting_is_refused() {
        assert!(DialInWindow::new(at(0), at(0), TimeDelta::zero(), TimeDelta::zero()).is_err());
        assert!(DialInWindow::new(at(0), at(1), TimeDelta::minutes(-1), TimeDelta::zero()).is_err());
    }

    #[test]
    fn json_is_checked_too() {
        let text = serde_json::to_string(&window(0, 30)).unwrap();
        assert_eq!(serde_json::from_str::<DialInWindow>(&text).unwrap(), window(0, 30));
        assert!(
            serde_json::from_str::<DialInWindow>(&text.replace("opens", "closes2").replace("closes\"", "opens\""))
                .is_err()
        );
    }
}
