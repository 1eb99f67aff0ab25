//! The machine: bytes, orders and time in; bytes, questions and events out.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use crate::config::Config;
use crate::event::{Input, Output};

/// A SIP endpoint (RFC 3261): user agent client and server, and a registrar's client.
pub struct Endpoint {
    config: Box<Config>,
    output: VecDeque<Output>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

/// How much an endpoint remembers at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls, in set-up or running.
    pub calls: usize,
    /// Calls that are not confirmed yet.
    pub calls_in_setup: usize,
    /// Dialogs.
    pub dialogs: usize,
    /// Transactions in which we answer.
    pub server_transactions: usize,
    /// Transactions in which we ask.
    pub client_transactions: usize,
    /// Registrations that hold.
    pub registered: usize,
    /// Flows.
    pub flows: usize,
    /// Timers, those that nobody waits for any more included.
    pub timers: usize,
}

impl Endpoint {
    /// Builds an endpoint without flows. `seed` picks its tags, branches, keys and jitter: it must come from the system.
    #[must_use]
    pub fn new(_now: Instant, config: Config, _seed: [u8; 32]) -> Self {
        Self { config: Box::new(config), output: VecDeque::new() }
    }

    /// Takes one thing that happened. Never blocks and never fails.
    pub fn handle(&mut self, _now: Instant, input: Input<'_>) {
        if let Input::Config(config) = input {
            self.config = config;
        }
    }

    /// Gives the next thing to do; drain until [`Output::Wait`].
    pub fn poll(&mut self) -> Output {
        self.output.pop_front().unwrap_or(Output::Wait(None))
    }

    /// How much it remembers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::default()
    }
}
