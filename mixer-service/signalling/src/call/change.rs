//! What we ask for inside a call: a refresh of the session, holding and taking back.

use std::time::{Duration, Instant};

use super::body::{SdpPart, sdp_part_of_response};
use super::session::{self, Refresher, SessionTimer, session_expires};
use super::{Call, Stage, silence};
use crate::endpoint::{Endpoint, Owner, SDP, SUPPORTED, Way};
use crate::message::{Method, Name, Request, Response};
use crate::sdp::OwnOffer;
use crate::types::{CallKey, Cause, EndedBy};

/// A change that we want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The session goes on.
    Refresh,
    /// He is held, or taken back.
    Hold(bool),
}

/// A change that is not answered yet.
#[derive(Debug)]
pub(crate) struct Changing {
    change: Change,
    /// Our offer, if it is a re-INVITE.
    offer: Option<OwnOffer>,
    /// Whether it is an UPDATE.
    update: bool,
}

impl Changing {
    /// Whether it offers sound: two offers at a time must not cross (RFC 3264 section 4).
    pub(crate) const fn offers(&self) -> bool {
        self.offer.is_some()
    }
}

/// A change that waits for another to end is tried again after this.
const AFTER_ANOTHER: Duration = Duration::from_millis(500);

impl Endpoint {
    /// Holds a call or takes it back.
    pub(crate) fn hold(&mut self, now: Instant, key: CallKey, held: bool) {
        let Some(mut call) = self.take_out(key) else {
            return;
        };
        if matches!(call.stage, Stage::Talking) {
            self.begin_change(now, &mut call, Change::Hold(held));
        }
        self.put_back(call);
    }

    pub(super) fn begin_change(&mut self, now: Instant, call: &mut Call, change: Change) {
        if call.changing.is_some() || call.reinvited.is_some() {
            // Whatever waits refreshes the session too.
            if change != Change::Refresh || call.again.is_none() {
                call.again = Some((now + AFTER_ANOTHER, change));
            }
            return;
        }
        if let Change::Hold(held) = change {
            call.held = held;
        }
        let update = change == Change::Refresh && call.takes_update;
        let Some(local) = call.local else {
            return;
        };
        let mut request = call.dialog.request(if update { Method::Update } else { Method::Invite });
        let headers = &mut request.headers;
        headers.push(Name::Contact, &*call.dialog.contact);
        headers.push(Name::Supported, SUPPORTED);
        if let Some(session) = &call.session {
            let refresher = if session.ours { Refresher::Asker } else { Refresher::Answerer };
            headers.push(Name::SessionExpires, session_expires(session.interval_s, Some(refresher)));
            headers.push(Name::MinSe, self.config.min_se_s.to_string());
        }
        let offer = (!update).then(|| {
            call.next_version();
            self.own_offer(call, local, call.dialog.source)
        });
        if let Some(offer) = &offer {
            request.headers.push(Name::Allow, crate::endpoint::ALLOW);
            request.headers.push(Name::ContentType, SDP);
            request.body = offer.text().as_bytes().to_vec();
        }
        call.changing = Some(Changing { change, offer, update });
        self.send_inside(now, call, Owner::Change(call.key), request);
    }

    /// An answer to a change of ours, or none; gives what acknowledges it, where it is a 2xx to an INVITE.
    pub(crate) fn change_answered(
        &mut self,
        now: Instant,
        key: CallKey,
        request: &Request,
        way: Option<Way>,
        response: Option<&Response>,
    ) -> Option<(Way, Vec<u8>)> {
        let Some(mut call) = self.take_out(key) else {
            // We hung up meanwhile; nobody else acknowledges what crossed our BYE.
            let accepted = response.filter(|response| (200..300).contains(&response.status))?;
            return (request.method == Method::Invite)
                .then(|| self.acknowledge_late(request, way?, accepted))
                .flatten();
        };
        let status = response.map(|response| response.status);
        if matches!(status, Some(100..=199)) {
            self.put_back(call);
            return None;
        }
        let accepted = response.filter(|response| response.status < 300);
        if let Some(response) = accepted {
            call.dialog.refresh(&response.headers);
            self.settle(&mut call);
        }
        let ack = accepted.zip(way).filter(|_| request.method == Method::Invite);
        let ack = ack.and_then(|(_, way)| self.acknowledge(&call.dialog, request, way));
        let Some(changing) = call.changing.take() else {
            self.put_back(call);
            return ack;
        };
        match (status, accepted) {
            (_, Some(response)) => self.change_accepted(now, &mut call, &changing, response),
            (Some(481), _) => {
                self.end(now, call, Cause { by: EndedBy::Peer, status, text: String::new() });
                return ack;
            }
            (None | Some(408), _) => {
                self.say_bye(now, &mut call, "no answer");
                self.end(now, call, silence());
                return ack;
            }
            (Some(status), _) => self.change_refused(now, &mut call, &changing, status, response),
        }
        self.put_back(call);
        ack
    }

    fn change_accepted(&mut self, now: Instant, call: &mut Call, changing: &Changing, response: &Response) {
        if let Some(agreed) = session::answered(&response.headers) {
            call.session = Some(SessionTimer::start(now, agreed, true));
        } else if changing.change == Change::Refresh {
            // Who answers a refresh without a timer has dropped it (RFC 4028 section 7.2).
            call.session = None;
        }
        if let (Some(offer), SdpPart::Some(sdp)) = (&changing.offer, sdp_part_of_response(response))
            && let Ok(remote) = self.read_answer(call, offer, sdp, call.dialog.source)
        {
            self.change_to(call, remote);
        }
    }

    fn change_refused(
        &mut self,
        now: Instant,
        call: &mut Call,
        changing: &Changing,
        status: u16,
        response: Option<&Response>,
    ) {
        let change = changing.change;
        match status {
            491 => {
                // Who owns the Call-ID waits longer (RFC 3261 section 14.1).
                let wait = self.chance.jittered(Duration::from_millis(2_000));
                let wait = if call.key.is_placed() { wait + Duration::from_millis(2_100) } else { wait };
                call.again = Some((now + wait, change));
            }
            422 => {
                let floor = response.and_then(|response| response.headers.seconds(&Name::MinSe));
                if let (Some(session), Some(floor)) = (&mut call.session, floor)
                    && floor > session.interval_s
                {
                    session.interval_s = floor;
                    call.again = Some((now, change));
                }
            }
            405 | 501 if changing.update => {
                call.takes_update = false;
                call.again = Some((now, change));
            }
            _ => match change {
                Change::Refresh => {
                    if let Some(session) = &mut call.session {
                        session.retry(now);
                    }
                }
                Change::Hold(held) => call.held = !held,
            },
        }
    }
}
