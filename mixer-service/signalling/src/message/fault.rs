//! What is wrong with a request, whatever it asks for (RFC 3261 section 8.2, RFC 4475).

use super::{Address, Method, Name, Request, Response, Scheme, Uri, Via, tag_in};

/// Why a request is refused before anybody looks at what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// 4xx or 5xx.
    pub status: u16,
    /// The reason phrase of the answer.
    pub reason: &'static str,
    /// For the audit line: lower case, without spaces.
    pub code: &'static str,
}

impl Fault {
    const fn bad(reason: &'static str, code: &'static str) -> Self {
        Self { status: 400, reason, code }
    }

    /// The stateless answer: the same to every repetition of the request, tag included (RFC 3261 section 8.2.7). An ACK
    /// is never answered; whoever asks here has seen to that.
    #[must_use]
    pub fn response(&self, request: &Request) -> Response {
        let mut response = Response::to(request, self.status).tag(&stateless_tag(request));
        self.reason.clone_into(&mut response.reason);
        response
    }
}

/// The first fault of a request, if it has any. A Max-Forwards of 0 is none: RFC 4475 section 3.3.11 wants an endpoint
/// to take the request all the same, and only a proxy to answer 483.
#[must_use]
pub fn fault(request: &Request) -> Option<Fault> {
    way_back(request)
        .or_else(|| once(request))
        .or_else(|| numbers(request))
        .or_else(|| request_uri(request))
        .or_else(|| parties(request))
        .or_else(|| contacts(request))
}

fn way_back(request: &Request) -> Option<Fault> {
    let mut vias = request.headers.list(&Name::Via).peekable();
    if vias.peek().is_none() {
        return Some(Fault::bad("Missing Via", "no-via"));
    }
    vias.any(|via| Via::parse(via).is_none()).then_some(Fault::bad("Bad Via", "via"))
}

/// Headers that a request must have (RFC 3261 section 8.1.1), once. Max-Forwards is not among them: RFC 2543 did not
/// know it, and RFC 4475 section 3.4.1 asks us to bear that.
const NEEDED: [Name; 4] = [Name::CallId, Name::CSeq, Name::From, Name::To];

/// Headers of which a request may have one line. Those that are only shown to people (Subject, User-Agent, …) may stand
/// twice: nobody is led astray, and some telephone systems add their own below the caller's.
const AT_MOST_ONCE: [Name; 17] = [
    Name::MaxForwards,
    Name::ContentType,
    Name::ContentEncoding,
    Name::ContentDisposition,
    Name::Expires,
    Name::MinExpires,
    Name::SessionExpires,
    Name::MinSe,
    Name::Event,
    Name::ReferTo,
    Name::ReferredBy,
    Name::Replaces,
    Name::RSeq,
    Name::RAck,
    Name::PCalledPartyId,
    Name::Date,
    Name::Timestamp,
];

fn once(request: &Request) -> Option<Fault> {
    if NEEDED.iter().any(|name| request.headers.get(name).is_none_or(str::is_empty)) {
        return Some(Fault::bad("Missing Header", "missing-header"));
    }
    let repeated = NEEDED.iter().chain(&AT_MOST_ONCE).any(|name| request.headers.count(name) > 1);
    repeated.then_some(Fault::bad("Header Repeated", "repeated-header"))
}

fn numbers(request: &Request) -> Option<Fault> {
    let Some((_, method)) = request.cseq() else {
        return Some(Fault::bad("Bad CSeq", "cseq"));
    };
    if method != request.method {
        return Some(match request.method {
            // RFC 4475 section 3.1.2.18: that we do not know the method says more.
            Method::Other(_) => Fault { status: 501, reason: "Not Implemented", code: "method" },
            _ => Fault::bad("CSeq Method Differs", "cseq-method"),
        });
    }
    if request.headers.get(&Name::MaxForwards).is_some() && request.max_forwards().is_none() {
        return Some(Fault::bad("Bad Max-Forwards", "max-forwards"));
    }
    let spaced = request.call_id().is_some_and(|id| id.contains([' ', '\t', ',']));
    spaced.then_some(Fault::bad("Bad Call-ID", "call-id"))
}

fn request_uri(request: &Request) -> Option<Fault> {
    let Some(uri) = Uri::parse(&request.uri) else {
        return Some(Fault::bad("Bad Request-URI", "request-uri"));
    };
    match uri.scheme {
        Scheme::Other(_) => Some(Fault { status: 416, reason: "Unsupported URI Scheme", code: "scheme" }),
        // RFC 3261 section 19.1.1: headers cannot stand in a Request-URI; they could smuggle a Route.
        Scheme::Sip | Scheme::Sips | Scheme::Tel => {
            (!uri.headers.is_empty()).then_some(Fault::bad("Headers In Request-URI", "uri-headers"))
        }
    }
}

fn parties(request: &Request) -> Option<Fault> {
    let Some(to) = request.headers.get(&Name::To).and_then(party) else {
        return Some(Fault::bad("Bad To", "to"));
    };
    if request.headers.get(&Name::From).and_then(party).is_none() {
        return Some(Fault::bad("Bad From", "from"));
    }
    // RFC 3261 section 10.3: nobody else has an address of record.
    let wrong = request.method == Method::Register && !to.uri.is_sip();
    wrong.then_some(Fault::bad("Bad Address Of Record", "address-of-record"))
}

/// One party of a dialog. Its tag has to look the same whether one reads on or only looks for it: a quoted one would not.
fn party(value: &str) -> Option<Address> {
    Address::parse(value).filter(|address| address.tag() == tag_in(value))
}

fn contacts(request: &Request) -> Option<Fault> {
    let mut count = 0;
    for contact in request.headers.list(&Name::Contact) {
        count += 1;
        let all_bindings = request.method == Method::Register && contact == "*";
        if !all_bindings && Address::parse(contact).is_none() {
            return Some(Fault::bad("Bad Contact", "contact"));
        }
    }
    // RFC 3261 section 8.1.1.8.
    let too_many = request.method == Method::Invite && count > 1;
    too_many.then_some(Fault::bad("Two Contacts", "two-contacts"))
}

/// The same for every repetition: a sum (FNV-1a) over what tells requests apart.
fn stateless_tag(request: &Request) -> String {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let names = [Name::Via, Name::CallId, Name::CSeq, Name::From];
    let sum = names
        .iter()
        .filter_map(|name| request.headers.get(name))
        .fold(BASIS, |sum, value| value.bytes().fold(sum, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(PRIME)));
    format!("{sum:016x}")
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
