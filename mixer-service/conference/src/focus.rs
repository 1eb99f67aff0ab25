//! The focus of all conferences of one mixer.

use crate::{Input, Now, Output};

/// Hosts every conference of this mixer.
#[derive(Debug)]
pub struct Focus {}

impl Focus {
    /// A focus without bookings.
    #[must_use]
    pub fn new(_now: Now, _policy: crate::Policy) -> Self {
        Self {}
    }

    /// Takes one thing that happened.
    pub fn handle(&mut self, _now: Now, _input: Input<'_>) {}

    /// The conferences that run, with who is in.
    pub fn conferences(&self) -> impl Iterator<Item = crate::ConferenceView> {
        std::iter::empty()
    }

    /// Gives the next thing to do; drain until `Output::Wait`.
    pub fn poll(&mut self) -> Output {
        Output::Wait { instant: None, wall: None }
    }
}
