//! Pages of a delta round (`calendarView/delta`): which entries to look at again.
//!
//! Delta is a hint with gaps. It shows no mark, occurrences come bare, a deleted occurrence gives no sign, and `@removed`
//! may only mean "outside the window": so this reader names what was touched and leaves the truth to a GET.

use std::collections::BTreeSet;

use crate::Problem;

use super::{GraphError, MAX_PAGE_BYTES, wire};

/// One page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeltaPage {
    /// What it shows, in the order of the page; an entry may come more than once.
    pub items: Vec<DeltaItem>,
    /// Where the round goes on; to be used as it is.
    pub next_link: Option<String>,
    /// Where the next round starts; on the last page of this one.
    pub delta_link: Option<String>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// An entry that something happened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaItem {
    /// Its id in this mailbox.
    pub id: String,
    /// What it is.
    pub kind: EventKind,
    /// Master of an occurrence or exception.
    pub series_master: Option<String>,
    /// Reported as removed: deleted, or outside the window. A GET tells.
    pub removed: bool,
    /// Whether the mailbox' owner organizes it; `None` where the page does not say.
    pub is_organizer: Option<bool>,
    /// State of the entry; changes with every change.
    pub etag: Option<String>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// One date.
    Single,
    /// A series.
    Master,
    /// A date of a series, as its pattern has it.
    Occurrence,
    /// A date of a series that was changed by itself.
    Exception,
    /// Not told, as with removed entries, or a kind added later.
    Other,
}

impl DeltaPage {
    /// Ids to GET: singles and masters; a date stands for its master, since a deleted or moved date shows there alone.
    #[must_use]
    pub fn touched(&self) -> BTreeSet<&str> {
        self.items.iter().map(|item| item.series_master.as_deref().unwrap_or(&item.id)).collect()
    }
}

/// Reads one page; whatever on it is no event becomes a problem.
///
/// # Errors
/// When it is too large or no JSON object.
pub fn read_delta_page(bytes: &[u8]) -> Result<DeltaPage, GraphError> {
    let page: wire::Page = wire::read(bytes, MAX_PAGE_BYTES)?;
    let mut out = DeltaPage {
        next_link: page.next_link.get().cloned(),
        delta_link: page.delta_link.get().cloned(),
        ..DeltaPage::default()
    };
    for (index, event) in page.value.items().enumerate() {
        match event.get().and_then(item) {
            Some(item) => out.items.push(item),
            None => {
                out.problems.push(Problem { field: format!("value[{index}]"), message: "no event with an id".into() })
            }
        }
    }
    Ok(out)
}

fn item(event: &wire::Event) -> Option<DeltaItem> {
    Some(DeltaItem {
        id: event.id.get().filter(|id| !id.is_empty())?.clone(),
        kind: match event.kind.lower().as_deref() {
            Some("singleinstance") => EventKind::Single,
            Some("seriesmaster") => EventKind::Master,
            Some("occurrence") => EventKind::Occurrence,
            Some("exception") => EventKind::Exception,
            _ => EventKind::Other,
        },
        series_master: event.series_master_id.get().filter(|id| !id.is_empty()).cloned(),
        removed: event.removed.get().is_some(),
        is_organizer: event.is_organizer.get().copied(),
        etag: event.etag.get().cloned(),
    })
}
