//! Stories: what a calendar sent, step by step, and the plan that follows, as text.
//!
//! A folder each in `calendar-fixtures/stories/`: `story.txt` tells when which file was read from whose mailbox, the JSON
//! files are as Graph sends them, `expected.txt` is the outcome. Rooms are named by letters and PINs only as kept or new,
//! so that the text says what was decided and not what was drawn. `DIALROOM_BLESS=1` writes the outcome as expected.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of a test")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use connector_calendar::{GraphContext, MarkRule, appointment_from_graph};
use connector_planner::{
    Change, Contact, Decision, Difference, Directory, HandOff, IcsKind, Ledger, Letter, LetterKind, Note, Plan,
    PlanRules, Refusal, Seen, Sighting, Stored, plan,
};
use dialroom_booking::{
    Booking, Delivery, DialInWindow, E164, EmailAddress, KnownCaller, Language, OccurrenceState, Origin, Person,
    RoomNumber, RoomRanges,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// A story is a page, not a book: who writes `rooms` or a file name wrongly shall hear of it soon.
const MAX_STEPS: usize = 20;

#[test]
fn every_story_ends_as_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../calendar-fixtures/stories");
    let mut stories: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.sort();
    assert!(stories.len() >= 13, "stories are missing");
    let differing: Vec<String> = stories.iter().filter_map(|folder| differs(folder)).collect();
    println!("{} stories", stories.len());
    assert!(differing.is_empty(), "{}\nDIALROOM_BLESS=1 takes the new text as expected", differing.join("\n"));
}

#[test]
fn every_payload_is_what_graph_could_have_sent() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../calendar-fixtures");
    let schemas: serde_json::Value = serde_json::from_slice(&read(&fixtures.join("graph-schemas.json"))).unwrap();
    let mut schema = schemas.clone();
    schema["$ref"] = "#/$defs/microsoft.graph.event".into();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut checked = 0;
    for story in std::fs::read_dir(fixtures.join("stories")).unwrap().map(|entry| entry.unwrap().path()) {
        for file in std::fs::read_dir(story).unwrap().map(|entry| entry.unwrap().path()) {
            if file.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let payload: serde_json::Value = serde_json::from_slice(&read(&file)).unwrap();
            let events = payload["value"].as_array().cloned().unwrap_or_else(|| vec![payload.clone()]);
            for event in events.iter().filter(|event| event.get("error").is_none()) {
                let errors: Vec<String> = validator.iter_errors(event).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{}: {errors:?}", file.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "only {checked} events checked");
}

/// The difference between what follows and what was expected, line by line; `None` when there is none.
fn differs(folder: &Path) -> Option<String> {
    let outcome = tell(folder);
    let file = folder.join("expected.txt");
    if std::env::var_os("DIALROOM_BLESS").is_some() {
        std::fs::write(&file, &outcome).unwrap();
        return None;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    if expected == outcome {
        return None;
    }
    let mut text = format!("--- {}", folder.display());
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), outcome.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let tail = old[same..].iter().rev().zip(new[same..].iter().rev()).take_while(|(old, new)| old == new).count();
    old[same..old.len() - tail].iter().for_each(|line| _ = write!(text, "\n-{line}"));
    new[same..new.len() - tail].iter().for_each(|line| _ = write!(text, "\n+{line}"));
    Some(text)
}

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn tell(folder: &Path) -> String {
    let script = String::from_utf8(read(&folder.join("story.txt"))).unwrap();
    let mut teller = Teller::new(folder);
    let mut steps = 0;
    for line in script.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        match line.strip_prefix("rooms ") {
            Some(ranges) => teller.rules.booked = RoomRanges::parse(ranges).unwrap(),
            None => teller.step(line),
        }
        steps += 1;
    }
    assert!((1..=MAX_STEPS).contains(&steps), "{}: {steps} steps", folder.display());
    teller.text
}

/// Plays the connector: keeps what plans say, and writes them down.
struct Teller<'a> {
    folder: &'a Path,
    rules: PlanRules,
    directory: Directory,
    ledger: Ledger,
    /// By the entry's UID.
    bookings: HashMap<String, Booking>,
    refused: HashMap<String, Refusal>,
    rooms: Vec<RoomNumber>,
    rng: ChaCha20Rng,
    text: String,
}

impl<'a> Teller<'a> {
    fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            rules: rules(),
            directory: directory(),
            ledger: Ledger::default(),
            bookings: HashMap::new(),
            refused: HashMap::new(),
            rooms: Vec::new(),
            rng: ChaCha20Rng::seed_from_u64(42),
            text: String::new(),
        }
    }

    /// `2026-11-20 09:00  anna  1-master.json with 2-instances.json`; `of <event>` names an entry that was not found,
    /// `unwatched` says that the organizer's own mailbox is not watched.
    fn step(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [day, time, who, file, rest @ ..] = words.as_slice() else { panic!("{line:?} is no step") };
        let now = NaiveDateTime::parse_from_str(&format!("{day} {time}"), "%Y-%m-%d %H:%M").unwrap().and_utc();
        let mailbox = address(who);
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        writeln!(self.text, "{line}").unwrap();
        let (uid, plan) = match rest {
            ["of", event] => self.gone(now, who, &mailbox, event),
            _ => {
                let pages: &[&str] = rest.strip_prefix(&["with"]).unwrap_or_default();
                self.sight(now, who, &mailbox, file, pages, rest.contains(&"unwatched"))
            }
        };
        self.keep(uid, plan);
    }

    fn gone(&mut self, now: DateTime<Utc>, who: &str, mailbox: &EmailAddress, event: &str) -> (String, Plan) {
        let origin = Origin::Graph { mailbox: who.to_owned(), event: event.to_owned() };
        let found = self.bookings.iter().find(|(_, booking)| booking.origin == origin);
        let (uid, booking) = found.expect("the story had booked it");
        let stored = Stored { booking: Some(booking), refused: None };
        let seen = Seen::Gone { origin: &origin, mailbox: Some(mailbox) };
        (uid.clone(), plan(now, &self.rules, &self.ledger, stored, seen, &mut self.rng))
    }

    fn sight(
        &mut self,
        now: DateTime<Utc>,
        who: &str,
        mailbox: &EmailAddress,
        file: &str,
        pages: &[&str],
        unwatched: bool,
    ) -> (String, Plan) {
        let owner = Person { address: mailbox.clone(), name: None };
        let context = GraphContext {
            mailbox: who,
            owner: &owner,
            home_zone: Tz::Europe__Berlin,
            horizon: now + TimeDelta::days(400),
        };
        let event = read(&self.folder.join(file));
        let pages: Vec<_> = pages.iter().map(|page| read(&self.folder.join(page))).collect();
        let (appointment, problems) = appointment_from_graph(&event, &pages, &context).unwrap();
        problems.iter().for_each(|problem| writeln!(self.text, "  problem: {problem}").unwrap());
        let uid = appointment.uid.clone();
        let stored = Stored { booking: self.bookings.get(&uid), refused: self.refused.get(&uid) };
        let sighting = Sighting {
            appointment: &appointment,
            mailbox: Some(mailbox),
            organizer_watched: !unwatched,
            first_sync: None,
            adopt: false,
            directory: &self.directory,
        };
        let plan = plan(now, &self.rules, &self.ledger, stored, Seen::Appointment(sighting), &mut self.rng);
        (uid, plan)
    }

    fn keep(&mut self, uid: String, plan: Plan) {
        let before = self.bookings.get(&uid).cloned();
        self.write(&plan, before.as_ref());
        plan.holds.iter().for_each(|hold| self.ledger.set(hold));
        if let Decision::Refuse(refusal) = plan.decision {
            self.refused.insert(uid.clone(), refusal);
        }
        if let Some(booking) = plan.booking {
            self.bookings.insert(uid, booking);
        }
    }

    fn write(&mut self, plan: &Plan, before: Option<&Booking>) {
        if let Some(fired) = &plan.rule {
            let mark = fired.rule.as_ref().map_or_else(|| "none needed".into(), mark);
            self.line(1, &format!("mark: {mark}"));
        }
        let decision = self.decision(&plan.decision);
        self.line(1, &decision);
        if let Some(booking) = &plan.booking {
            self.booking(booking, before);
        }
        for hold in &plan.holds {
            let blocks: Vec<_> =
                hold.blocks.iter().map(|block| format!("{block:?}").replace(":00+00:00", "Z")).collect();
            let room = self.room(hold.room);
            self.line(1, &format!("{room} is taken: {}", blocks.join(", ")));
        }
        for letter in &plan.letters {
            let letter = self.letter(letter);
            self.line(1, &letter);
        }
        match &plan.hand_off {
            Some(HandOff::Put(handed)) => {
                let callers = handed.callers.iter().map(|caller| {
                    let who = caller.person.split('@').next().unwrap_or_default();
                    let role = if caller.moderator { " (moderator)" } else { "" };
                    format!("{who}{role}{}", if caller.declined { " (declined)" } else { "" })
                });
                let callers = callers.collect::<Vec<_>>().join(", ");
                self.line(1, &format!("mixer: put revision {}, known: {callers}", handed.revision));
            }
            Some(HandOff::Delete { revision, .. }) => self.line(1, &format!("mixer: delete, revision {revision}")),
            None => {}
        }
    }

    fn booking(&mut self, booking: &Booking, before: Option<&Booking>) {
        let pins = if before.is_some_and(|before| before.pins == booking.pins) { "kept" } else { "new" };
        let room = self.room(booking.room);
        self.line(1, &format!("booking: revision {}, {room}, PINs {pins}, {:?}", booking.revision, booking.state));
        for (original_start, date) in &booking.occurrences {
            let original = match date.window.start() == *original_start {
                true => String::new(),
                false => format!(", originally {}", instant(*original_start)),
            };
            let cancelled = if date.state == OccurrenceState::Cancelled { ", cancelled" } else { "" };
            self.line(2, &format!("{}{original}{cancelled}", window(&date.window)));
        }
    }

    fn letter(&mut self, letter: &Letter) -> String {
        let kind = match &letter.kind {
            LetterKind::Invitation => "invitation".to_owned(),
            LetterKind::DialInData => "dial-in data".to_owned(),
            LetterKind::ModeratorData => "moderator data".to_owned(),
            LetterKind::Changed(told) => {
                let told: Vec<_> = told.iter().map(|difference| self.difference(difference)).collect();
                format!("changed: {}", told.join("; "))
            }
            LetterKind::LineClosed => "the line is closed".to_owned(),
            LetterKind::Cancelled => "cancelled".to_owned(),
            LetterKind::Refused(refusal) => format!("refused: {}", refused(refusal)),
        };
        let ics = match letter.ics {
            IcsKind::None => "",
            IcsKind::Attachment => ", ICS attached",
            IcsKind::FullRequest => ", full invitation",
            IcsKind::Cancel => ", CANCEL",
        };
        let notes: String = letter
            .notes
            .iter()
            .map(|Note::Capped { max_minutes }| format!(", capped at {max_minutes} minutes"))
            .collect();
        let language = letter.language.map_or("organizer's language", Language::code);
        format!("mail to {} ({language}): {kind}{ics}{notes}", letter.recipient.address)
    }

    fn decision(&mut self, decision: &Decision) -> String {
        match decision {
            Decision::Ignore(why) => format!("ignore: {why:?}"),
            Decision::Allocate => "allocate".to_owned(),
            Decision::Change(changes) => {
                let changes: Vec<_> = changes.iter().map(|change| self.change(change)).collect();
                format!("change: {}", changes.join("; "))
            }
            Decision::CloseLine => "close the line".to_owned(),
            Decision::Cancel => "cancel".to_owned(),
            Decision::Refuse(refusal) => format!("refuse: {}", refused(refusal)),
        }
    }

    fn change(&mut self, change: &Change) -> String {
        match change {
            Change::DialIn(difference) => self.difference(difference),
            Change::Entry => "the calendar's own texts".to_owned(),
            Change::Organizer => "another organizer".to_owned(),
            Change::InviteeAdded(who) => format!("{who} added"),
            Change::InviteeRemoved(who) => format!("{who} removed"),
            Change::InviteeChanged(who) => format!("{who} changed"),
            Change::OrganizerNumbers => "the organizer's numbers".to_owned(),
            Change::DateCancelled(original_start) => format!("{} takes place no more", instant(*original_start)),
            Change::Horizon => "the horizon".to_owned(),
            Change::Reopened => "open again".to_owned(),
        }
    }

    fn difference(&mut self, difference: &Difference) -> String {
        match difference {
            Difference::Room { old, new } => format!("{} becomes {}", self.room(*old), self.room(*new)),
            Difference::Moved { old, new, .. } => format!("{} moves to {}", window(old), window(new)),
            Difference::SeriesMoved { old, new } => format!("series from {} moves to {}", window(old), window(new)),
            Difference::DateAdded { new, .. } => format!("{} is new", window(new)),
        }
    }

    /// Rooms by letters, in the order in which the story meets them.
    fn room(&mut self, room: RoomNumber) -> String {
        let known = self.rooms.iter().position(|known| *known == room);
        let index = known.unwrap_or_else(|| {
            self.rooms.push(room);
            self.rooms.len() - 1
        });
        format!("room {}", char::from(b'A' + u8::try_from(index).unwrap()))
    }

    fn line(&mut self, depth: usize, line: &str) {
        writeln!(self.text, "{}{line}", "  ".repeat(depth)).unwrap();
    }
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::SwitchedOff => "conferences are switched off".to_owned(),
        Refusal::ForeignOrganizer => "foreign organizer".to_owned(),
        Refusal::AllRoomsTaken(taken) => taken.to_string(),
    }
}

fn mark(rule: &MarkRule) -> String {
    match rule {
        MarkRule::Property(name) => format!("property {name}"),
        MarkRule::Resource(mailbox) => format!("{mailbox} is invited"),
        MarkRule::Category(name) => format!("category {name:?}"),
        MarkRule::Keyword(word) => format!("{word} in the location"),
    }
}

/// `Thu 2026-11-26 08:50 [09:00-09:30] 09:45`: opens, start, end, closes, in UTC.
fn window(window: &DialInWindow) -> String {
    let clock = |at: DateTime<Utc>| at.format("%H:%M");
    let (start, end, closes) = (clock(window.start()), clock(window.end()), clock(window.closes()));
    format!("{} [{start}-{end}] {closes}", window.opens().format("%a %Y-%m-%d %H:%M"))
}

fn instant(at: DateTime<Utc>) -> String {
    at.format("%a %Y-%m-%d %H:%M").to_string()
}

fn address(who: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{who}@contoso.example")).unwrap()
}

/// The demo's people with their numbers and languages.
fn directory() -> Directory {
    let people = [("anna", 1, Language::De), ("bernd", 2, Language::En), ("clara", 3, Language::De)];
    let people = people.into_iter().chain([("david", 4, Language::En), ("emil", 5, Language::En)]);
    people
        .map(|(who, extension, language)| {
            let written = format!("+49 30 23125 {extension:03}");
            let number = KnownCaller { number: E164::international(&written).unwrap(), written };
            (address(who), Contact { numbers: vec![number], language: Some(language), name: None })
        })
        .collect()
}

fn rules() -> PlanRules {
    PlanRules {
        enabled: true,
        rules: vec![
            MarkRule::Property("cecp-7d5c1c1e-2f0e-4c53-9c8e-5f3c7f0f6a11".into()),
            MarkRule::Resource(address("conference")),
            MarkRule::Category("Telephone conference".into()),
            MarkRule::Keyword("@dialroom".into()),
        ],
        booked: RoomRanges::parse("1000-7999").unwrap(),
        guard: TimeDelta::minutes(5),
        lead: TimeDelta::minutes(10),
        overrun: TimeDelta::minutes(15),
        max_duration: TimeDelta::minutes(480),
        pin_digits: 6,
        delivery: Delivery::Ics,
        resource_mailbox: Some(address("conference")),
        service: None,
        resource_organizers: vec!["contoso.example".into()],
        language: Language::En,
    }
}
