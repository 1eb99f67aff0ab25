//! Tidies datagrams before the SIP library reads them.
//!
//! The library loses what real telephones send: names in Latin-1, bare line feeds, datagrams without Content-Length
//! (RFC 3261 section 18.3: then the body is the rest), methods it does not know. The seam is its own socket trait, so
//! nothing of the library is forked.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use rsipstack::platform::net::UdpSocket as StackSocket;
use tokio::net::UdpSocket;

use super::counters::{Refusal, SipCounters};

/// The longest datagram that is read: what the library's own buffer holds.
const MAX_DATAGRAM_BYTES: usize = 8 * 1024;

/// A UDP socket that hands tidy datagrams to the library.
pub(super) struct TidySocket {
    socket: UdpSocket,
    counters: Arc<SipCounters>,
}

impl TidySocket {
    pub(super) const fn new(socket: UdpSocket, counters: Arc<SipCounters>) -> Self {
        Self { socket, counters }
    }
}

#[async_trait]
impl StackSocket for TidySocket {
    async fn recv_from(&self, buf: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        loop {
            let (len, source) = self.socket.recv_from(buf).await?;
            // A datagram that fills the buffer was most likely cut off.
            if len >= buf.len().min(MAX_DATAGRAM_BYTES) {
                self.counters.count_too_large();
                continue;
            }
            self.counters.count_received();
            match tidy(&buf[..len]) {
                Verdict::Pass(Cow::Borrowed(_)) => return Ok((len, source)),
                Verdict::Pass(Cow::Owned(tidied)) => match buf.get_mut(..tidied.len()) {
                    Some(room) => {
                        room.copy_from_slice(&tidied);
                        return Ok((tidied.len(), source));
                    }
                    None => self.counters.count_too_large(),
                },
                Verdict::Answer(response) => {
                    self.counters.count_refused(Refusal::Method);
                    let _ = self.socket.send_to(&response, source).await;
                }
                Verdict::Drop => self.counters.count_malformed(),
            }
        }
    }

    async fn send_to(&self, buf: &[u8], addr: SocketAddr) -> rsipstack::Result<usize> {
        Ok(self.socket.send_to(buf, addr).await?)
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

/// What becomes of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// To the library, tidied where it had to be.
    Pass(Cow<'a, [u8]>),
    /// Answered here: the library cannot even read it.
    Answer(Vec<u8>),
    /// No SIP.
    Drop,
}

pub(super) fn tidy(datagram: &[u8]) -> Verdict<'_> {
    if datagram.iter().all(u8::is_ascii_whitespace) {
        return Verdict::Pass(datagram.into());
    }
    let (raw_head, body) = split(datagram);
    let head = text_of(raw_head);
    let Some(start) = StartLine::of(&head) else {
        return Verdict::Drop;
    };
    let length = match content_length(&head) {
        Ok(length) => length,
        Err(Contradiction) => return Verdict::Drop,
    };
    if length.is_some_and(|length| length > body.len()) {
        return Verdict::Drop;
    }
    if start == StartLine::UnknownMethod {
        return not_implemented(&head).map_or(Verdict::Drop, Verdict::Answer);
    }
    let tidied = with_crlf(&head);
    if matches!((&head, &tidied), (Cow::Borrowed(_), Cow::Borrowed(_)))
        && length.is_some()
        && raw_head.ends_with(b"\r\n\r\n")
    {
        return Verdict::Pass(datagram.into());
    }
    let mut tidied = tidied.trim_end_matches(['\r', '\n']).to_owned();
    if length.is_none() {
        tidied.push_str(&format!("\r\nContent-Length: {}", body.len()));
    }
    tidied.push_str("\r\n\r\n");
    let mut whole = tidied.into_bytes();
    whole.extend_from_slice(body);
    Verdict::Pass(whole.into())
}

/// Head with its empty line, and the rest; without an empty line all is head.
fn split(datagram: &[u8]) -> (&[u8], &[u8]) {
    datagram.split_at(head_end(datagram).unwrap_or(datagram.len()))
}

/// Where the body begins: behind the first empty line.
pub(super) fn head_end(message: &[u8]) -> Option<usize> {
    let line_ends = message.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    line_ends.into_iter().find_map(|at| match (message.get(at + 1), message.get(at + 2)) {
        (Some(b'\n'), _) => Some(at + 2),
        (Some(b'\r'), Some(b'\n')) => Some(at + 3),
        _ => None,
    })
}

/// UTF-8 as it is; anything else is taken for Latin-1, which every byte sequence is.
pub(super) fn text_of(raw: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(raw)
        .map_or_else(|_| Cow::Owned(raw.iter().map(|byte| char::from(*byte)).collect()), Cow::Borrowed)
}

fn with_crlf(head: &str) -> Cow<'_, str> {
    let bytes = head.as_bytes();
    let bare = bytes.iter().enumerate().any(|(at, byte)| *byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r'));
    if bare { Cow::Owned(head.replace("\r\n", "\n").replace('\n', "\r\n")) } else { Cow::Borrowed(head) }
}

#[derive(PartialEq, Eq)]
enum StartLine {
    Known,
    UnknownMethod,
}

impl StartLine {
    fn of(head: &str) -> Option<Self> {
        let line = head.lines().next()?;
        if line.starts_with("SIP/2.0 ") {
            return Some(Self::Known);
        }
        let mut words = line.split(' ');
        let (method, _uri) = (words.next()?, words.next()?);
        let token = !method.is_empty()
            && method.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte));
        if !token || !line.trim_end().ends_with(" SIP/2.0") {
            return None;
        }
        let known = method.parse::<rsipstack::sip::Method>().is_ok();
        Some(if known { Self::Known } else { Self::UnknownMethod })
    }
}

/// Two lengths that differ, or one that is no number: a request smuggled past somebody.
pub(super) struct Contradiction;

pub(super) fn content_length(head: &str) -> Result<Option<usize>, Contradiction> {
    let mut found = None;
    for (name, value) in headers(head) {
        if name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("l") {
            let length = value.parse().map_err(|_| Contradiction)?;
            if found.is_some_and(|earlier| earlier != length) {
                return Err(Contradiction);
            }
            found = Some(length);
        }
    }
    Ok(found)
}

fn headers(head: &str) -> impl Iterator<Item = (&str, &str)> {
    head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim_end(), value.trim()))
}

/// A stateless 501 (RFC 3261 section 8.2.1); `None` when a header that it must repeat is missing.
fn not_implemented(head: &str) -> Option<Vec<u8>> {
    let mut response = String::from("SIP/2.0 501 Not Implemented\r\n");
    let (mut vias, mut others) = (0, 0);
    for (name, value) in headers(head) {
        let (long, suffix) = match name.to_ascii_lowercase().as_str() {
            "via" | "v" => ("Via", ""),
            "from" | "f" => ("From", ""),
            "to" | "t" if value.contains(";tag=") => ("To", ""),
            "to" | "t" => ("To", ";tag=stateless"),
            "call-id" | "i" => ("Call-ID", ""),
            "cseq" => ("CSeq", ""),
            _ => continue,
        };
        if long == "Via" {
            vias += 1
        } else {
            others += 1
        }
        response.push_str(&format!("{long}: {value}{suffix}\r\n"));
    }
    response.push_str("Content-Length: 0\r\n\r\n");
    (vias > 0 && others == 4).then(|| response.into_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "OPTIONS sip:88@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK1\r\n\
                        From: <sip:a@b>;tag=1\r\nTo: <sip:88@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n";

    fn passed(datagram: &[u8]) -> String {
        match tidy(datagram) {
            Verdict::Pass(tidied) => String::from_utf8(tidied.into_owned()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_tidy_datagram_is_not_copied() {
        let datagram = format!("{HEAD}Content-Length: 3\r\n\r\nabc");
        assert_eq!(tidy(datagram.as_bytes()), Verdict::Pass(Cow::Borrowed(datagram.as_bytes())));
    }

    #[test]
    fn a_missing_length_is_the_rest_of_the_datagram() {
        assert_eq!(passed(format!("{HEAD}\r\nv=0\r\n").as_bytes()), format!("{HEAD}Content-Length: 5\r\n\r\nv=0\r\n"));
    }

    #[test]
    fn bare_line_feeds_become_line_ends_but_the_body_stays() {
        let bare = format!("{HEAD}l: 4\r\n\r\n").replace("\r\n", "\n") + "a\nb\n";
        assert_eq!(passed(bare.as_bytes()), format!("{HEAD}l: 4\r\n\r\na\nb\n"));
    }

    #[test]
    fn latin_1_becomes_utf_8() {
        let mut datagram = HEAD.replace("From: ", "From: \"M?ller\" ").into_bytes();
        let at = datagram.iter().position(|byte| *byte == b'?').unwrap();
        datagram[at] = 0xfc;
        datagram.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        assert!(passed(&datagram).contains("From: \"Müller\" <sip:a@b>"));
    }

    #[test]
    fn an_unknown_method_is_answered_501() {
        let datagram = format!("{}\r\n", HEAD.replace("OPTIONS", "BREW"));
        let Verdict::Answer(response) = tidy(datagram.as_bytes()) else { panic!("no answer") };
        let response = String::from_utf8(response).unwrap();
        assert!(response.starts_with("SIP/2.0 501 ") && response.contains("CSeq: 1 BREW\r\n"), "{response}");
    }

    #[test]
    fn what_is_no_sip_is_dropped() {
        for datagram in [
            "GET / HTTP/1.1\r\n\r\n".to_owned(),
            "hello".to_owned(),
            format!("{HEAD}Content-Length: 9\r\n\r\nshort"),
            format!("{HEAD}Content-Length: 0\r\nl: 3\r\n\r\nabc"),
            format!("{HEAD}Content-Length: 99999999999999999999999\r\n\r\n"),
        ] {
            assert_eq!(tidy(datagram.as_bytes()), Verdict::Drop, "{datagram}");
        }
    }

    #[test]
    fn keep_alives_pass() {
        assert_eq!(tidy(b"\r\n\r\n"), Verdict::Pass(Cow::Borrowed(b"\r\n\r\n")));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_the_body_survives(bytes in proptest::collection::vec(any::<u8>(), 0..600), body in "[ -~]{0,40}") {
            let _ = tidy(&bytes);
            let mut datagram = HEAD.as_bytes().to_vec();
            datagram.extend_from_slice(b"\r\n");
            datagram.extend_from_slice(body.as_bytes());
            prop_assert!(passed(&datagram).ends_with(&body));
        }
    }
}
