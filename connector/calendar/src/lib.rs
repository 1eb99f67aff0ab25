//! Calendars in, iCalendar out: appointments, recurrence, differences.
//!
//! Bytes as a calendar sent them become one shape, [`Appointment`], whichever calendar it was; [`matching_rule`] says
//! whether it is ours, [`Appointment::fingerprint`] whether anything we care for changed. What follows from that is the
//! planner's. No I/O, no async and no clock; this crate never knows rooms, PINs or mail servers.

mod appointment;
mod fingerprint;
mod graph;
mod html;
pub mod ics;
mod marks;
mod recurrence;
mod zone;

pub use appointment::{Appointment, AppointmentDate, Attendee, Marks, Problem};
pub use fingerprint::Fingerprint;
pub use graph::{
    DeltaItem, DeltaPage, EVENT_SELECT, EventKind, GraphContext, GraphError, MAX_EVENT_BYTES, MAX_PAGE_BYTES,
    SEQUENCE_PROPERTY, appointment_from_graph, read_delta_page,
};
pub use marks::{BLOCK_MARKER, MarkRule, RuleFired, matching_rule};
pub use zone::{ZoneError, zone_from_name};
