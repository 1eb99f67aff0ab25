//! The flags that say what a telephone is: where it calls, who it is there, and how it speaks.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use dialroom_host::read_secret;
use dialroom_settings::{CertificateFiles, SipServer, SipTls};
use mixer_service::sip::{Codec, Credentials, Srtp, Target, Transport};
use mixer_service::telephone::{Account, KeysBy, LineSetup};

/// For how long it registers; a call of a test is over sooner.
const REGISTRATION: Duration = Duration::from_secs(600);

/// What the telephone is.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct LineArgs {
    /// The server to call, a name or an address; by default the demo's of --data, else 127.0.0.1:5060.
    #[arg(long, aliases = ["proxy", "server"], value_name = "HOST[:PORT]")]
    pub(super) via: Option<SipServer>,
    /// Our own address; the demo takes anyone but 127.0.0.1 for a stranger.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    local: IpAddr,
    /// How the server is reached.
    #[arg(long, value_enum, default_value_t = Carrier::Udp)]
    transport: Carrier,
    /// Register as an extension before calling or being called.
    #[arg(long, requires = "user")]
    register: bool,
    /// Our name at the server.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// File with the password that challenges are answered with.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Domain of our address at the server; by default the server's host.
    #[arg(long, value_name = "DOMAIN", requires = "user")]
    domain: Option<String>,
    /// Codecs to offer or accept, the best first: PCMA, PCMU, G722, opus.
    #[arg(long, value_name = "CODECS", value_delimiter = ',', default_value = "PCMA,PCMU", ignore_case = true)]
    codec: Vec<CodecName>,
    /// Encryption of the sound.
    #[arg(long, value_enum, default_value_t = SrtpPolicy::Off)]
    srtp: SrtpPolicy,
    /// How keys are pressed.
    #[arg(long, value_enum, default_value_t = Keys::Rfc4733)]
    keys_by: Keys,
    /// File with certificates to believe besides those the system believes (TLS).
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// File with our own certificate (TLS).
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// File with its key.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

/// `--transport`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Carrier {
    Udp,
    Tcp,
    Tls,
}

/// `--codec`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum CodecName {
    Pcma,
    Pcmu,
    G722,
    Opus,
}

/// `--srtp`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SrtpPolicy {
    Off,
    Optional,
    Required,
}

/// `--keys-by`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Keys {
    Rfc4733,
    Info,
    Inband,
}

impl LineArgs {
    pub(super) const fn transport(&self) -> Transport {
        match self.transport {
            Carrier::Udp => Transport::Udp,
            Carrier::Tcp => Transport::Tcp,
            Carrier::Tls => Transport::Tls,
        }
    }

    /// The telephone that these flags describe.
    ///
    /// # Errors
    /// When the password cannot be read.
    pub(super) fn setup(&self, server: Target) -> anyhow::Result<LineSetup> {
        let codecs = self.codec.iter().map(|codec| match codec {
            CodecName::Pcma => Codec::Pcma,
            CodecName::Pcmu => Codec::Pcmu,
            CodecName::G722 => Codec::G722,
            CodecName::Opus => Codec::Opus,
        });
        let codecs: Vec<Codec> = codecs.collect();
        if codecs.is_empty() {
            bail!("a telephone without a codec cannot speak");
        }
        let certificate = self.certificate.clone().zip(self.key.clone());
        let certificate = certificate.map(|(certificate, key)| CertificateFiles { certificate, key });
        Ok(LineSetup {
            account: self.account()?,
            codecs,
            srtp: match self.srtp {
                SrtpPolicy::Off => Srtp::Off,
                SrtpPolicy::Optional => Srtp::Optional,
                SrtpPolicy::Required => Srtp::Required,
            },
            tls: SipTls { certificate, client_ca_file: None, server_ca_file: self.ca_file.clone() },
            keys_by: match self.keys_by {
                Keys::Rfc4733 => KeysBy::Events,
                Keys::Info => KeysBy::Info,
                Keys::Inband => KeysBy::InBand,
            },
            ..LineSetup::new(self.local, server)
        })
    }

    fn account(&self) -> anyhow::Result<Option<Account>> {
        let Some(user) = self.user.clone() else { return Ok(None) };
        let password = self.password_file.as_deref().map(read_secret).transpose()?;
        Ok(Some(Account {
            credentials: password.map(|password| Credentials { user: user.clone(), password }),
            user,
            domain: self.domain.clone(),
            register: self.register.then_some(REGISTRATION),
        }))
    }
}
