//! People who may be let in by their telephone number.

use serde::{Deserialize, Serialize};

use crate::E164;

/// A number that belongs to an invitee.
///
/// A number that two invitees share names neither of them; who builds the list leaves such numbers out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCaller {
    /// The number as it is compared.
    pub number: E164,
    /// The number as its owner writes it, for the invitation: `+49 30 23125 002`.
    pub written: String,
}

/// How far a trunk's word about a caller's number reaches, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// From no configured trunk, or one that does not believe it: a claim, and a claim keys its PIN.
    Claimed,
    /// The trunk asserts the number and is believed.
    Asserted,
    /// The number carries a STIR/SHAKEN attestation of level A that was validated.
    Attested,
    /// One of the company's own extensions.
    Internal,
}
