//! From datagram to sound and back: RTP, jitter buffer, codecs, digits, mixing, prompts.
//!
//! RTP and RTCP in clear or encrypted, the codecs, late and lost packets, keys in three ways, and who may send to whom.
//! Knows neither sockets nor clocks nor callers: datagrams come in with the instant of their arrival, and go out when asked.
//! [`Bridge`] is the machine that a program drives; everything else is a part of it that stands and is tested alone, or an
//! instrument ([`Tone`], [`pitch_level_db`], [`level_dbov`]) for telephones and tests.

mod blend;
mod bridge;
mod clip;
mod codec;
mod comfort_noise;
mod concealment;
mod depth;
mod dtmf;
mod ear;
#[doc(hidden)]
pub mod fuzzing;
mod gap;
mod inbound;
mod jitter_buffer;
mod key_tones;
mod keys;
mod latch;
mod levels;
mod limiter;
mod outbound;
mod pitch;
mod playback;
mod ready;
mod reception;
mod remote;
mod reports;
mod resample;
mod room;
mod rtcp;
mod rtp;
mod shared_encoder;
mod srtp;
mod statistics;
mod stream;
mod talkers;
mod time_scale;
mod timeline;
mod tone;
mod wide_mix;
mod wire;

pub use bridge::{Bridge, Command, Input, Moving, Output, RoomKey, STREAMS_MAX, StreamId};
pub use clip::Clip;
pub use codec::{Codec, G711, Payload};
pub use levels::Levels;
pub use remote::{Remote, Rtcp};
pub use srtp::{Keying, Srtp, Suite};
pub use statistics::StreamStatistics;
pub use tone::{Tone, level_dbov, pitch_level_db};

use std::time::Duration;

/// Samples a second of telephone sound: of all that the program gives to a bridge and takes from it, and of the mix for telephones
/// that hear no more.
pub const SAMPLE_RATE_HZ: u32 = 8000;
/// Samples a second inside, between telephones that hear more: wideband.
pub(crate) const WIDE_RATE_HZ: u32 = 2 * SAMPLE_RATE_HZ;
/// The beat: every 20 ms each stream hears one frame and is heard by one.
pub const BEAT: Duration = Duration::from_millis(20);
/// A beat in RTP timestamps.
pub(crate) const FRAME_TICKS: u32 = 160;
/// Samples in a frame.
pub const FRAME_SAMPLES: usize = FRAME_TICKS as usize;
/// No datagram of ours is longer; of a longer one the rest may be cut off, and what is left is refused.
pub const DATAGRAM_MAX: usize = 1500;
/// One beat of sound, linear.
pub type Frame = [i16; FRAME_SAMPLES];
/// Samples in a wideband frame.
pub(crate) const WIDE_SAMPLES: usize = 2 * FRAME_SAMPLES;
/// One beat of wideband sound.
pub(crate) type WideFrame = [i16; WIDE_SAMPLES];

/// Where a test's time begins; virtual from there on.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
pub(crate) fn some_instant() -> std::time::Instant {
    std::time::Instant::now()
}
