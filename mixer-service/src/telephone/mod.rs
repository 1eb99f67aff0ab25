//! A telephone without a person: calls, presses keys, plays a tone and tells what it hears.
//!
//! The instrument behind `dialroom phone`, the self-test and the end-to-end tests. It is made of the same parts as the
//! mixer's own legs, seen from the other end: an endpoint of [`crate::sip`] and a stream of [`crate::engine`].

mod hearing;
mod probe;
#[cfg(test)]
mod tests;
mod wav;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use dialroom_host::Clock;
use mixer_media::Tone;
use tokio::sync::{mpsc, watch};

use crate::engine::{Clip, Engine, Frame, Remote, Report, StreamId, StreamStatistics};
use crate::sip::{CallKey, Cause, EndedBy, Invite, Limits, Listen, LocalMedia, SipEndpoint, SipEvent, Transport};

pub use hearing::{Hearing, Pitch, pitches};
pub use wav::{read_wav, write_wav};

/// A call to place.
#[derive(Clone)]
pub struct Dial {
    /// The server that is called.
    pub server: SocketAddr,
    /// How it is reached.
    pub transport: Transport,
    /// Our own address: what the server takes us for.
    pub local: IpAddr,
    /// The number dialled.
    pub number: String,
    /// The number we call from, in international form; `None` calls anonymously.
    pub from: Option<String>,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial").field("server", &self.server).field("local", &self.local).finish_non_exhaustive()
    }
}

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
    /// All that was heard since the answer, 8 kHz.
    pub heard: Vec<i16>,
}

/// A telephone in a call. Dropping it hangs up.
#[derive(Debug)]
pub struct Telephone {
    sip: SipEndpoint,
    engine: Engine,
    call: CallKey,
    phase: watch::Receiver<Phase>,
    keyed: watch::Receiver<u64>,
    notes: Arc<Mutex<Notes>>,
}

/// The one stream of a telephone's engine.
const STREAM: StreamId = StreamId(1);
const DSCP_EXPEDITED: u8 = 46;
/// A telephone remembers an hour; what it hears later is not kept.
const MAX_HEARD_SAMPLES: usize = 3_600 * 8_000;
/// Louder than this is no comfort noise.
const SOUND_PEAK: u16 = 500;
/// The pause that a comma stands for.
const COMMA: Duration = Duration::from_secs(1);
/// Wait for a key: the longest event, its pause, and a wide margin.
const KEY_TIMEOUT: Duration = Duration::from_secs(3);
/// Wait for the far end to take our BYE, and for the engine's last word.
const FAREWELL: Duration = Duration::from_secs(2);
/// Samples of a tone that is repeated: a second, so that every whole pitch joins on without a click.
const TONE_SAMPLES: usize = 8_000;

#[derive(Debug, Default)]
struct Notes {
    answered_after: Option<Duration>,
    first_sound_after: Option<Duration>,
    statistics: Option<StreamStatistics>,
    heard: Vec<i16>,
}

impl Telephone {
    /// Places a call and returns at once; [`answered`](Self::answered) waits for it.
    ///
    /// # Errors
    /// When the local address cannot be used or the server not be reached.
    pub async fn place(dial: Dial) -> anyhow::Result<Self> {
        let clock = Clock::real();
        let listen = Listen { addresses: vec![SocketAddr::new(dial.local, 0)], advertised: None };
        let (sip, events) = SipEndpoint::start(listen, Limits::default()).await?;
        let (engine, reports) = Engine::start((0, 0), DSCP_EXPEDITED).context("starting the sound")?;
        let port = engine.open(STREAM, dial.local).with_context(|| format!("opening a port on {}", dial.local))?;
        let ear = engine.listen(STREAM);
        let began = clock.instant();
        let request = Invite {
            server: dial.server,
            transport: dial.transport,
            number: dial.number,
            from: dial.from,
            local: LocalMedia { ip: dial.local, port },
        };
        let nobody_there = probe::nobody_there(dial.transport, dial.local, dial.server);
        let call = sip.invite(request).await?;
        let (phase_sender, phase) = watch::channel(Phase::Calling);
        let (keyed_sender, keyed) = watch::channel(0);
        let notes = Arc::new(Mutex::new(Notes::default()));
        let attendant = Attendant { engine: engine.clone(), notes: notes.clone(), clock, began };
        tokio::spawn(attendant.clone().follow(events, nobody_there, phase_sender));
        tokio::spawn(attendant.clone().hear(ear));
        tokio::spawn(attendant.note(reports, keyed_sender));
        Ok(Self { sip, engine, call, phase, keyed, notes })
    }

    /// Waits until the call is answered.
    ///
    /// # Errors
    /// The cause, when it ended instead.
    pub async fn answered(&self) -> Result<Duration, Cause> {
        let mut phase = self.phase.clone();
        let reached = phase.wait_for(|phase| *phase != Phase::Calling).await.map(|phase| phase.clone());
        match reached {
            Ok(Phase::Over(cause)) => self.notes().answered_after.ok_or(cause),
            Ok(Phase::Calling | Phase::Talking) => Ok(self.notes().answered_after.unwrap_or_default()),
            Err(_) => Err(gone()),
        }
    }

    /// Waits until the call is over.
    pub async fn ended(&self) -> Cause {
        let mut phase = self.phase.clone();
        let reached = phase.wait_for(|phase| matches!(phase, Phase::Over(_))).await.map(|phase| phase.clone());
        match reached {
            Ok(Phase::Over(cause)) => cause,
            _ => gone(),
        }
    }

    /// How far the call is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Presses keys one after the other (RFC 4733): `0`–`9`, `*`, `#`, `A`–`D`; a comma waits a second. Returns once the
    /// last is sent.
    ///
    /// # Errors
    /// When a key is none, or the far end takes no telephone events.
    pub async fn press(&self, keys: &str) -> anyhow::Result<()> {
        let mut first = true;
        for part in keys.split(',') {
            if !std::mem::take(&mut first) {
                tokio::time::sleep(COMMA).await;
            }
            if part.is_empty() {
                continue;
            }
            if !part.chars().all(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')) {
                bail!("keys are 0 to 9, *, #, A to D and the comma for a pause");
            }
            let mut keyed = self.keyed.clone();
            let before = *keyed.borrow_and_update();
            self.engine.key(STREAM, part);
            let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
            let sent = keyed.wait_for(|count| *count > before);
            tokio::time::timeout(KEY_TIMEOUT.saturating_mul(len), sent)
                .await
                .context("the keys were not sent: the other side takes no telephone events")?
                .context("the telephone is gone")?;
        }
        Ok(())
    }

    /// Speaks a tone of this pitch, its level in dB against a full-scale sine; `None` is silent.
    pub fn tone(&self, pitch: Option<(u32, f64)>) {
        match pitch {
            Some((hz, level_db)) => {
                self.engine.music(STREAM, Clip::from(Tone::new(f64::from(hz), level_db).take(TONE_SAMPLES)));
            }
            None => self.engine.hush(STREAM),
        }
    }

    /// Speaks a recording once.
    pub fn speak(&self, clip: Clip) {
        self.engine.play(STREAM, vec![clip], 1);
    }

    /// What was heard in the last so many milliseconds; shorter when the call is younger.
    #[must_use]
    pub fn heard_last(&self, ms: u32) -> Vec<i16> {
        let notes = self.notes();
        let samples = usize::try_from(ms).unwrap_or(usize::MAX).saturating_mul(8);
        notes.heard[notes.heard.len().saturating_sub(samples)..].to_vec()
    }

    /// Samples heard so far; grows by 160 every 20 ms.
    #[must_use]
    pub fn heard_samples(&self) -> usize {
        self.notes().heard.len()
    }

    /// Hangs up if the call is not over yet, and tells what it came to.
    pub async fn hang_up(self) -> CallReport {
        self.sip.hang_up(self.call, "hung up");
        let cause = tokio::time::timeout(FAREWELL, self.ended()).await.unwrap_or_else(|_| gone());
        self.engine.close(STREAM, false);
        let closed = async {
            while self.notes().statistics.is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, closed).await;
        self.sip.shutdown("hung up").await;
        let mut notes = self.notes();
        CallReport {
            answered_after: notes.answered_after,
            first_sound_after: notes.first_sound_after,
            cause,
            statistics: notes.statistics,
            heard: std::mem::take(&mut notes.heard),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Telephone {
    fn drop(&mut self) {
        self.engine.close(STREAM, false);
        let sip = self.sip.clone();
        // Ends the call if it still runs, and gives the sockets back.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { sip.shutdown("hung up").await });
        }
    }
}

fn gone() -> Cause {
    Cause { by: EndedBy::Silence, status: None, text: String::new() }
}

/// Who writes down what happens to the call.
#[derive(Clone)]
struct Attendant {
    engine: Engine,
    notes: Arc<Mutex<Notes>>,
    clock: Clock,
    began: Instant,
}

impl Attendant {
    async fn follow(
        self,
        mut events: mpsc::Receiver<SipEvent>,
        nobody_there: impl Future<Output = Cause>,
        phase: watch::Sender<Phase>,
    ) {
        tokio::pin!(nobody_there);
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                cause = &mut nobody_there => {
                    phase.send_replace(Phase::Over(cause));
                    return;
                }
            };
            let Some(event) = event else { return };
            match event {
                SipEvent::Established { remote, .. } => {
                    self.notes().answered_after = Some(self.since_the_start());
                    self.engine.connect(STREAM, Remote::from(&remote));
                    phase.send_replace(Phase::Talking);
                }
                SipEvent::Reoffered { remote, .. } => self.engine.connect(STREAM, Remote::from(&remote)),
                SipEvent::Ended { cause, .. } => {
                    phase.send_replace(Phase::Over(cause));
                    return;
                }
                SipEvent::Ringing { .. } | SipEvent::Incoming { .. } => {}
            }
        }
    }

    async fn hear(self, mut ear: mpsc::Receiver<Frame>) {
        while let Some(frame) = ear.recv().await {
            let mut notes = self.notes();
            if notes.answered_after.is_none() {
                continue;
            }
            if notes.first_sound_after.is_none() && frame.iter().any(|sample| sample.unsigned_abs() > SOUND_PEAK) {
                notes.first_sound_after = Some(self.since_the_start());
            }
            if notes.heard.len() < MAX_HEARD_SAMPLES {
                notes.heard.extend_from_slice(&frame);
            }
        }
    }

    async fn note(self, mut reports: mpsc::Receiver<Report>, keyed: watch::Sender<u64>) {
        while let Some(report) = reports.recv().await {
            match report {
                Report::Keyed(_) => keyed.send_modify(|count| *count += 1),
                Report::Closed(_, statistics) => {
                    self.notes().statistics = Some(statistics);
                    return;
                }
                Report::Digit(..) | Report::Played(..) | Report::Silent(..) => {}
            }
        }
    }

    fn since_the_start(&self) -> Duration {
        self.clock.instant().saturating_duration_since(self.began)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
