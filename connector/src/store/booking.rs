//! A booking at rest: everything readable but its PINs, which are sealed for this booking alone.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chrono_tz::Tz;
use dialroom_booking::{
    Booking, BookingId, BookingState, Delivery, Invitee, KnownCaller, Language, Occurrence, Origin, OriginalStart,
    Person, Pin, Pins, RoomNumber, SealKey,
};
use dialroom_host::OsRandom;
use rand_core::RngCore;
use serde::{Deserialize, Serialize};

/// Raised when an older program could not read what a newer one writes.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct AtRest {
    version: u8,
    id: BookingId,
    revision: u64,
    uid: String,
    sequence: u32,
    origin: Origin,
    title: String,
    description: String,
    private: bool,
    hide_attendees: bool,
    organizer: Person,
    language: Language,
    time_zone: Tz,
    delivery: Delivery,
    room: RoomNumber,
    participant_pin: String,
    moderator_pin: String,
    invitees: Vec<Invitee>,
    organizer_numbers: Vec<KnownCaller>,
    #[serde(default)]
    series: bool,
    occurrences: BTreeMap<OriginalStart, Occurrence>,
    state: BookingState,
}

/// The bytes to keep.
pub(super) fn seal(booking: &Booking, key: &SealKey) -> Vec<u8> {
    let sealed = |pin: &Pin| {
        let mut nonce = [0; SealKey::NONCE_LEN];
        OsRandom.fill_bytes(&mut nonce);
        BASE64.encode(key.seal(&booking.id, pin, nonce))
    };
    let Booking { pins, .. } = booking;
    let (participant_pin, moderator_pin) = (sealed(&pins.participant), sealed(&pins.moderator));
    let Booking {
        id,
        revision,
        uid,
        sequence,
        origin,
        title,
        description,
        private,
        hide_attendees,
        organizer,
        language,
        time_zone,
        delivery,
        room,
        pins: _,
        invitees,
        organizer_numbers,
        series,
        occurrences,
        state,
    } = booking.clone();
    super::json(&AtRest {
        version: VERSION,
        id,
        revision,
        uid,
        sequence,
        origin,
        title,
        description,
        private,
        hide_attendees,
        organizer,
        language,
        time_zone,
        delivery,
        room,
        participant_pin,
        moderator_pin,
        invitees,
        organizer_numbers,
        series,
        occurrences,
        state,
    })
}

/// The booking in them.
pub(super) fn open(bytes: &[u8], key: &SealKey) -> Result<Booking, String> {
    let at_rest: AtRest = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let AtRest {
        version,
        id,
        revision,
        uid,
        sequence,
        origin,
        title,
        description,
        private,
        hide_attendees,
        organizer,
        language,
        time_zone,
        delivery,
        room,
        participant_pin,
        moderator_pin,
        invitees,
        organizer_numbers,
        series,
        occurrences,
        state,
    } = at_rest;
    if version != VERSION {
        return Err(format!("format {version}; this version reads {VERSION}"));
    }
    let opened = |sealed: &str| {
        let sealed = BASE64.decode(sealed).map_err(|error| error.to_string())?;
        key.open(&id, &sealed).map_err(|error| error.to_string())
    };
    let pins = Pins { participant: opened(&participant_pin)?, moderator: opened(&moderator_pin)? };
    Ok(Booking {
        id,
        revision,
        uid,
        sequence,
        origin,
        title,
        description,
        private,
        hide_attendees,
        organizer,
        language,
        time_zone,
        delivery,
        room,
        pins,
        invitees,
        organizer_numbers,
        series,
        occurrences,
        state,
    })
}
