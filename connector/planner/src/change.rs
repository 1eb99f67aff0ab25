//! What is different between two states of a booking: for the trace of a decision, and for the people concerned.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use dialroom_booking::{Booking, BookingState, DialInWindow, EmailAddress, Invitee, OriginalStart, RoomNumber};
use serde::{Deserialize, Serialize};

/// One thing that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", content = "detail", rename_all = "kebab-case")]
pub enum Change {
    /// When or where people dial in: this is told.
    DialIn(Difference),
    /// Subject, text, zone, SEQUENCE, privacy or place of the entry: nobody is told, the calendar did.
    Entry,
    /// Somebody else organizes it now.
    Organizer,
    /// Somebody was added.
    InviteeAdded(EmailAddress),
    /// Somebody was removed; his number opens the line no more.
    InviteeRemoved(EmailAddress),
    /// Somebody answered, or his numbers, role or language are others.
    InviteeChanged(EmailAddress),
    /// The organizer's numbers are others.
    OrganizerNumbers,
    /// One date takes place no more; its calendar tells.
    DateCancelled(OriginalStart),
    /// Dates of an endless series came within the horizon; they were promised already.
    Horizon,
    /// The line was closed and is open again.
    Reopened,
}

/// A difference in what somebody dials, or when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "difference", rename_all = "kebab-case")]
pub enum Difference {
    /// Another room number.
    Room {
        /// What it was.
        old: RoomNumber,
        /// What it is.
        new: RoomNumber,
    },
    /// One date is at another time, or of another length.
    Moved {
        /// Which date.
        original_start: OriginalStart,
        /// What was promised.
        old: DialInWindow,
        /// What holds now.
        new: DialInWindow,
    },
    /// The pattern of a series is another one: its next date was `old`, now it is `new`.
    SeriesMoved {
        /// Next date as promised.
        old: DialInWindow,
        /// Next date now.
        new: DialInWindow,
    },
    /// A date was added, or a cancelled one takes place after all.
    DateAdded {
        /// Which date.
        original_start: OriginalStart,
        /// When its line is open.
        new: DialInWindow,
    },
}

/// Everything that differs for somebody who dials after `now`; `endless`: dates beyond the last one known were promised.
#[must_use]
pub fn differences(now: DateTime<Utc>, old: &Booking, new: &Booking, endless: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    if old.state != BookingState::Active {
        changes.push(Change::Reopened);
    }
    if old.room != new.room {
        changes.push(Change::DialIn(Difference::Room { old: old.room, new: new.room }));
    }
    changes.extend(dates(&live(now, old), &live(now, new), endless));
    if old.organizer.address != new.organizer.address {
        changes.push(Change::Organizer);
    }
    changes.extend(invitees(&old.invitees, &new.invitees));
    if old.organizer_numbers != new.organizer_numbers {
        changes.push(Change::OrganizerNumbers);
    }
    if entry(old) != entry(new) {
        changes.push(Change::Entry);
    }
    changes
}

/// What is the calendar's own to tell.
fn entry(booking: &Booking) -> impl PartialEq + '_ {
    (
        (&booking.title, &booking.description, &booking.uid, &booking.organizer, &booking.origin),
        (booking.time_zone, booking.sequence, booking.private, booking.hide_attendees),
    )
}

type Windows = BTreeMap<OriginalStart, DialInWindow>;

fn live(now: DateTime<Utc>, booking: &Booking) -> Windows {
    booking.windows().filter(|(_, window)| window.closes() > now).collect()
}

fn dates(before: &Windows, after: &Windows, endless: bool) -> Vec<Change> {
    if let Some(moved) = series_moved(before, after) {
        return vec![Change::DialIn(moved)];
    }
    let last = before.keys().next_back().copied();
    let promised = |at: OriginalStart| endless && last.is_some_and(|last| at > last);
    let mut changes = Vec::new();
    // A line that opens or closes at another distance is the mixer's to know: the times that people were told hold, and a
    // changed setting must not write to everybody about every meeting.
    let moved = |old: DialInWindow, new: DialInWindow| (old.start(), old.end()) != (new.start(), new.end());
    for (&original_start, &new) in after {
        match before.get(&original_start) {
            Some(&old) if moved(old, new) => {
                changes.push(Change::DialIn(Difference::Moved { original_start, old, new }))
            }
            Some(_) => {}
            None if promised(original_start) => changes.push(Change::Horizon),
            None => changes.push(Change::DialIn(Difference::DateAdded { original_start, new })),
        }
    }
    changes.extend(before.keys().filter(|at| !after.contains_key(at)).map(|at| Change::DateCancelled(*at)));
    changes.dedup();
    changes
}

/// Another pattern gives every date another original start: none that lives has a counterpart.
fn series_moved(before: &Windows, after: &Windows) -> Option<Difference> {
    let (&old, &new) = (before.values().next()?, after.values().next()?);
    after.keys().all(|at| !before.contains_key(at)).then_some(Difference::SeriesMoved { old, new })
}

fn invitees(old: &[Invitee], new: &[Invitee]) -> Vec<Change> {
    let by_address = |list: &[Invitee]| -> BTreeMap<EmailAddress, Invitee> {
        list.iter().map(|one| (one.person.address.clone(), one.clone())).collect()
    };
    let (before, after) = (by_address(old), by_address(new));
    let mut changes: Vec<_> = after
        .iter()
        .filter_map(|(address, now)| match before.get(address) {
            None => Some(Change::InviteeAdded(address.clone())),
            Some(then) if then != now => Some(Change::InviteeChanged(address.clone())),
            Some(_) => None,
        })
        .collect();
    let gone = before.into_keys().filter(|address| !after.contains_key(address));
    changes.extend(gone.map(Change::InviteeRemoved));
    changes
}
