//! HTTP between our own programs.

use std::time::Duration;

use anyhow::Context as _;

/// Time for one answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// A client for our own programs: no proxy between them, no redirect away from them.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    let builder =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(ANSWER_TIME);
    builder.build().context("no HTTP client can be built")
}
