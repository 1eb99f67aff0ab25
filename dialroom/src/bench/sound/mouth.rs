//! What a leg sends: a packet of 20 ms at a time, silence until the talking begins, keys in between.

use std::net::UdpSocket;
use std::sync::Arc;

use super::keys::{Keys, Press, Turn};
use crate::bench::codec::{PAUSE, PAYLOAD_MAX, PERIOD, Score};

/// Fixed part of the RTP header (RFC 3550 section 5.1).
const HEADER_BYTES: usize = 12;
/// Volume of a key in dBm0, negated (RFC 4733 section 2.3.2).
const KEY_VOLUME: u8 = 10;

/// One leg's mouth.
#[derive(Debug)]
pub(super) struct Mouth {
    datagram: [u8; HEADER_BYTES + PAYLOAD_MAX],
    sequence: u16,
    timestamp: u32,
    /// Of the key that is pressed: all its packets carry the first one's timestamp.
    key_timestamp: u32,
    payload_type: u8,
    event_type: Option<u8>,
    ticks_per_packet: u32,
    silence: Arc<Score>,
    /// What a talker says; `None` only listens.
    voice: Option<Arc<Score>>,
    /// Place in the period, once the talking has begun.
    place: Option<usize>,
    /// Place at which this talker begins, so that talkers take turns.
    first_place: usize,
    keys: Keys,
}

/// How a leg speaks.
#[derive(Debug)]
pub(super) struct Speaking {
    pub(super) ssrc: u32,
    pub(super) payload_type: u8,
    pub(super) event_type: Option<u8>,
    pub(super) ticks_per_packet: u32,
    pub(super) silence: Arc<Score>,
    pub(super) voice: Option<Arc<Score>>,
    pub(super) first_place: usize,
    pub(super) keys: Keys,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// The system took it.
    pub(super) taken: bool,
    /// It begins the talker's tone.
    pub(super) begins_tone: bool,
}

impl Mouth {
    pub(super) fn new(speaking: Speaking) -> Self {
        let Speaking { ssrc, payload_type, event_type, ticks_per_packet, silence, voice, first_place, keys } = speaking;
        let mut datagram = [0; HEADER_BYTES + PAYLOAD_MAX];
        datagram[0] = 0x80;
        datagram[8..12].copy_from_slice(&ssrc.to_be_bytes());
        Self {
            datagram,
            sequence: 0,
            timestamp: ssrc,
            key_timestamp: 0,
            payload_type,
            event_type,
            ticks_per_packet,
            silence,
            voice,
            place: None,
            first_place,
            keys,
        }
    }

    /// From here on its talkers talk.
    pub(super) fn talk(&mut self) {
        self.place = Some(self.first_place);
    }

    /// Whether the next packet begins the talker's tone: then the moment of sending is worth a look at the clock.
    pub(super) fn is_to_begin(&self) -> bool {
        self.voice.is_some() && self.place.is_some_and(|place| place == PAUSE)
    }

    /// Sends the next packet.
    pub(super) fn speak(&mut self, socket: &UdpSocket) -> Sent {
        let begins_tone = self.is_to_begin();
        let len = self.write();
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.ticks_per_packet);
        self.place = self.place.map(|place| (place + 1) % PERIOD);
        Sent { taken: socket.send(&self.datagram[..len]).is_ok(), begins_tone }
    }

    /// Writes the next packet and says how long it is.
    fn write(&mut self) -> usize {
        if let (Turn::Press(press), Some(event_type)) = (self.keys.turn(), self.event_type) {
            return self.write_key(press, event_type);
        }
        let place = self.place.unwrap_or_default();
        let score = self.voice.as_ref().filter(|_| self.place.is_some()).unwrap_or(&self.silence);
        let payload = score.payload(place);
        let len = HEADER_BYTES + payload.len();
        self.datagram[HEADER_BYTES..len].copy_from_slice(payload);
        self.write_header(self.payload_type, false, self.timestamp);
        len
    }

    fn write_key(&mut self, press: Press, event_type: u8) -> usize {
        let Press { event, begins, ends, lasted } = press;
        if begins {
            self.key_timestamp = self.timestamp;
        }
        let ticks = u32::from(lasted).saturating_mul(self.ticks_per_packet);
        let duration = u16::try_from(ticks).unwrap_or(u16::MAX).to_be_bytes();
        let end = u8::from(ends) << 7;
        let payload = [event, end | KEY_VOLUME, duration[0], duration[1]];
        self.datagram[HEADER_BYTES..HEADER_BYTES + payload.len()].copy_from_slice(&payload);
        self.write_header(event_type, begins, self.key_timestamp);
        HEADER_BYTES + payload.len()
    }

    fn write_header(&mut self, payload_type: u8, marker: bool, timestamp: u32) {
        self.datagram[1] = u8::from(marker) << 7 | payload_type & 0x7f;
        self.datagram[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        self.datagram[4..8].copy_from_slice(&timestamp.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use mixer_service::sip::Codec;

    use super::*;
    use crate::bench::tones::{Tone, Tones};

    fn mouth(keys: &str) -> Mouth {
        let tones = Tones::new();
        let score = |tone| Arc::new(Score::write(Codec::Pcma, &tones, tone).unwrap());
        Mouth::new(Speaking {
            ssrc: 7,
            payload_type: 8,
            event_type: Some(101),
            ticks_per_packet: 160,
            silence: score(None),
            voice: Some(score(Some(Tone::of_talker(0)))),
            first_place: PAUSE - 1,
            keys: keys.parse().unwrap(),
        })
    }

    /// What a telephone says to another one.
    fn said(mouth: &mut Mouth, packets: usize, talk_after: usize) -> Vec<(Sent, Vec<u8>)> {
        let (here, there) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        here.connect(there.local_addr().unwrap()).unwrap();
        let one = |n| {
            if n == talk_after {
                mouth.talk();
            }
            let (sent, mut datagram) = (mouth.speak(&here), [0; 600]);
            let len = there.recv(&mut datagram).unwrap();
            (sent, datagram[..len].to_vec())
        };
        (0..packets).map(one).collect()
    }

    #[test]
    fn silence_comes_first_and_the_beginning_of_the_tone_is_told() {
        let said = said(&mut mouth(""), 6, 3);
        let begins: Vec<_> = said.iter().map(|(sent, _)| sent.begins_tone).collect();
        assert_eq!(begins, [false, false, false, false, true, false]);
        assert!(said.iter().all(|(sent, datagram)| sent.taken && datagram.len() == 172));
        assert!(said[..4].iter().all(|(_, datagram)| datagram[12..] == said[0].1[12..]));
        assert_ne!(said[4].1[12..], said[0].1[12..]);
        assert_eq!((said[5].1[3], said[5].1[7]), (5, 7 + 32));
    }

    #[test]
    fn a_key_takes_the_place_of_sound_and_keeps_its_first_timestamp() {
        let said = said(&mut mouth("7"), 10, 99);
        let keys: Vec<_> = said.iter().filter(|(_, datagram)| datagram.len() == 16).collect();
        assert_eq!(keys.len(), 8);
        assert!(keys.iter().all(|(_, datagram)| datagram[4..8] == keys[0].1[4..8] && datagram[12] == 7));
        assert_eq!((keys[0].1[1], keys[1].1[1]), (0x80 | 101, 101), "the marker is on the first");
        assert_eq!(keys[0].1[13..], [10, 0, 160]);
        assert_eq!(keys[7].1[13..], [0x80 | 10, 3, 32], "its end, 100 ms long");
        assert_eq!(said[8].1.len(), 172);
    }
}
