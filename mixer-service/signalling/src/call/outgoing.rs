//! Calls of ours, from the order to the answer.

use std::time::Instant;

use super::body::{SdpPart, allows, sdp_part_of_response};
use super::line::placed_dialog;
use super::session::{self, SessionTimer, session_expires};
use super::{Call, NO_SOUND, Stage, by_us, is_dialable, silence, told_text};
use crate::dialog::{Dialog, MAX_FORWARDS};
use crate::endpoint::{ALLOW, Endpoint, Owner, Parcel, SDP, SUPPORTED, Way, tag};
use crate::event::{Invite, SipEvent};
use crate::message::{Method, Name, Request, Response};
use crate::sdp::OwnOffer;
use crate::transaction::ClientKey;
use crate::types::{CallKey, Cause, EndedBy, RemoteMedia};

/// The first request of a call of ours carries this number.
pub(super) const FIRST_SEQ: u32 = 1;
/// Early dialogs of one call whose reliable responses are counted.
const MAX_EARLY: usize = 8;

/// A call of ours that nobody has answered.
#[derive(Debug)]
pub(crate) struct Placing {
    /// Our INVITE without Via and Contact, as it was last sent.
    pub(super) invite: Request,
    /// Its transaction, once it has left.
    pub(super) client: Option<ClientKey>,
    pub(super) offer: OwnOffer,
    /// Hosts that it may be sent on to.
    pub(super) hosts: Vec<String>,
    pub(super) detours: u8,
    /// A first sign of life was heard: now a CANCEL can be (RFC 3261 section 9.1).
    pub(super) alive: bool,
    pub(super) cancelled: bool,
    /// We hung up, and why.
    pub(super) hung_up: Option<String>,
    pub(super) ring_until: Instant,
    /// What was agreed on before the answer.
    pub(super) early: Option<RemoteMedia>,
    /// Reliable responses confirmed last, by the tag of who sent them.
    pub(super) reliable: Vec<(String, u32)>,
}

impl Placing {
    pub(super) const fn due(&self) -> Instant {
        self.ring_until
    }

    pub(super) fn size(&self) -> usize {
        let lines: usize = self.invite.headers.iter().map(|(_, value)| value.len() + size_of::<(Name, String)>()).sum();
        size_of::<Self>() + lines + self.invite.body.len() * 2
    }
}

impl Endpoint {
    /// Places a call.
    pub(crate) fn place(&mut self, now: Instant, invite: Invite) {
        let key = invite.call;
        if self.calls.contains_key(&key) {
            return;
        }
        if let Err(text) = self.try_placing(now, invite) {
            self.tell(SipEvent::Ended { call: key, cause: by_us(None, text) });
        }
    }

    fn try_placing(&mut self, now: Instant, invite: Invite) -> Result<(), &'static str> {
        if !is_dialable(&invite.number) {
            return Err("a number to call has digits, +, * and # only");
        }
        if !invite.from.as_deref().is_none_or(is_dialable) {
            return Err("a number to call from has digits, +, * and # only");
        }
        let limits = &self.config.limits;
        let peer = invite.peer.and_then(|id| self.peer(id));
        let lines = invite.peer.and_then(|id| self.lines.get(&id)).copied().unwrap_or_default();
        let full = self.calls.len() >= limits.calls
            || self.in_setup >= limits.calls_in_setup
            || peer.and_then(|peer| peer.lines).is_some_and(|most| lines >= most);
        if full || self.stopping {
            return Err("too many calls at a time");
        }
        let line = self.line_of(&invite).ok_or("no server to send this call to")?;
        let local = self.advertised(invite.local);
        let local_tag = tag(self.chance.number());
        let mut request = Request::new(Method::Invite, line.uri.clone());
        let headers = &mut request.headers;
        headers.push(Name::MaxForwards, MAX_FORWARDS);
        headers.push(Name::From, format!("{};tag={local_tag}", line.from));
        headers.push(Name::To, format!("<{}>", line.uri));
        headers.push(Name::CallId, self.chance.call_id());
        headers.push(Name::CSeq, format!("{FIRST_SEQ} INVITE"));
        headers.push(Name::Allow, ALLOW);
        headers.push(Name::Supported, SUPPORTED);
        let session_s = self.session_wanted(invite.peer);
        if session_s > 0 {
            headers.push(Name::SessionExpires, session_expires(session_s.max(self.config.min_se_s), None));
        }
        line.more.into_iter().for_each(|(name, value)| headers.push(name, value));
        self.sign(&mut request);
        let dialog = placed_dialog(&request, local.ip).ok_or("this number makes no SIP address")?;
        let mut call = Call::new(invite.call, invite.peer, dialog, Stage::Talking);
        call.local = Some(local);
        call.next_version();
        let offer = self.own_offer(&call, local, local.ip);
        request.headers.push(Name::ContentType, SDP);
        request.body = offer.text().as_bytes().to_vec();
        call.stage = Stage::Placing(Box::new(Placing {
            invite: request.clone(),
            client: None,
            offer,
            hosts: line.hosts,
            detours: 0,
            alive: false,
            cancelled: false,
            hung_up: None,
            ring_until: now + self.config.ring,
            early: None,
            reliable: Vec::new(),
        }));
        self.seat(Box::new(call));
        let mut parcel = self.invite_parcel(&invite, request);
        match self.registered_way(invite.peer) {
            Some(way) => {
                parcel.candidates.push_back((way.transport, way.to));
                parcel.hint = Some(way.flow);
                parcel.name = line.target.host.as_str().into();
                self.post(now, parcel);
            }
            None => self.post_to(now, parcel, &line.target),
        }
        Ok(())
    }

    fn invite_parcel(&self, invite: &Invite, request: Request) -> Parcel {
        let mut parcel = Parcel::new(Owner::Invite(invite.call), request);
        parcel.peer = invite.peer;
        parcel.seen_as = Some(invite.local.ip);
        let user = invite.peer.and_then(|id| self.peer(id)).and_then(|peer| peer.user.clone());
        parcel.contact = Some(self.own_contact(user));
        parcel.may_grow = true;
        parcel
    }

    /// The INVITE leaves: by this way, with this Contact.
    pub(crate) fn invite_left(&mut self, key: CallKey, client: ClientKey, way: Way, invite: &Request) {
        if let Some(call) = self.calls.get_mut(&key)
            && let Stage::Placing(placing) = &mut call.stage
        {
            placing.client = Some(client);
            placing.alive = false;
            placing.cancelled = false;
            if !placing.hosts.iter().any(|host| *host == way.to.ip().to_string()) {
                placing.hosts.push(way.to.ip().to_string());
            }
            call.dialog.hop.flow = way.flow;
            call.dialog.hop.to = way.to;
            call.dialog.hop.transport = way.transport;
            call.dialog.contact = invite.headers.get(&Name::Contact).unwrap_or_default().into();
            if let Some((seq, _)) = invite.cseq() {
                call.dialog.local_seq = seq;
            }
        }
    }

    /// A response to the INVITE of a call of ours; gives what acknowledges it, where it is a 2xx.
    pub(crate) fn invite_answered(
        &mut self,
        now: Instant,
        key: CallKey,
        client: ClientKey,
        invite: &Request,
        way: Way,
        response: &Response,
    ) -> Option<(Way, Vec<u8>)> {
        let Some(mut call) = self.take_out(key) else {
            return self.turn_away(now, key, invite, way, response);
        };
        match &mut call.stage {
            Stage::Placing(placing) if placing.client == Some(client) => {}
            Stage::Placing(_) | Stage::Waiting(_) | Stage::Unacked(_) | Stage::Talking => {
                self.put_back(call);
                return self.turn_away(now, key, invite, way, response);
            }
        }
        match response.status {
            100..=199 => {
                self.provisional(now, call, invite, way, response);
                None
            }
            200..=299 => self.accepted(now, call, invite, way, response),
            300..=399 => {
                self.sent_on(now, call, response);
                None
            }
            422 => {
                self.interval_refused(now, call, response);
                None
            }
            _ => {
                self.refused(now, call, response);
                None
            }
        }
    }

    /// Somebody accepted a call that is over, or that another has accepted before: acknowledged, and ended at once.
    fn turn_away(
        &mut self,
        now: Instant,
        key: CallKey,
        invite: &Request,
        way: Way,
        response: &Response,
    ) -> Option<(Way, Vec<u8>)> {
        if !(200..300).contains(&response.status) {
            return None;
        }
        let dialog = Dialog::outgoing(invite, response, way)?;
        let ack = self.acknowledge(&dialog, invite, way);
        let mut call = Call::new(key, None, dialog, Stage::Talking);
        self.settle(&mut call);
        self.say_bye(now, &mut call, "answered elsewhere");
        ack
    }

    fn provisional(&mut self, now: Instant, mut call: Box<Call>, invite: &Request, way: Way, response: &Response) {
        let Stage::Placing(placing) = &mut call.stage else {
            return self.put_back(call);
        };
        placing.alive = true;
        if placing.hung_up.is_some() {
            self.cancel(now, &mut call);
            return self.put_back(call);
        }
        if response.status == 100 {
            return self.put_back(call);
        }
        let reliable = response.headers.lists(&Name::Require, "100rel");
        if reliable && !self.confirm_reliable(now, &mut call, invite, way, response) {
            // It came before, or one before it is missing: it comes again.
            return self.put_back(call);
        }
        let early = self.early_sound(&call, response, way);
        if let Stage::Placing(placing) = &mut call.stage
            && early.is_some()
        {
            placing.early.clone_from(&early);
        }
        self.tell(SipEvent::Ringing { call: call.key, status: response.status, early });
        self.put_back(call);
    }

    fn early_sound(&self, call: &Call, response: &Response, way: Way) -> Option<RemoteMedia> {
        let (Stage::Placing(placing), SdpPart::Some(sdp)) = (&call.stage, sdp_part_of_response(response)) else {
            return None;
        };
        self.read_answer(call, &placing.offer, sdp, way.to.ip()).ok()
    }

    /// Confirms a reliable provisional response by PRACK; false if it is not the next (RFC 3262 section 4).
    fn confirm_reliable(
        &mut self,
        now: Instant,
        call: &mut Call,
        invite: &Request,
        way: Way,
        response: &Response,
    ) -> bool {
        let number = response.headers.seconds(&Name::RSeq);
        let (Some(number), Some(their_tag), Stage::Placing(placing)) = (number, response.to_tag(), &mut call.stage)
        else {
            return false;
        };
        let room = placing.reliable.len() < MAX_EARLY;
        match placing.reliable.iter_mut().find(|(tag, _)| tag == their_tag) {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            Some(_) => return false,
            None if room => placing.reliable.push((their_tag.to_owned(), number)),
            None => return false,
        }
        let Some(mut early) = Dialog::outgoing(invite, response, way) else {
            return false;
        };
        early.local_seq = call.dialog.local_seq;
        let mut prack = early.request(Method::Prack);
        call.dialog.local_seq = early.local_seq;
        let seq = invite.cseq().map_or(FIRST_SEQ, |(seq, _)| seq);
        prack.headers.push(Name::RAck, format!("{number} {seq} INVITE"));
        let key = call.key;
        let mut scratch = Call::new(key, call.peer, early, Stage::Talking);
        self.settle(&mut scratch);
        self.send_inside(now, &scratch, Owner::Prack(key), prack);
        true
    }

    fn accepted(
        &mut self,
        now: Instant,
        mut call: Box<Call>,
        invite: &Request,
        way: Way,
        response: &Response,
    ) -> Option<(Way, Vec<u8>)> {
        let Stage::Placing(placing) = std::mem::replace(&mut call.stage, Stage::Talking) else {
            self.put_back(call);
            return None;
        };
        let local_seq = call.dialog.local_seq;
        if let Some(dialog) = Dialog::outgoing(invite, response, way) {
            call.dialog = dialog;
            call.dialog.local_seq = local_seq;
        }
        self.settle(&mut call);
        let ack = self.acknowledge(&call.dialog, invite, way);
        if let Some(reason) = placing.hung_up {
            self.say_bye(now, &mut call, &reason);
            self.end(now, call, by_us(None, reason));
            return ack;
        }
        let remote = match sdp_part_of_response(response) {
            SdpPart::Some(sdp) => self.read_answer(&call, &placing.offer, sdp, way.to.ip()).ok(),
            // The answer came with a reliable provisional response.
            SdpPart::None | SdpPart::Foreign => placing.early,
        };
        let Some(remote) = remote else {
            self.say_bye(now, &mut call, NO_SOUND);
            self.end(now, call, by_us(Some(488), NO_SOUND));
            return ack;
        };
        self.leave_setup(&mut call);
        call.takes_update = allows(&response.headers, &Method::Update);
        call.session = session::answered(&response.headers).map(|agreed| SessionTimer::start(now, agreed, true));
        call.remote = Some(remote.clone());
        self.tell(SipEvent::Established { call: call.key, remote });
        self.put_back(call);
        ack
    }

    pub(super) fn refused(&mut self, now: Instant, call: Box<Call>, response: &Response) {
        let status = Some(response.status);
        let hung_up = match &call.stage {
            Stage::Placing(placing) => placing.hung_up.clone(),
            Stage::Waiting(_) | Stage::Unacked(_) | Stage::Talking => None,
        };
        let cause = match hung_up {
            Some(text) => by_us(status, text),
            None => Cause { by: EndedBy::Peer, status, text: told_text(&response.reason) },
        };
        self.end(now, call, cause);
    }

    /// Nobody answered the INVITE of a call of ours, or it could not even leave.
    pub(crate) fn invite_unanswered(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.take_out(key) else {
            return;
        };
        match &call.stage {
            Stage::Placing(placing) => {
                let cause = placing.hung_up.clone().map_or_else(silence, |text| by_us(None, text));
                self.end(now, call, cause);
            }
            Stage::Waiting(_) | Stage::Unacked(_) | Stage::Talking => self.put_back(call),
        }
    }

    /// Whether a call of ours still wants an answer.
    pub(crate) fn wants_answer(&self, key: CallKey) -> bool {
        match self.calls.get(&key).map(|call| &call.stage) {
            Some(Stage::Placing(placing)) => placing.hung_up.is_none(),
            Some(Stage::Waiting(_) | Stage::Unacked(_) | Stage::Talking) | None => false,
        }
    }

    /// Sends the ACK of a 2xx; by the dialog's way, or by the INVITE's where that one is not open.
    pub(crate) fn acknowledge(&mut self, dialog: &Dialog, invite: &Request, way: Way) -> Option<(Way, Vec<u8>)> {
        let ack = dialog.ack(invite)?;
        let hop = dialog.hop;
        let flow = self.flows.towards(hop.transport, hop.to, &hop.to.ip().to_string(), Some(hop.flow));
        let way = flow.map_or(way, |flow| Way { flow, transport: hop.transport, to: hop.to });
        self.send_ack(ack, way, Some(dialog.source))
    }

    /// Sends an ACK that is a transaction of its own; gives it for when it is to be sent again.
    pub(crate) fn send_ack(
        &mut self,
        mut ack: Request,
        way: Way,
        seen_as: Option<std::net::IpAddr>,
    ) -> Option<(Way, Vec<u8>)> {
        let public = self.flows.public(&self.config, way.flow, seen_as)?;
        let branch = ClientKey { branch: self.chance.number(), cancel: false }.branch();
        let via = crate::message::Via::new(way.transport.as_str(), public, branch);
        ack.headers.push_front(Name::Via, via.to_string());
        let bytes = ack.write();
        self.send(way, bytes.clone());
        Some((way, bytes))
    }
}
