//! A beat, group by group: some rooms take in what came for their members, mix, and send; then the next ones do.
//!
//! So what one leg needs is in the processor's cache when it is needed again, and a packet that came just before its group's
//! turn is on its way to the others a moment later. A group is large enough that its packets leave in a burst, which costs whoever
//! hands them on less than one now and then.

use std::time::Instant;

use super::{Bridge, Output};
use crate::talkers::Voice;

/// A group has at least so many legs: what they need of half a megabyte of cache is there still when they send.
const GROUP_LEGS: usize = 48;

/// Where a beat stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// When the beat was due.
    now: Instant,
    /// The group's first party, and the first of the next group. Parties are the rooms, and behind them each who is in none.
    from: usize,
    to: usize,
    party: usize,
    /// Which of the party's members.
    member: usize,
    step: Step,
}

/// What is next for that member.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// What has come for him is asked for.
    Take,
    /// It was handed in: his frame is made.
    Listen,
    Speak,
    /// This packet of his is sent.
    Send(usize),
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
        self.round = self.group(now, 0);
    }

    /// The next thing to do on this beat.
    pub(super) fn go_round(&mut self) -> Output<'_> {
        let next = self.advance();
        match next {
            Next::Take(slot) => self.streams[slot].as_ref().map(|stream| Output::Take(stream.id)),
            Next::Send(slot, packet) => {
                self.streams[slot].as_ref().and_then(|stream| stream.packet(packet, &self.parcel))
            }
            Next::Over => None,
        }
        .unwrap_or(Output::Wait(self.next_beat))
    }

    fn advance(&mut self) -> Next {
        while let Some(mut round) = self.round {
            let next = self.step(&mut round);
            self.round = if round.party < round.to { Some(round) } else { self.after(round) };
            if let Some(next) = next {
                return next;
            }
        }
        Next::Over
    }

    /// One step; where it is the last of the group, `round.party` is beyond it.
    fn step(&mut self, round: &mut Round) -> Option<Next> {
        let Some(slot) = self.member(round.party, round.member) else {
            if matches!(round.step, Step::Take | Step::Listen) {
                self.mix(round.party);
            }
            (round.party, round.member) = (round.party + 1, 0);
            return None;
        };
        match round.step {
            Step::Take => {
                if round.member == 0 {
                    self.begin(round.party);
                }
                round.step = Step::Listen;
                self.fetch(round.now, slot).then_some(Next::Take(slot))
            }
            Step::Listen => {
                self.listen(round.now, round.party, slot);
                (round.member, round.step) = (round.member + 1, Step::Take);
                None
            }
            Step::Speak => {
                self.speak(round.now, round.party, slot);
                round.step = Step::Send(0);
                None
            }
            Step::Send(packet) if self.has_packet(slot, packet) => {
                round.step = Step::Send(packet + 1);
                Some(Next::Send(slot, packet))
            }
            Step::Send(_) => {
                (round.member, round.step) = (round.member + 1, Step::Speak);
                None
            }
        }
    }

    /// A group has heard everybody, and speaks; or it has spoken, and the next one takes its turn.
    fn after(&self, round: Round) -> Option<Round> {
        match round.step {
            Step::Take | Step::Listen => Some(Round { party: round.from, member: 0, step: Step::Speak, ..round }),
            Step::Speak | Step::Send(_) => self.group(round.now, round.to),
        }
    }

    fn group(&self, now: Instant, from: usize) -> Option<Round> {
        let (parties, mut to, mut legs) = (self.rooms.len() + self.alone.len(), from, 0);
        while to < parties && legs < GROUP_LEGS {
            legs += self.rooms.get(to).map_or(1, |room| room.as_ref().map_or(0, |room| room.members.len()));
            to += 1;
        }
        (from < to).then_some(Round { now, from, to, party: from, member: 0, step: Step::Take })
    }

    /// The slot of a member.
    fn member(&self, party: usize, n: usize) -> Option<usize> {
        match self.rooms.get(party) {
            Some(room) => room.as_ref()?.members.get(n).copied(),
            None => self.alone.get(party - self.rooms.len()).copied().filter(|_| n == 0),
        }
    }

    /// Asks for what is needed of him; whether he is connected at all.
    fn fetch(&self, now: Instant, slot: usize) -> bool {
        let Some(stream) = &self.streams[slot] else { return false };
        stream.fetch(now);
        stream.wire.is_some()
    }

    fn has_packet(&self, slot: usize, packet: usize) -> bool {
        self.streams[slot].as_ref().is_some_and(|stream| stream.packet(packet, &self.parcel).is_some())
    }

    fn begin(&mut self, party: usize) {
        if let Some(Some(room)) = self.rooms.get_mut(party) {
            room.begin();
        }
    }

    fn listen(&mut self, now: Instant, party: usize, slot: usize) {
        let Some(stream) = &mut self.streams[slot] else { return };
        if let (Some(level), Some(Some(room))) = (stream.listen(now, &mut self.told), self.rooms.get_mut(party)) {
            room.talkers.offer(slot, level);
        }
    }

    /// All voices of a party are in.
    fn mix(&mut self, party: usize) {
        let Some(Some(room)) = self.rooms.get_mut(party) else { return };
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

    /// Makes what he hears.
    fn speak(&mut self, now: Instant, party: usize, slot: usize) {
        let room = self.rooms.get_mut(party).and_then(|room| room.as_deref_mut());
        self.parcel.clear();
        if let Some(stream) = &mut self.streams[slot] {
            stream.speak(now, room, &mut self.told, &mut self.parcel);
        }
    }
}
