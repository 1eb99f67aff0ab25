//! What a focus asks its program to do.

use std::time::Instant;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use dialroom_booking::{BookingId, E164, Language, OriginalStart, RoomNumber};
use serde::{Deserialize, Serialize};

use crate::LegId;

/// Something to do. Drain with [`Focus::poll`](crate::Focus::poll) until `Wait`.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Answer the call.
    Answer(LegId),
    /// Refuse the call before it is answered.
    Refuse(LegId, Refusal),
    /// Speak these sentences to one leg, one after the other; replaces whatever it hears of ours, music included.
    Say {
        /// Who hears it.
        leg: LegId,
        /// Named in `Input::Played` when it is over.
        playback: PlaybackId,
        /// In which language.
        language: Language,
        /// What.
        sentences: Vec<Sentence>,
    },
    /// Stop speaking to this leg: he keys already.
    Hush(LegId),
    /// Play music to this leg until the next `Say`, `Hush`, `Join` or `HangUp`.
    Music(LegId),
    /// From here on this leg hears and is heard in this conference. Until then it neither hears nor is heard.
    Join(LegId, ConferenceId),
    /// Out of the conference, but not yet out of the call.
    Leave(LegId),
    /// Speak to everybody in a conference, over the talk.
    SayToAll {
        /// Where.
        conference: ConferenceId,
        /// In which language.
        language: Language,
        /// What.
        sentences: Vec<Sentence>,
    },
    /// End the call with BYE, after the audio queued for it has been heard.
    HangUp(LegId, EndReason),
    /// Keep this record for good.
    Record(Box<CallRecord>),
    /// Tell whoever watches.
    Event(Event),
    /// Nothing more to do until then, unless something happens; `None`: nothing at all. The wall deadline is named apart
    /// because the wall clock may be moved.
    Wait {
        /// Next deadline of the monotonic clock.
        instant: Option<Instant>,
        /// Next deadline of the wall clock.
        wall: Option<DateTime<Utc>>,
    },
}

/// Names one `Say`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlaybackId(pub u64);

/// Why a call is refused unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More legs than the machine serves: 503.
    Overload,
    /// The settings let no caller from outside in: 403.
    ExternalCallersBarred,
}

/// One sentence of the voice; its words stand in `templates/prompts`.
#[derive(Clone, Debug, PartialEq)]
pub enum Sentence {
    /// "Welcome, …." with the person's recorded name, or without.
    Welcome {
        /// Key of the recorded name.
        person: Option<String>,
    },
    /// "Your ten o'clock conference."
    YourConference {
        /// Local start.
        start: NaiveTime,
    },
    /// "Please key the room number."
    AskRoom,
    /// "Now the PIN."
    AskPin,
    /// "Room or PIN does not match."
    DoesNotMatch,
    /// "The line opens at nine fifty.", with the day when it is not today.
    OpensAt {
        /// Local time.
        time: NaiveTime,
        /// Which day.
        day: SpokenDay,
    },
    /// "Please wait, you will be connected."
    PleaseWait,
    /// "This conference is over."
    Over,
    /// "The conference is full."
    Full,
    /// "This conference was cancelled."
    Cancelled,
    /// "Conferences are switched off."
    SwitchedOff,
    /// "The line now stays open until ten fifteen.": its window was changed while people talk.
    OpenUntil {
        /// Local time at which it closes.
        time: NaiveTime,
        /// Which day.
        day: SpokenDay,
    },
    /// "This conference ends in two minutes."
    EndsInTwoMinutes,
    /// "The conference has ended. Goodbye."
    Ended,
    /// "Goodbye."
    Goodbye,
    /// Rising tone: somebody joined.
    JoinTone,
    /// Falling tone: somebody left.
    LeaveTone,
}

/// A day as the voice says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpokenDay {
    /// Not said.
    Today,
    /// "tomorrow".
    Tomorrow,
    /// "on Thursday, November 26".
    On(NaiveDate),
}

/// One conference that runs: one date of one booking.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConferenceId {
    /// Whose.
    pub booking: BookingId,
    /// Which date.
    pub original_start: OriginalStart,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// He hung up.
    CallerHungUp,
    /// The line closed.
    WindowClosed,
    /// The booking was cancelled.
    Cancelled,
    /// Three wrong entries.
    WrongEntries,
    /// He keyed nothing.
    NoEntry,
    /// The conference was full.
    Full,
    /// Not yet open, over, or switched off; he was told which.
    NotOpen,
    /// He never confirmed our answer; such a call leaves no record.
    NotConfirmed,
    /// The program ends.
    Shutdown,
}

/// How somebody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admission {
    /// By his number.
    Number,
    /// By the participant PIN.
    Pin,
    /// By the moderator PIN.
    ModeratorPin,
}

/// Who was in, from when to when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Which conference; `None` when he never got in.
    pub conference: Option<ConferenceId>,
    /// Which room he reached or keyed, where it exists.
    pub room: Option<RoomNumber>,
    /// Mail address of the person that his number named.
    pub person: Option<String>,
    /// His name as the booking has it.
    pub name: Option<String>,
    /// The number he called from.
    pub caller: Option<E164>,
    /// How he was let in; `None` when he was not.
    pub admission: Option<Admission>,
    /// Why he was or was not let in by number, as a short code for tracing: `known-number`, `not-believed`, …
    pub login: String,
    /// Call answered.
    pub answered: DateTime<Utc>,
    /// Let into the conference.
    pub joined: Option<DateTime<Utc>>,
    /// Call over.
    pub ended: DateTime<Utc>,
    /// Why it ended.
    pub end_reason: EndReason,
}

/// A conference that runs, as `GET /v1/conferences` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConferenceView {
    /// Which.
    pub conference: ConferenceId,
    /// Its room number.
    pub room: RoomNumber,
    /// Subject of the meeting.
    pub title: String,
    /// When the first came.
    pub started: DateTime<Utc>,
    /// Who is in, in the order in which they came.
    pub participants: Vec<ParticipantView>,
}

/// Something that a live view shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Somebody is in.
    Joined {
        /// Where.
        conference: ConferenceId,
        /// Who.
        participant: ParticipantView,
    },
    /// Somebody is out.
    Left {
        /// Where.
        conference: ConferenceId,
        /// Which leg.
        leg: u64,
    },
    /// The first came.
    Started {
        /// Which.
        conference: ConferenceId,
    },
    /// The last left, or the line closed.
    Ended {
        /// Which.
        conference: ConferenceId,
    },
    /// Three wrong entries ended a call.
    WrongEntries,
}

/// Somebody in a conference, as others may see him: a number only masked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParticipantView {
    /// Which leg.
    pub leg: u64,
    /// Name as the booking has it.
    pub name: Option<String>,
    /// Masked number.
    pub caller: Option<String>,
    /// Whether he is moderator.
    pub moderator: bool,
    /// How he was let in.
    pub admission: Admission,
    /// Since when.
    pub joined: DateTime<Utc>,
}
