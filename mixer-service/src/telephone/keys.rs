//! Keys, pressed in one of the three ways that telephones have.

use std::time::Duration;

use anyhow::bail;
use mixer_media::Tone;

use super::call::CallState;
use super::line::Desk;
use crate::engine::Clip;
use crate::sip::{CallKey, Digit};

/// How keys are pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysBy {
    /// As telephone events beside the sound (RFC 4733).
    Events,
    /// By SIP INFO.
    Info,
    /// As tones in the sound (ITU-T Q.23).
    InBand,
}

/// The pause that a comma stands for.
const COMMA: Duration = Duration::from_secs(1);
/// Wait for a key: the longest event, its pause, and a wide margin.
const KEY_TIMEOUT: Duration = Duration::from_secs(3);
/// From one INFO to the next: as fast as a finger.
const INFO_PAUSE: Duration = Duration::from_millis(120);
/// Samples of a tone, and of the silence behind it: 100 ms each, twice what ITU-T Q.24 asks for.
const TONE_SAMPLES: usize = 800;
/// Of each of a key's two pitches, against a full-scale sine.
const TONE_DB: f64 = -10.0;
/// Number of a playback that is keys; recordings have 0.
const KEYS_PLAYBACK: u64 = 1;

/// Rows and columns of the keys, and their pitches in hertz (ITU-T Q.23).
const ROWS: [(&str, f64); 4] = [("123A", 697.0), ("456B", 770.0), ("789C", 852.0), ("*0#D", 941.0)];
const COLUMNS_HZ: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

/// Presses keys one after the other; a comma waits a second. Returns once the last is sent.
pub(super) async fn press(desk: &Desk, call: CallKey, state: &CallState, keys: &str) -> anyhow::Result<()> {
    for (n, part) in keys.split(',').enumerate() {
        if n > 0 {
            tokio::time::sleep(COMMA).await;
        }
        if part.is_empty() {
            continue;
        }
        if !part.chars().all(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')) {
            bail!("keys are 0 to 9, *, #, A to D and the comma for a pause");
        }
        let patience = KEY_TIMEOUT.saturating_mul(u32::try_from(part.len()).unwrap_or(u32::MAX));
        match desk.setup.keys_by {
            KeysBy::Events => state.until_keyed(|| desk.engine.key(state.stream, part), patience).await?,
            KeysBy::Info => {
                for key in part.chars() {
                    desk.sip.press(call, Digit(key));
                    tokio::time::sleep(INFO_PAUSE).await;
                }
            }
            KeysBy::InBand => {
                let tones = Clip::from(part.chars().flat_map(tone_of).collect::<Vec<i16>>());
                // Forgets the last keys, so that the end of these is no end of those.
                state.played(0);
                let play = || desk.engine.play(state.stream, vec![tones], KEYS_PLAYBACK);
                state.until_played(play, KEYS_PLAYBACK, patience).await?;
            }
        }
    }
    Ok(())
}

/// A key's two pitches, and a pause.
fn tone_of(key: char) -> Vec<i16> {
    let found = ROWS.iter().find_map(|(keys, row_hz)| Some((*row_hz, COLUMNS_HZ[keys.find(key)?])));
    let Some((row_hz, column_hz)) = found else { return Vec::new() };
    let (mut row, mut column) = (Tone::new(row_hz, TONE_DB), Tone::new(column_hz, TONE_DB));
    let both = row.take(TONE_SAMPLES).into_iter().zip(column.take(TONE_SAMPLES));
    both.map(|(row, column)| row.saturating_add(column)).chain([0; TONE_SAMPLES]).collect()
}

#[cfg(test)]
mod tests {
    use mixer_media::pitch_level_db;

    use super::*;

    #[test]
    fn each_key_has_its_two_pitches_and_a_pause() {
        for (key, row, column) in [('1', 697.0, 1_209.0), ('#', 941.0, 1_477.0), ('D', 941.0, 1_633.0)] {
            let tone = tone_of(key);
            assert_eq!(tone.len(), 2 * TONE_SAMPLES);
            for pitch in [row, column] {
                assert!((pitch_level_db(&tone[..TONE_SAMPLES], pitch) - TONE_DB).abs() < 1.0, "{key} {pitch}");
            }
            assert!(tone[TONE_SAMPLES..].iter().all(|sample| *sample == 0));
        }
        assert!(tone_of('x').is_empty());
    }
}
