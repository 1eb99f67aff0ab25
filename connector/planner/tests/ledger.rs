//! A hundred thousand bookings, moves, cancellations and returns, at random: no two overlapping windows share a room,
//! nothing leaks, and mails go only to those whom a change concerns.
//!
//! The judge beside the planner is a plain list of what was promised to whom, compared window by window; it shares no code
//! with the ledger. The seed is printed; `DIALROOM_SEED=n cargo test -p connector-planner --test ledger` replays it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of a test")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use connector_calendar::{Appointment, AppointmentDate, Attendee, MarkRule, Marks};
use connector_planner::{
    Block, Change, Decision, Difference, Directory, HandOff, Hold, Ledger, LetterKind, Plan, PlanRules, Seen, Sighting,
    Stored, choose_room, plan,
};
use dialroom_booking::{
    Booking, BookingId, BookingState, Delivery, DialInWindow, EmailAddress, Language, Origin, Person, Response, Role,
    RoomNumber, RoomRanges,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

const STEPS: usize = 100_000;
/// Few enough for crowding: numbers run out now and then, and moves collide.
const ROOMS: &str = "100-399";
const GUARD: TimeDelta = TimeDelta::minutes(5);

/// What was promised: a room from one instant to another. Independent of the ledger, on purpose naive.
type Promises = HashMap<RoomNumber, BTreeMap<(DateTime<Utc>, DateTime<Utc>), usize>>;

struct World {
    now: DateTime<Utc>,
    rules: PlanRules,
    ledger: Ledger,
    promises: Promises,
    meetings: Vec<(Appointment, Option<Booking>)>,
    mailbox: EmailAddress,
    directory: Directory,
    rng: ChaCha20Rng,
    refused: usize,
    moved_room: usize,
}

fn person(name: &str) -> Person {
    Person { address: EmailAddress::parse(&format!("{name}@contoso.example")).unwrap(), name: None }
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            now: "2026-11-02T08:00:00Z".parse().unwrap(),
            rules: PlanRules {
                enabled: true,
                rules: vec![MarkRule::Keyword("@dialroom".into())],
                booked: RoomRanges::parse(ROOMS).unwrap(),
                guard: GUARD,
                lead: TimeDelta::minutes(10),
                overrun: TimeDelta::minutes(15),
                max_duration: TimeDelta::minutes(480),
                pin_digits: 6,
                delivery: Delivery::Ics,
                resource_mailbox: None,
                service: None,
                resource_organizers: vec![],
                language: Language::En,
            },
            ledger: Ledger::default(),
            promises: Promises::new(),
            meetings: Vec::new(),
            mailbox: person("anna").address,
            directory: Directory::new(),
            rng: ChaCha20Rng::seed_from_u64(seed),
            refused: 0,
            moved_room: 0,
        }
    }

    fn below(&mut self, bound: u64) -> i64 {
        i64::try_from(self.rng.next_u64() % bound).unwrap()
    }

    fn dates(&mut self) -> Vec<AppointmentDate> {
        let start = self.now + TimeDelta::minutes(5 * self.below(1000) - 20);
        let length = TimeDelta::minutes(15 + 15 * self.below(8));
        let count = if self.below(20) == 0 { 2 + self.below(6) } else { 1 };
        let date = |week| {
            let start = start + TimeDelta::weeks(week);
            AppointmentDate { original_start: start, start, end: start + length, cancelled: false }
        };
        (0..count).map(date).collect()
    }

    fn book(&mut self) {
        let number = self.meetings.len();
        let dates = self.dates();
        let invited = |name| Attendee { person: person(name), role: Role::Required, response: Response::None };
        let appointment = Appointment {
            origin: Origin::Graph { mailbox: "m".into(), event: format!("e{number}") },
            uid: format!("u{number}"),
            sequence: None,
            subject: String::new(),
            text: String::new(),
            organizer: person("anna"),
            is_organizer: true,
            attendees: vec![invited("bernd"), invited("clara")],
            hide_attendees: false,
            time_zone: Tz::UTC,
            all_day: false,
            series: dates.len() > 1,
            dates,
            endless_or_beyond_horizon: self.below(500) == 0,
            cancelled: false,
            draft: false,
            marks: Marks { location: "@dialroom".into(), ..Marks::default() },
            private: false,
            created: self.now,
            modified: self.now,
        };
        self.meetings.push((appointment, None));
        self.look(number, false);
    }

    /// Any of the last meetings: older ones are over.
    fn some_meeting(&mut self) -> usize {
        let recent = u64::try_from(self.meetings.len().min(3000)).unwrap();
        self.meetings.len() - 1 - usize::try_from(self.below(recent)).unwrap()
    }

    fn look(&mut self, number: usize, gone: bool) {
        let (appointment, booking) = &self.meetings[number];
        let stored = Stored { booking: booking.as_ref(), refused: None };
        let sighting = Sighting {
            appointment,
            mailbox: Some(&self.mailbox),
            organizer_watched: true,
            first_sync: None,
            adopt: false,
            directory: &self.directory,
        };
        let seen = match gone {
            true => Seen::Gone { origin: &appointment.origin, mailbox: Some(&self.mailbox) },
            false => Seen::Appointment(sighting),
        };
        let plan = plan(self.now, &self.rules, &self.ledger, stored, seen, &mut self.rng);
        self.judge(number, &plan);
        plan.holds.iter().for_each(|hold| self.ledger.set(hold));
        if let Some(booking) = plan.booking {
            self.meetings[number].1 = Some(booking);
        }
    }

    fn judge(&mut self, number: usize, plan: &Plan) {
        let before = self.meetings[number].1.as_ref();
        check_letters(plan, before);
        if matches!(plan.decision, Decision::Refuse(_)) {
            self.refused += 1;
        }
        let Some(after) = &plan.booking else {
            assert!(plan.holds.is_empty() && plan.hand_off.is_none());
            return;
        };
        if let Some(before) = before {
            assert!(after.revision >= before.revision, "revisions only grow");
            assert_eq!(after.revision > before.revision, plan.hand_off.is_some());
            assert!(after.pins == before.pins);
            self.moved_room += usize::from(after.room != before.room);
        }
        if after.state != BookingState::Active {
            assert!(matches!(plan.hand_off, Some(HandOff::Delete { .. })));
            return;
        }
        // Every window is free of all that was ever promised to others, guard time included.
        let line = self.promises.entry(after.room).or_default();
        for (_, window) in after.windows().filter(|(_, window)| window.closes() > self.now) {
            let (opens, closes) = (window.opens(), window.closes());
            let rested = closes + GUARD;
            for ((from, until), whose) in line.range(..(rested, DateTime::<Utc>::MIN_UTC)) {
                assert!(
                    *whose == number || *until + GUARD <= opens || *from >= rested,
                    "room {} of meeting {number}, {opens} to {closes}, was promised to {whose} from {from} to {until}",
                    after.room,
                );
            }
        }
        for (_, window) in after.windows().filter(|(_, window)| window.closes() > self.now) {
            line.insert((window.opens(), window.closes()), number);
        }
    }

    fn pass(&mut self, minutes: i64) {
        self.now += TimeDelta::minutes(minutes);
        self.ledger.lapse(self.now);
        let now = self.now;
        self.promises.values_mut().for_each(|line| line.retain(|(_, until), _| *until + GUARD > now));
    }

    fn step(&mut self) {
        match self.below(100) {
            0..55 => self.book(),
            55..75 if !self.meetings.is_empty() => {
                let number = self.some_meeting();
                self.meetings[number].0.dates = self.dates();
                self.look(number, false);
            }
            75..85 if !self.meetings.is_empty() => {
                let number = self.some_meeting();
                self.look(number, true);
            }
            85..90 if !self.meetings.is_empty() => {
                let number = self.some_meeting();
                let attendees = &mut self.meetings[number].0.attendees;
                match attendees.len() {
                    2 => attendees.truncate(1),
                    _ => attendees.push(Attendee {
                        person: person("eva"),
                        role: Role::Required,
                        response: Response::None,
                    }),
                }
                self.look(number, false);
            }
            90..94 if !self.meetings.is_empty() => {
                let number = self.some_meeting();
                let marks = &mut self.meetings[number].0.marks;
                marks.location = if marks.location.is_empty() { "@dialroom".into() } else { String::new() };
                self.look(number, false);
            }
            94..98 if !self.meetings.is_empty() => {
                let number = self.some_meeting();
                self.look(number, false);
            }
            _ => self.pass(60),
        }
    }
}

/// One letter a person, and only to people whom it concerns.
fn check_letters(plan: &Plan, before: Option<&Booking>) {
    let recipients: BTreeSet<_> = plan.letters.iter().map(|letter| &letter.recipient.address).collect();
    assert_eq!(recipients.len(), plan.letters.len(), "one letter a person");
    let Decision::Change(changes) = &plan.decision else { return };
    let (Some(after), Some(before)) = (&plan.booking, before) else { panic!("a change of nothing") };
    let opened = before.state != BookingState::Active;
    let dial_in: Vec<&Difference> = changes
        .iter()
        .filter_map(|change| match change {
            Change::DialIn(difference) => Some(difference),
            _ => None,
        })
        .collect();
    for letter in &plan.letters {
        let invitee = |booking: &Booking| {
            booking.invitees.iter().any(|one| one.person.address == letter.recipient.address)
                || booking.organizer.address == letter.recipient.address
        };
        assert!(invitee(after), "a letter to a stranger");
        match &letter.kind {
            LetterKind::Changed(told) => {
                assert!(!told.is_empty() && invitee(before));
                assert!(told.iter().all(|difference| dial_in.contains(&difference)));
            }
            LetterKind::DialInData => assert!(opened || !invitee(before)),
            LetterKind::ModeratorData => assert!(opened),
            other => panic!("{other:?} after a change"),
        }
    }
    let told = opened || !dial_in.is_empty();
    assert!(!told || plan.letters.len() == after.invitees.len() + 1, "everybody whose window changed is told");
}

#[test]
fn no_two_overlapping_windows_share_a_room() {
    let seed = std::env::var("DIALROOM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_120);
    println!("DIALROOM_SEED={seed}");
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    let (bookings, blocks) = (world.meetings.len(), world.ledger.len());
    println!(
        "{bookings} meetings, {blocks} blocks held, {} refused, {} changed rooms",
        world.refused, world.moved_room
    );
    assert!(world.refused > 0 && world.moved_room > 0, "the test is too easy: no crowding");
    // An endless series holds its number until somebody ends it.
    for number in 0..world.meetings.len() {
        if world.meetings[number].0.endless_or_beyond_horizon {
            world.look(number, true);
        }
    }
    world.pass(60 * 24 * 7 * 60);
    assert!(world.ledger.is_empty(), "{} blocks leaked", world.ledger.len());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the figure is a time")]
fn a_million_windows_are_searched_at_once() {
    let (ranges, mut rng) = (RoomRanges::parse("1000-7999").unwrap(), ChaCha20Rng::seed_from_u64(1));
    let first: DateTime<Utc> = "2026-11-02T08:00:00Z".parse().unwrap();
    let block = |hour: i64| {
        let start = first + TimeDelta::hours(2 * hour);
        let window =
            DialInWindow::new(start, start + TimeDelta::hours(1), TimeDelta::minutes(10), TimeDelta::minutes(15));
        let window = window.unwrap();
        (window, Block::new(&window, GUARD))
    };
    let id = |number: usize| BookingId::parse(&format!("b{number}")).unwrap();
    let hold =
        |number| Hold::new(ranges.nth(number % 7000).unwrap(), id(number), &[block((number / 7000) as i64).1], &[]);
    let ledger = Ledger::from_holds((0..1_000_000).filter(|number| number % 10 != 0).map(hold));
    let searches = 2000;
    let begun = std::time::Instant::now();
    for hour in 0..searches {
        let (window, block) = block(hour % 142);
        choose_room(&ledger, &ranges, &[block], &id(0), &window, &mut rng).unwrap();
    }
    let each = begun.elapsed() / u32::try_from(searches).unwrap();
    println!("figure: a free number among {} blocks, nine in ten taken: {each:?}", ledger.len());
    assert!(each.as_micros() < 2000, "{each:?} even without optimization");
}
