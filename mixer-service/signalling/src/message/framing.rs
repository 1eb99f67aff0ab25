//! Where a message ends in a stream (RFC 3261 section 18.3), and keep-alives between messages (RFC 5626 section 4.4.1).

use super::read::{MAX_BODY_BYTES, MAX_HEAD_BYTES, head_end, stated_length};
use super::text::{text_of, trim};
use super::{Fault, Name};

/// What asks whether we are alive.
pub const PING: &[u8] = b"\r\n\r\n";
/// What says so.
pub const PONG: &[u8] = b"\r\n";

/// What the beginning of a stream's buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A message of so many bytes.
    Message(usize),
    /// A keep-alive of so many bytes, and whether it wants an answer ([`PONG`]).
    KeepAlive(usize, bool),
    /// Not whole yet. It never waits for more than [`MAX_HEAD_BYTES`] and [`MAX_BODY_BYTES`] together.
    Partial,
    /// Nothing that could become a message: the stream has to be closed. [`super::read`] may still find somebody to answer.
    Hopeless,
}

/// Looks at the beginning of what a stream has brought.
#[must_use]
pub fn framed(buffer: &[u8]) -> Framed {
    if buffer.starts_with(PING) {
        return Framed::KeepAlive(PING.len(), true);
    }
    if buffer.first().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        // A lone line end may be the first half of a ping.
        let rest_of_ping = PING.starts_with(buffer);
        return if rest_of_ping { Framed::Partial } else { Framed::KeepAlive(1, false) };
    }
    let Some(head) = head_end(buffer) else {
        return if buffer.len() > MAX_HEAD_BYTES { Framed::Hopeless } else { Framed::Partial };
    };
    match content_length(&buffer[..head]) {
        Ok(length) => match length.unwrap_or(0) {
            length if head > MAX_HEAD_BYTES || length > MAX_BODY_BYTES => Framed::Hopeless,
            length if buffer.len() < head + length => Framed::Partial,
            length => Framed::Message(head + length),
        },
        Err(_) => Framed::Hopeless,
    }
}

fn content_length(head: &[u8]) -> Result<Option<usize>, Fault> {
    let head = text_of(head);
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let values = lines.filter(|(name, _)| Name::from(trim(name)) == Name::ContentLength).map(|(_, value)| trim(value));
    stated_length(values)
}
