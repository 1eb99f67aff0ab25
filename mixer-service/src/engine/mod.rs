//! Sound for the mixer's legs and for our own telephones: UDP sockets, a thread for each core, a beat of 20 ms.
//!
//! The dull shell around [`mixer_media::Bridge`]: whatever decides about sound is there. [`Engine`] is the handle that
//! programs hold; its methods never block, and nothing they do is waited for by the audio path.

mod metrics;
mod places;
mod ports;
mod shared;
mod socket;
mod way;
mod worker;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{self as std_mpsc, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use dialroom_host::Clock;
pub use metrics::{EngineMetrics, LATENESS_BOUNDS_US};
use mixer_media::{Bridge, Command};
pub use mixer_media::{
    Clip, Codec, Frame, Keying, Levels, Remote, RoomKey, Rtcp, Srtp, StreamId, StreamStatistics, Suite,
};
use rand_core::RngCore;
use tokio::sync::mpsc;

use metrics::Counters;
use places::{Places, Way};
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

/// Worker threads at most, whatever the machine has.
pub const WORKERS_MAX: usize = 64;
/// A worker whose work takes more of its beats than this, in thousandths, is given no more calls: a late beat is heard by all.
const BUSY_MAX_PERMILLE: u64 = 800;

/// Handle to the media workers; cheap to clone. They end when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Engine {
    workers: Arc<[Hand]>,
    places: Arc<Mutex<Registry>>,
    ports: Arc<Ports>,
}

/// What the handle holds of a worker.
#[derive(Debug)]
struct Hand {
    orders: SyncSender<Order>,
    counters: Arc<Counters>,
}

/// Where everything is. The lock is the handles' own: no worker ever waits for it.
#[derive(Debug)]
struct Registry {
    places: Places,
    gone: std_mpsc::Receiver<StreamId>,
    /// The ports that calls share, as the worker with these numbers them.
    shared: Vec<SocketAddr>,
}

impl Engine {
    /// Starts one worker; see [`with_workers`](Self::with_workers).
    ///
    /// # Errors
    /// When the system refuses a thread or randomness.
    pub fn start(ports: (u16, u16), dscp: u8) -> io::Result<(Self, mpsc::Receiver<Report>)> {
        Self::with_workers(1, ports, dscp)
    }

    /// Starts so many workers, 1 to [`WORKERS_MAX`]. Streams take even ports of `ports` (both ends included; the odd ones stay
    /// free for RTCP); `(0, 0)` takes whatever port the system gives. `dscp`: 0–63, 46 is EF.
    ///
    /// # Errors
    /// When the system refuses a thread or randomness.
    pub fn with_workers(workers: usize, ports: (u16, u16), dscp: u8) -> io::Result<(Self, mpsc::Receiver<Report>)> {
        let workers = workers.clamp(1, WORKERS_MAX);
        let (reports, told) = mpsc::channel(REPORTS_MAX);
        let (went, gone) = std_mpsc::channel();
        let ports = Arc::new(Ports::new(ports, dscp));
        let mut hands = Vec::with_capacity(workers);
        for number in 0..workers {
            let (orders, taken) = sync_channel(ORDERS_MAX);
            let counters = Arc::new(Counters::default());
            // SSRCs and first sequence numbers must not be guessed (RFC 3550 section 5.1).
            let bridge = Bridge::new(dialroom_host::OsRandom.next_u64());
            let (reports, went) = (reports.clone(), went.clone());
            let (shared, counted) = (Arc::clone(&ports), Arc::clone(&counters));
            thread::Builder::new()
                .name(format!("media-{number}"))
                .spawn(move || Worker::new(Clock::real(), bridge, taken, reports, went, shared, counted).run())?;
            hands.push(Hand { orders, counters });
        }
        let places = Arc::new(Mutex::new(Registry { places: Places::new(workers), gone, shared: Vec::new() }));
        Ok((Self { workers: hands.into(), places, ports }, told))
    }

    /// Opens a stream on this address and returns its UDP port; reports (RTCP) use the one above it, once they are wanted.
    ///
    /// # Errors
    /// When no port of the range is free, the system has no descriptor left, the address is not ours, or the machine has as
    /// much sound to make as it can bear. Streams that are open go on.
    pub fn open(&self, stream: StreamId, local_ip: IpAddr) -> io::Result<u16> {
        let idle_enough = |worker: usize| self.workers[worker].counters.busy_permille() <= BUSY_MAX_PERMILLE;
        let worker = self.registry().places.open(stream, idle_enough).ok_or_else(busy)?;
        let opened = self.ports.bind(local_ip).and_then(|socket| {
            let port = socket.local_addr()?.port();
            let taken = self.order_to(worker, Order::Open(stream, socket));
            if taken { Ok(port) } else { Err(io::ErrorKind::QuotaExceeded.into()) }
        });
        if opened.is_err() {
            self.registry().places.closed(stream);
        }
        opened
    }

    /// The same on a port that the calls of a telephone system share. Datagrams are told apart by their source, which must be
    /// the address that [`connect`](Self::connect) names.
    ///
    /// # Errors
    /// As above.
    pub fn open_shared(&self, stream: StreamId, local_ip: IpAddr) -> io::Result<u16> {
        let mut registry = self.registry();
        if self.workers[places::PINNED].counters.busy_permille() > BUSY_MAX_PERMILLE {
            return Err(busy());
        }
        let known = registry.shared.iter().position(|at| at.ip() == local_ip);
        let number = match known {
            Some(number) => number,
            None => self.share(&mut registry, self.ports.bind(local_ip)?)?,
        };
        if !self.order_to(places::PINNED, Order::OpenShared(stream, number)) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        registry.places.open_pinned(stream);
        Ok(registry.shared[number].port())
    }

    fn share(&self, registry: &mut Registry, sound: UdpSocket) -> io::Result<usize> {
        ports::widen(&sound);
        let at = sound.local_addr()?;
        let reports = self.ports.bind_beside(&sound).ok();
        if !self.order_to(places::PINNED, Order::Share(sound, reports)) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        registry.shared.push(at);
        Ok(registry.shared.len() - 1)
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

    /// What is done to the voice of this stream from here on before others hear it.
    pub fn level(&self, stream: StreamId, levels: Levels) {
        self.tell(Command::Level(stream, levels));
    }

    /// From here on the stream hears and is heard in this room. Music stops; a prompt is played to its end first.
    pub fn join(&self, stream: StreamId, room: RoomKey) {
        // Held until all is ordered: what others order for this stream comes behind.
        let mut registry = self.registry();
        for Way { stream, from, to } in registry.places.join(stream, room) {
            if from != to {
                let next = self.workers[to].orders.clone();
                let expected = self.order_to(to, Order::Expect(stream));
                if !expected || !self.order_to(from, Order::HandOver(stream, next)) {
                    // Outside of its room, but where its orders are obeyed: it can still be hung up.
                    self.order_to(to, Order::Forget(stream));
                    registry.places.stays(stream, from);
                    continue;
                }
            }
            self.order_to(to, Order::Bridge(Command::Join(stream, room)));
        }
    }

    /// Out of its room.
    pub fn leave(&self, stream: StreamId) {
        let mut registry = self.registry();
        registry.places.leave(stream);
        if let Some(worker) = registry.places.of(stream) {
            self.order_to(worker, Order::Bridge(Command::Leave(stream)));
        }
    }

    /// Plays these clips to all in the room, over the talk.
    pub fn play_to_room(&self, room: RoomKey, clips: Vec<Clip>) {
        let registry = self.registry();
        if let Some(worker) = registry.places.of_room(room) {
            self.order_to(worker, Order::Bridge(Command::PlayToRoom(room, clips)));
        }
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

    /// How the workers fare, all together.
    #[must_use]
    pub fn metrics(&self) -> EngineMetrics {
        let mut sum = EngineMetrics::default();
        self.workers.iter().for_each(|hand| hand.counters.add_to(&mut sum));
        sum
    }

    fn tell(&self, command: Command) {
        self.order(Order::Bridge(command));
    }

    /// Gives an order to the worker that has its stream. One for a stream that is gone does nothing.
    fn order(&self, order: Order) {
        let registry = self.registry();
        if let Some(worker) = order.stream().and_then(|stream| registry.places.of(stream)) {
            self.order_to(worker, order);
        }
    }

    fn order_to(&self, worker: usize, order: Order) -> bool {
        let Hand { orders, counters } = &self.workers[worker];
        match orders.try_send(order) {
            Ok(()) => true,
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => {
                counters.refused_order();
                tracing::error!(stream = ?order.stream(), "a media worker takes no more orders; this one is lost");
                false
            }
        }
    }

    /// Where everything is, without those who are gone.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        let mut registry = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(stream) = registry.gone.try_recv() {
            registry.places.closed(stream);
        }
        registry
    }
}

fn busy() -> io::Error {
    let message = "the sound of the calls that run takes most of every beat; another would be heard by all of them";
    io::Error::new(io::ErrorKind::QuotaExceeded, message)
}
