//! Which packets came already (RFC 3711 section 3.3.2), and how often their sequence numbers went round (section 3.3.1).

/// Packets back that are still told apart; a later one counts as seen. More than the 64 that the standard asks for.
const WINDOW: u64 = 128;

/// What arrived of one sender, by the whole index of its packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replay {
    highest: u64,
    /// Bit n: `highest - n` came.
    seen: u128,
}

impl Replay {
    /// Of a sender whose first packet this is.
    pub(super) fn starting_at(index: u64) -> Self {
        Self { highest: index, seen: 0 }
    }

    /// The whole index of a packet with this sequence number: the one nearest to the highest so far.
    pub(super) fn index_of(&self, sequence: u16) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "the sequence number is what the index ends in")]
        let ahead = i64::from(sequence.wrapping_sub(self.highest as u16).cast_signed());
        // Before the first round there is none.
        self.highest.checked_add_signed(ahead).unwrap_or_else(|| u64::from(sequence))
    }

    /// Whether it may be new.
    pub(super) fn is_new(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(back) => back < WINDOW && self.seen >> back & 1 == 0,
        }
    }

    /// Takes note of a packet that proved genuine; whether it is the newest.
    pub(super) fn note(&mut self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => {
                let ahead = u32::try_from(index - self.highest).unwrap_or(u32::MAX);
                self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
                self.highest = index;
                true
            }
            Some(back) => {
                self.seen |= u32::try_from(back).ok().and_then(|back| 1u128.checked_shl(back)).unwrap_or(0);
                back == 0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_is_new_once_and_old_ones_never() {
        let mut replay = Replay::starting_at(1000);
        for index in [1000, 1001, 1005, 1003, 1200] {
            assert!(replay.is_new(index), "{index}");
            replay.note(index);
            assert!(!replay.is_new(index), "{index} again");
        }
        assert!(replay.is_new(1200 - 127) && !replay.is_new(1200 - 128));
    }

    #[test]
    fn sequence_numbers_that_went_round_are_counted_on_and_back() {
        let mut replay = Replay::starting_at(65_530);
        assert_eq!(replay.index_of(2), 65_538);
        replay.note(65_538);
        assert_eq!(replay.index_of(65_535), 65_535, "an overtaken one of the round before");
        assert_eq!(replay.index_of(3), 65_539);
        assert_eq!(Replay::starting_at(5).index_of(65_535), 65_535, "there is no round before the first");
    }
}
