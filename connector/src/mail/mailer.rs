//! The SMTP dialogue, and the few connections that stay open between two mails.

use std::collections::VecDeque;
use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use dialroom_booking::EmailAddress;
use dialroom_settings::{Mail, MailTls};
use lettre::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tokio::sync::Semaphore;

use super::ComposedMail;

/// Connections at a time: enough for 200 mails in a second on a near server, few enough for one that counts clients.
const MAX_CONNECTIONS: usize = 4;
/// Mails over one connection; many servers close it after a hundred.
const MAX_MAILS_PER_CONNECTION: u32 = 50;
/// Until TCP, TLS and the greeting stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// For one command and its reply. RFC 5321 section 4.5.3.2 would wait five minutes; the outbox tries again instead.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// From the final dot to the reply: giving up early here is what makes duplicates (RFC 5321 section 4.5.3.2.6).
const DATA_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest reply of a server that an error repeats.
const MAX_REPLY_LEN: usize = 200;

/// The way to one mail server. Share it by reference or `Arc`; it opens connections as needed and keeps at most four.
pub struct Mailer {
    host: String,
    port: u16,
    tls: MailTls,
    tls_parameters: Option<TlsParameters>,
    credentials: Option<Credentials>,
    hello: ClientId,
    slots: Semaphore,
    idle: Mutex<VecDeque<Idle>>,
}

/// A connection between two mails.
struct Idle {
    connection: AsyncSmtpConnection,
    mails: u32,
}

/// Why no mailer could be made of the settings.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// The password file.
    #[error("mail.password_file {path}: cannot be read; write the SMTP password into it, mode 0600")]
    Password {
        /// As in the settings.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// One of the two keys is missing.
    #[error("mail.username and mail.password_file belong together; set both or none")]
    HalfCredentials,
    /// TLS cannot work with this host.
    #[error("mail.host {host}: no TLS to it; write a host name as in its certificate")]
    Tls {
        /// As in the settings.
        host: String,
        /// What lettre said.
        source: SmtpError,
    },
}

/// Why a mail was not accepted, by what may be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server refused for good (5xx), or the mail cannot be put into SMTP: another try gives the same.
    #[error("mail refused at {step}: {reply}")]
    Permanent {
        /// The command it came to.
        step: &'static str,
        /// The server's words.
        reply: String,
    },
    /// Nothing was handed over; try again later.
    #[error("mail not handed over at {step}: {reply}; it is tried again")]
    Temporary {
        /// The command it came to.
        step: &'static str,
        /// The server's words, or what happened to the connection.
        reply: String,
    },
    /// The message was offered whole or in part and no reply came: it may have been accepted. Try once more at most, with
    /// the same Message-ID.
    #[error("no reply after the message was sent ({reply}); it may have been accepted")]
    AfterData {
        /// What happened to the connection.
        reply: String,
    },
}

impl Mailer {
    /// A mailer for `[mail]`; reads the password, opens nothing yet.
    ///
    /// # Errors
    /// When the password cannot be read, or the host is none that TLS can verify.
    pub fn new(mail: &Mail) -> Result<Self, MailerError> {
        let tls_parameters = match mail.tls {
            MailTls::None => None,
            MailTls::StartTls | MailTls::Tls => Some(
                TlsParameters::new_rustls(mail.host.clone())
                    .map_err(|source| MailerError::Tls { host: mail.host.clone(), source })?,
            ),
        };
        let hello = mail.from.domain();
        Ok(Self {
            host: mail.host.clone(),
            port: mail.port,
            tls: mail.tls,
            tls_parameters,
            credentials: credentials(mail)?,
            hello: if hello.is_ascii() { ClientId::Domain(hello.to_owned()) } else { ClientId::default() },
            slots: Semaphore::new(MAX_CONNECTIONS),
            idle: Mutex::default(),
        })
    }

    /// Hands one mail to the server; returns once the server has answered for it.
    ///
    /// # Errors
    /// See [`SendError`]: which of the three says whether to try again.
    pub async fn send(&self, mail: &ComposedMail) -> Result<(), SendError> {
        let (from, to) = (address(&mail.from)?, address(&mail.to)?);
        // Addresses beyond ASCII also make the header fields so (RFC 6532); everything else in a mail of ours is ASCII.
        let extended = !mail.message.is_ascii() || !mail.from.as_str().is_ascii() || !mail.to.as_str().is_ascii();
        let _slot = self.slots.acquire().await.map_err(|_| temporary("connect", "shutting down"))?;
        // An idle connection may have been closed by the server: that shows at MAIL, and costs a fresh connection only.
        while let Some(mut idle) = self.take_idle() {
            match begin(&mut idle.connection, &from, extended).await {
                Ok(()) => return self.finish(idle, to, &mail.message).await,
                Err(SendError::Permanent { step, reply }) => return Err(SendError::Permanent { step, reply }),
                Err(_) => {}
            }
        }
        let mut connection = self.connect().await?;
        begin(&mut connection, &from, extended).await?;
        self.finish(Idle { connection, mails: 0 }, to, &mail.message).await
    }

    /// Recipient, message, and the connection back among the idle ones.
    async fn finish(&self, mut idle: Idle, to: Address, message: &[u8]) -> Result<(), SendError> {
        let connection = &mut idle.connection;
        let offered = async {
            command("RCPT", COMMAND_TIMEOUT, connection.command(Rcpt::new(to, vec![]))).await?;
            command("DATA", COMMAND_TIMEOUT, connection.command(Data)).await
        };
        if let Err(error) = offered.await {
            // A refusal leaves the server in step, so the next mail may have the connection; silence does not.
            let refused = matches!(error, Unanswered::Refused(_));
            if refused && command("RSET", COMMAND_TIMEOUT, idle.connection.command(Rset)).await.is_ok() {
                self.keep(idle);
            }
            return Err(error.into());
        }
        match command("message", DATA_TIMEOUT, connection.command(Whole(message))).await {
            Ok(()) => {
                idle.mails += 1;
                self.keep(idle);
                Ok(())
            }
            Err(Unanswered::Refused(error)) => {
                self.keep(idle);
                Err(error)
            }
            Err(Unanswered::Lost { reply, .. }) => Err(SendError::AfterData { reply }),
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let tls = self.tls_parameters.clone().filter(|_| self.tls == MailTls::Tls);
        let server = (self.host.as_str(), self.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(server, Some(CONNECT_TIMEOUT), &self.hello, tls, None);
        let mut connection = answer("connect", CONNECT_TIMEOUT, connecting).await?;
        if let (MailTls::StartTls, Some(parameters)) = (self.tls, self.tls_parameters.clone()) {
            if !connection.can_starttls() {
                return Err(temporary(
                    "STARTTLS",
                    "the server offers no STARTTLS, which mail.tls = \"starttls\" requires",
                ));
            }
            answer("STARTTLS", COMMAND_TIMEOUT, connection.starttls(parameters, &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            answer("AUTH", COMMAND_TIMEOUT, connection.auth(&mechanisms, credentials)).await.map_err(not_let_in)?;
        }
        Ok(connection)
    }

    fn take_idle(&self) -> Option<Idle> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front()
    }

    fn keep(&self, idle: Idle) {
        if idle.mails < MAX_MAILS_PER_CONNECTION && !idle.connection.has_broken() {
            let mut kept = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if kept.len() < MAX_CONNECTIONS {
                kept.push_front(idle);
            }
        }
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailer({}:{}, {:?})", self.host, self.port, self.tls)
    }
}

/// A message with its dots doubled and its end behind it (RFC 5321 section 4.5.2), in one piece. A bare CR or LF becomes
/// a whole line end (section 2.3.8): where a server took it for one, a dot behind it would end the message early.
///
/// lettre writes the end apart; a server that delays its acknowledgements then costs every mail 40 ms (Nagle).
struct Whole<'a>(&'a [u8]);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = String::from_utf8_lossy(self.0).replace("\r\n", "\n").replace('\r', "\n");
        for line in message.strip_suffix('\n').unwrap_or(&message).split('\n') {
            let dot = if line.starts_with('.') { "." } else { "" };
            write!(f, "{dot}{line}\r\n")?;
        }
        f.write_str(".\r\n")
    }
}

/// How a step of the dialogue failed.
enum Unanswered {
    /// The server said no; the connection lives.
    Refused(SendError),
    /// No reply.
    Lost { step: &'static str, reply: String },
}

impl From<Unanswered> for SendError {
    fn from(error: Unanswered) -> Self {
        match error {
            Unanswered::Refused(error) => error,
            Unanswered::Lost { step, reply } => Self::Temporary { step, reply },
        }
    }
}

/// `MAIL FROM`: the first command of a mail.
async fn begin(connection: &mut AsyncSmtpConnection, from: &Address, extended: bool) -> Result<(), SendError> {
    let mut parameters = Vec::new();
    if extended {
        let server = connection.server_info();
        if !server.supports_feature(Extension::SmtpUtfEight) || !server.supports_feature(Extension::EightBitMime) {
            let reply = "the address has letters beyond ASCII, and the server offers no SMTPUTF8".to_owned();
            return Err(SendError::Permanent { step: "MAIL", reply });
        }
        parameters = vec![MailParameter::Body(MailBodyParameter::EightBitMime), MailParameter::SmtpUtfEight];
    }
    Ok(command("MAIL", COMMAND_TIMEOUT, connection.command(MailFrom::new(Some(from.clone()), parameters))).await?)
}

/// Waits for the reply to one command.
async fn command<T>(
    step: &'static str,
    timeout: Duration,
    reply: impl Future<Output = Result<T, SmtpError>>,
) -> Result<(), Unanswered> {
    answer(step, timeout, reply).await.map(|_| ())
}

/// Waits for an answer and sorts what went wrong.
async fn answer<T>(
    step: &'static str,
    timeout: Duration,
    reply: impl Future<Output = Result<T, SmtpError>>,
) -> Result<T, Unanswered> {
    match tokio::time::timeout(timeout, reply).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(sorted(step, &error)),
        Err(_) => Err(Unanswered::Lost { step, reply: format!("no reply within {} seconds", timeout.as_secs()) }),
    }
}

fn sorted(step: &'static str, error: &SmtpError) -> Unanswered {
    let words = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let reply = error.status().map_or_else(|| words.clone(), |code| format!("{code} {words}"));
    let reply: String = reply.chars().filter(|c| !c.is_control()).take(MAX_REPLY_LEN).collect();
    if error.is_permanent() {
        Unanswered::Refused(SendError::Permanent { step, reply })
    } else if error.is_transient() {
        Unanswered::Refused(SendError::Temporary { step, reply })
    } else {
        Unanswered::Lost { step, reply }
    }
}

/// A wrong password is no property of the mail: the mail waits until somebody puts it right. Of the server's words only
/// the code is kept, lest it repeats what it was given.
fn not_let_in(error: Unanswered) -> SendError {
    match error {
        Unanswered::Refused(SendError::Permanent { reply, .. } | SendError::Temporary { reply, .. }) => {
            let code: String = reply.chars().take(3).collect();
            temporary("AUTH", &format!("{code}; check mail.username and mail.password_file"))
        }
        Unanswered::Refused(SendError::AfterData { .. }) => temporary("AUTH", "refused"),
        Unanswered::Lost { step, reply } => SendError::Temporary { step, reply },
    }
}

fn temporary(step: &'static str, reply: &str) -> SendError {
    SendError::Temporary { step, reply: reply.to_owned() }
}

fn address(address: &EmailAddress) -> Result<Address, SendError> {
    address
        .as_str()
        .parse()
        .map_err(|_| SendError::Permanent { step: "address", reply: "SMTP cannot carry this address".to_owned() })
}

fn credentials(mail: &Mail) -> Result<Option<Credentials>, MailerError> {
    match (&mail.username, &mail.password_file) {
        (None, None) => Ok(None),
        (Some(username), Some(path)) => {
            let password = std::fs::read_to_string(path)
                .map_err(|source| MailerError::Password { path: path.display().to_string(), source })?;
            Ok(Some(Credentials::new(username.clone(), password.trim_end_matches(['\r', '\n']).to_owned())))
        }
        (Some(_), None) | (None, Some(_)) => Err(MailerError::HalfCredentials),
    }
}

#[cfg(test)]
mod tests;
