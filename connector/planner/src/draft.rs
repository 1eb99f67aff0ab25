//! The booking that an appointment asks for, and the room numbers it takes.

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_booking::{Booking, BookingId, BookingState, DialInWindow, Invitee, Origin, Person, Role, RoomNumber};
use rand_core::CryptoRng;

use crate::allocation::uniform_below;
use crate::windows::{Dates, promised};
use crate::{AllRoomsTaken, Block, Hold, Ledger, Note, PlanRules, Sighting, choose_pins, choose_room};

/// Letters of a booking id; 20 of 36 are 103 bits.
const ID_LEN: usize = 20;

/// An appointment with everything needed to make a booking of it.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) now: DateTime<Utc>,
    pub(crate) rules: &'a PlanRules,
    pub(crate) ledger: &'a Ledger,
    pub(crate) sighting: Sighting<'a>,
    pub(crate) dates: &'a Dates,
}

impl Draft<'_> {
    /// A new booking with a room and PINs of its own. A copied entry gets its own too: nothing of the mark is trusted.
    pub(crate) fn allocate(&self, rng: &mut impl CryptoRng) -> Result<(Booking, Hold), AllRoomsTaken> {
        let id = new_id(rng);
        let wanted = self.wanted();
        let room = self.free_room(&wanted, &id, rng)?;
        let pins = choose_pins(self.rules.pin_digits, rng);
        let hold = Hold::new(room, id.clone(), &wanted, &[]);
        let appointment = self.sighting.appointment;
        let booking = Booking {
            id,
            revision: 1,
            uid: String::new(),
            sequence: 0,
            origin: appointment.origin.clone(),
            title: String::new(),
            description: String::new(),
            private: false,
            hide_attendees: false,
            organizer: appointment.organizer.clone(),
            language: self.rules.language,
            time_zone: appointment.time_zone,
            delivery: self.rules.delivery,
            room,
            pins,
            invitees: Vec::new(),
            organizer_numbers: Vec::new(),
            series: false,
            occurrences: std::collections::BTreeMap::new(),
            state: BookingState::Active,
        };
        Ok((self.filled(booking), hold))
    }

    /// The held booking as the appointment wants it now, with the holds that are different. It keeps its PINs, its way of
    /// delivery, and its room if that is free in all new windows; the old room stays taken for what was promised.
    pub(crate) fn rebook(
        &self,
        held: &Booking,
        rng: &mut impl CryptoRng,
    ) -> Result<(Booking, Vec<Hold>), AllRoomsTaken> {
        let wanted = self.wanted();
        let endless = wanted.iter().any(|block| block.is_endless());
        let known = self.ledger.blocks(held.room, &held.id);
        let mut booking = self.filled(held.clone());
        let mut holds = Vec::new();
        if self.ledger.is_free(held.room, &wanted, Some(&held.id)) {
            let kept = kept(self.now, self.rules.guard, held, &known, endless);
            holds.push(Hold::new(held.room, held.id.clone(), &wanted, &kept));
        } else {
            booking.room = self.free_room(&wanted, &held.id, rng)?;
            holds.push(Hold::new(booking.room, held.id.clone(), &wanted, &self.ledger.blocks(booking.room, &held.id)));
            holds.push(released(self.now, self.rules, self.ledger, held));
        }
        let current = |room| -> Vec<Block> {
            let blocks = self.ledger.blocks(room, &held.id);
            blocks.into_iter().filter(|block| !block.has_lapsed(self.now)).collect()
        };
        holds.retain(|hold| hold.blocks != current(hold.room));
        Ok((booking, holds))
    }

    /// What the organizer must be told beside the data.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let max_minutes = u32::try_from(self.rules.max_duration.num_minutes()).unwrap_or(u32::MAX);
        self.dates.capped.then_some(Note::Capped { max_minutes }).into_iter().collect()
    }

    fn wanted(&self) -> Vec<Block> {
        self.dates.blocks(self.now, self.rules.guard, self.sighting.appointment.endless_or_beyond_horizon)
    }

    fn free_room(
        &self,
        wanted: &[Block],
        id: &BookingId,
        rng: &mut impl CryptoRng,
    ) -> Result<RoomNumber, AllRoomsTaken> {
        let first: Option<&DialInWindow> = self.dates.live(self.now).min_by_key(|window| window.opens());
        #[expect(clippy::expect_used, reason = "plan() looks for a live date before it drafts")]
        let first = first.expect("a booking is drafted only for dates to come");
        choose_room(self.ledger, &self.rules.booked, wanted, id, first, rng)
    }

    /// Everything that the calendar and the directory say; room, PINs, id and delivery stay.
    fn filled(&self, mut booking: Booking) -> Booking {
        let appointment = self.sighting.appointment;
        let organizer = self.sighting.directory.get(&appointment.organizer.address);
        booking.uid.clone_from(&appointment.uid);
        // Of our own entries the SEQUENCE is ours and rises with what their holders are told.
        if appointment.origin != Origin::Dialroom {
            booking.sequence = appointment.sequence.unwrap_or(0);
        }
        booking.origin.clone_from(&appointment.origin);
        booking.title.clone_from(&appointment.subject);
        booking.description.clone_from(&appointment.text);
        booking.private = appointment.private;
        booking.hide_attendees = appointment.hide_attendees;
        booking.organizer = self.named(&appointment.organizer);
        booking.language = organizer.and_then(|contact| contact.language).unwrap_or(self.rules.language);
        booking.time_zone = appointment.time_zone;
        booking.organizer_numbers = organizer.map(|contact| contact.numbers.clone()).unwrap_or_default();
        booking.invitees = self.invitees();
        booking.series = appointment.series;
        booking.occurrences.clone_from(&self.dates.occurrences);
        booking.state = BookingState::Active;
        booking
    }

    /// The person with the name that the entry gives him, else the directory's.
    fn named(&self, person: &Person) -> Person {
        let known = || self.sighting.directory.get(&person.address).and_then(|contact| contact.name.clone());
        Person { address: person.address.clone(), name: person.name.clone().or_else(known) }
    }

    /// Everybody once, without the organizer, whom some calendars list too.
    fn invitees(&self) -> Vec<Invitee> {
        let appointment = self.sighting.appointment;
        let mut seen = std::collections::HashSet::from([&appointment.organizer.address]);
        let once = appointment.attendees.iter().filter(|attendee| seen.insert(&attendee.person.address));
        once.map(|attendee| {
            let contact = self.sighting.directory.get(&attendee.person.address);
            let ours = self.rules.resource_mailbox.as_ref() == Some(&attendee.person.address);
            Invitee {
                person: self.named(&attendee.person),
                role: if ours { Role::Resource } else { attendee.role },
                response: attendee.response,
                numbers: contact.map(|contact| contact.numbers.clone()).unwrap_or_default(),
                language: contact.and_then(|contact| contact.language),
                invited_already: appointment.origin != Origin::Dialroom,
            }
        })
        .collect()
    }
}

/// What stays taken of the booking's room when it leaves it.
pub(crate) fn released(now: DateTime<Utc>, rules: &PlanRules, ledger: &Ledger, held: &Booking) -> Hold {
    let known = ledger.blocks(held.room, &held.id);
    Hold::new(held.room, held.id.clone(), &[], &kept(now, rules.guard, held, &known, false))
}

/// Windows promised now and before. A promise without end shrinks to the dates that people know.
fn kept(now: DateTime<Utc>, guard: TimeDelta, held: &Booking, known: &[Block], endless: bool) -> Vec<Block> {
    let lives = |block: &Block| !block.has_lapsed(now) && (endless || !block.is_endless());
    let mut kept: Vec<Block> = known.iter().copied().filter(lives).collect();
    // What the ledger knows without end hides the dates within; elsewhere it names them all.
    if known.iter().any(|block| block.is_endless()) || known.is_empty() {
        kept.extend(promised(held, now, guard));
    }
    kept
}

#[expect(clippy::expect_used, reason = "letters and digits of the right number")]
fn new_id(rng: &mut impl CryptoRng) -> BookingId {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let id: String = (0..ID_LEN).map(|_| char::from(LETTERS[uniform_below(rng, LETTERS.len())])).collect();
    BookingId::parse(&id).expect("20 letters and digits are an id")
}
