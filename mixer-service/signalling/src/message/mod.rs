//! SIP messages (RFC 3261 section 7): bytes to types and back.
//!
//! Reading forgives what real telephones do (bare line feeds, Latin-1, folded lines, odd case and space, no
//! Content-Length) and refuses what two readers could read in two ways: then the sender hears why. [`read`] takes one
//! message, [`framing`] cuts messages out of a stream, [`fault`] names what is wrong with a request whatever it asks for.
//!
//! Never here: transactions, dialogs, who may ask, or what an address means.

mod address;
pub(crate) mod body;
mod fault;
pub mod framing;
mod headers;
mod method;
mod name;
mod params;
#[cfg(test)]
mod properties;
mod read;
mod request;
mod response;
mod status;
mod text;
mod unreadable;
mod uri;
mod via;
mod write;

pub use address::{Address, tag_in, uri_in};
pub use fault::{Fault, fault};
pub use headers::{CSEQ_LIMIT, EXPIRES_LIMIT, Headers, MAX_HEADERS};
pub use method::Method;
pub use name::Name;
pub use params::{MAX_PARAMS, Params};
pub use read::{MAX_BODY_BYTES, MAX_HEAD_BYTES, read};
pub use request::Request;
pub use response::Response;
pub use status::reason_phrase;
pub use unreadable::Unreadable;
pub use uri::{Scheme, Uri};
pub use via::{COOKIE, Via};

/// One SIP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Somebody asks.
    Request(Request),
    /// Somebody answers.
    Response(Response),
}

impl Message {
    /// The headers, whichever it is.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The message as it is sent.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::Request(request) => request.write(),
            Self::Response(response) => response.write(),
        }
    }
}
