//! From what a calendar shows to all that must happen.

use chrono::{DateTime, Utc};
use connector_calendar::{Appointment, MarkRule, RuleFired, matching_rule};
use dialroom_booking::{Booking, BookingState, EmailAddress, Origin};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::draft::{Draft, released};
use crate::letters::{Told, closing_letters, opening_letters, refusal_letter, update_letters};
use crate::windows::{Dates, has_live, pruned};
use crate::{AllRoomsTaken, Change, Directory, HandOff, Hold, Ledger, Letter, PlanRules, differences, handed_over};

/// Everything that follows from one look at an entry; to be stored in one transaction, then done.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What was decided, for the trace.
    pub decision: Decision,
    /// The rule that made the entry ours.
    pub rule: Option<RuleFired>,
    /// The booking as it is from now on; `None`: as it was, or none at all.
    pub booking: Option<Booking>,
    /// Room numbers taken: each replaces what the ledger says of this room and booking.
    pub holds: Vec<Hold>,
    /// Who is written to; at most one letter a person.
    pub letters: Vec<Letter>,
    /// What the mixer must be told.
    pub hand_off: Option<HandOff>,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", content = "detail", rename_all = "kebab-case")]
pub enum Decision {
    /// Nothing to do.
    Ignore(Ignored),
    /// A new booking.
    Allocate,
    /// The booking is another one.
    Change(Vec<Change>),
    /// The mark is gone, the meeting lives: the line closes.
    CloseLine,
    /// The meeting is cancelled: the line closes.
    Cancel,
    /// It is ours, but there is no line; the organizer is told.
    Refuse(Refusal),
}

/// Why there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ignored {
    /// No rule makes it ours.
    NotOurs,
    /// An attendee's copy.
    NotOrganizer,
    /// An invitation of our own that came back, forwarded or sent to the resource mailbox; or that mailbox' own entry.
    OwnInvitation,
    /// The resource mailbox' copy, while the organizer's own is watched.
    OrganizersCopyLeads,
    /// Not sent yet.
    Draft,
    /// Older than the mailbox' first sync: listed, until it is adopted or its organizer changes it.
    Older,
    /// Over.
    Past,
    /// Nothing we care for is different.
    Unchanged,
    /// Refused before for the same reason, and told.
    RefusedBefore,
    /// Cancelled or gone, and there is no line.
    NoLine,
}

/// Why there is no line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", content = "detail", rename_all = "kebab-case")]
pub enum Refusal {
    /// `conference.enabled` is false.
    #[error("telephone conferences are switched off (conference.enabled)")]
    SwitchedOff,
    /// The organizer's domain is not in `graph.resource_organizers`.
    #[error("the organizer is of no domain in graph.resource_organizers")]
    ForeignOrganizer,
    /// No number is free in all its windows.
    #[error(transparent)]
    AllRoomsTaken(#[from] AllRoomsTaken),
}

/// What is held of an entry.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stored<'a> {
    /// The booking, found by the entry's place or by its UID, whatever its state.
    pub booking: Option<&'a Booking>,
    /// The last refusal that its organizer was told.
    pub refused: Option<&'a Refusal>,
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// It is there.
    Appointment(Sighting<'a>),
    /// It was looked for and is not there (confirmed, not just missing from a delta), or its owner deletes it.
    Gone {
        /// Where it was.
        origin: &'a Origin,
        /// Address of that mailbox; `None` for entries of our own.
        mailbox: Option<&'a EmailAddress>,
    },
}

/// An entry and how it came into sight.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// The entry.
    pub appointment: &'a Appointment,
    /// Address of the mailbox it was read from; `None` for entries of our own.
    pub mailbox: Option<&'a EmailAddress>,
    /// Whether the organizer's own mailbox is watched.
    pub organizer_watched: bool,
    /// When this mailbox was first read; entries last changed before it are only listed.
    pub first_sync: Option<DateTime<Utc>>,
    /// Book such entries too.
    pub adopt: bool,
    /// What is known of the people in it.
    pub directory: &'a Directory,
}

/// Compares what was seen with what is held, and says all that follows. Decides; does nothing.
///
/// The ledger must already hold what `stored` promised; apply the plan's holds before the next call.
pub fn plan(
    now: DateTime<Utc>,
    rules: &PlanRules,
    ledger: &Ledger,
    stored: Stored<'_>,
    seen: Seen<'_>,
    rng: &mut impl CryptoRng,
) -> Plan {
    match seen {
        Seen::Appointment(sighting) => {
            let stored = Stored { booking: stored.booking.filter(|held| speaks_for(sighting, held)), ..stored };
            Desk { now, rules, ledger, stored }.look(sighting, rng)
        }
        Seen::Gone { origin, mailbox } => Desk { now, rules, ledger, stored }.gone(origin, mailbox),
    }
}

/// Whether what was seen is the meeting that is held. Everybody invited knows its UID, and may import it into a calendar
/// of his own or send it to the resource mailbox: from another place than the held one, only its organizer's own copy
/// and what he sent himself count. Anything else under this UID is a meeting of its own.
fn speaks_for(sighting: Sighting<'_>, held: &Booking) -> bool {
    let Appointment { origin, organizer, is_organizer, .. } = sighting.appointment;
    let his_own = sighting.mailbox == Some(&organizer.address);
    *origin == held.origin || (organizer.address == held.organizer.address && (his_own || !is_organizer))
}

impl Plan {
    fn of(decision: Decision) -> Self {
        Self { decision, rule: None, booking: None, holds: Vec::new(), letters: Vec::new(), hand_off: None }
    }

    fn ignore(why: Ignored) -> Self {
        Self::of(Decision::Ignore(why))
    }
}

/// What all decisions need.
struct Desk<'a> {
    now: DateTime<Utc>,
    rules: &'a PlanRules,
    ledger: &'a Ledger,
    stored: Stored<'a>,
}

impl<'a> Desk<'a> {
    /// The questions in their order; each answer is straight work below.
    fn look(&self, sighting: Sighting<'_>, rng: &mut impl CryptoRng) -> Plan {
        let appointment = sighting.appointment;
        // What we made ourselves gets no second line, or two mailboxes that invite each other never come to an end.
        let ours = self.rules.service.iter().chain(&self.rules.resource_mailbox);
        if appointment.origin != Origin::Dialroom && ours.into_iter().any(|own| *own == appointment.organizer.address) {
            return Plan::ignore(Ignored::OwnInvitation);
        }
        let guest_copy = !appointment.is_organizer && appointment.origin != Origin::Dialroom;
        if guest_copy {
            if sighting.mailbox.is_none() || sighting.mailbox != self.rules.resource_mailbox.as_ref() {
                return Plan::ignore(Ignored::NotOrganizer);
            }
            if sighting.organizer_watched {
                return Plan::ignore(Ignored::OrganizersCopyLeads);
            }
        }
        if appointment.cancelled {
            return self.gone(&appointment.origin, sighting.mailbox);
        }
        if appointment.draft {
            return Plan::ignore(Ignored::Draft);
        }
        let Some(rule) = self.rule(sighting, guest_copy) else { return self.unmarked() };
        let dates = Dates::new(self.now, self.rules, appointment, self.stored.booking);
        let mut plan = match self.line() {
            Some(booking) => self.update(booking, sighting, &dates, rng),
            None => self.open(sighting, guest_copy, &dates, rng),
        };
        plan.rule = Some(rule);
        plan
    }

    /// The stored booking, if its line lives.
    fn line(&self) -> Option<&'a Booking> {
        self.stored.booking.filter(|booking| booking.state == BookingState::Active)
    }

    /// Being in the resource mailbox is being invited there, even where the copy hides its attendees.
    fn rule(&self, sighting: Sighting<'_>, guest_copy: bool) -> Option<RuleFired> {
        if sighting.appointment.origin == Origin::Dialroom {
            return Some(RuleFired { index: None, rule: None });
        }
        matching_rule(&self.rules.rules, sighting.appointment).or_else(|| {
            let here =
                |rule: &&MarkRule| matches!(rule, MarkRule::Resource(address) if Some(address) == sighting.mailbox);
            let index = self.rules.rules.iter().position(|rule| guest_copy && here(&rule))?;
            Some(RuleFired { index: Some(index), rule: Some(self.rules.rules[index].clone()) })
        })
    }

    fn unmarked(&self) -> Plan {
        match self.line() {
            Some(booking) => self.close(booking, BookingState::LineClosed, Told::Everybody),
            None => Plan::ignore(Ignored::NotOurs),
        }
    }

    /// A resource mailbox cannot tell a cancelled meeting from one that no longer invites it: the organizer is told there.
    fn gone(&self, origin: &Origin, mailbox: Option<&EmailAddress>) -> Plan {
        let told = match origin {
            Origin::Dialroom => Told::Everybody,
            Origin::Graph { .. } if mailbox.is_some() && mailbox == self.rules.resource_mailbox.as_ref() => {
                Told::Organizer
            }
            Origin::Graph { .. } => Told::Nobody,
        };
        match self.line() {
            Some(booking) if booking.origin == *origin => self.close(booking, BookingState::Cancelled, told),
            Some(_) => Plan::ignore(Ignored::OrganizersCopyLeads),
            None => Plan::ignore(Ignored::NoLine),
        }
    }

    /// A line where there is none: a new booking, or one whose line was closed.
    fn open(&self, sighting: Sighting<'_>, guest_copy: bool, dates: &Dates, rng: &mut impl CryptoRng) -> Plan {
        let appointment = sighting.appointment;
        if !dates.live(self.now).any(|window| window.end() > self.now) {
            return Plan::ignore(Ignored::Past);
        }
        let older = sighting.first_sync.is_some_and(|first| appointment.modified < first);
        if older && !sighting.adopt && self.stored.booking.is_none() {
            return Plan::ignore(Ignored::Older);
        }
        if !self.rules.enabled {
            return self.refuse(sighting, Refusal::SwitchedOff);
        }
        let domain = appointment.organizer.address.domain();
        if guest_copy && !self.rules.resource_organizers.iter().any(|own| own.eq_ignore_ascii_case(domain)) {
            return self.refuse(sighting, Refusal::ForeignOrganizer);
        }
        let draft = Draft { now: self.now, rules: self.rules, ledger: self.ledger, sighting, dates };
        match self.stored.booking {
            Some(closed) => self.reopen(closed, &draft, rng),
            None => match draft.allocate(rng) {
                Ok((booking, hold)) => Plan {
                    decision: Decision::Allocate,
                    rule: None,
                    letters: opening_letters(&booking, &draft.notes()),
                    hand_off: Some(HandOff::Put(Box::new(handed_over(&booking)))),
                    booking: Some(booking),
                    holds: vec![hold],
                },
                Err(taken) => self.refuse(sighting, Refusal::AllRoomsTaken(taken)),
            },
        }
    }

    fn reopen(&self, closed: &Booking, draft: &Draft<'_>, rng: &mut impl CryptoRng) -> Plan {
        let (mut booking, holds) = match draft.rebook(closed, rng) {
            Ok(rebooked) => rebooked,
            Err(taken) => return self.refuse(draft.sighting, Refusal::AllRoomsTaken(taken)),
        };
        booking.revision = closed.revision + 1;
        let endless = draft.sighting.appointment.endless_or_beyond_horizon;
        Plan {
            decision: Decision::Change(differences(self.now, closed, &booking, endless)),
            rule: None,
            letters: opening_letters(&booking, &draft.notes()),
            hand_off: Some(HandOff::Put(Box::new(handed_over(&booking)))),
            booking: Some(booking),
            holds,
        }
    }

    fn update(&self, held: &Booking, sighting: Sighting<'_>, dates: &Dates, rng: &mut impl CryptoRng) -> Plan {
        if dates.live(self.now).next().is_none() {
            let over = !has_live(held, self.now);
            return if over {
                Plan::ignore(Ignored::Past)
            } else {
                self.close(held, BookingState::Cancelled, Told::Nobody)
            };
        }
        let draft = Draft { now: self.now, rules: self.rules, ledger: self.ledger, sighting, dates };
        let (mut booking, holds) = match draft.rebook(held, rng) {
            Ok(rebooked) => rebooked,
            Err(taken) => return self.refuse(sighting, Refusal::AllRoomsTaken(taken)),
        };
        let held = pruned(self.now, held);
        if booking == held && holds.is_empty() {
            return Plan::ignore(Ignored::Unchanged);
        }
        let endless = sighting.appointment.endless_or_beyond_horizon;
        let changes = differences(self.now, &held, &booking, endless);
        let letters = update_letters(&held, &booking, &changes, &draft.notes());
        let mut hand_off = None;
        if !letters.is_empty() || handed_over(&booking) != handed_over(&held) {
            booking.revision = held.revision + 1;
            if booking.origin == Origin::Dialroom && !letters.is_empty() {
                booking.sequence = held.sequence.saturating_add(1);
            }
            hand_off = Some(HandOff::Put(Box::new(handed_over(&booking))));
        }
        Plan { decision: Decision::Change(changes), rule: None, booking: Some(booking), holds, letters, hand_off }
    }

    /// Ends a line. Its number stays taken for the windows that were promised.
    fn close(&self, held: &Booking, state: BookingState, told: Told) -> Plan {
        let mut booking = held.clone();
        booking.state = state;
        booking.revision += 1;
        if booking.origin == Origin::Dialroom {
            booking.sequence = booking.sequence.saturating_add(1);
        }
        let told = if has_live(held, self.now) { told } else { Told::Nobody };
        Plan {
            decision: if state == BookingState::Cancelled { Decision::Cancel } else { Decision::CloseLine },
            rule: None,
            holds: vec![released(self.now, self.rules, self.ledger, held)],
            letters: closing_letters(&booking, told),
            hand_off: Some(HandOff::Delete { id: booking.id.clone(), revision: booking.revision }),
            booking: Some(booking),
        }
    }

    fn refuse(&self, sighting: Sighting<'_>, refusal: Refusal) -> Plan {
        if self.stored.refused == Some(&refusal) {
            return Plan::ignore(Ignored::RefusedBefore);
        }
        let letter = refusal_letter(self.rules, sighting, refusal.clone());
        Plan { letters: vec![letter], ..Plan::of(Decision::Refuse(refusal)) }
    }
}

#[cfg(test)]
mod tests;
