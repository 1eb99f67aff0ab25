//! A thread that keeps the beat: takes orders between beats, and on each of them receives, mixes and sends. A stream that joins
//! a room of another worker goes there whole, with its sockets; sound never passes from thread to thread.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{self as std_mpsc, Receiver, RecvTimeoutError, SyncSender, TrySendError as TryArrive};
use std::time::Instant;

use dialroom_host::Clock;
use mixer_media::{BEAT, Bridge, Command, Frame, Input, Moving, Output, Remote, Rtcp, StreamId};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::Report;
use super::metrics::Counters;
use super::ports::Ports;
use super::shared::SharedPort;
use super::socket::{Mailbox, send};
use super::way::Way;

/// Datagrams taken from one socket on one beat: 32 times what a caller sends. A flood beyond waits in the kernel, whose
/// own bound drops it, and holds up nobody else's sound.
const DATAGRAMS_PER_BEAT_MAX: usize = 64;
/// A sender of packets of 20 ms has one waiting on each beat; to look whether there is another costs a call for nothing. Who
/// had several is looked at again on so many beats.
const SECOND_LOOKS: u8 = 50;
/// Beats between two looks at what has no datagram as a rule: a stream's port for reports, which come every few seconds, and
/// what is behind the first datagram. 160 ms, within the time that [`Mailbox`] still believes a datagram to have waited.
const RARE_LOOK_EVERY: usize = 8;
/// Datagrams that came before a stream's far end was known, to be thrown away: more than the kernel keeps for a socket.
const EARLY_DATAGRAMS_MAX: usize = 1_024;
/// Reports held back while the program takes none; digits of every stream for a while. Beyond that they are lost and counted.
const HELD_BACK_MAX: usize = 65_536;
/// Orders held for a stream that is on its way here: far more than a call gives in the milliseconds that it takes.
const HELD_ORDERS_MAX: usize = 1_024;

/// What the handle asks of the worker.
#[derive(Debug)]
pub(super) enum Order {
    Open(StreamId, UdpSocket),
    /// A port that calls share, the next of this worker's, and the one above it.
    Share(UdpSocket, Option<UdpSocket>),
    /// A stream on a shared port, by its number.
    OpenShared(StreamId, usize),
    Listen(StreamId, mpsc::Sender<Frame>),
    Bridge(Command),
    /// A stream goes to another worker.
    HandOver(StreamId, SyncSender<Self>),
    /// A stream is on its way here: what is ordered for it waits until it has come.
    Expect(StreamId),
    /// Here it is.
    Arrive(Box<Arrival>),
    /// It does not come: it was gone before it could leave.
    Forget(StreamId),
}

/// A stream that has left another worker.
#[derive(Debug)]
pub(super) struct Arrival {
    line: Line,
    moving: Moving,
}

impl Order {
    pub(super) fn stream(&self) -> Option<StreamId> {
        match self {
            Self::Open(id, _)
            | Self::OpenShared(id, _)
            | Self::Listen(id, _)
            | Self::HandOver(id, _)
            | Self::Expect(id)
            | Self::Forget(id) => Some(*id),
            Self::Arrive(arrival) => Some(arrival.line.id),
            Self::Share(..) | Self::Bridge(Command::PlayToRoom(..)) => None,
            Self::Bridge(
                Command::Open(id)
                | Command::Connect(id, _)
                | Command::Play(id, ..)
                | Command::Music(id, _)
                | Command::Hush(id)
                | Command::Join(id, _)
                | Command::Leave(id)
                | Command::Level(id, _)
                | Command::Pressed(id, _)
                | Command::Key(id, _)
                | Command::Close(id, _),
            ) => Some(*id),
        }
    }
}

pub(super) struct Worker {
    clock: Clock,
    bridge: Bridge,
    orders: Receiver<Order>,
    lines: Lines,
    desk: Desk,
    mailbox: Mailbox,
    ports: Arc<Ports>,
    counters: Arc<Counters>,
    /// Counts beats, to take turns by.
    turn: usize,
    /// What was ordered for streams that are on their way here.
    expected: HashMap<StreamId, Vec<Order>>,
    /// Messages about streams that leave, for which their next worker had no room yet.
    leaving: Vec<(SyncSender<Order>, Order)>,
    /// Tells the handle that a stream is no more.
    gone: std_mpsc::Sender<StreamId>,
}

/// The sockets, in a row to go along on each beat.
#[derive(Default)]
struct Lines {
    row: Vec<Line>,
    by_stream: FxHashMap<StreamId, usize>,
    shared: Vec<SharedPort>,
}

/// Where a stream's datagrams pass.
#[derive(Debug)]
enum Post {
    Own(UdpSocket, Way),
    Shared(usize),
}

#[derive(Debug)]
struct Line {
    id: StreamId,
    post: Post,
    /// Nothing is taken before its far end is known: a flood of calls that nobody confirms costs no beat.
    connected: bool,
    /// Beats on which it is looked at until it is empty: it had several datagrams on one beat.
    second_looks: u8,
    /// The port of its reports, if it has one of its own.
    rtcp: Option<UdpSocket>,
    ear: Option<mpsc::Sender<Frame>>,
}

/// Where reports leave; none is lost because the program is busy for a moment.
struct Desk {
    reports: mpsc::Sender<Report>,
    held_back: VecDeque<Report>,
    counters: Arc<Counters>,
}

impl Worker {
    pub(super) fn new(
        clock: Clock,
        bridge: Bridge,
        orders: Receiver<Order>,
        reports: mpsc::Sender<Report>,
        gone: std_mpsc::Sender<StreamId>,
        ports: Arc<Ports>,
        counters: Arc<Counters>,
    ) -> Self {
        let desk = Desk { reports, held_back: VecDeque::new(), counters: Arc::clone(&counters) };
        let (lines, mailbox) = (Lines::default(), Mailbox::default());
        let (expected, leaving) = (HashMap::new(), Vec::new());
        Self { clock, bridge, orders, lines, desk, mailbox, ports, counters, turn: 0, expected, leaving, gone }
    }

    /// Works until no handle is left. Without streams it waits for an order and does nothing else.
    pub(super) fn run(mut self) {
        let mut next_beat = None;
        loop {
            let now = self.clock.instant();
            next_beat = match next_beat {
                Some(due) if due <= now => self.beat(now, due),
                _ => match self.next_order(now, next_beat) {
                    Ok(Some(order)) => self.obey(order),
                    Ok(None) => next_beat,
                    Err(NoHandleLeft) => return,
                },
            };
        }
    }

    /// The next order before the beat; `None` when there was none, and the desk was looked after.
    fn next_order(&mut self, now: Instant, next_beat: Option<Instant>) -> Result<Option<Order>, NoHandleLeft> {
        let patience = match next_beat {
            Some(due) => due - now,
            None if self.desk.held_back.is_empty() && self.leaving.is_empty() => {
                return self.orders.recv().map(Some).map_err(|_| NoHandleLeft);
            }
            None => BEAT,
        };
        match self.orders.recv_timeout(patience) {
            Ok(order) => Ok(Some(order)),
            Err(RecvTimeoutError::Timeout) => {
                self.desk.hand_over();
                self.send_off();
                Ok(None)
            }
            Err(RecvTimeoutError::Disconnected) => Err(NoHandleLeft),
        }
    }

    fn obey(&mut self, order: Order) -> Option<Instant> {
        if let Some(held) = order.stream().and_then(|id| self.expected.get_mut(&id))
            && !matches!(order, Order::Arrive(_) | Order::Forget(_))
        {
            if held.len() < HELD_ORDERS_MAX {
                held.push(order);
            } else {
                self.counters.refused_order();
            }
            return self.drain();
        }
        let command = match order {
            Order::Open(id, socket) => {
                self.lines.add(id, Post::Own(socket, Way::default()));
                Command::Open(id)
            }
            Order::Share(sound, reports) => {
                self.lines.shared.push(SharedPort::new(sound, reports));
                return self.drain();
            }
            Order::OpenShared(id, port) => {
                self.lines.add(id, Post::Shared(port));
                Command::Open(id)
            }
            Order::Listen(id, ear) => {
                if let Some(line) = self.lines.of(id) {
                    line.ear = Some(ear);
                }
                return self.drain();
            }
            Order::HandOver(id, next) => {
                let leaves = self.lines.remove(id).zip(self.bridge.give_up(id));
                self.counters.streams(self.lines.row.len());
                let message = leaves.map(|(line, moving)| Order::Arrive(Box::new(Arrival { line, moving })));
                self.leaving.push((next, message.unwrap_or(Order::Forget(id))));
                self.send_off();
                return self.drain();
            }
            Order::Forget(id) => {
                self.expected.remove(&id);
                return self.drain();
            }
            Order::Expect(id) => {
                self.expected.entry(id).or_default();
                return self.drain();
            }
            Order::Arrive(arrival) => return self.welcome(*arrival),
            Order::Bridge(command) => command,
        };
        if let Command::Connect(id, remote) = &command {
            self.attend_to(*id, remote);
        }
        self.bridge.handle(self.clock.instant(), Input::Command(command));
        self.drain()
    }

    /// Streams that leave go as soon as the other worker takes the message.
    fn send_off(&mut self) {
        for (next, message) in std::mem::take(&mut self.leaving) {
            // A worker that has ended did so with the last handle: nobody is left to hear of its streams.
            if let Err(TryArrive::Full(message)) = next.try_send(message) {
                self.leaving.push((next, message));
            }
        }
    }

    /// A stream has come from another worker; what was ordered for it meanwhile is done now.
    fn welcome(&mut self, Arrival { line, moving }: Arrival) -> Option<Instant> {
        let held = self.expected.remove(&line.id).unwrap_or_default();
        self.lines.seat(line);
        self.bridge.take_in(self.clock.instant(), moving);
        let next_beat = self.drain();
        held.into_iter().fold(next_beat, |_, order| self.obey(order))
    }

    /// From here on the stream's datagrams are taken.
    fn attend_to(&mut self, id: StreamId, remote: &Remote) {
        let reports = match remote.rtcp {
            Rtcp::Address(reports) => Some(reports),
            Rtcp::None | Rtcp::Mux => None,
        };
        let Some(Line { post, connected, .. }) = self.lines.of(id) else { return };
        match post {
            Post::Own(socket, way) => {
                way.describe(socket, remote);
                if !*connected {
                    self.clear(id);
                }
                if reports.is_some() {
                    self.open_rtcp(id);
                }
            }
            Post::Shared(port) => {
                let port = *port;
                let shared = self.lines.shared.get_mut(port);
                if shared.is_some_and(|shared| !shared.connect(id, remote.address, reports)) {
                    let address = remote.address;
                    tracing::error!(stream = ?id, %address, "two calls of one telephone system come from one port; this one is not heard: shared_media_port does not fit that trunk");
                }
            }
        }
    }

    /// What came before a stream's far end was known is nobody's.
    fn clear(&mut self, id: StreamId) {
        self.mailbox.set_clocks(self.clock.instant(), self.clock.wall());
        let Some(line) = self.lines.of(id) else { return };
        line.connected = true;
        let Post::Own(socket, _) = &line.post else { return };
        for _ in 0..EARLY_DATAGRAMS_MAX {
            if self.mailbox.take(socket).is_none() {
                break;
            }
        }
    }

    /// Opens the port of a stream's reports, the first time they are wanted. Without it there are none, and the call goes on.
    fn open_rtcp(&mut self, id: StreamId) {
        let Some(line) = self.lines.of(id).filter(|line| line.rtcp.is_none()) else { return };
        let Post::Own(socket, _) = &line.post else { return };
        match self.ports.bind_beside(socket) {
            Ok(socket) => line.rtcp = Some(socket),
            Err(error) => {
                self.counters.without_reports();
                tracing::debug!(stream = ?id, %error, "no port for reports beside the sound's");
            }
        }
    }

    fn beat(&mut self, now: Instant, due: Instant) -> Option<Instant> {
        self.counters.beat(now - due, self.lines.row.len(), self.bridge.beats_skipped());
        self.receive_shared(now);
        self.bridge.handle(now, Input::Beat);
        let next_beat = self.drain();
        for line in &mut self.lines.row {
            line.let_hear(&self.bridge);
        }
        self.send_off();
        self.counters.worked(self.clock.instant().saturating_duration_since(now));
        next_beat
    }

    /// What came for streams on shared ports comes before the beat; what came for the others, when it is their turn.
    fn receive_shared(&mut self, now: Instant) {
        let wall = self.clock.wall();
        self.mailbox.set_clocks(now, wall);
        self.turn = (self.turn + 1) % RARE_LOOK_EVERY;
        for shared in &mut self.lines.shared {
            shared.receive((now, wall), self.turn == 0, &mut self.bridge, &self.counters);
        }
    }

    fn receive(&mut self, id: StreamId) {
        let Some((line, place)) = self.lines.at(id).filter(|(line, _)| line.connected) else { return };
        let rarely = place % RARE_LOOK_EVERY == self.turn;
        line.receive(rarely, &mut self.mailbox, &mut self.bridge);
    }

    /// Does all that the bridge wants, and says when it wants its next beat.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            let report = match self.bridge.poll() {
                Output::Take(id) => {
                    self.receive(id);
                    continue;
                }
                Output::Send(id, to, datagram) => {
                    self.lines.send(id, to, datagram, &self.counters);
                    continue;
                }
                Output::SendRtcp(id, to, datagram) => {
                    self.lines.send_rtcp(id, to, datagram, &self.counters);
                    continue;
                }
                Output::Digit(id, key) => Report::Digit(id, key),
                Output::Played(id, number) => Report::Played(id, number),
                Output::Keyed(id) => Report::Keyed(id),
                Output::Silent(id, since) => Report::Silent(id, since),
                Output::Closed(id, statistics) => {
                    self.lines.remove(id);
                    self.counters.streams(self.lines.row.len());
                    // Without a handle nobody asks where it was.
                    let _ = self.gone.send(id);
                    Report::Closed(id, statistics)
                }
                Output::Wait(next_beat) => {
                    self.lines.shared.iter_mut().for_each(|shared| shared.flush(&self.counters));
                    if next_beat.is_none() {
                        self.counters.idle();
                    }
                    self.desk.hand_over();
                    return next_beat;
                }
            };
            self.desk.take(report);
        }
    }
}

/// Every handle was dropped: nobody can hear of this engine again.
struct NoHandleLeft;

impl Lines {
    fn add(&mut self, id: StreamId, post: Post) {
        self.seat(Line { id, post, connected: false, second_looks: 0, rtcp: None, ear: None });
    }

    fn seat(&mut self, line: Line) {
        let row = &mut self.row;
        self.by_stream.entry(line.id).or_insert_with(|| {
            row.push(line);
            row.len() - 1
        });
    }

    fn remove(&mut self, id: StreamId) -> Option<Line> {
        let index = self.by_stream.remove(&id)?;
        let line = self.row.swap_remove(index);
        if let Some(moved) = self.row.get(index) {
            self.by_stream.insert(moved.id, index);
        }
        if let &Post::Shared(port) = &line.post
            && let Some(shared) = self.shared.get_mut(port)
        {
            shared.disconnect(id);
        }
        Some(line)
    }

    fn of(&mut self, id: StreamId) -> Option<&mut Line> {
        self.at(id).map(|(line, _)| line)
    }

    /// A stream's line and its place in the row.
    fn at(&mut self, id: StreamId) -> Option<(&mut Line, usize)> {
        let place = *self.by_stream.get(&id)?;
        self.row.get_mut(place).map(|line| (line, place))
    }

    fn send(&mut self, id: StreamId, to: SocketAddr, datagram: &[u8], counters: &Counters) {
        let Some(line) = self.by_stream.get(&id).and_then(|&index| self.row.get_mut(index)) else { return };
        match &mut line.post {
            Post::Own(socket, way) => {
                if !way.send(socket, to, datagram) {
                    counters.unsent_packet();
                }
            }
            Post::Shared(port) => {
                if let Some(shared) = self.shared.get_mut(*port) {
                    shared.send(to, datagram, counters);
                }
            }
        }
    }

    fn send_rtcp(&self, id: StreamId, to: SocketAddr, datagram: &[u8], counters: &Counters) {
        let Some(line) = self.by_stream.get(&id).and_then(|&index| self.row.get(index)) else { return };
        let sent = match line.post {
            Post::Own(..) => line.rtcp.as_ref().is_none_or(|socket| send(socket, to, datagram)),
            Post::Shared(port) => self.shared.get(port).is_none_or(|shared| shared.send_report(to, datagram)),
        };
        if !sent {
            counters.unsent_packet();
        }
    }
}

impl Line {
    /// Takes what has come: one datagram as a rule; all of them where the first has waited longer than a beat, where there
    /// were several before, and `rarely` in any case.
    fn receive(&mut self, rarely: bool, mailbox: &mut Mailbox, bridge: &mut Bridge) {
        let Post::Own(socket, way) = &mut self.post else { return };
        let mut taken = 0;
        while taken < DATAGRAMS_PER_BEAT_MAX {
            let Some((arrival, source, datagram)) = mailbox.take(socket) else { break };
            way.heard(source);
            bridge.handle(arrival, Input::Datagram(self.id, source, datagram));
            taken += 1;
            if taken == 1 && !rarely && self.second_looks == 0 && mailbox.age(arrival) < BEAT {
                break;
            }
        }
        way.beat(socket, taken);
        self.second_looks = if taken > 1 { SECOND_LOOKS } else { self.second_looks.saturating_sub(1) };
        let Some(rtcp) = self.rtcp.as_ref().filter(|_| rarely) else { return };
        for _ in 0..DATAGRAMS_PER_BEAT_MAX {
            let Some((arrival, source, datagram)) = mailbox.take(rtcp) else { break };
            bridge.handle(arrival, Input::Rtcp(self.id, source, datagram));
        }
    }

    fn let_hear(&mut self, bridge: &Bridge) {
        let Some(ear) = &self.ear else { return };
        let Some(frame) = bridge.heard(self.id) else { return };
        // A full ear misses a frame; one that nobody holds any more is taken off.
        if let Err(TrySendError::Closed(_)) = ear.try_send(*frame) {
            self.ear = None;
        }
    }
}

impl Desk {
    fn take(&mut self, report: Report) {
        if self.held_back.len() < HELD_BACK_MAX {
            self.held_back.push_back(report);
        } else {
            self.counters.lost_report();
            tracing::error!("media reports are not taken; one is lost");
        }
    }

    fn hand_over(&mut self) {
        while let Some(report) = self.held_back.pop_front() {
            if let Err(TrySendError::Full(report)) = self.reports.try_send(report) {
                self.held_back.push_front(report);
                return;
            }
        }
    }
}
