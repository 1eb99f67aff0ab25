//! One call: what it waits for, and what its record will say.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dialroom_booking::{Language, RoomNumber};

use crate::key_in::KeyIn;
use crate::login::Who;
use crate::room::Seat;
use crate::{Call, CallRecord, ConferenceId, EndReason, PlaybackId};

/// Silence after a prompt before it is repeated.
pub(crate) const ENTRY_TIMEOUT: Duration = Duration::from_secs(8);
/// No prompt is longer; where its end is never reported, it is taken to have ended.
pub(crate) const PROMPT_LIMIT: Duration = Duration::from_secs(30);
/// A caller confirms our answer within 64 × T1 = 32 s (RFC 3261 section 13.3.1.4), or is gone.
pub(crate) const ACK_TIMEOUT: Duration = Duration::from_secs(34);
/// Nobody keys for longer: a line is not held for ever by pressing `*`.
pub(crate) const LOGIN_LIMIT: Duration = Duration::from_secs(300);
/// How often an unanswered prompt is said again.
pub(crate) const MAX_REPEATS: u8 = 2;
/// Wrong entries that end a call.
pub(crate) const MAX_WRONG_ENTRIES: u8 = 3;

/// A call of ours.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) call: Call,
    pub(crate) stage: Stage,
    pub(crate) language: Language,
    /// Whom his number names, if it may be believed.
    pub(crate) who: Option<Who>,
    /// Why he was or was not let in by number.
    pub(crate) login: &'static str,
    /// The room he reached or keyed, where it exists.
    pub(crate) room: Option<RoomNumber>,
    /// When he confirmed our answer; a call that never did leaves no record.
    pub(crate) answered: Option<DateTime<Utc>>,
    /// Where he was let in, when, and how.
    pub(crate) been_in: Option<(Seat, DateTime<Utc>)>,
    /// What is being said to him.
    pub(crate) playback: Option<PlaybackId>,
    pub(crate) deadline: Option<Instant>,
}

/// What a leg waits for. Leaving is no stage: a leg that was told to hang up is forgotten at once.
#[derive(Debug)]
pub(crate) enum Stage {
    /// We answered; he has not confirmed.
    Answering,
    /// He keys room and PIN.
    Keying(Keying),
    /// Let in as soon as the line opens; hears music.
    Waiting(Seat),
    /// Let in as soon as the greeting is over.
    Greeting(Seat),
    /// In.
    Talking(Seat),
}

/// A caller at the keys.
#[derive(Debug)]
pub(crate) struct Keying {
    pub(crate) key_in: KeyIn,
    pub(crate) wrong_entries: u8,
    pub(crate) repeats: u8,
    /// When we lose patience.
    pub(crate) until: Instant,
}

impl Leg {
    pub(crate) fn new(call: Call, language: Language) -> Self {
        Self {
            call,
            stage: Stage::Answering,
            language,
            who: None,
            login: "",
            room: None,
            answered: None,
            been_in: None,
            playback: None,
            deadline: None,
        }
    }

    /// Where he is, or is about to be let in.
    pub(crate) fn seat(&self) -> Option<&Seat> {
        match &self.stage {
            Stage::Answering | Stage::Keying(_) => None,
            Stage::Waiting(seat) | Stage::Greeting(seat) | Stage::Talking(seat) => Some(seat),
        }
    }

    /// The record of a call that was answered, and was over at `ended`.
    pub(crate) fn record(&self, ended: DateTime<Utc>, end_reason: EndReason) -> Option<CallRecord> {
        let (seat, joined) = self.been_in.as_ref().map_or((None, None), |(seat, joined)| (Some(seat), Some(*joined)));
        Some(CallRecord {
            conference: seat.map(|seat: &Seat| -> ConferenceId { seat.conference.clone() }),
            room: self.room,
            person: self.who.as_ref().map(|who| who.person.clone()),
            name: self.who.as_ref().and_then(|who| who.name.clone()),
            caller: self.call.caller.clone(),
            admission: seat.map(|seat| seat.admission),
            login: self.login.to_owned(),
            answered: self.answered?,
            joined,
            ended,
            end_reason,
        })
    }
}
