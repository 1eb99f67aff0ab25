//! The far end of a stream, as its SDP describes it.

use std::net::{IpAddr, SocketAddr};

use crate::{Codec, Srtp};

/// Where to send, and how both sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Address of `c=` and `m=`; audio is accepted from here (`latch.rs` has the exceptions).
    pub address: SocketAddr,
    /// Where his signalling comes from: the only address that may stand in for a private one in his SDP.
    pub peer_ip: IpAddr,
    /// Where reports go.
    pub rtcp: Rtcp,
    /// Which codec, both ways.
    pub codec: Codec,
    /// Its payload type, 0–127.
    pub payload_type: u8,
    /// Payload type of telephone events (RFC 4733), if agreed; they count time as the codec's RTP clock does.
    pub telephone_event: Option<u8>,
    /// Payload type of comfort noise (RFC 3389), if agreed; 13 at 8 kHz.
    pub comfort_noise: Option<u8>,
    /// Length of the packets we send; 10, 20, 30, 40, 50 or 60. Anything else sends 20, and Opus knows only 10 and 20.
    pub packet_ms: u8,
    /// Whether he wants to hear us; while he does not, only reports are sent.
    pub listens: bool,
    /// Whether he sends; one who only listens need not prove that he is there, if there is where his signalling
    /// comes from.
    pub speaks: bool,
    /// Keys, where the sound is encrypted: then nothing in clear is accepted or sent, reports included.
    pub srtp: Option<Srtp>,
    /// Listen for keys in the sound as well. They are listened for in any case while no telephone events were agreed on.
    pub in_band_digits: bool,
}

/// Where a stream's RTCP goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rtcp {
    /// With the sound (RFC 5761).
    Mux,
    /// To this address, from a port of its own.
    Address(SocketAddr),
    /// Nowhere.
    None,
}

impl Remote {
    /// A far end on this address that speaks and listens, in packets of 20 ms, with telephone events as payload type 101,
    /// without reports and in clear.
    #[must_use]
    pub fn plain(address: SocketAddr, codec: Codec) -> Self {
        Self {
            address,
            peer_ip: address.ip(),
            rtcp: Rtcp::None,
            codec,
            payload_type: codec.usual_payload_type(),
            telephone_event: Some(101),
            comfort_noise: None,
            packet_ms: 20,
            listens: true,
            speaks: true,
            srtp: None,
            in_band_digits: false,
        }
    }

    /// Whether keys are listened for in the sound.
    pub(crate) fn has_keys_in_sound(&self) -> bool {
        self.in_band_digits || self.telephone_event.is_none()
    }

    /// Whether this address may be sent to without end though nothing ever came from it: only where he who set up the call
    /// asks for it at his own address, and said that he will not speak. Anybody else could be somebody else's victim.
    pub(crate) fn may_be_sent_to(&self, address: SocketAddr) -> bool {
        !self.speaks && address.ip().to_canonical() == self.peer_ip.to_canonical()
    }
}

/// Whether one host can be meant by this address: nothing is ever sent to many, to all or to none.
pub(crate) fn is_one_host(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(four) if four.is_broadcast() || four.octets()[0] == 0);
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_to_many_to_all_or_to_none() {
        for (address, expected) in [
            ("192.0.2.1:4000", true),
            ("127.0.0.1:4000", true),
            ("[2001:db8::1]:4000", true),
            ("192.0.2.1:0", false),
            ("0.0.0.0:4000", false),
            ("0.1.2.3:4000", false),
            ("255.255.255.255:4000", false),
            ("224.0.0.5:4000", false),
            ("239.255.255.250:1900", false),
            ("[::]:4000", false),
            ("[ff02::1]:4000", false),
            ("[::ffff:224.0.0.5]:4000", false),
            ("[::ffff:255.255.255.255]:4000", false),
        ] {
            assert_eq!(is_one_host(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn only_the_caller_himself_is_sent_to_without_an_answer() {
        let mut remote = Remote::plain("192.0.2.1:4000".parse().unwrap(), Codec::ALaw);
        assert!(!remote.may_be_sent_to(remote.address), "he said that he speaks");
        remote.speaks = false;
        assert!(remote.may_be_sent_to(remote.address));
        remote.peer_ip = [192, 0, 2, 9].into();
        assert!(!remote.may_be_sent_to(remote.address), "another host's address");
    }
}
