//! The mixer's own durable copy of every booking that was handed over.
//!
//! It serves calls when the connector is down. What was acknowledged is in the store; PINs are sealed there. Revisions
//! decide what is taken: an older one never replaces a newer one, and a deleted booking leaves a tombstone, so that a
//! hand-off that was on its way does not bring it back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_booking::{BookingId, HandedOver, HandedPin, HandedPins, SealError, SealKey};
use dialroom_host::{Batch, OsRandom, Store, StoreError};
use rand_core::RngCore;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

/// Bookings and tombstones together: a company of ten thousand with ten meetings each. More is a mistake, and refused.
const MAX_HELD: usize = 200_000;
/// How long a tombstone stands, and a booking after its last window closed.
const KEPT_DAYS: i64 = 30;
/// First byte of a stored booking; another one was written by a program that we do not understand.
const FORMAT: u8 = 1;

const BOOKINGS: &str = "bookings";
const TOMBSTONES: &str = "tombstones";

/// Every booking held; cheap to clone.
#[derive(Clone)]
pub(crate) struct Schedule(Arc<Inner>);

struct Inner {
    store: Store,
    seal: SealKey,
    held: RwLock<Held>,
    /// One change at a time: compare, make durable, remember, tell.
    changing: Mutex<mpsc::Sender<Change>>,
}

#[derive(Default)]
struct Held {
    bookings: BTreeMap<BookingId, Arc<HandedOver>>,
    tombstones: BTreeMap<BookingId, Tombstone>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Tombstone {
    revision: u64,
    deleted: DateTime<Utc>,
}

/// What the focus must learn; durable already.
#[derive(Debug)]
pub(crate) enum Change {
    /// A booking, new or in a newer revision.
    Held(Arc<HandedOver>),
    /// A booking is gone.
    Withdrawn(BookingId),
}

impl Schedule {
    /// Reads the schedule from the store. What cannot be read is left there, named in the list, and not held: the
    /// connector hands it over again when it compares. Later changes go to `changes`, in order.
    ///
    /// # Errors
    /// When the store itself cannot be read.
    pub(crate) fn load(
        store: Store,
        seal: SealKey,
        changes: mpsc::Sender<Change>,
    ) -> Result<(Self, Vec<Unreadable>), StoreError> {
        let (mut held, mut unreadable) = (Held::default(), Vec::new());
        for entry in store.scan(BOOKINGS, b"") {
            let (key, value) = entry?;
            match read_booking(&seal, &value) {
                Ok(booking) => drop(held.bookings.insert(booking.id.clone(), Arc::new(booking))),
                Err(why) => unreadable.push(Unreadable { key: String::from_utf8_lossy(&key).into_owned(), why }),
            }
        }
        for entry in store.scan(TOMBSTONES, b"") {
            let (key, value) = entry?;
            let key = String::from_utf8_lossy(&key).into_owned();
            match (BookingId::parse(&key), serde_json::from_slice(&value)) {
                (Ok(id), Ok(tombstone)) => drop(held.tombstones.insert(id, tombstone)),
                (_, _) => unreadable.push(Unreadable { key, why: ReadError::Shape }),
            }
        }
        let inner = Inner { store, seal, held: RwLock::new(held), changing: Mutex::new(changes) };
        Ok((Self(Arc::new(inner)), unreadable))
    }

    /// Takes a booking, and returns once it is durable and the focus was told. A repeat changes nothing.
    ///
    /// # Errors
    /// When its revision does not follow, or it could not be kept.
    pub(crate) async fn put(&self, booking: HandedOver) -> Result<(), NotTaken> {
        let this = self.clone();
        finish(async move { this.put_now(booking).await }).await
    }

    /// Takes a booking back at this revision and leaves a tombstone. A repeat changes nothing.
    ///
    /// # Errors
    /// When a newer revision is held, or it could not be kept.
    pub(crate) async fn delete(&self, id: BookingId, revision: u64, now: DateTime<Utc>) -> Result<(), NotTaken> {
        let this = self.clone();
        finish(async move { this.delete_now(id, revision, now).await }).await
    }

    /// Removes what is past keeping: bookings whose last window closed, and tombstones, more than 30 days ago. Gives how
    /// many.
    ///
    /// # Errors
    /// When the store does not take it; nothing is removed then.
    pub(crate) async fn forget_old(&self, now: DateTime<Utc>) -> Result<usize, NotTaken> {
        let this = self.clone();
        finish(async move { this.forget_old_now(now).await }).await
    }

    /// One booking.
    pub(crate) fn booking(&self, id: &BookingId) -> Option<Arc<HandedOver>> {
        self.held().bookings.get(id).cloned()
    }

    /// Every booking, in order of ids.
    pub(crate) fn bookings(&self) -> Vec<Arc<HandedOver>> {
        self.held().bookings.values().cloned().collect()
    }

    /// How many bookings there are.
    pub(crate) fn count(&self) -> usize {
        self.held().bookings.len()
    }

    /// Whether changes can be kept.
    pub(crate) fn is_sound(&self) -> bool {
        self.0.store.is_sound()
    }

    async fn put_now(&self, booking: HandedOver) -> Result<(), NotTaken> {
        let changes = self.0.changing.lock().await;
        let id = booking.id.clone();
        {
            let held = self.held();
            match held.judge(&booking)? {
                Judgement::Same => return Ok(()),
                Judgement::New if held.count() >= MAX_HELD => return Err(NotTaken::Full),
                Judgement::New | Judgement::Newer => {}
            }
        }
        let mut batch = Batch::default();
        batch.put(BOOKINGS, id.as_str(), write_booking(&self.0.seal, &booking)?);
        batch.remove(TOMBSTONES, id.as_str());
        self.0.store.commit(batch).await?;
        let booking = Arc::new(booking);
        {
            let mut held = self.held_mut();
            held.tombstones.remove(&id);
            held.bookings.insert(id, Arc::clone(&booking));
        }
        tell(&changes, Change::Held(booking)).await;
        Ok(())
    }

    async fn delete_now(&self, id: BookingId, revision: u64, now: DateTime<Utc>) -> Result<(), NotTaken> {
        let changes = self.0.changing.lock().await;
        {
            let held = self.held();
            match (held.bookings.get(&id), held.tombstones.get(&id)) {
                (Some(booking), _) if revision < booking.revision => return Err(NotTaken::Older(booking.revision)),
                (Some(_), _) => {}
                (None, Some(tombstone)) if revision <= tombstone.revision => return Ok(()),
                (None, Some(_)) => {}
                (None, None) if held.count() >= MAX_HELD => return Err(NotTaken::Full),
                // Unknown, yet its hand-off may still be on the way: the tombstone keeps it out.
                (None, None) => {}
            }
        }
        let tombstone = Tombstone { revision, deleted: now };
        let mut batch = Batch::default();
        batch.remove(BOOKINGS, id.as_str());
        batch.put(TOMBSTONES, id.as_str(), serde_json::to_vec(&tombstone).map_err(|_| NotTaken::Unwritable)?);
        self.0.store.commit(batch).await?;
        let withdrawn = {
            let mut held = self.held_mut();
            held.tombstones.insert(id.clone(), tombstone);
            held.bookings.remove(&id).is_some()
        };
        if withdrawn {
            tell(&changes, Change::Withdrawn(id)).await;
        }
        Ok(())
    }

    async fn forget_old_now(&self, now: DateTime<Utc>) -> Result<usize, NotTaken> {
        let changes = self.0.changing.lock().await;
        let before = now - TimeDelta::days(KEPT_DAYS);
        let (bookings, tombstones) = self.held().older_than(before);
        let mut batch = Batch::default();
        bookings.iter().for_each(|id| batch.remove(BOOKINGS, id.as_str()));
        tombstones.iter().for_each(|id| batch.remove(TOMBSTONES, id.as_str()));
        let count = bookings.len() + tombstones.len();
        if count == 0 {
            return Ok(0);
        }
        self.0.store.commit(batch).await?;
        {
            let mut held = self.held_mut();
            bookings.iter().for_each(|id| drop(held.bookings.remove(id)));
            held.tombstones.retain(|id, _| !tombstones.contains(id));
        }
        for id in bookings {
            tell(&changes, Change::Withdrawn(id)).await;
        }
        Ok(count)
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        self.0.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn held_mut(&self) -> RwLockWriteGuard<'_, Held> {
        self.0.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a change to its end even when whoever asked hangs up: between store and memory there is no way back.
async fn finish<T: Send + 'static>(
    change: impl Future<Output = Result<T, NotTaken>> + Send + 'static,
) -> Result<T, NotTaken> {
    tokio::spawn(change).await.unwrap_or(Err(NotTaken::Store(StoreError::Stopped)))
}

/// A closed channel means that the program ends; the change is durable and is read at the next start.
async fn tell(changes: &mpsc::Sender<Change>, change: Change) {
    drop(changes.send(change).await);
}

enum Judgement {
    New,
    Newer,
    Same,
}

impl Held {
    fn count(&self) -> usize {
        self.bookings.len() + self.tombstones.len()
    }

    fn judge(&self, booking: &HandedOver) -> Result<Judgement, NotTaken> {
        if let Some(tombstone) = self.tombstones.get(&booking.id) {
            let risen = booking.revision > tombstone.revision;
            return if risen { Ok(Judgement::Newer) } else { Err(NotTaken::Deleted(tombstone.revision)) };
        }
        let Some(held) = self.bookings.get(&booking.id) else { return Ok(Judgement::New) };
        match booking.revision.cmp(&held.revision) {
            std::cmp::Ordering::Less => Err(NotTaken::Older(held.revision)),
            std::cmp::Ordering::Equal if **held == *booking => Ok(Judgement::Same),
            std::cmp::Ordering::Equal => Err(NotTaken::Differs(held.revision)),
            std::cmp::Ordering::Greater => Ok(Judgement::Newer),
        }
    }

    fn older_than(&self, before: DateTime<Utc>) -> (Vec<BookingId>, Vec<BookingId>) {
        let past = |booking: &HandedOver| booking.last_closes().is_some_and(|closes| closes < before);
        let bookings = self.bookings.iter().filter(|(_, booking)| past(booking)).map(|(id, _)| id.clone());
        let tombstones = self.tombstones.iter().filter(|(_, grave)| grave.deleted < before).map(|(id, _)| id.clone());
        (bookings.collect(), tombstones.collect())
    }
}

/// A booking as stored: without its PINs, and beside it the PINs sealed.
#[derive(Serialize, Deserialize)]
struct Stored {
    booking: HandedOver,
    participant: Option<Vec<u8>>,
    moderator: Option<Vec<u8>>,
}

fn write_booking(seal: &SealKey, booking: &HandedOver) -> Result<Vec<u8>, NotTaken> {
    let sealed = |pin: &Option<HandedPin>| {
        pin.as_ref().map(|pin| {
            let mut nonce = [0; SealKey::NONCE_LEN];
            OsRandom.fill_bytes(&mut nonce);
            seal.seal(&booking.id, &pin.0, nonce)
        })
    };
    let stored = Stored {
        participant: sealed(&booking.pins.participant),
        moderator: sealed(&booking.pins.moderator),
        booking: HandedOver { pins: HandedPins { participant: None, moderator: None }, ..booking.clone() },
    };
    let mut value = vec![FORMAT];
    serde_json::to_writer(&mut value, &stored).map_err(|_| NotTaken::Unwritable)?;
    Ok(value)
}

fn read_booking(seal: &SealKey, value: &[u8]) -> Result<HandedOver, ReadError> {
    let (&FORMAT, text) = value.split_first().ok_or(ReadError::Shape)? else { return Err(ReadError::Format) };
    let Stored { mut booking, participant, moderator } = serde_json::from_slice(text).map_err(|_| ReadError::Shape)?;
    let open = |sealed: Option<Vec<u8>>| {
        sealed.map(|sealed| seal.open(&booking.id, &sealed).map(HandedPin)).transpose().map_err(ReadError::Seal)
    };
    booking.pins = HandedPins { participant: open(participant)?, moderator: open(moderator)? };
    Ok(booking)
}

/// Why a change was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    /// Its revision is older than the one held.
    #[error("revision {0} is held, which is newer")]
    Older(u64),
    /// Its revision is held with another content: two connectors, or a counter that was restored from a backup.
    #[error("revision {0} is held with another content; hand over a higher revision")]
    Differs(u64),
    /// It was deleted at this or a later revision.
    #[error("deleted at revision {0}; hand over a higher revision to bring it back")]
    Deleted(u64),
    /// Too many are held.
    #[error("{MAX_HELD} bookings and tombstones are held, the most there may be")]
    Full,
    /// It cannot be written down.
    #[error("the booking cannot be written down")]
    Unwritable,
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A stored entry that was left alone.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// Its key: a booking's id.
    pub(crate) key: String,
    why: ReadError,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.why)
    }
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("written by another version of Dialroom")]
    Format,
    #[error("damaged")]
    Shape,
    #[error(transparent)]
    Seal(SealError),
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({} bookings)", self.count())
    }
}
