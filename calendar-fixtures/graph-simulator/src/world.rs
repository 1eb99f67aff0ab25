//! What all handlers share: the tenant behind its lock, the caller's clock, and the way out for notifications.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::tenant::Tenant;

/// The clock of the simulated tenant. It is the caller's: the simulator reads no other.
pub trait SimulatorClock: Send + Sync + 'static {
    /// The tenant's time.
    fn now(&self) -> DateTime<Utc>;
    /// Moves it forward, for `POST /control/clock`.
    ///
    /// # Errors
    /// A sentence when the clock cannot be moved.
    fn advance(&self, by: TimeDelta) -> Result<(), String>;
}

pub(crate) type Shared = Arc<World>;

pub(crate) struct World {
    tenant: Mutex<Tenant>,
    clock: Arc<dyn SimulatorClock>,
    pub(crate) http: reqwest::Client,
    /// Rung when a notification waits, or when time jumped.
    pub(crate) wake: tokio::sync::Notify,
    /// Where it listens, for next links.
    pub(crate) base_url: String,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

impl World {
    pub(crate) fn new(tenant: Tenant, clock: Arc<dyn SimulatorClock>, http: reqwest::Client, base_url: String) -> Self {
        Self { tenant: Mutex::new(tenant), clock, http, wake: tokio::sync::Notify::new(), base_url }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn advance(&self, by: TimeDelta) -> Result<(), String> {
        self.clock.advance(by)?;
        self.wake.notify_one();
        Ok(())
    }

    /// A handler that panicked cannot have left the tenant half changed in a way that matters to a simulation.
    pub(crate) fn tenant(&self) -> MutexGuard<'_, Tenant> {
        self.tenant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
