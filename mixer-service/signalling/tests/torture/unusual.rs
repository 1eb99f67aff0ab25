//! RFC 4475 sections 3.2 to 3.4: transactions, what an application has to refuse, and its grandfather RFC 2543.

use super::{Case, Fate, SDP, invite, text};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![nothing_but_the_cookie()];
    cases.extend(headers());
    cases.extend(schemes());
    cases.extend(bodies());
    cases.extend(registrations());
    cases.sort_by_key(|case| {
        let numbers = case.section.split(['.', ' ']).skip(1).map(|number| number.parse::<u8>().unwrap_or_default());
        numbers.collect::<Vec<_>>()
    });
    cases
}

fn nothing_but_the_cookie() -> Case {
    text(
        "4475 3.2.1",
        "a-branch-that-is-only-the-cookie",
        Fate::Fine(&[]),
        "OPTIONS sip:88@contoso.example SIP/2.0\nTo: sip:88@contoso.example\n\
         From: sip:anna@contoso.example;tag=cookie\nMax-Forwards: 3\n\
         Via: SIP/2.0/UDP 192.0.2.33;branch=z9hG4bK\nAccept: application/sdp\nCall-ID: cookie.1\nCSeq: 8 OPTIONS\n\
         l: 0\n\n",
    )
}

fn headers() -> Vec<Case> {
    vec![
        invite(
            "4475 3.3.1",
            "needed-headers-missing",
            Fate::Fault(400),
            "INVITE sip:88@contoso.example SIP/2.0\nCSeq: 12 INVITE\nVia: SIP/2.0/UDP 192.0.2.33;branch=z9hG4bKfew\n",
        ),
        text(
            "4475 3.3.5",
            "extensions-nobody-has",
            Fate::Fine(&[420]),
            "OPTIONS sip:88@contoso.example SIP/2.0\nTo: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=ext\nMax-Forwards: 6\n\
             Call-ID: ext.1\nRequire: clairvoyance, telekinesis\nProxy-Require: levitation, bilocation\n\
             CSeq: 8 OPTIONS\n\
             Via: SIP/2.0/TLS pc1.contoso.example;branch=z9hG4bKext\nContent-Length: 0\n\n",
        ),
        invite(
            "4475 3.3.8",
            "single-headers-twice",
            Fate::Fault(400),
            "INVITE sip:88@contoso.example SIP/2.0\nContact: <sip:anna@pc1.contoso.example>\n\
             Via: SIP/2.0/UDP 192.0.2.33;branch=z9hG4bKtwice\n\
             Max-Forwards: 70\nCSeq: 5 INVITE\nCall-ID: twice.1@192.0.2.1\nCSeq: 59 INVITE\n\
             Call-ID: twice.1@192.0.2.2\n\
             From: sip:anna@contoso.example;tag=twice1\nTo: sip:88@contoso.example\nTo: sip:89@contoso.example\n\
             From: sip:bernd@contoso.example;tag=twice2\nContact: <sip:bernd@pc2.contoso.example>\nMax-Forwards: 5\n",
        ),
        text(
            "4475 3.3.9",
            "two-lengths",
            Fate::Fault(400),
            "OPTIONS sip:88@contoso.example SIP/2.0\nVia: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKlengths\n\
             To: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=lengths\nCall-ID: lengths.1\nCSeq: 13 OPTIONS\nContent-Length: 12\n\
             Max-Forwards: 60\n\
             Content-Length: 4\nContent-Type: text/plain\n\nWho can tell how much of this is meant?\n\n",
        ),
        text(
            "4475 3.3.10",
            "a-response-to-everybody",
            Fate::Silence,
            &format!(
                "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.40;branch=z9hG4bKall1\n\
                 Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKall2\n\
                 Call-ID: all.1\nCSeq: 35 INVITE\nFrom: sip:88@contoso.example;tag=all1\n\
                 To: sip:anna@contoso.example;tag=all2\n\
                 Content-Length: {{len}}\nContent-Type: application/sdp\nContact: <sip:anna@pc1.contoso.example>\n\n\
                 {SDP}"
            ),
        ),
        text(
            "4475 3.3.11",
            "no-hops-left",
            Fate::Fine(&[200]),
            "OPTIONS sip:88@contoso.example SIP/2.0\nTo: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=last\nCall-ID: last.1\n\
             CSeq: 14 OPTIONS\nVia: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKlast\nMax-Forwards: 0\n\
             Content-Length: 0\n\n",
        ),
    ]
}

fn schemes() -> Vec<Case> {
    vec![
        text(
            "4475 3.3.2",
            "a-scheme-nobody-knows",
            Fate::Fault(416),
            "OPTIONS whatScheme:is-this SIP/2.0\nTo: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=scheme\nMax-Forwards: 3\n\
             Call-ID: scheme.1\nCSeq: 15 OPTIONS\nVia: SIP/2.0/TCP pc1.contoso.example;branch=z9hG4bKscheme\n\
             Content-Length: 0\n\n",
        ),
        text(
            "4475 3.3.3",
            "a-scheme-nobody-calls",
            Fate::Fault(416),
            "OPTIONS coap+tcp://192.0.2.50:5683/room SIP/2.0\nTo: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=novel\nMax-Forwards: 3\n\
             Call-ID: novel.1\nCSeq: 16 OPTIONS\nVia: SIP/2.0/TCP pc1.contoso.example;branch=z9hG4bKnovel\n\
             Content-Length: 0\n\n",
        ),
        text(
            "4475 3.3.4",
            "odd-schemes-in-headers",
            Fate::Fault(400),
            "REGISTER sip:contoso.example SIP/2.0\nTo: urn:isbn:9780000000002\n\
             From: <https://www.contoso.example/anna>;tag=schemes\n\
             Call-ID: schemes.1\nCSeq: 17 REGISTER\nMax-Forwards: 70\n\
             Via: SIP/2.0/UDP 192.0.2.33:5060;branch=z9hG4bKschemes\n\
             Contact: <mailto:anna>\nl: 0\n\n",
        ),
    ]
}

fn bodies() -> Vec<Case> {
    vec![
        text(
            "4475 3.3.6",
            "a-body-nobody-reads",
            Fate::Fine(&[415]),
            "INVITE sip:88@contoso.example SIP/2.0\nContact: <sip:anna@pc1.contoso.example>\n\
             To: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=body\nMax-Forwards: 70\nCall-ID: body.1\nCSeq: 18 INVITE\n\
             Via: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKbody\nContent-Type: application/smoke-signals\n\
             Content-Length: {len}\n\n\
             <smoke>\n <puff long=\"yes\"/>\n</smoke>\n",
        ),
        invite(
            "4475 3.3.15",
            "an-answer-nobody-can-write",
            Fate::Fine(&[406, 400]),
            "INVITE sip:88@contoso.example SIP/2.0\nTo: sip:88@contoso.example\n\
             Contact: <sip:anna@pc1.contoso.example>\n\
             From: sip:anna@contoso.example;tag=accept\nMax-Forwards: 5\nCall-ID: accept.1\nAccept: text/hieroglyphs\n\
             CSeq: 8 INVITE\n\
             Via: SIP/2.0/UDP 192.0.2.33;branch=z9hG4bKaccept\n",
        ),
        text(
            "4475 3.4.1",
            "an-invite-of-the-last-century",
            Fate::Fine(&[]),
            &format!(
                "INVITE sip:88@contoso.example SIP/2.0\nVia: SIP/2.0/UDP old.contoso.example\n\
                 From: <sip:+4930231250001@old.contoso.example;user=phone>\n\
                 Record-Route: <sip:88@contoso.example;maddr=edge.contoso.example>\n\
                 To: sip:+493023125088@contoso.example;user=phone\nCall-ID: old.1@old.contoso.example\n\
                 CSeq: 56 INVITE\n\
                 Content-Type: application/sdp\n\n{SDP}"
            ),
        ),
    ]
}

fn registrations() -> Vec<Case> {
    let register = |section, name, tag: &str, line: &str| {
        let message = format!(
            "REGISTER sip:contoso.example SIP/2.0\nVia: SIP/2.0/UDP pc1.contoso.example:5060;branch=z9hG4bKreg{tag}\n\
             Max-Forwards: 70\n\
             From: sip:anna@contoso.example;tag={tag}\nTo: sip:anna@contoso.example\nCall-ID: reg.{tag}\n\
             CSeq: 2 REGISTER\n{line}\nL:0\n\n"
        );
        text(section, name, Fate::Fine(&[405]), &message)
    };
    vec![
        register("4475 3.3.7", "a-proof-of-unknown-kind", "proof", "Authorization: Handshake grip=firm"),
        register(
            "4475 3.3.12",
            "a-parameter-of-the-header",
            "header",
            "Contact: sip:+493023125001@gw.example;oddparam",
        ),
        register(
            "4475 3.3.13",
            "a-parameter-of-the-address",
            "address",
            "Contact: <sip:+493023125001@gw.example;oddparam>",
        ),
        register(
            "4475 3.3.14",
            "a-header-in-the-address",
            "route",
            "M: <sip:anna@contoso.example?Route=%3Csip:edge.example%3E>",
        ),
    ]
}
