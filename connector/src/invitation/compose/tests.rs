//! Every letter in every language as a snapshot; and mails from hostile meetings, read back by a parser that is not ours.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use chrono_tz::Tz;
use connector_planner::{Difference, Note};
use dialroom_booking::{
    BookingId, BookingState, Delivery, DialInWindow, E164, KnownCaller, Occurrence, OccurrenceState, Pin, Pins,
    RoomNumber,
};
use mail_parser::{HeaderValue, Message, MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;

use super::*;

mod dialogue;

const SETTINGS: &str = r#"
[dial_in]
number = "88"
external_number = "+49 30 23125 88"
[mail]
host = "127.0.0.1"
from = "dialroom@contoso.example"
[[trunk]]
name = "pbx"
addresses = ["127.0.0.1"]
"#;

fn settings(more: &str) -> Settings {
    Settings::read(std::path::Path::new("/d/dialroom.toml"), &format!("{SETTINGS}{more}")).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Checked once for all tests: that takes longer than a hundred mails.
fn templates() -> &'static Templates {
    static TEMPLATES: std::sync::LazyLock<Templates> = std::sync::LazyLock::new(|| Templates::load(None).unwrap());
    &TEMPLATES
}

fn now() -> DateTime<Utc> {
    at("2026-11-20T08:00:00Z")
}

fn person(address: &str, name: &str) -> Person {
    let name = (!name.is_empty()).then(|| name.to_owned());
    Person { address: EmailAddress::parse(address).unwrap(), name }
}

fn number(written: &str) -> KnownCaller {
    KnownCaller { number: E164::international(written).unwrap(), written: written.to_owned() }
}

fn invitee(address: &str, name: &str, numbers: &[&str], invited_already: bool) -> Invitee {
    Invitee {
        person: person(address, name),
        role: Role::Required,
        response: Response::None,
        numbers: numbers.iter().map(|written| number(written)).collect(),
        language: None,
        invited_already,
    }
}

fn window(start: &str) -> DialInWindow {
    let end = at(start) + TimeDelta::minutes(30);
    DialInWindow::new(at(start), end, TimeDelta::minutes(10), TimeDelta::minutes(15)).unwrap()
}

fn booking(starts: &[&str]) -> Booking {
    let scheduled = |start: &&str| (at(start), Occurrence { window: window(start), state: OccurrenceState::Scheduled });
    Booking {
        id: BookingId::parse("b1").unwrap(),
        revision: 1,
        uid: "040000008200E00074C5B7101A82E008".to_owned(),
        sequence: 2,
        origin: Origin::Graph { mailbox: "m".to_owned(), event: "e".to_owned() },
        title: "Budget review".to_owned(),
        description: "Please read the figures first.\n\nAnna".to_owned(),
        private: false,
        hide_attendees: false,
        organizer: person("anna@contoso.example", "Anna Albrecht"),
        language: Language::De,
        time_zone: Tz::Europe__Berlin,
        delivery: Delivery::Ics,
        room: RoomNumber::parse("4711").unwrap(),
        pins: Pins { participant: Pin::parse("482915").unwrap(), moderator: Pin::parse("730264").unwrap() },
        invitees: vec![
            invitee("bernd@contoso.example", "Bernd Bäcker", &["+49 30 23125 002"], true),
            invitee("eva@fabrikam.example", "", &[], true),
        ],
        organizer_numbers: vec![number("+49 30 23125 001")],
        series: starts.len() > 1,
        occurrences: starts.iter().map(scheduled).collect::<BTreeMap<_, _>>(),
        state: BookingState::Active,
    }
}

fn single() -> Booking {
    booking(&["2026-11-26T09:00:00Z"])
}

fn letter(recipient: &Person, kind: LetterKind, ics: IcsKind, language: Language) -> Letter {
    Letter { recipient: recipient.clone(), kind, ics, language: Some(language), notes: Vec::new() }
}

fn composed(booking: &Booking, letter: &Letter) -> ComposedMail {
    let posting = Posting { now: now(), message_id: "b1.1.0.x@contoso.example" };
    compose(templates(), &settings(""), booking, letter, &posting).unwrap()
}

fn parsed(mail: &ComposedMail) -> Message<'_> {
    MessageParser::default().parse(&mail.message).unwrap()
}

/// The calendar objects of a mail with their content types.
fn calendars(message: &Message<'_>) -> Vec<(String, String)> {
    let kind = |part: &mail_parser::MessagePart<'_>| {
        let kind = part.content_type()?;
        let of_calendar = matches!(kind.subtype()?, "calendar" | "ics");
        let text = match &part.body {
            PartType::Text(text) => text.to_string(),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            PartType::Html(_) | PartType::Message(_) | PartType::Multipart(_) => return None,
        };
        let method = kind.attribute("method").unwrap_or_default();
        of_calendar.then(|| (format!("{}/{} {method}", kind.ctype(), kind.subtype().unwrap()), text))
    };
    message.parts.iter().filter_map(kind).collect()
}

/// Head, text and ICS as one reads them. HTML says the same as the text; it is left to the eye.
fn shown(mail: &ComposedMail) -> String {
    let message = parsed(mail);
    let whole = String::from_utf8(mail.message.clone()).unwrap();
    let head = whole.split_once("\r\nMIME-Version").unwrap().0.replace("\r\n", "\n");
    let mut shown = format!("{head}\n(subject: {})\n\n", message.subject().unwrap_or_default());
    shown.push_str(&message.body_text(0).unwrap().replace("\r\n", "\n"));
    if let Some((kind, ics)) = calendars(&message).first() {
        let event = ics.replace("\r\n ", "").replace("\r\n", "\n");
        let zone = event.find("BEGIN:VTIMEZONE").unwrap()..event.find("BEGIN:VEVENT").unwrap();
        shown.push_str(&format!("\n--- {kind}\n{}{}", &event[..zone.start], &event[zone.end..]));
    }
    shown
}

#[test]
fn every_letter_in_every_language() {
    let (single, mut series) = (single(), Booking { series: true, ..single() });
    for week in 1..14 {
        let start = at("2026-11-26T09:00:00Z") + TimeDelta::weeks(week);
        let end = start + TimeDelta::minutes(30);
        let window = DialInWindow::new(start, end, TimeDelta::minutes(10), TimeDelta::minutes(15)).unwrap();
        series.occurrences.insert(start, Occurrence { window, state: OccurrenceState::Scheduled });
    }
    let ours = Booking { origin: Origin::Dialroom, uid: "b1@contoso.example".to_owned(), ..single.clone() };
    let (anna, bernd, eva) = (&single.organizer, &single.invitees[0].person, &single.invitees[1].person);
    let moved = LetterKind::Changed(vec![
        Difference::Moved {
            original_start: at("2026-11-26T09:00:00Z"),
            old: window("2026-11-26T08:00:00Z"),
            new: window("2026-11-26T09:00:00Z"),
        },
        Difference::Room { old: RoomNumber::parse("1234").unwrap(), new: single.room },
    ]);
    let capped = |letter: Letter| Letter { notes: vec![Note::Capped { max_minutes: 480 }], ..letter };
    for language in Language::ALL {
        let letter = |to: &Person, kind: LetterKind, ics: IcsKind| letter(to, kind, ics, language);
        for (name, booking, letter) in [
            ("dial-in-known", &single, letter(bernd, LetterKind::DialInData, IcsKind::Attachment)),
            ("dial-in-guest", &single, letter(eva, LetterKind::DialInData, IcsKind::Attachment)),
            ("dial-in-series", &series, letter(bernd, LetterKind::DialInData, IcsKind::None)),
            ("invitation", &ours, letter(eva, LetterKind::Invitation, IcsKind::FullRequest)),
            ("moderator", &single, capped(letter(anna, LetterKind::ModeratorData, IcsKind::None))),
            ("moderator-ours", &ours, letter(anna, LetterKind::ModeratorData, IcsKind::FullRequest)),
            ("changed", &single, letter(bernd, moved.clone(), IcsKind::Attachment)),
            ("changed-moderator", &single, letter(anna, moved.clone(), IcsKind::None)),
            ("line-closed", &single, letter(eva, LetterKind::LineClosed, IcsKind::None)),
            ("cancelled", &ours, letter(eva, LetterKind::Cancelled, IcsKind::Cancel)),
        ] {
            insta::assert_snapshot!(format!("{name}.{language}"), shown(&composed(booking, &letter)));
        }
    }
}

#[test]
fn a_refusal_says_why() {
    let single = single();
    let meeting = RefusedMeeting {
        title: &single.title,
        organizer: &single.organizer,
        start: at("2026-11-26T09:00:00Z"),
        end: at("2026-11-26T09:30:00Z"),
        time_zone: Tz::Europe__Berlin,
    };
    let posting = Posting { now: now(), message_id: "r1@contoso.example" };
    for language in Language::ALL {
        for refusal in [Refusal::SwitchedOff, Refusal::ForeignOrganizer] {
            let letter = letter(&single.organizer, LetterKind::Refused(refusal.clone()), IcsKind::None, language);
            let mail = compose_refusal(templates(), &settings(""), &meeting, &letter, &posting).unwrap();
            insta::assert_snapshot!(format!("refused-{refusal:?}.{language}"), shown(&mail));
            assert!(matches!(
                compose(templates(), &settings(""), &single, &letter, &posting),
                Err(ComposeError::WrongLetter)
            ));
        }
    }
}

#[test]
fn the_sentence_is_the_one_agreed() {
    let known =
        composed(&single(), &letter(&single().invitees[0].person, LetterKind::DialInData, IcsKind::None, Language::En));
    let text = parsed(&known).body_text(0).unwrap().into_owned();
    assert!(text.contains(
        "Call +49 30 23125 88 on Thursday, November 26, 2026, 10:00–10:30 (Berlin). The line opens at 9:50. \
         From +49 30 23125 002 you need no PIN. From any other phone: room 4711, PIN 482 915."
    ));
    let known =
        composed(&single(), &letter(&single().invitees[0].person, LetterKind::DialInData, IcsKind::None, Language::De));
    let text = parsed(&known).body_text(0).unwrap().into_owned();
    assert!(text.contains(
        "Wählen Sie am Donnerstag, 26. November 2026, um 10:00 Uhr +49 30 23125 88. Einwahl ab 9:50 Uhr. \
         Von +49 30 23125 002 aus brauchen Sie keine PIN. Von jedem anderen Telefon: Raum 4711, PIN 482 915."
    ));
}

#[test]
fn no_pin_is_promised_away_that_the_mixer_would_ask_for() {
    let to_bernd = letter(&single().invitees[0].person, LetterKind::DialInData, IcsKind::None, Language::En);
    let promised = |more: &str| {
        let posting = Posting { now: now(), message_id: "b1@contoso.example" };
        let mail = compose(templates(), &settings(more), &single(), &to_bernd, &posting).unwrap();
        parsed(&mail).body_text(0).unwrap().contains("you need no PIN")
    };
    assert!(promised(""));
    assert!(!promised("[conference]\nautomatic_login = \"off\""));
    assert!(!promised("[conference]\nautomatic_login = \"internal\""));
    assert!(promised("own_numbers = [\"+49 30 23125\"]\n[conference]\nautomatic_login = \"internal\""));
    assert!(!promised("believes = \"extensions\""));
}

#[test]
fn numbers_are_shown_as_everybody_dials_them_and_shared_ones_not_at_all() {
    let mut booking = single();
    let known = |number: &str, written: &str| KnownCaller {
        number: E164::international(number).unwrap(),
        written: written.to_owned(),
    };
    booking.invitees[0].numbers = vec![known("+493023125003", "030/23125-003"), known("+49302312588", "-88")];
    booking.organizer_numbers.push(known("+49302312588", "030 2312588"));
    let to_bernd = letter(&booking.invitees[0].person, LetterKind::DialInData, IcsKind::None, Language::En);
    let text = parsed(&composed(&booking, &to_bernd)).body_text(0).unwrap().into_owned();
    assert!(text.contains("From +49 30 23125003 you need no PIN."), "{text}");
}

#[test]
fn a_series_is_one_even_with_a_single_date_in_sight() {
    let ics_of = |booking: &Booking| {
        let letter = letter(&booking.invitees[0].person, LetterKind::DialInData, IcsKind::Attachment, Language::En);
        calendars(&parsed(&composed(booking, &letter))).remove(0).1
    };
    assert!(!ics_of(&single()).contains("RECURRENCE-ID"));
    assert!(ics_of(&Booking { series: true, ..single() }).contains("RECURRENCE-ID;TZID=Europe/Berlin:20261126T100000"));
}

#[test]
fn pins_stand_only_where_they_may() {
    let single = single();
    for (to, kind, ics) in [
        (&single.organizer, LetterKind::ModeratorData, IcsKind::FullRequest),
        (&single.invitees[0].person, LetterKind::DialInData, IcsKind::Attachment),
        (&single.invitees[0].person, LetterKind::Invitation, IcsKind::FullRequest),
        (&single.invitees[0].person, LetterKind::Changed(Vec::new()), IcsKind::Attachment),
    ] {
        let mail = composed(&single, &letter(to, kind, ics, Language::En));
        let message = parsed(&mail);
        let is_organizer = to.address == single.organizer.address;
        assert!(!format!("{mail:?}").contains("482915") && !message.subject().unwrap().contains("482"));
        assert_eq!(message.body_text(0).unwrap().contains("730 264"), is_organizer);
        assert_eq!(message.body_html(0).unwrap().contains("730 264"), is_organizer);
        for (_, ics) in calendars(&message) {
            let ics = ics.replace("\r\n ", "");
            assert!(!ics.contains("730264") && !ics.contains("730 264"), "a moderator PIN in an ICS");
            assert!(ics.contains("PIN 482 915") && ics.contains(",,4711%23,,482915%23"));
            let open = ics.lines().filter(|line| line.starts_with("SUMMARY") || line.starts_with("LOCATION"));
            assert!(open.clone().count() == 2 && open.clone().all(|line| !line.contains("482")));
            assert!(ics.contains("\r\nLOCATION:+49 30 23125 88\\, room 4711\r\n"));
        }
    }
}

#[test]
fn the_tree_of_each_kind_of_mail() {
    let tree = |ics| {
        let mail =
            composed(&single(), &letter(&single().invitees[0].person, LetterKind::DialInData, ics, Language::En));
        let message = parsed(&mail);
        let name = |part: &mail_parser::MessagePart<'_>| {
            let kind = part.content_type().unwrap();
            let disposition = part.content_disposition().map(|d| format!(" {}", d.ctype())).unwrap_or_default();
            format!("{}/{}{disposition}", kind.ctype(), kind.subtype().unwrap())
        };
        message.parts.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(tree(IcsKind::None), "multipart/alternative, text/plain, text/html");
    assert_eq!(
        tree(IcsKind::Attachment),
        "multipart/mixed, multipart/alternative, text/plain, text/html, application/ics attachment"
    );
    assert_eq!(
        tree(IcsKind::FullRequest),
        "multipart/mixed, multipart/alternative, text/plain, text/html, text/calendar, application/ics attachment"
    );
}

#[test]
fn hidden_attendees_stay_hidden() {
    let booking = Booking { hide_attendees: true, private: true, ..single() };
    let mail = composed(
        &booking,
        &letter(&booking.invitees[1].person, LetterKind::DialInData, IcsKind::Attachment, Language::En),
    );
    let (_, ics) = calendars(&parsed(&mail)).remove(0);
    let ics = ics.replace("\r\n ", "");
    assert!(ics.contains("mailto:eva@fabrikam.example") && !ics.contains("bernd@") && ics.contains("CLASS:PRIVATE"));
}

#[test]
fn a_message_id_cannot_break_out() {
    let to = letter(&single().organizer, LetterKind::LineClosed, IcsKind::None, Language::En);
    for message_id in ["", "a", "a@b>\r\nBcc: <x@y", "a b@c", "<a@b>", "ä@b"] {
        let posting = Posting { now: now(), message_id };
        let composed = compose(templates(), &settings(""), &single(), &to, &posting);
        assert!(matches!(composed, Err(ComposeError::MessageId)), "{message_id}");
    }
}

/// Pieces that have broken some mail program before: header, ICS, template and markup injection.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\r\nBcc: x@evil.example".to_owned()),
        Just("\r\n\r\n<script>alert(1)</script>".to_owned()),
        Just("\n.\r\n".to_owned()),
        Just("\n.\nRCPT TO:<x@evil.example>".to_owned()),
        Just("\u{0}\u{2028}\u{2029}\u{85}\u{202e}".to_owned()),
        Just("=?utf-8?q?a=0D=0ABcc:_x@evil.example?=".to_owned()),
        Just("{{ 7*7 }}{% include \"/etc/passwd\" %}{{ __tera_context }}{{ get_env(name=\"PATH\") }}".to_owned()),
        Just("<img src=x onerror=alert(1)>\"><svg/onload=1>".to_owned()),
        Just("\" <x@evil.example>, \"".to_owned()),
        Just("\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nATTENDEE:mailto:x@evil.example".to_owned()),
        Just("a".repeat(2000)),
        Just("🎉ß".repeat(300)),
        "\\PC{0,40}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn hostile_meetings_make_plain_mails(
        title in hostile(), name in hostile(), description in hostile(), recipient in hostile(), full in any::<bool>(),
    ) {
        let mut booking = single();
        booking.title = title.clone();
        booking.description = description;
        booking.organizer.name = Some(name.clone());
        booking.invitees[0].person.name = Some(recipient.clone());
        let ics = if full { IcsKind::FullRequest } else { IcsKind::Attachment };
        let mail = composed(&booking, &letter(&booking.invitees[0].person, LetterKind::Invitation, ics, Language::En));

        // No line too long, none that ends early, no octet beyond ASCII.
        let text = String::from_utf8(mail.message.clone()).unwrap();
        prop_assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n', '\0']));
        prop_assert!(text.split("\r\n").all(|line| line.len() <= 998));

        let message = parsed(&mail);
        let names: Vec<_> = message.headers().iter().map(|header| header.name().to_ascii_lowercase()).collect();
        let class = if full { "content-class " } else { "" };
        prop_assert_eq!(
            names.join(" "),
            format!("from to reply-to subject date message-id auto-submitted {class}mime-version content-type")
        );
        let addresses = |value: &HeaderValue<'_>| {
            let list = value.as_address().unwrap();
            list.iter().map(|address| address.address().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        for (field, expected) in [
            ("from", "dialroom@contoso.example"), ("to", "bernd@contoso.example"), ("reply-to", "anna@contoso.example"),
        ] {
            prop_assert_eq!(addresses(message.header(field).unwrap()), [expected]);
        }
        let subject = one_line(&title);
        if !subject.is_empty() {
            prop_assert_eq!(message.subject().unwrap_or_default().trim(), subject.trim());
        }
        let from = message.from().unwrap().first().unwrap().name().unwrap_or_default().to_owned();
        let organizer = one_line(&name);
        let organizer = if organizer.is_empty() { "anna@contoso.example" } else { &organizer };
        let expected = format!("{organizer} via Dialroom");
        prop_assert_eq!(from.trim(), expected.trim());

        let html = message.body_html(0).unwrap();
        prop_assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<svg"));
        if subject.contains("{{ 7*7 }}") {
            prop_assert!(message.body_text(0).unwrap().contains("{{ 7*7 }}"));
        }
        let objects = calendars(&message);
        prop_assert_eq!(objects.len(), if full { 2 } else { 1 });
        for (_, ics) in objects {
            prop_assert_eq!(ics.matches("\r\nBEGIN:VEVENT\r\n").count(), 1);
            let read = ical::IcalParser::new(ics.replace("\r\n ", "").as_bytes()).next().unwrap().unwrap();
            let attendees = read.events[0].properties.iter().filter(|property| property.name == "ATTENDEE");
            prop_assert_eq!(attendees.count(), 2);
        }
    }
}
