//! A stream that goes on in another bridge: who joins a room goes where the room is.

use std::time::Instant;

use super::{Bridge, Output, STREAMS_MAX, StreamId};
use crate::BEAT;
use crate::stream::Stream;

/// A stream between two bridges: its sound stands still until another takes it in.
#[derive(Debug)]
pub struct Moving(Box<Stream>);

impl Moving {
    /// Which stream it is.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.0.id
    }
}

impl Bridge {
    /// Lets a stream go to another bridge, out of its room, with all that it has agreed on and remembers.
    pub fn give_up(&mut self, id: StreamId) -> Option<Moving> {
        let slot = *self.by_stream.get(&id)?;
        self.leave(slot);
        self.by_stream.remove(&id);
        self.alone.retain(|&alone| alone != slot);
        let stream = self.streams[slot].take();
        if self.by_stream.is_empty() {
            self.next_beat = None;
        }
        stream.map(Moving)
    }

    /// Goes on with a stream of another bridge. Where there is no place left, it is closed.
    pub fn take_in(&mut self, now: Instant, Moving(stream): Moving) {
        let id = stream.id;
        if self.by_stream.len() >= STREAMS_MAX || self.by_stream.contains_key(&id) {
            self.told.push_back(Output::Closed(id, stream.statistics()));
            return;
        }
        self.next_beat.get_or_insert(now + BEAT);
        self.closing.extend(stream.closing.map(|_| id));
        self.seat(*stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::{Command, Input, RoomKey};
    use crate::{Codec, Remote, some_instant};

    /// Beats once and gives sequence number and timestamp of what is sent for a stream.
    fn beat(bridge: &mut Bridge, now: &mut Instant) -> Option<(u16, u32)> {
        *now += BEAT;
        bridge.handle(*now, Input::Beat);
        let mut sent = None;
        loop {
            match bridge.poll() {
                Output::Send(_, _, bytes) => {
                    let number =
                        |at: usize, len: usize| bytes[at..at + len].iter().fold(0, |all, &b| all << 8 | u32::from(b));
                    sent = Some((u16::try_from(number(2, 2)).unwrap(), number(4, 4)));
                }
                Output::Wait(_) => return sent,
                _ => {}
            }
        }
    }

    #[test]
    fn a_stream_goes_on_in_another_bridge_as_if_nothing_had_been() {
        let (mut here, mut there, mut now) = (Bridge::new(1), Bridge::new(2), some_instant());
        let id = StreamId(7);
        here.handle(now, Input::Command(Command::Open(id)));
        let remote = Remote::plain(([127, 0, 0, 1], 4000).into(), Codec::ALaw);
        here.handle(now, Input::Command(Command::Connect(id, remote)));
        here.handle(now, Input::Command(Command::Join(id, RoomKey(1))));
        let (sequence, timestamp) = beat(&mut here, &mut now).unwrap();
        let moving = here.give_up(id).unwrap();
        assert_eq!((moving.id(), here.poll()), (id, Output::Wait(None)));
        assert!(here.give_up(id).is_none());
        there.take_in(now, moving);
        there.handle(now, Input::Command(Command::Join(id, RoomKey(1))));
        let (next, later) = beat(&mut there, &mut now).unwrap();
        assert_eq!((next, later), (sequence.wrapping_add(1), timestamp.wrapping_add(160)));
    }
}
