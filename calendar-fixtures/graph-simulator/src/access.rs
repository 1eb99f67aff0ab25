//! What the application may see: mailboxes in and out of its scope (A1), users without mailbox (A2), a grant that only
//! reads (A3), users who leave (A4), and `/me`, which no application has (A5).

use axum::http::{Method, StatusCode};
use serde::Deserialize;

use crate::answer::Refusal;
use crate::tenant::Tenant;

/// How one user stands to the application.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    pub(crate) in_scope: bool,
    pub(crate) has_mailbox: bool,
    pub(crate) exists: bool,
}

impl Default for Access {
    fn default() -> Self {
        Self { in_scope: true, has_mailbox: true, exists: true }
    }
}

/// What of it changes.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct AccessChange {
    in_scope: Option<bool>,
    has_mailbox: Option<bool>,
    exists: Option<bool>,
}

impl AccessChange {
    pub(crate) fn apply(self, access: &mut Access) {
        access.in_scope = self.in_scope.unwrap_or(access.in_scope);
        access.has_mailbox = self.has_mailbox.unwrap_or(access.has_mailbox);
        access.exists = self.exists.unwrap_or(access.exists);
    }
}

impl Tenant {
    /// Whether the application may do this in the mailbox of that user.
    pub(crate) fn allow(&self, owner: usize, method: &Method) -> Result<(), Refusal> {
        let access = self.users[owner].access;
        if !access.has_mailbox {
            let message = "REST API is not yet supported for this mailbox.";
            return Err(Refusal::new(StatusCode::NOT_FOUND, "MailboxNotEnabledForRESTAPI", message));
        }
        if !access.in_scope || (self.faults.read_only && method != Method::GET) {
            let message = "Access is denied. Check credentials and try again.";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "ErrorAccessDenied", message));
        }
        Ok(())
    }
}

pub(crate) async fn me() -> Refusal {
    Refusal::bad_request("/me request is only valid with delegated authentication flow.")
}
