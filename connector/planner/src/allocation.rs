//! Choosing a room number: at random among those free in every window, so that yesterday's number says nothing about
//! tomorrow's, and a freed number is not the next one given away.

use chrono::{DateTime, Utc};
use dialroom_booking::{BookingId, DialInWindow, RoomNumber, RoomRanges};
use rand_core::RngCore;
use serde::{Deserialize, Serialize};

use crate::{Block, Ledger};

/// Random tries before all numbers are looked through: finds one in a range that is 95 % taken in all but two cases of a
/// million, at a microsecond a try.
const TRIES: usize = 256;

/// A room number that is free in all `blocks`; each such number is equally likely.
///
/// `window` is the one to name in the error: the first of the booking.
///
/// # Errors
/// When every number of `ranges` is taken in one of the blocks.
pub fn choose_room(
    ledger: &Ledger,
    ranges: &RoomRanges,
    blocks: &[Block],
    except: &BookingId,
    window: &DialInWindow,
    rng: &mut impl RngCore,
) -> Result<RoomNumber, AllRoomsTaken> {
    let free = |room: &RoomNumber| ledger.is_free(*room, blocks, Some(except));
    let drawn = (0..TRIES).find_map(|_| ranges.nth(uniform_below(rng, ranges.count())).filter(free));
    drawn.or_else(|| choose_among(ranges.iter().filter(free), rng)).ok_or_else(|| AllRoomsTaken {
        ranges: ranges.to_string(),
        opens: window.opens(),
        closes: window.closes(),
        windows: blocks.len(),
    })
}

/// One of many, each equally likely, without keeping them (reservoir sampling).
fn choose_among(rooms: impl Iterator<Item = RoomNumber>, rng: &mut impl RngCore) -> Option<RoomNumber> {
    let mut chosen = None;
    for (index, room) in rooms.enumerate() {
        if uniform_below(rng, index + 1) == 0 {
            chosen = Some(room);
        }
    }
    chosen
}

/// A number in `[0, bound)`, each equally likely: what does not divide evenly is drawn again. 0 for a bound of 0.
pub(crate) fn uniform_below(rng: &mut impl RngCore, bound: usize) -> usize {
    let bound = bound as u64;
    if bound == 0 {
        return 0;
    }
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let drawn = rng.next_u64();
        if drawn < fair {
            #[expect(clippy::cast_possible_truncation, reason = "below bound, which was a usize")]
            return (drawn % bound) as usize;
        }
    }
}

/// No number is free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("room numbers {ranges} are all taken {}; widen rooms.booked or shorten rooms.guard_minutes", self.when())]
pub struct AllRoomsTaken {
    /// `rooms.booked`.
    pub ranges: String,
    /// When the line of the first date would open.
    pub opens: DateTime<Utc>,
    /// When it would close.
    pub closes: DateTime<Utc>,
    /// How many stretches of time had to be free together.
    pub windows: usize,
}

impl AllRoomsTaken {
    fn when(&self) -> String {
        let (opens, closes) = (self.opens.format("%-d %B %Y %H:%M"), self.closes.format("%H:%M"));
        match self.windows {
            0 | 1 => format!("on {opens}-{closes} UTC"),
            dates => format!("in at least one of {dates} windows from {opens} UTC on"),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::Hold;

    fn window() -> DialInWindow {
        let start = "2026-05-03T14:10:00Z".parse().unwrap();
        DialInWindow::new(start, start + TimeDelta::minutes(35), TimeDelta::minutes(10), TimeDelta::minutes(15))
            .unwrap()
    }

    fn id(name: &str) -> BookingId {
        BookingId::parse(name).unwrap()
    }

    #[test]
    fn every_free_number_is_equally_likely() {
        let (ledger, ranges) = (Ledger::default(), RoomRanges::parse("100-109").unwrap());
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut count = [0_i32; 10];
        for _ in 0..10_000 {
            let room = choose_room(&ledger, &ranges, &[], &id("a"), &window(), &mut rng).unwrap();
            count[room.value() as usize - 100] += 1;
        }
        assert!(count.iter().all(|hits| (hits - 1000).abs() < 150), "{count:?}");
    }

    #[test]
    fn the_last_free_number_is_found_and_then_none_is() {
        let ranges = RoomRanges::parse("1000-7999").unwrap();
        let block = [Block::new(&window(), TimeDelta::minutes(5))];
        let taken = |room: RoomNumber| Hold::new(room, id(&format!("b{room}")), &block, &[]);
        let mut ledger = Ledger::from_holds(ranges.iter().filter(|room| room.value() != 4711).map(taken));
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let room = choose_room(&ledger, &ranges, &block, &id("a"), &window(), &mut rng).unwrap();
        assert_eq!(room.value(), 4711);
        ledger.set(&Hold::new(room, id("a"), &block, &[]));
        let error = choose_room(&ledger, &ranges, &block, &id("b"), &window(), &mut rng).unwrap_err();
        let told = "room numbers 1000-7999 are all taken on 3 May 2026 14:00-15:00 UTC; \
                    widen rooms.booked or shorten rooms.guard_minutes";
        assert_eq!(error.to_string(), told);
    }

    #[test]
    fn a_draw_stays_below_its_bound() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        assert!((1..500).all(|bound| uniform_below(&mut rng, bound) < bound));
    }
}
