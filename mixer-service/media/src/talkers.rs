//! Who of those that can be heard is mixed: the first who speak, while there are places, and then whoever is clearly louder.
//!
//! A hundred open microphones are a hundred noises, each costing an encoding of its own and all together drowning the one
//! who speaks. So a room has so many places and no more. While one is free a newcomer has it from his first frame on, so
//! that no syllable is lost; it stays his through short pauses.

/// Places of a room: a meeting of twenty is heard whole, though all speak at once. More nobody can follow, and each costs an
/// encoding.
pub(crate) const TALKERS_MAX: usize = 24;
/// On one beat sound: those with a place, and the one who is just losing it.
pub(crate) const VOICES_MAX: usize = TALKERS_MAX + 1;
/// A place is kept for so many beats after the last sound: half a second.
const HOLD_BEATS: u16 = 25;
/// Clearly louder: by 6 dB, …
const LOUDER: u32 = 2;
/// … for so many beats.
const LOUDER_BEATS: u8 = 3;
/// A voice among noises: louder by 20 dB takes a place at once.
const MUCH_LOUDER: u32 = 10;
/// What is left of a level after a beat of sound, in 16ths: it falls by 0.6 dB, 28 dB in a second. In a pause it stays.
const LEVEL_FALLS: u32 = 15;

/// How a voice comes into the mix on this beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// As it is.
    Whole,
    /// It takes a place while it sounds: it grows over the frame lest it click.
    FadingIn,
    /// It loses its place while it sounds.
    FadingOut,
}

/// One who is mixed on this beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Voice {
    /// Slot of his stream.
    pub(crate) slot: usize,
    pub(crate) entry: Entry,
}

/// The places of one room.
#[derive(Debug, Default)]
pub(crate) struct Talkers {
    places: [Option<Talker>; TALKERS_MAX],
    /// Loudest of those without a place on this beat.
    loudest: Option<Outsider>,
    /// Who has been clearly louder than somebody with a place, and for how many beats.
    challenger: Option<(usize, u8)>,
    /// The challenger's level on this beat.
    challenge: Option<u32>,
    voices: [Option<Voice>; VOICES_MAX],
}

#[derive(Clone, Copy, Debug)]
struct Talker {
    slot: usize,
    level: u32,
    silent_beats: u16,
    entry: Entry,
}

#[derive(Clone, Copy, Debug)]
struct Outsider {
    slot: usize,
    level: u32,
}

impl Talkers {
    /// Begins a beat: nobody has been heard yet.
    pub(crate) fn begin(&mut self) {
        for place in &mut self.places {
            *place = place.filter(|talker| talker.silent_beats < HOLD_BEATS);
            if let Some(talker) = place {
                talker.silent_beats += 1;
                talker.entry = Entry::Whole;
            }
        }
        self.loudest = None;
        self.challenge = None;
    }

    /// Somebody can be heard on this beat, so loud (see [`level`]).
    pub(crate) fn offer(&mut self, slot: usize, level: u32) {
        if let Some(talker) = self.places.iter_mut().flatten().find(|talker| talker.slot == slot) {
            talker.silent_beats = 0;
            talker.level = (talker.level * LEVEL_FALLS / 16).max(level);
        } else if let Some(free) = self.places.iter_mut().find(|place| place.is_none()) {
            *free = Some(Talker { slot, level, silent_beats: 0, entry: Entry::Whole });
        } else {
            if self.challenger.is_some_and(|(challenger, _)| challenger == slot) {
                self.challenge = Some(level);
            }
            if self.loudest.is_none_or(|loudest| loudest.level < level) {
                self.loudest = Some(Outsider { slot, level });
            }
        }
    }

    /// All have been heard: who is mixed on this beat.
    pub(crate) fn choose(&mut self) -> impl Iterator<Item = Voice> + use<> {
        let leaving = self.displace();
        self.voices = [None; VOICES_MAX];
        for (voice, talker) in self.voices.iter_mut().zip(&self.places) {
            *voice = talker
                .filter(|talker| talker.silent_beats == 0)
                .map(|Talker { slot, entry, .. }| Voice { slot, entry });
        }
        self.voices[TALKERS_MAX] = leaving;
        self.voices.into_iter().flatten()
    }

    /// Somebody left.
    pub(crate) fn forget(&mut self, slot: usize) {
        for place in &mut self.places {
            *place = place.filter(|talker| talker.slot != slot);
        }
        self.challenger = self.challenger.filter(|(challenger, _)| *challenger != slot);
    }

    /// Gives the place of the softest to an outsider who is clearly louder; says who fades out for it.
    fn displace(&mut self) -> Option<Voice> {
        let softest = self.places.iter_mut().flatten().min_by_key(|talker| talker.level);
        let (Some(softest), Some(loudest)) = (softest, self.loudest) else {
            self.challenger = None;
            return None;
        };
        // Who challenges already goes on doing so, though somebody else may be louder for a moment.
        let (slot, level, beats) = match (self.challenger, self.challenge) {
            (Some((slot, beats)), Some(level)) if level >= softest.level.saturating_mul(LOUDER) => (slot, level, beats),
            (Some(_) | None, _) => (loudest.slot, loudest.level, 0),
        };
        let beats = beats + 1;
        self.challenger = (level >= softest.level.saturating_mul(LOUDER)).then_some((slot, beats));
        if self.challenger.is_none() || beats < LOUDER_BEATS && level < softest.level.saturating_mul(MUCH_LOUDER) {
            return None;
        }
        self.challenger = None;
        let leaving = Voice { slot: softest.slot, entry: Entry::FadingOut };
        let sounds = softest.silent_beats == 0;
        *softest = Talker { slot, level, silent_beats: 0, entry: Entry::FadingIn };
        sounds.then_some(leaving)
    }
}

impl Entry {
    /// What of a voice is in the mix.
    pub(crate) fn of<const N: usize>(self, voice: &[i16; N]) -> [i16; N] {
        let (mut faded, whole) = (*voice, i32::try_from(N).unwrap_or(i32::MAX));
        let gains: &mut dyn Iterator<Item = i32> = match self {
            Self::Whole => return faded,
            Self::FadingIn => &mut (1..),
            Self::FadingOut => &mut (0..whole).rev(),
        };
        for (sample, gain) in faded.iter_mut().zip(gains) {
            #[expect(clippy::cast_possible_truncation, reason = "softer than a sample")]
            let softer = (i32::from(*sample) * gain / whole) as i16;
            *sample = softer;
        }
        faded
    }
}

/// How loud a frame is: the sum of its samples without their signs. Never 0, so that "twice as loud" always means something.
pub(crate) fn level<const N: usize>(frame: &[i16; N]) -> u32 {
    frame.iter().map(|sample| u32::from(sample.unsigned_abs())).sum::<u32>().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::scramble;

    const SOFT: u32 = 160 * 100;
    /// The first without a place.
    const NEXT: usize = TALKERS_MAX;

    /// One beat in which these speak; the slots that are mixed.
    fn beat(talkers: &mut Talkers, speaking: &[(usize, u32)]) -> Vec<usize> {
        talkers.begin();
        for &(slot, level) in speaking {
            talkers.offer(slot, level);
        }
        talkers.choose().map(|voice| voice.slot).collect()
    }

    /// So many who speak equally softly.
    fn crowd(len: usize) -> Vec<(usize, u32)> {
        (0..len).map(|slot| (slot, SOFT)).collect()
    }

    #[test]
    fn who_speaks_while_a_place_is_free_is_heard_from_his_first_frame() {
        let mut talkers = Talkers::default();
        for n in 1..=TALKERS_MAX {
            assert_eq!(beat(&mut talkers, &crowd(n)).len(), n);
        }
        assert!(beat(&mut talkers, &crowd(100)).into_iter().eq(0..TALKERS_MAX));
    }

    #[test]
    fn a_place_is_kept_through_half_a_second_and_then_free() {
        let (mut talkers, all) = (Talkers::default(), crowd(NEXT + 1));
        beat(&mut talkers, &all[..NEXT]);
        for _ in 1..HOLD_BEATS {
            let mixed = beat(&mut talkers, &all[1..]);
            assert!(!mixed.contains(&0) && !mixed.contains(&NEXT), "who pauses is not mixed, and keeps his place");
        }
        assert!(beat(&mut talkers, &all).contains(&0));
        for _ in 0..HOLD_BEATS {
            beat(&mut talkers, &all[1..NEXT]);
        }
        assert!(beat(&mut talkers, &all[1..]).contains(&NEXT));
        assert!(!beat(&mut talkers, &all).contains(&0), "it is another's now");
    }

    #[test]
    fn the_clearly_louder_displaces_the_softest_after_some_frames_and_the_much_louder_at_once() {
        let (mut talkers, mut all) = (Talkers::default(), crowd(NEXT + 1));
        all[5].1 = SOFT / 2;
        all[NEXT].1 = SOFT / 2 * 19 / 10;
        for _ in 0..50 {
            assert!(!beat(&mut talkers, &all).contains(&NEXT), "not clearly louder");
        }
        all[NEXT].1 = SOFT + 1;
        assert!(!beat(&mut talkers, &all).contains(&NEXT));
        assert!(!beat(&mut talkers, &all).contains(&NEXT));
        talkers.begin();
        all.iter().for_each(|&(slot, level)| talkers.offer(slot, level));
        let voices: Vec<_> = talkers.choose().collect();
        assert_eq!(voices.len(), VOICES_MAX);
        assert_eq!(voices[5], Voice { slot: NEXT, entry: Entry::FadingIn });
        assert_eq!(voices[TALKERS_MAX], Voice { slot: 5, entry: Entry::FadingOut });
        assert!(!beat(&mut talkers, &all).contains(&5));
        all.push((NEXT + 1, SOFT * 10 + 10));
        assert!(beat(&mut talkers, &all).contains(&(NEXT + 1)));
    }

    #[test]
    fn among_a_hundred_noises_places_do_not_change_hands_and_a_voice_is_heard() {
        let seed = 20;
        println!("seed {seed}");
        let (mut talkers, mut chance, mut before, mut changes) = (Talkers::default(), seed, Vec::new(), 0);
        for n in 0..1500 {
            let noises: Vec<_> = (0..100)
                .map(|slot| {
                    chance = scramble(chance);
                    (slot, SOFT / 2 + u32::try_from(chance % u64::from(SOFT)).unwrap())
                })
                .collect();
            let mixed = beat(&mut talkers, &noises);
            changes += usize::from(n > 0 && mixed != before);
            before = mixed;
            assert!(before.len() <= VOICES_MAX);
        }
        assert!(changes <= 1, "{changes} changes");
        talkers.begin();
        (0..100).for_each(|slot| talkers.offer(slot, if slot == 77 { SOFT * 30 } else { SOFT }));
        assert!(talkers.choose().any(|voice| voice.slot == 77));
    }

    #[test]
    fn who_leaves_leaves_his_place() {
        let (mut talkers, mut all) = (Talkers::default(), crowd(NEXT + 1));
        beat(&mut talkers, &all);
        talkers.forget(3);
        all.remove(3);
        assert!(beat(&mut talkers, &all).contains(&NEXT));
    }

    #[test]
    fn a_fade_out_and_a_fade_in_are_together_the_whole() {
        let voice = [16000; 160];
        let (fading_in, fading_out) = (Entry::FadingIn.of(&voice), Entry::FadingOut.of(&voice));
        assert_eq!((fading_in[159], fading_out[159], Entry::Whole.of(&voice)), (16000, 0, voice));
        assert!(fading_in.iter().zip(fading_out).all(|(a, b)| a + b == 16000));
    }
}
