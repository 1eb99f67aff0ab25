//! Which rooms are mixed at 16 kHz as well: those with somebody in them who hears it, and only so long.

use super::{Bridge, RoomKey};
use crate::Codec;

impl Bridge {
    /// Somebody in this room hears in this codec from here on.
    pub(super) fn expect(&mut self, room: Option<(RoomKey, usize)>, codec: Codec) {
        let Some((_, slot)) = room else { return };
        if let Some(room) = &mut self.rooms[slot] {
            room.expect(codec);
        }
        self.narrow(slot);
    }

    /// Somebody left this room, or hears in another codec: whether anybody is left who hears wideband.
    pub(super) fn narrow(&mut self, room_slot: usize) {
        let Some(room) = self.rooms[room_slot].as_mut().filter(|room| room.wide.is_some()) else { return };
        let is_wide = |&slot: &usize| self.streams[slot].as_ref().is_some_and(|stream| stream.wide.is_some());
        if !room.members.iter().any(is_wide) {
            room.narrow();
        }
    }
}
