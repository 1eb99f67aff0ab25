//! The sending half of a stream: sound in every beat, packets of the agreed length out.

use crate::codec::Encoder;
use crate::dtmf::{DigitSender, Send};
use crate::rtp::{HEADER_BYTES, Packet};
use crate::srtp::{Protect, TRAILER_MAX};
use crate::{Codec, FRAME_SAMPLES, FRAME_TICKS, Remote, WIDE_SAMPLES, WideFrame};

/// Longest packet we send: 60 ms of G.711. Opus at our rate needs a quarter of it.
pub(crate) const PAYLOAD_MAX: usize = 480;
/// Packets that one beat can complete: two of 10 ms.
const READY_MAX: usize = 2;
/// What can wait at the end of a beat, and one more frame.
const PENDING_MAX: usize = PAYLOAD_MAX + FRAME_SAMPLES;
const DATAGRAM_MAX: usize = HEADER_BYTES + PAYLOAD_MAX + TRAILER_MAX;

/// What a beat sounds like: encoded once for many, or still to be encoded for this leg alone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sound<'a> {
    /// 20 ms in this leg's codec.
    Coded(&'a [u8]),
    /// Linear, for a codec that remembers.
    Linear(&'a WideFrame),
}

/// Packs what a leg hears. Counts sequence and timestamps from a seed (RFC 3550 section 5.1).
#[derive(Debug)]
pub(crate) struct Outbound {
    codec: Codec,
    pub(crate) encoder: Encoder,
    /// What the far end loses of it, in percent.
    pub(crate) loss_percent: u8,
    payload_type: u8,
    telephone_event: Option<u8>,
    packet_samples: usize,
    pub(crate) ssrc: u32,
    sequence: u16,
    /// Timestamp of the next beat; goes on whatever is sent.
    pub(crate) clock: u32,
    /// The next audio packet begins a talk spurt.
    marker: bool,
    digits: DigitSender,
    keying: bool,
    protect: Option<Box<Protect>>,
    /// Apart: most packets hold a beat, and nothing waits.
    pending: Box<[u8; PENDING_MAX]>,
    pending_len: usize,
    pub(crate) packets_sent: u64,
    pub(crate) octets_sent: u64,
}

/// The packets of one leg on one beat. All legs fill the same, one after the other, so that it stays in the processor's cache.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    packets: [Datagram; READY_MAX],
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Datagram {
    bytes: [u8; DATAGRAM_MAX],
    len: usize,
}

impl Default for Parcel {
    fn default() -> Self {
        Self { packets: [Datagram { bytes: [0; DATAGRAM_MAX], len: 0 }; READY_MAX], len: 0 }
    }
}

impl Parcel {
    /// Empties it for the next leg.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Packet `n` of this beat.
    pub(crate) fn packet(&self, n: usize) -> Option<&[u8]> {
        self.packets[..self.len].get(n).map(|datagram| &datagram.bytes[..datagram.len])
    }
}

impl Outbound {
    pub(crate) fn new(remote: &Remote, seed: u64) -> Self {
        let bytes = scramble(seed).to_be_bytes();
        let mut outbound = Self {
            codec: remote.codec,
            encoder: Encoder::new(remote.codec),
            loss_percent: 0,
            payload_type: 0,
            telephone_event: None,
            packet_samples: FRAME_SAMPLES,
            ssrc: u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            // The lower half: were the first packets lost, a receiver of SRTP would miss the round (RFC 3711 section 3.3.1).
            sequence: u16::from_be_bytes([bytes[4], bytes[5]]) & 0x7fff,
            clock: u32::from_be_bytes([bytes[6], bytes[7], bytes[1], bytes[3]]),
            marker: true,
            digits: DigitSender::new(remote.codec.ticks_per_sample()),
            keying: false,
            protect: None,
            pending: Box::new([0; PENDING_MAX]),
            pending_len: 0,
            packets_sent: 0,
            octets_sent: 0,
        };
        outbound.protect = remote.srtp.map(|srtp| Box::new(Protect::new(srtp.suite, &srtp.ours)));
        outbound.redirect(remote);
        outbound
    }

    /// Takes up another description of the far end; the stream goes on.
    pub(crate) fn redirect(&mut self, remote: &Remote) {
        if remote.codec != self.codec {
            self.codec = remote.codec;
            self.encoder = Encoder::new(remote.codec);
            self.digits.set_clock(remote.codec.ticks_per_sample());
        }
        let packet_ms = match (remote.codec, remote.packet_ms) {
            // A longer packet is a wish; Opus has no frames of 30 and 50 ms, and 20 ms are always right.
            (Codec::Opus, 10) | (Codec::ALaw | Codec::MuLaw | Codec::G722, 10) => 10,
            (Codec::ALaw | Codec::MuLaw | Codec::G722, ms @ (30 | 40 | 50 | 60)) => ms,
            (Codec::ALaw | Codec::MuLaw | Codec::G722 | Codec::Opus, _) => 20,
        };
        self.payload_type = remote.payload_type;
        self.telephone_event = remote.telephone_event;
        self.packet_samples = usize::from(packet_ms) * 8;
        self.pending_len = 0;
        self.marker = true;
    }

    /// Other keys from here on, and another SSRC with them: so the far end counts from the beginning as we do
    /// (RFC 3711 section 3.3.1).
    pub(crate) fn rekey(&mut self, remote: &Remote, seed: u64) {
        let bytes = scramble(seed).to_be_bytes();
        self.ssrc = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        self.sequence &= 0x7fff;
        self.protect = remote.srtp.map(|srtp| Box::new(Protect::new(srtp.suite, &srtp.ours)));
    }

    /// See [`Stream::fetch`](crate::stream::Stream::fetch).
    pub(crate) fn fetch(&self) -> u32 {
        self.clock ^ u32::from(self.sequence) ^ u32::from(self.digits.is_idle())
    }

    /// Adds keys to be sent. Without agreed telephone events they are dropped and count as sent.
    pub(crate) fn press(&mut self, keys: &str) {
        if self.telephone_event.is_some() {
            self.digits.press(keys);
        }
        self.keying = true;
    }

    /// The far end loses so many percent of what we send.
    pub(crate) fn expect_loss(&mut self, percent: u8) {
        self.loss_percent = percent;
        self.encoder.expect_loss(percent);
    }

    /// Whether what the room's encoder says fits its packets: Opus cannot be cut.
    pub(crate) fn can_share(&self) -> bool {
        match self.codec {
            Codec::ALaw | Codec::MuLaw | Codec::G722 => true,
            Codec::Opus => self.packet_samples == FRAME_SAMPLES,
        }
    }

    /// Encrypts a report in place; its new length.
    pub(crate) fn protect_rtcp(&mut self, packet: &mut [u8], len: usize) -> usize {
        match &mut self.protect {
            Some(protect) => protect.rtcp(packet, len).unwrap_or(0),
            None => len,
        }
    }

    /// Lets a beat pass in which nothing is sent. Keys wait.
    pub(crate) fn pass(&mut self) {
        self.pending_len = 0;
        self.marker = true;
        self.clock = self.clock.wrapping_add(FRAME_TICKS * self.codec.ticks_per_sample());
    }

    /// Takes a beat's sound, or sends a key in its place. `true`: the last key was sent just now.
    pub(crate) fn beat(&mut self, sound: Sound<'_>, parcel: &mut Parcel) -> bool {
        let timestamp = self.clock;
        self.clock = self.clock.wrapping_add(FRAME_TICKS * self.codec.ticks_per_sample());
        match (self.digits.beat(timestamp), self.telephone_event) {
            (Send::Event { marker, timestamp, payload }, Some(payload_type)) => {
                self.pending_len = 0;
                self.marker = true;
                self.send(marker, payload_type, timestamp, &payload, parcel);
            }
            (Send::Event { .. } | Send::Audio, _) => self.add(timestamp, sound, parcel),
        }
        let done = self.keying && self.digits.is_idle();
        self.keying &= !done;
        done
    }

    fn add(&mut self, timestamp: u32, sound: Sound<'_>, parcel: &mut Parcel) {
        match (sound, self.codec) {
            (Sound::Coded(payload), Codec::Opus) => self.add_packet(timestamp, payload, parcel),
            (Sound::Coded(payload), Codec::G722 | Codec::ALaw | Codec::MuLaw) => self.add_bytes(payload, parcel),
            (Sound::Linear(frame), Codec::Opus) => self.add_opus(timestamp, frame, parcel),
            (Sound::Linear(frame), Codec::G722 | Codec::ALaw | Codec::MuLaw) => {
                let mut payload = [0; FRAME_SAMPLES];
                if self.encoder.encode(frame, &mut payload) == FRAME_SAMPLES {
                    self.add_bytes(&payload, parcel);
                }
            }
        }
    }

    /// Opus packets cannot be cut or joined, so each is as long as the sound that it is made from.
    fn add_opus(&mut self, timestamp: u32, frame: &WideFrame, parcel: &mut Parcel) {
        let samples_of_sound = self.packet_samples * WIDE_SAMPLES / FRAME_SAMPLES;
        for (samples, n) in frame.chunks_exact(samples_of_sound).zip(0..) {
            let mut payload = [0; PAYLOAD_MAX];
            let len = self.encoder.encode(samples, &mut payload);
            let ticks = n * FRAME_TICKS / 2 * self.codec.ticks_per_sample();
            self.add_packet(timestamp.wrapping_add(ticks), &payload[..len], parcel);
        }
    }

    fn add_packet(&mut self, timestamp: u32, payload: &[u8], parcel: &mut Parcel) {
        if !payload.is_empty() {
            let marker = std::mem::take(&mut self.marker);
            self.send(marker, self.payload_type, timestamp, payload, parcel);
        }
    }

    fn add_bytes(&mut self, payload: &[u8], parcel: &mut Parcel) {
        if payload.len() != FRAME_SAMPLES {
            return;
        }
        // Nearly every packet holds exactly one frame.
        if self.pending_len == 0 && self.packet_samples == FRAME_SAMPLES {
            let marker = std::mem::take(&mut self.marker);
            return self.send(marker, self.payload_type, self.clock.wrapping_sub(FRAME_TICKS), payload, parcel);
        }
        self.pending[self.pending_len..self.pending_len + FRAME_SAMPLES].copy_from_slice(payload);
        self.pending_len += FRAME_SAMPLES;
        let (pending, len) = (*self.pending, self.packet_samples);
        let mut sent = 0;
        while self.pending_len - sent >= len {
            let waiting = u32::try_from(self.pending_len - sent).unwrap_or(0);
            let marker = std::mem::take(&mut self.marker);
            self.send(marker, self.payload_type, self.clock.wrapping_sub(waiting), &pending[sent..sent + len], parcel);
            sent += len;
        }
        self.pending.copy_within(sent..self.pending_len, 0);
        self.pending_len -= sent;
    }

    fn send(&mut self, marker: bool, payload_type: u8, timestamp: u32, payload: &[u8], parcel: &mut Parcel) {
        let Some(datagram) = parcel.packets.get_mut(parcel.len) else { return };
        let packet = Packet { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc, payload };
        let Some(len) = packet.write(&mut datagram.bytes) else { return };
        let len = match &mut self.protect {
            Some(protect) => protect.rtp(&mut datagram.bytes, len),
            None => Some(len),
        };
        let Some(len) = len else { return };
        datagram.len = len;
        parcel.len += 1;
        self.sequence = self.sequence.wrapping_add(1);
        self.packets_sent += 1;
        self.octets_sent += payload.len() as u64;
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

    fn remote(packet_ms: u8) -> Remote {
        Remote { packet_ms, ..Remote::plain(([127, 0, 0, 1], 4000).into(), Codec::ALaw) }
    }

    /// (marker, payload type, sequence, timestamp, length) of the packets of so many beats, from the first on.
    fn sent(outbound: &mut Outbound, beats: u32) -> Vec<(bool, u8, u16, u32, usize)> {
        let mut packets = Vec::new();
        for _ in 0..beats {
            let mut parcel = Parcel::default();
            match outbound.codec.law() {
                Some(_) => outbound.beat(Sound::Coded(&[0xd5; FRAME_SAMPLES]), &mut parcel),
                None => outbound.beat(Sound::Linear(&[0; WIDE_SAMPLES]), &mut parcel),
            };
            for n in 0.. {
                let Some(bytes) = parcel.packet(n) else { break };
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
    fn wideband_codecs_count_time_by_their_own_clocks() {
        for (codec, packet_ms, ticks) in [
            (Codec::G722, 20, 160),
            (Codec::G722, 30, 240),
            (Codec::Opus, 20, 960),
            (Codec::Opus, 10, 480),
            (Codec::Opus, 60, 960),
        ] {
            let mut remote = Remote::plain(([127, 0, 0, 1], 4000).into(), codec);
            remote.packet_ms = packet_ms;
            let mut outbound = Outbound::new(&remote, 1);
            let packets = sent(&mut outbound, 30);
            for pair in packets.windows(2) {
                assert_eq!(pair[1].3.wrapping_sub(pair[0].3), ticks, "{codec:?} {packet_ms}");
            }
            outbound.press("5");
            let keys: Vec<_> = sent(&mut outbound, 8).into_iter().filter(|packet| packet.1 == 101).collect();
            assert_eq!(keys.len(), 8);
            assert!(keys.iter().all(|packet| packet.3 == keys[0].3));
        }
    }

    #[test]
    fn other_keys_come_with_another_ssrc_from_the_lower_half_of_the_numbers() {
        let mut outbound = Outbound::new(&remote(20), 2);
        (outbound.sequence, outbound.packets_sent) = (60_000, 60_000);
        let before = outbound.ssrc;
        outbound.rekey(&remote(20), 3);
        assert!(outbound.ssrc != before && outbound.sequence < 0x8000);
    }

    #[test]
    fn while_nothing_is_sent_time_goes_on() {
        let mut outbound = Outbound::new(&remote(20), 2);
        let before = sent(&mut outbound, 1)[0];
        outbound.pass();
        let after = sent(&mut outbound, 1)[0];
        assert_eq!(after, (true, 8, before.2.wrapping_add(1), before.3.wrapping_add(320), 160));
    }

    #[test]
    fn neighbouring_seeds_share_nothing() {
        let [a, b] = [1, 2].map(|seed| Outbound::new(&remote(20), seed));
        assert!(a.ssrc != b.ssrc && a.sequence != b.sequence && a.clock != b.clock);
    }
}
