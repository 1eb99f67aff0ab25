//! What was said on the wire, call by call, for whoever must find out why a call failed.
//!
//! Kept in memory alone and only as far as it may be shown (see `redact`): no credentials, no keys, no digits, numbers
//! masked. Everything is bounded; a call that the endpoint knows stays longer than what strangers send.

mod ladder;
mod mask;
mod of_call;
mod redact;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

pub use ladder::ladder;

use crate::config::Transport;
use crate::gate::scan;
use crate::types::CallKey;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceBounds {
    /// Calls; the one silent for longest goes first, those before all that never became a call.
    pub calls: usize,
    /// Messages of a call; beyond it those in the middle go.
    pub messages: usize,
    /// Bytes of a message.
    pub message_bytes: usize,
    /// Bytes in all.
    pub bytes: usize,
}

impl Default for TraceBounds {
    fn default() -> Self {
        Self { calls: 1_000, messages: 64, message_bytes: 4_096, bytes: 8 << 20 }
    }
}

/// A Call-ID longer than this is nobody's; its messages are not kept.
const MAX_CALL_ID_LEN: usize = 256;
/// What an entry costs beside its text.
const ENTRY_BYTES: usize = size_of::<Entry>();

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To us.
    In,
    /// From us.
    Out,
}

/// A message, as far as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Instant,
    /// Which way.
    pub way: Way,
    /// The other end.
    pub peer: SocketAddr,
    /// How.
    pub transport: Transport,
    /// The message with everything hidden that nobody needs to see; lines end with `\n`.
    pub text: String,
    /// Messages that came after this one and were left out.
    pub left_out_after: usize,
}

/// One of the calls kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary<'a> {
    /// Its Call-ID.
    pub call_id: &'a str,
    /// Its key, where it became a call.
    pub call: Option<CallKey>,
    /// When its first message passed.
    pub began: Instant,
    /// When its last message passed.
    pub last: Instant,
    /// The first line of its first message.
    pub first_line: &'a str,
    /// The other end of its first message.
    pub peer: SocketAddr,
    /// Messages seen, those left out included.
    pub messages: usize,
}

/// The messages of the latest calls.
pub struct Traces {
    bounds: TraceBounds,
    traces: BTreeMap<String, Trace>,
    /// Who goes first: not yet calls before calls, and of those the one longest silent.
    order: BTreeMap<Turn, String>,
    /// Rises with each message.
    turn: u64,
    bytes: usize,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("calls", &self.traces.len()).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Whether it is a call, and when it was last heard of.
type Turn = (bool, u64);

#[derive(Debug, Default)]
struct Trace {
    call: Option<CallKey>,
    entries: Vec<Entry>,
    bytes: usize,
    last_turn: u64,
}

impl Traces {
    /// Keeps nothing yet.
    #[must_use]
    pub const fn new(bounds: TraceBounds) -> Self {
        Self { bounds, traces: BTreeMap::new(), order: BTreeMap::new(), turn: 0, bytes: 0 }
    }

    /// Keeps a message under its Call-ID; one without is not kept.
    pub fn note(&mut self, now: Instant, way: Way, peer: SocketAddr, transport: Transport, message: &[u8]) {
        let Some(call_id) = call_id(message) else { return };
        let mut text = redact::redact(message, way);
        cut(&mut text, self.bounds.message_bytes);
        let entry = Entry { at: now, way, peer, transport, text, left_out_after: 0 };
        if !self.traces.contains_key(&call_id) {
            self.make_room(self.bounds.calls.max(1) - 1, self.bounds.bytes);
        }
        let bytes_before = self.traces.get(&call_id).map_or(0, |trace| trace.bytes);
        let trace = self.traces.entry(call_id.clone()).or_default();
        trace.push(entry, self.bounds.messages.max(2));
        self.bytes = self.bytes + trace.bytes - bytes_before;
        let name = self.order.remove(&trace.turn()).unwrap_or(call_id);
        self.turn += 1;
        trace.last_turn = self.turn;
        self.order.insert(trace.turn(), name);
        self.make_room(usize::MAX, self.bounds.bytes);
    }

    /// Says that a Call-ID became a call: it stays longer, and is found by its key.
    pub fn bind(&mut self, call: CallKey, call_id: &str) {
        let Some(trace) = self.traces.get_mut(call_id) else { return };
        let Some(name) = self.order.remove(&trace.turn()) else { return };
        trace.call = Some(call);
        self.order.insert(trace.turn(), name);
    }

    /// Says that the message kept last belongs to a call: for who learns of a call by that message.
    pub fn bind_latest(&mut self, call: CallKey) {
        let latest = [(true, self.turn), (false, self.turn)].iter().find_map(|turn| self.order.get(turn));
        if let Some(call_id) = latest.cloned() {
            self.bind(call, &call_id);
        }
    }

    /// The messages of a call, the oldest first.
    #[must_use]
    pub fn of(&self, call: CallKey) -> Option<&[Entry]> {
        self.traces.values().find(|trace| trace.call == Some(call)).map(|trace| trace.entries.as_slice())
    }

    /// The messages under a Call-ID, or under the only one that begins so.
    #[must_use]
    pub fn of_call_id(&self, call_id: &str) -> Option<&[Entry]> {
        if let Some(trace) = self.traces.get(call_id) {
            return Some(&trace.entries);
        }
        let mut beginning = self.traces.range(call_id.to_owned()..).take_while(|(known, _)| known.starts_with(call_id));
        let (_, found) = beginning.next()?;
        beginning.next().is_none().then_some(&found.entries)
    }

    /// All that is kept, the latest first.
    #[must_use]
    pub fn recent(&self) -> Vec<Summary<'_>> {
        let mut traces: Vec<_> = self.traces.iter().collect();
        traces.sort_by_key(|(_, trace)| std::cmp::Reverse(trace.last_turn));
        traces.into_iter().filter_map(|(call_id, trace)| trace.summary(call_id)).collect()
    }

    /// Forgets whole traces until so many calls and bytes are left.
    fn make_room(&mut self, calls: usize, bytes: usize) {
        while self.traces.len() > calls || self.bytes > bytes {
            let Some((_, call_id)) = self.order.pop_first() else { return };
            self.bytes -= self.traces.remove(&call_id).map_or(0, |trace| trace.bytes);
        }
    }
}

impl Trace {
    const fn turn(&self) -> Turn {
        (self.call.is_some(), self.last_turn)
    }

    fn push(&mut self, entry: Entry, most: usize) {
        self.bytes += entry.text.len() + ENTRY_BYTES;
        self.entries.push(entry);
        if self.entries.len() > most {
            // The beginning tells how it was agreed, the end how it failed.
            let middle = most / 2;
            let gone = self.entries.remove(middle);
            self.bytes -= gone.text.len() + ENTRY_BYTES;
            self.entries[middle - 1].left_out_after += 1 + gone.left_out_after;
        }
    }

    fn summary<'a>(&'a self, call_id: &'a str) -> Option<Summary<'a>> {
        let (first, last) = (self.entries.first()?, self.entries.last()?);
        let left_out: usize = self.entries.iter().map(|entry| entry.left_out_after).sum();
        Some(Summary {
            call_id,
            call: self.call,
            began: first.at,
            last: last.at,
            first_line: first.text.lines().next().unwrap_or_default(),
            peer: first.peer,
            messages: self.entries.len() + left_out,
        })
    }
}

/// The Call-ID of a message, found without parsing it.
fn call_id(message: &[u8]) -> Option<String> {
    let line = scan::lines(message).find(|line| line.is(b"call-id", b'i'))?;
    let call_id = std::str::from_utf8(line.value).ok()?;
    let fits = (1..=MAX_CALL_ID_LEN).contains(&call_id.len()) && call_id.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| call_id.to_owned())
}

fn cut(text: &mut String, len: usize) {
    if text.len() > len {
        text.truncate(text.floor_char_boundary(len));
        text.push_str("…\n");
    }
}
