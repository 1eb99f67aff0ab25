//! Which worker has which stream: a room is with one worker, and who joins it goes there.
//!
//! Decides and does nothing: the handle gives the orders.

use std::collections::HashMap;

use mixer_media::{RoomKey, StreamId};

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
}

#[derive(Clone, Copy, Debug)]
struct Room {
    worker: usize,
    members: usize,
}

/// Where somebody was who joins a room, and where he has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
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
        self.streams.insert(id, Seat { worker, room: None });
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

    /// Where a stream that joins a room is to go. A new room is with its first member, unless another worker has clearly less
    /// to do: going there would change nothing.
    pub(super) fn join(&mut self, id: StreamId, key: RoomKey) -> Option<Way> {
        self.leave(id);
        let from = self.of(id)?;
        let least = (0..self.counts.len()).min_by_key(|&worker| self.counts[worker]).unwrap_or(from);
        let first = if self.counts[from] <= self.counts[least] + 1 { from } else { least };
        let room = self.rooms.entry(key).or_insert(Room { worker: first, members: 0 });
        room.members += 1;
        let to = room.worker;
        self.streams.insert(id, Seat { worker: to, room: Some(key) });
        self.counts[from] -= 1;
        self.counts[to] += 1;
        Some(Way { from, to })
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
            let way = places.join(StreamId(n), RoomKey(n / 3)).unwrap();
            assert_eq!(Some(way.to), places.of_room(RoomKey(n / 3)), "{n}");
            assert_eq!(places.of(StreamId(n)), Some(way.to));
        }
        assert_eq!(places.counts, [3, 3, 3], "rooms of equal size are spread evenly");
    }

    #[test]
    fn a_new_room_goes_where_there_is_clearly_less_to_do() {
        let mut places = places(2, 4);
        for n in [0, 2, 1] {
            places.join(StreamId(n), RoomKey(1)).unwrap();
        }
        assert_eq!(places.counts, [3, 1]);
        places.open(StreamId(9), |worker| worker == 0).unwrap();
        assert_eq!(places.join(StreamId(9), RoomKey(2)), Some(Way { from: 0, to: 1 }));
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
            places.join(StreamId(n), RoomKey(n % 4)).unwrap();
            places.join(StreamId(n), RoomKey(9)).unwrap();
        }
        assert_eq!(places.rooms.len(), 1);
        (0..6).for_each(|n| places.closed(StreamId(n)));
        places.closed(StreamId(0));
        assert!(places.streams.is_empty() && places.rooms.is_empty());
        assert_eq!(places.counts, [0, 0]);
        assert_eq!((places.join(StreamId(1), RoomKey(1)), places.of(StreamId(1))), (None, None));
    }
}
