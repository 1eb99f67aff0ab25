//! What can go wrong on demand: rates between 0 and 1, and a few switches, set by `POST /control/faults`.

use serde::{Deserialize, Serialize};

/// Switches of the simulation; everything but empty pages is off until a test asks for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    /// Notifications that come two or three times (N4).
    pub(crate) duplicate_notifications: f64,
    /// Notifications that never come (N4).
    pub(crate) lost_notifications: f64,
    /// Graph requests answered with 429 (L1).
    pub(crate) throttled: f64,
    /// First rounds of delta that begin with an empty page.
    pub(crate) empty_pages: f64,
    /// Valid tokens that Graph refuses all the same (T3: clock skew).
    pub(crate) refused_tokens: f64,
    /// Subscriptions that are neither made nor renewed (N2).
    pub(crate) refused_subscriptions: f64,
    /// Life of a token in seconds (T3).
    pub(crate) token_seconds: i64,
    /// Milliseconds by which every Graph answer is late; at most 60 000.
    pub(crate) late_answers_ms: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            duplicate_notifications: 0.0,
            lost_notifications: 0.0,
            throttled: 0.0,
            empty_pages: 0.25,
            refused_tokens: 0.0,
            refused_subscriptions: 0.0,
            token_seconds: 3599,
            late_answers_ms: 0,
        }
    }
}

impl Faults {
    /// The first value that makes no sense, by name.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let rates = [
            ("duplicate_notifications", self.duplicate_notifications),
            ("lost_notifications", self.lost_notifications),
            ("throttled", self.throttled),
            ("empty_pages", self.empty_pages),
            ("refused_tokens", self.refused_tokens),
            ("refused_subscriptions", self.refused_subscriptions),
        ];
        let wrong_rate = rates.iter().find(|(_, rate)| !(0.0..=1.0).contains(rate)).map(|(name, _)| *name);
        wrong_rate
            .or_else(|| (!(1..=86_400).contains(&self.token_seconds)).then_some("token_seconds"))
            .or_else(|| (self.late_answers_ms > 60_000).then_some("late_answers_ms"))
    }
}
