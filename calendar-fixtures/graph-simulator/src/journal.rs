//! What happened: requests, mails that Exchange would have sent, notification attempts. Tests assert on it.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Most entries of each kind that are kept; the oldest go first.
const MAX_ENTRIES: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Journal {
    requests: Kept<Request>,
    mails: Kept<Mail>,
    notifications: Kept<Attempt>,
}

/// A request to Graph and how it was answered.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Request {
    pub(crate) at: DateTime<Utc>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    /// Came before the time that an earlier 429 had named.
    pub(crate) rude: bool,
}

/// A mail of Exchange.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mail {
    pub(crate) at: DateTime<Utc>,
    pub(crate) to: String,
    /// `invitation`, `update` or `cancellation`.
    pub(crate) kind: &'static str,
    pub(crate) uid: String,
    pub(crate) subject: String,
}

/// One POST to a notification URL.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Attempt {
    pub(crate) at: DateTime<Utc>,
    /// `validation`, `delivery` or `lost`.
    pub(crate) kind: &'static str,
    pub(crate) url: String,
    pub(crate) notifications: usize,
    /// 0 where nobody answered in time.
    pub(crate) status: u16,
    /// 1 for the first attempt.
    pub(crate) attempt: u32,
}

/// The journal as the control API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Page {
    requests: Vec<Request>,
    mails: Vec<Mail>,
    notifications: Vec<Attempt>,
}

impl Journal {
    pub(crate) fn request(&mut self, request: Request) {
        self.requests.push(request);
    }

    pub(crate) fn mail(&mut self, mail: Mail) {
        self.mails.push(mail);
    }

    pub(crate) fn attempt(&mut self, attempt: Attempt) {
        self.notifications.push(attempt);
    }

    pub(crate) fn page(&self) -> Page {
        Page { requests: self.requests.all(), mails: self.mails.all(), notifications: self.notifications.all() }
    }
}

#[derive(Debug)]
struct Kept<T>(VecDeque<T>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Clone> Kept<T> {
    fn push(&mut self, entry: T) {
        if self.0.len() >= MAX_ENTRIES {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    fn all(&self) -> Vec<T> {
        self.0.iter().cloned().collect()
    }
}
