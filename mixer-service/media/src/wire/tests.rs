//! Who is heard, who is sent to, and what datagrams of every kind are counted as.

use proptest::prelude::*;

use super::*;
use crate::{BEAT, Codec, FRAME_SAMPLES, Keying, Srtp, Suite, Tone, level_dbov, some_instant};

const DESCRIBED: &str = "192.0.2.10:4000";
const STRANGER: &str = "203.0.113.66:5000";
const SSRC: u32 = 7;

struct World {
    wire: Wire,
    start: Instant,
    now: Instant,
    scratch: Box<[u8; DATAGRAM_MAX]>,
    sequence: u16,
    voice: Tone,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Remote)) -> Self {
        let start = some_instant();
        let wire = Wire::new(start, remote(change), 1);
        Self {
            wire,
            start,
            now: start,
            scratch: Box::new([0; DATAGRAM_MAX]),
            sequence: 0,
            voice: Tone::new(440.0, -10.0),
        }
    }

    fn receive(&mut self, source: &str, datagram: &[u8]) {
        self.wire.receive(self.now, address(source), datagram, &mut self.scratch);
    }

    /// The far end's next packet, from here.
    fn speak(&mut self, source: &str) {
        let datagram = self.packet(SSRC, 8);
        self.receive(source, &datagram);
    }

    fn packet(&mut self, ssrc: u32, payload_type: u8) -> Vec<u8> {
        let mut payload = [0; FRAME_SAMPLES];
        crate::G711::ALaw.encode(self.voice.take(160)[..].try_into().unwrap(), &mut payload);
        self.sequence += 1;
        let timestamp = u32::from(self.sequence) * 160;
        let packet =
            Packet { marker: false, payload_type, sequence: self.sequence, timestamp, ssrc, payload: &payload };
        let mut datagram = vec![0; 172];
        packet.write(&mut datagram).unwrap();
        datagram
    }

    /// One beat; whether it sent, and what it heard.
    fn beat(&mut self) -> (bool, Frame) {
        self.now += BEAT;
        let mut frame = [0; FRAME_SAMPLES];
        self.wire.frame(self.now, &mut frame);
        let mut parcel = Parcel::default();
        self.wire.send(self.now, Sound::Coded(&[0xd5; FRAME_SAMPLES]), &mut parcel);
        self.wire.report(self.now);
        (parcel.packet(0).is_some(), frame)
    }

    fn seconds_of_sound_sent(&mut self, seconds: u32) -> f64 {
        f64::from((0..seconds * 50).map(|_| u32::from(self.beat().0)).sum::<u32>()) / 50.0
    }
}

fn remote(change: impl FnOnce(&mut Remote)) -> Remote {
    let mut remote = Remote::plain(address(DESCRIBED), Codec::ALaw);
    change(&mut remote);
    remote
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn an_address_from_which_nothing_comes_gets_five_seconds() {
    let mut world = World::new();
    let sent = world.seconds_of_sound_sent(20);
    assert!((4.9..=5.0).contains(&sent), "{sent} s");
    assert_eq!(world.wire.statistics().rtcp_sent, 0, "nobody said where reports go");
    world.speak(DESCRIBED);
    assert!(world.beat().0, "it answers, and hears us at once");
    assert!((world.seconds_of_sound_sent(60) - 60.0).abs() < 0.01, "who listens may be silent");
}

#[test]
fn a_stranger_proves_nothing() {
    let mut world = World::new();
    for _ in 0..500 {
        world.speak(STRANGER);
        world.beat();
    }
    assert!(!world.beat().0);
    assert_eq!(world.wire.address(), address(DESCRIBED));
    assert_eq!(world.wire.statistics().packets_stray, 500);
}

#[test]
fn who_only_listens_is_sent_to_at_the_address_of_his_signalling_alone() {
    for (peer, expected) in [("192.0.2.10", 20.0), ("192.0.2.99", 5.0)] {
        let mut world = World::with(|remote| {
            remote.speaks = false;
            remote.peer_ip = peer.parse().unwrap();
        });
        let sent = world.seconds_of_sound_sent(20);
        assert!((sent - expected).abs() <= 0.1, "{peer}: {sent} s");
    }
}

#[test]
fn a_report_is_an_answer_too() {
    let mut world = World::with(|remote| {
        remote.speaks = false;
        remote.peer_ip = address(STRANGER).ip();
        remote.rtcp = Rtcp::Address(address("192.0.2.10:4001"));
    });
    let datagram = [0x80, 201, 0, 1, 0, 0, 0, 7];
    world.wire.receive_rtcp(world.now, address("192.0.2.10:4001"), &datagram, &mut world.scratch);
    assert!((world.seconds_of_sound_sent(20) - 20.0).abs() < 0.01);
}

#[test]
fn another_address_must_answer_for_itself_and_one_that_holds_is_not_sent_to() {
    let mut world = World::new();
    world.speak(DESCRIBED);
    world.wire.redirect(world.now, remote(|remote| remote.listens = false), 1);
    assert!(world.seconds_of_sound_sent(3) < 0.01, "he holds the call");
    world.wire.redirect(world.now, remote(|_| {}), 1);
    assert!((world.seconds_of_sound_sent(10) - 10.0).abs() < 0.01);
    world.wire.redirect(world.now, remote(|remote| remote.address = address("198.51.100.1:9")), 1);
    let sent = world.seconds_of_sound_sent(20);
    assert!((4.9..=5.0).contains(&sent), "{sent} s");
}

#[test]
fn nothing_is_sent_to_addresses_that_are_nobodys() {
    for nobody in ["224.1.2.3:4000", "255.255.255.255:4000", "0.0.0.0:4000", "192.0.2.10:0", "[ff02::1]:4000"] {
        let mut world = World::with(|remote| {
            remote.address = address(nobody);
            remote.peer_ip = remote.address.ip();
            (remote.speaks, remote.rtcp) = (false, Rtcp::Mux);
        });
        assert!(world.seconds_of_sound_sent(10) < 0.01, "{nobody}");
        assert_eq!(world.wire.statistics().rtcp_sent, 0, "{nobody}");
    }
}

/// Loudest frame of a stranger's tone among 20 s in which the far end is silent, talks, or has not been heard yet.
#[test]
fn a_strangers_tone_is_never_in_the_sound() {
    for talks in [false, true] {
        for (ssrc, ahead) in [(SSRC, 1), (SSRC + 1, 1), (SSRC, 700)] {
            let mut world = World::with(|remote| remote.peer_ip = [198, 51, 100, 9].into());
            world.voice = Tone::new(440.0, -60.0);
            let mut loudest = f64::MIN;
            for _ in 0..1000 {
                if talks {
                    world.speak(DESCRIBED);
                }
                let payload = [0x2a; FRAME_SAMPLES];
                for n in 0..3 {
                    let sequence = world.sequence.wrapping_add(ahead + n);
                    let packet = Packet {
                        marker: false,
                        payload_type: 8,
                        sequence,
                        timestamp: u32::from(sequence) * 160,
                        ssrc,
                        payload: &payload,
                    };
                    let mut datagram = [0; 172];
                    packet.write(&mut datagram).unwrap();
                    world.receive(STRANGER, &datagram);
                    world.receive("192.0.2.10:4002", &datagram);
                }
                loudest = loudest.max(level_dbov(&world.beat().1));
            }
            assert!(loudest < -60.0, "talks {talks}, {ssrc}: {loudest}");
            assert_eq!(world.wire.address(), address(DESCRIBED));
        }
    }
}

#[test]
fn a_port_that_moves_is_heard_and_sent_to_within_a_second() {
    let mut world = World::new();
    for _ in 0..50 {
        world.speak(DESCRIBED);
        world.beat();
    }
    let moved = "192.0.2.10:41234";
    let heard_after = (1..100).find(|_| {
        world.speak(moved);
        let (_, frame) = world.beat();
        world.wire.address() == address(moved) && level_dbov(&frame) > -20.0
    });
    println!("heard and sent to after {:?} frames", heard_after);
    assert!(heard_after.is_some_and(|frames| frames <= 50));
}

#[test]
fn an_authenticated_far_end_moves_at_once_and_a_bad_packet_only_counts() {
    let suite = Suite::AesCm128Sha1Tag80;
    let keying = Keying { key: [3; 32], salt: [4; 14] };
    let mut world = World::with(|remote| remote.srtp = Some(Srtp { suite, ours: keying, theirs: keying }));
    let mut protect = crate::srtp::Protect::new(suite, &keying);
    for n in 0..50 {
        let mut datagram = world.packet(SSRC, 8);
        world.receive(STRANGER, &datagram);
        datagram.resize(172 + 20, 0);
        let len = protect.rtp(&mut datagram, 172).unwrap();
        let from = if n < 25 { DESCRIBED } else { "198.51.100.77:999" };
        world.receive(from, &datagram[..len]);
        world.receive(STRANGER, &datagram[..len]);
        datagram[50] ^= 1;
        world.receive(from, &datagram[..len]);
        assert_eq!(world.wire.address(), address(from));
        world.beat();
    }
    let statistics = world.wire.statistics();
    assert_eq!((statistics.packets_received, statistics.srtp_failed), (50, 150));
}

#[test]
fn an_old_packet_from_elsewhere_does_not_prove_that_anybody_is_at_the_new_address() {
    let suite = Suite::AesCm128Sha1Tag80;
    let keying = Keying { key: [3; 32], salt: [4; 14] };
    let secret = |remote: &mut Remote| remote.srtp = Some(Srtp { suite, ours: keying, theirs: keying });
    let mut world = World::with(secret);
    let mut protect = crate::srtp::Protect::new(suite, &keying);
    let mut encrypted = |world: &mut World| {
        let mut datagram = world.packet(SSRC, 8);
        datagram.resize(172 + 20, 0);
        let len = protect.rtp(&mut datagram, 172).unwrap();
        datagram.truncate(len);
        datagram
    };
    let (old, new) = (encrypted(&mut world), encrypted(&mut world));
    world.receive(DESCRIBED, &new);
    let moved = remote(|remote| {
        secret(remote);
        remote.address = address("198.51.100.1:9000");
    });
    world.wire.redirect(world.now, moved, 1);
    world.receive(DESCRIBED, &old);
    assert_eq!(world.wire.address(), moved.address);
    let sent = world.seconds_of_sound_sent(20);
    assert!((4.9..=5.0).contains(&sent), "{sent} s");
}

#[test]
fn every_odd_packet_is_counted_exactly_once_and_disturbs_nothing() {
    let mut world = World::with(|remote| remote.rtcp = Rtcp::Mux);
    let goodbye = [0x81, 203, 0, 1, 0, 0, 0, 7];
    let forged_report = [0x80, 200, 0, 6, 0, 0, 0, 99, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    for _ in 0..100 {
        world.speak(DESCRIBED);
        let good = world.packet(SSRC, 8);
        world.sequence -= 1;
        let mut odd: Vec<Vec<u8>> = vec![vec![0x80], vec![], vec![0; 172], vec![0x80; 11]];
        for (at, value) in [(0, 0x00), (0, 0x40), (0, 0x90)] {
            let mut bent = good.clone();
            bent[at] = value;
            if value == 0x90 {
                bent[14..16].copy_from_slice(&[0xff, 0xff]);
            }
            odd.push(bent);
        }
        let mut padded = good.clone();
        padded[0] |= 0x20;
        padded[171] = 255;
        odd.push(padded);
        let mut contributors = good[..40].to_vec();
        contributors[0] |= 15;
        odd.push(contributors);
        for datagram in &odd {
            world.receive(DESCRIBED, datagram);
        }
        world.receive(DESCRIBED, &goodbye);
        world.receive(DESCRIBED, &forged_report);
        world.receive(STRANGER, &goodbye);
        assert!(level_dbov(&world.beat().1) > -20.0 || world.now < world.start + BEAT * 4);
    }
    let statistics = world.wire.statistics();
    assert_eq!(statistics.packets_refused, 900);
    assert_eq!((statistics.packets_received, statistics.packets_lost, statistics.frames_concealed), (100, 0, 0));
    assert_eq!((statistics.packets_rtcp, statistics.rtcp_goodbyes, statistics.rtcp_refused), (100, 100, 200));
}

#[test]
fn payload_types_nobody_agreed_on_and_oversized_packets_are_refused() {
    let mut world = World::new();
    for payload_type in [0, 9, 18, 96, 111, 127] {
        let datagram = world.packet(SSRC, payload_type);
        world.receive(DESCRIBED, &datagram);
    }
    let mut long = world.packet(SSRC, 8);
    long.resize(1500, 0xd5);
    world.receive(DESCRIBED, &long);
    assert_eq!(world.wire.statistics().packets_refused, 7);
}

proptest! {
    #[test]
    fn arbitrary_datagrams_never_panic(
        datagrams in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..1600), 0u8..8, any::<bool>()), 0..60),
        codec in 0usize..4,
        secret: bool,
    ) {
        let codec = [Codec::ALaw, Codec::MuLaw, Codec::G722, Codec::Opus][codec];
        let keying = Keying { key: [3; 32], salt: [4; 14] };
        let mut world = World::with(|remote| {
            (remote.codec, remote.payload_type, remote.rtcp) = (codec, codec.usual_payload_type(), Rtcp::Mux);
            remote.srtp = secret.then_some(Srtp { suite: Suite::AesGcm128, ours: keying, theirs: keying });
        });
        for (mut datagram, kind, rtcp) in datagrams {
            if let [first, second, ..] = &mut datagram[..] {
                match kind {
                    0..3 => (*first, *second) = (0x80, codec.usual_payload_type()),
                    3 => (*first, *second) = (0x80, 101),
                    4 => (*first, *second) = (0x81, 200),
                    5 => (*first, *second) = (0x81, 201),
                    _ => {}
                }
            }
            if rtcp {
                world.wire.receive_rtcp(world.now, address(DESCRIBED), &datagram, &mut world.scratch);
            } else {
                world.receive(DESCRIBED, &datagram);
            }
            if kind == 7 {
                world.beat();
            }
        }
    }
}
