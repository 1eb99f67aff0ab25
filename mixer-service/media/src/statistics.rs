//! What is counted about a stream.

/// Counts of one stream since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamStatistics {
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP packets accepted, of every payload type.
    pub packets_received: u64,
    /// Packets that never came, by sequence number (RFC 3550 appendix A.3).
    pub packets_lost: u64,
    /// Came after their place in the sound was over.
    pub packets_late: u64,
    /// Came twice.
    pub packets_duplicated: u64,
    /// No RTP, or of a payload type nobody agreed on.
    pub packets_refused: u64,
    /// From a stranger's address.
    pub packets_stray: u64,
    /// Encrypted packets, reports included, that were forged, repeated, too old, or not encrypted at all.
    pub srtp_failed: u64,
    /// Reports (RTCP) sent.
    pub rtcp_sent: u64,
    /// Reports taken.
    pub packets_rtcp: u64,
    /// Reports refused: malformed, from strangers, or of another SSRC than the one heard.
    pub rtcp_refused: u64,
    /// Goodbyes within the reports taken; they end nothing.
    pub rtcp_goodbyes: u64,
    /// Packets of ours that the far end says never came.
    pub remote_lost: u64,
    /// Interarrival jitter at the far end, as it last said.
    pub remote_jitter_ms: f32,
    /// There and back on the network, as the last exchange of reports shows; `None` until then.
    pub round_trip_ms: Option<f32>,
    /// Beats on which nothing was sent because nothing ever came back.
    pub beats_withheld: u64,
    /// Interarrival jitter (RFC 3550 section 6.4.1) at the end.
    pub jitter_ms: f32,
    /// Frames of 20 ms that were at least partly made up because nothing was there to play.
    pub frames_concealed: u64,
    /// Times the playout started anew: another SSRC, a jump of the timestamps.
    pub resynchronized: u64,
    /// Telephone events that were no key, and keys that came faster than anybody presses them.
    pub events_ignored: u64,
    /// Keys that came another way before, and were not told again.
    pub keys_merged: u64,
    /// Frames silenced because a key was, or might have been, heard in them.
    pub frames_muted: u64,
    /// Mean level of what was heard from this stream while it spoke, dB below a full-scale square wave (RFC 6464's dBov);
    /// −127 when it never spoke.
    pub level_dbov: f32,
}
