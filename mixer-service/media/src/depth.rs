//! How deep the jitter buffer is, how deep it should be, and by how much the sound is to be stretched or shortened for it.
//!
//! Of every packet it is noted by how many samples the sound could be shortened with the packet still in time: its *slack*. On
//! a steady line all have the same; where the line sways, the least count. A few may be missed: what comes later than all
//! others is cheaper to make up than to wait for. A slack of nothing is as shallow as can be, less than nothing is too
//! shallow. On a line that loses packets one packet more is kept, so that most gaps can be led over from both sides, and two
//! where two in a row are often lost; that costs 20 or 40 ms, and nothing where nothing is lost.

use crate::FRAME_TICKS;

const FRAME: i32 = FRAME_TICKS.cast_signed();
/// Beats over which earliness is judged: four seconds.
const WINDOW_BEATS: u32 = 200;
/// Fewer packets in a window say nothing.
const WINDOW_PACKETS_MIN: u32 = 40;
/// So many packets of a window may be later than the depth allows: some one in a hundred.
const MISSED: usize = 2;
/// A packet that is here less than a quarter of a millisecond before its beat is too late for certainty.
const RESERVE: i32 = 2;
/// Shallower only where all would still be 4 ms before their beat: no to and fro.
const RESERVE_TO_SHORTEN: i32 = 32;
/// Less than 5 ms is not worth the while.
const SURPLUS_MIN: i32 = 40;
/// So many gaps in a window, two in a hundred packets, and the line counts as lossy …
const GAPS_MIN: u32 = 4;
/// … until so many windows in a row have at most [`GAPS_FEW`].
const SOUND_WINDOWS: u32 = 4;
const GAPS_FEW: u32 = 1;
/// So many gaps, about one packet in six, and the line loses heavily, until as many windows have fewer.
const GAPS_HEAVY: u32 = 27;
/// The most that is kept on a lossy line: 40 ms.
const KEPT_MAX: i32 = 320;
/// More is not asked for at once: 60 ms.
const CHANGE_MAX: i32 = 480;

/// Watches the depth of one stream's buffer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Depth {
    window: Window,
    change: i32,
    /// Windows that the line will still count as lossy; 0 when it does not.
    lossy: u32,
    /// The same for losing heavily.
    heavy: u32,
    packet: i32,
    in_gap: bool,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    beats: u32,
    packets: u32,
    gaps: u32,
    /// The least slacks, least first: with the reserve that must be, and with the one for shortening.
    must: [i32; MISSED + 1],
    may: [i32; MISSED + 1],
}

impl Default for Window {
    fn default() -> Self {
        Self { beats: 0, packets: 0, gaps: 0, must: [i32::MAX; MISSED + 1], may: [i32::MAX; MISSED + 1] }
    }
}

impl Depth {
    /// See [`Stream::fetch`](crate::stream::Stream::fetch).
    pub(crate) fn fetch(&self) -> u32 {
        self.window.packets ^ self.lossy
    }

    /// Another sender begins; what the line is like stays known.
    pub(crate) fn restart(&mut self) {
        self.window = Window::default();
        self.change = 0;
        self.in_gap = false;
    }

    /// A packet of so many samples came, whose first one is `ahead` of what the next beat begins with, so many samples before
    /// that beat.
    pub(crate) fn note(&mut self, ahead: i32, until_beat: i32, len: i32) {
        self.packet = len;
        self.in_gap = false;
        self.window.packets += 1;
        insert(&mut self.window.must, slack(ahead, until_beat, RESERVE));
        insert(&mut self.window.may, slack(ahead, until_beat, RESERVE_TO_SHORTEN));
        let least = self.window.must[MISSED] - self.kept();
        if least < 0 {
            self.change = (-least).min(CHANGE_MAX);
            self.window = Window { gaps: self.window.gaps, beats: self.window.beats, ..Window::default() };
        }
    }

    /// A beat begins.
    pub(crate) fn beat(&mut self) {
        self.window.beats += 1;
        if self.window.beats < WINDOW_BEATS {
            return;
        }
        let Window { packets, gaps, may, .. } = std::mem::take(&mut self.window);
        if packets < WINDOW_PACKETS_MIN {
            return;
        }
        if gaps < GAPS_HEAVY {
            self.heavy = self.heavy.saturating_sub(1);
        }
        if gaps <= GAPS_FEW {
            self.lossy = self.lossy.saturating_sub(1);
        }
        let surplus = may[MISSED].saturating_sub(self.kept());
        if surplus >= SURPLUS_MIN {
            self.change = -surplus.min(CHANGE_MAX);
        }
    }

    /// Something that should have been played was not there.
    pub(crate) fn missed(&mut self) {
        self.window.gaps += u32::from(!std::mem::replace(&mut self.in_gap, true));
        if self.window.gaps >= GAPS_MIN {
            self.lossy = SOUND_WINDOWS;
        }
        if self.window.gaps >= GAPS_HEAVY {
            self.heavy = SOUND_WINDOWS;
        }
    }

    /// What was missing came after all, when its place was over: the line does not lose it, it sways.
    pub(crate) fn came_late(&mut self) {
        self.window.gaps = self.window.gaps.saturating_sub(1);
    }

    /// What was missing came after all, and is played now: the buffer is deeper from here on.
    pub(crate) fn stepped_back(&mut self) {
        self.came_late();
        let gaps = self.window.gaps;
        self.restart();
        self.window.gaps = gaps;
    }

    pub(crate) fn wanted_change(&self) -> i32 {
        self.change
    }

    /// The sound was stretched or shortened by so much.
    pub(crate) fn changed(&mut self, by: i32) {
        if by == 0 {
            return;
        }
        // Too deep by a little is good enough; not deep enough by a little is not.
        self.change = match self.change - by {
            left if self.change > 0 => left.max(0),
            left if left > -SURPLUS_MIN / 2 => 0,
            left => left,
        };
        self.window = Window { gaps: self.window.gaps, beats: self.window.beats, ..Window::default() };
    }

    /// So much more than must be is kept.
    fn kept(&self) -> i32 {
        let packets = if self.heavy > 0 { 2 } else { i32::from(self.lossy > 0) };
        (packets * self.packet).min(KEPT_MAX)
    }
}

/// By how much the sound could be shortened with this packet still in time.
fn slack(ahead: i32, until_beat: i32, reserve: i32) -> i32 {
    let first_beat = if until_beat >= reserve { 0 } else { FRAME };
    ahead - first_beat
}

/// Keeps the least ones, in order.
fn insert(least: &mut [i32; MISSED + 1], mut new: i32) {
    for kept in least {
        if new < *kept {
            std::mem::swap(kept, &mut new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 20 ms that come `until_beat` samples before a beat, with their first sample `ahead` of it.
    fn windows(depth: &mut Depth, count: u32, ahead: i32, until_beat: i32) {
        for _ in 0..count * WINDOW_BEATS {
            depth.note(ahead, until_beat, FRAME);
            depth.beat();
        }
    }

    #[test]
    fn early_and_late_packets_ask_for_less_and_for_more() {
        for (ahead, until_beat, expected) in [
            (0, 80, 0),
            (0, RESERVE, 0),
            (0, RESERVE - 1, FRAME),
            (160, RESERVE_TO_SHORTEN, -FRAME),
            (160, RESERVE_TO_SHORTEN - 1, 0),
            (160, 100, -FRAME),
            (60, 100, -60),
            (20, 100, 0),
            (-100, 100, 100),
            (900, 100, -CHANGE_MAX),
        ] {
            let mut depth = Depth::default();
            windows(&mut depth, 1, ahead, until_beat);
            assert_eq!(depth.wanted_change(), expected, "{ahead} ahead, {until_beat} before the beat");
        }
    }

    #[test]
    fn two_late_ones_in_four_seconds_are_cheaper_to_make_up() {
        for (late, expected) in [(2, 0), (3, FRAME)] {
            let mut depth = Depth::default();
            for n in 0..WINDOW_BEATS {
                depth.note(if n < late { -FRAME } else { 0 }, 80, FRAME);
                depth.beat();
            }
            assert_eq!(depth.wanted_change(), expected, "{late} late");
        }
    }

    #[test]
    fn a_change_is_done_in_parts_and_then_over() {
        let mut depth = Depth::default();
        windows(&mut depth, 1, 160, 100);
        for (by, left) in [(-70, -90), (0, -90), (-65, -25), (-6, 0)] {
            depth.changed(by);
            assert_eq!(depth.wanted_change(), left);
        }
    }

    #[test]
    fn a_little_too_shallow_is_not_good_enough() {
        let mut depth = Depth::default();
        windows(&mut depth, 1, 0, 0);
        for (by, left) in [(100, 60), (59, 1), (20, 0)] {
            depth.changed(by);
            assert_eq!(depth.wanted_change(), left);
        }
    }

    #[test]
    fn a_line_that_loses_keeps_a_packet_more_for_a_while() {
        let mut depth = Depth::default();
        for _ in 0..GAPS_MIN {
            depth.missed();
            depth.missed();
            depth.note(0, 80, FRAME);
        }
        windows(&mut depth, 1, 0, 80);
        assert_eq!(depth.wanted_change(), FRAME);
        depth.changed(FRAME);
        windows(&mut depth, SOUND_WINDOWS, FRAME, 80);
        assert_eq!(depth.wanted_change(), -FRAME, "nothing was lost for long");
    }
}
