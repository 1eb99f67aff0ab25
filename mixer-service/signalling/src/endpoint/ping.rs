//! OPTIONS outside calls: whether somebody is there at all.

use std::time::Instant;

use super::{Endpoint, Owner, Parcel, tag};
use crate::call::{bracketed, told_text};
use crate::config::{PeerId, Target};
use crate::dialog::MAX_FORWARDS;
use crate::endpoint::escaped;
use crate::event::SipEvent;
use crate::message::{Method, Name, Request, Response};

/// Questions that wait for their answers at a time; more are not asked.
const MAX_PINGS: usize = 256;

impl Endpoint {
    /// Asks somebody for his abilities.
    pub(crate) fn ping(&mut self, now: Instant, token: u64, target: &Target, peer: Option<PeerId>) {
        if self.pings.len() >= MAX_PINGS || self.pings.insert(token, now).is_some() {
            return;
        }
        let known = peer.and_then(|id| self.peer(id));
        let domain = known.map(|peer| peer.domain.clone()).filter(|domain| !domain.is_empty());
        let host = domain.unwrap_or_else(|| target.host.clone());
        let place = match target.port.filter(|_| host == target.host) {
            Some(port) => format!("{}:{port}", bracketed(&host)),
            None => bracketed(&host),
        };
        let user = known.and_then(|peer| peer.user.as_deref()).map(escaped);
        let proxy = known.and_then(|peer| peer.outbound_proxy.clone());
        let from = match user {
            Some(user) => format!("<sip:{user}@{}>", bracketed(&host)),
            None => "<sip:anonymous@anonymous.invalid>".to_owned(),
        };
        let mut request = Request::new(Method::Options, format!("sip:{place}"));
        let headers = &mut request.headers;
        headers.push(Name::MaxForwards, MAX_FORWARDS);
        headers.push(Name::From, format!("{from};tag={}", tag(self.chance.number())));
        headers.push(Name::To, format!("<sip:{place}>"));
        headers.push(Name::CallId, self.chance.call_id());
        headers.push(Name::CSeq, "1 OPTIONS");
        headers.push(Name::Accept, super::SDP);
        self.route_of(peer).into_iter().for_each(|route| request.headers.push(Name::Route, route));
        self.sign(&mut request);
        let mut parcel = Parcel::new(Owner::Ping(token), request);
        parcel.peer = peer;
        parcel.contact = Some(self.own_contact(None));
        self.post_to(now, parcel, proxy.as_ref().unwrap_or(target));
    }

    pub(crate) fn ping_answered(&mut self, now: Instant, token: u64, response: Option<&Response>) {
        if response.is_some_and(|response| response.status < 200) {
            return;
        }
        if let Some(asked) = self.pings.remove(&token) {
            let status = response.map(|response| response.status);
            let text = response.map_or_else(|| "no answer".to_owned(), |response| told_text(&response.reason));
            self.tell(SipEvent::Pong { token, status, text, took: now.duration_since(asked) });
        }
    }
}
