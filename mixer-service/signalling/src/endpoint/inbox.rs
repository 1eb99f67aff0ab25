//! What arrives: bytes to messages, and each request to where it belongs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::answers::unknown_extensions;
use super::{Endpoint, Stamped, untag};
use crate::config::PeerId;
use crate::event::{FlowId, Output, Refusal, Refused};
use crate::message::{Message, Method, Name, Request, fault, read};
use crate::transaction::{Heard, key_of};
use crate::types::CallKey;

impl Endpoint {
    pub(crate) fn message(
        &mut self,
        now: Instant,
        flow: FlowId,
        source: SocketAddr,
        bytes: &[u8],
        peer: Option<PeerId>,
    ) {
        // Line ends alone keep a NAT's door open (RFC 5626 section 4.4.1); a zero byte does it for some telephones.
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return;
        }
        match read(bytes) {
            Ok(Message::Request(request)) => self.request(now, flow, source, request, peer, bytes.len()),
            Ok(Message::Response(response)) => self.heard_response(now, &response),
            Err(unreadable) => {
                let Some(way) = self.flows.get(flow).cloned() else {
                    return;
                };
                let method = unreadable.request().map_or("OTHER", |request| super::answers::name_of(&request.method));
                let refusal = reason_of(unreadable.fault.status);
                // The part that could be read is stamped like a whole one, so that the answer knows its way.
                let answer = unreadable.response().zip(unreadable.request().cloned());
                let status = answer.as_ref().map(|(response, _)| response.status);
                if let Some((response, request)) = answer {
                    let stamped = Stamped::new(request, &way, source, peer, bytes.len());
                    let mut stamped_response = crate::message::Response::to(&stamped.request, response.status);
                    stamped_response.reason = response.reason;
                    self.send_plainly(now, &stamped, stamped_response);
                }
                self.output.push_back(Output::Audit(Refused { source, peer, method, status, reason: refusal }));
            }
        }
    }

    fn request(
        &mut self,
        now: Instant,
        flow: FlowId,
        source: SocketAddr,
        request: Request,
        peer: Option<PeerId>,
        len: usize,
    ) {
        let Some(flow) = self.flows.get(flow) else {
            return;
        };
        let stamped = Stamped::new(request, flow, source, peer, len);
        if let Some(fault) = fault(&stamped.request) {
            let mut response = self.response(&stamped.request, fault.status);
            fault.reason.clone_into(&mut response.reason);
            self.send_plainly(now, &stamped, response);
            return self.audit(&stamped, Some(fault.status), reason_of(fault.status));
        }
        let as_method = match &stamped.request.method {
            Method::Ack | Method::Cancel => Method::Invite,
            other => other.clone(),
        };
        let Some(key) = key_of(&stamped.request, &as_method) else {
            return self.refuse_plainly(now, &stamped, 400, Refusal::Malformed);
        };
        match stamped.request.method {
            Method::Ack => self.ack(now, &key, &stamped),
            Method::Cancel => self.cancelled(now, &key, &stamped),
            _ if self.repeated(&key, len) => {}
            _ => match self.size_of_request(&stamped) {
                Some((status, refusal)) => self.refuse_plainly(now, &stamped, status, refusal),
                None => self.first_time(now, &key, &stamped),
            },
        }
    }

    /// Whether a request came before; then it is answered as before.
    fn repeated(&mut self, key: &Arc<str>, len: usize) -> bool {
        let Some(server) = self.servers.get_mut(key) else {
            return false;
        };
        let way = server.way;
        if let Some(bytes) = server.repeated(len) {
            self.send(way, bytes);
        }
        true
    }

    fn size_of_request(&self, stamped: &Stamped) -> Option<(u16, Refusal)> {
        let headers = stamped.request.headers.iter();
        let bytes: usize = headers.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let limits = &self.config.limits;
        let too_large = bytes > limits.header_bytes || stamped.request.body.len() > limits.sdp_bytes;
        too_large.then_some((513, Refusal::Size))
    }

    /// A request that was not seen before.
    fn first_time(&mut self, now: Instant, key: &Arc<str>, stamped: &Stamped) {
        if unknown_extensions(&stamped.request).next().is_some() {
            return self.refuse_plainly(now, stamped, 420, Refusal::Extension);
        }
        if let Some(to_tag) = stamped.request.to_tag() {
            return match self.dialog_of(to_tag, &stamped.request) {
                Some(call) => self.request_in_dialog(now, call, key, stamped),
                None if self.updates_early(now, to_tag, stamped) => {}
                None => self.refuse_plainly(now, stamped, 481, Refusal::NoDialog),
            };
        }
        match stamped.request.method {
            Method::Invite => self.invited(now, key, stamped),
            Method::Options => {
                if self.is_challenged(now, stamped) {
                    return;
                }
                let status = if self.stopping { 503 } else { 200 };
                self.answer_plainly(now, stamped, status);
            }
            Method::Ack | Method::Cancel | Method::Bye | Method::Info | Method::Update | Method::Prack => {
                self.refuse_plainly(now, stamped, 481, Refusal::NoDialog);
            }
            Method::Message
            | Method::Notify
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe => self.refuse_plainly(now, stamped, 405, Refusal::Method),
            Method::Other(_) => self.refuse_plainly(now, stamped, 501, Refusal::Method),
        }
    }

    /// The call that a request with this To tag belongs to: tag, Call-ID and the other side's tag all have to be right.
    pub(crate) fn dialog_of(&self, to_tag: &str, request: &Request) -> Option<CallKey> {
        let key = *self.dialogs.get(&untag(to_tag)?)?;
        let call = self.calls.get(&key)?;
        // A call of ours has no dialog before somebody answers it.
        (!call.is_placing() && call.dialog.is_of(request)).then_some(key)
    }

    /// An UPDATE from where a call of ours rings (RFC 3311 section 5.2): taken where it changes no sound, and to be tried
    /// again where it would, since our own offer is not answered. It is remembered nowhere; false for all else.
    fn updates_early(&mut self, now: Instant, to_tag: &str, stamped: &Stamped) -> bool {
        let request = &stamped.request;
        let call = untag(to_tag).and_then(|number| self.dialogs.get(&number)).and_then(|key| self.calls.get(key));
        let Some(call) = call.filter(|call| call.is_placing() && request.call_id() == Some(&call.dialog.call_id))
        else {
            return false;
        };
        if request.method != Method::Update {
            return false;
        }
        let mut response = self.response(request, if request.body.is_empty() { 200 } else { 500 });
        response.headers.push(Name::Contact, &*call.dialog.contact);
        self.send_plainly(now, stamped, response);
        true
    }

    /// ACK: of a refusal by its transaction, of an acceptance by its dialog. Nobody is ever answered for one.
    fn ack(&mut self, now: Instant, key: &Arc<str>, stamped: &Stamped) {
        if self.servers.get_mut(key).is_some_and(crate::transaction::Server::acknowledge_refusal) {
            return self.let_rest(now, key);
        }
        let call = stamped.request.to_tag().and_then(|tag| self.dialog_of(tag, &stamped.request));
        if let Some(call) = call {
            self.acknowledged(now, call, stamped);
        }
    }

    /// CANCEL: answered by itself, and it ends its INVITE if nothing else has (RFC 3261 section 9.2).
    fn cancelled(&mut self, now: Instant, key: &Arc<str>, stamped: &Stamped) {
        let Some(server) = self.servers.get(key) else {
            return self.refuse_plainly(now, stamped, 481, Refusal::NoDialog);
        };
        let (call, open) = (server.call, server.is_open());
        let mut response = self.response(&stamped.request, 200);
        if let Some(call) = self.calls.get(&call) {
            response = response.tag(&call.dialog.local_tag);
        }
        self.send_plainly(now, stamped, response);
        if open {
            self.withdrawn(now, call, &stamped.request);
        }
    }

    fn heard_response(&mut self, now: Instant, response: &crate::message::Response) {
        let Some(key) = crate::transaction::ClientKey::of(response) else {
            return;
        };
        let timers = self.config.timers;
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        // A response has to name the request that it answers; who guesses a branch does not know its Call-ID too.
        let request = &client.parcel.request;
        let same = |name: &Name| request.headers.get(name) == response.headers.get(name);
        if !same(&Name::CallId) || request.from_tag() != response.from_tag() || request.cseq() != response.cseq() {
            return;
        }
        let tag = response.to_tag().unwrap_or_default();
        match client.hear(now, &timers, response.status, tag) {
            Heard::New => self.outcome(now, key, response),
            Heard::Again(way, ack) => self.send(way, ack),
            Heard::Old => {}
        }
        self.set_client_alarm(key);
    }
}

/// The reason for the audit that goes with a status of the parser's.
const fn reason_of(status: u16) -> Refusal {
    match status {
        413 | 414 | 513 => Refusal::Size,
        416 => Refusal::Scheme,
        420 => Refusal::Extension,
        483 => Refusal::Hops,
        505 => Refusal::Version,
        _ => Refusal::Malformed,
    }
}
