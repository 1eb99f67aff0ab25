//! The lines of a session description (RFC 8866), borrowed and sorted to their place.
//!
//! Own code, because telephones write what a strict reader refuses as a whole: a session name in Latin-1, a `t=`
//! without a number, lines out of order. Only lines that matter here are looked at; any other may say what it likes.

/// More media lines than any telephone has; a longer description is unreadable.
const MAX_LINES: usize = 16;
/// Attributes of a whole description: a browser with many addresses writes about a hundred.
const MAX_ATTRIBUTES: usize = 512;
/// Longest media name, protocol or first format that an answer repeats.
const MAX_TOKEN_LEN: usize = 32;

/// A description as far as sound needs it.
#[derive(Debug, Default)]
pub(super) struct Description<'a> {
    /// `c=` of the session, all after the sign.
    connection: Option<&'a str>,
    attributes: Vec<(&'a str, &'a str)>,
    /// Its media lines, in order.
    pub(super) lines: Vec<Line<'a>>,
}

/// A media line with what belongs to it.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// `audio`, `video` …
    pub(super) media: &'a str,
    /// Zero where it is refused or ended.
    pub(super) port: u16,
    /// `RTP/AVP` …
    pub(super) proto: &'a str,
    /// Payload types or whatever the protocol has, separated by spaces; at least one.
    pub(super) formats: &'a str,
    connection: Option<&'a str>,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Description<'a> {
    /// Reads a description; `None` if it is none, or too long.
    pub(super) fn read(sdp: &'a [u8]) -> Option<Self> {
        let mut lines = sdp.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        if lines.next() != Some(b"v=0") {
            return None;
        }
        let mut read = Self::default();
        let mut attributes = 0;
        for line in lines {
            let &[kind, b'=', ref value @ ..] = line else { continue };
            // A text in an old code page is nobody's address; a media line in one cannot be answered.
            let Ok(value) = std::str::from_utf8(value) else {
                if kind == b'm' {
                    return None;
                }
                continue;
            };
            match kind {
                b'm' if read.lines.len() == MAX_LINES => return None,
                b'm' => read.lines.push(Line::read(value)?),
                b'c' => {
                    read.connection_mut().get_or_insert(value.trim());
                }
                b'a' if attributes == MAX_ATTRIBUTES => return None,
                b'a' => {
                    attributes += 1;
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    read.attributes_mut().push((name.trim(), value.trim()));
                }
                _ => {}
            }
        }
        Some(read)
    }

    /// The connection that counts for a line: its own before the session's.
    pub(super) fn connection(&self, line: &Line<'a>) -> Option<&'a str> {
        line.connection.or(self.connection)
    }

    /// An attribute of the line, or else of the session.
    pub(super) fn find<T>(&self, line: &Line<'a>, wanted: impl Fn(&'a str, &'a str) -> Option<T>) -> Option<T> {
        let find = |attributes: &[(&'a str, &'a str)]| attributes.iter().find_map(|&(name, value)| wanted(name, value));
        find(&line.attributes).or_else(|| find(&self.attributes))
    }

    fn connection_mut(&mut self) -> &mut Option<&'a str> {
        self.lines.last_mut().map_or(&mut self.connection, |line| &mut line.connection)
    }

    fn attributes_mut(&mut self) -> &mut Vec<(&'a str, &'a str)> {
        self.lines.last_mut().map_or(&mut self.attributes, |line| &mut line.attributes)
    }
}

impl<'a> Line<'a> {
    fn read(value: &'a str) -> Option<Self> {
        let mut words = value.trim().splitn(4, ' ');
        let (media, port, proto) = (words.next()?, words.next()?, words.next()?);
        let formats = words.next()?.trim();
        // `4000/2` would be two ports of a layered stream; the first is the one that we know.
        let port = port.split_once('/').map_or(port, |(first, _)| first).parse().ok()?;
        let line = Self { media, port, proto, formats, connection: None, attributes: Vec::new() };
        [media, proto, line.first_format()].into_iter().all(is_repeatable).then_some(line)
    }

    /// Values of all attributes of this name, in order.
    pub(super) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a str> + 's {
        self.attributes.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|&(_, value)| value)
    }

    /// The first of the formats: enough of them where a line is refused (RFC 3264 section 6).
    pub(super) fn first_format(&self) -> &'a str {
        self.formats.split_ascii_whitespace().next().unwrap_or_default()
    }
}

fn is_repeatable(token: &str) -> bool {
    (1..=MAX_TOKEN_LEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}
