//! What is wrong with a request, whatever it asks for (RFC 3261 section 8.2, RFC 4475).

use super::{Address, Method, Name, Request, Response, Scheme, Uri, Via};

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

    /// The stateless answer: the same to every repetition of the request, tag included (RFC 3261 section 8.2.7).
    #[must_use]
    pub fn response(&self, request: &Request) -> Response {
        let mut response = Response::to(request, self.status).tag(&stateless_tag(request));
        self.reason.clone_into(&mut response.reason);
        response
    }
}

/// The first fault of a request, if it has any.
#[must_use]
pub fn fault(request: &Request) -> Option<Fault> {
    way_back(request)
        .or_else(|| once(request))
        .or_else(|| numbers(request))
        .or_else(|| request_uri(request))
        .or_else(|| addresses(request))
}

fn way_back(request: &Request) -> Option<Fault> {
    let mut vias = request.headers.list(&Name::Via).peekable();
    if vias.peek().is_none() {
        return Some(Fault::bad("Missing Via", "no-via"));
    }
    vias.any(|via| Via::parse(via).is_none()).then_some(Fault::bad("Bad Via", "via"))
}

/// Headers of which RFC 3261 allows one line, and whether it asks for it.
const ONCE: &[(Name, bool)] = &[
    (Name::CallId, true),
    (Name::CSeq, true),
    (Name::From, true),
    (Name::To, true),
    // RFC 2543 did not ask for it, and RFC 4475 section 3.4.1 asks us to bear that.
    (Name::MaxForwards, false),
    (Name::ContentType, false),
    (Name::ContentDisposition, false),
    (Name::Expires, false),
    (Name::MinExpires, false),
    (Name::SessionExpires, false),
    (Name::MinSe, false),
    (Name::Event, false),
    (Name::ReferTo, false),
    (Name::ReferredBy, false),
    (Name::Replaces, false),
    (Name::RAck, false),
    (Name::Date, false),
];

fn once(request: &Request) -> Option<Fault> {
    ONCE.iter().find_map(|(name, required)| match request.headers.count(name) {
        0 if *required => Some(Fault::bad("Missing Header", "missing-header")),
        0 | 1 => None,
        _ => Some(Fault::bad("Header Repeated", "repeated-header")),
    })
}

fn numbers(request: &Request) -> Option<Fault> {
    let Some((_, method)) = request.cseq() else {
        return Some(Fault::bad("Bad CSeq", "cseq"));
    };
    if method != request.method {
        return Some(Fault::bad("CSeq Method Differs", "cseq-method"));
    }
    let hops = request.headers.count(&Name::MaxForwards) > 0;
    if hops && request.max_forwards().is_none() {
        return Some(Fault::bad("Bad Max-Forwards", "max-forwards"));
    }
    request.call_id().is_none_or(str::is_empty).then_some(Fault::bad("Bad Call-ID", "call-id"))
}

fn request_uri(request: &Request) -> Option<Fault> {
    let Some(uri) = Uri::parse(&request.uri) else {
        return Some(Fault::bad("Bad Request-URI", "request-uri"));
    };
    if matches!(uri.scheme, Scheme::Other(_)) {
        return Some(Fault { status: 416, reason: "Unsupported URI Scheme", code: "scheme" });
    }
    // RFC 3261 section 19.1.1: headers cannot stand in a Request-URI; they could smuggle a Route.
    (!uri.headers.is_empty()).then_some(Fault::bad("Headers In Request-URI", "uri-headers"))
}

fn addresses(request: &Request) -> Option<Fault> {
    let Some(to) = request.to_address() else {
        return Some(Fault::bad("Bad To", "to"));
    };
    if request.from().is_none() {
        return Some(Fault::bad("Bad From", "from"));
    }
    if request.method == Method::Register && !to.uri.is_sip() {
        return Some(Fault::bad("Bad Address Of Record", "address-of-record"));
    }
    let mut contacts = request.headers.list(&Name::Contact);
    let bad = contacts.any(|contact| contact != "*" && Address::parse(contact).is_none());
    bad.then_some(Fault::bad("Bad Contact", "contact"))
}

/// The same for every repetition: a sum (FNV-1a) over what tells requests apart.
fn stateless_tag(request: &Request) -> String {
    let parts =
        [Name::Via, Name::CallId, Name::CSeq, Name::From].map(|name| request.headers.get(&name).map(str::to_owned));
    let sum = parts
        .iter()
        .flatten()
        .flat_map(|part| part.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{sum:016x}")
}
