//! What an operator counts (`GET /metrics`, Prometheus text format).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// As many as there were.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that is set.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub(crate) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    /// What it is.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! metrics {
    ($($kind:ident $type:literal $name:ident: $help:literal,)*) => {
        /// Everything that is counted.
        #[derive(Debug, Default)]
        pub(crate) struct Metrics {
            $(#[doc = $help] pub(crate) $name: $kind,)*
        }

        impl Metrics {
            /// All of it as text; holds no personal data.
            pub(crate) fn text(&self) -> String {
                let mut text = String::new();
                $(
                    let name = concat!("dialroom_connector_", stringify!($name));
                    // Writing to a string cannot fail.
                    let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {}\n{name} {}", $help, $type, self.$name.value());
                )*
                text
            }
        }
    };
}

metrics! {
    Counter "counter" graph_requests: "Requests sent to Microsoft Graph.",
    Counter "counter" graph_repeats: "Requests that Graph asked us to repeat later.",
    Counter "counter" notifications: "Change notifications that were ours.",
    Counter "counter" forged_notifications: "Change notifications without our secret; nothing was done.",
    Counter "counter" rounds: "Delta rounds that were taken in.",
    Counter "counter" failed_rounds: "Delta rounds that failed; they are tried again.",
    Counter "counter" unreadable_entries: "Calendar entries that could not be read.",
    Counter "counter" plans: "Calendar entries that were planned.",
    Counter "counter" commits: "Store transactions with bookings.",
    Counter "counter" mails_accepted: "Mails that the mail server took.",
    Counter "counter" mails_failed: "Attempts at a mail that failed and are repeated.",
    Counter "counter" mails_refused: "Mails that the mail server refused for good.",
    Counter "counter" hand_offs: "Bookings that the mixer took.",
    Counter "counter" hand_offs_failed: "Attempts at a hand-off that failed and are repeated.",
    Counter "counter" hand_off_conflicts: "Bookings of which the mixer holds something else under the same revision.",
    Counter "counter" call_records: "Call records taken from the mixer.",
    Gauge "gauge" bookings: "Bookings held.",
    Gauge "gauge" mails_waiting: "Mails in the outbox.",
    Gauge "gauge" hand_offs_waiting: "Hand-offs in the outbox.",
}
