//! What a template may name, and nothing else: every value is text of ours or text made harmless.
//!
//! Three circles: what may stand anywhere ([`View`]), what may not stand in a subject or a location ([`Secrets`]), and
//! what the organizer alone reads ([`ModeratorSecrets`]). A template outside its circle finds no such name.

use chrono::{DateTime, Utc};
use connector_planner::{Difference, Letter, LetterKind, Note, Refusal, recognized_numbers};
use dialroom_booking::{Booking, DialInWindow, E164, EmailAddress, Language, OriginalStart, Person, Pin, RoomNumber};
use dialroom_settings::{AutomaticLogin, Believes, Settings};
use serde::Serialize;

use super::times::{WrittenDate, city};

/// Most dates a mail lists; the rest is a number. A quarter of a weekly series.
const MAX_LISTED_DATES: usize = 12;
/// Most changes a mail lists; more are "and others".
const MAX_LISTED_CHANGES: usize = 12;
/// Most of one's own numbers in a sentence.
const MAX_KNOWN_NUMBERS: usize = 3;
/// Longest title or name in characters; a subject beyond it is cut by most readers anyway.
const MAX_TITLE_LEN: usize = 200;
/// Most characters of the organizer's text that go along.
const MAX_TEXT_LEN: usize = 8_000;
/// Most lines of it.
const MAX_TEXT_LINES: usize = 200;

/// What may stand anywhere, subject and location included.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct View {
    /// Subject of the meeting; may be empty.
    pub(super) title: String,
    /// Name of the organizer, else his address.
    pub(super) organizer: String,
    /// Number to dial, as written.
    pub(super) number: String,
    /// The same from an office telephone; empty for people outside.
    pub(super) inside_number: String,
    /// Room number.
    pub(super) room: String,
    /// The next date's day.
    pub(super) date: String,
    /// Its start.
    pub(super) start: String,
    /// Its start and end.
    pub(super) times: String,
    /// When its line opens.
    pub(super) opens: String,
    /// City of the zone of all times.
    pub(super) city: String,
    /// Minutes from opening to start.
    pub(super) lead_minutes: i64,
    /// Whether it is a series.
    pub(super) series: bool,
    /// The next dates of a series.
    pub(super) dates: Vec<DateRow>,
    /// How many more there are.
    pub(super) more_dates: usize,
    /// The recipient's own numbers that need no PIN.
    pub(super) known_numbers: Vec<String>,
    /// Whether the recipient is organizer and reads the moderator PIN.
    pub(super) moderator: bool,
    /// The organizer's text by lines; empty where the recipient has it already.
    pub(super) text_lines: Vec<String>,
    /// What changed.
    pub(super) changes: Vec<ChangeRow>,
    /// Whether there are more changes than listed.
    pub(super) more_changes: bool,
    /// Minutes after which the line closes although the meeting is longer; 0: it does not.
    pub(super) capped_minutes: u32,
    /// Why there is no line: `switched-off`, `foreign-organizer`, `all-rooms-taken`; else empty.
    pub(super) refusal: &'static str,
}

/// One date of a series.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct DateRow {
    date: String,
    times: String,
    opens: String,
}

/// One change.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ChangeRow {
    /// `room`, `moved`, `series-moved` or `date-added`.
    kind: &'static str,
    old: String,
    new: String,
}

/// What only those invited read, and only inside a mail or a description.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Secrets {
    /// Participant PIN in groups of three.
    pub(super) pin: String,
    /// One-tap link with room and PIN.
    pub(super) tel_link: String,
}

/// What only the organizer reads, and only inside a mail.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ModeratorSecrets {
    /// Moderator PIN in groups of three.
    pub(super) moderator_pin: String,
    /// One-tap link with it.
    pub(super) moderator_tel_link: String,
}

impl View {
    /// The view of `letter`'s recipient on `booking`.
    pub(super) fn new(
        now: DateTime<Utc>,
        settings: &Settings,
        booking: &Booking,
        letter: &Letter,
        language: Language,
    ) -> Self {
        let organizer = letter.recipient.address == booking.organizer.address;
        let own_mailbox = letter.recipient.address.domain() == booking.organizer.address.domain();
        let dates = coming_dates(booking, now);
        let next = dates.first().map(|(_, window)| *window).or_else(|| last_date(booking));
        let written = next.map(|window| WrittenDate::new(&window, booking.time_zone, language));
        let (changes, more_changes) = changes(booking, letter, language);
        let WrittenDate { date, start, times, opens } = written.unwrap_or_else(no_date);
        Self {
            title: one_line(&booking.title),
            organizer: shown_name(&booking.organizer),
            number: dial_in_number(settings).to_owned(),
            inside_number: inside_number(settings, own_mailbox),
            room: booking.room.to_string(),
            date,
            start,
            times,
            opens,
            city: city(booking.time_zone),
            lead_minutes: next.map_or(0, |window| (window.start() - window.opens()).num_minutes()),
            series: booking.series,
            more_dates: dates.len().saturating_sub(MAX_LISTED_DATES),
            dates: date_rows(booking, &dates, language),
            known_numbers: known_numbers(settings, booking, &letter.recipient.address),
            moderator: organizer,
            text_lines: if letter.kind == LetterKind::Invitation { text_lines(&booking.description) } else { vec![] },
            changes,
            more_changes,
            capped_minutes: letter
                .notes
                .iter()
                .map(|note| match note {
                    Note::Capped { max_minutes } => *max_minutes,
                })
                .max()
                .unwrap_or(0),
            refusal: "",
        }
    }

    /// The view of an organizer whose meeting gets no line.
    pub(super) fn of_refusal(meeting: &RefusedMeeting<'_>, refusal: &Refusal, language: Language) -> Self {
        let window = DialInWindow::from_parts(meeting.start, meeting.start, meeting.end, meeting.end).ok();
        let WrittenDate { date, start, times, .. } =
            window.map_or_else(no_date, |window| WrittenDate::new(&window, meeting.time_zone, language));
        Self {
            title: one_line(meeting.title),
            organizer: shown_name(meeting.organizer),
            date,
            start,
            times,
            city: city(meeting.time_zone),
            refusal: match refusal {
                Refusal::SwitchedOff => "switched-off",
                Refusal::ForeignOrganizer => "foreign-organizer",
                Refusal::AllRoomsTaken(_) => "all-rooms-taken",
            },
            ..Self::default()
        }
    }
}

/// A meeting that gets no line: no booking exists of it.
#[derive(Clone, Copy, Debug)]
pub struct RefusedMeeting<'a> {
    /// Its subject.
    pub title: &'a str,
    /// Who is told.
    pub organizer: &'a Person,
    /// Start of its next date.
    pub start: DateTime<Utc>,
    /// Its end.
    pub end: DateTime<Utc>,
    /// Zone of the written times.
    pub time_zone: chrono_tz::Tz,
}

impl Secrets {
    pub(super) fn new(settings: &Settings, booking: &Booking) -> Self {
        let pin = &booking.pins.participant;
        Self { pin: pin.grouped(), tel_link: tel_link(settings, booking.room, pin) }
    }
}

impl ModeratorSecrets {
    pub(super) fn new(settings: &Settings, booking: &Booking) -> Self {
        let pin = &booking.pins.moderator;
        Self { moderator_pin: pin.grouped(), moderator_tel_link: tel_link(settings, booking.room, pin) }
    }
}

/// Dates whose line is not closed yet, by their time.
pub(super) fn coming_dates(booking: &Booking, now: DateTime<Utc>) -> Vec<(OriginalStart, DialInWindow)> {
    let mut dates: Vec<_> = booking.windows().filter(|(_, window)| window.closes() > now).collect();
    dates.sort_by_key(|(_, window)| window.start());
    dates
}

fn last_date(booking: &Booking) -> Option<DialInWindow> {
    booking.occurrences.values().next_back().map(|occurrence| occurrence.window)
}

fn no_date() -> WrittenDate {
    WrittenDate { date: String::new(), start: String::new(), times: String::new(), opens: String::new() }
}

fn date_rows(booking: &Booking, dates: &[(OriginalStart, DialInWindow)], language: Language) -> Vec<DateRow> {
    let row = |(_, window): &(OriginalStart, DialInWindow)| {
        let WrittenDate { date, times, opens, .. } = WrittenDate::new(window, booking.time_zone, language);
        DateRow { date, times, opens }
    };
    dates.iter().take(MAX_LISTED_DATES).map(row).collect()
}

fn changes(booking: &Booking, letter: &Letter, language: Language) -> (Vec<ChangeRow>, bool) {
    let LetterKind::Changed(differences) = &letter.kind else { return (Vec::new(), false) };
    let written = |window: &DialInWindow| {
        let WrittenDate { date, times, .. } = WrittenDate::new(window, booking.time_zone, language);
        format!("{date}, {times}")
    };
    let row = |difference: &Difference| match difference {
        Difference::Room { old, new } => ChangeRow { kind: "room", old: old.to_string(), new: new.to_string() },
        Difference::Moved { old, new, .. } => ChangeRow { kind: "moved", old: written(old), new: written(new) },
        Difference::SeriesMoved { old, new } => {
            ChangeRow { kind: "series-moved", old: written(old), new: written(new) }
        }
        Difference::DateAdded { new, .. } => ChangeRow { kind: "date-added", old: String::new(), new: written(new) },
    };
    (differences.iter().take(MAX_LISTED_CHANGES).map(row).collect(), differences.len() > MAX_LISTED_CHANGES)
}

/// The number people write down: the external one where there is one.
fn dial_in_number(settings: &Settings) -> &str {
    settings.dial_in.external_number.as_deref().unwrap_or(&settings.dial_in.number)
}

fn inside_number(settings: &Settings, own_mailbox: bool) -> String {
    let worth_telling = own_mailbox && settings.dial_in.external_number.is_some();
    if worth_telling { settings.dial_in.number.clone() } else { String::new() }
}

/// `tel:` with the digits to key behind it: commas are pauses to telephones though not to RFC 3966, and `#` would start a
/// fragment, so it is `%23`.
fn tel_link(settings: &Settings, room: RoomNumber, pin: &Pin) -> String {
    let dialled: String =
        dial_in_number(settings).replacen("(0)", "", 1).chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    format!("tel:{dialled},,{room}%23,,{}%23", pin.expose())
}

/// The recipient's numbers that will let him in, as the mixer will judge them.
fn known_numbers(settings: &Settings, booking: &Booking, recipient: &EmailAddress) -> Vec<String> {
    let numbers = recognized_numbers(booking, recipient).into_iter().filter(|one| lets_in(settings, &one.number));
    numbers.take(MAX_KNOWN_NUMBERS).map(|one| one_line(&one.number.shown(&one.written))).collect()
}

/// Whether a call from `number` needs no PIN: promised only where some trunk's plain word for it is believed.
fn lets_in(settings: &Settings, number: &E164) -> bool {
    let own = settings
        .trunks
        .iter()
        .any(|trunk| trunk.own_numbers.iter().any(|prefix| number.as_str().starts_with(prefix.as_str())));
    match settings.conference.automatic_login {
        AutomaticLogin::Off => false,
        AutomaticLogin::Internal => own,
        AutomaticLogin::Everyone => own || settings.trunks.iter().any(|trunk| trunk.believes == Believes::All),
    }
}

/// What somebody is called: his name, else his address.
pub(super) fn shown_name(person: &Person) -> String {
    let name = person.name.as_deref().map(one_line).unwrap_or_default();
    if name.is_empty() { person.address.to_string() } else { name }
}

/// One line of bounded length, without control characters or marks that turn the reading direction.
pub(super) fn one_line(text: &str) -> String {
    let harmless =
        text.chars().map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).filter(|c| !turns(*c));
    let mut line = String::new();
    for word in harmless.take(MAX_TEXT_LEN).collect::<String>().split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.chars().count() > MAX_TITLE_LEN {
        line = line.chars().take(MAX_TITLE_LEN - 1).chain(['…']).collect();
    }
    line
}

/// Several lines of bounded number and length.
pub(super) fn text_lines(text: &str) -> Vec<String> {
    let text: String = text.trim().chars().filter(|c| !turns(*c)).take(MAX_TEXT_LEN).collect();
    let line = |line: &str| line.chars().filter(|c| *c == '\t' || !c.is_control()).collect::<String>();
    text.lines().take(MAX_TEXT_LINES).map(line).collect()
}

/// Marks that let text read otherwise than it is (Unicode bidirectional controls), and line breaks of Unicode.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}
