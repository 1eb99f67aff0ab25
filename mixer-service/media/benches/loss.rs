//! What a lost packet costs: the same beats of a talker with everything there, and with every fourth packet missing.
//!
//! The difference, divided by the frames made up, is what making one up costs; it must stay far below a beat for hundreds of
//! legs that lose at once.

use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mixer_media::{BEAT, Bridge, Codec, Command, FRAME_SAMPLES, G711, Input, Output, Remote, StreamId, Tone};

const FAR: ([u8; 4], u16) = ([127, 0, 0, 1], 4000);
const BEATS: u64 = 1000;
const TALKER: StreamId = StreamId(1);

/// Packets of a voice, every `lost`-th missing; none where that is 0.
fn packets(lost: usize) -> Vec<Option<Vec<u8>>> {
    let (mut low, mut high) = (Tone::new(140.0, -12.0), Tone::new(420.0, -18.0));
    let mut packets = Vec::new();
    for n in 0..BEATS {
        let (mut frame, mut other, mut payload) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
        low.fill(&mut frame);
        high.fill(&mut other);
        frame.iter_mut().zip(other).for_each(|(sample, other)| *sample += other);
        G711::ALaw.encode(&frame, &mut payload);
        let [.., a, b, c, d] = n.to_be_bytes();
        let mut packet = vec![0x80, 8, c, d];
        packet.extend((u32::from_be_bytes([a, b, c, d]) * 160).to_be_bytes());
        packet.extend([0, 0, 0, 9]);
        packet.extend(payload);
        let here = lost == 0 || packets.len() % lost != lost / 2;
        packets.push(here.then_some(packet));
    }
    packets
}

fn listen(start: Instant, packets: &[Option<Vec<u8>>]) -> u64 {
    let (mut bridge, mut now) = (Bridge::new(1), start);
    bridge.handle(now, Input::Command(Command::Open(TALKER)));
    bridge.handle(now, Input::Command(Command::Connect(TALKER, Remote::plain(FAR.into(), Codec::ALaw))));
    for packet in packets {
        if let Some(packet) = packet {
            bridge.handle(now, Input::Datagram(TALKER, FAR.into(), packet));
        }
        now += BEAT;
        bridge.handle(now, Input::Beat);
        while !matches!(bridge.poll(), Output::Wait(_)) {}
    }
    bridge.statistics(TALKER).map_or(0, |counts| counts.frames_concealed)
}

fn losses(criterion: &mut Criterion) {
    #[expect(clippy::disallowed_methods, reason = "time passes as the bench says; this is where it begins")]
    let start = Instant::now();
    let mut group = criterion.benchmark_group("1000 beats of a talker");
    group.throughput(Throughput::Elements(BEATS));
    for lost in [0, 20, 4] {
        let packets = packets(lost);
        let name = match lost {
            0 => "nothing lost".into(),
            lost => format!("one in {lost} lost, {} frames made up", listen(start, &packets)),
        };
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| bencher.iter(|| listen(start, &packets)));
    }
    group.finish();
}

criterion_group!(benches, losses);
criterion_main!(benches);
