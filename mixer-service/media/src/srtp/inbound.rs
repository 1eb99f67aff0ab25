//! Decrypting what a far end sends.

use std::fmt;

use super::cipher::{Cipher, Extra, Place};
use super::keys::Kind;
use super::replay::Replay;
use super::{Keying, Refused, Suite};
use crate::rtp;

/// Senders told apart under one key; the one proven longest ago gives way. A call has one, or two while it is moved.
const SENDERS_MAX: usize = 8;
/// Bytes of an RTCP header that stay in clear.
const RTCP_CLEAR: usize = 8;
/// In SRTCP's index word: this packet is encrypted.
const ENCRYPTED: u32 = 0x8000_0000;

/// Undoes SRTP and SRTCP of one direction.
pub(crate) struct Unprotect {
    rtp: Cipher,
    rtcp: Cipher,
    rtp_senders: Senders,
    rtcp_senders: Senders,
}

impl Unprotect {
    pub(crate) fn new(suite: Suite, keying: &Keying) -> Self {
        Self {
            rtp: Cipher::new(suite, keying, Kind::Rtp),
            rtcp: Cipher::new(suite, keying, Kind::Rtcp),
            rtp_senders: Senders::default(),
            rtcp_senders: Senders::default(),
        }
    }

    /// Makes RTP of SRTP: its new length, and whether no later packet of its sender was seen.
    pub(crate) fn rtp(&mut self, packet: &mut [u8]) -> Result<(usize, bool), Refused> {
        let clear = rtp::header_len(packet).map_err(|_| Refused::Malformed)?;
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
        let mut replay = self.rtp_senders.of(ssrc).unwrap_or_else(|| Replay::starting_at(u64::from(sequence)));
        let index = replay.index_of(sequence);
        if !replay.is_new(index) {
            return Err(Refused::Replay);
        }
        #[expect(clippy::cast_possible_truncation, reason = "a count that wraps after 89 years of packets")]
        let extra = Extra::RollOver((index >> 16) as u32);
        let len = self.rtp.open(Place { ssrc, index }, packet, clear, extra)?;
        let newest = replay.note(index);
        self.rtp_senders.keep(ssrc, replay);
        Ok((len, newest))
    }

    /// Makes RTCP of SRTCP: its new length, and whether no later packet of its sender was seen.
    pub(crate) fn rtcp(&mut self, packet: &mut [u8]) -> Result<(usize, bool), Refused> {
        let least = RTCP_CLEAR + 4 + self.rtcp.tag_bytes();
        let word_at = packet.len().checked_sub(4 + self.rtcp.behind_index()).filter(|_| packet.len() >= least);
        let word_at = word_at.ok_or(Refused::Malformed)?;
        let word = u32::from_be_bytes([packet[word_at], packet[word_at + 1], packet[word_at + 2], packet[word_at + 3]]);
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        // Reports in clear under a tag are legal and nobody's default; we never agreed to them.
        if word & ENCRYPTED == 0 {
            return Err(Refused::Malformed);
        }
        let index = u64::from(word & !ENCRYPTED);
        let mut replay = self.rtcp_senders.of(ssrc).unwrap_or_else(|| Replay::starting_at(index));
        if !replay.is_new(index) {
            return Err(Refused::Replay);
        }
        let len = self.rtcp.open(Place { ssrc, index }, packet, RTCP_CLEAR, Extra::Index(word))?;
        let newest = replay.note(index);
        self.rtcp_senders.keep(ssrc, replay);
        Ok((len, newest))
    }
}

impl fmt::Debug for Unprotect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unprotect")
    }
}

/// What came from each sender. Only a packet with a right tag makes an entry or changes one.
#[derive(Default)]
struct Senders {
    known: [Option<(u32, Replay)>; SENDERS_MAX],
    next: usize,
}

impl Senders {
    fn of(&self, ssrc: u32) -> Option<Replay> {
        self.known.iter().flatten().find(|known| known.0 == ssrc).map(|known| known.1)
    }

    fn keep(&mut self, ssrc: u32, replay: Replay) {
        match self.known.iter_mut().flatten().find(|known| known.0 == ssrc) {
            Some(known) => known.1 = replay,
            None => {
                self.known[self.next] = Some((ssrc, replay));
                self.next = (self.next + 1) % SENDERS_MAX;
            }
        }
    }
}
