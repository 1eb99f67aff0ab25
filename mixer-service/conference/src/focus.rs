//! The focus of all conferences of one mixer (RFC 4353): takes what happened, says what to do.
//!
//! This file holds the parts together: the tables, the deadlines, the queue of outputs. What happens to a leg stands in
//! `entry` (from the call to the PIN) and `admission` (from the PIN to the talk), what happens to a conference in `closing`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::agenda::Agenda;
use crate::leg::{Leg, PROMPT_LIMIT, Stage};
use crate::room::Room;
use crate::{ConferenceId, ConferenceView, EndReason, Event, Input, LegId, Now, Output, PlaybackId, Policy, Sentence};

/// Most legs at a time: what one machine can mix, with room to spare. The next call is refused with 503, so that whoever
/// floods us with calls pays for them and not those who talk.
pub(crate) const MAX_LEGS: usize = 10_000;

/// Hosts every conference of this mixer.
///
/// Change once with [`handle`](Self::handle), then drain [`poll`](Self::poll) until it gives `Wait`; hand in
/// [`Input::Time`] when that deadline has come, or earlier. Nothing is lost by calling too often.
#[derive(Debug)]
pub struct Focus {
    pub(crate) policy: Policy,
    pub(crate) agenda: Agenda,
    pub(crate) legs: BTreeMap<LegId, Leg>,
    pub(crate) rooms: BTreeMap<ConferenceId, Room>,
    pub(crate) leg_deadlines: BTreeSet<(Instant, LegId)>,
    pub(crate) alarms: BTreeSet<(DateTime<Utc>, ConferenceId)>,
    outputs: VecDeque<Output>,
    next_playback: u64,
    pub(crate) stopping: bool,
}

impl Focus {
    /// A focus without bookings.
    #[must_use]
    pub fn new(_now: Now, policy: Policy) -> Self {
        Self {
            policy,
            agenda: Agenda::default(),
            legs: BTreeMap::new(),
            rooms: BTreeMap::new(),
            leg_deadlines: BTreeSet::new(),
            alarms: BTreeSet::new(),
            outputs: VecDeque::new(),
            next_playback: 0,
            stopping: false,
        }
    }

    /// Takes one thing that happened. Never fails: what does not fit (a digit of a call that is over, a playback that was
    /// replaced) is passed over.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.advance(now);
        match input {
            Input::Booking(handed) => self.booking(now, handed),
            Input::Withdrawn(id) => self.withdrawn(now, id),
            Input::Policy(policy) => self.policy = policy,
            Input::Call(leg, call) => self.call(now, leg, call),
            Input::Established(leg) => self.established(now, leg),
            Input::Digit(leg, digit) => self.digit(now, leg, digit),
            Input::Played(leg, playback) => self.played(now, leg, playback),
            Input::HungUp(leg) => self.forget(now, leg, EndReason::CallerHungUp, true),
            Input::Time => {}
            Input::Shutdown => self.shutdown(now),
        }
    }

    /// Gives the next thing to do; drain until `Output::Wait`.
    pub fn poll(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait {
            instant: self.leg_deadlines.first().map(|(deadline, _)| *deadline),
            wall: self.alarms.first().map(|(at, _)| *at).into_iter().chain(self.agenda.next_end()).min(),
        })
    }

    /// The conferences that run, with who is in.
    pub fn conferences(&self) -> impl Iterator<Item = ConferenceView> {
        self.rooms.iter().filter_map(|(id, room)| room.view(id))
    }

    /// How many calls there are, answered or about to be.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// Lets deadlines come true, oldest first. A clock that jumped makes several come true at once; each looks at the time
    /// as it is now, so a window that was skipped over opens for nobody. Lines close before anybody's greeting ends.
    ///
    /// Each conference and each leg that is due is looked at once: whatever a rule may do wrong, this ends.
    fn advance(&mut self, now: Now) {
        let due = self.alarms.iter().take_while(|(at, _)| *at <= now.wall);
        for conference in due.map(|(_, conference)| conference.clone()).collect::<Vec<_>>() {
            self.room_due(now, &conference);
        }
        let due = self.leg_deadlines.iter().take_while(|(at, _)| *at <= now.instant);
        for leg in due.map(|(_, leg)| *leg).collect::<Vec<_>>() {
            self.set_deadline(leg, None);
            self.leg_due(now, leg);
        }
        self.agenda.drop_ended(now.wall);
    }

    fn shutdown(&mut self, now: Now) {
        self.stopping = true;
        let legs: Vec<LegId> = self.legs.keys().copied().collect();
        for leg in legs {
            self.end(now, leg, EndReason::Shutdown, false);
        }
    }

    pub(crate) fn put_out(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.put_out(Output::Event(event));
    }

    /// Speaks to one leg; what it was being told before is replaced.
    pub(crate) fn say(&mut self, now: Now, id: LegId, sentences: Vec<Sentence>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        self.next_playback += 1;
        let playback = PlaybackId(self.next_playback);
        leg.playback = Some(playback);
        let language = leg.language;
        self.put_out(Output::Say { leg: id, playback, language, sentences });
        self.wait_for(now, id, PROMPT_LIMIT);
    }

    /// Stops speaking to a leg.
    pub(crate) fn hush(&mut self, id: LegId) {
        if self.legs.get_mut(&id).is_some_and(|leg| leg.playback.take().is_some()) {
            self.put_out(Output::Hush(id));
        }
    }

    /// Sets when this leg is looked at next.
    pub(crate) fn wait_for(&mut self, now: Now, id: LegId, time: Duration) {
        let at = now.instant + time;
        let limit = match self.legs.get(&id).map(|leg| &leg.stage) {
            Some(Stage::Keying(keying)) => keying.until,
            _ => at,
        };
        self.set_deadline(id, Some(at.min(limit)));
    }

    pub(crate) fn set_deadline(&mut self, id: LegId, deadline: Option<Instant>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if let Some(old) = std::mem::replace(&mut leg.deadline, deadline) {
            self.leg_deadlines.remove(&(old, id));
        }
        if let Some(new) = deadline {
            self.leg_deadlines.insert((new, id));
        }
    }

    /// Says a last thing and ends the call.
    pub(crate) fn send_off(&mut self, now: Now, id: LegId, sentences: Vec<Sentence>, reason: EndReason) {
        self.say(now, id, sentences);
        self.end(now, id, reason, true);
    }

    /// Ends a call.
    pub(crate) fn end(&mut self, now: Now, id: LegId, reason: EndReason, tone: bool) {
        if self.legs.contains_key(&id) {
            self.put_out(Output::HangUp(id, reason));
            self.forget(now, id, reason, tone);
        }
    }

    /// Strikes a call that is over from every table, and keeps its record.
    fn forget(&mut self, now: Now, id: LegId, reason: EndReason, tone: bool) {
        self.set_deadline(id, None);
        self.unseat(now, id, tone);
        if let Some(record) = self.legs.remove(&id).and_then(|leg| leg.record(now.wall, reason)) {
            self.put_out(Output::Record(Box::new(record)));
        }
    }

    /// Whether nothing is left behind.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.legs.is_empty()
            && self.rooms.is_empty()
            && self.leg_deadlines.is_empty()
            && self.alarms.is_empty()
            && self.outputs.is_empty()
    }
}
