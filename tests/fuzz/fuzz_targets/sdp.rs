//! Descriptions of sessions (RFC 4566), as an offer and as an answer to ours, under every policy of encryption.
#![no_main]

mod support;

use mixer_signalling::{Capabilities, Direction, Keying, LocalMedia, Offer, OurSession, Srtp, Terms, own_offer};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    let Some((&first, sdp)) = bytes.split_first() else { return };
    let srtp = [Srtp::Off, Srtp::Optional, Srtp::Required][usize::from(first % 3)];
    let capabilities = Capabilities { srtp, ..Capabilities::default() };
    let terms = Terms {
        capabilities: &capabilities,
        held_at: support::address(7),
        own_sip: &[support::socket(1)],
        before: None,
    };
    let (ours, local) = (OurSession { id: 1, version: 1 }, LocalMedia { ip: support::address(1), port: 20_000 });
    let mut draw = || Keying { key: [7; 32], salt: [7; 14] };
    if let Ok(offer) = Offer::read(sdp, &terms, &mut draw) {
        let remote = offer.remote();
        let ip = remote.address.ip();
        assert!(remote.address.port() != 0 && !ip.is_multicast() && !ip.is_unspecified(), "sound goes to {ip}");
        assert!(remote.address != support::socket(1), "sound goes to our own SIP");
        assert!(srtp != Srtp::Required || remote.crypto.is_some(), "in clear where it must be encrypted");
        let answer = offer.answer(local, ours);
        assert!(answer.is_ascii() && answer.len() < 4_000, "{answer}");
    }
    let own = own_offer(local, ours, &terms, &mut draw, Direction::SendRecv);
    let _ = own.read_answer(sdp, &terms);
});
