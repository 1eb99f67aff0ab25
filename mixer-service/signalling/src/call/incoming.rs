//! Calls to us, from the INVITE to its ACK.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body::{SdpPart, allows, called, caller_headers, reason_header, reason_of, sdp_part};
use super::session::{self, Agreed};
use super::unacked::Unacked;
use super::{Call, NO_SOUND, Stage, by_us, silence};
use crate::config::CalledFrom;
use crate::dialog::Dialog;
use crate::endpoint::{ALLOW, Endpoint, SDP, SUPPORTED, Stamped, tag};
use crate::event::{Output, Refusal, Refused, SipEvent};
use crate::message::{Method, Name, Request, Response};
use crate::transaction::{LIFE_T1, Repeat};
use crate::types::{CallKey, Cause, EndedBy, LocalMedia};

/// A call that the switchboard neither answers nor refuses is given up after this (RFC 3261 timer C).
const SETUP_TIME: Duration = Duration::from_secs(180);

/// A call that nobody has decided about.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(super) invite: Request,
    pub(super) server: Arc<str>,
    pub(super) give_up: Instant,
    /// Number of the next reliable provisional response.
    pub(super) rseq: u32,
    /// A provisional response that is repeated until its PRACK comes (RFC 3262 section 3).
    pub(super) unconfirmed: Option<Unconfirmed>,
}

#[derive(Debug)]
pub(super) struct Unconfirmed {
    pub(super) number: u32,
    pub(super) repeat: Repeat,
    pub(super) until: Instant,
}

impl Arrival {
    pub(super) fn due(&self) -> Instant {
        let repeat = self.unconfirmed.as_ref().map(|unconfirmed| unconfirmed.repeat.next().min(unconfirmed.until));
        repeat.map_or(self.give_up, |repeat| repeat.min(self.give_up))
    }

    pub(super) fn size(&self) -> usize {
        let lines: usize = self.invite.headers.iter().map(|(_, value)| value.len() + size_of::<(Name, String)>()).sum();
        size_of::<Self>() + lines + self.invite.body.len() + self.server.len()
    }
}

impl Endpoint {
    /// An INVITE that starts a call.
    pub(crate) fn invited(&mut self, now: Instant, key: &Arc<str>, stamped: &Stamped) {
        let request = &stamped.request;
        let (status, refusal) = match self.fault_of_invite(stamped) {
            Some(fault) => fault,
            None if self.is_challenged(now, stamped) => return,
            None => match self.begin_call(now, key, stamped) {
                Ok(call) => {
                    let (source, peer) = (stamped.source, stamped.peer);
                    let flow = self.flows.get(stamped.back.flow);
                    let tls_names = flow.map(|flow| flow.tls_names.clone()).unwrap_or_default();
                    let local = flow.map_or_else(|| source.ip(), |flow| flow.local.ip());
                    let from =
                        peer.and_then(|id| self.peer(id)).map_or(CalledFrom::RequestUri, |peer| peer.called_from);
                    return self.tell(SipEvent::Incoming {
                        call,
                        source,
                        local,
                        transport: stamped.back.transport,
                        peer,
                        tls_names,
                        called: called(request, from),
                        headers: caller_headers(request),
                    });
                }
                Err(fault) => fault,
            },
        };
        self.refuse_plainly(now, stamped, status, refusal);
    }

    fn fault_of_invite(&self, stamped: &Stamped) -> Option<(u16, Refusal)> {
        let request = &stamped.request;
        if sdp_part(request) == SdpPart::Foreign {
            return Some((415, Refusal::Body));
        }
        if !request.accepts(SDP) {
            return Some((406, Refusal::Body));
        }
        // Taking a call over from somebody is never allowed here; who only offers it as an option is refused too.
        if request.headers.get(&Name::Replaces).is_some() {
            return Some((403, Refusal::Transfer));
        }
        if self.initial.contains_key(&self.initial_of(request)) {
            return Some((482, Refusal::Merged));
        }
        if self.stopping {
            return Some((503, Refusal::Stopping));
        }
        let limits = &self.config.limits;
        let lines = stamped.peer.and_then(|id| Some((self.peer(id)?.lines?, self.lines.get(&id).copied()?)));
        let full = self.calls.len() >= limits.calls
            || self.in_setup >= limits.calls_in_setup
            || lines.is_some_and(|(most, now)| now >= most);
        if full {
            return Some((503, Refusal::TooManyCalls));
        }
        let wanted_s = self.session_wanted(stamped.peer);
        session::answer(&request.headers, wanted_s, self.config.min_se_s).err().map(|_| (422, Refusal::Interval))
    }

    fn initial_of(&self, request: &Request) -> u64 {
        let seq = request.cseq().map_or(0, |(seq, _)| seq).to_string();
        self.chance.mark(&[request.call_id().unwrap_or_default(), request.from_tag().unwrap_or_default(), &seq])
    }

    pub(super) fn session_wanted(&self, peer: Option<crate::config::PeerId>) -> u32 {
        peer.and_then(|id| self.peer(id)).map_or(self.config.session_expires_s, |peer| peer.session_expires_s)
    }

    fn begin_call(&mut self, now: Instant, key: &Arc<str>, stamped: &Stamped) -> Result<CallKey, (u16, Refusal)> {
        let request = &stamped.request;
        let initial = self.initial_of(request);
        let local_tag = tag(self.chance.number());
        let named = crate::message::Uri::parse(&request.uri).and_then(|uri| uri.ip());
        let user = stamped.peer.and_then(|id| self.peer(id)).and_then(|peer| peer.user.clone());
        let contact = self.contact_at(stamped.back, user, named).ok_or((500, Refusal::Malformed))?;
        let mut dialog = Dialog::incoming(request, local_tag, contact, stamped.back, stamped.source.ip())
            .ok_or((400, Refusal::Malformed))?;
        // Nothing goes to where a Contact points before somebody there has answered.
        dialog.hop.to = stamped.back.to;
        let call_key = self.next_call();
        if !self.open_server(now, key, call_key, stamped) {
            return Err((503, Refusal::TooManyCalls));
        }
        let arrival = Arrival {
            invite: request.clone(),
            server: key.clone(),
            give_up: now + SETUP_TIME,
            rseq: u32::try_from(self.chance.number() & 0xffff).unwrap_or_default() + 1,
            unconfirmed: None,
        };
        let mut call = Box::new(Call::new(call_key, stamped.peer, dialog, Stage::Waiting(Box::new(arrival))));
        call.takes_update = allows(&request.headers, &Method::Update);
        let sent_by = request.top_via().and_then(|via| via.ip());
        call.behind_nat = sent_by.is_some_and(|ip| ip != stamped.source.ip());
        call.initial = Some(initial);
        self.seat(call);
        Ok(call_key)
    }

    /// Our Contact where this way leads to us.
    pub(crate) fn contact_at(
        &self,
        way: crate::endpoint::Way,
        user: Option<String>,
        seen_as: Option<IpAddr>,
    ) -> Option<String> {
        let public = self.flows.public(&self.config, way.flow, seen_as)?;
        Some(self.own_contact(user).at(way.transport, public))
    }

    /// Lets an incoming call ring: reliably where the caller insists on it.
    pub(crate) fn ring(&mut self, now: Instant, key: CallKey) {
        let Some(mut call) = self.take_out(key) else {
            return;
        };
        if let Stage::Waiting(arrival) = &mut call.stage {
            let reliably = arrival.invite.headers.lists(&Name::Require, "100rel");
            let no_offer = sdp_part(&arrival.invite) == SdpPart::None;
            // A first reliable response would have to bring our offer (RFC 3262 section 5), and nobody has a port for it yet.
            if arrival.unconfirmed.is_none() && !(reliably && no_offer) {
                let mut response = self.early_response(&call.dialog, &arrival.invite, 180);
                if reliably {
                    let number = arrival.rseq;
                    arrival.rseq += 1;
                    response.headers.push(Name::Require, "100rel");
                    response.headers.push(Name::RSeq, number.to_string());
                    let timers = &self.config.timers;
                    let repeat = Repeat::new(now, timers, None);
                    arrival.unconfirmed = Some(Unconfirmed { number, repeat, until: now + timers.t1 * LIFE_T1 });
                }
                let server = arrival.server.clone();
                self.respond(now, &server, &response);
            }
        }
        self.put_back(call);
    }

    /// 100 where nobody has decided yet.
    pub(crate) fn try_on(&mut self, now: Instant, key: CallKey, server: &Arc<str>) {
        let Some(Stage::Waiting(arrival)) = self.calls.get(&key).map(|call| &call.stage) else {
            return;
        };
        let response = Response::to(&arrival.invite, 100);
        self.respond(now, server, &response);
    }

    /// A response that makes or tells a dialog (RFC 3261 section 12.1.1): our tag, the route, our Contact.
    fn early_response(&self, dialog: &Dialog, invite: &Request, status: u16) -> Response {
        let mut response = self.response(invite, status).tag(&dialog.local_tag);
        for route in invite.headers.all(&Name::RecordRoute) {
            response.headers.push(Name::RecordRoute, route);
        }
        response.headers.push(Name::Contact, &*dialog.contact);
        response.headers.push(Name::Allow, ALLOW);
        response
    }

    /// A 2xx to an INVITE, initial or not.
    pub(super) fn acceptance(
        &self,
        dialog: &Dialog,
        invite: &Request,
        sdp: &str,
        session: Option<&Agreed>,
    ) -> Response {
        let mut response = self.early_response(dialog, invite, 200);
        response.headers.push(Name::Supported, SUPPORTED);
        push_session(&mut response, session);
        response.headers.push(Name::ContentType, SDP);
        response.body = sdp.as_bytes().to_vec();
        response
    }

    /// Answers an incoming call.
    pub(crate) fn answer(&mut self, now: Instant, key: CallKey, local: LocalMedia) {
        let Some(mut call) = self.take_out(key) else {
            return;
        };
        let arrival = match std::mem::replace(&mut call.stage, Stage::Talking) {
            Stage::Waiting(arrival) => arrival,
            other @ (Stage::Unacked(_) | Stage::Placing(_) | Stage::Talking) => {
                call.stage = other;
                return self.put_back(call);
            }
        };
        let local = self.advertised(local);
        let invite = &arrival.invite;
        let session = session::answer(&invite.headers, self.session_wanted(call.peer), self.config.min_se_s);
        let session = session.unwrap_or_default();
        call.local = Some(local);
        let held_at = call.dialog.source;
        let ours = call.next_version();
        let (text, agreed, offer) = match sdp_part(invite) {
            SdpPart::Some(sdp) => match self.read_offer(&call, sdp, held_at) {
                Ok(offer) => (offer.answer(local, ours), Some(offer.remote().clone()), None),
                Err(error) => {
                    let status = error.status();
                    self.audit_call(&call, &arrival.server, status, Refusal::Sound);
                    call.stage = Stage::Waiting(arrival);
                    return self.decline(
                        now,
                        call,
                        status,
                        by_us(Some(status), NO_SOUND),
                        Some((error.warning(), error.to_string())),
                    );
                }
            },
            SdpPart::None | SdpPart::Foreign => {
                let offer = self.own_offer(&call, local, held_at);
                (offer.text().to_owned(), None, Some(offer))
            }
        };
        let response = self.acceptance(&call.dialog, invite, &text, session.as_ref());
        let seq = invite.cseq().map_or(0, |(seq, _)| seq);
        let server = arrival.server.clone();
        let unconfirmed = arrival.unconfirmed.as_ref().map(|unconfirmed| unconfirmed.number);
        call.stage = Stage::Unacked(Box::new(Unacked {
            server: server.clone(),
            seq,
            agreed,
            offer,
            session,
            hung_up: None,
            unconfirmed,
        }));
        self.respond(now, &server, &response);
        self.put_back(call);
    }

    fn audit_call(&mut self, call: &Call, server: &Arc<str>, status: u16, reason: Refusal) {
        if let Some(way) = self.servers.get(server).map(|server| server.way) {
            let refused = Refused { source: way.to, peer: call.peer, method: "INVITE", status: Some(status), reason };
            self.output.push_back(Output::Audit(refused));
        }
    }

    /// Refuses an incoming call by order.
    pub(crate) fn refuse(&mut self, now: Instant, key: CallKey, status: u16, text: String) {
        let Some(call) = self.take_out(key) else {
            return;
        };
        if let Stage::Waiting(arrival) = &call.stage {
            let status = status.clamp(400, 699);
            self.audit_call(&call, &arrival.server, status, Refusal::Ordered);
            self.decline(now, call, status, by_us(Some(status), text), None);
        } else {
            self.put_back(call);
        }
    }

    /// Ends a call that waits, with a final response.
    pub(super) fn decline(
        &mut self,
        now: Instant,
        call: Box<Call>,
        status: u16,
        cause: Cause,
        warning: Option<(u16, String)>,
    ) {
        if let Stage::Waiting(arrival) = &call.stage {
            let mut response = self.response(&arrival.invite, status).tag(&call.dialog.local_tag);
            if cause.by == EndedBy::Us && !cause.text.is_empty() {
                response.headers.push(Name::Reason, reason_header(&cause.text));
            }
            if let Some((code, text)) = warning {
                response.headers.push(Name::Warning, format!("{code} dialroom \"{}\"", text.replace(['"', '\\'], "'")));
            }
            let server = arrival.server.clone();
            self.respond(now, &server, &response);
        }
        self.end(now, call, cause);
    }

    /// The caller gave up before we answered (CANCEL).
    pub(crate) fn withdrawn(&mut self, now: Instant, key: CallKey, cancel: &Request) {
        if let Some(call) = self.take_out(key) {
            if matches!(call.stage, Stage::Waiting(_)) {
                let cause = Cause { by: EndedBy::Peer, status: Some(487), text: reason_of(cancel) };
                self.decline(now, call, 487, cause, None);
            } else {
                self.put_back(call);
            }
        }
    }

    pub(super) fn wake_waiting(&mut self, now: Instant, mut call: Box<Call>) {
        let Stage::Waiting(arrival) = &mut call.stage else {
            return self.put_back(call);
        };
        if arrival.give_up <= now {
            return self.decline(now, call, 480, by_us(Some(480), "nobody answered"), None);
        }
        if let Some(unconfirmed) = &mut arrival.unconfirmed {
            if unconfirmed.until <= now {
                let cause = Cause { status: Some(504), ..silence() };
                return self.decline(now, call, 504, cause, None);
            }
            if unconfirmed.repeat.is_time(now)
                && let Some(server) = self.servers.get_mut(&arrival.server)
                && let way = server.way
                && let Some(bytes) = server.again()
            {
                self.send(way, bytes);
            }
        }
        self.put_back(call);
    }

    /// The same media end as others reach it.
    pub(super) fn advertised(&self, local: LocalMedia) -> LocalMedia {
        let advertised = if local.ip.is_ipv4() { self.config.advertised_v4 } else { self.config.advertised_v6 };
        LocalMedia { ip: advertised.unwrap_or(local.ip), ..local }
    }
}

/// What a 2xx says of the session timer.
pub(super) fn push_session(response: &mut Response, session: Option<&Agreed>) {
    if let Some(agreed) = session {
        if agreed.required {
            response.headers.push(Name::Require, "timer");
        }
        response.headers.push(Name::SessionExpires, agreed.value());
    }
}
