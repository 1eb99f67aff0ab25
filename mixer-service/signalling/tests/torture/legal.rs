//! RFC 4475 section 3.1.1: legal, whatever it looks like.

use super::{Case, Fate, SDP, invite, text};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        crooked_spaces(),
        every_character(),
        escapes(),
        text(
            "4475 3.1.1.4",
            "escaped-nulls",
            Fate::Fine(&[405]),
            "REGISTER sip:contoso.example SIP/2.0\nTo: sip:before%00after@contoso.example\n\
             From: sip:before%00after@contoso.example;tag=null1\nMax-Forwards: 70\n\
             Call-ID: nulls.4471@pc1.contoso.example\n\
             CSeq: 20 REGISTER\nVia: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKnulls\n\
             Contact: <sip:%00@pc1.contoso.example>\n\
             Contact: <sip:%00%00@pc1.contoso.example>\nL:0\n\n",
        ),
        text(
            "4475 3.1.1.5",
            "percent-is-no-escape",
            Fate::Fine(&[501]),
            "OPT%49ON%53 sip:contoso.example SIP/2.0\nTo: \"%Y%4\" <sip:desk@contoso.example>\n\
             From: \"%Y%4\" <sip:desk@contoso.example>;tag=pc%42\nMax-Forwards: 70\nCall-ID: percent.1%41@pc1\n\
             CSeq: 77 OPT%49ON%53\nVia: SIP/2.0/TCP pc1.contoso.example;branch=z9hG4bK%66pct\n\
             Contact: <sip:one@pc1.contoso.example>\n\
             C%6Fntact: <sip:two@pc1.contoso.example>\nContact: <sip:three@pc1.contoso.example>\nl: 0\n\n",
        ),
        text(
            "4475 3.1.1.6",
            "no-space-before-bracket",
            Fate::Fine(&[]),
            "OPTIONS sip:88@contoso.example SIP/2.0\nTo: sip:88@contoso.example\n\
             From: Anna<sip:anna@contoso.example>;tag=tight\n\
             Max-Forwards: 70\nCall-ID: tight.1@pc1\nCSeq: 3 OPTIONS\n\
             Via: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKtight\nl: 0\n\n",
        ),
        long_values(),
        second_request(),
        text(
            "4475 3.1.1.9",
            "semicolon-in-the-user",
            Fate::Fine(&[]),
            "OPTIONS sip:88;ext=anna%40fabrikam.example@contoso.example SIP/2.0\nTo: sip:88@contoso.example\n\
             From: sip:anna@fabrikam.example;tag=semi\nMax-Forwards: 9\nCall-ID: semi.1@pc1\nCSeq: 2 OPTIONS\n\
             Accept: application/sdp, text/plain,\n\tmultipart/mixed,\n  message/sipfrag\n\
             Via: SIP/2.0/UDP 192.0.2.33;branch=z9hG4bKsemi\nl: 0\n\n",
        ),
        text(
            "4475 3.1.1.10",
            "all-transports",
            Fate::Fine(&[]),
            "OPTIONS sip:88@contoso.example SIP/2.0\nTo: sip:88@contoso.example\n\
             From: <sip:anna@contoso.example>;tag=ways\n\
             Max-Forwards: 70\nCall-ID:  ways.1\nCSeq: 4 OPTIONS\nVia: SIP/2.0/UDP a.example;branch=z9hG4bKway1\n\
             Via: SIP/2.0/SCTP b.example;branch=z9hG4bKway2\nVia: SIP/2.0/TLS c.example;branch=z9hG4bKway3\n\
             Via: SIP/2.0/PIGEON d.example;branch=z9hG4bKway4\nVia: SIP/2.0/TCP e.example;branch=z9hG4bKway5\nl: 0\n\n",
        ),
        binary_part(),
        text(
            "4475 3.1.1.12",
            "reason-in-greek",
            Fate::Silence,
            &format!(
                "SIP/2.0 200 = 10**2 * 2 Ὅτι πάντα ῥεῖ, 100%!\nVia: SIP/2.0/UDP 192.0.2.40;branch=z9hG4bKgreek\n\
                 Call-ID: greek.1\n\
                 CSeq: 5 INVITE\nFrom: sip:88@contoso.example;tag=gr1\nTo: sip:anna@contoso.example;tag=gr2\n\
                 Content-Length: {{len}}\nContent-Type: application/sdp\nContact: <sip:anna@pc1.contoso.example>\n\n\
                 {SDP}"
            ),
        ),
        text(
            "4475 3.1.1.13",
            "no-reason",
            Fate::Silence,
            "SIP/2.0 100 \nVia: SIP/2.0/UDP 192.0.2.40;branch=z9hG4bKwhy\nCall-ID: why.1\nCSeq: 5 INVITE\n\
             From: <sip:88@contoso.example>;tag=why1\nTo: <sip:anna@contoso.example>;tag=why2\nContent-Length: 0\n\
             Contact: <sip:anna@pc1.contoso.example>\n\n",
        ),
    ]
}

/// Spaces and folds wherever the grammar lets them stand, odd case, compact names, leading zeros, empty and unknown
/// headers.
fn crooked_spaces() -> Case {
    text(
        "4475 3.1.1.1",
        "crooked-spaces",
        Fate::Fine(&[481]),
        &format!(
            "INVITE sip:88@contoso.example;whatever SIP/2.0\ntO :\n sip:88@contoso.example ;   TAG\t= crooked88\n\
             fRoM  : \"A \\\\\\\"Nna\\\"\"    <sip:anna@pc1.contoso.example>\n ;\n  tag = crooked1\n\
             mAX-fORWARDS: 0070\n\
             Call-ID: crooked.1@192.0.2.33\nContent-Length   : {{len}}\ncSEQ: 0012\n  INVITE\n\
             Via  : SIP  /   2.0\n /UDP\n    \
             192.0.2.34;branch=old-style-branch\ns :\nBrandNew:   a value\n that goes on\nOddlyValued: ;;,,;;,;\n\
             c: application/sdp\nRoute:\n <sip:edge.contoso.example;lr;odd=yes;odder>\n\
             v:  SIP  / 2.0  / TCP     edge.contoso.example   ;\n  \
             branch  =   z9hG4bKcrooked  ,\n SIP  /    2.0   / UDP  192.0.2.77   ; branch=\n z9hG4bKcrooked2\n\
             m:\"Quoted \\\"\\\"\" <sip:anna@pc1.contoso.example> ; brandnew =\n      thing ;\n  flag ; q = 0.5\n\n\
             {SDP}"
        ),
    )
}

/// Every character that each place allows, and no other sense in it.
fn every_character() -> Case {
    text(
        "4475 3.1.1.2",
        "every-character",
        Fate::Fine(&[501]),
        "0dd!Method-9_*+`.%legal'~ sip:2_odd.User~(may-it!be)&so's+we$hope?,/;;*:&pass=2,odd!*wo$rd_too.(isn't~it)@contoso.example SIP/2.0\n\
         Via: SIP/2.0/TCP pc1.contoso.example;branch=z9hG4bK-.!%66*_+`'~\n\
         To: \"bell:\\\u{7} null:\\\0 delete:\\\u{7f}\" <sip:2_odd.User~(may-it!be)&so's+we$hope?,/;;*@contoso.example>\n\
         From: word1~` word2'+_ word3*%!.- <sip:plain@contoso.example>;theirParam''~+*_!.-%=\"привет\";tag=_tag~2'+`*%!-.\n\
         Call-ID: odd.word%ZQ-!.*_+'@word`~)(><:\\/\"][?}{\nCSeq: 2147483647 0dd!Method-9_*+`.%legal'~\n\
         Max-Forwards: 255\n\
         newHeader-!.%*+_`'~:\u{feff}終わり\nContent-Length: 0\n\n",
    )
}

fn escapes() -> Case {
    invite(
        "4475 3.1.1.3",
        "escapes-in-addresses",
        Fate::Fine(&[]),
        "INVITE sip:sips%3Anobody%40fabrikam.example@contoso.example SIP/2.0\nTo: sip:%6Eo%62ody@fabrikam.example\n\
         From: <sip:a%20name%20with%20space@contoso.example>;tag=esc1\nMax-Forwards: 87\ni: esc.1@pc1\nCSeq: 6 INVITE\n\
         Via: SIP/2.0/UDP pc1.contoso.example;branch=z9hG4bKesc\n\
         Contact:\n  <sip:ann%61@pc1.contoso.example;%6C%72;na%6De=value%25%34%32>\n",
    )
}

/// Thirty-odd Vias in every spelling, and values of hundreds of characters.
fn long_values() -> Case {
    let spellings = ["Via:", "v:", "V:", "VIA:", "vIa:", "Via :", "v  :", "V\t:"];
    let hops: String = (0..34).map(|hop| format!("{} SIP/2.0/TCP hop{hop}.example\n", spellings[hop % 8])).collect();
    let long = |word: &str| word.repeat(30);
    invite(
        "4475 3.1.1.7",
        "long-values",
        Fate::Fine(&[]),
        &format!(
            "INVITE sip:88@contoso.example SIP/2.0\nTo: \"A {} name\"<sip:88@contoso.example:6000;{}={};{}=short;{}>\n\
             F: sip:{}@contoso.example;tag={};{}={};{}\nCall-ID: long.{}\nCSeq: 2001 INVITE\n{}-Name: {}; {} = {}\n\
             {hops}\
             Via: SIP/2.0/TCP pc1.contoso.example;received=192.0.2.33;branch={}\nMax-Forwards: 70\n\
             Contact: <sip:{}@pc1.contoso.example>\n",
            long("very"),
            long("wide"),
            long("value"),
            long("deep"),
            long("flag"),
            long("anna"),
            long("12345"),
            long("par"),
            long("worth"),
            long("bare"),
            long("really"),
            long("Odd"),
            long("much"),
            long("more"),
            long("most"),
            long("branch"),
            long("anna"),
        ),
    )
}

/// One datagram, one request; what stands behind its length is noise, even if it looks like a request.
fn second_request() -> Case {
    let second = format!(
        "INVITE sip:88@contoso.example SIP/2.0\r\nt: sip:88@contoso.example\r\n\
         From: sip:anna@contoso.example;tag=noise\r\n\
         Max-Forwards: 8\r\nCall-ID: noise.2@pc1\r\nCSeq: 8 INVITE\r\n\
         Via: SIP/2.0/UDP 192.0.2.33;branch=z9hG4bKnoise\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    let mut case = text(
        "4475 3.1.1.8",
        "second-request-behind",
        Fate::Fine(&[405]),
        "REGISTER sip:contoso.example SIP/2.0\nTo: sip:anna@contoso.example\nFrom: sip:anna@contoso.example;tag=first\n\
         Max-Forwards: 8\nI: first.1@pc1\nContact: sip:anna@pc1.contoso.example\nCSeq: 8 REGISTER\n\
         Via: SIP/2.0/UDP 192.0.2.33;branch=z9hG4bKfirst\nContent-Length: 0\n\n\n",
    );
    case.bytes.extend_from_slice(second.as_bytes());
    case
}

/// A body in parts, one of them no text.
fn binary_part() -> Case {
    let mut body = b"--cut-here\r\nContent-Type: text/plain\r\n\r\nGood morning\r\n--cut-here\r\n\
                     Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        .to_vec();
    body.extend((0..=255_u8).chain([0, 0, b'\r', b'\n', b'\r', b'\n', 0xff, 0]));
    body.extend_from_slice(b"\r\n--cut-here--\r\n");
    let mut case = text(
        "4475 3.1.1.11",
        "binary-part",
        Fate::Fine(&[405]),
        &format!(
            "MESSAGE sip:88@contoso.example SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:5072;branch=z9hG4bK-cut--1-;rport\n\
             Max-Forwards: 70\n\
             Route: <sip:127.0.0.1:5082>\nIdentity: c29tZXRoaW5nIHNpZ25lZCwgd2hhdGV2ZXIgaXQgaXM=\n\
             Contact: <sip:anna@127.0.0.1:5072>\n\
             To: <sip:88@contoso.example>\nFrom: <sip:anna@contoso.example>;tag=cut1\nCall-ID: cut.1@cGM..\n\
             CSeq: 1 MESSAGE\n\
             Content-Transfer-Encoding: binary\nContent-Type: multipart/mixed;boundary=cut-here\n\
             Date: Fri, 14 Jun 2024 08:00:00 GMT\nUser-Agent: Telephone/1.0 (oak)\nContent-Length: {}\n\n",
            body.len()
        ),
    );
    case.bytes.extend_from_slice(&body);
    case
}
