//! The test call: through the trunk to our own number, with a tone each way, and both ends told what arrived.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mixer_media::Tone;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Trial;
use crate::engine::{Clip, Engine, Report, StreamId, StreamStatistics};
use crate::far_end::far_end;
use crate::sip::{CallKey, Cause, Codec, Invite, LocalMedia, RemoteMedia, SipEvent};
use crate::telephone::Hearing;

/// Our end that calls, and our end that is called.
const CALLER: StreamId = StreamId(1);
const CALLED: StreamId = StreamId(2);
/// What each of them says: no multiple of the other, and well within what a telephone carries.
const CALLER_HZ: u32 = 1_000;
const CALLED_HZ: u32 = 700;
const TONE_DB: f64 = -12.0;
/// A second of tone: whole pitches join on without a click.
const TONE_SAMPLES: usize = 8_000;
/// How long the other side may let it ring.
const ANSWER_PATIENCE: Duration = Duration::from_secs(40);
/// How long both ends talk where both are ours.
const TALK: Duration = Duration::from_secs(4);
/// How long where somebody else answers: longer than the time between two RTCP reports (RFC 3550 section 6.2), which are
/// all that he tells.
const TALK_TO_ANOTHER: Duration = Duration::from_secs(8);
/// How long ends and counts may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a test call came to.
#[derive(Clone, Debug, PartialEq)]
pub struct TestCall {
    /// From the INVITE to the answer.
    pub answered_after: Duration,
    /// What both sides agreed on.
    pub codec: Codec,
    /// Whether the sound was encrypted.
    pub encrypted: bool,
    /// Who took it.
    pub answered_by: AnsweredBy,
    /// Our sound as it arrived there; `None` where nobody told.
    pub there: Option<Sound>,
    /// The other end's sound as it arrived here.
    pub back: Sound,
}

/// Who took a test call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnsweredBy {
    /// We did: the call came back to us.
    Us,
    /// Somebody else: the mixer, where it runs.
    Another,
}

/// How sound arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sound {
    /// In dB against a full-scale sine; `None` where only packets were told of.
    pub level_db: Option<f64>,
    /// Packets that arrived.
    pub received: u64,
    /// Packets that did not.
    pub lost: u64,
    /// Interarrival jitter.
    pub jitter_ms: f32,
}

/// Why there was no test call.
#[derive(Debug, thiserror::Error)]
pub enum NoCall {
    /// There is no port for its sound.
    #[error("no port for its sound: {0}")]
    Port(#[source] std::io::Error),
    /// It ended before it was answered.
    #[error("{0}")]
    Ended(Cause),
    /// It rang for too long.
    #[error("nobody answered within {} s", ANSWER_PATIENCE.as_secs())]
    Rang,
}

/// One end of the call.
struct End {
    stream: StreamId,
    peer: SocketAddr,
    ear: JoinHandle<Vec<i16>>,
    call: Option<CallKey>,
    remote: Option<RemoteMedia>,
    ended: bool,
    statistics: Option<StreamStatistics>,
}

impl Trial {
    /// Calls `number` through the trunk, whose server is at `server`, and talks for some seconds.
    ///
    /// # Errors
    /// When no call came about.
    pub async fn call(&mut self, number: &str, server: SocketAddr) -> Result<TestCall, NoCall> {
        let (ports, dscp) = self.sound;
        let (engine, reports) = Engine::start(ports, dscp).map_err(NoCall::Port)?;
        let ip = self.address_towards(server).map_err(NoCall::Port)?;
        let port = engine.open(CALLER, ip).map_err(NoCall::Port)?;
        let mut caller = End::new(&engine, CALLER, server);
        let began = self.clock.instant();
        let local = LocalMedia { ip, port };
        let invite = Invite { target: None, peer: Some(self.peer), number: number.to_owned(), from: None, local };
        caller.call = Some(self.sip.invite(invite));
        let talked = self.talk(&engine, &mut caller, began).await;
        let (called, answered_after) = match talked {
            Ok(talked) => talked,
            Err(why) => {
                caller.call.into_iter().for_each(|call| self.sip.hang_up(call, "the check gave up"));
                engine.close(CALLER, false);
                return Err(why);
            }
        };
        Ok(self.end(&engine, reports, caller, called, answered_after).await)
    }

    /// From the INVITE until enough was said.
    async fn talk(
        &mut self,
        engine: &Engine,
        caller: &mut End,
        began: Instant,
    ) -> Result<(Option<End>, Duration), NoCall> {
        let mut called: Option<End> = None;
        let mut answered_after = None;
        let mut deadline = began + ANSWER_PATIENCE;
        loop {
            let event = tokio::select! {
                event = self.events.recv() => event.ok_or(NoCall::Rang)?,
                () = self.clock.sleep_until(deadline) => match answered_after {
                    Some(after) => return Ok((called, after)),
                    None => return Err(NoCall::Rang),
                },
            };
            match event {
                SipEvent::Incoming { call, source, local, peer, .. } => {
                    let ours = self.holds_our_ports && peer == Some(self.peer) && called.is_none();
                    if ours {
                        called = self.answer(engine, call, source, local);
                    }
                    if called.as_ref().is_none_or(|end| end.call != Some(call)) {
                        self.sip.refuse(call, 486, "the check is busy with another call", "trial");
                    }
                }
                SipEvent::Established { call, remote } | SipEvent::Reoffered { call, remote } => {
                    let now = self.clock.instant();
                    let talk = if called.is_some() { TALK } else { TALK_TO_ANOTHER };
                    for end in [Some(&mut *caller), called.as_mut()].into_iter().flatten() {
                        if end.call == Some(call) && end.speak(engine, remote.clone(), self.in_band_digits) {
                            deadline = now + talk;
                        }
                    }
                    if caller.remote.is_some() {
                        answered_after.get_or_insert_with(|| now.saturating_duration_since(began));
                    }
                }
                SipEvent::Ended { call, cause } if caller.call == Some(call) => {
                    caller.ended = true;
                    return answered_after.map(|after| (called, after)).ok_or(NoCall::Ended(cause));
                }
                SipEvent::Ended { call, .. } => {
                    if let Some(end) = called.as_mut().filter(|end| end.call == Some(call)) {
                        end.ended = true;
                    }
                }
                SipEvent::Ringing { .. }
                | SipEvent::Pressed { .. }
                | SipEvent::Alive { .. }
                | SipEvent::Registered { .. }
                | SipEvent::RegistrationFailed { .. }
                | SipEvent::Pong { .. } => {}
            }
        }
    }

    /// The call came back to us.
    fn answer(&self, engine: &Engine, call: CallKey, source: SocketAddr, ip: std::net::IpAddr) -> Option<End> {
        let port = engine.open(CALLED, ip).ok()?;
        self.sip.answer(call, LocalMedia { ip, port });
        Some(End { call: Some(call), ..End::new(engine, CALLED, source) })
    }

    /// Hangs up, and reads what each end counted.
    async fn end(
        &mut self,
        engine: &Engine,
        mut reports: mpsc::Receiver<Report>,
        mut caller: End,
        mut called: Option<End>,
        answered_after: Duration,
    ) -> TestCall {
        for end in [Some(&caller), called.as_ref()].into_iter().flatten() {
            engine.close(end.stream, false);
        }
        let deadline = self.clock.instant() + FAREWELL;
        let mut missing = 1 + usize::from(called.is_some());
        while missing > 0 {
            let report = tokio::select! {
                report = reports.recv() => report,
                () = self.clock.sleep_until(deadline) => None,
            };
            match report {
                Some(Report::Closed(stream, statistics)) => {
                    missing -= 1;
                    let ends = [Some(&mut caller), called.as_mut()].into_iter().flatten();
                    ends.filter(|end| end.stream == stream).for_each(|end| end.statistics = Some(statistics));
                }
                Some(Report::Digit(..) | Report::Played(..) | Report::Keyed(_) | Report::Silent(..)) => {}
                None => break,
            }
        }
        if let Some(call) = caller.call.filter(|_| !caller.ended) {
            self.sip.hang_up(call, "the check is over");
        }
        self.await_the_end(&mut caller, called.as_mut(), deadline).await;
        told(caller, called, answered_after).await
    }

    /// Both sides know that the call is over; a far end that never says so is not waited for.
    async fn await_the_end(&mut self, caller: &mut End, mut called: Option<&mut End>, deadline: Instant) {
        while !(caller.ended && called.as_ref().is_none_or(|end| end.ended)) {
            let event = tokio::select! {
                event = self.events.recv() => event,
                () = self.clock.sleep_until(deadline) => None,
            };
            match event {
                Some(SipEvent::Ended { call, .. }) => {
                    let ends = [Some(&mut *caller), called.as_deref_mut()].into_iter().flatten();
                    ends.filter(|end| end.call == Some(call)).for_each(|end| end.ended = true);
                }
                Some(_) => {}
                None => {
                    let left = called.as_ref().filter(|end| !end.ended).and_then(|end| end.call);
                    left.into_iter().for_each(|call| self.sip.hang_up(call, "the check is over"));
                    return;
                }
            }
        }
    }
}

impl End {
    fn new(engine: &Engine, stream: StreamId, peer: SocketAddr) -> Self {
        let mut frames = engine.listen(stream);
        let ear = tokio::spawn(async move {
            let mut heard = Vec::new();
            while let Some(frame) = frames.recv().await {
                heard.extend_from_slice(&frame);
            }
            heard
        });
        Self { stream, peer, ear, call: None, remote: None, ended: false, statistics: None }
    }

    /// Sound may flow: says the tone of this end. True the first time.
    fn speak(&mut self, engine: &Engine, remote: RemoteMedia, in_band_digits: bool) -> bool {
        engine.connect(self.stream, far_end(&remote, self.peer.ip(), in_band_digits));
        let hz = if self.stream == CALLER { CALLER_HZ } else { CALLED_HZ };
        let first = self.remote.replace(remote).is_none();
        if first {
            engine.music(self.stream, Clip::from(Tone::new(f64::from(hz), TONE_DB).take(TONE_SAMPLES)));
        }
        first
    }

    /// What arrived at this end of the other's tone.
    async fn heard(self, hz: u32) -> (Sound, StreamStatistics) {
        let statistics = self.statistics.unwrap_or_default();
        let samples = tokio::time::timeout(FAREWELL, self.ear).await.ok().and_then(Result::ok).unwrap_or_default();
        let sound = Sound {
            level_db: Some(Hearing::of(&samples, hz).level_db),
            received: statistics.packets_received,
            lost: statistics.packets_lost,
            jitter_ms: statistics.jitter_ms,
        };
        (sound, statistics)
    }
}

/// From what both ends counted to what is told.
async fn told(caller: End, called: Option<End>, answered_after: Duration) -> TestCall {
    let (codec, encrypted) =
        caller.remote.as_ref().map_or((Codec::Pcma, false), |remote| (remote.codec, remote.crypto.is_some()));
    let came_back = called.filter(|end| end.remote.is_some());
    let (mut back, statistics) = caller.heard(CALLED_HZ).await;
    let (answered_by, there) = match came_back {
        Some(end) => (AnsweredBy::Us, Some(end.heard(CALLER_HZ).await.0)),
        None => {
            // Whoever answered says what he says: any sound will do, and his reports tell of ours.
            back.level_db = Some(f64::from(statistics.level_dbov));
            let sent = statistics.packets_sent;
            let there = (statistics.packets_rtcp > 0).then_some(Sound {
                level_db: None,
                received: sent.saturating_sub(statistics.remote_lost),
                lost: statistics.remote_lost,
                jitter_ms: statistics.remote_jitter_ms,
            });
            (AnsweredBy::Another, there)
        }
    };
    TestCall { answered_after, codec, encrypted, answered_by, there, back }
}
