//! The far end of a call's sound: what signalling agreed on, as the engine wants it. Neither of them knows the other.

use crate::engine::{G711, Remote};
use crate::sip::{Codec, RemoteMedia};

impl From<&RemoteMedia> for Remote {
    fn from(remote: &RemoteMedia) -> Self {
        Self {
            address: remote.address,
            codec: match remote.codec {
                Codec::Pcma => G711::ALaw,
                Codec::Pcmu => G711::MuLaw,
            },
            payload_type: remote.payload_type,
            telephone_event: remote.telephone_event,
            comfort_noise: remote.comfort_noise,
            packet_ms: remote.packet_ms,
        }
    }
}
