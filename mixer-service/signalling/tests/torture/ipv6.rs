//! RFC 5118 section 4: IPv6 in all its spellings.

use super::{Case, Fate, text};

pub(crate) fn cases() -> Vec<Case> {
    let register = |section, name, fate, uri: &str| {
        let message = format!(
            "REGISTER {uri} SIP/2.0\nTo: sip:anna@contoso.example\nFrom: sip:anna@contoso.example;tag=v6\n\
             Via: SIP/2.0/UDP [2001:db8::33:1];branch=z9hG4bKv6-reg\nCall-ID: v6.reg@pc_1\nMax-Forwards: 70\n\
             Contact: \"Anna\" <sip:anna@[2001:db8::33]>\nCSeq: 501 REGISTER\nContent-Length: 0\n\n"
        );
        text(section, name, fate, &message)
    };
    let options = |section, name, uri: &str, via: &str| {
        let message = format!(
            "OPTIONS {uri} SIP/2.0\nTo: {uri}\nFrom: sip:anna@contoso.example;tag=v6\nVia: {via}\n\
             Call-ID: v6.opt@pc_1\nCSeq: 502 OPTIONS\n\
             Max-Forwards: 70\nContent-Length: 0\n\n"
        );
        text(section, name, Fate::Fine(&[]), &message)
    };
    let bye = |section, name, vias: &str| {
        let message = format!(
            "BYE sip:88@contoso.example SIP/2.0\n{vias}\nCall-ID: v6.bye@pc_1\nMax-Forwards: 70\nCSeq: 503 BYE\n\
             To: sip:88@contoso.example;tag=v6--88\nFrom: sip:anna@contoso.example;tag=v6\nContent-Length: 0\n\n"
        );
        text(section, name, Fate::Fine(&[481]), &message)
    };
    let invite = |section, name, host: &str, sdp: &str| {
        let message = format!(
            "INVITE sip:88@{host} SIP/2.0\nTo: sip:88@{host}\nFrom: sip:anna@contoso.example;tag=v6\n\
             Via: SIP/2.0/UDP {host}:19000;branch=z9hG4bKv6-inv1\nVia: SIP/2.0/UDP {host};branch=z9hG4bKv6-inv2\n\
             Call-ID: v6.inv@pc_1\n\
             Contact: \"Anna's desk\" <sip:anna@{host}>\nCSeq: 504 INVITE\nMax-Forwards: 70\n\
             Content-Type: application/sdp\n\
             Content-Length: {{len}}\n\n{sdp}"
        );
        text(section, name, Fate::Fine(&[]), &message)
    };
    vec![
        register("5118 4.1", "v6-with-brackets", Fate::Fine(&[405]), "sip:[2001:db8::88]"),
        register("5118 4.2", "v6-without-brackets", Fate::Fault(400), "sip:2001:db8::88"),
        register("5118 4.3", "a-port-inside-the-brackets", Fate::Fine(&[405]), "sip:[2001:db8::88:5070]"),
        register("5118 4.4", "a-port-behind-the-brackets", Fate::Fine(&[405]), "sip:[2001:db8::88]:5070"),
        bye(
            "5118 4.5",
            "received-with-brackets",
            "Via: SIP/2.0/UDP [2001:db8::33:1];received=[2001:db8::33:ff];branch=z9hG4bKv6-bye",
        ),
        options(
            "5118 4.5",
            "received-without-brackets",
            "sip:[2001:db8::88]",
            "SIP/2.0/UDP [2001:db8::33:1];received=2001:db8::33:ff;branch=z9hG4bKv6-opt",
        ),
        invite(
            "5118 4.6",
            "v6-in-the-body",
            "[2001:db8::33]",
            &sdp("IN IP6 2001:db8::33", "c=IN IP6 2001:db8::33\n", ""),
        ),
        bye(
            "5118 4.7",
            "both-families-in-the-headers",
            "Via: SIP/2.0/UDP [2001:db8::33:1]:6050;branch=z9hG4bKv6-a\n\
             Via: SIP/2.0/UDP 192.0.2.33;branch=z9hG4bKv6-b\n\
             Via: SIP/2.0/TCP [2001:db8::33:ff];branch=z9hG4bKv6-c;received=192.0.2.34",
        ),
        invite(
            "5118 4.8",
            "both-families-in-the-body",
            "[2001:db8::33:1]",
            &sdp(
                "IN IP4 pc1.contoso.example",
                "",
                "c=IN IP4 192.0.2.33\nm=video 40010 RTP/AVP 107\nc=IN IP6 2001:db8::33\na=rtpmap:107 H263-1998/90000\n",
            ),
        ),
        invite(
            "5118 4.9",
            "v4-within-v6",
            "[::ffff:192.0.2.33]",
            &sdp("IN IP6 ::ffff:192.0.2.33", "c=IN IP6 ::ffff:192.0.2.33\n", "a=rtpmap:0 PCMU/8000\n"),
        ),
        options(
            "5118 4.10",
            "two-colons-before-v4",
            "sip:88@[2001:db8::192.0.2.88]",
            "SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKv6-two",
        ),
        options(
            "5118 4.10",
            "three-colons-before-v4",
            "sip:88@[2001:db8:::192.0.2.88]",
            "SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKv6-three",
        ),
    ]
}

fn sdp(origin: &str, connection: &str, rest: &str) -> String {
    format!("v=0\no=anna 7 7 {origin}\ns=A call, please\n{connection}t=0 0\nm=audio 40000 RTP/AVP 0\n{rest}")
}
