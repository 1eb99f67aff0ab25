//! Who may ask how much: looked at before anything is parsed, so that a flood costs a glance each.
//!
//! Telephone systems that the settings name pass; they are bounded by their lines. Strangers have a bucket each for
//! what begins something and a larger one for what goes on, and all of them together have one more. Beyond it a few are
//! told to come back later, the others hear nothing. Who looks for holes is banned for a while. Nothing here allocates
//! for what is dropped, and the table of sources never grows.

mod bucket;
mod busy;
pub(crate) mod scan;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bucket::{Bucket, Rate};
use scan::Kind;
use table::{Sources, Spot};

/// How much strangers may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Requests a second of one source that begin something: a call, a registration, a question.
    pub requests_per_second: u32,
    /// So many of them at once.
    pub request_burst: u32,
    /// Messages a second of one source that belong to something begun.
    pub dialog_messages_per_second: u32,
    /// So many of them at once.
    pub dialog_burst: u32,
    /// Requests a second of all strangers together that begin something; twice as many at once.
    pub all_requests_per_second: u32,
    /// Messages a second of all strangers together that belong to something begun; twice as many at once.
    pub all_dialog_messages_per_second: u32,
    /// 503s a second to all strangers together; as many at once.
    pub answers_per_second: u32,
    /// Misses that ban a source.
    pub ban_after_misses: u32,
    /// Within this time; misses before it are forgiven.
    pub miss_window: Duration,
    /// How long a ban lasts.
    pub ban: Duration,
    /// Sources remembered; whoever was not heard of for longest is forgotten first. Read when the gate is built, not
    /// later.
    pub sources: usize,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            requests_per_second: 20,
            request_burst: 60,
            dialog_messages_per_second: 200,
            dialog_burst: 400,
            all_requests_per_second: 1_000,
            all_dialog_messages_per_second: 5_000,
            answers_per_second: 100,
            ban_after_misses: 20,
            miss_window: Duration::from_secs(600),
            ban: Duration::from_secs(900),
            sources: 16_384,
        }
    }
}

/// 503s a second to one source; a telephone that is told once more than twice does not listen.
const ANSWERS_OF_SOURCE: (u32, u32) = (2, 4);

/// What happens to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is worth reading.
    Pass,
    /// Not now: these bytes go back where it came from, never more than it had itself.
    Answer(Vec<u8>),
    /// It never came.
    Drop(ReasonCode),
}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReasonCode {
    /// Its source is banned.
    Banned,
    /// Its source asks too much.
    SourceBudget,
    /// All strangers together ask too much.
    AllBudget,
    /// It is no SIP.
    NotSip,
    /// A sign of life, which wants nothing.
    KeepAlive,
}

impl ReasonCode {
    /// All, in the order of metrics.
    pub const ALL: [Self; 5] = [Self::Banned, Self::SourceBudget, Self::AllBudget, Self::NotSip, Self::KeepAlive];

    /// Its code in audit lines and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Banned => "banned",
            Self::SourceBudget => "source_budget",
            Self::AllBudget => "all_budget",
            Self::NotSip => "not_sip",
            Self::KeepAlive => "keep_alive",
        }
    }
}

/// A source that is not listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Its address; of IPv6 the first of its network of 2^64.
    pub source: IpAddr,
    /// For how long yet.
    pub left: Duration,
    /// The code of the miss that was one too many.
    pub reason: &'static str,
}

/// The gate before an endpoint.
pub struct Gate {
    start: Instant,
    budgets: Budgets,
    rates: Rates,
    sources: Sources,
    all_requests: Bucket,
    all_dialogs: Bucket,
    all_answers: Bucket,
    secret: u128,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("budgets", &self.budgets).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
struct Rates {
    requests: Rate,
    dialogs: Rate,
    answers: Rate,
    all_requests: Rate,
    all_dialogs: Rate,
    all_answers: Rate,
}

impl Rates {
    fn of(budgets: &Budgets) -> Self {
        let twice = |per_second: u32| Rate::new(per_second, per_second.saturating_mul(2));
        Self {
            requests: Rate::new(budgets.requests_per_second, budgets.request_burst),
            dialogs: Rate::new(budgets.dialog_messages_per_second, budgets.dialog_burst),
            answers: Rate::new(ANSWERS_OF_SOURCE.0, ANSWERS_OF_SOURCE.1),
            all_requests: twice(budgets.all_requests_per_second),
            all_dialogs: twice(budgets.all_dialog_messages_per_second),
            all_answers: Rate::new(budgets.answers_per_second, budgets.answers_per_second),
        }
    }
}

impl Gate {
    /// Builds a gate that has seen nobody. `secret` places the sources, so that nobody can choose whom he displaces.
    #[must_use]
    pub fn new(now: Instant, budgets: Budgets, secret: [u8; 16]) -> Self {
        let secret = u128::from_le_bytes(secret);
        Self {
            start: now,
            budgets,
            rates: Rates::of(&budgets),
            sources: Sources::new(budgets.sources, secret),
            all_requests: Bucket::default(),
            all_dialogs: Bucket::default(),
            all_answers: Bucket::default(),
            secret,
        }
    }

    /// Takes other budgets; bans stay as they are.
    pub fn set_budgets(&mut self, budgets: Budgets) {
        self.rates = Rates::of(&budgets);
        self.budgets = budgets;
    }

    /// Decides about a datagram, or a message of a stream. `trusted` is whoever the settings name.
    pub fn admit(&mut self, now: Instant, source: IpAddr, trusted: bool, message: &[u8]) -> Admission {
        if trusted {
            return Admission::Pass;
        }
        let now_ns = self.ns(now);
        let spot = self.sources.spot(source);
        let known = self.sources.find(spot, now_ns);
        if known.as_ref().is_some_and(|known| known.banned_until_ns > now_ns) {
            return Admission::Drop(ReasonCode::Banned);
        }
        let (kind, rates) = (scan::kind(message), self.rates);
        // In a flood of invented addresses newcomers find no place: they would only displace those that are known.
        if known.is_none() && kind == Kind::New && !self.all_requests.holds(now_ns, rates.all_requests) {
            return self.busy(now_ns, spot, message, ReasonCode::AllBudget);
        }
        match kind {
            Kind::KeepAlive => return Admission::Drop(ReasonCode::KeepAlive),
            Kind::Other => {
                self.miss(now, source, ReasonCode::NotSip.code());
                return Admission::Drop(ReasonCode::NotSip);
            }
            Kind::Begun | Kind::New => {}
        }
        let known = self.sources.of(spot, now_ns);
        match kind {
            // What goes on is dropped without a word: it is repeated, and an answer would end a call.
            Kind::Begun if !known.dialogs.take(now_ns, rates.dialogs) => Admission::Drop(ReasonCode::SourceBudget),
            Kind::Begun if !self.all_dialogs.take(now_ns, rates.all_dialogs) => Admission::Drop(ReasonCode::AllBudget),
            Kind::New if !known.requests.take(now_ns, rates.requests) => {
                self.busy(now_ns, spot, message, ReasonCode::SourceBudget)
            }
            Kind::New if !self.all_requests.take(now_ns, rates.all_requests) => {
                self.busy(now_ns, spot, message, ReasonCode::AllBudget)
            }
            Kind::Begun | Kind::New | Kind::KeepAlive | Kind::Other => Admission::Pass,
        }
    }

    /// Counts a miss of a stranger: a wrong number, a wrong digest, a request inside a dialog that is none, a message
    /// that cannot be read. Gives the length of the ban that follows, if one does.
    pub fn miss(&mut self, now: Instant, source: IpAddr, reason: &'static str) -> Option<Duration> {
        let now_ns = self.ns(now);
        let budgets = self.budgets;
        let spot = self.sources.spot(source);
        let known = self.sources.of(spot, now_ns);
        if known.banned_until_ns > now_ns {
            return None;
        }
        if known.misses == 0 || now_ns - known.missed_since_ns > ns(budgets.miss_window) {
            known.misses = 0;
            known.missed_since_ns = now_ns;
        }
        known.misses += 1;
        if known.misses < budgets.ban_after_misses {
            return None;
        }
        known.misses = 0;
        known.reason = reason;
        known.banned_until_ns = now_ns.saturating_add(ns(budgets.ban));
        Some(budgets.ban)
    }

    /// Takes a ban, and all misses, back.
    pub fn forgive(&mut self, now: Instant, source: IpAddr) {
        let now_ns = self.ns(now);
        let spot = self.sources.spot(source);
        let known = self.sources.of(spot, now_ns);
        known.misses = 0;
        known.banned_until_ns = 0;
    }

    /// All bans that hold at this moment. Looks through the whole table: for people and metrics, not for every message.
    #[must_use]
    pub fn banned(&self, now: Instant) -> Vec<Ban> {
        let now_ns = self.ns(now);
        let left = |until_ns: u64| Duration::from_nanos(until_ns - now_ns);
        let bans = self.sources.banned(now_ns);
        bans.map(|(source, known)| Ban { source, left: left(known.banned_until_ns), reason: known.reason }).collect()
    }

    /// Says that there is no room, as long as that itself costs little.
    fn busy(&mut self, now_ns: u64, spot: Spot, message: &[u8], reason: ReasonCode) -> Admission {
        let rates = self.rates;
        // The common bucket first: in a flood it is empty, and the source need not be looked up once more.
        let may_answer = self.all_answers.holds(now_ns, rates.all_answers)
            && self.sources.find(spot, now_ns).is_none_or(|known| known.answers.take(now_ns, rates.answers));
        let answer = may_answer.then(|| busy::answer(message, self.secret)).flatten();
        if answer.is_some() {
            self.all_answers.take(now_ns, rates.all_answers);
        }
        answer.map_or(Admission::Drop(reason), Admission::Answer)
    }

    fn ns(&self, now: Instant) -> u64 {
        ns(now.saturating_duration_since(self.start))
    }
}

/// 584 years fit.
fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
