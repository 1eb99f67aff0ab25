//! One stream's way to its far end and back: whose datagrams count, what is decrypted, when to be silent, what is reported.
//!
//! Sound goes out only where somebody is. An address that SDP names may be anybody's, so it gets five seconds of sound until
//! something comes from it; who proved so that he is there may be silent afterwards as long as he likes, for people do listen,
//! and telephones send nothing in their pauses. Who said that he will only listen need not prove himself at the very address
//! that his signalling comes from, and nowhere else.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::inbound::Inbound;
use crate::keys::Way;
use crate::latch::{Latch, Proof};
use crate::outbound::{Outbound, Parcel, Sound, scramble};
use crate::remote::is_one_host;
use crate::reports::{Reports, Sent};
use crate::rtp::{Packet, is_rtcp};
use crate::srtp::Unprotect;
use crate::{DATAGRAM_MAX, Frame, Remote, Rtcp, StreamStatistics};

/// Sound goes to an address from which nothing ever came for so long.
pub(crate) const UNPROVEN_MAX: Duration = Duration::from_secs(5);

/// Both halves of a stream, and what stands between them and the network.
#[derive(Debug)]
pub(crate) struct Wire {
    remote: Remote,
    latch: Latch,
    /// Since when the far end is where it is described.
    since: Instant,
    /// Something came from where we send to.
    proven: bool,
    unprotect: Option<Box<Unprotect>>,
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
    reports: Reports,
    /// Where his reports come from, when that is not where they were said to.
    rtcp_from: Option<SocketAddr>,
    packets_at_report: u64,
    /// A report is ready for there.
    report_to: Option<SocketAddr>,
    counts: StreamStatistics,
}

impl Wire {
    pub(crate) fn new(now: Instant, remote: Remote, seed: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "any 32 bits seed noise")]
        let inbound = Inbound::new(now, remote, seed as u32);
        Self {
            latch: Latch::new(now, &remote),
            since: now,
            proven: false,
            unprotect: unprotect(&remote),
            inbound,
            outbound: Outbound::new(&remote, seed),
            reports: Reports::new(now, seed),
            rtcp_from: None,
            packets_at_report: 0,
            report_to: None,
            counts: StreamStatistics::default(),
            remote,
        }
    }

    /// The far end was described anew.
    pub(crate) fn redirect(&mut self, now: Instant, remote: Remote, seed: u64) {
        let before = self.latch.address();
        self.latch.redirect(now, &remote);
        if self.latch.address() != before {
            self.since = now;
            self.proven = false;
        }
        if remote.rtcp != self.remote.rtcp {
            self.rtcp_from = None;
        }
        if remote.srtp.map(|srtp| (srtp.suite, srtp.theirs)) != self.remote.srtp.map(|srtp| (srtp.suite, srtp.theirs)) {
            self.unprotect = unprotect(&remote);
        }
        self.inbound.redirect(now, remote);
        self.outbound.redirect(&remote);
        if remote.srtp.map(|srtp| (srtp.suite, srtp.ours)) != self.remote.srtp.map(|srtp| (srtp.suite, srtp.ours)) {
            self.outbound.rekey(&remote, scramble(seed ^ u64::from(self.outbound.ssrc)));
        }
        self.remote = remote;
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// See [`Stream::fetch`](crate::stream::Stream::fetch).
    pub(crate) fn fetch(&self, now: Instant) -> u32 {
        let own = u32::from(self.proven) ^ u32::from(self.remote.listens) ^ u32::from(self.reports.is_due(now));
        own ^ self.latch.fetch() ^ self.inbound.fetch() ^ self.outbound.fetch()
    }

    /// Where sound goes.
    pub(crate) fn address(&self) -> SocketAddr {
        self.latch.address()
    }

    /// Takes a datagram from the port of the sound; gives a key if this was the first of it. `scratch` is room to decrypt in.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        source: SocketAddr,
        datagram: &[u8],
        scratch: &mut [u8; DATAGRAM_MAX],
    ) -> Option<char> {
        if is_rtcp(datagram) {
            self.receive_rtcp(now, source, datagram, scratch);
            return None;
        }
        let (clear, proof) = match &mut self.unprotect {
            None => (datagram, Proof::None),
            Some(unprotect) => match copied(datagram, scratch).map(|packet| unprotect.rtp(packet)) {
                Some(Ok((len, true))) => (&scratch[..len], Proof::Newest),
                Some(Ok((len, false))) => (&scratch[..len], Proof::Overtaken),
                Some(Err(_)) | None => {
                    self.counts.srtp_failed += 1;
                    return None;
                }
            },
        };
        let Ok(packet) = Packet::parse(clear) else {
            self.counts.packets_refused += 1;
            return None;
        };
        if !self.latch.accept(now, source, &packet, proof) {
            self.counts.packets_stray += 1;
            return None;
        }
        self.proven |= source == self.latch.address();
        self.inbound.receive(now, &packet)
    }

    /// Takes a datagram from the port of the reports, or one that is a report.
    pub(crate) fn receive_rtcp(
        &mut self,
        now: Instant,
        source: SocketAddr,
        datagram: &[u8],
        scratch: &mut [u8; DATAGRAM_MAX],
    ) {
        let known = self.may_report(source);
        let clear = match &mut self.unprotect {
            None if known => datagram,
            None => return self.reports.refuse(),
            Some(unprotect) => match copied(datagram, scratch).map(|packet| unprotect.rtcp(packet)) {
                Some(Ok((len, _))) => &scratch[..len],
                Some(Err(_)) | None => {
                    self.counts.srtp_failed += 1;
                    return;
                }
            },
        };
        let theirs = self.inbound.reception().source().map(|source| source.ssrc);
        let refused = self.reports.refused();
        let loss = self.reports.hear(now, clear, (self.outbound.ssrc, theirs), self.remote.codec.clock_hz());
        if self.reports.refused() == refused {
            self.proven |= source.ip() == self.latch.address().ip();
            self.rtcp_from = Some(source);
        }
        if let Some(percent) = loss {
            self.outbound.expect_loss(percent);
        }
    }

    /// Makes this beat's frame, see [`Inbound::frame`].
    pub(crate) fn frame(&mut self, now: Instant, frame: &mut Frame) -> (bool, Option<char>) {
        self.inbound.frame(now, frame)
    }

    /// A key that signalling told of.
    pub(crate) fn press(&mut self, now: Instant, key: char) -> Option<char> {
        self.inbound.press(now, Way::Info, key)
    }

    /// Sends a beat's sound, unless nobody wants it there. `true`: the last key was sent just now.
    pub(crate) fn send(&mut self, now: Instant, sound: Sound<'_>, parcel: &mut Parcel) -> bool {
        let somebody = self.is_somebody(now, self.latch.address());
        if somebody && self.remote.listens {
            return self.outbound.beat(sound, parcel);
        }
        self.counts.beats_withheld += u64::from(!somebody);
        self.outbound.pass();
        false
    }

    /// Writes a report if one is due.
    pub(crate) fn report(&mut self, now: Instant) {
        self.report_to = None;
        if self.reports.is_due(now) {
            match self.rtcp_address(now) {
                Some(address) => self.write_report(now, address, false),
                None => self.reports.skip(now),
            }
        }
    }

    /// Says goodbye: a last report to take away at once. Nothing where nobody listens for one.
    pub(crate) fn say_goodbye(&mut self, now: Instant) {
        self.report_to = None;
        if let Some(address) = self.rtcp_address(now) {
            self.write_report(now, address, true);
        }
    }

    /// The report of this beat, and where it goes.
    pub(crate) fn ready_report(&self) -> Option<(SocketAddr, &[u8])> {
        Some((self.report_to?, self.reports.ready()))
    }

    /// Reports share the port of the sound.
    pub(crate) fn is_muxed(&self) -> bool {
        self.remote.rtcp == Rtcp::Mux
    }

    pub(crate) fn statistics(&self) -> StreamStatistics {
        let inbound = self.inbound.statistics();
        let mut statistics = StreamStatistics {
            packets_sent: self.outbound.packets_sent,
            packets_refused: inbound.packets_refused + self.counts.packets_refused,
            packets_stray: self.counts.packets_stray,
            srtp_failed: self.counts.srtp_failed,
            beats_withheld: self.counts.beats_withheld,
            ..inbound
        };
        self.reports.count(&mut statistics);
        statistics
    }

    /// Whether this address may be sent to.
    fn is_somebody(&self, now: Instant, address: SocketAddr) -> bool {
        let in_time = || now.saturating_duration_since(self.since) < UNPROVEN_MAX;
        self.proven || is_one_host(address) && (in_time() || self.remote.may_be_sent_to(address))
    }

    /// Reports in clear are read from the hosts that sound is known to come from, or where they were said to.
    fn may_report(&self, source: SocketAddr) -> bool {
        let described = match self.remote.rtcp {
            Rtcp::Address(address) => address.ip() == source.ip(),
            Rtcp::Mux | Rtcp::None => false,
        };
        described || source.ip() == self.latch.address().ip() || source.ip() == self.remote.address.ip()
    }

    /// Where our reports go. A far end whose sound comes from elsewhere than it said is behind a translator, and so are its
    /// reports: then to where they come from, once they do.
    fn rtcp_address(&self, now: Instant) -> Option<SocketAddr> {
        let sound = self.latch.address();
        let address = match self.remote.rtcp {
            Rtcp::None => return None,
            Rtcp::Mux => sound,
            Rtcp::Address(address) if sound == self.remote.address => address,
            Rtcp::Address(_) => self.rtcp_from.filter(|from| from.ip() == sound.ip())?,
        };
        (is_one_host(address) && self.is_somebody(now, sound)).then_some(address)
    }

    fn write_report(&mut self, now: Instant, address: SocketAddr, goodbye: bool) {
        let packets = self.outbound.packets_sent;
        let sent = Sent {
            ssrc: self.outbound.ssrc,
            timestamp: self.outbound.clock,
            packets,
            octets: self.outbound.octets_sent,
            sending: packets != self.packets_at_report,
        };
        self.packets_at_report = packets;
        let ticks_per_sample = self.remote.codec.ticks_per_sample();
        let (bytes, len) = self.reports.write(now, sent, self.inbound.reception(), ticks_per_sample, goodbye);
        let len = self.outbound.protect_rtcp(bytes, len);
        self.reports.finish(len);
        self.report_to = Some(address).filter(|_| len > 0);
    }
}

fn unprotect(remote: &Remote) -> Option<Box<Unprotect>> {
    remote.srtp.map(|srtp| Box::new(Unprotect::new(srtp.suite, &srtp.theirs)))
}

/// The datagram where it can be decrypted; `None` when it is longer than any of ours.
fn copied<'a>(datagram: &[u8], scratch: &'a mut [u8; DATAGRAM_MAX]) -> Option<&'a mut [u8]> {
    let place = scratch.get_mut(..datagram.len())?;
    place.copy_from_slice(datagram);
    Some(place)
}

#[cfg(test)]
mod tests;
