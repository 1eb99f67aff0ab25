//! A pretended world for the focus, and its rules, one test each.

mod lines;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_booking::{
    BookingId, DialInWindow, E164, HandedCaller, HandedOver, HandedPin, HandedPins, HandedWindow, Language,
    OccurrenceState, Pin, RoomNumber, Trust,
};

use crate::leg::{ACK_TIMEOUT, MAX_REPEATS};
use crate::{
    Admission, Announce, AutomaticLogin, Call, CallRecord, Digit, EndReason, Event, Focus, Input, LegId, Now, Output,
    PlaybackId, Policy, Refusal, Sentence, SpokenDay,
};

pub(crate) const BERND: &str = "+493023125002";
pub(crate) const ANNA: &str = "+493023125001";
const STRANGER: &str = "+447700900123";

/// Thursday, November 26, 2026, 10:00 in Berlin.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise; only differences count")]
pub(crate) fn start() -> Now {
    static BASE: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    Now { instant: *BASE.get_or_init(Instant::now), wall: DateTime::from_timestamp(1_795_683_600, 0).unwrap() }
}

pub(crate) fn minute(minute: i64) -> DateTime<Utc> {
    start().wall + TimeDelta::minutes(minute)
}

pub(crate) fn window(start: i64, end: i64) -> DialInWindow {
    DialInWindow::new(minute(start), minute(end), TimeDelta::minutes(10), TimeDelta::minutes(15)).unwrap()
}

pub(crate) fn date(original: i64, start: i64, end: i64) -> HandedWindow {
    HandedWindow { original_start: minute(original), window: window(start, end), state: OccurrenceState::Scheduled }
}

pub(crate) fn person(name: &str, number: &str, moderator: bool) -> HandedCaller {
    HandedCaller {
        person: format!("{name}@contoso.example"),
        name: Some(name.to_owned()),
        numbers: vec![E164::international(number).unwrap()],
        moderator,
        declined: false,
    }
}

fn pin(digits: &str) -> Option<HandedPin> {
    Some(HandedPin(Pin::parse(digits).unwrap()))
}

/// A booking of 30 minutes at `start`, room 4711, PIN 482915, moderator PIN 730164; Anna organizes, Bernd is invited.
pub(crate) fn booking(id: &str, start: i64) -> HandedOver {
    HandedOver {
        id: BookingId::parse(id).unwrap(),
        revision: 1,
        uid: String::new(),
        room: RoomNumber::parse("4711").unwrap(),
        pins: HandedPins { participant: pin("482915"), moderator: pin("730164") },
        title: "Budget review".to_owned(),
        account: "anna@contoso.example".to_owned(),
        language: Language::De,
        time_zone: chrono_tz::Europe::Berlin,
        windows: vec![date(start, start, start + 30)],
        callers: vec![person("anna", ANNA, true), person("bernd", BERND, false)],
        permanent: false,
    }
}

fn in_room(mut booking: HandedOver, room: &str) -> HandedOver {
    booking.room = RoomNumber::parse(room).unwrap();
    booking
}

pub(crate) fn policy() -> Policy {
    Policy {
        enabled: true,
        automatic_login: AutomaticLogin::Everyone,
        announce: Announce::Tones,
        max_participants: 100,
        max_account_participants: 500,
        external_callers: true,
        longest_room: 4,
        digit_timeout: Duration::from_secs(4),
        language: Language::En,
    }
}

/// A focus on pretended time, and what it said.
struct World {
    focus: Focus,
    now: Now,
    next_leg: u64,
    playing: HashMap<LegId, PlaybackId>,
    said: VecDeque<(LegId, Vec<Sentence>)>,
    outputs: Vec<Output>,
    records: Vec<CallRecord>,
}

impl World {
    fn new(bookings: &[HandedOver]) -> Self {
        Self::with(policy(), bookings)
    }

    fn with(policy: Policy, bookings: &[HandedOver]) -> Self {
        let mut world = Self {
            focus: Focus::new(start(), policy),
            now: start(),
            next_leg: 0,
            playing: HashMap::new(),
            said: VecDeque::new(),
            outputs: Vec::new(),
            records: Vec::new(),
        };
        for booking in bookings {
            world.handle(Input::Booking(booking));
        }
        world
    }

    fn handle(&mut self, input: Input<'_>) {
        self.focus.handle(self.now, input);
        loop {
            let output = self.focus.poll();
            match &output {
                Output::Wait { .. } => return,
                Output::Say { leg, playback, sentences, .. } => {
                    self.playing.insert(*leg, *playback);
                    self.said.push_back((*leg, sentences.clone()));
                }
                Output::Record(record) => self.records.push((**record).clone()),
                _ => {}
            }
            self.outputs.push(output);
        }
    }

    /// Goes to this minute, both clocks alike, waking at every deadline on the way.
    fn to(&mut self, minute_: i64) {
        let target = minute(minute_);
        while self.now.wall < target {
            let left = target - self.now.wall;
            let wait = match self.focus.poll() {
                Output::Wait { instant, wall } => {
                    let by_instant = instant.map(|at| TimeDelta::from_std(at - self.now.instant).unwrap());
                    let by_wall = wall.map(|at| at - self.now.wall);
                    [by_instant, by_wall].into_iter().flatten().fold(left, Ord::min)
                }
                other => panic!("not drained: {other:?}"),
            };
            self.pass(wait.max(TimeDelta::milliseconds(1)).to_std().unwrap());
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.wall += TimeDelta::from_std(time).unwrap();
        self.handle(Input::Time);
    }

    fn ring(&mut self, caller: Option<&str>, trust: Trust, dialled_along: &str) -> LegId {
        self.next_leg += 1;
        let leg = LegId(self.next_leg);
        let caller = caller.map(|number| E164::international(number).unwrap());
        self.handle(Input::Call(leg, Call { caller, trust, dialled_along: dialled_along.to_owned() }));
        leg
    }

    fn dial(&mut self, caller: Option<&str>, trust: Trust, dialled_along: &str) -> LegId {
        let leg = self.ring(caller, trust, dialled_along);
        self.handle(Input::Established(leg));
        leg
    }

    fn call(&mut self, caller: &str) -> LegId {
        self.dial(Some(caller), Trust::Asserted, "")
    }

    fn stranger(&mut self) -> LegId {
        self.dial(Some(STRANGER), Trust::Asserted, "")
    }

    /// Hears what is being said to the end.
    fn hear(&mut self, leg: LegId) {
        if let Some(playback) = self.playing.remove(&leg) {
            self.handle(Input::Played(leg, playback));
        }
    }

    fn key(&mut self, leg: LegId, keys: &str) {
        for key in keys.chars() {
            self.pass(Duration::from_millis(100));
            self.handle(Input::Digit(leg, Digit::from_char(key).unwrap()));
        }
    }

    /// The last that was said to this leg.
    fn last_said(&self, leg: LegId) -> &[Sentence] {
        self.said.iter().rev().find(|(to, _)| *to == leg).map_or(&[], |(_, sentences)| sentences)
    }

    fn joined(&self, leg: LegId) -> Option<&str> {
        self.outputs.iter().rev().find_map(|output| match output {
            Output::Join(joined, conference) if *joined == leg => Some(conference.booking.as_str()),
            _ => None,
        })
    }

    fn hung_up(&self, leg: LegId) -> Option<EndReason> {
        self.outputs.iter().find_map(|output| match output {
            Output::HangUp(ended, reason) if *ended == leg => Some(*reason),
            _ => None,
        })
    }

    fn to_all(&self) -> Vec<&Sentence> {
        let all = self.outputs.iter().filter_map(|output| match output {
            Output::SayToAll { sentences, .. } => Some(&sentences[0]),
            _ => None,
        });
        all.collect()
    }
}

fn opens(hour: u32, minute: u32) -> Sentence {
    Sentence::OpensAt { time: chrono::NaiveTime::from_hms_opt(hour, minute, 0).unwrap(), day: SpokenDay::Today }
}

fn your(hour: u32) -> Sentence {
    Sentence::YourConference { start: chrono::NaiveTime::from_hms_opt(hour, 0, 0).unwrap() }
}

fn declined(mut booking: HandedOver) -> HandedOver {
    booking.callers[1].declined = true;
    booking
}

/// Bernd calls at 10:00; where does his number lead?
fn check(bookings: &[HandedOver], expected: Option<&str>, login: &str) {
    let mut world = World::new(bookings);
    let leg = world.call(BERND);
    world.hear(leg);
    assert_eq!(world.joined(leg), expected, "{login}");
    world.handle(Input::HungUp(leg));
    assert_eq!(world.records[0].login, login);
}

#[test]
fn a_known_number_goes_straight_in() {
    let mut world = World::new(&[booking("a", 0)]);
    let leg = world.ring(Some(BERND), Trust::Asserted, "");
    assert_eq!(world.outputs, [Output::Answer(leg)], "nothing is said before the ACK");
    world.handle(Input::Established(leg));
    let welcome = Sentence::Welcome { person: Some("bernd@contoso.example".to_owned()) };
    assert_eq!(world.last_said(leg), [welcome, your(10)]);
    assert_eq!(world.joined(leg), None, "the greeting comes first");
    world.hear(leg);
    assert_eq!(world.joined(leg), Some("a"));
    world.to(5);
    world.handle(Input::HungUp(leg));
    let record = &world.records[0];
    assert_eq!((record.admission, record.end_reason), (Some(Admission::Number), EndReason::CallerHungUp));
    assert_eq!((record.joined, record.ended, record.name.as_deref()), (Some(minute(0)), minute(5), Some("bernd")));
    assert!(world.focus.is_idle());
}

#[test]
fn the_organizer_is_moderator_by_number_and_by_pin() {
    let mut world = World::new(&[booking("a", 0)]);
    let (by_number, by_pin, guest) = (world.call(ANNA), world.stranger(), world.stranger());
    world.key(by_pin, "4711#730164#");
    world.key(guest, "4711#482915#");
    for leg in [by_number, by_pin, guest] {
        world.hear(leg);
    }
    let view = world.focus.conferences().next().unwrap();
    let seen: Vec<_> = view.participants.iter().map(|view| (view.moderator, view.admission)).collect();
    assert_eq!(seen, [(true, Admission::Number), (true, Admission::ModeratorPin), (false, Admission::Pin)]);
    assert_eq!(view.participants[2].caller.as_deref(), Some("+4477***23"));
}

#[test]
fn which_conference_a_number_means() {
    check(&[booking("a", 0), booking("b", 300)], Some("a"), "known-number");
    check(&[booking("a", 0), booking("b", 10)], None, "several-conferences");
    check(&[booking("a", -30), booking("b", 0)], Some("b"), "known-number");
    check(&[booking("a", -33), booking("b", 9)], Some("b"), "known-number");
    check(&[booking("a", 0), declined(booking("b", 10))], Some("a"), "known-number");
    check(&[declined(booking("a", 0))], Some("a"), "known-number");
    check(&[declined(booking("a", 0)), declined(booking("b", 10))], None, "several-conferences");
    check(&[], None, "unknown-number");
    check(&[booking("a", 13 * 60)], None, "no-conference");
}

#[test]
fn a_number_that_two_people_share_names_neither() {
    let mut other = booking("b", 600);
    other.callers = vec![person("clara", BERND, false)];
    check(&[booking("a", 0), other], None, "shared-number");
}

#[test]
fn only_a_believed_number_counts() {
    let mut internal_only = policy();
    internal_only.automatic_login = AutomaticLogin::Internal;
    let mut off = policy();
    off.automatic_login = AutomaticLogin::Off;
    let cases = [
        (policy(), Some(BERND), Trust::Claimed, "not-believed"),
        (policy(), None, Trust::Asserted, "withheld"),
        (internal_only.clone(), Some(BERND), Trust::Asserted, "not-internal"),
        (internal_only, Some(BERND), Trust::Internal, "known-number"),
        (off, Some(BERND), Trust::Internal, "automatic-login-off"),
    ];
    for (policy, caller, trust, login) in cases {
        let mut world = World::with(policy, &[booking("a", 0)]);
        let leg = world.dial(caller, trust, "");
        assert_eq!(world.last_said(leg) == [Sentence::AskRoom], login != "known-number", "{login}");
        world.handle(Input::HungUp(leg));
        assert_eq!(world.records[0].login, login);
    }
}

#[test]
fn star_during_the_greeting_leads_to_the_room_prompt() {
    let mut world = World::new(&[in_room(booking("a", -30), "4712"), booking("b", 0)]);
    let leg = world.call(BERND);
    world.key(leg, "*");
    assert_eq!(world.last_said(leg), [Sentence::AskRoom]);
    world.key(leg, "4712482915");
    world.hear(leg);
    assert_eq!(world.joined(leg), Some("a"));
}

#[test]
fn who_comes_back_finds_the_conference_he_left() {
    let mut world = World::new(&[booking("a", -30), booking("b", 5)]);
    world.to(-2);
    world = World { now: Now { wall: minute(-6), ..start() }, ..world };
    let (bernd, anna) = (world.call(BERND), world.call(ANNA));
    world.hear(bernd);
    world.hear(anna);
    assert_eq!((world.joined(bernd), world.joined(anna)), (Some("a"), Some("a")));
    world.handle(Input::HungUp(bernd));
    world.to(-3);
    let back = world.call(BERND);
    world.hear(back);
    assert_eq!(world.joined(back), Some("a"), "left three minutes ago, and it still runs");
    world.handle(Input::HungUp(back));
    world.to(2);
    let late = world.call(BERND);
    world.hear(late);
    assert_eq!(world.joined(late), Some("b"), "left five minutes ago");
}

#[test]
fn a_room_dialled_along_narrows_and_fills_in() {
    let mut world = World::new(&[booking("a", 0), in_room(booking("b", 10), "4712")]);
    let bernd = world.dial(Some(BERND), Trust::Asserted, "4712");
    world.hear(bernd);
    assert_eq!(world.joined(bernd), Some("b"));
    let guest = world.dial(None, Trust::Claimed, "4711");
    assert_eq!(world.last_said(guest), [Sentence::AskPin]);
    world.key(guest, "482915#");
    world.hear(guest);
    assert_eq!(world.joined(guest), Some("a"));
}

#[test]
fn a_known_caller_hears_which_and_when() {
    let told = |start: i64| {
        let mut world = World::new(&[booking("a", start)]);
        let leg = world.call(BERND);
        world.last_said(leg).to_vec()
    };
    assert_eq!(told(60), [your(11), opens(10, 50), Sentence::AskRoom]);
    assert_eq!(told(-60), [your(9), Sentence::Over, Sentence::AskRoom]);
    assert_eq!(told(-120), [Sentence::AskRoom], "over for more than an hour");
    assert!(matches!(&told(11 * 60 + 59)[1], Sentence::OpensAt { day: SpokenDay::Today, .. }));
}

#[test]
fn five_minutes_early_he_waits_and_is_let_in() {
    let mut world = World::new(&[booking("a", 15)]);
    let (bernd, guest) = (world.call(BERND), world.stranger());
    world.key(guest, "4711482915");
    for leg in [bernd, guest] {
        assert_eq!(world.last_said(leg)[1..], [opens(10, 5), Sentence::PleaseWait]);
        world.hear(leg);
        assert_eq!(world.outputs.last(), Some(&Output::Music(leg)));
    }
    world.to(4);
    assert_eq!(world.joined(bernd), None);
    world.to(5);
    assert_eq!((world.joined(bernd), world.joined(guest)), (Some("a"), Some("a")));
}

#[test]
fn a_window_skipped_over_opens_for_nobody() {
    let mut world = World::new(&[booking("a", 15)]);
    let leg = world.call(BERND);
    world.now.wall = minute(600);
    world.handle(Input::Time);
    assert_eq!((world.joined(leg), world.hung_up(leg)), (None, Some(EndReason::WindowClosed)));
    assert!(world.focus.is_idle() && world.focus.agenda.is_empty());
}

#[test]
fn a_line_that_closes_during_the_greeting_lets_nobody_in() {
    let mut world = World::new(&[booking("a", 0)]);
    let leg = world.call(BERND);
    world.now = Now { instant: world.now.instant + crate::leg::PROMPT_LIMIT, wall: minute(45) };
    world.handle(Input::Time);
    assert_eq!((world.joined(leg), world.hung_up(leg)), (None, Some(EndReason::WindowClosed)));
}

#[test]
fn with_the_right_pin_he_hears_the_reason() {
    let mut tomorrow = booking("c", 1440);
    tomorrow.windows[0].state = OccurrenceState::Scheduled;
    let day = SpokenDay::Tomorrow;
    let time = chrono::NaiveTime::from_hms_opt(9, 50, 0).unwrap();
    let mut cancelled = booking("d", 0);
    cancelled.windows[0].state = OccurrenceState::Cancelled;
    for (booking, reason) in [
        (booking("a", 60), opens(10, 50)),
        (booking("b", -60), Sentence::Over),
        (tomorrow, Sentence::OpensAt { time, day }),
        (cancelled, Sentence::Cancelled),
    ] {
        let mut world = World::new(&[booking]);
        let leg = world.stranger();
        world.key(leg, "4711#482915#");
        assert_eq!(world.last_said(leg), [reason, Sentence::Goodbye]);
        assert_eq!(world.hung_up(leg), Some(EndReason::NotOpen));
    }
}

/// No oracle: everything said and done, and when, is the same for every reason.
#[test]
fn unknown_room_closed_room_and_wrong_pin_are_one() {
    let trace = |keys: &str, bookings: &[HandedOver]| {
        let mut world = World::new(bookings);
        let leg = world.stranger();
        for _ in 0..3 {
            world.hear(leg);
            world.key(leg, keys);
        }
        assert_eq!(world.hung_up(leg), Some(EndReason::WrongEntries));
        let heard = world.outputs.into_iter().filter(|output| !matches!(output, Output::Record(_)));
        heard.collect::<Vec<_>>()
    };
    let (open, future, over) = (booking("a", 0), booking("b", 600), booking("c", -60));
    let expected = trace("4711#000000#", std::slice::from_ref(&open));
    assert_eq!(trace("9999#000000#", std::slice::from_ref(&open)), expected);
    assert_eq!(trace("4711#000000#", &[future]), expected);
    assert_eq!(trace("4711#000000#", &[over]), expected);
    assert_eq!(trace("4711#000000#", &[]), expected);
    assert!(expected.contains(&Output::Event(Event::WrongEntries)));
    let cleared = trace("4711#000000*", std::slice::from_ref(&open));
    assert_eq!(cleared, trace("9999#000000*", &[open]), "clearing a whole PIN counts too");
}

#[test]
fn a_wrong_entry_may_be_repeated() {
    let mut world = World::new(&[booking("a", 0)]);
    let leg = world.stranger();
    world.key(leg, "4711#123456#");
    assert_eq!(world.last_said(leg), [Sentence::DoesNotMatch, Sentence::AskRoom]);
    world.key(leg, "4711#482915#");
    world.hear(leg);
    assert_eq!(world.joined(leg), Some("a"));
}

#[test]
fn a_number_rebooked_after_its_guard_goes_by_window_then_by_pin() {
    let mut later = booking("b", 60);
    later.pins.participant = pin("111222");
    let mut world = World::new(&[booking("a", -30), later]);
    let (now, next) = (world.stranger(), world.stranger());
    world.key(now, "4711482915");
    world.hear(now);
    assert_eq!(world.joined(now), Some("a"));
    world.key(next, "4711111222");
    assert_eq!(world.last_said(next)[0], opens(10, 50));
}

#[test]
fn silence_is_asked_again_and_then_ends() {
    let mut world = World::new(&[]);
    let leg = world.stranger();
    for _ in 0..=MAX_REPEATS {
        assert_eq!((world.last_said(leg), world.hung_up(leg)), (&[Sentence::AskRoom][..], None));
        world.hear(leg);
        world.pass(Duration::from_secs(8));
    }
    assert_eq!(world.hung_up(leg), Some(EndReason::NoEntry));
    let endless = world.stranger();
    for _ in 0..400 {
        world.key(endless, "1*");
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(world.hung_up(endless), Some(EndReason::NoEntry), "keys do not hold a line for ever");
}

#[test]
fn a_pause_of_the_set_length_completes_what_was_keyed() {
    for seconds in [2, 30] {
        let timeout = Duration::from_secs(seconds);
        let mut world = World::with(Policy { digit_timeout: timeout, ..policy() }, &[]);
        let leg = world.stranger();
        world.key(leg, "471");
        world.pass(timeout - Duration::from_millis(1));
        assert_eq!(world.last_said(leg), [Sentence::AskRoom], "{seconds}");
        world.pass(Duration::from_millis(1));
        assert_eq!(world.last_said(leg), [Sentence::AskPin], "{seconds}");
    }
}

#[test]
fn keys_interrupt_the_prompt() {
    let mut world = World::new(&[]);
    let leg = world.stranger();
    world.key(leg, "4");
    assert_eq!(world.outputs.last(), Some(&Output::Hush(leg)));
    world.key(leg, "7");
    assert_eq!(world.outputs.iter().filter(|output| **output == Output::Hush(leg)).count(), 1);
}

#[test]
fn full_is_told() {
    let mut two = policy();
    two.max_participants = 1;
    let mut world = World::with(two, &[booking("a", 0)]);
    let (first, second) = (world.call(BERND), world.call(ANNA));
    assert_eq!(world.last_said(second), [Sentence::Full, Sentence::Goodbye]);
    assert_eq!((world.hung_up(first), world.hung_up(second)), (None, Some(EndReason::Full)));
}

#[test]
fn the_limit_of_an_account_counts_all_its_conferences() {
    let mut two = policy();
    two.max_account_participants = 2;
    let mut other = in_room(booking("b", 0), "4712");
    other.callers.clear();
    let mut elsewhere = in_room(booking("c", 0), "4713");
    (elsewhere.account, elsewhere.callers) = ("emil@contoso.example".to_owned(), Vec::new());
    let mut world = World::with(two, &[booking("a", 0), other, elsewhere]);
    let (first, second) = (world.call(BERND), world.call(ANNA));
    let third = world.stranger();
    world.key(third, "4712482915#");
    assert_eq!(world.last_said(third), [Sentence::Full, Sentence::Goodbye]);
    assert_eq!(world.hung_up(third), Some(EndReason::Full));
    let fourth = world.stranger();
    world.key(fourth, "4713482915#");
    assert_eq!(world.hung_up(fourth), None, "another organizer's conference has room");
    world.handle(Input::HungUp(first));
    let fifth = world.stranger();
    world.key(fifth, "4712482915#");
    assert_eq!((world.hung_up(second), world.hung_up(fifth)), (None, None));
}

#[test]
fn who_waits_when_the_account_is_full_is_told_when_the_line_opens() {
    let mut two = policy();
    two.max_account_participants = 2;
    let later = in_room(booking("b", 14), "4712");
    let mut world = World::with(two, &[booking("a", 0), later]);
    let talking = world.dial(Some(BERND), Trust::Asserted, "4711");
    let waiting: Vec<LegId> = (0..2)
        .map(|_| {
            let leg = world.stranger();
            world.key(leg, "4712482915#");
            world.hear(leg);
            leg
        })
        .collect();
    world.hear(talking);
    world.to(5);
    assert_eq!((world.joined(waiting[0]), world.hung_up(waiting[0])), (Some("b"), None));
    assert_eq!((world.joined(waiting[1]), world.hung_up(waiting[1])), (None, Some(EndReason::Full)));
}

#[test]
fn switched_off_and_barred() {
    let mut off = policy();
    off.enabled = false;
    let mut world = World::with(off, &[booking("a", 0)]);
    let leg = world.call(BERND);
    assert_eq!(world.last_said(leg), [Sentence::SwitchedOff, Sentence::Goodbye]);
    let mut inside = policy();
    inside.external_callers = false;
    let mut world = World::with(inside, &[booking("a", 0)]);
    let leg = world.ring(Some(BERND), Trust::Attested, "");
    assert_eq!(world.outputs, [Output::Refuse(leg, Refusal::ExternalCallersBarred)]);
    let leg = world.ring(Some(BERND), Trust::Internal, "");
    assert_eq!(world.outputs.last(), Some(&Output::Answer(leg)));
}

#[test]
fn a_call_that_is_never_confirmed_goes_without_a_record() {
    let mut world = World::new(&[booking("a", 0)]);
    let leg = world.ring(Some(BERND), Trust::Asserted, "");
    world.pass(ACK_TIMEOUT);
    assert_eq!(world.hung_up(leg), Some(EndReason::NotConfirmed));
    assert!(world.records.is_empty() && world.focus.is_idle());
}

#[test]
fn more_legs_than_the_bound_are_refused() {
    let mut world = World::new(&[]);
    for _ in 0..crate::focus::MAX_LEGS {
        world.ring(None, Trust::Claimed, "");
    }
    let leg = world.ring(None, Trust::Claimed, "");
    assert_eq!(world.outputs.last(), Some(&Output::Refuse(leg, Refusal::Overload)));
    world.pass(ACK_TIMEOUT);
    assert!(world.focus.is_idle());
}

#[test]
fn no_debug_output_holds_a_pin_or_a_number() {
    let mut world = World::new(&[booking("a", 0)]);
    let leg = world.stranger();
    world.key(leg, "471148291");
    let printed = format!("{:?} {:?}", world.focus, world.outputs);
    for secret in ["482915", "730164", "48291", BERND, STRANGER] {
        assert!(!printed.contains(secret), "{secret}");
    }
}
