//! Planner and conference together, on pretended time, from a seed.
//!
//! People make, move and cancel meetings; the planner's hand-offs reach the focus sooner or later, in order; telephones
//! call, key, and hang up. After every step the world checks what may never happen: a room promised twice, somebody in a
//! conference outside its window or without right, a leg left behind.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use connector_calendar::{Appointment, AppointmentDate, Attendee, MarkRule, Marks};
use connector_planner::{Contact, Directory, HandOff, Ledger, PlanRules, Seen, Sighting, Stored, plan};
use dialroom_booking::{
    Booking, BookingId, BookingState, Delivery, DialInWindow, E164, EmailAddress, HandedCaller, HandedOver,
    KnownCaller, Language, Origin, Person, Response, Role, RoomRanges, Trust,
};
use dialroom_host::Clock;
use mixer_conference::{
    Announce, AutomaticLogin, Call, CallRecord, ConferenceId, Digit, Focus, Input, LegId, Now, Output, PlaybackId,
    Policy,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

const PEOPLE: usize = 5;
/// After its line has closed, a leg may hear that it is over for so long.
const FAREWELL: TimeDelta = TimeDelta::seconds(40);

/// Everything there is.
pub struct World {
    rng: ChaCha8Rng,
    start: Instant,
    now: Now,
    rules: PlanRules,
    directory: Directory,
    ledger: Ledger,
    calendar: BTreeMap<u64, Appointment>,
    bookings: BTreeMap<u64, Booking>,
    /// On its way to the mixer, in order.
    under_way: VecDeque<(Instant, HandOff)>,
    /// What the mixer holds, and the latest end it ever promised for each date.
    held: BTreeMap<BookingId, HandedOver>,
    latest_end: BTreeMap<ConferenceId, DateTime<Utc>>,
    /// When each date was open, by every revision the mixer ever held: from when on it held, and what it said.
    history: BTreeMap<ConferenceId, Vec<Held>>,
    focus: Focus,
    deadline: Option<Instant>,
    wall_deadline: Option<DateTime<Utc>>,
    phones: BTreeMap<LegId, Telephone>,
    next_id: u64,
    records: Vec<CallRecord>,
    confirmed_calls: usize,
    /// How many were let in, for the test to see that something happened.
    pub joins: usize,
    /// How many bookings were made.
    pub allocations: usize,
    /// How many calls ended because the line closed.
    pub closed_lines: usize,
}

/// What the mixer held of one date, from an instant on.
#[derive(Debug)]
struct Held {
    from: DateTime<Utc>,
    window: DialInWindow,
    callers: Vec<HandedCaller>,
}

#[derive(Debug)]
struct Telephone {
    caller: Option<E164>,
    trust: Trust,
    answered: bool,
    established: bool,
    keyed: Vec<(String, String)>,
    to_key: VecDeque<(Instant, Digit)>,
    playing: Option<(PlaybackId, Instant)>,
    /// When the last sentence to him began: whoever is greeted is let in, even if the line moves before he is in.
    greeted: Option<DateTime<Utc>>,
    conference: Option<ConferenceId>,
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Any instant will do: only differences count.
        let start = Clock::real().instant();
        let wall = DateTime::from_timestamp(1_795_000_000, 0).expect("a year that exists");
        let now = Now { instant: start, wall };
        let rules = rules();
        let policy = Policy {
            enabled: true,
            automatic_login: AutomaticLogin::Everyone,
            announce: Announce::Tones,
            max_participants: 6,
            max_account_participants: 9,
            external_callers: true,
            longest_room: 4,
            digit_timeout: Duration::from_secs(4),
            language: Language::En,
        };
        let directory = (0..PEOPLE).map(|n| (address(n), contact(n))).collect();
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            start,
            now,
            rules,
            directory,
            ledger: Ledger::default(),
            calendar: BTreeMap::new(),
            bookings: BTreeMap::new(),
            under_way: VecDeque::new(),
            held: BTreeMap::new(),
            latest_end: BTreeMap::new(),
            history: BTreeMap::new(),
            focus: Focus::new(now, policy),
            deadline: None,
            wall_deadline: None,
            phones: BTreeMap::new(),
            next_id: 0,
            records: Vec::new(),
            confirmed_calls: 0,
            joins: 0,
            allocations: 0,
            closed_lines: 0,
        }
    }

    /// Lets `actions` things happen, a few seconds to some minutes apart, and everything that follows from them.
    pub fn run(&mut self, actions: usize) {
        for _ in 0..actions {
            let pause = match self.below(10) {
                0..=5 => self.below(20) + 1,
                6..=8 => self.below(300) + 1,
                _ => self.below(3600) + 1,
            };
            self.pass(Duration::from_secs(pause));
            self.act();
        }
    }

    /// Everybody hangs up, everything ends, and nothing is left.
    pub fn finish(&mut self) {
        let legs: Vec<_> = self.phones.keys().copied().collect();
        for leg in legs {
            self.hang_up(leg);
        }
        self.pass(Duration::from_secs(90));
        assert_eq!(self.focus.legs(), 0, "no leg stays");
        assert_eq!(self.focus.conferences().count(), 0, "no conference stays");
        assert_eq!(self.records.len(), self.confirmed_calls, "one record a call that was answered and confirmed");
        for id in self.calendar.keys().copied().collect::<Vec<_>>() {
            self.delete(id);
        }
        self.ledger.lapse(self.now.wall + TimeDelta::days(500));
        assert!(self.ledger.is_empty(), "no number stays taken");
    }

    fn act(&mut self) {
        match self.below(12) {
            0 | 1 => self.create(),
            2 => self.with_appointment(Self::reschedule),
            3 => self.with_appointment(Self::change_attendees),
            4 => self.with_appointment(Self::toggle_mark),
            5 => self.with_appointment(|world, id| world.delete(id)),
            6..=9 => self.call(),
            10 => self.with_phone(Self::hang_up),
            _ => self.with_phone(Self::key_something),
        }
        self.check();
    }

    // --- the calendar ---

    fn create(&mut self) {
        if self.calendar.len() >= 12 {
            return;
        }
        self.next_id += 1;
        let id = self.next_id;
        let organizer = self.index(PEOPLE);
        let (start, end) = self.some_time();
        let attendees = (0..PEOPLE)
            .filter(|n| *n != organizer)
            .filter(|_| !self.rng.next_u32().is_multiple_of(3))
            .collect::<Vec<_>>();
        let appointment = Appointment {
            origin: Origin::Graph { mailbox: format!("m{organizer}"), event: format!("e{id}") },
            uid: format!("uid-{id}"),
            sequence: Some(0),
            subject: format!("Meeting {id}"),
            text: String::new(),
            organizer: person(organizer),
            is_organizer: true,
            attendees: attendees.into_iter().map(attendee).chain([guest()]).collect(),
            hide_attendees: false,
            time_zone: chrono_tz::Europe::Berlin,
            all_day: false,
            series: false,
            dates: vec![AppointmentDate { original_start: start, start, end, cancelled: false }],
            endless_or_beyond_horizon: false,
            cancelled: false,
            draft: false,
            marks: marked(),
            private: false,
            created: self.now.wall,
            modified: self.now.wall,
        };
        self.calendar.insert(id, appointment);
        self.sync(id);
    }

    fn reschedule(&mut self, id: u64) {
        let (start, end) = self.some_time();
        let appointment = self.calendar.get_mut(&id).expect("it was just chosen");
        appointment.dates[0].start = start;
        appointment.dates[0].end = end;
        appointment.sequence = appointment.sequence.map(|sequence| sequence + 1);
        self.touch(id);
    }

    fn change_attendees(&mut self, id: u64) {
        let who = self.index(PEOPLE);
        let appointment = self.calendar.get_mut(&id).expect("it was just chosen");
        let before = appointment.attendees.len();
        appointment.attendees.retain(|attendee| attendee.person.address != address(who));
        if appointment.attendees.len() == before && appointment.organizer.address != address(who) {
            appointment.attendees.push(attendee(who));
        }
        self.touch(id);
    }

    fn toggle_mark(&mut self, id: u64) {
        let appointment = self.calendar.get_mut(&id).expect("it was just chosen");
        appointment.marks = if appointment.marks.categories.is_empty() { marked() } else { Marks::default() };
        self.touch(id);
    }

    fn delete(&mut self, id: u64) {
        let appointment = self.calendar.remove(&id).expect("it was just chosen");
        self.plan(id, Seen::Gone { origin: &appointment.origin, mailbox: Some(&appointment.organizer.address) });
    }

    fn touch(&mut self, id: u64) {
        self.calendar.get_mut(&id).expect("it was just chosen").modified = self.now.wall;
        self.sync(id);
    }

    fn sync(&mut self, id: u64) {
        let appointment = self.calendar[&id].clone();
        let directory = self.directory.clone();
        let sighting = Sighting {
            appointment: &appointment,
            mailbox: Some(&appointment.organizer.address),
            organizer_watched: true,
            first_sync: None,
            adopt: false,
            directory: &directory,
        };
        self.plan(id, Seen::Appointment(sighting));
    }

    /// What the connector does with a plan: keeps it, then lets its effects run.
    fn plan(&mut self, id: u64, seen: Seen<'_>) {
        let before = self.bookings.get(&id).cloned();
        let stored = Stored { booking: before.as_ref(), refused: None };
        let plan = plan(self.now.wall, &self.rules, &self.ledger, stored, seen, &mut self.rng);
        for hold in &plan.holds {
            self.ledger.set(hold);
        }
        let recipients: BTreeSet<_> = plan.letters.iter().map(|letter| &letter.recipient.address).collect();
        assert_eq!(recipients.len(), plan.letters.len(), "one letter a person and change");
        if let Some(booking) = plan.booking {
            let revision = before.as_ref().map_or(0, |before| before.revision);
            assert!(booking.revision >= revision, "revisions only grow");
            let told = !plan.letters.is_empty() || plan.hand_off.is_some();
            assert!(!told || booking.revision > revision, "whoever is told something is told a new revision");
            self.allocations += usize::from(before.is_none());
            self.bookings.insert(id, booking);
        }
        if let Some(hand_off) = plan.hand_off {
            let delay = Duration::from_secs(if self.below(8) == 0 { self.below(600) } else { 0 });
            let earliest = self.under_way.back().map_or(self.now.instant, |(due, _)| *due);
            self.under_way.push_back(((self.now.instant + delay).max(earliest), hand_off));
        }
        self.deliver();
    }

    fn deliver(&mut self) {
        while self.under_way.front().is_some_and(|(due, _)| *due <= self.now.instant) {
            let Some((_, hand_off)) = self.under_way.pop_front() else { return };
            match hand_off {
                HandOff::Put(booking) => {
                    let held = self.held.get(&booking.id).map_or(0, |held| held.revision);
                    assert!(booking.revision > held, "the mixer never sees an old revision");
                    for date in &booking.windows {
                        let conference =
                            ConferenceId { booking: booking.id.clone(), original_start: date.original_start };
                        let held = Held { from: self.now.wall, window: date.window, callers: booking.callers.clone() };
                        self.history.entry(conference.clone()).or_default().push(held);
                        let latest = self.latest_end.entry(conference).or_insert_with(|| date.window.closes());
                        *latest = (*latest).max(date.window.closes());
                    }
                    self.held.insert(booking.id.clone(), (*booking).clone());
                    self.drive(Input::Booking(&booking));
                }
                HandOff::Delete { id, .. } => {
                    self.held.remove(&id);
                    self.drive(Input::Withdrawn(&id));
                }
            }
        }
    }

    // --- the telephones ---

    fn call(&mut self) {
        self.next_id += 1;
        let leg = LegId(self.next_id);
        let (caller, trust) = match self.below(6) {
            0 => (None, Trust::Claimed),
            1 => (Some(number(9)), Trust::Asserted),
            2 => (Some(number(self.index(PEOPLE))), Trust::Claimed),
            _ => (Some(number(self.index(PEOPLE))), Trust::Asserted),
        };
        let phone = Telephone {
            caller: caller.clone(),
            trust,
            answered: false,
            established: false,
            keyed: Vec::new(),
            to_key: VecDeque::new(),
            playing: None,
            greeted: None,
            conference: None,
        };
        self.phones.insert(leg, phone);
        self.drive(Input::Call(leg, Call { caller, trust, dialled_along: String::new() }));
        let answered = self.phones.get(&leg).is_some_and(|phone| phone.answered);
        if answered && self.below(12) > 0 {
            self.confirmed_calls += 1;
            self.phones.get_mut(&leg).expect("it was answered").established = true;
            self.drive(Input::Established(leg));
            self.key_something(leg);
        }
    }

    /// Room and PIN of some booking, right or nearly so.
    fn key_something(&mut self, leg: LegId) {
        let candidates: Vec<_> = self.bookings.values().cloned().collect();
        if candidates.is_empty() {
            return;
        }
        let booking = &candidates[self.index(candidates.len())];
        let pin = if self.below(4) == 0 { &booking.pins.moderator } else { &booking.pins.participant };
        let mut digits = pin.expose().to_owned();
        if self.below(4) == 0 {
            digits.replace_range(0..1, if digits.starts_with('1') { "2" } else { "1" });
        }
        let room = booking.room.to_string();
        let keys = format!("{room}{}{digits}#", if self.below(2) == 0 { "#" } else { "" });
        let mut at = self.now.instant + Duration::from_secs(2);
        let gap = Duration::from_millis(120 + self.below(900));
        let Some(phone) = self.phones.get_mut(&leg) else { return };
        phone.keyed.push((room, digits));
        for key in keys.chars() {
            at += gap;
            phone.to_key.push_back((at, Digit::from_char(key).expect("a key")));
        }
    }

    fn hang_up(&mut self, leg: LegId) {
        self.phones.remove(&leg);
        self.drive(Input::HungUp(leg));
        assert!(self.focus.conferences().all(|view| view.participants.iter().all(|one| one.leg != leg.0)), "no ghost");
    }

    // --- the mixer's shell ---

    fn drive(&mut self, input: Input<'_>) {
        self.focus.handle(self.now, input);
        loop {
            match self.focus.poll() {
                Output::Wait { instant, wall } => {
                    (self.deadline, self.wall_deadline) = (instant, wall);
                    return;
                }
                output => self.obey(output),
            }
        }
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::Answer(leg) => self.phone(leg).answered = true,
            Output::Refuse(leg, _) => drop(self.phones.remove(&leg).expect("refused once")),
            Output::Say { leg, playback, sentences, .. } => {
                assert!(!sentences.is_empty());
                let seconds = sentences.len() as u64 * (1 + self.below(3));
                let ends = self.now.instant + Duration::from_secs(seconds);
                let now = self.now.wall;
                let phone = self.phone(leg);
                assert!(phone.established, "nothing is said before the call is confirmed");
                phone.greeted = Some(now);
                phone.playing = Some((playback, ends));
            }
            Output::Hush(leg) => self.phone(leg).playing = None,
            Output::Music(leg) => assert!(self.phone(leg).conference.is_none(), "music is for those who wait"),
            Output::Join(leg, conference) => self.join(leg, conference),
            Output::Leave(leg) => drop(self.phone(leg).conference.take().expect("he was in")),
            Output::SayToAll { .. } | Output::Event(_) => {}
            Output::HangUp(leg, reason) => {
                self.closed_lines += usize::from(reason == mixer_conference::EndReason::WindowClosed);
                self.phones.remove(&leg).expect("hung up once");
            }
            Output::Record(record) => {
                assert!(record.joined.is_none_or(|joined| record.answered <= joined && joined <= record.ended));
                self.records.push(*record);
            }
            Output::Wait { .. } => unreachable!("the loop ends there"),
        }
    }

    fn join(&mut self, leg: LegId, conference: ConferenceId) {
        let now = self.now.wall;
        let booking = self.held.get(&conference.booking).expect("only into a conference that was handed over").clone();
        let since = self.phones[&leg].greeted.unwrap_or(now);
        let versions = self.versions(&conference, since);
        let open = versions.iter().any(|(from, to, held)| *to >= held.window.opens() && *from < held.window.closes());
        assert!(open, "only while the line is open: {conference:?} at {now}, {:?}", self.phones[&leg]);
        let caller = self.phones[&leg].caller.clone();
        let mut known = versions.iter().flat_map(|(_, _, held)| &held.callers).flat_map(|caller| &caller.numbers);
        let is_known = known.any(|number| caller.as_ref() == Some(number));
        let phone = self.phone(leg);
        assert!(phone.established && phone.conference.is_none());
        let by_number = phone.trust > Trust::Claimed && is_known;
        let pins: Vec<_> = [&booking.pins.participant, &booking.pins.moderator].into_iter().flatten().collect();
        let by_pin = phone
            .keyed
            .iter()
            .any(|(room, pin)| *room == booking.room.to_string() && pins.iter().any(|valid| valid.0.expose() == pin));
        assert!(
            by_number || by_pin,
            "only with a believed number or the right room and PIN: {conference:?} room {} {pins:?} {phone:?}, {:?}",
            booking.room,
            booking.callers
        );
        phone.conference = Some(conference);
        self.joins += 1;
    }

    /// What the mixer held of a date at the instants from `since` to now, with the span in which it held.
    fn versions(&self, conference: &ConferenceId, since: DateTime<Utc>) -> Vec<(DateTime<Utc>, DateTime<Utc>, &Held)> {
        let history = self.history.get(conference).map_or(&[][..], Vec::as_slice);
        let ends = history.iter().skip(1).map(|held| held.from).chain([self.now.wall]);
        let spans = history.iter().zip(ends).map(|(held, to)| (held.from.max(since), to.min(self.now.wall), held));
        spans.filter(|(from, to, _)| from <= to).collect()
    }

    // --- time ---

    /// Jumps from one thing that is due to the next until `span` has passed.
    fn pass(&mut self, span: Duration) {
        let target = self.now.instant + span;
        loop {
            let due = self.next_due().filter(|due| *due <= target);
            self.set_time(due.unwrap_or(target));
            let Some(_) = due else { return };
            self.deliver();
            self.end_playbacks();
            self.press_keys();
            self.drive(Input::Time);
            self.check();
        }
    }

    fn set_time(&mut self, instant: Instant) {
        let instant = instant.max(self.now.instant);
        let passed = TimeDelta::from_std(instant - self.now.instant).expect("short");
        self.now = Now { instant, wall: self.now.wall + passed };
    }

    fn next_due(&self) -> Option<Instant> {
        let wall =
            self.wall_deadline.map(|wall| self.now.instant + (wall - self.now.wall).to_std().unwrap_or_default());
        let phones = self
            .phones
            .values()
            .flat_map(|phone| [phone.playing.map(|(_, ends)| ends), phone.to_key.front().map(|(at, _)| *at)]);
        let under_way = self.under_way.front().map(|(due, _)| *due);
        phones.chain([self.deadline, wall, under_way]).flatten().min()
    }

    fn end_playbacks(&mut self) {
        let now = self.now.instant;
        let over: Vec<_> = self
            .phones
            .iter()
            .filter_map(|(leg, phone)| Some((*leg, phone.playing.filter(|(_, ends)| *ends <= now)?.0)))
            .collect();
        for (leg, playback) in over {
            if let Some(phone) =
                self.phones.get_mut(&leg).filter(|phone| phone.playing.is_some_and(|(id, _)| id == playback))
            {
                phone.playing = None;
                self.drive(Input::Played(leg, playback));
            }
        }
    }

    fn press_keys(&mut self) {
        let legs: Vec<_> = self.phones.keys().copied().collect();
        for leg in legs {
            while let Some(phone) = self.phones.get_mut(&leg)
                && phone.to_key.front().is_some_and(|(at, _)| *at <= self.now.instant)
            {
                let Some((_, digit)) = phone.to_key.pop_front() else { break };
                self.drive(Input::Digit(leg, digit));
            }
        }
    }

    // --- what must always hold ---

    fn check(&self) {
        for (leg, phone) in &self.phones {
            let Some(conference) = &phone.conference else { continue };
            let latest = self.latest_end.get(conference).expect("it was handed over");
            assert!(self.now.wall <= *latest + FAREWELL, "{leg:?} is still in {conference:?} at {}", self.now.wall);
        }
        let active: Vec<_> = self.bookings.values().filter(|booking| booking.state == BookingState::Active).collect();
        for (index, one) in active.iter().enumerate() {
            for other in &active[index + 1..] {
                let shared = one.room == other.room
                    && one.windows().any(|(_, mine)| other.windows().any(|(_, theirs)| mine.overlaps(&theirs)));
                assert!(!shared, "{} and {} share room {}", one.id, other.id, one.room);
            }
        }
    }

    // --- chance ---

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a usize")
    }

    /// Between now and two hours ahead, 15 to 75 minutes long.
    fn some_time(&mut self) -> (DateTime<Utc>, DateTime<Utc>) {
        let minute = |n: u64| TimeDelta::minutes(i64::try_from(n).expect("small"));
        let start = self.now.wall + minute(self.below(120));
        (start, start + minute(15 + self.below(60)))
    }

    fn with_appointment(&mut self, act: impl FnOnce(&mut Self, u64)) {
        let ids: Vec<_> = self.calendar.keys().copied().collect();
        if !ids.is_empty() {
            let id = ids[self.index(ids.len())];
            act(self, id);
        }
    }

    fn with_phone(&mut self, act: impl FnOnce(&mut Self, LegId)) {
        let legs: Vec<_> = self.phones.keys().copied().collect();
        if !legs.is_empty() {
            let leg = legs[self.index(legs.len())];
            act(self, leg);
        }
    }

    fn phone(&mut self, leg: LegId) -> &mut Telephone {
        self.phones.get_mut(&leg).expect("outputs name living legs")
    }

    /// How long this world has lived.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.now.instant - self.start
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World at {}", self.now.wall)
    }
}

fn rules() -> PlanRules {
    PlanRules {
        enabled: true,
        rules: vec![MarkRule::Category("Telephone conference".to_owned())],
        // So few that numbers do run out.
        booked: RoomRanges::parse("1000-1007").expect("a range"),
        guard: TimeDelta::minutes(5),
        lead: TimeDelta::minutes(10),
        overrun: TimeDelta::minutes(15),
        max_duration: TimeDelta::minutes(480),
        pin_digits: 6,
        delivery: Delivery::Ics,
        resource_mailbox: None,
        service: None,
        resource_organizers: Vec::new(),
        language: Language::En,
    }
}

fn marked() -> Marks {
    Marks { categories: vec!["Telephone conference".to_owned()], ..Marks::default() }
}

fn address(n: usize) -> EmailAddress {
    EmailAddress::parse(&format!("p{n}@contoso.example")).expect("an address")
}

fn person(n: usize) -> Person {
    Person { address: address(n), name: Some(format!("Person {n}")) }
}

fn attendee(n: usize) -> Attendee {
    Attendee { person: person(n), role: Role::Required, response: Response::None }
}

fn guest() -> Attendee {
    let address = EmailAddress::parse("guest@fabrikam.example").expect("an address");
    Attendee { person: Person { address, name: None }, role: Role::Optional, response: Response::None }
}

fn number(n: usize) -> E164 {
    E164::international(&format!("+49302312500{n}")).expect("a number")
}

fn contact(n: usize) -> Contact {
    let number = number(n);
    Contact { numbers: vec![KnownCaller { written: number.as_str().to_owned(), number }], language: None, name: None }
}
