//! What an answer to a request of ours means, and for whom; or that none came.

use std::time::Instant;

use super::{Endpoint, Owner, Parcel, Way};
use crate::message::{Method, Name, Request, Response};
use crate::transaction::ClientKey;

impl Endpoint {
    /// A response that its transaction has not heard before.
    pub(crate) fn outcome(&mut self, now: Instant, key: ClientKey, response: &Response) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        let way = client.way;
        let owner = client.parcel.owner;
        let request = client.parcel.request.clone();
        let tag = response.to_tag().unwrap_or_default().to_owned();
        if response.status >= 300 && request.method == Method::Invite {
            let ack = ack_of_refusal(&request, response).write();
            client.remember_ack(tag.clone(), way, ack.clone());
            self.send(way, ack);
        }
        if response.status >= 300 && self.goes_on(now, key, response) {
            return;
        }
        let ack = self.deliver(now, key, owner, &request, way, response);
        if let (Some((way, ack)), Some(client)) = (ack, self.clients.get_mut(&key)) {
            client.remember_ack(tag, way, ack);
        }
    }

    /// Acknowledges a 2xx of a re-INVITE whose dialog is no more, by the way that the re-INVITE took.
    pub(crate) fn acknowledge_late(
        &mut self,
        invite: &Request,
        way: Way,
        response: &Response,
    ) -> Option<(Way, Vec<u8>)> {
        let mut ack = ack_of_refusal(invite, response);
        ack.headers.remove(&Name::Via);
        self.send_ack(ack, way, None)
    }

    /// Whether a refused request goes on by itself: with the proof that was asked for, or to the next place.
    fn goes_on(&mut self, now: Instant, key: ClientKey, response: &Response) -> bool {
        let Some(parcel) = self.clients.get(&key).map(|client| client.parcel.clone()) else {
            return false;
        };
        match response.status {
            401 | 407 => self.is_wanted(parcel.owner) && self.proved(now, key, parcel, response),
            // That server cannot now; another of the same name may (RFC 3263 section 4.3).
            503 if !parcel.candidates.is_empty() && self.is_wanted(parcel.owner) => {
                self.try_elsewhere(now, parcel);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn is_wanted(&self, owner: Owner) -> bool {
        match owner {
            Owner::Invite(call) => self.wants_answer(call),
            Owner::Change(_)
            | Owner::Prack(_)
            | Owner::Probe(_)
            | Owner::Inside(_)
            | Owner::Registration(_)
            | Owner::Ping(_)
            | Owner::Nobody => true,
        }
    }

    fn deliver(
        &mut self,
        now: Instant,
        key: ClientKey,
        owner: Owner,
        request: &Request,
        way: Way,
        response: &Response,
    ) -> Option<(Way, Vec<u8>)> {
        match owner {
            Owner::Invite(call) => return self.invite_answered(now, call, key, request, way, response),
            Owner::Change(call) => return self.change_answered(now, call, request, Some(way), Some(response)),
            Owner::Probe(call) => self.answered_inside(now, call, true, Some(response)),
            Owner::Inside(call) => self.answered_inside(now, call, false, Some(response)),
            Owner::Registration(peer) => self.registration_answered(now, peer, way, request, response),
            Owner::Ping(token) => self.ping_answered(now, token, Some(response)),
            Owner::Prack(_) | Owner::Nobody => {}
        }
        None
    }

    /// No answer came; there may be another place to ask.
    pub(crate) fn unanswered(&mut self, now: Instant, parcel: Parcel) {
        if !parcel.candidates.is_empty() && self.is_wanted(parcel.owner) {
            self.try_elsewhere(now, parcel);
        } else {
            self.undelivered(now, parcel);
        }
    }

    /// A request that nobody answered, and that has nowhere else to go.
    pub(crate) fn undelivered(&mut self, now: Instant, parcel: Parcel) {
        match parcel.owner {
            Owner::Invite(call) => self.invite_unanswered(now, call),
            Owner::Change(call) => {
                self.change_answered(now, call, &parcel.request, None, None);
            }
            Owner::Probe(call) => self.answered_inside(now, call, true, None),
            Owner::Registration(peer) => self.registration_unanswered(now, peer, &parcel.request),
            Owner::Ping(token) => self.ping_answered(now, token, None),
            Owner::Prack(_) | Owner::Inside(_) | Owner::Nobody => {}
        }
    }

    /// A request leaves by this way.
    pub(crate) fn launched(&mut self, parcel: &Parcel, key: ClientKey, way: Way) {
        match parcel.owner {
            Owner::Invite(call) => self.invite_left(call, key, way, &parcel.request),
            Owner::Change(_)
            | Owner::Prack(_)
            | Owner::Probe(_)
            | Owner::Inside(_)
            | Owner::Registration(_)
            | Owner::Ping(_)
            | Owner::Nobody => {}
        }
    }
}

/// The ACK of a refusal: the INVITE's Via, number and route, the refusal's To (RFC 3261 section 17.1.1.3).
fn ack_of_refusal(invite: &Request, response: &Response) -> Request {
    let mut ack = Request::new(Method::Ack, invite.uri.clone());
    if let Some(via) = invite.headers.list(&Name::Via).next() {
        ack.headers.push(Name::Via, via);
    }
    for name in [Name::Route, Name::MaxForwards, Name::From] {
        invite.headers.all(&name).for_each(|value| ack.headers.push(name.clone(), value));
    }
    for (name, value) in [(Name::To, response.headers.get(&Name::To)), (Name::CallId, invite.call_id())] {
        ack.headers.push(name, value.unwrap_or_default());
    }
    let seq = invite.cseq().map_or(0, |(seq, _)| seq);
    ack.headers.push(Name::CSeq, format!("{seq} ACK"));
    ack
}
