//! What the signalling thread is told, and the bell that wakes it.
//!
//! Two queues, because orders of our own must never wait behind what the network brings. The thread sleeps on its sockets;
//! whoever puts something into a queue rings.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mixer_signalling::{CallKey, Config, FlowId, LookupId, OpenId, Order, Transport};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::counters::SipCounters;
use super::endpoint::Pong;
use super::setup::{Budgets, Who};
use super::streams::Link;

/// Orders on their way: several for each call that can be. Beyond it an order is lost, counted and logged.
const MAX_ORDERS: usize = 32_768;
/// What streams and look-ups bring; at the bound the streams wait, and their peers with them. Each may be as long as the
/// longest message, so this bounds memory.
const MAX_ARRIVALS: usize = 256;

/// Asked by the program.
#[derive(Debug)]
pub(super) enum Ask {
    /// Something for the endpoint to do.
    Order(Order),
    /// A call to be refused, with a final status, words for the caller and a code for the audit log.
    Refuse { call: CallKey, status: u16, text: String, code: &'static str },
    /// Other settings.
    Settings { config: Box<Config>, who: Who, budgets: Option<Budgets> },
    /// A question outside calls, and who wants the answer.
    Ping { order: Order, answer: oneshot::Sender<Pong> },
    /// A stranger did what only somebody who searches does: he dialled a number that nobody has.
    Miss(IpAddr),
}

/// Brought by the network.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A stream that somebody opened, with its first message or without.
    Accepted(Link),
    /// A stream that we asked for, or that cannot be had.
    Opened(OpenId, Option<Link>),
    /// A whole message.
    Message(FlowId, Vec<u8>),
    /// Nothing came by this stream for a while.
    Idle(FlowId),
    /// This stream brings nothing any more; what is to be said on it may still be said.
    Spent(FlowId),
    /// This stream is gone.
    Closed(FlowId),
    /// A name was looked up.
    Resolved(LookupId, Vec<(Transport, SocketAddr)>),
}

/// Rings the thread out of its sleep; a second ring before it wakes costs nothing.
#[derive(Debug)]
struct Bell {
    rope: UnixStream,
    rung: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            // A full pipe rings too.
            let _ = (&self.rope).write(&[1]);
        }
    }
}

/// Where the program leaves what it asks; cheap to clone. The thread ends when the last one is dropped.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    asks: mpsc::Sender<Ask>,
    bell: Arc<Bell>,
    counters: Arc<SipCounters>,
}

impl Counter {
    /// Leaves something; false if there are too many, or nobody serves any more.
    pub(super) fn ask(&self, ask: Ask) -> bool {
        let left = self.asks.try_send(ask);
        self.bell.ring();
        match left {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(_)) => {
                self.counters.count_order_lost();
                tracing::error!("signalling takes no more orders; one is lost");
                false
            }
        }
    }
}

impl Counter {
    /// Wakes the thread.
    pub(super) fn ring(&self) {
        self.bell.ring();
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // The thread may sleep for ever otherwise, and never see that it is the last.
        self.bell.ring();
    }
}

/// Where tasks of the network leave what arrived; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Door {
    arrivals: mpsc::Sender<Arrival>,
    bell: Arc<Bell>,
}

impl Door {
    /// Leaves something, when there is room; false when nobody serves any more.
    pub(super) async fn leave(&self, arrival: Arrival) -> bool {
        let left = self.arrivals.send(arrival).await.is_ok();
        self.bell.ring();
        left
    }
}

/// The thread's end of both queues.
#[derive(Debug)]
pub(super) struct Inlet {
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    /// Readable when somebody rang.
    pub(super) rope: UnixStream,
    bell: Arc<Bell>,
}

impl Inlet {
    /// Both queues and the bell.
    ///
    /// # Errors
    /// When the system has no more file handles.
    pub(super) fn new(counters: Arc<SipCounters>) -> io::Result<(Counter, Door, Self)> {
        let (rope, far_end) = UnixStream::pair()?;
        rope.set_nonblocking(true)?;
        far_end.set_nonblocking(true)?;
        let bell = Arc::new(Bell { rope: far_end, rung: AtomicBool::new(false) });
        let (asks, asked) = mpsc::channel(MAX_ORDERS);
        let (arrivals, arrived) = mpsc::channel(MAX_ARRIVALS);
        let counter = Counter { asks, bell: bell.clone(), counters };
        let door = Door { arrivals, bell: bell.clone() };
        Ok((counter, door, Self { asks: asked, arrivals: arrived, rope, bell }))
    }

    /// Before a sleep: from here on a ring is heard. False when something waits already.
    pub(super) fn is_quiet(&self) -> bool {
        self.bell.rung.store(false, Ordering::SeqCst);
        self.asks.is_empty() && self.arrivals.is_empty() && !self.asks.is_closed()
    }

    /// After a sleep: forgets the rings.
    pub(super) fn woken(&self) {
        self.bell.rung.store(true, Ordering::SeqCst);
        let mut rings = [0; 64];
        while (&self.rope).read(&mut rings).is_ok_and(|len| len == rings.len()) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_leaves_something_rings_and_is_heard_once() {
        let (counter, door, mut inlet) = Inlet::new(Arc::default()).unwrap();
        assert!(inlet.is_quiet());
        assert!(counter.ask(Ask::Miss([127, 0, 0, 1].into())));
        assert!(!inlet.is_quiet());
        assert!(matches!(inlet.asks.try_recv(), Ok(Ask::Miss(_))));
        inlet.woken();
        assert!(inlet.is_quiet());
        assert!(door.leave(Arrival::Closed(FlowId(1))).await);
        let mut byte = [0];
        assert_eq!((&inlet.rope).read(&mut byte).unwrap(), 1, "the bell rang");
        assert!(!inlet.is_quiet());
    }

    #[test]
    fn the_last_who_could_ask_wakes_the_thread() {
        let (counter, _door, inlet) = Inlet::new(Arc::default()).unwrap();
        assert!(inlet.is_quiet());
        drop(counter);
        assert!(!inlet.is_quiet());
        let mut byte = [0];
        assert_eq!((&inlet.rope).read(&mut byte).unwrap(), 1);
    }
}
