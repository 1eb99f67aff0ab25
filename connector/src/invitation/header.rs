//! Text in header fields (RFC 5322 section 2.2, RFC 2047).
//!
//! Text goes bare only if it is short, plain ASCII that no reader could take for something else; all other text goes as
//! encoded words. So `=?utf-8?q?a=0D=0ABcc:…?=` in a subject is shown, not decoded, and a line can never end early.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialroom_booking::EmailAddress;

/// Longest text that goes bare, so that no line comes near 998 octets or needs folding (RFC 5322 section 2.1.1).
const MAX_BARE_LEN: usize = 60;
/// Octets of text in one encoded word: 75 in all, less `=?utf-8?B?` and `?=`, three quarters of the rest.
const MAX_WORD_LEN: usize = 45;

/// An unstructured value, as in Subject.
pub(super) fn encoded_text(text: &str) -> String {
    let bare = |c: char| c == ' ' || c.is_ascii_graphic();
    let is_bare = text.len() <= MAX_BARE_LEN && text.chars().all(bare) && !text.contains("=?");
    if is_bare && text.trim() == text { text.to_owned() } else { encoded_words(text) }
}

/// `"Anna Albrecht" <anna@contoso.example>`; the address alone without a name.
pub(super) fn address_field(name: &str, address: &EmailAddress) -> String {
    let quotable = |c: char| c == ' ' || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '<' | '>'));
    if name.is_empty() {
        address.to_string()
    } else if name.len() <= MAX_BARE_LEN && name.chars().all(quotable) && !name.contains("=?") {
        format!("\"{name}\" <{address}>")
    } else {
        // Folded before the address, which may be as long as a line should be.
        format!("{}\r\n <{address}>", encoded_words(name))
    }
}

/// Encoded words (RFC 2047 section 2), cut between characters, one a line.
fn encoded_words(text: &str) -> String {
    let mut words = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut len = rest.len().min(MAX_WORD_LEN);
        while !rest.is_char_boundary(len) {
            len -= 1;
        }
        let (word, after) = rest.split_at(len);
        if !words.is_empty() {
            words.push_str("\r\n ");
        }
        // Writing to a String cannot fail.
        let _ = write!(words, "=?utf-8?B?{}?=", STANDARD.encode(word));
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_readable() {
        assert_eq!(encoded_text("Budget review"), "Budget review");
        let anna = EmailAddress::parse("anna@contoso.example").unwrap();
        assert_eq!(address_field("Anna via Dialroom", &anna), "\"Anna via Dialroom\" <anna@contoso.example>");
        assert_eq!(address_field("", &anna), "anna@contoso.example");
    }

    #[test]
    fn what_looks_encoded_is_encoded_again() {
        let encoded = encoded_text("=?utf-8?q?a=0D=0ABcc:_x@evil.example?=");
        assert!(encoded.starts_with("=?utf-8?B?") && !encoded.contains("Bcc"), "{encoded}");
        let anna = EmailAddress::parse("anna@contoso.example").unwrap();
        assert!(address_field("a\" <x@evil.example>", &anna).starts_with("=?utf-8?B?"));
    }

    #[test]
    fn words_are_cut_between_characters() {
        let text = "ä🎉".repeat(40);
        let encoded = encoded_text(&text);
        assert!(encoded.split("\r\n ").all(|word| word.len() <= 75));
        let decoded = encoded.split("\r\n ").map(|word| {
            let base64 = word.strip_prefix("=?utf-8?B?").and_then(|word| word.strip_suffix("?=")).unwrap();
            String::from_utf8(STANDARD.decode(base64).unwrap()).unwrap()
        });
        assert_eq!(decoded.collect::<String>(), text);
    }
}
