//! TCP streams of SIP (RFC 3261 section 18.3), framed and tidied by ourselves.
//!
//! The library's own framing stops at a huge Content-Length, falls silent at Latin-1 and hangs up at methods it does not
//! know. Its in-memory transport takes whole messages, so each stream is such a one to it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rsipstack::sip::{SipMessage, Transport};
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::counters::{Refusal, SipCounters};
use super::endpoint::Shared;
use super::tidy::{Verdict, content_length, head_end, text_of, tidy};

/// Headers of one message; a stream that sends more without an end is closed.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Body of one message.
const MAX_BODY_BYTES: usize = 48 * 1024;
/// A message that has begun must be whole by then.
const MESSAGE_TIME: Duration = Duration::from_secs(10);
/// A stream that says nothing for so long is closed; telephones that keep one open send keep-alives.
const IDLE_TIME: Duration = Duration::from_secs(300);
/// A peer that does not read for so long is given up.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// Messages that wait to be written; then their calls wait.
const QUEUE_LEN: usize = 64;
/// RFC 5626 section 4.4.1.
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// The streams that are open: the other end's address, and ours.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<HashMap<SocketAddr, SocketAddr>>);

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Our own address on the stream to this peer.
    pub(super) fn local(&self, peer: SocketAddr) -> Option<SocketAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&peer).copied()
    }

    fn insert(&self, peer: SocketAddr, local: SocketAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, local);
    }

    fn remove(&self, peer: SocketAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
    }
}

/// Serves a stream until either side closes it.
pub(super) async fn serve(shared: &Arc<Shared>, stream: TcpStream) -> anyhow::Result<SipConnection> {
    let _ = stream.set_nodelay(true);
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
    let address = SipAddr { r#type: Some(Transport::Tcp), addr: peer.into() };
    let closed = shared.stop.child_token();
    let (to_stack, from_us) = mpsc::unbounded_channel();
    let (to_us, messages) = mpsc::channel(QUEUE_LEN);
    let (raw, raws) = mpsc::channel(QUEUE_LEN);
    let channel =
        ChannelConnection::create_connection_bounded(from_us, to_us, address.clone(), Some(closed.clone())).await?;
    let connection = SipConnection::Channel(channel);
    let (read, write) = stream.into_split();
    shared.streams.insert(peer, local);
    shared.stack.transport_layer.add_connection(connection.clone());
    tokio::spawn(send(write, messages, raws, closed.clone()));
    let reader = Reader {
        peer,
        address,
        connection: connection.clone(),
        counters: shared.counters.clone(),
        to_stack,
        raw,
        buffer: Vec::new(),
    };
    let (shared, served) = (shared.clone(), connection.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = closed.cancelled() => {}
            () = reader.run(read) => {}
        }
        closed.cancel();
        shared.stack.transport_layer.remove_connection(&served);
        shared.streams.remove(peer);
    });
    Ok(connection)
}

async fn send(
    mut write: OwnedWriteHalf,
    mut messages: mpsc::Receiver<TransportEvent>,
    mut raws: mpsc::Receiver<Vec<u8>>,
    closed: CancellationToken,
) {
    loop {
        let bytes = tokio::select! {
            () = closed.cancelled() => break,
            message = messages.recv() => match message {
                Some(TransportEvent::Incoming(message, ..)) => message.to_bytes(),
                Some(TransportEvent::New(_) | TransportEvent::Closed(_)) => continue,
                None => break,
            },
            Some(raw) = raws.recv() => raw,
        };
        if !matches!(tokio::time::timeout(WRITE_TIME, write.write_all(&bytes)).await, Ok(Ok(()))) {
            break;
        }
    }
    closed.cancel();
}

struct Reader {
    peer: SocketAddr,
    address: SipAddr,
    connection: SipConnection,
    counters: Arc<SipCounters>,
    to_stack: mpsc::UnboundedSender<TransportEvent>,
    raw: mpsc::Sender<Vec<u8>>,
    buffer: Vec<u8>,
}

/// What the beginning of the buffer is.
#[derive(Debug, PartialEq, Eq)]
enum Framed {
    /// A message of so many bytes.
    Message(usize),
    /// A keep-alive of so many bytes, and whether it wants an answer.
    KeepAlive(usize, bool),
    /// Not whole yet.
    Partial,
    /// Nothing that could become a message.
    Hopeless,
}

impl Reader {
    async fn run(mut self, mut read: OwnedReadHalf) {
        loop {
            match framed(&self.buffer) {
                Framed::Message(len) => {
                    let message: Vec<u8> = self.buffer.drain(..len).collect();
                    if !self.take(&message).await {
                        return;
                    }
                }
                Framed::KeepAlive(len, wants_pong) => {
                    self.buffer.drain(..len);
                    if wants_pong && self.raw.send(PONG.to_vec()).await.is_err() {
                        return;
                    }
                }
                Framed::Partial => {
                    let patience = if self.buffer.is_empty() { IDLE_TIME } else { MESSAGE_TIME };
                    let more = tokio::time::timeout(patience, read.read_buf(&mut self.buffer)).await;
                    if !matches!(more, Ok(Ok(1..))) {
                        return;
                    }
                }
                Framed::Hopeless => return self.counters.count_malformed(),
            }
        }
    }

    /// Hands a message to the stack; false when the stack is gone.
    async fn take(&self, message: &[u8]) -> bool {
        self.counters.count_received();
        let tidied = match tidy(message) {
            Verdict::Pass(tidied) => tidied,
            Verdict::Answer(response) => {
                self.counters.count_refused(Refusal::Method);
                return self.raw.send(response).await.is_ok();
            }
            Verdict::Drop => {
                self.counters.count_malformed();
                return true;
            }
        };
        let parsed = SipMessage::try_from(tidied.as_ref()).ok();
        let noted =
            parsed.and_then(|parsed| SipConnection::update_msg_received(parsed, self.peer, Transport::Tcp).ok());
        let Some(message) = noted else {
            self.counters.count_malformed();
            return true;
        };
        self.to_stack.send(TransportEvent::Incoming(message, self.connection.clone(), self.address.clone())).is_ok()
    }
}

fn framed(buffer: &[u8]) -> Framed {
    if buffer.starts_with(PING) {
        return Framed::KeepAlive(PING.len(), true);
    }
    if buffer.first().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        // A lone line end may be the first half of a ping.
        let rest_of_ping = PING.starts_with(buffer);
        return if rest_of_ping { Framed::Partial } else { Framed::KeepAlive(1, false) };
    }
    let Some(head) = head_end(buffer) else {
        return if buffer.len() > MAX_HEAD_BYTES { Framed::Hopeless } else { Framed::Partial };
    };
    match content_length(&text_of(&buffer[..head])) {
        Ok(length) => {
            let length = length.unwrap_or(0);
            if head > MAX_HEAD_BYTES || length > MAX_BODY_BYTES {
                Framed::Hopeless
            } else if buffer.len() < head + length {
                Framed::Partial
            } else {
                Framed::Message(head + length)
            }
        }
        Err(_) => Framed::Hopeless,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_cut_at_their_length() {
        let message = b"OPTIONS sip:a SIP/2.0\r\nl: 3\r\n\r\nabc";
        assert_eq!(framed(message), Framed::Message(message.len()));
        assert_eq!(framed(&message[..message.len() - 1]), Framed::Partial);
        assert_eq!(framed(&[&message[..], b"OPTIONS"].concat()), Framed::Message(message.len()));
        assert_eq!(framed(b"OPTIONS sip:a SIP/2.0\r\n\r\nnext"), Framed::Message(25));
    }

    #[test]
    fn what_cannot_end_is_hopeless() {
        for length in ["18446744073709551615", "99999999999999999999999", "2000000000", "-1", "x"] {
            let message = format!("OPTIONS sip:a SIP/2.0\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(framed(message.as_bytes()), Framed::Hopeless, "{length}");
        }
        assert_eq!(framed(&[b'x'; MAX_HEAD_BYTES + 1]), Framed::Hopeless);
    }

    #[test]
    fn pings_are_answered_and_their_answers_passed_over() {
        assert_eq!(framed(b"\r\n\r\n"), Framed::KeepAlive(4, true));
        assert_eq!(framed(b"\r\n"), Framed::Partial);
        assert_eq!(framed(b"\r\nOPTIONS"), Framed::KeepAlive(1, false));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_stand_still(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            match framed(&bytes) {
                Framed::Message(len) | Framed::KeepAlive(len, _) => prop_assert!(len > 0 && len <= bytes.len()),
                Framed::Partial | Framed::Hopeless => {}
            }
        }
    }
}
