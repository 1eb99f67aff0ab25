//! Why an entry has a line, or has none: every decision with how the entry came into sight and what followed.
//!
//! Decisions that changed something are durable, the last ones of each entry, in the same transaction as what they decided.
//! Entries that were seen and left alone would fill the store with everybody's calendar; of those the last are in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use connector_calendar::{Appointment, RuleFired};
use connector_planner::{Decision, HandOff, Ignored, Letter, LetterKind};
use dialroom_booking::{Booking, Origin};

use crate::store::{SeenBy, Step};

/// Decisions kept of one entry; the oldest go first.
pub(crate) const MAX_STEPS: usize = 20;
/// Changes named in one decision: a rescheduled series has hundreds, all of one kind.
const MAX_CHANGES: usize = 10;
/// Letters named in one decision.
const MAX_LETTERS: usize = 100;
/// Entries left alone that are remembered.
const MAX_PASSED: usize = 5_000;

/// A decision as it is kept.
pub(crate) fn step(
    now: DateTime<Utc>,
    seen_by: SeenBy,
    decision: &Decision,
    rule: Option<RuleFired>,
    booking: Option<&Booking>,
    letters: &[Letter],
    hand_off: &Option<HandOff>,
) -> Step {
    let (decision, changes) = match decision {
        Decision::Change(changes) => {
            (Decision::Change(changes.iter().take(MAX_CHANGES).cloned().collect()), changes.len())
        }
        Decision::Ignore(_) | Decision::Allocate | Decision::CloseLine | Decision::Cancel | Decision::Refuse(_) => {
            (decision.clone(), 0)
        }
    };
    let letters = letters.iter().take(MAX_LETTERS);
    Step {
        at: now,
        seen_by,
        decision,
        changes,
        rule,
        revision: booking.map(|booking| booking.revision),
        letters: letters.map(|one| (one.recipient.address.clone(), kind(&one.kind).to_owned())).collect(),
        handed_over: hand_off.is_some(),
    }
}

/// The history with one more step, the last first.
pub(crate) fn with_step(mut history: Vec<Step>, step: Step) -> Vec<Step> {
    history.insert(0, step);
    history.truncate(MAX_STEPS);
    history
}

fn kind(letter: &LetterKind) -> &'static str {
    match letter {
        LetterKind::Invitation => "invitation",
        LetterKind::DialInData => "dial-in data",
        LetterKind::ModeratorData => "dial-in data with the moderator PIN",
        LetterKind::Changed(_) => "what has changed",
        LetterKind::LineClosed => "the line is closed",
        LetterKind::Cancelled => "cancellation",
        LetterKind::Refused(_) => "there is no line",
    }
}

/// An entry that was seen and left alone.
#[derive(Clone, Debug)]
pub(crate) struct PassedEntry {
    /// When it was seen last.
    pub(crate) at: DateTime<Utc>,
    /// How.
    pub(crate) seen_by: SeenBy,
    /// Mailbox and event.
    pub(crate) place: (String, String),
    /// Its UID, where the entry itself was read.
    pub(crate) uid: Option<String>,
    /// Why nothing was done.
    pub(crate) why: Ignored,
}

/// The entries that were left alone last; bounded.
#[derive(Debug, Default)]
pub(crate) struct Passed(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    by_place: HashMap<(String, String), PassedEntry>,
    order: VecDeque<(String, String)>,
}

impl Passed {
    /// Remembers what was left alone; of one entry the last time.
    pub(crate) fn note(
        &self,
        now: DateTime<Utc>,
        seen_by: SeenBy,
        origin: &Origin,
        decision: &Decision,
        appointment: Option<&Appointment>,
    ) {
        let (Origin::Graph { mailbox, event }, Decision::Ignore(why)) = (origin, decision) else { return };
        let place = (mailbox.clone(), event.clone());
        let uid = appointment.map(|appointment| appointment.uid.clone());
        let entry = PassedEntry { at: now, seen_by, place: place.clone(), uid, why: *why };
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.by_place.insert(place.clone(), entry).is_none() {
            held.order.push_back(place);
        }
        while held.order.len() > MAX_PASSED {
            if let Some(oldest) = held.order.pop_front() {
                held.by_place.remove(&oldest);
            }
        }
    }

    /// Those with this event id or UID.
    pub(crate) fn find(&self, wanted: &str) -> Vec<PassedEntry> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is = |one: &&PassedEntry| one.place.1 == wanted || one.uid.as_deref() == Some(wanted);
        held.by_place.values().filter(is).cloned().collect()
    }

    /// The one in this place.
    pub(crate) fn at(&self, place: &(String, String)) -> Option<PassedEntry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_place.get(place).cloned()
    }
}

/// What a decision means, for people.
pub(crate) fn sentence(decision: &Decision) -> String {
    match decision {
        Decision::Ignore(why) => ignored(*why).to_owned(),
        Decision::Allocate => "a line was made: room and PINs allocated".to_owned(),
        Decision::Change(_) => "the line follows the meeting".to_owned(),
        Decision::CloseLine => "the line is closed: the mark is gone, the meeting lives".to_owned(),
        Decision::Cancel => "the line is closed: the meeting is cancelled, or has no dates left".to_owned(),
        Decision::Refuse(refusal) => format!("no line, its organizer was told: {refusal}"),
    }
}

/// Why nothing was done, with the remedy where there is one.
pub(crate) fn ignored(why: Ignored) -> &'static str {
    match why {
        Ignored::NotOurs => "left alone: no [[rule]] makes it ours; press the meeting icon, or set category or keyword",
        Ignored::NotOrganizer => "left alone: an attendee's copy; the organizer's own mailbox decides, is it watched?",
        Ignored::OwnInvitation => "left alone: an invitation of ours that came back",
        Ignored::OrganizersCopyLeads => "left alone: the organizer's own copy decides, and that mailbox is watched",
        Ignored::Draft => "left alone: not sent yet",
        Ignored::Older => "left alone: older than our first look at this mailbox; change it, or set graph.adopt",
        Ignored::Past => "left alone: it is over",
        Ignored::Unchanged => "seen again: nothing that matters was different",
        Ignored::RefusedBefore => "refused before for the same reason, and told then",
        Ignored::NoLine => "it is gone or cancelled, and had no line",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_left_alone_are_remembered_within_bounds() {
        let passed = Passed::default();
        for number in 0..MAX_PASSED + 10 {
            let origin = Origin::Graph { mailbox: "m".to_owned(), event: number.to_string() };
            passed.note(DateTime::UNIX_EPOCH, SeenBy::Look, &origin, &Decision::Ignore(Ignored::NotOurs), None);
            passed.note(DateTime::UNIX_EPOCH, SeenBy::Notice, &origin, &Decision::Ignore(Ignored::Draft), None);
        }
        assert!(passed.find("9").is_empty(), "the oldest are forgotten");
        let found = passed.find("10");
        assert_eq!((found.len(), found[0].why, found[0].seen_by), (1, Ignored::Draft, SeenBy::Notice));
    }
}
