//! When a tone begins to sound, from the level of its pitch in each packet.
//!
//! A tone that begins within a packet fills only a part of it, and its level in that packet is that part of its level
//! afterwards: so the beginning is known to a fraction of the packet, in whatever mixture of other tones.

/// Nanoseconds of sound in a packet.
const PACKET_NS: f64 = 20e6;
/// Quieter than this part of the tone's own level is silence; a beginning in the last millisecond of a packet is told as one
/// at the beginning of the next.
const SILENT_PART: f32 = 0.05;
/// Quieter than this, of full scale, is silence in any case.
const SILENT: f32 = 0.002;
/// Quieter than this is no tone of ours.
const TONE: f32 = 0.012;
/// Silent packets before a beginning counts as one.
const QUIET_PACKETS: u32 = 3;
/// Packets behind the first after which the tone has its full level.
const FULL_AFTER: u32 = 3;

/// Follows one tone in what one leg hears.
#[derive(Clone, Copy, Debug)]
pub(super) struct Onset {
    state: State,
    /// The tone's own level, once it is known.
    full: f32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing is known: packets were lost, or none has come yet.
    Unknown,
    /// Silent for so many packets.
    Quiet(u32),
    /// It began in the packet that arrived then, which it filled to this level; so many packets ago.
    Rising {
        arrival_ns: i64,
        level: f32,
        packets: u32,
    },
    Sounding,
}

impl Onset {
    pub(super) const fn new() -> Self {
        Self { state: State::Unknown, full: 0.0 }
    }

    /// A packet is missing, or none: what was heard so far leads nowhere.
    pub(super) fn interrupt(&mut self) {
        self.state = State::Unknown;
    }

    /// The level of the tone in the next packet, and when that arrived. Answers when the tone began to sound, once that is
    /// certain: some packets later.
    pub(super) fn hear(&mut self, arrival_ns: i64, level: f32) -> Option<i64> {
        let silent = level < (self.full * SILENT_PART).max(SILENT);
        let mut began = None;
        self.state = match self.state {
            State::Quiet(packets) if silent => State::Quiet(packets.saturating_add(1)),
            State::Quiet(packets) if packets >= QUIET_PACKETS => State::Rising { arrival_ns, level, packets: 0 },
            State::Rising { packets, .. } if packets + 1 == FULL_AFTER && level < TONE => State::Unknown,
            State::Rising { arrival_ns: first_ns, level: first, packets } if packets + 1 == FULL_AFTER => {
                self.full = level;
                began = Some(first_ns + offset_ns(first / level));
                State::Sounding
            }
            State::Rising { arrival_ns, level, packets } => State::Rising { arrival_ns, level, packets: packets + 1 },
            State::Unknown | State::Sounding if silent => State::Quiet(1),
            State::Unknown => State::Unknown,
            State::Quiet(_) | State::Sounding => State::Sounding,
        };
        began
    }
}

/// How far into a packet a tone begins that fills this part of it.
fn offset_ns(part: f32) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "0 to 20 ms")]
    let offset = (PACKET_NS * f64::from(1.0 - part.clamp(0.0, 1.0))) as i64;
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// When a tone of these levels began, packets arriving every 20 ms from 0 on; in milliseconds.
    fn began(levels: &[f32]) -> Vec<f64> {
        let mut onset = Onset::new();
        let heard = levels.iter().zip(0..).filter_map(|(level, n)| onset.hear(n * 20 * MS, *level));
        heard.map(|ns| ns as f64 / 1e6).collect()
    }

    #[test]
    fn a_tone_begins_where_it_fills_the_rest_of_a_packet() {
        for (first, expected) in [(0.1, 80.0), (0.05, 90.0), (0.025, 95.0)] {
            let found = began(&[0.0, 0.0, 0.0, 0.0, first, 0.1, 0.1, 0.1, 0.1]);
            assert!((found[0] - expected).abs() < 0.01 && found.len() == 1, "{first}: {found:?}");
        }
    }

    #[test]
    fn what_fades_in_a_moment_was_no_tone() {
        assert!(began(&[0.0, 0.0, 0.0, 0.03, 0.0, 0.0, 0.0, 0.0, 0.0]).is_empty());
    }

    #[test]
    fn a_gap_of_one_packet_is_no_beginning() {
        assert!(began(&[0.1, 0.1, 0.0, 0.1, 0.1, 0.1, 0.1, 0.1]).is_empty());
    }

    #[test]
    fn over_a_lost_packet_nothing_is_said() {
        let mut onset = Onset::new();
        for n in 0..5 {
            assert_eq!(onset.hear(n * 20 * MS, 0.0), None);
        }
        onset.interrupt();
        for n in 5..20 {
            assert_eq!(onset.hear(n * 20 * MS, 0.1), None);
        }
    }

    #[test]
    fn each_beginning_is_told_once() {
        let mut levels = Vec::new();
        for _ in 0..3 {
            levels.extend([0.0; 10]);
            levels.extend([0.1; 10]);
        }
        assert_eq!(began(&levels), [200.0, 600.0, 1_000.0]);
    }
}
