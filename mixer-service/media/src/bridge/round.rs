//! A beat, party by party: a room takes in what came for its members, mixes, and sends; then the next one does.
//!
//! So what one leg needs is in the processor's cache when it is needed again, and a packet that came just before its room's
//! turn is on its way to the others a moment later.

use std::time::Instant;

use super::{Bridge, Output};
use crate::talkers::Voice;

/// Where a beat stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// When the beat was due.
    now: Instant,
    party: Party,
    step: Step,
}

/// Who is served together.
#[derive(Clone, Copy, Debug)]
enum Party {
    /// The members of the room in this slot.
    Room(usize),
    /// One who is in no room: his place among those.
    Alone(usize),
}

/// What is next for a party, and for which member of it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    /// What has come for him is asked for.
    Take(usize),
    /// It was handed in: his frame is made.
    Listen(usize),
    Speak(usize),
    /// And which of his packets.
    Send(usize, usize),
}

/// What a round wants next.
enum Next {
    Take(usize),
    Send(usize, usize),
    Over,
}

impl Bridge {
    /// Begins a beat of sound for everybody, due at `now`.
    pub(super) fn begin_round(&mut self, now: Instant) {
        let party = if self.rooms.is_empty() { Party::Alone(0) } else { Party::Room(0) };
        self.round = Some(Round { now, party, step: Step::Begin });
    }

    /// The next thing to do on this beat.
    pub(super) fn go_round(&mut self) -> Output<'_> {
        match self.advance() {
            Next::Take(slot) => self.streams[slot].as_ref().map(|stream| Output::Take(stream.id)),
            Next::Send(slot, packet) => {
                self.streams[slot].as_ref().and_then(|stream| stream.packet(packet, &self.parcel))
            }
            Next::Over => None,
        }
        .unwrap_or(Output::Wait(self.next_beat))
    }

    fn advance(&mut self) -> Next {
        while let Some(Round { now, party, step }) = self.round {
            let (step, next) = match step {
                Step::Begin => {
                    self.begin(party);
                    (Some(Step::Take(0)), None)
                }
                Step::Take(n) => match self.member(party, n) {
                    Some(slot) => (Some(Step::Listen(n)), self.is_connected(slot).then_some(Next::Take(slot))),
                    None => {
                        self.mix(party);
                        (Some(Step::Speak(0)), None)
                    }
                },
                Step::Listen(n) => {
                    self.listen(now, party, n);
                    (Some(Step::Take(n + 1)), None)
                }
                Step::Speak(n) => (self.speak(now, party, n).then_some(Step::Send(n, 0)), None),
                Step::Send(n, packet) => match self.member(party, n).filter(|&slot| self.has_packet(slot, packet)) {
                    Some(slot) => (Some(Step::Send(n, packet + 1)), Some(Next::Send(slot, packet))),
                    None => (Some(Step::Speak(n + 1)), None),
                },
            };
            self.round = match step {
                Some(step) => Some(Round { now, party, step }),
                None => self.after(party).map(|party| Round { now, party, step: Step::Begin }),
            };
            if let Some(next) = next {
                return next;
            }
        }
        Next::Over
    }

    fn after(&self, party: Party) -> Option<Party> {
        let alone = |n: usize| (n < self.alone.len()).then_some(Party::Alone(n));
        match party {
            Party::Room(slot) if slot + 1 < self.rooms.len() => Some(Party::Room(slot + 1)),
            Party::Room(_) => alone(0),
            Party::Alone(n) => alone(n + 1),
        }
    }

    /// The slot of the `n`-th of a party.
    fn member(&self, party: Party, n: usize) -> Option<usize> {
        match party {
            Party::Room(room) => self.rooms.get(room)?.as_ref()?.members.get(n).copied(),
            Party::Alone(place) => self.alone.get(place).copied().filter(|_| n == 0),
        }
    }

    fn is_connected(&self, slot: usize) -> bool {
        self.streams[slot].as_ref().is_some_and(|stream| stream.wire.is_some())
    }

    fn has_packet(&self, slot: usize, packet: usize) -> bool {
        self.streams[slot].as_ref().is_some_and(|stream| stream.packet(packet, &self.parcel).is_some())
    }

    fn begin(&mut self, party: Party) {
        if let Party::Room(room) = party
            && let Some(room) = &mut self.rooms[room]
        {
            room.begin();
        }
    }

    fn listen(&mut self, now: Instant, party: Party, n: usize) {
        let Some(slot) = self.member(party, n) else { return };
        let Some(stream) = &mut self.streams[slot] else { return };
        let level = stream.listen(now, &mut self.told);
        if let (Some(level), Party::Room(room)) = (level, party)
            && let Some(room) = &mut self.rooms[room]
        {
            room.talkers.offer(slot, level);
        }
    }

    /// All voices of a party are in.
    fn mix(&mut self, party: Party) {
        let Party::Room(room) = party else { return };
        let Some(room) = &mut self.rooms[room] else { return };
        for Voice { slot, entry } in room.talkers.choose() {
            if let Some(stream) = &mut self.streams[slot] {
                stream.mixed = Some(entry);
                room.add(&stream.voice, entry);
                if let Some(wide) = &mut room.wide {
                    wide.add(&stream.voice, stream.wide.as_ref().map(|end| &end.voice), entry);
                }
            }
        }
        room.finish();
    }

    /// Makes what the `n`-th hears; `false` when there is no such one.
    fn speak(&mut self, now: Instant, party: Party, n: usize) -> bool {
        let Some(slot) = self.member(party, n) else { return false };
        let room = match party {
            Party::Room(room) => self.rooms[room].as_deref_mut(),
            Party::Alone(_) => None,
        };
        self.parcel.clear();
        if let Some(stream) = &mut self.streams[slot] {
            stream.speak(now, room, &mut self.told, &mut self.parcel);
        }
        true
    }
}
