//! Graph's JSON as it stands on the wire, field by field forgiving: a field of the wrong shape is a missing field.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;

use super::GraphError;

/// Reads bytes of bounded length. Nesting is bounded by `serde_json` (128 levels).
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8], max_bytes: usize) -> Result<T, GraphError> {
    if bytes.len() > max_bytes {
        return Err(GraphError::TooLarge(bytes.len()));
    }
    serde_json::from_slice(bytes).map_err(GraphError::NotJson)
}

/// A field that may be missing, null, or of a shape that nobody announced.
#[derive(Debug)]
pub(super) struct Lenient<T>(Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(serde_json::from_value(value).ok()))
    }
}

impl<T> Lenient<T> {
    pub(super) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T: Copy> Lenient<T> {
    pub(super) fn or(&self, otherwise: T) -> T {
        self.0.unwrap_or(otherwise)
    }
}

impl Lenient<String> {
    /// In lower case: Graph's enums come as `required` and as `Required`, and with members added later.
    pub(super) fn lower(&self) -> Option<String> {
        self.0.as_ref().map(|text| text.to_ascii_lowercase())
    }

    pub(super) fn is(&self, member: &str) -> bool {
        self.0.as_ref().is_some_and(|text| text.eq_ignore_ascii_case(member))
    }
}

impl<T> Lenient<Vec<T>> {
    pub(super) fn items(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

/// What [`Event`] reads, as `$select` names it: `cancelledOccurrences` comes to those alone who ask for it by name, and who
/// asks for one field must ask for all. The extended properties are expanded, not selected.
pub(super) const SELECT: &str = "id,type,seriesMasterId,iCalUId,subject,body,start,end,originalStart,\
    originalStartTimeZone,isAllDay,isOrganizer,isCancelled,isDraft,hideAttendees,sensitivity,organizer,attendees,location,\
    categories,recurrence,cancelledOccurrences,createdDateTime,lastModifiedDateTime";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Event {
    pub(super) id: Lenient<String>,
    #[serde(rename = "@odata.etag")]
    pub(super) etag: Lenient<String>,
    #[serde(rename = "@removed")]
    pub(super) removed: Lenient<Value>,
    #[serde(rename = "type")]
    pub(super) kind: Lenient<String>,
    pub(super) series_master_id: Lenient<String>,
    pub(super) i_cal_u_id: Lenient<String>,
    pub(super) subject: Lenient<String>,
    pub(super) body: Lenient<Body>,
    pub(super) start: Lenient<ZonedTime>,
    pub(super) end: Lenient<ZonedTime>,
    pub(super) original_start: Lenient<String>,
    pub(super) original_start_time_zone: Lenient<String>,
    pub(super) is_all_day: Lenient<bool>,
    pub(super) is_organizer: Lenient<bool>,
    pub(super) is_cancelled: Lenient<bool>,
    pub(super) is_draft: Lenient<bool>,
    pub(super) hide_attendees: Lenient<bool>,
    pub(super) sensitivity: Lenient<String>,
    pub(super) organizer: Lenient<Recipient>,
    pub(super) attendees: Lenient<Vec<Lenient<Recipient>>>,
    pub(super) location: Lenient<Location>,
    pub(super) categories: Lenient<Vec<Lenient<String>>>,
    pub(super) recurrence: Lenient<Recurrence>,
    pub(super) cancelled_occurrences: Lenient<Vec<Lenient<String>>>,
    pub(super) exception_occurrences: Lenient<Vec<Lenient<Self>>>,
    pub(super) created_date_time: Lenient<String>,
    pub(super) last_modified_date_time: Lenient<String>,
    pub(super) single_value_extended_properties: Lenient<Vec<Lenient<ExtendedProperty>>>,
}

impl Event {
    pub(super) fn is_master(&self) -> bool {
        self.kind.is("seriesMaster") || (self.kind.get().is_none() && self.recurrence.get().is_some())
    }

    /// The value of an extended property; ids compare without case, since spellings of GUIDs differ.
    pub(super) fn extended(&self, id: &str) -> Option<&str> {
        let properties = self.single_value_extended_properties.items().filter_map(Lenient::get);
        properties.filter(|property| property.id.is(id)).find_map(|property| property.value.get()).map(String::as_str)
    }

    /// The add-in's custom properties: their name in lower case (`cecp-…`) and their value.
    pub(super) fn add_in_property(&self) -> Option<(String, &str)> {
        let properties = self.single_value_extended_properties.items().filter_map(Lenient::get);
        properties.into_iter().find_map(|property| {
            let id = property.id.lower()?;
            let (_, name) = id.rsplit_once(" name ")?;
            let value = property.value.get()?;
            name.starts_with("cecp-").then(|| (name.to_owned(), value.as_str()))
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ZonedTime {
    pub(super) date_time: Lenient<String>,
    pub(super) time_zone: Lenient<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Body {
    pub(super) content_type: Lenient<String>,
    pub(super) content: Lenient<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Recipient {
    #[serde(rename = "type")]
    pub(super) kind: Lenient<String>,
    pub(super) status: Lenient<Status>,
    pub(super) email_address: Lenient<Address>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) response: Lenient<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Address {
    pub(super) address: Lenient<String>,
    pub(super) name: Lenient<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Location {
    pub(super) display_name: Lenient<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Recurrence {
    pub(super) range: Lenient<Range>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Range {
    #[serde(rename = "type")]
    pub(super) kind: Lenient<String>,
    pub(super) end_date: Lenient<String>,
    pub(super) recurrence_time_zone: Lenient<String>,
    pub(super) number_of_occurrences: Lenient<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ExtendedProperty {
    pub(super) id: Lenient<String>,
    pub(super) value: Lenient<String>,
}

/// A page of events.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    pub(super) value: Lenient<Vec<Lenient<Event>>>,
    #[serde(rename = "@odata.nextLink", default)]
    pub(super) next_link: Lenient<String>,
    #[serde(rename = "@odata.deltaLink", default)]
    pub(super) delta_link: Lenient<String>,
}
