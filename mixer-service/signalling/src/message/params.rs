//! Parameters: `;name=value` behind a header's value or inside a URI.

use std::fmt::{self, Write};

use super::text::{
    is_token, is_token_byte, quoted, split_outside, trim, unescaped, unquoted, write_escaped, write_quoted,
};

/// Most parameters of one value; a value with more is malformed.
pub const MAX_PARAMS: usize = 64;

/// Parameters in their order, values without quotes and escapes. Names compare without case; none stands twice
/// (RFC 3261 sections 7.3.1 and 19.1.1), since two readers could take either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// The value of a parameter; empty for one without a value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(|(_, value)| value.as_deref().unwrap_or_default())
    }

    /// Whether the parameter is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Sets a parameter, in its place if it is there already.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(str::to_owned);
        match self.0.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Takes a parameter away, and gives it.
    pub fn remove(&mut self, name: &str) -> Option<Option<String>> {
        let at = self.0.iter().position(|(other, _)| other.eq_ignore_ascii_case(name))?;
        Some(self.0.remove(at).1)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, name: &str) -> Option<&(String, Option<String>)> {
        self.0.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// False if it would stand twice or is one too many.
    fn add(&mut self, name: String, value: Option<String>) -> bool {
        let fits = self.0.len() < MAX_PARAMS && !self.has(&name);
        if fits {
            self.0.push((name, value));
        }
        fits
    }

    /// Reads a header's parameters; `text` is empty or begins with `;`. `None` if any of them is malformed.
    pub(super) fn of_header(text: &str) -> Option<Self> {
        let mut params = Self::default();
        for param in raw_params(text)? {
            let (name, value) = param?;
            let value = match value {
                Some(value) => Some(header_value(value)?),
                None => None,
            };
            if !params.add(name.to_owned(), value) {
                return None;
            }
        }
        Some(params)
    }

    /// Reads a URI's parameters; `text` is empty or what follows the first `;`.
    pub(super) fn of_uri(text: &str) -> Option<Self> {
        let mut params = Self::default();
        for param in text.split(';').filter(|param| !param.is_empty()) {
            let (name, value) = param.split_once('=').map_or((param, None), |(name, value)| (name, Some(value)));
            if name.is_empty() || !params.add(unescaped(name), value.map(unescaped)) {
                return None;
            }
        }
        Some(params)
    }

    pub(super) fn write_header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            write!(f, ";{name}")?;
            match value {
                Some(value) if is_plain(value) => write!(f, "={value}")?,
                Some(value) => {
                    f.write_char('=')?;
                    write_quoted(f, value)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    pub(super) fn write_uri(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALLOWED: &[u8] = b"[]/:&+$";
        for (name, value) in &self.0 {
            f.write_char(';')?;
            write_escaped(f, name, ALLOWED)?;
            if let Some(value) = value {
                f.write_char('=')?;
                write_escaped(f, value, ALLOWED)?;
            }
        }
        Ok(())
    }
}

/// The parameters of a header as they are written: `None` in it is a malformed one, `None` instead of it a text that
/// holds no parameters at all. One empty parameter at the end is a habit of some telephones and is passed over.
pub(super) fn raw_params(text: &str) -> Option<impl Iterator<Item = Option<(&str, Option<&str>)>>> {
    let text = trim(text);
    let text = if text.is_empty() { text } else { text.strip_prefix(';')? };
    let text = trim(text.strip_suffix(';').unwrap_or(text));
    let parts = (!text.is_empty()).then(|| split_outside(text, b';'));
    Some(parts.into_iter().flatten().map(raw_param))
}

fn raw_param(text: &str) -> Option<(&str, Option<&str>)> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(trim(value))));
    let name = trim(name);
    is_token(name).then_some((name, value))
}

fn header_value(value: &str) -> Option<String> {
    if value.starts_with('"') {
        let (inside, rest) = quoted(value)?;
        return rest.is_empty().then(|| unquoted(inside));
    }
    (!value.contains(|c: char| super::text::is_space(c) || c == '"')).then(|| value.to_owned())
}

/// Whether a value needs no quotes: a token or a host (RFC 3261 section 25.1, `gen-value`).
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| is_token_byte(byte) || matches!(byte, b'[' | b']' | b':' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lose_their_quotes_and_spaces() {
        let params = Params::of_header(" ;  tag = 98;lr;text=\"a;\\\"b\\\"\" ; x=[::1]").unwrap();
        assert_eq!(params.get("TAG"), Some("98"));
        assert_eq!(params.get("lr"), Some(""));
        assert_eq!(params.get("text"), Some("a;\"b\""));
        assert_eq!(params.get("x"), Some("[::1]"));
        assert_eq!(params.get("y"), None);
    }

    #[test]
    fn malformed_parameters_spoil_the_value() {
        for text in
            [";;a", ";;;;", ";a;;b", "a", ";a=\"b", ";a=\"b\"c", ";tag=1;TAG=2", ";=x", ";a b", ";a=b c", ";a@=1"]
        {
            assert_eq!(Params::of_header(text), None, "{text}");
        }
        assert_eq!(Params::of_header(";a;").unwrap().iter().count(), 1);
    }

    #[test]
    fn parameters_have_a_bound() {
        let text = |count: usize| (0..count).map(|n| format!(";p{n}")).collect::<String>();
        assert!(Params::of_header(&text(MAX_PARAMS)).is_some());
        assert!(Params::of_header(&text(MAX_PARAMS + 1)).is_none());
    }
}
