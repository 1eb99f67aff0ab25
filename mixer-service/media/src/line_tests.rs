//! A far end on lines that sway, lose and drift, on pretended time: what of it is heard, and how late.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small numbers"
)]

use super::*;
use crate::codec::Encoder;
use crate::outbound::scramble;
use crate::resample::Doubler;
use crate::{BEAT, Codec, WIDE_SAMPLES, level_dbov, some_instant};

/// Something like speech: vowels at a pitch that wanders, softer and louder, with pauses of a third of a second.
fn speech(seconds: usize) -> Vec<i16> {
    let (mut phase, mut ring, mut samples) = (0f32, [0f32; 2], Vec::new());
    for n in 0..seconds * 8000 {
        let at = n as f32 / 8000.0;
        phase += (130.0 + 30.0 * (at * 2.3).sin()) / 8000.0;
        let loudness = 2500.0 * (1.2 + (at * 7.0).sin());
        let pulse = if phase >= 1.0 && at % 2.0 < 1.7 { loudness } else { 0.0 };
        phase -= phase.floor();
        let next = pulse + 1.75 * ring[0] - 0.9 * ring[1];
        ring = [next, ring[0]];
        samples.push((next * 0.5) as i16);
    }
    samples
}

/// What a line does.
#[derive(Clone, Copy, Debug)]
struct Line {
    codec: Codec,
    /// How much faster the far end's clock is than ours, in parts of a million.
    drift_ppm: f64,
    /// Packets come up to so much later than the fastest, evenly spread.
    sway_ms: f64,
    loss_percent: u64,
    /// When, after a beat of ours, packets come at the earliest.
    phase_ms: f64,
    seconds: u64,
    seed: u64,
}

const STEADY: Line =
    Line { codec: Codec::MuLaw, drift_ppm: 0.0, sway_ms: 0.0, loss_percent: 0, phase_ms: 7.0, seconds: 60, seed: 1 };

/// What came of it.
#[derive(Debug)]
struct Outcome {
    statistics: StreamStatistics,
    /// From the instant the fastest packet would be here to its first sample being played, on every beat, in ms.
    delays_ms: Vec<f64>,
    heard: Vec<i16>,
}

impl Outcome {
    fn percentile(&self, part: f64) -> f64 {
        let mut sorted = self.delays_ms.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * part) as usize]
    }
}

impl Line {
    /// Twenty seconds of speech in packets.
    fn payloads(self) -> Vec<[u8; FRAME_SAMPLES]> {
        let (mut doubler, mut encoder) = (Doubler::default(), Encoder::new(self.codec));
        let packet = |frame: &Frame| {
            let mut payload = [0; FRAME_SAMPLES];
            match self.codec.law() {
                Some(law) => law.encode(frame, &mut payload),
                None => {
                    let mut wide = [0; WIDE_SAMPLES];
                    doubler.raise(frame, &mut wide);
                    encoder.encode(&wide, &mut payload);
                }
            }
            payload
        };
        speech(20).as_chunks::<FRAME_SAMPLES>().0.iter().map(packet).collect()
    }

    fn run(self) -> Outcome {
        let start = some_instant();
        let remote = Remote::plain(([127, 0, 0, 1], 4000).into(), self.codec);
        let mut inbound = Inbound::new(start, remote, 1);
        let payloads = self.payloads();
        let sent_at = |n: u64| self.phase_ms + n as f64 * 20.0 / (1.0 + self.drift_ppm / 1e6);
        let arrives_at = |n: u64| {
            let sway = scramble(self.seed ^ n) % 10_000;
            sent_at(n) + self.sway_ms * sway as f64 / 10_000.0
        };
        let lost = |n: u64| scramble(!self.seed ^ n) % 10_000 < self.loss_percent * 100;
        // What may still be on its way, by arrival.
        let (mut coming, mut next_sent): (Vec<(f64, u64)>, u64) = (Vec::new(), 0);
        let (mut delays_ms, mut heard) = (Vec::new(), Vec::new());
        for beat in 1..=self.seconds * 50 {
            let due_ms = (beat * 20) as f64;
            while sent_at(next_sent) < due_ms {
                coming.push((arrives_at(next_sent), next_sent));
                next_sent += 1;
            }
            coming.sort_by(|a, b| a.0.total_cmp(&b.0));
            let here = coming.partition_point(|(at, _)| *at < due_ms);
            for (at_ms, n) in coming.drain(..here).filter(|(_, n)| !lost(*n)) {
                let payload = &payloads[n as usize % payloads.len()];
                let (sequence, timestamp) = (n as u16, (n * 160) as u32);
                let packet = Packet {
                    marker: false,
                    payload_type: self.codec.usual_payload_type(),
                    sequence,
                    timestamp,
                    ssrc: 1,
                    payload,
                };
                inbound.receive(start + Duration::from_nanos((at_ms * 1e6) as u64), &packet);
            }
            let ready = inbound.ready.counted(inbound.ready.len()) as f64;
            // What this beat's frame begins with, in samples of the far end.
            let position = inbound.buffer.position().map(|next| f64::from(next) - ready);
            let (mut frame, due) = ([0; FRAME_SAMPLES], start + BEAT * beat as u32);
            if self.codec.is_wide() {
                let mut wide = [0; WIDE_SAMPLES];
                inbound.frame_wide(due, &mut frame, &mut wide);
                heard.extend(wide);
            } else {
                inbound.frame(due, &mut frame);
                heard.extend(frame);
            }
            if let (Some(position), true) = (position, beat > 50) {
                delays_ms.push(due_ms - sent_at(0) - position / 8.0 / (1.0 + self.drift_ppm / 1e6));
            }
        }
        Outcome { statistics: inbound.statistics(), delays_ms, heard }
    }
}

#[test]
fn an_hour_of_a_clock_that_drifts_has_no_slip_and_a_steady_depth() {
    let seconds = 3600;
    let level = level_dbov(&speech(20));
    for drift_ppm in [-200.0, -20.0, 20.0, 200.0] {
        let outcome = Line { drift_ppm, seconds, ..STEADY }.run();
        let (least, most) = (outcome.percentile(0.0), outcome.percentile(1.0));
        let change = level_dbov(&outcome.heard[8000..]) - level;
        println!("{drift_ppm:+} ppm: {least:.1} to {most:.1} ms deep, level {change:+.3} dB");
        assert_eq!((outcome.statistics.frames_concealed, outcome.statistics.packets_late), (0, 0), "{drift_ppm} ppm");
        assert!(least > 0.0 && most < 45.0, "{drift_ppm} ppm: {least} to {most} ms");
        assert!(change.abs() < 0.1, "{drift_ppm} ppm: {change} dB");
    }
}

#[test]
fn wideband_follows_a_clock_that_drifts_and_a_line_that_sways_as_telephones_do() {
    let wide = |line: Line| Line { codec: Codec::G722, seconds: 600, ..line }.run();
    let level = level_dbov(&wide(STEADY).heard[16_000..]);
    for drift_ppm in [-200.0, 200.0] {
        let outcome = wide(Line { drift_ppm, ..STEADY });
        let (least, most) = (outcome.percentile(0.0), outcome.percentile(1.0));
        let change = level_dbov(&outcome.heard[16_000..]) - level;
        println!("{drift_ppm:+} ppm: {least:.1} to {most:.1} ms deep, level {change:+.3} dB");
        assert_eq!((outcome.statistics.frames_concealed, outcome.statistics.packets_late), (0, 0), "{drift_ppm} ppm");
        assert!(least > 0.0 && most < 45.0 && change.abs() < 0.1, "{drift_ppm} ppm");
    }
    for sway_ms in [20.0, 60.0] {
        let outcome = wide(Line { sway_ms, seed: 7, ..STEADY });
        let (p95, concealed) = (outcome.percentile(0.95), outcome.statistics.frames_concealed);
        println!("{sway_ms} ms of sway: p95 {p95:.1} ms, {concealed} of 30000 concealed");
        assert!(p95 <= sway_ms * 0.99 + 22.0 && concealed <= 900);
    }
}

#[test]
fn a_steady_line_is_played_as_early_as_can_be_wherever_between_two_beats_packets_come() {
    let mut delays: Vec<f64> = (0..20u32)
        .map(|phase| {
            let outcome = Line { phase_ms: f64::from(phase) + 0.5, ..STEADY }.run();
            assert_eq!(outcome.statistics.frames_concealed, 0);
            assert!(outcome.percentile(1.0) - outcome.percentile(0.0) < 1e-6, "nothing is changed");
            outcome.percentile(1.0)
        })
        .collect();
    delays.sort_by(f64::total_cmp);
    let (median, most) = (delays[10], delays[19]);
    println!("{median} ms, at most {most} ms");
    assert!(median <= 13.0 && most <= 22.0);
}

#[test]
fn on_a_swaying_line_it_is_as_deep_as_it_must_and_not_deeper() {
    for sway_ms in [0.0, 5.0, 10.0, 20.0, 40.0, 60.0, 100.0, 120.0] {
        for phase_ms in [1.0, 6.0, 11.0, 16.0] {
            let outcome = Line { sway_ms, phase_ms, seconds: 300, seed: 7, ..STEADY }.run();
            let (p95, jitter_p99) = (outcome.percentile(0.95), sway_ms * 0.99);
            let concealed = outcome.statistics.frames_concealed;
            println!(
                "{sway_ms} ms of sway, phase {phase_ms}: p50 {:.1} ms, p95 {p95:.1} ms, {concealed} of 15000 concealed, {} late",
                outcome.percentile(0.5),
                outcome.statistics.packets_late
            );
            assert!(p95 <= jitter_p99 + 22.0, "{sway_ms} ms, phase {phase_ms}: {p95} ms");
            assert!(concealed <= 450, "{sway_ms} ms, phase {phase_ms}: {concealed} concealed");
        }
    }
}

#[test]
fn a_line_that_loses_is_given_one_packet_more_and_it_is_taken_back() {
    let clean = Line { seconds: 60, ..STEADY }.run().percentile(0.5);
    let lossy = Line { loss_percent: 5, seconds: 60, ..STEADY }.run().percentile(0.9);
    println!("{clean:.1} ms deep without loss, {lossy:.1} ms with");
    assert!((15.0..30.0).contains(&(lossy - clean)), "{clean} and {lossy}");
}
