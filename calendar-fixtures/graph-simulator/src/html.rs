//! What Exchange makes of a body's HTML on saving (R5). How close this comes nobody documents; the point is that what was
//! written is never what is read.
//!
//! Level 0 keeps it; 1 wraps it and ends lines with CRLF; 2 also drops comments and scripts, sorts attributes and prefixes
//! ids and classes with `x_`; 3 also writes everything beyond ASCII as a numeric entity.

/// The body as it is kept.
pub(crate) fn saved(html: &str, level: u8) -> String {
    if level == 0 {
        return html.to_owned();
    }
    let lines = html.replace("\r\n", "\n").replace('\n', "\r\n");
    let tidy = if level >= 2 { rewritten(&lines) } else { lines };
    let tidy = if level >= 3 { ascii(&tidy) } else { tidy };
    if tidy.trim_start().to_ascii_lowercase().starts_with("<html") {
        return tidy;
    }
    let head = "<html><head>\r\n<meta content=\"text/html; charset=utf-8\" http-equiv=\"Content-Type\">";
    format!("{head}</head>\r\n<body>\r\n{tidy}\r\n</body>\r\n</html>\r\n")
}

fn rewritten(html: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(html.len()), html);
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        if rest.get(..7).is_some_and(|tag| tag.eq_ignore_ascii_case("<script")) {
            let end = rest.to_ascii_lowercase().find("</script>");
            rest = end.map_or("", |end| &rest[end + 9..]);
            continue;
        }
        let Some(end) = rest.find('>') else { break };
        out.push_str(&tag(&rest[1..end]));
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

/// One tag with its attributes in order, each in double quotes.
fn tag(inner: &str) -> String {
    let (name, rest) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
    let mut attributes = attributes(rest);
    attributes.sort();
    attributes.iter().fold(format!("<{name}"), |tag, (name, value)| format!("{tag} {name}=\"{value}\"")) + ">"
}

fn attributes(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text.trim().trim_end_matches('/'));
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, remaining) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or_else(|| (&after[1..], "")),
            Some(_) | None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        let name = name.trim().to_ascii_lowercase();
        let own = matches!(name.as_str(), "id" | "class") && !value.starts_with("x_");
        found.push((name, if own { format!("x_{value}") } else { value.to_owned() }));
        rest = remaining.trim();
    }
    found
}

fn ascii(html: &str) -> String {
    let letter = |c: char| if c.is_ascii() { c.to_string() } else { format!("&#{};", u32::from(c)) };
    html.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graph_r5_what_is_read_is_not_what_was_written() {
        let html = "<p title=\"b\" class='a'>Gr\u{fc}\u{df}e<!-- x --><script>alert(1)</script></p>\n<div id=\"dialroom-block\">1 &lt; 2</div>";
        let level_2 = saved(html, 2);
        assert!(
            level_2.contains(
                "<p class=\"x_a\" title=\"b\">Gr\u{fc}\u{df}e</p>\r\n<div id=\"x_dialroom-block\">1 &lt; 2</div>"
            ),
            "{level_2}"
        );
        assert!(
            saved(html, 3).contains("Gr&#252;&#223;e")
                && saved(html, 0) == html
                && saved(html, 1).contains(html.split('\n').next().unwrap())
        );
        assert_eq!(saved(&level_2, 2), level_2, "saved once more, nothing moves");
    }
}
