//! `[[trunk]]`: a telephone system, how it is reached, what it offers, and whose word is believed.

use std::path::PathBuf;

use dialroom_booking::HomeRegion;

use crate::{Network, SipServer};

/// A telephone system that calls us, that we call, or both.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// For logs and `dialroom check trunk`; no other trunk has it.
    pub name: String,
    /// Where its requests come from. The addresses of `server` count too, once they are looked up.
    pub addresses: Vec<Network>,
    /// Names in its TLS certificate, in lower case: a connection that proves one of them is the trunk, whatever its address.
    pub tls_names: Vec<String>,
    /// Where it is reached.
    pub server: Option<SipServer>,
    /// Where requests to it go first, in place of `server` (RFC 3261 section 8.1.2).
    pub outbound_proxy: Option<SipServer>,
    /// How it is reached; default UDP.
    pub transport: SipTransport,
    /// Its domain: behind the `@` of our address, and the realm whose challenge is answered; default the host
    /// of `server`, `None` only without one.
    pub domain: Option<String>,
    /// Who we are there.
    pub login: Option<TrunkLogin>,
    /// Whether we register (RFC 3261 section 10); it needs `server` and `login`.
    pub register: bool,
    /// For how long a registration is asked, in seconds; 60 to 86400, default 600.
    pub expires_seconds: u32,
    /// Seconds between two signs of life that keep the way through a NAT open (RFC 5626 section 3.5); 5 to 3600,
    /// `None` for none; default 30 where we register.
    pub keep_alive_seconds: Option<u16>,
    /// Whether its requests must prove `login`, password included (RFC 3261 section 22); default false.
    pub challenge: bool,
    /// Which header names the caller, best first; default `P-Asserted-Identity`, then `From`.
    pub identity: Vec<IdentityHeader>,
    /// Whose number is believed; default `all`.
    pub believes: Believes,
    /// Prefixes in E.164 of the company's own numbers.
    pub own_numbers: Vec<String>,
    /// Country of numbers that come in national form; default `directory.home_region`.
    pub home_region: Option<HomeRegion>,
    /// What is changed at callers' numbers before anything reads them; the first rule that fits, once.
    pub rewrite: Vec<Rewrite>,
    /// Where the number stands that was dialled; default the Request-URI.
    pub called_from: CalledFrom,
    /// Numbers that reach the conference server on this trunk, beside those of `[dial_in]`: digits, perhaps with a `+`.
    pub numbers: Vec<String>,
    /// Most calls at a time; 1 to 5000, `None` for no bound but `sip.max_calls`.
    pub lines: Option<u32>,
    /// Codecs offered and accepted, best first, never empty; default PCMA, PCMU, G.722, Opus: the mix is narrow-band,
    /// and G.711 costs least.
    pub codecs: Vec<AudioCodec>,
    /// Whether sound is encrypted; default off.
    pub srtp: SrtpPolicy,
    /// Whether it may ask us to call somebody (REFER, RFC 3515); default false.
    pub refer: bool,
    /// Session timer asked for (RFC 4028), in seconds; 90 to 86400, default 1800, `None` for none.
    pub session_expires_seconds: Option<u32>,
    /// Whether digits are heard as tones even where telephone events were agreed; default false.
    pub in_band_digits: bool,
    /// Whether all its calls use one UDP port of ours, told apart by the addresses their sound comes from; default false.
    pub shared_media_port: bool,
}

/// How we prove who we are. Only where the password stands, never the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkLogin {
    /// The name before the `@` of our address there.
    pub user: String,
    /// The name in digest answers; default `user`.
    pub auth_user: String,
    /// File with the password; without it a challenge stays unanswered.
    pub password_file: Option<PathBuf>,
}

/// What SIP travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SipTransport {
    /// `"udp"`; a request too large for it goes by TCP (RFC 3261 section 18.1.1).
    Udp,
    /// `"tcp"`.
    Tcp,
    /// `"tls"`, version 1.2 or later.
    Tls,
}

/// A header that may name the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityHeader {
    /// `P-Asserted-Identity` (RFC 3325).
    PAssertedIdentity,
    /// `From` (RFC 3261 section 20.20).
    From,
}

/// `trunk.believes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Believes {
    /// Own numbers only.
    Extensions,
    /// These, and numbers with STIR/SHAKEN attestation A.
    Attested,
    /// Every number it asserts.
    All,
}

/// `trunk.called_from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalledFrom {
    /// `"request-uri"`.
    RequestUri,
    /// `"to"`: for a registered extension, whose Request-URI is its own contact.
    To,
    /// `"p-called-party-id"` (RFC 7315 section 4.2), else the Request-URI.
    PCalledPartyId,
}

/// One `[[trunk.rewrite]]`: numbers that begin with `prefix` begin with `replace` instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Digits, perhaps with a `+` in front.
    pub prefix: String,
    /// The same, or nothing at all.
    pub replace: String,
    /// Digits that a number must have for the rule; 1 to 15, default 6: extensions are left alone.
    pub min_digits: u8,
}

/// What sound is coded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// `"PCMA"`: G.711 A-law.
    Pcma,
    /// `"PCMU"`: G.711 µ-law.
    Pcmu,
    /// `"G722"`.
    G722,
    /// `"opus"`.
    Opus,
}

/// `trunk.srtp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpPolicy {
    /// `"off"`: neither offered nor accepted.
    Off,
    /// `"optional"`: where the other side can, too.
    Optional,
    /// `"required"`: calls without it are refused with 488.
    Required,
}
