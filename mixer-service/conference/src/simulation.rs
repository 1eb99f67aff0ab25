//! Seeded histories of a focus: bookings come, change and go, people call, key, hang up, clocks jump. After every step
//! must hold what must always hold. `DIALROOM_SEED=… cargo test -p mixer-conference simulation`
//! replays one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_booking::{BookingId, E164, HandedOver, HandedPin, OccurrenceState, Pin, RoomNumber, Trust};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use crate::dates::BEHIND;
use crate::focus_tests::{booking, date, minute, person, policy, start};
use crate::leg::{ACK_TIMEOUT, LOGIN_LIMIT};
use crate::{
    AutomaticLogin, Call, ConferenceId, Digit, Event, Focus, Input, LegId, Now, Output, PlaybackId, Policy, Refusal,
};

const HISTORIES: u64 = 300;
const STEPS: usize = 400;
const PEOPLE: u32 = 6;
const BOOKINGS: u32 = 8;
const MAX_PARTICIPANTS: usize = 4;
const MAX_ACCOUNT_PARTICIPANTS: usize = 6;
/// Outputs that one input may make: goodbyes of everybody there is, each with its words, record and events, and one more
/// announcement for each conference.
const MAX_OUTPUTS: fn(usize) -> usize = |legs| 8 * legs + 4 * BOOKINGS as usize;

#[derive(Default)]
struct Phone {
    caller: Option<(E164, Trust)>,
    established: bool,
    playing: Option<PlaybackId>,
    /// Bookings that he may enter: by his number, or because he keyed their PIN.
    may_enter: BTreeSet<BookingId>,
    keyed: String,
    joined: Option<ConferenceId>,
}

struct History {
    seed: u64,
    rng: ChaCha8Rng,
    now: Now,
    focus: Focus,
    policy: Policy,
    /// Whether the clock jumps at every other look, by seconds to days.
    jumpy: bool,
    bookings: BTreeMap<BookingId, HandedOver>,
    /// The widest that a line was ever promised open, and whether it was promised once only.
    promised: BTreeMap<ConferenceId, (DateTime<Utc>, DateTime<Utc>)>,
    phones: BTreeMap<LegId, Phone>,
    next_leg: u64,
    /// Calls that were confirmed and are over, and the records there are.
    over: usize,
    records: usize,
    joins: usize,
}

impl History {
    fn new(seed: u64, jumpy: bool) -> Self {
        let mut policy = policy();
        policy.max_participants = MAX_PARTICIPANTS;
        policy.max_account_participants = MAX_ACCOUNT_PARTICIPANTS;
        if seed.is_multiple_of(5) {
            policy.automatic_login = AutomaticLogin::Internal;
        }
        Self {
            seed,
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: start(),
            focus: Focus::new(start(), policy.clone()),
            policy,
            jumpy,
            bookings: BTreeMap::new(),
            promised: BTreeMap::new(),
            phones: BTreeMap::new(),
            next_leg: 0,
            over: 0,
            records: 0,
            joins: 0,
        }
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.rng.next_u32() % bound
    }

    fn step(&mut self) {
        match self.below(24) {
            0 => self.book(),
            1 => self.withdraw(),
            2..=4 => self.call(),
            5..=8 => self.establish(),
            9..=12 => self.key(),
            13..=19 => self.hear(),
            20 => self.hang_up(),
            21 => self.key_noise(),
            22 if self.jumpy => self.star(),
            _ => self.pass(),
        }
        self.check();
    }

    fn book(&mut self) {
        let number = self.below(BOOKINGS);
        let start = (self.now.wall - minute(0)).num_minutes() + i64::from(self.below(50)) - 35;
        let length = 15 + i64::from(self.below(60));
        let mut handed = booking(&format!("b{number}"), 0);
        let original = if self.below(4) == 0 { 1 } else { 0 };
        handed.windows = vec![date(original, start, start + length)];
        if self.below(4) == 0 {
            handed.windows.push(date(2, start + length + 10, start + 2 * length));
        }
        if self.below(8) == 0 {
            handed.windows[0].state = OccurrenceState::Cancelled;
        }
        handed.room = RoomNumber::parse(&room_of(number)).unwrap();
        handed.pins.participant = Some(HandedPin(Pin::parse(&pin_of(number)).unwrap()));
        handed.pins.moderator = None;
        handed.callers.clear();
        for invitee in 0..PEOPLE {
            if self.below(3) == 0 {
                let mut caller = person(&format!("p{invitee}"), &number_of(invitee), invitee == 0);
                caller.declined = self.below(5) == 0;
                handed.callers.push(caller);
            }
        }
        if self.below(6) == 0 {
            handed.callers.push(person("thief", &number_of(1), false));
        }
        for date in handed.windows.iter().filter(|date| date.state == OccurrenceState::Scheduled) {
            let id = ConferenceId { booking: handed.id.clone(), original_start: date.original_start };
            let wide = self.promised.entry(id).or_insert_with(|| (date.window.opens(), date.window.closes()));
            *wide = (wide.0.min(date.window.opens()), wide.1.max(date.window.closes()));
        }
        self.bookings.insert(handed.id.clone(), handed.clone());
        self.handle(Input::Booking(&handed));
    }

    fn withdraw(&mut self) {
        if self.below(3) > 0 {
            return self.book();
        }
        let id = BookingId::parse(&format!("b{}", self.below(BOOKINGS))).unwrap();
        self.bookings.remove(&id);
        self.handle(Input::Withdrawn(&id));
    }

    fn call(&mut self) {
        self.next_leg += 1;
        let leg = LegId(self.next_leg);
        let caller = (self.below(6) > 0).then(|| {
            let who = self.below(PEOPLE + 1);
            E164::international(&number_of(who)).unwrap()
        });
        let trust = [Trust::Claimed, Trust::Asserted, Trust::Asserted, Trust::Internal][self.below(4) as usize];
        let dialled_along = if self.below(4) == 0 { room_of(self.below(BOOKINGS)) } else { String::new() };
        let phone =
            Phone { keyed: dialled_along.clone(), caller: caller.clone().map(|it| (it, trust)), ..Phone::default() };
        self.phones.insert(leg, phone);
        self.handle(Input::Call(leg, Call { caller, trust, dialled_along }));
    }

    /// Bookings whose invitee this number names, if it may be believed and names one person only.
    fn by_number(&self, caller: &E164, trust: Trust) -> BTreeSet<BookingId> {
        let enough =
            if self.policy.automatic_login == AutomaticLogin::Internal { Trust::Internal } else { Trust::Asserted };
        let (mut people, mut found) = (BTreeSet::new(), BTreeSet::new());
        let held = |closes: DateTime<Utc>| closes + BEHIND > self.now.wall;
        for (id, handed) in &self.bookings {
            for known in handed.callers.iter().filter(|known| known.numbers.contains(caller)) {
                if handed.last_closes().is_some_and(held) {
                    people.insert(known.person.clone());
                }
                // A line that was promised longer while somebody was in may stay open to its later end.
                let promised = handed.windows.iter().filter_map(|date| {
                    let date = ConferenceId { booking: id.clone(), original_start: date.original_start };
                    self.promised.get(&date).map(|(_, closes)| *closes)
                });
                if promised.into_iter().any(held) {
                    found.insert(id.clone());
                }
            }
        }
        if trust >= enough && people.len() <= 1 { found } else { BTreeSet::new() }
    }

    fn pick(&mut self) -> Option<LegId> {
        let legs: Vec<LegId> = self.phones.keys().copied().collect();
        let index = self.below(u32::try_from(legs.len()).unwrap().max(1)) as usize;
        legs.get(index).copied()
    }

    fn establish(&mut self) {
        let Some(leg) = self.phones.iter().rev().find(|(_, phone)| !phone.established).map(|(leg, _)| *leg) else {
            return;
        };
        self.handle_time();
        let caller = self.phones.get(&leg).and_then(|phone| phone.caller.clone());
        let may_enter = caller.map(|(caller, trust)| self.by_number(&caller, trust)).unwrap_or_default();
        if let Some(phone) = self.phones.get_mut(&leg) {
            (phone.established, phone.may_enter) = (true, may_enter);
            self.handle(Input::Established(leg));
        }
    }

    /// Somebody keys room and PIN of some booking, right or wrong.
    fn key(&mut self) {
        let Some(leg) = self.pick() else { return };
        let number = self.below(BOOKINGS);
        let pin = if self.below(3) > 0 { pin_of(number) } else { "999999".to_owned() };
        let along = self.phones.get(&leg).is_some_and(|phone| !phone.keyed.is_empty());
        let keys = if along { format!("{pin}#") } else { format!("{}{pin}#", room_of(number)) };
        for key in keys.chars() {
            self.press(leg, key);
        }
    }

    fn key_noise(&mut self) {
        let Some(leg) = self.pick() else { return };
        let key = ['1', '5', '*', '#'][self.below(4) as usize];
        self.press(leg, key);
    }

    /// Whatever he hears, he wants another conference.
    fn star(&mut self) {
        if let Some(leg) = self.pick() {
            self.press(leg, '*');
        }
    }

    fn press(&mut self, leg: LegId, key: char) {
        self.now.instant += Duration::from_millis(80);
        self.now.wall += TimeDelta::milliseconds(80);
        if let Some(phone) = self.phones.get_mut(&leg) {
            phone.keyed.push(key);
            // Whoever keyed a booking's PIN at all may enter it; that the room fits is asserted by the unit tests.
            let keyed = &phone.keyed;
            phone.may_enter.extend(
                (0..BOOKINGS)
                    .filter(|number| keyed.contains(&pin_of(*number)))
                    .map(|number| BookingId::parse(&format!("b{number}")).unwrap()),
            );
        }
        self.handle(Input::Digit(leg, Digit::from_char(key).unwrap()));
    }

    fn hear(&mut self) {
        let Some(leg) = self.pick() else { return };
        if let Some(playback) = self.phones.get_mut(&leg).and_then(|phone| phone.playing.take()) {
            self.handle(Input::Played(leg, playback));
        }
    }

    fn hang_up(&mut self) {
        // Also a leg that is over, or never was: nothing may come of it.
        let leg = if self.below(4) == 0 { Some(LegId(u64::from(self.below(50)))) } else { self.pick() };
        let Some(leg) = leg else { return };
        self.handle_time();
        if let Some(phone) = self.phones.remove(&leg) {
            self.over += usize::from(phone.established);
        }
        self.handle(Input::HungUp(leg));
    }

    fn pass(&mut self) {
        let milliseconds = [200, 3_000, 20_000, 90_000, 600_000][self.below(5) as usize];
        self.now.instant += Duration::from_millis(milliseconds);
        self.now.wall += TimeDelta::milliseconds(i64::try_from(milliseconds).unwrap());
        if self.below(if self.jumpy { 2 } else { 12 }) == 0 {
            self.jump();
        }
        self.handle_time();
    }

    /// Somebody sets the wall clock forward: a moment, hours or days, or to the very instant at which something is due.
    fn jump(&mut self) {
        let which = self.below(3) as usize;
        let due = self.focus.alarms.iter().nth(which).map(|(at, _)| *at);
        let further = match self.below(if self.jumpy { 6 } else { 1 }) {
            0 => TimeDelta::minutes(i64::from(self.below(300))),
            1 => TimeDelta::seconds(i64::from(self.below(100))),
            2 => TimeDelta::hours(i64::from(self.below(200))),
            _ => due.map_or(TimeDelta::zero(), |due| due - self.now.wall),
        };
        self.now.wall += further;
    }

    fn handle_time(&mut self) {
        self.handle(Input::Time);
    }

    fn handle(&mut self, input: Input<'_>) {
        let most = MAX_OUTPUTS(self.phones.len() + 1);
        self.focus.handle(self.now, input);
        for made in 0.. {
            assert!(made <= most, "{made} outputs of one input");
            match self.focus.poll() {
                Output::Wait { instant, wall } => {
                    assert!(instant.is_none_or(|at| at > self.now.instant), "a deadline in the past would spin");
                    assert!(wall.is_none_or(|at| at > self.now.wall), "a deadline in the past would spin");
                    return;
                }
                output => self.output(output),
            }
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Answer(leg) => assert!(!self.phone(leg).established),
            Output::Refuse(leg, refusal) => {
                assert_eq!(refusal, Refusal::Overload);
                self.phones.remove(&leg);
            }
            Output::Say { leg, playback, .. } => {
                assert!(self.phone(leg).established, "sound before the ACK");
                self.phone(leg).playing = Some(playback);
            }
            Output::Hush(leg) => self.phone(leg).playing = None,
            Output::Music(leg) => assert!(self.phone(leg).established && self.phone(leg).joined.is_none()),
            Output::Join(leg, conference) => self.join(leg, conference),
            Output::Leave(leg) => assert!(self.phone(leg).joined.take().is_some()),
            Output::SayToAll { conference, .. } => {
                assert!(self.phones.values().any(|phone| phone.joined.as_ref() == Some(&conference)));
            }
            Output::HangUp(leg, _) => {
                self.over += usize::from(self.phone(leg).established);
                self.phones.remove(&leg);
            }
            Output::Record(record) => {
                self.records += 1;
                assert!(record.answered <= record.ended);
                assert_eq!(record.joined.is_some(), record.admission.is_some());
            }
            Output::Event(event) => {
                if let Event::Joined { participant, .. } = event {
                    assert!(self.phones.contains_key(&LegId(participant.leg)));
                }
            }
            Output::Wait { .. } => unreachable!("ended the drain"),
        }
    }

    fn phone(&mut self, leg: LegId) -> &mut Phone {
        self.phones.get_mut(&leg).expect("an output for a leg that is over or never was")
    }

    fn join(&mut self, leg: LegId, conference: ConferenceId) {
        let (now, promised) = (self.now.wall, self.promised.get(&conference).copied());
        let (opens, closes) = promised.expect("a conference that no booking promised");
        assert!(opens <= now && now < closes, "joined outside every window it ever had");
        assert!(self.bookings.contains_key(&conference.booking), "joined a withdrawn booking");
        let phone = self.phone(leg);
        assert!(phone.established && phone.joined.is_none());
        assert!(phone.may_enter.contains(&conference.booking), "joined without right");
        phone.joined = Some(conference);
        self.joins += 1;
    }

    /// What must hold after every step.
    fn check(&self) {
        assert_eq!(self.focus.legs(), self.phones.len(), "legs left behind");
        assert_eq!(self.records, self.over, "one record for each answered call that is over");
        let mut inside: BTreeMap<&ConferenceId, usize> = BTreeMap::new();
        for conference in self.phones.values().filter_map(|phone| phone.joined.as_ref()) {
            *inside.entry(conference).or_default() += 1;
            assert!(self.now.wall < self.promised[conference].1, "talks on after the end");
            let booked = self.bookings.get(&conference.booking).expect("talks on in a withdrawn booking");
            let date = booked.windows.iter().find(|date| date.original_start == conference.original_start);
            assert!(date.is_none_or(|date| date.state == OccurrenceState::Scheduled), "talks on in a cancelled date");
        }
        assert!(inside.values().all(|count| *count <= MAX_PARTICIPANTS));
        assert!(inside.values().sum::<usize>() <= MAX_ACCOUNT_PARTICIPANTS, "all bookings are of one account");
        let seen: BTreeMap<ConferenceId, usize> =
            self.focus.conferences().map(|view| (view.conference, view.participants.len())).collect();
        assert_eq!(seen.len(), inside.len());
        assert!(inside.iter().all(|(conference, count)| seen.get(conference) == Some(count)), "seen {seen:?}");
    }

    /// Everything comes to its end by itself.
    fn run_out(&mut self) {
        let longest = ACK_TIMEOUT.max(2 * LOGIN_LIMIT);
        for _ in 0..3 {
            self.now.instant += longest;
            self.now.wall += TimeDelta::hours(8);
            self.handle_time();
            self.check();
        }
        assert!(self.focus.is_idle() && self.focus.agenda.is_empty(), "left behind: {:?}", self.focus);
    }
}

fn room_of(booking: u32) -> String {
    format!("{}", 4000 + booking % 3)
}

fn pin_of(booking: u32) -> String {
    format!("48{}91{}", booking, 7 - booking)
}

fn number_of(person: u32) -> String {
    format!("+49302312500{person}")
}

/// Prints the seed of a history that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("DIALROOM_SEED={}", self.0);
        }
    }
}

/// Plays histories and tells how much happened in them.
fn play(jumpy: bool) -> (bool, usize, usize) {
    let replayed = std::env::var("DIALROOM_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = replayed.map_or(0..HISTORIES, |seed: u64| seed..seed + 1);
    let (mut joins, mut records) = (0, 0);
    for seed in seeds {
        let _told = Seed(seed);
        let mut history = History::new(seed, jumpy);
        assert_eq!(history.seed, seed);
        for _ in 0..STEPS {
            history.step();
        }
        history.run_out();
        joins += history.joins;
        records += history.records;
    }
    println!("{joins} joins and {records} records in {HISTORIES} histories of {STEPS} steps");
    (replayed.is_some(), joins, records)
}

#[test]
fn simulation() {
    let (replayed, joins, _) = play(false);
    assert!(replayed || joins > 1500, "{joins} joins are too few to prove anything");
}

/// However the clock jumps, every input is answered with a bounded number of outputs, and nothing that was due is due
/// again at the same instant.
#[test]
fn simulation_of_clocks_that_jump() {
    let (replayed, joins, _) = play(true);
    assert!(replayed || joins > 500, "{joins} joins are too few to prove anything");
}
