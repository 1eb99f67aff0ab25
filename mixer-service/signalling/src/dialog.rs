//! The relation between two ends that the requests of one call belong to (RFC 3261 section 12).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::config::Transport;
use crate::endpoint::Way;
use crate::event::FlowId;
use crate::message::{Address, Headers, Method, Name, Request, Response, Uri, uri_in};

/// Most proxies of a call that are remembered; a longer route is no route but an attack.
const MAX_ROUTES: usize = 16;
/// Longest address of the other side, or of a proxy, that is kept.
const MAX_ADDRESS_LEN: usize = 512;
/// How many hops a request of ours may take (RFC 3261 section 8.1.1.6).
pub(crate) const MAX_FORWARDS: &str = "70";

/// A dialog, seen from our side. `Debug` shows no address: each may hold a number.
#[derive(Clone)]
pub(crate) struct Dialog {
    pub(crate) call_id: Box<str>,
    pub(crate) local_tag: Box<str>,
    /// Empty before anybody answered a call of ours.
    pub(crate) remote_tag: Box<str>,
    /// Our From or To value, tag included.
    local: Box<str>,
    /// The other side's, tag included once known.
    remote: Box<str>,
    /// Where requests go, as the other side wrote it.
    target: Box<str>,
    /// The proxies between, nearest first, as they wrote themselves.
    routes: Vec<Box<str>>,
    pub(crate) local_seq: u32,
    pub(crate) remote_seq: Option<u32>,
    /// Our Contact value.
    pub(crate) contact: Box<str>,
    /// Where requests of ours go next.
    pub(crate) hop: Hop,
    /// Where the other side's last request or answer came from.
    pub(crate) source: IpAddr,
}

impl fmt::Debug for Dialog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialog").field("call_id", &self.call_id).field("hop", &self.hop).finish_non_exhaustive()
    }
}

/// Where requests of ours go next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop {
    pub(crate) transport: Transport,
    pub(crate) to: SocketAddr,
    /// The flow that the dialog runs on, as long as it is open.
    pub(crate) flow: FlowId,
}

/// A hop that has a name instead of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) transport: Option<Transport>,
}

/// What a request inside a dialog is, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The next.
    Next,
    /// One that came before, or, from an unknown address, one that skips some.
    Wrong,
}

impl Dialog {
    /// The dialog that an INVITE to us starts (section 12.1.1); `None` when its Contact is none.
    pub(crate) fn incoming(
        invite: &Request,
        local_tag: String,
        contact: String,
        way: Way,
        source: IpAddr,
    ) -> Option<Self> {
        let (seq, _) = invite.cseq()?;
        let mut to = invite.headers.get(&Name::To)?.trim_end_matches(';').to_owned();
        to.push_str(";tag=");
        to.push_str(&local_tag);
        Some(Self {
            call_id: invite.call_id()?.into(),
            local_tag: local_tag.into(),
            remote_tag: invite.from_tag().unwrap_or_default().into(),
            local: to.into(),
            remote: invite.headers.get(&Name::From)?.into(),
            target: match invite.headers.get(&Name::Contact) {
                Some(_) => contact_of(&invite.headers)?,
                // RFC 2543 did not ask for one; then he is where he says he is (RFC 4475 section 3.4.1).
                None => uri_in(invite.headers.get(&Name::From)?)?.into(),
            },
            routes: routes_of(&invite.headers),
            local_seq: 0,
            remote_seq: Some(seq),
            contact: contact.into(),
            hop: Hop { transport: way.transport, to: way.to, flow: way.flow },
            source,
        })
    }

    /// The dialog that an answer to an INVITE of ours starts (section 12.1.2); without a Contact the INVITE's own address
    /// stays the target.
    pub(crate) fn outgoing(invite: &Request, response: &Response, way: Way) -> Option<Self> {
        let (seq, _) = invite.cseq()?;
        let mut routes = routes_of(&response.headers);
        routes.reverse();
        let contact = invite.headers.get(&Name::Contact).unwrap_or_default();
        Some(Self {
            call_id: invite.call_id()?.into(),
            local_tag: invite.from_tag()?.into(),
            remote_tag: response.to_tag().unwrap_or_default().into(),
            local: invite.headers.get(&Name::From)?.into(),
            remote: response.headers.get(&Name::To)?.into(),
            target: contact_of(&response.headers).unwrap_or_else(|| invite.uri.as_str().into()),
            routes,
            local_seq: seq,
            remote_seq: None,
            contact: contact.into(),
            hop: Hop { transport: way.transport, to: way.to, flow: way.flow },
            source: way.to.ip(),
        })
    }

    /// Whether a request carries the other side's tag and the dialog's Call-ID.
    pub(crate) fn is_of(&self, request: &Request) -> bool {
        request.call_id() == Some(&self.call_id) && request.from_tag().unwrap_or_default() == &*self.remote_tag
    }

    /// Takes a request of the other side into the dialog (section 12.2.2). One from an address that was never heard of
    /// has to be exactly the next: who only guesses cannot know it.
    pub(crate) fn take(&mut self, request: &Request, source: IpAddr) -> Turn {
        let Some((seq, _)) = request.cseq() else {
            return Turn::Wrong;
        };
        let known = source == self.source || source == self.hop.to.ip();
        let fits = self.remote_seq.is_none_or(|last| if known { seq > last } else { seq == last.saturating_add(1) });
        if !fits {
            return Turn::Wrong;
        }
        self.remote_seq = Some(seq);
        self.source = source;
        Turn::Next
    }

    /// Takes the Contact of a message that may move the other side (section 12.2).
    pub(crate) fn refresh(&mut self, headers: &Headers) {
        if let Some(target) = contact_of(headers) {
            self.target = target;
        }
    }

    /// Where the next request has to go, by the route or the target; `Err` where a name must be looked up first.
    pub(crate) fn next_hop(&self) -> Option<Result<(Transport, SocketAddr), Named>> {
        let written = self.routes.first().map_or(Some(&*self.target), |route| uri_in(route))?;
        hop_of(&Uri::parse(written)?, self.hop.transport)
    }

    /// The next request of ours in this dialog, without a Via (section 12.2.1.1).
    pub(crate) fn request(&mut self, method: Method) -> Request {
        self.local_seq = self.local_seq.saturating_add(1);
        self.numbered(method, self.local_seq)
    }

    /// The ACK of a 2xx to the INVITE with this number; with its credentials (section 13.2.2.4).
    pub(crate) fn ack(&self, invite: &Request) -> Option<Request> {
        let (seq, _) = invite.cseq()?;
        let mut ack = self.numbered(Method::Ack, seq);
        for name in [Name::Authorization, Name::ProxyAuthorization] {
            for value in invite.headers.all(&name) {
                ack.headers.push(name.clone(), value);
            }
        }
        Some(ack)
    }

    fn numbered(&self, method: Method, seq: u32) -> Request {
        let first = self.routes.first().map(|route| Address::parse(route));
        let strict = first.flatten().filter(|route| !route.uri.is_loose());
        let uri = strict.as_ref().map_or_else(|| self.target.to_string(), |route| route.uri.to_string());
        let name = method.as_str().to_owned();
        let mut request = Request::new(method, uri);
        let headers = &mut request.headers;
        if strict.is_some() {
            // A strict router wants to be the Request-URI, and the target to be last in the route.
            self.routes.iter().skip(1).for_each(|route| headers.push(Name::Route, &**route));
            headers.push(Name::Route, format!("<{}>", self.target));
        } else {
            self.routes.iter().for_each(|route| headers.push(Name::Route, &**route));
        }
        headers.push(Name::MaxForwards, MAX_FORWARDS);
        headers.push(Name::From, &*self.local);
        headers.push(Name::To, &*self.remote);
        headers.push(Name::CallId, &*self.call_id);
        headers.push(Name::CSeq, format!("{seq} {name}"));
        request
    }

    /// About how many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        let texts = [&self.call_id, &self.local_tag, &self.remote_tag, &self.local, &self.remote, &self.target];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        let routes: usize = self.routes.iter().map(|route| route.len() + size_of::<Box<str>>()).sum();
        size_of::<Self>() + texts + self.contact.len() + routes
    }
}

/// Where an address leads: its own address and port, or its name to be looked up.
pub(crate) fn hop_of(uri: &Uri, usual: Transport) -> Option<Result<(Transport, SocketAddr), Named>> {
    if !uri.is_sip() {
        return None;
    }
    let written = match uri.params.get("transport").map(str::to_ascii_lowercase).as_deref() {
        Some("udp") => Some(Transport::Udp),
        Some("tcp") if uri.scheme == crate::message::Scheme::Sips => Some(Transport::Tls),
        Some("tcp") => Some(Transport::Tcp),
        Some("tls") => Some(Transport::Tls),
        Some(_) => return None,
        None if uri.scheme == crate::message::Scheme::Sips => Some(Transport::Tls),
        None => None,
    };
    let maddr = uri.params.get("maddr").filter(|maddr| !maddr.is_empty());
    let host = maddr.unwrap_or(&uri.host);
    let Some(ip) = maddr.map_or_else(|| uri.ip(), |maddr| maddr.parse().ok()) else {
        return Some(Err(Named { host: host.to_owned(), port: uri.port, transport: written }));
    };
    // An address without a transport means UDP; a dialog over a stream keeps its stream all the same.
    let transport = written.unwrap_or(usual);
    Some(Ok((transport, SocketAddr::new(ip, uri.port.unwrap_or_else(|| transport.default_port())))))
}

fn contact_of(headers: &Headers) -> Option<Box<str>> {
    let contact = headers.list(&Name::Contact).next()?;
    let address = Address::parse(contact)?;
    let written = uri_in(contact)?;
    (address.uri.is_sip() && written.len() <= MAX_ADDRESS_LEN).then(|| written.into())
}

fn routes_of(headers: &Headers) -> Vec<Box<str>> {
    let routes = headers.list(&Name::RecordRoute).filter(|route| route.len() <= MAX_ADDRESS_LEN);
    routes.take(MAX_ROUTES).map(Into::into).collect()
}
