//! The state of the tenant, and what every change to it entails: copies in the attendees' mailboxes, mails of Exchange,
//! notifications. One lock guards all of it; nobody holds it while waiting.

use std::collections::HashMap;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};

use crate::answer::Refusal;
use crate::change::Change;
use crate::dice::Dice;
use crate::faults::Faults;
use crate::item::{Address, Facts, Ids, Item};
use crate::journal::{Journal, Mail};
use crate::notify::{Job, KindOfChange};
use crate::people::Person;
use crate::subscription::Subscription;
use crate::throttle::Throttle;

/// Most items in all mailboxes together, deleted ones included; beyond it the tenant answers 507.
const MAX_ITEMS: usize = 100_000;

#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) tenant_id: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) dice: Dice,
    pub(crate) users: Vec<User>,
    pub(crate) items: Vec<Item>,
    /// Changes so far; delta tokens and change keys are made of it.
    pub(crate) changes: u64,
    pub(crate) subscriptions: Vec<Subscription>,
    /// Access tokens and when they end.
    pub(crate) tokens: HashMap<String, DateTime<Utc>>,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) throttles: HashMap<usize, Throttle>,
    /// Notifications that wait for their (next) attempt.
    pub(crate) jobs: Vec<Job>,
}

/// A user with a mailbox.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) guid: String,
    pub(crate) person: Person,
}

impl Tenant {
    pub(crate) fn new(seed: u64, people: Vec<Person>) -> Self {
        let mut dice = Dice::new(seed);
        let users = people.into_iter().map(|person| User { guid: dice.guid(), person }).collect();
        Self {
            tenant_id: dice.guid(),
            client_id: dice.guid(),
            client_secret: dice.token(),
            dice,
            users,
            items: Vec::new(),
            changes: 0,
            subscriptions: Vec::new(),
            tokens: HashMap::new(),
            journal: Journal::default(),
            faults: Faults::default(),
            throttles: HashMap::new(),
            jobs: Vec::new(),
        }
    }

    /// By GUID, address or user principal name, without regard to case.
    pub(crate) fn user(&self, id: &str) -> Option<usize> {
        self.users.iter().position(|user| user.guid.eq_ignore_ascii_case(id) || same(&user.person.address, id))
    }

    pub(crate) fn user_or_refuse(&self, id: &str) -> Result<usize, Refusal> {
        let message =
            format!("Resource '{id}' does not exist or one of its queried reference-property objects are not present.");
        self.user(id).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", message))
    }

    /// An item that is still there.
    pub(crate) fn item(&self, owner: usize, id: &str) -> Result<usize, Refusal> {
        let found = |item: &Item| item.owner == owner && !item.deleted && item.ids.are(id);
        self.items.iter().position(found).ok_or_else(Refusal::item_not_found)
    }

    pub(crate) fn items_of(&self, owner: usize) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.owner == owner)
    }

    /// Makes a meeting in its organizer's mailbox, and sends it unless it is a draft.
    pub(crate) fn create(&mut self, now: DateTime<Utc>, owner: usize, change: Change) -> Result<usize, Refusal> {
        if self.items.len() >= MAX_ITEMS {
            let message = "the simulated tenant is full; restart it";
            return Err(Refusal::new(StatusCode::INSUFFICIENT_STORAGE, "ErrorQuotaExceeded", message));
        }
        let (facts, categories, properties) = change.into_new()?;
        let person = &self.users[owner].person;
        let organizer = Address { name: person.name.clone(), address: person.address.clone() };
        let item = Item {
            ids: self.dice.ids(),
            owner,
            uid: self.dice.meeting_uid(),
            organizer,
            is_organizer: true,
            version: 0,
            created: now,
            modified: now,
            facts,
            categories,
            properties,
            date_ids: Default::default(),
            cancelled: false,
            deleted: false,
        };
        self.items.push(item);
        let index = self.items.len() - 1;
        self.name_dates(index);
        self.touch(now, index, KindOfChange::Created);
        let before = Facts { attendees: Vec::new(), draft: true, ..self.items[index].facts.clone() };
        self.send(now, index, &before);
        Ok(index)
    }

    /// Changes an item as its owner would. The organizer's change reaches the attendees, an attendee's only himself.
    pub(crate) fn change(&mut self, now: DateTime<Utc>, index: usize, change: Change) -> Result<(), Refusal> {
        let before = self.items[index].facts.clone();
        let item = &mut self.items[index];
        change.apply(&mut item.facts, &mut item.categories, &mut item.properties)?;
        if rescheduled(&before, &item.facts) {
            item.facts.moved.clear();
            item.facts.dropped.clear();
            self.name_dates(index);
        }
        let item = &mut self.items[index];
        if time_changed(&before, &item.facts) {
            item.facts.sequence = before.sequence + 1;
        }
        self.touch(now, index, KindOfChange::Updated);
        if self.items[index].is_organizer {
            self.send(now, index, &before);
        }
        Ok(())
    }

    /// Deletes an item; the organizer's deletion cancels the meeting for everybody who has it.
    pub(crate) fn delete(&mut self, now: DateTime<Utc>, index: usize) {
        self.items[index].deleted = true;
        self.touch(now, index, KindOfChange::Deleted);
        let item = &self.items[index];
        if !item.is_organizer || item.facts.draft {
            return;
        }
        let attendees: Vec<_> = item.facts.attendees.iter().map(|attendee| attendee.who.address.clone()).collect();
        for address in attendees {
            self.uninvite(now, index, &address);
        }
    }

    /// Does what Exchange does when a meeting is sent: copies for those of the house, mails for those concerned.
    fn send(&mut self, now: DateTime<Utc>, index: usize, before: &Facts) {
        let facts = self.items[index].facts.clone();
        if facts.draft {
            return;
        }
        let was_in =
            |address: &str| !before.draft && before.attendees.iter().any(|one| same(&one.who.address, address));
        for attendee in &before.attendees {
            if !before.draft && !facts.attendees.iter().any(|one| same(&one.who.address, &attendee.who.address)) {
                self.uninvite(now, index, &attendee.who.address);
            }
        }
        let told = told_everybody(before, &facts);
        for attendee in &facts.attendees {
            let address = &attendee.who.address;
            let known = was_in(address);
            if !known || told {
                let kind = if known { "update" } else { "invitation" };
                let separate = if known { facts.moved.len() } else { 0 };
                (0..=separate).for_each(|_| self.mail(now, index, address, kind));
            }
            if !known || told || before.attendees != facts.attendees {
                self.copy_to(now, index, address);
            }
        }
    }

    fn copy_to(&mut self, now: DateTime<Utc>, index: usize, address: &str) {
        let Some(owner) = self.user(address).filter(|owner| *owner != self.items[index].owner) else { return };
        let original = &self.items[index];
        let mut facts = original.facts.clone();
        if facts.hide_attendees {
            facts.attendees.retain(|attendee| same(&attendee.who.address, address));
        }
        let existing =
            self.items.iter().position(|item| item.owner == owner && item.uid == original.uid && !item.deleted);
        if let Some(copy) = existing {
            let anew = rescheduled(&self.items[copy].facts, &facts);
            self.items[copy].facts = facts;
            self.items[copy].cancelled = false;
            if anew {
                self.name_dates(copy);
            }
            self.touch(now, copy, KindOfChange::Updated);
            return;
        }
        let copy = Item {
            owner,
            is_organizer: false,
            facts,
            created: now,
            categories: Vec::new(),
            properties: Default::default(),
            date_ids: Default::default(),
            ids: Ids { default: String::new(), immutable: String::new() },
            ..original.clone()
        };
        self.items.push(copy);
        let copy = self.items.len() - 1;
        self.items[copy].ids = self.dice.ids();
        self.name_dates(copy);
        self.touch(now, copy, KindOfChange::Created);
    }

    /// Tells one attendee that the meeting is off for him; his copy stays, cancelled, until he removes it.
    fn uninvite(&mut self, now: DateTime<Utc>, index: usize, address: &str) {
        self.mail(now, index, address, "cancellation");
        let uid = self.items[index].uid.clone();
        let Some(owner) = self.user(address) else { return };
        let copy = self.items.iter().position(|item| item.owner == owner && item.uid == uid && !item.is_organizer);
        if let Some(copy) = copy.filter(|copy| !self.items[*copy].deleted) {
            let item = &mut self.items[copy];
            item.cancelled = true;
            if !item.facts.subject.starts_with("Canceled: ") {
                item.facts.subject.insert_str(0, "Canceled: ");
            }
            self.touch(now, copy, KindOfChange::Updated);
        }
    }

    fn mail(&mut self, now: DateTime<Utc>, index: usize, to: &str, kind: &'static str) {
        let item = &self.items[index];
        let (uid, subject) = (item.uid.clone(), item.facts.subject.clone());
        self.journal.mail(Mail { at: now, to: to.to_lowercase(), kind, uid, subject });
    }

    /// Gives every date of a series an id; a rescheduled series gets new ones (D4).
    fn name_dates(&mut self, index: usize) {
        let dates = self.items[index].facts.series_dates();
        let named = dates.into_iter().map(|date| (date, self.dice.ids())).collect();
        self.items[index].date_ids = named;
    }

    /// Raises the change key (R3) and notifies whoever subscribed to the mailbox.
    fn touch(&mut self, now: DateTime<Utc>, index: usize, kind: KindOfChange) {
        self.changes += 1;
        self.items[index].version = self.changes;
        self.items[index].modified = now;
        self.notify(now, index, kind);
    }
}

/// Whether two addresses are one.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Whether the whole series was planned anew, so that moved and cancelled dates are forgotten.
fn rescheduled(before: &Facts, after: &Facts) -> bool {
    let time = |facts: &Facts| (facts.start, facts.end, facts.zone);
    before.recurrence != after.recurrence || (after.recurrence.is_some() && time(before) != time(after))
}

fn time_changed(before: &Facts, after: &Facts) -> bool {
    let time = |facts: &Facts| (facts.start, facts.end, facts.zone, facts.all_day);
    time(before) != time(after)
        || before.recurrence != after.recurrence
        || before.moved != after.moved
        || before.dropped != after.dropped
}

/// Whether a change is one that Exchange mails to all attendees (W3).
fn told_everybody(before: &Facts, after: &Facts) -> bool {
    before.draft
        || time_changed(before, after)
        || before.subject != after.subject
        || before.body_html != after.body_html
        || before.location != after.location
}
