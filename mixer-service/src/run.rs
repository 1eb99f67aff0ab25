//! The mixer put together: what is opened at start, the one loop that everything passes, and the way out.
//!
//! The loop is dull on purpose: wait for one of a closed list of things, stamp it with the time, let the switchboard
//! decide, do what it says. Nothing here decides anything.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use dialroom_host::{Clock, FileWatch, Store, seal_key_file, shutdown_asked, token_file};
use dialroom_settings::Settings;
use mixer_conference::{ConferenceView, Now};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::control::{self, Control, Token};
use crate::engine::{Engine, Report};
use crate::metrics::Metrics;
use crate::prompts::PromptLibrary;
use crate::records::{RecordQueue, Records};
use crate::schedule::{Change, Schedule};
use crate::settings_watch;
use crate::sip::{LocalMedia, SipEndpoint, SipEvent};
use crate::switchboard::{Action, Deadlines, Happened, Switchboard};
use crate::trunks;

/// Changes of the schedule on their way to the focus; at the bound hand-offs wait.
const MAX_CHANGES: usize = 256;
/// Questions on their way to the switchboard; at the bound they wait.
const MAX_QUESTIONS: usize = 16;
/// Events that a listener may fall behind before it is dropped.
const MAX_EVENTS: usize = 1024;
/// How long telephones have to confirm a BYE when the program ends.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(3);
/// How long the store has for the last call records.
const RECORDS_PATIENCE: Duration = Duration::from_secs(5);
/// When old bookings and records are removed, in UTC: hardly anybody telephones then, in Europe.
const NIGHT: NaiveTime = NaiveTime::from_hms_opt(2, 30, 0).unwrap();
/// How long after a failed removal the next one is tried.
const HOUSEKEEPING_RETRY: TimeDelta = TimeDelta::hours(1);

/// What the mixer needs to know at start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The settings file, `dialroom.toml`.
    pub settings: PathBuf,
    /// The time.
    pub clock: Clock,
}

/// Runs the mixer until SIGTERM or SIGINT, then ends every call with BYE and its record.
///
/// # Errors
/// When it cannot start (each message names the key of the settings or the file), or a part of it failed.
pub async fn run(options: Options) -> anyhow::Result<()> {
    Mixer::start(options).await?.serve_until(shutdown_asked()).await
}

/// A mixer that takes calls.
#[derive(Debug)]
pub struct Mixer {
    desk: Desk,
    board: Switchboard,
    clock: Clock,
    inlets: Inlets,
    control: Control,
    control_address: SocketAddr,
    tasks: Tasks,
}

/// Everything that the loop waits for.
#[derive(Debug)]
struct Inlets {
    sip: mpsc::Receiver<SipEvent>,
    sound: mpsc::Receiver<Report>,
    changes: mpsc::Receiver<Change>,
    questions: mpsc::Receiver<oneshot::Sender<Vec<ConferenceView>>>,
    settings: watch::Receiver<Arc<Settings>>,
}

/// Work beside the loop.
#[derive(Debug)]
struct Tasks {
    records: JoinHandle<()>,
    control: JoinHandle<std::io::Result<()>>,
    settings: JoinHandle<std::io::Result<()>>,
    trunks: JoinHandle<()>,
    housekeeping: JoinHandle<()>,
}

impl Mixer {
    /// Opens everything, SIP last: the schedule is read and known to the focus before the first call can come. Needs a
    /// runtime.
    ///
    /// # Errors
    /// When a part cannot be opened.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let Options { settings: file, clock } = options;
        // Watched before it is read: no change falls between the two.
        let file_watch = FileWatch::new(file.clone());
        let settings = Arc::new(settings_watch::read(&file)?);
        let metrics = Arc::new(Metrics::default());
        let folder = settings.store.data.join("mixer");
        std::fs::create_dir_all(&folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let store = Store::open(&folder.join("store"))?;
        let (change_sender, changes) = mpsc::channel(MAX_CHANGES);
        let (schedule, unreadable) =
            Schedule::load(store.clone(), seal_key_file(&folder.join("seal.key"))?, change_sender)?;
        metrics.bookings_unreadable.add(unreadable.len() as u64);
        metrics.bookings.set(schedule.count());
        for entry in unreadable {
            tracing::error!(%entry, "a stored booking cannot be read; it is not served until it is handed over again");
        }
        let records = Records::load(store)?;
        let prompts = PromptLibrary::load(&settings.prompts).context("[prompts]: the voice cannot be loaded")?;
        let prompts = prompts.with_music(&settings.conference.music_on_hold).context("conference.music_on_hold")?;
        // Beside all else: the first caller shall not wait for his prompt, nor the start for all of them.
        let cold = prompts.clone();
        drop(tokio::task::spawn_blocking(move || cold.warm_up()));

        let (question_sender, questions) = mpsc::channel(MAX_QUESTIONS);
        let control = Control {
            token: Token::new(&token_file(&settings.hand_off.token_file)?),
            schedule: schedule.clone(),
            records: records.clone(),
            events: broadcast::channel(MAX_EVENTS).0,
            questions: question_sender,
            metrics: Arc::clone(&metrics),
            machines: Arc::default(),
            clock: clock.clone(),
            ready: Arc::new(AtomicBool::new(false)),
            stop: CancellationToken::new(),
        };
        let listener = listen_for_control(settings.hand_off.listen).await?;
        let control_address = listener.local_addr()?;

        let mut board = Switchboard::new(now(&clock), Arc::clone(&settings), Arc::clone(&metrics));
        for booking in schedule.bookings() {
            let actions = board.handle(now(&clock), Happened::Schedule(Change::Held(booking)));
            debug_assert!(actions.is_empty(), "nobody is there to hear of it");
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let (engine, sound) = Engine::with_workers(cores, settings.media.rtp_ports, settings.media.dscp)
            .context("media.rtp_ports: sound cannot be started")?;
        let setup = trunks::setup(&settings);
        let (sip, sip_events) = SipEndpoint::start(setup).await.context("[sip]: signalling cannot be started")?;

        // Set once, here.
        drop(control.machines.set((sip.clone(), engine.clone())));

        let (queue, writing) = records.queue(clock.clone(), Arc::clone(&metrics));
        let (settings_sender, settings_receiver) = watch::channel(Arc::clone(&settings));
        let desk = Desk { sip, engine, prompts, records: queue, control: control.clone() };
        let tasks = Tasks {
            records: tokio::spawn(writing),
            control: tokio::spawn(control::serve(listener, control.clone())),
            settings: tokio::spawn(settings_watch::watch(file, file_watch, settings_sender, metrics)),
            trunks: tokio::spawn(trunks::follow(desk.sip.clone(), settings_receiver.clone())),
            housekeeping: tokio::spawn(keep_house(schedule, records, settings_receiver.clone(), clock.clone())),
        };
        let inlets = Inlets { sip: sip_events, sound, changes, questions, settings: settings_receiver };
        control.ready.store(true, Ordering::Release);
        let tls = desk.sip.tls_addresses();
        tracing::info!(sip = ?desk.sip.addresses(), ?tls, control = %control_address, bookings = control.schedule.count(), "the mixer takes calls");
        Ok(Self { desk, board, clock, inlets, control, control_address, tasks })
    }

    /// Where the control API answers.
    #[must_use]
    pub fn control_address(&self) -> SocketAddr {
        self.control_address
    }

    /// Where SIP listens, UDP and TCP.
    #[must_use]
    pub fn sip_addresses(&self) -> Vec<SocketAddr> {
        self.desk.sip.addresses()
    }

    /// Takes calls until `asked` comes true, then ends every call, writes what is to be written, and returns.
    ///
    /// # Errors
    /// When a part failed; the calls are ended and recorded all the same.
    pub async fn serve_until(mut self, asked: impl Future<Output = std::io::Result<()>> + Send) -> anyhow::Result<()> {
        let served = tokio::select! {
            asked = asked => asked.context("signals cannot be waited for"),
            failed = self.work() => failed,
        };
        tracing::info!("the mixer ends");
        self.control.ready.store(false, Ordering::Release);
        let goodbyes = self.board.handle(now(&self.clock), Happened::Shutdown);
        self.perform(goodbyes);
        let patience = self.clock.instant() + GOODBYE_PATIENCE;
        let clock = self.clock.clone();
        if served.is_ok() && !self.board.is_idle() {
            tokio::select! {
                () = clock.sleep_until(patience) => tracing::warn!("some telephones did not confirm the end of their call"),
                _ = self.work() => {}
            }
        }
        self.close().await;
        served
    }

    /// The loop. Returns once the program is to end and no call is left, or when a part failed.
    async fn work(&mut self) -> anyhow::Result<()> {
        loop {
            let inlets = &mut self.inlets;
            let happened = tokio::select! {
                event = inlets.sip.recv() => Happened::Sip(event.context("SIP ended unexpectedly")?),
                report = inlets.sound.recv() => Happened::Sound(report.context("sound ended unexpectedly")?),
                Some(change) = inlets.changes.recv() => Happened::Schedule(change),
                Some(answer) = inlets.questions.recv() => {
                    // Whoever asked may be gone.
                    drop(answer.send(self.board.conferences()));
                    continue;
                }
                Ok(()) = inlets.settings.changed() => {
                    Happened::Settings(Arc::clone(&inlets.settings.borrow_and_update()))
                }
                () = passed(&self.clock, self.board.deadlines()) => Happened::Time,
            };
            let actions = self.board.handle(now(&self.clock), happened);
            self.perform(actions);
            if self.board.is_idle() && !self.control.ready.load(Ordering::Acquire) {
                return Ok(());
            }
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            if let Some(happened) = self.desk.perform(action) {
                actions.extend(self.board.handle(now(&self.clock), happened));
            }
        }
    }

    async fn close(self) {
        let Self { desk, control, tasks, clock, inlets, .. } = self;
        desk.sip.shutdown("The conference server is stopped").await;
        control.stop.cancel();
        tasks.housekeeping.abort();
        tasks.settings.abort();
        tasks.trunks.abort();
        drop((desk, inlets, control));
        let written = async { drop(tokio::join!(tasks.records, tasks.control)) };
        tokio::select! {
            () = written => {}
            () = clock.sleep_until(clock.instant() + RECORDS_PATIENCE) => {
                tracing::error!("the last call records could not be written");
            }
        }
    }
}

/// Where actions are done: every outlet of the switchboard.
#[derive(Debug)]
struct Desk {
    sip: SipEndpoint,
    engine: Engine,
    prompts: PromptLibrary,
    records: RecordQueue,
    control: Control,
}

impl Desk {
    /// Does one thing; never waits. Gives what came of it, where the switchboard must know.
    fn perform(&self, action: Action) -> Option<Happened> {
        let Self { sip, engine, prompts, .. } = self;
        match action {
            Action::Answer { call, stream, local, shared } => match open(engine, stream, local, shared) {
                Ok(port) => {
                    sip.name(call, stream.0);
                    sip.answer(call, LocalMedia { ip: local, port });
                }
                Err(why) => {
                    tracing::error!(%why, %local, "a call cannot be answered");
                    return Some(Happened::NoPort(stream));
                }
            },
            Action::Refuse { call, status, reason, code } => sip.refuse(call, status, reason, code),
            Action::Probe(call) => sip.probe(call),
            Action::Missed(source) => sip.missed(source),
            Action::Press(stream, key) => engine.pressed(stream, key),
            Action::HangUp { call, reason } => sip.hang_up(call, reason),
            Action::Connect { stream, remote } => engine.connect(stream, remote),
            Action::Play { stream, playback, language, sentences } => {
                engine.play(stream, prompts.clips(language, &sentences), playback);
            }
            Action::Hush(stream) => engine.hush(stream),
            Action::Music(stream) => engine.music(stream, prompts.music()),
            Action::Level(stream, levels) => engine.level(stream, levels),
            Action::Join(stream, room) => engine.join(stream, room),
            Action::Leave(stream) => engine.leave(stream),
            Action::PlayToRoom { room, language, sentences } => {
                engine.play_to_room(room, prompts.clips(language, &sentences));
            }
            Action::Close { stream, after_playback } => engine.close(stream, after_playback),
            Action::Record(record) => self.records.keep(*record),
            Action::Tell(event) => {
                // Nobody may be listening.
                drop(serde_json::to_string(&event).map(|json| self.control.events.send(json.into())));
            }
        }
        None
    }
}

fn open(engine: &Engine, stream: crate::engine::StreamId, local: IpAddr, shared: bool) -> std::io::Result<u16> {
    if shared { engine.open_shared(stream, local) } else { engine.open(stream, local) }
}

fn now(clock: &Clock) -> Now {
    Now { instant: clock.instant(), wall: clock.wall() }
}

/// Returns when either deadline has come; without one, never.
async fn passed(clock: &Clock, deadlines: Deadlines) {
    let instant = async {
        match deadlines.instant {
            Some(instant) => clock.sleep_until(instant).await,
            None => std::future::pending().await,
        }
    };
    let wall = async {
        match deadlines.wall {
            Some(wall) => clock.sleep_until_wall(wall).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = instant => {}
        () = wall => {}
    }
}

async fn listen_for_control(address: SocketAddr) -> anyhow::Result<TcpListener> {
    if !address.ip().is_loopback() {
        bail!(
            "handoff.listen: {address} is not on loopback, and would need TLS, which is not built yet; use 127.0.0.1"
        );
    }
    TcpListener::bind(address).await.with_context(|| format!("handoff.listen: {address} cannot be listened on"))
}

/// Removes what is past keeping, at start and every night.
async fn keep_house(schedule: Schedule, records: Records, settings: watch::Receiver<Arc<Settings>>, clock: Clock) {
    loop {
        let now = clock.wall();
        let days = settings.borrow().privacy.call_records_days;
        let bookings = schedule.forget_old(now).await;
        let calls = records.forget_old(now, days).await;
        let next = match (bookings, calls) {
            (Ok(bookings), Ok(calls)) => {
                tracing::info!(bookings, calls, "old bookings and call records were removed");
                next_night(now)
            }
            (bookings, calls) => {
                let (bookings, calls) = (bookings.err(), calls.err());
                tracing::error!(
                    ?bookings,
                    ?calls,
                    "old bookings and call records cannot be removed; trying again later"
                );
                now + HOUSEKEEPING_RETRY
            }
        };
        clock.sleep_until_wall(next).await;
    }
}

fn next_night(now: DateTime<Utc>) -> DateTime<Utc> {
    let tonight = now.date_naive().and_time(NIGHT).and_utc();
    if tonight > now { tonight } else { tonight + TimeDelta::days(1) }
}

#[cfg(test)]
mod tests;
