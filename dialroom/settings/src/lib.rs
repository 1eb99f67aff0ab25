//! The one settings file of Dialroom, `dialroom.toml`.
//!
//! Two steps: as written, with positions ([`Settings::read`] reports every problem with file, line and key), then as
//! meant, with defaults and units ([`Settings`]). Unknown keys are errors. Secrets are named by file, never written in.

mod meant;
mod problem;
mod read;
mod table;
mod tables;

pub use meant::{
    Account, Announce, AutomaticLogin, Believes, Conference, DialIn, Directory, DirectoryEntry, Graph, HandOff, Http,
    IdentityHeader, Invitation, Mail, MailTls, Media, MusicOnHold, PinSettings, Privacy, Prompts, Rooms, Rule,
    Settings, Sip, Store, Trunk,
};
pub use problem::{Problem, Problems};
