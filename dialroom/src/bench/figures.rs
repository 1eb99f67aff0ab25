//! What one run came to, and the figures that are made of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dialroom_host::Clock;
use serde_json::{Value, json};

use super::histogram::Histogram;
use super::load::Counts;
use super::process::Snapshot;
use super::sound::{Seating, Sound, Tally};

/// Packets a second of a leg.
const PACKETS_PER_SECOND: f64 = 50.0;
/// A bench that sends less than this part of what it should, or a packet in a hundred so late, has no time left.
const SENT_PART: f64 = 0.98;
const LATE_MS: f64 = 10.0;
/// What was stopped sooner tells nothing about processor time.
const SHORTEST: Duration = Duration::from_millis(500);

/// One run.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) name: String,
    pub(super) seating: Seating,
    pub(super) calls: Counts,
    pub(super) spent: Spent,
    pub(super) sound: Tally,
}

/// What was used up while counting.
#[derive(Debug)]
pub(super) struct Spent {
    pub(super) time: Duration,
    /// `None`: the server's process is not known.
    pub(super) server: Option<ServerSpent>,
    /// Processor time of the bench itself.
    pub(super) own: Duration,
}

/// What the server used.
#[derive(Debug)]
pub(super) struct ServerSpent {
    /// Processor time by the names of its threads.
    pub(super) by_thread: BTreeMap<String, Duration>,
    pub(super) threads: usize,
    pub(super) memory_kib: u64,
    /// Before the first call.
    pub(super) memory_idle_kib: u64,
}

/// A time that is measured.
#[derive(Debug)]
pub(super) struct Window {
    clock: Clock,
    begun: Instant,
    pid: Option<u32>,
    server: Option<Snapshot>,
    own: Snapshot,
}

impl Window {
    /// Begins it.
    ///
    /// # Errors
    /// When the server's process is gone.
    pub(super) fn open(sound: &Sound, pid: Option<u32>) -> anyhow::Result<Self> {
        let clock = Clock::real();
        let own = Snapshot::take(std::process::id())?;
        let server = pid.map(Snapshot::take).transpose()?;
        sound.begin();
        Ok(Self { begun: clock.instant(), clock, pid, server, own })
    }

    /// Ends it. `idle` is the server before its first call.
    ///
    /// # Errors
    /// When the server's process is gone.
    pub(super) fn close(self, sound: &Sound, idle: Option<&Snapshot>) -> anyhow::Result<Spent> {
        sound.end();
        let time = self.clock.instant().saturating_duration_since(self.begun);
        let now = self.pid.map(Snapshot::take).transpose()?;
        let server = now.zip(self.server.as_ref()).map(|(now, before)| ServerSpent {
            by_thread: now.since(before),
            threads: now.threads(),
            memory_kib: now.memory_kib,
            memory_idle_kib: idle.map_or(now.memory_kib, |idle| idle.memory_kib),
        });
        let own = Snapshot::take(std::process::id())?.since(&self.own).values().sum();
        Ok(Spent { time, server, own })
    }
}

impl Figures {
    fn leg_seconds(&self) -> f64 {
        self.calls.up as f64 * self.spent.time.as_secs_f64()
    }

    /// Milliseconds of processor time that the server uses for a leg in a second.
    pub(super) fn cpu_ms(&self) -> Option<f64> {
        let used: Duration = self.spent.server.as_ref()?.by_thread.values().sum();
        let is_long_enough = self.calls.up > 0 && self.spent.time >= SHORTEST;
        is_long_enough.then(|| used.as_secs_f64() * 1_000.0 / self.leg_seconds())
    }

    /// The same for each kind of thread, the busiest first.
    pub(super) fn cpu_ms_by_thread(&self) -> Vec<(String, f64)> {
        let Some(server) = self.spent.server.as_ref().filter(|_| self.cpu_ms().is_some()) else { return Vec::new() };
        let each =
            |(name, used): (&String, &Duration)| (name.clone(), used.as_secs_f64() * 1_000.0 / self.leg_seconds());
        let mut all: Vec<_> = server.by_thread.iter().map(each).filter(|(_, ms)| *ms > 0.0).collect();
        all.sort_by(|one, other| other.1.total_cmp(&one.1));
        all
    }

    /// Legs that one core would carry at that price.
    pub(super) fn legs_per_core(&self) -> Option<f64> {
        self.cpu_ms().filter(|ms| *ms > 0.0).map(|ms| 1_000.0 / ms)
    }

    /// Resident memory that came with a leg.
    pub(super) fn memory_kib(&self) -> Option<f64> {
        let server = self.spent.server.as_ref().filter(|_| self.calls.up > 0)?;
        Some(server.memory_kib.saturating_sub(server.memory_idle_kib) as f64 / self.calls.up as f64)
    }

    /// The part of what the server numbered that did not come.
    pub(super) fn loss(&self) -> f64 {
        self.sound.lost as f64 / (self.sound.received + self.sound.lost).max(1) as f64
    }

    /// Packets that would have come at a packet every 20 ms.
    pub(super) fn expected(&self) -> f64 {
        self.leg_seconds() * PACKETS_PER_SECOND
    }

    /// Whether the calls themselves were made as they should be: else the figures are the bench's and not the server's.
    pub(super) fn keeps_pace(&self) -> bool {
        let (sent, lateness) = (self.sound.sent as f64, self.sound.lateness.quantile_ms(0.99));
        sent >= self.expected() * SENT_PART && lateness.is_none_or(|late_ms| late_ms <= LATE_MS)
    }

    pub(super) fn voices(&self) -> (usize, usize) {
        let listened = || self.sound.heard.iter().filter(|heard| heard.listened);
        (listened().map(|heard| heard.voices_heard).sum(), listened().map(|heard| heard.voices).sum())
    }

    pub(super) fn hear_themselves(&self) -> usize {
        self.sound.heard.iter().filter(|heard| heard.itself).count()
    }

    pub(super) fn hear_strangers(&self) -> usize {
        self.sound.heard.iter().filter(|heard| heard.strangers).count()
    }

    /// All of it, in JSON.
    pub(super) fn json(&self, echoes: &[Self]) -> Value {
        let ratios: BTreeMap<_, _> =
            echoes.iter().filter_map(|echo| Some((echo.name.clone(), self.cpu_ms()? / echo.cpu_ms()?))).collect();
        let (heard, voices) = self.voices();
        let server = self.spent.server.as_ref();
        json!({
            "name": self.name,
            "legs": { "asked": self.seating.legs, "up": self.calls.up, "refused": self.calls.refused,
                      "dropped": self.calls.dropped },
            "rooms": self.seating.rooms,
            "talkers_per_room": self.seating.talkers,
            "seconds": self.spent.time.as_secs_f64(),
            "set_up_ms": quantiles(&self.calls.set_up),
            "cpu_ms_per_leg_second": self.cpu_ms(),
            "cpu_ms_by_thread": self.cpu_ms_by_thread().into_iter().collect::<BTreeMap<_, _>>(),
            "cpu_ratio": ratios,
            "legs_per_core": self.legs_per_core(),
            "memory_kib_per_leg": self.memory_kib(),
            "memory_kib": server.map(|server| server.memory_kib),
            "threads": server.map(|server| server.threads),
            "packets": { "sent": self.sound.sent, "unsent": self.sound.unsent, "expected": self.expected(),
                         "received": self.sound.received, "lost": self.sound.lost, "late": self.sound.late,
                         "repeated": self.sound.repeated },
            "jitter_ms": quantiles(&self.sound.jitter),
            "mouth_to_ear_ms": quantiles(&self.sound.mouth_to_ear),
            "voices": { "expected": voices, "heard": heard },
            "hear_themselves": self.hear_themselves(),
            "hear_strangers": self.hear_strangers(),
            "bench": { "keeps_pace": self.keeps_pace(), "cpu_ms_per_leg_second": self.spent.own.as_secs_f64() * 1_000.0 / self.leg_seconds().max(1.0),
                       "lateness_ms": quantiles(&self.sound.lateness) },
        })
    }
}

fn quantiles(of: &Histogram) -> Value {
    json!({ "count": of.count(), "p50": of.quantile_ms(0.5), "p99": of.quantile_ms(0.99), "max": of.longest_ms() })
}
