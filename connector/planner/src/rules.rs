//! What the planner must know of the settings and of people, already translated.

use std::collections::HashMap;

use chrono::TimeDelta;
use connector_calendar::MarkRule;
use dialroom_booking::{Delivery, EmailAddress, KnownCaller, Language, RoomRanges};

/// The settings that decide about bookings.
#[derive(Clone, Debug)]
pub struct PlanRules {
    /// `conference.enabled`: off, nothing new is booked; what was promised stays.
    pub enabled: bool,
    /// `[[rule]]`, in order.
    pub rules: Vec<MarkRule>,
    /// `rooms.booked`.
    pub booked: RoomRanges,
    /// `rooms.guard_minutes`.
    pub guard: TimeDelta,
    /// `dial_in.lead_minutes`.
    pub lead: TimeDelta,
    /// `dial_in.overrun_minutes`.
    pub overrun: TimeDelta,
    /// `conference.max_duration_minutes`.
    pub max_duration: TimeDelta,
    /// `pin.digits`, 4 to 12.
    pub pin_digits: u8,
    /// `invitation.delivery`, for bookings not yet sent.
    pub delivery: Delivery,
    /// `graph.resource_mailbox`: it is never written to, and the only mailbox that may act without being organizer.
    pub resource_mailbox: Option<EmailAddress>,
    /// `mail.from`: what it organizes are invitations of ours that came back.
    pub service: Option<EmailAddress>,
    /// `graph.resource_organizers`: domains whose organizers may use it, in lower case.
    pub resource_organizers: Vec<String>,
    /// Language of people whose own is not known.
    pub language: Language,
}

/// What a directory knows of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// His telephone numbers, most trusted first.
    pub numbers: Vec<KnownCaller>,
    /// His language.
    pub language: Option<Language>,
    /// What he is called, for entries that name the address alone.
    pub name: Option<String>,
}

/// Everybody a directory knows, as far as this appointment concerns them.
pub type Directory = HashMap<EmailAddress, Contact>;
