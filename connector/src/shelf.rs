//! The bookings as they are committed, for everybody who only reads: API, hand-off, mail.
//!
//! Written by the pipeline alone, after the store has acknowledged.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use dialroom_booking::{Booking, BookingId};

/// Shared by all readers; never locked across a wait.
#[derive(Debug, Default)]
pub(crate) struct Shelf(RwLock<HashMap<BookingId, Arc<Booking>>>);

impl Shelf {
    /// A booking by its id.
    pub(crate) fn find(&self, id: &BookingId) -> Option<Arc<Booking>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// All of them, in no order.
    pub(crate) fn all(&self) -> Vec<Arc<Booking>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Puts committed bookings there.
    pub(crate) fn put(&self, bookings: impl IntoIterator<Item = Arc<Booking>>) {
        let mut shelf = self.0.write().unwrap_or_else(PoisonError::into_inner);
        shelf.extend(bookings.into_iter().map(|booking| (booking.id.clone(), booking)));
    }
}
