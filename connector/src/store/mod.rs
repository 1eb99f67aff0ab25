//! What the connector keeps, and under which keys.
//!
//! Every value is JSON with a version in front where it may change its shape. PINs are sealed before they come here; the
//! rest of a booking names people and is protected as the data folder is. Writing goes through [`Batch`]es alone: a
//! booking, its holds and all that follows from it become durable together or not at all.

mod booking;
mod rows;

use connector_planner::Hold;
use dialroom_booking::{Booking, BookingId, EmailAddress, Origin, SealKey};
use dialroom_host::{Batch, Store, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::rows::{CallsMark, EntryTrace, GivenUp, MailKey, MailRow, MailSent, RefusedEntry, SyncState};
use crate::source::graph::Subscription;

/// booking id → the booking.
const BOOKINGS: &str = "bookings";
/// room, booking id → what it blocks.
const HOLDS: &str = "holds";
/// place of an entry → what was decided about it last, and why.
const ENTRIES: &str = "entries";
/// mailbox → where its last committed round ended.
const SYNC: &str = "sync";
/// mailbox → its subscription.
const SUBSCRIPTIONS: &str = "subscriptions";
/// mail key → a letter not yet accepted.
const MAILS: &str = "mails";
/// mail key → a letter that was.
const MAILS_SENT: &str = "mails-sent";
/// instant, mail key → a letter that nobody took; the last ones.
const MAILS_GIVEN_UP: &str = "mails-given-up";
/// Letters given up that an administrator is shown; the oldest go first.
const MAX_GIVEN_UP: usize = 100;
/// booking id, revision → the booking as it was then, while letters about it wait.
const MAIL_BOOKINGS: &str = "mail-bookings";
/// booking id, revision → the mixer must be told.
const HAND_OFFS: &str = "hand-offs";
/// our number → a call record.
const CALLS: &str = "calls";
/// where we stand with the mixer's records.
const MARKS: &str = "marks";
const CALLS_MARK: &str = "calls";

/// The connector's store; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Keep {
    store: Store,
    seal: std::sync::Arc<SealKey>,
}

/// Why something kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A value that this version cannot read.
    #[error("the store's {tree} {key:?} cannot be read: {why}")]
    Unreadable {
        /// Which tree.
        tree: &'static str,
        /// Which key, made printable.
        key: String,
        /// Why.
        why: String,
    },
}

impl Keep {
    /// Over this store, with this key for PINs.
    pub(crate) fn new(store: Store, seal: SealKey) -> Self {
        Self { store, seal: std::sync::Arc::new(seal) }
    }

    /// Makes it durable.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<(), KeepError> {
        Ok(self.store.commit(batch).await?)
    }

    /// Whether it still takes changes.
    pub(crate) fn is_sound(&self) -> bool {
        self.store.is_sound()
    }

    /// Every booking.
    pub(crate) fn bookings(&self) -> Result<Vec<Booking>, KeepError> {
        self.all(BOOKINGS, b"")?.into_iter().map(|(key, value)| self.open(BOOKINGS, &key, &value)).collect()
    }

    /// Keeps a booking in its present state.
    pub(crate) fn put_booking(&self, batch: &mut Batch, booking: &Booking) {
        batch.put(BOOKINGS, booking.id.as_str(), booking::seal(booking, &self.seal));
    }

    /// Keeps a booking as letters about this revision must tell it.
    pub(crate) fn put_mail_booking(&self, batch: &mut Batch, booking: &Booking) {
        batch.put(MAIL_BOOKINGS, revision_key(&booking.id, booking.revision), booking::seal(booking, &self.seal));
    }

    /// The booking as it was in this revision.
    pub(crate) fn mail_booking(&self, id: &BookingId, revision: u64) -> Result<Option<Booking>, KeepError> {
        let key = revision_key(id, revision);
        self.store.get(MAIL_BOOKINGS, &key)?.map(|value| self.open(MAIL_BOOKINGS, &key, &value)).transpose()
    }

    fn open(&self, tree: &'static str, key: &[u8], value: &[u8]) -> Result<Booking, KeepError> {
        booking::open(value, &self.seal).map_err(|why| unreadable(tree, key, why))
    }

    /// Every hold, for the ledger.
    pub(crate) fn holds(&self) -> Result<Vec<Hold>, KeepError> {
        self.read_all(HOLDS, b"")
    }

    /// What was decided about the entry in this place.
    pub(crate) fn entry(&self, origin: &Origin) -> Result<Option<EntryTrace>, KeepError> {
        self.read(ENTRIES, entry_key(origin).as_bytes())
    }

    /// Where a mailbox' last round ended.
    pub(crate) fn sync(&self, mailbox: &EmailAddress) -> Result<Option<SyncState>, KeepError> {
        self.read(SYNC, mailbox.as_str().as_bytes())
    }

    /// A mailbox' subscription.
    pub(crate) fn subscription(&self, mailbox: &EmailAddress) -> Result<Option<Subscription>, KeepError> {
        self.read(SUBSCRIPTIONS, mailbox.as_str().as_bytes())
    }

    /// Letters not yet accepted, oldest revision of a booking first.
    pub(crate) fn mails(&self) -> Result<Vec<MailRow>, KeepError> {
        self.read_all(MAILS, b"")
    }

    /// Whether this letter was accepted, and when.
    pub(crate) fn mail_sent(&self, key: &MailKey) -> Result<Option<MailSent>, KeepError> {
        self.read(MAILS_SENT, &key.bytes())
    }

    /// Letters that nobody took, the oldest first.
    pub(crate) fn given_up(&self) -> Result<Vec<GivenUp>, KeepError> {
        self.read_all(MAILS_GIVEN_UP, b"")
    }

    /// Keeps a letter that nobody took, and forgets the oldest beyond the bound.
    pub(crate) fn put_given_up(&self, batch: &mut Batch, key: &MailKey, mail: &GivenUp) -> Result<(), KeepError> {
        let held = self.all(MAILS_GIVEN_UP, b"")?;
        let beyond = (held.len() + 1).saturating_sub(MAX_GIVEN_UP);
        held.into_iter().take(beyond).for_each(|(oldest, _)| batch.remove(MAILS_GIVEN_UP, oldest));
        let at = mail.at.timestamp_millis().to_be_bytes();
        batch.put(MAILS_GIVEN_UP, [at.as_slice(), &key.bytes()].concat(), json(mail));
        Ok(())
    }

    /// Whether letters about this revision still wait.
    pub(crate) fn mails_wait(&self, booking: &BookingId, revision: u64) -> bool {
        self.store.scan(MAILS, &revision_key(booking, revision)).next().is_some()
    }

    /// Hand-offs that wait, each booking's oldest revision first.
    pub(crate) fn hand_offs(&self) -> Result<Vec<(BookingId, u64)>, KeepError> {
        self.all(HAND_OFFS, b"")?.into_iter().map(|(key, _)| read_revision_key(&key)).collect()
    }

    /// Call records behind our number `after`.
    pub(crate) fn calls(&self, after: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, KeepError> {
        let found = self.store.scan_from(CALLS, &after.to_be_bytes(), limit)?;
        let number = |key: &[u8]| <[u8; 8]>::try_from(key).map(u64::from_be_bytes).unwrap_or_default();
        Ok(found.into_iter().map(|(key, value)| (number(&key), value)).collect())
    }

    /// How far call records were fetched.
    pub(crate) fn calls_mark(&self) -> Result<CallsMark, KeepError> {
        Ok(self.read(MARKS, CALLS_MARK.as_bytes())?.unwrap_or_default())
    }

    fn read<T: DeserializeOwned>(&self, tree: &'static str, key: &[u8]) -> Result<Option<T>, KeepError> {
        let value = self.store.get(tree, key)?;
        value.map(|value| parse(tree, key, &value)).transpose()
    }

    fn read_all<T: DeserializeOwned>(&self, tree: &'static str, prefix: &[u8]) -> Result<Vec<T>, KeepError> {
        self.all(tree, prefix)?.iter().map(|(key, value)| parse(tree, key, value)).collect()
    }

    fn all(&self, tree: &'static str, prefix: &[u8]) -> Result<Vec<dialroom_host::Entry>, KeepError> {
        Ok(self.store.scan(tree, prefix).collect::<Result<_, _>>()?)
    }
}

/// Keeps a hold; an empty one is forgotten.
pub(crate) fn put_hold(batch: &mut Batch, hold: &Hold) {
    let key = hold_key(&hold.room.to_string(), &hold.booking);
    if hold.blocks.is_empty() {
        batch.remove(HOLDS, key);
    } else {
        batch.put(HOLDS, key, json(hold));
    }
}

/// Forgets a hold of which nothing is left.
pub(crate) fn remove_hold(batch: &mut Batch, room: dialroom_booking::RoomNumber, booking: &BookingId) {
    batch.remove(HOLDS, hold_key(&room.to_string(), booking));
}

/// Keeps what was decided about an entry.
pub(crate) fn put_entry(batch: &mut Batch, origin: &Origin, trace: &EntryTrace) {
    batch.put(ENTRIES, entry_key(origin), json(trace));
}

/// Keeps where a mailbox' round ended.
pub(crate) fn put_sync(batch: &mut Batch, mailbox: &EmailAddress, state: &SyncState) {
    batch.put(SYNC, mailbox.as_str(), json(state));
}

/// Keeps a mailbox' subscription.
pub(crate) fn put_subscription(batch: &mut Batch, mailbox: &EmailAddress, subscription: &Subscription) {
    batch.put(SUBSCRIPTIONS, mailbox.as_str(), json(subscription));
}

/// Keeps a letter to be sent.
pub(crate) fn put_mail(batch: &mut Batch, row: &MailRow) {
    batch.put(MAILS, row.key.bytes(), json(row));
}

/// A letter was accepted, or given up.
pub(crate) fn mail_done(batch: &mut Batch, key: &MailKey, sent: &MailSent) {
    batch.remove(MAILS, key.bytes());
    batch.put(MAILS_SENT, key.bytes(), json(sent));
}

/// No letter about this revision waits any more.
pub(crate) fn remove_mail_booking(batch: &mut Batch, booking: &BookingId, revision: u64) {
    batch.remove(MAIL_BOOKINGS, revision_key(booking, revision));
}

/// The mixer must be told of this revision.
pub(crate) fn put_hand_off(batch: &mut Batch, booking: &BookingId, revision: u64) {
    batch.put(HAND_OFFS, revision_key(booking, revision), "1");
}

/// The mixer knows.
pub(crate) fn hand_off_done(batch: &mut Batch, booking: &BookingId, revision: u64) {
    batch.remove(HAND_OFFS, revision_key(booking, revision));
}

/// Keeps a call record under our number.
pub(crate) fn put_call(batch: &mut Batch, ours: u64, record: &[u8]) {
    batch.put(CALLS, ours.to_be_bytes(), record);
}

/// Keeps how far records were fetched.
pub(crate) fn put_calls_mark(batch: &mut Batch, mark: CallsMark) {
    batch.put(MARKS, CALLS_MARK, json(&mark));
}

#[expect(clippy::expect_used, reason = "our own types of strings, numbers and lists always have a JSON form")]
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON into memory")
}

fn parse<T: DeserializeOwned>(tree: &'static str, key: &[u8], value: &[u8]) -> Result<T, KeepError> {
    serde_json::from_slice(value).map_err(|error| unreadable(tree, key, error.to_string()))
}

fn unreadable(tree: &'static str, key: &[u8], why: String) -> KeepError {
    KeepError::Unreadable { tree, key: String::from_utf8_lossy(key).into_owned(), why }
}

fn hold_key(room: &str, booking: &BookingId) -> String {
    format!("{room}/{booking}")
}

/// Ids hold no `/`; event ids may, but stand last.
fn entry_key(origin: &Origin) -> String {
    match origin {
        Origin::Graph { mailbox, event } => format!("graph/{mailbox}/{event}"),
        Origin::Dialroom => "dialroom".to_owned(),
    }
}

/// The id, a zero, the revision so that it sorts.
fn revision_key(booking: &BookingId, revision: u64) -> Vec<u8> {
    let mut key = booking.as_str().as_bytes().to_vec();
    key.push(0);
    key.extend_from_slice(&revision.to_be_bytes());
    key
}

fn read_revision_key(key: &[u8]) -> Result<(BookingId, u64), KeepError> {
    let read = || {
        let (id, revision) = key.split_at_checked(key.len().checked_sub(9)?)?;
        let id = BookingId::parse(std::str::from_utf8(id).ok()?).ok()?;
        Some((id, u64::from_be_bytes(revision[1..].try_into().ok()?)))
    };
    read().ok_or_else(|| unreadable(HAND_OFFS, key, "no booking id with a revision".to_owned()))
}
