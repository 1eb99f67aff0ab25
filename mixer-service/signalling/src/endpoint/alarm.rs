//! What waits for its time. Nothing is taken out early: what woke too soon finds that its owner waits for another instant.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use crate::config::PeerId;
use crate::transaction::ClientKey;
use crate::types::CallKey;

/// Who waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Waiter {
    /// A transaction in which we answer.
    Server(Arc<str>),
    /// A transaction in which we ask.
    Client(ClientKey),
    /// A call.
    Call(CallKey),
    /// A request that has no way yet.
    Parcel(u64),
    /// A registration.
    Registration(PeerId),
}

/// All that wait, the next first.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    heap: BinaryHeap<Reverse<(Instant, Waiter)>>,
}

impl Alarms {
    /// Wakes `waiter` at `at`, unless `set` says that it is woken before; `set` then holds when.
    pub(crate) fn set(&mut self, set: &mut Option<Instant>, at: Instant, waiter: impl FnOnce() -> Waiter) {
        if set.is_none_or(|earlier| at < earlier) {
            *set = Some(at);
            self.heap.push(Reverse((at, waiter())));
        }
    }

    /// Whose time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Instant, Waiter)> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due)
    }

    /// When somebody is to be woken next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}
