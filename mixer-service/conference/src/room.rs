//! A conference that runs or is waited for: who is where in it, and when its line closes.
//!
//! It lives from the first caller to the last, and keeps what it needs of the booking: its end stands even when the
//! booking moves away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use dialroom_booking::{DialInWindow, E164, Language, RoomNumber};

use crate::agenda::Booked;
use crate::{Admission, ConferenceId, ConferenceView, LegId, ParticipantView};

/// Everybody inside is warned this long before the line closes.
pub(crate) const WARNING: TimeDelta = TimeDelta::minutes(2);
/// Who comes back within this time finds the conference he left.
pub(crate) const COME_BACK: Duration = Duration::from_secs(300);
/// Tones of a crowd that comes or goes at once are told as one.
const TONE_GAP: Duration = Duration::from_millis(500);

/// A place in a conference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seat {
    pub(crate) conference: ConferenceId,
    pub(crate) admission: Admission,
    pub(crate) moderator: bool,
}

/// One conference.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) number: RoomNumber,
    pub(crate) title: String,
    pub(crate) account: String,
    pub(crate) language: Language,
    pub(crate) time_zone: Tz,
    /// The window as last told by its booking.
    pub(crate) window: DialInWindow,
    /// When the line really closes for those inside.
    pub(crate) closes: DateTime<Utc>,
    pub(crate) warned: bool,
    /// When the first came; `None` while nobody is in.
    pub(crate) started: Option<DateTime<Utc>>,
    pub(crate) talking: BTreeMap<LegId, ParticipantView>,
    pub(crate) greeting: BTreeSet<LegId>,
    pub(crate) waiting: BTreeSet<LegId>,
    /// Known numbers that left. Bounded by the numbers that the booking knows, [`dialroom_booking::MAX_CALLERS`] people.
    pub(crate) left: HashMap<E164, Instant>,
    /// When it is looked at next.
    pub(crate) alarm: Option<DateTime<Utc>>,
    last_tone: Option<Instant>,
}

impl Room {
    pub(crate) fn new(now: DateTime<Utc>, booked: &Booked, window: DialInWindow) -> Self {
        Self {
            number: booked.room,
            title: booked.title.clone(),
            account: booked.account.clone(),
            language: booked.language,
            time_zone: booked.time_zone,
            window,
            closes: window.closes(),
            // Who is in before the warning hears it; who comes after it would hear something false.
            warned: window.closes() - WARNING <= now,
            started: None,
            talking: BTreeMap::new(),
            greeting: BTreeSet::new(),
            waiting: BTreeSet::new(),
            left: HashMap::new(),
            alarm: None,
            last_tone: None,
        }
    }

    /// Whether nobody is in it any more, nor waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.talking.is_empty() && self.greeting.is_empty() && self.waiting.is_empty()
    }

    /// People who are in or just being greeted: what the limit counts.
    pub(crate) fn taken(&self) -> usize {
        self.talking.len() + self.greeting.len()
    }

    /// Everybody, waiting ones too.
    pub(crate) fn legs(&self) -> BTreeSet<LegId> {
        self.talking.keys().chain(&self.greeting).chain(&self.waiting).copied().collect()
    }

    /// Whether this number left less than [`COME_BACK`] ago and the others still talk.
    pub(crate) fn just_left(&self, now: Instant, number: &E164) -> bool {
        let left = self.left.get(number);
        !self.talking.is_empty() && left.is_some_and(|left| now.saturating_duration_since(*left) < COME_BACK)
    }

    /// Sets when the line closes for those inside; a warning that came too soon will come again.
    pub(crate) fn close_at(&mut self, now: DateTime<Utc>, closes: DateTime<Utc>) {
        if self.closes != closes {
            self.closes = closes;
            self.warned = closes - WARNING <= now;
        }
    }

    /// Whether the end is near and nobody was told.
    pub(crate) fn warning_due(&self, now: DateTime<Utc>) -> bool {
        !self.warned && self.closes - WARNING <= now
    }

    /// The next moment at which something is due.
    pub(crate) fn next_alarm(&self) -> DateTime<Utc> {
        let opens = (!self.waiting.is_empty()).then(|| self.window.opens());
        let warning = (!self.warned).then(|| self.closes - WARNING);
        [opens, warning].into_iter().flatten().fold(self.closes, Ord::min)
    }

    /// Whether a tone may sound now; then none does for [`TONE_GAP`].
    pub(crate) fn tone_due(&mut self, now: Instant) -> bool {
        let due = self.last_tone.is_none_or(|last| now.saturating_duration_since(last) >= TONE_GAP);
        if due {
            self.last_tone = Some(now);
        }
        due
    }

    pub(crate) fn view(&self, conference: &ConferenceId) -> Option<ConferenceView> {
        let mut participants: Vec<ParticipantView> = self.talking.values().cloned().collect();
        participants.sort_by_key(|participant| participant.joined);
        Some(ConferenceView {
            conference: conference.clone(),
            room: self.number,
            title: self.title.clone(),
            started: self.started?,
            participants,
        })
    }

    /// How somebody is shown to the others.
    pub(crate) fn participant(
        leg: LegId,
        name: Option<String>,
        caller: Option<&E164>,
        seat: &Seat,
        joined: DateTime<Utc>,
    ) -> ParticipantView {
        ParticipantView {
            leg: leg.0,
            name,
            caller: caller.map(E164::masked),
            moderator: seat.moderator,
            admission: seat.admission,
            joined,
        }
    }
}
