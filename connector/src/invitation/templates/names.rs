//! Which names a template uses, and on which line: `tera` itself notices an unknown one only when it comes by it.

use std::collections::BTreeSet;

use super::TemplateProblem;

/// Words of the template language.
const KEYWORDS: [&str; 28] = [
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "in",
    "endfor",
    "break",
    "continue",
    "set",
    "block",
    "endblock",
    "extends",
    "include",
    "ignore",
    "missing",
    "filter",
    "endfilter",
    "raw",
    "endraw",
    "and",
    "or",
    "not",
    "is",
    "true",
    "false",
    "loop",
    "as",
];

/// Every name outside `allowed`, every function, and every include that could run in a circle.
pub(super) fn problems(file: &str, source: &str, allowed: &BTreeSet<String>) -> Vec<TemplateProblem> {
    let mut problems = Vec::new();
    let mut local = BTreeSet::new();
    for (line, tag) in tags(source) {
        let tokens = tokens(tag);
        let word = |index: usize| tokens.get(index).copied().unwrap_or_default();
        if matches!(word(0), "for" | "set") {
            local.extend(tokens[1..].iter().take_while(|token| !matches!(**token, "in" | "=")).copied());
        }
        // Only a block is included, and a block includes nothing: no circle, no depth.
        if word(0) == "include" && (file.contains("/block.") || !word(1).contains("/block.")) {
            problems.push(TemplateProblem::new(file, Some(line), "only block.txt and block.html can be included"));
        }
        for (index, token) in tokens.iter().enumerate() {
            let before = if index == 0 { "" } else { word(index - 1) };
            let (after, is_name) = (word(index + 1), token.starts_with(|c: char| c.is_alphabetic() || c == '_'));
            let of_language = KEYWORDS.contains(token)
                || matches!(before, "." | "|" | "is" | "block" | "endblock" | "filter")
                || (before == "not" && index > 1 && word(index - 2) == "is")
                || (after == "=" && index > 0 && matches!(before, "(" | ","));
            if !is_name || of_language {
                continue;
            }
            if after == "(" {
                let problem = format!("{token}(): functions are off in templates of mails");
                problems.push(TemplateProblem::new(file, Some(line), problem));
            } else if !allowed.contains(*token) && !local.contains(token) {
                let list = allowed.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                let problem = format!("{token}: no such value here; there are {list}");
                problems.push(TemplateProblem::new(file, Some(line), problem));
            }
        }
    }
    problems
}

/// What stands inside `{{ }}` and `{% %}`, with its line.
fn tags(source: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(start) = rest.find('{') {
        let (before, tag) = rest.split_at(start);
        line += before.matches('\n').count();
        let close = match tag.as_bytes().get(1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => "#}",
            _ => {
                rest = &tag[1..];
                continue;
            }
        };
        let Some(end) = tag.find(close) else { break };
        if close != "#}" {
            found.push((line, tag[2..end].trim_matches('-')));
        }
        line += tag[..end].matches('\n').count();
        rest = &tag[end + 2..];
    }
    found
}

/// Names, signs one by one (`==` whole), and nothing of strings and numbers.
fn tokens(tag: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = tag;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' | '\'' | '`' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            c if c.is_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            '=' if rest.starts_with("==") => 2,
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(len);
        if !first.is_whitespace() {
            found.push(token);
        }
        rest = after;
    }
    found
}
