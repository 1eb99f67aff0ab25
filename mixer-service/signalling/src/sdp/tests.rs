//! Offers and answers as telephones write them.

use proptest::prelude::*;

use super::*;
use crate::config::Srtp;
use crate::types::{Codec, CryptoSuite, Keying, LocalMedia, RtcpPath};

const HELD_AT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));
const OURS: OurSession = OurSession { id: 7, version: 1 };

fn local() -> LocalMedia {
    LocalMedia { ip: "10.0.0.2".parse().unwrap(), port: 20_000 }
}

fn capabilities(srtp: Srtp) -> Capabilities {
    Capabilities { srtp, ..Capabilities::default() }
}

fn terms(capabilities: &Capabilities) -> Terms<'_> {
    Terms { capabilities, held_at: HELD_AT, own_sip: &[], before: None }
}

/// Keys that tell how often one was drawn.
fn drawing() -> impl FnMut() -> Keying {
    let mut drawn = 0;
    move || {
        drawn += 1;
        Keying { key: [drawn; 32], salt: [drawn; 14] }
    }
}

fn sdp(lines: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n{}", lines.replace('\n', "\r\n"))
}

fn offer_by(lines: &str, capabilities: &Capabilities) -> Result<Offer, SdpError> {
    Offer::read(sdp(lines).as_bytes(), &terms(capabilities), &mut drawing())
}

fn read(lines: &str) -> Result<RemoteMedia, SdpError> {
    offer_by(lines, &Capabilities::default()).map(|offer| offer.remote().clone())
}

fn answer(lines: &str) -> String {
    offer_by(lines, &Capabilities::default()).unwrap().answer(local(), OURS)
}

fn secured(lines: &str, srtp: Srtp) -> Result<(RemoteMedia, String), SdpError> {
    offer_by(lines, &capabilities(srtp)).map(|offer| (offer.remote().clone(), offer.answer(local(), OURS)))
}

/// A crypto line whose key is all `A`s: zeros.
fn crypto(tag: u32, suite: &str, key_chars: usize, more: &str) -> String {
    format!("a=crypto:{tag} {suite} inline:{}{more}\n", "A".repeat(key_chars))
}

fn cm80(more: &str) -> String {
    crypto(1, "AES_CM_128_HMAC_SHA1_80", 40, more)
}

#[test]
fn static_payload_types_need_no_name() {
    let remote = read("m=audio 4000 RTP/AVP 0 8 13\n").unwrap();
    assert_eq!((remote.codec, remote.payload_type, remote.comfort_noise), (Codec::Pcmu, 0, Some(13)));
    assert_eq!(remote.address, "10.0.0.1:4000".parse().unwrap());
    assert_eq!((remote.packet_ms, remote.crypto), (20, None));
    assert_eq!(read("m=audio 4000 RTP/AVP 9\n").unwrap().codec, Codec::G722);
}

#[test]
fn the_offers_order_decides_and_unknown_codecs_are_passed_over() {
    let lines =
        "m=audio 4000 RTP/AVP 96 18 8 0 97\na=rtpmap:96 speex/16000\na=rtpmap:97 telephone-event/8000\na=foo:bar\n";
    let remote = read(lines).unwrap();
    assert_eq!((remote.codec, remote.telephone_event), (Codec::Pcma, Some(97)));
}

#[test]
fn our_order_decides_where_settings_say_so() {
    let ours =
        Capabilities { codecs: vec![Codec::G722, Codec::Pcma], prefer_offer_order: false, ..Capabilities::default() };
    let chosen = |lines| offer_by(lines, &ours).map(|offer| offer.remote().codec);
    assert_eq!(chosen("m=audio 4000 RTP/AVP 0 8 9\n"), Ok(Codec::G722));
    assert_eq!(chosen("m=audio 4000 RTP/AVP 0\n"), Err(SdpError::NoCodec));
}

#[test]
fn a_name_counts_before_the_static_meaning() {
    assert_eq!(read("m=audio 4000 RTP/AVP 8\na=rtpmap:8 speex/8000\n"), Err(SdpError::NoCodec));
    let dynamic = read("m=audio 4000 RTP/AVP 100\na=rtpmap:100 pcmu/8000/1\n").unwrap();
    assert_eq!((dynamic.codec, dynamic.payload_type), (Codec::Pcmu, 100));
    assert_eq!(read("m=audio 4000 RTP/AVP 100\na=rtpmap:100 PCMA/8000/2\n"), Err(SdpError::NoCodec));
}

#[test]
fn opus_is_answered_for_one_ear_and_with_redundancy() {
    let lines =
        "m=audio 4000 RTP/AVP 96 97\na=rtpmap:96 opus/48000/2\na=fmtp:96 stereo=1\na=rtpmap:97 telephone-event/48000\n";
    let remote = read(lines).unwrap();
    assert_eq!((remote.codec, remote.payload_type, remote.telephone_event), (Codec::Opus, 96, Some(97)));
    let answer = answer(lines);
    for line in [
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 stereo=0;sprop-stereo=0;maxplaybackrate=8000;useinbandfec=1",
        "a=rtpmap:97 telephone-event/48000",
    ] {
        assert!(answer.contains(line), "{line} is missing in {answer}");
    }
}

#[test]
fn telephone_events_follow_the_clock_of_the_sound() {
    let both = "a=rtpmap:96 telephone-event/48000\na=rtpmap:97 telephone-event/8000\na=rtpmap:98 opus/48000/2\n";
    let event = |formats: &str| read(&format!("m=audio 4000 RTP/AVP {formats}\n{both}")).unwrap().telephone_event;
    assert_eq!(event("8 96 97"), Some(97));
    assert_eq!(event("98 96 97"), Some(96));
    assert_eq!(event("98 97 96"), Some(96));
}

#[test]
fn a_codec_whose_keys_can_be_heard_goes_first() {
    let lines = "m=audio 4000 RTP/AVP 98 8 97\na=rtpmap:98 opus/48000/2\na=rtpmap:97 telephone-event/8000\n";
    assert_eq!(read(lines).unwrap().codec, Codec::Pcma);
    // With nothing else to choose from, events on the wrong clock are better than none.
    let alone = lines.replace("98 8 97", "98 97");
    let remote = read(&alone).unwrap();
    assert_eq!((remote.codec, remote.telephone_event), (Codec::Opus, Some(97)));
    assert!(answer(&alone).contains("a=rtpmap:97 telephone-event/8000\r\n"));
}

#[test]
fn comfort_noise_is_for_narrow_sound() {
    let noise = |formats: &str| {
        read(&format!("m=audio 4000 RTP/AVP {formats} 13\na=rtpmap:98 opus/48000/2\n")).unwrap().comfort_noise
    };
    assert_eq!(noise("8"), Some(13));
    assert_eq!(noise("98"), None);
}

#[test]
fn other_lines_are_refused_in_order() {
    let answer = answer("m=video 5000 RTP/AVP 31 34\nm=audio 4000 RTP/AVP 8\nm=image 6000 udptl t38\n");
    let lines: Vec<_> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines, ["m=video 0 RTP/AVP 31", "m=audio 20000 RTP/AVP 8", "m=image 0 udptl t38"]);
}

#[test]
fn a_dead_or_encrypted_audio_line_is_passed_over() {
    let lines = "m=audio 0 RTP/AVP 8\nm=audio 4002 RTP/SAVP 8\nm=audio 4004 RTP/AVP 8\n";
    assert_eq!(read(lines).unwrap().address.port(), 4004);
    assert_eq!(read("m=audio 4002 RTP/SAVP 8\n"), Err(SdpError::Encrypted));
    assert_eq!(read("m=audio 4002 UDP/TLS/RTP/SAVPF 8\n"), Err(SdpError::NoAudio));
    assert_eq!(read("m=video 4002 RTP/AVP 31\n"), Err(SdpError::NoAudio));
    assert_eq!(read("m=audio 0 RTP/AVP 8\n"), Err(SdpError::NoAudio));
    assert_eq!(read(""), Err(SdpError::NoAudio));
}

#[test]
fn feedback_profiles_are_answered_as_offered() {
    assert!(answer("m=audio 4000 RTP/AVPF 8\na=rtcp-fb:* nack\n").contains("m=audio 20000 RTP/AVPF 8\r\n"));
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
    let held = "m=audio 4000 RTP/AVP 8\nc=IN IP4 0.0.0.0\n";
    let first = read(held).unwrap();
    assert_eq!((first.address.ip(), first.listens), (HELD_AT, false));
    let capabilities = Capabilities::default();
    let before = read("m=audio 4444 RTP/AVP 8\n").unwrap();
    let again = Terms { before: Some(&before), ..terms(&capabilities) };
    let offer = Offer::read(sdp(held).as_bytes(), &again, &mut drawing()).unwrap();
    assert_eq!((offer.remote().address, offer.remote().listens), (before.address, false));
}

#[test]
fn nobody_is_made_a_target_who_did_not_ask() {
    for address in [
        "IP4 224.0.0.1",
        "IP4 224.0.0.1/127",
        "IP4 255.255.255.255",
        "IP4 0.1.2.3",
        "IP4 240.0.0.1",
        "IP4 127.0.0.1",
        "IP6 ::ffff:224.0.0.1",
        "IP6 ::ffff:127.0.0.1",
        "IP4 pbx.example",
        "IP4",
        "",
    ] {
        assert_eq!(read(&format!("m=audio 4000 RTP/AVP 8\nc=IN {address}\n")), Err(SdpError::Address), "{address}");
    }
    assert_eq!(read("m=audio 4000 RTP/AVP 8\nc=IN IP6 2001:db8::1\n"), Err(SdpError::Family));
    let mapped = read("m=audio 4000 RTP/AVP 8\nc=IN IP6 ::ffff:10.0.0.3\n").unwrap();
    assert_eq!(mapped.address, "10.0.0.3:4000".parse().unwrap());
}

#[test]
fn six_has_its_own_groups() {
    let capabilities = Capabilities::default();
    let near = Terms { held_at: "2001:db8::9".parse().unwrap(), ..terms(&capabilities) };
    let read = |address: &str| {
        let lines = sdp(&format!("m=audio 4000 RTP/AVP 8\nc=IN IP6 {address}\n"));
        Offer::read(lines.as_bytes(), &near, &mut drawing()).map(|offer| offer.remote().address)
    };
    assert_eq!(read("2001:db8::1"), Ok("[2001:db8::1]:4000".parse().unwrap()));
    assert_eq!(read("ff02::1"), Err(SdpError::Address));
    assert_eq!(read("::1"), Err(SdpError::Address));
}

#[test]
fn sound_to_our_own_sip_port_is_refused() {
    let capabilities = Capabilities::default();
    let own = ["10.0.0.1:5060".parse().unwrap()];
    let near = Terms { own_sip: &own, ..terms(&capabilities) };
    let read =
        |lines: &str| Offer::read(sdp(lines).as_bytes(), &near, &mut drawing()).map(|offer| offer.remote().clone());
    assert_eq!(read("m=audio 5060 RTP/AVP 8\n"), Err(SdpError::Address));
    assert!(read("m=audio 5060 RTP/AVP 8\nc=IN IP4 10.0.0.7\n").is_ok());
    assert_eq!(read("m=audio 4000 RTP/AVP 8\na=rtcp:5060\n").unwrap().rtcp, RtcpPath::Mux);
}

#[test]
fn inside_addresses_are_for_those_inside() {
    let capabilities = Capabilities::default();
    let near = Terms { held_at: "127.0.0.1".parse().unwrap(), ..terms(&capabilities) };
    let lines = sdp("m=audio 4000 RTP/AVP 8\nc=IN IP4 127.0.0.5\n");
    assert!(Offer::read(lines.as_bytes(), &near, &mut drawing()).is_ok());
}

#[test]
fn rtcp_goes_where_the_line_says() {
    let rtcp = |more: &str| read(&format!("m=audio 4000 RTP/AVP 8\n{more}")).unwrap().rtcp;
    let at = |port: u16| RtcpPath::Address(SocketAddr::new("10.0.0.1".parse().unwrap(), port));
    assert_eq!(rtcp(""), at(4001));
    assert_eq!(rtcp("a=rtcp:4500\n"), at(4500));
    assert_eq!(rtcp("a=rtcp:4500 IN IP4 10.0.0.1\n"), at(4500));
    assert_eq!(rtcp("a=rtcp:4500 IN IP4 192.0.2.1\n"), at(4001), "a third party did not ask");
    assert_eq!(rtcp("a=rtcp:4500\na=rtcp-mux\n"), RtcpPath::Mux);
    assert!(answer("m=audio 4000 RTP/AVP 8\na=rtcp-mux\n").contains("a=rtcp-mux\r\n"));
    assert!(!answer("m=audio 4000 RTP/AVP 8\n").contains("a=rtcp-mux"));
}

#[test]
fn packet_times_are_honoured_from_10_to_60() {
    for (asked, sent) in [
        ("ptime:10", 10),
        ("ptime:30", 30),
        ("ptime:60", 60),
        ("ptime:5", 10),
        ("ptime:200", 60),
        ("ptime:25", 20),
        ("ptime:x", 20),
        ("ptime:0", 20),
        ("maxptime:10", 10),
        ("ptime:40\na=maxptime:30", 30),
        ("maxptime:150", 20),
    ] {
        assert_eq!(read(&format!("m=audio 4000 RTP/AVP 8\na={asked}\n")).unwrap().packet_ms, sent, "{asked}");
    }
}

#[test]
fn opus_has_no_packets_of_30_or_50() {
    for (asked, sent) in [(30, 20), (50, 40), (60, 60)] {
        let lines = format!("m=audio 4000 RTP/AVP 96\na=rtpmap:96 opus/48000/2\na=ptime:{asked}\n");
        assert_eq!(read(&lines).unwrap().packet_ms, sent, "{asked}");
    }
}

#[test]
fn careless_descriptions_are_read() {
    for text in [
        &b"v=0\nm=audio 4000 RTP/AVP 8\nc=IN IP4 10.0.0.1\n"[..],
        b"v=0\r\ns=B\xfcro\r\nt=now\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 8\r\na=\r\nx\r\n=\r\na=:\r\n",
        b"v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000/2 RTP/AVP 8\r\n\r\n\r\n",
    ] {
        let read = Offer::read(text, &terms(&Capabilities::default()), &mut drawing());
        assert_eq!(read.unwrap().remote().address, "10.0.0.1:4000".parse().unwrap());
    }
}

#[test]
fn what_is_no_description_is_unreadable() {
    let many = format!("v=0\r\n{}", "m=audio 4000 RTP/AVP 8\r\n".repeat(17));
    let attributes = format!("v=0\r\nm=audio 4000 RTP/AVP 8\r\n{}", "a=x\r\n".repeat(600));
    let long = format!("v=0\r\nm={} 4000 RTP/AVP 8\r\n", "x".repeat(200));
    for text in
        ["", "hello", "v=1\r\n", "v=0\r\nm=audio\r\n", "v=0\r\nm=audio 99999 RTP/AVP 8\r\n", &many, &attributes, &long]
    {
        let read = Offer::read(text.as_bytes(), &terms(&Capabilities::default()), &mut drawing());
        assert_eq!(read.unwrap_err(), SdpError::Unreadable, "{text:.60}");
    }
}

#[test]
fn policy_decides_about_encryption() {
    let plain = "m=audio 4000 RTP/AVP 8\n".to_owned();
    let secure = format!("m=audio 4000 RTP/SAVP 8\n{}", cm80(""));
    let best_effort = format!("m=audio 4000 RTP/AVP 8\n{}", cm80(""));
    let keyless = "m=audio 4000 RTP/SAVP 8\n".to_owned();
    let encrypted = |lines: &str, srtp| secured(lines, srtp).map(|(remote, _)| remote.crypto.is_some());
    for (srtp, expected) in [
        (Srtp::Off, [Ok(false), Err(SdpError::Encrypted), Ok(false), Err(SdpError::Encrypted)]),
        (Srtp::Optional, [Ok(false), Ok(true), Ok(true), Err(SdpError::NoSuite)]),
        (Srtp::Required, [Err(SdpError::Plain), Ok(true), Ok(true), Err(SdpError::NoSuite)]),
    ] {
        for (lines, expected) in [&plain, &secure, &best_effort, &keyless].into_iter().zip(expected) {
            assert_eq!(encrypted(lines, srtp), expected, "{srtp:?} {lines}");
        }
    }
    assert_eq!(SdpError::Plain.status(), 488);
}

#[test]
fn an_encrypted_line_goes_before_a_plain_one() {
    let lines = format!("m=audio 4000 RTP/AVP 8\nm=audio 4002 RTP/SAVP 8\n{}", cm80(""));
    let (remote, answer) = secured(&lines, Srtp::Optional).unwrap();
    assert_eq!(remote.address.port(), 4002);
    let lines: Vec<_> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(lines, ["m=audio 0 RTP/AVP 8", "m=audio 20000 RTP/SAVP 8"]);
}

#[test]
fn the_strongest_suite_is_answered_under_its_number() {
    let lines = format!(
        "m=audio 4000 RTP/SAVP 8\n{}{}{}{}",
        crypto(3, "AES_CM_128_HMAC_SHA1_32", 40, ""),
        crypto(4, "F8_128_HMAC_SHA1_80", 40, ""),
        crypto(5, "AEAD_AES_128_GCM", 38, "==|2^31"),
        crypto(6, "AES_CM_128_HMAC_SHA1_80", 40, "|2^48"),
    );
    let (remote, answer) = secured(&lines, Srtp::Required).unwrap();
    let agreed = remote.crypto.unwrap();
    assert_eq!(agreed.suite, CryptoSuite::AesGcm128);
    assert_eq!((agreed.ours.key[15], agreed.ours.key[16], agreed.ours.salt[11], agreed.ours.salt[12]), (1, 0, 1, 0));
    // 28 bytes of the first key drawn.
    let inline = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==";
    assert!(answer.contains(&format!("a=crypto:5 AEAD_AES_128_GCM inline:{inline}\r\n")), "{answer}");
    assert_eq!(answer.matches("a=crypto").count(), 1);
}

#[test]
fn a_key_with_conditions_that_we_do_not_keep_is_passed_over() {
    for more in [
        " UNENCRYPTED_SRTP",
        " UNENCRYPTED_SRTCP",
        " UNAUTHENTICATED_SRTP",
        " KDR=1",
        " FEC_ORDER=FEC_SRTP",
        "|1:4",
        "|2^20|1:4",
        "|2^4",
        "|100",
        "|2^49",
        "|x",
        ";inline:AAAA",
        "A",
        "=",
        " wsh=64 KDR=2",
    ] {
        let lines = format!("m=audio 4000 RTP/SAVP 8\n{}", cm80(more));
        assert_eq!(secured(&lines, Srtp::Optional).unwrap_err(), SdpError::NoSuite, "{more}");
    }
    for more in ["|2^31", "|2^48", "|4194304", " WSH=64", "|2^32 -FOO=1"] {
        let lines = format!("m=audio 4000 RTP/SAVP 8\n{}", cm80(more));
        assert!(secured(&lines, Srtp::Optional).is_ok(), "{more}");
    }
    // Padding may be missing where the length would ask for it.
    let bare = format!("m=audio 4000 RTP/SAVP 8\n{}", crypto(1, "AEAD_AES_256_GCM", 59, ""));
    assert!(secured(&bare, Srtp::Required).is_ok());
}

#[test]
fn an_unchanged_key_keeps_ours_and_a_new_one_draws_anew() {
    let capabilities = capabilities(Srtp::Required);
    let lines = format!("m=audio 4000 RTP/SAVP 8\n{}", cm80(""));
    let before = offer_by(&lines, &capabilities).unwrap().remote().clone();
    let again = Terms { before: Some(&before), ..terms(&capabilities) };
    let mut draw = drawing();
    draw();
    let same = Offer::read(sdp(&lines).as_bytes(), &again, &mut draw).unwrap();
    assert_eq!(same.remote().crypto, before.crypto);
    let rekeyed = sdp(&lines.replace("inline:AAAA", "inline:BAAA"));
    let other = Offer::read(rekeyed.as_bytes(), &again, &mut draw).unwrap().remote().crypto.unwrap();
    assert_ne!(other.ours, before.crypto.unwrap().ours);
}

#[test]
fn a_re_offer_keeps_the_codec_where_it_can() {
    let capabilities = Capabilities::default();
    let before = read("m=audio 4000 RTP/AVP 0\n").unwrap();
    let again = Terms { before: Some(&before), ..terms(&capabilities) };
    let codec = |lines: &str| Offer::read(sdp(lines).as_bytes(), &again, &mut drawing()).unwrap().remote().codec;
    assert_eq!(codec("m=audio 4000 RTP/AVP 8 0\n"), Codec::Pcmu);
    assert_eq!(codec("m=audio 4000 RTP/AVP 8\n"), Codec::Pcma);
}

fn own(capabilities: &Capabilities, before: Option<&RemoteMedia>, direction: Direction) -> OwnOffer {
    own_offer(local(), OURS, &Terms { before, ..terms(capabilities) }, &mut drawing(), direction)
}

#[test]
fn our_offer_says_it_all() {
    let text = own(&Capabilities::default(), None, Direction::SendRecv).text().to_owned();
    let expected = "v=0\r\no=- 7 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n\
        m=audio 20000 RTP/AVP 8 0 9 111 101 110\r\n\
        a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:111 opus/48000/2\r\n\
        a=fmtp:111 stereo=0;sprop-stereo=0;maxplaybackrate=8000;useinbandfec=1\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
        a=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-15\r\n\
        a=ptime:20\r\na=sendrecv\r\na=rtcp-mux\r\n";
    assert_eq!(text, expected);
}

#[test]
fn our_offer_is_answered_by_ourselves() {
    for srtp in [Srtp::Off, Srtp::Optional, Srtp::Required] {
        let capabilities = capabilities(srtp);
        let ours = own(&capabilities, None, Direction::SendRecv);
        let offer =
            Offer::read(ours.text().as_bytes(), &terms(&capabilities), &mut || Keying { key: [9; 32], salt: [9; 14] });
        let offer = offer.unwrap();
        let remote = ours.read_answer(offer.answer(local(), OURS).as_bytes(), &terms(&capabilities)).unwrap();
        assert_eq!((remote.codec, remote.telephone_event, remote.rtcp), (Codec::Pcma, Some(101), RtcpPath::Mux));
        assert_eq!(remote.crypto.is_some(), srtp != Srtp::Off);
        if let (Some(here), Some(there)) = (remote.crypto, offer.remote().crypto) {
            assert_eq!((here.suite, here.ours, here.theirs), (there.suite, there.theirs, there.ours));
            assert_eq!(here.suite, CryptoSuite::AesGcm256);
        }
    }
}

#[test]
fn an_answer_must_fit_the_offer() {
    let narrow = Capabilities { codecs: vec![Codec::Pcma], ..capabilities(Srtp::Required) };
    let ours = own(&narrow, None, Direction::SendRecv);
    let read = |lines: &str| ours.read_answer(sdp(lines).as_bytes(), &terms(&narrow)).map(|_| ());
    let keyed = |tag, suite| crypto(tag, suite, 40, "");
    assert_eq!(read(&format!("m=audio 4000 RTP/SAVP 8\n{}", keyed(3, "AES_CM_128_HMAC_SHA1_80"))), Ok(()));
    assert_eq!(
        read(&format!("m=audio 4000 RTP/SAVP 0\n{}", keyed(3, "AES_CM_128_HMAC_SHA1_80"))),
        Err(SdpError::NoCodec)
    );
    assert_eq!(
        read(&format!("m=audio 4000 RTP/SAVP 8\n{}", keyed(4, "AES_CM_128_HMAC_SHA1_80"))),
        Err(SdpError::Answer)
    );
    assert_eq!(
        read(&format!("m=audio 4000 RTP/SAVP 8\n{}", keyed(9, "AES_CM_128_HMAC_SHA1_80"))),
        Err(SdpError::Answer)
    );
    assert_eq!(read("m=audio 4000 RTP/SAVP 8\n"), Err(SdpError::Plain));
    assert_eq!(read("m=audio 4000 RTP/AVP 8\n"), Err(SdpError::Plain));
    assert_eq!(read("m=audio 0 RTP/SAVP 8\n"), Err(SdpError::NoAudio));
    assert_eq!(read("m=audio 4000 RTP/SAVP 8\nc=IN IP4 224.0.0.1\n").unwrap_err(), SdpError::Plain);
}

#[test]
fn whoever_does_not_know_optional_keys_answers_in_clear() {
    let optional = capabilities(Srtp::Optional);
    let ours = own(&optional, None, Direction::SendRecv);
    assert!(ours.text().contains("RTP/AVP ") && ours.text().matches("a=crypto").count() == 4);
    let answer = sdp("m=audio 4000 RTP/AVP 0\n");
    assert_eq!(ours.read_answer(answer.as_bytes(), &terms(&optional)).unwrap().crypto, None);
}

#[test]
fn a_re_offer_of_ours_keeps_what_is_in_use() {
    let optional = capabilities(Srtp::Optional);
    let lines = format!(
        "m=audio 4000 RTP/SAVP 100 101\na=rtpmap:100 telephone-event/48000\na=rtpmap:101 opus/48000/2\n{}",
        cm80("")
    );
    let before = offer_by(&lines, &optional).unwrap().remote().clone();
    let ours = own(&optional, Some(&before), Direction::SendOnly);
    let text = ours.text().to_owned();
    assert!(text.contains("m=audio 20000 RTP/SAVP 101 8 0 9 100 127\r\n"), "{text}");
    let in_clear = ours.read_answer(sdp("m=audio 4000 RTP/AVP 8\n").as_bytes(), &terms(&optional));
    assert_eq!(in_clear, Err(SdpError::Plain), "encryption in use is not given up");
    assert!(
        text.contains("a=rtpmap:100 telephone-event/48000\r\n")
            && text.contains("a=rtpmap:127 telephone-event/8000\r\n")
    );
    assert!(text.contains("a=sendonly\r\n"));
    let kept = "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\r\n";
    assert!(text.contains(kept), "{text}");
}

#[test]
fn no_key_is_printed() {
    let ours = own(&capabilities(Srtp::Required), None, Direction::SendRecv);
    let offer = Offer::read(ours.text().as_bytes(), &terms(&capabilities(Srtp::Required)), &mut drawing()).unwrap();
    for printed in [format!("{ours:?}"), format!("{offer:?}")] {
        assert!(!printed.contains("inline") && !printed.contains("[1, 1"), "{printed}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,400}", lines in "([vosctma]=[ -~]{0,40}\r\n){0,20}", more in "(a=(crypto|rtpmap|ptime|rtcp):[ -~]{0,30}\n){0,8}") {
        let optional = capabilities(Srtp::Optional);
        let ours = own(&optional, None, Direction::SendRecv);
        let whole = sdp(&text);
        let keyed = sdp(&format!("m=audio 4000 RTP/SAVP 8 96 97\n{more}"));
        for text in [text.as_bytes(), lines.as_bytes(), whole.as_bytes(), keyed.as_bytes()] {
            if let Ok(offer) = Offer::read(text, &terms(&optional), &mut drawing()) {
                let answer = offer.answer(local(), OURS);
                prop_assert!(Offer::read(answer.as_bytes(), &terms(&optional), &mut drawing()).is_ok());
            }
            let _ = ours.read_answer(text, &terms(&optional));
        }
    }
}
