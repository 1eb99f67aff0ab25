//! What the mixer gets of a booking.

use std::collections::HashMap;

use dialroom_booking::{
    Booking, BookingId, E164, EmailAddress, HandedCaller, HandedOver, HandedPin, HandedPins, HandedWindow, KnownCaller,
    MAX_CALLERS, MAX_WINDOWS, Person, Response, Role,
};

/// What to do at the mixer.
#[derive(Clone, Debug, PartialEq)]
pub enum HandOff {
    /// PUT it.
    Put(Box<HandedOver>),
    /// DELETE it; its line closes at once.
    Delete {
        /// Which.
        id: BookingId,
        /// The revision that says so.
        revision: u64,
    },
}

/// The booking as the mixer holds it: no calendar id, no text, and of a private entry no subject.
///
/// A number that two people of the booking share names neither of them. Resources have no telephone here.
#[must_use]
pub fn handed_over(booking: &Booking) -> HandedOver {
    let pin = |pin: &dialroom_booking::Pin| Some(HandedPin(pin.clone()));
    let windows = booking.occurrences.iter().take(MAX_WINDOWS).map(|(original_start, date)| HandedWindow {
        original_start: *original_start,
        window: date.window,
        state: date.state,
    });
    HandedOver {
        id: booking.id.clone(),
        revision: booking.revision,
        uid: booking.uid.clone(),
        room: booking.room,
        pins: HandedPins { participant: pin(&booking.pins.participant), moderator: pin(&booking.pins.moderator) },
        title: if booking.private { String::new() } else { booking.title.clone() },
        account: booking.organizer.address.as_str().to_owned(),
        language: booking.language,
        time_zone: booking.time_zone,
        windows: windows.collect(),
        callers: callers(booking),
        permanent: false,
    }
}

/// Numbers by which this person alone is recognized: what the mixer gets of him.
pub fn recognized_numbers<'a>(booking: &'a Booking, who: &EmailAddress) -> Vec<&'a KnownCaller> {
    let (own, others): (Vec<_>, Vec<_>) = people(booking)
        .map(|(person, numbers, ..)| (&person.address, numbers))
        .partition(|(address, _)| *address == who);
    let shared = |number: &E164| others.iter().any(|(_, numbers)| numbers.iter().any(|known| known.number == *number));
    own.into_iter().flat_map(|(_, numbers)| numbers).filter(|known| !shared(&known.number)).collect()
}

/// Everybody with a telephone: numbers, whether moderator, whether declined.
fn people(booking: &Booking) -> impl Iterator<Item = (&Person, &[KnownCaller], bool, bool)> {
    let organizer = (&booking.organizer, booking.organizer_numbers.as_slice(), true, false);
    let invitees = booking.invitees.iter().filter(|one| one.role != Role::Resource);
    let invited = invitees.map(|one| (&one.person, one.numbers.as_slice(), false, one.response == Response::Declined));
    std::iter::once(organizer).chain(invited)
}

fn callers(booking: &Booking) -> Vec<HandedCaller> {
    let owners = owners(people(booking).map(|(person, numbers, ..)| (&person.address, numbers)));
    let alone = |number: &E164| matches!(owners.get(number), Some(Some(_)));
    people(booking)
        .map(|(person, numbers, moderator, declined)| HandedCaller {
            person: person.address.as_str().to_owned(),
            name: person.name.clone(),
            numbers: numbers.iter().map(|known| known.number.clone()).filter(|number| alone(number)).collect(),
            moderator,
            declined,
        })
        .filter(|caller| !caller.numbers.is_empty())
        .take(MAX_CALLERS)
        .collect()
}

/// Whose a number is; `None` behind a number that several people have.
fn owners<'a>(
    people: impl Iterator<Item = (&'a EmailAddress, &'a [KnownCaller])>,
) -> HashMap<&'a E164, Option<&'a EmailAddress>> {
    let mut owners = HashMap::new();
    for (address, numbers) in people {
        for known in numbers {
            let owner = owners.entry(&known.number).or_insert(Some(address));
            if *owner != Some(address) {
                *owner = None;
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{booking, caller, invitee};

    #[test]
    fn a_shared_number_names_nobody() {
        let mut booking = booking();
        booking.organizer_numbers = vec![caller("+493023125001"), caller("+49302312588")];
        booking.invitees = vec![
            invitee("bernd@contoso.example", &["+493023125002", "+49302312588"]),
            invitee("clara@contoso.example", &["+49302312588"]),
        ];
        let callers = handed_over(&booking).callers;
        let shown: Vec<_> = callers
            .iter()
            .map(|one| (one.person.as_str(), one.moderator, one.numbers.iter().map(E164::as_str).collect::<Vec<_>>()))
            .collect();
        let expected = [
            ("anna@contoso.example", true, vec!["+493023125001"]),
            ("bernd@contoso.example", false, vec!["+493023125002"]),
        ];
        assert_eq!(shown, expected);
        // What an invitation promises is what the mixer gets.
        for caller in &callers {
            let who = EmailAddress::parse(&caller.person).unwrap();
            let promised: Vec<_> = recognized_numbers(&booking, &who).into_iter().map(|one| &one.number).collect();
            assert_eq!(promised, caller.numbers.iter().collect::<Vec<_>>());
        }
        assert!(recognized_numbers(&booking, &EmailAddress::parse("clara@contoso.example").unwrap()).is_empty());
    }

    #[test]
    fn one_persons_number_written_twice_is_his() {
        let mut booking = booking();
        booking.organizer_numbers = vec![caller("+493023125001"), caller("+493023125001")];
        assert_eq!(handed_over(&booking).callers.len(), 1);
    }

    #[test]
    fn resources_do_not_call_and_who_declined_is_marked() {
        let mut booking = booking();
        booking.invitees = vec![
            invitee("bernd@contoso.example", &["+493023125002"]),
            invitee("conference@contoso.example", &["+493023125009"]),
        ];
        booking.invitees[0].response = Response::Declined;
        booking.invitees[1].role = Role::Resource;
        let callers = handed_over(&booking).callers;
        assert_eq!(callers.len(), 1);
        assert!(callers[0].declined);
    }

    #[test]
    fn a_private_subject_stays_in_the_office() {
        let mut booking = booking();
        assert_eq!(handed_over(&booking).title, "Budget review");
        booking.private = true;
        assert_eq!(handed_over(&booking).title, "");
    }
}
