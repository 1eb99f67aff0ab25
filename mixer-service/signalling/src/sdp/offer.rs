//! His offer and our answer.

use std::fmt::Write;

use super::crypto::{self, CryptoLine};
use super::text::{Description, Line};
use super::write::{Audio, head};
use super::{Direction, OurSession, SdpError, Terms, audio};
use crate::config::Srtp;
use crate::types::{Keying, LocalMedia, MediaCrypto, RemoteMedia};

/// An offer, read: what we agree to, and what its answer must repeat.
#[derive(Clone, Debug)]
pub struct Offer {
    remote: RemoteMedia,
    lines: Vec<OfferedLine>,
    /// Which of the lines is ours.
    audio: usize,
    /// Number of the crypto line that we chose.
    tag: u32,
    event_clock: u32,
    packet_ms: u8,
    rtcp_mux: bool,
}

#[derive(Clone, Debug)]
struct OfferedLine {
    media: String,
    proto: String,
    format: String,
}

/// How a line wants its sound carried (RFC 3551, 3711, 4585, 5124). Feedback messages may be offered; none are ever
/// sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    Plain,
    Secure,
}

impl Profile {
    pub(super) fn of(line: &Line<'_>) -> Option<Self> {
        let is = |wanted: &str| line.proto.eq_ignore_ascii_case(wanted);
        if is("RTP/AVP") || is("RTP/AVPF") {
            Some(Self::Plain)
        } else if is("RTP/SAVP") || is("RTP/SAVPF") {
            Some(Self::Secure)
        } else {
            None
        }
    }
}

/// A line that would do.
struct Candidate {
    index: usize,
    remote: RemoteMedia,
    event_clock: u32,
    crypto: Option<CryptoLine>,
    rtcp_mux: bool,
}

impl Offer {
    /// Reads an offer. The first usable line wins; where we may encrypt, the first that can be encrypted does. `draw`
    /// gives a fresh key wherever one is needed: in a re-offer only if he changed his.
    ///
    /// # Errors
    /// Why no line can be used; of several reasons the last line's.
    pub fn read(sdp: &[u8], terms: &Terms<'_>, draw: &mut dyn FnMut() -> Keying) -> Result<Self, SdpError> {
        let description = Description::read(sdp).ok_or(SdpError::Unreadable)?;
        let mut problem = SdpError::NoAudio;
        let mut chosen: Option<Candidate> = None;
        for (index, line) in description.lines.iter().enumerate() {
            match candidate(&description, index, line, terms) {
                Ok(found) if chosen.as_ref().is_none_or(|held| held.crypto.is_none() && found.crypto.is_some()) => {
                    chosen = Some(found);
                }
                Ok(_) | Err(SdpError::NoAudio) => {}
                Err(error) => problem = error,
            }
        }
        let Candidate { index, mut remote, event_clock, crypto, rtcp_mux } = chosen.ok_or(problem)?;
        remote.crypto = crypto.map(|line| agreed(&line, terms, draw));
        Ok(Self {
            packet_ms: audio::sendable_ms(terms.capabilities.packet_ms.into(), remote.codec),
            remote,
            lines: description.lines.iter().map(OfferedLine::of).collect(),
            audio: index,
            tag: crypto.map_or(0, |line| line.tag),
            event_clock,
            rtcp_mux,
        })
    }

    /// The same where we hold the call: whatever he offers, he is not heard.
    #[must_use]
    pub const fn held(mut self) -> Self {
        self.remote.speaks = false;
        self
    }

    /// The far end as agreed once this offer is answered.
    #[must_use]
    pub const fn remote(&self) -> &RemoteMedia {
        &self.remote
    }

    /// The answer: the audio line as agreed, every other line refused with port 0, all in the offer's order.
    #[must_use]
    pub fn answer(&self, local: LocalMedia, ours: OurSession) -> String {
        let mut sdp = head(local, ours);
        for (index, line) in self.lines.iter().enumerate() {
            if index == self.audio {
                self.audio_line(&mut sdp, &line.proto, local.port);
            } else {
                let _ = write!(sdp, "m={} 0 {} {}\r\n", line.media, line.proto, line.format);
            }
        }
        sdp
    }

    fn audio_line(&self, sdp: &mut String, proto: &str, port: u16) {
        let remote = &self.remote;
        let event = remote.telephone_event.map(|payload_type| (payload_type, self.event_clock));
        let crypto = remote.crypto.map(|agreed| CryptoLine { tag: self.tag, suite: agreed.suite, key: agreed.ours });
        let audio = Audio {
            proto,
            port,
            codecs: &[(remote.codec, remote.payload_type)],
            events: event.as_slice(),
            comfort_noise: remote.comfort_noise,
            crypto: crypto.as_slice(),
            packet_ms: self.packet_ms,
            direction: Direction::mirror(remote.speaks, remote.listens),
            rtcp_mux: self.rtcp_mux,
        };
        audio.write(sdp);
    }
}

impl OfferedLine {
    fn of(line: &Line<'_>) -> Self {
        Self { media: line.media.to_owned(), proto: line.proto.to_owned(), format: line.first_format().to_owned() }
    }
}

fn candidate(
    description: &Description<'_>,
    index: usize,
    line: &Line<'_>,
    terms: &Terms<'_>,
) -> Result<Candidate, SdpError> {
    let profile = Profile::of(line).filter(|_| is_live_audio(line)).ok_or(SdpError::NoAudio)?;
    let crypto = crypto_of(line, profile, terms.capabilities.srtp)?;
    let formats = audio::formats(line);
    let before = terms.before.map(|before| before.codec);
    let chosen = audio::choose(&formats, terms.capabilities, before).ok_or(SdpError::NoCodec)?;
    let remote = audio::remote(description, line, &chosen, terms)?;
    Ok(Candidate { index, remote, event_clock: chosen.event_clock, crypto, rtcp_mux: audio::offers_mux(line) })
}

pub(super) fn is_live_audio(line: &Line<'_>) -> bool {
    line.media.eq_ignore_ascii_case("audio") && line.port != 0
}

/// The key that a line would be encrypted with under a policy. A plain line with keys is encrypted where both want it
/// ("best effort", as many telephones offer it), and stays a plain line in its answer.
fn crypto_of(line: &Line<'_>, profile: Profile, policy: Srtp) -> Result<Option<CryptoLine>, SdpError> {
    match (policy, profile) {
        (Srtp::Off, Profile::Plain) => Ok(None),
        (Srtp::Off, Profile::Secure) => Err(SdpError::Encrypted),
        (Srtp::Optional, Profile::Plain) => Ok(crypto::strongest(line)),
        (Srtp::Required, Profile::Plain) => crypto::strongest(line).map(Some).ok_or(SdpError::Plain),
        (Srtp::Optional | Srtp::Required, Profile::Secure) => {
            crypto::strongest(line).map(Some).ok_or(SdpError::NoSuite)
        }
    }
}

/// The keys of both sides. An unchanged key of his keeps ours, so that the running cipher goes on; a new one begins a
/// new cipher both ways, as whoever sits at the other end now may know nothing of the old one's counters.
fn agreed(line: &CryptoLine, terms: &Terms<'_>, draw: &mut dyn FnMut() -> Keying) -> MediaCrypto {
    let known = terms.before.and_then(|before| before.crypto);
    let same = known.filter(|known| known.suite == line.suite && known.theirs == line.key);
    let ours = same.map_or_else(|| crypto::cut(line.suite, draw()), |known| known.ours);
    MediaCrypto { suite: line.suite, ours, theirs: line.key }
}
