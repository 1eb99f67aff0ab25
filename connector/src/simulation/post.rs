//! The mail server of a simulation: composes each letter as the program does, and keeps what arrived.

use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use connector_planner::{IcsKind, LetterKind};
use dialroom_host::Clock;
use dialroom_settings::Settings;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::world::EVA;
use crate::invitation::{Posting, Templates, compose};
use crate::outbox::{Post, PostError, Posted};

/// What arrived somewhere.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) at: DateTime<Utc>,
    pub(super) to: String,
    pub(super) message_id: String,
    pub(super) kind: LetterKind,
    /// UID of the meeting it is about; empty for refusals.
    pub(super) uid: String,
    /// The calendar object, unfolded.
    pub(super) ics: Option<String>,
}

/// Rates at which the mail server fails.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mood {
    /// It does not take a letter now.
    pub(super) deferring: f64,
    /// It takes a letter and nobody hears of it.
    pub(super) mute: f64,
}

pub(super) struct Mailboxes {
    clock: Clock,
    settings: Arc<Settings>,
    rng: Mutex<ChaCha8Rng>,
    pub(super) mood: Mutex<Mood>,
    /// Whether everybody opens what is attached; else the guest whose calendar is looked at alone.
    pub(super) everybody_opens: std::sync::atomic::AtomicBool,
    arrived: Mutex<Vec<Arrived>>,
}

impl Mailboxes {
    pub(super) fn new(seed: u64, clock: Clock, settings: Arc<Settings>) -> Self {
        let rng = Mutex::new(ChaCha8Rng::seed_from_u64(seed ^ 0x6d61_696c));
        let everybody_opens = true.into();
        Self { clock, settings, rng, mood: Mutex::default(), everybody_opens, arrived: Mutex::default() }
    }

    /// Everything that arrived, each letter once: whoever gets one again sees its Message-ID.
    pub(super) fn arrived(&self) -> Vec<Arrived> {
        let mut seen = std::collections::HashSet::new();
        let all = self.arrived.lock().unwrap();
        all.iter().filter(|one| seen.insert(one.message_id.clone())).cloned().collect()
    }

    /// Letters to this person.
    pub(super) fn to(&self, address: &str) -> Vec<Arrived> {
        self.arrived().into_iter().filter(|one| one.to == address).collect()
    }

    fn is_opened(&self, address: &str) -> bool {
        address == EVA || self.everybody_opens.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn happens(&self, rate: f64) -> bool {
        f64::from(self.rng.lock().unwrap().next_u32()) < rate * (f64::from(u32::MAX) + 1.0)
    }
}

fn templates() -> &'static Templates {
    static TEMPLATES: OnceLock<Templates> = OnceLock::new();
    TEMPLATES.get_or_init(|| Templates::load(None).unwrap())
}

#[async_trait]
impl Post for Mailboxes {
    async fn post(&self, posted: &Posted, message_id: &str) -> Result<(), PostError> {
        tokio::task::yield_now().await;
        let mood = *self.mood.lock().unwrap();
        if self.happens(mood.deferring) {
            return Err(PostError::Temporary("451 later".to_owned()));
        }
        let at = self.clock.wall();
        let posting = Posting { now: at, message_id };
        // Composing is much of a simulation's time; it is done where the object is looked at.
        let opened = posted.row.letter.ics != IcsKind::None && self.is_opened(posted.row.key.recipient.as_str());
        let ics = posted.booking.as_ref().filter(|_| opened);
        let ics = ics.map(|booking| {
            let mail = compose(templates(), &self.settings, booking, &posted.row.letter, &posting).unwrap();
            calendar_part(&mail.message)
        });
        self.arrived.lock().unwrap().push(Arrived {
            at,
            to: posted.row.key.recipient.as_str().to_owned(),
            message_id: message_id.to_owned(),
            kind: posted.row.letter.kind.clone(),
            uid: posted.booking.as_ref().map(|booking| booking.uid.clone()).unwrap_or_default(),
            ics,
        });
        tokio::task::yield_now().await;
        if self.happens(mood.mute) {
            return Err(PostError::AfterData("nobody answers".to_owned()));
        }
        Ok(())
    }

    fn domain(&self) -> String {
        "contoso.example".to_owned()
    }
}

fn calendar_part(message: &[u8]) -> String {
    let mail = mail_parser::MessageParser::default().parse(message).unwrap();
    let parts = mail.parts.iter().filter_map(|part| std::str::from_utf8(part.contents()).ok());
    let ics = parts.into_iter().find(|text| text.starts_with("BEGIN:VCALENDAR")).expect("a calendar object");
    ics.replace("\r\n ", "")
}
