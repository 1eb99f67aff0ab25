//! The one settings file of Dialroom, `dialroom.toml`.
//!
//! Two steps: as written, with positions ([`Settings::read`] reports every problem with file, line and key), then as
//! meant, with defaults and units ([`Settings`]). Unknown keys are errors. Secrets are named by file, never written in.

mod meant;
mod network;
mod problem;
mod read;
mod server;
mod table;
mod tables;

pub use meant::{
    Account, Advertised, Announce, AudioCodec, AutomaticLogin, Believes, CalledFrom, CertificateFiles, Conference,
    DialIn, Directory, DirectoryEntry, Graph, HandOff, Http, IdentityHeader, Invitation, Mail, MailTls, Media,
    MusicOnHold, PinSettings, Privacy, Prompts, Rewrite, Rooms, Rule, Settings, Sip, SipBudgets, SipTls, SipTransport,
    SrtpPolicy, Store, Trunk, TrunkLogin,
};
pub use network::Network;
pub use problem::{Problem, Problems};
pub use server::SipServer;
