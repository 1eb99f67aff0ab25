//! Encrypting what we send.

use std::fmt;

use super::cipher::{Cipher, Extra, Place};
use super::keys::Kind;
use super::{Keying, Suite};
use crate::rtp::HEADER_BYTES;

/// Bytes of an RTCP header that stay in clear.
const RTCP_CLEAR: usize = 8;

/// Makes SRTP and SRTCP of one direction, whose packets come in order and once each.
pub(crate) struct Protect {
    rtp: Cipher,
    rtcp: Cipher,
    /// Index of the RTP packet before this one.
    last: Option<u64>,
    rtcp_index: u32,
}

impl Protect {
    pub(crate) fn new(suite: Suite, keying: &Keying) -> Self {
        Self {
            rtp: Cipher::new(suite, keying, Kind::Rtp),
            rtcp: Cipher::new(suite, keying, Kind::Rtcp),
            last: None,
            rtcp_index: 0,
        }
    }

    /// Makes SRTP of the RTP packet at the beginning of `packet`, whose header is as we write it; gives the new length, `None`
    /// if it does not fit.
    pub(crate) fn rtp(&mut self, packet: &mut [u8], len: usize) -> Option<usize> {
        let &[_, _, high, low, _, _, _, _, a, b, c, d, ..] = &*packet else { return None };
        let sequence = u16::from_be_bytes([high, low]);
        let index = match self.last {
            #[expect(clippy::cast_possible_truncation, reason = "the sequence number is what the index ends in")]
            Some(last) => last + u64::from(sequence.wrapping_sub(last as u16)),
            None => u64::from(sequence),
        };
        self.last = Some(index);
        let place = Place { ssrc: u32::from_be_bytes([a, b, c, d]), index };
        #[expect(clippy::cast_possible_truncation, reason = "a count that wraps after 89 years of packets")]
        let extra = Extra::RollOver((index >> 16) as u32);
        self.rtp.seal(place, packet, HEADER_BYTES, len, extra)
    }

    /// Makes SRTCP of the RTCP packet at the beginning of `packet`.
    pub(crate) fn rtcp(&mut self, packet: &mut [u8], len: usize) -> Option<usize> {
        let &[_, _, _, _, a, b, c, d, ..] = &*packet else { return None };
        let index = self.rtcp_index;
        self.rtcp_index = self.rtcp_index.wrapping_add(1) & 0x7fff_ffff;
        let place = Place { ssrc: u32::from_be_bytes([a, b, c, d]), index: u64::from(index) };
        self.rtcp.seal(place, packet, RTCP_CLEAR, len, Extra::Index(0x8000_0000 | index))
    }
}

impl fmt::Debug for Protect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protect")
    }
}
