//! What several tests begin with.

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_booking::{
    BookingId, DialInWindow, E164, HandedCaller, HandedOver, HandedPin, HandedPins, HandedWindow, Language,
    OccurrenceState, Pin, RoomNumber,
};

/// An invitee's number, and that of a guest whom no booking knows.
pub(crate) const BERND: &str = "+493023125002";
pub(crate) const GUEST: &str = "+447700900123";

/// A booking of half an hour from `now` on: room 4711, PIN 482915, moderator PIN 703164, Bernd invited.
pub(crate) fn booking(now: DateTime<Utc>) -> HandedOver {
    let pin = |digits| Some(HandedPin(Pin::parse(digits).unwrap()));
    let (lead, overrun) = (TimeDelta::minutes(10), TimeDelta::minutes(15));
    let window = DialInWindow::new(now, now + TimeDelta::minutes(30), lead, overrun).unwrap();
    HandedOver {
        id: BookingId::parse("a").unwrap(),
        revision: 1,
        uid: "uid".into(),
        room: RoomNumber::parse("4711").unwrap(),
        pins: HandedPins { participant: pin("482915"), moderator: pin("703164") },
        title: "Budget review".into(),
        account: "anna@contoso.example".into(),
        language: Language::En,
        time_zone: chrono_tz::Europe::Berlin,
        windows: vec![HandedWindow { original_start: now, window, state: OccurrenceState::Scheduled }],
        callers: vec![HandedCaller {
            person: "bernd@contoso.example".into(),
            name: Some("Bernd".into()),
            numbers: vec![E164::international(BERND).unwrap()],
            moderator: false,
            declined: false,
        }],
        permanent: false,
    }
}
