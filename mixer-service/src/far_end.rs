//! The far end of a call's sound: what signalling agreed on, as the engine wants it. Neither of them knows the other.

use std::net::IpAddr;

use mixer_signalling as signalling;

use crate::engine::{Codec, Keying, Remote, Rtcp, Srtp, Suite};

/// The far end as signalling describes it; `peer_ip` is where his signalling comes from, and `in_band_digits` whether his
/// trunk's keys come in the sound although telephone events were agreed on.
pub(crate) fn far_end(media: &signalling::RemoteMedia, peer_ip: IpAddr, in_band_digits: bool) -> Remote {
    Remote {
        address: media.address,
        peer_ip,
        rtcp: match media.rtcp {
            signalling::RtcpPath::Mux => Rtcp::Mux,
            signalling::RtcpPath::Address(address) => Rtcp::Address(address),
        },
        codec: match media.codec {
            signalling::Codec::Pcma => Codec::ALaw,
            signalling::Codec::Pcmu => Codec::MuLaw,
            signalling::Codec::G722 => Codec::G722,
            signalling::Codec::Opus => Codec::Opus,
        },
        payload_type: media.payload_type,
        telephone_event: media.telephone_event,
        comfort_noise: media.comfort_noise,
        packet_ms: media.packet_ms,
        listens: media.listens,
        speaks: media.speaks,
        srtp: media.crypto.map(|crypto| Srtp {
            suite: suite(crypto.suite),
            ours: keying(crypto.ours),
            theirs: keying(crypto.theirs),
        }),
        in_band_digits,
    }
}

fn suite(suite: signalling::CryptoSuite) -> Suite {
    match suite {
        signalling::CryptoSuite::AesCm128Sha1Tag80 => Suite::AesCm128Sha1Tag80,
        signalling::CryptoSuite::AesCm128Sha1Tag32 => Suite::AesCm128Sha1Tag32,
        signalling::CryptoSuite::AesGcm128 => Suite::AesGcm128,
        signalling::CryptoSuite::AesGcm256 => Suite::AesGcm256,
    }
}

fn keying(keying: signalling::Keying) -> Keying {
    Keying { key: keying.key, salt: keying.salt }
}
