//! The words that both programs of Dialroom speak.
//!
//! The connector makes bookings, the mixer uses them; what stands here means the same to both. No I/O, no async and no
//! clock: time comes as an argument or not at all, chance comes as bytes that the caller drew.
//!
//! Digits a person keys ([`RoomNumber`], [`Pin`]), who calls ([`E164`], [`KnownCaller`]), when the line is open
//! ([`DialInWindow`]), the promise itself ([`Booking`]), and the form in which it crosses to the mixer ([`HandedOver`]).

mod booking;
mod caller;
mod hand_off;
mod language;
mod phone;
mod pin;
mod room;
mod sealed;
mod window;

pub use booking::{
    Booking, BookingId, BookingIdError, BookingState, Delivery, EmailAddress, EmailAddressError, Invitee, Occurrence,
    OccurrenceState, Origin, OriginalStart, Person, Pins, Response, Role,
};
pub use caller::{KnownCaller, Trust};
pub use hand_off::{
    HandedCaller, HandedOver, HandedPin, HandedPins, HandedView, HandedWindow, MAX_CALLERS, MAX_WINDOWS,
};
pub use language::{Language, LanguageError};
pub use phone::{E164, HomeRegion, PhoneError};
pub use pin::{Pin, PinError};
pub use room::{RoomNumber, RoomNumberError, RoomRange, RoomRanges};
pub use sealed::{SealError, SealKey};
pub use window::{DialInWindow, WindowError};
