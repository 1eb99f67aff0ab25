//! Change notifications as they arrive at `POST /graph/notifications`.
//!
//! A notification is a hint, never data: after its secret is checked, all that is kept of it is "look at that mailbox".
//! It needs no disk. At every start all mailboxes are looked at from where their last committed round ended, so a hint
//! that was acknowledged and then lost with the process loses nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dialroom_booking::EmailAddress;
use serde::Deserialize;
use subtle::ConstantTimeEq;
use tokio::sync::Notify;

use crate::metrics::Metrics;

/// Largest POST that is read; Graph sends batches of small objects.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Longest validation token that is echoed.
pub(crate) const MAX_VALIDATION_TOKEN_LEN: usize = 1024;
/// Notifications of one POST that are looked at.
const MAX_NOTIFICATIONS: usize = 1000;

/// One mailbox' bell.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    /// Rung when the mailbox should be looked at; remembers one ring.
    pub(crate) look: Notify,
    /// Rung when its subscription needs care.
    pub(crate) subscription: Notify,
    /// Whether the next look must take everything in anew.
    pub(crate) whole: AtomicBool,
}

/// Which secret belongs to which subscription, and whose bell it rings.
#[derive(Debug, Default)]
pub(crate) struct Doorbells {
    by_subscription: Mutex<HashMap<String, Door>>,
    by_mailbox: Mutex<HashMap<EmailAddress, Arc<Bell>>>,
}

struct Door {
    client_state: String,
    bell: Arc<Bell>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

#[derive(Deserialize)]
struct Notifications {
    value: Vec<Notification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    #[serde(default)]
    subscription_id: String,
    #[serde(default)]
    client_state: Option<String>,
    #[serde(default)]
    lifecycle_event: Option<String>,
}

impl Doorbells {
    /// The bell of a mailbox; made when it has none.
    pub(crate) fn bell(&self, mailbox: &EmailAddress) -> Arc<Bell> {
        let mut bells = self.by_mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(mailbox.clone()).or_default())
    }

    /// Rings all of them.
    pub(crate) fn ring_all(&self) {
        let bells = self.by_mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        bells.values().for_each(|bell| bell.look.notify_one());
    }

    /// Rings all of them for a full look: the settings have changed, and with them what is ours.
    pub(crate) fn look_anew(&self) {
        let bells = self.by_mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        for bell in bells.values() {
            bell.whole.store(true, Ordering::Relaxed);
            bell.look.notify_one();
        }
    }

    /// From now on notifications of this subscription with this secret are for that bell.
    pub(crate) fn open(&self, subscription: &str, client_state: &str, bell: Arc<Bell>) {
        let door = Door { client_state: client_state.to_owned(), bell };
        self.by_subscription.lock().unwrap_or_else(PoisonError::into_inner).insert(subscription.to_owned(), door);
    }

    /// No longer.
    pub(crate) fn close(&self, subscription: &str) {
        self.by_subscription.lock().unwrap_or_else(PoisonError::into_inner).remove(subscription);
    }

    /// Takes a POST's body in. Whatever it holds, the answer is the same: a stranger learns nothing.
    pub(crate) fn take(&self, body: &[u8], metrics: &Metrics) {
        let Ok(notifications) = serde_json::from_slice::<Notifications>(body) else {
            metrics.forged_notifications.add();
            return;
        };
        for notification in notifications.value.iter().take(MAX_NOTIFICATIONS) {
            match self.ring(notification) {
                true => metrics.notifications.add(),
                false => metrics.forged_notifications.add(),
            }
        }
    }

    fn ring(&self, notification: &Notification) -> bool {
        let doors = self.by_subscription.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(door) = doors.get(&notification.subscription_id) else { return false };
        let shown = notification.client_state.as_deref().unwrap_or("");
        if !bool::from(shown.as_bytes().ct_eq(door.client_state.as_bytes())) {
            return false;
        }
        match notification.lifecycle_event.as_deref() {
            None => {}
            Some("missed") => door.bell.whole.store(true, Ordering::Relaxed),
            Some("subscriptionRemoved") => {
                door.bell.whole.store(true, Ordering::Relaxed);
                door.bell.subscription.notify_one();
            }
            // `reauthorizationRequired`, and whatever is invented later: renewing is always right.
            Some(_) => door.bell.subscription.notify_one(),
        }
        door.bell.look.notify_one();
        true
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn rung(body: &str) -> (bool, bool, u64, u64) {
        let (doorbells, metrics) = (Doorbells::default(), Metrics::default());
        let bell = doorbells.bell(&EmailAddress::parse("anna@contoso.example").unwrap());
        doorbells.open("sub-1", "the secret", Arc::clone(&bell));
        doorbells.take(body.as_bytes(), &metrics);
        let look = bell.look.notified().now_or_never().is_some();
        let care = bell.subscription.notified().now_or_never().is_some();
        (look, care, metrics.notifications.value(), metrics.forged_notifications.value())
    }

    #[test]
    fn the_secret_rings_the_bell() {
        assert_eq!(rung(r#"{"value":[{"subscriptionId":"sub-1","clientState":"the secret"}]}"#), (true, false, 1, 0));
    }

    #[test]
    fn without_the_secret_nothing_happens() {
        for forged in [
            r#"{"value":[{"subscriptionId":"sub-1","clientState":"the Secret"}]}"#,
            r#"{"value":[{"subscriptionId":"sub-1","clientState":""}]}"#,
            r#"{"value":[{"subscriptionId":"sub-1"}]}"#,
            r#"{"value":[{"subscriptionId":"sub-2","clientState":"the secret"}]}"#,
            r#"{"value":[{"clientState":"the secret","lifecycleEvent":"missed"}]}"#,
            r#"{"value":"x"}"#,
            "\0",
        ] {
            assert_eq!(rung(forged), (false, false, 0, 1), "{forged}");
        }
    }

    #[test]
    fn lifecycle_events_are_cared_for() {
        let of = |event: &str| {
            rung(&format!(
                r#"{{"value":[{{"subscriptionId":"sub-1","clientState":"the secret","lifecycleEvent":"{event}"}}]}}"#
            ))
        };
        assert_eq!(of("missed"), (true, false, 1, 0));
        assert_eq!(of("subscriptionRemoved"), (true, true, 1, 0));
        assert_eq!(of("reauthorizationRequired"), (true, true, 1, 0));
        assert_eq!(of("somethingNew"), (true, true, 1, 0));
    }
}
