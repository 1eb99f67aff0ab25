//! The side that asks.

use std::time::{Duration, Instant};

use super::server::MAGIC;
use super::{LIFE_T1, Repeat};
use crate::config::Timers;
use crate::endpoint::{Parcel, Way};
use crate::message::{Method, Response};

/// What tells a client transaction from others: the branch we wrote, and whether it is a CANCEL, which has its INVITE's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClientKey {
    pub(crate) branch: u64,
    pub(crate) cancel: bool,
}

impl ClientKey {
    /// The branch as it is written.
    pub(crate) fn branch(self) -> String {
        format!("{MAGIC}{:016x}", self.branch)
    }

    /// The key of the transaction that a response belongs to, if we wrote its branch.
    pub(crate) fn of(response: &Response) -> Option<Self> {
        let via = response.top_via()?;
        let branch = crate::endpoint::untag(via.branch.as_deref()?.strip_prefix(MAGIC)?)?;
        let (_, method) = response.cseq()?;
        Some(Self { branch, cancel: method == Method::Cancel })
    }
}

/// A transaction in which we ask.
#[derive(Debug)]
pub(crate) struct Client {
    /// The request, for whom it is, and where else it may go.
    pub(crate) parcel: Parcel,
    pub(crate) way: Way,
    /// When the alarm is set for.
    pub(crate) alarm: Option<Instant>,
    state: State,
    bytes: Box<[u8]>,
    repeat: Option<Repeat>,
    until: Option<Instant>,
    /// Answers a final response to an INVITE that comes again; by the tag of who gave it.
    acks: Vec<(String, Way, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    /// A 2xx to an INVITE was heard; others may follow (RFC 6026 section 7.2).
    Accepted,
    /// The final response was heard; only repetitions may still come.
    Resting,
}

/// What a response means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// For whoever asked.
    New,
    /// Acknowledge it as before.
    Again(Way, Vec<u8>),
    /// Nothing.
    Old,
}

/// How long a change of a call may take that somebody has begun to think about (as long as timer C, RFC 3261 section 16.8).
const CHANGE_TIME: Duration = Duration::from_secs(180);
/// Forks of one INVITE that are answered; more are no telephone but an attack.
const MAX_FORKS: usize = 8;

impl Client {
    pub(crate) fn new(now: Instant, timers: &Timers, parcel: Parcel, way: Way, bytes: Vec<u8>) -> Self {
        let longest = (parcel.request.method != Method::Invite).then_some(timers.t2);
        let repeat = (!way.transport.reliable()).then(|| Repeat::new(now, timers, longest));
        let until = Some(now + timers.t1 * LIFE_T1);
        let bytes = bytes.into_boxed_slice();
        Self { parcel, way, alarm: None, state: State::Calling, bytes, repeat, until, acks: Vec::new() }
    }

    fn is_invite(&self) -> bool {
        self.parcel.request.method == Method::Invite
    }

    /// Takes a response.
    pub(crate) fn hear(&mut self, now: Instant, timers: &Timers, status: u16, tag: &str) -> Heard {
        let invite = self.is_invite();
        match (self.state, status) {
            (State::Calling | State::Proceeding, 100..=199) => {
                let first = self.state == State::Calling;
                self.state = State::Proceeding;
                if invite {
                    self.repeat = None;
                    if first {
                        // Whoever calls decides how long it may ring; a change of a call that is up rings nowhere, and no
                        // further 1xx prolongs it.
                        self.until = self.parcel.request.to_tag().is_some().then(|| now + CHANGE_TIME);
                    }
                } else if self.repeat.is_some() {
                    self.repeat = Some(Repeat::steady(now, timers.t2));
                }
                Heard::New
            }
            (State::Calling | State::Proceeding, _) => {
                self.repeat = None;
                let reliable = self.way.transport.reliable();
                let rest = match (invite, status < 300, reliable) {
                    (true, true, _) | (true, false, false) => Some(timers.t1 * LIFE_T1),
                    (false, _, false) => Some(timers.t4),
                    (_, _, true) => None,
                };
                self.state = if invite && status < 300 { State::Accepted } else { State::Resting };
                self.until = Some(rest.map_or(now, |rest| now + rest));
                Heard::New
            }
            (State::Accepted, 200..=299) => self.acked(tag).unwrap_or(Heard::New),
            (State::Resting, 300..=699) if invite => self.acked(tag).unwrap_or(Heard::Old),
            (State::Accepted | State::Resting, _) => Heard::Old,
        }
    }

    fn acked(&self, tag: &str) -> Option<Heard> {
        let ack =
            self.acks.iter().find(|(acked, ..)| acked == tag).map(|(_, way, ack)| Heard::Again(*way, ack.clone()));
        ack.or_else(|| (self.acks.len() >= MAX_FORKS).then_some(Heard::Old))
    }

    /// Remembers what a final response of this tag is acknowledged by.
    pub(crate) fn remember_ack(&mut self, tag: String, way: Way, ack: Vec<u8>) {
        if self.acks.len() < MAX_FORKS {
            self.acks.push((tag, way, ack));
        }
    }

    /// Waits for a final response no longer than this: a CANCEL may be lost on the other side.
    pub(crate) fn give_up_at(&mut self, at: Instant) {
        if matches!(self.state, State::Calling | State::Proceeding) {
            self.until = Some(self.until.map_or(at, |until| until.min(at)));
        }
    }

    /// Whether no final response was heard yet.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        match (self.repeat.map(|repeat| repeat.next()), self.until) {
            (Some(repeat), Some(until)) => Some(repeat.min(until)),
            (repeat, until) => repeat.or(until),
        }
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// The request, if it is time to repeat it.
    pub(crate) fn again(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.repeat.as_mut()?.is_time(now).then(|| self.bytes.to_vec())
    }

    /// About how many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        let acks: usize = self.acks.iter().map(|(tag, _, ack)| tag.len() + ack.len()).sum();
        size_of::<Self>() + self.bytes.len() * 3 + acks
    }
}
