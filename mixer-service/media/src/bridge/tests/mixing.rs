//! What is mixed and encoded for whom: shared encoders, crowds, loud rooms.

use super::*;
use crate::ear::Ear;
use crate::talkers::TALKERS_MAX;

impl World {
    fn ear(&self, id: StreamId) -> Ear {
        self.bridge.streams[self.bridge.by_stream[&id]].as_ref().unwrap().ear
    }

    /// The loudest of what is no harmonic of a tone of 700 Hz, in any 50 ms from there on, for so many samples.
    fn loudest_beside(&self, id: StreamId, from: usize, len: usize) -> f64 {
        let heard = &self.heard[&id];
        let windows = (from..from + len - 400).step_by(80).map(|at| &heard[at..at + 400]);
        let beside = [150.0, 300.0, 450.0, 950.0, 1200.0, 1650.0, 1900.0, 2400.0, 2600.0, 3000.0, 3300.0, 3700.0];
        windows.flat_map(|window| beside.map(|pitch_hz| pitch_level_db(window, pitch_hz))).fold(f64::MIN, f64::max)
    }
}

#[test]
fn from_the_shared_encoder_to_his_own_and_back_nothing_clicks() {
    for codec in [Codec::G722, Codec::Opus] {
        let mut world = World::new();
        let (talker, listener) = (world.call(0), world.call_in(1, codec, |_, _| {}));
        world.speaks(talker, 700.0, -10.0);
        for id in [talker, listener] {
            world.tell(Command::Join(id, RoomKey(1)));
        }
        world.run(Duration::from_secs(4));
        assert_eq!(world.ear(listener), Ear::Shared);
        let steady = world.loudest_beside(listener, 20_000, 12_000);
        let (mut to_own, mut to_shared) = (Vec::new(), Vec::new());
        for _ in 0..6 {
            world.telephone(Command::Play(listener, vec![Clip::new(Tone::new(1900.0, -20.0).take(3200))], 1));
            for _ in 0..170 {
                let before = world.ear(listener);
                world.run(BEAT);
                match (before, world.ear(listener)) {
                    (Ear::Shared, Ear::Own { .. }) => to_own.push(world.heard[&listener].len()),
                    (Ear::Own { .. }, Ear::Shared) => to_shared.push(world.heard[&listener].len()),
                    (Ear::Shared, Ear::Shared) | (Ear::Own { .. }, Ear::Own { .. }) => {}
                }
            }
        }
        world.run(Duration::from_millis(500));
        assert_eq!((to_own.len(), to_shared.len()), (6, 6), "{codec:?}");
        let worst = |changes: &[usize]| {
            let levels = changes.iter().map(|&at| world.loudest_beside(listener, at - 320, 2000));
            levels.fold(f64::MIN, f64::max)
        };
        let (own, shared) = (worst(&to_own), worst(&to_shared));
        let ms = to_shared.iter().zip(&to_own).map(|(back, away)| (back - away) / 8).max().unwrap();
        println!("{codec:?}: steady {steady:.1} dB, to his own {own:.1}, back {shared:.1} dB after {ms} ms");
        assert!(own < -44.0 && shared < -40.0, "{codec:?}: {own:.1} and {shared:.1} dB beside a tone of -10");
    }
}

#[test]
fn listeners_of_a_codec_get_the_very_same_bytes() {
    for codec in [Codec::G722, Codec::Opus] {
        let mut world = World::new();
        let ids: Vec<_> = (0..4).map(|n| world.call_in(n, codec, |_, _| {})).collect();
        world.speaks(ids[0], 700.0, -10.0);
        for id in &ids {
            world.tell(Command::Join(*id, RoomKey(1)));
        }
        world.run(Duration::from_secs(3));
        world.now += BEAT;
        world.bridge.handle(world.now, Input::Beat);
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        loop {
            match world.bridge.poll() {
                Output::Send(_, _, bytes) => payloads.push(bytes[12..].to_vec()),
                Output::Wait(_) => break,
                _ => {}
            }
        }
        assert_eq!(payloads.len(), 4);
        assert!(payloads[1] == payloads[2] && payloads[2] == payloads[3] && payloads[0] != payloads[1], "{codec:?}");
    }
}

#[test]
fn a_crowd_is_bounded_and_who_speaks_up_is_heard_by_all_and_not_by_himself() {
    let mut world = World::new();
    let ids: Vec<_> =
        (0..40).map(|n| world.call_in(n, [Codec::ALaw, Codec::G722][n as usize % 2], |_, _| {})).collect();
    for id in &ids {
        world.speaks(*id, pitch(id.0), -50.0);
        world.tell(Command::Join(*id, RoomKey(1)));
    }
    world.run(Duration::from_secs(2));
    let mixed = |world: &World| world.bridge.streams.iter().flatten().filter(|stream| stream.mixed.is_some()).count();
    assert_eq!(mixed(&world), TALKERS_MAX);
    assert!(world.level(ids[0], pitch(39)) < -80.0, "no place is left for the last");
    world.speaks(ids[39], pitch(39), -20.0);
    world.run(Duration::from_secs(3));
    assert_eq!(mixed(&world), TALKERS_MAX);
    for id in &ids[..39] {
        assert!((world.level(*id, pitch(39)) + 20.0).abs() < 1.0, "{id:?}: {:.1}", world.level(*id, pitch(39)));
    }
    for id in &ids {
        assert!(world.level(*id, pitch(id.0)) < -70.0, "{id:?} hears himself: {:.1}", world.level(*id, pitch(id.0)));
    }
}

#[test]
fn thirty_two_at_full_scale_are_heard_without_distortion() {
    let mut world = World::new();
    let ids: Vec<_> = (0..32).map(|n| world.call(n)).collect();
    for id in &ids {
        world.speaks(*id, [500.0, 800.0, 1300.0, 2100.0][id.0 as usize % 4], 0.0);
        world.tell(Command::Join(*id, RoomKey(1)));
    }
    world.run(Duration::from_secs(4));
    for id in [ids[0], ids[31]] {
        let heard = world.level(id, 800.0);
        let beside = [650.0, 1050.0, 1700.0, 2500.0, 2900.0, 3400.0].map(|pitch_hz| world.level(id, pitch_hz));
        // G.711 itself leaves a noise 38 dB below.
        println!("{heard:.1} dB, beside {beside:.1?}");
        assert!(heard > -20.0 && beside.iter().all(|level| *level < heard - 36.0));
    }
}

#[test]
fn a_soft_voice_is_raised_where_that_is_asked_for() {
    let mut world = World::new();
    let (talker, listener) = (world.call(0), world.call(1));
    let mut syllable = Tone::new(700.0, -35.0).take(1600);
    syllable.extend([0; 800]);
    world.telephone(Command::Music(talker, Clip::new(syllable)));
    for id in [talker, listener] {
        world.tell(Command::Join(id, RoomKey(1)));
    }
    let loudest = |world: &World| {
        let heard = &world.heard[&listener];
        heard[heard.len() - 8000..].chunks(400).map(|chunk| pitch_level_db(chunk, 700.0)).fold(f64::MIN, f64::max)
    };
    world.run(Duration::from_secs(10));
    assert!((loudest(&world) + 35.0).abs() < 0.5, "{:.1}", loudest(&world));
    world.tell(Command::Level(talker, Levels { normalise: true, gate: false }));
    world.run(Duration::from_secs(20));
    assert!((loudest(&world) + 23.0).abs() < 1.0, "{:.1}: a sine of -23 dB has -26 dBov", loudest(&world));
}
