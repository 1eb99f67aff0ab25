//! What happens in the tenant by itself when its time comes.

use chrono::{DateTime, TimeDelta, Utc};

use crate::access::AccessChange;
use crate::notify::KindOfChange;
use crate::tenant::Tenant;

/// Most things that wait; beyond it they happen at once.
const MAX_WAITING: usize = 10_000;
/// Time to answer a demand for authorization before a subscription falls silent (N6).
const REAUTHORIZE_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// Something that is due one day.
#[derive(Clone, Debug)]
pub(crate) enum Later {
    /// Exchange notes who answered (W8): another etag, another notification.
    Tracking(usize),
    /// Delta shows the change (D5).
    Visible(usize),
    /// The add-in's property has reached the server (X1).
    Property(usize, String, Option<String>),
    /// A grant was changed (A1, A2, A4).
    Access(usize, AccessChange),
    /// The subscription of this id is to be authorized again (N6).
    Reauthorize(String),
    /// It was not, and falls silent.
    Silence(String),
}

impl Tenant {
    /// Does it at `due`.
    pub(crate) fn later(&mut self, due: DateTime<Utc>, what: Later) {
        if self.waiting.len() >= MAX_WAITING {
            return self.happen(due, what);
        }
        let at = self.waiting.partition_point(|(other, _)| *other <= due);
        self.waiting.insert(at, (due, what));
    }

    /// Everything that is due happens, in its order.
    pub(crate) fn settle(&mut self, now: DateTime<Utc>) {
        while self.waiting.first().is_some_and(|(due, _)| *due <= now) {
            let (due, what) = self.waiting.remove(0);
            self.happen(due, what);
        }
    }

    /// When something happens next, a notification or a change.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        let change = self.waiting.first().map(|(due, _)| *due);
        change.into_iter().chain(self.next_job()).min()
    }

    fn happen(&mut self, now: DateTime<Utc>, what: Later) {
        match what {
            Later::Tracking(index) if !self.items[index].deleted => self.touch(now, index, KindOfChange::Updated),
            Later::Tracking(_) => {}
            Later::Visible(index) => {
                self.changes += 1;
                self.items[index].shown_version = self.changes;
            }
            Later::Property(index, id, value) => {
                let properties = &mut self.items[index].properties;
                match value {
                    Some(value) => drop(properties.insert(id, value)),
                    None => drop(properties.remove(&id)),
                }
                self.touch(now, index, KindOfChange::Updated);
            }
            Later::Access(user, change) => change.apply(&mut self.users[user].access),
            Later::Reauthorize(id) => {
                if let Some(index) = self.subscriptions.iter().position(|one| one.id == id) {
                    self.lifecycle(now, index, "reauthorizationRequired");
                    self.later(now + REAUTHORIZE_WITHIN, Later::Silence(id));
                }
            }
            Later::Silence(id) => {
                let overdue = |one: &&mut crate::subscription::Subscription| {
                    one.id == id && now - one.authorized >= REAUTHORIZE_WITHIN
                };
                if let Some(one) = self.subscriptions.iter_mut().find(overdue) {
                    one.silent = true;
                }
            }
        }
    }
}
