//! What sends a call of ours another way: 3xx, and 422 of the session timer.

use std::time::Instant;

use super::session::session_expires;
use super::{Call, Stage};
use crate::config::Peer;
use crate::dialog::hop_of;
use crate::endpoint::{Endpoint, Owner, Parcel};
use crate::message::{Address, Name, Response, Uri};

/// Times that one call is sent on, or asked for a longer session.
const MAX_DETOURS: u8 = 5;

impl Endpoint {
    /// 3xx: followed within the same hosts alone, so that nobody can send our calls to where they cost.
    pub(super) fn sent_on(&mut self, now: Instant, mut call: Box<Call>, response: &Response) {
        let contact = response.headers.list(&Name::Contact).find_map(Address::parse);
        let Stage::Placing(placing) = &mut call.stage else {
            return self.put_back(call);
        };
        let own = |uri: &Uri| placing.hosts.iter().any(|host| host.eq_ignore_ascii_case(&uri.host));
        let next = contact.map(|contact| contact.uri).filter(|uri| uri.headers.is_empty() && own(uri));
        let follow = placing.detours < MAX_DETOURS && placing.hung_up.is_none();
        let usual = call.dialog.hop.transport;
        match next.and_then(|uri| Some((hop_of(&uri, usual)?, uri))) {
            Some((hop, uri)) if follow => {
                placing.detours += 1;
                placing.invite.uri = uri.to_string();
                let parcel = self.next_invite(&mut call);
                self.put_back(call);
                if let Some(parcel) = parcel {
                    self.post_by(now, parcel, hop);
                }
            }
            Some(_) | None => self.refused(now, call, response),
        }
    }

    /// 422: the interval has to be longer (RFC 4028 section 7.4).
    pub(super) fn interval_refused(&mut self, now: Instant, mut call: Box<Call>, response: &Response) {
        let floor = response.headers.seconds(&Name::MinSe);
        let Stage::Placing(placing) = &mut call.stage else {
            return self.put_back(call);
        };
        let asked = placing.invite.headers.seconds(&Name::SessionExpires).unwrap_or_default();
        let goes_on = placing.detours < MAX_DETOURS && placing.hung_up.is_none();
        match floor.filter(|floor| *floor > asked && goes_on) {
            Some(floor) => {
                placing.detours += 1;
                placing.invite.headers.set(Name::SessionExpires, session_expires(floor, None));
                placing.invite.headers.set(Name::MinSe, floor.to_string());
                let hop = call.dialog.hop;
                let parcel = self.next_invite(&mut call);
                self.put_back(call);
                if let Some(mut parcel) = parcel {
                    parcel.hint = Some(hop.flow);
                    self.post_by(now, parcel, Ok((hop.transport, hop.to)));
                }
            }
            None => self.refused(now, call, response),
        }
    }

    /// The same INVITE again, with the next number.
    pub(super) fn next_invite(&self, call: &mut Call) -> Option<Parcel> {
        let seq = call.dialog.local_seq.saturating_add(1);
        call.dialog.local_seq = seq;
        let (key, peer, local) = (call.key, call.peer, call.local?);
        let Stage::Placing(placing) = &mut call.stage else {
            return None;
        };
        placing.invite.headers.set(Name::CSeq, format!("{seq} INVITE"));
        placing.client = None;
        let mut parcel = Parcel::new(Owner::Invite(key), placing.invite.clone());
        parcel.peer = peer;
        parcel.seen_as = Some(local.ip);
        parcel.contact =
            Some(self.own_contact(peer.and_then(|id| self.peer(id)).and_then(|peer: &Peer| peer.user.clone())));
        parcel.may_grow = true;
        Some(parcel)
    }
}
