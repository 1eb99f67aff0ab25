//! From `ical`'s properties to content lines (RFC 5545 section 3.1): escaping, quoting, folding.
//!
//! A property holds its value as it stands on the wire, as `ical`'s parser gives it: TEXT is escaped before, a URI is
//! not. Parameters are held plain and quoted here.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use ical::parser::ical::component::{IcalCalendar, IcalEvent, IcalTimeZone, IcalTimeZoneTransitionType};
use ical::property::Property;

/// Longest line in octets, without its CRLF (RFC 5545 section 3.1).
pub(super) const MAX_LINE_LEN: usize = 75;

/// A property whose value is ready for the wire.
pub(super) fn property(name: &str, params: &[(&str, &str)], value: &str) -> Property {
    let params: Vec<_> = params.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect();
    Property {
        name: name.to_owned(),
        params: (!params.is_empty()).then_some(params),
        value: (!value.is_empty()).then(|| value.to_owned()),
    }
}

/// A property whose value is a URI: no backslash escapes (RFC 5545 section 3.3.13), and no character a URI cannot hold.
pub(super) fn uri_property(name: &str, params: &[(&str, &str)], uri: &str) -> Property {
    let uri: String = uri.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    property(name, params, &uri)
}

/// An instant, written in a zone or in UTC (RFC 5545 section 3.3.5).
pub(super) struct Stamp(pub(super) DateTime<Utc>, pub(super) Option<Tz>);

impl Stamp {
    pub(super) fn utc(instant: DateTime<Utc>) -> String {
        instant.format("%Y%m%dT%H%M%SZ").to_string()
    }

    pub(super) fn property(&self, name: &str) -> Property {
        match self.1 {
            None => property(name, &[], &Self::utc(self.0)),
            Some(tz) => {
                let local = self.0.with_timezone(&tz).format("%Y%m%dT%H%M%S").to_string();
                property(name, &[("TZID", tz.name())], &local)
            }
        }
    }
}

/// Escapes a TEXT value (RFC 5545 section 3.3.11). Every kind of line break becomes `\n`; other control characters are
/// not allowed in iCalendar and are left out.
pub(super) fn escape_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in clean(text) {
        match c {
            '\n' => out.push_str("\\n"),
            '\\' | ';' | ',' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// The characters that may stand in a value. What some reader takes for a line break (CR, vertical tab, form feed, NEL,
/// U+2028, U+2029) becomes `\n`; a tab stays.
pub(super) fn clean(text: &str) -> impl Iterator<Item = char> {
    let mut chars = text.chars().peekable();
    std::iter::from_fn(move || {
        loop {
            return match chars.next()? {
                '\r' => {
                    chars.next_if_eq(&'\n');
                    Some('\n')
                }
                '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
                '\t' => Some('\t'),
                c if c.is_control() || c == '\u{feff}' => continue,
                c => Some(c),
            };
        }
    })
}

/// Quotes a parameter value: `^` escapes of RFC 6868, then double quotes where RFC 5545 section 3.2 asks for them.
fn quote_parameter(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    for c in clean(value) {
        match c {
            '\n' => out.push_str("^n"),
            '^' => out.push_str("^^"),
            '"' => out.push_str("^'"),
            _ => out.push(c),
        }
    }
    // `ical` loses an empty value and trims spaces at folds; quotes keep both, and no reader minds them.
    if out.is_empty() || out.contains([':', ';', ',', ' ', '\t']) { format!("\"{out}\"") } else { out }
}

/// Writes the calendar, components in the order that readers expect: zones before the events that use them.
pub(super) fn write_calendar(calendar: &IcalCalendar) -> String {
    let mut out = String::new();
    component(&mut out, "VCALENDAR", |out| {
        calendar.properties.iter().for_each(|property| content_line(out, property));
        calendar.timezones.iter().for_each(|zone| time_zone(out, zone));
        calendar.events.iter().for_each(|event| vevent(out, event));
    });
    out
}

fn time_zone(out: &mut String, zone: &IcalTimeZone) {
    component(out, "VTIMEZONE", |out| {
        zone.properties.iter().for_each(|property| content_line(out, property));
        for observance in &zone.transitions {
            let name = match observance.transition {
                IcalTimeZoneTransitionType::STANDARD => "STANDARD",
                IcalTimeZoneTransitionType::DAYLIGHT => "DAYLIGHT",
            };
            component(out, name, |out| observance.properties.iter().for_each(|property| content_line(out, property)));
        }
    });
}

fn vevent(out: &mut String, event: &IcalEvent) {
    component(out, "VEVENT", |out| event.properties.iter().for_each(|property| content_line(out, property)));
}

fn component(out: &mut String, name: &str, inside: impl FnOnce(&mut String)) {
    out.push_str(&format!("BEGIN:{name}\r\n"));
    inside(out);
    out.push_str(&format!("END:{name}\r\n"));
}

fn content_line(out: &mut String, property: &Property) {
    let mut line = property.name.clone();
    for (key, values) in property.params.iter().flatten() {
        line.push(';');
        line.push_str(key);
        line.push('=');
        let values: Vec<_> = values.iter().map(|value| quote_parameter(value)).collect();
        line.push_str(&values.join(","));
    }
    line.push(':');
    line.push_str(property.value.as_deref().unwrap_or_default());
    fold(out, &line);
}

/// Cuts a line into pieces of at most [`MAX_LINE_LEN`] octets, never inside a character; each later piece begins with
/// the space that the reader drops.
pub(super) fn fold(out: &mut String, line: &str) {
    let mut len = 0;
    for c in line.chars() {
        if len + c.len_utf8() > MAX_LINE_LEN {
            out.push_str("\r\n ");
            len = 1;
        }
        out.push(c);
        len += c.len_utf8();
    }
    out.push_str("\r\n");
}
