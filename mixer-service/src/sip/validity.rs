//! Until when a certificate is good: the one field of it that no library here tells.
//!
//! Reads just enough DER (ITU-T X.690) to walk to it (RFC 5280 section 4.1); whether the certificate is to be believed is
//! judged elsewhere. Anything odd is `None`.

use chrono::{DateTime, NaiveDate, Utc};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`: the version, which old certificates leave out.
const VERSION: u8 = 0xa0;

/// The last moment at which a certificate is good.
pub(super) fn until(certificate: &[u8]) -> Option<DateTime<Utc>> {
    let (outer, _) = value(certificate, SEQUENCE)?;
    let (mut fields, _) = value(outer, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = value(fields, VERSION)?.1;
    }
    for kind in [INTEGER, SEQUENCE, SEQUENCE] {
        // Serial number, algorithm, issuer.
        fields = value(fields, kind)?.1;
    }
    let (validity, _) = value(fields, SEQUENCE)?;
    let (_, not_after) = time(validity)?;
    time(not_after).map(|(until, _)| until)
}

/// The value of the element at the beginning, which must be of this kind, and what follows it.
fn value(der: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // At most four bytes of length: no certificate is larger.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    (found == kind).then(|| rest.split_at_checked(len)).flatten()
}

/// A time, and what follows it: `YYMMDDHHMMSSZ` up to 2049, `YYYYMMDDHHMMSSZ` from then on (RFC 5280 section 4.1.2.5).
fn time(der: &[u8]) -> Option<(DateTime<Utc>, &[u8])> {
    let kind = *der.first()?;
    let year_len = match kind {
        UTC_TIME => 2,
        GENERALIZED_TIME => 4,
        _ => return None,
    };
    let (text, rest) = value(der, kind)?;
    let digits = std::str::from_utf8(text.strip_suffix(b"Z")?).ok()?;
    if digits.len() != year_len + 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, len: usize| digits.get(from..from + len)?.parse::<u32>().ok();
    let year = number(0, year_len)?;
    let year = match year_len {
        2 if year < 50 => year + 2000,
        2 => year + 1900,
        _ => year,
    };
    let part = |index: usize| number(year_len + 2 * index, 2);
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, part(0)?, part(1)?)?;
    Some((date.and_hms_opt(part(2)?, part(3)?, part(4)?)?.and_utc(), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(kind: u8, value: &[u8]) -> Vec<u8> {
        let len = u8::try_from(value.len()).unwrap();
        let head = if len < 0x80 { vec![kind, len] } else { vec![kind, 0x81, len] };
        [head, value.to_vec()].concat()
    }

    fn certificate(version: bool, until: (u8, &str)) -> Vec<u8> {
        let validity = [element(UTC_TIME, b"250101000000Z"), element(until.0, until.1.as_bytes())].concat();
        let fields = [
            if version { element(VERSION, &element(INTEGER, &[2])) } else { Vec::new() },
            element(INTEGER, &[0x7f; 16]),
            element(SEQUENCE, &[6, 1, 42]),
            element(SEQUENCE, &[0; 90]),
            element(SEQUENCE, &validity),
        ];
        element(SEQUENCE, &element(SEQUENCE, &fields.concat()))
    }

    fn check(version: bool, kind: u8, text: &str, expected: Option<&str>) {
        let found = until(&certificate(version, (kind, text))).map(|until| until.to_rfc3339());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn both_forms_of_a_time() {
        check(true, UTC_TIME, "270228235959Z", Some("2027-02-28T23:59:59+00:00"));
        check(false, UTC_TIME, "270228235959Z", Some("2027-02-28T23:59:59+00:00"));
        check(true, UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00+00:00"));
        check(true, GENERALIZED_TIME, "20991231235959Z", Some("2099-12-31T23:59:59+00:00"));
        check(true, UTC_TIME, "270230000000Z", None);
        check(true, UTC_TIME, "2702282359Z", None);
        check(true, INTEGER, "270228235959Z", None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..160) {
            let _ = until(&bytes);
            let whole = certificate(true, (UTC_TIME, "270228235959Z"));
            let _ = until(&whole[..cut.min(whole.len())]);
        }
    }
}
