//! What the sound of a load came to.

use std::time::Duration;

use super::ear::Heard;
use crate::bench::histogram::Histogram;

/// Widths of bins: 20,000 of them reach 200 ms, 2 s, 200 ms.
const JITTER_BIN: Duration = Duration::from_micros(10);
const DELAY_BIN: Duration = Duration::from_micros(100);
const LATENESS_BIN: Duration = Duration::from_micros(10);

/// Counts of some legs together, over the time that is measured.
#[derive(Clone, Debug)]
pub(in crate::bench) struct Tally {
    /// Packets that the system took from us, and those it did not.
    pub(in crate::bench) sent: u64,
    pub(in crate::bench) unsent: u64,
    /// Packets of sound that came.
    pub(in crate::bench) received: u64,
    /// Missing in the sequence numbers of what came.
    pub(in crate::bench) lost: u64,
    /// Came behind their followers.
    pub(in crate::bench) late: u64,
    /// Came twice.
    pub(in crate::bench) repeated: u64,
    /// Deviation of each packet's arrival from 20 ms after the one before.
    pub(in crate::bench) jitter: Histogram,
    /// From the moment a tone was sent to the moment it sounded.
    pub(in crate::bench) mouth_to_ear: Histogram,
    /// How late our own packets were sent.
    pub(in crate::bench) lateness: Histogram,
    /// Who heard whom, by leg.
    pub(in crate::bench) heard: Vec<Heard>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            sent: 0,
            unsent: 0,
            received: 0,
            lost: 0,
            late: 0,
            repeated: 0,
            jitter: Histogram::new(JITTER_BIN),
            mouth_to_ear: Histogram::new(DELAY_BIN),
            lateness: Histogram::new(LATENESS_BIN),
            heard: Vec::new(),
        }
    }
}

impl Tally {
    /// Takes over what another thread counted.
    pub(super) fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.received += other.received;
        self.lost += other.lost;
        self.late += other.late;
        self.repeated += other.repeated;
        self.jitter.merge(&other.jitter);
        self.mouth_to_ear.merge(&other.mouth_to_ear);
        self.lateness.merge(&other.lateness);
        self.heard.extend(other.heard);
    }
}
