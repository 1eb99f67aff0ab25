//! Who is written to, and what kind of letter it is.
//!
//! Nobody gets the same dial-in data twice, nobody ends up with two entries, and no mail of ours moves, empties or removes
//! an entry that another calendar owns: who was invited by his calendar gets data, never an invitation.

use dialroom_booking::{Booking, Delivery, Invitee, Language, Origin, Person, Role};
use serde::{Deserialize, Serialize};

use crate::{Change, Difference, PlanRules, Refusal, Sighting};

/// One mail to one person. The texts are the templates' business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Who gets it.
    pub recipient: Person,
    /// What it says.
    pub kind: LetterKind,
    /// What calendar object it carries.
    pub ics: IcsKind,
    /// His language; `None`: the organizer's.
    pub language: Option<Language>,
    /// What must be told besides.
    pub notes: Vec<Note>,
}

/// What a letter says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "kebab-case")]
pub enum LetterKind {
    /// You are invited, and this is how you dial in.
    Invitation,
    /// Your calendar invited you already; this is how you dial in.
    DialInData,
    /// To the organizer: how to dial in, and the moderator PIN.
    ModeratorData,
    /// Something you dialled in by has changed; says what, and the whole data again (to the organizer with the moderator PIN).
    Changed(Vec<Difference>),
    /// The line is closed while the meeting may live.
    LineClosed,
    /// The meeting is cancelled; only for entries of our own.
    Cancelled,
    /// To the organizer: there is no line, and why.
    Refused(Refusal),
}

/// The calendar object in a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IcsKind {
    /// None.
    None,
    /// `invite.ics` attached (`application/ics`): METHOD:REQUEST with the calendar's own UID, ORGANIZER and SEQUENCE.
    Attachment,
    /// A full invitation of ours, METHOD:REQUEST as `text/calendar` part.
    FullRequest,
    /// METHOD:CANCEL; only to holders of a full invitation.
    Cancel,
}

/// Told besides what a letter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "note")]
pub enum Note {
    /// The meeting is longer than a conference may be; its line closes this early.
    Capped {
        /// `conference.max_duration_minutes`.
        max_minutes: u32,
    },
}

/// Who hears that a line is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Everybody,
    Organizer,
    /// The calendar tells them all.
    Nobody,
}

/// A line is open that was not: everybody gets his data.
pub(crate) fn opening_letters(booking: &Booking, notes: &[Note]) -> Vec<Letter> {
    let organizer = organizer_letter(booking, LetterKind::ModeratorData, notes);
    let invitees = reachable(booking).map(first_letter);
    std::iter::once(organizer).chain(invitees).collect()
}

/// Only those whom a change concerns: the newly invited, and everybody whose room or window is another one.
pub(crate) fn update_letters(held: &Booking, booking: &Booking, changes: &[Change], notes: &[Note]) -> Vec<Letter> {
    let told: Vec<Difference> = changes
        .iter()
        .filter_map(|change| match change {
            Change::DialIn(difference) => Some(difference.clone()),
            Change::Entry
            | Change::Organizer
            | Change::InviteeAdded(_)
            | Change::InviteeRemoved(_)
            | Change::InviteeChanged(_)
            | Change::OrganizerNumbers
            | Change::DateCancelled(_)
            | Change::Horizon
            | Change::Reopened => None,
        })
        .collect();
    // Nobody but us tells of an entry that no calendar keeps.
    let ours_changed = booking.origin == Origin::Dialroom && changes.contains(&Change::Entry);
    let concerns_all = !told.is_empty() || ours_changed;
    let mut letters = Vec::new();
    if held.organizer.address != booking.organizer.address {
        letters.push(organizer_letter(booking, LetterKind::ModeratorData, notes));
    } else if concerns_all {
        letters.push(organizer_letter(booking, LetterKind::Changed(told.clone()), notes));
    }
    for invitee in reachable(booking) {
        if !reachable(held).any(|known| known.person.address == invitee.person.address) {
            letters.push(first_letter(invitee));
        } else if concerns_all {
            letters.push(to_invitee(invitee, LetterKind::Changed(told.clone()), request(invitee)));
        }
    }
    let removed = reachable(held).filter(|known| {
        !known.invited_already && !booking.invitees.iter().any(|now| now.person.address == known.person.address)
    });
    letters.extend(removed.map(|known| to_invitee(known, LetterKind::Cancelled, IcsKind::Cancel)));
    letters
}

/// A line is closed. CANCEL goes only where a full invitation of ours lies.
pub(crate) fn closing_letters(booking: &Booking, told: Told) -> Vec<Letter> {
    let ours = booking.origin == Origin::Dialroom;
    let (kind, ics) =
        if ours { (LetterKind::Cancelled, IcsKind::Cancel) } else { (LetterKind::LineClosed, IcsKind::None) };
    let organizer = Letter { ics, ..organizer_letter(booking, kind.clone(), &[]) };
    let people = booking.invitees.iter().filter(|invitee| invitee.role != Role::Resource);
    match told {
        Told::Nobody => Vec::new(),
        Told::Organizer => vec![organizer],
        Told::Everybody => {
            let invitees = people.map(|invitee| to_invitee(invitee, kind.clone(), ics));
            std::iter::once(organizer).chain(invitees).collect()
        }
    }
}

/// There is no line, and the organizer reads why.
pub(crate) fn refusal_letter(rules: &PlanRules, sighting: Sighting<'_>, refusal: Refusal) -> Letter {
    let recipient = sighting.appointment.organizer.clone();
    let known = sighting.directory.get(&recipient.address).and_then(|contact| contact.language);
    Letter {
        recipient,
        kind: LetterKind::Refused(refusal),
        ics: IcsKind::None,
        language: known.or(Some(rules.language)),
        notes: Vec::new(),
    }
}

/// Invitees whom a letter of ours reaches: persons, and of those invited by their calendar only where delivery is by ICS.
fn reachable(booking: &Booking) -> impl Iterator<Item = &Invitee> {
    let by_letter = |invitee: &&Invitee| !invitee.invited_already || booking.delivery == Delivery::Ics;
    booking.invitees.iter().filter(|invitee| invitee.role != Role::Resource).filter(by_letter)
}

fn first_letter(invitee: &Invitee) -> Letter {
    let kind = if invitee.invited_already { LetterKind::DialInData } else { LetterKind::Invitation };
    to_invitee(invitee, kind, request(invitee))
}

fn request(invitee: &Invitee) -> IcsKind {
    if invitee.invited_already { IcsKind::Attachment } else { IcsKind::FullRequest }
}

fn to_invitee(invitee: &Invitee, kind: LetterKind, ics: IcsKind) -> Letter {
    Letter { recipient: invitee.person.clone(), kind, ics, language: invitee.language, notes: Vec::new() }
}

/// The organizer's one mail: with the moderator PIN, and with the invitation only where no calendar of his has the entry.
fn organizer_letter(booking: &Booking, kind: LetterKind, notes: &[Note]) -> Letter {
    let ics = if booking.origin == Origin::Dialroom { IcsKind::FullRequest } else { IcsKind::None };
    Letter { recipient: booking.organizer.clone(), kind, ics, language: Some(booking.language), notes: notes.to_vec() }
}
