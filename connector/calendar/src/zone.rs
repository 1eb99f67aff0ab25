//! Time zones by the names that calendars give them: IANA, Windows, and the oddities of Exchange.

use chrono_tz::{TZ_VARIANTS, Tz};
use windows_timezones::WindowsTimezone;

/// Longer names than any real one are not looked at.
const MAX_NAME_LEN: usize = 128;

/// The zone of a name: IANA (`Europe/Berlin`), Windows (`W. Europe Standard Time`, with CLDR's territory 001), or one of
/// `tzone://Microsoft/Utc`, `UTC`, a leading `/`, quotes and stray spaces.
///
/// # Errors
/// For a custom zone or an unknown name: it is never guessed, since a wrong zone is a meeting missed.
pub fn zone_from_name(name: &str) -> Result<Tz, ZoneError> {
    let plain = name.trim().trim_matches('"').trim_start_matches('/').trim();
    if plain.len() > MAX_NAME_LEN {
        return Err(ZoneError(name.chars().take(40).collect()));
    }
    if plain.eq_ignore_ascii_case("tzone://Microsoft/Utc") || plain.eq_ignore_ascii_case("UTC") {
        return Ok(Tz::UTC);
    }
    let windows = || plain.parse::<WindowsTimezone>().ok().map(Tz::from);
    let iana = || TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(plain)).copied();
    iana().or_else(windows).ok_or_else(|| ZoneError(plain.chars().take(40).collect()))
}

/// A zone that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time zone by IANA or Windows name; set one of the list in the calendar")]
pub struct ZoneError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_kinds_are_known() {
        for (name, zone) in [
            ("Europe/Berlin", Tz::Europe__Berlin),
            ("europe/berlin", Tz::Europe__Berlin),
            ("W. Europe Standard Time", Tz::Europe__Berlin),
            ("India Standard Time", Tz::Asia__Kolkata),
            ("tzone://Microsoft/Utc", Tz::UTC),
            (" \"Pacific Standard Time\" ", Tz::America__Los_Angeles),
            ("/Europe/Vienna", Tz::Europe__Vienna),
        ] {
            // Calcutta and Kolkata are one zone under two names.
            let found = zone_from_name(name).unwrap();
            assert!(found == zone || (zone == Tz::Asia__Kolkata && found == Tz::Asia__Calcutta), "{name}: {found}");
        }
    }

    #[test]
    fn others_are_refused() {
        for name in ["", "tzone://Microsoft/Custom", "Customized Time Zone", "Mars/Olympus", &"x".repeat(10_000)] {
            assert!(zone_from_name(name).unwrap_err().to_string().len() < 150, "{name:.20}");
        }
    }
}
