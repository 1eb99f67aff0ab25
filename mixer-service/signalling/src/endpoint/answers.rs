//! Responses: where each goes, what each must carry, and those that need no memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::{Endpoint, Way, tag};
use crate::config::{PeerId, Transport};
use crate::event::{Flow, Output, Refusal, Refused};
use crate::message::{Method, Name, Request, Response};
use crate::transaction::Server;
use crate::types::CallKey;

/// The methods we know (RFC 3261 section 20.5).
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK";
/// The extensions we have.
pub(crate) const SUPPORTED: &str = "timer, 100rel";
/// The one body we read.
pub(crate) const SDP: &str = "application/sdp";
/// Bodies of INFO that we read.
pub(crate) const DIGITS: &str = "application/dtmf-relay, application/dtmf";
/// Seconds after which a refused caller may try again.
const RETRY_AFTER_S: &str = "5";

/// A request with where it came from and where its answers go.
#[derive(Debug)]
pub(crate) struct Stamped {
    pub(crate) request: Request,
    pub(crate) source: SocketAddr,
    /// Where answers go (RFC 3261 section 18.2.2, RFC 3581 section 4).
    pub(crate) back: Way,
    pub(crate) peer: Option<PeerId>,
    /// Bytes that came in.
    pub(crate) len: usize,
}

impl Stamped {
    /// Notes in the topmost Via where the request came from, and reads there where answers go. Datagrams are answered to
    /// the address they came from, never to one that only stands in the message.
    pub(crate) fn new(mut request: Request, flow: &Flow, source: SocketAddr, peer: Option<PeerId>, len: usize) -> Self {
        request.stamp(source);
        let via = request.top_via();
        let port = match via {
            Some(via) if via.rport.is_none() => via.port.unwrap_or_else(|| flow.transport.default_port()),
            Some(_) | None => source.port(),
        };
        let to = if flow.transport.reliable() { source } else { SocketAddr::new(source.ip(), port) };
        let back = Way { flow: flow.id, transport: flow.transport, to };
        Self { request, source, back, peer, len }
    }

    /// Bytes that may go back to a stranger who has not proved that he is where he says; `None`: he has.
    pub(crate) fn credit(&self, endpoint: &Endpoint, now: Instant) -> Option<usize> {
        let known = self.peer.is_some() || self.back.transport != Transport::Udp;
        (!known && !endpoint.is_proven(now, self.source.ip())).then_some(self.len)
    }
}

impl Endpoint {
    /// A response with our name, and with what its status asks for.
    pub(crate) fn response(&self, request: &Request, status: u16) -> Response {
        let mut response = Response::to(request, status);
        let headers = &mut response.headers;
        match status {
            405 | 501 => headers.push(Name::Allow, ALLOW),
            415 if request.method == Method::Info => headers.push(Name::Accept, DIGITS),
            415 => {
                headers.push(Name::Accept, SDP);
                headers.push(Name::AcceptEncoding, "identity");
            }
            406 | 488 => headers.push(Name::Accept, SDP),
            420 => {
                let unknown: Vec<&str> = unknown_extensions(request).collect();
                headers.push(Name::Unsupported, unknown.join(", "));
            }
            422 => headers.push(Name::MinSe, self.config.min_se_s.to_string()),
            500 | 503 => headers.push(Name::RetryAfter, RETRY_AFTER_S),
            200..=299 if request.method == Method::Options => {
                headers.push(Name::Allow, ALLOW);
                headers.push(Name::Accept, SDP);
                headers.push(Name::AcceptEncoding, "identity");
                headers.push(Name::Supported, SUPPORTED);
            }
            _ => {}
        }
        if !self.config.user_agent.is_empty() && status != 100 {
            headers.push(Name::Server, self.config.user_agent.as_str());
        }
        response
    }

    /// Answers a request that belongs to no call, and remembers nothing of it: the tag is the same for each repetition.
    pub(crate) fn answer_plainly(&mut self, now: Instant, stamped: &Stamped, status: u16) {
        let response = self.response(&stamped.request, status);
        self.send_plainly(now, stamped, response);
    }

    pub(crate) fn send_plainly(&mut self, now: Instant, stamped: &Stamped, response: Response) {
        if stamped.request.method == Method::Ack {
            return;
        }
        let response = response.tag(&self.plain_tag(&stamped.request));
        let bytes = match stamped.credit(self, now) {
            Some(credit) => fitted(response, credit),
            None => response.write(),
        };
        self.send(stamped.back, bytes);
    }

    fn plain_tag(&self, request: &Request) -> String {
        let of = |name| request.headers.get(&name).unwrap_or_default();
        tag(self.chance.mark(&[of(Name::CallId), of(Name::From), of(Name::CSeq), of(Name::Via)]))
    }

    /// Refuses a request that belongs to no call, and says so for the audit.
    pub(crate) fn refuse_plainly(&mut self, now: Instant, stamped: &Stamped, status: u16, refusal: Refusal) {
        self.answer_plainly(now, stamped, status);
        self.audit(stamped, Some(status), refusal);
    }

    pub(crate) fn audit(&mut self, stamped: &Stamped, status: Option<u16>, reason: Refusal) {
        let (source, peer, method) = (stamped.source, stamped.peer, name_of(&stamped.request.method));
        self.output.push_back(Output::Audit(Refused { source, peer, method, status, reason }));
    }

    /// Begins a transaction for a request that is answered with memory; false at the bound.
    pub(crate) fn open_server(&mut self, now: Instant, key: &Arc<str>, call: CallKey, stamped: &Stamped) -> bool {
        while self.servers.len() >= self.config.limits.transactions {
            if !self.forget_oldest() {
                return false;
            }
        }
        let invite = stamped.request.method == Method::Invite;
        let seq = stamped.request.cseq().map_or(0, |(seq, _)| seq);
        let server = Server::new(now, call, seq, invite, stamped.back, stamped.credit(self, now));
        self.servers.insert(key.clone(), server);
        self.set_server_alarm(key);
        true
    }

    /// Sends a response in a transaction.
    pub(crate) fn respond(&mut self, now: Instant, key: &Arc<str>, response: &Response) {
        let timers = self.config.timers;
        let Some(server) = self.servers.get_mut(key) else {
            return;
        };
        let way = server.way;
        let bytes = match server.credit() {
            Some(credit) => fitted(response.clone(), credit),
            None => response.write(),
        };
        let bytes = server.respond(now, &timers, response.status, bytes);
        let rests = server.rests();
        if let Some(bytes) = bytes {
            self.send(way, bytes);
        }
        if rests {
            self.let_rest(now, key);
        } else {
            self.set_server_alarm(key);
        }
    }
}

/// Extensions that the request insists on and we do not have (RFC 3261 section 8.2.2.3).
pub(crate) fn unknown_extensions(request: &Request) -> impl Iterator<Item = &str> {
    request.required().filter(|wanted| !["timer", "100rel"].iter().any(|ours| wanted.eq_ignore_ascii_case(ours)))
}

/// The response without what is only polite, until it is no longer than what it answers: nobody is to make us send more
/// to somebody than he sends himself.
fn fitted(mut response: Response, credit: usize) -> Vec<u8> {
    let mut bytes = response.write();
    for polite in [Name::Server, Name::AcceptEncoding, Name::Accept, Name::Supported, Name::RetryAfter, Name::Allow] {
        if bytes.len() <= credit {
            break;
        }
        response.headers.remove(&polite);
        bytes = response.write();
    }
    if bytes.len() <= credit {
        return bytes;
    }
    let short = compact(&bytes);
    if short.len() <= credit {
        return short;
    }
    // Words are for people, and nobody has to find any (RFC 3261 section 7.2).
    response.reason.clear();
    compact(&response.write())
}

/// The same message with the short names of its headers (RFC 3261 section 7.3.3).
fn compact(message: &[u8]) -> Vec<u8> {
    const SHORT: [(&[u8], &[u8]); 7] = [
        (b"Via: ", b"v: "),
        (b"From: ", b"f: "),
        (b"To: ", b"t: "),
        (b"Call-ID: ", b"i: "),
        (b"Contact: ", b"m: "),
        (b"Content-Type: ", b"c: "),
        (b"Content-Length: ", b"l: "),
    ];
    let head = message.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(message.len());
    let (head, body) = message.split_at(head);
    let mut written = Vec::with_capacity(message.len());
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        match SHORT.iter().find_map(|(long, short)| Some((short, line.strip_prefix(*long)?))) {
            Some((short, value)) => written.extend([*short, value].concat()),
            None => written.extend(line),
        }
    }
    written.extend(body);
    written
}

/// The name of a method for the audit; never one that a stranger made up.
pub(crate) const fn name_of(method: &Method) -> &'static str {
    match method {
        Method::Invite => "INVITE",
        Method::Ack => "ACK",
        Method::Bye => "BYE",
        Method::Cancel => "CANCEL",
        Method::Options => "OPTIONS",
        Method::Register => "REGISTER",
        Method::Info => "INFO",
        Method::Update => "UPDATE",
        Method::Prack => "PRACK",
        Method::Refer => "REFER",
        Method::Notify => "NOTIFY",
        Method::Subscribe => "SUBSCRIBE",
        Method::Message => "MESSAGE",
        Method::Publish => "PUBLISH",
        Method::Other(_) => "OTHER",
    }
}
