//! The sender's timestamps as samples of ours. Their clock runs faster in some codecs, and wraps where ours would not.

use crate::Codec;

/// Turns RTP timestamps of any clock rate into a count of samples at 8 kHz, which wraps at 32 bits as they do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    ticks_per_sample: u32,
    last: Option<u32>,
    ticks: i64,
}

impl Timeline {
    pub(crate) fn new(codec: Codec) -> Self {
        Self { ticks_per_sample: codec.ticks_per_sample(), last: None, ticks: 0 }
    }

    /// The sample at this timestamp.
    pub(crate) fn sample(&mut self, timestamp: u32) -> u32 {
        if self.ticks_per_sample == 1 {
            return timestamp;
        }
        let last = *self.last.get_or_insert(timestamp);
        self.ticks = self.ticks.wrapping_add(i64::from(timestamp.wrapping_sub(last).cast_signed()));
        self.last = Some(timestamp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that wraps")]
        let sample = self.ticks.div_euclid(i64::from(self.ticks_per_sample)) as u32;
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telephone_codecs_count_samples_already() {
        let mut timeline = Timeline::new(Codec::G722);
        assert_eq!([5, u32::MAX, 3].map(|timestamp| timeline.sample(timestamp)), [5, u32::MAX, 3]);
    }

    #[test]
    fn opus_counts_six_times_as_fast_across_the_wrap_and_back() {
        let mut timeline = Timeline::new(Codec::Opus);
        let first = timeline.sample(u32::MAX - 959);
        let after = [0, 960, 1920, 960, 0].map(|timestamp| timeline.sample(timestamp).wrapping_sub(first));
        assert_eq!(after, [160, 320, 480, 320, 160]);
    }
}
