//! Mail on its way out: a finished message ([`ComposedMail`]) and the SMTP client that hands it over ([`Mailer`]).
//!
//! `lettre` speaks the protocol (RFC 5321, RFC 3207, RFC 4954), over rustls. Its own transport reports a lost connection
//! without saying when it was lost, and that is all that matters to an outbox: before the message was offered it is safe
//! to try again, after its final dot a second try may be a second mail. So the dialogue is led here, step by step.

mod mailer;

use std::fmt;

use dialroom_booking::EmailAddress;

pub use mailer::{Mailer, MailerError, SendError};

/// One message to one recipient, as octets (RFC 5322), 7 bit throughout.
///
/// `Debug` shows neither text nor PIN.
#[derive(Clone, PartialEq, Eq)]
pub struct ComposedMail {
    /// Envelope sender: the service address, where bounces go.
    pub from: EmailAddress,
    /// The only envelope recipient.
    pub to: EmailAddress,
    /// `Message-ID` without its angle brackets: the same for every attempt at the same letter.
    pub message_id: String,
    /// Headers and body.
    pub message: Vec<u8>,
}

impl fmt::Debug for ComposedMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ComposedMail({}, {} octets)", self.message_id, self.message.len())
    }
}
