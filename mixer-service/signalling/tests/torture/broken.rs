//! RFC 4475 section 3.1.2: illegal, each in one way.

use super::{Case, Fate, SDP, invite, text};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = in_the_start_line();
    cases.extend(in_the_numbers());
    cases.extend(in_the_addresses());
    cases.sort_by_key(|case| case.section.rsplit('.').next().and_then(|last| last.parse::<u8>().ok()));
    cases
}

fn in_the_start_line() -> Vec<Case> {
    vec![
        invite(
            "4475 3.1.2.7",
            "brackets-around-the-request-uri",
            Fate::Fault(400),
            "INVITE <sip:88@contoso.example> SIP/2.0\nTo: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=ltgt\n\
             Max-Forwards: 23\nCall-ID: ltgt.1\nCSeq: 1 INVITE\nVia: SIP/2.0/UDP 192.0.2.33\n\
             Contact: <sip:anna@pc1.contoso.example>\n",
        ),
        invite(
            "4475 3.1.2.8",
            "space-in-the-request-uri",
            Fate::Fault(400),
            "INVITE sip:88@contoso.example; lr SIP/2.0\nTo: sip:88@contoso.example;tag=spaced88\n\
             From: sip:anna@contoso.example;tag=spaced\n\
             Max-Forwards: 5\nCall-ID: spaced.1\nCSeq: 2130706432 INVITE\n\
             Via: SIP/2.0/UDP 192.0.2.33:5060;branch=z9hG4bKspaced\n\
             Contact: <sip:anna@pc1.contoso.example>\n",
        ),
        invite(
            "4475 3.1.2.9",
            "two-spaces-in-the-request-line",
            Fate::Fault(400),
            "INVITE  sip:88@contoso.example  SIP/2.0\nMax-Forwards: 8\nTo: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=wide\n\
             Call-ID: wide.1\nCSeq: 3 INVITE\nVia: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKwide\n\
             Contact: <sip:anna@pc1.contoso.example>\n",
        ),
        text(
            "4475 3.1.2.10",
            "spaces-behind-the-request-line",
            Fate::Fault(400),
            "OPTIONS sip:88@contoso.example SIP/2.0  \nVia: SIP/2.0/TCP pc1.contoso.example;branch=z9hG4bKtrail\n\
             To: <sip:88@contoso.example>\n\
             From: <sip:anna@contoso.example>;tag=trail\nCall-ID: trail.1\nAccept: application/sdp\nCSeq: 4 OPTIONS\n\
             Max-Forwards: 70\n\
             Content-Length: 0\n\n",
        ),
        invite(
            "4475 3.1.2.11",
            "headers-in-the-request-uri",
            Fate::Fault(400),
            "INVITE sip:88@contoso.example?Route=%3Csip:evil.example%3E SIP/2.0\nTo: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=smuggle\nMax-Forwards: 7\nContact: <sip:anna@pc1.contoso.example>\n\
             Call-ID: smuggle.1\n\
             CSeq: 5 INVITE\nVia: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKsmuggle\n",
        ),
        text(
            "4475 3.1.2.16",
            "another-version",
            Fate::Fault(505),
            "OPTIONS sip:88@contoso.example SIP/9.1\nVia:     SIP/9.1/UDP pc1.contoso.example;branch=z9hG4bKnewer\n\
             Max-Forwards:     70\n\
             From:    A. Anna <sip:anna@contoso.example>;tag=newer\nTo:      The Room <sip:88@contoso.example>\n\
             Call-ID: newer.1\n\
             CSeq:    1 OPTIONS\nl: 0\n\n",
        ),
        text(
            "4475 3.1.2.19",
            "status-beyond-all-classes",
            Fate::Silence,
            "SIP/2.0 4294967496 does it wrap to 200\nVia: SIP/2.0/UDP 192.0.2.40;branch=z9hG4bKwrap\nCall-ID: wrap.1\n\
             CSeq: 6 INVITE\n\
             From: <sip:88@contoso.example>;tag=wrap1\nTo: <sip:anna@contoso.example>;tag=wrap2\nContent-Length: 0\n\
             Contact: <sip:anna@pc1.contoso.example>\n\n",
        ),
    ]
}

fn in_the_numbers() -> Vec<Case> {
    vec![
        text(
            "4475 3.1.2.2",
            "length-beyond-the-body",
            Fate::Fault(400),
            &format!(
                "INVITE sip:88@contoso.example SIP/2.0\nMax-Forwards: 80\nTo: sip:88@contoso.example\n\
                 From: sip:anna@contoso.example;tag=long\n\
                 Contact: <sip:anna@pc1.contoso.example>\nCall-ID: length.1\nCSeq: 8 INVITE\n\
                 Via: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bK-length-1\nContent-Type: application/sdp\n\
                 Content-Length: 7777\n\n{SDP}"
            ),
        ),
        text(
            "4475 3.1.2.3",
            "length-below-zero",
            Fate::Fault(400),
            &format!(
                "INVITE sip:88@contoso.example SIP/2.0\nMax-Forwards: 254\nTo: sip:88@contoso.example\n\
                 From: sip:anna@contoso.example;tag=less\n\
                 Call-ID: less.1\nCSeq: 0 INVITE\nVia: SIP/2.0/UDP 192.0.2.33;branch=z9hG4bKless\n\
                 Contact: <sip:anna@pc1.contoso.example>\n\
                 Content-Type: application/sdp\nContent-Length: -42\n\n{SDP}"
            ),
        ),
        text(
            "4475 3.1.2.4",
            "numbers-beyond-their-range",
            Fate::Fault(400),
            &format!(
                "REGISTER sip:contoso.example SIP/2.0\nVia: SIP/2.0/TCP pc1.contoso.example;branch=z9hG4bKrange\n\
                 To: <sip:anna@contoso.example>\n\
                 From: <sip:anna@contoso.example>;tag=range\nCSeq: 73786976294838206464 REGISTER\nCall-ID: range.1\n\
                 Max-Forwards: 290\n\
                 Expires: 1{}\nContact: <sip:anna@pc1.contoso.example>\n  ;expires=560595193263630\n\
                 Content-Length: 0\n\n",
                "0".repeat(90)
            ),
        ),
        text(
            "4475 3.1.2.5",
            "numbers-beyond-their-range-in-a-response",
            Fate::Silence,
            "SIP/2.0 503 Service Unavailable\n\
             Via: SIP/2.0/TCP pc1.contoso.example;branch=z9hG4bKrange2;received=192.0.2.33\n\
             To: <sip:anna@contoso.example>\nFrom: <sip:88@contoso.example>;tag=range2\n\
             CSeq: 7777777777777777777777 OPTIONS\n\
             Call-ID: range.2\nRetry-After: 888888888888888888888888888\nWarning: 2024 pbx \"Too much\"\n\
             Content-Length: 0\n\n",
        ),
        text(
            "4475 3.1.2.17",
            "cseq-of-another-method",
            Fate::Fault(400),
            "OPTIONS sip:88@contoso.example SIP/2.0\nTo: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=other\nMax-Forwards: 6\n\
             Call-ID: other.1\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKother\nl: 0\n\n",
        ),
        invite(
            "4475 3.1.2.18",
            "cseq-of-another-method-than-an-unknown-one",
            Fate::Fault(501),
            "BREWTEA sip:88@contoso.example SIP/2.0\nTo: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=tea\nMax-Forwards: 6\n\
             Call-ID: tea.1\nCSeq: 8 INVITE\nContact: <sip:anna@pc1.contoso.example>\n\
             Via: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKtea\n",
        ),
    ]
}

fn in_the_addresses() -> Vec<Case> {
    vec![
        invite(
            "4475 3.1.2.1",
            "separators-without-anything",
            Fate::Fault(400),
            "INVITE sip:88@contoso.example SIP/2.0\nTo: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=empty\nMax-Forwards: 7\n\
             Call-ID: empty.1\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP 192.0.2.33;;,;,,\n\
             Contact: \"Anna\" <sip:anna@contoso.example>;;;;\n",
        ),
        invite(
            "4475 3.1.2.6",
            "a-quote-never-closed",
            Fate::Fault(400),
            "INVITE sip:88@contoso.example SIP/2.0\nTo: \"The Room, 88 <sip:88@contoso.example>\n\
             From: sip:anna@contoso.example;tag=open\n\
             Max-Forwards: 10\nCall-ID: open.1\nContact: <sip:anna@pc1.contoso.example>\nCSeq: 8 INVITE\n\
             Via: SIP/2.0/UDP 192.0.2.33:5050;branch=z9hG4bKopen\n",
        ),
        invite(
            "4475 3.1.2.12",
            "a-date-of-another-zone",
            Fate::Fine(&[]),
            "INVITE sip:88@contoso.example SIP/2.0\nTo: sip:88@contoso.example\n\
             From: sip:anna@contoso.example;tag=zone\nMax-Forwards: 70\n\
             Call-ID: zone.1\nCSeq: 9 INVITE\nVia: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKzone\n\
             Date: Fri, 14 Jun 2024 09:00:00 CEST\n\
             Contact: <sip:anna@pc1.contoso.example>\n",
        ),
        text(
            "4475 3.1.2.13",
            "headers-in-an-address-without-brackets",
            Fate::Fault(400),
            "REGISTER sip:contoso.example SIP/2.0\nTo: sip:anna@contoso.example\n\
             From: sip:anna@contoso.example;tag=bare\nMax-Forwards: 70\n\
             Call-ID: bare.1\nCSeq: 1 REGISTER\nVia: SIP/2.0/UDP 192.0.2.33:5060;branch=z9hG4bKbare\n\
             Contact: sip:anna@contoso.example?Route=%3Csip:edge.contoso.example%3E\nl: 0\n\n",
        ),
        text(
            "4475 3.1.2.14",
            "spaces-inside-the-brackets",
            Fate::Fault(400),
            "OPTIONS sip:88@contoso.example SIP/2.0\nVia: SIP/2.0/UDP pc1.contoso.example:5060;branch=z9hG4bKinside\n\
             Max-Forwards: 70\n\
             From: \"Anna, A.\" <sip:anna@contoso.example>;tag=inside\nTo: \"Room, The\" < sip:88@contoso.example >\n\
             Call-ID: inside.1\n\
             Accept: application/sdp\nCSeq: 10 OPTIONS\nl: 0\n\n",
        ),
        text(
            "4475 3.1.2.15",
            "a-comma-in-an-unquoted-name",
            Fate::Fault(400),
            "OPTIONS sip:88@contoso.example SIP/2.0\n\
             Via:     SIP/2.0/UDP pc1.contoso.example:5060;branch=z9hG4bKcomma\nMax-Forwards:      70\n\
             From:    Anna, A. <sip:anna@contoso.example>;tag=comma\nTo:      Room, The <sip:88@contoso.example>\n\
             Call-ID: comma.1\n\
             Accept: application/sdp\nCSeq:    11 OPTIONS\nl: 0\n\n",
        ),
    ]
}
