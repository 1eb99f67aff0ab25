//! Ends a call of ours that nobody has answered: CANCEL, and what may cross it.

use std::time::Instant;

use super::body::reason_header;
use super::outgoing::FIRST_SEQ;
use super::{Call, Stage, by_us};
use crate::endpoint::{Endpoint, Owner, Parcel};
use crate::message::{Method, Name, Request};
use crate::transaction::{ClientKey, LIFE_T1};

impl Endpoint {
    pub(super) fn wake_placing(&mut self, now: Instant, mut call: Box<Call>) {
        let Stage::Placing(placing) = &mut call.stage else {
            return self.put_back(call);
        };
        if placing.ring_until <= now {
            // Once hung up, the transaction says when the end is.
            placing.ring_until = now + self.config.timers.t1 * LIFE_T1 * 2;
            if placing.hung_up.is_none() {
                return self.give_up(now, call, "nobody answered".to_owned());
            }
            return self.end(now, call, by_us(None, "nobody answered"));
        }
        self.put_back(call);
    }

    /// Hangs up before anybody answered. A CANCEL waits for the first sign of life (RFC 3261 section 9.1), and may cross the
    /// answer: then BYE follows it.
    pub(super) fn give_up(&mut self, now: Instant, mut call: Box<Call>, text: String) {
        let Stage::Placing(placing) = &mut call.stage else {
            return self.put_back(call);
        };
        let first = placing.hung_up.is_none();
        let reason = placing.hung_up.get_or_insert(text).clone();
        // What waits for a name or a stream has not left, or has been refused and wanted to go on: nobody rings.
        let recalled = self.recall(Owner::Invite(call.key));
        let asks = placing.client.and_then(|key| self.clients.get(&key)).is_some_and(|client| client.is_open());
        if placing.client.is_none() || (recalled && !asks) {
            return self.end(now, call, by_us(None, reason));
        }
        if first {
            placing.ring_until = now + self.config.timers.t1 * LIFE_T1 * 2;
        }
        self.cancel(now, &mut call);
        self.put_back(call);
    }

    pub(super) fn cancel(&mut self, now: Instant, call: &mut Call) {
        let Stage::Placing(placing) = &mut call.stage else {
            return;
        };
        let ready = placing.alive && !std::mem::replace(&mut placing.cancelled, placing.alive);
        if let Some(key) = placing.client.filter(|_| ready) {
            let reason = placing.hung_up.as_deref().map(reason_header).unwrap_or_default();
            self.cancel_invite(now, key, &reason);
        }
    }

    /// Nobody waits any more for the answer to an INVITE: its transaction does not for ever either.
    pub(super) fn let_go(&mut self, now: Instant, call: &Call) {
        let until = now + self.config.timers.t1 * LIFE_T1;
        if let Stage::Placing(placing) = &call.stage
            && let Some(key) = placing.client
            && let Some(client) = self.clients.get_mut(&key)
        {
            client.give_up_at(until);
            self.set_client_alarm(key);
        }
    }

    /// The CANCEL has the INVITE's Via, number and route (section 9.1).
    fn cancel_invite(&mut self, now: Instant, key: ClientKey, reason: &str) {
        let give_up = now + self.config.timers.t1 * LIFE_T1;
        let Some(client) = self.clients.get_mut(&key).filter(|client| client.is_open()) else {
            return;
        };
        client.give_up_at(give_up);
        let invite = &client.parcel.request;
        let seq = invite.cseq().map_or(FIRST_SEQ, |(seq, _)| seq);
        let mut cancel = Request::new(Method::Cancel, invite.uri.clone());
        for name in [Name::Via, Name::Route, Name::MaxForwards, Name::From, Name::To, Name::CallId] {
            invite.headers.all(&name).for_each(|value| cancel.headers.push(name.clone(), value));
        }
        cancel.headers.push(Name::CSeq, format!("{seq} CANCEL"));
        cancel.headers.push(Name::Reason, reason);
        let way = client.way;
        let bytes = cancel.write();
        let parcel = Parcel::new(Owner::Nobody, cancel);
        self.set_client_alarm(key);
        self.begin(now, ClientKey { cancel: true, ..key }, parcel, way, bytes);
    }
}
