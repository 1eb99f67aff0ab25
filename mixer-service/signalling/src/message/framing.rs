//! Where a message ends in a stream (RFC 3261 section 18.3), and keep-alives between messages (RFC 5626 section 4.4.1).

use super::Fault;
use super::read::{Lines, MAX_BODY_BYTES, MAX_HEAD_BYTES, head_end, is_folded, stated_length};
use super::text::{text_of, trim};

/// What asks whether we are alive.
pub const PING: &[u8] = b"\r\n\r\n";
/// What says so.
pub const PONG: &[u8] = b"\r\n";
/// The longest end of a head, `\n\r\n`, less one: so much of it may have been there before.
const END_OVERLAP: usize = 2;

/// What the beginning of a stream's buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A message of so many bytes.
    Message(usize),
    /// A keep-alive of so many bytes, and whether it wants an answer ([`PONG`]).
    KeepAlive(usize, bool),
    /// Not whole yet. It never waits for more than [`MAX_HEAD_BYTES`] and [`MAX_BODY_BYTES`] together.
    Partial,
    /// Nothing that could become a message: the stream has to be closed. [`super::read`] may still find whom to answer.
    Hopeless,
}

/// Cuts one stream into messages. It remembers how far it has looked: a sender of single bytes costs no more than one of
/// whole messages.
#[derive(Clone, Debug, Default)]
pub struct Framer {
    /// Bytes of the buffer in which no head ends.
    looked_at: usize,
    /// How long the message is, once its head is there.
    whole: Option<usize>,
    /// A lone line end came: the first half of a ping, if another one follows.
    half_ping: bool,
    /// Pings of ours whose answer is due.
    pings: u8,
}

impl Framer {
    /// For a stream that has brought nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells that we sent a [`PING`]: the next lone line end is its answer, not half a ping of theirs.
    pub const fn pinged(&mut self) {
        self.pings = self.pings.saturating_add(1);
    }

    /// Looks at the beginning of the buffer. What it finds has to be taken off the buffer before it looks again.
    pub fn next(&mut self, buffer: &[u8]) -> Framed {
        if self.looked_at == 0 && buffer.first().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            return self.keep_alive(buffer);
        }
        if self.whole.is_none() {
            match self.head(buffer) {
                Ok(whole) => self.whole = whole,
                Err(Endless) => return Framed::Hopeless,
            }
        }
        let Some(whole) = self.whole.filter(|whole| *whole <= buffer.len()) else {
            return Framed::Partial;
        };
        (self.looked_at, self.whole, self.half_ping) = (0, None, false);
        Framed::Message(whole)
    }

    fn keep_alive(&mut self, buffer: &[u8]) -> Framed {
        if buffer.starts_with(PING) {
            self.half_ping = false;
            return Framed::KeepAlive(PING.len(), true);
        }
        if buffer.starts_with(PONG) {
            let is_pong = self.pings > 0;
            self.pings = self.pings.saturating_sub(1);
            let ends_ping = !is_pong && self.half_ping;
            self.half_ping = !is_pong && !ends_ping;
            return Framed::KeepAlive(PONG.len(), ends_ping);
        }
        if buffer == b"\r" { Framed::Partial } else { Framed::KeepAlive(1, false) }
    }

    /// How long the message is, if its head has come.
    fn head(&mut self, buffer: &[u8]) -> Result<Option<usize>, Endless> {
        let from = self.looked_at.saturating_sub(END_OVERLAP).min(buffer.len());
        let Some(end) = head_end(&buffer[from..]) else {
            self.looked_at = buffer.len();
            return if buffer.len() > MAX_HEAD_BYTES { Err(Endless) } else { Ok(None) };
        };
        let head = from + end;
        let length = content_length(&buffer[..head]).map_err(|_| Endless)?.unwrap_or(0);
        self.looked_at = head;
        if head > MAX_HEAD_BYTES || length > MAX_BODY_BYTES { Err(Endless) } else { Ok(Some(head + length)) }
    }
}

/// No end can be told.
struct Endless;

/// Looks at the beginning of a buffer once, without a memory. Of a stream a [`Framer`] knows more: a ping that comes in
/// halves, and the answers to ours.
#[must_use]
pub fn framed(buffer: &[u8]) -> Framed {
    Framer::new().next(buffer)
}

/// Content-Length as [`super::read`] will find it, folded lines and all, but without keeping the other headers.
fn content_length(head: &[u8]) -> Result<Option<usize>, Fault> {
    let mut values: Vec<String> = Vec::new();
    let mut within = false;
    for line in Lines::of(head).skip(1) {
        if is_folded(line) {
            values.last_mut().filter(|_| within).into_iter().for_each(|value| value.push_str(&text_of(line)));
            continue;
        }
        let text = text_of(line);
        let found = text.split_once(':').filter(|(name, _)| is_length(trim(name)));
        within = found.is_some();
        values.extend(found.map(|(_, value)| value.to_owned()));
    }
    stated_length(values.iter().map(|value| trim(value)))
}

fn is_length(name: &str) -> bool {
    name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Message, read};
    use super::*;

    const OPTIONS: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nl: 3\r\n\r\nabc";

    #[test]
    fn messages_are_cut_at_their_length() {
        assert_eq!(framed(OPTIONS), Framed::Message(OPTIONS.len()));
        assert_eq!(framed(&OPTIONS[..OPTIONS.len() - 1]), Framed::Partial);
        assert_eq!(framed(&[OPTIONS, b"OPTIONS"].concat()), Framed::Message(OPTIONS.len()));
        assert_eq!(framed(b"OPTIONS sip:a SIP/2.0\r\n\r\nnext"), Framed::Message(25));
        assert_eq!(framed(b"OPTIONS sip:a SIP/2.0\r\nContent-Length :\r\n 3\r\n\r\nabcd"), Framed::Message(50));
    }

    #[test]
    fn what_cannot_end_is_hopeless() {
        for length in ["18446744073709551615", "99999999999999999999999", "2000000000", "-1", "x", "1\r\nl: 1", "1 1"] {
            let message = format!("OPTIONS sip:a SIP/2.0\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(framed(message.as_bytes()), Framed::Hopeless, "{length}");
        }
        assert_eq!(framed(&[b'x'; MAX_HEAD_BYTES + 1]), Framed::Hopeless);
    }

    #[test]
    fn pings_are_answered_and_their_answers_passed_over() {
        assert_eq!(framed(b"\r\n\r\n"), Framed::KeepAlive(4, true));
        assert_eq!(framed(b"\r"), Framed::Partial);
        assert_eq!(framed(b"\r\nOPTIONS"), Framed::KeepAlive(2, false));
        assert_eq!(framed(b"\nOPTIONS"), Framed::KeepAlive(1, false));
        let mut halves = Framer::new();
        assert_eq!(halves.next(b"\r\n"), Framed::KeepAlive(2, false));
        assert_eq!(halves.next(b"\r\n"), Framed::KeepAlive(2, true));
        assert_eq!(halves.next(b"\r\n"), Framed::KeepAlive(2, false));
        halves.pinged();
        assert_eq!(halves.next(b"\r\n"), Framed::KeepAlive(2, false), "the answer we wait for comes first");
        let mut answered = Framer::new();
        for _ in 0..3 {
            answered.pinged();
            assert_eq!(answered.next(b"\r\n"), Framed::KeepAlive(2, false), "an answer is no half of a ping");
        }
    }

    #[test]
    fn a_stream_of_single_bytes_gives_the_same_messages() {
        let stream = [b"\r\n\r\n", OPTIONS, b"\r\n", OPTIONS].concat();
        let (mut framer, mut buffer, mut found) = (Framer::new(), Vec::new(), Vec::new());
        for byte in stream {
            buffer.push(byte);
            match framer.next(&buffer) {
                Framed::Message(len) => found.push(buffer.drain(..len).collect::<Vec<_>>()),
                Framed::KeepAlive(len, _) => drop(buffer.drain(..len)),
                Framed::Partial => {}
                Framed::Hopeless => panic!("hopeless"),
            }
        }
        assert_eq!(found, [OPTIONS, OPTIONS]);
        assert!(buffer.is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_stand_still(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            match framed(&bytes) {
                Framed::Message(len) | Framed::KeepAlive(len, _) => prop_assert!(len > 0 && len <= bytes.len()),
                Framed::Partial | Framed::Hopeless => {}
            }
        }

        #[test]
        fn framing_and_reading_agree_on_the_length(lines in proptest::collection::vec(
            prop_oneof![Just("l: 3"), Just("Content-Length:"), Just(" 2"), Just("X: y"), Just("\t"), Just("L :1")], 0..5)) {
            let message = format!("OPTIONS sip:a SIP/2.0\n{}\n\nabcdef", lines.join("\n"));
            if let Framed::Message(len) = framed(message.as_bytes())
                && let Ok(Message::Request(request)) = read(&message.as_bytes()[..len])
            {
                let head = message.find("\n\n").unwrap() + 2;
                prop_assert_eq!(head + request.body.len(), len);
            }
        }
    }
}
