//! One letter becomes one message: texts, calendar object, MIME (RFC 5322, RFC 2045, RFC 6047).

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use connector_calendar::ics::{self, ConferenceLink, Guest, Invite, InviteDate, Method};
use connector_planner::{IcsKind, Letter, LetterKind, Refusal};
use dialroom_booking::{Booking, EmailAddress, Invitee, Language, Origin, Person, Response, Role};
use dialroom_settings::Settings;
use lettre::message::header::{ContentDisposition, ContentTransferEncoding, ContentType};
use lettre::message::{Body, MultiPart, SinglePart};
use sha2::{Digest, Sha256};

use super::header::{address_field, encoded_text};
use super::templates::{Kind, TemplateProblem, Templates, Texts};
use super::view::{ModeratorSecrets, RefusedMeeting, Secrets, View, coming_dates, one_line, shown_name, text_lines};
use crate::mail::ComposedMail;

/// Name in From where the mail speaks for nobody else.
const SERVICE_NAME: &str = "Dialroom";

/// What every attempt at one letter has in common.
#[derive(Clone, Copy, Debug)]
pub struct Posting<'a> {
    /// Date of the mail, DTSTAMP of its ICS; also says which dates are still to come.
    pub now: DateTime<Utc>,
    /// `Message-ID` without angle brackets, made of the outbox key; the MIME boundaries follow from it.
    pub message_id: &'a str,
}

/// Why no mail could be made.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// There is no address to send from.
    #[error("no mail without [mail]: set mail.host and mail.from")]
    NoServiceAddress,
    /// The Message-ID would not survive a header.
    #[error("a Message-ID has the form left@right, in ASCII without spaces or brackets")]
    MessageId,
    /// A refusal has no booking, so it is made by [`compose_refusal`]; and the other way around.
    #[error("a refusal is composed from the meeting refused, any other letter from a booking")]
    WrongLetter,
    /// A template failed although it was checked.
    #[error("template {0}")]
    Template(#[from] TemplateProblem),
}

/// Composes a letter about a booking.
///
/// The language is that of `invitation.language`, else the letter's, else the booking's.
///
/// # Errors
/// See [`ComposeError`]; none of them comes from what a calendar said.
pub fn compose(
    templates: &Templates,
    settings: &Settings,
    booking: &Booking,
    letter: &Letter,
    posting: &Posting<'_>,
) -> Result<ComposedMail, ComposeError> {
    let kind = match &letter.kind {
        LetterKind::Invitation => Kind::Invitation,
        LetterKind::DialInData => Kind::DialInData,
        LetterKind::ModeratorData => Kind::ModeratorData,
        LetterKind::Changed(_) => Kind::Changed,
        LetterKind::LineClosed => Kind::LineClosed,
        LetterKind::Cancelled => Kind::Cancelled,
        LetterKind::Refused(_) => return Err(ComposeError::WrongLetter),
    };
    let service = service_address(settings)?;
    let language = settings.invitation.language.or(letter.language).unwrap_or(booking.language);
    let view = View::new(posting.now, settings, booking, letter, language);
    let secrets = Secrets::new(settings, booking);
    let moderator = view.moderator.then(|| ModeratorSecrets::new(settings, booking));
    let texts = templates.letter(language, kind, &view, Some(&secrets), moderator.as_ref())?;
    let object = match letter.ics {
        IcsKind::None => None,
        IcsKind::Attachment | IcsKind::FullRequest | IcsKind::Cancel => {
            Some(calendar_object(templates, service, booking, letter, &view, &secrets, language, posting.now)?)
        }
    };
    let parts = match (letter.ics, object) {
        (IcsKind::None, _) | (_, None) => Parts::Text,
        (IcsKind::Attachment, Some(ics)) => Parts::Attached(ics),
        (IcsKind::FullRequest, Some(ics)) => Parts::Invitation(ics, Method::Request),
        (IcsKind::Cancel, Some(ics)) => Parts::Invitation(ics, Method::Cancel),
    };
    let sender = if view.moderator { None } else { Some(&booking.organizer) };
    message(settings, service, &letter.recipient, sender, &texts, parts, posting)
}

/// Composes the letter to an organizer whose meeting gets no line.
///
/// # Errors
/// As [`compose`].
pub fn compose_refusal(
    templates: &Templates,
    settings: &Settings,
    meeting: &RefusedMeeting<'_>,
    letter: &Letter,
    posting: &Posting<'_>,
) -> Result<ComposedMail, ComposeError> {
    let LetterKind::Refused(refusal) = &letter.kind else { return Err(ComposeError::WrongLetter) };
    let texts = refusal_texts(templates, settings, meeting, letter, refusal)?;
    message(settings, service_address(settings)?, &letter.recipient, None, &texts, Parts::Text, posting)
}

fn refusal_texts(
    templates: &Templates,
    settings: &Settings,
    meeting: &RefusedMeeting<'_>,
    letter: &Letter,
    refusal: &Refusal,
) -> Result<Texts, TemplateProblem> {
    let language = settings.invitation.language.or(letter.language).unwrap_or_default();
    let view = View::of_refusal(meeting, refusal, language);
    templates.letter(language, Kind::Refused, &view, None, None)
}

fn service_address(settings: &Settings) -> Result<&EmailAddress, ComposeError> {
    settings.mail.as_ref().map(|mail| &mail.from).ok_or(ComposeError::NoServiceAddress)
}

/// The ICS of a letter.
#[expect(clippy::too_many_arguments, reason = "all that a letter is made of meets here, once")]
fn calendar_object(
    templates: &Templates,
    service: &EmailAddress,
    booking: &Booking,
    letter: &Letter,
    view: &View,
    secrets: &Secrets,
    language: Language,
    now: DateTime<Utc>,
) -> Result<String, ComposeError> {
    // The organizer too reads the participants' data here: an ICS travels on to delegates and other calendars.
    let view = View { moderator: false, text_lines: text_lines(&booking.description), ..view.clone() };
    let texts = templates.ics(language, &view, secrets)?;
    let calendar_owns = letter.ics == IcsKind::Attachment;
    let organizer = if calendar_owns {
        Person { address: booking.organizer.address.clone(), name: Some(view.organizer.clone()) }
    } else {
        Person { address: service.clone(), name: Some(view.organizer.clone()) }
    };
    // Under the calendar's UID only the calendar may invite; what we invite to ourselves has a UID of ours.
    let uid = match &booking.origin {
        Origin::Graph { .. } if !calendar_owns => format!("{}@{}", booking.id, service.domain()),
        Origin::Graph { .. } | Origin::Dialroom => booking.uid.clone(),
    };
    // A cancellation takes the entry out; dial-in data would only outlive it there.
    let cancels = letter.ics == IcsKind::Cancel;
    let unless_cancelled = |text| if cancels { "" } else { text };
    let invite = Invite {
        method: if cancels { Method::Cancel } else { Method::Request },
        stamp: now,
        uid: &uid,
        sequence: booking.sequence,
        time_zone: booking.time_zone,
        dates: &ics_dates(booking, letter.ics, now),
        organizer: &organizer,
        attendees: &attendees(booking, letter),
        recipient: &letter.recipient.address,
        private: booking.private,
        summary: &texts.summary,
        location: unless_cancelled(&texts.location),
        description: unless_cancelled(texts.description.trim_end()),
        html: (!cancels).then_some(&texts.html),
        conference: (!cancels).then_some(ConferenceLink { label: &texts.link_label, uri: &secrets.tel_link }),
    };
    Ok(ics::write(&invite))
}

/// The dates still to come, by their time; of a cancellation every date that was promised.
fn ics_dates(booking: &Booking, kind: IcsKind, now: DateTime<Utc>) -> Vec<InviteDate> {
    let dates = if kind == IcsKind::Cancel {
        let all = booking.occurrences.iter().map(|(original, occurrence)| (*original, occurrence.window));
        all.filter(|(_, window)| window.closes() > now).collect()
    } else {
        coming_dates(booking, now)
    };
    let date = |(original, window): (_, dialroom_booking::DialInWindow)| InviteDate {
        recurrence_id: booking.series.then_some(original),
        start: window.start(),
        end: window.end(),
    };
    dates.into_iter().map(date).collect()
}

/// Whom the object names: everybody as the calendar has them, the recipient alone where attendees are hidden and in a
/// cancellation, which may reach one person of a meeting that lives (RFC 5546 section 4.2.10).
fn attendees<'a>(booking: &'a Booking, letter: &'a Letter) -> Vec<Guest<'a>> {
    let recipient = &letter.recipient.address;
    let alone = booking.hide_attendees || letter.ics == IcsKind::Cancel;
    let guest =
        |invitee: &'a Invitee| Guest { person: &invitee.person, role: invitee.role, response: invitee.response };
    let listed = booking.invitees.iter().filter(|invitee| !alone || invitee.person.address == *recipient);
    let mut guests: Vec<_> = listed.map(guest).collect();
    // Gmail shows buttons only to somebody who is named; and where the service organizes, the organizer is a guest too.
    if !guests.iter().any(|guest| guest.person.address == *recipient) {
        let is_organizer = *recipient == booking.organizer.address;
        let response = if is_organizer { Response::Accepted } else { Response::None };
        guests.insert(0, Guest { person: &letter.recipient, role: Role::Required, response });
    }
    guests
}

/// What stands beside the text.
enum Parts {
    /// Nothing.
    Text,
    /// `invite.ics` as a file: no mail client may act on it by itself.
    Attached(String),
    /// An invitation that mail clients act on, and the same as a file for people who open it by hand.
    Invitation(String, Method),
}

/// Headers and MIME tree. Every header field is made of ASCII that `header` wrote; nothing from outside stands bare.
fn message(
    settings: &Settings,
    service: &EmailAddress,
    recipient: &Person,
    sender: Option<&Person>,
    texts: &Texts,
    parts: Parts,
    posting: &Posting<'_>,
) -> Result<ComposedMail, ComposeError> {
    if !is_message_id(posting.message_id) {
        return Err(ComposeError::MessageId);
    }
    let from =
        sender.map_or_else(|| SERVICE_NAME.to_owned(), |person| format!("{} via {SERVICE_NAME}", shown_name(person)));
    let recipient_name = recipient.name.as_deref().map(one_line).unwrap_or_default();
    let reply_to = settings.invitation.reply_to.as_ref().or_else(|| sender.map(|person| &person.address));
    let mut head = String::new();
    // Writing to a String cannot fail.
    let _ = write!(head, "From: {}\r\n", address_field(&from, service));
    let _ = write!(head, "To: {}\r\n", address_field(&recipient_name, &recipient.address));
    if let Some(reply_to) = reply_to {
        let name = sender.filter(|person| person.address == *reply_to).map(shown_name).unwrap_or_default();
        let name = if name == reply_to.as_str() { "" } else { &name };
        let _ = write!(head, "Reply-To: {}\r\n", address_field(name, reply_to));
    }
    let _ = write!(head, "Subject: {}\r\n", encoded_text(&one_line(&texts.subject)));
    let _ = write!(head, "Date: {}\r\n", posting.now.to_rfc2822());
    let _ = write!(head, "Message-ID: <{}>\r\n", posting.message_id);
    // No vacation notice answers it, and none of our own mails is ever taken for somebody's order (RFC 3834).
    head.push_str("Auto-Submitted: auto-generated\r\n");
    if matches!(parts, Parts::Invitation(..)) {
        head.push_str("Content-Class: urn:content-classes:calendarmessage\r\n");
    }
    head.push_str("MIME-Version: 1.0\r\n");
    let mut message = head.into_bytes();
    message.extend(body(texts, parts, posting.message_id).formatted());
    Ok(ComposedMail {
        from: service.clone(),
        to: recipient.address.clone(),
        message_id: posting.message_id.to_owned(),
        message,
    })
}

fn body(texts: &Texts, parts: Parts, message_id: &str) -> MultiPart {
    let alternative = MultiPart::alternative()
        .boundary(boundary(message_id, "alternative"))
        .singlepart(text_part("text/plain; charset=utf-8", &texts.plain))
        .singlepart(text_part("text/html; charset=utf-8", &texts.html));
    let mixed = || MultiPart::mixed().boundary(boundary(message_id, "mixed"));
    match parts {
        Parts::Text => alternative,
        Parts::Attached(ics) => mixed().multipart(alternative).singlepart(attachment(ics)),
        Parts::Invitation(ics, method) => {
            // Last in the alternative, without a disposition: so Gmail, Outlook and Evolution all show an invitation.
            let calendar = format!("text/calendar; charset=utf-8; method={}; component=VEVENT", method.as_str());
            let calendar = base64_part(&calendar, ics.clone());
            mixed().multipart(alternative.singlepart(calendar)).singlepart(attachment(ics))
        }
    }
}

fn text_part(content_type: &str, text: &str) -> SinglePart {
    let text = text.lines().collect::<Vec<_>>().join("\r\n") + "\r\n";
    SinglePart::builder()
        .header(content_type_header(content_type))
        .body(encoded(text, ContentTransferEncoding::QuotedPrintable))
}

/// Base64 keeps the CRLFs and foldings of a calendar object as they are.
fn base64_part(content_type: &str, text: String) -> SinglePart {
    SinglePart::builder().header(content_type_header(content_type)).body(encoded(text, ContentTransferEncoding::Base64))
}

/// `application/ics`: as a second `text/calendar` some clients would enter the meeting twice.
fn attachment(ics: String) -> SinglePart {
    SinglePart::builder()
        .header(content_type_header("application/ics; name=invite.ics"))
        .header(ContentDisposition::attachment("invite.ics"))
        .body(encoded(ics, ContentTransferEncoding::Base64))
}

#[expect(clippy::expect_used, reason = "every text can be written in quoted-printable and in base64")]
fn encoded(text: String, encoding: ContentTransferEncoding) -> Body {
    Body::new_with_encoding(text, encoding).expect("both encodings take every octet")
}

#[expect(clippy::expect_used, reason = "the types are written in this file")]
fn content_type_header(content_type: &str) -> ContentType {
    ContentType::parse(content_type).expect("a content type of ours")
}

/// The same for every attempt at a letter, and nothing that a text could hold by chance or intent.
fn boundary(message_id: &str, part: &str) -> String {
    let digest = Sha256::digest(format!("{part} {message_id}"));
    digest.iter().take(16).fold(String::from("dialroom-"), |mut boundary, byte| {
        let _ = write!(boundary, "{byte:02x}");
        boundary
    })
}

fn is_message_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let side = |side: &str| !side.is_empty() && side.chars().all(plain);
    id.len() <= 250 && id.split_once('@').is_some_and(|(left, right)| side(left) && side(right))
}

#[cfg(test)]
mod tests;
