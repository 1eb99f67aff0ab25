//! From the call to the PIN: answering, login by number, keying, wrong entries.

use crate::admission::Door;
use crate::agenda::PinRole;
use crate::announcement::{reason, your_conference};
use crate::dates::Standing;
use crate::focus::{Focus, MAX_LEGS};
use crate::key_in::{KeyIn, Lengths, Step};
use crate::leg::{ACK_TIMEOUT, ENTRY_TIMEOUT, Keying, LOGIN_LIMIT, Leg, MAX_REPEATS, MAX_WRONG_ENTRIES, Stage};
use crate::login::{self, Login};
use crate::{
    Admission, Call, ConferenceId, Digit, EndReason, Event, LegId, Now, Output, PlaybackId, Refusal, Sentence,
};
use dialroom_booking::{RoomNumber, Trust};

impl Focus {
    /// Answers or refuses. Nothing is decided yet, and nothing said: the caller hears us only after his ACK.
    pub(crate) fn call(&mut self, now: Now, id: LegId, call: Call) {
        if self.legs.contains_key(&id) {
            return;
        }
        let outside = call.trust != Trust::Internal;
        if self.stopping || self.legs.len() >= MAX_LEGS {
            self.put_out(Output::Refuse(id, Refusal::Overload));
        } else if outside && !self.policy.external_callers {
            self.put_out(Output::Refuse(id, Refusal::ExternalCallersBarred));
        } else {
            self.legs.insert(id, Leg::new(call, self.policy.language));
            self.wait_for(now, id, ACK_TIMEOUT);
            self.put_out(Output::Answer(id));
        }
    }

    /// The caller hears us: in by his number, or room and PIN.
    pub(crate) fn established(&mut self, now: Now, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if !matches!(leg.stage, Stage::Answering) {
            return;
        }
        leg.answered = Some(now.wall);
        if !self.policy.enabled {
            leg.login = "switched-off";
            return self.send_off(now, id, vec![Sentence::SwitchedOff, Sentence::Goodbye], EndReason::NotOpen);
        }
        let key_in = KeyIn::dialled_along(&leg.call.dialled_along, self.policy.longest_room);
        let (rooms, caller) = (&self.rooms, leg.call.caller.as_ref());
        let just_left = |candidate: &login::Candidate| {
            let conference = conference_of(candidate);
            rooms.get(&conference).zip(caller).is_some_and(|(room, caller)| room.just_left(now.instant, caller))
        };
        let automatic_login = self.policy.automatic_login;
        let decision = login::decide(now.wall, &self.agenda, automatic_login, &leg.call, key_in.room(), just_left);
        (leg.who, leg.login) = (decision.who, decision.why);
        match decision.login {
            Login::Enter(candidate) => self.enter(now, id, Door::by_number(candidate)),
            Login::Tell(candidate) => self.tell_and_ask(now, id, key_in, &candidate),
            Login::Key => self.ask(now, id, key_in, Vec::new()),
        }
    }

    /// He hears how his conference stands, then may key.
    fn tell_and_ask(&mut self, now: Now, id: LegId, key_in: KeyIn, candidate: &login::Candidate) {
        let mut sentences = Vec::new();
        if let Some((booked, leg)) = self.agenda.get(&candidate.booking).zip(self.legs.get_mut(&id)) {
            leg.language = booked.language;
            let zone = booked.time_zone;
            sentences = vec![your_conference(&candidate.date, zone), reason(now.wall, &candidate.date, zone)];
        }
        self.ask(now, id, key_in, sentences);
    }

    /// Begins to ask for room and PIN, after `first` was said.
    pub(crate) fn ask(&mut self, now: Now, id: LegId, key_in: KeyIn, first: Vec<Sentence>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let sentences = first.into_iter().chain([prompt(&key_in)]).collect();
        let until = now.instant + LOGIN_LIMIT;
        leg.stage = Stage::Keying(Keying { key_in, wrong_entries: 0, repeats: 0, until });
        self.say(now, id, sentences);
    }

    pub(crate) fn digit(&mut self, now: Now, id: LegId, digit: Digit) {
        let lengths = Lengths { longest_room: self.policy.longest_room, longest_pin: self.agenda.longest_pin() };
        match self.legs.get_mut(&id).map(|leg| &mut leg.stage) {
            Some(Stage::Keying(keying)) => {
                let step = keying.key_in.press(now.instant, digit, lengths);
                self.step(now, id, step);
            }
            // Of neighbouring conferences the nearest was taken; `*` says that another one is meant.
            Some(Stage::Greeting(seat)) if seat.admission == Admission::Number && digit == Digit::Star => {
                self.unseat(now, id, false);
                self.ask(now, id, KeyIn::new(), Vec::new());
            }
            Some(Stage::Answering | Stage::Greeting(_) | Stage::Waiting(_) | Stage::Talking(_)) | None => {}
        }
    }

    /// Something said was heard to its end.
    pub(crate) fn played(&mut self, now: Now, id: LegId, playback: PlaybackId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if leg.playback != Some(playback) {
            return;
        }
        leg.playback = None;
        self.set_deadline(id, None);
        match self.legs.get(&id).map(|leg| &leg.stage) {
            Some(Stage::Keying(_)) => self.wait_for(now, id, ENTRY_TIMEOUT),
            Some(Stage::Greeting(_)) => self.join(now, id),
            Some(Stage::Waiting(_)) => self.put_out(Output::Music(id)),
            Some(Stage::Answering | Stage::Talking(_)) | None => {}
        }
    }

    /// A leg's time is up.
    pub(crate) fn leg_due(&mut self, now: Now, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let playback = leg.playback;
        match &mut leg.stage {
            Stage::Answering => self.end(now, id, EndReason::NotConfirmed, false),
            Stage::Keying(keying) if now.instant >= keying.until => {
                self.send_off(now, id, vec![Sentence::Goodbye], EndReason::NoEntry);
            }
            Stage::Keying(keying) if playback.is_none() => {
                let step = keying.key_in.pause(now.instant);
                self.step(now, id, step);
            }
            Stage::Keying(_) | Stage::Greeting(_) | Stage::Waiting(_) | Stage::Talking(_) => {
                if let Some(playback) = playback {
                    self.played(now, id, playback);
                }
            }
        }
    }

    fn step(&mut self, now: Now, id: LegId, step: Step) {
        match step {
            Step::Ignored => {}
            Step::More => self.listen_on(now, id),
            Step::Try => match self.judge(now, id) {
                Some(door) => self.enter(now, id, door),
                None => self.listen_on(now, id),
            },
            Step::Judge => match self.judge(now, id) {
                Some(door) => self.enter(now, id, door),
                None => self.wrong_entry(now, id),
            },
            Step::AskRoom => self.say(now, id, vec![Sentence::AskRoom]),
            Step::AskPin => self.say(now, id, vec![Sentence::AskPin]),
            Step::Silence => self.ask_again(now, id),
        }
    }

    fn listen_on(&mut self, now: Now, id: LegId) {
        self.hush(id);
        self.wait_for(now, id, self.policy.digit_timeout);
    }

    fn ask_again(&mut self, now: Now, id: LegId) {
        let Some(Stage::Keying(keying)) = self.legs.get_mut(&id).map(|leg| &mut leg.stage) else { return };
        if keying.repeats == MAX_REPEATS {
            return self.send_off(now, id, vec![Sentence::Goodbye], EndReason::NoEntry);
        }
        keying.repeats += 1;
        let sentence = prompt(&keying.key_in);
        self.say(now, id, vec![sentence]);
    }

    /// One sentence for an unknown room, a closed one and a wrong PIN; three of them end the call.
    fn wrong_entry(&mut self, now: Now, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Stage::Keying(keying) = &mut leg.stage else { return };
        leg.room = keying.key_in.room().filter(|room| self.agenda.by_room(*room).next().is_some());
        keying.wrong_entries += 1;
        keying.key_in = KeyIn::new();
        if keying.wrong_entries == MAX_WRONG_ENTRIES {
            self.tell(Event::WrongEntries);
            let sentences = vec![Sentence::DoesNotMatch, Sentence::Goodbye];
            return self.send_off(now, id, sentences, EndReason::WrongEntries);
        }
        self.say(now, id, vec![Sentence::DoesNotMatch, Sentence::AskRoom]);
    }

    /// What room and PIN open. Several bookings have one room number after another: the open one counts, and who keyed
    /// the PIN of another one means that.
    fn judge(&self, now: Now, id: LegId) -> Option<Door> {
        let Stage::Keying(keying) = &self.legs.get(&id)?.stage else { return None };
        let (room, pin): (RoomNumber, &str) = (keying.key_in.room()?, keying.key_in.pin()?);
        let fitting = self.agenda.by_room(room).filter_map(|(booking, booked)| {
            let role = booked.role_of(pin)?;
            Some((booking, role, booked.dates.meant(now.wall)?))
        });
        let rank = |standing| match standing {
            Standing::Open => 0,
            Standing::Early => 1,
            Standing::Later | Standing::Over | Standing::Cancelled => 2,
        };
        let (booking, role, date) =
            fitting.min_by_key(|(_, _, date)| (rank(date.standing(now.wall)), date.distance(now.wall)))?;
        let (admission, moderator) = match role {
            PinRole::Participant => (Admission::Pin, false),
            PinRole::Moderator => (Admission::ModeratorPin, true),
        };
        Some(Door { booking: booking.clone(), date, admission, moderator })
    }
}

fn conference_of(candidate: &login::Candidate) -> ConferenceId {
    ConferenceId { booking: candidate.booking.clone(), original_start: candidate.date.original_start }
}

fn prompt(key_in: &KeyIn) -> Sentence {
    if key_in.asks_pin() { Sentence::AskPin } else { Sentence::AskRoom }
}
