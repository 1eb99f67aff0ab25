//! The one table of calls: leg ↔ SIP call ↔ stream ↔ room, and the translation between the machines behind them.
//!
//! [`Switchboard::handle`] takes what happened anywhere (signalling, sound, hand-off, time) and gives what is to be done
//! everywhere, as a list. It touches no socket and reads no clock; `run` performs the list. A leg lives here from its
//! INVITE to the `Ended` of signalling, which comes exactly once and is the only place where a leg is struck out.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dialroom_booking::{E164, Language};
use dialroom_settings::{self as settings, Settings};
use mixer_conference::{
    Announce, AutomaticLogin, Call, CallRecord, ConferenceId, ConferenceView, Digit, EndReason, Event, Focus, Input,
    LegId, Now, Output, PlaybackId, Policy, Refusal, Sentence,
};
use tracing::Span;

use crate::dialled::Door;
use crate::engine::{Levels, Remote, Report, RoomKey, StreamId};
use crate::far_end::far_end;
use crate::identity::believed;
use crate::metrics::Metrics;
use crate::schedule::Change;
use crate::sip::{CallKey, Called, CallerHeaders, Cause, EndedBy, PeerId, RemoteMedia, SipEvent};
use crate::trunks;

/// Most calls at a time: what one worker thread is known to mix. The next one gets 503 and may try elsewhere.
const MAX_LEGS: usize = 2000;
/// A last word is heard within 30 s, the engine promises. Should it not say so, the call ends all the same.
const LAST_WORD_PATIENCE: Duration = Duration::from_secs(35);

/// Every call of this mixer.
#[derive(Debug)]
pub(crate) struct Switchboard {
    focus: Focus,
    settings: Arc<Settings>,
    /// Made once per settings: reading a number loads the numbering plans of the world.
    doors: Doors,
    metrics: Arc<Metrics>,
    legs: BTreeMap<LegId, Leg>,
    calls: BTreeMap<CallKey, LegId>,
    rooms: BTreeMap<ConferenceId, RoomKey>,
    /// Legs that hear their last word, and when patience with it ends; in order of both.
    closing: VecDeque<(Instant, LegId)>,
    next_leg: u64,
    next_room: u64,
    actions: Vec<Action>,
    deadlines: Deadlines,
}

/// The conference number in every spelling: everybody's, and that of trunks with numbers or a country of their own.
#[derive(Debug)]
struct Doors {
    usual: Door,
    of_trunk: BTreeMap<PeerId, Door>,
}

#[derive(Debug)]
struct Leg {
    call: CallKey,
    /// Where its signalling comes from.
    source: SocketAddr,
    /// Whether its trunk's keys come in the sound.
    in_band_digits: bool,
    /// Whether its sound comes to the port that all calls of its trunk share.
    shared_port: bool,
    /// Our address as the caller reaches it.
    local: IpAddr,
    stage: Stage,
    /// Where it talks, or would if the caller had not put us on hold.
    conference: Option<ConferenceId>,
    /// He holds: what his telephone sends now is music, which nobody in the conference wants to hear.
    held: bool,
    /// What is done to its voice; nothing until it is in a conference.
    levels: Levels,
    span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The focus was asked and has not said.
    Asked,
    /// 200 is sent, its stream is open; nothing is sent there before the ACK.
    Answered,
    /// Confirmed: sound flows.
    Connected,
    /// To be hung up, for this reason, once what is queued for it was heard.
    Closing(EndReason),
    /// Hung up or refused; only signalling's last word is missing.
    Over,
}

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Happened {
    /// In signalling.
    Sip(SipEvent),
    /// To a stream.
    Sound(Report),
    /// To the schedule.
    Schedule(Change),
    /// The settings were changed.
    Settings(Arc<Settings>),
    /// No port was free for `Action::Answer`.
    NoPort(StreamId),
    /// A deadline may have come.
    Time,
    /// The program is to end.
    Shutdown,
}

/// Something to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Open a stream on this address, perhaps on the port that calls share, and answer the call with its port.
    Answer { call: CallKey, stream: StreamId, local: IpAddr, shared: bool },
    /// Refuse the call, with words for the caller and a code for the audit log.
    Refuse { call: CallKey, status: u16, reason: &'static str, code: &'static str },
    /// Ask whether the other side is still there; if it is not, signalling ends the call.
    Probe(CallKey),
    /// A stranger dialled a number that nobody has.
    Missed(SocketAddr),
    /// A key was pressed that signalling told; it comes back as a digit, once, whichever ways it came.
    Press(StreamId, char),
    /// End the call.
    HangUp { call: CallKey, reason: &'static str },
    /// Let sound flow.
    Connect { stream: StreamId, remote: Remote },
    /// Speak to one stream.
    Play { stream: StreamId, playback: u64, language: Language, sentences: Vec<Sentence> },
    /// Stop speaking.
    Hush(StreamId),
    /// Play music.
    Music(StreamId),
    /// What is done to its voice before others hear it.
    Level(StreamId, Levels),
    /// Into a room.
    Join(StreamId, RoomKey),
    /// Out of it.
    Leave(StreamId),
    /// Speak to a room.
    PlayToRoom { room: RoomKey, language: Language, sentences: Vec<Sentence> },
    /// Close a stream; `Report::Closed` follows.
    Close { stream: StreamId, after_playback: bool },
    /// Keep a record.
    Record(Box<CallRecord>),
    /// Tell whoever listens.
    Tell(Event),
}

/// When to come back with `Happened::Time`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// On the monotonic clock.
    pub(crate) instant: Option<Instant>,
    /// On the wall clock, which may be moved.
    pub(crate) wall: Option<DateTime<Utc>>,
}

impl Switchboard {
    /// A switchboard without calls and bookings.
    pub(crate) fn new(now: Now, settings: Arc<Settings>, metrics: Arc<Metrics>) -> Self {
        Self {
            focus: Focus::new(now, policy(&settings)),
            doors: doors(&settings),
            settings,
            metrics,
            legs: BTreeMap::new(),
            calls: BTreeMap::new(),
            rooms: BTreeMap::new(),
            closing: VecDeque::new(),
            next_leg: 1,
            next_room: 1,
            actions: Vec::new(),
            deadlines: Deadlines::default(),
        }
    }

    /// Takes one thing that happened, gives what to do, in order.
    pub(crate) fn handle(&mut self, now: Now, happened: Happened) -> Vec<Action> {
        match happened {
            Happened::Sip(event) => self.sip(now, event),
            Happened::Sound(report) => self.sound(now, report),
            Happened::Schedule(Change::Held(booking)) => self.tell(now, Input::Booking(&booking)),
            Happened::Schedule(Change::Withdrawn(id)) => self.tell(now, Input::Withdrawn(&id)),
            Happened::Settings(settings) => {
                self.tell(now, Input::Policy(policy(&settings)));
                self.doors = doors(&settings);
                self.settings = settings;
                self.level_all();
            }
            Happened::NoPort(stream) => self.no_port(now, stream),
            Happened::Time => self.tell(now, Input::Time),
            Happened::Shutdown => self.tell(now, Input::Shutdown),
        }
        self.lose_patience(now.instant);
        self.metrics.legs.set(self.legs.len());
        self.metrics.conferences.set(self.rooms.len());
        std::mem::take(&mut self.actions)
    }

    /// When to come back at the latest.
    pub(crate) fn deadlines(&self) -> Deadlines {
        let patience = self.closing.front().map(|(until, _)| *until);
        Deadlines { instant: self.deadlines.instant.into_iter().chain(patience).min(), ..self.deadlines }
    }

    /// Whether no call is left.
    pub(crate) fn is_idle(&self) -> bool {
        self.legs.is_empty()
    }

    /// The conferences that run.
    pub(crate) fn conferences(&self) -> Vec<ConferenceView> {
        self.focus.conferences().collect()
    }

    fn sip(&mut self, now: Now, event: SipEvent) {
        match event {
            SipEvent::Incoming { call, source, local, peer, called, headers, transport: _, tls_names: _ } => {
                self.incoming(now, call, (source, local), peer, &called, &headers);
            }
            SipEvent::Established { call, remote } => {
                if let Some(leg) = self.advance(call, Stage::Answered, Stage::Connected) {
                    self.connect(leg, remote);
                    self.tell(now, Input::Established(leg));
                }
            }
            SipEvent::Reoffered { call, remote } => {
                if let Some(leg) = self.calls.get(&call).copied() {
                    self.connect(leg, remote);
                }
            }
            SipEvent::Ended { call, cause } => {
                if let Some(leg) = self.calls.remove(&call) {
                    self.strike(now, leg, &cause);
                }
            }
            SipEvent::Pressed { call, digit } => {
                let leg = self.calls.get(&call).and_then(|leg| self.connected(stream_of(*leg)));
                self.actions.extend(leg.map(|leg| Action::Press(stream_of(leg), digit.0)));
            }
            SipEvent::Alive { call } => {
                if let Some(leg) = self.calls.get(&call).and_then(|leg| self.legs.get(leg)) {
                    leg.span.in_scope(|| tracing::debug!("nothing is heard of this telephone, but it is there"));
                }
            }
            SipEvent::Registered { peer, expires } => {
                let trunk = trunks::trunk(&self.settings, peer).map(|trunk| trunk.name.as_str());
                tracing::info!(trunk, seconds = expires.as_secs(), "registered");
            }
            SipEvent::RegistrationFailed { peer, status, text, retry_in } => {
                let trunk = trunks::trunk(&self.settings, peer).map(|trunk| trunk.name.as_str());
                tracing::warn!(trunk, status, why = text, again_in_s = retry_in.as_secs(), "not registered");
            }
            // Of calls that we place, and of questions that we ask; this program does neither.
            SipEvent::Ringing { .. } | SipEvent::Pong { .. } => {}
        }
    }

    fn incoming(
        &mut self,
        now: Now,
        call: CallKey,
        (source, local): (SocketAddr, IpAddr),
        peer: Option<PeerId>,
        called: &Called,
        headers: &CallerHeaders,
    ) {
        self.metrics.calls.raise();
        if self.legs.len() >= MAX_LEGS {
            self.metrics.calls_refused.raise();
            tracing::warn!(%source, "call refused: {MAX_LEGS} calls already");
            let (reason, code) = ("All lines are busy", "overload");
            return self.actions.push(Action::Refuse { call, status: 503, reason, code });
        }
        let id = LegId(self.next_leg);
        self.next_leg += 1;
        let span = tracing::info_span!("call", leg = id.0);
        let trunk = peer.and_then(|peer| trunks::trunk(&self.settings, peer));
        let caller = believed(&self.settings, trunk, headers);
        let in_band_digits = trunk.is_some_and(|trunk| trunk.in_band_digits);
        let shared_port = trunk.is_some_and(|trunk| trunk.shared_media_port);
        let trunk = trunk.map(|trunk| trunk.name.as_str());
        let door = peer.and_then(|peer| self.doors.of_trunk.get(&peer)).unwrap_or(&self.doors.usual);
        let along = door.dialled_along(called.as_str()).to_owned();
        if trunk.is_none() && !door.is_reached_by(called.as_str()) {
            // He is answered like anybody else: who searches must not learn which number is the right one.
            self.actions.push(Action::Missed(source));
        }
        let masked = caller.number.as_ref().map(|number| number.masked());
        span.in_scope(|| {
            let number = masked.as_deref().unwrap_or("no number");
            let trust = caller.trust;
            tracing::info!(%source, trunk, number, ?trust, why = caller.why, room_dialled = !along.is_empty(), "call arrives");
        });
        let (stage, conference, held, levels) = (Stage::Asked, None, false, Levels::default());
        let leg = Leg { call, source, in_band_digits, shared_port, local, stage, conference, held, levels, span };
        self.legs.insert(id, leg);
        self.calls.insert(call, id);
        let call = Call { caller: caller.number, trust: caller.trust, dialled_along: along };
        self.tell(now, Input::Call(id, call));
    }

    fn connect(&mut self, id: LegId, remote: RemoteMedia) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if !matches!(leg.stage, Stage::Connected | Stage::Closing(_)) {
            return;
        }
        let stream = stream_of(id);
        let far_end = far_end(&remote, leg.source.ip(), leg.in_band_digits);
        self.actions.push(Action::Connect { stream, remote: far_end });
        let was_held = std::mem::replace(&mut leg.held, !remote.listens);
        if leg.held == was_held || leg.stage != Stage::Connected {
            return;
        }
        leg.span
            .in_scope(|| tracing::info!("{}", if was_held { "resumed by the caller" } else { "held by the caller" }));
        let room = leg.conference.as_ref().and_then(|conference| self.rooms.get(conference));
        if let Some(room) = room {
            self.actions.push(if was_held { Action::Join(stream, *room) } else { Action::Leave(stream) });
        }
    }

    fn sound(&mut self, now: Now, report: Report) {
        match report {
            Report::Digit(stream, key) => {
                if let (Some(digit), Some(leg)) = (Digit::from_char(key), self.connected(stream)) {
                    self.tell(now, Input::Digit(leg, digit));
                }
            }
            Report::Played(stream, playback) => {
                if let Some(leg) = self.connected(stream) {
                    self.tell(now, Input::Played(leg, PlaybackId(playback)));
                }
            }
            // Muted, held or gone: only the telephone itself can tell, and who no longer answers is ended by signalling.
            Report::Silent(stream, _since) => {
                let leg = self.connected(stream).and_then(|leg| self.legs.get(&leg));
                self.actions.extend(leg.map(|leg| Action::Probe(leg.call)));
            }
            Report::Closed(stream, statistics) => {
                self.metrics.packets_lost.add(statistics.packets_lost);
                self.closed(leg_of(stream));
            }
            // Of streams that key; those of callers never do.
            Report::Keyed(_) => {}
        }
    }

    /// A stream is closed: whoever was to hear a last word has heard it.
    fn closed(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if let Stage::Closing(reason) = leg.stage {
            leg.stage = Stage::Over;
            self.actions.push(Action::HangUp { call: leg.call, reason: reason_text(reason) });
        }
    }

    fn lose_patience(&mut self, now: Instant) {
        while let Some((_, id)) = self.closing.pop_front_if(|(until, _)| *until <= now) {
            self.closed(id);
        }
    }

    fn no_port(&mut self, now: Now, stream: StreamId) {
        let id = leg_of(stream);
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.stage == Stage::Answered) else { return };
        leg.stage = Stage::Over;
        self.metrics.calls_refused.raise();
        let (reason, code) = ("No port for sound is free", "no_port");
        self.actions.push(Action::Refuse { call: leg.call, status: 503, reason, code });
        self.tell(now, Input::HungUp(id));
    }

    /// Signalling's last word about a call: nothing of it stays anywhere.
    fn strike(&mut self, now: Now, id: LegId, cause: &Cause) {
        let Some(leg) = self.legs.remove(&id) else { return };
        // Without its text, which may be the caller's own and hold a number.
        leg.span.in_scope(|| tracing::info!(by = ?cause.by, status = ?cause.status, "call over"));
        if cause.by == EndedBy::Silence && leg.stage == Stage::Connected {
            self.metrics.calls_silent.raise();
        }
        match leg.stage {
            Stage::Answered | Stage::Connected | Stage::Closing(_) => {
                self.actions.push(Action::Close { stream: stream_of(id), after_playback: false });
            }
            Stage::Asked | Stage::Over => {}
        }
        if let Some(conference) = leg.conference {
            self.drop_room_when_empty(&conference);
        }
        // The focus passes over what it has ended itself.
        self.tell(now, Input::HungUp(id));
    }

    fn tell(&mut self, now: Now, input: Input<'_>) {
        self.focus.handle(now, input);
        loop {
            match self.focus.poll() {
                Output::Wait { instant, wall } => {
                    self.deadlines = Deadlines { instant, wall };
                    return;
                }
                output => self.order(now, output),
            }
        }
    }

    fn order(&mut self, now: Now, output: Output) {
        match output {
            Output::Answer(id) => self.answer(id),
            Output::Refuse(id, refusal) => self.refuse(id, refusal),
            Output::Say { leg, playback: PlaybackId(playback), language, sentences } => {
                self.if_connected(leg, |stream| Action::Play { stream, playback, language, sentences });
            }
            Output::Hush(leg) => self.if_connected(leg, Action::Hush),
            Output::Music(leg) => self.if_connected(leg, Action::Music),
            Output::Join(leg, conference) => self.join(leg, conference),
            Output::Leave(leg) => {
                self.if_connected(leg, Action::Leave);
                let left = self.legs.get_mut(&leg).and_then(|leg| leg.conference.take());
                left.iter().for_each(|conference| self.drop_room_when_empty(conference));
            }
            Output::SayToAll { conference, language, sentences } => {
                if let Some(room) = self.rooms.get(&conference).copied() {
                    self.actions.push(Action::PlayToRoom { room, language, sentences });
                }
            }
            Output::HangUp(leg, reason) => self.hang_up(now, leg, reason),
            Output::Record(record) => self.actions.push(Action::Record(record)),
            Output::Event(event) => {
                if event == Event::WrongEntries {
                    self.metrics.wrong_entries.raise();
                }
                self.actions.push(Action::Tell(event));
            }
            Output::Wait { instant, wall } => self.deadlines = Deadlines { instant, wall },
        }
    }

    fn answer(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.stage == Stage::Asked) else { return };
        leg.stage = Stage::Answered;
        let (local, shared) = (leg.local, leg.shared_port);
        self.actions.push(Action::Answer { call: leg.call, stream: stream_of(id), local, shared });
    }

    fn refuse(&mut self, id: LegId, refusal: Refusal) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.stage == Stage::Asked) else { return };
        leg.stage = Stage::Over;
        let (status, reason, code) = match refusal {
            Refusal::Overload => (503, "All lines are busy", "overload"),
            Refusal::ExternalCallersBarred => (403, "Calls from outside are barred", "external_barred"),
        };
        leg.span.in_scope(|| tracing::info!(status, reason, "call refused"));
        self.metrics.calls_refused.raise();
        self.actions.push(Action::Refuse { call: leg.call, status, reason, code });
    }

    fn join(&mut self, id: LegId, conference: ConferenceId) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.stage == Stage::Connected) else { return };
        let booking = &conference.booking;
        leg.span.in_scope(|| tracing::info!(%booking, start = %conference.original_start, "joined the conference"));
        let room = *self.rooms.entry(conference.clone()).or_insert_with(|| {
            self.next_room += 1;
            RoomKey(self.next_room - 1)
        });
        let levels = levels(&self.settings);
        if std::mem::replace(&mut leg.levels, levels) != levels {
            self.actions.push(Action::Level(stream_of(id), levels));
        }
        if !leg.held {
            self.actions.push(Action::Join(stream_of(id), room));
        }
        let left = leg.conference.replace(conference);
        left.iter().for_each(|conference| self.drop_room_when_empty(conference));
    }

    /// The settings changed: those who are in a conference are heard accordingly from here on.
    fn level_all(&mut self) {
        let levels = levels(&self.settings);
        for (&id, leg) in self.legs.iter_mut().filter(|(_, leg)| leg.conference.is_some()) {
            if leg.stage == Stage::Connected && std::mem::replace(&mut leg.levels, levels) != levels {
                self.actions.push(Action::Level(stream_of(id), levels));
            }
        }
    }

    fn hang_up(&mut self, now: Now, id: LegId, reason: EndReason) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let after_playback = leg.stage == Stage::Connected && reason != EndReason::Shutdown;
        let is_open = matches!(leg.stage, Stage::Answered | Stage::Connected | Stage::Closing(_));
        if leg.stage == Stage::Over {
            return;
        }
        leg.span.in_scope(|| tracing::info!(?reason, "call is ended by us"));
        leg.stage = if after_playback { Stage::Closing(reason) } else { Stage::Over };
        if is_open {
            self.actions.push(Action::Close { stream: stream_of(id), after_playback });
        }
        if after_playback {
            self.closing.push_back((now.instant + LAST_WORD_PATIENCE, id));
        } else {
            self.actions.push(Action::HangUp { call: leg.call, reason: reason_text(reason) });
        }
    }

    fn advance(&mut self, call: CallKey, from: Stage, to: Stage) -> Option<LegId> {
        let id = *self.calls.get(&call)?;
        let leg = self.legs.get_mut(&id).filter(|leg| leg.stage == from)?;
        leg.stage = to;
        Some(id)
    }

    fn connected(&self, stream: StreamId) -> Option<LegId> {
        let id = leg_of(stream);
        self.legs.get(&id).is_some_and(|leg| leg.stage == Stage::Connected).then_some(id)
    }

    fn if_connected(&mut self, id: LegId, action: impl FnOnce(StreamId) -> Action) {
        self.actions.extend(self.connected(stream_of(id)).map(|id| action(stream_of(id))));
    }

    fn drop_room_when_empty(&mut self, conference: &ConferenceId) {
        if !self.legs.values().any(|leg| leg.conference.as_ref() == Some(conference)) {
            self.rooms.remove(conference);
        }
    }
}

/// A leg's stream has the leg's number.
fn stream_of(leg: LegId) -> StreamId {
    StreamId(leg.0)
}

fn leg_of(stream: StreamId) -> LegId {
    LegId(stream.0)
}

/// What a telephone's display may show, and a trace does: text of the Reason header (RFC 3326).
fn reason_text(reason: EndReason) -> &'static str {
    match reason {
        EndReason::CallerHungUp => "The caller hung up",
        EndReason::WindowClosed => "The conference has ended",
        EndReason::Cancelled => "The conference was cancelled",
        EndReason::WrongEntries => "Room or PIN does not match",
        EndReason::NoEntry => "Nothing was keyed",
        EndReason::Full => "The conference is full",
        EndReason::NotOpen => "The line is not open",
        EndReason::NotConfirmed => "The answer was not confirmed",
        EndReason::Shutdown => "The conference server is stopped",
    }
}

fn doors(settings: &Settings) -> Doors {
    let home = settings.directory.home_region;
    // The first national number that is read loads the numbering plans of the world; no caller shall wait for that.
    drop(E164::parse("0", home));
    let own = trunks::peer_ids(settings).filter(|(_, trunk)| !trunk.numbers.is_empty() || trunk.home_region.is_some());
    let of_trunk = own
        .map(|(peer, trunk)| (peer, Door::with(&settings.dial_in, trunk.home_region.unwrap_or(home), &trunk.numbers)));
    Doors { usual: Door::new(&settings.dial_in, home), of_trunk: of_trunk.collect() }
}

/// What the settings want done to voices.
fn levels(settings: &Settings) -> Levels {
    Levels { normalise: settings.media.normalize_levels, gate: settings.media.noise_gate }
}

/// The settings' house rules, as the focus wants them.
fn policy(settings: &Settings) -> Policy {
    let rooms = &settings.rooms;
    Policy {
        enabled: settings.conference.enabled,
        automatic_login: match settings.conference.automatic_login {
            settings::AutomaticLogin::Everyone => AutomaticLogin::Everyone,
            settings::AutomaticLogin::Internal => AutomaticLogin::Internal,
            settings::AutomaticLogin::Off => AutomaticLogin::Off,
        },
        announce: match settings.conference.announce {
            settings::Announce::Tones => Announce::Tones,
            settings::Announce::None => Announce::None,
        },
        max_participants: settings.conference.max_participants as usize,
        max_account_participants: settings.account.max_participants as usize,
        external_callers: settings.conference.external_callers,
        longest_room: rooms.booked.longest().max(rooms.permanent.longest()).max(rooms.spontaneous.longest()),
        digit_timeout: Duration::from_secs(settings.dial_in.inter_digit_seconds.into()),
        language: settings.invitation.language.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
