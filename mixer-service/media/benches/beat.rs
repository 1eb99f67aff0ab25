//! What a leg costs on one beat: each codec, in clear and encrypted, speaking and listening.
//!
//! Two bridges talk to each other, so each figure holds two legs' receiving, mixing, encoding and sending; it is told per leg.

use std::net::SocketAddr;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mixer_media::{
    BEAT, Bridge, Clip, Codec, Command, Input, Keying, Output, Remote, RoomKey, Srtp, StreamId, Suite, Tone,
};

/// Legs of a room; one of them speaks.
const LEGS: u64 = 20;
const NEAR: ([u8; 4], u16) = ([127, 0, 0, 1], 4000);
const FAR: ([u8; 4], u16) = ([127, 0, 0, 1], 5000);

struct World {
    bridge: Bridge,
    packets: Vec<(StreamId, Vec<Vec<u8>>)>,
    now: Instant,
    turn: usize,
}

/// A room of legs in one codec; what their telephones send is made beforehand, so that only the bridge is measured.
fn world(now: Instant, codec: Codec, suite: Option<Suite>) -> World {
    let keying = Keying { key: [3; 32], salt: [4; 14] };
    let remote = |address: SocketAddr| Remote {
        srtp: suite.map(|suite| Srtp { suite, ours: keying, theirs: keying }),
        ..Remote::plain(address, codec)
    };
    let (mut bridge, mut telephones) = (Bridge::new(1), Bridge::new(2));
    let ids: Vec<_> = (0..LEGS).map(StreamId).collect();
    for &id in &ids {
        for (side, address) in [(&mut bridge, FAR), (&mut telephones, NEAR)] {
            side.handle(now, Input::Command(Command::Open(id)));
            side.handle(now, Input::Command(Command::Connect(id, remote(address.into()))));
        }
        bridge.handle(now, Input::Command(Command::Join(id, RoomKey(1))));
    }
    let voice = Clip::new(Tone::new(440.0, -12.0).take(8000));
    telephones.handle(now, Input::Command(Command::Music(ids[0], voice)));
    let mut packets: Vec<(StreamId, Vec<Vec<u8>>)> = ids.iter().map(|id| (*id, Vec::new())).collect();
    let mut at = now;
    for _ in 0..200 {
        at += BEAT;
        telephones.handle(at, Input::Beat);
        loop {
            match telephones.poll() {
                Output::Send(id, _, bytes) => {
                    if let Some((_, sent)) = packets.iter_mut().find(|(of, _)| *of == id) {
                        sent.push(bytes.to_vec());
                    }
                }
                Output::Wait(_) => break,
                _ => {}
            }
        }
    }
    World { bridge, packets, now, turn: 0 }
}

impl World {
    /// One beat of the room; `false` when there are no more packets.
    fn beat(&mut self) -> bool {
        for (id, sent) in &self.packets {
            let Some(datagram) = sent.get(self.turn) else { return false };
            self.bridge.handle(self.now, Input::Datagram(*id, FAR.into(), datagram));
        }
        self.turn += 1;
        self.now += BEAT;
        self.bridge.handle(self.now, Input::Beat);
        while !matches!(self.bridge.poll(), Output::Wait(_)) {}
        true
    }
}

fn legs(criterion: &mut Criterion) {
    #[expect(clippy::disallowed_methods, reason = "time passes as the bench says; this is where it begins")]
    let start = Instant::now();
    let mut group = criterion.benchmark_group("200 beats of a room of 20");
    group.sample_size(10);
    // Elements are legs and beats: criterion tells how many of them a second, the reciprocal is the cost of one.
    group.throughput(Throughput::Elements(LEGS * 200));
    for codec in [Codec::ALaw, Codec::MuLaw, Codec::G722, Codec::Opus] {
        for suite in [None, Some(Suite::AesCm128Sha1Tag80), Some(Suite::AesGcm128)] {
            let name = format!("{codec:?} {}", suite.map_or_else(|| "in clear".into(), |suite| format!("{suite:?}")));
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter_batched_ref(
                    || world(start, codec, suite),
                    |world| while world.beat() {},
                    criterion::BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, legs);
criterion_main!(benches);
