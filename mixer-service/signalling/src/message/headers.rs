//! The headers of a message, and what all messages tell in them.

use std::fmt;

use super::text::{clamped, number, split_list, trim};
use super::{Address, Method, Name, Via, tag_in};

/// Most header lines of one message.
pub const MAX_HEADERS: usize = 256;
/// CSeq numbers stay below it (RFC 3261 section 8.1.1.5).
pub const CSEQ_LIMIT: u32 = 1 << 31;
/// Longest time in seconds that a header can name; a longer one counts as this one (RFC 3261 section 20.19: 2³²−1).
pub const EXPIRES_LIMIT: u32 = u32::MAX;

/// Headers in their order. Values are one line, trimmed, UTF-8. `Debug` shows names alone: values hold numbers and
/// proofs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Name, String)>);

impl Headers {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of the first line of that name.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&str> {
        self.all(name).next()
    }

    /// The value of the only line of that name; `None` also where there are several.
    #[must_use]
    pub fn only(&self, name: &Name) -> Option<&str> {
        let mut lines = self.all(name);
        lines.next().filter(|_| lines.next().is_none())
    }

    /// The values of all lines of that name.
    pub fn all<'a>(&'a self, name: &Name) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The parts of all lines of that name, comma lists split outside quotes and brackets. Not for headers in which a
    /// comma separates nothing (Date, Authorization).
    pub fn list<'a>(&'a self, name: &Name) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(split_list)
    }

    /// Whether a list holds a token, whatever its case: `headers.lists(&Name::Supported, "timer")`.
    #[must_use]
    pub fn lists(&self, name: &Name, token: &str) -> bool {
        self.list(name).any(|part| part.eq_ignore_ascii_case(token))
    }

    /// How many lines have that name.
    #[must_use]
    pub fn count(&self, name: &Name) -> usize {
        self.all(name).count()
    }

    /// Adds a line at the end. Line ends in the value become spaces: no value can begin a header of its own.
    pub fn push(&mut self, name: Name, value: impl Into<String>) {
        self.0.push((name, one_line(value.into())));
    }

    /// Adds a line in front of all others: a Via or a Route on top.
    pub fn push_front(&mut self, name: Name, value: impl Into<String>) {
        self.0.insert(0, (name, one_line(value.into())));
    }

    /// Makes this the only line of that name, in the place of the first one.
    pub fn set(&mut self, name: Name, value: impl Into<String>) {
        let at = self.0.iter().position(|(other, _)| *other == name);
        self.remove(&name);
        let at = at.unwrap_or(self.0.len());
        self.0.insert(at, (name, one_line(value.into())));
    }

    /// Replaces the first part of the first line of that name: the topmost Via.
    pub fn replace_first(&mut self, name: &Name, part: &str) {
        let Some((_, value)) = self.0.iter_mut().find(|(other, _)| other == name) else {
            return;
        };
        let mut whole = part.to_owned();
        for rest in split_list(value).skip(1) {
            whole.push_str(", ");
            whole.push_str(rest);
        }
        *value = one_line(whole);
    }

    /// Takes all lines of that name away.
    pub fn remove(&mut self, name: &Name) {
        self.0.retain(|(other, _)| other != name);
    }

    /// Every line.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &str)> {
        self.0.iter().map(|(name, value)| (name, value.as_str()))
    }

    /// How many lines there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The topmost Via; `None` if it is missing or malformed.
    #[must_use]
    pub fn top_via(&self) -> Option<Via> {
        Via::parse(self.list(&Name::Via).next()?)
    }

    /// Call-ID, to the letter.
    #[must_use]
    pub fn call_id(&self) -> Option<&str> {
        self.get(&Name::CallId)
    }

    /// Number, below [`CSEQ_LIMIT`], and method of CSeq.
    #[must_use]
    pub fn cseq(&self) -> Option<(u32, Method)> {
        let (digits, method) = self.get(&Name::CSeq)?.split_once([' ', '\t'])?;
        let number = number(digits).filter(|number| *number < CSEQ_LIMIT)?;
        Some((number, Method::from(trim(method))))
    }

    /// From; `None` if it is missing or malformed.
    #[must_use]
    pub fn from(&self) -> Option<Address> {
        Address::parse(self.get(&Name::From)?)
    }

    /// To; `None` if it is missing or malformed.
    #[must_use]
    pub fn to(&self) -> Option<Address> {
        Address::parse(self.get(&Name::To)?)
    }

    /// The caller's tag of a request, ours of a request that we sent.
    #[must_use]
    pub fn from_tag(&self) -> Option<&str> {
        tag_in(self.get(&Name::From)?)
    }

    /// The tag of the one that is asked; none outside a dialog.
    #[must_use]
    pub fn to_tag(&self) -> Option<&str> {
        tag_in(self.get(&Name::To)?)
    }

    /// The first Contact that can be read.
    #[must_use]
    pub fn contact(&self) -> Option<Address> {
        self.list(&Name::Contact).find_map(Address::parse)
    }

    /// Hops left, 0 to 255; `None` if it is missing or malformed.
    #[must_use]
    pub fn max_forwards(&self) -> Option<u8> {
        number(self.get(&Name::MaxForwards)?).and_then(|hops| u8::try_from(hops).ok())
    }

    /// Seconds that a header names before its first `;` or comment (Expires, Min-Expires, Session-Expires, Min-SE,
    /// Retry-After), at most [`EXPIRES_LIMIT`].
    #[must_use]
    pub fn seconds(&self, name: &Name) -> Option<u32> {
        let digits = self.get(name)?.split([';', '(', ' ']).next()?;
        clamped(trim(digits), EXPIRES_LIMIT)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name.as_str())).finish()
    }
}

fn one_line(value: String) -> String {
    if value.contains(['\r', '\n']) { value.replace(['\r', '\n'], " ") } else { value }
}

#[cfg(test)]
impl Headers {
    /// These lines, for a test.
    pub(crate) fn of<N: Clone + Into<Name>>(lines: &[(N, &str)]) -> Self {
        let mut headers = Self::new();
        lines.iter().for_each(|(name, value)| headers.push(name.clone().into(), *value));
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lists_and_places() {
        let mut headers = Headers::of(&[("v", "a, b"), ("Subject", "x"), ("VIA", "c"), ("k", "timer,\t100REL")]);
        assert_eq!(headers.list(&Name::Via).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(
            (headers.get(&Name::Via), headers.count(&Name::Via), headers.only(&Name::Via)),
            (Some("a, b"), 2, None)
        );
        assert!(headers.lists(&Name::Supported, "100rel") && !headers.lists(&Name::Supported, "100"));
        headers.replace_first(&Name::Via, "A");
        headers.push_front(Name::Via, "z");
        assert_eq!(headers.list(&Name::Via).collect::<Vec<_>>(), ["z", "A", "b", "c"]);
        headers.set(Name::Via, "1");
        headers.set(Name::Route, "2");
        let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Via", "Subject", "Supported", "Route"]);
    }

    #[test]
    fn no_value_begins_a_header_of_its_own() {
        let mut headers = Headers::of(&[("Subject", "a\r\nP-Asserted-Identity: <tel:1>")]);
        headers.set(Name::Reason, "x\ny");
        headers.replace_first(&Name::Reason, "z\rw");
        assert!(headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])));
    }

    #[test]
    fn numbers_keep_to_their_range() {
        for (value, read) in [
            ("1 INVITE", Some((1, Method::Invite))),
            ("0009\t  INVITE", Some((9, Method::Invite))),
            ("2147483647 X", Some((CSEQ_LIMIT - 1, Method::Other("X".into())))),
            ("2147483648 INVITE", None),
            ("-1 INVITE", None),
            ("1", None),
            ("1INVITE", None),
        ] {
            assert_eq!(Headers::of(&[("CSeq", value)]).cseq(), read, "{value}");
        }
        for (value, hops) in [("0068", Some(68)), ("255", Some(255)), ("256", None), ("-1", None), ("70 70", None)] {
            assert_eq!(Headers::of(&[("max-forwards", value)]).max_forwards(), hops, "{value}");
        }
        for (value, seconds) in [
            ("1800;refresher=uac", Some(1800)),
            ("18 (a pause)", Some(18)),
            ("99999999999999999999", Some(EXPIRES_LIMIT)),
            ("soon", None),
        ] {
            assert_eq!(Headers::of(&[("x", value)]).seconds(&Name::SessionExpires), seconds, "{value}");
        }
    }

    #[test]
    fn values_stay_out_of_logs() {
        let headers = Headers::of(&[("Authorization", "Digest response=\"secret\""), ("X-Odd", "secret")]);
        assert_eq!(format!("{headers:?}"), "[\"Authorization\", \"X-Odd\"]");
    }
}
