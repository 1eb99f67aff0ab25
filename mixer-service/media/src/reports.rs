//! Reports between both ends of a stream (RFC 3550 section 6): when ours are due, what they say, and what his say of us.
//!
//! We have no wall clock here; our reports count time from the stream's beginning, which RFC 3550 section 6.4.1 allows. What a
//! far end reports is for reading only: a goodbye ends nothing, for anybody could have written it.

use std::time::{Duration, Instant};

use crate::StreamStatistics;
use crate::outbound::scramble;
use crate::reception::Reception;
use crate::rtcp::{self, COMPOUND_MAX, NAME_BYTES, Report, ReportBlock, Said, SenderInfo};
use crate::srtp::TRAILER_MAX;

/// A report every five seconds, half of that sooner or later so that no two callers march in step (section 6.2).
const INTERVAL_MIN: Duration = Duration::from_millis(2500);
const INTERVAL_SPREAD_MS: u64 = 5000;
/// Reports of ours that his answer may speak of.
const REMEMBERED: usize = 4;
/// A round trip longer than this is a mistake, or a forgery.
const ROUND_TRIP_MAX_MS: f32 = 10_000.0;

/// One stream's side of the exchange.
#[derive(Debug)]
pub(crate) struct Reports {
    name: [u8; NAME_BYTES],
    start: Instant,
    next: Instant,
    chance: u64,
    /// The middle of his last sender report's clock, and when it came.
    his: Option<(u32, Instant)>,
    /// The same of our last ones.
    ours: [u32; REMEMBERED],
    /// Packets expected and received when we last reported.
    reported: (u64, u64),
    ready: [u8; COMPOUND_MAX + TRAILER_MAX],
    ready_len: usize,
    sent: u64,
    heard: u64,
    refused: u64,
    goodbyes: u64,
    remote_lost: u64,
    remote_jitter_ms: f32,
    round_trip_ms: Option<f32>,
}

/// What we know of our own sending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) ssrc: u32,
    /// RTP timestamp of this moment.
    pub(crate) timestamp: u32,
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    /// Whether anything was sent since the last report: a sender report, else a receiver report.
    pub(crate) sending: bool,
}

impl Reports {
    pub(crate) fn new(now: Instant, seed: u64) -> Self {
        let chance = scramble(seed ^ 0x7274_6370);
        let mut reports = Self {
            name: name(chance),
            start: now,
            next: now,
            chance,
            his: None,
            ours: [0; REMEMBERED],
            reported: (0, 0),
            ready: [0; COMPOUND_MAX + TRAILER_MAX],
            ready_len: 0,
            sent: 0,
            heard: 0,
            refused: 0,
            goodbyes: 0,
            remote_lost: 0,
            remote_jitter_ms: 0.0,
            round_trip_ms: None,
        };
        reports.schedule(now);
        reports
    }

    /// Takes a compound packet in clear. `ours` and `theirs`: the SSRCs of this call, the latter once it was heard. Gives how
    /// much he loses of what we send, in percent, if he says so; `None` also for what is refused.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        compound: &[u8],
        (ours, theirs): (u32, Option<u32>),
        clock_hz: u32,
    ) -> Option<u8> {
        let from = rtcp::read(compound, |_| {}).ok().filter(|from| theirs.is_none_or(|theirs| theirs == *from));
        let Some(from) = from else {
            self.refused += 1;
            return None;
        };
        self.heard += 1;
        let mut loss = None;
        let _ = rtcp::read(compound, |said| match said {
            Said::Sent(ssrc, info) if ssrc == from => self.his = Some((middle(info.ntp), now)),
            Said::Received(ssrc, block) if ssrc == from && block.ssrc == ours => {
                loss = Some(self.learn(now, block, clock_hz));
            }
            Said::Goodbye(_) => self.goodbyes += 1,
            Said::Sent(..) | Said::Received(..) => {}
        });
        loss
    }

    /// A report came that nothing may be learned from.
    pub(crate) fn refuse(&mut self) {
        self.refused += 1;
    }

    /// Reports refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether a report of ours is due.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// Passes over the report that is due.
    pub(crate) fn skip(&mut self, now: Instant) {
        self.schedule(now);
    }

    /// Writes the report that is due; gives it with room for a trailer, to be finished by [`finish`](Self::finish).
    pub(crate) fn write(
        &mut self,
        now: Instant,
        sent: Sent,
        reception: &Reception,
        ticks_per_sample: u32,
        goodbye: bool,
    ) -> (&mut [u8], usize) {
        self.schedule(now);
        self.sent += 1;
        let ntp = self.ntp(now);
        let info = sent.sending.then(|| SenderInfo {
            ntp,
            timestamp: sent.timestamp,
            packets: wrapping(sent.packets),
            octets: wrapping(sent.octets),
        });
        if info.is_some() {
            self.ours.rotate_right(1);
            self.ours[0] = middle(ntp);
        }
        let received = self.block(now, reception, ticks_per_sample);
        let report = Report { ssrc: sent.ssrc, sent: info, received, name: &self.name, goodbye };
        let mut datagram = [0; COMPOUND_MAX];
        let len = report.write(&mut datagram);
        self.ready[..len].copy_from_slice(&datagram[..len]);
        (&mut self.ready, len)
    }

    /// What was written is this long on the wire.
    pub(crate) fn finish(&mut self, len: usize) {
        self.ready_len = len;
    }

    /// What was written last.
    pub(crate) fn ready(&self) -> &[u8] {
        self.ready.get(..self.ready_len).unwrap_or_default()
    }

    /// Adds what is counted here.
    pub(crate) fn count(&self, statistics: &mut StreamStatistics) {
        statistics.rtcp_sent = self.sent;
        statistics.packets_rtcp = self.heard;
        statistics.rtcp_refused = self.refused;
        statistics.rtcp_goodbyes = self.goodbyes;
        statistics.remote_lost = self.remote_lost;
        statistics.remote_jitter_ms = self.remote_jitter_ms;
        statistics.round_trip_ms = self.round_trip_ms;
    }

    fn learn(&mut self, now: Instant, block: ReportBlock, clock_hz: u32) -> u8 {
        self.remote_lost = u64::try_from(block.lost).unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people to read")]
        let jitter_ms = block.jitter as f32 * 1000.0 / clock_hz as f32;
        self.remote_jitter_ms = jitter_ms;
        // Only an answer to a report of ours tells how long the way is.
        if block.last_report != 0 && self.ours.contains(&block.last_report) {
            let way = middle(self.ntp(now)).wrapping_sub(block.last_report).wrapping_sub(block.since_last_report);
            #[expect(clippy::cast_precision_loss, reason = "a figure for people to read")]
            let way_ms = way.cast_signed() as f32 * 1000.0 / 65536.0;
            self.round_trip_ms = Some(way_ms.max(0.0)).filter(|ms| *ms <= ROUND_TRIP_MAX_MS).or(self.round_trip_ms);
        }
        u8::try_from((u32::from(block.fraction_lost) * 100).div_ceil(256)).unwrap_or(100)
    }

    fn block(&mut self, now: Instant, reception: &Reception, ticks_per_sample: u32) -> Option<ReportBlock> {
        let source = reception.source()?;
        let (expected, received) = (source.expected, source.received);
        // A new source counts from one again.
        let (expected_before, received_before) = if self.reported.0 <= expected { self.reported } else { (0, 0) };
        let expected_now = expected - expected_before;
        let lost_now = expected_now.saturating_sub(received.saturating_sub(received_before));
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0);
        self.reported = (expected, received);
        let (last_report, since_last_report) = self.his.map_or((0, 0), |(middle, at)| {
            let since = now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000;
            (middle, u32::try_from(since).unwrap_or(u32::MAX))
        });
        let lost = expected.cast_signed().saturating_sub(received.cast_signed());
        Some(ReportBlock {
            ssrc: source.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: i32::try_from(lost).unwrap_or(i32::MAX),
            highest: source.extended_highest,
            jitter: reception.jitter_samples().saturating_mul(ticks_per_sample),
            last_report,
            since_last_report,
        })
    }

    /// Our clock: seconds since the stream began, from one on so that no report's middle is 0.
    fn ntp(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.start) + Duration::from_secs(1);
        let fraction = (u64::from(passed.subsec_nanos()) << 32) / 1_000_000_000;
        passed.as_secs() << 32 | fraction
    }

    fn schedule(&mut self, now: Instant) {
        self.chance = scramble(self.chance);
        self.next = now + INTERVAL_MIN + Duration::from_millis(self.chance % INTERVAL_SPREAD_MS);
    }
}

fn middle(ntp: u64) -> u32 {
    wrapping(ntp >> 16)
}

fn wrapping(count: u64) -> u32 {
    u32::try_from(count & u64::from(u32::MAX)).unwrap_or(0)
}

/// A name for this call alone (RFC 7022 section 4.2): it says nothing about machine, person or other calls.
fn name(chance: u64) -> [u8; NAME_BYTES] {
    let mut name = [0; NAME_BYTES];
    let bits = [scramble(chance ^ 1), scramble(chance ^ 2)];
    for (n, letter) in name.iter_mut().enumerate() {
        let five = usize::try_from(bits[n / 8] >> (n % 8 * 5) & 31).unwrap_or(0);
        *letter = b"abcdefghijklmnopqrstuvwxyz234567"[five];
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Packet;
    use crate::some_instant;

    const OURS: u32 = 10;
    const THEIRS: u32 = 20;

    fn sent(ssrc: u32) -> Sent {
        Sent { ssrc, timestamp: 0, packets: 100, octets: 16_000, sending: true }
    }

    fn reception(start: Instant, sequence: impl Iterator<Item = u16>) -> Reception {
        let mut reception = Reception::new(start);
        for sequence in sequence {
            reception.note(&Packet {
                marker: false,
                payload_type: 0,
                sequence,
                timestamp: 0,
                ssrc: OURS,
                payload: &[],
            });
        }
        reception
    }

    #[test]
    fn loss_and_round_trip_come_back_from_the_far_end() {
        let start = some_instant();
        let (mut ours, mut theirs) = (Reports::new(start, 1), Reports::new(start, 2));
        let ms = Duration::from_millis;
        let silent = Reception::new(start);
        // Ours goes out, needs 30 ms, is answered 200 ms later, and the answer needs 30 ms.
        let (bytes, len) = ours.write(start + ms(1000), sent(OURS), &silent, 1, false);
        let report = bytes[..len].to_vec();
        assert_eq!(
            theirs.hear(start + ms(1030), &report, (THEIRS, Some(OURS)), 8000),
            None,
            "it says nothing about us"
        );
        let heard = reception(start, (0..100).filter(|n| n % 10 != 5));
        let (bytes, len) = theirs.write(start + ms(1230), sent(THEIRS), &heard, 1, false);
        let report = bytes[..len].to_vec();
        assert_eq!(ours.hear(start + ms(1260), &report, (OURS, Some(THEIRS)), 8000), Some(10));
        let mut statistics = StreamStatistics::default();
        ours.count(&mut statistics);
        assert_eq!((statistics.remote_lost, statistics.packets_rtcp, statistics.rtcp_sent), (10, 1, 1));
        let round_trip_ms = statistics.round_trip_ms.unwrap();
        assert!((round_trip_ms - 60.0).abs() < 1.0, "{round_trip_ms}");
    }

    #[test]
    fn the_fraction_lost_is_that_since_the_last_report() {
        let start = some_instant();
        let mut reports = Reports::new(start, 1);
        let all = reception(start, 65_500..=u16::MAX);
        assert_eq!(reports.block(start, &all, 1).unwrap().fraction_lost, 0);
        let half = reception(start, (65_500..=u16::MAX).chain((0..36).filter(|n| n % 2 == 1)));
        let block = reports.block(start, &half, 6).unwrap();
        assert_eq!((block.fraction_lost, block.lost, block.highest), (128, 18, 65_536 + 35));
    }

    #[test]
    fn forged_reports_and_goodbyes_are_counted_and_teach_nothing() {
        let start = some_instant();
        let (mut ours, mut stranger) = (Reports::new(start, 1), Reports::new(start, 3));
        let lossy = reception(start, (0..100).filter(|n| n % 2 == 1));
        let (bytes, len) = stranger.write(start, sent(66), &lossy, 1, true);
        let report = bytes[..len].to_vec();
        assert_eq!(ours.hear(start, &report, (OURS, Some(THEIRS)), 8000), None);
        assert_eq!(ours.hear(start, &report[..30], (OURS, None), 8000), None);
        assert_eq!(ours.hear(start, &report, (99, None), 8000), None, "it speaks of somebody else");
        let mut statistics = StreamStatistics::default();
        ours.count(&mut statistics);
        assert_eq!((statistics.rtcp_refused, statistics.rtcp_goodbyes, statistics.remote_lost), (2, 1, 0));
        assert_eq!(statistics.round_trip_ms, None);
    }

    #[test]
    fn reports_come_every_five_seconds_in_the_mean_and_never_in_step() {
        let start = some_instant();
        let (mut reports, mut now, mut waits) = (Reports::new(start, 7), start, Vec::new());
        for _ in 0..200 {
            waits.push((reports.next - now).as_millis());
            now = reports.next;
            reports.skip(now);
        }
        assert!(waits.iter().all(|wait| (2500..7500).contains(wait)));
        assert!((4500..5500).contains(&(waits.iter().sum::<u128>() / 200)));
        assert_ne!(Reports::new(start, 7).name, Reports::new(start, 8).name);
    }
}
