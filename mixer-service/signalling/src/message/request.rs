//! A request (RFC 3261 section 7.1).

use std::fmt;
use std::net::SocketAddr;

use super::{Address, Headers, Method, Name, Via};

/// Somebody asks for something. `Debug` shows neither whom nor the body: they may hold a number or a PIN.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What for.
    pub method: Method,
    /// Of whom, as written.
    pub uri: String,
    /// In their order.
    pub headers: Headers,
    /// May be empty.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers.
    pub fn new(method: Method, uri: impl Into<String>) -> Self {
        Self { method, uri: uri.into(), headers: Headers::new(), body: Vec::new() }
    }

    /// The message as it is sent; Content-Length is added.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        super::write::request(self)
    }

    /// Notes in the topmost Via where the request really came from (RFC 3261 section 18.2.1, RFC 3581 section 4).
    pub fn stamp(&mut self, source: SocketAddr) {
        let stamped = self.headers.list(&Name::Via).next().and_then(|via| super::via::stamped(via, source));
        if let Some(stamped) = stamped {
            self.headers.replace_first(&Name::Via, &stamped);
        }
    }

    /// Extensions that the request insists on, as written (RFC 3261 section 8.2.2.3); unknown ones are answered 420.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        self.headers.list(&Name::Require)
    }

    /// Whether an answer may have a body of that type (RFC 3261 section 20.1); else 406.
    #[must_use]
    pub fn accepts(&self, media_type: &str) -> bool {
        super::body::accepts(&self.headers, media_type)
    }

    /// Whether the sender does not mind if we pass the body over; else an unknown type is answered 415.
    #[must_use]
    pub fn body_is_optional(&self) -> bool {
        super::body::is_optional(&self.headers)
    }

    /// Extensions that it insists on along the way; an endpoint may pass them over.
    pub fn proxy_required(&self) -> impl Iterator<Item = &str> {
        self.headers.list(&Name::ProxyRequire)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} + {} bytes", self.method, self.headers, self.body.len())
    }
}

macro_rules! told_by_headers {
    ($message:ty) => {
        impl $message {
            /// See [`Headers::top_via`].
            #[must_use]
            pub fn top_via(&self) -> Option<Via> {
                self.headers.top_via()
            }

            /// See [`Headers::call_id`].
            #[must_use]
            pub fn call_id(&self) -> Option<&str> {
                self.headers.call_id()
            }

            /// See [`Headers::cseq`].
            #[must_use]
            pub fn cseq(&self) -> Option<(u32, Method)> {
                self.headers.cseq()
            }

            /// See [`Headers::from`].
            #[must_use]
            pub fn from(&self) -> Option<Address> {
                self.headers.from()
            }

            /// See [`Headers::to`].
            #[must_use]
            pub fn to_address(&self) -> Option<Address> {
                self.headers.to()
            }

            /// See [`Headers::from_tag`].
            #[must_use]
            pub fn from_tag(&self) -> Option<&str> {
                self.headers.from_tag()
            }

            /// See [`Headers::to_tag`].
            #[must_use]
            pub fn to_tag(&self) -> Option<&str> {
                self.headers.to_tag()
            }

            /// See [`Headers::contact`].
            #[must_use]
            pub fn contact(&self) -> Option<Address> {
                self.headers.contact()
            }

            /// See [`Headers::max_forwards`].
            #[must_use]
            pub fn max_forwards(&self) -> Option<u8> {
                self.headers.max_forwards()
            }

            /// Type and subtype of the body in lower case, without parameters; `None` without Content-Type.
            #[must_use]
            pub fn content_type(&self) -> Option<String> {
                super::body::content_type(&self.headers)
            }

            /// The body, if it is of that type (lower case, `application/sdp`), or the first part of that type of a body
            /// with several parts (RFC 5621), as some trunks send SDP together with other things.
            #[must_use]
            pub fn part(&self, media_type: &str) -> Option<&[u8]> {
                super::body::part(&self.headers, &self.body, media_type)
            }
        }
    };
}

told_by_headers!(Request);
told_by_headers!(super::Response);
