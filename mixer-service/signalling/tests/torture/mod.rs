//! Messages that are meant to hurt: one for each of RFC 4475 (sections 3.1 to 3.4) and RFC 5118 (section 4), in our own
//! words, each with the same trick as there and with what has to become of it.
//!
//! Bodies end lines as heads do, with CR LF; `{len}` stands for the true length of the body.

pub(crate) mod broken;
pub(crate) mod ipv6;
pub(crate) mod legal;
pub(crate) mod unusual;

/// One message.
pub(crate) struct Case {
    /// Where the trick is described.
    pub(crate) section: &'static str,
    /// The trick.
    pub(crate) name: &'static str,
    /// As it is sent.
    pub(crate) bytes: Vec<u8>,
    /// What becomes of it.
    pub(crate) fate: Fate,
}

/// What has to become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Reading finds no fault. An endpoint that nobody calls answers with one of these, where the standard asks for it.
    Fine(&'static [u16]),
    /// Reading finds a fault, whatever the message asks for, and this is the answer.
    Fault(u16),
    /// Nobody hears anything of it: a response that fits nothing, or that cannot be read.
    Silence,
}

/// All of them, in the order of the standards.
pub(crate) fn cases() -> Vec<Case> {
    [legal::cases(), broken::cases(), unusual::cases(), ipv6::cases()].into_iter().flatten().collect()
}

/// The message of that name.
#[expect(clippy::panic, reason = "a test asks for a message that is not there")]
pub(crate) fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"))
}

/// A body that a telephone would send.
pub(crate) const SDP: &str =
    "v=0\no=anna 1 1 IN IP4 192.0.2.33\ns=-\nc=IN IP4 192.0.2.33\nt=0 0\nm=audio 40000 RTP/AVP 8 0\n";

fn text(section: &'static str, name: &'static str, fate: Fate, message: &str) -> Case {
    let (head, body) = message.split_once("\n\n").unwrap_or((message, ""));
    let (head, body) = (crlf(head), crlf(body));
    let head = head.replace("{len}", &body.len().to_string());
    Case { section, name, bytes: format!("{head}\r\n\r\n{body}").into_bytes(), fate }
}

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// An INVITE of these lines that offers sound.
fn invite(section: &'static str, name: &'static str, fate: Fate, head: &str) -> Case {
    text(section, name, fate, &format!("{head}Content-Type: application/sdp\nContent-Length: {{len}}\n\n{SDP}"))
}
