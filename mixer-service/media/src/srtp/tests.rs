//! The standards' own vectors, and what must not pass.
#![expect(clippy::cast_possible_truncation, reason = "small numbers of a test")]

use proptest::prelude::*;

use super::cipher::{BlockCipher, Cipher, Extra, Place, keystream};
use super::keys::{Keys, Kind};
use super::*;

const SUITES: [Suite; 4] = [Suite::AesCm128Sha1Tag80, Suite::AesCm128Sha1Tag32, Suite::AesGcm128, Suite::AesGcm256];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn padded<const N: usize>(hex: &str) -> [u8; N] {
    let mut padded = [0; N];
    let bytes = bytes(hex);
    padded[..bytes.len()].copy_from_slice(&bytes);
    padded
}

fn keying(seed: u8) -> Keying {
    Keying { key: std::array::from_fn(|n| seed.wrapping_mul(31).wrapping_add(n as u8)), salt: [seed ^ 0x5a; 14] }
}

fn packet(sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn protected(protect: &mut Protect, plain: &[u8]) -> Vec<u8> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + TRAILER_MAX, 0);
    let len = protect.rtp(&mut buffer, plain.len()).unwrap();
    buffer.truncate(len);
    buffer
}

/// RFC 3711 appendix B.2.
#[test]
fn the_keystream_is_that_of_the_standard() {
    let cipher = BlockCipher::new(Suite::AesCm128Sha1Tag80, &padded("2B7E151628AED2A6ABF7158809CF4F3C"));
    let mut stream = vec![0; 0xff02 * 16];
    keystream(&cipher, padded("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000"), &mut stream);
    for (block, expected) in [
        (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
        (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
        (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
        (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
        (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
        (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
    ] {
        assert_eq!(stream[block * 16..][..16], bytes(expected), "block {block:x}");
    }
}

/// RFC 3711 appendix B.3.
#[test]
fn session_keys_are_those_of_the_standard() {
    let keying =
        Keying { key: padded("E1F97A0D3E018BE0D64FA32C06DE4139"), salt: padded("0EC675AD498AFEEBB6960B3AABE6") };
    let keys = Keys::derive(Suite::AesCm128Sha1Tag80, &keying, Kind::Rtp);
    assert_eq!(keys.encryption[..16], bytes("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(keys.salt[..], bytes("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(keys.authentication[..], bytes("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

fn quid_pro_quo(key: &str, suite: Suite) -> Cipher {
    let keys = Keys { encryption: padded(key), authentication: [0; 20], salt: padded("517569642070726f2071756f") };
    Cipher::gcm(suite, &keys)
}

/// RFC 7714 sections 16.1.1 and 16.2.1.
#[test]
fn sound_under_gcm_is_as_the_standard_has_it() {
    let plain = bytes(
        "8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e697320646976697361 20696e2070617274657320747265 73",
    );
    for (key, suite, expected) in [
        (
            "000102030405060708090a0b0c0d0e0f",
            Suite::AesGcm128,
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833 \
             899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            Suite::AesGcm256,
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b \
             7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ] {
        let cipher = quid_pro_quo(key, suite);
        let mut packet = plain.clone();
        packet.resize(plain.len() + TRAILER_MAX, 0);
        let place = Place { ssrc: 0x5501_a0b2, index: 0xf17b };
        let len = cipher.seal(place, &mut packet, 12, plain.len(), Extra::RollOver(0)).unwrap();
        assert_eq!(packet[12..len], bytes(expected), "{suite:?}");
        let len = cipher.open(place, &mut packet[..len], 12, Extra::RollOver(0)).unwrap();
        assert_eq!(packet[..len], plain);
    }
}

/// RFC 7714 section 17.1.
#[test]
fn reports_under_gcm_are_as_the_standard_has_them() {
    let plain = bytes(
        "81c8000d4d617273 4e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    );
    let cipher = quid_pro_quo("000102030405060708090a0b0c0d0e0f", Suite::AesGcm128);
    let mut packet = plain.clone();
    packet.resize(plain.len() + TRAILER_MAX, 0);
    let (place, extra) = (Place { ssrc: 0x4d61_7273, index: 0x5d4 }, Extra::Index(0x8000_05d4));
    let len = cipher.seal(place, &mut packet, 8, plain.len(), extra).unwrap();
    let expected = bytes(
        "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa458 \
         96cf4d2fc5abf87245d9eade800005d4",
    );
    assert_eq!(packet[8..len], expected);
    let len = cipher.open(place, &mut packet[..len], 8, extra).unwrap();
    assert_eq!(packet[..len], plain);
}

/// What libsrtp 2 makes of the same packets and key; its first report is number 1.
#[test]
fn counter_mode_and_its_tags_are_as_another_implementation_writes_them() {
    let keying =
        Keying { key: padded("0102030405060708090a0b0c0d0e0f10"), salt: padded("6465666768696a6b6c6d6e6f7071") };
    let encrypted = "80081234000000a0000000072ed2307c76970a5b";
    for (suite, tag) in [(Suite::AesCm128Sha1Tag80, "ebf31be907873879aca5"), (Suite::AesCm128Sha1Tag32, "ebf31be9")] {
        let mut protect = Protect::new(suite, &keying);
        let plain = bytes("80081234000000a0000000070102030405060708");
        assert_eq!(protected(&mut protect, &plain), bytes(&format!("{encrypted}{tag}")));
        let mut report = bytes("80c9000100000007");
        report.resize(8 + TRAILER_MAX, 0);
        protect.rtcp(&mut report.clone(), 8).unwrap();
        let len = protect.rtcp(&mut report, 8).unwrap();
        assert_eq!(report[..len], bytes("80c90001000000078000000118ec933f8051c54cc1f3"));
    }
}

#[test]
fn what_one_side_encrypts_the_other_reads_across_the_round_of_sequence_numbers() {
    for suite in SUITES {
        let (mut protect, mut unprotect) = (Protect::new(suite, &keying(1)), Unprotect::new(suite, &keying(1)));
        for n in 0..200u16 {
            let plain = packet(65_400u16.wrapping_add(n), 7, &[n as u8; 160]);
            let mut wire = protected(&mut protect, &plain);
            assert_ne!(wire[12..172], plain[12..]);
            assert_eq!(unprotect.rtp(&mut wire), Ok((172, true)), "{suite:?} {n}");
            assert_eq!(wire[..172], plain);
        }
    }
}

#[test]
fn forged_repeated_and_foreign_packets_are_refused_and_change_nothing() {
    for suite in SUITES {
        let (mut protect, mut unprotect) = (Protect::new(suite, &keying(1)), Unprotect::new(suite, &keying(1)));
        let mut foreign = Protect::new(suite, &keying(2));
        for n in 0..100 {
            let wire = protected(&mut protect, &packet(n, 7, &[1; 160]));
            for (sequence, ssrc) in [(n, 7), (n + 30_000, 7), (n.wrapping_sub(400), 7), (n, 8)] {
                let mut stranger = protected(&mut foreign, &packet(sequence, ssrc, &[1; 160]));
                assert!(unprotect.rtp(&mut stranger).is_err(), "{suite:?} {n}");
            }
            for at in [0, 2, 9, 12, 100, wire.len() - 1] {
                let mut bent = wire.clone();
                bent[at] ^= 1;
                assert!(unprotect.rtp(&mut bent).is_err(), "{suite:?} byte {at}");
            }
            assert_eq!(unprotect.rtp(&mut wire.clone()), Ok((172, true)));
            assert_eq!(unprotect.rtp(&mut wire.clone()), Err(Refused::Replay));
        }
    }
}

#[test]
fn an_overtaken_packet_is_taken_once_and_is_not_the_newest() {
    let (mut protect, mut unprotect) = (Protect::new(SUITES[0], &keying(1)), Unprotect::new(SUITES[0], &keying(1)));
    let mut wire: Vec<_> =
        (65_534..65_537u32).map(|n| protected(&mut protect, &packet(n as u16, 7, &[1; 20]))).collect();
    assert_eq!(unprotect.rtp(&mut wire[0]), Ok((32, true)));
    assert_eq!(unprotect.rtp(&mut wire[2]), Ok((32, true)));
    assert_eq!(unprotect.rtp(&mut wire[1].clone()), Ok((32, false)));
    assert_eq!(unprotect.rtp(&mut wire[1]), Err(Refused::Replay));
}

#[test]
fn reports_are_read_once_and_never_in_clear() {
    for suite in SUITES {
        let (mut protect, mut unprotect) = (Protect::new(suite, &keying(1)), Unprotect::new(suite, &keying(1)));
        let plain = [0x80, 201, 0, 1, 0, 0, 0, 7];
        for _ in 0..5 {
            let mut wire = plain.to_vec();
            wire.resize(plain.len() + TRAILER_MAX, 0);
            let len = protect.rtcp(&mut wire, plain.len()).unwrap();
            wire.truncate(len);
            let mut again = wire.clone();
            let mut bent = wire.clone();
            bent[1] ^= 1;
            assert!(unprotect.rtcp(&mut bent).is_err());
            assert_eq!(unprotect.rtcp(&mut wire), Ok((plain.len(), true)), "{suite:?}");
            assert_eq!(wire[..plain.len()], plain);
            assert_eq!(unprotect.rtcp(&mut again), Err(Refused::Replay));
        }
        assert!(unprotect.rtcp(&mut plain.to_vec()).is_err());
        assert!(
            unprotect
                .rtcp(&mut [0x80, 201, 0, 7, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
                .is_err()
        );
    }
}

#[test]
fn a_report_that_says_it_is_not_encrypted_is_refused_though_its_tag_is_right() {
    for suite in SUITES {
        let cipher = Cipher::new(suite, &keying(1), Kind::Rtcp);
        for (word, expected) in [(0x8000_0001, Ok((8, true))), (1, Err(Refused::Malformed))] {
            let mut report = bytes("80c9000100000007");
            report.resize(8 + TRAILER_MAX, 0);
            let len = cipher.seal(Place { ssrc: 7, index: 1 }, &mut report, 8, 8, Extra::Index(word)).unwrap();
            assert_eq!(Unprotect::new(suite, &keying(1)).rtcp(&mut report[..len]), expected, "{suite:?}");
        }
    }
}

#[test]
fn keys_are_never_printed() {
    let srtp = Srtp { suite: Suite::AesGcm256, ours: keying(3), theirs: keying(4) };
    assert_eq!(format!("{srtp:?} {:?}", srtp.ours), "Srtp(AesGcm256) Keying");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_never_pass(wire in proptest::collection::vec(any::<u8>(), 0..1600), suite in 0usize..4) {
        let mut unprotect = Unprotect::new(SUITES[suite], &keying(1));
        let mut rtp = wire.clone();
        rtp.iter_mut().take(1).for_each(|first| *first = 0x80 | *first & 0x3f);
        prop_assert!(unprotect.rtp(&mut rtp).is_err() || suite == 1, "32 bits may be guessed");
        prop_assert!(unprotect.rtcp(&mut wire.clone()).is_err());
    }
}
