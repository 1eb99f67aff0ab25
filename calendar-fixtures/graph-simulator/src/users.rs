//! The directory: users with telephone numbers, and the settings of their mailboxes.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::answer::{Refusal, json_answer};
use crate::query::{Options, Prefer, quoted};
use crate::tenant::{User, same};
use crate::world::Shared;

/// What Graph gives when nothing is selected.
const DEFAULT_FIELDS: &[&str] = &[
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
];

pub(crate) async fn list(
    State(world): State<Shared>,
    Query(pairs): Query<Vec<(String, String)>>,
    headers: axum::http::HeaderMap,
) -> Result<Response, Refusal> {
    let prefer = Prefer::read(&headers)?;
    let options = Options::read(&pairs, &["$select", "$filter", "$top", "$skiptoken"])?;
    let wanted = options.filter.as_deref().map(filter).transpose()?;
    let from = options.skip_token.as_deref().map_or(Ok(0), str::parse::<usize>);
    let from = from.map_err(|_| Refusal::bad_request("The skip token is invalid."))?;
    let tenant = world.tenant();
    let fits = |user: &&User| wanted.as_ref().is_none_or(|list| list.iter().any(|one| same(one, &user.person.address)));
    let found: Vec<_> = tenant.users.iter().filter(fits).map(|user| as_json(user, &options)).collect();
    let size = options.top.unwrap_or(100).clamp(1, 999);
    let more = found.len() > from.saturating_add(size);
    let shown: Vec<_> = found.into_iter().skip(from).take(size).collect();
    let mut answer = json!({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users", "value": shown});
    if more {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("$skiptoken")));
        query.append_pair("$skiptoken", &(from + size).to_string());
        answer["@odata.nextLink"] = json!(format!("{}/v1.0/users?{}", world.base_url, query.finish()));
    }
    Ok(prefer.confirm(json_answer(StatusCode::OK, &answer)))
}

pub(crate) async fn get(
    State(world): State<Shared>,
    Path(id): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let options = Options::read(&pairs, &["$select"])?;
    let tenant = world.tenant();
    let mut user = as_json(&tenant.users[tenant.user_or_refuse(&id)?], &options);
    user["@odata.context"] = json!("https://graph.microsoft.com/v1.0/$metadata#users/$entity");
    Ok(json_answer(StatusCode::OK, &user))
}

pub(crate) async fn mailbox_settings(State(world): State<Shared>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let tenant = world.tenant();
    let person = &tenant.users[tenant.user_or_refuse(&id)?].person;
    let context = format!("https://graph.microsoft.com/v1.0/$metadata#users('{id}')/mailboxSettings");
    let settings = json!({
        "@odata.context": context,
        "archiveFolder": null,
        "timeZone": person.time_zone,
        "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
        "dateFormat": "dd.MM.yyyy",
        "timeFormat": "HH:mm",
        "language": {"locale": person.language, "displayName": person.language},
        "userPurpose": if person.business_phone.is_some() || person.mobile_phone.is_some() { "user" } else { "room" },
    });
    Ok(json_answer(StatusCode::OK, &settings))
}

/// `mail eq '…'`, `userPrincipalName eq '…'`, `proxyAddresses/any(p:p eq 'smtp:…')`, joined by `or`.
fn filter(raw: &str) -> Result<Vec<String>, Refusal> {
    let refused =
        || Refusal::new(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", format!("Unsupported: '{raw}'."));
    let known = ["mail eq '", "userprincipalname eq '", "proxyaddresses/any("];
    let mut addresses = Vec::new();
    for part in raw.split(" or ") {
        let part = part.trim().trim_matches(|letter| letter == '(' || letter == ')');
        if !known.iter().any(|start| part.to_ascii_lowercase().starts_with(start)) {
            return Err(refused());
        }
        let address = quoted(part).into_iter().next().ok_or_else(refused)?;
        addresses.push(address.trim_start_matches("smtp:").trim_start_matches("SMTP:").to_owned());
    }
    Ok(addresses)
}

fn as_json(user: &User, options: &Options) -> Value {
    let person = &user.person;
    let (first, last) = person.name.split_once(' ').unwrap_or((&person.name, ""));
    let mut all = json!({
        "businessPhones": person.business_phone.iter().collect::<Vec<_>>(),
        "displayName": person.name,
        "givenName": first,
        "jobTitle": null,
        "mail": person.address,
        "mobilePhone": person.mobile_phone,
        "officeLocation": null,
        "preferredLanguage": person.language,
        "surname": last,
        "userPrincipalName": person.address,
        "id": user.guid,
        "accountEnabled": true,
        "proxyAddresses": [format!("SMTP:{}", person.address)],
        "usageLocation": "DE",
    });
    let wanted = |name: &str| match &options.select {
        Some(fields) => fields.iter().any(|field| same(field, name)),
        None => DEFAULT_FIELDS.contains(&name),
    };
    if let Some(fields) = all.as_object_mut() {
        fields.retain(|name, _| wanted(name));
    }
    all
}
