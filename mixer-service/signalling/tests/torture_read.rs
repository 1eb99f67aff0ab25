//! The torture messages of RFC 4475 and RFC 5118: all survived, each read as it is meant, each refused as it should be.

#![expect(clippy::panic, reason = "so a test says what it got")]

mod torture;

use mixer_signalling::message::framing::{Framed, framed};
use mixer_signalling::message::{Address, Message, Method, Name, Request, Response, Uri, Via, fault, read};

use torture::{Case, Fate, case, cases};

/// What became of a message here, before an endpoint sees it.
fn fate(case: &Case) -> Fate {
    match read(&case.bytes) {
        Ok(Message::Request(request)) => fault(&request).map_or(Fate::Fine(&[]), |fault| Fate::Fault(fault.status)),
        Ok(Message::Response(_)) => Fate::Silence,
        Err(unreadable) => unreadable.response().map_or(Fate::Silence, |response| Fate::Fault(response.status)),
    }
}

fn request(name: &str) -> Request {
    match read(&case(name).bytes) {
        Ok(Message::Request(request)) => request,
        other => panic!("{name}: {other:?}"),
    }
}

fn response(name: &str) -> Response {
    match read(&case(name).bytes) {
        Ok(Message::Response(response)) => response,
        other => panic!("{name}: {other:?}"),
    }
}

fn contact(name: &str) -> Address {
    request(name).contact().unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn the_set_is_complete() {
    let cases = cases();
    let of = |rfc: &str| cases.iter().filter(|case| case.section.starts_with(rfc)).count();
    assert_eq!((of("4475"), of("5118"), cases.len()), (49, 12, 61));
    let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 61);
}

#[test]
fn every_message_meets_its_fate() {
    for case in cases() {
        let expected = if let Fate::Fine(_) = case.fate { Fate::Fine(&[]) } else { case.fate };
        assert_eq!(fate(&case), expected, "{} {}", case.section, case.name);
    }
}

#[test]
fn every_answer_is_a_response_that_its_sender_can_match() {
    for case in cases() {
        let answer = match read(&case.bytes) {
            Ok(Message::Request(request)) => fault(&request).map(|fault| fault.response(&request).write()),
            Ok(Message::Response(_)) => None,
            Err(unreadable) => unreadable.answer(),
        };
        let Some(answer) = answer else { continue };
        let Ok(Message::Response(read)) = read(&answer) else { panic!("{}", case.name) };
        assert_eq!(framed(&answer), Framed::Message(answer.len()), "{}", case.name);
        assert!(read.headers.count(&Name::Via) > 0, "{}", case.name);
        assert!(
            read.to_tag().is_some() || read.headers.get(&Name::To).is_none() || case.name.contains("quote"),
            "{}",
            case.name
        );
    }
}

#[test]
fn streams_are_cut_where_datagrams_end() {
    // Without a length, with a wrong one, or with something behind: there a stream and a datagram must differ.
    const ONLY_DATAGRAMS: [&str; 5] = [
        "second-request-behind",
        "length-beyond-the-body",
        "length-below-zero",
        "two-lengths",
        "an-invite-of-the-last-century",
    ];
    for case in cases().iter().filter(|case| !ONLY_DATAGRAMS.contains(&case.name)) {
        assert_eq!(framed(&case.bytes), Framed::Message(case.bytes.len()), "{}", case.name);
    }
    assert_eq!(framed(&case("length-below-zero").bytes), Framed::Hopeless);
    assert_eq!(framed(&case("two-lengths").bytes), Framed::Hopeless);
    assert_eq!(framed(&case("length-beyond-the-body").bytes), Framed::Partial);
}

#[test]
fn damage_at_every_place_is_survived() {
    const DAMAGE: [u8; 9] = [0, b'\n', b'"', b'<', b'>', b';', b',', b':', 0xff];
    for case in cases() {
        for at in 0..case.bytes.len() {
            let mut damaged = case.bytes.clone();
            damaged[at] = DAMAGE[at % DAMAGE.len()];
            survive(&damaged);
        }
        (0..case.bytes.len()).step_by(5).for_each(|len| survive(&case.bytes[..len]));
    }
}

fn survive(bytes: &[u8]) {
    match read(bytes) {
        Ok(Message::Request(request)) => drop(fault(&request)),
        Ok(Message::Response(response)) => drop(response.cseq()),
        Err(unreadable) => drop(unreadable.answer()),
    }
}

#[test]
fn crooked_spaces_are_straightened() {
    let request = request("crooked-spaces");
    assert_eq!((request.cseq(), request.max_forwards()), (Some((12, Method::Invite)), Some(70)));
    assert_eq!((request.to_tag(), request.from_tag()), (Some("crooked88"), Some("crooked1")));
    assert_eq!(request.from().unwrap().display.as_deref(), Some("A \\\"Nna\""));
    let vias: Vec<_> = request.headers.list(&Name::Via).map(|via| Via::parse(via).unwrap()).collect();
    let hops: Vec<_> =
        vias.iter().map(|via| (via.transport.as_str(), via.host.as_str(), via.branch.as_deref().unwrap())).collect();
    let expected = [
        ("UDP", "192.0.2.34", "old-style-branch"),
        ("TCP", "edge.contoso.example", "z9hG4bKcrooked"),
        ("UDP", "192.0.2.77", "z9hG4bKcrooked2"),
    ];
    assert_eq!(hops, expected);
    assert_eq!(request.headers.get(&Name::Subject), Some(""));
    assert_eq!(request.headers.get(&"brandnew".into()), Some("a value that goes on"));
    let contact = request.contact().unwrap();
    assert_eq!((contact.params.get("brandnew"), contact.params.get("q")), (Some("thing"), Some("0.5")));
    assert!(contact.params.has("flag"));
    let route = Address::parse(request.headers.get(&Name::Route).unwrap()).unwrap();
    assert!(route.uri.is_loose());
    assert_eq!(request.content_type().as_deref(), Some("application/sdp"));
}

#[test]
fn every_legal_character_stays() {
    let request = request("every-character");
    assert_eq!(request.method, Method::Other("0dd!Method-9_*+`.%legal'~".into()));
    let uri = Uri::parse(&request.uri).unwrap();
    assert_eq!(uri.user.as_deref(), Some("2_odd.User~(may-it!be)&so's+we$hope?,/;;*"));
    assert_eq!(uri.password.as_deref(), Some("&pass=2,odd!*wo$rd_too.(isn't~it)"));
    assert_eq!(request.to_address().unwrap().display.as_deref(), Some("bell:\u{7} null:\0 delete:\u{7f}"));
    assert_eq!(request.from().unwrap().params.get("theirParam''~+*_!.-%"), Some("привет"));
    assert_eq!(request.from_tag(), Some("_tag~2'+`*%!-."));
    assert_eq!((request.cseq().unwrap().0, request.max_forwards()), ((1 << 31) - 1, Some(255)));
    assert_eq!(request.headers.get(&"NEWHEADER-!.%*+_`'~".into()), Some("\u{feff}終わり"));
}

#[test]
fn escapes_are_resolved_where_they_are_escapes() {
    let escapes = request("escapes-in-addresses");
    assert_eq!(Uri::parse(&escapes.uri).unwrap().user.as_deref(), Some("sips:nobody@fabrikam.example"));
    assert_eq!(escapes.to_address().unwrap().uri.user.as_deref(), Some("nobody"));
    assert_eq!(escapes.from().unwrap().uri.user.as_deref(), Some("a name with space"));
    let contact = escapes.contact().unwrap().uri;
    assert_eq!(
        (contact.user.as_deref(), contact.is_loose(), contact.params.get("name")),
        (Some("anna"), true, Some("value%42"))
    );
    let nulls = request("escaped-nulls");
    assert_eq!(nulls.to_address().unwrap().uri.user.as_deref(), Some("before\0after"));
    let users: Vec<_> =
        nulls.headers.list(&Name::Contact).map(|contact| Address::parse(contact).unwrap().uri.user).collect();
    assert_eq!(users, [Some("\0".to_owned()), Some("\0\0".to_owned())]);
}

#[test]
fn a_percent_sign_elsewhere_is_a_percent_sign() {
    let request = request("percent-is-no-escape");
    assert_eq!(request.method.as_str(), "OPT%49ON%53");
    assert_eq!(request.to_address().unwrap().display.as_deref(), Some("%Y%4"));
    assert_eq!(request.headers.count(&Name::Contact), 2, "C%6Fntact is another header");
    assert_eq!(request.top_via().unwrap().branch.as_deref(), Some("z9hG4bK%66pct"));
}

#[test]
fn long_values_and_many_hops_are_whole() {
    let request = request("long-values");
    assert_eq!(request.headers.count(&Name::Via), 35);
    assert_eq!(request.from_tag().map(str::len), Some(150));
    assert_eq!(request.to_address().unwrap().uri.params.iter().count(), 3);
}

#[test]
fn noise_behind_a_request_is_no_part_of_it() {
    let request = request("second-request-behind");
    assert_eq!((request.method, request.body.len()), (Method::Register, 0));
    assert_eq!(request.headers.count(&Name::CallId), 1);
}

#[test]
fn the_user_part_may_hold_a_semicolon() {
    let request = request("semicolon-in-the-user");
    let uri = Uri::parse(&request.uri).unwrap();
    assert_eq!((uri.user.as_deref(), uri.host.as_str()), (Some("88;ext=anna@fabrikam.example"), "contoso.example"));
    assert_eq!(request.headers.list(&Name::Accept).count(), 4);
}

#[test]
fn a_binary_part_keeps_every_byte() {
    let request = request("binary-part");
    let part = request.part("application/octet-stream").unwrap();
    assert_eq!((part.len(), part[0], part[255], part.last()), (264, 0, 255, Some(&0)));
    assert_eq!(request.part("text/plain"), Some(&b"Good morning"[..]));
}

#[test]
fn reasons_are_for_people() {
    assert_eq!(response("reason-in-greek").reason, "= 10**2 * 2 Ὅτι πάντα ῥεῖ, 100%!");
    assert_eq!(response("no-reason").reason, "");
    assert!(response("numbers-beyond-their-range-in-a-response").cseq().is_none(), "fits no request of ours");
}

#[test]
fn parameters_belong_to_whom_they_stand_with() {
    let header = contact("a-parameter-of-the-header");
    assert!(header.params.has("oddparam") && header.uri.params.is_empty());
    let address = contact("a-parameter-of-the-address");
    assert!(address.uri.params.has("oddparam") && address.params.is_empty());
    let route = contact("a-header-in-the-address");
    assert_eq!(route.uri.headers, [("Route".to_owned(), "<sip:edge.example>".to_owned())]);
}

#[test]
fn a_cookie_alone_and_an_old_branch_tell_nothing_apart() {
    for name in ["a-branch-that-is-only-the-cookie", "an-invite-of-the-last-century", "crooked-spaces"] {
        assert_eq!(request(name).top_via().unwrap().unique_branch(), None, "{name}");
    }
}

#[test]
fn extensions_and_bodies_are_told_as_the_endpoint_asks() {
    let extensions = request("extensions-nobody-has");
    assert_eq!(extensions.required().collect::<Vec<_>>(), ["clairvoyance", "telekinesis"]);
    assert_eq!(extensions.proxy_required().count(), 2);
    assert_eq!(request("a-body-nobody-reads").content_type().as_deref(), Some("application/smoke-signals"));
    assert!(!request("an-answer-nobody-can-write").accepts("application/sdp"));
    assert_eq!(request("no-hops-left").max_forwards(), Some(0));
}

#[test]
fn addresses_of_both_families_are_read() {
    let host = |name: &str| {
        let uri = Uri::parse(&request(name).uri).unwrap();
        (uri.ip().unwrap().to_string(), uri.port)
    };
    assert_eq!(host("v6-with-brackets"), ("2001:db8::88".to_owned(), None));
    assert_eq!(host("a-port-inside-the-brackets"), ("2001:db8::88:5070".to_owned(), None));
    assert_eq!(host("a-port-behind-the-brackets"), ("2001:db8::88".to_owned(), Some(5070)));
    assert_eq!(host("three-colons-before-v4"), host("two-colons-before-v4"));
    assert_eq!(host("v4-within-v6"), ("::ffff:192.0.2.33".to_owned(), None));
    for name in ["received-with-brackets", "received-without-brackets"] {
        assert_eq!(request(name).top_via().unwrap().received_ip(), "2001:db8::33:ff".parse().ok(), "{name}");
    }
    let both = request("both-families-in-the-headers");
    let hops: Vec<_> = both.headers.list(&Name::Via).map(|via| Via::parse(via).unwrap()).collect();
    assert_eq!(hops.iter().filter_map(Via::ip).filter(std::net::IpAddr::is_ipv6).count(), 2);
    assert_eq!(hops[2].received_ip(), "192.0.2.34".parse().ok());
}
