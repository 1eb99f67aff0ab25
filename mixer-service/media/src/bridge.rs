//! Streams and rooms on one beat: a mixer in the sense of RFC 3550 section 7.
//!
//! Once a stream is open and its room has opened, a beat neither allocates nor looks anything up by name. The program
//! drains [`Bridge::poll`] after every [`Bridge::handle`]; so what waits there is never more than one input makes.

mod moving;
mod round;
mod wideband;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use moving::Moving;
use round::Round;

use crate::ear::Ear;
use crate::levels::{Leveller, Levels};
use crate::outbound::{Parcel, scramble};
use crate::playback::Playback;
use crate::room::Room;
use crate::stream::{Farewell, Stream};
use crate::{BEAT, Clip, DATAGRAM_MAX, Frame, Remote, StreamStatistics};

/// Streams at once; a further one is closed as soon as it opens. Beyond what one core carries.
pub const STREAMS_MAX: usize = 6000;
/// Beats missed by more than this, by a machine that slept, are not made up for.
const LATENESS_MAX: Duration = Duration::from_millis(100);
/// A stream that closes after its playback is closed by then, whatever plays.
const FAREWELL_MAX: Duration = Duration::from_secs(30);

/// Names a stream: the sound of one leg. Never reused while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// Names a room of the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomKey(pub u64);

/// What a bridge can be told. Commands for a stream that is not open do nothing.
#[derive(Clone, Debug)]
pub enum Command {
    /// A stream begins to exist; it neither sends nor receives yet.
    Open(StreamId),
    /// Where to send and how: sound flows from here on. Again with another remote: it moves there (re-INVITE).
    Connect(StreamId, Remote),
    /// These clips, one after the other, over the talk of its room if it is in one; `Output::Played` with this number at
    /// their end.
    Play(StreamId, Vec<Clip>, u64),
    /// This clip over and over in place of all it would hear, until something else plays or the stream joins a room.
    Music(StreamId, Clip),
    /// Stop what plays, without `Played`.
    Hush(StreamId),
    /// Hears and is heard in this room, and in no other. Music stops; a prompt goes on, over the talk.
    Join(StreamId, RoomKey),
    /// Out of its room.
    Leave(StreamId),
    /// What is done to its voice before others hear it; nothing, unless told.
    Level(StreamId, Levels),
    /// These clips to all in the room, over the talk, behind what is announced there already.
    PlayToRoom(RoomKey, Vec<Clip>),
    /// The far end pressed a key (`0`–`9`, `*`, `#`, `A`–`D`), as signalling told; `Output::Digit` unless it came already.
    Pressed(StreamId, char),
    /// Sends these keys (`0`–`9`, `*`, `#`, `A`–`D`) as telephone events; `Output::Keyed` when all are sent.
    Key(StreamId, String),
    /// Ends the stream; with `true` after its prompt and what is announced in its room, 30 s at most. Until then it hears
    /// and is no longer heard. `Output::Closed` follows.
    Close(StreamId, bool),
}

/// What can happen to a bridge.
#[derive(Debug)]
pub enum Input<'a> {
    /// The program wants something.
    Command(Command),
    /// A datagram arrived for a stream.
    Datagram(StreamId, SocketAddr, &'a [u8]),
    /// A datagram arrived on the port of a stream's reports.
    Rtcp(StreamId, SocketAddr, &'a [u8]),
    /// It is time for the beat that `Output::Wait` named.
    Beat,
}

/// What a bridge wants done, or tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Output<'a> {
    /// Hand in, before the next poll, what has come for this stream: its turn on this beat is now. Whatever is handed in later
    /// waits for the next beat.
    Take(StreamId),
    /// Send this datagram.
    Send(StreamId, SocketAddr, &'a [u8]),
    /// Send this datagram from the port of the stream's reports, if it has one.
    SendRtcp(StreamId, SocketAddr, &'a [u8]),
    /// The far end pressed a key.
    Digit(StreamId, char),
    /// The prompt of this number was heard to its end.
    Played(StreamId, u64),
    /// All keys were sent.
    Keyed(StreamId),
    /// Nothing came since then, 30 s ago or a multiple of it.
    Silent(StreamId, Instant),
    /// The stream is gone.
    Closed(StreamId, StreamStatistics),
    /// Nothing more until then; `None` while no stream is open.
    Wait(Option<Instant>),
}

/// All streams and rooms of one worker.
#[derive(Debug)]
pub struct Bridge {
    streams: Slots<Stream>,
    rooms: Slots<Room>,
    by_stream: ByNumber<StreamId>,
    by_room: ByNumber<RoomKey>,
    told: VecDeque<Output<'static>>,
    /// Last reports of streams that are gone; before anything is told of these.
    farewells: VecDeque<Farewell>,
    /// The one that is lent out.
    farewell: Option<Farewell>,
    /// Room to decrypt a datagram in.
    scratch: Box<[u8; DATAGRAM_MAX]>,
    /// Slots of those who are in no room.
    alone: Vec<usize>,
    /// Those who close after what plays.
    closing: Vec<StreamId>,
    /// What the leg whose turn it is sends on this beat.
    parcel: Parcel,
    /// The beat that goes on.
    round: Option<Round>,
    next_beat: Option<Instant>,
    beats_skipped: u64,
    seed: u64,
}

/// Things that keep their place while others come and go.
type Slots<T> = Vec<Option<Box<T>>>;
/// Slots by numbers that the program gives: nobody outside chooses them to fall together, so that a cheap hash is enough for
/// what is looked up for each datagram.
type ByNumber<K> = HashMap<K, usize, BuildHasherDefault<NumberHasher>>;

/// Hashes one number.
#[derive(Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = scramble(self.0 ^ number);
    }
}

impl Bridge {
    /// An empty bridge; `seed` picks SSRCs, first sequence numbers and timestamps.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            streams: Vec::new(),
            rooms: Vec::new(),
            by_stream: ByNumber::default(),
            by_room: ByNumber::default(),
            told: VecDeque::new(),
            farewells: VecDeque::new(),
            farewell: None,
            scratch: Box::new([0; DATAGRAM_MAX]),
            alone: Vec::new(),
            closing: Vec::new(),
            parcel: Parcel::default(),
            round: None,
            next_beat: None,
            beats_skipped: 0,
            seed,
        }
    }

    /// Takes one thing that happened. Never blocks and never fails: a bad datagram becomes a count.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Command(command) => self.obey(now, command),
            Input::Datagram(id, source, datagram) => {
                let Some(&slot) = self.by_stream.get(&id) else { return };
                let wire = self.streams[slot].as_mut().and_then(|stream| stream.wire.as_mut());
                if let Some(key) = wire.and_then(|wire| wire.receive(now, source, datagram, &mut self.scratch)) {
                    self.told.push_back(Output::Digit(id, key));
                }
            }
            Input::Rtcp(id, source, datagram) => {
                let Some(&slot) = self.by_stream.get(&id) else { return };
                if let Some(wire) = self.streams[slot].as_mut().and_then(|stream| stream.wire.as_mut()) {
                    wire.receive_rtcp(now, source, datagram, &mut self.scratch);
                }
            }
            Input::Beat => {
                if let Some(due) = self.next_beat.filter(|due| *due <= now) {
                    let due = self.caught_up(now, due);
                    self.beat(due);
                }
            }
        }
    }

    /// Gives the next thing to do; drain until `Output::Wait`.
    pub fn poll(&mut self) -> Output<'_> {
        self.farewell = self.farewells.pop_front();
        if self.farewell.is_some() {
            return self.farewell.as_ref().map_or(Output::Wait(None), Farewell::output);
        }
        if let Some(told) = self.told.pop_front() {
            return told;
        }
        self.go_round()
    }

    /// What a stream received on the last beat, noise and silence included.
    #[must_use]
    pub fn heard(&self, id: StreamId) -> Option<&Frame> {
        let slot = *self.by_stream.get(&id)?;
        self.streams.get(slot)?.as_ref().map(|stream| &stream.voice)
    }

    /// Counts of an open stream so far.
    #[must_use]
    pub fn statistics(&self, id: StreamId) -> Option<StreamStatistics> {
        let slot = *self.by_stream.get(&id)?;
        self.streams.get(slot)?.as_ref().map(|stream| stream.statistics())
    }

    /// Beats that were left out because the machine had slept.
    #[must_use]
    pub fn beats_skipped(&self) -> u64 {
        self.beats_skipped
    }

    fn obey(&mut self, now: Instant, command: Command) {
        match command {
            Command::Open(id) => self.open(now, id),
            Command::Connect(id, remote) => {
                let seed = scramble(self.seed ^ id.0);
                if let Some(stream) = self.stream(id) {
                    stream.connect(now, remote, seed);
                    let room = stream.room;
                    self.expect(room, remote.codec);
                }
            }
            Command::Play(id, clips, number) => self.play(id, Playback::once(clips), Some(number)),
            Command::Music(id, clip) => self.play(id, Playback::looped(clip), None),
            Command::Hush(id) => self.play(id, Playback::default(), None),
            Command::Join(id, room) => self.join(id, room),
            Command::Leave(id) => {
                if let Some(&slot) = self.by_stream.get(&id) {
                    self.leave(slot);
                }
            }
            Command::Level(id, levels) => {
                if let Some(stream) = self.stream(id) {
                    stream.leveller = Leveller::new(levels);
                }
            }
            Command::PlayToRoom(key, clips) => {
                if let Some(room) = self.by_room.get(&key).and_then(|&slot| self.rooms[slot].as_mut()) {
                    room.announce(clips);
                }
            }
            Command::Pressed(id, key) => {
                let wire = self.stream(id).and_then(|stream| stream.wire.as_mut());
                if let Some(key) = wire.and_then(|wire| wire.press(now, key)) {
                    self.told.push_back(Output::Digit(id, key));
                }
            }
            Command::Key(id, keys) => {
                if let Some(wire) = self.stream(id).and_then(|stream| stream.wire.as_mut()) {
                    wire.outbound.press(&keys);
                }
            }
            Command::Close(id, false) => {
                if let Some(&slot) = self.by_stream.get(&id) {
                    self.close(now, slot);
                }
            }
            Command::Close(id, true) => {
                if let Some(stream) = self.stream(id).filter(|stream| stream.closing.is_none()) {
                    stream.closing = Some(now + FAREWELL_MAX);
                    self.closing.push(id);
                }
            }
        }
    }

    fn open(&mut self, now: Instant, id: StreamId) {
        if self.by_stream.contains_key(&id) {
            return;
        }
        if self.by_stream.len() >= STREAMS_MAX {
            self.told.push_back(Output::Closed(id, StreamStatistics::default()));
            return;
        }
        self.next_beat.get_or_insert(now + BEAT);
        self.seat(Stream::new(id));
    }

    /// Gives a stream a place, as one of those who are in no room.
    fn seat(&mut self, stream: Stream) {
        let id = stream.id;
        let slot = place(&mut self.streams, stream);
        self.by_stream.insert(id, slot);
        self.alone.push(slot);
    }

    fn play(&mut self, id: StreamId, playback: Playback, number: Option<u64>) {
        if let Some(stream) = self.stream(id) {
            stream.playback = playback;
            stream.playback_number = number;
        }
    }

    fn join(&mut self, id: StreamId, key: RoomKey) {
        let Some(&slot) = self.by_stream.get(&id) else { return };
        let Some(stream) = &mut self.streams[slot] else { return };
        if stream.room.is_some_and(|(current, _)| current == key) {
            return;
        }
        if stream.playback.is_looped() {
            stream.playback = Playback::default();
        }
        self.leave(slot);
        let rooms = &mut self.rooms;
        #[expect(clippy::cast_possible_truncation, reason = "any 32 bits seed noise")]
        let seed = scramble(self.seed ^ key.0) as u32;
        let room_slot = *self.by_room.entry(key).or_insert_with(|| place(rooms, Room::new(seed)));
        if let (Some(stream), Some(room)) = (&mut self.streams[slot], &mut self.rooms[room_slot]) {
            stream.room = Some((key, room_slot));
            stream.join();
            self.alone.retain(|&alone| alone != slot);
            room.members.push(slot);
            let (room, codec) = (stream.room, stream.wire.as_ref().map(|wire| wire.remote().codec));
            if let Some(codec) = codec {
                self.expect(room, codec);
            }
        }
    }

    fn leave(&mut self, slot: usize) {
        let Some((key, room_slot)) = self.streams[slot].as_mut().and_then(|stream| stream.room.take()) else { return };
        if let Some(room) = &mut self.rooms[room_slot] {
            if let Some(stream) = &mut self.streams[slot] {
                stream.part(room);
            }
            room.talkers.forget(slot);
            room.members.retain(|&member| member != slot);
            if room.members.is_empty() {
                self.rooms[room_slot] = None;
                self.by_room.remove(&key);
            }
        }
        self.alone.push(slot);
        self.narrow(room_slot);
    }

    fn close(&mut self, now: Instant, slot: usize) {
        if let Some(stream) = &mut self.streams[slot] {
            // Nobody will hear it: its encoder need not learn what the room's knows.
            stream.ear = Ear::default();
        }
        self.leave(slot);
        self.alone.retain(|&alone| alone != slot);
        if let Some(mut stream) = self.streams[slot].take() {
            self.farewells.extend(stream.farewell(now));
            self.by_stream.remove(&stream.id);
            self.told.push_back(Output::Closed(stream.id, stream.statistics()));
        }
        if self.by_stream.is_empty() {
            self.next_beat = None;
        }
    }

    /// The instant that the beat due then counts for: the same, so that one late beat makes no other late, unless the
    /// machine slept.
    fn caught_up(&mut self, now: Instant, due: Instant) -> Instant {
        let late = now.saturating_duration_since(due);
        if late <= LATENESS_MAX {
            return due;
        }
        self.beats_skipped += u64::try_from(late.as_millis() / BEAT.as_millis()).unwrap_or(u64::MAX);
        now
    }

    /// One beat of sound for everybody, due at `now`.
    fn beat(&mut self, now: Instant) {
        self.next_beat = Some(now + BEAT);
        self.close_who_may_go(now);
        self.begin_round(now);
    }

    fn close_who_may_go(&mut self, now: Instant) {
        let mut n = 0;
        while let Some(&id) = self.closing.get(n) {
            match self.by_stream.get(&id) {
                Some(&slot) if !self.may_go(now, slot) => n += 1,
                gone_or_done => {
                    let slot = gone_or_done.copied();
                    self.closing.swap_remove(n);
                    slot.into_iter().for_each(|slot| self.close(now, slot));
                }
            }
        }
    }

    /// Whether one who closes after what plays has heard it.
    fn may_go(&self, now: Instant, slot: usize) -> bool {
        let Some(stream) = &self.streams[slot] else { return true };
        let Some(deadline) = stream.closing else { return false };
        let room = stream.room.and_then(|(_, room)| self.rooms[room].as_ref());
        now >= deadline || stream.is_done() && room.is_none_or(|room| room.is_quiet())
    }

    fn stream(&mut self, id: StreamId) -> Option<&mut Stream> {
        let slot = *self.by_stream.get(&id)?;
        self.streams.get_mut(slot)?.as_deref_mut()
    }
}

/// Puts a thing into the first free slot.
fn place<T>(slots: &mut Slots<T>, thing: T) -> usize {
    let slot = slots.iter().position(Option::is_none).unwrap_or_else(|| {
        slots.push(None);
        slots.len() - 1
    });
    slots[slot] = Some(Box::new(thing));
    slot
}

#[cfg(test)]
mod tests;
