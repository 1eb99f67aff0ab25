//! The endpoint: what others may ask of signalling, the table of calls, and where each request belongs.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rsipstack::EndpointBuilder;
use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
use rsipstack::sip::{Header, Method, Request};
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transaction::{TransactionReceiver, make_tag};
use rsipstack::transport::{SipAddr, SipConnection};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::call::{Order, Wire};
use super::counters::{Refusal, SipCounters};
use super::dialog::tag_of;
use super::listen::{self, Listener};
use super::stream::Streams;
use super::{CallKey, LocalMedia, SipEvent, incoming, message, outgoing};

/// Where to listen, UDP and TCP on each address; port 0 picks one that is free for both.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Local addresses.
    pub addresses: Vec<SocketAddr>,
    /// Address that others reach us by, where it is another one.
    pub advertised: Option<IpAddr>,
}

/// Bounds of the endpoint; at a bound new calls get 503, running ones notice nothing.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls that are not confirmed yet, in all.
    pub calls_in_setup: usize,
    /// Calls in all.
    pub calls: usize,
    /// Bytes of all headers of one request.
    pub header_bytes: usize,
    /// Bytes of one SDP.
    pub sdp_bytes: usize,
    /// TCP connections at a time.
    pub tcp_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { calls_in_setup: 2_000, calls: 10_000, header_bytes: 7_000, sdp_bytes: 4_000, tcp_connections: 2_000 }
    }
}

/// Over which transport a call of ours goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
}

/// A call to place.
#[derive(Clone)]
pub struct Invite {
    /// Who is asked to take it.
    pub server: SocketAddr,
    /// How he is reached.
    pub transport: Transport,
    /// User part of the Request-URI: digits, `+`, `*`, `#`.
    pub number: String,
    /// User part of From and, where it is an international number, of P-Asserted-Identity; `None` calls anonymously.
    pub from: Option<String>,
    /// Where the other side shall send its sound.
    pub local: LocalMedia,
}

impl std::fmt::Debug for Invite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invite")
            .field("server", &self.server)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// The endpoint; cheap to clone. It serves until [`shutdown`](Self::shutdown).
#[derive(Clone)]
pub struct SipEndpoint {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for SipEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SipEndpoint").field("addresses", &self.addresses()).field("calls", &self.calls()).finish()
    }
}

/// Events that wait for the shell; beyond it calls wait with their next step.
const EVENT_QUEUE_LEN: usize = 4_096;
/// Messages of one call that wait for it; a peer that sends faster repeats itself (RFC 3261 section 17.1).
const CALL_QUEUE_LEN: usize = 32;
/// Longer than any transaction lasts by its own timers (180 s of ringing and 64 T1): a net under the library's.
pub(super) const TRANSACTION_LIFE: Duration = Duration::from_secs(300);
/// How long `shutdown` waits for the other sides to take their BYE.
const FAREWELL: Duration = Duration::from_secs(1);
/// What we call ourselves: no version, that only helps who looks for old ones.
const USER_AGENT: &str = "Dialroom";

impl SipEndpoint {
    /// Binds all addresses and starts to serve.
    ///
    /// # Errors
    /// When an address cannot be bound; the message names it.
    pub async fn start(listen: Listen, limits: Limits) -> anyhow::Result<(Self, mpsc::Receiver<SipEvent>)> {
        let stop = CancellationToken::new();
        let counters = Arc::new(SipCounters::default());
        let (listeners, layer) = listen::open(&listen.addresses, &counters, &stop).await?;
        let endpoint = EndpointBuilder::new()
            .with_user_agent(USER_AGENT)
            .with_cancel_token(stop.clone())
            .with_transport_layer(layer)
            .build();
        let requests = endpoint.incoming_transactions().context("starting the SIP stack")?;
        let (events, receiver) = mpsc::channel(EVENT_QUEUE_LEN);
        let shared = Arc::new(Shared {
            stack: endpoint.inner.clone(),
            listeners: listeners.iter().map(|(listener, _)| listener.clone()).collect(),
            advertised: listen.advertised,
            limits,
            counters,
            streams: Streams::default(),
            events,
            table: Mutex::default(),
            next: AtomicU64::new(1),
            stop,
        });
        tokio::spawn(async move { endpoint.serve().await });
        for (_, tcp) in listeners {
            tokio::spawn(listen::accept(tcp, shared.clone()));
        }
        tokio::spawn(dispatch(shared.clone(), requests));
        Ok((Self { shared }, receiver))
    }

    /// The addresses it listens on, in the order they were asked for, ports filled in.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.shared.listeners.iter().map(|listener| listener.bound).collect()
    }

    /// Calls that are known at this moment, in set-up or running.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.shared.table().calls.len()
    }

    /// All that the table remembers of calls.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        let table = self.shared.table();
        table.calls.len() + table.dialogs.len() + table.initial.len() + table.in_setup
    }

    /// The counts, for `/metrics`.
    #[must_use]
    pub fn counters(&self) -> &SipCounters {
        &self.shared.counters
    }

    /// Answers an incoming call: 200 with our SDP. `Established` follows, or `Ended`.
    pub fn answer(&self, call: CallKey, local: LocalMedia) {
        self.shared.order(call, Order::Answer(local));
    }

    /// Refuses an incoming call with a final status (400 to 699) and a reason of a few words. `Ended` follows.
    pub fn refuse(&self, call: CallKey, status: u16, reason: &str) {
        self.shared.order(call, Order::Refuse(status, reason.to_owned()));
    }

    /// Ends a call: BYE, CANCEL or a refusal, whichever its state wants, with a Reason header. `Ended` follows.
    pub fn hang_up(&self, call: CallKey, reason: &str) {
        self.shared.order(call, Order::HangUp(reason.to_owned()));
    }

    /// Places a call. `Ringing`, `Established` and `Ended` tell how it goes on.
    ///
    /// # Errors
    /// When the bounds are reached, the number cannot stand in a SIP URI, or no transport leads to the server.
    pub async fn invite(&self, request: Invite) -> anyhow::Result<CallKey> {
        outgoing::place(&self.shared, request).await
    }

    /// Ends every call with BYE and this reason, then stops listening.
    pub async fn shutdown(&self, reason: &str) {
        let calls: Vec<CallKey> = self.shared.table().calls.keys().copied().collect();
        for call in calls {
            self.hang_up(call, reason);
        }
        let empty = async {
            while self.calls() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, empty).await;
        self.shared.stop.cancel();
    }
}

/// What all calls share.
pub(super) struct Shared {
    pub(super) stack: EndpointInnerRef,
    pub(super) listeners: Vec<Listener>,
    pub(super) advertised: Option<IpAddr>,
    pub(super) limits: Limits,
    pub(super) counters: Arc<SipCounters>,
    pub(super) streams: Streams,
    events: mpsc::Sender<SipEvent>,
    table: Mutex<Table>,
    next: AtomicU64,
    pub(super) stop: CancellationToken,
}

#[derive(Default)]
struct Table {
    calls: HashMap<CallKey, Entry>,
    /// By Call-ID and our tag.
    dialogs: HashMap<(String, String), CallKey>,
    /// Call-ID, their tag and sequence number of INVITEs that started calls: the same by another way is merged.
    initial: HashMap<Initial, CallKey>,
    in_setup: usize,
}

type Initial = (String, String, u32);

struct Entry {
    orders: mpsc::UnboundedSender<Order>,
    wire: mpsc::Sender<Wire>,
    dialog: (String, String),
    initial: Option<Initial>,
    in_setup: bool,
}

/// A call's place in the table; dropping it frees all that the table holds of the call.
pub(super) struct Seat {
    pub(super) shared: Arc<Shared>,
    pub(super) call: CallKey,
    pub(super) local_tag: String,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) wire: mpsc::Receiver<Wire>,
    pub(super) wire_sender: mpsc::Sender<Wire>,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        // The table stays whole even if a thread died holding it: every change is one call of a map.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, call: CallKey, order: Order) {
        if let Some(entry) = self.table().calls.get(&call) {
            let _ = entry.orders.send(order);
        }
    }

    pub(super) async fn tell(&self, event: SipEvent) {
        let _ = self.events.send(event).await;
    }

    /// Seats a new call; `None` at a bound, or when the same INVITE is seated already.
    pub(super) fn seat(self: &Arc<Self>, call_id: &str, initial: Option<Initial>) -> Result<Seat, Refusal> {
        let call = CallKey(self.next.fetch_add(1, Ordering::Relaxed));
        let local_tag = make_tag().value().to_owned();
        let (orders, order_receiver) = mpsc::unbounded_channel();
        let (wire, wire_receiver) = mpsc::channel(CALL_QUEUE_LEN);
        let dialog = (call_id.to_owned(), local_tag.clone());
        let mut table = self.table();
        if initial.as_ref().is_some_and(|initial| table.initial.contains_key(initial)) {
            return Err(Refusal::Merged);
        }
        if table.calls.len() >= self.limits.calls || table.in_setup >= self.limits.calls_in_setup {
            return Err(Refusal::TooManyCalls);
        }
        table.in_setup += 1;
        table.dialogs.insert(dialog.clone(), call);
        if let Some(initial) = &initial {
            table.initial.insert(initial.clone(), call);
        }
        table.calls.insert(call, Entry { orders, wire: wire.clone(), dialog, initial, in_setup: true });
        drop(table);
        Ok(Seat {
            shared: self.clone(),
            call,
            local_tag,
            orders: order_receiver,
            wire: wire_receiver,
            wire_sender: wire,
        })
    }
}

impl Seat {
    /// The call is confirmed and counts no longer as one in set-up.
    pub(super) fn leave_setup(&self) {
        let mut table = self.shared.table();
        let left = table.calls.get_mut(&self.call).is_some_and(|entry| std::mem::take(&mut entry.in_setup));
        table.in_setup -= usize::from(left);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.shared.table();
        if let Some(entry) = table.calls.remove(&self.call) {
            table.in_setup -= usize::from(entry.in_setup);
            table.dialogs.remove(&entry.dialog);
            if let Some(initial) = entry.initial {
                table.initial.remove(&initial);
            }
        }
    }
}

/// Takes every request that starts a transaction to where it belongs.
async fn dispatch(shared: Arc<Shared>, mut requests: TransactionReceiver) {
    while let Some(transaction) = requests.recv().await {
        if let Err((transaction, refusal, status)) = take(&shared, transaction) {
            if let Some(refusal) = refusal {
                shared.counters.count_refused(refusal);
            }
            // A peer that does not read must not hold up the others.
            tokio::spawn(message::answer_plainly(shared.clone(), transaction, status));
        }
    }
}

/// What cannot go to a call: to be answered with this status, and counted as this.
type Plain = (Box<Transaction>, Option<Refusal>, u16);

fn take(shared: &Arc<Shared>, transaction: Transaction) -> Result<(), Plain> {
    let transaction = Box::new(transaction);
    let request = &transaction.original;
    if let Some((refusal, status)) = fault_of(shared, request) {
        return Err((transaction, Some(refusal), status));
    }
    let (Ok(to), Ok(call_id)) = (request.to_header(), request.call_id_header()) else {
        return Err((transaction, Some(Refusal::Headers), 400));
    };
    if let Some(tag) = tag_of(to.value()) {
        let key = (call_id.value().to_owned(), tag.to_owned());
        let table = shared.table();
        let entry = table.dialogs.get(&key).and_then(|call| table.calls.get(call));
        return match entry.map(|entry| entry.wire.clone()) {
            // A full queue drops the request; the peer repeats it.
            Some(wire) => {
                let _ = wire.try_send(Wire::Request(transaction));
                Ok(())
            }
            None => Err((transaction, Some(Refusal::NoDialog), 481)),
        };
    }
    match request.method {
        Method::Invite => incoming::take(shared, transaction),
        Method::Options => Err((transaction, None, 200)),
        Method::Ack | Method::Cancel | Method::Bye | Method::Info => Err((transaction, Some(Refusal::NoDialog), 481)),
        Method::Message
        | Method::Notify
        | Method::PRack
        | Method::Publish
        | Method::Refer
        | Method::Register
        | Method::Subscribe
        | Method::Update => Err((transaction, Some(Refusal::Method), 405)),
    }
}

/// What is wrong with a request, whatever it asks for.
fn fault_of(shared: &Shared, request: &Request) -> Option<(Refusal, u16)> {
    let bytes: usize = request.headers.iter().map(|header| header.name().len() + header.value().len() + 4).sum();
    if bytes > shared.limits.header_bytes || request.body.len() > shared.limits.sdp_bytes {
        return Some((Refusal::Size, 513));
    }
    let once = |matches: fn(&Header) -> bool| request.headers.iter().filter(|header| matches(header)).count() == 1;
    let legal = once(|header| matches!(header, Header::From(_)))
        && once(|header| matches!(header, Header::To(_)))
        && once(|header| matches!(header, Header::CallId(_)))
        && once(|header| matches!(header, Header::CSeq(_)))
        && request.cseq_header().is_ok_and(|cseq| cseq.typed().is_ok_and(|cseq| cseq.method == request.method));
    if !legal {
        return Some((Refusal::Headers, 400));
    }
    (!message::required(request).is_empty()).then_some((Refusal::Extension, 420))
}

/// The address a peer is reached at, where it is one.
pub(super) fn socket_address(address: &SipAddr) -> Option<SocketAddr> {
    address.get_socketaddr().ok()
}

/// Where a request came from: the stream's other end, or what the library noted in the topmost Via.
pub(super) fn source_of(connection: &SipConnection) -> Option<SipAddr> {
    connection.get_remote_addr().cloned()
}
