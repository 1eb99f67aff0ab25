//! Participants of the AudioBridge: each joins its room over plain RTP, and is counted when it may send.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use dialroom_host::Clock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::answer::Event;
use super::api::{Joining, Session};
use crate::bench::load::{Calls, Counts};
use crate::bench::options::Plan;
use crate::bench::ports::Ports;
use crate::bench::sound::{Keys, Line, Sound};

/// Answers about events that wait for us; Janus keeps the others meanwhile.
const ANSWERS_WAITING: usize = 64;
/// Time to end the session; the process ends in any case.
const FAREWELL: Duration = Duration::from_secs(5);

/// Those who join, and those who have.
#[derive(Debug)]
pub(in crate::bench) struct Legs<'a> {
    plan: &'a Plan,
    session: Session,
    clock: Clock,
    events: mpsc::Receiver<anyhow::Result<Vec<Event>>>,
    /// Asks all the time, which keeps the session alive.
    listener: JoinHandle<()>,
    /// By transaction.
    placed: HashMap<String, Placed>,
    /// Handles of those in their rooms.
    up: HashMap<u64, usize>,
    counts: Counts,
}

#[derive(Debug)]
struct Placed {
    leg: usize,
    handle: u64,
    at: Instant,
    sound: UdpSocket,
    rtcp: UdpSocket,
}

impl<'a> Legs<'a> {
    pub(super) fn new(plan: &'a Plan, session: Session) -> Self {
        let (sender, events) = mpsc::channel(ANSWERS_WAITING);
        let listener = tokio::spawn(listen(session.clone(), sender));
        Self {
            plan,
            session,
            clock: Clock::real(),
            events,
            listener,
            placed: HashMap::new(),
            up: HashMap::new(),
            counts: Counts::default(),
        }
    }

    fn happened(&mut self, event: Event, sound: &mut Sound) -> anyhow::Result<()> {
        match event {
            Event::Joined { transaction, sound: there, payload_type } => {
                let Some(Placed { leg, handle, at, sound: socket, rtcp }) = self.placed.remove(&transaction) else {
                    return Ok(());
                };
                self.counts.set_up.add(self.clock.instant().saturating_duration_since(at));
                self.counts.up += 1;
                self.up.insert(handle, leg);
                socket.connect(there).with_context(|| format!("no way to {there}"))?;
                let line = Line { socket, rtcp: Some(rtcp), payload_type, event_type: None, keys: Keys::default() };
                sound.add(leg, line)?;
            }
            Event::Refused { transaction, why } => {
                if self.placed.remove(&transaction).is_some() {
                    *self.counts.refused.entry(why).or_default() += 1;
                }
            }
            Event::Gone { handle } => {
                if self.up.remove(&handle).is_some() {
                    self.counts.dropped += 1;
                }
            }
            Event::Over => bail!("Janus has ended the session; has it processor time enough for fewer --legs?"),
            Event::Other => {}
        }
        Ok(())
    }
}

impl Calls for Legs<'_> {
    async fn place(&mut self, leg: usize, ports: &mut Ports) -> anyhow::Result<()> {
        let (sound, rtcp) = ports.pair()?;
        let at = self.clock.instant();
        let handle = self.session.attach().await?;
        let room = self.plan.seating.room(leg);
        let joining = Joining { leg, room, codec: self.plan.codec, sound: sound.local_addr()? };
        self.session.join(handle, joining).await?;
        self.placed.insert(leg.to_string(), Placed { leg, handle, at, sound, rtcp });
        Ok(())
    }

    async fn follow(&mut self, sound: &mut Sound) -> anyhow::Result<()> {
        let events = self.events.recv().await.context("Janus tells nothing any more")??;
        events.into_iter().try_for_each(|event| self.happened(event, sound))
    }

    fn waiting(&self) -> usize {
        self.placed.len()
    }

    fn give_up(&mut self) {
        *self.counts.refused.entry("no answer".to_owned()).or_default() += self.placed.len();
        self.placed.clear();
        self.counts.refused.retain(|_, count| *count > 0);
    }

    /// Plain RTP participants press none.
    fn keys_take(&self) -> anyhow::Result<Duration> {
        Ok(Duration::ZERO)
    }

    fn counts(&self) -> &Counts {
        &self.counts
    }

    async fn hang_up(self) -> Counts {
        // Janus ends with its process, whether it heard this or not.
        let _ = tokio::time::timeout(FAREWELL, self.session.end()).await;
        self.counts.clone()
    }
}

impl Drop for Legs<'_> {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn listen(session: Session, sender: mpsc::Sender<anyhow::Result<Vec<Event>>>) {
    loop {
        let events = session.events().await;
        let is_over = events.is_err();
        if sender.send(events).await.is_err() || is_over {
            return;
        }
    }
}
