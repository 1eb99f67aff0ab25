//! SIP over TCP and TLS (RFC 3261 section 18): streams accepted, streams opened, each cut into messages.
//!
//! Every stream is a task of its own. Signalling learns of a stream that somebody opened when it brings its first whole
//! message; one that never does costs a place and a buffer, for a while. Whoever sends slowly, never ends a message, does
//! not read, or leaves a handshake half done, is closed.

use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use dialroom_host::Clock;
use mixer_signalling::message::framing::{Framed, Framer, PONG};
use mixer_signalling::{Flow, FlowId, Local, OpenId, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsStream;
use tokio_util::sync::CancellationToken;

use super::connections::{Connections, Seat};
use super::counters::SipCounters;
use super::inlet::{Arrival, Door};
use super::setup::Who;
use super::tls::{self, Tls};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a message may take from its first byte to its last.
const WHOLE_MESSAGE: Duration = Duration::from_secs(10);
/// How long a stream may bring nothing before signalling is asked whether it is still needed. A stranger's is asked about
/// whatever it brings: OPTIONS now and then must not hold a place for ever.
const IDLE: Duration = Duration::from_secs(30);
/// How long a peer may take to read what we write.
const WRITE: Duration = Duration::from_secs(10);
/// How long what was written last may take to leave when a stream has to be closed.
const LAST_WORD: Duration = Duration::from_secs(2);
/// Longest wait for a stream of ours.
const CONNECT: Duration = Duration::from_secs(5);
/// Streams of ours that are being opened at a time; more cannot be had.
const MAX_OPENING: usize = 128;
/// Messages that wait for a peer to read; one that does not is closed.
const MAX_LETTERS: usize = 64;
/// Read at a time.
const READ_LEN: usize = 4_096;
/// Pause after a failed accept: out of file handles, most likely. Running calls need none.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all streams need.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) door: Door,
    pub(super) counters: Arc<SipCounters>,
    pub(super) connections: Arc<Connections>,
    pub(super) tls: Arc<Tls>,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
    /// Where we listen: streams of ours begin at such an address.
    pub(super) locals: Vec<Local>,
    pub(super) next_flow: AtomicU64,
    pub(super) who: std::sync::RwLock<Who>,
    pub(super) opening: Semaphore,
}

/// A stream as signalling knows it. Dropping it closes the stream, after what was left is said.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) flow: Flow,
    pub(super) source: SocketAddr,
    letters: mpsc::Sender<Vec<u8>>,
    close: CancellationToken,
}

impl Link {
    /// Leaves a message to be sent; false if the peer does not read. Then the stream is closed.
    pub(super) fn send(&self, bytes: Vec<u8>) -> bool {
        let left = self.letters.try_send(bytes).is_ok();
        if !left {
            self.close.cancel();
        }
        left
    }
}

impl Streams {
    pub(super) fn opening() -> Semaphore {
        Semaphore::new(MAX_OPENING)
    }

    pub(super) fn next_flow(&self) -> FlowId {
        FlowId(self.next_flow.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn set_who(&self, who: Who) {
        *self.who.write().unwrap_or_else(std::sync::PoisonError::into_inner) = who;
    }

    fn is_known(&self, source: IpAddr) -> bool {
        self.who.read().unwrap_or_else(std::sync::PoisonError::into_inner).is(source, &[]).is_some()
    }

    /// Accepts streams until the endpoint stops.
    pub(super) async fn accept(self: Arc<Self>, listener: StdListener, transport: Transport) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "a listener for streams cannot be used"),
        };
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, source)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            match self.connections.seat(source.ip(), self.is_known(source.ip())) {
                Some(seat) => {
                    tokio::spawn(self.clone().receive(stream, source, transport, seat));
                }
                None => self.counters.count_stream_refused(),
            }
        }
    }

    async fn receive(self: Arc<Self>, stream: TcpStream, source: SocketAddr, transport: Transport, seat: Seat) {
        let Ok(local) = stream.local_addr() else { return };
        // An answer that waits for the next one to fill a packet is late for nothing.
        let _ = stream.set_nodelay(true);
        let flow = Flow { id: self.next_flow(), transport, local, remote: Some(source), tls_names: Vec::new() };
        match transport {
            Transport::Udp | Transport::Tcp => self.serve(stream, flow, seat, None).await,
            Transport::Tls => {
                let greeted = tokio::select! {
                    () = self.stop.cancelled() => None,
                    () = seat.close.cancelled() => None,
                    greeted = self.greet(stream) => greeted,
                };
                self.counters.count_handshake(greeted.is_some());
                if let Some(stream) = greeted {
                    let flow = Flow { tls_names: tls::names_of(stream.get_ref().1), ..flow };
                    self.serve(stream, flow, seat, None).await;
                }
            }
        }
    }

    /// The handshake of somebody who connects.
    async fn greet(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let acceptor = self.tls.acceptor()?;
        let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
        shaken.ok().and_then(Result::ok).map(TlsStream::Server)
    }

    /// Opens a stream and serves it.
    pub(super) async fn open(self: Arc<Self>, open: OpenId, transport: Transport, to: SocketAddr, name: String) {
        let opened = self.clone().opened(open, transport, to, &name).await;
        if let Err(error) = opened {
            tracing::debug!(%to, error = format!("{error:#}"), "a stream cannot be opened");
            self.door.leave(Arrival::Opened(open, None)).await;
        }
    }

    async fn opened(
        self: Arc<Self>,
        open: OpenId,
        transport: Transport,
        to: SocketAddr,
        name: &str,
    ) -> anyhow::Result<()> {
        let place = self.opening.try_acquire().context("too many streams are being opened")?;
        let connect = tokio::time::timeout(CONNECT, self.connect(transport, to)).await;
        let stream = connect.context("nobody answers")??;
        let flow = Flow {
            id: self.next_flow(),
            transport,
            local: stream.local_addr()?,
            remote: Some(to),
            tls_names: Vec::new(),
        };
        let seat = self.connections.seat(to.ip(), true).context("too many streams are open")?;
        seat.prove();
        let streams = self.clone();
        if transport == Transport::Tls {
            let (connector, name) = self.tls.connector(name)?;
            let shaken = tokio::time::timeout(HANDSHAKE, connector.connect(name, stream)).await;
            self.counters.count_handshake(matches!(shaken, Ok(Ok(_))));
            let stream = TlsStream::Client(shaken.context("the handshake does not end")??);
            let flow = Flow { tls_names: tls::names_of(stream.get_ref().1), ..flow };
            tokio::spawn(async move { streams.serve(stream, flow, seat, Some(open)).await });
        } else {
            tokio::spawn(async move { streams.serve(stream, flow, seat, Some(open)).await });
        }
        drop(place);
        Ok(())
    }

    /// From an address that we listen on: a peer who knows us by our address sees no other.
    pub(super) async fn connect(&self, transport: Transport, to: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        let ours = self.locals.iter().filter(|local| local.address.is_ipv4() == to.is_ipv4());
        let routed = routed_from(to);
        let best = ours.min_by_key(|local| {
            let ip = local.address.ip();
            (
                Some(ip) != routed,
                ip.is_loopback() != to.ip().is_loopback(),
                local.transport != transport,
                ip.is_unspecified(),
            )
        });
        if let Some(best) = best {
            socket.bind(SocketAddr::new(best.address.ip(), 0))?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Serves a stream to its end. One that we opened is told at once, another with its first message.
    async fn serve<S: AsyncRead + AsyncWrite>(&self, stream: S, flow: Flow, seat: Seat, open: Option<OpenId>) {
        let Some(source) = flow.remote else { return };
        let (near, far) = tokio::io::split(stream);
        let (letters, to_write) = mpsc::channel(MAX_LETTERS);
        let id = flow.id;
        let is_known = open.is_some() || !flow.tls_names.is_empty() || self.is_known(source.ip());
        let pongs = letters.downgrade();
        let link = Link { flow, source, letters, close: seat.close.clone() };
        let mut reader =
            Reader { streams: self, seat: &seat, id, is_known, link: Some(link), pongs, framer: Framer::new() };
        if let Some(open) = open
            && let Some(link) = reader.link.take()
        {
            self.door.leave(Arrival::Opened(open, Some(link))).await;
        }
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = seat.close.cancelled() => self.counters.count_stream_refused(),
            () = reader.read(near) => {}
            () = write(far, to_write) => {}
        }
        let told = reader.link.is_none();
        drop(reader);
        drop(seat);
        if told {
            self.door.leave(Arrival::Closed(id)).await;
        }
    }
}

/// Our address on the way there.
fn routed_from(to: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let probe = std::net::UdpSocket::bind((any, 0)).ok()?;
    // Sends nothing: the system only picks the address that leads there.
    probe.connect(to).ok()?;
    Some(probe.local_addr().ok()?.ip())
}

/// Writes what is left to be sent. Ends when nobody leaves anything any more, or the peer does not read.
async fn write<S: AsyncWrite>(mut stream: WriteHalf<S>, mut letters: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = letters.recv().await {
        let sent = tokio::time::timeout(WRITE, async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        });
        if !matches!(sent.await, Ok(Ok(()))) {
            return;
        }
    }
    let _ = tokio::time::timeout(LAST_WORD, stream.shutdown()).await;
}

/// Cuts what a stream brings.
struct Reader<'a> {
    streams: &'a Streams,
    seat: &'a Seat,
    id: FlowId,
    /// Ours, or of a telephone system of ours.
    is_known: bool,
    /// Held until signalling knows the stream.
    link: Option<Link>,
    pongs: mpsc::WeakSender<Vec<u8>>,
    framer: Framer,
}

impl Reader<'_> {
    async fn read<S: AsyncRead>(&mut self, mut stream: ReadHalf<S>) {
        let clock = &self.streams.clock;
        let mut buffer = Vec::new();
        let (mut last_asked, mut begun): (Instant, Option<Instant>) = (clock.instant(), None);
        loop {
            match self.framer.next(&buffer) {
                Framed::Message(len) => {
                    let rest = buffer.split_off(len);
                    let message = std::mem::replace(&mut buffer, rest);
                    if !self.bring(message).await {
                        return;
                    }
                    begun = None;
                    if self.is_known {
                        last_asked = clock.instant();
                    }
                    continue;
                }
                Framed::KeepAlive(len, wants_pong) => {
                    buffer.drain(..len);
                    begun = None;
                    if wants_pong && let Some(letters) = self.pongs.upgrade() {
                        // Somebody who does not read gets no pong, and needs none.
                        let _ = letters.try_send(PONG.to_vec());
                    }
                    continue;
                }
                Framed::Hopeless => return self.give_up(buffer).await,
                Framed::Partial => {}
            }
            let began = (!buffer.is_empty()).then(|| *begun.get_or_insert_with(|| clock.instant()));
            let deadline = began.map_or(last_asked + IDLE, |began| began + WHOLE_MESSAGE);
            buffer.reserve(READ_LEN.min(buffer.len().max(READ_LEN / 4)));
            tokio::select! {
                read = stream.read_buf(&mut buffer) => if !matches!(read, Ok(1..)) { return },
                () = clock.sleep_until(deadline) => {
                    if began.is_some() || self.link.is_some() {
                        return;
                    }
                    last_asked = clock.instant();
                    if !self.streams.door.leave(Arrival::Idle(self.id)).await {
                        return;
                    }
                }
            }
        }
    }

    /// Hands a message to signalling; false when nobody serves any more.
    async fn bring(&mut self, message: Vec<u8>) -> bool {
        if let Some(link) = self.link.take() {
            self.seat.prove();
            self.streams.door.leave(Arrival::Accepted(link)).await;
        }
        self.streams.door.leave(Arrival::Message(self.id, message)).await
    }

    /// What cannot be cut may still be readable enough for an answer; then the stream ends.
    async fn give_up(&mut self, bytes: Vec<u8>) {
        if self.bring(bytes).await && self.streams.door.leave(Arrival::Spent(self.id)).await {
            // The writer ends first, once signalling has let go of the stream.
            tokio::time::sleep(LAST_WORD).await;
        }
    }
}
