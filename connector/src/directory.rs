//! Whose telephone number is whose: the tenant's directory, and the people whom the settings name.
//!
//! Asked for before planning, so that the planner stays without a network. Answers are kept for a while: a hundred
//! meetings of the same ten people ask ten times. Numbers are free text there; what no number can be made of is left out.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use connector_planner::{Contact, Directory as Contacts};
use dialroom_booking::{E164, EmailAddress, HomeRegion, KnownCaller, Language};
use dialroom_host::Clock;
use dialroom_settings::Settings;
use futures_util::StreamExt;
use serde::Deserialize;

use crate::source::graph::{GraphClient, GraphError, NO_MAILBOX};

/// How long an answer holds; a new number is known to bookings made after that.
const FRESH_FOR: Duration = Duration::from_secs(900);
/// People kept in mind; beyond it all are asked anew.
const MAX_KEPT: usize = 20_000;
/// Questions in flight for one appointment.
const CONCURRENT_QUESTIONS: usize = 4;
/// Numbers of one person; Graph has at most two.
const MAX_NUMBERS: usize = 4;
/// What of a user we ask for.
const SELECT: &str = "id,displayName,mail,userPrincipalName,businessPhones,mobilePhone,preferredLanguage";

/// Looks people up; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    clock: Clock,
    graph: Option<GraphClient>,
    kept: Arc<Mutex<HashMap<EmailAddress, (Instant, Found)>>>,
}

/// What the tenant knows of somebody.
#[derive(Clone, Debug, Default)]
struct Found {
    id: Option<String>,
    contact: Contact,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: String,
    #[serde(default)]
    business_phones: Option<Vec<String>>,
    #[serde(default)]
    mobile_phone: Option<String>,
    #[serde(default)]
    preferred_language: Option<String>,
    #[serde(default)]
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct Users {
    value: Vec<User>,
}

impl Directory {
    /// A directory over this tenant; without one, the settings' people alone.
    pub(crate) fn new(clock: Clock, graph: Option<GraphClient>) -> Self {
        Self { clock, graph, kept: Arc::default() }
    }

    /// What is known of these people. Those outside the company's own domains are not asked for.
    ///
    /// # Errors
    /// When the directory does not answer: planning without its numbers would invite people to key what they need not.
    pub(crate) async fn look_up(
        &self,
        settings: &Settings,
        people: impl IntoIterator<Item = EmailAddress>,
    ) -> Result<Contacts, GraphError> {
        let people: HashSet<_> = people.into_iter().collect();
        let home = settings.directory.home_region;
        let mut questions = Vec::with_capacity(people.len());
        for address in people {
            questions.push(async move {
                let found =
                    if is_own(settings, &address) { self.find(&address, home).await? } else { Found::default() };
                Ok::<_, GraphError>((address, found.contact))
            });
        }
        let found: Vec<_> =
            futures_util::stream::iter(questions).buffer_unordered(CONCURRENT_QUESTIONS).collect().await;
        let mut contacts: Contacts = found.into_iter().collect::<Result<_, _>>()?;
        for entry in &settings.directory.people {
            if let Some(contact) = contacts.get_mut(&entry.address) {
                // What an administrator wrote comes before what the directory says.
                let written = entry.numbers.iter().map(|(written, number)| known(number.clone(), written));
                let mut numbers: Vec<_> = written.collect();
                numbers.extend(
                    contact.numbers.drain(..).filter(|one| entry.numbers.iter().all(|(_, e)| *e != one.number)),
                );
                contact.numbers = numbers;
            }
        }
        Ok(contacts)
    }

    /// Object id of a mailbox' owner: what resource paths are built with, since an address may hold an apostrophe.
    pub(crate) async fn object_id(
        &self,
        settings: &Settings,
        address: &EmailAddress,
    ) -> Result<Option<String>, GraphError> {
        Ok(self.find(address, settings.directory.home_region).await?.id)
    }

    /// Asks anew at the next look-up.
    pub(crate) fn forget(&self, address: &EmailAddress) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }

    async fn find(&self, address: &EmailAddress, home: HomeRegion) -> Result<Found, GraphError> {
        let Some(graph) = &self.graph else { return Ok(Found::default()) };
        if let Some(found) = self.remembered(address) {
            return Ok(found);
        }
        let user = match ask(graph, address).await {
            Ok(user) => user,
            // A 401 says that our token is not taken just now, not that nobody may be asked for.
            Err(GraphError::Denied(refusal)) if refusal.status == 403 => {
                tracing::warn!(%refusal, "the directory may not be read: nobody is recognized by it; grant User.Read.All");
                None
            }
            Err(error) => return Err(error),
        };
        let found = user.map(|user| read(user, home)).unwrap_or_default();
        self.remember(address, found.clone());
        Ok(found)
    }

    fn remembered(&self, address: &EmailAddress) -> Option<Found> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, found) = kept.get(address)?;
        (self.clock.instant().duration_since(*since) < FRESH_FOR).then(|| found.clone())
    }

    fn remember(&self, address: &EmailAddress, found: Found) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(address.clone(), (self.clock.instant(), found));
    }
}

/// Whether the tenant can know this address: the domains of the watched mailboxes are its own.
fn is_own(settings: &Settings, address: &EmailAddress) -> bool {
    settings.graph.as_ref().is_some_and(|graph| graph.mailboxes.iter().any(|own| own.domain() == address.domain()))
}

async fn ask(graph: &GraphClient, address: &EmailAddress) -> Result<Option<User>, GraphError> {
    let read = |body: Vec<u8>| {
        serde_json::from_slice::<User>(&body).map_err(|error| GraphError::Malformed(format!("a user: {error}")))
    };
    match graph.get(NO_MAILBOX, graph.url(&["users", address.as_str()], &[("$select", SELECT)])).await {
        Ok(body) => return read(body).map(Some),
        Err(GraphError::NotFound(_) | GraphError::NoMailbox(_)) => {}
        // No sign-in name is spelled like this.
        Err(GraphError::Refused(refusal)) if refusal.status < 500 => {}
        Err(error) => return Err(error),
    }
    // The address is no sign-in name; it may be one of somebody's mail addresses. A quote is doubled in OData.
    let quoted = address.as_str().replace('\'', "''");
    let filter = format!("mail eq '{quoted}' or proxyAddresses/any(p:p eq 'smtp:{quoted}')");
    match graph.get(NO_MAILBOX, graph.url(&["users"], &[("$select", SELECT), ("$filter", &filter)])).await {
        Ok(body) => {
            let users: Users =
                serde_json::from_slice(&body).map_err(|error| GraphError::Malformed(format!("users: {error}")))?;
            // Two users with one address: neither is known by it.
            Ok(<[User; 1]>::try_from(users.value).ok().map(|[user]| user))
        }
        Err(GraphError::NotFound(_)) => Ok(None),
        Err(GraphError::Refused(refusal)) if refusal.status < 500 => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(user: User, home: HomeRegion) -> Found {
    let written = user.business_phones.unwrap_or_default().into_iter().chain(user.mobile_phone);
    let numbers = written.filter_map(|raw| Some(known(E164::parse(&raw, home).ok()?, raw.trim()))).take(MAX_NUMBERS);
    let language = user.preferred_language.as_deref().and_then(Language::from_tag);
    Found { id: Some(user.id), contact: Contact { numbers: numbers.collect(), language, name: user.display_name } }
}

fn known(number: E164, written: &str) -> KnownCaller {
    KnownCaller { number, written: written.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_the_home_region_and_kept_as_written() {
        let user = User {
            id: "1".to_owned(),
            business_phones: Some(vec!["030 / 23125-002".to_owned(), "ask the desk".to_owned()]),
            mobile_phone: Some("+44 7700 900123".to_owned()),
            preferred_language: Some("de-AT".to_owned()),
            display_name: Some("Bernd Brandt".to_owned()),
        };
        let found = read(user, "DE".parse().unwrap());
        let numbers: Vec<_> =
            found.contact.numbers.iter().map(|one| (one.number.as_str(), one.written.as_str())).collect();
        assert_eq!(numbers, [("+493023125002", "030 / 23125-002"), ("+447700900123", "+44 7700 900123")]);
        assert_eq!(found.contact.language, Some(Language::De));
    }
}
