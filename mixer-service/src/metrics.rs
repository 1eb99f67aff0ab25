//! What the mixer counts, in the text form that Prometheus reads (exposition format 0.0.4).
//!
//! Counts and gauges only: no label ever holds a number, a name or a room.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::{EngineMetrics, LATENESS_BOUNDS_US};
use crate::sip::{SipCounts, SipState};

/// A value that anybody may raise or set and anybody may read.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// One more.
    pub(crate) fn raise(&self) {
        self.add(1);
    }

    /// So many more.
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// For gauges: what holds now.
    pub(crate) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }

    /// The value.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Calls that arrived.
    pub(crate) calls: Count,
    /// Calls refused unanswered.
    pub(crate) calls_refused: Count,
    /// Calls ended by three wrong entries.
    pub(crate) wrong_entries: Count,
    /// Calls ended because the other side was gone.
    pub(crate) calls_silent: Count,
    /// Calls at present.
    pub(crate) legs: Count,
    /// Conferences at present.
    pub(crate) conferences: Count,
    /// RTP packets that never came.
    pub(crate) packets_lost: Count,
    /// Bookings held.
    pub(crate) bookings: Count,
    /// Stored bookings that could not be read back.
    pub(crate) bookings_unreadable: Count,
    /// Hand-offs of a revision that is held with another content: an alarm.
    pub(crate) hand_off_conflicts: Count,
    /// Requests to the control API without the right token.
    pub(crate) unauthorized: Count,
    /// Changes that the store did not take.
    pub(crate) store_failures: Count,
    /// Call records that were lost because the store took none for too long: an alarm.
    pub(crate) records_lost: Count,
    /// Listeners to events that were dropped for being slow.
    pub(crate) listeners_dropped: Count,
    /// Settings files that were refused.
    pub(crate) settings_refused: Count,
}

impl Metrics {
    /// All of them as text.
    pub(crate) fn text(&self) -> String {
        let counters = [
            ("calls_total", "Calls that arrived.", &self.calls),
            ("calls_refused_total", "Calls refused unanswered.", &self.calls_refused),
            ("calls_wrong_entries_total", "Calls ended by three wrong entries.", &self.wrong_entries),
            ("calls_silent_total", "Calls whose other side was gone.", &self.calls_silent),
            ("rtp_packets_lost_total", "RTP packets that never came.", &self.packets_lost),
            ("bookings_unreadable_total", "Stored bookings that could not be read.", &self.bookings_unreadable),
            ("hand_off_conflicts_total", "Same revision, other content.", &self.hand_off_conflicts),
            ("control_unauthorized_total", "Requests without the right token.", &self.unauthorized),
            ("store_failures_total", "Changes that the store did not take.", &self.store_failures),
            ("records_lost_total", "Call records lost.", &self.records_lost),
            ("event_listeners_dropped_total", "Slow listeners dropped.", &self.listeners_dropped),
            ("settings_refused_total", "Settings files refused.", &self.settings_refused),
        ];
        let gauges = [
            ("legs", "Calls at present.", &self.legs),
            ("conferences", "Conferences at present.", &self.conferences),
            ("bookings", "Bookings held.", &self.bookings),
        ];
        let mut text = String::new();
        counters.iter().for_each(|(name, help, count)| plain(&mut text, "counter", name, help, count.value()));
        gauges.iter().for_each(|(name, help, count)| plain(&mut text, "gauge", name, help, count.value()));
        text
    }
}

/// What signalling counts, as text.
pub(crate) fn sip_text(counts: &SipCounts) -> String {
    let mut text = String::new();
    let counters = [
        ("received_total", "SIP messages that were read.", counts.received),
        ("unsent_total", "SIP messages that nobody took.", counts.unsent),
        ("orders_lost_total", "Orders to signalling that found no room.", counts.orders_lost),
        ("streams_refused_total", "Streams turned away, or closed to make room.", counts.streams_refused),
        ("tls_handshakes_total", "TLS handshakes that came to their end.", counts.handshakes),
        ("tls_handshakes_failed_total", "TLS handshakes that did not.", counts.handshakes_failed),
    ];
    counters.iter().for_each(|(name, help, value)| plain(&mut text, "counter", &format!("sip_{name}"), help, *value));
    let reasons = [
        ("refused_total", "Requests refused, by reason.", &counts.refused),
        ("dropped_total", "Messages of strangers that were not even read, by reason.", &counts.dropped),
        ("bans_total", "Sources banned, by the reason that was one too many.", &counts.banned),
    ];
    for (name, help, counts) in reasons {
        let values = counts.iter().map(|(why, count)| ((*why).to_owned(), *count));
        labelled(&mut text, &format!("sip_{name}"), help, "why", values);
    }
    let SipState { remembered, streams, banned } = counts.now;
    let gauges = [
        ("calls", "Calls that signalling knows.", remembered.calls),
        ("calls_in_setup", "Calls that are not confirmed yet.", remembered.calls_in_setup),
        ("server_transactions", "Transactions in which we answer.", remembered.server_transactions),
        ("client_transactions", "Transactions in which we ask.", remembered.client_transactions),
        ("registrations", "Registrations that hold.", remembered.registered),
        ("flows", "Sockets and streams that signalling knows.", remembered.flows),
        ("streams", "Streams that are open.", streams),
        ("banned", "Sources that are banned.", banned),
    ];
    let value = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    gauges
        .iter()
        .for_each(|(name, help, count)| plain(&mut text, "gauge", &format!("sip_{name}"), help, value(*count)));
    text
}

/// What the sound's worker counts, as text.
pub(crate) fn engine_text(counts: &EngineMetrics) -> String {
    let mut text = String::new();
    plain(&mut text, "gauge", "streams", "Streams at present.", counts.streams);
    plain(&mut text, "gauge", "media_workers", "Threads that mix.", counts.workers);
    let help = "Thousandths of its beats that the busiest thread works; above 800 new calls are refused.";
    plain(&mut text, "gauge", "media_busy_permille", help, counts.busy_permille);
    plain(&mut text, "counter", "beats_total", "Beats of 20 ms.", counts.beats);
    plain(&mut text, "counter", "beats_skipped_total", "Beats left out: the machine slept.", counts.beats_skipped);
    plain(&mut text, "gauge", "beat_lateness_max_us", "The latest beat, microseconds.", counts.lateness_max_us);
    plain(&mut text, "counter", "rtp_unsent_total", "Packets the system did not take.", counts.packets_unsent);
    let help = "Packets to a shared port from where no call comes.";
    plain(&mut text, "counter", "rtp_stray_total", help, counts.packets_stray);
    plain(&mut text, "counter", "orders_refused_total", "Orders to the worker refused.", counts.orders_refused);
    plain(&mut text, "counter", "reports_lost_total", "Reports of the worker lost.", counts.reports_lost);
    let bounds = LATENESS_BOUNDS_US.iter().map(ToString::to_string).chain(["more".to_owned()]);
    labelled(
        &mut text,
        "beats_late_total",
        "Beats by lateness, microseconds.",
        "up_to_us",
        bounds.zip(counts.lateness),
    );
    text
}

fn plain(text: &mut String, kind: &str, name: &str, help: &str, value: u64) {
    head(text, kind, name, help);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "dialroom_mixer_{name} {value}");
}

fn labelled(text: &mut String, name: &str, help: &str, label: &str, values: impl Iterator<Item = (String, u64)>) {
    head(text, "counter", name, help);
    for (which, value) in values {
        let _ = writeln!(text, "dialroom_mixer_{name}{{{label}=\"{which}\"}} {value}");
    }
}

fn head(text: &mut String, kind: &str, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP dialroom_mixer_{name} {help}\n# TYPE dialroom_mixer_{name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_reasons_apart() {
        let counts = SipCounts { refused: vec![("size", 2)], ..SipCounts::default() };
        assert!(sip_text(&counts).contains("\ndialroom_mixer_sip_refused_total{why=\"size\"} 2\n"));
        let counts = EngineMetrics { lateness: [1; LATENESS_BOUNDS_US.len() + 1], ..EngineMetrics::default() };
        let text = engine_text(&counts);
        assert!(text.contains("{up_to_us=\"100\"} 1\n") && text.contains("{up_to_us=\"more\"} 1\n"), "{text}");
    }

    #[test]
    fn every_value_has_its_line() {
        let metrics = Metrics::default();
        metrics.calls.raise();
        metrics.legs.set(7);
        let text = metrics.text();
        assert!(text.contains("# TYPE dialroom_mixer_calls_total counter\ndialroom_mixer_calls_total 1\n"), "{text}");
        assert!(text.contains("# TYPE dialroom_mixer_legs gauge\ndialroom_mixer_legs 7\n"), "{text}");
    }
}
