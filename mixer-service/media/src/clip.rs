//! Sound that was recorded before: prompts, tones, music. Decoded once, then shared by all who hear it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::SAMPLE_RATE_HZ;

/// 8 kHz mono linear samples; cloning shares them.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip(pub Arc<[i16]>);

impl Clip {
    /// Wraps samples of 8 kHz, mono.
    #[must_use]
    pub fn new(samples: impl Into<Arc<[i16]>>) -> Self {
        Self(samples.into())
    }

    /// The samples.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.0
    }

    /// How long it plays.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs(1) * u32::try_from(self.0.len()).unwrap_or(u32::MAX) / SAMPLE_RATE_HZ
    }
}

impl From<Vec<i16>> for Clip {
    fn from(samples: Vec<i16>) -> Self {
        Self::new(samples)
    }
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clip({:?})", self.duration())
    }
}
