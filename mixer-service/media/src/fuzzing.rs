//! What a fuzzer may throw at this crate: each function takes any bytes, drives one part with them, and must only return.
//!
//! Hidden from the documentation, for nobody else should need it. Time comes from the caller, who owns the clock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::codec::Decoder;
use crate::dtmf::DigitReceiver;
use crate::jitter_buffer::{JitterBuffer, Piece, Sound};
use crate::key_tones::Muffle;
use crate::rtp::Packet;
use crate::{
    BEAT, Bridge, Clip, Codec, Command, FRAME_SAMPLES, Frame, Input, Keying, Output, Remote, RoomKey, Rtcp, Srtp,
    StreamId, Suite, WIDE_SAMPLES, rtcp as reports,
};

/// Beats at most in one run, so that no input is slow by being long.
const BEATS_MAX: usize = 200;
/// Packets of Opus in one input: each may cost as much as an encoding.
const PACKETS_MAX: usize = 40;
const KEYING: Keying = Keying { key: [3; 32], salt: [4; 14] };

/// An RTP packet.
pub fn rtp(bytes: &[u8]) {
    if let Ok(packet) = Packet::parse(bytes) {
        let mut again = vec![0; bytes.len()];
        let _ = packet.write(&mut again);
    }
}

/// A compound RTCP packet.
pub fn rtcp(bytes: &[u8]) {
    let _ = reports::read(bytes, |_| {});
}

/// An encrypted datagram under the suite that the first byte picks.
pub fn srtp(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let suite = match first % 4 {
        0 => Suite::AesCm128Sha1Tag80,
        1 => Suite::AesCm128Sha1Tag32,
        2 => Suite::AesGcm128,
        _ => Suite::AesGcm256,
    };
    let mut unprotect = crate::srtp::Unprotect::new(suite, &KEYING);
    let _ = unprotect.rtp(&mut rest.to_vec());
    let _ = unprotect.rtcp(&mut rest.to_vec());
}

/// Telephone events: eight bytes each, a timestamp and a payload.
pub fn events(bytes: &[u8]) {
    let mut receiver = DigitReceiver::new(6);
    for chunk in bytes.chunks(8) {
        if let Some((timestamp, payload)) = chunk.split_first_chunk() {
            receiver.hear(u32::from_be_bytes(*timestamp), payload);
        }
    }
}

/// Sound in which keys may be heard: two bytes a sample.
pub fn key_tones(bytes: &[u8]) {
    let mut muffle = Muffle::default();
    for chunk in bytes.chunks(FRAME_SAMPLES * 2).take(BEATS_MAX) {
        let mut frame: Frame = [0; FRAME_SAMPLES];
        for (sample, pair) in frame.iter_mut().zip(chunk.chunks_exact(2)) {
            *sample = i16::from_be_bytes([pair[0], pair[1]]);
        }
        muffle.pass(&mut frame, true, chunk[0] % 5 != 0);
    }
}

/// Opus packets, each behind a byte that says how long it is, decoded in order; one of no length is a loss.
pub fn opus(bytes: &[u8]) {
    let (mut decoder, mut samples) = (Decoder::new(Codec::Opus), [0; WIDE_SAMPLES]);
    for (packet, timestamp) in lengthwise(bytes).take(PACKETS_MAX).zip(0..) {
        match packet {
            [] => _ = decoder.conceal(None, &mut samples),
            [0xff, packet @ ..] => _ = decoder.conceal(Some(packet), &mut samples),
            packet => {
                let len = usize::from(Codec::Opus.samples(packet).unwrap_or(0));
                let sound = Sound { timestamp, payload: packet, offset: 0, len: len.min(FRAME_SAMPLES) };
                let _ = decoder.decode(sound, &mut samples);
            }
        }
    }
}

/// Packets of any timestamp and length, and beats between them: six bytes each.
pub fn jitter_buffer(bytes: &[u8], start: Instant) {
    let mut buffer = JitterBuffer::new(start, 1275);
    let mut now = start;
    for chunk in bytes.chunks_exact(6).take(BEATS_MAX) {
        let timestamp = u32::from_be_bytes([chunk[0] & 1, chunk[0] & 2, chunk[1], chunk[2]]);
        buffer.insert(
            now,
            timestamp,
            u16::from(chunk[3]) * 4,
            &[7; 600][..usize::from(chunk[4]) * 2],
            chunk[5] & 1 != 0,
        );
        if chunk[5] & 2 != 0 {
            now += BEAT;
            buffer.beat(now);
            let mut wanted = FRAME_SAMPLES;
            while wanted > 0 {
                let len = match buffer.next_piece(wanted, FRAME_SAMPLES) {
                    Piece::Sound(sound) => sound.len,
                    Piece::Missing(len, _) | Piece::Pause(len) => len,
                };
                wanted = wanted.saturating_sub(len);
            }
        }
        now += Duration::from_millis(u64::from(chunk[5] >> 2));
    }
}

/// A whole bridge: datagrams, orders and beats, each behind a byte that says how long it is.
pub fn bridge(bytes: &[u8], start: Instant) {
    let (mut bridge, mut now) = (Bridge::new(1), start);
    let far: SocketAddr = ([127, 0, 0, 1], 4000).into();
    for step in lengthwise(bytes).take(BEATS_MAX) {
        let Some((&kind, rest)) = step.split_first() else { continue };
        let (id, room) = (StreamId(u64::from(kind >> 6)), RoomKey(u64::from(kind >> 6 & 1)));
        let input = match kind & 15 {
            0 => Input::Command(Command::Open(id)),
            1 => Input::Command(Command::Connect(id, remote(far, rest))),
            2 => Input::Command(Command::Join(id, room)),
            3 => Input::Command(Command::Close(id, rest.is_empty())),
            4 => Input::Command(Command::Play(id, vec![Clip::new(vec![900; rest.len()])], 1)),
            5 => Input::Command(Command::Key(id, String::from_utf8_lossy(rest).into_owned())),
            6 => Input::Command(Command::Pressed(id, rest.first().map_or('?', |&key| char::from(key)))),
            7 | 8 => Input::Rtcp(id, far, rest),
            9..=12 => Input::Datagram(id, far, rest),
            _ => {
                now += BEAT;
                Input::Beat
            }
        };
        bridge.handle(now, input);
        while !matches!(bridge.poll(), Output::Wait(_)) {}
    }
}

fn remote(address: SocketAddr, bytes: &[u8]) -> Remote {
    let first = bytes.first().copied().unwrap_or(0);
    let codec = [Codec::ALaw, Codec::MuLaw, Codec::G722, Codec::Opus][usize::from(first & 3)];
    let mut remote = Remote::plain(address, codec);
    remote.rtcp = if first & 4 == 0 { Rtcp::Mux } else { Rtcp::Address(address) };
    remote.srtp = (first & 8 != 0).then_some(Srtp { suite: Suite::AesGcm128, ours: KEYING, theirs: KEYING });
    remote.in_band_digits = first & 16 != 0;
    remote.listens = first & 32 == 0;
    remote.packet_ms = bytes.get(1).copied().unwrap_or(20);
    remote
}

/// The pieces of which each first byte tells the length.
fn lengthwise(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&len, rest) = bytes.split_first()?;
        let (piece, after) = rest.split_at(rest.len().min(usize::from(len)));
        bytes = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::some_instant;

    proptest! {
        #[test]
        fn any_bytes_only_return(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let start = some_instant();
            for part in [rtp, rtcp, srtp, events, key_tones, opus] {
                part(&bytes);
            }
            jitter_buffer(&bytes, start);
            bridge(&bytes, start);
        }
    }
}
