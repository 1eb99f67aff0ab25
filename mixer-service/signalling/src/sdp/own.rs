//! Our offer and his answer.

use std::fmt;

use super::crypto::{self, CryptoLine, SUITES};
use super::offer::{Profile, is_live_audio};
use super::text::{Description, Line};
use super::write::{Audio, head};
use super::{Direction, OurSession, SdpError, Terms, audio};
use crate::config::{Capabilities, Srtp};
use crate::types::{Codec, CryptoSuite, Keying, LocalMedia, MediaCrypto, RemoteMedia};

/// Payload types that we use where the choice is ours.
const OPUS: u8 = 111;
const EVENT_8000: u8 = 101;
const EVENT_48000: u8 = 110;

/// An offer of ours, with what its answer is held against. `Debug` shows no key.
#[derive(Clone)]
pub struct OwnOffer {
    text: String,
    codecs: Vec<Codec>,
    crypto: Vec<CryptoLine>,
    policy: Srtp,
}

impl fmt::Debug for OwnOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnOffer").field("codecs", &self.codecs).field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// An offer of ours, the codec in use first. Encryption that is optional is offered as keys on a plain line: whoever
/// does not know them answers as if they were not there, and who requires them finds them. A call that is encrypted
/// stays so, whatever the settings have become.
#[must_use]
pub fn own_offer(
    local: LocalMedia,
    ours: OurSession,
    terms: &Terms<'_>,
    draw: &mut dyn FnMut() -> Keying,
    direction: Direction,
) -> OwnOffer {
    let capabilities = terms.capabilities;
    let Formats { codecs, events } = formats(capabilities, terms.before);
    let encrypted = terms.before.is_some_and(|before| before.crypto.is_some());
    let policy = if encrypted { Srtp::Required } else { capabilities.srtp };
    let crypto = keys(policy, terms.before, draw);
    let first = codecs.first().map_or(Codec::Pcma, |&(codec, _)| codec);
    let line = Audio {
        proto: match policy {
            Srtp::Off | Srtp::Optional => "RTP/AVP",
            Srtp::Required => "RTP/SAVP",
        },
        port: local.port,
        codecs: &codecs,
        events: &events,
        comfort_noise: None,
        crypto: &crypto,
        packet_ms: audio::sendable_ms(capabilities.packet_ms.into(), first),
        direction,
        rtcp_mux: true,
    };
    let mut text = head(local, ours);
    line.write(&mut text);
    OwnOffer { text, codecs: codecs.iter().map(|&(codec, _)| codec).collect(), crypto, policy }
}

impl OwnOffer {
    /// As it is sent.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// When it refuses the sound, or agrees to something that was not offered: another codec, another key, or no key
    /// where one is required.
    pub fn read_answer(&self, sdp: &[u8], terms: &Terms<'_>) -> Result<RemoteMedia, SdpError> {
        let description = Description::read(sdp).ok_or(SdpError::Unreadable)?;
        let line = description.lines.iter().find(|line| is_live_audio(line)).ok_or(SdpError::NoAudio)?;
        let profile = Profile::of(line).ok_or(SdpError::NoAudio)?;
        let crypto = self.agreed(line, profile)?;
        // What was offered counts, not what the settings have become since; and the answer's order is his wish.
        let offered = Capabilities {
            codecs: self.codecs.clone(),
            srtp: self.policy,
            packet_ms: terms.capabilities.packet_ms,
            prefer_offer_order: true,
        };
        let chosen = audio::choose(&audio::formats(line), &offered, None).ok_or(SdpError::NoCodec)?;
        let remote = audio::remote(&description, line, &chosen, terms)?;
        Ok(RemoteMedia { crypto, ..remote })
    }

    fn agreed(&self, line: &Line<'_>, profile: Profile) -> Result<Option<MediaCrypto>, SdpError> {
        let theirs = crypto::usable(line).next();
        let Some(theirs) = theirs else {
            return match (self.policy, profile) {
                (Srtp::Off | Srtp::Optional, Profile::Plain) => Ok(None),
                (Srtp::Off, Profile::Secure) => Err(SdpError::Answer),
                (Srtp::Optional, Profile::Secure) => Err(SdpError::NoSuite),
                (Srtp::Required, Profile::Plain | Profile::Secure) => Err(SdpError::Plain),
            };
        };
        // Keys that nobody asked for are ignored on a plain line, as any attribute is that we do not know.
        if self.policy == Srtp::Off {
            return match profile {
                Profile::Plain => Ok(None),
                Profile::Secure => Err(SdpError::Answer),
            };
        }
        let ours = self.crypto.iter().find(|ours| ours.tag == theirs.tag && ours.suite == theirs.suite);
        let ours = ours.ok_or(SdpError::Answer)?;
        Ok(Some(MediaCrypto { suite: ours.suite, ours: ours.key, theirs: theirs.key }))
    }
}

/// Codecs and telephone events with their payload types, and the events' clocks.
struct Formats {
    codecs: Vec<(Codec, u8)>,
    events: Vec<(u8, u32)>,
}

/// What we offer; what is in use comes first and keeps its payload types.
fn formats(capabilities: &Capabilities, before: Option<&RemoteMedia>) -> Formats {
    let mut order: Vec<Codec> = Vec::with_capacity(capabilities.codecs.len());
    let in_use = before.map(|before| before.codec).filter(|codec| capabilities.codecs.contains(codec));
    for codec in in_use.into_iter().chain(capabilities.codecs.iter().copied()) {
        if !order.contains(&codec) {
            order.push(codec);
        }
    }
    let mut taken: Vec<u8> = Vec::new();
    if let Some(before) = before {
        taken.extend([Some(before.payload_type), before.telephone_event].into_iter().flatten());
    }
    let codecs = order
        .iter()
        .map(|&codec| match before.filter(|before| before.codec == codec) {
            Some(before) => (codec, before.payload_type),
            None => (codec, free(&mut taken, usual(codec))),
        })
        .collect();
    let mut events: Vec<(u8, u32)> = Vec::new();
    for clock in order.iter().map(|&codec| audio::clock(codec)) {
        if events.iter().all(|&(_, known)| known != clock) {
            let kept = before.filter(|before| audio::clock(before.codec) == clock);
            let payload_type = kept.and_then(|before| before.telephone_event);
            let usual = if clock == 8_000 { EVENT_8000 } else { EVENT_48000 };
            events.push((payload_type.unwrap_or_else(|| free(&mut taken, usual)), clock));
        }
    }
    Formats { codecs, events }
}

const fn usual(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => OPUS,
    }
}

/// The payload type wanted, or a dynamic one where that is taken; noted as taken.
fn free(taken: &mut Vec<u8>, wanted: u8) -> u8 {
    let is_free = |candidate: &u8| !taken.contains(candidate);
    let found = Some(wanted).filter(is_free).or_else(|| audio::DYNAMIC.rev().find(is_free)).unwrap_or(wanted);
    taken.push(found);
    found
}

/// A key for each suite; the one in use stays as it is, so that its cipher goes on.
fn keys(policy: Srtp, before: Option<&RemoteMedia>, draw: &mut dyn FnMut() -> Keying) -> Vec<CryptoLine> {
    let in_use = before.and_then(|before| before.crypto);
    let suites: &[CryptoSuite] = match policy {
        Srtp::Off => &[],
        Srtp::Optional | Srtp::Required => &SUITES,
    };
    (1..)
        .zip(suites)
        .map(|(tag, &suite)| {
            let kept = in_use.filter(|agreed| agreed.suite == suite);
            let key = kept.map_or_else(|| crypto::cut(suite, draw()), |agreed| agreed.ours);
            CryptoLine { tag, suite, key }
        })
        .collect()
}
