//! Sending requests of ours: names to addresses (RFC 3263), streams to be opened, one place after the other.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::alarm::Waiter;
use super::parcel::{Owner, Parcel, Waiting};
use super::{Endpoint, Way};
use crate::config::{Target, Transport};
use crate::dialog::Named;
use crate::event::{FlowId, LookupId, OpenId, Output};
use crate::message::{Name, Via};
use crate::transaction::{Client, ClientKey};

/// How long a name may take, or the last stream that can be tried.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a stream may take while there is another place to try.
const PATIENCE_WITH_CHOICE: Duration = Duration::from_millis(2_500);
/// Above it a request goes over a stream where it can (RFC 3261 section 18.1.1).
const MAX_DATAGRAM: usize = 1_300;
/// Requests that wait for names and streams at a time.
const MAX_WAITING: usize = 4_096;
/// Places of one name that are tried.
const MAX_CANDIDATES: usize = 8;
/// Places remembered that take no streams.
const MAX_REFUSING: usize = 256;

impl Endpoint {
    /// Sends a request to somebody whom settings or an order name.
    pub(crate) fn post_to(&mut self, now: Instant, mut parcel: Parcel, target: &Target) {
        parcel.name = target.host.as_str().into();
        match target.host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => {
                let to = SocketAddr::new(ip, target.port.unwrap_or_else(|| target.transport.default_port()));
                parcel.candidates.push_back((target.transport, to));
                self.post(now, parcel);
            }
            Err(_) => {
                let named = Named { host: target.host.clone(), port: target.port, transport: Some(target.transport) };
                self.look_up(now, parcel, named);
            }
        }
    }

    /// Sends a request to the first proxy of a route, or to an address as written in a message.
    pub(crate) fn post_by(&mut self, now: Instant, mut parcel: Parcel, hop: Result<(Transport, SocketAddr), Named>) {
        match hop {
            Ok((transport, to)) => {
                parcel.name = to.ip().to_string().into();
                parcel.candidates.push_back((transport, to));
                self.post(now, parcel);
            }
            Err(named) => {
                parcel.name = named.host.as_str().into();
                self.look_up(now, parcel, named);
            }
        }
    }

    fn look_up(&mut self, now: Instant, parcel: Parcel, named: Named) {
        if self.waiting.len() >= MAX_WAITING {
            return self.undelivered(now, parcel);
        }
        let id = self.next_id();
        let Named { host, port, transport } = named;
        self.output.push_back(Output::Resolve { lookup: LookupId(id), host, port, transport });
        self.wait_for(now, id, parcel, None, PATIENCE);
    }

    fn wait_for(
        &mut self,
        now: Instant,
        id: u64,
        parcel: Parcel,
        opening: Option<(Transport, SocketAddr)>,
        patience: Duration,
    ) {
        let mut waiting = Waiting { parcel, until: now + patience, alarm: None, opening };
        let until = waiting.until;
        self.alarms.set(&mut waiting.alarm, until, || Waiter::Parcel(id));
        self.waiting.insert(id, waiting);
    }

    /// Sends a request to the next place that it may go to.
    pub(crate) fn post(&mut self, now: Instant, mut parcel: Parcel) {
        while let Some((transport, to)) = parcel.candidates.pop_front() {
            if let Some(flow) = self.flows.towards(transport, to, &parcel.name, parcel.hint) {
                return self.launch(now, parcel, Way { flow, transport, to });
            }
            if transport.reliable() && self.waiting.len() < MAX_WAITING {
                let id = self.next_id();
                self.output.push_back(Output::Open {
                    open: OpenId(id),
                    transport,
                    to,
                    server_name: parcel.name.to_string(),
                    peer: parcel.peer,
                });
                let patience = if parcel.candidates.is_empty() { PATIENCE } else { PATIENCE_WITH_CHOICE };
                return self.wait_for(now, id, parcel, Some((transport, to)), patience);
            }
        }
        self.undelivered(now, parcel);
    }

    /// A name was found.
    pub(crate) fn resolved(&mut self, now: Instant, lookup: LookupId, targets: &[(Transport, SocketAddr)]) {
        let Some(waiting) = self.waiting.remove(&lookup.0) else {
            return self.hop_found(lookup, targets);
        };
        let mut parcel = waiting.parcel;
        parcel.candidates.extend(targets.iter().take(MAX_CANDIDATES));
        self.post(now, parcel);
    }

    /// A stream is there, or cannot be had.
    pub(crate) fn opened(&mut self, now: Instant, open: OpenId, flow: Option<FlowId>) {
        let Some(Waiting { mut parcel, opening: Some((transport, to)), .. }) = self.waiting.remove(&open.0) else {
            return;
        };
        match flow.filter(|flow| self.flows.get(*flow).is_some()) {
            Some(flow) => {
                self.flows.name(flow, &parcel.name);
                // Others that wait for the same stream find it open.
                self.launch(now, parcel, Way { flow, transport, to });
            }
            None => {
                if parcel.candidates.front().is_some_and(|next| *next == (Transport::Udp, to)) {
                    parcel.may_grow = false;
                    self.remember_refusing(to);
                }
                self.post(now, parcel);
            }
        }
    }

    /// Nothing was heard of a name or a stream for too long.
    pub(crate) fn waited_in_vain(&mut self, now: Instant, id: u64, at: Instant) {
        let over = self.waiting.get(&id).is_some_and(|waiting| waiting.alarm == Some(at));
        if !over {
            return;
        }
        match self.waiting.get(&id).and_then(|waiting| waiting.opening) {
            Some(_) => self.opened(now, OpenId(id), None),
            None => self.resolved(now, LookupId(id), &[]),
        }
    }

    fn remember_refusing(&mut self, to: SocketAddr) {
        if self.no_streams.len() >= MAX_REFUSING {
            self.no_streams.clear();
        }
        self.no_streams.insert(to);
    }

    fn launch(&mut self, now: Instant, mut parcel: Parcel, way: Way) {
        let key = ClientKey { branch: self.chance.number(), cancel: false };
        let Some(public) = self.flows.public(&self.config, way.flow, parcel.seen_as) else {
            return self.undelivered(now, parcel);
        };
        if let Some(contact) = &parcel.contact {
            parcel.request.headers.set(Name::Contact, contact.at(way.transport, public));
        }
        let via = Via::new(way.transport.as_str(), public, key.branch()).to_string();
        parcel.request.headers.push_front(Name::Via, via);
        let bytes = parcel.request.write();
        let grown = way.transport == Transport::Udp && bytes.len() > MAX_DATAGRAM;
        if grown && parcel.may_grow && !self.no_streams.contains(&way.to) {
            parcel.may_grow = false;
            strip_via(&mut parcel);
            parcel.candidates.push_front((Transport::Udp, way.to));
            parcel.candidates.push_front((Transport::Tcp, way.to));
            return self.post(now, parcel);
        }
        self.launched(&parcel, key, way);
        self.begin(now, key, parcel, way, bytes);
    }

    /// Begins a client transaction whose request is written already.
    pub(crate) fn begin(&mut self, now: Instant, key: ClientKey, parcel: Parcel, way: Way, bytes: Vec<u8>) {
        let mut client = Client::new(now, &self.config.timers, parcel, way, bytes.clone());
        if let Some(due) = client.due() {
            self.alarms.set(&mut client.alarm, due, || Waiter::Client(key));
        }
        if way.transport.reliable() {
            self.by_flow.insert((way.flow, key));
        }
        self.clients.insert(key, client);
        self.send(way, bytes);
    }

    /// A client transaction ended without an answer: the next place, or the end.
    pub(crate) fn try_elsewhere(&mut self, now: Instant, mut parcel: Parcel) {
        strip_via(&mut parcel);
        parcel.hint = None;
        self.post(now, parcel);
    }

    /// Takes back all requests for this owner that have not even left.
    pub(crate) fn recall(&mut self, owner: Owner) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|_, waiting| waiting.parcel.owner != owner);
        self.waiting.len() < before
    }

    pub(crate) fn send(&mut self, way: Way, bytes: Vec<u8>) {
        self.output.push_back(Output::Send { flow: way.flow, to: way.to, bytes });
    }
}

/// Takes the Via of the last attempt away.
pub(crate) fn strip_via(parcel: &mut Parcel) {
    parcel.request.headers.remove(&Name::Via);
}
