//! What a request asks for: `Prefer` headers and OData options. What is not known is refused, as Graph does.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::answer::Refusal;
use crate::zone::zone_by_name;

/// Items on a page when the client does not say, and at most.
const DEFAULT_PAGE: usize = 10;
const MAX_PAGE: usize = 1_000;

/// The `Prefer` headers.
#[derive(Clone, Debug)]
pub(crate) struct Prefer {
    pub(crate) zone_name: String,
    pub(crate) zone: Tz,
    pub(crate) text_body: bool,
    pub(crate) immutable: bool,
    pub(crate) page_size: Option<usize>,
    applied: Vec<String>,
}

impl Prefer {
    /// Reads all of them, in one header or in several.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut prefer = Self {
            zone_name: "UTC".to_owned(),
            zone: Tz::UTC,
            text_body: false,
            immutable: false,
            page_size: None,
            applied: Vec::new(),
        };
        let lines = headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok());
        for one in lines.flat_map(|line| line.split(',')).map(str::trim) {
            let (name, value) = one.split_once('=').unwrap_or((one, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "outlook.timezone" => {
                    let unknown = || Refusal::bad_request(format!("The time zone '{value}' is not supported."));
                    prefer.zone = zone_by_name(value).ok_or_else(unknown)?;
                    prefer.zone_name = value.to_owned();
                }
                "outlook.body-content-type" => prefer.text_body = value.eq_ignore_ascii_case("text"),
                "idtype" => prefer.immutable = value.eq_ignore_ascii_case("ImmutableId"),
                "odata.maxpagesize" => prefer.page_size = value.parse().ok(),
                _ => continue,
            }
            prefer.applied.push(one.to_owned());
        }
        Ok(prefer)
    }

    /// Says which of them were obeyed.
    pub(crate) fn confirm(&self, mut response: Response) -> Response {
        let value = HeaderValue::try_from(self.applied.join(", ")).ok().filter(|_| !self.applied.is_empty());
        if let Some(value) = value {
            response.headers_mut().insert(HeaderName::from_static("preference-applied"), value);
        }
        response
    }
}

/// The OData options of a GET.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) select: Option<Vec<String>>,
    pub(crate) top: Option<usize>,
    pub(crate) skip: usize,
    /// Extended properties to show.
    pub(crate) properties: Vec<String>,
    pub(crate) expand_exceptions: bool,
    pub(crate) filter: Option<String>,
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) to: Option<DateTime<Utc>>,
    pub(crate) skip_token: Option<String>,
    pub(crate) delta_token: Option<String>,
}

impl Options {
    /// Reads them; `allowed` names those that this resource knows.
    pub(crate) fn read(pairs: &[(String, String)], allowed: &[&str]) -> Result<Self, Refusal> {
        let mut options = Self::default();
        for (name, value) in pairs {
            if !allowed.contains(&name.to_ascii_lowercase().as_str()) {
                return Err(Refusal::bad_request(format!("The query option '{name}' is not supported here.")));
            }
            let number = || value.parse::<usize>().map_err(|_| Refusal::bad_request(format!("{name}: no number")));
            match name.to_ascii_lowercase().as_str() {
                "$select" => options.select = Some(value.split(',').map(|field| field.trim().to_owned()).collect()),
                "$top" => options.top = Some(number()?),
                "$skip" => options.skip = number()?,
                "$expand" => options.expand(value)?,
                "$filter" => options.filter = Some(value.clone()),
                "startdatetime" => options.from = Some(time(name, value)?),
                "enddatetime" => options.to = Some(time(name, value)?),
                "$skiptoken" => options.skip_token = Some(value.clone()),
                "$deltatoken" => options.delta_token = Some(value.clone()),
                _ => {}
            }
        }
        Ok(options)
    }

    /// Items on a page.
    pub(crate) fn page_size(&self, prefer: &Prefer) -> usize {
        self.top.or(prefer.page_size).unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE)
    }

    /// The window of a calendar view; both ends are needed.
    pub(crate) fn window(&self) -> Result<(DateTime<Utc>, DateTime<Utc>), Refusal> {
        let missing = "This request requires a time window specified by the query string parameters StartDateTime and EndDateTime.";
        self.from.zip(self.to).ok_or_else(|| Refusal::bad_request(missing))
    }

    fn expand(&mut self, value: &str) -> Result<(), Refusal> {
        for part in outside_parentheses(value) {
            if part.starts_with("singleValueExtendedProperties") {
                self.properties.extend(quoted(part));
            } else if part.starts_with("exceptionOccurrences") {
                self.expand_exceptions = true;
                self.properties.extend(quoted(part));
            } else {
                return Err(Refusal::bad_request(format!("Could not find a property to expand: '{part}'.")));
            }
        }
        Ok(())
    }
}

/// A time without an offset is UTC.
fn time(name: &str, raw: &str) -> Result<DateTime<Utc>, Refusal> {
    // A `+` that was not encoded arrives as a space; Graph refuses it, and so does this.
    crate::zone::local_time(raw, Tz::UTC)
        .map(|time| time.and_utc())
        .ok_or_else(|| Refusal::bad_request(format!("{name}: '{raw}' is no time")))
}

/// Parts between commas that stand outside of any parentheses.
fn outside_parentheses(value: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0_i32, 0, Vec::new());
    for (at, letter) in value.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(value[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[from..].trim());
    parts
}

/// Texts in single quotes; a doubled quote is one.
pub(crate) fn quoted(value: &str) -> Vec<String> {
    let hidden = value.replace("''", "\u{0}");
    hidden.split('\'').skip(1).step_by(2).map(|text| text.replace('\u{0}', "'")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graph_r1_expand_names_properties_and_exceptions() {
        let pairs = [(
            "$expand".to_owned(),
            "singleValueExtendedProperties($filter=id eq 'A, b' or id eq 'C'),exceptionOccurrences".to_owned(),
        )];
        let options = Options::read(&pairs, &["$expand"]).unwrap();
        assert_eq!(options.properties, ["A, b", "C"]);
        assert!(options.expand_exceptions);
    }

    #[test]
    fn graph_r1_unknown_options_are_refused() {
        let pairs = [("$serach".to_owned(), "x".to_owned())];
        assert!(Options::read(&pairs, &["$select"]).is_err());
    }

    #[test]
    fn graph_r1_preferences_come_in_one_header_or_in_several() {
        let mut headers = HeaderMap::new();
        headers.append(
            "prefer",
            HeaderValue::from_static("outlook.timezone=\"W. Europe Standard Time\", IdType=\"ImmutableId\""),
        );
        headers.append("prefer", HeaderValue::from_static("outlook.body-content-type=\"text\""));
        let prefer = Prefer::read(&headers).unwrap();
        assert_eq!(prefer.zone, chrono_tz::Europe::Berlin);
        assert!(prefer.immutable && prefer.text_body);
        headers.append("prefer", HeaderValue::from_static("outlook.timezone=\"Middle Earth Standard Time\""));
        assert!(Prefer::read(&headers).is_err());
    }
}
