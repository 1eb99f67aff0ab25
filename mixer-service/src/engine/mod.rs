//! Sound for the mixer's legs and for our own telephones: UDP sockets, one thread, one beat of 20 ms.
//!
//! The dull shell around [`mixer_media::Bridge`]: whatever decides about sound is there. [`Engine`] is the handle that
//! programs hold; its methods never block, and nothing they do is waited for by the audio path.

mod metrics;
mod ports;
mod socket;
mod worker;

#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Instant;

use dialroom_host::Clock;
pub use metrics::{EngineMetrics, LATENESS_BOUNDS_US};
use mixer_media::{Bridge, Command};
pub use mixer_media::{Clip, Codec, Frame, Keying, Remote, RoomKey, Rtcp, Srtp, StreamId, StreamStatistics, Suite};
use rand_core::RngCore;
use tokio::sync::mpsc;

use metrics::Counters;
use ports::Ports;
use worker::{Order, Worker};

/// Orders on their way to the worker. A mass hang-up of every stream it can hold fits; beyond that an order is refused,
/// counted and logged, for waiting would hold up calls.
const ORDERS_MAX: usize = 16_384;
/// Reports on their way to the program; the worker holds back more of them while these are not taken.
const REPORTS_MAX: usize = 16_384;
/// Frames that a listener may lag behind: five seconds.
const LISTENED_MAX: usize = 250;

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
pub struct Engine {
    orders: SyncSender<Order>,
    ports: Arc<Ports>,
    counters: Arc<Counters>,
}

impl Engine {
    /// Starts the worker. Streams take even ports of `ports` (both ends included; the odd ones stay free for RTCP);
    /// `(0, 0)` takes whatever port the system gives. `dscp`: 0–63, 46 is EF.
    ///
    /// # Errors
    /// When the system refuses a thread or randomness.
    pub fn start(ports: (u16, u16), dscp: u8) -> io::Result<(Self, mpsc::Receiver<Report>)> {
        let (orders, taken) = sync_channel(ORDERS_MAX);
        let (reports, told) = mpsc::channel(REPORTS_MAX);
        let counters = Arc::new(Counters::default());
        // SSRCs and first sequence numbers must not be guessed (RFC 3550 section 5.1).
        let seed = dialroom_host::OsRandom.next_u64();
        let ports = Arc::new(Ports::new(ports, dscp));
        let (shared, counted) = (Arc::clone(&ports), Arc::clone(&counters));
        let worker = Worker::new(Clock::real(), Bridge::new(seed), taken, reports, shared, counted);
        thread::Builder::new().name("media".into()).spawn(move || worker.run())?;
        Ok((Self { orders, ports, counters }, told))
    }

    /// Opens a stream on this address and returns its UDP port; reports (RTCP) use the one above it, once they are wanted.
    ///
    /// # Errors
    /// When no port of the range is free, the system has no descriptor left, the address is not ours, or the worker takes no
    /// more orders. Streams that are open go on.
    pub fn open(&self, stream: StreamId, local_ip: IpAddr) -> io::Result<u16> {
        let socket = self.ports.bind(local_ip)?;
        let port = socket.local_addr()?.port();
        if self.order(Order::Open(stream, socket)) { Ok(port) } else { Err(io::ErrorKind::QuotaExceeded.into()) }
    }

    /// Where to send and how: sound flows from here on. Again with another remote after a re-INVITE.
    pub fn connect(&self, stream: StreamId, remote: Remote) {
        self.tell(Command::Connect(stream, remote));
    }

    /// Plays these clips one after the other, replacing what plays; [`Report::Played`] at their end.
    pub fn play(&self, stream: StreamId, clips: Vec<Clip>, playback: u64) {
        self.tell(Command::Play(stream, clips, playback));
    }

    /// Plays this clip over and over, until something else plays or the stream joins a room.
    pub fn music(&self, stream: StreamId, clip: Clip) {
        self.tell(Command::Music(stream, clip));
    }

    /// Stops what plays; it is not reported as played.
    pub fn hush(&self, stream: StreamId) {
        self.tell(Command::Hush(stream));
    }

    /// From here on the stream hears and is heard in this room. Music stops; a prompt is played to its end first.
    pub fn join(&self, stream: StreamId, room: RoomKey) {
        self.tell(Command::Join(stream, room));
    }

    /// Out of its room.
    pub fn leave(&self, stream: StreamId) {
        self.tell(Command::Leave(stream));
    }

    /// Plays these clips to all in the room, over the talk.
    pub fn play_to_room(&self, room: RoomKey, clips: Vec<Clip>) {
        self.tell(Command::PlayToRoom(room, clips));
    }

    /// The far end pressed a key (`0`–`9`, `*`, `#`, `A`–`D`), as signalling told; [`Report::Digit`] unless it came already.
    pub fn pressed(&self, stream: StreamId, key: char) {
        self.tell(Command::Pressed(stream, key));
    }

    /// Sends these keys as telephone events (a telephone's side); [`Report::Keyed`] when all are sent.
    pub fn key(&self, stream: StreamId, keys: &str) {
        self.tell(Command::Key(stream, keys.into()));
    }

    /// What this stream receives, a frame every 20 ms (a telephone's ear). Frames are dropped while nobody takes them.
    #[must_use]
    pub fn listen(&self, stream: StreamId) -> mpsc::Receiver<Frame> {
        let (ear, heard) = mpsc::channel(LISTENED_MAX);
        self.order(Order::Listen(stream, ear));
        heard
    }

    /// Closes a stream; with `after_playback` once its prompt and the announcement in its room are heard, 30 s at most.
    /// Until then it still hears, but is no longer heard. [`Report::Closed`] follows.
    pub fn close(&self, stream: StreamId, after_playback: bool) {
        self.tell(Command::Close(stream, after_playback));
    }

    /// How the worker fares.
    #[must_use]
    pub fn metrics(&self) -> EngineMetrics {
        self.counters.read()
    }

    fn tell(&self, command: Command) {
        self.order(Order::Bridge(command));
    }

    fn order(&self, order: Order) -> bool {
        match self.orders.try_send(order) {
            Ok(()) => true,
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => {
                self.counters.refused_order();
                tracing::error!(stream = ?order.stream(), "media worker takes no more orders; this one is lost");
                false
            }
        }
    }
}
