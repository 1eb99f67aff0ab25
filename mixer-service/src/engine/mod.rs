//! Sound for the mixer's legs and for our own telephones: UDP sockets, one thread, one beat of 20 ms.
//!
//! The dull shell around [`mixer_media::Bridge`]: whatever decides about sound is there. [`Engine`] is the handle that
//! programs hold; its methods never block, and nothing they do is waited for by the audio path.

use std::io;
use std::net::IpAddr;
use std::time::Instant;

pub use mixer_media::{Clip, Frame, G711, Remote, RoomKey, StreamId, StreamStatistics};
use tokio::sync::mpsc;

/// What the engine tells about its streams.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The far end pressed a key (`0`–`9`, `*`, `#`, `A`–`D`); each key once.
    Digit(StreamId, char),
    /// What was played under this number was heard to its end.
    Played(StreamId, u64),
    /// All keys given to [`Engine::key`] were sent.
    Keyed(StreamId),
    /// Nothing was received since this instant; told again every 30 s while it lasts.
    Silent(StreamId, Instant),
    /// The stream is gone and its port free.
    Closed(StreamId, StreamStatistics),
}

/// Handle to the media worker; cheap to clone. The worker ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Engine;

#[allow(unused_variables, clippy::unused_self, reason = "signatures first; the worker follows within the hour")]
impl Engine {
    /// Starts the worker. Streams take even ports of `ports` (both ends included; the odd ones stay free for RTCP);
    /// `(0, 0)` takes whatever port the system gives. `dscp`: 0–63, 46 is EF.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(ports: (u16, u16), dscp: u8) -> io::Result<(Self, mpsc::Receiver<Report>)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Opens a stream on this address and returns its UDP port.
    ///
    /// # Errors
    /// When no port of the range is free, or the address is not ours.
    pub fn open(&self, stream: StreamId, local_ip: IpAddr) -> io::Result<u16> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where to send and how: sound flows from here on. Again with another remote after a re-INVITE.
    pub fn connect(&self, stream: StreamId, remote: Remote) {}
    /// Plays these clips one after the other, replacing what plays; [`Report::Played`] at their end.
    pub fn play(&self, stream: StreamId, clips: Vec<Clip>, playback: u64) {}
    /// Plays this clip over and over, until something else plays or the stream joins a room.
    pub fn music(&self, stream: StreamId, clip: Clip) {}
    /// Stops what plays; it is not reported as played.
    pub fn hush(&self, stream: StreamId) {}
    /// From here on the stream hears and is heard in this room. Music stops; a prompt is played to its end first.
    pub fn join(&self, stream: StreamId, room: RoomKey) {}
    /// Out of its room.
    pub fn leave(&self, stream: StreamId) {}
    /// Plays these clips to all in the room, over the talk.
    pub fn play_to_room(&self, room: RoomKey, clips: Vec<Clip>) {}
    /// Sends these keys as telephone events (a telephone's side); [`Report::Keyed`] when all are sent.
    pub fn key(&self, stream: StreamId, keys: &str) {}
    /// What this stream receives, a frame every 20 ms (a telephone's ear). Frames are dropped when nobody takes them.
    pub fn listen(&self, stream: StreamId) -> mpsc::Receiver<Frame> {
        mpsc::channel(1).1
    }
    /// Closes a stream; with `after_playback` once its prompt and the announcement in its room are heard, 30 s at most.
    /// Until then it still hears, but is no longer heard. [`Report::Closed`] follows.
    pub fn close(&self, stream: StreamId, after_playback: bool) {}
}
