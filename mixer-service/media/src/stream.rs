//! One stream of a bridge: a leg's wire, what plays to it, the room it is in, and what it says and hears on each beat.

mod wide;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use crate::blend::Blend;
use crate::bridge::{Output, RoomKey, StreamId};
use crate::codec::{G711, Payload};
use crate::ear::Ear;
use crate::levels::Leveller;
use crate::outbound::{Parcel, Sound};
use crate::playback::Playback;
use crate::room::Room;
use crate::rtcp::COMPOUND_MAX;
use crate::srtp::TRAILER_MAX;
use crate::stream::wide::WideEnd;
use crate::talkers::{Entry, level};
use crate::wire::Wire;
use crate::{FRAME_SAMPLES, Frame, Remote, StreamStatistics};

/// The room's talk while a prompt is spoken to one leg: −12 dB. It goes on under it, and the prompt is understood.
const DUCKED: f32 = 0.251;

/// The sound of one leg.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    /// `None` until it is connected.
    pub(crate) wire: Option<Wire>,
    pub(crate) playback: Playback,
    /// To be told at the end of what plays.
    pub(crate) playback_number: Option<u64>,
    pub(crate) room: Option<(RoomKey, usize)>,
    pub(crate) voice: Frame,
    /// What a leg has beside that hears and speaks wideband.
    pub(crate) wide: Option<Box<WideEnd>>,
    /// What is done to its voice.
    pub(crate) leveller: Option<Leveller>,
    /// How its voice is in the room's mix on this beat.
    pub(crate) mixed: Option<Entry>,
    /// The room under a prompt.
    blend: Blend,
    /// Who encodes what it hears of its room.
    pub(crate) ear: Ear,
    pub(crate) closing: Option<Instant>,
}

/// The last report of a stream that is gone.
#[derive(Debug)]
pub(crate) struct Farewell {
    id: StreamId,
    address: SocketAddr,
    muxed: bool,
    bytes: [u8; COMPOUND_MAX + TRAILER_MAX],
    len: usize,
}

impl Farewell {
    pub(crate) fn output(&self) -> Output<'_> {
        report(self.id, self.address, &self.bytes[..self.len], self.muxed)
    }
}

impl Stream {
    pub(crate) fn new(id: StreamId) -> Self {
        Self {
            id,
            wire: None,
            playback: Playback::default(),
            playback_number: None,
            room: None,
            voice: [0; FRAME_SAMPLES],
            wide: None,
            leveller: None,
            mixed: None,
            blend: Blend::new(DUCKED),
            ear: Ear::default(),
            closing: None,
        }
    }

    pub(crate) fn connect(&mut self, now: Instant, remote: Remote, seed: u64) {
        match &mut self.wire {
            Some(wire) => {
                let before = (wire.remote().codec, wire.outbound.can_share());
                wire.redirect(now, remote, seed);
                if before != (remote.codec, wire.outbound.can_share()) {
                    self.ear = Ear::default();
                }
            }
            None => self.wire = Some(Wire::new(now, remote, seed)),
        }
        self.wide = remote.codec.is_wide().then(|| self.wide.take().unwrap_or_default());
    }

    /// Asks for all at once that this beat will need of the leg. Its parts lie apart in memory, and when there are many legs the
    /// processor's cache has lost them since the last beat: one after the other, each would be waited for.
    pub(crate) fn fetch(&self, now: Instant) {
        let Some(wire) = &self.wire else { return };
        let voice = self.voice.iter().step_by(32).fold(0, |all, &sample| all ^ sample);
        std::hint::black_box(wire.fetch(now) ^ u32::from(voice.cast_unsigned()));
    }

    /// Takes in this beat's frame; how loud it is (see [`level`]) if the room should hear it.
    pub(crate) fn listen(&mut self, now: Instant, told: &mut VecDeque<Output<'static>>) -> Option<u32> {
        self.mixed = None;
        let wire = self.wire.as_mut()?;
        let (voiced, key) = match &mut self.wide {
            None => wire.frame(now, &mut self.voice),
            Some(wide) => wire.inbound.frame_wide(now, &mut self.voice, &mut wide.voice),
        };
        if let Some(key) = key {
            told.push_back(Output::Digit(self.id, key));
        }
        if let Some(since) = wire.inbound.silence(now) {
            told.push_back(Output::Silent(self.id, since));
        }
        // It has to know the pauses as well.
        let left = match (&mut self.leveller, &mut self.wide) {
            (None, _) => true,
            (Some(leveller), None) => leveller.shape(&mut self.voice),
            (Some(leveller), Some(wide)) => wide.shape(leveller, &mut self.voice),
        };
        (voiced && left && self.closing.is_none())
            .then(|| self.wide.as_ref().map_or_else(|| level(&self.voice), |wide| wide.level()))
    }

    /// Puts out what the far end hears: its room with its prompt over it, or its prompt or music alone, or silence.
    pub(crate) fn speak(
        &mut self,
        now: Instant,
        room: Option<&mut Room>,
        told: &mut VecDeque<Output<'static>>,
        parcel: &mut Parcel,
    ) {
        let Some(codec) = self.wire.as_ref().map(|wire| wire.remote().codec) else { return };
        let sent = match codec.law() {
            Some(law) => self.send_in(law, now, room, parcel),
            None => self.send_wide(codec, now, room.and_then(|room| room.wide.as_deref_mut()), parcel),
        };
        if sent {
            told.push_back(Output::Keyed(self.id));
        }
        let Some(wire) = &mut self.wire else { return };
        wire.report(now);
        if let (true, Some(number)) = (self.playback.is_over(), self.playback_number) {
            self.playback_number = None;
            told.push_back(Output::Played(self.id, number));
        }
    }

    /// Sends what it hears in a law of G.711. `true`: the last key was sent just now.
    fn send_in(&mut self, law: G711, now: Instant, room: Option<&mut Room>, parcel: &mut Parcel) -> bool {
        let Some(wire) = &mut self.wire else { return false };
        let mut frame = [0; FRAME_SAMPLES];
        match room {
            Some(room) if self.mixed.is_none() && self.playback.is_over() && self.blend.is_idle() => {
                return wire.send(now, Sound::Coded(room.common(law)), parcel);
            }
            Some(room) => {
                match self.mixed {
                    Some(entry) => room.without(&self.voice, entry, &mut frame),
                    None => frame = *room.common_frame(),
                }
                self.playback.play_over(&mut self.blend, &mut frame);
            }
            None => self.playback.play(&mut frame),
        }
        let mut payload: Payload = [0; FRAME_SAMPLES];
        law.encode(&frame, &mut payload);
        wire.send(now, Sound::Coded(&payload), parcel)
    }

    /// It is in a room from here on, which what plays already is heard over.
    pub(crate) fn join(&mut self) {
        self.blend = if self.playback.is_over() { Blend::new(DUCKED) } else { Blend::lowered(DUCKED) };
    }

    /// It leaves its room, and hears its own encoder from here on.
    pub(crate) fn part(&mut self, room: &mut Room) {
        if let (Some(wire), Some(room)) = (&mut self.wire, &mut room.wide) {
            let codec = wire.remote().codec;
            self.ear.part(room, codec, &mut wire.outbound.encoder);
        }
    }

    /// Packet `n` of this beat, and the report behind them.
    pub(crate) fn packet<'a>(&'a self, n: usize, parcel: &'a Parcel) -> Option<Output<'a>> {
        let wire = self.wire.as_ref()?;
        if let Some(bytes) = parcel.packet(n) {
            return Some(Output::Send(self.id, wire.address(), bytes));
        }
        let first = n == 0 || parcel.packet(n - 1).is_some();
        let (address, bytes) = wire.ready_report().filter(|_| first)?;
        Some(report(self.id, address, bytes, wire.is_muxed()))
    }

    /// Its last report, where somebody listens for one.
    pub(crate) fn farewell(&mut self, now: Instant) -> Option<Farewell> {
        let wire = self.wire.as_mut()?;
        wire.say_goodbye(now);
        let (address, report) = wire.ready_report()?;
        let mut bytes = [0; COMPOUND_MAX + TRAILER_MAX];
        bytes.get_mut(..report.len())?.copy_from_slice(report);
        Some(Farewell { id: self.id, address, muxed: wire.is_muxed(), bytes, len: report.len() })
    }

    /// Whether nothing is left that a leg saying goodbye should hear of its own.
    pub(crate) fn is_done(&self) -> bool {
        self.wire.is_none() || self.playback.is_over() || self.playback.is_looped()
    }

    pub(crate) fn statistics(&self) -> StreamStatistics {
        self.wire.as_ref().map_or_else(StreamStatistics::default, Wire::statistics)
    }
}

fn report(id: StreamId, address: SocketAddr, bytes: &[u8], muxed: bool) -> Output<'_> {
    if muxed { Output::Send(id, address, bytes) } else { Output::SendRtcp(id, address, bytes) }
}
