//! Demo time: the machine's time plus one offset, kept in a file that connector and mixer follow. Only this process
//! writes it, and it only grows.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};
use chrono::{DateTime, TimeDelta, Utc};
use dialroom_host::Clock;
use graph_simulator::SimulatorClock;
use serde_json::json;

use crate::demo::link::find;

/// The clock of the demo.
#[derive(Debug)]
pub(crate) struct DemoClock {
    real: Clock,
    file: PathBuf,
    offset: Mutex<TimeDelta>,
}

impl DemoClock {
    /// Starts at the machine's time.
    ///
    /// # Errors
    /// When the offset file cannot be written.
    pub(crate) fn start(file: &Path) -> anyhow::Result<Self> {
        let clock = Self { real: Clock::real(), file: file.to_owned(), offset: Mutex::new(TimeDelta::zero()) };
        clock.keep(TimeDelta::zero()).with_context(|| format!("{} cannot be written", file.display()))?;
        Ok(clock)
    }

    /// Demo time.
    pub(crate) fn wall(&self) -> DateTime<Utc> {
        self.real.wall() + *self.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whole or not at all: a reader never sees half a number.
    fn keep(&self, offset: TimeDelta) -> std::io::Result<()> {
        let draft = self.file.with_extension("new");
        fs::write(&draft, offset.num_milliseconds().to_string())?;
        fs::rename(draft, &self.file)
    }
}

impl SimulatorClock for DemoClock {
    fn now(&self) -> DateTime<Utc> {
        self.wall()
    }

    fn advance(&self, by: TimeDelta) -> Result<(), String> {
        if by < TimeDelta::zero() {
            return Err("demo time runs forward only".to_owned());
        }
        let mut offset = self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        let later = offset.checked_add(&by).filter(|later| *later <= TimeDelta::days(4_000));
        let later = later.ok_or("demo time ends ten years ahead; start the demo again")?;
        self.keep(later).map_err(|why| format!("{}: {why}", self.file.display()))?;
        *offset = later;
        Ok(())
    }
}

/// `dialroom demo clock +5m`: asks the running demo to move its time.
pub(crate) async fn advance(data: Option<PathBuf>, by: &str) -> anyhow::Result<String> {
    let by = span(by)?;
    let demo = find(data)?;
    let url = format!("{}/control/clock", demo.graph);
    let client = crate::http::client()?;
    let answer = client.post(url).json(&json!({"advance_seconds": by.num_seconds()})).send().await;
    let answer: serde_json::Value =
        answer.and_then(reqwest::Response::error_for_status).context("the demo does not answer")?.json().await?;
    Ok(answer["now"].as_str().unwrap_or_default().to_owned())
}

/// `+90s`, `+5m`, `+2h`, `+1d`; forward only, at most 400 days.
fn span(raw: &str) -> anyhow::Result<TimeDelta> {
    let help = "write how far forward: +90s, +5m, +2h or +1d";
    let Some(rest) = raw.strip_prefix('+') else { bail!("{raw:?}: demo time runs forward only; {help}") };
    let number = |unit: char| rest.strip_suffix(unit).and_then(|digits| digits.parse::<u32>().ok()).map(i64::from);
    let spans = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let seconds = spans.iter().find_map(|(unit, seconds)| Some(number(*unit)? * seconds));
    match seconds {
        Some(seconds) if seconds <= 400 * 86_400 => Ok(TimeDelta::seconds(seconds)),
        Some(_) => bail!("{raw:?}: at most 400 days at a time"),
        None => bail!("{raw:?}: {help}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_nonsense_is_explained() {
        for (raw, seconds) in [("+5m", 300), ("+90s", 90), ("+2h", 7_200), ("+1d", 86_400)] {
            assert_eq!(span(raw).unwrap().num_seconds(), seconds);
        }
        for raw in ["-5m", "5m", "+m", "+5", "+5w", "+-5m", "+4000000000d", ""] {
            assert!(span(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn the_offset_is_on_disk_before_anybody_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock-offset");
        let clock = DemoClock::start(&file).unwrap();
        let before = clock.wall();
        clock.advance(TimeDelta::minutes(5)).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "300000");
        assert!(clock.wall() >= before + TimeDelta::minutes(5));
        assert!(clock.advance(TimeDelta::seconds(-1)).is_err());
    }
}
