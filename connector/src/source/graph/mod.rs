//! Microsoft Graph: tokens, requests, delta rounds, subscriptions, notifications.
//!
//! Truth is what a delta round leads to and a GET confirms. Notifications only say when to look; where none can reach
//! us, looking every now and then does the same, later. Graph is only read: nothing of a meeting is ever written.

mod client;
mod delta;
mod retry;
mod subscriptions;
mod token;
mod watch;
mod webhook;

#[cfg(test)]
mod tests;

pub(crate) use client::{GraphClient, GraphError, NO_MAILBOX};
pub(crate) use subscriptions::Subscription;
pub(crate) use watch::{Watching, mailboxes, watch};
pub(crate) use webhook::{Doorbells, MAX_BODY_BYTES, MAX_VALIDATION_TOKEN_LEN};
