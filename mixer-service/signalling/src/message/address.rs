//! An address with a name: From, To, Contact, Route (RFC 3261 section 20.10).

use std::fmt;

use super::params::raw_params;
use super::text::{find_outside, quoted, trim, unquoted, write_quoted};
use super::{Params, Uri};

/// `"name" <uri>;params`, or a bare address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The name in front; never empty.
    pub display: Option<String>,
    /// Whom.
    pub uri: Uri,
    /// Of the header, not of the URI.
    pub params: Params,
}

impl Address {
    /// An address without name and parameters.
    #[must_use]
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::default() }
    }

    /// Reads one address, not a list. `None` where the grammar is broken: quotes or brackets that do not close, space
    /// inside the brackets, a `,` or `?` in an address without brackets, a name without quotes that is more than words.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let parts = Parts::of(value)?;
        let params = Params::of_header(parts.params)?;
        Some(Self { display: parts.display(), uri: Uri::parse(parts.uri)?, params })
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write_quoted(f, display)?;
            f.write_str(" ")?;
        }
        write!(f, "<{}>", self.uri)?;
        self.params.write_header(f)
    }
}

/// The `tag` of a From or To value, without reading the rest of it.
#[must_use]
pub fn tag_in(value: &str) -> Option<&str> {
    let mut params = raw_params(Parts::of(value)?.params)?.flatten();
    params.find(|(name, _)| name.eq_ignore_ascii_case("tag"))?.1.filter(|tag| !tag.is_empty())
}

/// The URI of an address value, exactly as it is written.
#[must_use]
pub fn uri_in(value: &str) -> Option<&str> {
    Parts::of(value).map(|parts| parts.uri)
}

struct Parts<'a> {
    /// Still quoted; empty without a name.
    display: &'a str,
    uri: &'a str,
    /// Empty, or from the semicolon on.
    params: &'a str,
}

impl<'a> Parts<'a> {
    fn of(value: &'a str) -> Option<Self> {
        let value = trim(value);
        let Some(open) = find_outside(value, b'<') else {
            return Self::without_brackets(value);
        };
        let (display, rest) = (trim(&value[..open]), &value[open + 1..]);
        let (uri, params) = rest.split_once('>')?;
        let params = trim(params);
        let follows = params.is_empty() || params.starts_with(';');
        (follows && is_display(display)).then_some(Self { display, uri, params })
    }

    /// RFC 3261 section 20: without brackets all parameters are the header's, and `,` and `?` cannot stand.
    fn without_brackets(value: &'a str) -> Option<Self> {
        let (uri, params) = value.split_at(value.find(';').unwrap_or(value.len()));
        let uri = trim(uri);
        (!uri.contains(['"', ',', '?', '>'])).then_some(Self { display: "", uri, params })
    }

    fn display(&self) -> Option<String> {
        let name = match quoted(self.display) {
            Some((inside, _)) => unquoted(inside),
            None => self.display.to_owned(),
        };
        (!name.is_empty()).then_some(name)
    }
}

/// A quoted string, or words. Telephones leave quotes away around umlauts, brackets and the like, which can be read in
/// one way only; what separates things elsewhere can not (RFC 4475 section 3.1.2.15).
fn is_display(text: &str) -> bool {
    if text.starts_with('"') {
        return quoted(text).is_some_and(|(_, rest)| rest.is_empty());
    }
    !text.contains(['"', '\\', ',', ';', ':', '@', '=', '>', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn names_and_addresses() {
        for (text, display, uri, tag) in [
            ("<sip:a@b>", None, "sip:a@b", None),
            ("sip:a@b;tag=1", None, "sip:a@b", Some("1")),
            ("Anna B. Müller<sip:a@b;x=y> ; Tag = 7", Some("Anna B. Müller"), "sip:a@b;x=y", Some("7")),
            ("\"M, <x>;tag=2 \\\"A\\\"\" <sip:a@b?x=y>;tag=3", Some("M, <x>;tag=2 \"A\""), "sip:a@b?x=y", Some("3")),
            ("\"\" <tel:+49>;tag=", None, "tel:+49", None),
            ("(Büro) O'Neil/2 <sip:b>", Some("(Büro) O'Neil/2"), "sip:b", None),
        ] {
            let address = read(text);
            assert_eq!((address.display.as_deref(), address.tag()), (display, tag), "{text}");
            assert_eq!((address.uri.to_string().as_str(), uri_in(text), tag_in(text)), (uri, Some(uri), tag), "{text}");
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "a",
            "<sip:a@b",
            "sip:a@b>",
            "\"A <sip:a@b>",
            "A\" <sip:a@b>",
            "Bell, A <sip:a@b>",
            "a@b <sip:c@d>",
            "< sip:a@b >",
            "<sip:a@b> c",
            "<sip:a@b>, <sip:c@d>",
            "sip:a@b?x=y",
            "sip:a@b,sip:c@d",
            "<sip:a@b>;;;",
            "<sip:a@b>;tag=1;tag=2",
            "<<sip:a@b>>",
            "\"A\" B <sip:a@b>",
            "<sip:a@b>;tag=\"x",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_header_parameter_is_none_of_the_address() {
        assert_eq!(read("sip:a@b;x=1").to_string(), "<sip:a@b>;x=1");
        assert_eq!(read("<sip:a@b;x=1>").to_string(), "<sip:a@b;x=1>");
    }
}
