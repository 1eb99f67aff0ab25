//! What was dialled behind the conference number: `4711` of `884711`, of `+49302312588` `4711`, of `03023125884711`.
//!
//! A telephone system hands on the number as it was dialled inside, outside or internationally; all of them are one door.

use dialroom_booking::{E164, HomeRegion, RoomNumber};
use dialroom_settings::DialIn;

/// The conference number in every spelling.
#[derive(Debug)]
pub(crate) struct Door(Vec<String>);

impl Door {
    /// The door of these settings.
    pub(crate) fn new(dial_in: &DialIn, home: HomeRegion) -> Self {
        Self(spellings(dial_in, home))
    }

    /// The same door with more numbers that lead to it, as one trunk hands them on.
    pub(crate) fn with(dial_in: &DialIn, home: HomeRegion, numbers: &[String]) -> Self {
        let mut all = spellings(dial_in, home);
        for number in numbers {
            all.push(compact(number));
            all.extend(E164::parse(number, home).iter().flat_map(|number| spellings_of(number, home)));
        }
        all.retain(|spelling| !spelling.is_empty());
        Self(all)
    }

    /// Whether this number begins as one that leads here; some telephones dial room and PIN along. No digit at all is no
    /// number, and no wrong one.
    pub(crate) fn is_reached_by(&self, called: &str) -> bool {
        called.is_empty() || self.0.iter().any(|number| called.starts_with(number.as_str()))
    }

    /// The digits behind the conference number; empty for the number alone, and for anything that is no room number.
    pub(crate) fn dialled_along<'a>(&self, called: &'a str) -> &'a str {
        let rests = self.0.iter().filter_map(|number| called.strip_prefix(number.as_str()));
        // The longest number wins: where `88` and `8812` are both spellings, `8812` names no room 12.
        let rest = rests.min_by_key(|rest| rest.len());
        rest.filter(|rest| RoomNumber::parse(rest).is_ok()).unwrap_or_default()
    }
}

/// Every way in which the conference number may arrive.
fn spellings(dial_in: &DialIn, home: HomeRegion) -> Vec<String> {
    let mut spellings = vec![compact(&dial_in.number)];
    if let Some(external) = &dial_in.external_number {
        spellings.push(compact(external));
        spellings.extend(E164::parse(external, home).iter().flat_map(|number| spellings_of(number, home)));
    }
    spellings.retain(|spelling| !spelling.is_empty());
    spellings
}

/// Every way in which an international number may arrive.
fn spellings_of(number: &E164, home: HomeRegion) -> Vec<String> {
    let digits = &number.as_str()[1..];
    let mut spellings = vec![number.as_str().to_owned(), digits.to_owned(), format!("00{digits}")];
    // The national form: a zero in place of the country code, as Germany and most of its neighbours dial.
    spellings.extend(national(number, home));
    spellings
}

fn compact(number: &str) -> String {
    number.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect()
}

/// `030…` for `+4930…`: the cut at which the national form reads back as the same number.
fn national(number: &E164, home: HomeRegion) -> Option<String> {
    let digits = &number.as_str()[1..];
    (1..=3).filter_map(|code_len| digits.get(code_len..)).map(|rest| format!("0{rest}")).find(|national| {
        // An international number begins with 00 and would read as another one.
        !national.starts_with("00") && E164::parse(national, home).is_ok_and(|read| read == *number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial_in() -> DialIn {
        DialIn {
            number: "88".into(),
            external_number: Some("+49 30 23125 88".into()),
            lead_minutes: 10,
            overrun_minutes: 15,
            inter_digit_seconds: 4,
        }
    }

    fn check(called: &str, expected: &str) {
        assert_eq!(Door::new(&dial_in(), HomeRegion::GERMANY).dialled_along(called), expected, "{called}");
    }

    #[test]
    fn a_number_that_begins_otherwise_leads_nowhere() {
        let door = Door::new(&dial_in(), HomeRegion::GERMANY);
        for called in ["", "88", "884711", "884711#482915#", "03023125884711", "+49302312588"] {
            assert!(door.is_reached_by(called), "{called}");
        }
        for called in ["600", "8", "4711", "00972599123456", "+4930231258"] {
            assert!(!door.is_reached_by(called), "{called}");
        }
    }

    #[test]
    fn a_trunk_may_have_numbers_of_its_own() {
        let door = Door::with(&dial_in(), HomeRegion::GERMANY, &["99".to_owned(), "+49 30 777".to_owned()]);
        for called in ["994711", "+49307774711", "0307774711", "49307774711", "884711"] {
            assert_eq!(door.dialled_along(called), "4711", "{called}");
        }
    }

    #[test]
    fn the_number_alone_is_no_room() {
        for called in ["88", "+49302312588", "49302312588", "0049302312588", "0302312588", "", "anonymous"] {
            check(called, "");
        }
    }

    #[test]
    fn digits_behind_any_spelling_are_a_room() {
        for called in ["884711", "+493023125884711", "493023125884711", "00493023125884711", "03023125884711"] {
            check(called, "4711");
        }
        check("880123", "0123");
    }

    #[test]
    fn what_is_no_room_number_is_passed_over() {
        for called in ["8812", "881234567", "88*4711", "88#", "4711", "+4930231258812x"] {
            check(called, "");
        }
    }
}
