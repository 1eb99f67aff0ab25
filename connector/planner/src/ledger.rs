//! Which room number is taken when.
//!
//! A hold is everything one booking keeps of one room: its dial-in windows with the guard time behind each, and the
//! windows that it promised before it was moved or cancelled. Blocks only lapse; nothing is given free early, so an old
//! invitation never leads into somebody else's conference. The ledger lives in memory, rebuilt from stored holds.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_booking::{BookingId, DialInWindow, RoomNumber};
use serde::{Deserialize, Serialize};

/// Most blocks in one hold: all dates of a series, promised up to three times elsewhere. Beyond it the promises of
/// earlier moves go, never what holds now.
const MAX_BLOCKS: usize = 4 * dialroom_booking::MAX_WINDOWS;
/// The end of a block without end.
const FOREVER: i64 = i64::MAX;

/// A room is taken in `[from, until)`, in seconds since 1970; rounded outward, so that nothing slips between.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Block {
    from: i64,
    until: i64,
}

impl Block {
    /// A dial-in window with the time a number rests after it.
    #[must_use]
    pub fn new(window: &DialInWindow, guard: TimeDelta) -> Self {
        let until = window.closes().timestamp().saturating_add(guard.num_seconds());
        let rounded = i64::from(window.closes().timestamp_subsec_nanos() > 0);
        Self { from: window.opens().timestamp(), until: until.saturating_add(rounded) }
    }

    /// From here on without end: a series that ends beyond the horizon, or never.
    #[must_use]
    pub fn endless(opens: DateTime<Utc>) -> Self {
        Self { from: opens.timestamp(), until: FOREVER }
    }

    /// Whether it has no end.
    #[must_use]
    pub fn is_endless(self) -> bool {
        self.until == FOREVER
    }

    /// Whether it is over.
    #[must_use]
    pub fn has_lapsed(self, now: DateTime<Utc>) -> bool {
        self.until <= now.timestamp()
    }

    fn overlaps(self, other: Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let instant = |seconds| DateTime::from_timestamp(seconds, 0).map_or_else(|| "-".into(), |at| at.to_rfc3339());
        write!(f, "{}/{}", instant(self.from), instant(self.until))
    }
}

/// Everything one booking keeps of one room; disjoint, in order. Without blocks it means "nothing any more".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which room.
    pub room: RoomNumber,
    /// Whose.
    pub booking: BookingId,
    /// When.
    pub blocks: Vec<Block>,
}

impl Hold {
    /// What `wanted` needs, and beside it what `promised` still blocks.
    #[must_use]
    pub fn new(room: RoomNumber, booking: BookingId, wanted: &[Block], promised: &[Block]) -> Self {
        let mut blocks = joined(wanted.iter().chain(promised).copied().collect());
        if blocks.len() > MAX_BLOCKS {
            blocks = joined(wanted.to_vec());
        }
        Self { room, booking, blocks }
    }
}

/// Sorted and free of overlaps.
fn joined(mut blocks: Vec<Block>) -> Vec<Block> {
    blocks.sort_unstable();
    let mut out: Vec<Block> = Vec::with_capacity(blocks.len());
    for block in blocks {
        match out.last_mut() {
            Some(last) if block.from <= last.until => last.until = last.until.max(block.until),
            _ => out.push(block),
        }
    }
    out
}

/// All holds of all bookings.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    rooms: HashMap<RoomNumber, Vec<Entry>>,
    owners: Owners,
}

/// One block in a room's line; the line is sorted and free of overlaps.
#[derive(Clone, Copy, Debug)]
struct Entry {
    block: Block,
    owner: u32,
}

impl Ledger {
    /// The ledger of stored holds.
    #[must_use]
    pub fn from_holds(holds: impl IntoIterator<Item = Hold>) -> Self {
        let mut ledger = Self::default();
        for hold in holds {
            ledger.set(&hold);
        }
        ledger
    }

    /// Puts a hold in the place of what was known of this room and booking.
    pub fn set(&mut self, hold: &Hold) {
        let known = self.owners.find(&hold.booking);
        let line = self.rooms.entry(hold.room).or_default();
        if let Some(owner) = known {
            let before = line.len();
            line.retain(|entry| entry.owner != owner);
            self.owners.release(owner, before - line.len());
        }
        if !hold.blocks.is_empty() {
            let owner = self.owners.take(&hold.booking, hold.blocks.len());
            for &block in &hold.blocks {
                let at = line.partition_point(|entry| entry.block.from < block.from);
                line.insert(at, Entry { block, owner });
            }
        }
        if line.is_empty() {
            self.rooms.remove(&hold.room);
        }
    }

    /// Whether nobody but `except` has the room in any of these blocks, which are in order.
    #[must_use]
    pub fn is_free(&self, room: RoomNumber, blocks: &[Block], except: Option<&BookingId>) -> bool {
        let Some(line) = self.rooms.get(&room) else { return true };
        let except = except.and_then(|booking| self.owners.find(booking));
        blocks.iter().all(|block| {
            let first = line.partition_point(|entry| entry.block.until <= block.from);
            let touched = line[first..].iter().take_while(|entry| entry.block.overlaps(*block));
            touched.into_iter().all(|entry| Some(entry.owner) == except)
        })
    }

    /// What a booking keeps of a room.
    #[must_use]
    pub fn blocks(&self, room: RoomNumber, booking: &BookingId) -> Vec<Block> {
        let (Some(line), Some(owner)) = (self.rooms.get(&room), self.owners.find(booking)) else { return Vec::new() };
        line.iter().filter(|entry| entry.owner == owner).map(|entry| entry.block).collect()
    }

    /// Forgets every block that is over; gives the holds of which nothing is left, to be forgotten in the store too.
    pub fn lapse(&mut self, now: DateTime<Utc>) -> Vec<(RoomNumber, BookingId)> {
        let mut gone = Vec::new();
        let owners = &mut self.owners;
        self.rooms.retain(|room, line| {
            let lapsed: Vec<u32> =
                line.iter().filter(|entry| entry.block.has_lapsed(now)).map(|entry| entry.owner).collect();
            line.retain(|entry| !entry.block.has_lapsed(now));
            for owner in lapsed {
                let left = line.iter().any(|entry| entry.owner == owner);
                let booking = owners.release(owner, 1);
                if !left && let Some(booking) = booking {
                    gone.push((*room, booking));
                }
            }
            !line.is_empty()
        });
        gone.sort();
        gone.dedup();
        gone
    }

    /// How many blocks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rooms.values().map(Vec::len).sum()
    }

    /// Whether nothing is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.owners.is_empty()
    }
}

/// Bookings by a small number, so that a million blocks cost 24 bytes each and compare at once.
#[derive(Clone, Debug, Default)]
struct Owners {
    numbers: HashMap<BookingId, u32>,
    places: Vec<Option<(BookingId, usize)>>,
    free: Vec<u32>,
}

impl Owners {
    fn find(&self, booking: &BookingId) -> Option<u32> {
        self.numbers.get(booking).copied()
    }

    fn take(&mut self, booking: &BookingId, blocks: usize) -> u32 {
        let number = self.find(booking).unwrap_or_else(|| {
            let number = self.free.pop().unwrap_or_else(|| {
                self.places.push(None);
                u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
            });
            self.numbers.insert(booking.clone(), number);
            number
        });
        let place = &mut self.places[number as usize];
        place.get_or_insert_with(|| (booking.clone(), 0)).1 += blocks;
        number
    }

    /// Gives blocks back; the booking they belonged to.
    fn release(&mut self, number: u32, blocks: usize) -> Option<BookingId> {
        let place = self.places.get_mut(number as usize)?;
        let (booking, count) = place.as_mut()?;
        *count = count.saturating_sub(blocks);
        let (booking, left) = (booking.clone(), *count);
        if left == 0 {
            *place = None;
            self.numbers.remove(&booking);
            self.free.push(number);
        }
        Some(booking)
    }

    fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> BookingId {
        BookingId::parse(name).unwrap()
    }

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minute * 60, 0).unwrap()
    }

    fn block(opens: i64, closes: i64) -> Block {
        let window = DialInWindow::from_parts(at(opens), at(opens), at(closes), at(closes)).unwrap();
        Block::new(&window, TimeDelta::minutes(5))
    }

    fn room() -> RoomNumber {
        RoomNumber::parse("4711").unwrap()
    }

    #[test]
    fn a_number_rests_for_its_guard_time_and_not_longer() {
        let ledger = Ledger::from_holds([Hold::new(room(), id("a"), &[block(0, 30)], &[])]);
        assert!(!ledger.is_free(room(), &[block(34, 60)], None));
        assert!(ledger.is_free(room(), &[block(35, 60)], None));
        // The newcomer rests too before the one that is there opens.
        assert!(!ledger.is_free(room(), &[block(-30, -4)], None));
        assert!(ledger.is_free(room(), &[block(-30, -5)], None));
    }

    #[test]
    fn a_booking_is_not_in_its_own_way() {
        let ledger = Ledger::from_holds([Hold::new(room(), id("a"), &[block(0, 30)], &[])]);
        assert!(ledger.is_free(room(), &[block(10, 40)], Some(&id("a"))));
        assert!(!ledger.is_free(room(), &[block(10, 40)], Some(&id("b"))));
    }

    #[test]
    fn a_series_without_end_blocks_everything_after_its_start() {
        let ledger = Ledger::from_holds([Hold::new(room(), id("a"), &[Block::endless(at(0))], &[])]);
        assert!(!ledger.is_free(room(), &[block(50_000_000, 50_000_030)], None));
        assert!(ledger.is_free(room(), &[block(-60, -5)], None));
        let other = Ledger::from_holds([Hold::new(room(), id("b"), &[block(900_000, 900_030)], &[])]);
        assert!(!other.is_free(room(), &[Block::endless(at(0))], None));
    }

    #[test]
    fn what_was_promised_stays_beside_what_holds_now() {
        let hold = Hold::new(room(), id("a"), &[block(60, 90)], &[block(0, 30), block(20, 40)]);
        assert_eq!(hold.blocks, [block(0, 40), block(60, 90)]);
        let ledger = Ledger::from_holds([hold]);
        assert!(!ledger.is_free(room(), &[block(10, 20)], None));
        assert_eq!(ledger.blocks(room(), &id("a")).len(), 2);
    }

    #[test]
    fn promises_beyond_the_bound_go_first() {
        let promised: Vec<_> = (1..=5000).map(|n| block(n * 100, n * 100 + 10)).collect();
        assert_eq!(Hold::new(room(), id("a"), &[block(0, 30)], &promised).blocks, [block(0, 30)]);
    }

    #[test]
    fn after_everything_lapsed_nothing_is_left() {
        let other = RoomNumber::parse("4712").unwrap();
        let mut ledger = Ledger::from_holds([
            Hold::new(room(), id("a"), &[block(0, 30), block(100, 130)], &[]),
            Hold::new(other, id("a"), &[block(0, 30)], &[]),
            Hold::new(other, id("b"), &[block(40, 60)], &[]),
        ]);
        assert_eq!(ledger.lapse(at(35)), [(other, id("a"))]);
        assert_eq!(ledger.lapse(at(65)), [(other, id("b"))]);
        assert_eq!(ledger.lapse(at(134)), []);
        assert_eq!(ledger.lapse(at(135)), [(room(), id("a"))]);
        assert!(ledger.is_empty());
    }

    #[test]
    fn an_empty_hold_is_none() {
        let mut ledger = Ledger::from_holds([Hold::new(room(), id("a"), &[block(0, 30)], &[])]);
        ledger.set(&Hold::new(room(), id("a"), &[], &[]));
        assert!(ledger.is_empty());
    }
}
