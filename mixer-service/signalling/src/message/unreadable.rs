//! A message that could not be read, and what its sender should hear.

use super::{Fault, Method, Name, Request, Response};

pub(super) const NO_SIP: Fault = Fault { status: 400, reason: "Bad Request", code: "no-sip" };
pub(super) const BAD_START: Fault = Fault { status: 400, reason: "Bad Request Line", code: "request-line" };
pub(super) const WRONG_VERSION: Fault = Fault { status: 505, reason: "Version Not Supported", code: "version" };
pub(super) const BAD_HEADER: Fault = Fault { status: 400, reason: "Bad Header Line", code: "header-line" };
pub(super) const BAD_LENGTH: Fault = Fault { status: 400, reason: "Bad Content-Length", code: "content-length" };
pub(super) const TWO_LENGTHS: Fault = Fault { status: 400, reason: "Two Content-Lengths", code: "two-lengths" };
pub(super) const SHORT_BODY: Fault = Fault { status: 400, reason: "Body Too Short", code: "short-body" };
pub(super) const TOO_LARGE: Fault = Fault { status: 513, reason: "Message Too Large", code: "too-large" };

/// Why bytes are no message, and as much of a request as could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong.
    pub fault: Fault,
    request: Option<Box<Request>>,
}

impl Unreadable {
    pub(super) const fn silent(fault: Fault) -> Self {
        Self { fault, request: None }
    }

    pub(super) fn of(fault: Fault, request: Request) -> Self {
        Self { fault, request: Some(Box::new(request)) }
    }

    /// What could be read of a request, for the audit line.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        self.request.as_deref()
    }

    /// The stateless answer: `None` to a response, to an ACK, to what is no SIP, and where no Via tells which way back.
    /// A Via says who is meant; whoever sends the answer sends it to the source all the same.
    #[must_use]
    pub fn response(&self) -> Option<Response> {
        let request = self.request.as_deref()?;
        (request.method != Method::Ack && request.headers.count(&Name::Via) > 0).then(|| self.fault.response(request))
    }

    /// [`Unreadable::response`] as it is sent.
    #[must_use]
    pub fn answer(&self) -> Option<Vec<u8>> {
        self.response().map(|response| response.write())
    }
}
