//! What a leg costs on one beat: each codec, in clear and encrypted, speaking and listening, in small rooms and large ones.
//!
//! The packets of the telephones are made beforehand, so each figure holds receiving, mixing, encoding and sending; criterion
//! tells legs and beats a second, the reciprocal is the cost of a leg on a beat.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mixer_media::{
    BEAT, Bridge, Clip, Codec, Command, Input, Keying, Output, Remote, RoomKey, Srtp, StreamId, Suite, Tone,
};

const NEAR: ([u8; 4], u16) = ([127, 0, 0, 1], 4000);
const FAR: ([u8; 4], u16) = ([127, 0, 0, 1], 5000);
const SILENT: StreamId = StreamId(0);

/// Rooms and who is in them.
#[derive(Clone, Copy)]
struct Case {
    codec: Codec,
    suite: Option<Suite>,
    legs: u64,
    /// Rooms that they are in, one after the other.
    rooms: u64,
    /// So many of each room speak, at this level.
    speakers: u64,
    level_db: f64,
    beats: usize,
}

impl Case {
    /// A room with one who speaks.
    fn listening(codec: Codec, legs: u64) -> Self {
        Self { codec, suite: None, legs, rooms: 1, speakers: 1, level_db: -12.0, beats: 100 }
    }

    fn remote(&self, address: SocketAddr) -> Remote {
        let keying = Keying { key: [3; 32], salt: [4; 14] };
        Remote {
            srtp: self.suite.map(|suite| Srtp { suite, ours: keying, theirs: keying }),
            ..Remote::plain(address, self.codec)
        }
    }

    /// What a silent telephone sends, and what the speaking ones do, each at a pitch of its own.
    fn packets(&self, now: Instant) -> Vec<Vec<Vec<u8>>> {
        let pitches = self.speakers.min(8);
        let mut telephones = Bridge::new(2);
        for n in 0..=pitches {
            telephones.handle(now, Input::Command(Command::Open(StreamId(n))));
            telephones.handle(now, Input::Command(Command::Connect(StreamId(n), self.remote(NEAR.into()))));
            if StreamId(n) != SILENT {
                let pitch_hz = 300.0 + 110.0 * f64::from(u32::try_from(n).unwrap_or(0));
                let voice = Clip::new(Tone::new(pitch_hz, self.level_db).take(8000));
                telephones.handle(now, Input::Command(Command::Music(StreamId(n), voice)));
            }
        }
        let mut packets = vec![Vec::new(); usize::try_from(pitches).unwrap_or(0) + 1];
        let mut at = now;
        for _ in 0..self.beats {
            at += BEAT;
            telephones.handle(at, Input::Beat);
            loop {
                match telephones.poll() {
                    Output::Send(StreamId(n), _, bytes) => {
                        if let Some(sent) = usize::try_from(n).ok().and_then(|n| packets.get_mut(n)) {
                            sent.push(bytes.to_vec());
                        }
                    }
                    Output::Wait(_) => break,
                    _ => {}
                }
            }
        }
        packets
    }

    fn world<'a>(&self, now: Instant, packets: &'a [Vec<Vec<u8>>]) -> World<'a> {
        let mut bridge = Bridge::new(1);
        let mut legs = Vec::new();
        for n in 0..self.legs {
            let id = StreamId(n);
            bridge.handle(now, Input::Command(Command::Open(id)));
            bridge.handle(now, Input::Command(Command::Connect(id, self.remote(FAR.into()))));
            bridge.handle(now, Input::Command(Command::Join(id, RoomKey(n % self.rooms))));
            let n = n / self.rooms;
            let voice = if n < self.speakers { 1 + usize::try_from(n).unwrap_or(0) % (packets.len() - 1) } else { 0 };
            legs.push((id, &packets[voice][..]));
        }
        World { bridge, legs, now, turn: 0 }
    }

    fn run(&self, criterion: &mut Criterion, group: &str, name: String) {
        #[expect(clippy::disallowed_methods, reason = "time passes as the bench says; this is where it begins")]
        let start = Instant::now();
        let packets = OnceCell::new();
        let mut group = criterion.benchmark_group(group);
        group.sample_size(10);
        group.throughput(Throughput::Elements(self.legs * self.beats as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let packets = packets.get_or_init(|| self.packets(start));
            bencher.iter_batched_ref(
                || self.world(start, packets),
                |world| while world.beat() {},
                criterion::BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

struct World<'a> {
    bridge: Bridge,
    legs: Vec<(StreamId, &'a [Vec<u8>])>,
    now: Instant,
    turn: usize,
}

impl World<'_> {
    /// One beat of the room; `false` when there are no more packets.
    fn beat(&mut self) -> bool {
        let arrival = self.now;
        self.now += BEAT;
        self.bridge.handle(self.now, Input::Beat);
        loop {
            match self.bridge.poll() {
                Output::Take(StreamId(n)) => {
                    let sent = usize::try_from(n).ok().and_then(|n| self.legs.get(n));
                    let Some((id, datagram)) = sent.and_then(|(id, sent)| Some((id, sent.get(self.turn)?))) else {
                        return false;
                    };
                    self.bridge.handle(arrival, Input::Datagram(*id, FAR.into(), datagram));
                }
                Output::Wait(_) => break,
                _ => {}
            }
        }
        self.turn += 1;
        true
    }
}

fn codecs(criterion: &mut Criterion) {
    for codec in [Codec::ALaw, Codec::MuLaw, Codec::G722, Codec::Opus] {
        for suite in [None, Some(Suite::AesCm128Sha1Tag80), Some(Suite::AesGcm128)] {
            let name = format!("{codec:?} {}", suite.map_or_else(|| "in clear".into(), |suite| format!("{suite:?}")));
            Case { suite, beats: 200, ..Case::listening(codec, 20) }.run(criterion, "a room of 20", name);
        }
    }
}

/// As `dialroom bench` loads a mixer, without the kernel's share.
fn conferences(criterion: &mut Criterion) {
    for (legs, rooms) in [(5, 1), (1000, 200), (1000, 1)] {
        let case = Case { rooms, speakers: 3, ..Case::listening(Codec::ALaw, legs) };
        case.run(criterion, "three speak in each room", format!("{legs} legs in {rooms}"));
    }
}

/// What all hear is encoded once: a leg must not cost more in a large room than in a small one.
fn listeners(criterion: &mut Criterion) {
    for codec in [Codec::ALaw, Codec::G722, Codec::Opus] {
        for legs in [10, 100, 1000] {
            Case::listening(codec, legs).run(criterion, "one speaks, so many listen", format!("{codec:?} {legs}"));
        }
    }
}

/// Loudness must cost nothing, and open microphones no more than the few that are mixed.
fn loudness(criterion: &mut Criterion) {
    for (name, level_db) in [("quiet", -40.0), ("at full scale", 0.0)] {
        let case = Case { speakers: 32, level_db, ..Case::listening(Codec::ALaw, 32) };
        case.run(criterion, "32 speak", name.to_owned());
    }
    for speakers in [0, 8, 100] {
        let case = Case { speakers, level_db: -40.0, ..Case::listening(Codec::G722, 100) };
        case.run(criterion, "100 legs of which speak", speakers.to_string());
    }
}

criterion_group!(benches, conferences, codecs, listeners, loudness);
criterion_main!(benches);
