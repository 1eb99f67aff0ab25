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
