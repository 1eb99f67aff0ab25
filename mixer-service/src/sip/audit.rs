//! The audit log: a line for each request that was refused, and under a flood a few lines for all of them.
//!
//! Target `audit`. A line has a source, a method, a status and a reason code; no number, no name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use mixer_signalling::Refused;

/// Lines of single requests in one interval; of the others the sum is told.
const LINES: u32 = 50;
/// How often what was left out is told.
const INTERVAL: Duration = Duration::from_secs(10);

/// Writes the lines.
#[derive(Debug)]
pub(super) struct Audit {
    /// When the present interval ends.
    until: Instant,
    lines: u32,
    /// Left out in this interval, by reason.
    left_out: BTreeMap<&'static str, u64>,
}

impl Audit {
    pub(super) fn new(now: Instant) -> Self {
        Self { until: now + INTERVAL, lines: 0, left_out: BTreeMap::new() }
    }

    /// A request was refused, for this reason.
    pub(super) fn refused(&mut self, now: Instant, refused: &Refused, reason: &'static str) {
        if !self.takes(now) {
            *self.left_out.entry(reason).or_default() += 1;
            return;
        }
        let Refused { source, peer, method, status, .. } = refused;
        let (peer, status) = (peer.map(|peer| peer.0), status.unwrap_or_default());
        tracing::info!(target: "audit", %source, peer, method, status, reason, "request refused");
    }

    /// Messages were dropped unread.
    pub(super) fn dropped(&mut self, now: Instant, reason: &'static str, count: u64) {
        self.turn(now);
        *self.left_out.entry(reason).or_default() += count;
    }

    /// A source is banned from now on; never left out, for there are at most a few of them.
    pub(super) fn banned(source: IpAddr, reason: &'static str, ban: Duration) {
        tracing::warn!(target: "audit", %source, reason, minutes = ban.as_secs() / 60, "source banned");
    }

    /// When there is something to tell at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.left_out.is_empty()).then_some(self.until)
    }

    /// Begins the next interval when it is time, and tells what was left out in the last.
    pub(super) fn turn(&mut self, now: Instant) {
        if now < self.until {
            return;
        }
        (self.until, self.lines) = (now + INTERVAL, 0);
        if self.left_out.is_empty() {
            return;
        }
        let total: u64 = self.left_out.values().sum();
        let reasons: Vec<String> = self.left_out.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        tracing::info!(target: "audit", total, reasons = reasons.join(", "), "more was refused");
        self.left_out.clear();
    }

    fn takes(&mut self, now: Instant) -> bool {
        self.turn(now);
        self.lines += 1;
        self.lines <= LINES
    }
}

#[cfg(test)]
mod tests {
    use mixer_signalling::Refusal;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "some instant to start from; it is never read again")]
    fn beyond_its_lines_refusals_are_summed_up() {
        let start = Instant::now();
        let mut audit = Audit::new(start);
        let refused = Refused {
            source: "192.0.2.1:5060".parse().unwrap(),
            peer: None,
            method: "REGISTER",
            status: Some(405),
            reason: Refusal::Method,
        };
        for _ in 0..LINES {
            audit.refused(start, &refused, "method");
        }
        assert_eq!((audit.left_out.len(), audit.due()), (0, None));
        audit.refused(start, &refused, "method");
        audit.dropped(start, "source_budget", 1_000);
        assert_eq!(audit.left_out, BTreeMap::from([("method", 1), ("source_budget", 1_000)]));
        assert_eq!(audit.due(), Some(start + INTERVAL));
        audit.turn(start + INTERVAL);
        assert!(audit.left_out.is_empty() && audit.due().is_none());
        audit.refused(start + INTERVAL, &refused, "method");
        assert!(audit.left_out.is_empty(), "lines again");
    }
}
