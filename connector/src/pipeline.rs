//! From an appointment to a committed booking with everything that follows from it.
//!
//! One task owns ledger and bookings; whoever has something to decide sends it here and waits for the answer. What
//! waits at the same time is planned one after the other and committed together: one flush, however many came. Only
//! then do readers see it, letters leave and the mixer hear of it. A kill at any instant loses nothing: before the
//! commit nobody was told, after it everything is found again in the store.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use connector_calendar::{Appointment, MarkRule};
use connector_planner::{
    Decision, Directory as Contacts, HandOff, Ignored, Ledger, Plan, PlanRules, Refusal, Seen, Sighting, Stored, plan,
};
use dialroom_booking::{Booking, BookingId, BookingState, EmailAddress, Origin};
use dialroom_host::{Batch, Clock, OsRandom};
use dialroom_settings::{Rule, Settings};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::metrics::Metrics;
use crate::outbox::Posted;
use crate::shelf::Shelf;
use crate::store::{self, EntryTrace, Keep, KeepError, MailKey, MailRow, RefusedEntry};

/// Entries that may wait to be planned; at the bound sources wait too.
const MAX_WAITING: usize = 256;
/// Entries committed together; more would only delay the first.
const MAX_GROUP: usize = 64;
/// How often blocks of rooms that are over are forgotten.
const LAPSE_INTERVAL_MINUTES: i64 = 10;

/// An entry that was read, and how it came into sight.
#[derive(Debug)]
pub(crate) struct Sighted {
    /// The entry.
    pub(crate) appointment: Appointment,
    /// Mailbox it was read from; `None` for what was made with us.
    pub(crate) mailbox: Option<EmailAddress>,
    /// When that mailbox was first read.
    pub(crate) first_sync: Option<DateTime<Utc>>,
    /// What is known of its people.
    pub(crate) directory: Contacts,
}

/// Something to decide.
#[derive(Debug)]
enum Work {
    Sighted(Box<Sighted>, oneshot::Sender<Outcome>),
    Gone(Origin, EmailAddress, oneshot::Sender<Outcome>),
    Cancel(BookingId, oneshot::Sender<Outcome>),
}

/// What came of it, durable when it is told.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What was decided; `None`: there is no such booking.
    pub(crate) decision: Option<Decision>,
    /// The booking as it is now.
    pub(crate) booking: Option<Arc<Booking>>,
}

/// Where entries are sent to be decided; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline(mpsc::Sender<Work>);

/// The pipeline has ended: the program is stopping.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connector is stopping")]
pub(crate) struct Stopping;

impl Pipeline {
    /// Decides about an entry.
    pub(crate) async fn sighted(&self, sighted: Sighted) -> Result<Outcome, Stopping> {
        self.send(|done| Work::Sighted(Box::new(sighted), done)).await
    }

    /// The entry in this place, in the mailbox of this address, is confirmed to be gone.
    pub(crate) async fn gone(&self, origin: Origin, mailbox: EmailAddress) -> Result<Outcome, Stopping> {
        self.send(|done| Work::Gone(origin, mailbox, done)).await
    }

    /// A booking made with us is to be cancelled.
    pub(crate) async fn cancel(&self, id: BookingId) -> Result<Outcome, Stopping> {
        self.send(|done| Work::Cancel(id, done)).await
    }

    async fn send(&self, work: impl FnOnce(oneshot::Sender<Outcome>) -> Work) -> Result<Outcome, Stopping> {
        let (done, answer) = oneshot::channel();
        self.0.send(work(done)).await.map_err(|_| Stopping)?;
        answer.await.map_err(|_| Stopping)
    }
}

/// What the pipeline shares with the rest of the program.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The store.
    pub(crate) keep: Keep,
    /// The settings of the moment.
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    /// The clock.
    pub(crate) clock: Clock,
    /// Committed bookings.
    pub(crate) shelf: Arc<Shelf>,
    /// Counts.
    pub(crate) metrics: Arc<Metrics>,
    /// Letters to send.
    pub(crate) mails: mpsc::UnboundedSender<Posted>,
    /// Rung when hand-offs wait.
    pub(crate) hand_offs: Arc<Notify>,
}

/// Builds the pipeline from what is stored.
///
/// # Errors
/// When the store cannot be read: going on would give numbers away twice.
pub(crate) fn open(shared: Shared) -> Result<(Pipeline, Worker), KeepError> {
    let bookings: HashMap<_, _> =
        shared.keep.bookings()?.into_iter().map(|booking| (booking.id.clone(), Arc::new(booking))).collect();
    shared.shelf.put(bookings.values().cloned());
    shared.metrics.bookings.set(bookings.len());
    let mut worker = Worker {
        ledger: Ledger::from_holds(shared.keep.holds()?),
        bookings: HashMap::new(),
        by_place: HashMap::new(),
        by_uid: HashMap::new(),
        refused: HashMap::new(),
        works: None,
        shared,
    };
    bookings.into_values().for_each(|booking| worker.hold(booking));
    let (sender, works) = mpsc::channel(MAX_WAITING);
    worker.works = Some(works);
    Ok((Pipeline(sender), worker))
}

/// The task that owns ledger and bookings.
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Shared,
    ledger: Ledger,
    bookings: HashMap<BookingId, Arc<Booking>>,
    by_place: HashMap<(String, String), BookingId>,
    by_uid: HashMap<String, BookingId>,
    /// Refusals told since the start; earlier ones are in the store.
    refused: HashMap<(String, String), Option<Refusal>>,
    works: Option<mpsc::Receiver<Work>>,
}

/// What one group adds up to.
#[derive(Default)]
struct Group {
    batch: Batch,
    bookings: Vec<Arc<Booking>>,
    posted: Vec<Posted>,
    hand_offs: bool,
    answers: Vec<(oneshot::Sender<Outcome>, Outcome)>,
    changed: bool,
}

impl Worker {
    /// Decides until nobody asks any more.
    ///
    /// # Errors
    /// When the store fails: what is in memory is then ahead of it, and only a new start can be trusted.
    pub(crate) async fn run(mut self) -> Result<(), KeepError> {
        let Some(mut works) = self.works.take() else { return Ok(()) };
        let mut waiting = Vec::with_capacity(MAX_GROUP);
        let mut lapse_at = self.shared.clock.wall();
        loop {
            let clock = self.shared.clock.clone();
            tokio::select! {
                taken = works.recv_many(&mut waiting, MAX_GROUP) => if taken == 0 { return Ok(()) },
                () = clock.sleep_until_wall(lapse_at) => {
                    lapse_at = clock.wall() + TimeDelta::minutes(LAPSE_INTERVAL_MINUTES);
                    self.lapse().await?;
                    continue;
                }
            }
            let settings = Arc::clone(&self.shared.settings.borrow());
            let rules = plan_rules(&settings);
            let mut group = Group::default();
            for work in waiting.drain(..) {
                self.take(work, &settings, &rules, &mut group)?;
            }
            self.finish(group).await?;
        }
    }

    async fn lapse(&mut self) -> Result<(), KeepError> {
        let gone = self.ledger.lapse(self.shared.clock.wall());
        if gone.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        gone.iter().for_each(|(room, booking)| store::remove_hold(&mut batch, *room, booking));
        self.shared.keep.commit(batch).await
    }

    async fn finish(&self, group: Group) -> Result<(), KeepError> {
        let Group { batch, bookings, posted, hand_offs, answers, changed } = group;
        if changed {
            self.shared.keep.commit(batch).await?;
            self.shared.metrics.commits.add();
        }
        self.shared.shelf.put(bookings);
        self.shared.metrics.bookings.set(self.bookings.len());
        for letter in posted {
            // A closed outbox means that the program is stopping; the letter is in the store.
            let _ = self.shared.mails.send(letter);
        }
        if hand_offs {
            self.shared.hand_offs.notify_one();
        }
        for (done, outcome) in answers {
            // Whoever asked may have left.
            let _ = done.send(outcome);
        }
        Ok(())
    }

    fn take(&mut self, work: Work, settings: &Settings, rules: &PlanRules, group: &mut Group) -> Result<(), KeepError> {
        self.shared.metrics.plans.add();
        match work {
            Work::Sighted(sighted, done) => {
                let appointment = &sighted.appointment;
                let stored = self.find(&appointment.origin, Some(&appointment.uid));
                let sighting = Sighting {
                    appointment,
                    mailbox: sighted.mailbox.as_ref(),
                    organizer_watched: is_watched(settings, &appointment.organizer.address),
                    first_sync: sighted.first_sync,
                    adopt: settings.graph.as_ref().is_some_and(|graph| graph.adopt),
                    directory: &sighted.directory,
                };
                let seen = Seen::Appointment(sighting);
                let outcome = self.decide(rules, &appointment.origin, stored, seen, Some(appointment), group)?;
                group.answers.push((done, outcome));
            }
            Work::Gone(origin, mailbox, done) => {
                let stored = self.find(&origin, None);
                let seen = Seen::Gone { origin: &origin, mailbox: Some(&mailbox) };
                let outcome = self.decide(rules, &origin, stored, seen, None, group)?;
                group.answers.push((done, outcome));
            }
            Work::Cancel(id, done) => {
                let outcome = match self.bookings.get(&id).cloned() {
                    None => Outcome { decision: None, booking: None },
                    Some(booking) => {
                        let origin = booking.origin.clone();
                        let seen = Seen::Gone { origin: &origin, mailbox: None };
                        self.decide(rules, &origin, Some(booking), seen, None, group)?
                    }
                };
                group.answers.push((done, outcome));
            }
        }
        Ok(())
    }

    fn find(&self, origin: &Origin, uid: Option<&str>) -> Option<Arc<Booking>> {
        let by_place = place(origin).and_then(|place| self.by_place.get(&place));
        let id = by_place.or_else(|| uid.and_then(|uid| self.by_uid.get(uid)))?;
        self.bookings.get(id).cloned()
    }

    fn decide(
        &mut self,
        rules: &PlanRules,
        origin: &Origin,
        stored: Option<Arc<Booking>>,
        seen: Seen<'_>,
        appointment: Option<&Appointment>,
        group: &mut Group,
    ) -> Result<Outcome, KeepError> {
        let now = self.shared.clock.wall();
        let refused = self.refused(origin)?;
        let held = Stored { booking: stored.as_deref(), refused: refused.as_ref() };
        let Plan { decision, rule, booking, holds, letters, hand_off } =
            plan(now, rules, &self.ledger, held, seen, &mut OsRandom);
        let booking = booking.map(Arc::new);
        log(&decision, booking.as_deref().or(stored.as_deref()));
        for hold in &holds {
            self.ledger.set(hold);
            store::put_hold(&mut group.batch, hold);
        }
        if let Some(booking) = &booking {
            self.shared.keep.put_booking(&mut group.batch, booking);
            if !letters.is_empty() {
                self.shared.keep.put_mail_booking(&mut group.batch, booking);
            }
            self.hold(Arc::clone(booking));
            group.bookings.push(Arc::clone(booking));
        }
        let told = letters.into_iter().filter_map(|letter| {
            let key = self.mail_key(now, origin, booking.as_deref(), &letter.recipient.address)?;
            let refused = appointment.filter(|_| booking.is_none()).and_then(refused_entry);
            Some(MailRow { key, queued_at: now, letter, refused, perhaps_accepted: false })
        });
        for row in told.collect::<Vec<_>>() {
            store::put_mail(&mut group.batch, &row);
            group.posted.push(Posted { row, booking: booking.clone() });
        }
        if let Some(hand_off) = &hand_off {
            let (id, revision) = match hand_off {
                HandOff::Put(handed) => (&handed.id, handed.revision),
                HandOff::Delete { id, revision } => (id, *revision),
            };
            store::put_hand_off(&mut group.batch, id, revision);
            group.hand_offs = true;
        }
        let known = booking.as_ref().or(stored.as_ref());
        let traced = is_traced(&decision);
        if traced {
            let told = match &decision {
                Decision::Refuse(refusal) => Some(refusal.clone()),
                _ => None,
            };
            let id = known.map(|booking| booking.id.clone());
            let trace = EntryTrace { at: now, decision: decision.clone(), rule, booking: id, refused: told.clone() };
            store::put_entry(&mut group.batch, origin, &trace);
            if let Some(place) = place(origin) {
                self.refused.insert(place, told);
            }
        }
        group.changed |= traced || booking.is_some() || !holds.is_empty() || hand_off.is_some();
        Ok(Outcome { decision: Some(decision), booking: known.cloned() })
    }

    fn refused(&self, origin: &Origin) -> Result<Option<Refusal>, KeepError> {
        let Some(place) = place(origin) else { return Ok(None) };
        match self.refused.get(&place) {
            Some(refused) => Ok(refused.clone()),
            None => Ok(self.shared.keep.entry(origin)?.and_then(|trace| trace.refused)),
        }
    }

    fn hold(&mut self, booking: Arc<Booking>) {
        if let Some(place) = place(&booking.origin) {
            self.by_place.insert(place, booking.id.clone());
        }
        // Of two bookings with one UID the living one leads.
        let leads = self.by_uid.get(&booking.uid).and_then(|id| self.bookings.get(id)).is_none_or(|other| {
            other.id == booking.id || other.state != BookingState::Active || booking.state == BookingState::Active
        });
        if leads {
            self.by_uid.insert(booking.uid.clone(), booking.id.clone());
        }
        self.bookings.insert(booking.id.clone(), booking);
    }

    /// A refusal has no booking: its id is made of the entry's place, its revision of the instant.
    fn mail_key(
        &self,
        now: DateTime<Utc>,
        origin: &Origin,
        booking: Option<&Booking>,
        recipient: &EmailAddress,
    ) -> Option<MailKey> {
        let (id, revision) = match booking {
            Some(booking) => (booking.id.clone(), booking.revision),
            None => (refusal_id(origin)?, u64::try_from(now.timestamp_millis()).ok()?),
        };
        Some(MailKey { booking: id, revision, resend: 0, recipient: recipient.clone() })
    }
}

fn refusal_id(origin: &Origin) -> Option<BookingId> {
    let sum = match origin {
        Origin::Graph { mailbox, event } => Sha256::digest(format!("{mailbox}/{event}")),
        Origin::Dialroom => Sha256::digest("dialroom"),
    };
    let text: String = sum[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    BookingId::parse(&format!("refused-{text}")).ok()
}

fn refused_entry(appointment: &Appointment) -> Option<RefusedEntry> {
    let date = appointment.dates.first()?;
    let title = if appointment.private { String::new() } else { appointment.subject.clone() };
    Some(RefusedEntry {
        title,
        organizer: appointment.organizer.clone(),
        start: date.start,
        end: date.end,
        time_zone: appointment.time_zone,
    })
}

/// Entries that are not ours leave no trace, or the store would grow with every calendar.
fn is_traced(decision: &Decision) -> bool {
    match decision {
        Decision::Ignore(why) => matches!(why, Ignored::Older),
        Decision::Allocate | Decision::Change(_) | Decision::CloseLine | Decision::Cancel | Decision::Refuse(_) => true,
    }
}

fn log(decision: &Decision, booking: Option<&Booking>) {
    let id = booking.map_or("-", |booking| booking.id.as_str());
    match decision {
        Decision::Ignore(why) => tracing::debug!(?why, booking = id, "nothing to do"),
        Decision::Refuse(refusal) => tracing::warn!(?refusal, "no line for an entry; its organizer is told"),
        Decision::Change(changes) => tracing::info!(booking = id, changes = changes.len(), "booking changed"),
        Decision::Allocate => {
            let dates = booking.map_or(0, |booking| booking.occurrences.len());
            tracing::info!(booking = id, dates, "booking made");
        }
        Decision::CloseLine => tracing::info!(booking = id, "line closed: the mark is gone"),
        Decision::Cancel => tracing::info!(booking = id, "line closed: the meeting is cancelled"),
    }
}

/// Entries of calendars have a place; ours are found by their id.
fn place(origin: &Origin) -> Option<(String, String)> {
    match origin {
        Origin::Graph { mailbox, event } => Some((mailbox.clone(), event.clone())),
        Origin::Dialroom => None,
    }
}

fn is_watched(settings: &Settings, address: &EmailAddress) -> bool {
    settings.graph.as_ref().is_some_and(|graph| graph.mailboxes.contains(address))
}

/// The settings as the planner reads them.
fn plan_rules(settings: &Settings) -> PlanRules {
    let minutes = |minutes: u16| TimeDelta::minutes(i64::from(minutes));
    let graph = settings.graph.as_ref();
    PlanRules {
        enabled: settings.conference.enabled,
        rules: settings.rules.iter().map(mark_rule).collect(),
        booked: settings.rooms.booked.clone(),
        guard: minutes(settings.rooms.guard_minutes),
        lead: minutes(settings.dial_in.lead_minutes),
        overrun: minutes(settings.dial_in.overrun_minutes),
        max_duration: minutes(settings.conference.max_duration_minutes),
        pin_digits: settings.pin.digits,
        delivery: settings.invitation.delivery,
        resource_mailbox: graph.and_then(|graph| graph.resource_mailbox.clone()),
        service: settings.mail.as_ref().map(|mail| mail.from.clone()),
        resource_organizers: graph.map(|graph| graph.resource_organizers.clone()).unwrap_or_default(),
        language: settings.invitation.language.unwrap_or_default(),
    }
}

fn mark_rule(rule: &Rule) -> MarkRule {
    match rule {
        Rule::Property(name) => MarkRule::Property(name.clone()),
        Rule::Resource(mailbox) => MarkRule::Resource(mailbox.clone()),
        Rule::Category(name) => MarkRule::Category(name.clone()),
        Rule::Keyword(word) => MarkRule::Keyword(word.clone()),
    }
}
