//! SIP addresses, where the library's reading needs help.

use rsipstack::sip::{Host, Uri};

/// The longest number dialled; more digits than any dial string with room and PIN behind it.
const MAX_CALLED_LEN: usize = 64;

/// The number dialled, as digits and signs: from a `sip:` user part or a `tel:` number, without parameters.
pub(super) fn called_number(uri: &Uri) -> String {
    let host = match &uri.host_with_port.host {
        // `tel:` has no host, and `sip:88;phone-context=…@…` is cut before it: the number is in the host's place.
        Host::Domain(domain) => domain.0.as_str(),
        Host::IpAddr(_) => "",
    };
    let user = uri.user().unwrap_or(host);
    let user = user.split(';').next().unwrap_or_default();
    decoded(user).chars().filter(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#')).take(MAX_CALLED_LEN).collect()
}

/// The same address with its user part decoded: the library keeps escapes when it reads and escapes again when it writes,
/// so that `%23` would go out as `%2523`.
pub(super) fn unescaped(mut uri: Uri) -> Uri {
    if let Some(auth) = &mut uri.auth {
        auth.user = decoded(&auth.user);
    }
    uri
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_dialled_is_digits_and_signs() {
        for (uri, called) in [
            ("sip:88@127.0.0.1", "88"),
            ("sip:88@127.0.0.1:5060;transport=tcp", "88"),
            ("sip:+493023125088@pbx.example;user=phone", "+493023125088"),
            ("sip:%2B493023125088@pbx.example", "+493023125088"),
            ("sip:884711%23123456%23@pbx.example", "884711#123456#"),
            ("sip:88;phone-context=example.com@pbx.example", "88"),
            ("tel:+49-30-23125-88", "+49302312588"),
            ("tel:88;phone-context=example.com", "88"),
            ("sip:127.0.0.1", ""),
            ("sip:alice@pbx.example", ""),
        ] {
            assert_eq!(called_number(&Uri::try_from(uri).unwrap()), called, "{uri}");
        }
    }

    #[test]
    fn escapes_survive_the_way_through() {
        for uri in ["sip:a%20b%23@pbx.example", "sip:%C3%A4@pbx.example", "sip:88@pbx.example"] {
            assert_eq!(unescaped(Uri::try_from(uri).unwrap()).to_string(), uri);
        }
    }
}
