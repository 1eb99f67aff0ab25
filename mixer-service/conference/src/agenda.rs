//! Every booking the mixer holds, found by room number and by the numbers of those who are known.
//!
//! Apart from the focus so that a lookup is never a scan: what a call costs grows with the bookings that share its room
//! or its number, not with those of the house. A booking whose last line closed an hour ago is dropped: from then on its
//! PIN opens nothing and tells nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use dialroom_booking::{BookingId, E164, HandedCaller, HandedOver, HandedPin, HandedPins, Language, Pin, RoomNumber};
use subtle::{Choice, ConstantTimeEq};

use crate::dates::{BEHIND, Dates};

/// A booking as the focus uses it.
#[derive(Debug)]
pub(crate) struct Booked {
    pub(crate) room: RoomNumber,
    pub(crate) pins: HandedPins,
    pub(crate) title: String,
    pub(crate) account: String,
    pub(crate) language: Language,
    pub(crate) time_zone: Tz,
    pub(crate) dates: Dates,
    pub(crate) callers: Vec<HandedCaller>,
}

/// What a keyed PIN is to a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PinRole {
    Participant,
    Moderator,
}

impl Booked {
    /// What `keyed` is here. Looks at both PINs, whatever the first says, and at all of their digits.
    pub(crate) fn role_of(&self, keyed: &str) -> Option<PinRole> {
        let moderator = self.pins.moderator.as_ref().is_some_and(|pin| same(pin, keyed));
        let participant = self.pins.participant.as_ref().map_or(keyed.is_empty(), |pin| same(pin, keyed));
        match (moderator, participant) {
            (true, _) => Some(PinRole::Moderator),
            (false, true) => Some(PinRole::Participant),
            (false, false) => None,
        }
    }
}

/// Equal in constant time; the length is no secret.
fn same(pin: &HandedPin, keyed: &str) -> bool {
    let equal: Choice = pin.0.expose().as_bytes().ct_eq(keyed.as_bytes());
    equal.into()
}

/// All bookings.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    bookings: HashMap<BookingId, Booked>,
    by_number: HashMap<E164, Vec<BookingId>>,
    by_room: HashMap<RoomNumber, Vec<BookingId>>,
    /// When each can be dropped.
    ends: BTreeSet<(DateTime<Utc>, BookingId)>,
    /// How many PINs there are of each length.
    pin_lengths: BTreeMap<usize, usize>,
}

impl Agenda {
    /// Takes a booking in place of its older revision. One that is over is not kept.
    pub(crate) fn put(&mut self, now: DateTime<Utc>, handed: &HandedOver) {
        self.remove(&handed.id);
        let dates = Dates::new(&handed.windows);
        let Some(ends) = dates.last_closes().and_then(|closes| closes.checked_add_signed(BEHIND)) else { return };
        if ends <= now {
            return;
        }
        let booked = Booked {
            room: handed.room,
            pins: handed.pins.clone(),
            title: handed.title.clone(),
            account: handed.account.clone(),
            language: handed.language,
            time_zone: handed.time_zone,
            dates,
            callers: handed.callers.clone(),
        };
        for number in numbers(&booked) {
            self.by_number.entry(number.clone()).or_default().push(handed.id.clone());
        }
        for length in pin_lengths(&booked) {
            *self.pin_lengths.entry(length).or_default() += 1;
        }
        self.by_room.entry(booked.room).or_default().push(handed.id.clone());
        self.ends.insert((ends, handed.id.clone()));
        self.bookings.insert(handed.id.clone(), booked);
    }

    /// Forgets a booking.
    pub(crate) fn remove(&mut self, id: &BookingId) {
        let Some(booked) = self.bookings.remove(id) else { return };
        for number in numbers(&booked) {
            drop_from(&mut self.by_number, number, id);
        }
        drop_from(&mut self.by_room, &booked.room, id);
        for length in pin_lengths(&booked) {
            if let Some(count) = self.pin_lengths.get_mut(&length) {
                *count -= 1;
                if *count == 0 {
                    self.pin_lengths.remove(&length);
                }
            }
        }
        if let Some(ends) = booked.dates.last_closes().and_then(|closes| closes.checked_add_signed(BEHIND)) {
            self.ends.remove(&(ends, id.clone()));
        }
    }

    /// Keeps one date's line open at least until `closes`.
    pub(crate) fn extend(&mut self, id: &BookingId, original_start: DateTime<Utc>, closes: DateTime<Utc>) {
        let Some(booked) = self.bookings.get_mut(id) else { return };
        let end = |booked: &Booked| booked.dates.last_closes().and_then(|closes| closes.checked_add_signed(BEHIND));
        let before = end(booked);
        booked.dates.extend(original_start, closes);
        if let (Some(before), Some(after)) = (before, end(booked)) {
            self.ends.remove(&(before, id.clone()));
            self.ends.insert((after, id.clone()));
        }
    }

    /// Drops what is over for an hour.
    pub(crate) fn drop_ended(&mut self, now: DateTime<Utc>) {
        while let Some((ends, id)) = self.ends.first().cloned() {
            if ends > now {
                return;
            }
            self.remove(&id);
            self.ends.remove(&(ends, id));
        }
    }

    /// When the next booking can be dropped.
    pub(crate) fn next_end(&self) -> Option<DateTime<Utc>> {
        self.ends.first().map(|(ends, _)| *ends)
    }

    pub(crate) fn get(&self, id: &BookingId) -> Option<&Booked> {
        self.bookings.get(id)
    }

    /// Bookings that know this number, in the order in which they came.
    pub(crate) fn by_number(&self, number: &E164) -> impl Iterator<Item = (&BookingId, &Booked)> {
        self.listed(self.by_number.get(number))
    }

    /// Bookings with this room number; several when one had it after another.
    pub(crate) fn by_room(&self, room: RoomNumber) -> impl Iterator<Item = (&BookingId, &Booked)> {
        self.listed(self.by_room.get(&room))
    }

    /// Digits of the longest PIN of all rooms. Taken over all of them so that no room differs from one that is not there.
    pub(crate) fn longest_pin(&self) -> usize {
        self.pin_lengths.last_key_value().map_or(Pin::MAX_LEN, |(length, _)| *length)
    }

    fn listed<'a>(&'a self, ids: Option<&'a Vec<BookingId>>) -> impl Iterator<Item = (&'a BookingId, &'a Booked)> {
        ids.into_iter().flatten().filter_map(|id| Some((id, self.bookings.get(id)?)))
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.bookings.is_empty()
            && self.by_number.is_empty()
            && self.by_room.is_empty()
            && self.ends.is_empty()
            && self.pin_lengths.is_empty()
    }
}

/// Every number of a booking once, though two of its people share it.
fn numbers(booked: &Booked) -> BTreeSet<&E164> {
    booked.callers.iter().flat_map(|caller| &caller.numbers).collect()
}

fn pin_lengths(booked: &Booked) -> impl Iterator<Item = usize> {
    [&booked.pins.participant, &booked.pins.moderator].into_iter().flatten().map(|pin| pin.0.expose().len())
}

fn drop_from<K: std::hash::Hash + Eq>(index: &mut HashMap<K, Vec<BookingId>>, key: &K, id: &BookingId) {
    if let Some(ids) = index.get_mut(key) {
        ids.retain(|listed| listed != id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}
