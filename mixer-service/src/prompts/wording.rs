//! From a sentence to the names of its sound files, in one language.

use std::collections::HashMap;

use chrono::{Datelike, NaiveDate, NaiveTime, Timelike};
use mixer_conference::{Sentence, SpokenDay};
use toml_edit::{Document, Item};

/// One thing to be heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sound {
    /// A file of the language, by its name without `.wav`.
    File(String),
    /// The recorded name of this person.
    Name(String),
    /// A tone that rises or falls.
    Tone { rising: bool },
}

/// The words of one language, as its TOML file has them.
#[derive(Debug)]
pub(super) struct Wording {
    sentences: HashMap<String, Vec<Piece>>,
    full_hour: Vec<String>,
    time: Vec<String>,
    day: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    File(String),
    Person,
    Time,
    Day,
}

/// A file of words that cannot be read. It is part of the program: only its author meets this.
#[derive(Debug, thiserror::Error)]
#[error("templates/prompts/{language}.toml: {problem}")]
pub struct WordingError {
    language: &'static str,
    problem: String,
}

/// What a sentence speaks of.
#[derive(Clone, Copy, Default)]
struct Variables<'a> {
    person: Option<&'a str>,
    time: Option<NaiveTime>,
    day: Option<NaiveDate>,
}

impl Wording {
    pub(super) fn parse(language: &'static str, toml: &str) -> Result<Self, WordingError> {
        let error = |problem: String| WordingError { language, problem };
        let document = Document::parse(toml).map_err(|wrong| error(wrong.to_string()))?;
        let table = document.get("sentences").and_then(Item::as_table_like);
        let mut sentences = HashMap::new();
        for (name, text) in table.ok_or_else(|| error("no [sentences]".to_owned()))?.iter() {
            let text = text.as_str().ok_or_else(|| error(format!("sentences.{name} is no text")))?;
            let pieces = pieces(name, text).ok_or_else(|| error(format!("sentences.{name}: unknown variable")))?;
            sentences.insert(name.to_owned(), pieces);
        }
        let order = |name: &str| -> Result<Vec<String>, WordingError> {
            let list = document.get("order").and_then(|order| order.get(name)).and_then(Item::as_array);
            let kinds = list.map(|list| list.iter().filter_map(|kind| kind.as_str().map(str::to_owned)).collect());
            kinds.ok_or_else(|| error(format!("order.{name} is missing")))
        };
        Ok(Self { sentences, full_hour: order("full-hour")?, time: order("time")?, day: order("day")? })
    }

    /// What is heard, in order; `has_name` says whether a person's name was recorded.
    pub(super) fn sounds(&self, sentence: &Sentence, has_name: impl Fn(&str) -> bool) -> Vec<Sound> {
        let none = Variables::default();
        match sentence {
            Sentence::Welcome { person } => match person.as_deref().filter(|person| has_name(person)) {
                Some(person) => self.spell("welcome-person", Variables { person: Some(person), ..none }),
                None => self.spell("welcome", none),
            },
            Sentence::YourConference { start } => {
                self.spell("your-conference", Variables { time: Some(*start), ..none })
            }
            Sentence::OpensAt { time, day } => self.dated("opens-at", *time, *day),
            Sentence::OpenUntil { time, day } => self.dated("open-until", *time, *day),
            Sentence::AskRoom => self.spell("ask-room", none),
            Sentence::AskPin => self.spell("ask-pin", none),
            Sentence::DoesNotMatch => self.spell("does-not-match", none),
            Sentence::PleaseWait => self.spell("please-wait", none),
            Sentence::Over => self.spell("over", none),
            Sentence::Full => self.spell("full", none),
            Sentence::Cancelled => self.spell("cancelled", none),
            Sentence::SwitchedOff => self.spell("switched-off", none),
            Sentence::EndsInTwoMinutes => self.spell("ends-in-two-minutes", none),
            Sentence::Ended => self.spell("ended", none),
            Sentence::Goodbye => self.spell("goodbye", none),
            Sentence::JoinTone => vec![Sound::Tone { rising: true }],
            Sentence::LeaveTone => vec![Sound::Tone { rising: false }],
        }
    }

    fn dated(&self, name: &str, time: NaiveTime, day: SpokenDay) -> Vec<Sound> {
        let variables = Variables { time: Some(time), ..Variables::default() };
        match day {
            SpokenDay::Today => self.spell(name, variables),
            SpokenDay::Tomorrow => self.spell(&format!("{name}-tomorrow"), variables),
            SpokenDay::On(day) => self.spell(&format!("{name}-day"), Variables { day: Some(day), ..variables }),
        }
    }

    fn spell(&self, name: &str, variables: Variables<'_>) -> Vec<Sound> {
        let pieces = self.sentences.get(name).map_or(&[][..], Vec::as_slice);
        let sounds = pieces.iter().map(|piece| match piece {
            Piece::File(name) => vec![Sound::File(name.clone())],
            Piece::Person => variables.person.map(|person| Sound::Name(person.to_owned())).into_iter().collect(),
            Piece::Time => variables.time.map_or_else(Vec::new, |time| self.time(time)),
            Piece::Day => variables.day.map_or_else(Vec::new, |day| self.day(day)),
        });
        sounds.flatten().collect()
    }

    fn time(&self, time: NaiveTime) -> Vec<Sound> {
        let order = if time.minute() == 0 { &self.full_hour } else { &self.time };
        let number = |kind: &str| if kind == "minute" { time.minute() } else { time.hour() };
        order.iter().map(|kind| Sound::File(format!("{kind}-{:02}", number(kind)))).collect()
    }

    fn day(&self, day: NaiveDate) -> Vec<Sound> {
        let number = |kind: &str| match kind {
            "weekday" => day.weekday().num_days_from_monday(),
            "month" => day.month(),
            _ => day.day(),
        };
        self.day.iter().map(|kind| Sound::File(format!("{kind}-{:02}", number(kind)))).collect()
    }
}

/// The pieces of a sentence around its variables, numbered from 1 as `render` numbers them; a piece of signs alone is
/// not spoken. `None` for a variable that no sentence has.
fn pieces(name: &str, text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let said = |text: &str| text.contains(char::is_alphanumeric);
    let parts: Vec<&str> = text.split(['{', '}']).collect();
    for (index, part) in parts.iter().enumerate() {
        let piece = match (index % 2 == 0, *part) {
            (true, part) if !said(part) => continue,
            (true, _) if parts.len() == 1 => Piece::File(name.to_owned()),
            (true, _) => Piece::File(format!("{name}.{}", index / 2 + 1)),
            (false, "person") => Piece::Person,
            (false, "time") => Piece::Time,
            (false, "day") => Piece::Day,
            (false, _) => return None,
        };
        pieces.push(piece);
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(language: &'static str, toml: &str, sentence: &Sentence) -> String {
        let wording = Wording::parse(language, toml).unwrap();
        let name = |sound: &Sound| match sound {
            Sound::File(name) => name.clone(),
            Sound::Name(person) => format!("<{person}>"),
            Sound::Tone { rising } => format!("tone {rising}"),
        };
        wording
            .sounds(sentence, |person| person == "anna@contoso.example")
            .iter()
            .map(name)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn check(sentence: &Sentence, en: &str, de: &str) {
        assert_eq!(spelled("en", include_str!("../../../templates/prompts/en.toml"), sentence), en);
        assert_eq!(spelled("de", include_str!("../../../templates/prompts/de.toml"), sentence), de);
    }

    #[test]
    fn times_are_said_as_each_language_says_them() {
        let start =
            |hour, minute| Sentence::YourConference { start: NaiveTime::from_hms_opt(hour, minute, 0).unwrap() };
        check(&start(10, 0), "your-conference.1 full-hour-10 your-conference.2", "your-conference.1 hour-10");
        check(
            &start(9, 50),
            "your-conference.1 hour-09 minute-50 your-conference.2",
            "your-conference.1 hour-09 minute-50",
        );
    }

    #[test]
    fn a_day_is_said_when_it_is_not_today() {
        let time = NaiveTime::from_hms_opt(9, 50, 0).unwrap();
        let day = SpokenDay::On(NaiveDate::from_ymd_opt(2026, 11, 26).unwrap());
        check(
            &Sentence::OpensAt { time, day },
            "opens-at-day.1 weekday-03 month-11 ordinal-26 opens-at-day.2 hour-09 minute-50",
            "opens-at-day.1 weekday-03 ordinal-26 month-11 opens-at-day.2 hour-09 minute-50",
        );
        let day = SpokenDay::Tomorrow;
        check(
            &Sentence::OpenUntil { time, day },
            "open-until-tomorrow.1 hour-09 minute-50",
            "open-until-tomorrow.1 hour-09 minute-50",
        );
    }

    #[test]
    fn a_name_that_was_not_recorded_is_left_out() {
        let welcome = |person: &str| Sentence::Welcome { person: Some(person.to_owned()) };
        let named = "welcome-person.1 <anna@contoso.example>";
        check(&welcome("anna@contoso.example"), named, named);
        check(&welcome("eva@fabrikam.example"), "welcome", "welcome");
    }
}
