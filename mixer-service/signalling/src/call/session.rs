//! Session timers (RFC 4028): a call that nobody refreshes is over, though nobody said so.

use std::time::{Duration, Instant};

use crate::message::{Headers, Name};

/// Who refreshes, seen from one request: the side that sent it or the side that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresher {
    /// Who asked.
    Asker,
    /// Who answered.
    Answerer,
}

impl Refresher {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Asker => "uac",
            Self::Answerer => "uas",
        }
    }
}

/// What was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) interval_s: u32,
    pub(crate) refresher: Refresher,
    /// Whether the asker must be told that it counts on him (`Require: timer`).
    pub(crate) required: bool,
}

impl Agreed {
    /// Value of `Session-Expires`.
    pub(crate) fn value(&self) -> String {
        session_expires(self.interval_s, Some(self.refresher))
    }
}

/// Value of `Session-Expires`.
pub(crate) fn session_expires(interval_s: u32, refresher: Option<Refresher>) -> String {
    let refresher = refresher.map(|refresher| format!(";refresher={}", refresher.as_str())).unwrap_or_default();
    format!("{interval_s}{refresher}")
}

/// The interval asked for is too short for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooShort;

/// As the one who answers (section 9): takes what is asked for, or adds what we want where the asker knows the extension.
/// `wanted_s` 0 adds nothing.
pub(crate) fn answer(request: &Headers, wanted_s: u32, min_s: u32) -> Result<Option<Agreed>, TooShort> {
    let knows = request.lists(&Name::Supported, "timer") || request.lists(&Name::Require, "timer");
    let asked = request.seconds(&Name::SessionExpires);
    let refresher = refresher_of(request);
    match asked {
        // Who does not know 422 could do nothing about it: he gets our shortest.
        Some(asked) if asked < min_s && knows => Err(TooShort),
        Some(asked) => {
            let floor = request.seconds(&Name::MinSe).unwrap_or(0).max(min_s);
            let interval_s = if wanted_s == 0 { asked } else { asked.min(wanted_s) }.max(floor);
            let refresher = if knows { refresher.unwrap_or(Refresher::Asker) } else { Refresher::Answerer };
            Ok(Some(Agreed { interval_s, refresher, required: refresher == Refresher::Asker }))
        }
        None if wanted_s > 0 && knows => {
            let floor = request.seconds(&Name::MinSe).unwrap_or(0).max(min_s);
            Ok(Some(Agreed { interval_s: wanted_s.max(floor), refresher: Refresher::Asker, required: true }))
        }
        None => Ok(None),
    }
}

/// As the one who asked (section 7.2): what the answer says, if anything.
pub(crate) fn answered(response: &Headers) -> Option<Agreed> {
    let interval_s = response.seconds(&Name::SessionExpires).filter(|interval| *interval > 0)?;
    let refresher = refresher_of(response).unwrap_or(Refresher::Asker);
    Some(Agreed { interval_s, refresher, required: false })
}

fn refresher_of(headers: &Headers) -> Option<Refresher> {
    let value = headers.get(&Name::SessionExpires)?;
    value.split(';').skip(1).find_map(|param| {
        let (name, value) = param.split_once('=')?;
        match (name.trim().to_ascii_lowercase().as_str(), value.trim().to_ascii_lowercase().as_str()) {
            ("refresher", "uac") => Some(Refresher::Asker),
            ("refresher", "uas") => Some(Refresher::Answerer),
            _ => None,
        }
    })
}

/// The timer of a running call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionTimer {
    pub(crate) interval_s: u32,
    /// Whether it is on us to refresh.
    pub(crate) ours: bool,
    /// When we refresh next; none while a refresh is under way, or where it is on the other side.
    refresh_at: Option<Instant>,
    ends_at: Instant,
}

/// What time has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rang {
    Nothing,
    Refresh,
    Expired,
}

/// Before a session ends that the other side should have refreshed, we say BYE this much earlier, or a third of it.
const GRACE_S: u32 = 32;

impl SessionTimer {
    /// Starts anew; `asked`: whether it was our request that agreed on it.
    pub(crate) fn start(now: Instant, agreed: Agreed, asked: bool) -> Self {
        let ours = (agreed.refresher == Refresher::Asker) == asked;
        let whole = Duration::from_secs(agreed.interval_s.into());
        let grace = Duration::from_secs((agreed.interval_s / 3).min(GRACE_S).into());
        let ends_at = now + if ours { whole } else { whole.saturating_sub(grace) };
        Self { interval_s: agreed.interval_s, ours, refresh_at: ours.then(|| now + whole / 2), ends_at }
    }

    pub(crate) fn due(&self) -> Instant {
        self.refresh_at.map_or(self.ends_at, |at| at.min(self.ends_at))
    }

    pub(crate) fn ring(&mut self, now: Instant) -> Rang {
        if self.ends_at <= now {
            return Rang::Expired;
        }
        match self.refresh_at {
            Some(at) if at <= now => {
                self.refresh_at = None;
                Rang::Refresh
            }
            Some(_) | None => Rang::Nothing,
        }
    }

    /// A refresh failed; once more when half of the rest is over.
    pub(crate) fn retry(&mut self, now: Instant) {
        self.refresh_at = Some(now + self.ends_at.saturating_duration_since(now) / 2 + Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_taken_within_bounds() {
        use Refresher::{Answerer, Asker};
        let timer = (Name::Supported, "100rel, timer");
        let agreed = |interval_s, refresher| Ok(Some(Agreed { interval_s, refresher, required: refresher == Asker }));
        for (lines, expected) in [
            (vec![], Ok(None)),
            (vec![timer.clone()], agreed(1_800, Asker)),
            (vec![timer.clone(), (Name::SessionExpires, "600")], agreed(600, Asker)),
            (vec![timer.clone(), (Name::SessionExpires, "600;refresher=uas")], agreed(600, Answerer)),
            (vec![timer.clone(), (Name::SessionExpires, "7200 ; Refresher = UAC")], agreed(1_800, Asker)),
            (vec![timer.clone(), (Name::SessionExpires, "7200"), (Name::MinSe, "3600")], agreed(3_600, Asker)),
            (vec![timer.clone(), (Name::SessionExpires, "60")], Err(TooShort)),
            (vec![(Name::SessionExpires, "60")], agreed(90, Answerer)),
            (vec![(Name::SessionExpires, "600;refresher=uac")], agreed(600, Answerer)),
            (vec![timer.clone(), (Name::SessionExpires, "nonsense")], agreed(1_800, Asker)),
        ] {
            assert_eq!(answer(&Headers::of(&lines), 1_800, 90), expected, "{lines:?}");
        }
        assert_eq!(answer(&Headers::of(&[timer]), 0, 90), Ok(None));
    }

    #[test]
    fn who_refreshes_does_so_at_half_time_and_who_waits_ends_it_early() {
        let now = crate::some_instant();
        let s = Duration::from_secs;
        let agreed = Agreed { interval_s: 90, refresher: Refresher::Asker, required: false };
        let mut ours = SessionTimer::start(now, agreed, true);
        assert_eq!((ours.due(), ours.ring(now + s(44))), (now + s(45), Rang::Nothing));
        assert_eq!((ours.ring(now + s(45)), ours.due()), (Rang::Refresh, now + s(90)));
        ours.retry(now + s(50));
        assert!(ours.due() < now + s(71));
        assert_eq!(ours.ring(now + s(90)), Rang::Expired);
        let mut theirs = SessionTimer::start(now, agreed, false);
        assert_eq!(
            (theirs.due(), theirs.ring(now + s(59)), theirs.ring(now + s(60))),
            (now + s(60), Rang::Nothing, Rang::Expired)
        );
    }
}
