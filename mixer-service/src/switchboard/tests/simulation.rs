//! Signalling and sound in any order: calls come, are confirmed, held, keyed, cut off and fall silent while bookings change
//! and clocks jump, and every answer of the machines behind the switchboard comes when it comes. `DIALROOM_SEED=… cargo
//! test -p mixer-service any_order` replays one history.

use std::collections::BTreeMap;

use super::*;

const HISTORIES: u64 = 200;
const STEPS: usize = 400;

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Open,
    Connected,
    /// It says its last word.
    Closing,
    Closed,
}

struct History {
    board: Switchboard,
    now: Now,
    chance: u64,
    /// What the machines behind will tell, in whatever order.
    on_the_way: Vec<Happened>,
    streams: BTreeMap<StreamId, Stream>,
    /// Calls that signalling knows.
    calls: Vec<u64>,
    next_call: u64,
    /// How often we ended each.
    ended: BTreeMap<CallKey, usize>,
    confirmed: usize,
    records: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let World { board, now, .. } = World::new();
        Self {
            board,
            now,
            chance: seed,
            on_the_way: Vec::new(),
            streams: BTreeMap::new(),
            calls: Vec::new(),
            next_call: 1,
            ended: BTreeMap::new(),
            confirmed: 0,
            records: 0,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.chance >> 33).unwrap() % bound
    }

    fn some_call(&mut self) -> Option<u64> {
        let index = self.below(self.calls.len().max(1));
        self.calls.get(index).copied()
    }

    fn step(&mut self) {
        match self.below(16) {
            0 | 1 => {
                let call = self.next_call;
                let (from, called) = ([BERND, GUEST][self.below(2)], ["88", "884711"][self.below(2)]);
                self.next_call += 1;
                self.calls.push(call);
                self.handle(Happened::Sip(incoming(call, from, called)));
            }
            2..=9 if !self.on_the_way.is_empty() => {
                let index = self.below(self.on_the_way.len());
                let happened = self.on_the_way.swap_remove(index);
                self.handle(happened);
            }
            10 => self.keys(),
            11 => {
                let listens = self.below(2) == 0;
                if let Some(call) = self.some_call() {
                    self.handle(Happened::Sip(SipEvent::Reoffered { call: CallKey(call), remote: remote(listens) }));
                }
            }
            12 => self.cut_off(),
            13 => {
                if let Some(stream) = self.some_call().map(StreamId) {
                    let since = self.now.instant;
                    let minutes = self.below(3) as u64;
                    self.now.instant += Duration::from_secs(minutes * 60);
                    self.handle(Happened::Time);
                    self.handle(Happened::Sound(Report::Silent(stream, since)));
                }
            }
            14 => self.book(),
            _ => {
                let seconds = [1, 5, 40, 600, 90_000][self.below(5)];
                self.now.instant += Duration::from_secs(seconds.min(600));
                self.now.wall += Duration::from_secs(seconds);
                self.handle(Happened::Time);
            }
        }
    }

    fn keys(&mut self) {
        if let Some(stream) = self.some_call().map(StreamId) {
            let keys = ["4711#482915#", "482915#", "4711#111111#", "*"][self.below(4)];
            for key in keys.chars() {
                self.handle(Happened::Sound(Report::Digit(stream, key)));
            }
        }
    }

    fn book(&mut self) {
        let withdrawn = self.below(3) == 0;
        let booking = booking(self.now.wall);
        self.handle(Happened::Schedule(if withdrawn {
            Change::Withdrawn(booking.id)
        } else {
            Change::Held(Arc::new(booking))
        }));
    }

    /// The caller hangs up, whatever else is on the way.
    fn cut_off(&mut self) {
        if let Some(call) = self.some_call() {
            self.handle(Happened::Sip(ended(CallKey(call), EndedBy::Peer)));
        }
    }

    fn handle(&mut self, happened: Happened) {
        match &happened {
            // Nothing comes of a call that signalling has struck off.
            Happened::Sip(SipEvent::Established { call, .. }) if !self.calls.contains(&call.0) => return,
            // Too late is not at all: patience with its ACK was lost.
            Happened::Sip(SipEvent::Established { call, .. }) => {
                self.confirmed += usize::from(!self.ended.contains_key(call));
            }
            Happened::Sip(SipEvent::Ended { call, .. }) if !self.calls.contains(&call.0) => return,
            Happened::Sip(SipEvent::Ended { call, .. }) => self.calls.retain(|known| known != &call.0),
            Happened::Sound(Report::Closed(stream, _)) => drop(self.streams.insert(*stream, Stream::Closed)),
            _ => {}
        }
        for action in self.board.handle(self.now, happened) {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Answer { call, stream, .. } => {
                if self.below(20) == 0 {
                    return self.handle(Happened::NoPort(stream));
                }
                assert_eq!(self.streams.insert(stream, Stream::Open), None, "one stream a call");
                self.on_the_way.push(Happened::Sip(established(call, !self.chance.is_multiple_of(8))));
            }
            Action::Refuse { call, .. } | Action::HangUp { call, .. } => {
                let times = self.ended.entry(call).or_default();
                *times += 1;
                assert_eq!(*times, 1, "a call ends once");
                self.on_the_way.push(Happened::Sip(ended(call, EndedBy::Us)));
            }
            Action::Connect { stream, .. } => {
                let state = self.streams.get_mut(&stream).expect("a stream that was opened");
                assert_ne!(*state, Stream::Closed);
                if *state == Stream::Open {
                    *state = Stream::Connected;
                }
            }
            Action::Play { stream, playback, .. } => {
                self.is_connected(stream);
                self.on_the_way.push(Happened::Sound(Report::Played(stream, playback)));
            }
            Action::Music(stream)
            | Action::Hush(stream)
            | Action::Leave(stream)
            | Action::Level(stream, _)
            | Action::Join(stream, _) => {
                self.is_connected(stream);
            }
            Action::Close { stream, after_playback } => {
                if let Some(state) = self.streams.get_mut(&stream).filter(|state| **state != Stream::Closed) {
                    *state = if after_playback { Stream::Closing } else { Stream::Closed };
                    let closed = Report::Closed(stream, StreamStatistics::default());
                    self.on_the_way.push(Happened::Sound(closed));
                }
            }
            Action::Probe(call) => {
                // Gone, or only muted.
                if self.below(2) == 0 {
                    self.on_the_way.push(Happened::Sip(ended(call, EndedBy::Silence)));
                } else {
                    self.on_the_way.push(Happened::Sip(SipEvent::Alive { call }));
                }
            }
            Action::Record(_) => self.records += 1,
            Action::PlayToRoom { .. } | Action::Tell(_) | Action::Missed(_) | Action::Press(..) => {}
        }
    }

    /// Only a stream whose call was confirmed, and that is not on its way out, hears or is heard.
    fn is_connected(&self, stream: StreamId) {
        assert_eq!(self.streams.get(&stream), Some(&Stream::Connected));
    }

    /// Everything that is on the way arrives, and whoever is still there hangs up.
    fn run_out(&mut self) {
        while !self.on_the_way.is_empty() {
            let happened = self.on_the_way.remove(0);
            self.handle(happened);
        }
        while !self.calls.is_empty() {
            self.cut_off();
        }
        self.now.instant += LAST_WORD_PATIENCE;
        self.handle(Happened::Time);
        let board = &self.board;
        assert!(board.legs.is_empty() && board.calls.is_empty() && board.rooms.is_empty() && board.closing.is_empty());
        assert_eq!(board.focus.legs(), 0);
        assert!(self.streams.values().all(|state| *state == Stream::Closed), "{:?}", self.streams);
        assert_eq!(self.records, self.confirmed, "one record for each call that was confirmed");
    }
}

#[test]
fn in_any_order_nothing_is_left_behind() {
    let replayed = std::env::var("DIALROOM_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut records = 0;
    for seed in replayed.map_or(0..HISTORIES, |seed: u64| seed..seed + 1) {
        println!("DIALROOM_SEED={seed}");
        let mut history = History::new(seed);
        for _ in 0..STEPS {
            history.step();
        }
        history.run_out();
        records += history.records;
    }
    println!("{records} calls confirmed and ended");
    assert!(replayed.is_some() || records > 1000, "{records} calls are too few to prove anything");
}
