//! What an audio line says: formats, packet times, direction, and the address that sound would go to.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::text::{Description, Line};
use super::{SdpError, Terms};
use crate::config::Capabilities;
use crate::types::{Codec, RemoteMedia, RtcpPath};

/// Packets are multiples of the shortest a telephone may ask for, and at most what still sounds like a conversation.
const PACKET_MS: RangeInclusive<u32> = 10..=60;
const USUAL_PACKET_MS: u8 = 20;
/// Formats looked at on a line; the longest lists of telephones have about thirty.
const MAX_FORMATS: usize = 64;
/// First payload type that has no fixed meaning (RFC 3551 section 6), and the number after the last.
pub(super) const DYNAMIC: std::ops::Range<u8> = 96..128;

/// A format with a meaning for us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    payload_type: u8,
    means: Meaning,
}

#[derive(Clone, Copy, Debug)]
enum Meaning {
    Sound(Codec),
    TelephoneEvent { clock: u32 },
    ComfortNoise,
}

/// What both sides send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    pub(super) codec: Codec,
    pub(super) payload_type: u8,
    pub(super) telephone_event: Option<u8>,
    pub(super) event_clock: u32,
    pub(super) comfort_noise: Option<u8>,
}

/// The formats of a line that mean something to us, in its order.
pub(super) fn formats(line: &Line<'_>) -> Vec<Format> {
    line.formats
        .split_ascii_whitespace()
        .take(MAX_FORMATS)
        .filter_map(|number| number.parse().ok().filter(|payload_type| *payload_type < DYNAMIC.end))
        .filter_map(|payload_type| {
            let encoding = mapped(line, payload_type).or_else(|| static_encoding(payload_type))?;
            Some(Format { payload_type, means: meaning(encoding)? })
        })
        .collect()
}

/// Chooses codec, events and noise.
///
/// The codec in use stays where it can (a re-offer then changes no sound). Else the order that the settings name
/// decides, but a codec with telephone events on its own clock goes before one without: a room and a PIN must be keyed,
/// and most telephones press no key at all where no event was agreed.
pub(super) fn choose(formats: &[Format], capabilities: &Capabilities, before: Option<Codec>) -> Option<Chosen> {
    let mut sounds: Vec<(Codec, u8)> = formats
        .iter()
        .filter_map(|format| match format.means {
            Meaning::Sound(codec) => Some((codec, format.payload_type)),
            Meaning::TelephoneEvent { .. } | Meaning::ComfortNoise => None,
        })
        .filter(|(codec, _)| capabilities.codecs.contains(codec))
        .collect();
    if !capabilities.prefer_offer_order {
        sounds.sort_by_key(|(codec, _)| capabilities.codecs.iter().position(|ours| ours == codec));
    }
    let event = |codec: Codec| event_at(formats, Some(clock(codec)));
    let stays = sounds.iter().find(|(codec, _)| before == Some(*codec));
    let keyed = || sounds.iter().find(|(codec, _)| event(*codec).is_some());
    let &(codec, payload_type) = stays.or_else(keyed).or_else(|| sounds.first())?;
    let noise = formats.iter().find(|format| matches!(format.means, Meaning::ComfortNoise));
    // RFC 4733 wants the clock of the sound. Telephones that offer Opus with events at 8000 alone (baresip, older
    // Asterisk) still send them so; a key is known by its timestamp, whatever its duration counts.
    let agreed_event = event(codec).or_else(|| event_at(formats, None));
    Some(Chosen {
        codec,
        payload_type,
        telephone_event: agreed_event.map(|(payload_type, _)| payload_type),
        event_clock: agreed_event.map_or_else(|| clock(codec), |(_, clock)| clock),
        comfort_noise: noise.filter(|_| clock(codec) == 8_000).map(|format| format.payload_type),
    })
}

/// The RTP clock of a codec; G.722 says 8000 for historical reasons (RFC 3551 section 4.5.2).
pub(super) const fn clock(codec: Codec) -> u32 {
    match codec {
        Codec::Pcma | Codec::Pcmu | Codec::G722 => 8_000,
        Codec::Opus => 48_000,
    }
}

/// Payload type and clock of the telephone events at this clock, or at any.
fn event_at(formats: &[Format], wanted: Option<u32>) -> Option<(u8, u32)> {
    formats.iter().find_map(|format| match format.means {
        Meaning::TelephoneEvent { clock } => {
            wanted.is_none_or(|wanted| wanted == clock).then_some((format.payload_type, clock))
        }
        Meaning::Sound(_) | Meaning::ComfortNoise => None,
    })
}

/// What the line itself says a payload type is.
fn mapped<'a>(line: &Line<'a>, payload_type: u8) -> Option<&'a str> {
    line.all("rtpmap").find_map(|value| {
        let (number, encoding) = value.split_once(char::is_whitespace)?;
        (number.parse() == Ok(payload_type)).then(|| encoding.trim())
    })
}

/// Names of the static payload types that we know (RFC 3551 table 4): they need no `rtpmap`.
const fn static_encoding(payload_type: u8) -> Option<&'static str> {
    match payload_type {
        0 => Some("PCMU/8000"),
        8 => Some("PCMA/8000"),
        9 => Some("G722/8000"),
        13 => Some("CN/8000"),
        _ => None,
    }
}

fn meaning(encoding: &str) -> Option<Meaning> {
    let mut parts = encoding.split('/');
    let (name, clock) = (parts.next()?, parts.next()?.parse::<u32>().ok()?);
    let mono = parts.next().is_none_or(|channels| channels == "1");
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
    match clock {
        8_000 if !mono => None,
        8_000 if is("PCMA") => Some(Meaning::Sound(Codec::Pcma)),
        8_000 if is("PCMU") => Some(Meaning::Sound(Codec::Pcmu)),
        8_000 if is("G722") => Some(Meaning::Sound(Codec::G722)),
        8_000 if is("CN") => Some(Meaning::ComfortNoise),
        // RFC 7587 section 7 fixes `/2`, whatever is sent; some write none.
        48_000 if is("opus") => Some(Meaning::Sound(Codec::Opus)),
        8_000 | 48_000 if is("telephone-event") => Some(Meaning::TelephoneEvent { clock }),
        _ => None,
    }
}

/// The packet time he asks for, cut to what we send.
pub(super) fn packet_ms(line: &Line<'_>, codec: Codec, capabilities: &Capabilities) -> u8 {
    let asked = |name: &str| line.all(name).find_map(|value| value.parse::<u32>().ok()).filter(|ms| *ms > 0);
    let wanted = asked("ptime").unwrap_or_else(|| capabilities.packet_ms.into());
    sendable_ms(wanted.min(asked("maxptime").unwrap_or(u32::MAX)), codec)
}

/// Whole tens from 10 to 60; Opus has no frames of 30 or 50 (RFC 6716 section 2.1.4).
pub(super) fn sendable_ms(wanted: u32, codec: Codec) -> u8 {
    let tens = wanted.clamp(*PACKET_MS.start(), *PACKET_MS.end()) / 10 * 10;
    let tens = match (codec, tens) {
        (Codec::Opus, 30) => 20,
        (Codec::Opus, 50) => 40,
        (Codec::Opus | Codec::Pcma | Codec::Pcmu | Codec::G722, tens) => tens,
    };
    u8::try_from(tens).unwrap_or(USUAL_PACKET_MS)
}

/// Whether he speaks and whether he listens; the line's own direction counts before the session's.
pub(super) fn direction(description: &Description<'_>, line: &Line<'_>) -> (bool, bool) {
    let named = |name: &str, _: &str| match name {
        "sendrecv" => Some((true, true)),
        "sendonly" => Some((true, false)),
        "recvonly" => Some((false, true)),
        "inactive" => Some((false, false)),
        _ => None,
    };
    description.find(line, named).unwrap_or((true, true))
}

/// Where a line's sound goes, and whether the line is held in the old-fashioned way (`c=IN IP4 0.0.0.0`).
pub(super) fn address(
    description: &Description<'_>,
    line: &Line<'_>,
    terms: &Terms<'_>,
) -> Result<(SocketAddr, bool), SdpError> {
    let connection = description.connection(line).ok_or(SdpError::Address)?;
    let mut words = connection.split_ascii_whitespace();
    let ip = words.nth(2).and_then(|ip| ip.parse::<IpAddr>().ok()).ok_or(SdpError::Address)?.to_canonical();
    if ip.is_unspecified() {
        let known = terms.before.map_or_else(|| SocketAddr::new(terms.held_at, line.port), |before| before.address);
        return Ok((known, true));
    }
    let address = SocketAddr::new(ip, line.port);
    may_send_to(address, terms).map(|()| (address, false))
}

/// Whether RTCP may come on the RTP port (RFC 5761).
pub(super) fn offers_mux(line: &Line<'_>) -> bool {
    line.all("rtcp-mux").next().is_some()
}

/// Where a line's RTCP goes: with the RTP, to the next port, or to the port that the line names (RFC 3605). An address
/// beside that of the sound is not believed: it would be a third party who did not ask.
pub(super) fn rtcp(line: &Line<'_>, sound: SocketAddr, terms: &Terms<'_>) -> RtcpPath {
    if offers_mux(line) {
        return RtcpPath::Mux;
    }
    let named = line.all("rtcp").find_map(|value| {
        let mut words = value.split_ascii_whitespace();
        let port = words.next()?.parse().ok().filter(|port| *port != 0)?;
        let elsewhere =
            words.nth(2).is_some_and(|ip| ip.parse::<IpAddr>().map(|ip| ip.to_canonical()) != Ok(sound.ip()));
        (!elsewhere).then_some(port)
    });
    let port = named.or_else(|| sound.port().checked_add(1));
    port.map(|port| SocketAddr::new(sound.ip(), port))
        .filter(|address| may_send_to(*address, terms).is_ok())
        .map_or(RtcpPath::Mux, RtcpPath::Address)
}

/// Nobody is made a target who did not ask: no group, no broadcast, not this machine's inside for who comes from
/// outside, and not our own SIP port.
fn may_send_to(address: SocketAddr, terms: &Terms<'_>) -> Result<(), SdpError> {
    let (ip, near) = (address.ip(), terms.held_at.to_canonical());
    if ip.is_ipv4() != near.is_ipv4() {
        return Err(SdpError::Family);
    }
    let reserved = matches!(ip, IpAddr::V4(v4) if matches!(v4.octets()[0], 0 | 240..));
    let inside = ip.is_loopback() && !near.is_loopback();
    let ours = terms.own_sip.iter().any(|own| {
        let same_ip = own.ip().is_unspecified() || own.ip().to_canonical() == ip;
        same_ip && own.port() == address.port()
    });
    if ip.is_multicast() || ip.is_unspecified() || reserved || inside || ours {
        return Err(SdpError::Address);
    }
    Ok(())
}

/// The far end as a line and a choice make it.
pub(super) fn remote(
    description: &Description<'_>,
    line: &Line<'_>,
    chosen: &Chosen,
    terms: &Terms<'_>,
) -> Result<RemoteMedia, SdpError> {
    let (address, held) = address(description, line, terms)?;
    let (speaks, listens) = direction(description, line);
    Ok(RemoteMedia {
        address,
        rtcp: rtcp(line, address, terms),
        codec: chosen.codec,
        payload_type: chosen.payload_type,
        telephone_event: chosen.telephone_event,
        comfort_noise: chosen.comfort_noise,
        packet_ms: packet_ms(line, chosen.codec, terms.capabilities),
        listens: listens && !held,
        speaks,
        crypto: None,
    })
}
