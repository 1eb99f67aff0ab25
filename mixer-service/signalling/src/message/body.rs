//! What the body of a message is.

use super::text::trim;
use super::{Headers, Name};

/// Type and subtype in lower case, without parameters.
pub(super) fn content_type(headers: &Headers) -> Option<String> {
    let value = headers.get(&Name::ContentType)?;
    let media_type = value.split(';').next().unwrap_or_default();
    let (kind, subtype) = media_type.split_once('/')?;
    Some(format!("{}/{}", trim(kind), trim(subtype)).to_ascii_lowercase())
}
