//! After all have joined, a beat allocates nothing: whatever the codecs, whoever speaks, whatever is lost or announced.

use std::time::Instant;

use mixer_media::{BEAT, Bridge, Clip, Codec, Command, Input, Levels, Output, Remote, RoomKey, StreamId, Tone};

const FAR: ([u8; 4], u16) = ([127, 0, 0, 1], 4000);
const ROOM: RoomKey = RoomKey(1);
/// Beats until everything has been used once, and those that are counted.
const BEATS: usize = 300;
const COUNTED: usize = 500;

/// Two telephones of each codec, and the mixer that they call.
struct House {
    now: Instant,
    telephones: Bridge,
    mixer: Bridge,
    legs: u64,
}

impl House {
    fn new(codecs: &[Codec]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "time passes as the test says; this is where it begins")]
        let now = Instant::now();
        let mut house = Self { now, telephones: Bridge::new(1), mixer: Bridge::new(2), legs: 0 };
        for codec in codecs.iter().flat_map(|codec| [codec, codec]) {
            let id = StreamId(house.legs);
            house.legs += 1;
            for bridge in [&mut house.telephones, &mut house.mixer] {
                bridge.handle(now, Input::Command(Command::Open(id)));
                bridge.handle(now, Input::Command(Command::Connect(id, Remote::plain(FAR.into(), *codec))));
            }
            house.mixer.handle(now, Input::Command(Command::Join(id, ROOM)));
        }
        house
    }

    fn tell(&mut self, command: Command) {
        self.mixer.handle(self.now, Input::Command(command));
    }

    /// One after the other speaks for a while, so that each is now mixed and now a mere listener.
    fn let_speak(&mut self, beat: usize) {
        let speaker = StreamId(beat as u64 / 20 % self.legs);
        if beat.is_multiple_of(20) {
            let voice = Clip::new(Tone::new(500.0, -20.0).take(8000));
            self.telephones.handle(self.now, Input::Command(Command::Play(speaker, vec![voice], 1)));
        }
    }

    /// What the telephones send on this beat; every eleventh packet is lost.
    fn packets(&mut self, beat: usize) -> Vec<(StreamId, Vec<u8>)> {
        let mut packets = Vec::new();
        self.telephones.handle(self.now, Input::Beat);
        loop {
            match self.telephones.poll() {
                Output::Send(id, _, datagram) if !(beat + packets.len()).is_multiple_of(11) => {
                    packets.push((id, datagram.to_vec()));
                }
                Output::Wait(_) => return packets,
                _ => {}
            }
        }
    }

    /// A beat of the mixer; how often it allocated.
    fn beat(&mut self, beat: usize) -> u64 {
        self.let_speak(beat);
        self.now += BEAT;
        let packets = self.packets(beat);
        let counted = allocation_counter::measure(|| {
            for (id, datagram) in &packets {
                self.mixer.handle(self.now, Input::Datagram(*id, FAR.into(), datagram));
            }
            self.mixer.handle(self.now, Input::Beat);
            while !matches!(self.mixer.poll(), Output::Wait(_)) {}
        });
        counted.count_total
    }
}

fn allocations(codecs: &[Codec]) -> u64 {
    let mut house = House::new(codecs);
    house.tell(Command::Level(StreamId(0), Levels { normalise: true, gate: true }));
    let mut counted = 0;
    for beat in 0..BEATS + COUNTED {
        if beat % 200 == 150 {
            house.tell(Command::PlayToRoom(ROOM, vec![Clip::new(Tone::new(900.0, -20.0).take(4000))]));
            house.tell(Command::Play(StreamId(1), vec![Clip::new(Tone::new(800.0, -20.0).take(4000))], 7));
        }
        let allocated = house.beat(beat);
        counted += if beat >= BEATS { allocated } else { 0 };
    }
    counted
}

#[test]
fn a_beat_allocates_nothing_in_any_codec_and_mixture() {
    for codecs in [
        &[Codec::ALaw, Codec::MuLaw][..],
        &[Codec::G722],
        &[Codec::Opus],
        &[Codec::ALaw, Codec::G722, Codec::Opus, Codec::MuLaw],
    ] {
        assert_eq!(allocations(codecs), 0, "{codecs:?}");
    }
}
