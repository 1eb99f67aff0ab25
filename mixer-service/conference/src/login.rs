//! Who a caller is by his number, and which of his conferences he means.
//!
//! Pure: it reads the agenda and decides. Where two answers are possible it gives none, and the caller keys his PIN

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use dialroom_booking::{BookingId, RoomNumber, Trust};

use crate::agenda::{Agenda, Booked};
use crate::dates::{AHEAD, BEHIND, Date, Standing};
use crate::{AutomaticLogin, Call};

/// One of a caller's conferences.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) booking: BookingId,
    pub(crate) date: Date,
    pub(crate) moderator: bool,
    declined: bool,
}

/// A person as the bookings name him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) person: String,
    pub(crate) name: Option<String>,
}

/// What his number leads to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Login {
    /// Into this conference, or its waiting room.
    Enter(Candidate),
    /// He hears how this one stands, then keys.
    Tell(Candidate),
    /// He keys.
    Key,
}

/// What was found, and the short code of why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) login: Login,
    pub(crate) who: Option<Who>,
    pub(crate) why: &'static str,
}

/// Decides for a call that asks for `room`, or for none. `just_left` says whether he left that conference less than
/// five minutes ago while it goes on.
pub(crate) fn decide(
    now: DateTime<Utc>,
    agenda: &Agenda,
    automatic_login: AutomaticLogin,
    call: &Call,
    room: Option<RoomNumber>,
    just_left: impl Fn(&Candidate) -> bool,
) -> Decision {
    let mut who = None;
    let login = known(now, agenda, automatic_login, call, room, just_left, &mut who);
    match login {
        Ok((login, why)) => Decision { login, who, why },
        Err(why) => Decision { login: Login::Key, who, why },
    }
}

fn known(
    now: DateTime<Utc>,
    agenda: &Agenda,
    automatic_login: AutomaticLogin,
    call: &Call,
    room: Option<RoomNumber>,
    just_left: impl Fn(&Candidate) -> bool,
    who: &mut Option<Who>,
) -> Result<(Login, &'static str), &'static str> {
    let number = call.caller.as_ref().ok_or("withheld")?;
    if call.trust == Trust::Claimed {
        return Err("not-believed");
    }
    let bookings: Vec<(&BookingId, &Booked)> = agenda.by_number(number).collect();
    let mut named =
        bookings.iter().flat_map(|(_, booked)| &booked.callers).filter(|caller| caller.numbers.contains(number));
    let first = named.next().ok_or("unknown-number")?;
    let mut found = Who { person: first.person.clone(), name: first.name.clone() };
    for caller in named {
        if caller.person != found.person {
            return Err("shared-number");
        }
        found.name = found.name.or_else(|| caller.name.clone());
    }
    let person = found.person.clone();
    *who = Some(found);
    match automatic_login {
        AutomaticLogin::Off => return Err("automatic-login-off"),
        AutomaticLogin::Internal if call.trust != Trust::Internal => return Err("not-internal"),
        AutomaticLogin::Internal | AutomaticLogin::Everyone => {}
    }
    let candidates: Vec<Candidate> = bookings
        .into_iter()
        .filter(|(_, booked)| room.is_none_or(|room| room == booked.room))
        .flat_map(|(id, booked)| candidates(now, id, booked, &person))
        .collect();
    choose(now, candidates, just_left)
}

/// His dates of one booking that are open or near.
fn candidates(now: DateTime<Utc>, id: &BookingId, booked: &Booked, person: &str) -> Vec<Candidate> {
    let entries = || booked.callers.iter().filter(|caller| caller.person == person);
    let (moderator, declined) = (entries().any(|caller| caller.moderator), entries().all(|caller| caller.declined));
    let dates = booked.dates.near(now - BEHIND, now + AHEAD);
    dates.map(|date| Candidate { booking: id.clone(), date: *date, moderator, declined }).collect()
}

fn choose(
    now: DateTime<Utc>,
    candidates: Vec<Candidate>,
    just_left: impl Fn(&Candidate) -> bool,
) -> Result<(Login, &'static str), &'static str> {
    let mut by_standing: BTreeMap<u8, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        let rank = match candidate.date.standing(now) {
            Standing::Open => 0,
            Standing::Early => 1,
            Standing::Later | Standing::Over | Standing::Cancelled => 2,
        };
        by_standing.entry(rank).or_default().push(candidate);
    }
    for (rank, why) in [(0, "known-number"), (1, "known-number-early")] {
        let Some(there) = by_standing.remove(&rank) else { continue };
        return one_of(now, there, just_left).map(|one| (Login::Enter(one), why)).ok_or("several-conferences");
    }
    let told = without_declined(by_standing.remove(&2).unwrap_or_default())
        .into_iter()
        .min_by_key(|candidate| (candidate.date.distance(now), candidate.date.window.opens()));
    let told = told.ok_or("no-conference")?;
    let why = match told.date.standing(now) {
        Standing::Over => "over",
        Standing::Cancelled => "cancelled",
        Standing::Open | Standing::Early | Standing::Later => "too-early",
    };
    Ok((Login::Tell(told), why))
}

/// The one he means among conferences that are open (or about to open) together.
fn one_of(now: DateTime<Utc>, candidates: Vec<Candidate>, just_left: impl Fn(&Candidate) -> bool) -> Option<Candidate> {
    let mut candidates = without_declined(candidates);
    candidates.sort_by_key(|candidate| candidate.date.window.start());
    if schedules_overlap(&candidates) {
        return None;
    }
    let back = candidates.iter().position(just_left);
    // Of two starts equally near, the coming one: who dials early is more common than who dials late.
    let nearest = || (0..candidates.len()).rev().min_by_key(|index| candidates[*index].date.start_distance(now));
    back.or_else(nearest).map(|index| candidates.swap_remove(index))
}

/// A declined conference counts only if it is the only one.
fn without_declined(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    if candidates.len() > 1 {
        candidates.retain(|candidate| !candidate.declined);
    }
    candidates
}

/// Whether any two of them, ordered by start, meet at the same time.
fn schedules_overlap(ordered: &[Candidate]) -> bool {
    let mut latest_end = DateTime::<Utc>::MIN_UTC;
    ordered.iter().any(|candidate| {
        let window = candidate.date.window;
        let overlaps = window.start() < latest_end;
        latest_end = latest_end.max(window.end());
        overlaps
    })
}
