//! From an appointment's dates to dial-in windows, and from windows to what they block.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use connector_calendar::{Appointment, AppointmentDate};
use dialroom_booking::{Booking, DialInWindow, MAX_WINDOWS, Occurrence, OccurrenceState, OriginalStart};

use crate::{Block, PlanRules};

/// Calendars allow entries without length, as reminders; a line to one is open by its lead and overrun.
const SHORTEST: TimeDelta = TimeDelta::minutes(1);
/// A date that is over stays in the booking for so long: a caller an hour late is told of it.
const KEPT_AFTER: TimeDelta = TimeDelta::days(1);

/// The dates of a booking, and whether any of them was cut to `conference.max_duration_minutes`.
#[derive(Debug)]
pub(crate) struct Dates {
    pub(crate) occurrences: BTreeMap<OriginalStart, Occurrence>,
    pub(crate) capped: bool,
}

impl Dates {
    /// Dates still to come as the appointment has them, dates that are over as they were promised.
    ///
    /// A single meeting keeps its key when it moves: the conference that runs by it stays the same one.
    pub(crate) fn new(
        now: DateTime<Utc>,
        rules: &PlanRules,
        appointment: &Appointment,
        held: Option<&Booking>,
    ) -> Self {
        let held = held.map(|booking| &booking.occurrences);
        let over = |date: &Occurrence| date.window.closes() <= now && is_recent(now, date);
        let mut occurrences: BTreeMap<_, _> =
            held.into_iter().flatten().filter(|(_, date)| over(date)).map(|(at, date)| (*at, *date)).collect();
        let single = |date: &AppointmentDate| match (appointment.dates.len(), held) {
            (1, Some(held)) if held.len() == 1 && !appointment.series => {
                held.keys().next().copied().unwrap_or(date.original_start)
            }
            _ => date.original_start,
        };
        let mut capped = false;
        for date in &appointment.dates {
            let Some((occurrence, cut)) = occurrence(rules, date) else { continue };
            if occurrence.window.closes() > now && occurrences.len() < MAX_WINDOWS {
                let unknown_cancelled = date.cancelled && held.is_none_or(|held| !held.contains_key(&single(date)));
                if !unknown_cancelled {
                    occurrences.insert(single(date), occurrence);
                    capped |= cut && !date.cancelled;
                }
            }
        }
        Self { occurrences, capped }
    }

    /// Windows that somebody may still dial.
    pub(crate) fn live(&self, now: DateTime<Utc>) -> impl Iterator<Item = &DialInWindow> {
        live(&self.occurrences, now)
    }

    /// What these dates block, in order; a series without end in sight blocks everything after its first date to come.
    pub(crate) fn blocks(&self, now: DateTime<Utc>, guard: TimeDelta, endless: bool) -> Vec<Block> {
        let mut blocks = blocks(&self.occurrences, now, guard);
        if endless && let Some(opens) = self.live(now).map(DialInWindow::opens).min() {
            blocks.push(Block::endless(opens));
        }
        blocks.sort_unstable();
        blocks
    }
}

/// What the booking promised and what is not over yet.
pub(crate) fn promised(booking: &Booking, now: DateTime<Utc>, guard: TimeDelta) -> Vec<Block> {
    blocks(&booking.occurrences, now, guard)
}

/// The booking without dates that are long over.
pub(crate) fn pruned(now: DateTime<Utc>, booking: &Booking) -> Booking {
    let mut booking = booking.clone();
    booking.occurrences.retain(|_, date| is_recent(now, date));
    booking
}

/// Whether anybody can still dial in, now or later.
pub(crate) fn has_live(booking: &Booking, now: DateTime<Utc>) -> bool {
    live(&booking.occurrences, now).next().is_some()
}

fn is_recent(now: DateTime<Utc>, date: &Occurrence) -> bool {
    date.window.closes() > now - KEPT_AFTER
}

fn blocks(dates: &BTreeMap<OriginalStart, Occurrence>, now: DateTime<Utc>, guard: TimeDelta) -> Vec<Block> {
    let scheduled = dates.values().filter(|date| date.state == OccurrenceState::Scheduled);
    scheduled.map(|date| Block::new(&date.window, guard)).filter(|block| !block.has_lapsed(now)).collect()
}

fn live(dates: &BTreeMap<OriginalStart, Occurrence>, now: DateTime<Utc>) -> impl Iterator<Item = &DialInWindow> {
    let open = move |date: &&Occurrence| date.state == OccurrenceState::Scheduled && date.window.closes() > now;
    dates.values().filter(open).map(|date| &date.window)
}

/// One date's window, and whether it was cut; `None` for years that cannot be reckoned.
fn occurrence(rules: &PlanRules, date: &AppointmentDate) -> Option<(Occurrence, bool)> {
    let longest = date.start.checked_add_signed(rules.max_duration)?;
    let end = date.end.max(date.start.checked_add_signed(SHORTEST)?);
    let window = DialInWindow::new(date.start, end.min(longest), rules.lead, rules.overrun).ok()?;
    let state = if date.cancelled { OccurrenceState::Cancelled } else { OccurrenceState::Scheduled };
    Some((Occurrence { window, state }, end > longest))
}
