//! Which encoder a leg hears in a room, the shared one or his own, and the way from one to the other without a click.
//!
//! To his own at once, for he has begun to speak and must not hear himself. Back to the shared one when both say the same:
//! his own goes on for a while with what all hear, and of soft equal sound two encoders of G.722 make equal bytes. Of loud
//! sound, and in Opus, they never do; then a pause is waited for, in which nothing can click, and in the end no longer:
//! their memories differ by no more than the noise that the codec makes anyway.

use crate::WideFrame;
use crate::codec::{Codec, Encoder};
use crate::outbound::PAYLOAD_MAX;
use crate::wide_mix::WideMix;

/// So many equal payloads are no chance: 100 ms.
const ALIKE_BEATS: u16 = 5;
/// Half a second of the same sound is enough for a change in a pause, …
const PAUSE_BEATS: u16 = 25;
/// … and two seconds for one in any case: more is not gained by waiting.
const APART_BEATS: u16 = 100;

/// Where a leg's sound comes from, when its codec remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ear {
    /// The room's encoder, as for everybody who only listens.
    Shared,
    /// His own. It has encoded what all hear for so many beats, and for so many made the same of it.
    Own { common_beats: u16, alike_beats: u16 },
}

impl Default for Ear {
    fn default() -> Self {
        Self::Own { common_beats: 0, alike_beats: 0 }
    }
}

/// What is sent to one who only listens.
#[derive(Debug)]
pub(crate) enum Heard<'a> {
    /// This payload of the room.
    Shared(&'a [u8]),
    /// What his own encoder made of the common mix: so many bytes.
    Own(usize),
}

impl Ear {
    /// He hears something of his own from this beat on: his encoder takes over.
    pub(crate) fn part(&mut self, room: &mut WideMix, codec: Codec, encoder: &mut Encoder) {
        if *self == Self::Shared
            && let Some(shared) = room.shared(codec).1
        {
            shared.run_in(encoder);
        }
        *self = Self::default();
    }

    /// He hears what all hear. `own`: room for what his own encoder says.
    pub(crate) fn listen<'a>(
        &mut self,
        room: &'a mut WideMix,
        (codec, loss_percent): (Codec, u8),
        encoder: &mut Encoder,
        own: &mut [u8; PAYLOAD_MAX],
    ) -> Heard<'a> {
        let (common, shared) = room.shared(codec);
        let Some(shared) = shared else {
            return Heard::Own(encoder.encode(common, own));
        };
        let payload = shared.payload(common, loss_percent);
        match self {
            Self::Shared => Heard::Shared(payload),
            Self::Own { common_beats, alike_beats } => {
                let len = encoder.encode(common, own);
                let alike = own[..len] == *payload;
                *alike_beats = if alike { *alike_beats + 1 } else { 0 };
                *common_beats += 1;
                let pause = *common_beats >= PAUSE_BEATS && is_pause(common);
                if *alike_beats >= ALIKE_BEATS || pause || *common_beats >= APART_BEATS {
                    *self = Self::Shared;
                }
                Heard::Own(len)
            }
        }
    }
}

/// Whether a mix is so soft that nobody could hear a click in it: −50 dBov at its peak.
fn is_pause(frame: &WideFrame) -> bool {
    frame.iter().all(|sample| sample.unsigned_abs() <= 104)
}
