//! Invitations and the letters after them: from a `Letter` of the planner to a finished mail.
//!
//! Templates hold the words ([`Templates`]), `view` what they may name, [`compose`](fn@compose) puts text, HTML and ICS into
//! one message. Pure: `now` and the Message-ID are arguments, and nothing is sent from here.
//!
//! Whatever a calendar says is a value here, never a template, a header or a line of its own.

mod compose;
mod header;
mod templates;
mod times;
mod view;

pub use compose::{ComposeError, Posting, compose, compose_refusal};
pub use templates::{TemplateProblem, TemplateProblems, Templates};
pub use view::RefusedMeeting;
