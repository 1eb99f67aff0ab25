//! Which worker has which stream: a room is with one worker, and who joins it goes there.
//!
//! Decides and does nothing: the handle gives the orders.

use std::collections::HashMap;

use mixer_media::{RoomKey, StreamId};

/// The worker that has the shared ports. Who talks through one stays there, and his room comes to him.
pub(super) const PINNED: usize = 0;

/// Where everything is.
#[derive(Debug)]
pub(super) struct Places {
    /// Streams of each worker.
    counts: Vec<usize>,
    streams: HashMap<StreamId, Seat>,
    rooms: HashMap<RoomKey, Room>,
}

#[derive(Clone, Copy, Debug)]
struct Seat {
    worker: usize,
    room: Option<RoomKey>,
    pinned: bool,
}

#[derive(Clone, Copy, Debug)]
struct Room {
    worker: usize,
    members: usize,
}

/// Where a stream is that is to be in a room, and where it has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) stream: StreamId,
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Places {
    /// With so many workers, at least one.
    pub(super) fn new(workers: usize) -> Self {
        Self { counts: vec![0; workers.max(1)], streams: HashMap::new(), rooms: HashMap::new() }
    }

    /// A place for a stream: with the worker that has the fewest of those that may take more; `None` when none may.
    pub(super) fn open(&mut self, id: StreamId, may_take_more: impl Fn(usize) -> bool) -> Option<usize> {
        if let Some(seat) = self.streams.get(&id) {
            return Some(seat.worker);
        }
        let worker = (0..self.counts.len()).filter(|&worker| may_take_more(worker)).min_by_key(|&w| self.counts[w])?;
        self.streams.insert(id, Seat { worker, room: None, pinned: false });
        self.counts[worker] += 1;
        Some(worker)
    }

    /// Where a stream is.
    pub(super) fn of(&self, id: StreamId) -> Option<usize> {
        self.streams.get(&id).map(|seat| seat.worker)
    }

    /// Where a room is.
    pub(super) fn of_room(&self, key: RoomKey) -> Option<usize> {
        self.rooms.get(&key).map(|room| room.worker)
    }

    /// A stream on a shared port.
    pub(super) fn open_pinned(&mut self, id: StreamId) {
        self.streams.insert(id, Seat { worker: PINNED, room: None, pinned: true });
        self.counts[PINNED] += 1;
    }

    /// Who goes where when a stream joins a room: as a rule the stream alone. A new room is with its first member, unless
    /// another worker has clearly less to do: going there would change nothing. The first who is pinned brings the whole room to
    /// his place.
    pub(super) fn join(&mut self, id: StreamId, key: RoomKey) -> Vec<Way> {
        self.leave(id);
        let Some(&Seat { worker: from, pinned, .. }) = self.streams.get(&id) else { return Vec::new() };
        let least = (0..self.counts.len()).min_by_key(|&worker| self.counts[worker]).unwrap_or(from);
        let first = if pinned || self.counts[from] <= self.counts[least] + 1 { from } else { least };
        let room = self.rooms.entry(key).or_insert(Room { worker: first, members: 0 });
        room.members += 1;
        let before = room.worker;
        let to = if pinned { PINNED } else { before };
        room.worker = to;
        let mut ways = vec![self.sit(id, key, to)];
        if before != to {
            let members = self.streams.iter().filter(|(other, seat)| **other != id && seat.room == Some(key));
            let members: Vec<_> = members.map(|(member, _)| *member).collect();
            ways.extend(members.into_iter().map(|member| self.sit(member, key, to)));
        }
        ways
    }

    fn sit(&mut self, stream: StreamId, key: RoomKey, to: usize) -> Way {
        let mut from = to;
        if let Some(seat) = self.streams.get_mut(&stream) {
            from = std::mem::replace(&mut seat.worker, to);
            seat.room = Some(key);
        }
        self.counts[from] -= 1;
        self.counts[to] += 1;
        Way { stream, from, to }
    }

    /// A stream could not go to its room: it stays with the worker that has it, in no room.
    pub(super) fn stays(&mut self, id: StreamId, worker: usize) {
        self.leave(id);
        if let Some(seat) = self.streams.get_mut(&id) {
            self.counts[std::mem::replace(&mut seat.worker, worker)] -= 1;
            self.counts[worker] += 1;
        }
    }

    /// A stream leaves its room, and a room that is empty is no more.
    pub(super) fn leave(&mut self, id: StreamId) {
        let Some(key) = self.streams.get_mut(&id).and_then(|seat| seat.room.take()) else { return };
        if let Some(room) = self.rooms.get_mut(&key) {
            room.members -= 1;
            if room.members == 0 {
                self.rooms.remove(&key);
            }
        }
    }

    /// A stream is gone.
    pub(super) fn closed(&mut self, id: StreamId) {
        self.leave(id);
        if let Some(seat) = self.streams.remove(&id) {
            self.counts[seat.worker] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(workers: usize, streams: u64) -> Places {
        let mut places = Places::new(workers);
        for n in 0..streams {
            places.open(StreamId(n), |_| true).unwrap();
        }
        places
    }

    #[test]
    fn streams_are_spread_and_a_room_stays_together() {
        let mut places = places(3, 9);
        assert_eq!(places.counts, [3, 3, 3]);
        for n in 0..9 {
            let [way] = places.join(StreamId(n), RoomKey(n / 3))[..] else { panic!() };
            assert_eq!(Some(way.to), places.of_room(RoomKey(n / 3)), "{n}");
            assert_eq!(places.of(StreamId(n)), Some(way.to));
        }
        assert_eq!(places.counts, [3, 3, 3], "rooms of equal size are spread evenly");
    }

    #[test]
    fn a_new_room_goes_where_there_is_clearly_less_to_do() {
        let mut places = places(2, 4);
        for n in [0, 2, 1] {
            places.join(StreamId(n), RoomKey(1));
        }
        assert_eq!(places.counts, [3, 1]);
        let stream = StreamId(9);
        places.open(stream, |worker| worker == 0).unwrap();
        assert_eq!(places.join(stream, RoomKey(2)), [Way { stream, from: 0, to: 1 }]);
    }

    #[test]
    fn who_is_pinned_brings_the_room_to_him() {
        let mut places = places(2, 4);
        for n in [1, 3] {
            places.join(StreamId(n), RoomKey(1));
        }
        assert_eq!(places.of_room(RoomKey(1)), Some(1));
        places.open_pinned(StreamId(9));
        let mut ways = places.join(StreamId(9), RoomKey(1));
        ways.sort_by_key(|way| way.stream);
        let way = |n, from| Way { stream: StreamId(n), from, to: PINNED };
        assert_eq!(ways, [way(1, 1), way(3, 1), way(9, 0)]);
        assert_eq!((places.counts.as_slice(), places.of_room(RoomKey(1))), (&[5, 0][..], Some(PINNED)));
    }

    #[test]
    fn who_cannot_go_stays_and_is_in_no_room() {
        let mut places = places(2, 2);
        places.join(StreamId(0), RoomKey(1));
        let [Way { stream, from, to }] = places.join(StreamId(1), RoomKey(1))[..] else { panic!() };
        assert_ne!(from, to);
        places.stays(stream, from);
        assert_eq!(
            (places.of(stream), places.counts.as_slice(), places.rooms[&RoomKey(1)].members),
            (Some(from), &[1, 1][..], 1)
        );
    }

    #[test]
    fn who_has_enough_to_do_is_given_no_more() {
        let mut places = places(2, 0);
        assert_eq!(places.open(StreamId(1), |worker| worker == 1), Some(1));
        assert_eq!(places.open(StreamId(2), |_| false), None);
        assert_eq!(places.of(StreamId(2)), None);
    }

    #[test]
    fn nothing_is_left_of_who_is_gone() {
        let mut places = places(2, 6);
        for n in 0..6 {
            places.join(StreamId(n), RoomKey(n % 4));
            places.join(StreamId(n), RoomKey(9));
        }
        assert_eq!(places.rooms.len(), 1);
        (0..6).for_each(|n| places.closed(StreamId(n)));
        places.closed(StreamId(0));
        assert!(places.streams.is_empty() && places.rooms.is_empty());
        assert_eq!(places.counts, [0, 0]);
        assert_eq!((places.join(StreamId(1), RoomKey(1)), places.of(StreamId(1))), (vec![], None));
    }
}
