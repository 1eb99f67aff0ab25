//! From the right to enter to the talk: waiting for the line to open, the greeting, and the way out.

use dialroom_booking::BookingId;

use crate::announcement::{opens_at, reason, your_conference};
use crate::dates::{Date, Standing};
use crate::focus::Focus;
use crate::leg::Stage;
use crate::login::Candidate;
use crate::room::{Room, Seat};
use crate::{Admission, Announce, ConferenceId, EndReason, Event, LegId, Now, Output, Sentence};

/// A conference that a caller has the right to enter, and by what.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) booking: BookingId,
    pub(crate) date: Date,
    pub(crate) admission: Admission,
    pub(crate) moderator: bool,
}

impl Door {
    pub(crate) fn by_number(candidate: Candidate) -> Self {
        let Candidate { booking, date, moderator, .. } = candidate;
        Self { booking, date, admission: Admission::Number, moderator }
    }

    pub(crate) fn conference(&self) -> ConferenceId {
        ConferenceId { booking: self.booking.clone(), original_start: self.date.original_start }
    }
}

impl Focus {
    /// Lets him in, lets him wait, or tells him why not: he has proven that he may know.
    pub(crate) fn enter(&mut self, now: Now, id: LegId, door: Door) {
        let Some((booked, leg)) = self.agenda.get(&door.booking).zip(self.legs.get_mut(&id)) else { return };
        (leg.language, leg.room) = (booked.language, Some(booked.room));
        let zone = booked.time_zone;
        let welcome = Sentence::Welcome { person: leg.who.as_ref().map(|who| who.person.clone()) };
        match door.date.standing(now.wall) {
            Standing::Open if self.free_places(&door.conference(), &booked.account) == 0 => {
                self.turn_away_full(now, id)
            }
            Standing::Open => {
                let mut greeting = vec![welcome];
                if door.admission == Admission::Number {
                    greeting.push(your_conference(&door.date, zone));
                }
                let seat = self.seat(now, id, &door);
                self.put_in(id, &seat, |room| &mut room.greeting, Stage::Greeting);
                self.say(now, id, greeting);
            }
            Standing::Early => {
                let opens = opens_at(now.wall, &door.date, zone);
                let seat = self.seat(now, id, &door);
                self.put_in(id, &seat, |room| &mut room.waiting, Stage::Waiting);
                self.say(now, id, vec![welcome, opens, Sentence::PleaseWait]);
            }
            Standing::Later | Standing::Over | Standing::Cancelled => {
                let reason = reason(now.wall, &door.date, zone);
                self.send_off(now, id, vec![reason, Sentence::Goodbye], EndReason::NotOpen);
            }
        }
    }

    /// The greeting is over, or the line has opened: from here on he hears and is heard.
    pub(crate) fn join(&mut self, now: Now, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(seat) = leg.seat().cloned() else { return };
        let Some(room) = self.rooms.get_mut(&seat.conference) else { return };
        let name = leg.who.as_ref().and_then(|who| who.name.clone());
        let participant = Room::participant(id, name, leg.call.caller.as_ref(), &seat, now.wall);
        leg.been_in = Some((seat.clone(), now.wall));
        leg.stage = Stage::Talking(seat.clone());
        room.greeting.remove(&id);
        room.waiting.remove(&id);
        let first = room.started.is_none();
        room.started.get_or_insert(now.wall);
        self.set_deadline(id, None);
        self.hush(id);
        self.tone(now, &seat.conference, Sentence::JoinTone);
        self.put_out(Output::Join(id, seat.conference.clone()));
        if let Some(room) = self.rooms.get_mut(&seat.conference) {
            room.talking.insert(id, participant.clone());
        }
        if first {
            self.tell(Event::Started { conference: seat.conference.clone() });
        }
        self.tell(Event::Joined { conference: seat.conference.clone(), participant });
        self.set_alarm(&seat.conference);
    }

    /// The line has opened: who waits goes in, in the order of calls, as far as there is room.
    pub(crate) fn let_waiting_in(&mut self, now: Now, conference: &ConferenceId) {
        let Some(room) = self.rooms.get(conference) else { return };
        let free = self.free_places(conference, &room.account);
        for (place, id) in room.waiting.clone().into_iter().enumerate() {
            if place < free {
                self.join(now, id);
            } else {
                self.turn_away_full(now, id);
            }
        }
    }

    /// Takes a leg out of its conference, if it is in one or waits for one. The call goes on.
    pub(crate) fn unseat(&mut self, now: Now, id: LegId, tone: bool) {
        let Some(leg) = self.legs.get(&id) else { return };
        let Some(conference) = leg.seat().map(|seat| seat.conference.clone()) else { return };
        let known = leg.call.caller.clone().filter(|_| leg.who.is_some());
        let Some(room) = self.rooms.get_mut(&conference) else { return };
        room.greeting.remove(&id);
        room.waiting.remove(&id);
        if room.talking.remove(&id).is_some() {
            room.left.extend(known.map(|number| (number, now.instant)));
            let last = room.talking.is_empty();
            if last {
                room.started = None;
            }
            self.tell(Event::Left { conference: conference.clone(), leg: id.0 });
            if last {
                self.tell(Event::Ended { conference: conference.clone() });
            } else if tone {
                self.tone(now, &conference, Sentence::LeaveTone);
            }
        }
        self.set_alarm(&conference);
    }

    /// Looks at a conference when it is due next, and no more when nobody is left.
    pub(crate) fn set_alarm(&mut self, conference: &ConferenceId) {
        let Some(room) = self.rooms.get_mut(conference) else { return };
        if let Some(old) = room.alarm.take() {
            self.alarms.remove(&(old, conference.clone()));
        }
        if room.is_empty() {
            self.rooms.remove(conference);
        } else {
            let alarm = room.next_alarm();
            room.alarm = Some(alarm);
            self.alarms.insert((alarm, conference.clone()));
        }
    }

    /// How many more may come in: as many as this conference, and all conferences of its account, have room for.
    fn free_places(&self, conference: &ConferenceId, account: &str) -> usize {
        let here = self.rooms.get(conference).map_or(0, Room::taken);
        let of_conference = self.policy.max_participants.saturating_sub(here);
        if account.is_empty() {
            return of_conference;
        }
        let theirs = self.rooms.values().filter(|room| room.account == account).map(Room::taken).sum();
        of_conference.min(self.policy.max_account_participants.saturating_sub(theirs))
    }

    fn turn_away_full(&mut self, now: Now, id: LegId) {
        self.send_off(now, id, vec![Sentence::Full, Sentence::Goodbye], EndReason::Full);
    }

    /// The seat behind a door; the first one makes the conference.
    fn seat(&mut self, now: Now, id: LegId, door: &Door) -> Seat {
        self.unseat(now, id, false);
        let conference = door.conference();
        if let Some(booked) = self.agenda.get(&door.booking) {
            let window = door.date.window;
            let room = self.rooms.entry(conference.clone()).or_insert_with(|| Room::new(now.wall, booked, window));
            // A room that outlived a move stays open to its old end until the new window opens.
            if window.is_open(now.wall) {
                room.close_at(now.wall, room.closes.max(window.closes()));
            }
        }
        Seat { conference, admission: door.admission, moderator: door.moderator }
    }

    fn put_in(
        &mut self,
        id: LegId,
        seat: &Seat,
        place: impl Fn(&mut Room) -> &mut std::collections::BTreeSet<LegId>,
        stage: impl Fn(Seat) -> Stage,
    ) {
        if let Some((leg, room)) = self.legs.get_mut(&id).zip(self.rooms.get_mut(&seat.conference)) {
            leg.stage = stage(seat.clone());
            place(room).insert(id);
        }
        self.set_alarm(&seat.conference);
    }

    fn tone(&mut self, now: Now, conference: &ConferenceId, sentence: Sentence) {
        let Some(room) = self.rooms.get_mut(conference) else { return };
        let wanted = self.policy.announce == Announce::Tones && !room.talking.is_empty();
        if wanted && room.tone_due(now.instant) {
            let (conference, language) = (conference.clone(), room.language);
            self.put_out(Output::SayToAll { conference, language, sentences: vec![sentence] });
        }
    }
}
