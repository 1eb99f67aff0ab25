//! One call of a telephone: how far it is, what is said and pressed, what is heard.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use mixer_media::Tone;
use tokio::sync::watch;

use super::keys;
use super::line::{Desk, Dial, Line};
use crate::engine::{Clip, Frame, StreamId, StreamStatistics};
use crate::sip::{CallKey, Cause, EndedBy};

/// How far a call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody has answered yet.
    Calling,
    /// Answered; sound flows.
    Talking,
    /// Over.
    Over(Cause),
}

/// What a call came to.
#[derive(Clone, Debug)]
pub struct CallReport {
    /// From the INVITE to the answer.
    pub answered_after: Option<Duration>,
    /// From the INVITE to the first sound that is no silence.
    pub first_sound_after: Option<Duration>,
    /// How it ended.
    pub cause: Cause,
    /// Packets, loss, jitter; `None` when the stream's end was not told in time.
    pub statistics: Option<StreamStatistics>,
    /// Keys that the other side pressed.
    pub keys: String,
    /// All that was heard since the answer, 8 kHz.
    pub heard: Vec<i16>,
}

/// A telephone in a call. Dropping it hangs up.
#[derive(Debug)]
pub struct Telephone {
    desk: Arc<Desk>,
    call: CallKey,
    state: Arc<CallState>,
}

/// A telephone remembers an hour; what it hears later is not kept.
const MAX_HEARD_SAMPLES: usize = 3_600 * 8_000;
/// Keys that it remembers.
const MAX_KEYS: usize = 1_000;
/// Louder than this is no comfort noise.
const SOUND_PEAK: u16 = 500;
/// Wait for the far end to take our BYE, and for the engine's last word.
const FAREWELL: Duration = Duration::from_secs(2);
/// Samples of a tone that is repeated: a second, so that every whole pitch joins on without a click.
const TONE_SAMPLES: usize = 8_000;
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

impl Telephone {
    /// Places a call on a line of its own and returns at once; [`answered`](Self::answered) waits for it.
    ///
    /// # Errors
    /// When the local address cannot be used.
    pub async fn place(dial: Dial) -> anyhow::Result<Self> {
        let Dial { line, number, from } = dial;
        Line::start(line).await?.call(&number, from)
    }

    pub(super) fn new(desk: Arc<Desk>, call: CallKey, state: Arc<CallState>) -> Self {
        Self { desk, call, state }
    }

    /// Waits until the call is answered.
    ///
    /// # Errors
    /// The cause, when it ended instead.
    pub async fn answered(&self) -> Result<Duration, Cause> {
        let mut phase = self.state.phase.subscribe();
        let reached = phase.wait_for(|phase| *phase != Phase::Calling).await.map(|phase| phase.clone());
        match reached {
            Ok(Phase::Over(cause)) => self.state.notes().answered_after.ok_or(cause),
            Ok(Phase::Calling | Phase::Talking) => Ok(self.state.notes().answered_after.unwrap_or_default()),
            Err(_) => Err(gone()),
        }
    }

    /// Waits until the call is over.
    pub async fn ended(&self) -> Cause {
        let mut phase = self.state.phase.subscribe();
        let reached = phase.wait_for(|phase| matches!(phase, Phase::Over(_))).await.map(|phase| phase.clone());
        match reached {
            Ok(Phase::Over(cause)) => cause,
            Ok(Phase::Calling | Phase::Talking) | Err(_) => gone(),
        }
    }

    /// How far the call is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.state.phase.borrow().clone()
    }

    /// Presses keys one after the other: `0`–`9`, `*`, `#`, `A`–`D`; a comma waits a second. Returns once the last is sent.
    ///
    /// # Errors
    /// When a key is none, or they cannot be sent that way.
    pub async fn press(&self, keys: &str) -> anyhow::Result<()> {
        keys::press(&self.desk, self.call, &self.state, keys).await
    }

    /// Speaks a tone of this pitch, its level in dB against a full-scale sine; `None` is silent.
    pub fn tone(&self, pitch: Option<(u32, f64)>) {
        let (engine, stream) = (&self.desk.engine, self.state.stream);
        match pitch {
            Some((hz, level_db)) => {
                engine.music(stream, Clip::from(Tone::new(f64::from(hz), level_db).take(TONE_SAMPLES)));
            }
            None => engine.hush(stream),
        }
    }

    /// Speaks a recording once.
    pub fn speak(&self, clip: Clip) {
        self.desk.engine.play(self.state.stream, vec![clip], 0);
    }

    /// Holds the call, or takes it back.
    pub fn hold(&self, held: bool) {
        self.desk.sip.hold(self.call, held);
    }

    /// What was heard in the last so many milliseconds; shorter when the call is younger.
    #[must_use]
    pub fn heard_last(&self, ms: u32) -> Vec<i16> {
        let notes = self.state.notes();
        let samples = usize::try_from(ms).unwrap_or(usize::MAX).saturating_mul(8);
        notes.heard[notes.heard.len().saturating_sub(samples)..].to_vec()
    }

    /// Samples heard so far; grows by 160 every 20 ms.
    #[must_use]
    pub fn heard_samples(&self) -> usize {
        self.state.notes().heard.len()
    }

    /// Keys that the other side has pressed so far.
    #[must_use]
    pub fn keys_heard(&self) -> String {
        self.state.notes().keys.clone()
    }

    /// Hangs up if the call is not over yet, and tells what it came to.
    pub async fn hang_up(self) -> CallReport {
        let Self { desk, state, .. } = &self;
        desk.sip.hang_up(self.call, "hung up");
        let cause = tokio::time::timeout(FAREWELL, self.ended()).await.unwrap_or_else(|_| gone());
        desk.engine.close(state.stream, false);
        let closed = async {
            while state.notes().statistics.is_none() {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, closed).await;
        if Arc::strong_count(desk) == 1 {
            desk.sip.shutdown("hung up").await;
        }
        let mut notes = state.notes();
        CallReport {
            answered_after: notes.answered_after,
            first_sound_after: notes.first_sound_after,
            cause,
            statistics: notes.statistics,
            keys: std::mem::take(&mut notes.keys),
            heard: std::mem::take(&mut notes.heard),
        }
    }
}

impl Drop for Telephone {
    fn drop(&mut self) {
        self.desk.sip.hang_up(self.call, "hung up");
        self.desk.engine.close(self.state.stream, false);
        self.desk.forget(self.call, self.state.stream);
    }
}

/// The end of a call that nobody can tell about any more.
pub(super) fn gone() -> Cause {
    Cause { by: EndedBy::Silence, status: None, text: String::new() }
}

/// What is written down about a call.
#[derive(Debug)]
pub(super) struct CallState {
    pub(super) stream: StreamId,
    began: Instant,
    phase: watch::Sender<Phase>,
    keyed: watch::Sender<u64>,
    played: watch::Sender<u64>,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// Where the other side's signalling comes from.
    peer: Option<IpAddr>,
    answered_after: Option<Duration>,
    first_sound_after: Option<Duration>,
    statistics: Option<StreamStatistics>,
    keys: String,
    heard: Vec<i16>,
}

impl CallState {
    pub(super) fn new(stream: StreamId, began: Instant) -> Self {
        Self {
            stream,
            began,
            phase: watch::Sender::new(Phase::Calling),
            keyed: watch::Sender::new(0),
            played: watch::Sender::new(0),
            notes: Mutex::default(),
        }
    }

    pub(super) fn answered(&self, now: Instant) {
        self.notes().answered_after.get_or_insert_with(|| now.saturating_duration_since(self.began));
        self.phase.send_if_modified(|phase| {
            let answered = *phase == Phase::Calling;
            if answered {
                *phase = Phase::Talking;
            }
            answered
        });
    }

    /// The call is over; what is told first counts.
    pub(super) fn over(&self, cause: Cause) {
        self.phase.send_if_modified(|phase| {
            let runs = !matches!(phase, Phase::Over(_));
            if runs {
                *phase = Phase::Over(cause);
            }
            runs
        });
    }

    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.notes().peer
    }

    pub(super) fn set_peer(&self, peer: IpAddr) {
        self.notes().peer = Some(peer);
    }

    pub(super) fn keyed(&self) {
        self.keyed.send_modify(|count| *count += 1);
    }

    pub(super) fn played(&self, playback: u64) {
        self.played.send_replace(playback);
    }

    pub(super) fn heard_key(&self, key: char) {
        let mut notes = self.notes();
        if notes.keys.len() < MAX_KEYS {
            notes.keys.push(key);
        }
    }

    pub(super) fn closed(&self, statistics: StreamStatistics) {
        self.notes().statistics = Some(statistics);
    }

    pub(super) fn heard(&self, now: Instant, frame: &Frame) {
        let mut notes = self.notes();
        if notes.answered_after.is_none() {
            return;
        }
        if notes.first_sound_after.is_none() && frame.iter().any(|sample| sample.unsigned_abs() > SOUND_PEAK) {
            notes.first_sound_after = Some(now.saturating_duration_since(self.began));
        }
        if notes.heard.len() < MAX_HEARD_SAMPLES {
            notes.heard.extend_from_slice(frame);
        }
    }

    /// Does something, and waits until all keys given to the engine by it were sent.
    pub(super) async fn until_keyed(&self, begin: impl FnOnce(), patience: Duration) -> anyhow::Result<()> {
        let mut keyed = self.keyed.subscribe();
        let before = *keyed.borrow_and_update();
        begin();
        let sent = keyed.wait_for(|count| *count > before);
        let sent = tokio::time::timeout(patience, sent).await;
        let sent = sent.context("the keys were not sent: the other side takes no telephone events")?;
        sent.context("the telephone is gone").map(drop)
    }

    /// Does something, and waits until the playback with this number was heard.
    pub(super) async fn until_played(
        &self,
        begin: impl FnOnce(),
        playback: u64,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let mut played = self.played.subscribe();
        begin();
        let heard = tokio::time::timeout(patience, played.wait_for(|last| *last == playback)).await;
        heard.context("the keys were not heard")?.context("the telephone is gone").map(drop)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
