//! An event's body as plain text: modest, bounded, in one pass.
//!
//! Exchange writes HTML of its own making; what counts here is that the organizer's words survive, in lines, and that no
//! body, however broken, costs more than its length.

/// Longest text kept of a body, in characters; an invitation is no place for more.
pub(crate) const MAX_TEXT_CHARS: usize = 16_000;
/// Longest entity looked for between `&` and `;`.
const MAX_ENTITY_LEN: usize = 10;

/// The text of an HTML body: elements that start a line start one, scripts and styles are left out, entities resolved.
pub(crate) fn html_to_text(html: &str) -> String {
    let mut text = Text::default();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        text.push_flow(&rest[..open]);
        let tag = &rest[open..];
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let name: String = tag[1..].chars().take(12).take_while(|c| c.is_ascii_alphanumeric() || *c == '/').collect();
        let name = name.to_ascii_lowercase();
        if !tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!' || c == '?') {
            text.push_flow("<");
            rest = &tag[1..];
            continue;
        }
        let after = tag.find('>').map_or("", |end| &tag[end + 1..]);
        rest = match name.as_str() {
            "script" | "style" | "title" => skip_past(after, &format!("</{name}")),
            _ => after,
        };
        text.tag(&name);
        if text.is_full() {
            break;
        }
    }
    if !text.is_full() {
        text.push_flow(rest);
    }
    text.finish()
}

/// A plain text with its line ends made `\n`, bounded.
pub(crate) fn plain_text(text: &str) -> String {
    let mut out: String = text.replace("\r\n", "\n").replace('\r', "\n");
    out.retain(|c| c == '\n' || c == '\t' || !c.is_control());
    out.trim().chars().take(MAX_TEXT_CHARS).collect()
}

fn skip_past<'a>(html: &'a str, end: &str) -> &'a str {
    let found = html.as_bytes().windows(end.len()).position(|part| part.eq_ignore_ascii_case(end.as_bytes()));
    found.map_or("", |at| &html[at..])
}

/// Text as it grows: spaces run together, at most one empty line in a row.
#[derive(Default)]
struct Text {
    out: String,
    chars: usize,
    space_due: bool,
    breaks_due: usize,
}

impl Text {
    fn is_full(&self) -> bool {
        self.chars >= MAX_TEXT_CHARS
    }

    fn tag(&mut self, name: &str) {
        match name {
            "br" | "br/" => self.breaks_due += 1,
            "p" | "/p" | "/table" | "ul" | "/ul" | "ol" | "/ol" => self.breaks_due = self.breaks_due.max(2),
            "div" | "/div" | "li" | "tr" | "/tr" | "h1" | "/h1" | "h2" | "/h2" | "h3" | "/h3" | "hr" | "blockquote" => {
                self.breaks_due = self.breaks_due.max(1);
            }
            "td" | "/td" | "th" | "/th" => self.space_due = true,
            _ => {}
        }
        if name == "li" {
            self.push('-');
            self.space_due = true;
        }
    }

    fn push_flow(&mut self, flow: &str) {
        let mut rest = flow;
        while let Some(c) = rest.chars().next() {
            if self.is_full() {
                return;
            }
            let (c, len) = if c == '&' { entity(rest) } else { (c, c.len_utf8()) };
            rest = &rest[len..];
            if c.is_whitespace() {
                self.space_due = true;
            } else if !c.is_control() {
                self.push(c);
            }
        }
    }

    fn push(&mut self, c: char) {
        if self.breaks_due > 0 && !self.out.is_empty() {
            self.out.push_str(if self.breaks_due > 1 { "\n\n" } else { "\n" });
        } else if self.space_due && !self.out.is_empty() {
            self.out.push(' ');
        }
        (self.breaks_due, self.space_due) = (0, false);
        self.out.push(c);
        self.chars += 1;
    }

    fn finish(self) -> String {
        self.out
    }
}

/// The character that a text beginning with `&` means, and how many bytes it takes; `&` itself where it means nothing.
fn entity(text: &str) -> (char, usize) {
    let window = &text.as_bytes()[1..text.len().min(MAX_ENTITY_LEN + 2)];
    let Some(len) = window.iter().position(|byte| *byte == b';') else { return ('&', 1) };
    let name = text.get(1..=len).unwrap_or_default();
    let found = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => number.parse().ok(),
            };
            code.and_then(char::from_u32)
        }
        None => NAMED.iter().find(|(known, _)| *known == name).map(|(_, c)| *c),
    };
    found.map_or(('&', 1), |c| (c, len + 2))
}

/// What Exchange writes by name; everything else comes as it is or by number.
const NAMED: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("eacute", 'é'),
    ("egrave", 'è'),
    ("agrave", 'à'),
    ("ccedil", 'ç'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("hellip", '…'),
    ("bdquo", '„'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("euro", '€'),
    ("bull", '•'),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_survive_in_lines() {
        let html = "<html><head><style>p {x:y}</style></head><body><!-- a > b --><p>Gr&uuml;&szlig;e,\r\n  Anna</p>\
                    <div>Agenda:<br>1 &lt; 2</div><ul><li>Budget</li><li>Rest</li></ul>&nbsp;</body></html>";
        assert_eq!(html_to_text(html), "Grüße, Anna\n\nAgenda:\n1 < 2\n\n- Budget\n- Rest");
    }

    #[test]
    fn broken_markup_is_text_or_nothing() {
        assert_eq!(html_to_text("a < b & c &unknown; &#x110000; <b"), "a < b & c &unknown; &#x110000;");
        assert_eq!(html_to_text("<script>alert(1)"), "");
    }

    #[test]
    fn a_huge_body_is_cut() {
        assert_eq!(html_to_text(&"<p>word</p>".repeat(100_000)).replace('\n', "").len(), MAX_TEXT_CHARS);
        assert_eq!(plain_text(&"ö".repeat(100_000)).chars().count(), MAX_TEXT_CHARS);
    }

    proptest! {
        #[test]
        fn anything_is_survived(html in "([<>&;/!#a-zü\\- \\r\\n]|<p>|<!--|&#[0-9]{1,7};|<style>){0,60}") {
            let text = html_to_text(&html);
            prop_assert!(text.chars().count() <= html.chars().count() * 2 + 2);
        }
    }
}
