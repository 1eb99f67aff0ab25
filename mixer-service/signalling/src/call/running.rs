//! What the other side may ask for inside a call, how we hang up, and where our requests go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body::{SdpPart, allows, reason_header, reason_of, sdp_part};
use super::digits::{self, Info};
use super::incoming::push_session;
use super::session::{self, Rang, SessionTimer};
use super::{Call, Change, Changing, Reinvited, Stage, by_us, silence};
use crate::config::Transport;
use crate::dialog::{Hop, Turn};
use crate::endpoint::{Contact, Endpoint, Owner, Parcel, SDP, SUPPORTED, Stamped};
use crate::event::{LookupId, Output, Refusal, SipEvent};
use crate::message::{Method, Name, Request, Response};
use crate::types::{CallKey, Cause, Digit, EndedBy, RemoteMedia};

/// A probe that is not answered by then ends its call.
const PROBE_TIME: Duration = Duration::from_secs(10);
/// Names of next hops that are looked up at a time.
const MAX_HOP_LOOKUPS: usize = 1_024;

impl Endpoint {
    /// A request inside a call.
    pub(crate) fn request_in_dialog(&mut self, now: Instant, key: CallKey, server: &Arc<str>, stamped: &Stamped) {
        let Some(mut call) = self.take_out(key) else {
            return;
        };
        if !self.open_server(now, server, key, stamped) {
            self.put_back(call);
            return self.refuse_plainly(now, stamped, 503, Refusal::TooManyCalls);
        }
        if call.dialog.take(&stamped.request, stamped.source.ip()) == Turn::Wrong {
            self.put_back(call);
            return self.refuse_inside(now, server, stamped, 500, Refusal::OutOfOrder);
        }
        match stamped.request.method {
            Method::Bye => return self.said_bye(now, call, server, &stamped.request),
            Method::Invite => self.reinvited(now, &mut call, server, stamped),
            Method::Update => self.updated(now, &mut call, server, stamped),
            Method::Info => self.informed(now, &call, server, stamped),
            Method::Options => self.reply(now, server, &stamped.request, 200),
            Method::Prack => {
                let status = self.confirm(&mut call, &stamped.request);
                self.reply(now, server, &stamped.request, status);
            }
            Method::Refer => self.referred(now, &mut call, server, stamped),
            Method::Message | Method::Notify | Method::Publish | Method::Register | Method::Subscribe => {
                self.refuse_inside(now, server, stamped, 405, Refusal::Method);
            }
            Method::Other(_) => self.refuse_inside(now, server, stamped, 501, Refusal::Method),
            // Neither begins a transaction.
            Method::Ack | Method::Cancel => {}
        }
        self.put_back(call);
    }

    /// Answers a request inside a call without a body.
    fn reply(&mut self, now: Instant, server: &Arc<str>, request: &Request, status: u16) {
        let response = self.response(request, status);
        self.respond(now, server, &response);
    }

    fn refuse_inside(&mut self, now: Instant, server: &Arc<str>, stamped: &Stamped, status: u16, refusal: Refusal) {
        self.reply(now, server, &stamped.request, status);
        self.audit(stamped, Some(status), refusal);
    }

    fn said_bye(&mut self, now: Instant, call: Box<Call>, server: &Arc<str>, bye: &Request) {
        self.reply(now, server, bye, 200);
        let cause = Cause { by: EndedBy::Peer, status: None, text: reason_of(bye) };
        match &call.stage {
            Stage::Waiting(_) => self.decline(now, call, 487, cause, None),
            Stage::Unacked(unacked) => {
                let answered = unacked.server.clone();
                self.stop_repeating(now, &answered);
                self.end(now, call, cause);
            }
            Stage::Placing(_) | Stage::Talking => self.end(now, call, cause),
        }
    }

    /// Hold, resume, another address or codec; a refused offer leaves the call as it was (RFC 3261 section 14.2).
    fn reinvited(&mut self, now: Instant, call: &mut Call, server: &Arc<str>, stamped: &Stamped) {
        let request = &stamped.request;
        self.overtook_ack(now, call);
        let (Stage::Talking, Some(local)) = (&call.stage, call.local) else {
            // It crosses our answer to the first, or our offer whose answer is in the ACK on its way: to be tried again.
            let status = if matches!(call.stage, Stage::Waiting(_)) { 500 } else { 491 };
            return self.refuse_inside(now, server, stamped, status, Refusal::OutOfOrder);
        };
        if call.changing.as_ref().is_some_and(Changing::offers) {
            return self.reply(now, server, request, 491);
        }
        let wanted_s = self.session_wanted(call.peer);
        let Ok(session) = session::answer(&request.headers, wanted_s, self.config.min_se_s) else {
            return self.refuse_inside(now, server, stamped, 422, Refusal::Interval);
        };
        let held_at = stamped.source.ip();
        let (text, agreed, offer) = match sdp_part(request) {
            SdpPart::Some(sdp) => match self.read_offer(call, sdp, held_at) {
                Ok(offer) => (offer.answer(local, call.next_version()), Some(offer.remote().clone()), None),
                Err(error) => return self.refuse_inside(now, server, stamped, error.status(), Refusal::Sound),
            },
            SdpPart::None => {
                call.next_version();
                let offer = self.own_offer(call, local, held_at);
                (offer.text().to_owned(), None, Some(offer))
            }
            SdpPart::Foreign => return self.refuse_inside(now, server, stamped, 415, Refusal::Body),
        };
        self.moved(now, call, stamped);
        let response = self.acceptance(&call.dialog, request, &text, session.as_ref());
        self.respond(now, server, &response);
        call.session = session.map(|agreed| SessionTimer::start(now, agreed, false));
        let seq = request.cseq().map_or(0, |(seq, _)| seq);
        if let Some(Reinvited { server: before, .. }) =
            call.reinvited.replace(Reinvited { server: server.clone(), seq, offer })
        {
            self.stop_repeating(now, &before);
        }
        if let Some(remote) = agreed {
            self.change_to(call, remote);
        }
    }

    pub(super) fn reinvite_acknowledged(&mut self, now: Instant, mut call: Box<Call>, seq: u32, ack: &Request) {
        if let Some(Reinvited { server, offer, .. }) = call.reinvited.take_if(|reinvited| reinvited.seq == seq) {
            self.stop_repeating(now, &server);
            let held_at = call.dialog.source;
            if let Some(offer) = offer
                && let SdpPart::Some(sdp) = sdp_part(ack)
                && let Ok(remote) = self.read_answer(&call, &offer, sdp, held_at)
            {
                self.change_to(&mut call, remote);
            }
        }
        self.put_back(call);
    }

    /// UPDATE (RFC 3311): a change without an INVITE, or only a sign of life.
    fn updated(&mut self, now: Instant, call: &mut Call, server: &Arc<str>, stamped: &Stamped) {
        let request = &stamped.request;
        let part = sdp_part(request);
        if part == SdpPart::Foreign {
            return self.refuse_inside(now, server, stamped, 415, Refusal::Body);
        }
        let offers = part != SdpPart::None;
        if offers {
            self.overtook_ack(now, call);
        }
        if offers && call.changing.as_ref().is_some_and(Changing::offers) {
            return self.reply(now, server, request, 491);
        }
        let unanswered = call.reinvited.as_ref().is_some_and(|reinvited| reinvited.offer.is_some());
        if offers && (!matches!(call.stage, Stage::Talking) || unanswered) {
            return self.refuse_inside(now, server, stamped, 500, Refusal::OutOfOrder);
        }
        let wanted_s = self.session_wanted(call.peer);
        let Ok(session) = session::answer(&request.headers, wanted_s, self.config.min_se_s) else {
            return self.refuse_inside(now, server, stamped, 422, Refusal::Interval);
        };
        let mut response = self.response(request, 200);
        if let (SdpPart::Some(sdp), Some(local)) = (part, call.local) {
            match self.read_offer(call, sdp, stamped.source.ip()) {
                Ok(offer) => {
                    response.body = offer.answer(local, call.next_version()).into_bytes();
                    response.headers.push(Name::ContentType, SDP);
                    self.change_to(call, offer.remote().clone());
                }
                Err(error) => return self.refuse_inside(now, server, stamped, error.status(), Refusal::Sound),
            }
        }
        self.moved(now, call, stamped);
        response.headers.push(Name::Contact, &*call.dialog.contact);
        response.headers.push(Name::Supported, SUPPORTED);
        if matches!(call.stage, Stage::Talking) {
            push_session(&mut response, session.as_ref());
            call.session = session.map(|agreed| SessionTimer::start(now, agreed, false));
        }
        self.respond(now, server, &response);
    }

    fn informed(&mut self, now: Instant, call: &Call, server: &Arc<str>, stamped: &Stamped) {
        match digits::info(&stamped.request) {
            Info::Digit(digit) => {
                self.reply(now, server, &stamped.request, 200);
                if matches!(call.stage, Stage::Talking) {
                    self.tell(SipEvent::Pressed { call: call.key, digit });
                }
            }
            Info::Nothing => self.reply(now, server, &stamped.request, 200),
            Info::Foreign => self.refuse_inside(now, server, stamped, 415, Refusal::Body),
        }
    }

    /// REFER: nobody is called on another's word. A peer that may transfer hears that it did not work (RFC 3515 section
    /// 2.4.4), as long as the switchboard has no use for it.
    fn referred(&mut self, now: Instant, call: &mut Call, server: &Arc<str>, stamped: &Stamped) {
        let may = call.peer.and_then(|id| self.peer(id)).is_some_and(|peer| peer.refer);
        if !may || !matches!(call.stage, Stage::Talking) {
            return self.refuse_inside(now, server, stamped, 403, Refusal::Transfer);
        }
        if stamped.request.headers.get(&Name::ReferTo).is_none() {
            return self.reply(now, server, &stamped.request, 400);
        }
        let mut response = self.response(&stamped.request, 202);
        response.headers.push(Name::Contact, &*call.dialog.contact);
        self.respond(now, server, &response);
        let mut notify = call.dialog.request(Method::Notify);
        notify.headers.push(Name::Event, "refer");
        notify.headers.push(Name::SubscriptionState, "terminated;reason=noresource");
        notify.headers.push(Name::ContentType, "message/sipfrag");
        notify.body = b"SIP/2.0 503 Service Unavailable\r\n".to_vec();
        self.send_inside(now, call, Owner::Inside(call.key), notify);
        self.audit(stamped, Some(202), Refusal::Transfer);
    }

    /// The sound is another one.
    pub(super) fn change_to(&mut self, call: &mut Call, remote: RemoteMedia) {
        if call.remote.as_ref() != Some(&remote) {
            call.remote = Some(remote.clone());
            self.tell(SipEvent::Reoffered { call: call.key, remote });
        }
    }

    /// The other side may have moved (target refresh), and may have learnt UPDATE. A stranger moves to another host only if
    /// that one has proved that it hears us: else a call of his could be turned on somebody who has none.
    pub(super) fn moved(&mut self, now: Instant, call: &mut Call, stamped: &Stamped) {
        call.dialog.refresh(&stamped.request.headers);
        if stamped.request.headers.get(&Name::Allow).is_some() {
            call.takes_update = allows(&stamped.request.headers, &Method::Update);
        }
        let sent_by = stamped.request.top_via().and_then(|via| via.ip());
        call.behind_nat = sent_by.is_some_and(|ip| ip != stamped.source.ip());
        let back = stamped.back;
        let stranger = call.peer.is_none() && !call.key.is_placed() && back.transport == Transport::Udp;
        let elsewhere = back.to.ip() != call.dialog.hop.to.ip();
        if !(stranger && elsewhere) || self.is_proven(now, back.to.ip()) {
            call.dialog.hop = Hop { transport: back.transport, to: back.to, flow: back.flow };
        }
        self.settle(call);
    }

    /// Finds where requests of ours go from now on: by route or Contact. The address that the other side was heard from
    /// stays where a NAT stands between, and where a stranger names somebody else.
    pub(super) fn settle(&mut self, call: &mut Call) {
        let heard_from = call.dialog.hop;
        let placed = call.key.is_placed();
        match call.dialog.next_hop() {
            Some(Ok((transport, to))) => {
                let same = to.ip() == heard_from.to.ip();
                let stranger = call.peer.is_none() && !placed;
                let hidden = placed && is_private(to.ip()) && !is_private(heard_from.to.ip());
                if same || !(stranger || call.behind_nat || hidden) {
                    call.dialog.hop = Hop { transport, to, flow: heard_from.flow };
                }
            }
            Some(Err(named)) if call.peer.is_some() || placed => {
                if self.hop_lookups.len() < MAX_HOP_LOOKUPS {
                    let id = self.next_id();
                    self.hop_lookups.insert(id, call.key);
                    let transport = named.transport.or(Some(heard_from.transport));
                    self.output.push_back(Output::Resolve {
                        lookup: LookupId(id),
                        host: named.host,
                        port: named.port,
                        transport,
                    });
                }
            }
            Some(Err(_)) | None => {}
        }
    }

    /// The name of a next hop was found.
    pub(crate) fn hop_found(&mut self, lookup: LookupId, targets: &[(Transport, std::net::SocketAddr)]) {
        let call = self.hop_lookups.remove(&lookup.0).and_then(|key| self.calls.get_mut(&key));
        if let (Some(call), Some(&(transport, to))) = (call, targets.first()) {
            call.dialog.hop.transport = transport;
            call.dialog.hop.to = to;
        }
    }

    /// Sends a request of ours inside a call.
    pub(super) fn send_inside(&mut self, now: Instant, call: &Call, owner: Owner, mut request: Request) {
        self.sign(&mut request);
        let mut parcel = Parcel::new(owner, request);
        let hop = call.dialog.hop;
        parcel.candidates.push_back((hop.transport, hop.to));
        // A certificate is in the name that the settings know; a Contact is mostly a bare address.
        let server = call.peer.and_then(|id| self.peer(id)).and_then(|peer| peer.server.as_ref());
        parcel.name = server.map_or_else(|| hop.to.ip().to_string(), |server| server.host.clone()).into();
        parcel.hint = Some(hop.flow);
        parcel.peer = call.peer;
        self.post(now, parcel);
    }

    /// Adds our name.
    pub(crate) fn sign(&self, request: &mut Request) {
        if !self.config.user_agent.is_empty() {
            request.headers.push(Name::UserAgent, self.config.user_agent.as_str());
        }
    }

    /// Our Contact; whoever reads it sees that a conference is behind it (RFC 4579 section 5.1).
    pub(crate) fn own_contact(&self, user: Option<String>) -> Contact {
        Contact { user, params: if self.config.focus { ";isfocus" } else { "" } }
    }

    /// Sends BYE with a reason.
    pub(super) fn say_bye(&mut self, now: Instant, call: &mut Call, reason: &str) {
        let mut bye = call.dialog.request(Method::Bye);
        bye.headers.push(Name::Reason, reason_header(reason));
        self.send_inside(now, call, Owner::Nobody, bye);
    }

    /// Hangs up, whatever the call's state wants for it.
    pub(crate) fn hang_up(&mut self, now: Instant, key: CallKey, text: String) {
        let Some(mut call) = self.take_out(key) else {
            return;
        };
        match &call.stage {
            Stage::Waiting(_) => self.decline(now, call, 480, by_us(Some(480), text), None),
            Stage::Unacked(_) => self.hang_up_unacked(call, text),
            Stage::Placing(_) => self.give_up(now, call, text),
            Stage::Talking => {
                self.say_bye(now, &mut call, &text);
                self.end(now, call, by_us(None, text));
            }
        }
    }

    /// Asks whether the other side is still there.
    pub(crate) fn probe(&mut self, now: Instant, key: CallKey) {
        let Some(mut call) = self.take_out(key) else {
            return;
        };
        if matches!(call.stage, Stage::Talking) && call.probed.is_none() {
            call.probed = Some(now + PROBE_TIME);
            let mut options = call.dialog.request(Method::Options);
            options.headers.push(Name::Accept, SDP);
            self.send_inside(now, &call, Owner::Probe(key), options);
        }
        self.put_back(call);
    }

    /// Presses a key by INFO.
    pub(crate) fn press(&mut self, now: Instant, key: CallKey, digit: Digit) {
        let Some(mut call) = self.take_out(key) else {
            return;
        };
        if matches!(call.stage, Stage::Talking) {
            let mut info = call.dialog.request(Method::Info);
            digits::tell(&mut info, digit);
            self.send_inside(now, &call, Owner::Inside(key), info);
        }
        self.put_back(call);
    }

    pub(super) fn wake_talking(&mut self, now: Instant, mut call: Box<Call>) {
        if call.probed.is_some_and(|until| until <= now) {
            self.say_bye(now, &mut call, "no answer");
            return self.end(now, call, silence());
        }
        if let Some((_, change)) = call.again.take_if(|(at, _)| *at <= now) {
            self.begin_change(now, &mut call, change);
        }
        match call.session.as_mut().map(|session| session.ring(now)) {
            Some(Rang::Expired) => {
                self.say_bye(now, &mut call, "session expired");
                return self.end(now, call, Cause { text: "session expired".to_owned(), ..silence() });
            }
            Some(Rang::Refresh) => self.begin_change(now, &mut call, Change::Refresh),
            Some(Rang::Nothing) | None => {}
        }
        self.put_back(call);
    }

    /// An answer to a question inside a call.
    pub(crate) fn answered_inside(&mut self, now: Instant, key: CallKey, probe: bool, response: Option<&Response>) {
        let Some(mut call) = self.take_out(key) else {
            return;
        };
        let status = response.map(|response| response.status);
        match status {
            Some(100..=199) => self.put_back(call),
            // There is no such call there, or nobody who would know (RFC 3261 section 12.2.1.2).
            Some(481) => self.end(now, call, Cause { by: EndedBy::Peer, status, text: String::new() }),
            None | Some(408) => {
                self.say_bye(now, &mut call, "no answer");
                self.end(now, call, silence());
            }
            Some(_) => {
                if probe && call.probed.take().is_some() {
                    self.tell(SipEvent::Alive { call: key });
                }
                self.put_back(call);
            }
        }
    }
}

/// Whether an address is of a private network, and so leads nowhere from outside.
fn is_private(ip: std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        std::net::IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
