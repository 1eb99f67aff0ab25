//! What ends a conference or moves its end: the clock, a changed booking, a cancelled one.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use dialroom_booking::{BookingId, DialInWindow, E164, HandedOver, OccurrenceState};

use crate::admission::Door;
use crate::announcement::open_until;
use crate::focus::Focus;
use crate::key_in::KeyIn;
use crate::room::Room;
use crate::{Admission, ConferenceId, EndReason, LegId, Now, Output, Sentence};

impl Focus {
    /// A conference is due: its end is there, its line opens for who waits, or the end comes near. All that is due is
    /// done in one look, after which nothing is due before its time comes: a clock that jumped makes several so at once.
    pub(crate) fn room_due(&mut self, now: Now, conference: &ConferenceId) {
        if self.rooms.get(conference).is_some_and(|room| room.closes <= now.wall) {
            match self.reopened(now, conference) {
                Some(window) => self.follow(now, conference, window, window.closes()),
                None => self.close_line(now, conference),
            }
        }
        if self.rooms.get(conference).is_some_and(|room| !room.waiting.is_empty() && room.window.opens() <= now.wall) {
            self.let_waiting_in(now, conference);
        }
        if let Some(room) = self.rooms.get_mut(conference)
            && room.warning_due(now.wall)
        {
            room.warned = true;
            self.say_to_all(conference, Sentence::EndsInTwoMinutes);
        }
        self.set_alarm(conference);
    }

    /// Takes a booking or a newer revision of it; who is inside is told when the end of his line moves.
    pub(crate) fn booking(&mut self, now: Now, handed: &HandedOver) {
        self.agenda.put(now.wall, handed);
        for conference in self.conferences_of(&handed.id) {
            let date = handed.windows.iter().find(|date| date.original_start == conference.original_start);
            self.turn_out_removed(now, &conference, handed);
            let Some(room) = self.rooms.get_mut(&conference) else { continue };
            (room.number, room.title) = (handed.room, handed.title.clone());
            match date {
                Some(date) if date.state == OccurrenceState::Cancelled => self.cancel(now, &conference),
                Some(date) => {
                    // A window that holds this moment is kept to the later of both ends, for who comes back too. One that
                    // lies elsewhere is for others: the old end stands for those inside.
                    let mut closes = room.closes;
                    let changed = date.window != room.window;
                    if date.window.is_open(now.wall) {
                        closes = closes.max(date.window.closes());
                        self.agenda.extend(&handed.id, conference.original_start, closes);
                    }
                    if changed {
                        self.follow(now, &conference, date.window, closes);
                        self.ask_waiting_anew(now, &conference);
                    }
                }
                None => self.ask_waiting_anew(now, &conference),
            }
        }
    }

    /// Who waits or is greeted by a number that is invited no more keys room and PIN like anybody else. Who is in stays in.
    fn turn_out_removed(&mut self, now: Now, conference: &ConferenceId, handed: &HandedOver) {
        let invited = |number: &E164| handed.callers.iter().any(|caller| caller.numbers.contains(number));
        let removed = |id: &LegId| {
            let leg = self.legs.get(id);
            let by_number = leg.and_then(|leg| leg.seat()).is_some_and(|seat| seat.admission == Admission::Number);
            by_number && !leg.and_then(|leg| leg.call.caller.as_ref()).is_some_and(invited)
        };
        let Some(room) = self.rooms.get(conference) else { return };
        for id in room.waiting.iter().chain(&room.greeting).copied().filter(removed).collect::<Vec<_>>() {
            self.unseat(now, id, false);
            self.ask(now, id, KeyIn::new(), Vec::new());
        }
    }

    /// Closes the line of a booking that was taken back.
    pub(crate) fn withdrawn(&mut self, now: Now, id: &BookingId) {
        self.agenda.remove(id);
        for conference in self.conferences_of(id) {
            self.cancel(now, &conference);
        }
    }

    /// The line closes. Who waits for a later window of a conference that was moved goes on waiting.
    fn close_line(&mut self, now: Now, conference: &ConferenceId) {
        let Some(room) = self.rooms.get_mut(conference) else { return };
        let mut legs = room.legs();
        if now.wall < room.window.opens() {
            legs.retain(|id| !room.waiting.contains(id));
            room.close_at(now.wall, room.window.closes());
        }
        self.end_all(now, conference, legs, &[Sentence::Ended], EndReason::WindowClosed);
    }

    fn cancel(&mut self, now: Now, conference: &ConferenceId) {
        let legs = self.rooms.get(conference).map(Room::legs).unwrap_or_default();
        self.end_all(now, conference, legs, &[Sentence::Cancelled, Sentence::Goodbye], EndReason::Cancelled);
    }

    /// Takes these out, tells them why, and hangs up; from the first word on nobody hears another.
    fn end_all(
        &mut self,
        now: Now,
        conference: &ConferenceId,
        legs: BTreeSet<LegId>,
        why: &[Sentence],
        reason: EndReason,
    ) {
        let Some(room) = self.rooms.get(conference) else { return };
        let talking: Vec<LegId> = room.talking.keys().copied().collect();
        for id in talking {
            self.put_out(Output::Leave(id));
        }
        for id in legs {
            self.say(now, id, why.to_vec());
            self.end(now, id, reason, false);
        }
    }

    /// The conference's date, if the booking has it open again when its old end comes.
    fn reopened(&self, now: Now, conference: &ConferenceId) -> Option<DialInWindow> {
        let date = self.agenda.get(&conference.booking)?.dates.get(conference.original_start)?;
        (!date.cancelled && date.window.is_open(now.wall)).then_some(date.window)
    }

    /// Takes a changed window and end, and tells those inside.
    fn follow(&mut self, now: Now, conference: &ConferenceId, window: DialInWindow, closes: DateTime<Utc>) {
        let Some(room) = self.rooms.get_mut(conference) else { return };
        room.window = window;
        room.close_at(now.wall, closes);
        let sentence = open_until(now.wall, closes, room.time_zone);
        self.say_to_all(conference, sentence);
        self.set_alarm(conference);
    }

    /// Who waited for a window that moved: in, waiting again, or told when to call.
    fn ask_waiting_anew(&mut self, now: Now, conference: &ConferenceId) {
        let Some(room) = self.rooms.get(conference) else { return };
        for id in room.waiting.clone() {
            let meant = self.agenda.get(&conference.booking).and_then(|booked| booked.dates.meant(now.wall));
            let seat = self.legs.get(&id).and_then(|leg| leg.seat().cloned());
            self.unseat(now, id, false);
            match meant.zip(seat) {
                Some((date, seat)) => {
                    let booking = conference.booking.clone();
                    self.enter(now, id, Door { booking, date, admission: seat.admission, moderator: seat.moderator });
                }
                None => {
                    let sentences = vec![Sentence::Cancelled, Sentence::Goodbye];
                    self.send_off(now, id, sentences, EndReason::Cancelled);
                }
            }
        }
    }

    fn say_to_all(&mut self, conference: &ConferenceId, sentence: Sentence) {
        let Some(room) = self.rooms.get(conference) else { return };
        if !room.talking.is_empty() {
            let (conference, language) = (conference.clone(), room.language);
            self.put_out(Output::SayToAll { conference, language, sentences: vec![sentence] });
        }
    }

    fn conferences_of(&self, id: &BookingId) -> Vec<ConferenceId> {
        let from = ConferenceId { booking: id.clone(), original_start: DateTime::<Utc>::MIN_UTC };
        self.rooms
            .range(from..)
            .map(|(conference, _)| conference)
            .take_while(|conference| conference.booking == *id)
            .cloned()
            .collect()
    }
}
