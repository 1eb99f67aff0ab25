//! A conference that runs while others attack: two telephones of few lines with tones, and how much of them is heard.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use dialroom_host::Clock;

use crate::bare::Bare;
use crate::house::{SOON, eventually};
use crate::mixer::{ANNA, BERND, Mixer};
use crate::sound::Voice;

/// Anna's pitch.
pub const ANNA_HZ: u32 = 440;
/// Bernd's.
pub const BERND_HZ: u32 = 1000;
/// How much of a tone may be missing at most.
pub const MISSING_MAX: f64 = 0.005;

/// Anna and Bernd in a conference of their own.
#[derive(Debug)]
pub struct Bystanders {
    /// Speaks at [`ANNA_HZ`].
    pub anna: Bare,
    /// Speaks at [`BERND_HZ`].
    pub bernd: Bare,
    clock: Clock,
}

impl Bystanders {
    /// Both call from this address and are heard by each other.
    pub async fn meet(mixer: &Mixer, from: IpAddr) -> Self {
        mixer.book("Calm").await;
        let mut anna = Bare::new(from, mixer.sip(), ANNA).await;
        let mut bernd = Bare::new(from, mixer.sip(), BERND).await;
        anna.line.speak(Voice::new(ANNA_HZ, 0xA11A));
        bernd.line.speak(Voice::new(BERND_HZ, 0xBE12));
        anna.call().await;
        bernd.call().await;
        let clock = Clock::real();
        let begun = clock.instant();
        let both = Self { anna, bernd, clock };
        mixer.until_in("Calm", 2).await;
        eventually("both are heard", SOON, async || {
            let anna = both.anna.line.with_heard(|heard| heard.first(BERND_HZ, begun));
            let bernd = both.bernd.line.with_heard(|heard| heard.first(ANNA_HZ, begun));
            anna.zip(bernd)
        })
        .await;
        // The tone that tells of a newcomer is over by then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        both
    }

    /// The part of the other's tone that the worse off of both missed since then.
    #[must_use]
    pub fn missing_since(&self, since: Instant) -> f64 {
        let now = self.clock.instant();
        let anna = self.anna.line.with_heard(|heard| heard.voiced(BERND_HZ, since, now));
        let bernd = self.bernd.line.with_heard(|heard| heard.voiced(ANNA_HZ, since, now));
        1.0 - anna.min(bernd)
    }

    /// The part missed in this time, in which nothing happens: what machine and test cost by themselves.
    pub async fn control(&self, lasts: Duration) -> f64 {
        let since = self.clock.instant();
        tokio::time::sleep(lasts).await;
        self.missing_since(since)
    }

    /// Both hang up.
    pub async fn part(self) {
        let _ = self.anna.hang_up().await;
        let _ = self.bernd.hang_up().await;
    }
}
