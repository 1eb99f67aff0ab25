//! From datagram to sound and back: RTP, jitter buffer, codecs, digits, mixing, prompts.
//!
//! Knows neither sockets nor clocks nor callers: datagrams come in with the instant of their arrival, and go out when asked.
//! [`Bridge`] is the machine that a program drives; everything else is a part of it that stands and is tested alone, or an
//! instrument ([`Tone`], [`pitch_level_db`], [`level_dbov`]) for telephones and tests.

mod bridge;
mod clip;
mod codec;
mod comfort_noise;
mod concealment;
mod dtmf;
mod inbound;
mod jitter_buffer;
mod latch;
mod outbound;
mod playback;
mod reception;
mod remote;
mod room;
mod rtp;
mod statistics;
mod tone;

pub use bridge::{Bridge, Command, Input, Output, RoomKey, STREAMS_MAX, StreamId};
pub use clip::Clip;
pub use codec::{G711, Payload};
pub use remote::Remote;
pub use statistics::StreamStatistics;
pub use tone::{Tone, level_dbov, pitch_level_db};

use std::time::Duration;

/// Samples a second, everywhere inside.
pub const SAMPLE_RATE_HZ: u32 = 8000;
/// The beat: every 20 ms each stream hears one frame and is heard by one.
pub const BEAT: Duration = Duration::from_millis(20);
/// A beat in RTP timestamps.
pub(crate) const FRAME_TICKS: u32 = 160;
/// Samples in a frame.
pub const FRAME_SAMPLES: usize = FRAME_TICKS as usize;
/// One beat of sound, linear.
pub type Frame = [i16; FRAME_SAMPLES];

/// Where a test's time begins; virtual from there on.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
pub(crate) fn some_instant() -> std::time::Instant {
    std::time::Instant::now()
}
