//! One round over one mailbox: what was touched, then each of it read whole and sent to be decided.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use connector_calendar::{
    Appointment, EVENT_SELECT, GraphContext, SEQUENCE_PROPERTY, appointment_from_graph, read_delta_page,
};
use dialroom_booking::{BookingState, EmailAddress, Origin, Person};
use dialroom_settings::{Rule, Settings};
use futures_util::StreamExt;
use url::Url;

use super::client::{GraphClient, GraphError};
use crate::directory::Directory;
use crate::metrics::Metrics;
use crate::pipeline::{Pipeline, Sighted, Stopping};
use crate::shelf::Shelf;
use crate::store::SyncState;

/// Bookings reach this far ahead.
const HORIZON_DAYS: i64 = 400;
/// And this far back, for what is still running.
const LOOK_BACK_DAYS: i64 = 1;
/// A window stands still inside its delta link; a full round lets it slide.
const FULL_ROUND_HOURS: i64 = 24;
/// Pages of one round; a calendar that needs more has a link that leads in a circle.
const MAX_PAGES: usize = 2_000;
/// Pages of one series' dates.
const MAX_INSTANCE_PAGES: usize = 100;
/// Entries read side by side; the client has its own bound per mailbox.
const CONCURRENT_ENTRIES: usize = 3;
/// Graph may forget where we stood even in the middle of a full round.
const MAX_RESTARTS: u32 = 2;
/// Name of the add-in's property as MAPI has it.
const ADD_IN_PROPERTIES: &str = "String {00020329-0000-0000-C000-000000000046} Name ";

/// A mailbox that is watched.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    /// Its address, as in the settings.
    pub(super) address: EmailAddress,
    /// Object id of its owner.
    pub(super) id: String,
}

/// What a round needs.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    pub(super) graph: GraphClient,
    pub(super) pipeline: Pipeline,
    pub(super) directory: Directory,
    pub(super) shelf: Arc<Shelf>,
    pub(super) metrics: Arc<Metrics>,
}

/// Why a round was not finished; nothing of it is lost, the next one starts where this one did.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoundError {
    /// Graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An answer of Graph.
    #[error(transparent)]
    Unreadable(#[from] connector_calendar::GraphError),
    /// We are ending.
    #[error(transparent)]
    Stopping(#[from] Stopping),
    /// More pages than any calendar has.
    #[error("the round has more than {MAX_PAGES} pages")]
    Endless,
}

impl RoundError {
    /// Whether asking again gives the same: the other entries of the mailbox do not wait for this one. The next full round
    /// tries it once more.
    fn is_of_the_entry(&self) -> bool {
        match self {
            Self::Unreadable(_) | Self::Graph(GraphError::Malformed(_)) | Self::Endless => true,
            Self::Graph(GraphError::Refused(refusal)) => refusal.status < 500,
            Self::Graph(_) | Self::Stopping(_) => false,
        }
    }
}

/// Entries to be read, and where the next round starts.
struct Touched {
    ids: HashSet<String>,
    delta_link: String,
}

impl Rounds {
    /// Takes in everything since `state`; what it gives is to be stored, and everything before it is committed.
    pub(super) async fn take(
        &self,
        settings: &Settings,
        now: DateTime<Utc>,
        mailbox: &Mailbox,
        state: &SyncState,
        whole: bool,
    ) -> Result<SyncState, RoundError> {
        let stale = now - state.full_at >= TimeDelta::hours(FULL_ROUND_HOURS);
        let mut link = state.delta_link.as_deref().filter(|_| !whole && !stale);
        let mut restarts = 0;
        let touched = loop {
            match self.touched(settings, now, mailbox, link).await {
                Err(RoundError::Graph(GraphError::SyncStateLost(refusal))) if restarts < MAX_RESTARTS => {
                    tracing::info!(%refusal, "Graph forgot where we stood, reading the calendar anew");
                    restarts += 1;
                    link = None;
                }
                other => break other?,
            }
        };
        let mut entries: Vec<_> = Vec::with_capacity(touched.ids.len());
        for id in &touched.ids {
            entries.push(self.entry(settings, now, mailbox, state.first_sync, id));
        }
        let results: Vec<_> = futures_util::stream::iter(entries).buffer_unordered(CONCURRENT_ENTRIES).collect().await;
        results.into_iter().collect::<Result<(), _>>()?;
        let full_at = if link.is_none() { now } else { state.full_at };
        Ok(SyncState { first_sync: state.first_sync, delta_link: Some(touched.delta_link), full_at })
    }

    /// Follows the pages of a round: from `link` on, or over everything in the window.
    async fn touched(
        &self,
        settings: &Settings,
        now: DateTime<Utc>,
        mailbox: &Mailbox,
        link: Option<&str>,
    ) -> Result<Touched, RoundError> {
        let known = self.known(now, mailbox);
        let guests_count =
            settings.graph.as_ref().and_then(|graph| graph.resource_mailbox.as_ref()) == Some(&mailbox.address);
        let (mut last_seen, mut foreign) = (BTreeMap::<String, bool>::new(), HashSet::new());
        let mut next = match link {
            Some(link) => self.graph.link(link)?,
            None => self.window_url(now, mailbox),
        };
        for _ in 0..MAX_PAGES {
            let page = read_delta_page(&self.graph.get(&mailbox.id, next).await?)?;
            for problem in &page.problems {
                self.metrics.unreadable_entries.add();
                tracing::warn!(%problem, "an entry of a delta page cannot be read");
            }
            for item in &page.items {
                // A date stands for its series, and says nothing of who organizes it.
                let id = item.series_master.as_ref().unwrap_or(&item.id);
                if item.is_organizer == Some(false) && !guests_count && !known.contains(id) {
                    foreign.insert(id.clone());
                }
                // The last word about an entry counts.
                last_seen.insert(id.clone(), item.removed && item.series_master.is_none());
            }
            match (page.next_link, page.delta_link) {
                (Some(link), _) => next = self.graph.link(&link)?,
                (None, Some(delta_link)) => {
                    let there = last_seen.iter().filter(|(id, removed)| !**removed && !foreign.contains(*id));
                    let mut ids: HashSet<_> = there.map(|(id, _)| id.clone()).collect();
                    // "Removed" may only mean "outside the window", and a full round shows nothing of what is gone:
                    // a GET decides about what we hold, and what we do not hold needs no decision.
                    let doubtful = |id: &&String| link.is_none() || last_seen.get(*id).is_some_and(|removed| *removed);
                    ids.extend(known.iter().filter(doubtful).cloned());
                    return Ok(Touched { ids, delta_link });
                }
                (None, None) => return Err(GraphError::Malformed("a page with neither link".to_owned()).into()),
            }
        }
        Err(RoundError::Endless)
    }

    /// Events of this mailbox that have a line which is not over.
    fn known(&self, now: DateTime<Utc>, mailbox: &Mailbox) -> HashSet<String> {
        let lives = |booking: &dialroom_booking::Booking| {
            booking.state == BookingState::Active && booking.windows().any(|(_, window)| window.closes() > now)
        };
        let bookings = self.shelf.all();
        let events = bookings.iter().filter(|booking| lives(booking)).filter_map(|booking| match &booking.origin {
            Origin::Graph { mailbox: place, event } if *place == mailbox.id => Some(event.clone()),
            Origin::Graph { .. } | Origin::Dialroom => None,
        });
        events.collect()
    }

    fn window_url(&self, now: DateTime<Utc>, mailbox: &Mailbox) -> Url {
        let (start, end) = window(now);
        let query = [("startDateTime", start.as_str()), ("endDateTime", end.as_str())];
        self.graph.url(&["users", &mailbox.id, "calendarView", "delta"], &query)
    }

    /// Reads one entry whole and has it decided. An entry that cannot be read hides no other.
    async fn entry(
        &self,
        settings: &Settings,
        now: DateTime<Utc>,
        mailbox: &Mailbox,
        first_sync: DateTime<Utc>,
        id: &str,
    ) -> Result<(), RoundError> {
        let appointment = match self.read(settings, now, mailbox, id).await {
            Ok(appointment) => appointment,
            Err(RoundError::Graph(GraphError::NotFound(_))) => {
                let origin = Origin::Graph { mailbox: mailbox.id.clone(), event: id.to_owned() };
                self.pipeline.gone(origin, mailbox.address.clone()).await?;
                return Ok(());
            }
            Err(error) if error.is_of_the_entry() => {
                self.metrics.unreadable_entries.add();
                tracing::warn!(%error, "an entry cannot be read and is left as it is");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let people = std::iter::once(&appointment.organizer).chain(appointment.attendees.iter().map(|one| &one.person));
        let addresses: Vec<_> = people.map(|person| person.address.clone()).collect();
        let directory = self.directory.look_up(settings, addresses).await?;
        let mailbox = Some(mailbox.address.clone());
        self.pipeline.sighted(Sighted { appointment, mailbox, first_sync: Some(first_sync), directory }).await?;
        Ok(())
    }

    async fn read(
        &self,
        settings: &Settings,
        now: DateTime<Utc>,
        mailbox: &Mailbox,
        id: &str,
    ) -> Result<Appointment, RoundError> {
        let expand = expand(settings);
        let query = [("$select", EVENT_SELECT), ("$expand", expand.as_str())];
        let url = self.graph.url(&["users", &mailbox.id, "events", id], &query);
        let event = self.graph.get(&mailbox.id, url).await?;
        let owner = Person { address: mailbox.address.clone(), name: None };
        let context = GraphContext {
            mailbox: &mailbox.id,
            owner: &owner,
            home_zone: settings.directory.time_zone,
            horizon: now + TimeDelta::days(HORIZON_DAYS),
        };
        let pages = if is_series(&event) { self.instances(now, mailbox, id).await? } else { Vec::new() };
        let (appointment, problems) = appointment_from_graph(&event, &pages, &context)?;
        for problem in problems {
            tracing::debug!(%problem, "a part of an entry cannot be read");
        }
        Ok(appointment)
    }

    async fn instances(&self, now: DateTime<Utc>, mailbox: &Mailbox, id: &str) -> Result<Vec<Vec<u8>>, RoundError> {
        let (start, end) = window(now);
        let query = [("startDateTime", start.as_str()), ("endDateTime", end.as_str())];
        let mut next = self.graph.url(&["users", &mailbox.id, "events", id, "instances"], &query);
        let mut pages = Vec::new();
        while pages.len() < MAX_INSTANCE_PAGES {
            let page = self.graph.get(&mailbox.id, next).await?;
            let link = read_delta_page(&page)?.next_link;
            pages.push(page);
            match link {
                Some(link) => next = self.graph.link(&link)?,
                None => return Ok(pages),
            }
        }
        Err(RoundError::Endless)
    }
}

fn window(now: DateTime<Utc>) -> (String, String) {
    let text = |days| (now + TimeDelta::days(days)).to_rfc3339_opts(SecondsFormat::Secs, true);
    (text(-LOOK_BACK_DAYS), text(HORIZON_DAYS))
}

/// The mark of the add-in and the SEQUENCE are extended properties, which nobody gets who does not ask. Names are
/// compared with case; the add-in's id may stand in the manifest in either.
fn expand(settings: &Settings) -> String {
    let marks = settings.rules.iter().filter_map(|rule| match rule {
        Rule::Property(name) => Some(name.replace('\'', "''")),
        Rule::Resource(_) | Rule::Category(_) | Rule::Keyword(_) => None,
    });
    let spellings = marks.flat_map(|name| {
        let upper = name.strip_prefix("cecp-").map(|id| format!("cecp-{}", id.to_uppercase()));
        std::iter::once(name).chain(upper)
    });
    let ids: Vec<_> = std::iter::once(SEQUENCE_PROPERTY.to_owned())
        .chain(spellings.map(|name| format!("{ADD_IN_PROPERTIES}{name}")))
        .map(|id| format!("id eq '{id}'"))
        .collect();
    format!("singleValueExtendedProperties($filter={})", ids.join(" or "))
}

fn is_series(event: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Kind {
        #[serde(rename = "type", default)]
        kind: Option<String>,
    }
    let kind = serde_json::from_slice::<Kind>(event).ok().and_then(|event| event.kind);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("seriesMaster"))
}
