//! One request and its answers (RFC 3261 section 17, with the corrections of RFC 6026).
//!
//! Pure state: what came in says what goes out and until when to wait. The endpoint keeps the tables and the alarms.

mod client;
mod server;

pub(crate) use client::{Client, ClientKey, Heard};
pub(crate) use server::{Awake, Server, key_of};

use std::time::{Duration, Instant};

use crate::config::Timers;

/// A transaction lives 64 times T1 (timers B, F, H, J, L and M).
pub(crate) const LIFE_T1: u32 = 64;

/// Repeats something at growing intervals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeat {
    next: Instant,
    interval: Duration,
    /// The interval grows up to here; `None` grows on (timer A).
    longest: Option<Duration>,
}

impl Repeat {
    pub(crate) fn new(now: Instant, timers: &Timers, longest: Option<Duration>) -> Self {
        Self { next: now + timers.t1, interval: timers.t1, longest }
    }

    /// Repeats at one interval from now on.
    pub(crate) fn steady(now: Instant, interval: Duration) -> Self {
        Self { next: now + interval, interval, longest: Some(interval) }
    }

    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// Whether it is time; then the next time is set.
    pub(crate) fn is_time(&mut self, now: Instant) -> bool {
        let time = self.next <= now;
        if time {
            let doubled = self.interval.saturating_mul(2);
            self.interval = self.longest.map_or(doubled, |longest| doubled.min(longest));
            self.next = now + self.interval;
        }
        time
    }
}
