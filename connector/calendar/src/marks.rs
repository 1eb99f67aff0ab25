//! Is it ours? Rules in order, the first that matches wins, and the one that fired is kept.

use dialroom_booking::EmailAddress;
use serde::{Deserialize, Serialize};

use crate::Appointment;

/// Stands as id or class in the markup of our block; Outlook may put `x_` before it, so it is searched, not compared.
pub const BLOCK_MARKER: &str = "dialroom-block";

/// One rule that says which appointments are ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkRule {
    /// The add-in's property, by its name in lower case (`cecp-…`), or our block in the body.
    Property(String),
    /// This mailbox is among the attendees.
    Resource(EmailAddress),
    /// One of the entry's categories, without regard to case.
    Category(String),
    /// This word stands in the location, without regard to case.
    Keyword(String),
}

/// Why an appointment is ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFired {
    /// Its place in the settings, from 0; `None` for a booking that was made with us and needs no mark.
    pub index: Option<usize>,
    /// The rule; `None` likewise.
    pub rule: Option<MarkRule>,
}

/// The first of `rules` that makes the appointment ours.
#[must_use]
pub fn matching_rule(rules: &[MarkRule], appointment: &Appointment) -> Option<RuleFired> {
    let index = rules.iter().position(|rule| rule.matches(appointment))?;
    Some(RuleFired { index: Some(index), rule: Some(rules[index].clone()) })
}

impl MarkRule {
    fn matches(&self, appointment: &Appointment) -> bool {
        let marks = &appointment.marks;
        match self {
            Self::Property(name) => {
                marks.block || marks.property.as_deref().is_some_and(|set| set.eq_ignore_ascii_case(name))
            }
            Self::Resource(mailbox) => appointment.attendees.iter().any(|one| one.person.address == *mailbox),
            Self::Category(name) => marks.categories.iter().any(|set| same(set, name)),
            Self::Keyword(word) => holds_word(&marks.location, word),
        }
    }
}

fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

/// Whether `word` stands in `text` as a word: `@telefon` is not part of `@telefonzentrale`, nor of `anna@telefon`.
fn holds_word(text: &str, word: &str) -> bool {
    let (text, word) = (text.to_lowercase(), word.trim().to_lowercase());
    let continues = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    !word.is_empty()
        && text.match_indices(&word).any(|(at, _)| {
            !continues(text[..at].chars().next_back()) && !continues(text[at + word.len()..].chars().next())
        })
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::DateTime;
    use chrono_tz::Tz;
    use dialroom_booking::{Origin, Person, Response, Role};

    use super::*;
    use crate::{Attendee, Marks};

    pub(crate) fn appointment(marks: Marks) -> Appointment {
        let person = |address| Person { address: EmailAddress::parse(address).unwrap(), name: None };
        Appointment {
            origin: Origin::Dialroom,
            uid: "u".into(),
            sequence: None,
            subject: String::new(),
            text: String::new(),
            organizer: person("anna@contoso.example"),
            is_organizer: true,
            attendees: vec![Attendee {
                person: person("conference@contoso.example"),
                role: Role::Resource,
                response: Response::None,
            }],
            hide_attendees: false,
            time_zone: Tz::UTC,
            all_day: false,
            series: false,
            dates: vec![],
            endless_or_beyond_horizon: false,
            cancelled: false,
            draft: false,
            marks,
            private: false,
            created: DateTime::UNIX_EPOCH,
            modified: DateTime::UNIX_EPOCH,
        }
    }

    fn check(rule: MarkRule, marks: Marks, expected: bool) {
        let fired = matching_rule(std::slice::from_ref(&rule), &appointment(marks.clone()));
        assert_eq!(fired.is_some(), expected, "{rule:?} {marks:?}");
    }

    #[test]
    fn each_rule_matches_its_mark_alone() {
        let located = |location: &str| Marks { location: location.into(), ..Marks::default() };
        let category = Marks { categories: vec!["TELEFONkonferenz ".into()], ..Marks::default() };
        let property = Marks { property: Some("cecp-1".into()), ..Marks::default() };
        let block = Marks { block: true, ..Marks::default() };
        let resource = |address| MarkRule::Resource(EmailAddress::parse(address).unwrap());
        check(MarkRule::Property("cecp-1".into()), property.clone(), true);
        check(MarkRule::Property("cecp-2".into()), property, false);
        check(MarkRule::Property("cecp-2".into()), block, true);
        check(MarkRule::Category("Telefonkonferenz".into()), category, true);
        check(MarkRule::Category("Telefonkonferenz".into()), located("Telefonkonferenz"), false);
        check(resource("conference@contoso.example"), Marks::default(), true);
        check(resource("other@contoso.example"), Marks::default(), false);
        for (location, expected) in [
            ("@Dialroom", true),
            ("Room 3; @dialroom", true),
            ("@dialrooms", false),
            ("x@dialroom", false),
            ("", false),
        ] {
            check(MarkRule::Keyword("@dialroom".into()), located(location), expected);
        }
        check(MarkRule::Keyword(String::new()), located("anywhere"), false);
    }

    #[test]
    fn the_first_rule_that_matches_is_kept() {
        let rules = [
            MarkRule::Property("cecp-1".into()),
            MarkRule::Category("a".into()),
            MarkRule::Keyword("@dialroom".into()),
        ];
        let marks = Marks { categories: vec!["A".into()], location: "@dialroom".into(), ..Marks::default() };
        let fired = matching_rule(&rules, &appointment(marks)).unwrap();
        assert_eq!((fired.index, fired.rule), (Some(1), Some(rules[1].clone())));
    }
}
