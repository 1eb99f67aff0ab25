//! Writes letters with the templates and hands them to the mail server that the settings name at that moment.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use connector_planner::LetterKind;
use dialroom_booking::Booking;
use dialroom_host::Clock;
use dialroom_settings::Settings;
use tokio::sync::watch;

use crate::invitation::{Posting, RefusedMeeting, Templates, compose, compose_refusal};
use crate::mail::{ComposedMail, Mailer, SendError};
use crate::outbox::{Post, PostError, Posted};

/// Domain of Message-IDs where no service address is set; then nothing is sent either.
const NO_DOMAIN: &str = "dialroom.invalid";

/// The real way out.
pub(crate) struct Postman {
    settings: watch::Receiver<Arc<Settings>>,
    clock: Clock,
    equipment: Mutex<Option<Arc<Equipment>>>,
}

/// Made anew with the settings it was made of.
struct Equipment {
    made_of: Arc<Settings>,
    templates: Templates,
    mailer: Mailer,
}

impl Postman {
    /// Reads and connects nothing yet.
    pub(crate) fn new(settings: watch::Receiver<Arc<Settings>>, clock: Clock) -> Self {
        Self { settings, clock, equipment: Mutex::default() }
    }

    fn equipment(&self) -> Result<Arc<Equipment>, PostError> {
        let settings = Arc::clone(&self.settings.borrow());
        let mut held = self.equipment.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(equipment) = held.as_ref().filter(|held| Arc::ptr_eq(&held.made_of, &settings)) {
            return Ok(Arc::clone(equipment));
        }
        // All of these can be put right, and the letter then goes: none is a property of the letter.
        let mail =
            settings.mail.as_ref().ok_or_else(|| temporary("no [mail] in the settings, so nothing can be sent"))?;
        let templates = Templates::load(settings.invitation.templates.as_deref())
            .map_err(|problems| temporary(format!("invitation.templates: {problems}")))?;
        let mailer = Mailer::new(mail).map_err(|error| temporary(error.to_string()))?;
        let equipment = Arc::new(Equipment { made_of: settings, templates, mailer });
        *held = Some(Arc::clone(&equipment));
        Ok(equipment)
    }
}

#[async_trait]
impl Post for Postman {
    async fn post(&self, posted: &Posted, message_id: &str) -> Result<(), PostError> {
        let equipment = self.equipment()?;
        let mail = self.write(&equipment, posted, message_id)?;
        equipment.mailer.send(&mail).await.map_err(|error| {
            let told = without_pins(error.to_string(), posted.booking.as_deref());
            match error {
                SendError::Permanent { .. } => PostError::Permanent(told),
                SendError::Temporary { .. } => PostError::Temporary(told),
                SendError::AfterData { .. } => PostError::AfterData(told),
            }
        })
    }

    fn domain(&self) -> String {
        let settings = self.settings.borrow();
        let domain = settings.mail.as_ref().map_or(NO_DOMAIN, |mail| mail.from.domain());
        if domain.is_ascii() { domain.to_owned() } else { NO_DOMAIN.to_owned() }
    }
}

impl Postman {
    fn write(&self, equipment: &Equipment, posted: &Posted, message_id: &str) -> Result<ComposedMail, PostError> {
        let Equipment { made_of: settings, templates, .. } = equipment;
        let (row, posting) = (&posted.row, Posting { now: self.clock.wall(), message_id });
        let composed = match (&row.letter.kind, &row.refused, &posted.booking) {
            (LetterKind::Refused(_), Some(entry), _) => {
                let meeting = RefusedMeeting {
                    title: &entry.title,
                    organizer: &entry.organizer,
                    start: entry.start,
                    end: entry.end,
                    time_zone: entry.time_zone,
                };
                compose_refusal(templates, settings, &meeting, &row.letter, &posting)
            }
            (_, _, Some(booking)) => compose(templates, settings, booking, &row.letter, &posting),
            (_, _, None) => return Err(PostError::Permanent("the letter's booking is not kept any more".to_owned())),
        };
        composed.map_err(|error| PostError::Temporary(error.to_string()))
    }
}

/// A content filter may repeat a line of the mail in its reply; what it says ends in a log.
fn without_pins(told: String, booking: Option<&Booking>) -> String {
    let pins = booking.into_iter().flat_map(|booking| [&booking.pins.participant, &booking.pins.moderator]);
    let spellings = pins.flat_map(|pin| [pin.expose().to_owned(), pin.grouped()]);
    spellings.fold(told, |told, pin| told.replace(&pin, "***"))
}

fn temporary(why: impl Into<String>) -> PostError {
    PostError::Temporary(why.into())
}
