//! The sound's side of an offer and its answer (RFC 3264, RFC 8866), for audio alone.
//!
//! Reading is generous where telephones are careless (static payload types without a name, several lines, unknown
//! attributes) and strict where an address would make us send to somebody who did not ask.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use sdp_types::{Media, Session};

/// Our end of the sound: where the other side shall send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// Address as the other side reaches it.
    pub ip: IpAddr,
    /// RTP port.
    pub port: u16,
}

/// The far end of the sound, as agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Where to send RTP.
    pub address: SocketAddr,
    /// In which codec.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// Payload type of telephone events (RFC 4733), 8000 Hz, where agreed.
    pub telephone_event: Option<u8>,
    /// Payload type of comfort noise (RFC 3389), where agreed.
    pub comfort_noise: Option<u8>,
    /// Milliseconds of sound in a packet to him; 10, 20, 30, 40, 50 or 60.
    pub packet_ms: u8,
    /// Whether he wants to hear us; false while he holds the call.
    pub listens: bool,
    /// Whether he sends; false while he only listens.
    pub speaks: bool,
}

/// What sound is coded in on the wire (ITU-T G.711), 8000 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// A-law, static payload type 8.
    Pcma,
    /// µ-law, static payload type 0.
    Pcmu,
}

/// Why an SDP cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SdpError {
    #[error("the SDP cannot be read")]
    Unreadable,
    #[error("no audio line over RTP/AVP; offer one without encryption")]
    NoAudio,
    #[error("none of our codecs; offer PCMA or PCMU")]
    NoCodec,
    #[error("the media address is no unicast IP address")]
    Address,
}

/// An offer, read: what we would agree to, and what its answer must repeat.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// The far end as agreed once this offer is answered.
    pub(super) remote: RemoteMedia,
    lines: Vec<OfferedLine>,
    audio: usize,
}

#[derive(Clone, Debug)]
struct OfferedLine {
    media: String,
    proto: String,
    formats: String,
}

/// `o=` of our SDPs: fixed id, a version that rises with every change (RFC 3264 section 5).
#[derive(Clone, Copy, Debug)]
pub(super) struct OurSession {
    pub(super) id: u32,
    pub(super) version: u32,
}

/// Packets are multiples of the shortest a telephone may ask for, and at most what still sounds like a conversation.
const PACKET_MS: std::ops::RangeInclusive<u32> = 10..=60;
const USUAL_PACKET_MS: u8 = 20;
/// More media lines than any telephone has; a longer offer is refused as unreadable.
const MAX_LINES: usize = 16;
/// What we offer for telephone events where the choice is ours.
const OFFERED_TELEPHONE_EVENT: u8 = 101;
const COMFORT_NOISE: u8 = 13;

impl Offer {
    /// Reads an offer. `held_at` stands in for the address of an old-fashioned hold (`c=IN IP4 0.0.0.0`).
    pub(super) fn read(sdp: &[u8], held_at: IpAddr) -> Result<Self, SdpError> {
        let session = Session::parse(sdp).map_err(|_| SdpError::Unreadable)?;
        if session.medias.len() > MAX_LINES {
            return Err(SdpError::Unreadable);
        }
        let mut problem = SdpError::NoAudio;
        let chosen = session.medias.iter().enumerate().filter(|(_, line)| is_usable(line)).find_map(|(index, line)| {
            remote_of(&session, line, held_at).map_err(|error| problem = error).ok().map(|remote| (index, remote))
        });
        let (audio, remote) = chosen.ok_or(problem)?;
        let lines = session
            .medias
            .iter()
            .map(|line| OfferedLine { media: line.media.clone(), proto: line.proto.clone(), formats: line.fmt.clone() })
            .collect();
        Ok(Self { remote, lines, audio })
    }

    /// The answer: the audio line as agreed, every other line refused with port 0, all in the offer's order.
    pub(super) fn answer(&self, local: LocalMedia, ours: OurSession) -> String {
        let mut sdp = head(local, ours);
        for (index, line) in self.lines.iter().enumerate() {
            if index == self.audio {
                audio_line(&mut sdp, local.port, &Agreed::from(&self.remote));
            } else {
                let _ = write!(sdp, "m={} 0 {} {}\r\n", line.media, line.proto, line.formats);
            }
        }
        sdp
    }
}

/// Our own offer: A-law, µ-law, telephone events.
pub(super) fn own_offer(local: LocalMedia, ours: OurSession) -> String {
    let mut sdp = head(local, ours);
    let agreed = Agreed {
        codecs: vec![(Codec::Pcma, 8), (Codec::Pcmu, 0)],
        telephone_event: Some(OFFERED_TELEPHONE_EVENT),
        comfort_noise: None,
        direction: "sendrecv",
    };
    audio_line(&mut sdp, local.port, &agreed);
    sdp
}

/// Reads the answer to [`own_offer`].
pub(super) fn read_answer(sdp: &[u8], held_at: IpAddr) -> Result<RemoteMedia, SdpError> {
    Offer::read(sdp, held_at).map(|answer| answer.remote)
}

/// What an audio line of ours says.
struct Agreed {
    codecs: Vec<(Codec, u8)>,
    telephone_event: Option<u8>,
    comfort_noise: Option<u8>,
    direction: &'static str,
}

impl From<&RemoteMedia> for Agreed {
    fn from(remote: &RemoteMedia) -> Self {
        Self {
            codecs: vec![(remote.codec, remote.payload_type)],
            telephone_event: remote.telephone_event,
            comfort_noise: remote.comfort_noise,
            // The mirror of what he does: he only sends, so we only receive.
            direction: match (remote.speaks, remote.listens) {
                (true, true) => "sendrecv",
                (true, false) => "recvonly",
                (false, true) => "sendonly",
                (false, false) => "inactive",
            },
        }
    }
}

fn head(local: LocalMedia, ours: OurSession) -> String {
    let family = if local.ip.is_ipv4() { "IP4" } else { "IP6" };
    let (id, version, ip) = (ours.id, ours.version, local.ip);
    format!("v=0\r\no=- {id} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n")
}

fn audio_line(sdp: &mut String, port: u16, agreed: &Agreed) {
    let _ = write!(sdp, "m=audio {port} RTP/AVP");
    let types = agreed.codecs.iter().map(|&(_, payload_type)| payload_type);
    for payload_type in types.chain(agreed.telephone_event).chain(agreed.comfort_noise) {
        let _ = write!(sdp, " {payload_type}");
    }
    sdp.push_str("\r\n");
    for (codec, payload_type) in &agreed.codecs {
        let _ = write!(sdp, "a=rtpmap:{payload_type} {}/8000\r\n", codec.name());
    }
    if let Some(event) = agreed.telephone_event {
        let _ = write!(sdp, "a=rtpmap:{event} telephone-event/8000\r\na=fmtp:{event} 0-15\r\n");
    }
    if let Some(noise) = agreed.comfort_noise {
        let _ = write!(sdp, "a=rtpmap:{noise} CN/8000\r\n");
    }
    let _ = write!(sdp, "a=ptime:{USUAL_PACKET_MS}\r\na={}\r\n", agreed.direction);
}

impl Codec {
    const fn name(self) -> &'static str {
        match self {
            Self::Pcma => "PCMA",
            Self::Pcmu => "PCMU",
        }
    }
}

fn is_usable(line: &Media) -> bool {
    line.media.eq_ignore_ascii_case("audio") && line.port != 0 && line.proto.eq_ignore_ascii_case("RTP/AVP")
}

fn remote_of(session: &Session, line: &Media, held_at: IpAddr) -> Result<RemoteMedia, SdpError> {
    let formats = formats_of(line);
    let named = |wanted: &str| {
        formats.iter().find(|format| format.name.eq_ignore_ascii_case(wanted)).map(|format| format.payload_type)
    };
    let (codec, payload_type) = formats
        .iter()
        .find_map(|format| match format.name.to_ascii_uppercase().as_str() {
            "PCMA" => Some((Codec::Pcma, format.payload_type)),
            "PCMU" => Some((Codec::Pcmu, format.payload_type)),
            _ => None,
        })
        .ok_or(SdpError::NoCodec)?;
    let connection = line.connections.first().or(session.connection.as_ref()).ok_or(SdpError::Address)?;
    let offered_ip: IpAddr = connection.connection_address.parse().map_err(|_| SdpError::Address)?;
    let held = offered_ip.is_unspecified();
    let ip = if held { held_at } else { offered_ip };
    if !is_unicast(ip) {
        return Err(SdpError::Address);
    }
    let (speaks, listens) = direction_of(session, line);
    Ok(RemoteMedia {
        address: SocketAddr::new(ip, line.port),
        codec,
        payload_type,
        telephone_event: named("telephone-event"),
        comfort_noise: named("CN"),
        packet_ms: packet_ms_of(line),
        listens: listens && !held,
        speaks,
    })
}

struct Format {
    payload_type: u8,
    name: String,
}

/// The line's formats with a clock rate of 8000 Hz, in the order of preference it gives them.
fn formats_of(line: &Media) -> Vec<Format> {
    let mapped = |payload_type: u8| {
        line.get_attribute_values("rtpmap").flatten().find_map(|value| {
            let (number, encoding) = value.trim().split_once(char::is_whitespace)?;
            (number.parse() == Ok(payload_type)).then(|| encoding.trim().to_owned())
        })
    };
    line.fmt
        .split_ascii_whitespace()
        .filter_map(|number| number.parse().ok().filter(|payload_type| *payload_type < 128))
        .filter_map(|payload_type| {
            let encoding = mapped(payload_type).or_else(|| static_encoding(payload_type).map(str::to_owned))?;
            let mut parts = encoding.split('/');
            let name = parts.next()?.to_owned();
            let narrow = parts.next()? == "8000" && parts.next().is_none_or(|channels| channels == "1");
            narrow.then_some(Format { payload_type, name })
        })
        .collect()
}

/// Names of the static payload types that we know (RFC 3551 table 4): they need no `rtpmap`.
const fn static_encoding(payload_type: u8) -> Option<&'static str> {
    match payload_type {
        0 => Some("PCMU/8000"),
        8 => Some("PCMA/8000"),
        COMFORT_NOISE => Some("CN/8000"),
        _ => None,
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(ip.is_multicast() || ip.is_unspecified() || broadcast)
}

/// Whether he speaks and whether he listens; the line's own direction counts before the session's.
fn direction_of(session: &Session, line: &Media) -> (bool, bool) {
    let find = |has: &dyn Fn(&str) -> bool| {
        [
            ("sendrecv", (true, true)),
            ("sendonly", (true, false)),
            ("recvonly", (false, true)),
            ("inactive", (false, false)),
        ]
        .into_iter()
        .find_map(|(name, direction)| has(name).then_some(direction))
    };
    find(&|name| line.has_attribute(name)).or_else(|| find(&|name| session.has_attribute(name))).unwrap_or((true, true))
}

/// The packet time he asks for, cut to what we send: whole tens from 10 to 60.
fn packet_ms_of(line: &Media) -> u8 {
    let asked = line.get_first_attribute_value("ptime").flatten().and_then(|value| value.trim().parse::<u32>().ok());
    asked.map_or(USUAL_PACKET_MS, |ms| {
        let tens = ms.clamp(*PACKET_MS.start(), *PACKET_MS.end()) / 10 * 10;
        u8::try_from(tens).unwrap_or(USUAL_PACKET_MS)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELD_AT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));
    const OURS: OurSession = OurSession { id: 7, version: 1 };

    fn sdp(lines: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n{}",
            lines.replace('\n', "\r\n")
        )
    }

    fn read(lines: &str) -> Result<RemoteMedia, SdpError> {
        Offer::read(sdp(lines).as_bytes(), HELD_AT).map(|offer| offer.remote)
    }

    fn answer(lines: &str) -> String {
        let local = LocalMedia { ip: "10.0.0.2".parse().unwrap(), port: 20_000 };
        Offer::read(sdp(lines).as_bytes(), HELD_AT).unwrap().answer(local, OURS)
    }

    #[test]
    fn static_payload_types_need_no_name() {
        let remote = read("m=audio 4000 RTP/AVP 0 8 13\n").unwrap();
        assert_eq!((remote.codec, remote.payload_type, remote.comfort_noise), (Codec::Pcmu, 0, Some(13)));
        assert_eq!(remote.address, "10.0.0.1:4000".parse().unwrap());
        assert_eq!(remote.packet_ms, 20);
    }

    #[test]
    fn the_offers_order_decides_and_unknown_codecs_are_passed_over() {
        let remote = read(
            "m=audio 4000 RTP/AVP 96 9 8 0 97\na=rtpmap:96 opus/48000/2\na=rtpmap:97 telephone-event/8000\na=foo:bar\n",
        )
        .unwrap();
        assert_eq!((remote.codec, remote.telephone_event), (Codec::Pcma, Some(97)));
    }

    #[test]
    fn a_name_counts_before_the_static_meaning() {
        let renamed = read("m=audio 4000 RTP/AVP 8\na=rtpmap:8 speex/8000\n");
        assert_eq!(renamed, Err(SdpError::NoCodec));
        let dynamic = read("m=audio 4000 RTP/AVP 100\na=rtpmap:100 pcmu/8000/1\n").unwrap();
        assert_eq!((dynamic.codec, dynamic.payload_type), (Codec::Pcmu, 100));
    }

    #[test]
    fn wide_telephone_events_are_not_ours() {
        let lines =
            "m=audio 4000 RTP/AVP 8 96 97\na=rtpmap:96 telephone-event/48000\na=rtpmap:97 telephone-event/8000\n";
        assert_eq!(read(lines).unwrap().telephone_event, Some(97));
    }

    #[test]
    fn other_lines_are_refused_in_order() {
        let answer = answer("m=video 5000 RTP/AVP 31\nm=audio 4000 RTP/AVP 8\nm=image 6000 udptl t38\n");
        let lines: Vec<_> = answer.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(lines, ["m=video 0 RTP/AVP 31", "m=audio 20000 RTP/AVP 8", "m=image 0 udptl t38"]);
    }

    #[test]
    fn a_dead_or_encrypted_audio_line_is_passed_over() {
        let lines = "m=audio 0 RTP/AVP 8\nm=audio 4002 RTP/SAVP 8\nm=audio 4004 RTP/AVP 8\n";
        assert_eq!(read(lines).unwrap().address.port(), 4004);
        assert_eq!(read("m=audio 4002 RTP/SAVP 8\n"), Err(SdpError::NoAudio));
        assert_eq!(read("m=video 4002 RTP/AVP 31\n"), Err(SdpError::NoAudio));
    }

    #[test]
    fn hold_is_mirrored() {
        for (theirs, ours, speaks, listens) in [
            ("sendonly", "recvonly", true, false),
            ("recvonly", "sendonly", false, true),
            ("inactive", "inactive", false, false),
            ("sendrecv", "sendrecv", true, true),
        ] {
            let lines = format!("m=audio 4000 RTP/AVP 8\na={theirs}\n");
            let remote = read(&lines).unwrap();
            assert_eq!((remote.speaks, remote.listens), (speaks, listens), "{theirs}");
            assert!(answer(&lines).contains(&format!("a={ours}\r\n")), "{theirs}");
        }
    }

    #[test]
    fn the_lines_direction_counts_before_the_sessions() {
        let remote = read("a=inactive\nm=audio 4000 RTP/AVP 8\na=sendrecv\n").unwrap();
        assert!(remote.speaks && remote.listens);
        assert!(!read("a=inactive\nm=audio 4000 RTP/AVP 8\n").unwrap().speaks);
    }

    #[test]
    fn an_old_fashioned_hold_keeps_the_known_address_and_sends_nothing() {
        let remote = read("m=audio 4000 RTP/AVP 8\nc=IN IP4 0.0.0.0\n").unwrap();
        assert_eq!((remote.address.ip(), remote.listens), (HELD_AT, false));
    }

    #[test]
    fn nobody_is_made_a_target_who_did_not_ask() {
        for address in ["IP4 224.0.0.1", "IP4 224.0.0.1/127", "IP4 255.255.255.255", "IP6 ff02::1", "IP4 pbx.example"] {
            assert_eq!(read(&format!("m=audio 4000 RTP/AVP 8\nc=IN {address}\n")), Err(SdpError::Address), "{address}");
        }
    }

    #[test]
    fn packet_times_are_honoured_from_10_to_60() {
        for (asked, sent) in [("10", 10), ("30", 30), ("60", 60), ("5", 10), ("200", 60), ("25", 20), ("x", 20)] {
            assert_eq!(read(&format!("m=audio 4000 RTP/AVP 8\na=ptime:{asked}\n")).unwrap().packet_ms, sent, "{asked}");
        }
    }

    #[test]
    fn our_offer_is_answered_by_ourselves() {
        let local = LocalMedia { ip: "::1".parse().unwrap(), port: 20_002 };
        let offer = Offer::read(own_offer(local, OURS).as_bytes(), HELD_AT).unwrap();
        let remote = read_answer(offer.answer(local, OURS).as_bytes(), HELD_AT).unwrap();
        assert_eq!((remote.codec, remote.telephone_event), (Codec::Pcma, Some(101)));
        assert_eq!(remote.address, "[::1]:20002".parse().unwrap());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,400}", lines in "([vosctma]=[ -~]{0,40}\r\n){0,20}") {
            let _ = Offer::read(text.as_bytes(), HELD_AT);
            let _ = Offer::read(lines.as_bytes(), HELD_AT);
            if let Ok(offer) = Offer::read(sdp(&text).as_bytes(), HELD_AT) {
                let _ = offer.answer(LocalMedia { ip: HELD_AT, port: 2 }, OURS);
            }
        }
    }
}
