//! One rule of the plan each; whole ways of a meeting are told as stories in `calendar-fixtures/stories/`.

use chrono::TimeDelta;
use connector_calendar::{Attendee, Marks};
use dialroom_booking::{Delivery, Language, Person, Response, Role, RoomRanges};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::testing::{appointment, at, caller, date, person, rules};
use crate::{Block, Contact, Difference, IcsKind, LetterKind, Note};

/// One meeting's desk: what is held of it, and what is taken.
struct World {
    rules: PlanRules,
    ledger: Ledger,
    booking: Option<Booking>,
    refused: Option<Refusal>,
    directory: Directory,
    mailbox: Option<EmailAddress>,
    organizer_watched: bool,
    first_sync: Option<DateTime<Utc>>,
    rng: ChaCha20Rng,
}

impl World {
    fn new() -> Self {
        Self {
            rules: rules(),
            ledger: Ledger::default(),
            booking: None,
            refused: None,
            directory: Directory::new(),
            mailbox: Some(EmailAddress::parse("anna@contoso.example").unwrap()),
            organizer_watched: true,
            first_sync: None,
            rng: ChaCha20Rng::seed_from_u64(1),
        }
    }

    fn booked() -> (Self, Appointment) {
        let (mut world, meeting) = (Self::new(), appointment(60, 90));
        assert_eq!(world.see(0, &meeting).decision, Decision::Allocate);
        (world, meeting)
    }

    fn see(&mut self, minute: i64, appointment: &Appointment) -> Plan {
        let stored = Stored { booking: self.booking.as_ref(), refused: self.refused.as_ref() };
        let sighting = Sighting {
            appointment,
            mailbox: self.mailbox.as_ref(),
            organizer_watched: self.organizer_watched,
            first_sync: self.first_sync,
            adopt: false,
            directory: &self.directory,
        };
        let seen = Seen::Appointment(sighting);
        let plan = plan(at(minute), &self.rules, &self.ledger, stored, seen, &mut self.rng);
        self.keep(plan)
    }

    fn miss(&mut self, minute: i64, origin: &Origin) -> Plan {
        let stored = Stored { booking: self.booking.as_ref(), refused: self.refused.as_ref() };
        let seen = Seen::Gone { origin, mailbox: self.mailbox.as_ref() };
        let plan = plan(at(minute), &self.rules, &self.ledger, stored, seen, &mut self.rng);
        self.keep(plan)
    }

    fn keep(&mut self, plan: Plan) -> Plan {
        plan.holds.iter().for_each(|hold| self.ledger.set(hold));
        if let Some(booking) = &plan.booking {
            self.booking = Some(booking.clone());
        }
        if let Decision::Refuse(refusal) = &plan.decision {
            self.refused = Some(refusal.clone());
        }
        plan
    }
}

fn letters(plan: &Plan) -> Vec<(String, LetterKind, IcsKind)> {
    let one = |letter: &Letter| {
        let local = letter.recipient.address.as_str().split('@').next().unwrap().to_owned();
        (local, letter.kind.clone(), letter.ics)
    };
    plan.letters.iter().map(one).collect()
}

fn attendee(address: &str) -> Attendee {
    Attendee { person: person(address), role: Role::Required, response: Response::None }
}

#[test]
fn the_rule_that_fired_is_kept() {
    let plan = World::new().see(0, &appointment(60, 90));
    assert_eq!(plan.rule.unwrap().index, Some(1));
}

#[test]
fn an_attendees_copy_and_an_unsent_draft_and_an_unmarked_entry_are_left_alone() {
    let check = |change: fn(&mut Appointment), why| {
        let mut meeting = appointment(60, 90);
        change(&mut meeting);
        assert_eq!(World::new().see(0, &meeting).decision, Decision::Ignore(why));
    };
    check(|meeting| meeting.is_organizer = false, Ignored::NotOrganizer);
    check(|meeting| meeting.draft = true, Ignored::Draft);
    check(|meeting| meeting.marks = Marks::default(), Ignored::NotOurs);
    check(|meeting| meeting.cancelled = true, Ignored::NoLine);
    check(|meeting| meeting.dates = vec![date(-60, -1)], Ignored::Past);
}

#[test]
fn a_draft_of_a_change_leaves_the_line_as_it_was_sent() {
    let (mut world, mut meeting) = World::booked();
    meeting.draft = true;
    meeting.dates = vec![date(300, 330)];
    assert_eq!(world.see(1, &meeting).decision, Decision::Ignore(Ignored::Draft));
}

#[test]
fn older_entries_wait_for_their_organizers_next_change() {
    let mut world = World::new();
    world.first_sync = Some(at(10));
    let mut meeting = appointment(60, 90);
    assert_eq!(world.see(11, &meeting).decision, Decision::Ignore(Ignored::Older));
    meeting.modified = at(12);
    assert_eq!(world.see(12, &meeting).decision, Decision::Allocate);
}

#[test]
fn an_echo_changes_nothing() {
    let (mut world, mut meeting) = World::booked();
    meeting.modified = at(1);
    assert_eq!(world.see(1, &meeting).decision, Decision::Ignore(Ignored::Unchanged));
}

#[test]
fn a_move_keeps_room_pin_and_key_and_blocks_the_promised_window() {
    let (mut world, mut meeting) = World::booked();
    let before = world.booking.clone().unwrap();
    meeting.dates = vec![date(300, 330)];
    let plan = world.see(1, &meeting);
    let after = plan.booking.clone().unwrap();
    assert_eq!((after.room, &after.pins, after.revision), (before.room, &before.pins, 2));
    assert_eq!(after.occurrences.keys().collect::<Vec<_>>(), before.occurrences.keys().collect::<Vec<_>>());
    assert_eq!(world.ledger.blocks(after.room, &after.id).len(), 2);
    assert_eq!(letters(&plan).len(), 3);
    assert!(
        matches!(plan.letters[0].kind, LetterKind::Changed(ref told) if matches!(told[0], Difference::Moved { .. }))
    );
}

#[test]
fn a_room_taken_in_the_new_window_is_replaced_and_told() {
    let (mut world, mut meeting) = World::booked();
    world.rules.booked = RoomRanges::parse("1000-7999").unwrap();
    let room = world.booking.as_ref().unwrap().room;
    let stranger = dialroom_booking::BookingId::parse("stranger").unwrap();
    let taken = Block::new(&crate::testing::window(300, 330), TimeDelta::minutes(5));
    world.ledger.set(&Hold::new(room, stranger, &[taken], &[]));
    meeting.dates = vec![date(300, 330)];
    let plan = world.see(1, &meeting);
    let after = plan.booking.clone().unwrap();
    assert_ne!(after.room, room);
    assert_eq!(world.ledger.blocks(room, &after.id).len(), 1, "the promised window stays");
    let LetterKind::Changed(told) = &plan.letters[1].kind else { panic!("{plan:?}") };
    assert_eq!(told[0], Difference::Room { old: room, new: after.room });
}

#[test]
fn only_those_newly_invited_hear_of_an_added_attendee() {
    let (mut world, mut meeting) = World::booked();
    meeting.attendees.push(attendee("eva@fabrikam.example"));
    let plan = world.see(1, &meeting);
    assert_eq!(letters(&plan), [("eva".into(), LetterKind::DialInData, IcsKind::Attachment)]);
    assert!(matches!(plan.hand_off, None | Some(HandOff::Put(_))));
}

#[test]
fn who_is_removed_gets_no_mail_of_ours_and_his_number_opens_nothing() {
    let mut world = World::new();
    let numbers = vec![caller("+493023125002")];
    world.directory.insert(
        EmailAddress::parse("bernd@contoso.example").unwrap(),
        Contact { numbers, language: Some(Language::De), name: None },
    );
    let mut meeting = appointment(60, 90);
    world.see(0, &meeting);
    meeting.attendees.remove(0);
    let plan = world.see(1, &meeting);
    assert_eq!(letters(&plan), []);
    let Some(HandOff::Put(handed)) = plan.hand_off else { panic!("the mixer must know") };
    assert!(handed.callers.is_empty() && handed.revision == 2);
}

#[test]
fn a_name_that_the_entry_lacks_comes_from_the_directory() {
    let mut world = World::new();
    let mut meeting = appointment(60, 90);
    meeting.organizer.name = None;
    let contact = Contact { name: Some("Anna Albrecht".to_owned()), ..Contact::default() };
    world.directory.insert(meeting.organizer.address.clone(), contact);
    let booking = world.see(0, &meeting).booking.unwrap();
    assert_eq!(booking.organizer.name.as_deref(), Some("Anna Albrecht"));
}

#[test]
fn an_answer_is_the_mixers_to_know_only_when_it_is_no() {
    let mut world = World::new();
    let numbers = vec![caller("+493023125002")];
    world
        .directory
        .insert(EmailAddress::parse("bernd@contoso.example").unwrap(), Contact { numbers, language: None, name: None });
    let mut meeting = appointment(60, 90);
    world.see(0, &meeting);
    meeting.attendees[0].response = Response::Accepted;
    let accepted = world.see(1, &meeting);
    assert!(accepted.hand_off.is_none() && accepted.booking.unwrap().revision == 1);
    meeting.attendees[0].response = Response::Declined;
    let declined = world.see(2, &meeting);
    assert!(declined.letters.is_empty() && declined.booking.unwrap().revision == 2);
}

#[test]
fn mark_removed_closes_the_line_by_plain_mail() {
    let (mut world, mut meeting) = World::booked();
    meeting.marks = Marks::default();
    let plan = world.see(1, &meeting);
    assert_eq!(plan.decision, Decision::CloseLine);
    let closed = |who: &str| (who.to_owned(), LetterKind::LineClosed, IcsKind::None);
    assert_eq!(letters(&plan), [closed("anna"), closed("bernd"), closed("clara")]);
    assert!(matches!(plan.hand_off, Some(HandOff::Delete { revision: 2, .. })));
    assert!(!world.ledger.is_empty(), "the promised window stays blocked");
    assert_eq!(world.see(2, &meeting).decision, Decision::Ignore(Ignored::NotOurs));
}

#[test]
fn a_mark_set_again_opens_the_same_line_again() {
    let (mut world, meeting) = World::booked();
    let first = world.booking.clone().unwrap();
    let mut unmarked = meeting.clone();
    unmarked.marks = Marks::default();
    world.see(1, &unmarked);
    let plan = world.see(2, &meeting);
    let again = plan.booking.clone().unwrap();
    assert_eq!((again.id, again.room, again.pins, again.revision), (first.id, first.room, first.pins, 3));
    assert_eq!(letters(&plan).len(), 3);
    assert!(matches!(plan.hand_off, Some(HandOff::Put(_))));
}

#[test]
fn a_cancelled_meeting_is_told_by_its_calendar() {
    let (mut world, meeting) = World::booked();
    let plan = world.miss(1, &meeting.origin);
    assert_eq!((plan.decision, plan.letters), (Decision::Cancel, vec![]));
    assert!(matches!(plan.hand_off, Some(HandOff::Delete { revision: 2, .. })));
}

#[test]
fn our_own_entries_are_invited_and_cancelled_by_us() {
    let mut world = World::new();
    world.mailbox = None;
    let mut meeting = appointment(60, 90);
    meeting.origin = Origin::Dialroom;
    meeting.marks = Marks::default();
    let plan = world.see(0, &meeting);
    let full = |who: &str, kind| (who.to_owned(), kind, IcsKind::FullRequest);
    let invited = |who| full(who, LetterKind::Invitation);
    assert_eq!(letters(&plan), [full("anna", LetterKind::ModeratorData), invited("bernd"), invited("clara")]);
    meeting.attendees.remove(1);
    let removed = world.see(1, &meeting);
    assert_eq!(letters(&removed), [("clara".into(), LetterKind::Cancelled, IcsKind::Cancel)]);
    let sequence = removed.booking.unwrap().sequence;
    let cancelled = world.miss(2, &Origin::Dialroom);
    let cancel = |who: &str| (who.to_owned(), LetterKind::Cancelled, IcsKind::Cancel);
    assert_eq!(letters(&cancelled), [cancel("anna"), cancel("bernd")]);
    assert!(cancelled.booking.unwrap().sequence > sequence);
}

#[test]
fn with_the_block_in_the_event_only_the_organizer_is_written_to() {
    let mut world = World::new();
    world.rules.delivery = Delivery::Calendar;
    let mut meeting = appointment(60, 90);
    assert_eq!(letters(&world.see(0, &meeting)), [("anna".into(), LetterKind::ModeratorData, IcsKind::None)]);
    // What was sent so stays so, whatever the setting says later.
    world.rules.delivery = Delivery::Ics;
    meeting.dates = vec![date(300, 330)];
    let plan = world.see(1, &meeting);
    assert_eq!((plan.letters.len(), plan.booking.unwrap().delivery), (1, Delivery::Calendar));
}

#[test]
fn resources_and_the_organizer_among_the_attendees_get_nothing_more() {
    let mut meeting = appointment(60, 90);
    meeting.attendees = vec![attendee("anna@contoso.example"), attendee("conference@contoso.example")];
    meeting.attendees.extend([attendee("bernd@contoso.example"), attendee("bernd@contoso.example")]);
    let plan = World::new().see(0, &meeting);
    assert_eq!(plan.letters.len(), 2, "{:?}", letters(&plan));
}

#[test]
fn the_resource_mailbox_follows_the_organizers_copy_where_that_is_watched() {
    let mut meeting = appointment(60, 90);
    meeting.is_organizer = false;
    let mut world = World::new();
    world.mailbox = world.rules.resource_mailbox.clone();
    assert_eq!(world.see(0, &meeting).decision, Decision::Ignore(Ignored::OrganizersCopyLeads));
    world.organizer_watched = false;
    // The copy may hide its attendees: being here is being invited here.
    meeting.marks = Marks::default();
    let plan = world.see(0, &meeting);
    assert_eq!((plan.decision, plan.rule.unwrap().index), (Decision::Allocate, Some(0)));
    let gone = world.miss(1, &meeting.origin);
    assert_eq!(letters(&gone), [("anna".into(), LetterKind::LineClosed, IcsKind::None)]);
}

#[test]
fn a_foreign_organizer_is_refused_and_told_once() {
    let mut meeting = appointment(60, 90);
    (meeting.is_organizer, meeting.organizer) = (false, person("mallory@evil.example"));
    let mut world = World::new();
    world.mailbox = world.rules.resource_mailbox.clone();
    world.organizer_watched = false;
    let plan = world.see(0, &meeting);
    assert_eq!(plan.decision, Decision::Refuse(Refusal::ForeignOrganizer));
    assert_eq!(letters(&plan), [("mallory".into(), LetterKind::Refused(Refusal::ForeignOrganizer), IcsKind::None)]);
    assert_eq!(world.see(1, &meeting).decision, Decision::Ignore(Ignored::RefusedBefore));
}

#[test]
fn switched_off_means_no_new_lines_and_the_old_ones_stay() {
    let (mut world, mut meeting) = World::booked();
    world.rules.enabled = false;
    assert_eq!(
        World { rules: world.rules.clone(), ..World::new() }.see(1, &meeting).decision,
        Decision::Refuse(Refusal::SwitchedOff)
    );
    meeting.dates = vec![date(300, 330)];
    assert!(matches!(world.see(1, &meeting).decision, Decision::Change(_)));
}

#[test]
fn too_long_is_capped_and_the_organizer_told() {
    let mut world = World::new();
    let plan = world.see(0, &appointment(60, 60 + 1440));
    assert_eq!(plan.booking.unwrap().windows().next().unwrap().1.end(), at(60 + 480));
    assert_eq!(plan.letters[0].notes, [Note::Capped { max_minutes: 480 }]);
    assert!(plan.letters[1].notes.is_empty());
}

#[test]
fn no_room_free_is_told_with_range_and_time() {
    let mut world = World::new();
    world.rules.booked = RoomRanges::parse("1000-1000").unwrap();
    let stranger = dialroom_booking::BookingId::parse("stranger").unwrap();
    let taken = Block::new(&crate::testing::window(60, 90), TimeDelta::minutes(5));
    let room = world.rules.booked.nth(0).unwrap();
    world.ledger.set(&Hold::new(room, stranger, &[taken], &[]));
    let plan = world.see(0, &appointment(70, 80));
    let Decision::Refuse(Refusal::AllRoomsTaken(taken)) = &plan.decision else { panic!("{plan:?}") };
    assert!(
        taken.to_string().starts_with("room numbers 1000-1000 are all taken on 2 November 2026 09:00-09:35 UTC"),
        "{taken}"
    );
    assert_eq!(world.see(1, &appointment(70, 80)).decision, Decision::Ignore(Ignored::RefusedBefore));
}

#[test]
fn a_moved_meeting_without_a_free_room_keeps_its_old_line() {
    let (mut world, mut meeting) = World::booked();
    let held = world.booking.clone().unwrap();
    world.rules.booked = RoomRanges::parse(&format!("{0}-{0}", held.room)).unwrap();
    let stranger = dialroom_booking::BookingId::parse("stranger").unwrap();
    let taken = Block::new(&crate::testing::window(300, 330), TimeDelta::minutes(5));
    world.ledger.set(&Hold::new(held.room, stranger, &[taken], &[]));
    meeting.dates = vec![date(300, 330)];
    let plan = world.see(1, &meeting);
    assert!(matches!(plan.decision, Decision::Refuse(Refusal::AllRoomsTaken(_))));
    assert!(plan.booking.is_none() && plan.hand_off.is_none() && plan.letters.len() == 1);
}

#[test]
fn a_uid_that_somebody_borrowed_moves_no_line() {
    let (mut world, meeting) = World::booked();
    let line = world.booking.clone();
    // Bernd imported the ICS: his own copy under Anna's UID, without the mark. Mallory invites the resource mailbox by it.
    let imported = |organizer: &str| Appointment {
        origin: crate::testing::origin("copy"),
        organizer: person(organizer),
        marks: Marks::default(),
        ..meeting.clone()
    };
    world.mailbox = Some(person("bernd@contoso.example").address);
    for organizer in ["bernd@contoso.example", "anna@contoso.example"] {
        assert_eq!(world.see(1, &imported(organizer)).decision, Decision::Ignore(Ignored::NotOurs), "{organizer}");
    }
    world.rules.resource_mailbox = Some(person("conference@contoso.example").address);
    world.rules.resource_organizers = vec!["contoso.example".to_owned()];
    (world.mailbox, world.organizer_watched) = (world.rules.resource_mailbox.clone(), false);
    let sent = Appointment { is_organizer: false, marks: meeting.marks.clone(), ..imported("mallory@evil.example") };
    let plan = world.see(2, &sent);
    assert_eq!(plan.decision, Decision::Refuse(Refusal::ForeignOrganizer));
    assert_eq!(world.booking, line);
}

#[test]
fn an_invitation_of_ours_that_comes_back_gets_no_second_line() {
    let resource = person("conference@contoso.example").address;
    for organizer in ["dialroom@contoso.example", "conference@contoso.example"] {
        let mut world = World::new();
        world.rules.service = Some(person("dialroom@contoso.example").address);
        world.rules.resource_mailbox = Some(resource.clone());
        (world.mailbox, world.organizer_watched) = (Some(resource.clone()), false);
        for is_organizer in [false, true] {
            let back = Appointment { organizer: person(organizer), is_organizer, ..appointment(60, 90) };
            assert_eq!(world.see(0, &back).decision, Decision::Ignore(Ignored::OwnInvitation), "{organizer}");
        }
    }
}

#[test]
fn another_lead_time_reaches_the_mixer_and_no_mailbox() {
    let (mut world, meeting) = World::booked();
    world.rules.lead = TimeDelta::minutes(20);
    let plan = world.see(1, &meeting);
    assert!(plan.letters.is_empty(), "{:?}", plan.letters);
    assert!(matches!(plan.hand_off, Some(HandOff::Put(handed)) if handed.windows[0].window.opens() == at(40)));
    assert_eq!(world.booking.unwrap().revision, 2);
}

#[test]
fn a_series_with_one_date_in_sight_keeps_its_dates_apart() {
    let mut world = World::new();
    let mut series = appointment(60, 90);
    series.series = true;
    world.see(0, &series);
    assert!(world.booking.as_ref().unwrap().series);
    series.dates = vec![date(60 * 24 * 365, 60 * 24 * 365 + 30)];
    world.see(1, &series);
    let keys: Vec<_> = world.booking.unwrap().occurrences.into_keys().collect();
    assert_eq!(keys, [at(60 * 24 * 365)], "each date by its own original start");
}

#[test]
fn an_endless_series_rolls_on_without_a_word() {
    const WEEK: i64 = 7 * 1440;
    let mut world = World::new();
    let mut series = appointment(60, 90);
    series.endless_or_beyond_horizon = true;
    series.dates = (0..4).map(|week| date(60 + week * WEEK, 90 + week * WEEK)).collect();
    world.see(0, &series);
    series.dates.push(date(60 + 4 * WEEK, 90 + 4 * WEEK));
    let plan = world.see(WEEK * 2, &series);
    assert_eq!(plan.decision, Decision::Change(vec![Change::Horizon]));
    assert!(plan.letters.is_empty() && plan.holds.is_empty() && plan.hand_off.is_some());
    assert_eq!(world.see(WEEK * 2 + 1, &series).decision, Decision::Ignore(Ignored::Unchanged));
    // Ended by its organizer: what comes after is free again, what people know stays blocked.
    series.endless_or_beyond_horizon = false;
    let ended = world.see(WEEK * 2 + 2, &series);
    assert!(ended.letters.is_empty() && ended.holds[0].blocks.iter().all(|block| !block.is_endless()));
    assert_eq!(ended.holds[0].blocks.len(), 3);
}

#[test]
fn one_cancelled_date_is_the_calendars_to_tell() {
    let mut world = World::new();
    let mut series = appointment(60, 90);
    series.dates = vec![date(60, 90), date(1500, 1530), date(3000, 3030)];
    world.see(0, &series);
    series.dates[1].cancelled = true;
    let plan = world.see(1, &series);
    assert_eq!(plan.decision, Decision::Change(vec![Change::DateCancelled(at(1500))]));
    assert!(plan.letters.is_empty());
    let Some(HandOff::Put(handed)) = plan.hand_off else { panic!("the mixer must know") };
    assert_eq!(handed.windows.len(), 3, "a caller can be told");
}

#[test]
fn a_copied_entry_gets_a_line_of_its_own() {
    let (mut world, mut meeting) = World::booked();
    let first = world.booking.take().unwrap();
    (meeting.origin, meeting.uid) = (crate::testing::origin("copy"), "uid-copy".into());
    let copy = world.see(1, &meeting).booking.unwrap();
    assert_ne!((copy.id, copy.room), (first.id, first.room));
    assert!(copy.pins != first.pins);
}

#[test]
fn what_is_moved_into_the_past_has_no_line() {
    let (mut world, mut meeting) = World::booked();
    meeting.dates = vec![date(-600, -570)];
    assert_eq!(world.see(1, &meeting).decision, Decision::Cancel);
    let (mut world, meeting) = World::booked();
    assert_eq!(world.see(200, &meeting).decision, Decision::Ignore(Ignored::Past));
}

#[test]
fn the_same_person_under_another_name_is_no_new_invitee() {
    let (mut world, mut meeting) = World::booked();
    meeting.attendees[0].person = Person { name: Some("Bernd".into()), ..meeting.attendees[0].person.clone() };
    assert_eq!(letters(&world.see(1, &meeting)), []);
}
