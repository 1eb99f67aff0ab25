//! The sockets and streams that the program told us of, and which of them leads where.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::{Config, Transport};
use crate::event::{Flow, FlowId};

/// A way for a message: by which flow, and to which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) flow: FlowId,
    pub(crate) transport: Transport,
    pub(crate) to: SocketAddr,
}

#[derive(Debug, Default)]
pub(crate) struct Flows {
    all: HashMap<FlowId, Flow>,
    /// The sockets of datagrams, in the order they were told.
    sockets: BTreeMap<FlowId, SocketAddr>,
    /// Streams by their other end.
    streams: HashMap<(Transport, SocketAddr), FlowId>,
    /// Under which name streams of ours were opened.
    names: HashMap<FlowId, Arc<str>>,
}

impl Flows {
    pub(crate) fn open(&mut self, flow: Flow) {
        match flow.remote {
            Some(remote) => {
                self.streams.insert((flow.transport, remote), flow.id);
            }
            None => {
                self.sockets.insert(flow.id, flow.local);
            }
        }
        self.all.insert(flow.id, flow);
    }

    /// The name that a stream of ours was opened for: the program checked the certificate against it.
    pub(crate) fn name(&mut self, id: FlowId, name: &Arc<str>) {
        self.names.insert(id, name.clone());
    }

    pub(crate) fn close(&mut self, id: FlowId) {
        self.sockets.remove(&id);
        self.names.remove(&id);
        if let Some(flow) = self.all.remove(&id)
            && let Some(remote) = flow.remote
            && self.streams.get(&(flow.transport, remote)) == Some(&id)
        {
            self.streams.remove(&(flow.transport, remote));
        }
    }

    pub(crate) fn get(&self, id: FlowId) -> Option<&Flow> {
        self.all.get(&id)
    }

    /// Where our sockets of datagrams are bound.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.values().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The flow that leads there now: for datagrams `hint` if it fits, else the socket that fits best; for streams the
    /// one that is open. A stream under TLS is taken again only for the name it has proved (else another host's
    /// certificate would do).
    pub(crate) fn towards(
        &self,
        transport: Transport,
        to: SocketAddr,
        name: &str,
        hint: Option<FlowId>,
    ) -> Option<FlowId> {
        let hinted = hint.and_then(|id| self.all.get(&id)).filter(|flow| {
            // A dialog keeps its stream, whatever address its Contact names: behind a NAT there is no other way.
            flow.transport == transport && (flow.remote.is_some() || flow.local.is_ipv4() == to.is_ipv4())
        });
        if let Some(flow) = hinted {
            return Some(flow.id);
        }
        match transport {
            Transport::Udp => self.socket_towards(to.ip()),
            Transport::Tcp => self.streams.get(&(transport, to)).copied(),
            Transport::Tls => self.streams.get(&(transport, to)).copied().filter(|id| self.proves(*id, name)),
        }
    }

    fn proves(&self, id: FlowId, name: &str) -> bool {
        let opened_for = self.names.get(&id).is_some_and(|opened| opened.eq_ignore_ascii_case(name));
        let proved = |flow: &Flow| flow.tls_names.iter().any(|proved| proved.eq_ignore_ascii_case(name));
        opened_for || self.all.get(&id).is_some_and(proved)
    }

    fn socket_towards(&self, to: IpAddr) -> Option<FlowId> {
        let fits = |local: IpAddr| {
            if local.is_ipv4() != to.is_ipv4() {
                return None;
            }
            // Out of an address of our own machine nothing comes back from elsewhere.
            Some(match (local == to, local.is_loopback() == to.is_loopback()) {
                (true, _) => 0,
                (false, true) => 1,
                (false, false) => 2,
            })
        };
        let ranked = self.sockets.iter().filter_map(|(id, local)| Some((fits(local.ip())?, *id)));
        ranked.min().map(|(_, id)| id)
    }

    /// How a flow's own end is known to others: address and port for Via and Contact. `seen_as` stands in for a socket
    /// that listens on all addresses.
    pub(crate) fn public(&self, config: &Config, id: FlowId, seen_as: Option<IpAddr>) -> Option<SocketAddr> {
        let flow = self.all.get(&id)?;
        let family = |local: &SocketAddr| local.is_ipv4() == flow.local.is_ipv4();
        let listener = config.locals.iter().filter(|local| local.transport == flow.transport && family(&local.address));
        let port = if flow.remote.is_some() {
            // The near end of a stream we opened takes no calls: the listener of its transport does.
            let same = |ip: IpAddr| ip == flow.local.ip() || ip.is_unspecified();
            let best = listener.clone().find(|local| same(local.address.ip())).or_else(|| listener.clone().next());
            best.map_or_else(|| flow.local.port(), |local| local.address.port())
        } else {
            flow.local.port()
        };
        let advertised = if flow.local.is_ipv4() { config.advertised_v4 } else { config.advertised_v6 };
        let bound = flow.local.ip();
        let ip = advertised.or_else(|| (!bound.is_unspecified()).then_some(bound)).or(seen_as).or_else(|| {
            let named = config.locals.iter().map(|local| local.address.ip());
            named
                .filter(|ip| !ip.is_unspecified() && ip.is_ipv4() == flow.local.is_ipv4())
                .min_by_key(IpAddr::is_loopback)
        });
        Some(SocketAddr::new(ip.unwrap_or(bound), port))
    }
}
