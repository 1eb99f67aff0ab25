//! The people of the demo: numbers from the ranges kept free for fiction.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use rust_embed::RustEmbed;
use serde::{Deserialize, Serialize};

use crate::demo::link::PersonFacts;

/// The conference server's number inside.
pub(crate) const NUMBER: &str = "88";
/// The same from outside.
pub(crate) const EXTERNAL_NUMBER: &str = "+49 30 23125 88";
/// Who may be invited to have a line.
pub(crate) const RESOURCE: &str = "conference@contoso.example";
/// The people, in the order of their numbers, which end in 001, 002 …
const PEOPLE: [&str; 5] = ["anna", "bernd", "clara", "david", "emil"];

/// Their names as they spoke them, by the same path that recorded names take.
#[derive(RustEmbed)]
#[folder = "../templates/prompts/names"]
struct SpokenNames;

/// Somebody from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Guest {
    pub(crate) address: String,
    /// E.164; in nobody's directory.
    pub(crate) number: String,
}

/// The guest of the newcomer's story.
pub(crate) fn guest() -> Guest {
    Guest { address: "eva@fabrikam.example".to_owned(), number: "+447700900123".to_owned() }
}

/// The staff with their numbers.
pub(crate) fn facts() -> Vec<PersonFacts> {
    let directory = graph_simulator::demo_people();
    let person = |(n, first): (usize, &&str)| {
        let address = format!("{first}@contoso.example");
        let name = directory.iter().find(|one| one.address == address).map(|one| one.name.clone());
        PersonFacts {
            name: name.unwrap_or_else(|| address.clone()),
            address,
            number: format!("+493023125{:03}", n + 1),
        }
    };
    PEOPLE.iter().enumerate().map(person).collect()
}

/// Puts the spoken names where the mixer looks for recorded ones.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn record_names(folder: &Path) -> anyhow::Result<()> {
    let told = || format!("{} cannot be written", folder.display());
    fs::create_dir_all(folder).with_context(told)?;
    for name in SpokenNames::iter() {
        if let Some(sound) = SpokenNames::get(&name) {
            fs::write(folder.join(&*name), sound.data).with_context(told)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dialroom_booking::{E164, HomeRegion};

    use super::*;

    #[test]
    fn the_directory_knows_everybody_by_the_number_told_here() {
        let directory = graph_simulator::demo_people();
        for person in facts() {
            let entry = directory.iter().find(|one| one.address == person.address).unwrap();
            let typed = entry.business_phone.as_ref().or(entry.mobile_phone.as_ref()).unwrap();
            assert_eq!(E164::parse(typed, HomeRegion::GERMANY).unwrap().as_str(), person.number, "{typed}");
        }
    }

    #[test]
    fn everybody_has_spoken_his_name() {
        for person in facts() {
            assert!(SpokenNames::get(&format!("{}.wav", person.address)).is_some(), "{}", person.address);
        }
    }
}
