use std::path::Path;

use dialroom_booking::BookingId;
use mixer_conference::ParticipantView;
use mixer_signalling::RtcpPath;

use super::*;
use crate::engine::StreamStatistics;
use crate::sip::{Called, Codec, Digit as Key, EndedBy, Transport};
use crate::testing::{BERND, GUEST, booking};

mod simulation;

const SETTINGS: &str = r#"
[dial_in]
number = "88"
external_number = "+49 30 23125 88"
[[trunk]]
name = "pbx"
addresses = ["127.0.0.1"]
"#;

/// A switchboard with its real focus, and a telephone exchange that does at once whatever it is asked to.
struct World {
    board: Switchboard,
    now: Now,
    done: Vec<Action>,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "some instant to start from; it is never read again")]
    fn new() -> Self {
        let settings = Arc::new(Settings::read(Path::new("/etc/dialroom.toml"), SETTINGS).unwrap());
        let now = Now { instant: Instant::now(), wall: DateTime::from_timestamp(1_800_000_000, 0).unwrap() };
        let board = Switchboard::new(now, settings, Arc::default());
        let mut world = Self { board, now, done: Vec::new() };
        world.happens(Happened::Schedule(Change::Held(Arc::new(booking(now.wall)))));
        world
    }

    /// Lets something happen, and then everything that follows from it by itself; gives what was done.
    fn happens(&mut self, happened: Happened) -> Vec<String> {
        let from = self.done.len();
        let mut waiting = vec![happened];
        while !waiting.is_empty() {
            for action in self.board.handle(self.now, waiting.remove(0)) {
                match &action {
                    Action::Answer { call, .. } => waiting.push(Happened::Sip(established(*call, true))),
                    Action::Play { stream, playback, .. } => {
                        waiting.push(Happened::Sound(Report::Played(*stream, *playback)));
                    }
                    Action::Close { stream, .. } => {
                        waiting.push(Happened::Sound(Report::Closed(*stream, StreamStatistics::default())));
                    }
                    Action::Refuse { call, .. } | Action::HangUp { call, .. } => {
                        waiting.push(Happened::Sip(ended(*call, EndedBy::Us)));
                    }
                    _ => {}
                }
                self.done.push(action);
            }
        }
        self.done[from..].iter().map(short).collect()
    }

    fn call(&mut self, call: u64, from: &str, called: &str) -> Vec<String> {
        self.happens(Happened::Sip(incoming(call, from, called)))
    }

    fn keys(&mut self, leg: u64, keys: &str) -> Vec<String> {
        keys.chars().flat_map(|key| self.happens(Happened::Sound(Report::Digit(StreamId(leg), key)))).collect()
    }

    fn passes(&mut self, time: Duration) -> Vec<String> {
        self.now.instant += time;
        self.now.wall += time;
        self.happens(Happened::Time)
    }

    /// Nothing of any call is left in any table.
    fn is_clean(&self) -> bool {
        self.board.legs.is_empty() && self.board.calls.is_empty() && self.board.rooms.is_empty()
    }
}

fn incoming(call: u64, from: &str, called: &str) -> SipEvent {
    let headers = CallerHeaders { from: vec![format!("<sip:{from}@127.0.0.1>;tag=1")], ..CallerHeaders::default() };
    let settings = Settings::read(Path::new("/etc/dialroom.toml"), SETTINGS).unwrap();
    from_peer(call, called, trunks::peer_id(&settings, "pbx"), headers)
}

fn from_peer(call: u64, called: &str, peer: Option<PeerId>, headers: CallerHeaders) -> SipEvent {
    let source = "127.0.0.1:5062".parse().unwrap();
    SipEvent::Incoming {
        call: CallKey(call),
        source,
        local: source.ip(),
        transport: Transport::Udp,
        peer,
        tls_names: Vec::new(),
        called: Called(called.into()),
        headers,
    }
}

fn remote(listens: bool) -> RemoteMedia {
    RemoteMedia {
        address: "127.0.0.1:4000".parse().unwrap(),
        rtcp: RtcpPath::Mux,
        codec: Codec::Pcma,
        payload_type: 8,
        telephone_event: Some(101),
        comfort_noise: None,
        packet_ms: 20,
        listens,
        speaks: true,
        crypto: None,
    }
}

fn established(call: CallKey, listens: bool) -> SipEvent {
    SipEvent::Established { call, remote: remote(listens) }
}

fn ended(call: CallKey, by: EndedBy) -> SipEvent {
    SipEvent::Ended { call, cause: Cause { by, status: None, text: String::new() } }
}

/// The shape of an action: what matters here, not which words are spoken.
fn short(action: &Action) -> String {
    match action {
        Action::Answer { .. } => "answer".into(),
        Action::Refuse { status, .. } => format!("refuse {status}"),
        Action::HangUp { .. } => "hang up".into(),
        Action::Probe(_) => "probe".into(),
        Action::Missed(_) => "missed".into(),
        Action::Press(stream, _) => format!("press {}", stream.0),
        Action::Connect { .. } => "connect".into(),
        Action::Play { .. } => "play".into(),
        Action::Hush(_) => "hush".into(),
        Action::Music(_) => "music".into(),
        Action::Level(stream, levels) => format!("level {} {} {}", stream.0, levels.normalise, levels.gate),
        Action::Join(stream, room) => format!("join {} {}", stream.0, room.0),
        Action::Leave(stream) => format!("leave {}", stream.0),
        Action::PlayToRoom { room, .. } => format!("play to room {}", room.0),
        Action::Close { after_playback, .. } => {
            if *after_playback {
                "close after playback".into()
            } else {
                "close".into()
            }
        }
        Action::Record(record) => format!("record {:?}", record.end_reason),
        Action::Tell(event) => match event {
            Event::Joined { participant: ParticipantView { leg, .. }, .. } => format!("tell joined {leg}"),
            Event::Left { leg, .. } => format!("tell left {leg}"),
            Event::Started { .. } => "tell started".into(),
            Event::Ended { .. } => "tell ended".into(),
            Event::WrongEntries => "tell wrong entries".into(),
        },
    }
}

fn has(done: &[String], wanted: &[&str]) -> bool {
    let mut done = done.iter();
    wanted.iter().all(|wanted| done.any(|done| done == wanted))
}

#[test]
fn a_known_number_is_answered_greeted_and_joined() {
    let mut world = World::new();
    let done = world.call(7, BERND, "88");
    assert!(has(&done, &["answer", "connect", "play", "join 1 1"]), "{done:?}");
    assert!(has(&done, &["tell joined 1"]), "{done:?}");
    assert_eq!(world.board.conferences()[0].participants.len(), 1);
}

#[test]
fn what_the_settings_want_done_to_voices_is_done_in_conferences_and_at_once() {
    let with = |media: &str| {
        let text = format!("{SETTINGS}[media]\n{media}");
        Happened::Settings(Arc::new(Settings::read(Path::new("/etc/dialroom.toml"), &text).unwrap()))
    };
    let mut world = World::new();
    assert!(!world.call(1, BERND, "88").iter().any(|done| done.starts_with("level")), "nothing unless asked for");
    world.call(2, GUEST, "88");
    let done = world.happens(with("noise_gate = true\n"));
    assert_eq!(done, ["level 1 false true"], "who is at the door is not heard by anybody");
    assert!(has(&world.keys(2, "4711#482915#"), &["level 2 false true", "join 2 1"]));
    assert!(world.happens(with("noise_gate = true\ndscp = 34\n")).is_empty());
    let done = world.happens(with("normalize_levels = true\n"));
    assert_eq!(done, ["level 1 true false", "level 2 true false"]);
    let done = world.happens(with(""));
    assert_eq!(done, ["level 1 false false", "level 2 false false"]);
}

#[test]
fn room_and_pin_lead_into_the_same_room() {
    let mut world = World::new();
    world.call(1, BERND, "88");
    assert!(!has(&world.call(2, GUEST, "88"), &["join 2 1"]));
    let done = world.keys(2, "4711#482915#");
    assert!(has(&done, &["join 2 1"]), "{done:?}");
}

#[test]
fn a_room_dialled_along_needs_only_the_pin() {
    let mut world = World::new();
    world.call(1, GUEST, "+493023125884711");
    let done = world.keys(1, "482915#");
    assert!(has(&done, &["join 1 1"]), "{done:?}");
}

#[test]
fn no_sound_before_the_ack() {
    let mut world = World::new();
    let now = world.now;
    let actions = world.board.handle(now, Happened::Sip(incoming(1, BERND, "88")));
    assert!(matches!(actions[..], [Action::Answer { .. }]), "{actions:?}");
    let deaf = world.board.handle(now, Happened::Sound(Report::Digit(StreamId(1), '1')));
    assert!(deaf.is_empty(), "{deaf:?}");
}

#[test]
fn a_caller_who_hangs_up_leaves_nothing_behind() {
    let mut world = World::new();
    world.call(1, BERND, "88");
    let done = world.happens(Happened::Sip(ended(CallKey(1), EndedBy::Peer)));
    assert_eq!(done.iter().filter(|done| done.starts_with("close")).count(), 1, "{done:?}");
    assert_eq!(done.iter().filter(|done| done.starts_with("record")).count(), 1, "{done:?}");
    assert!(!has(&done, &["hang up"]) && world.is_clean(), "{done:?}");
    assert!(world.happens(Happened::Sip(ended(CallKey(1), EndedBy::Peer))).is_empty(), "only once");
}

#[test]
fn a_deleted_booking_ends_its_calls_after_the_last_word() {
    let mut world = World::new();
    world.call(1, BERND, "88");
    world.call(2, GUEST, "884711");
    world.keys(2, "482915#");
    let done = world.happens(Happened::Schedule(Change::Withdrawn(BookingId::parse("a").unwrap())));
    assert!(has(&done, &["close after playback", "hang up"]), "{done:?}");
    for (what, count) in [("hang up", 2), ("close after playback", 2), ("record Cancelled", 2)] {
        assert_eq!(done.iter().filter(|done| *done == what).count(), count, "{what}: {done:?}");
    }
    assert!(world.is_clean());
}

#[test]
fn the_line_closes_for_everybody() {
    let mut world = World::new();
    world.call(1, BERND, "88");
    let mut done = Vec::new();
    for _ in 0..46 {
        done.extend(world.passes(Duration::from_secs(60)));
    }
    assert!(has(&done, &["play to room 1", "close after playback", "hang up"]), "{done:?}");
    assert!(has(&done, &["record WindowClosed"]) && world.is_clean(), "{done:?}");
}

#[test]
fn without_a_port_the_call_is_refused() {
    let mut world = World::new();
    let now = world.now;
    world.board.handle(now, Happened::Sip(incoming(1, BERND, "88")));
    let done = world.happens(Happened::NoPort(StreamId(1)));
    assert!(has(&done, &["refuse 503"]) && world.is_clean(), "{done:?}");
}

#[test]
fn one_call_too_many_is_refused_and_the_others_stay() {
    let mut world = World::new();
    for call in 0..MAX_LEGS as u64 {
        world.call(call, GUEST, "88");
    }
    assert_eq!(world.call(9_999_999, GUEST, "88"), ["refuse 503"]);
    assert_eq!(world.board.legs.len(), MAX_LEGS);
}

#[test]
fn a_held_call_brings_no_music_into_the_conference() {
    let mut world = World::new();
    world.call(1, BERND, "88");
    let mut reoffer =
        |listens| world.happens(Happened::Sip(SipEvent::Reoffered { call: CallKey(1), remote: remote(listens) }));
    assert_eq!(reoffer(false), ["connect", "leave 1"]);
    assert_eq!(reoffer(true), ["connect", "join 1 1"]);
}

#[test]
fn a_telephone_that_fell_silent_is_asked_whether_it_is_there() {
    let mut world = World::new();
    world.call(1, BERND, "88");
    let silent = |world: &mut World| world.happens(Happened::Sound(Report::Silent(StreamId(1), world.now.instant)));
    assert_eq!(silent(&mut world), ["probe"]);
    assert!(world.happens(Happened::Sip(SipEvent::Alive { call: CallKey(1) })).is_empty());
    // Held, he sends nothing, and may be gone all the same.
    world.happens(Happened::Sip(SipEvent::Reoffered { call: CallKey(1), remote: remote(false) }));
    assert_eq!(silent(&mut world), ["probe"]);
    let done = world.happens(Happened::Sip(ended(CallKey(1), EndedBy::Silence)));
    assert!(has(&done, &["close"]) && world.is_clean(), "{done:?}");
    assert!(silent(&mut world).is_empty(), "nobody is asked any more");
}

#[test]
fn a_key_told_by_signalling_comes_back_from_the_sound() {
    let mut world = World::new();
    let pressed = |call| Happened::Sip(SipEvent::Pressed { call: CallKey(call), digit: Key('4') });
    assert!(world.happens(pressed(1)).is_empty());
    world.call(1, GUEST, "88");
    assert_eq!(world.happens(pressed(1)), ["press 1"]);
}

#[test]
fn a_stranger_who_tries_numbers_is_noted_and_answered_like_anybody() {
    let mut world = World::new();
    let headers = CallerHeaders { from: vec![format!("<sip:{BERND}@127.0.0.1>;tag=1")], ..CallerHeaders::default() };
    for (call, called, noted) in [(1, "88", false), (2, "884711", false), (3, "600", true), (4, "", false)] {
        let done = world.happens(Happened::Sip(from_peer(call, called, None, headers.clone())));
        assert_eq!(has(&done, &["missed"]), noted, "{called}: {done:?}");
        assert!(has(&done, &["answer", "connect", "play"]) && !has(&done, &["join 1 1"]), "{called}: {done:?}");
    }
    let of_trunk = world.call(5, GUEST, "600");
    assert!(!has(&of_trunk, &["missed"]), "a telephone system is no scanner: {of_trunk:?}");
}

#[test]
fn shutdown_ends_every_call_at_once_with_its_record() {
    let mut world = World::new();
    world.call(1, BERND, "88");
    world.call(2, GUEST, "88");
    let done = world.happens(Happened::Shutdown);
    assert_eq!(done.iter().filter(|done| *done == "hang up").count(), 2, "{done:?}");
    assert_eq!(done.iter().filter(|done| *done == "record Shutdown").count(), 2, "{done:?}");
    assert!(!has(&done, &["close after playback"]) && world.is_clean(), "{done:?}");
}

#[test]
fn a_last_word_that_never_ends_ends_the_call_all_the_same() {
    let mut world = World::new();
    world.call(1, BERND, "88");
    let (now, withdrawn) = (world.now, Change::Withdrawn(BookingId::parse("a").unwrap()));
    // Nobody says `Report::Closed`.
    world.board.handle(now, Happened::Schedule(withdrawn));
    let patience = world.board.deadlines().instant.expect("a deadline").duration_since(now.instant);
    assert_eq!(patience, LAST_WORD_PATIENCE);
    assert_eq!(world.passes(patience), ["hang up"]);
    assert!(world.is_clean());
}
