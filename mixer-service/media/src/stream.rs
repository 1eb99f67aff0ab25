//! One stream of a bridge: a leg's wire, what plays to it, the room it is in, and what it says and hears on each beat.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use crate::bridge::{Output, RoomKey, StreamId};
use crate::codec::Payload;
use crate::outbound::Sound;
use crate::playback::Playback;
use crate::room::Room;
use crate::rtcp::COMPOUND_MAX;
use crate::srtp::TRAILER_MAX;
use crate::wire::Wire;
use crate::{FRAME_SAMPLES, Frame, Remote, StreamStatistics};

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
    voiced: bool,
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
            voiced: false,
            closing: None,
        }
    }

    pub(crate) fn connect(&mut self, now: Instant, remote: Remote, seed: u64) {
        match &mut self.wire {
            Some(wire) => wire.redirect(now, remote, seed),
            None => self.wire = Some(Wire::new(now, remote, seed)),
        }
    }

    /// Takes in this beat's frame; whether the room should hear it.
    pub(crate) fn listen(&mut self, now: Instant, told: &mut VecDeque<Output<'static>>) -> bool {
        let Some(wire) = &mut self.wire else { return false };
        let (voiced, key) = wire.frame(now, &mut self.voice);
        if let Some(key) = key {
            told.push_back(Output::Digit(self.id, key));
        }
        if let Some(since) = wire.inbound.silence(now) {
            told.push_back(Output::Silent(self.id, since));
        }
        self.voiced = voiced && self.closing.is_none();
        self.voiced
    }

    /// Puts out what the far end hears: its prompt, else its room, else silence.
    pub(crate) fn speak(&mut self, now: Instant, room: Option<&mut Room>, told: &mut VecDeque<Output<'static>>) {
        let Some(wire) = &mut self.wire else { return };
        let (mut frame, mut payload): (Frame, Payload) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
        let law = wire.remote().codec.law();
        let sound = match (room, law) {
            (Some(room), Some(law)) if self.playback.is_over() && !self.voiced => Sound::Coded(room.common(law)),
            (Some(room), None) if self.playback.is_over() && !self.voiced => Sound::Linear(room.common_frame()),
            (room, law) => {
                match room {
                    Some(room) if self.playback.is_over() => room.without(&self.voice, &mut frame),
                    Some(_) | None => self.playback.play(&mut frame),
                }
                match law {
                    Some(law) => {
                        law.encode(&frame, &mut payload);
                        Sound::Coded(&payload)
                    }
                    None => Sound::Linear(&frame),
                }
            }
        };
        if wire.send(now, sound) {
            told.push_back(Output::Keyed(self.id));
        }
        wire.report(now);
        if let (true, Some(number)) = (self.playback.is_over(), self.playback_number) {
            self.playback_number = None;
            told.push_back(Output::Played(self.id, number));
        }
    }

    /// Packet `n` of this beat, and the report behind them.
    pub(crate) fn packet(&self, n: usize) -> Option<Output<'_>> {
        let wire = self.wire.as_ref()?;
        if let Some(bytes) = wire.ready(n) {
            return Some(Output::Send(self.id, wire.address(), bytes));
        }
        let first = n == 0 || wire.ready(n - 1).is_some();
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
