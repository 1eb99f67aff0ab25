//! What must hold for every message: writing and reading agree, spelling does not matter, no bytes panic.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::framing::{Framed, framed};
use super::{Address, Headers, Message, Method, Name, Params, Request, Response, Scheme, Uri, Via, fault, read};

const TOKEN: &str = "[a-zA-Z0-9.!%*_+`'~-]{1,12}";
/// Anything that may stand in a quoted string or, escaped, in a URI.
const TEXT: &str = "[ -~äß€\u{0}\t]{0,16}";

fn params(name: &'static str) -> impl Strategy<Value = Params> {
    vec((name, of(TEXT)), 0..5).prop_map(|pairs| {
        let mut params = Params::default();
        pairs.iter().for_each(|(name, value)| params.set(name, value.as_deref()));
        params
    })
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9-]{1,9}(\\.[a-z0-9_-]{1,9}){0,2}",
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string()),
    ]
}

prop_compose! {
    fn sip_uri()(
        sips in any::<bool>(), user in of("[ -~äß\u{0}]{1,12}"), password in of(TEXT), host in host(),
        port in of(any::<u16>()),
        params in params("[a-z][a-z0-9+;=?@ä-]{0,6}"), headers in vec(("[!-~]{1,6}", TEXT), 0..3),
    ) -> Uri {
        let scheme = if sips { Scheme::Sips } else { Scheme::Sip };
        let password = password.filter(|_| user.is_some());
        Uri { scheme, user, password, host, port, params, headers }
    }
}

fn uri() -> impl Strategy<Value = Uri> {
    let tel = "\\+?[0-9#*()-]{1,15}".prop_map(|number| Uri {
        scheme: Scheme::Tel,
        user: Some(number),
        password: None,
        host: String::new(),
        port: None,
        params: Params::default(),
        headers: Vec::new(),
    });
    prop_oneof![4 => sip_uri(), 1 => tel]
}

prop_compose! {
    fn address()(display in of(TEXT), uri in uri(), params in params(TOKEN)) -> Address {
        Address { display: display.filter(|display| !display.is_empty()), uri, params }
    }
}

prop_compose! {
    fn via()(
        transport in TOKEN, host in host(), port in of(any::<u16>()), branch in of(TOKEN), received in of(host()),
        rport in of(of(any::<u16>())), maddr in of(host()), ttl in of(any::<u8>()), params in params("x-[a-z]{1,9}"),
    ) -> Via {
        Via { transport, host, port, branch, received, rport, maddr, ttl, params }
    }
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![TOKEN.prop_map(|token| Method::from(token.as_str())), Just(Method::Invite), Just(Method::Bye)]
}

/// One line, without space at its ends: what is left of any value after reading.
fn value() -> impl Strategy<Value = String> {
    "[!-~äß]([ -~\täß€\u{0}\u{7f}]{0,30}[!-~äß])?"
}

fn headers() -> impl Strategy<Value = Headers> {
    let known = (0..Name::ALL.len()).prop_map(|index| Name::from(Name::ALL[index].0));
    let name = prop_oneof![known, TOKEN.prop_map(|token| Name::from(token.as_str()))];
    let line = (name.prop_filter("is counted", |name| *name != Name::ContentLength), value());
    vec(line, 0..20).prop_map(|lines| {
        let mut headers = Headers::new();
        lines.into_iter().for_each(|(name, value)| headers.push(name, value));
        headers
    })
}

prop_compose! {
    fn request()(
        method in method(), uri in "[!-~ä]{1,40}", headers in headers(), body in vec(any::<u8>(), 0..60),
    ) -> Request {
        Request { method, uri, headers, body }
    }
}

prop_compose! {
    fn response()(status in 100..700_u16, reason in "([!-~ä]([ -~ä]{0,20}[!-~ä])?)?", headers in headers(),
        body in vec(any::<u8>(), 0..60)) -> Response {
        Response { status, reason, headers, body }
    }
}

/// A name in another case, or its compact form.
fn respelt(name: &str, how: u8) -> String {
    let compact = Name::ALL.iter().find(|(long, _)| *long == name).and_then(|(_, compact)| *compact);
    match how % 4 {
        0 => name.to_ascii_uppercase(),
        1 => name.to_ascii_lowercase(),
        2 => compact.unwrap_or(name).to_owned(),
        _ => compact.unwrap_or(name).to_ascii_uppercase(),
    }
}

const MESSAGES: [&str; 2] = [
    "INVITE sip:884711%23@pbx.example;user=phone SIP/2.0\r\n\
     Via: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bK1, SIP/2.0/TLS \
     [2001:db8::1];received=2001:db8::2\r\nRoute: <sip:proxy.example;lr>\r\nMax-Forwards: 70\r\n\
     f: \"A, \\\"B\\\"\" <sip:+4930@b>;tag=1\r\n\
     t: <tel:88;phone-context=+49>\r\ni: 1@h\r\nCSeq: 1 INVITE\r\n\
     m: <sip:a@192.0.2.1;transport=tcp>;+sip.instance=\"<urn:x>\"\r\n\
     Session-Expires: 1800;refresher=uac\r\nc: multipart/mixed;boundary=b\r\nContent-Length: 49\r\n\r\n--b\r\n\
     Content-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b--",
    "SIP/2.0 401 Unauthorized\r\nv: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
     To: <sip:a@b>;tag=2\r\nCall-ID: 1\r\n\
     CSeq: 1 REGISTER\r\nWWW-Authenticate: Digest realm=\"x, y\",\r\n nonce=\"1\"\r\nRetry-After: 18 (a pause)\r\n\
     l: 0\r\n\r\n",
];

/// Everything that can be asked of a message.
fn ask(bytes: &[u8]) {
    let headers = match read(bytes) {
        Ok(Message::Request(mut request)) => {
            fault(&request).into_iter().for_each(|fault| drop(fault.response(&request).write()));
            let _ = (request.part("application/sdp"), request.accepts("application/sdp"), request.body_is_optional());
            request.stamp("[2001:db8::7]:5060".parse().unwrap());
            request.headers
        }
        Ok(Message::Response(response)) => response.headers,
        Err(unreadable) => {
            let _ = unreadable.answer();
            unreadable.request().map(|request| request.headers.clone()).unwrap_or_default()
        }
    };
    let _ = (
        headers.top_via(),
        headers.cseq(),
        headers.from(),
        headers.to_tag(),
        headers.contact(),
        headers.max_forwards(),
    );
    for (name, value) in headers.iter() {
        let _ = (
            Uri::parse(value),
            Address::parse(value),
            Via::parse(value),
            headers.seconds(name),
            headers.list(name).count(),
        );
    }
}

proptest! {
    #[test]
    fn written_addresses_are_read_as_they_were(uri in uri(), address in address(), via in via()) {
        prop_assert_eq!(Uri::parse(&uri.to_string()), Some(uri));
        prop_assert_eq!(Address::parse(&address.to_string()), Some(address));
        prop_assert_eq!(Via::parse(&via.to_string()), Some(via));
    }

    #[test]
    fn written_messages_are_read_as_they_were(mut request in request(), mut response in response()) {
        for message in [Message::Request(request.clone()), Message::Response(response.clone())] {
            prop_assert_eq!(framed(&message.write()), Framed::Message(message.write().len()));
        }
        request.headers.push(Name::ContentLength, request.body.len().to_string());
        response.headers.push(Name::ContentLength, response.body.len().to_string());
        prop_assert_eq!(read(&request.write()), Ok(Message::Request(request)));
        prop_assert_eq!(read(&response.write()), Ok(Message::Response(response)));
    }

    #[test]
    fn a_header_is_found_however_it_is_spelt(
        headers in headers(), how in vec(any::<u8>(), 20), space in vec("[ \t]{0,3}", 20), end in "\r?\n",
    ) {
        let mut text = format!("OPTIONS sip:a SIP/2.0{end}");
        for (((name, value), how), space) in headers.iter().zip(&how).zip(&space) {
            let fold = if how % 3 == 0 { format!("{end} ") } else { String::new() };
            // Any space inside a value may be a fold; more than one, and tabs, become one.
            let value = if how % 5 == 0 { value.replace(' ', &format!("{end}\t")) } else { value.to_owned() };
            text.push_str(&format!("{}{space}:{space}{fold}{value}{space}{end}", respelt(name.as_str(), *how)));
        }
        text.push_str(&end);
        let Ok(Message::Request(read)) = read(text.as_bytes()) else { panic!("{text}") };
        let plain = |value: &str| value.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        for (name, _) in headers.iter() {
            let expected: Vec<_> = headers.all(name).map(plain).collect();
            prop_assert_eq!(read.headers.all(name).map(plain).collect::<Vec<_>>(), expected, "{}", name);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..600)) {
        ask(&bytes);
        ask(&[b"INVITE sip:a SIP/2.0\r\n", &bytes[..]].concat());
    }

    #[test]
    fn no_damage_panics(
        which in 0..MESSAGES.len(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..12),
    ) {
        let mut bytes = MESSAGES[which].as_bytes().to_vec();
        for (at, byte, insert) in damage {
            let at = at.index(bytes.len());
            if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        }
        ask(&bytes);
    }
}

/// Reading that looked at each byte once for each other one would take minutes here.
#[test]
fn large_messages_are_read_in_one_go() {
    let largest = super::MAX_HEAD_BYTES + super::MAX_BODY_BYTES;
    for pattern in [
        "\n", "\n ", "\r\nv:;,", ",", ";", "\"", "\\\"", "<", "<>", "%", "=", " ", "a:\n", "SIP/2.0 ", ":", "@", "[",
        "\n--b", "&a=b",
    ] {
        for start in
            ["INVITE sip:a SIP/2.0\r\nVia: ", "INVITE sip:a", "SIP/2.0 200 OK\nm: \"", MESSAGES[0], "f: <sip:a>"]
        {
            ask(format!("{start}{}", pattern.repeat(largest / pattern.len())).as_bytes());
            ask(format!("{start}{}\r\n\r\n", pattern.repeat(super::MAX_HEAD_BYTES / pattern.len() - 40)).as_bytes());
        }
    }
}
