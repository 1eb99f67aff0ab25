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
    /// An answer with what each answer repeats (RFC 3261 section 8.2.6.2): every Via, From, To, Call-ID, CSeq. A tag is
    /// not added, see [`Response::tag`]; what the request lacks, the answer lacks.
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

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;

    fn request() -> Request {
        let mut request = Request::new(Method::Options, "sip:88@pbx.example");
        for (name, value) in [
            (Name::Via, "SIP/2.0/UDP a, SIP/2.0/UDP b"),
            (Name::From, "<sip:anna@pbx.example>;tag=1"),
            (Name::Route, "<sip:edge.example;lr>"),
            (Name::Via, "SIP/2.0/UDP c"),
            (Name::To, "<sip:88@pbx.example>"),
            (Name::To, "<sip:89@pbx.example>"),
            (Name::CallId, "1"),
            (Name::CSeq, "1 OPTIONS"),
        ] {
            request.headers.push(name, value);
        }
        request
    }

    #[test]
    fn an_answer_takes_the_whole_way_back_and_one_of_each_other() {
        let response = Response::to(&request(), 404).tag("2").with(Name::Reason, "x");
        let lines: Vec<_> = response.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let expected = [
            "Via: SIP/2.0/UDP a, SIP/2.0/UDP b",
            "Via: SIP/2.0/UDP c",
            "From: <sip:anna@pbx.example>;tag=1",
            "To: <sip:88@pbx.example>;tag=2",
            "Call-ID: 1",
            "CSeq: 1 OPTIONS",
            "Reason: x",
        ];
        assert_eq!((lines, response.reason.as_str()), (expected.map(str::to_owned).to_vec(), "Not Found"));
    }

    #[test]
    fn a_tag_that_is_there_stays() {
        let mut request = request();
        request.headers.set(Name::To, "sip:88@pbx.example ;tag=theirs");
        assert_eq!(Response::to(&request, 200).tag("ours").to_tag(), Some("theirs"));
        request.headers.set(Name::To, "sip:88@pbx.example;user=phone;");
        assert_eq!(
            Response::to(&request, 200).tag("ours").headers.get(&Name::To),
            Some("sip:88@pbx.example;user=phone;tag=ours")
        );
    }
}
