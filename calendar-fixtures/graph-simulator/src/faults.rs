//! What can go wrong on demand: rates between 0 and 1, and a few switches, set by `POST /control/faults`.

use serde::{Deserialize, Serialize};

/// Switches of the simulation; everything but empty pages, tidied bodies and the usual times is off until a test asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    /// Notifications that come two or three times (N4).
    pub(crate) duplicate_notifications: f64,
    /// Notifications that never come (N4).
    pub(crate) lost_notifications: f64,
    /// Notifications that come late, and so out of order (N4).
    pub(crate) late_notifications: f64,
    /// By how many seconds at most; up to four hours.
    pub(crate) late_notification_seconds: u32,
    /// Graph requests answered with 429 (L1).
    pub(crate) throttled: f64,
    /// Graph requests answered with 500, 502, 503, 504, 507 or 509, in every kind of body (L2).
    pub(crate) server_errors: f64,
    /// Requests that are done and then answered with 504 (W5).
    pub(crate) lost_answers: f64,
    /// Answers that break off in their middle (L4).
    pub(crate) cut_answers: f64,
    /// Graph and login are away altogether (L5).
    pub(crate) away: bool,
    /// First rounds of delta that begin with an empty page.
    pub(crate) empty_pages: f64,
    /// Entries on a page of delta; 0: as the client wants (D7).
    pub(crate) page_size: usize,
    /// Items that a round of delta tells twice, first in a state that is over (D5).
    pub(crate) repeated_items: f64,
    /// Items told again although nothing happened to them (D5).
    pub(crate) replayed_items: f64,
    /// Changes that delta shows only later (D5).
    pub(crate) late_changes: f64,
    /// How much later, in seconds.
    pub(crate) late_change_seconds: u32,
    /// Delta tokens that are no longer known (D6).
    pub(crate) lost_sync_state: f64,
    /// Links to the next page that lead to another host (R7).
    pub(crate) foreign_links: f64,
    /// Enums in capitals and with unknown members, unknown fields, nulls, absent fields (R6).
    pub(crate) odd_spelling: bool,
    /// How much of a body's HTML is rewritten on saving, 0 to 3 (R5).
    pub(crate) html_level: u8,
    /// Seconds after which Exchange touches a sent meeting again by itself; 0: never (W8).
    pub(crate) tracking_seconds: u32,
    /// PATCHes refused with 412 although nothing came between (W2).
    pub(crate) spontaneous_conflicts: f64,
    /// The application may only read (A3).
    pub(crate) read_only: bool,
    /// The SEQUENCE is not among the extended properties (W12).
    pub(crate) sequence_unreadable: bool,
    /// Seconds until an add-in's property can be read (X1).
    pub(crate) property_delay_seconds: u32,
    /// Valid tokens that Graph refuses all the same (T3: clock skew).
    pub(crate) refused_tokens: f64,
    /// Token requests answered with 503 or with a page of HTML (T6).
    pub(crate) broken_logins: f64,
    /// Subscriptions that are neither made nor renewed (N2).
    pub(crate) refused_subscriptions: f64,
    /// Minutes after which a subscription has to be authorized again, or falls silent; 0: never (N6).
    pub(crate) reauthorization_minutes: u32,
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
            late_notifications: 0.0,
            late_notification_seconds: 180,
            throttled: 0.0,
            server_errors: 0.0,
            lost_answers: 0.0,
            cut_answers: 0.0,
            away: false,
            empty_pages: 0.25,
            page_size: 0,
            repeated_items: 0.0,
            replayed_items: 0.0,
            late_changes: 0.0,
            late_change_seconds: 120,
            lost_sync_state: 0.0,
            foreign_links: 0.0,
            odd_spelling: false,
            html_level: 2,
            tracking_seconds: 0,
            spontaneous_conflicts: 0.0,
            read_only: false,
            sequence_unreadable: false,
            property_delay_seconds: 0,
            refused_tokens: 0.0,
            broken_logins: 0.0,
            refused_subscriptions: 0.0,
            reauthorization_minutes: 0,
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
            ("late_notifications", self.late_notifications),
            ("throttled", self.throttled),
            ("server_errors", self.server_errors),
            ("lost_answers", self.lost_answers),
            ("cut_answers", self.cut_answers),
            ("empty_pages", self.empty_pages),
            ("repeated_items", self.repeated_items),
            ("replayed_items", self.replayed_items),
            ("late_changes", self.late_changes),
            ("lost_sync_state", self.lost_sync_state),
            ("foreign_links", self.foreign_links),
            ("spontaneous_conflicts", self.spontaneous_conflicts),
            ("refused_tokens", self.refused_tokens),
            ("broken_logins", self.broken_logins),
            ("refused_subscriptions", self.refused_subscriptions),
        ];
        let wrong_rate = rates.iter().find(|(_, rate)| !(0.0..=1.0).contains(rate)).map(|(name, _)| *name);
        wrong_rate
            .or_else(|| (!(1..=86_400).contains(&self.token_seconds)).then_some("token_seconds"))
            .or_else(|| (self.late_answers_ms > 60_000).then_some("late_answers_ms"))
            .or_else(|| (self.html_level > 3).then_some("html_level"))
            .or_else(|| (self.late_notification_seconds > 4 * 3600).then_some("late_notification_seconds"))
            .or_else(|| (self.late_change_seconds > 3600).then_some("late_change_seconds"))
    }
}
