//! Telephones that hear and speak wideband among those that do not: each is a codec of its own, fed and heard at its rate.

use super::*;
use crate::codec::{Decoder, Encoder};
use crate::jitter_buffer::Sound;
use crate::resample::wide;
use crate::rtp::Packet;

const ALL: [Codec; 4] = [Codec::ALaw, Codec::MuLaw, Codec::G722, Codec::Opus];
const WIDE: [Codec; 2] = [Codec::G722, Codec::Opus];

/// A telephone that says a tone, or nothing.
struct Telephone {
    id: StreamId,
    codec: Codec,
    encoder: Encoder,
    decoder: Decoder,
    tone: Option<Tone>,
    heard: Vec<i16>,
    sent: Vec<Vec<u8>>,
    /// What the bridge sent to it.
    payloads: Vec<Vec<u8>>,
}

struct House {
    now: Instant,
    bridge: Bridge,
    beats: u32,
    telephones: Vec<Telephone>,
}

impl Telephone {
    fn is_wide(&self) -> bool {
        self.codec.is_wide()
    }

    fn speaks(&mut self, pitch_hz: f64, level_db: f64) {
        self.tone = Some(if self.is_wide() { wide::tone(pitch_hz, level_db) } else { Tone::new(pitch_hz, level_db) });
    }

    /// The packet of this beat.
    fn packet(&mut self, beat: u32) -> Vec<u8> {
        let frame = match &mut self.tone {
            Some(tone) => tone.take(20 * self.codec.samples_per_ms()),
            None => vec![0; 20 * self.codec.samples_per_ms()],
        };
        let mut payload = vec![0; 480];
        let len = match self.codec.law() {
            Some(law) => {
                law.encode(frame[..].try_into().unwrap(), (&mut payload[..160]).try_into().unwrap());
                160
            }
            None => self.encoder.encode(&frame, &mut payload[..if self.codec == Codec::G722 { 160 } else { 480 }]),
        };
        let mut bytes = vec![0; 600];
        let packet = Packet {
            marker: false,
            payload_type: self.codec.usual_payload_type(),
            sequence: beat as u16,
            timestamp: beat * 160 * self.codec.ticks_per_sample(),
            ssrc: 7,
            payload: &payload[..len],
        };
        let len = packet.write(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    }

    fn hear(&mut self, datagram: &[u8]) {
        let packet = Packet::parse(datagram).unwrap();
        let mut samples = vec![0; 20 * self.codec.samples_per_ms()];
        let sound = Sound { timestamp: packet.timestamp, payload: packet.payload, offset: 0, len: 160 };
        assert_eq!(self.decoder.decode(sound, &mut samples), samples.len());
        self.heard.extend(samples);
        self.payloads.push(packet.payload.to_vec());
    }

    /// The level of a pitch in the last second.
    fn level(&self, pitch_hz: f64) -> f64 {
        let rate = 1000 * self.codec.samples_per_ms();
        let heard = &self.heard[self.heard.len() - rate..];
        if self.is_wide() { wide::level_db(heard, pitch_hz) } else { pitch_level_db(heard, pitch_hz) }
    }
}

impl House {
    fn new(codecs: &[Codec]) -> Self {
        let mut house = Self { now: some_instant(), bridge: Bridge::new(5), beats: 0, telephones: Vec::new() };
        codecs.iter().for_each(|&codec| house.call(codec));
        house
    }

    fn call(&mut self, codec: Codec) {
        let id = StreamId(self.telephones.len() as u64);
        for command in [Command::Open(id), Command::Connect(id, Remote::plain(TELEPHONES, codec))] {
            self.tell(command);
        }
        let (encoder, decoder) = (Encoder::new(codec), Decoder::new(codec));
        let (heard, sent, payloads) = (Vec::new(), Vec::new(), Vec::new());
        self.telephones.push(Telephone { id, codec, encoder, decoder, tone: None, heard, sent, payloads });
    }

    fn join(&mut self, telephone: usize) {
        self.tell(Command::Join(StreamId(telephone as u64), RoomKey(1)));
    }

    fn join_all(&mut self) {
        (0..self.telephones.len()).for_each(|telephone| self.join(telephone));
    }

    fn tell(&mut self, command: Command) {
        self.bridge.handle(self.now, Input::Command(command));
    }

    fn is_mixed_wide(&self) -> bool {
        self.bridge.rooms.iter().flatten().any(|room| room.wide.is_some())
    }

    fn run(&mut self, beats: u32) {
        for _ in 0..beats {
            for telephone in &mut self.telephones {
                let packet = telephone.packet(self.beats);
                self.bridge.handle(self.now, Input::Datagram(telephone.id, TELEPHONES, &packet));
                telephone.sent.push(packet);
            }
            self.beats += 1;
            self.now += BEAT;
            self.bridge.handle(self.now, Input::Beat);
            loop {
                match self.bridge.poll() {
                    Output::Send(id, _, datagram) => self.telephones[id.0 as usize].hear(datagram),
                    Output::Wait(_) => break,
                    _ => {}
                }
            }
        }
    }
}

fn largest_step(samples: &[i16]) -> i32 {
    samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap()
}

#[test]
fn what_telephones_cannot_hear_reaches_those_who_can_and_folds_down_to_nobody() {
    for speaker in WIDE {
        let mut house = House::new(&[speaker, Codec::G722, Codec::Opus, Codec::ALaw, Codec::MuLaw]);
        house.telephones[0].speaks(5000.0, -20.0);
        house.join_all();
        house.run(150);
        for telephone in &house.telephones[1..] {
            let (level, folded) = (telephone.level(5000.0), telephone.level(3000.0));
            println!("{speaker:?} to {:?}: {level:.2} dB at 5 kHz, {folded:.1} dB at 3 kHz", telephone.codec);
            assert!(!telephone.is_wide() || (level + 20.0).abs() < 1.0, "{level:.2} dB");
            assert!(folded < -20.0 - 50.0, "{folded:.1} dB of what folds down");
        }
    }
}

#[test]
fn a_telephone_is_heard_as_it_is_by_those_who_could_hear_more() {
    let mut house = House::new(&[Codec::ALaw, Codec::G722, Codec::Opus, Codec::MuLaw]);
    house.telephones[0].speaks(1000.0, -20.0);
    house.join_all();
    house.run(150);
    for telephone in &house.telephones[1..] {
        let (level, image) = (telephone.level(1000.0), telephone.level(7000.0));
        println!("{:?}: {level:.2} dB, image {image:.1} dB", telephone.codec);
        assert!((level + 20.0).abs() < 0.5, "{level:.2} dB");
        assert!(!telephone.is_wide() || image < -20.0 - 50.0, "image {image:.1} dB");
    }
}

#[test]
fn each_hears_all_others_and_never_himself_at_either_rate() {
    for codec in ALL {
        let mut house = House::new(&[codec, Codec::MuLaw, Codec::G722]);
        let pitches = [520.0, 930.0, 1390.0];
        for (telephone, pitch_hz) in house.telephones.iter_mut().zip(pitches) {
            telephone.speaks(pitch_hz, -30.0);
        }
        house.join_all();
        house.run(150);
        for telephone in &house.telephones {
            for (speaker, pitch_hz) in (0..).zip(pitches) {
                let level = telephone.level(pitch_hz) + 30.0;
                let itself = StreamId(speaker) == telephone.id;
                assert!(if itself { level < -40.0 } else { level.abs() < 1.0 }, "{:?}: {level:.1}", telephone.codec);
            }
        }
    }
}

#[test]
fn telephones_hear_bit_by_bit_the_same_whether_somebody_hears_more_or_not() {
    let heard = |with_wideband: bool| {
        let mut house = House::new(&[Codec::ALaw, Codec::MuLaw, Codec::ALaw, Codec::G722]);
        house.telephones[0].speaks(700.0, -3.0);
        house.telephones[1].speaks(900.0, -3.0);
        (0..3).for_each(|telephone| house.join(telephone));
        for _ in 0..4 {
            house.run(25);
            if with_wideband {
                house.join(3);
                assert!(house.is_mixed_wide());
            }
            house.run(25);
            house.tell(Command::Leave(StreamId(3)));
            assert!(!house.is_mixed_wide());
        }
        house.telephones.drain(..3).map(|telephone| telephone.payloads).collect::<Vec<_>>()
    };
    assert!(heard(false) == heard(true));
}

#[test]
fn the_first_and_the_last_who_hear_more_come_and_go_without_a_click() {
    for codec in WIDE {
        // Both are heard by a telephone, and hear it: one whose sound begins anew each time, and one who speaks.
        let mut house = House::new(&[Codec::ALaw, codec, codec]);
        house.telephones[0].speaks(300.0, -10.0);
        house.telephones[1].speaks(400.0, -10.0);
        house.join_all();
        house.run(150);
        let (narrow, wide_steps) = (largest_step(&house.telephones[0].heard[8000..]), |house: &House, from: usize| {
            [1, 2].map(|telephone| largest_step(&house.telephones[telephone].heard[from..]))
        });
        let steady = wide_steps(&house, 16_000);
        let from = house.telephones[1].heard.len();
        for _ in 0..5 {
            house.tell(Command::Leave(StreamId(2)));
            house.run(20);
            house.join(2);
            house.run(20);
        }
        let swaying = wide_steps(&house, from);
        println!("{codec:?}: {narrow} narrow, {steady:?} steady, {swaying:?} while the other comes and goes");
        assert!(swaying[0] <= steady[0] * 11 / 10 + 10, "who stays hears no step: {} of {}", swaying[0], steady[0]);
        let narrow_heard = &house.telephones[0].heard;
        assert!(largest_step(&narrow_heard[narrow_heard.len() - 8000..]) <= narrow * 11 / 10 + 10);
    }
}

#[test]
fn who_comes_first_into_running_talk_hears_it_from_the_first_sample_at_its_level() {
    let mut house = House::new(&[Codec::ALaw, Codec::MuLaw, Codec::G722]);
    house.telephones[0].speaks(300.0, -10.0);
    house.join(0);
    house.join(1);
    house.run(50);
    house.join(2);
    let from = house.telephones[2].heard.len();
    house.run(50);
    let heard = &house.telephones[2].heard[from..];
    // A sine of 300 Hz moves by 1221 from one sample to the next.
    assert!(largest_step(&heard[480..]) <= 1350, "{}", largest_step(&heard[480..]));
    let level = |samples: &[i16]| level_dbov(samples) + 3.01;
    assert!((level(&heard[60..700]) + 10.0).abs() < 1.0, "{:.1}", level(&heard[60..700]));
}

#[test]
fn a_prompt_and_music_reach_wideband_without_an_image() {
    for codec in WIDE {
        let mut house = House::new(&[codec]);
        house.tell(Command::Music(StreamId(0), Clip::new(Tone::new(1000.0, -20.0).take(8000))));
        house.run(100);
        let music = &house.telephones[0];
        assert!((music.level(1000.0) + 20.0).abs() < 0.5 && music.level(7000.0) < -70.0, "{codec:?}");
        house.join(0);
        house.tell(Command::PlayToRoom(RoomKey(1), vec![Clip::new(Tone::new(900.0, -20.0).take(16_000))]));
        house.run(75);
        let announced = &house.telephones[0];
        assert!((announced.level(900.0) + 20.0).abs() < 0.5 && announced.level(7100.0) < -70.0, "{codec:?}");
    }
}

#[test]
fn a_call_that_changes_its_band_in_a_room_goes_on() {
    let mut house = House::new(&[Codec::ALaw, Codec::ALaw]);
    house.telephones[0].speaks(700.0, -20.0);
    house.telephones[1].speaks(1100.0, -20.0);
    house.join_all();
    for codec in [Codec::G722, Codec::MuLaw, Codec::Opus, Codec::G722, Codec::ALaw] {
        house.tell(Command::Connect(StreamId(1), Remote::plain(TELEPHONES, codec)));
        let telephone = &mut house.telephones[1];
        (telephone.codec, telephone.encoder, telephone.decoder) = (codec, Encoder::new(codec), Decoder::new(codec));
        telephone.heard.clear();
        telephone.speaks(1100.0, -20.0);
        assert_eq!(house.is_mixed_wide(), codec.is_wide());
        house.run(150);
        let [here, there] = [&house.telephones[0], &house.telephones[1]];
        assert!((here.level(1100.0) + 20.0).abs() < 1.0, "{codec:?}: {:.1}", here.level(1100.0));
        assert!((there.level(700.0) + 20.0).abs() < 1.0, "{codec:?}: {:.1}", there.level(700.0));
    }
}
