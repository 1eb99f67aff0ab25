//! The settings as meant: typed, with defaults and units.

mod sip;
mod trunk;

use std::net::SocketAddr;
use std::path::PathBuf;

use dialroom_booking::{Delivery, E164, EmailAddress, HomeRegion, Language, RoomRanges};

pub use self::sip::{Advertised, CertificateFiles, Sip, SipBudgets, SipTls};
pub use self::trunk::{
    AudioCodec, Believes, CalledFrom, IdentityHeader, Rewrite, SipTransport, SrtpPolicy, Trunk, TrunkLogin,
};

/// Everything that `dialroom.toml` says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[dial_in]`.
    pub dial_in: DialIn,
    /// `[rooms]`.
    pub rooms: Rooms,
    /// `[pin]`.
    pub pin: PinSettings,
    /// `[conference]`.
    pub conference: Conference,
    /// `[account]`.
    pub account: Account,
    /// `[invitation]`.
    pub invitation: Invitation,
    /// `[[rule]]`, in order; property, resource mailbox, categories and keywords when none is written.
    pub rules: Vec<Rule>,
    /// `[graph]`; without it no Graph calendar is watched.
    pub graph: Option<Graph>,
    /// `[mail]`; without it no mail can be sent and `dialroom check` warns.
    pub mail: Option<Mail>,
    /// `[[trunk]]`.
    pub trunks: Vec<Trunk>,
    /// `[sip]`.
    pub sip: Sip,
    /// `[media]`.
    pub media: Media,
    /// `[store]`.
    pub store: Store,
    /// `[handoff]`.
    pub hand_off: HandOff,
    /// `[http]`.
    pub http: Http,
    /// `[directory]`.
    pub directory: Directory,
    /// `[prompts]`.
    pub prompts: Prompts,
    /// `[privacy]`.
    pub privacy: Privacy,
}

/// What people dial, and when.
#[derive(Clone, Debug)]
pub struct DialIn {
    /// The conference server's number inside, as dialled: `88`.
    pub number: String,
    /// The same from outside, as written to people: `+49 30 23125 88`.
    pub external_number: Option<String>,
    /// Minutes before the start at which the line opens; 0 to 180, default 10.
    pub lead_minutes: u16,
    /// Minutes after the end at which it closes; 0 to 180, default 15.
    pub overrun_minutes: u16,
    /// Seconds without a key that complete what was keyed; 2 to 30, default 4.
    pub inter_digit_seconds: u16,
}

/// The number plan.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// For bookings; default `1000-7999`.
    pub booked: RoomRanges,
    /// For permanent rooms; default `8000-8999`.
    pub permanent: RoomRanges,
    /// For spontaneous rooms; default `100-999, 9000-9999`.
    pub spontaneous: RoomRanges,
    /// Minutes a number rests after its line closed; 0 to 1440, default 5.
    pub guard_minutes: u16,
}

/// What a PIN looks like.
#[derive(Clone, Copy, Debug)]
pub struct PinSettings {
    /// Digits; 4 to 12, default 6.
    pub digits: u8,
}

/// The house rules of a conference.
#[derive(Clone, Debug)]
pub struct Conference {
    /// Whether there are conferences at all; default true.
    pub enabled: bool,
    /// Who is let in by number; default everyone.
    pub automatic_login: AutomaticLogin,
    /// What is heard of joins and leaves; default tones.
    pub announce: Announce,
    /// Heard by who waits.
    pub music_on_hold: MusicOnHold,
    /// Most people in one conference; 2 to 5000, default 100.
    pub max_participants: u32,
    /// Longest window's scheduled time; 15 to 1440 minutes, default 480.
    pub max_duration_minutes: u16,
    /// Whether callers from outside may dial in; default true.
    pub external_callers: bool,
}

/// `conference.automatic_login`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutomaticLogin {
    /// `"everyone"`.
    Everyone,
    /// `"internal"`.
    Internal,
    /// `"off"`.
    Off,
}

/// `conference.announce`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce {
    /// `"tones"`.
    Tones,
    /// `"none"`.
    None,
}

/// `conference.music_on_hold`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MusicOnHold {
    /// `"built-in"`.
    BuiltIn,
    /// A WAV file.
    File(PathBuf),
    /// `"off"`: silence.
    Off,
}

/// Limits of one account.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Most people of one organizer at a time; 2 to 5000, default 500.
    pub max_participants: u32,
}

/// What invitations look like.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// How people get their dial-in data; default by ICS.
    pub delivery: Delivery,
    /// Where answers go; `None`: to the organizer.
    pub reply_to: Option<EmailAddress>,
    /// Language of everybody; `None`: each his own.
    pub language: Option<Language>,
    /// Folder whose templates replace the built-in ones.
    pub templates: Option<PathBuf>,
}

/// One rule that says which appointments are ours; the first that matches wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The add-in's mark, by its id in lower case (`cecp-…`, or our block in the body).
    Property(String),
    /// This mailbox is among the attendees.
    Resource(EmailAddress),
    /// One of the entry's categories, without regard to case.
    Category(String),
    /// This word stands in the location, without regard to case.
    Keyword(String),
}

/// A Microsoft Graph tenant.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Where tokens come from; default `https://login.microsoftonline.com`.
    pub login_url: String,
    /// Where Graph answers, without `/v1.0`; default `https://graph.microsoft.com`.
    pub base_url: String,
    /// GUID or domain of the tenant.
    pub tenant: String,
    /// Id of our application there.
    pub client_id: String,
    /// File with its secret.
    pub client_secret_file: PathBuf,
    /// Mailboxes to watch, by address.
    pub mailboxes: Vec<EmailAddress>,
    /// The resource mailbox that people may invite; watched too.
    pub resource_mailbox: Option<EmailAddress>,
    /// Domains whose organizers may use it; default: the domains of `mailboxes`.
    pub resource_organizers: Vec<String>,
    /// Whether Graph can reach `http.public_url` to notify us; default true when that is set.
    pub notifications: bool,
    /// Seconds between two looks where no notification comes; 5 to 3600, default 60.
    pub poll_seconds: u32,
    /// Whether entries older than a mailbox's first sync are booked without `dialroom adopt`; default false.
    pub adopt: bool,
}

/// The mail server that takes our mails.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Host name or address.
    pub host: String,
    /// Port; default 587, 25 without TLS, 465 with `tls = "tls"`.
    pub port: u16,
    /// Default STARTTLS.
    pub tls: MailTls,
    /// For SMTP AUTH.
    pub username: Option<String>,
    /// File with its password.
    pub password_file: Option<PathBuf>,
    /// The service address: From of every mail.
    pub from: EmailAddress,
}

/// `mail.tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// `"none"`: loopback or a trusted network only.
    None,
    /// `"starttls"`: required, not just tried.
    StartTls,
    /// `"tls"` from the first byte.
    Tls,
}

/// The mixer's sound.
#[derive(Clone, Copy, Debug)]
pub struct Media {
    /// First and last UDP port, both included; even first, default 20000 to 29999.
    pub rtp_ports: (u16, u16),
    /// DSCP of audio; 0 to 63, default 46 (EF).
    pub dscp: u8,
    /// Whether soft and loud voices in a conference are brought to one level; default false.
    pub normalize_levels: bool,
    /// Whether a caller in a conference is silent while he is not speaking, whatever noise is around him; default false.
    pub noise_gate: bool,
}

/// Where things are kept.
#[derive(Clone, Debug)]
pub struct Store {
    /// Folder of both programs' stores, keys and names; default `./data` beside the settings file.
    pub data: PathBuf,
}

/// The way from connector to mixer.
#[derive(Clone, Debug)]
pub struct HandOff {
    /// Where the mixer's control API listens; default `127.0.0.1:8070`.
    pub listen: SocketAddr,
    /// Where the connector reaches it; default made from `listen`.
    pub url: String,
    /// File with the bearer token; made at first start, mode 0600; default `<data>/handoff.token`.
    pub token_file: PathBuf,
}

/// The connector's web side.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where it listens; default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// By which URL others reach it.
    pub public_url: Option<String>,
    /// File with the bearer token of the API; made at first start, mode 0600; default `<data>/api.token`.
    pub token_file: PathBuf,
}

/// Whose telephone numbers are known.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Country of numbers in national form; default DE.
    pub home_region: HomeRegion,
    /// Zone of people whose own is not known; default `Europe/Berlin`.
    pub time_zone: chrono_tz::Tz,
    /// `[[directory.person]]`: people beside those that the calendar system knows.
    pub people: Vec<DirectoryEntry>,
}

/// Somebody whose number the settings name.
#[derive(Clone, Debug)]
pub struct DirectoryEntry {
    /// Mail address.
    pub address: EmailAddress,
    /// Numbers as written, with their E.164 form.
    pub numbers: Vec<(String, E164)>,
}

/// What the voice says.
#[derive(Clone, Debug)]
pub struct Prompts {
    /// Folder whose WAV files replace the shipped ones: `<folder>/<language>/<name>.wav`.
    pub folder: Option<PathBuf>,
    /// Folder of recorded names: `<folder>/<mail address>.wav`; default `<data>/names`.
    pub names: PathBuf,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Privacy {
    /// Call records; 1 to 3650 days, default 90.
    pub call_records_days: u16,
    /// Mails and what else names people; 1 to 3650 days, default 30.
    pub messages_days: u16,
}
