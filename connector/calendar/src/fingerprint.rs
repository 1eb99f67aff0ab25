//! What we care for in an appointment, in 32 bytes: the second layer against our own echoes.
//!
//! Exchange changes an event's etag for its own reasons (tracking, sending); only what can change a booking counts here.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Appointment;

/// Equal for two readings of an appointment that differ in nothing a booking depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint([u8; 32]);

impl Appointment {
    /// Mark, times, zone, cancelled or draft, organizer, attendees with their answers, subject and text; not SEQUENCE,
    /// etag or the time of the last change. The order of attendees and categories does not count.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut attendees: Vec<_> = self.attendees.iter().collect();
        attendees.sort_by(|a, b| a.person.address.cmp(&b.person.address));
        let mut categories: Vec<_> = self.marks.categories.iter().collect();
        categories.sort();
        let what = (&self.origin, &self.uid, &self.subject, &self.text);
        let who = (&self.organizer, self.is_organizer, attendees, self.hide_attendees, self.private);
        let when = (self.time_zone.name(), self.all_day, self.series, &self.dates, self.endless_or_beyond_horizon);
        let state = (self.cancelled, self.draft, &self.marks.property, self.marks.block, categories);
        let mut sum = Sha256::new();
        // JSON keeps the parts apart: no text can slip into its neighbour.
        let whole = (what, who, when, state, &self.marks.location);
        #[expect(clippy::expect_used, reason = "strings, numbers and lists always have a JSON form")]
        serde_json::to_writer(&mut sum, &whole).expect("JSON into a sum");
        Fingerprint(sum.finalize().into())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use dialroom_booking::{EmailAddress, Person, Response, Role};

    use crate::marks::tests::appointment;
    use crate::{Attendee, Marks};

    #[test]
    fn an_echo_has_the_same_fingerprint_and_every_change_another() {
        let plain = appointment(Marks::default());
        let mut echo = plain.clone();
        echo.modified = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        echo.sequence = Some(4);
        assert_eq!(plain.fingerprint(), echo.fingerprint());
        let eva = EmailAddress::parse("eva@fabrikam.example").unwrap();
        let eva =
            Attendee { person: Person { address: eva, name: None }, role: Role::Required, response: Response::None };
        let changes: [fn(&mut crate::Appointment); 6] = [
            |one| one.subject = "x".into(),
            |one| one.draft = true,
            |one| one.marks.location = "@dialroom".into(),
            |one| one.time_zone = chrono_tz::Tz::Asia__Tokyo,
            |one| one.attendees.clear(),
            |one| one.cancelled = true,
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut changed = plain.clone();
            change(&mut changed);
            assert_ne!(plain.fingerprint(), changed.fingerprint(), "change {index}");
        }
        let mut first = plain.clone();
        first.attendees.push(eva.clone());
        let mut last = plain;
        last.attendees.insert(0, eva);
        assert_eq!(first.fingerprint(), last.fingerprint(), "order does not count");
    }
}
