//! What a request asks for.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A method; names are case-sensitive (RFC 3261 section 7.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Begins or changes a call.
    Invite,
    /// Confirms a final response to INVITE.
    Ack,
    /// Ends a call.
    Bye,
    /// Withdraws an INVITE.
    Cancel,
    /// Asks what we can do.
    Options,
    /// Tells where somebody is.
    Register,
    /// Something during a call, such as a digit (RFC 6086).
    Info,
    /// Changes a call without an INVITE (RFC 3311).
    Update,
    /// Confirms a reliable provisional response (RFC 3262).
    Prack,
    /// Asks us to call somebody else (RFC 3515).
    Refer,
    /// Tells of an event (RFC 6665).
    Notify,
    /// Asks to be told of events (RFC 6665).
    Subscribe,
    /// A text (RFC 3428).
    Message,
    /// Publishes a state (RFC 3903).
    Publish,
    /// Any other token, in the sender's own case.
    Other(Box<str>),
}

impl Method {
    /// As written on the wire.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Register => "REGISTER",
            Self::Info => "INFO",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Refer => "REFER",
            Self::Notify => "NOTIFY",
            Self::Subscribe => "SUBSCRIBE",
            Self::Message => "MESSAGE",
            Self::Publish => "PUBLISH",
            Self::Other(name) => name,
        }
    }
}

impl FromStr for Method {
    type Err = Infallible;

    /// Takes any text: whether it is a token is asked where the start line is read.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "INVITE" => Self::Invite,
            "ACK" => Self::Ack,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            "OPTIONS" => Self::Options,
            "REGISTER" => Self::Register,
            "INFO" => Self::Info,
            "UPDATE" => Self::Update,
            "PRACK" => Self::Prack,
            "REFER" => Self::Refer,
            "NOTIFY" => Self::Notify,
            "SUBSCRIBE" => Self::Subscribe,
            "MESSAGE" => Self::Message,
            "PUBLISH" => Self::Publish,
            other => Self::Other(other.into()),
        })
    }
}

impl From<&str> for Method {
    fn from(text: &str) -> Self {
        match text.parse() {
            Ok(method) => method,
            Err(never) => match never {},
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_case_counts() {
        for name in ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "UPDATE", "PRACK", "REFER"] {
            let method = Method::from(name);
            assert!(!matches!(method, Method::Other(_)), "{name}");
            assert_eq!(method.as_str(), name);
        }
        assert_eq!(Method::from("invite"), Method::Other("invite".into()));
    }
}
