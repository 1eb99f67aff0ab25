//! What stands in the store beside bookings: one type a tree.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use connector_calendar::RuleFired;
use connector_planner::{Decision, Letter, Refusal};
use dialroom_booking::{BookingId, EmailAddress, Person};
use serde::{Deserialize, Serialize};

/// Where a mailbox' last committed round ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SyncState {
    /// When this mailbox was read for the first time.
    pub(crate) first_sync: DateTime<Utc>,
    /// The link that continues; `None`: the next round is a full one.
    pub(crate) delta_link: Option<String>,
    /// When the last full round was taken in; its window slides with the next one.
    pub(crate) full_at: DateTime<Utc>,
}

/// What was decided about an entry last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EntryTrace {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// What.
    pub(crate) decision: Decision,
    /// Which rule made it ours.
    pub(crate) rule: Option<RuleFired>,
    /// Its booking.
    pub(crate) booking: Option<BookingId>,
    /// The refusal that its organizer was told.
    pub(crate) refused: Option<Refusal>,
}

/// Which letter: what makes a repeat harmless.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MailKey {
    /// The booking; for a refusal an id made of the entry's place.
    pub(crate) booking: BookingId,
    /// Its revision.
    pub(crate) revision: u64,
    /// 0, or which repetition that somebody asked for.
    pub(crate) resend: u32,
    /// Who gets it.
    pub(crate) recipient: EmailAddress,
}

impl MailKey {
    /// Sorted by booking, revision, repetition, recipient.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut key = super::revision_key(&self.booking, self.revision);
        key.extend_from_slice(&self.resend.to_be_bytes());
        key.extend_from_slice(self.recipient.as_str().as_bytes());
        key
    }
}

/// A letter that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MailRow {
    /// Which.
    pub(crate) key: MailKey,
    /// When it was put in the queue.
    pub(crate) queued_at: DateTime<Utc>,
    /// What the planner wants told.
    pub(crate) letter: Letter,
    /// For a refusal, which has no booking: what was refused.
    #[serde(default)]
    pub(crate) refused: Option<RefusedEntry>,
    /// Once offered whole without an answer: one more try, no more.
    #[serde(default)]
    pub(crate) perhaps_accepted: bool,
}

/// What a refusal's letter says of the entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RefusedEntry {
    /// Subject.
    pub(crate) title: String,
    /// Who is told.
    pub(crate) organizer: Person,
    /// Its next date.
    pub(crate) start: DateTime<Utc>,
    /// Its end.
    pub(crate) end: DateTime<Utc>,
    /// Zone in which it is written.
    pub(crate) time_zone: Tz,
}

/// A letter that was accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MailSent {
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// `Message-ID`.
    pub(crate) message_id: String,
    /// Why it was given up, if it was.
    #[serde(default)]
    pub(crate) given_up: Option<String>,
}

/// A letter that nobody took, for the administrator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GivenUp {
    /// When it was given up.
    pub(crate) at: DateTime<Utc>,
    /// What it was about.
    pub(crate) booking: BookingId,
    /// Whom it did not reach.
    pub(crate) to: EmailAddress,
    /// The mail server's words.
    pub(crate) why: String,
}

/// How far the mixer's call records were fetched.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct CallsMark {
    /// The mixer's number of the last one fetched.
    pub(crate) theirs: u64,
    /// Our number of it.
    pub(crate) ours: u64,
}
