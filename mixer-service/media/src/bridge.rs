//! Streams and rooms.

use crate::{Clip, Remote};

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
    /// These clips, one after the other, in place of all it would hear; `Output::Played` with this number at their end.
    Play(StreamId, Vec<Clip>, u64),
    /// This clip over and over, until something else plays or the stream joins a room.
    Music(StreamId, Clip),
    /// Stop what plays, without `Played`.
    Hush(StreamId),
    /// Hears and is heard in this room, and in no other. Music stops; a prompt is played to its end first.
    Join(StreamId, RoomKey),
    /// Out of its room.
    Leave(StreamId),
    /// These clips to all in the room, over the talk, behind what is announced there already.
    PlayToRoom(RoomKey, Vec<Clip>),
    /// Sends these keys (`0`–`9`, `*`, `#`, `A`–`D`) as telephone events; `Output::Keyed` when all are sent.
    Key(StreamId, String),
    /// Ends the stream; with `true` after its prompt and what is announced in its room. `Output::Closed` follows.
    Close(StreamId, bool),
}
