//! The side that answers.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{LIFE_T1, Repeat};
use crate::config::Timers;
use crate::endpoint::Way;
use crate::message::{Method, Request};
use crate::types::CallKey;

/// An INVITE that nobody has answered by then gets 100, so that it is not repeated (RFC 3261 section 17.2.1).
const TRYING_AFTER: Duration = Duration::from_millis(200);

/// A transaction in which we answer.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) call: CallKey,
    pub(crate) way: Way,
    /// Sequence number of its request.
    pub(crate) seq: u32,
    invite: bool,
    /// When the alarm is set for.
    pub(crate) alarm: Option<Instant>,
    state: State,
    /// The last response, as sent; empty before the first.
    last: Box<[u8]>,
    /// Bytes that we may still send to who has not proved that he is where he says; `None`: he has.
    credit: Option<usize>,
}

#[derive(Debug)]
enum State {
    /// No response yet; an INVITE's 100 waits until then.
    Trying(Option<Instant>),
    /// A provisional response was sent.
    Proceeding,
    /// A final response to an INVITE is repeated until its ACK comes: for 2xx by the dialog, for others by this transaction.
    Repeating { accepted: bool, repeat: Option<Repeat>, until: Instant },
    /// Only repetitions may still come.
    Resting,
}

/// What an alarm leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Awake {
    /// Nothing.
    Wait,
    /// Answer 100.
    Trying,
    /// Send the last response again.
    Again,
    /// Nobody acknowledged a final response of ours; true if it was a 2xx.
    Unacknowledged(bool),
}

impl Server {
    /// `credit`: the bytes that came in, where the sender has not proved his address.
    pub(crate) fn new(now: Instant, call: CallKey, seq: u32, invite: bool, way: Way, credit: Option<usize>) -> Self {
        let trying = invite.then(|| now + TRYING_AFTER);
        Self { call, way, seq, invite, alarm: None, state: State::Trying(trying), last: Box::default(), credit }
    }

    /// Takes a response of ours; gives the bytes to send, none if the sender has no credit for them.
    pub(crate) fn respond(&mut self, now: Instant, timers: &Timers, status: u16, bytes: Vec<u8>) -> Option<Vec<u8>> {
        self.last = bytes.into_boxed_slice();
        let reliable = self.way.transport.reliable();
        self.state = match (status, self.invite) {
            (100..=199, _) => State::Proceeding,
            (_, false) => State::Resting,
            (_, true) => {
                let accepted = status < 300;
                // A 2xx is repeated over streams too: behind the next proxy there may be datagrams (section 13.3.1.4).
                let repeat = (accepted || !reliable).then(|| Repeat::new(now, timers, Some(timers.t2)));
                State::Repeating { accepted, repeat, until: now + timers.t1 * LIFE_T1 }
            }
        };
        self.again()
    }

    /// The request came again, with so many bytes.
    pub(crate) fn repeated(&mut self, len: usize) -> Option<Vec<u8>> {
        self.credit = self.credit.map(|credit| credit.saturating_add(len));
        if self.last.is_empty() { None } else { self.again() }
    }

    /// Bytes that may still go to somebody who has not proved himself.
    pub(crate) const fn credit(&self) -> Option<usize> {
        self.credit
    }

    /// The sender proved that he hears us.
    pub(crate) fn prove(&mut self) {
        self.credit = None;
    }

    /// ACK for a final response other than 2xx; false if none was waited for.
    pub(crate) fn acknowledge_refusal(&mut self) -> bool {
        let waited = matches!(self.state, State::Repeating { accepted: false, .. });
        if waited {
            self.state = State::Resting;
        }
        waited
    }

    /// ACK for a 2xx, which the dialog matched; false if it came before.
    pub(crate) fn acknowledge_acceptance(&mut self) -> bool {
        let waited = matches!(self.state, State::Repeating { accepted: true, .. });
        if waited {
            self.state = State::Resting;
        }
        waited
    }

    /// Whether only repetitions may still come.
    pub(crate) const fn rests(&self) -> bool {
        matches!(self.state, State::Resting)
    }

    /// Whether no final response was given yet.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, State::Trying(_) | State::Proceeding)
    }

    /// When to be woken.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Trying(at) => *at,
            State::Proceeding | State::Resting => None,
            State::Repeating { repeat, until, .. } => Some(repeat.map_or(*until, |repeat| repeat.next().min(*until))),
        }
    }

    pub(crate) fn wake(&mut self, now: Instant) -> Awake {
        match &mut self.state {
            State::Trying(at) if at.is_some_and(|at| at <= now) => {
                *at = None;
                // One who has not proved himself repeats his INVITE, and so pays for the answer.
                if self.credit.is_none() { Awake::Trying } else { Awake::Wait }
            }
            State::Trying(_) | State::Proceeding | State::Resting => Awake::Wait,
            State::Repeating { accepted, repeat, until } => {
                if *until <= now {
                    return Awake::Unacknowledged(*accepted);
                }
                if repeat.as_mut().is_some_and(|repeat| repeat.is_time(now)) { Awake::Again } else { Awake::Wait }
            }
        }
    }

    /// The last response, if the sender has credit for it.
    pub(crate) fn again(&mut self) -> Option<Vec<u8>> {
        if let Some(credit) = &mut self.credit {
            *credit = credit.checked_sub(self.last.len())?;
        }
        Some(self.last.to_vec())
    }

    /// About how many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.last.len()
    }
}

/// What tells a server transaction from others (section 17.2.3): branch, sent-by, and the method, ACK and CANCEL being
/// those of their INVITE. Without a branch of RFC 3261 the whole request counts.
pub(crate) fn key_of(request: &Request, as_method: &Method) -> Option<Arc<str>> {
    let via = request.top_via()?;
    let mut key = String::with_capacity(96);
    let _ = match via.branch.as_deref().filter(|branch| branch.len() > MAGIC.len() && is_magic(branch)) {
        Some(branch) => {
            write!(key, "{}|{branch}|{}:{}", as_method.as_str(), via.host.to_ascii_lowercase(), via.port.unwrap_or(0))
        }
        None => {
            let (seq, _) = request.cseq()?;
            let from = request.from_tag().unwrap_or_default();
            let call_id = request.call_id().unwrap_or_default();
            write!(key, "{}|{call_id}|{from}|{seq}|{}|{}", as_method.as_str(), request.uri, via)
        }
    };
    Some(key.into())
}

/// What branches of RFC 3261 begin with.
pub(crate) const MAGIC: &str = "z9hG4bK";

fn is_magic(branch: &str) -> bool {
    branch.get(..MAGIC.len()).is_some_and(|start| start.eq_ignore_ascii_case(MAGIC))
}
