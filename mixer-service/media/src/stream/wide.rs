//! The end of a stream whose codec carries wideband: its voice at 16 kHz, prompts raised to it, and who encodes what it hears.

use std::time::Instant;

use super::Stream;
use crate::codec::Codec;
use crate::ear::{Ear, Heard};
use crate::levels::Leveller;
use crate::outbound::{PAYLOAD_MAX, Parcel, Sound};
use crate::playback::Playback;
use crate::resample::Doubler;
use crate::talkers::level;
use crate::wide_mix::WideMix;
use crate::wire::Wire;
use crate::{FRAME_SAMPLES, Frame, WIDE_SAMPLES, WideFrame};

/// What a wideband leg has beside its sound at 8 kHz.
#[derive(Debug)]
pub(crate) struct WideEnd {
    /// What it said on this beat, of which `Stream::voice` is the lower half.
    pub(crate) voice: WideFrame,
    /// Raises what plays to it.
    prompt: Doubler,
}

impl Default for WideEnd {
    fn default() -> Self {
        Self { voice: [0; WIDE_SAMPLES], prompt: Doubler::default() }
    }
}

impl WideEnd {
    /// Shapes the voice at both rates; whether anything of it is left to be heard.
    pub(super) fn shape(&mut self, leveller: &mut Leveller, voice: &mut Frame) -> bool {
        let left = leveller.shape(&mut self.voice);
        leveller.shape_too(voice);
        left
    }

    /// How loud the voice is, on the scale of telephones, which have half as many samples.
    pub(super) fn level(&self) -> u32 {
        (level(&self.voice) / 2).max(1)
    }

    /// What plays next, raised.
    fn play(&mut self, playback: &mut Playback, frame: &mut WideFrame) {
        let mut narrow: Frame = [0; FRAME_SAMPLES];
        playback.play(&mut narrow);
        self.prompt.raise(&narrow, frame);
    }
}

impl Stream {
    /// Sends what it hears in a codec that carries wideband. `true`: the last key was sent just now.
    pub(super) fn send_wide(
        &mut self,
        codec: Codec,
        now: Instant,
        room: Option<&mut WideMix>,
        parcel: &mut Parcel,
    ) -> bool {
        let (Some(wire), Some(end)) = (&mut self.wire, &mut self.wide) else { return false };
        // The last samples of a prompt come behind its end.
        let plays = !self.playback.is_over() || !end.prompt.is_silent();
        let mut frame = [0; WIDE_SAMPLES];
        match room {
            Some(room) if self.mixed.is_none() && !plays && self.blend.is_idle() => {
                return hear_common(now, wire, &mut self.ear, room, parcel);
            }
            Some(room) => {
                self.ear.part(room, codec, &mut wire.outbound.encoder);
                match self.mixed {
                    Some(entry) => room.without(&end.voice, entry, &mut frame),
                    None => frame = *room.common_frame(),
                }
                if plays && !self.playback.is_looped() {
                    let mut spoken = [0; WIDE_SAMPLES];
                    end.play(&mut self.playback, &mut spoken);
                    self.blend.lay(Some(&spoken), &mut frame);
                } else if plays {
                    end.play(&mut self.playback, &mut frame);
                } else if !self.blend.is_idle() {
                    self.blend.lay(None, &mut frame);
                }
            }
            None if plays => end.play(&mut self.playback, &mut frame),
            None => {}
        }
        wire.send(now, Sound::Linear(&frame), parcel)
    }
}

/// Sends what all hear.
fn hear_common(now: Instant, wire: &mut Wire, ear: &mut Ear, room: &mut WideMix, parcel: &mut Parcel) -> bool {
    if !wire.outbound.can_share() {
        return wire.send(now, Sound::Linear(room.common_frame()), parcel);
    }
    let (codec, loss_percent) = (wire.remote().codec, wire.outbound.loss_percent);
    let mut own = [0; PAYLOAD_MAX];
    match ear.listen(room, (codec, loss_percent), &mut wire.outbound.encoder, &mut own) {
        Heard::Shared(payload) => wire.send(now, Sound::Coded(payload), parcel),
        Heard::Own(len) => wire.send(now, Sound::Coded(&own[..len]), parcel),
    }
}
