//! A response (RFC 3261 section 7.2).

use std::fmt;

use super::{Headers, Name, Request, reason_phrase};

/// Somebody answers. `Debug` shows neither header values nor the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// For people; may be empty.
    pub reason: String,
    /// In their order.
    pub headers: Headers,
    /// May be empty.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer with what each answer repeats (RFC 3261 section 8.2.6.2): every Via, From, To, Call-ID, CSeq. A tag is not
    /// added, see [`Response::tag`]; what the request lacks, the answer lacks.
    #[must_use]
    pub fn to(request: &Request, status: u16) -> Self {
        let mut headers = Headers::new();
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            let lines = if name == Name::Via { usize::MAX } else { 1 };
            for value in request.headers.all(&name).take(lines) {
                headers.push(name.clone(), value);
            }
        }
        Self { status, reason: reason_phrase(status).to_owned(), headers, body: Vec::new() }
    }

    /// Adds our tag to To, unless it has one.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        if let Some(to) = self.headers.get(&Name::To)
            && super::tag_in(to).is_none()
        {
            let tagged = format!("{};tag={tag}", to.trim_end_matches(';'));
            self.headers.set(Name::To, tagged);
        }
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: Name, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The message as it is sent; Content-Length is added.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        super::write::response(self)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?} + {} bytes", self.status, self.reason, self.headers, self.body.len())
    }
}
