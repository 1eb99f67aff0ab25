//! The connector of Dialroom: watches calendars, allocates rooms, invites, hands over.
//!
//! A source reports an entry, the pipeline decides and commits, and from the store's outbox letters and hand-offs run
//! until they are taken. What decides is in the crates `connector-calendar` and `connector-planner`; here stands what
//! touches the world. The connector never touches SIP or RTP, and knows of the mixer its hand-off API alone.

mod run;
mod settings_watch;

mod source;

mod directory;
mod pipeline;
mod shelf;
mod store;

pub mod invitation;
pub mod mail;
mod outbox;
mod post;

mod handoff;
mod mixer_link;

mod console;
mod metrics;

#[cfg(test)]
mod whole_way;

pub use run::{DemoLink, Options, run};
