//! The sending half of a stream: payload in every beat, packets of the agreed length out.

use crate::codec::Payload;
use crate::dtmf::{DigitSender, Send};
use crate::rtp::{HEADER_BYTES, Packet};
use crate::{FRAME_SAMPLES, FRAME_TICKS, Remote};

/// Longest packet we send: 60 ms.
const PAYLOAD_MAX: usize = 480;
/// Packets that one beat can complete: two of 10 ms.
const READY_MAX: usize = 2;
/// What can wait at the end of a beat, and one more frame.
const PENDING_MAX: usize = PAYLOAD_MAX + FRAME_SAMPLES;

/// Packs what a leg hears. Counts sequence and timestamps from a seed (RFC 3550 section 5.1).
#[derive(Debug)]
pub(crate) struct Outbound {
    payload_type: u8,
    telephone_event: Option<u8>,
    packet_samples: usize,
    ssrc: u32,
    sequence: u16,
    /// Timestamp of the next beat; goes on whatever is sent.
    clock: u32,
    /// The next audio packet begins a talk spurt.
    marker: bool,
    digits: DigitSender,
    keying: bool,
    pending: [u8; PENDING_MAX],
    pending_len: usize,
    ready: [Datagram; READY_MAX],
    ready_len: usize,
    pub(crate) packets_sent: u64,
}

#[derive(Clone, Copy, Debug)]
struct Datagram {
    bytes: [u8; HEADER_BYTES + PAYLOAD_MAX],
    len: usize,
}

impl Outbound {
    pub(crate) fn new(remote: &Remote, seed: u64) -> Self {
        let bytes = scramble(seed).to_be_bytes();
        let mut outbound = Self {
            payload_type: 0,
            telephone_event: None,
            packet_samples: FRAME_SAMPLES,
            ssrc: u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            sequence: u16::from_be_bytes([bytes[4], bytes[5]]),
            clock: u32::from_be_bytes([bytes[6], bytes[7], bytes[1], bytes[3]]),
            marker: true,
            digits: DigitSender::default(),
            keying: false,
            pending: [0; PENDING_MAX],
            pending_len: 0,
            ready: [Datagram { bytes: [0; HEADER_BYTES + PAYLOAD_MAX], len: 0 }; READY_MAX],
            ready_len: 0,
            packets_sent: 0,
        };
        outbound.redirect(remote);
        outbound
    }

    /// Takes up another description of the far end; the stream goes on.
    pub(crate) fn redirect(&mut self, remote: &Remote) {
        let packet_ms = Some(remote.packet_ms).filter(|ms| matches!(ms, 10 | 20 | 30 | 40 | 50 | 60)).unwrap_or(20);
        self.payload_type = remote.payload_type;
        self.telephone_event = remote.telephone_event;
        self.packet_samples = usize::from(packet_ms) * 8;
        self.pending_len = 0;
    }

    /// Adds keys to be sent. Without agreed telephone events they are dropped and count as sent.
    pub(crate) fn press(&mut self, keys: &str) {
        if self.telephone_event.is_some() {
            self.digits.press(keys);
        }
        self.keying = true;
    }

    /// Takes a beat's payload, or sends a key in its place. `true`: the last key was sent just now.
    pub(crate) fn beat(&mut self, payload: &Payload) -> bool {
        self.ready_len = 0;
        let timestamp = self.clock;
        self.clock = self.clock.wrapping_add(FRAME_TICKS);
        match (self.digits.beat(timestamp), self.telephone_event) {
            (Send::Event { marker, timestamp, payload }, Some(payload_type)) => {
                self.pending_len = 0;
                self.marker = true;
                self.send(marker, payload_type, timestamp, &payload);
            }
            (Send::Event { .. } | Send::Audio, _) => self.add(payload),
        }
        let done = self.keying && self.digits.is_idle();
        self.keying &= !done;
        done
    }

    /// Packet `n` of this beat.
    pub(crate) fn ready(&self, n: usize) -> Option<&[u8]> {
        self.ready[..self.ready_len].get(n).map(|datagram| &datagram.bytes[..datagram.len])
    }

    fn add(&mut self, payload: &Payload) {
        self.pending[self.pending_len..self.pending_len + FRAME_SAMPLES].copy_from_slice(payload);
        self.pending_len += FRAME_SAMPLES;
        let (pending, len) = (self.pending, self.packet_samples);
        let mut sent = 0;
        while self.pending_len - sent >= len {
            let waiting = u32::try_from(self.pending_len - sent).unwrap_or(0);
            let marker = std::mem::take(&mut self.marker);
            self.send(marker, self.payload_type, self.clock.wrapping_sub(waiting), &pending[sent..sent + len]);
            sent += len;
        }
        self.pending.copy_within(sent..self.pending_len, 0);
        self.pending_len -= sent;
    }

    fn send(&mut self, marker: bool, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let Some(datagram) = self.ready.get_mut(self.ready_len) else { return };
        let packet = Packet { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc, payload };
        let Some(len) = packet.write(&mut datagram.bytes) else { return };
        datagram.len = len;
        self.ready_len += 1;
        self.sequence = self.sequence.wrapping_add(1);
        self.packets_sent += 1;
    }
}

/// Spreads a seed over 64 bits (the finisher of SplitMix64), so that neighbours share nothing.
pub(crate) fn scramble(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::G711;

    fn remote(packet_ms: u8) -> Remote {
        Remote {
            address: ([127, 0, 0, 1], 4000).into(),
            codec: G711::ALaw,
            payload_type: 8,
            telephone_event: Some(101),
            comfort_noise: None,
            packet_ms,
        }
    }

    /// (marker, payload type, sequence, timestamp, length) of the packets of so many beats, from the first on.
    fn sent(outbound: &mut Outbound, beats: u32) -> Vec<(bool, u8, u16, u32, usize)> {
        let mut packets = Vec::new();
        for _ in 0..beats {
            outbound.beat(&[0xd5; FRAME_SAMPLES]);
            for n in 0.. {
                let Some(bytes) = outbound.ready(n) else { break };
                let packet = Packet::parse(bytes).unwrap();
                packets.push((
                    packet.marker,
                    packet.payload_type,
                    packet.sequence,
                    packet.timestamp,
                    packet.payload.len(),
                ));
            }
        }
        packets
    }

    #[test]
    fn packets_have_the_length_agreed_on_and_lie_end_to_end() {
        for (packet_ms, len) in [(10, 80), (20, 160), (30, 240), (40, 320), (50, 400), (60, 480), (0, 160), (255, 160)]
        {
            let packets = sent(&mut Outbound::new(&remote(packet_ms), 1), 30);
            assert_eq!(packets.len(), 30 * FRAME_SAMPLES / len, "{packet_ms}");
            for (n, packet) in (0u16..).zip(&packets) {
                let first = packets[0];
                let timestamp = first.3.wrapping_add(u32::from(n) * u32::try_from(len).unwrap());
                assert_eq!(*packet, (n == 0, 8, first.2.wrapping_add(n), timestamp, len), "{packet_ms}");
            }
        }
    }

    #[test]
    fn a_key_takes_the_place_of_sound_and_sound_goes_on_in_time() {
        let mut outbound = Outbound::new(&remote(20), 2);
        let before = sent(&mut outbound, 1)[0];
        outbound.press("5");
        let packets = sent(&mut outbound, 9);
        assert!(packets[..8].iter().all(|packet| packet.1 == 101 && packet.3 == before.3.wrapping_add(160)));
        assert_eq!(packets[8], (true, 8, before.2.wrapping_add(9), before.3.wrapping_add(9 * 160), 160));
    }

    #[test]
    fn neighbouring_seeds_share_nothing() {
        let [a, b] = [1, 2].map(|seed| Outbound::new(&remote(20), seed));
        assert!(a.ssrc != b.ssrc && a.sequence != b.sequence && a.clock != b.clock);
    }
}
