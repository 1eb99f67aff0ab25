//! Soft noise where nobody speaks (RFC 3389): silence so deep that people ask whether the line is dead.

/// Loudest noise made, whatever a packet asks for: −30 dBov.
const LOUDEST_DBOV: u8 = 30;
/// What a quiet room sounds like here: −66 dBov, near the bottom of what G.711 can say.
pub(crate) const ROOM_DBOV: u8 = 66;

/// White noise of one level; the same seed gives the same noise.
#[derive(Clone, Debug)]
pub(crate) struct ComfortNoise {
    state: u32,
    /// Half the width of the even distribution.
    peak: i32,
}

impl ComfortNoise {
    /// Noise `level_dbov` decibels below full scale, 30–127.
    #[must_use]
    pub(crate) fn new(level_dbov: u8, seed: u32) -> Self {
        let mut noise = Self { state: seed | 1, peak: 0 };
        noise.set_level(level_dbov);
        noise
    }

    /// Reads the level of a comfort noise payload (RFC 3389 section 3.1); the spectrum behind it is passed over. An empty
    /// payload is taken as the room's level.
    pub(crate) fn follow(&mut self, payload: &[u8]) {
        self.set_level(payload.first().map_or(ROOM_DBOV, |level| level & 0x7f));
    }

    /// Makes noise.
    pub(crate) fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 17;
            self.state ^= self.state << 5;
            let even = i32::from((self.state >> 16) as u16) - 32768;
            *sample = i16::try_from(even * self.peak / 32768).unwrap_or(0);
        }
    }

    fn set_level(&mut self, level_dbov: u8) {
        let rms = 32768.0 * 10f32.powf(-f32::from(level_dbov.max(LOUDEST_DBOV)) / 20.0);
        // An even distribution of half width p has the effective value p / √3.
        #[expect(clippy::cast_possible_truncation, reason = "at most 1800")]
        let peak = (rms * 3f32.sqrt()) as i32;
        self.peak = peak;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level_dbov;

    #[test]
    fn noise_has_the_level_asked_for_and_never_more_than_soft() {
        for (payload, expected) in
            [(&[40u8][..], -40.0), (&[60, 1, 2, 3], -60.0), (&[0], -30.0), (&[0x80], -30.0), (&[], -66.0)]
        {
            let (mut noise, mut samples) = (ComfortNoise::new(127, 5), [0; 8000]);
            noise.follow(payload);
            noise.fill(&mut samples);
            let level = level_dbov(&samples);
            assert!((level - expected).abs() < 1.5, "{payload:?}: {level} instead of {expected}");
        }
    }

    #[test]
    fn the_lowest_level_is_silence() {
        let mut samples = [1; 160];
        ComfortNoise::new(127, 5).fill(&mut samples);
        assert_eq!(samples, [0; 160]);
    }
}
