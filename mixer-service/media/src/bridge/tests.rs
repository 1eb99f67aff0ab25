//! The bridge among telephones, on virtual time. The telephones are streams of a second bridge: each plays a pitch of its
//! own and listens, so the whole way is gone twice, with nothing but datagrams between.
#![expect(clippy::cast_possible_truncation, reason = "small numbers of a test")]

mod mixing;
mod turns;
mod wideband;

use proptest::prelude::*;

use super::*;
use crate::{Codec, Keying, Rtcp, Srtp, Suite, Tone, level_dbov, pitch_level_db, some_instant};

const TELEPHONES: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4000);
const OURS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5000);
const TELEPHONES_RTCP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4001);
const OURS_RTCP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5001);
/// The telephones beat 7 ms after the bridge.
const APART: Duration = Duration::from_millis(7);

struct World {
    now: Instant,
    bridge: Bridge,
    telephones: Bridge,
    told: Vec<Output<'static>>,
    heard: HashMap<StreamId, Vec<i16>>,
    /// Percent of packets towards the bridge that are lost.
    loss: u64,
    chance: u64,
}

impl World {
    fn new() -> Self {
        let now = some_instant();
        Self {
            now,
            bridge: Bridge::new(1),
            telephones: Bridge::new(2),
            told: Vec::new(),
            heard: HashMap::new(),
            loss: 0,
            chance: 42,
        }
    }

    fn tell(&mut self, command: Command) {
        self.bridge.handle(self.now, Input::Command(command));
    }

    /// A call: both halves of stream `n`, in A-law for even ones and µ-law for odd ones.
    fn call(&mut self, n: u64) -> StreamId {
        let codec = if n.is_multiple_of(2) { Codec::ALaw } else { Codec::MuLaw };
        self.call_in(n, codec, |_, _| {})
    }

    /// A call in this codec; `change` makes it special, and is told whether it describes the telephone to us.
    fn call_in(&mut self, n: u64, codec: Codec, change: impl Fn(&mut Remote, bool)) -> StreamId {
        let id = StreamId(n);
        for (bridge, now, address, to_us) in
            [(&mut self.bridge, self.now, TELEPHONES, true), (&mut self.telephones, self.now + APART, OURS, false)]
        {
            let mut remote = Remote::plain(address, codec);
            remote.comfort_noise = Some(13);
            change(&mut remote, to_us);
            bridge.handle(now, Input::Command(Command::Open(id)));
            bridge.handle(now, Input::Command(Command::Connect(id, remote)));
        }
        id
    }

    fn telephone(&mut self, command: Command) {
        self.telephones.handle(self.now, Input::Command(command));
    }

    fn speaks(&mut self, id: StreamId, pitch_hz: f64, level_db: f64) {
        // One second holds a whole number of cycles.
        let clip = Clip::new(Tone::new(pitch_hz, level_db).take(8000));
        self.telephone(Command::Music(id, clip));
    }

    fn run(&mut self, duration: Duration) {
        for _ in 0..duration.as_millis() / BEAT.as_millis() {
            self.now += BEAT;
            self.bridge.handle(self.now, Input::Beat);
            loop {
                match self.bridge.poll() {
                    Output::Send(id, to, datagram) => {
                        assert_eq!(to, TELEPHONES);
                        self.telephones.handle(self.now, Input::Datagram(id, OURS, datagram));
                    }
                    Output::SendRtcp(id, to, datagram) => {
                        assert_eq!(to, TELEPHONES_RTCP);
                        self.telephones.handle(self.now, Input::Rtcp(id, OURS_RTCP, datagram));
                    }
                    Output::Wait(_) => break,
                    Output::Digit(id, key) => self.told.push(Output::Digit(id, key)),
                    Output::Played(id, number) => self.told.push(Output::Played(id, number)),
                    Output::Closed(id, statistics) => self.told.push(Output::Closed(id, statistics)),
                    Output::Take(_) | Output::Silent(..) | Output::Keyed(_) => {}
                }
            }
            self.telephones.handle(self.now + APART, Input::Beat);
            loop {
                match self.telephones.poll() {
                    Output::Send(id, _, datagram) => {
                        self.chance = scramble(self.chance);
                        if self.chance % 100 >= self.loss {
                            self.bridge.handle(self.now + APART, Input::Datagram(id, TELEPHONES, datagram));
                        }
                    }
                    Output::SendRtcp(id, _, datagram) => {
                        self.bridge.handle(self.now + APART, Input::Rtcp(id, TELEPHONES_RTCP, datagram));
                    }
                    Output::Wait(_) => break,
                    Output::Keyed(id) => self.told.push(Output::Keyed(id)),
                    Output::Take(_)
                    | Output::Digit(..)
                    | Output::Played(..)
                    | Output::Closed(..)
                    | Output::Silent(..) => {}
                }
            }
            for &id in self.telephones.by_stream.keys() {
                self.heard.entry(id).or_default().extend(self.telephones.heard(id).unwrap());
            }
        }
    }

    /// The level of a pitch in the last 800 ms that this telephone heard, or in the last two seconds if it heard three.
    fn level(&self, id: StreamId, pitch_hz: f64) -> f64 {
        let heard = &self.heard[&id];
        let len = if heard.len() >= 24_000 { 16_000 } else { 6400 };
        pitch_level_db(&heard[heard.len() - len..], pitch_hz)
    }
}

/// Pitches at uneven distances of 40 Hz and more: at even ones the distortion of G.711 would fall on other pitches.
fn pitch(n: u64) -> f64 {
    f64::from(u32::try_from(n * 70 + 310 + n * n * 11 % 31).unwrap())
}

fn everyone_hears_all_others_and_never_himself(rooms: u64, legs: u64) {
    let mut world = World::new();
    let ids: Vec<_> = (0..rooms * legs).map(|n| world.call(n)).collect();
    for id in &ids {
        world.speaks(*id, pitch(id.0), -30.0);
        world.tell(Command::Join(*id, RoomKey(id.0 / legs)));
    }
    world.run(Duration::from_millis(3000));
    let (mut loudest_own, mut softest, mut loudest, mut strangest) = (f64::MIN, f64::MAX, f64::MIN, f64::MIN);
    for listener in &ids {
        for speaker in &ids {
            let level = world.level(*listener, pitch(speaker.0));
            if listener == speaker {
                loudest_own = loudest_own.max(level + 30.0);
            } else if listener.0 / legs == speaker.0 / legs {
                (softest, loudest) = (softest.min(level + 30.0), loudest.max(level + 30.0));
            } else {
                strangest = strangest.max(level + 30.0);
            }
        }
    }
    println!("{rooms} rooms of {legs}: others {softest:+.2} to {loudest:+.2} dB, own at most {loudest_own:.1} dB");
    assert!(softest > -1.0 && loudest < 1.0, "others within ±1 dB: {softest} to {loudest}");
    assert!(loudest_own < -40.0, "own voice {loudest_own} dB");
    assert!(rooms == 1 || strangest < -40.0, "another room {strangest} dB");
    for id in &ids {
        let statistics = world.bridge.statistics(*id).unwrap();
        assert_eq!(
            (statistics.packets_lost, statistics.packets_late, statistics.frames_concealed),
            (0, 0, 0),
            "{id:?}"
        );
    }
}

#[test]
fn twenty_in_one_room() {
    everyone_hears_all_others_and_never_himself(1, 20);
}

#[test]
fn four_rooms_of_five() {
    everyone_hears_all_others_and_never_himself(4, 5);
}

#[test]
fn a_single_talker_is_as_loud_as_he_speaks() {
    for level in [-3.0, -20.0, -40.0] {
        let mut world = World::new();
        let (talker, listener) = (world.call(0), world.call(1));
        world.speaks(talker, 700.0, level);
        world.tell(Command::Join(talker, RoomKey(1)));
        world.tell(Command::Join(listener, RoomKey(1)));
        world.run(Duration::from_secs(1));
        let heard = world.level(listener, 700.0);
        println!("{level} dB spoken, {heard:.2} dB heard");
        assert!((heard - level).abs() < 1.0);
    }
}

#[test]
fn a_prompt_is_heard_over_the_lowered_room_and_then_the_room_alone() {
    let mut world = World::new();
    let (talker, listener) = (world.call(0), world.call(1));
    world.speaks(talker, 700.0, -20.0);
    world.tell(Command::Play(listener, vec![Clip::new(Tone::new(1000.0, -20.0).take(8000))], 7));
    for id in [talker, listener] {
        world.tell(Command::Join(id, RoomKey(1)));
    }
    world.run(Duration::from_millis(980));
    assert!(world.told.is_empty());
    assert!(world.level(listener, 1000.0) > -21.0 && (world.level(listener, 700.0) + 32.0).abs() < 1.0);
    assert!(world.level(listener, 1700.0) < -55.0, "nothing else");
    assert!(world.level(talker, 1000.0) < -60.0, "a prompt is nobody else's");
    world.run(Duration::from_millis(20));
    assert_eq!(world.told, [Output::Played(listener, 7)]);
    world.run(Duration::from_millis(1000));
    assert!(world.level(listener, 700.0) > -21.0);
}

#[test]
fn music_plays_on_until_the_room_and_hushed_prompts_are_not_reported() {
    let mut world = World::new();
    let id = world.call(0);
    world.tell(Command::Play(id, vec![Clip::new(vec![0; 8000])], 7));
    world.tell(Command::Hush(id));
    world.tell(Command::Music(id, Clip::new(Tone::new(500.0, -20.0).take(1600))));
    world.run(Duration::from_millis(1500));
    assert!(world.told.is_empty() && world.level(id, 500.0) > -21.0);
    world.tell(Command::Join(id, RoomKey(1)));
    world.run(Duration::from_millis(1000));
    assert!(world.level(id, 500.0) < -60.0);
}

#[test]
fn keys_reach_the_program_once_and_nobodys_ear() {
    let mut world = World::new();
    world.loss = 20;
    let (keying, listener) = (world.call(0), world.call(1));
    for id in [keying, listener] {
        world.tell(Command::Join(id, RoomKey(1)));
    }
    world.telephone(Command::Key(keying, "4711#482915#".into()));
    world.run(Duration::from_secs(4));
    let keys: String =
        world.told.iter().filter_map(|told| if let Output::Digit(_, key) = told { Some(*key) } else { None }).collect();
    assert_eq!(keys, "4711#482915#");
    assert!(world.told.iter().all(|told| matches!(told, Output::Digit(id, _) | Output::Keyed(id) if *id == keying)));
    assert!(world.told.contains(&Output::Keyed(keying)));
    let heard = &world.heard[&listener];
    for dial_tone in [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0] {
        assert!(pitch_level_db(heard, dial_tone) < -60.0);
    }
}

#[test]
fn a_leg_says_goodbye_after_its_prompt_and_the_rooms_announcement() {
    let mut world = World::new();
    let (alone, inside) = (world.call(0), world.call(1));
    world.tell(Command::Join(inside, RoomKey(1)));
    world.run(Duration::from_millis(100));
    let clip = |len| vec![Clip::new(Tone::new(900.0, -20.0).take(len))];
    world.tell(Command::Play(alone, clip(4000), 1));
    world.tell(Command::PlayToRoom(RoomKey(1), clip(8000)));
    for id in [alone, inside] {
        world.tell(Command::Close(id, true));
    }
    world.run(Duration::from_millis(500));
    assert_eq!(world.told, [Output::Played(alone, 1)]);
    world.run(Duration::from_millis(500));
    assert!(matches!(world.told[1..], [Output::Closed(id, _)] if id == alone));
    world.run(Duration::from_millis(40));
    assert!(matches!(world.told[2..], [Output::Closed(id, _)] if id == inside));
    assert_eq!(world.bridge.poll(), Output::Wait(None), "nothing is left to wait for");
    assert!(world.bridge.rooms.iter().all(Option::is_none) && world.bridge.by_room.is_empty());
}

#[test]
fn who_leaves_neither_hears_nor_is_heard() {
    let mut world = World::new();
    let ids = [world.call(0), world.call(1)];
    for id in ids {
        world.speaks(id, pitch(id.0), -20.0);
        world.tell(Command::Join(id, RoomKey(1)));
    }
    world.run(Duration::from_secs(1));
    assert!(world.level(ids[0], pitch(1)) > -21.0);
    world.tell(Command::Leave(ids[1]));
    world.run(Duration::from_secs(1));
    assert!(world.level(ids[0], pitch(1)) < -60.0 && world.level(ids[1], pitch(0)) < -60.0);
}

fn keying(mark: u8) -> Keying {
    Keying { key: [mark; 32], salt: [!mark; 14] }
}

/// Encrypted, with a key for each direction.
fn encrypted(suite: Suite) -> impl Fn(&mut Remote, bool) {
    move |remote, to_us| {
        let (ours, theirs) = if to_us { (keying(1), keying(2)) } else { (keying(2), keying(1)) };
        remote.srtp = Some(Srtp { suite, ours, theirs });
    }
}

#[test]
fn all_codecs_hear_each_other_in_clear_and_encrypted() {
    let codecs = [Codec::ALaw, Codec::MuLaw, Codec::G722, Codec::Opus];
    let suites = [Suite::AesCm128Sha1Tag80, Suite::AesCm128Sha1Tag32, Suite::AesGcm128, Suite::AesGcm256];
    let mut world = World::new();
    let mut ids: Vec<_> = (0..).zip(codecs).map(|(n, codec)| world.call_in(n, codec, |_, _| {})).collect();
    ids.extend((4..).zip(suites).map(|(n, suite)| world.call_in(n, codecs[n as usize - 4], encrypted(suite))));
    for id in &ids {
        world.speaks(*id, pitch(id.0), -30.0);
        world.tell(Command::Join(*id, RoomKey(1)));
    }
    world.run(Duration::from_millis(3000));
    for listener in &ids {
        for speaker in &ids {
            let level = world.level(*listener, pitch(speaker.0)) + 30.0;
            if listener == speaker {
                assert!(level < -25.0, "{listener:?} hears himself: {level:.1} dB");
            } else {
                assert!(level.abs() < 2.0, "{listener:?} hears {speaker:?}: {level:.1} dB");
            }
        }
    }
    for id in ids {
        let statistics = world.bridge.statistics(id).unwrap();
        let wrong =
            (statistics.srtp_failed, statistics.packets_refused, statistics.packets_lost, statistics.frames_concealed);
        assert_eq!(wrong, (0, 0, 0, 0), "{id:?}");
    }
}

#[test]
fn where_encryption_is_agreed_nothing_in_clear_is_heard() {
    let mut world = World::new();
    let id = world.call_in(0, Codec::ALaw, |remote, to_us| {
        if to_us {
            encrypted(Suite::AesCm128Sha1Tag80)(remote, to_us);
        }
    });
    world.speaks(id, 700.0, -20.0);
    world.run(Duration::from_secs(1));
    assert!(world.bridge.heard(id).is_some_and(|frame| level_dbov(frame) < -90.0));
    let statistics = world.bridge.statistics(id).unwrap();
    assert_eq!((statistics.packets_received, statistics.srtp_failed > 40), (0, true));
}

#[test]
fn reports_tell_loss_and_round_trip_by_their_own_port_and_by_that_of_the_sound() {
    for (n, own_port, suite) in [
        (0, true, None),
        (1, false, None),
        (2, true, Some(Suite::AesGcm128)),
        (3, false, Some(Suite::AesCm128Sha1Tag32)),
    ] {
        let mut world = World::new();
        let id = world.call_in(n, Codec::ALaw, |remote, to_us| {
            if let Some(suite) = suite {
                encrypted(suite)(remote, to_us);
            }
            let address = if to_us { TELEPHONES_RTCP } else { OURS_RTCP };
            remote.rtcp = if own_port { Rtcp::Address(address) } else { Rtcp::Mux };
        });
        world.speaks(id, 700.0, -20.0);
        world.loss = 10;
        world.run(Duration::from_secs(60));
        let (ours, theirs) = (world.bridge.statistics(id).unwrap(), world.telephones.statistics(id).unwrap());
        println!("{own_port} {suite:?}: {theirs:?}");
        assert!((9..=16).contains(&ours.rtcp_sent) && theirs.packets_rtcp == ours.rtcp_sent);
        assert!(ours.packets_rtcp >= theirs.rtcp_sent / 2, "some of his are lost, like his sound");
        assert!(theirs.remote_lost > 200, "what we said of his packets: {}", theirs.remote_lost);
        assert!(theirs.remote_lost <= ours.packets_lost);
        assert!(ours.round_trip_ms.is_some() && theirs.round_trip_ms.is_some());
        assert_eq!((ours.rtcp_refused, ours.srtp_failed), (0, 0));
        world.tell(Command::Close(id, false));
        world.run(BEAT);
        assert_eq!(world.telephones.statistics(id).unwrap().rtcp_goodbyes, 1, "the last thing said is goodbye");
    }
}

#[test]
fn a_call_goes_on_in_another_codec_and_under_other_keys() {
    let mut world = World::new();
    let id = world.call_in(0, Codec::ALaw, encrypted(Suite::AesCm128Sha1Tag80));
    let listener = world.call(1);
    world.speaks(id, 700.0, -20.0);
    for id in [id, listener] {
        world.tell(Command::Join(id, RoomKey(1)));
    }
    world.run(Duration::from_secs(1));
    for (codec, mark) in [(Codec::Opus, 10), (Codec::G722, 20), (Codec::MuLaw, 20)] {
        for (bridge, now, address, to_us) in
            [(&mut world.bridge, world.now, TELEPHONES, true), (&mut world.telephones, world.now + APART, OURS, false)]
        {
            let (ours, theirs) =
                if to_us { (keying(mark), keying(mark + 1)) } else { (keying(mark + 1), keying(mark)) };
            let srtp = Some(Srtp { suite: Suite::AesGcm256, ours, theirs });
            let remote = Remote { srtp, ..Remote::plain(address, codec) };
            bridge.handle(now, Input::Command(Command::Connect(id, remote)));
        }
        world.heard.clear();
        world.run(Duration::from_secs(2));
        assert!((world.level(listener, 700.0) + 20.0).abs() < 1.5, "{codec:?}: {:.1} dB", world.level(listener, 700.0));
    }
    let statistics = world.bridge.statistics(id).unwrap();
    assert!(statistics.srtp_failed <= 4, "at most what was on its way under the old keys: {}", statistics.srtp_failed);
}

#[test]
fn a_far_end_that_holds_hears_nothing_and_is_there_again_when_it_resumes() {
    let mut world = World::new();
    let (holding, talker) = (world.call(0), world.call(1));
    world.speaks(talker, 700.0, -20.0);
    for id in [holding, talker] {
        world.tell(Command::Join(id, RoomKey(1)));
    }
    world.run(Duration::from_secs(1));
    let sent = world.bridge.statistics(holding).unwrap().packets_sent;
    let plain = Remote::plain(TELEPHONES, Codec::ALaw);
    world.tell(Command::Connect(holding, Remote { listens: false, speaks: false, ..plain }));
    world.run(Duration::from_secs(40));
    assert_eq!(world.bridge.statistics(holding).unwrap().packets_sent, sent);
    world.tell(Command::Connect(holding, plain));
    world.heard.clear();
    world.run(Duration::from_secs(1));
    assert!(world.level(holding, 700.0) > -21.0);
}

#[test]
fn keys_of_signalling_and_of_events_are_one_press_and_opus_events_are_keys() {
    let mut world = World::new();
    let id = world.call_in(0, Codec::Opus, |_, _| {});
    world.telephone(Command::Key(id, "4711#".into()));
    world.run(Duration::from_millis(100));
    world.tell(Command::Pressed(id, '4'));
    world.run(Duration::from_secs(2));
    world.tell(Command::Pressed(id, '9'));
    world.tell(Command::Pressed(StreamId(77), '9'));
    world.run(BEAT);
    let keys: String =
        world.told.iter().filter_map(|told| if let Output::Digit(_, key) = told { Some(*key) } else { None }).collect();
    assert_eq!(keys, "4711#9");
}

/// A PIN as a telephone without events plays it.
fn dialled(keys: &str) -> Vec<i16> {
    let mut sound = Vec::new();
    for key in keys.chars() {
        let place = "123456789*0#".find(key).unwrap();
        let low = Tone::new([697.0, 770.0, 852.0, 941.0][place / 3], -15.0).take(640);
        let high = Tone::new([1209.0, 1336.0, 1477.0][place % 3], -15.0).take(640);
        sound.extend(low.iter().zip(high).map(|(&a, b)| a + b));
        sound.extend([0; 480]);
    }
    sound
}

#[test]
fn keys_played_as_tones_reach_the_program_and_nobodys_ear_in_every_codec() {
    for codec in [Codec::ALaw, Codec::MuLaw, Codec::G722, Codec::Opus] {
        let mut world = World::new();
        let keying = world.call_in(0, codec, |remote, _| remote.telephone_event = None);
        let listener = world.call(1);
        for id in [keying, listener] {
            world.tell(Command::Join(id, RoomKey(1)));
        }
        world.run(Duration::from_millis(200));
        world.telephone(Command::Play(keying, vec![Clip::new(dialled("4711#482915#"))], 1));
        world.run(Duration::from_secs(3));
        let keys: String = world
            .told
            .iter()
            .filter_map(|told| if let Output::Digit(_, key) = told { Some(*key) } else { None })
            .collect();
        assert_eq!(keys, "4711#482915#", "{codec:?}");
        let loudest = world.heard[&listener].chunks(160).map(level_dbov).fold(f64::MIN, f64::max);
        println!("{codec:?}: {loudest:.1} dBov are left of tones of -15");
        assert!(loudest < -50.0, "{codec:?}: {loudest:.1}");
    }
}

#[test]
fn fifteen_hundred_leave_in_one_beat() {
    let mut world = World::new();
    let ids: Vec<_> = (0..1500).map(|n| world.call(n)).collect();
    for id in &ids {
        world.tell(Command::Join(*id, RoomKey(1)));
    }
    world.run(Duration::from_millis(40));
    for id in &ids {
        world.tell(Command::Close(*id, false));
    }
    world.run(Duration::from_millis(20));
    assert_eq!(world.told.len(), 1500);
    assert!(world.bridge.by_stream.is_empty() && world.bridge.by_room.is_empty());
}

#[test]
fn five_percent_loss_is_counted_and_covered() {
    let mut world = World::new();
    world.loss = 5;
    let (talker, listener) = (world.call(0), world.call(1));
    world.speaks(talker, 700.0, -20.0);
    for id in [talker, listener] {
        world.tell(Command::Join(id, RoomKey(1)));
    }
    world.run(Duration::from_secs(20));
    let statistics = world.bridge.statistics(talker).unwrap();
    println!("{statistics:?}, heard at {:.2} dB", world.level(listener, 700.0));
    assert!((30..=75).contains(&statistics.packets_lost));
    assert!((world.level(listener, 700.0) + 20.0).abs() < 1.0);
}

#[test]
fn a_machine_that_slept_goes_on_from_now() {
    let mut world = World::new();
    world.call(0);
    world.run(Duration::from_millis(100));
    world.now += Duration::from_secs(5);
    world.run(Duration::from_millis(20));
    assert!((240..=260).contains(&world.bridge.beats_skipped()));
    assert_eq!(world.bridge.poll(), Output::Wait(Some(world.now + BEAT)));
}

proptest! {
    #[test]
    fn arbitrary_datagrams_and_commands_never_panic_and_every_beat_sends_one_packet(
        steps in proptest::collection::vec((0u8..9, any::<u64>(), proptest::collection::vec(any::<u8>(), 0..600)), 0..200),
    ) {
        let mut world = World::new();
        let id = world.call(0);
        for (kind, random, mut bytes) in steps {
            match kind {
                0 => world.tell(Command::Play(id, vec![Clip::new(vec![1; bytes.len()])], random)),
                1 => world.tell(Command::Join(id, RoomKey(random % 3))),
                2 => world.tell(Command::Leave(id)),
                3 => world.tell(Command::PlayToRoom(RoomKey(random % 3), vec![Clip::new(vec![1; bytes.len()])])),
                4 => world.tell(Command::Hush(id)),
                _ => {
                    // Half of them look like RTP at first sight.
                    if let (true, Some(first)) = (random.is_multiple_of(2), bytes.first_mut()) {
                        *first = 0x80;
                    }
                    world.bridge.handle(world.now, Input::Datagram(id, TELEPHONES, &bytes));
                }
            }
            let sent = world.bridge.statistics(id).unwrap().packets_sent;
            world.run(BEAT);
            prop_assert_eq!(world.bridge.statistics(id).unwrap().packets_sent, sent + 1);
        }
    }
}
