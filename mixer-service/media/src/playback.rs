//! Clips on their way to be heard: prompts of one leg, music, announcements of a room.

use std::collections::VecDeque;

use crate::blend::Blend;
use crate::{Clip, FRAME_SAMPLES, Frame};

/// Clips of one prompt; what is beyond is dropped. The longest sentence has about a dozen.
pub(crate) const CLIPS_MAX: usize = 64;

/// Plays clips one behind the other, without a gap.
#[derive(Debug, Default)]
pub(crate) struct Playback {
    clips: VecDeque<Clip>,
    /// Samples of the first clip already played.
    at: usize,
    looped: bool,
}

impl Playback {
    pub(crate) fn once(clips: Vec<Clip>) -> Self {
        let mut playback = Self::default();
        playback.append(clips);
        playback
    }

    pub(crate) fn looped(clip: Clip) -> Self {
        Self { looped: true, ..Self::once(vec![clip]) }
    }

    /// Adds clips behind the others; empty ones, and those beyond the bound, are left out.
    pub(crate) fn append(&mut self, clips: Vec<Clip>) {
        let room = CLIPS_MAX.saturating_sub(self.clips.len());
        self.clips.extend(clips.into_iter().filter(|clip| !clip.samples().is_empty()).take(room));
    }

    pub(crate) fn is_looped(&self) -> bool {
        self.looped
    }

    pub(crate) fn is_over(&self) -> bool {
        self.clips.is_empty()
    }

    /// Samples still to be played.
    pub(crate) fn len_samples(&self) -> usize {
        self.clips.iter().map(|clip| clip.samples().len()).sum::<usize>() - self.at
    }

    /// Plays one frame; silence behind the end.
    pub(crate) fn play(&mut self, frame: &mut Frame) {
        let mut rest = &mut frame[..];
        while let (Some(clip), false) = (self.clips.front(), rest.is_empty()) {
            let samples = &clip.samples()[self.at..];
            let len = samples.len().min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            now.copy_from_slice(&samples[..len]);
            rest = later;
            self.at += len;
            if self.at == clip.samples().len() {
                self.at = 0;
                if !self.looped {
                    self.clips.pop_front();
                }
            }
        }
        rest.fill(0);
    }

    /// Plays one frame over the talk in it; music takes its place.
    pub(crate) fn play_over(&mut self, talk: &mut Blend, frame: &mut Frame) {
        if self.looped {
            self.play(frame);
        } else if !self.is_over() {
            let mut spoken = [0; FRAME_SAMPLES];
            self.play(&mut spoken);
            talk.lay(Some(&spoken), frame);
        } else if !talk.is_idle() {
            talk.lay(None, frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(mark: i16, len: usize) -> Clip {
        Clip::new(vec![mark; len])
    }

    #[test]
    fn clips_follow_without_a_gap_and_silence_follows_them() {
        let mut playback = Playback::once(vec![clip(1, 100), clip(9, 0), clip(2, 160)]);
        let mut frame = [7; FRAME_SAMPLES];
        playback.play(&mut frame);
        assert_eq!((frame[99], frame[100], playback.len_samples()), (1, 2, 100));
        playback.play(&mut frame);
        assert_eq!((frame[99], frame[100], playback.is_over()), (2, 0, true));
    }

    #[test]
    fn music_begins_again_and_never_ends() {
        let mut playback = Playback::looped(Clip::new((0..100).collect::<Vec<i16>>()));
        let mut frame = [0; FRAME_SAMPLES];
        playback.play(&mut frame);
        assert_eq!((frame[99], frame[100], playback.is_over()), (99, 0, false));
        assert!(Playback::looped(clip(1, 0)).is_over(), "no sound is no music, and no endless loop");
    }

    #[test]
    fn more_clips_than_any_prompt_has_are_left_out() {
        let mut playback = Playback::default();
        playback.append(vec![clip(1, 1); 200]);
        assert_eq!(playback.len_samples(), CLIPS_MAX);
    }
}
