//! RTP packets (RFC 3550 section 5.1): read from whatever arrives, written for what we send.
//!
//! Reading is tolerant where the standard is (contributing sources, extensions, padding) and refuses what cannot be RTP.
//! RTCP on the same port (RFC 5761 section 4) is told apart, never misread.

/// Bytes of the header we write: no contributing sources, no extension.
pub(crate) const HEADER_BYTES: usize = 12;

/// A packet as it arrived; the payload is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    /// First of a talk spurt, or of a telephone event.
    pub(crate) marker: bool,
    /// 0–127.
    pub(crate) payload_type: u8,
    /// Counts packets; wraps.
    pub(crate) sequence: u16,
    /// Counts samples; wraps.
    pub(crate) timestamp: u32,
    /// Who sent it.
    pub(crate) ssrc: u32,
    /// What is left between header and padding; may be empty.
    pub(crate) payload: &'a [u8],
}

/// Why some bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Ends before its own header, list or extension does.
    #[error("datagram ends within its RTP header")]
    Truncated,
    /// Not version 2.
    #[error("RTP version {0} instead of 2")]
    Version(u8),
    /// Packet types 192–223 in the second byte.
    #[error("RTCP on the RTP port")]
    Rtcp,
    /// More padding than packet, or padding of no bytes.
    #[error("RTP padding of {0} bytes does not fit")]
    Padding(u8),
}

impl<'a> Packet<'a> {
    /// Reads one datagram.
    ///
    /// # Errors
    /// When it is no RTP packet; nothing about it is to be believed then.
    pub(crate) fn parse(datagram: &'a [u8]) -> Result<Self, Refusal> {
        let len = header_len(datagram)?;
        let (header, rest) = (&datagram[..HEADER_BYTES], &datagram[len..]);
        let payload = if header[0] & 0x20 == 0 { rest } else { before_padding(rest)? };
        Ok(Self {
            marker: header[1] & 0x80 != 0,
            payload_type: header[1] & 0x7f,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            payload,
        })
    }

    /// Writes header and payload to the beginning of `datagram` and says how many bytes; `None` if they do not fit.
    pub(crate) fn write(&self, datagram: &mut [u8]) -> Option<usize> {
        let len = HEADER_BYTES + self.payload.len();
        let (header, rest) = datagram.get_mut(..len)?.split_at_mut(HEADER_BYTES);
        header[0] = 0x80;
        header[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        header[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        header[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        header[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        rest.copy_from_slice(self.payload);
        Some(len)
    }
}

/// Whether these bytes are RTCP, should they be RTP or RTCP at all (RFC 5761 section 4).
pub(crate) fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, 192..=223, ..] if first >> 6 == 2)
}

/// How far the header reaches: fixed part, contributing sources and one extension (RFC 3550 sections 5.1 and 5.3.1).
///
/// # Errors
/// When it is none, or reaches beyond the datagram.
pub(crate) fn header_len(datagram: &[u8]) -> Result<usize, Refusal> {
    let &[first, second, ..] = datagram.get(..HEADER_BYTES).ok_or(Refusal::Truncated)? else {
        return Err(Refusal::Truncated);
    };
    if first >> 6 != 2 {
        return Err(Refusal::Version(first >> 6));
    }
    if (192..=223).contains(&second) {
        return Err(Refusal::Rtcp);
    }
    let mut len = HEADER_BYTES + usize::from(first & 0x0f) * 4;
    if first & 0x10 != 0 {
        let head = datagram.get(len..len + 4).ok_or(Refusal::Truncated)?;
        len += 4 + usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
    }
    if len <= datagram.len() { Ok(len) } else { Err(Refusal::Truncated) }
}

/// Takes off the padding, whose last byte counts it.
fn before_padding(bytes: &[u8]) -> Result<&[u8], Refusal> {
    let count = *bytes.last().ok_or(Refusal::Padding(0))?;
    let end = bytes.len().checked_sub(usize::from(count)).filter(|_| count > 0);
    end.map(|end| &bytes[..end]).ok_or(Refusal::Padding(count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: [u8; 14] = [0x80, 0x88, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xaa, 0xbb];

    fn with(change: impl FnOnce(&mut Vec<u8>)) -> Result<Vec<u8>, Refusal> {
        let mut bytes = PLAIN.to_vec();
        change(&mut bytes);
        Packet::parse(&bytes).map(|packet| packet.payload.to_vec())
    }

    #[test]
    fn fields_are_read_in_network_order() {
        let expected =
            Packet { marker: true, payload_type: 8, sequence: 1, timestamp: 2, ssrc: 3, payload: &[0xaa, 0xbb] };
        assert_eq!(Packet::parse(&PLAIN), Ok(expected));
    }

    #[test]
    fn contributors_extension_and_padding_are_stepped_over() {
        assert_eq!(
            with(|bytes| {
                bytes[0] |= 2;
                bytes.splice(12..12, [9; 8]);
            }),
            Ok(vec![0xaa, 0xbb])
        );
        assert_eq!(
            with(|bytes| {
                bytes[0] |= 0x10;
                bytes.splice(12..12, [0, 0, 0, 1, 9, 9, 9, 9]);
            }),
            Ok(vec![0xaa, 0xbb])
        );
        assert_eq!(
            with(|bytes| {
                bytes[0] |= 0x20;
                bytes.extend([0, 0, 3]);
            }),
            Ok(vec![0xaa, 0xbb])
        );
        assert_eq!(with(|bytes| bytes.truncate(12)), Ok(vec![]));
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        assert_eq!(with(|bytes| bytes.truncate(1)), Err(Refusal::Truncated));
        assert_eq!(with(|bytes| bytes[0] = 0x00), Err(Refusal::Version(0)));
        assert_eq!(with(|bytes| bytes[0] |= 15), Err(Refusal::Truncated));
        assert_eq!(
            with(|bytes| {
                bytes[0] |= 0x10;
                bytes.splice(12..12, [0, 0, 0xff, 0xff]);
            }),
            Err(Refusal::Truncated)
        );
        assert_eq!(
            with(|bytes| {
                bytes[0] |= 0x20;
                bytes.push(255);
            }),
            Err(Refusal::Padding(255))
        );
        assert_eq!(
            with(|bytes| {
                bytes[0] |= 0x20;
                bytes.push(0);
            }),
            Err(Refusal::Padding(0))
        );
        assert_eq!(
            with(|bytes| {
                bytes[0] |= 0x20;
                bytes.truncate(12);
            }),
            Err(Refusal::Padding(0))
        );
    }

    #[test]
    fn rtcp_is_told_apart() {
        for kind in 200..=204 {
            assert_eq!(with(|bytes| bytes[1] = kind), Err(Refusal::Rtcp));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1600)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.payload.len() <= bytes.len() - HEADER_BYTES);
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            marker: bool, payload_type in 0u8..64, sequence: u16, timestamp: u32, ssrc: u32,
            payload in proptest::collection::vec(any::<u8>(), 0..480),
        ) {
            let packet = Packet { marker, payload_type, sequence, timestamp, ssrc, payload: &payload };
            let mut datagram = [0; 512];
            let len = packet.write(&mut datagram).unwrap();
            prop_assert_eq!(Packet::parse(&datagram[..len]), Ok(packet));
            prop_assert_eq!(packet.write(&mut datagram[..len - 1]), None);
        }
    }
}
