//! From datagram to sound and back: RTP, jitter buffer, codecs, digits, mixing, prompts.
//!
//! Knows neither sockets nor clocks nor callers: datagrams come in with the instant of their arrival, and go out when asked.
//! `Bridge` is the machine that a program drives; everything else is a part of it that stands and is tested alone, or an
//! instrument  for telephones and tests.

mod bridge;
mod clip;
mod codec;
mod remote;
mod statistics;

pub use bridge::{Command, RoomKey, StreamId};
pub use clip::Clip;
pub use codec::{G711, Payload};
pub use remote::Remote;
pub use statistics::StreamStatistics;

use std::time::Duration;

/// Samples a second, everywhere inside.
pub const SAMPLE_RATE_HZ: u32 = 8000;
/// The beat: every 20 ms each stream hears one frame and is heard by one.
pub const BEAT: Duration = Duration::from_millis(20);
/// Samples in a frame.
pub const FRAME_SAMPLES: usize = 160;
/// One beat of sound, linear.
pub type Frame = [i16; FRAME_SAMPLES];
