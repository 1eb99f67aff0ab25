//! A call: what it is at each moment, and what all its moments share.
//!
//! `incoming` and `unacked` take it from the INVITE to the ACK; `line`, `outgoing`, `detour` and `giving_up` from the order to
//! the answer. `running` serves what both ends may ask for in between and after, `change` is what we ask for ourselves,
//! and `session` keeps a call from outliving its end.

mod body;
mod change;
mod detour;
mod digits;
mod giving_up;
mod incoming;
mod line;
mod outgoing;
mod running;
mod session;
mod sound;
mod unacked;

use std::sync::Arc;
use std::time::Instant;

pub(crate) use body::{is_dialable, told_text};
pub(crate) use change::{Change, Changing};
pub(crate) use incoming::Arrival;
pub(crate) use line::bracketed;
pub(crate) use outgoing::Placing;
pub(crate) use session::SessionTimer;
pub(crate) use unacked::Unacked;

use crate::config::PeerId;
use crate::dialog::Dialog;
use crate::endpoint::{Endpoint, Waiter, untag};
use crate::event::{FlowId, SipEvent};
use crate::sdp::{OurSession, OwnOffer};
use crate::types::{CallKey, Cause, EndedBy, LocalMedia, RemoteMedia};

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) key: CallKey,
    pub(crate) peer: Option<PeerId>,
    pub(crate) dialog: Dialog,
    pub(crate) stage: Stage,
    /// Our end of the sound; none before we answer.
    pub(crate) local: Option<LocalMedia>,
    /// The far end, once agreed.
    pub(crate) remote: Option<RemoteMedia>,
    pub(crate) ours: OurSession,
    /// Whether we hold the call.
    pub(crate) held: bool,
    pub(crate) session: Option<SessionTimer>,
    /// Whether the other side takes UPDATE (RFC 3311).
    pub(crate) takes_update: bool,
    /// Whether a NAT stands before the other side: its own address leads nowhere.
    pub(crate) behind_nat: bool,
    /// Until when a probe must be answered.
    pub(crate) probed: Option<Instant>,
    /// A re-INVITE or an UPDATE of ours that is not answered yet.
    pub(crate) changing: Option<Changing>,
    /// A change of ours that is tried again then: the other side was changing too (section 14.1).
    pub(crate) again: Option<(Instant, Change)>,
    /// A re-INVITE of theirs that we accepted and that is not acknowledged yet.
    pub(crate) reinvited: Option<Reinvited>,
    /// A reliable provisional response whose PRACK may still come: its number and the INVITE's.
    pub(crate) unconfirmed: Option<(u32, u32)>,
    /// In which tables it stands.
    pub(crate) in_setup: bool,
    pub(crate) initial: Option<u64>,
    /// The stream that it is noted to run on.
    pub(crate) rides: Option<FlowId>,
    pub(crate) alarm: Option<Instant>,
}

/// How far a call is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Somebody calls, and the switchboard has not decided.
    Waiting(Box<Arrival>),
    /// We answered; the ACK is missing.
    Unacked(Box<Unacked>),
    /// We call, and nobody has answered.
    Placing(Box<Placing>),
    /// Both ends agree.
    Talking,
}

/// A re-INVITE that waits for its ACK.
#[derive(Debug)]
pub(crate) struct Reinvited {
    pub(crate) server: Arc<str>,
    pub(crate) seq: u32,
    /// Our offer, if theirs was missing: the ACK answers it.
    pub(crate) offer: Option<OwnOffer>,
}

impl Call {
    pub(crate) fn new(key: CallKey, peer: Option<PeerId>, dialog: Dialog, stage: Stage) -> Self {
        Self {
            key,
            peer,
            dialog,
            stage,
            local: None,
            remote: None,
            ours: OurSession { id: u32::try_from(key.0 & 0xffff_ffff).unwrap_or_default(), version: 0 },
            held: false,
            session: None,
            takes_update: false,
            behind_nat: false,
            probed: None,
            changing: None,
            again: None,
            reinvited: None,
            unconfirmed: None,
            in_setup: true,
            initial: None,
            rides: None,
            alarm: None,
        }
    }

    /// Whether it is a call of ours that nobody has answered.
    pub(crate) const fn is_placing(&self) -> bool {
        matches!(self.stage, Stage::Placing(_))
    }

    /// When it is to be woken next.
    fn due(&self) -> Option<Instant> {
        let stage = match &self.stage {
            Stage::Waiting(arrival) => Some(arrival.due()),
            Stage::Placing(placing) => Some(placing.due()),
            Stage::Unacked(_) | Stage::Talking => None,
        };
        let again = self.again.as_ref().map(|(at, _)| *at);
        let session = self.session.as_ref().map(SessionTimer::due);
        [stage, self.probed, again, session].into_iter().flatten().min()
    }

    /// The next version of our description.
    pub(crate) fn next_version(&mut self) -> OurSession {
        self.ours.version = self.ours.version.wrapping_add(1);
        self.ours
    }

    /// About how many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        let stage = match &self.stage {
            Stage::Waiting(arrival) => arrival.size(),
            Stage::Unacked(unacked) => size_of::<Unacked>() + unacked.server.len(),
            Stage::Placing(placing) => placing.size(),
            Stage::Talking => 0,
        };
        size_of::<Self>() + self.dialog.size() + stage
    }
}

/// The end of a call that nobody can answer any more.
pub(crate) const fn silence() -> Cause {
    Cause { by: EndedBy::Silence, status: None, text: String::new() }
}

pub(crate) fn by_us(status: Option<u16>, text: impl Into<String>) -> Cause {
    Cause { by: EndedBy::Us, status, text: text.into() }
}

/// What we say where two ends have no sound in common.
pub(crate) const NO_SOUND: &str = "no sound that both sides know";

impl Endpoint {
    /// Puts a call into the tables.
    pub(crate) fn seat(&mut self, call: Box<Call>) {
        if let Some(number) = untag(&call.dialog.local_tag) {
            self.dialogs.insert(number, call.key);
        }
        if let Some(initial) = call.initial {
            self.initial.insert(initial, call.key);
        }
        if let Some(peer) = call.peer {
            *self.lines.entry(peer).or_default() += 1;
        }
        self.in_setup += 1;
        self.put_back(call);
    }

    /// Takes a call out to work on it; [`put_back`](Self::put_back) or [`end`](Self::end) follows.
    pub(crate) fn take_out(&mut self, key: CallKey) -> Option<Box<Call>> {
        self.calls.remove(&key)
    }

    /// Puts a call back and sets its alarm.
    pub(crate) fn put_back(&mut self, mut call: Box<Call>) {
        let flow = Some(call.dialog.hop).filter(|hop| hop.transport.reliable()).map(|hop| hop.flow);
        self.ride(&mut call, flow);
        if let Some(due) = call.due() {
            let key = call.key;
            self.alarms.set(&mut call.alarm, due, || Waiter::Call(key));
        }
        self.calls.insert(call.key, call);
    }

    /// Notes which stream a call runs on.
    fn ride(&mut self, call: &mut Call, flow: Option<FlowId>) {
        if call.rides != flow {
            if let Some(before) = std::mem::replace(&mut call.rides, flow) {
                self.riders.remove(&(before, call.key));
            }
            if let Some(flow) = flow {
                self.riders.insert((flow, call.key));
            }
        }
    }

    /// A call is confirmed and counts no longer as one in set-up.
    pub(crate) fn leave_setup(&mut self, call: &mut Call) {
        self.in_setup -= usize::from(std::mem::take(&mut call.in_setup));
    }

    /// A call is over: it leaves all tables, and the switchboard is told.
    pub(crate) fn end(&mut self, now: Instant, mut call: Box<Call>, cause: Cause) {
        self.leave_setup(&mut call);
        self.ride(&mut call, None);
        if let Some(initial) = call.initial {
            self.initial.remove(&initial);
        }
        if let Some(number) = untag(&call.dialog.local_tag) {
            self.dialogs.remove(&number);
        }
        if let Some(peer) = call.peer
            && let Some(lines) = self.lines.get_mut(&peer)
        {
            *lines -= 1;
            if *lines == 0 {
                self.lines.remove(&peer);
            }
        }
        if let Some(Reinvited { server, .. }) = call.reinvited.take() {
            self.stop_repeating(now, &server);
        }
        self.let_go(now, &call);
        self.tell(SipEvent::Ended { call: call.key, cause });
    }

    /// A 2xx of ours need not be repeated any more.
    pub(crate) fn stop_repeating(&mut self, now: Instant, server: &Arc<str>) {
        if self.servers.get_mut(server).is_some_and(crate::transaction::Server::acknowledge_acceptance) {
            self.let_rest(now, server);
        }
    }

    pub(crate) fn wake_call(&mut self, now: Instant, at: Instant, key: CallKey) {
        let Some(mut call) = self.take_out(key) else {
            return;
        };
        if call.alarm != Some(at) {
            // Another alarm is set; this one woke for what has passed since.
            self.calls.insert(key, call);
            return;
        }
        call.alarm = None;
        match &call.stage {
            Stage::Waiting(_) => self.wake_waiting(now, call),
            Stage::Placing(_) => self.wake_placing(now, call),
            Stage::Unacked(_) => self.put_back(call),
            Stage::Talking => self.wake_talking(now, call),
        }
    }

    /// About how many bytes all calls and transactions hold: what bounds are set by.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        let calls: usize = self.calls.values().map(|call| call.size()).sum();
        let servers: usize = self.servers.iter().map(|(key, server)| key.len() + server.size()).sum();
        let clients: usize = self.clients.values().map(crate::transaction::Client::size).sum();
        calls + servers + clients
    }
}
