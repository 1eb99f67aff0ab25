//! RTCP packets (RFC 3550 section 6): read from whatever arrives, written for what we report.
//!
//! Reading looks at reports and goodbyes and steps over the rest. It trusts no length and no count beyond the datagram's end.

/// Longest compound packet that we write: report with one block, name and goodbye.
pub(crate) const COMPOUND_MAX: usize = 96;
/// Bytes of our name, see RFC 7022.
pub(crate) const NAME_BYTES: usize = 16;
const NAME_LEN: u8 = 16;
const _: () = assert!(NAME_BYTES == NAME_LEN as usize, "one length, as a count and as an octet");

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const BLOCK_BYTES: usize = 24;
/// The description's item for the name.
const CNAME: u8 = 1;

/// What a sender says of what it sent (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderInfo {
    /// Its clock, seconds and their 32-bit fraction.
    pub(crate) ntp: u64,
    /// The same instant in RTP timestamps.
    pub(crate) timestamp: u32,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

/// What a receiver says of one sender (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReportBlock {
    /// Whom it is about.
    pub(crate) ssrc: u32,
    /// Lost since the report before, of 256.
    pub(crate) fraction_lost: u8,
    /// Lost in all; 24 bits with a sign, for duplicates count against it.
    pub(crate) lost: i32,
    pub(crate) highest: u32,
    /// In ticks of the RTP clock.
    pub(crate) jitter: u32,
    /// The middle of the last sender report's clock; 0 for none.
    pub(crate) last_report: u32,
    /// How long ago that came, in 1/65536 s.
    pub(crate) since_last_report: u32,
}

/// One thing that a compound packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// This SSRC sent so much.
    Sent(u32, SenderInfo),
    /// This SSRC received so well.
    Received(u32, ReportBlock),
    /// This SSRC leaves.
    Goodbye(u32),
}

/// Why some bytes are no RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("no RTCP header")]
    Header,
    #[error("RTCP version {0} instead of 2")]
    Version(u8),
    #[error("a packet within is longer than the datagram")]
    Length,
    #[error("a report ends before its blocks do")]
    Blocks,
}

/// Tells all that a compound packet says, in order, and who sent it.
///
/// # Errors
/// At the first packet within that does not hold; what was told before it is not to be believed either.
pub(crate) fn read(datagram: &[u8], mut told: impl FnMut(Said)) -> Result<u32, Malformed> {
    let (mut rest, mut from) = (datagram, None);
    while !rest.is_empty() {
        let &[first, kind, high, low, ..] = rest else { return Err(Malformed::Header) };
        if first >> 6 != 2 {
            return Err(Malformed::Version(first >> 6));
        }
        let len = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        let (packet, after) = rest.split_at_checked(len).ok_or(Malformed::Length)?;
        let body = &packet[4..];
        from = from.or_else(|| word(body, 0));
        match kind {
            SENDER_REPORT => {
                let ssrc = word(body, 0).ok_or(Malformed::Blocks)?;
                told(Said::Sent(ssrc, sender_info(body).ok_or(Malformed::Blocks)?));
                read_blocks(ssrc, body.get(24..).ok_or(Malformed::Blocks)?, first & 0x1f, &mut told)?;
            }
            RECEIVER_REPORT => {
                let ssrc = word(body, 0).ok_or(Malformed::Blocks)?;
                read_blocks(ssrc, &body[4..], first & 0x1f, &mut told)?;
            }
            GOODBYE => {
                for n in 0..usize::from(first & 0x1f) {
                    told(Said::Goodbye(word(body, n * 4).ok_or(Malformed::Blocks)?));
                }
            }
            _ => {}
        }
        rest = after;
    }
    from.ok_or(Malformed::Header)
}

fn read_blocks(from: u32, bytes: &[u8], count: u8, told: &mut impl FnMut(Said)) -> Result<(), Malformed> {
    for n in 0..usize::from(count) {
        let block = bytes.get(n * BLOCK_BYTES..(n + 1) * BLOCK_BYTES).ok_or(Malformed::Blocks)?;
        let word = |at| word(block, at).unwrap_or(0);
        told(Said::Received(
            from,
            ReportBlock {
                ssrc: word(0),
                fraction_lost: block[4],
                lost: (word(4) << 8).cast_signed() >> 8,
                highest: word(8),
                jitter: word(12),
                last_report: word(16),
                since_last_report: word(20),
            },
        ));
    }
    Ok(())
}

fn sender_info(body: &[u8]) -> Option<SenderInfo> {
    Some(SenderInfo {
        ntp: u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?),
        timestamp: word(body, 12)?,
        packets: word(body, 16)?,
        octets: word(body, 20)?,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
}

/// What we report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) ssrc: u32,
    /// With it, it is a sender report; without, a receiver report.
    pub(crate) sent: Option<SenderInfo>,
    pub(crate) received: Option<ReportBlock>,
    pub(crate) name: &'a [u8; NAME_BYTES],
    pub(crate) goodbye: bool,
}

impl Report<'_> {
    /// Writes a compound packet (RFC 3550 section 6.1) and says how long it is.
    pub(crate) fn write(&self, datagram: &mut [u8; COMPOUND_MAX]) -> usize {
        let mut pen = Pen { datagram, len: 0 };
        let kind = if self.sent.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
        pen.packet(u8::from(self.received.is_some()), kind, |pen| {
            pen.word(self.ssrc);
            if let Some(sent) = self.sent {
                pen.bytes(&sent.ntp.to_be_bytes());
                [sent.timestamp, sent.packets, sent.octets].into_iter().for_each(|word| pen.word(word));
            }
            if let Some(block) = self.received {
                pen.word(block.ssrc);
                pen.word(
                    u32::from(block.fraction_lost) << 24
                        | block.lost.clamp(-0x0080_0000, 0x007f_ffff).cast_unsigned() & 0x00ff_ffff,
                );
                [block.highest, block.jitter, block.last_report, block.since_last_report]
                    .into_iter()
                    .for_each(|word| pen.word(word));
            }
        });
        pen.packet(1, DESCRIPTION, |pen| {
            pen.word(self.ssrc);
            pen.bytes(&[CNAME, NAME_LEN]);
            pen.bytes(self.name);
            // The list ends with at least one zero, and the packet on a whole word.
            pen.bytes(&[0; 2]);
        });
        if self.goodbye {
            pen.packet(1, GOODBYE, |pen| pen.word(self.ssrc));
        }
        pen.len
    }
}

/// Writes behind what it wrote; what does not fit is left out, and [`COMPOUND_MAX`] is so that all fits.
struct Pen<'a> {
    datagram: &'a mut [u8; COMPOUND_MAX],
    len: usize,
}

impl Pen<'_> {
    fn packet(&mut self, count: u8, kind: u8, body: impl FnOnce(&mut Self)) {
        let start = self.len;
        self.bytes(&[0x80 | count, kind, 0, 0]);
        body(self);
        let words = u16::try_from((self.len - start) / 4 - 1).unwrap_or(0);
        self.datagram[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(place) = self.datagram.get_mut(self.len..self.len + bytes.len()) {
            place.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(datagram: &[u8]) -> Result<(u32, Vec<Said>), Malformed> {
        let mut said = Vec::new();
        read(datagram, |one| said.push(one)).map(|from| (from, said))
    }

    const INFO: SenderInfo = SenderInfo { ntp: 0x0123_4567_89ab_cdef, timestamp: 9, packets: 10, octets: 11 };
    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 2,
        fraction_lost: 64,
        lost: -3,
        highest: 70_000,
        jitter: 12,
        last_report: 0x4567_89ab,
        since_last_report: 65_536,
    };

    #[test]
    fn what_is_written_is_read_back() {
        for sent in [None, Some(INFO)] {
            for received in [None, Some(BLOCK)] {
                for goodbye in [false, true] {
                    let mut datagram = [0; COMPOUND_MAX];
                    let len =
                        Report { ssrc: 1, sent, received, name: b"0123456789abcdef", goodbye }.write(&mut datagram);
                    assert_eq!(len % 4, 0);
                    let expected: Vec<_> = [
                        sent.map(|sent| Said::Sent(1, sent)),
                        received.map(|received| Said::Received(1, received)),
                        goodbye.then_some(Said::Goodbye(1)),
                    ]
                    .into_iter()
                    .flatten()
                    .collect();
                    assert_eq!(all(&datagram[..len]), Ok((1, expected)));
                }
            }
        }
    }

    #[test]
    fn lengths_and_counts_that_lie_are_refused() {
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        assert!(all(&report).is_ok());
        assert_eq!(all(&[]), Err(Malformed::Header));
        assert_eq!(all(&report[..3]), Err(Malformed::Header));
        assert_eq!(all(&[0x40, 201, 0, 1, 0, 0, 0, 1]), Err(Malformed::Version(1)));
        assert_eq!(all(&[0x80, 201, 0xff, 0xff, 0, 0, 0, 1]), Err(Malformed::Length));
        assert_eq!(all(&[0x9f, 201, 0, 1, 0, 0, 0, 1]), Err(Malformed::Blocks));
        assert_eq!(all(&[0x80, 201, 0, 0]), Err(Malformed::Blocks));
        assert_eq!(all(&[0x80, 200, 0, 1, 0, 0, 0, 1]), Err(Malformed::Blocks));
        assert_eq!(all(&[0x9f, 203, 0, 1, 0, 0, 0, 1]), Err(Malformed::Blocks));
    }

    #[test]
    fn packets_of_other_kinds_are_stepped_over() {
        let mut datagram = vec![0x80, 201, 0, 1, 0, 0, 0, 1];
        datagram.extend([0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0]);
        datagram.extend([0x81, 203, 0, 1, 0, 0, 0, 5]);
        assert_eq!(all(&datagram), Ok((1, vec![Said::Goodbye(5)])));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 198u8..210) {
            if let [first, second, ..] = &mut bytes[..] {
                (*first, *second) = (0x80 | *first & 0x1f, kind);
            }
            let _ = read(&bytes, |_| {});
        }
    }
}
