//! From our answer to its ACK, and what confirms the ringing before it (RFC 3262).

use std::sync::Arc;
use std::time::Instant;

use super::body::{SdpPart, sdp_part};
use super::session::{Agreed, SessionTimer};
use super::{Call, NO_SOUND, Stage, by_us, silence};
use crate::config::Transport;
use crate::endpoint::{Endpoint, Stamped};
use crate::event::SipEvent;
use crate::message::{Name, Request};
use crate::sdp::OwnOffer;
use crate::types::{CallKey, RemoteMedia};

/// A call that we answered and that is not acknowledged.
#[derive(Debug)]
pub(crate) struct Unacked {
    pub(super) server: Arc<str>,
    pub(super) seq: u32,
    /// The far end, where its offer came with the INVITE.
    pub(super) agreed: Option<RemoteMedia>,
    /// Our offer, where it did not: the ACK answers it.
    pub(super) offer: Option<OwnOffer>,
    pub(super) session: Option<Agreed>,
    /// We hung up meanwhile: BYE waits for the ACK (RFC 3261 section 15).
    pub(super) hung_up: Option<String>,
    /// Number of a provisional response whose PRACK may still come.
    pub(super) unconfirmed: Option<u32>,
}

impl Endpoint {
    /// PRACK: confirms a provisional response of ours (RFC 3262 section 3); gives the status to answer it with.
    pub(super) fn confirm(&mut self, call: &mut Call, prack: &Request) -> u16 {
        let told = prack.headers.get(&Name::RAck).map(|value| value.split_ascii_whitespace().collect::<Vec<_>>());
        let Some([number, seq, "INVITE"]) = told.as_deref() else {
            return 400;
        };
        let (Ok(number), Ok(seq)) = (number.parse::<u32>(), seq.parse::<u32>()) else {
            return 400;
        };
        match &mut call.stage {
            Stage::Waiting(arrival) => {
                let invite_seq = arrival.invite.cseq().map(|(seq, _)| seq);
                let waited = arrival.unconfirmed.as_ref().map(|unconfirmed| unconfirmed.number);
                if waited != Some(number) || invite_seq != Some(seq) {
                    return 481;
                }
                arrival.unconfirmed = None;
                // It came from where our response went.
                if let Some(server) = self.servers.get_mut(&arrival.server) {
                    server.prove();
                }
                200
            }
            Stage::Unacked(unacked) if unacked.unconfirmed == Some(number) && unacked.seq == seq => {
                unacked.unconfirmed = None;
                200
            }
            Stage::Talking if call.unconfirmed == Some((number, seq)) => {
                call.unconfirmed = None;
                200
            }
            Stage::Unacked(_) | Stage::Placing(_) | Stage::Talking => 481,
        }
    }

    /// An ACK that the dialog matched.
    pub(crate) fn acknowledged(&mut self, now: Instant, key: CallKey, stamped: &Stamped) {
        let Some(mut call) = self.take_out(key) else {
            return;
        };
        let seq = stamped.request.cseq().map_or(0, |(seq, _)| seq);
        match std::mem::replace(&mut call.stage, Stage::Talking) {
            Stage::Unacked(unacked) if unacked.seq == seq => {
                self.is_heard(now, &call, &unacked);
                self.established(now, call, *unacked, &stamped.request);
            }
            Stage::Talking => self.reinvite_acknowledged(now, call, seq, &stamped.request),
            other @ (Stage::Unacked(_) | Stage::Waiting(_) | Stage::Placing(_)) => {
                call.stage = other;
                self.put_back(call);
            }
        }
    }

    /// Only who heard our answer knows the tag in it: somebody where it went. Where the request that shows it came from,
    /// anybody can write.
    fn is_heard(&mut self, now: Instant, call: &Call, unacked: &Unacked) {
        let heard_at = self.servers.get(&unacked.server).map(|server| server.way.to.ip());
        if let Some(ip) = heard_at.filter(|_| call.peer.is_none()) {
            self.prove(now, ip);
        }
    }

    /// A change of the sound that is asked for before the ACK came: a proxy with several workers lets the one overtake the
    /// other. Who asks has our answer, so the call stands (RFC 5407 section 3.1.5); where the ACK must bring something, it is
    /// waited for.
    pub(super) fn overtook_ack(&mut self, now: Instant, call: &mut Call) {
        match std::mem::replace(&mut call.stage, Stage::Talking) {
            Stage::Unacked(mut unacked) if unacked.hung_up.is_none() && unacked.agreed.is_some() => {
                self.is_heard(now, call, &unacked);
                self.stop_repeating(now, &unacked.server);
                self.settle(call);
                if let Some(remote) = unacked.agreed.take() {
                    self.stands(now, call, &unacked, remote);
                }
            }
            other @ (Stage::Unacked(_) | Stage::Talking | Stage::Waiting(_) | Stage::Placing(_)) => call.stage = other,
        }
    }

    pub(super) fn established(&mut self, now: Instant, mut call: Box<Call>, mut unacked: Unacked, ack: &Request) {
        self.stop_repeating(now, &unacked.server);
        self.settle(&mut call);
        if let Some(reason) = unacked.hung_up.take() {
            self.say_bye(now, &mut call, &reason);
            return self.end(now, call, by_us(None, reason));
        }
        let held_at = call.dialog.source;
        let remote = unacked.agreed.take().or_else(|| match (&unacked.offer, sdp_part(ack)) {
            (Some(offer), SdpPart::Some(sdp)) => self.read_answer(&call, offer, sdp, held_at).ok(),
            _ => None,
        });
        let Some(remote) = remote else {
            self.say_bye(now, &mut call, NO_SOUND);
            return self.end(now, call, by_us(Some(488), NO_SOUND));
        };
        self.stands(now, &mut call, &unacked, remote);
        self.put_back(call);
    }

    /// Both ends know the answer: the call runs.
    fn stands(&mut self, now: Instant, call: &mut Call, unacked: &Unacked, remote: RemoteMedia) {
        self.leave_setup(call);
        call.unconfirmed = unacked.unconfirmed.map(|number| (number, unacked.seq));
        call.session = unacked.session.map(|agreed| SessionTimer::start(now, agreed, false));
        call.remote = Some(remote.clone());
        self.tell(SipEvent::Established { call: call.key, remote });
    }

    /// Nobody acknowledged a 2xx of ours.
    pub(crate) fn unacknowledged(&mut self, now: Instant, key: CallKey, seq: u32) {
        let Some(mut call) = self.take_out(key) else {
            return;
        };
        let waited = match &call.stage {
            Stage::Unacked(unacked) => unacked.seq == seq,
            Stage::Talking => call.reinvited.as_ref().is_some_and(|reinvited| reinvited.seq == seq),
            Stage::Waiting(_) | Stage::Placing(_) => false,
        };
        if waited {
            // Who never proved that he hears us may not even exist: nothing more is sent to an address that he wrote.
            let unproven = call.peer.is_none()
                && call.dialog.hop.transport == Transport::Udp
                && !self.is_proven(now, call.dialog.hop.to.ip());
            if !unproven {
                self.say_bye(now, &mut call, "no ACK");
            }
            self.end(now, call, silence());
        } else {
            self.put_back(call);
        }
    }

    /// What hanging up means for a call that came and is not acknowledged yet.
    pub(super) fn hang_up_unacked(&mut self, mut call: Box<Call>, text: String) {
        if let Stage::Unacked(unacked) = &mut call.stage {
            unacked.hung_up.get_or_insert(text);
        }
        self.put_back(call);
    }
}
