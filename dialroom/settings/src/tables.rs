//! What each table of the file means: its keys, their ranges and their defaults.

mod sip;
mod trunk;

use dialroom_booking::{E164, EmailAddress, HomeRegion, RoomRanges};
use toml_edit::Item;

use crate::meant::*;
use crate::table::{Reader, Table, each};

pub(crate) use self::sip::sip;
pub(crate) use self::trunk::trunks;

pub(crate) fn dial_in(reader: &mut Reader<'_>, mut table: Table<'_>) -> DialIn {
    let number = table.text(reader, "number").unwrap_or_else(|| "88".to_owned());
    if !(1..=15).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        table.wrong(reader, "number", format!("{number:?}: write 1 to 15 digits, as people dial it inside"));
    }
    let external_number = table.text(reader, "external_number");
    if let Some(written) = &external_number {
        table.understood(reader, "external_number", written, E164::international(written));
    }
    let dial_in = DialIn {
        number,
        external_number,
        lead_minutes: table.whole(reader, "lead_minutes", 0..=180, 10),
        overrun_minutes: table.whole(reader, "overrun_minutes", 0..=180, 15),
        inter_digit_seconds: table.whole(reader, "inter_digit_seconds", 2..=30, 4),
    };
    table.finish(reader);
    dial_in
}

pub(crate) fn rooms(reader: &mut Reader<'_>, mut table: Table<'_>) -> Rooms {
    let rooms = Rooms {
        booked: ranges(reader, &mut table, "booked", "1000-7999"),
        permanent: ranges(reader, &mut table, "permanent", "8000-8999"),
        spontaneous: ranges(reader, &mut table, "spontaneous", "100-999, 9000-9999"),
        guard_minutes: table.whole(reader, "guard_minutes", 0..=1440, 5),
    };
    let owners = [
        ("permanent", &rooms.permanent, "booked", &rooms.booked),
        ("spontaneous", &rooms.spontaneous, "booked", &rooms.booked),
        ("spontaneous", &rooms.spontaneous, "permanent", &rooms.permanent),
    ];
    for (name, mine, other, theirs) in owners {
        if mine.overlaps(theirs) {
            table.wrong(reader, name, format!("{mine} overlaps rooms.{other} = {theirs}; each number has one owner"));
        }
    }
    table.later(reader, &["without_pin"]);
    table.finish(reader);
    rooms
}

fn ranges(reader: &mut Reader<'_>, table: &mut Table<'_>, key: &'static str, default: &str) -> RoomRanges {
    let text = table.text(reader, key).unwrap_or_else(|| default.to_owned());
    table.understood(reader, key, &text, RoomRanges::parse(&text)).unwrap_or_default()
}

pub(crate) fn pin(reader: &mut Reader<'_>, mut table: Table<'_>) -> PinSettings {
    let digits = match table.item("digits").map(Item::as_integer) {
        None => 6,
        Some(Some(digits @ 4..=12)) => u8::try_from(digits).unwrap_or(6),
        Some(Some(digits)) => {
            let how = if digits < 4 { "short" } else { "long" };
            table.wrong(reader, "digits", format!("{digits} is too {how}, a PIN has 4 to 12 digits"));
            6
        }
        Some(None) => {
            table.wrong(reader, "digits", "write a whole number from 4 to 12");
            6
        }
    };
    table.finish(reader);
    PinSettings { digits }
}

pub(crate) fn conference(reader: &mut Reader<'_>, mut table: Table<'_>) -> Conference {
    let login =
        [("everyone", AutomaticLogin::Everyone), ("internal", AutomaticLogin::Internal), ("off", AutomaticLogin::Off)];
    let conference = Conference {
        enabled: table.boolean(reader, "enabled", true),
        automatic_login: table.choice(reader, "automatic_login", &login, AutomaticLogin::Everyone),
        announce: table.choice(
            reader,
            "announce",
            &[("tones", Announce::Tones), ("none", Announce::None)],
            Announce::Tones,
        ),
        music_on_hold: match table.text(reader, "music_on_hold").as_deref() {
            None | Some("built-in") => MusicOnHold::BuiltIn,
            Some("off") => MusicOnHold::Off,
            Some(file) => MusicOnHold::File(reader.folder.join(file)),
        },
        max_participants: table.whole(reader, "max_participants", 2..=5000, 100),
        max_duration_minutes: table.whole(reader, "max_duration_minutes", 15..=1440, 480),
        external_callers: table.boolean(reader, "external_callers", true),
    };
    table.later(reader, &["moderator_absence", "wait_for_moderator", "max_session_minutes", "adhoc"]);
    table.finish(reader);
    conference
}

pub(crate) fn account(reader: &mut Reader<'_>, mut table: Table<'_>) -> Account {
    let account = Account { max_participants: table.whole(reader, "max_participants", 2..=5000, 500) };
    table.finish(reader);
    account
}

pub(crate) fn invitation(reader: &mut Reader<'_>, mut table: Table<'_>) -> Invitation {
    use dialroom_booking::Delivery;
    let delivery = [("ics", Delivery::Ics), ("calendar", Delivery::Calendar)];
    let invitation = Invitation {
        delivery: table.choice(reader, "delivery", &delivery, Delivery::Ics),
        reply_to: address(reader, &mut table, "reply_to"),
        language: table.parsed(reader, "language"),
        templates: table.path(reader, "templates"),
    };
    if invitation.delivery == Delivery::Calendar {
        table.wrong(reader, "delivery", "this version does not write into calendars yet; use \"ics\"");
    }
    table.finish(reader);
    invitation
}

fn address(reader: &mut Reader<'_>, table: &mut Table<'_>, key: &'static str) -> Option<EmailAddress> {
    let text = table.text(reader, key)?;
    table.understood(reader, key, &text, EmailAddress::parse(&text))
}

fn addresses(reader: &mut Reader<'_>, table: &mut Table<'_>, key: &'static str) -> Vec<EmailAddress> {
    let texts = table.texts(reader, key);
    texts.iter().filter_map(|text| table.understood(reader, key, text, EmailAddress::parse(text))).collect()
}

/// The rules as written, or the ones that every installation starts with.
pub(crate) fn rules(reader: &mut Reader<'_>, root: &mut Table<'_>, resource: Option<&EmailAddress>) -> Vec<Rule> {
    if root.item("rule").is_none() {
        return default_rules(resource);
    }
    each(reader, root, "rule", rule)
}

/// Where `[graph]` names a resource mailbox, inviting it is a mark too.
fn default_rules(resource: Option<&EmailAddress>) -> Vec<Rule> {
    let text = |text: &str| text.to_owned();
    let property = Rule::Property(text("cecp-7d5c1c1e-2f0e-4c53-9c8e-5f3c7f0f6a11"));
    let others = [
        Rule::Category(text("Telephone conference")),
        Rule::Category(text("Telefonkonferenz")),
        Rule::Keyword(text("@dialroom")),
        Rule::Keyword(text("@telefon")),
    ];
    std::iter::once(property).chain(resource.cloned().map(Rule::Resource)).chain(others).collect()
}

fn rule(reader: &mut Reader<'_>, mut table: Table<'_>) -> Option<Rule> {
    let written = [
        table.text(reader, "property").map(|property| Rule::Property(property.to_ascii_lowercase())),
        address(reader, &mut table, "resource").map(Rule::Resource),
        table.text(reader, "category").map(Rule::Category),
        table.text(reader, "keyword").map(Rule::Keyword),
    ];
    let mut rules = written.into_iter().flatten();
    let rule = rules.next();
    if rule.is_none() || rules.next().is_some() {
        let line = table.line();
        reader.problem(line, "rule", "needs exactly one of property, resource, category, keyword");
    }
    table.finish(reader);
    rule
}

pub(crate) fn graph(reader: &mut Reader<'_>, mut table: Table<'_>) -> Option<Graph> {
    let tenant = table.required(reader, "tenant");
    let client_id = table.required(reader, "client_id");
    let secret = table.required(reader, "client_secret_file");
    let mailboxes = addresses(reader, &mut table, "mailboxes");
    if mailboxes.is_empty() {
        table.wrong(reader, "mailboxes", "names no mailbox to watch: [\"anna@example.com\"]");
    }
    let mut own_domains: Vec<String> = mailboxes.iter().map(|mailbox| mailbox.domain().to_owned()).collect();
    own_domains.sort();
    own_domains.dedup();
    let resource_organizers: Vec<String> = table.texts(reader, "resource_organizers");
    let graph = Graph {
        login_url: url(reader, &mut table, "login_url", "https://login.microsoftonline.com"),
        base_url: url(reader, &mut table, "base_url", "https://graph.microsoft.com"),
        tenant: tenant.unwrap_or_default(),
        client_id: client_id.unwrap_or_default(),
        client_secret_file: reader.folder.join(secret.unwrap_or_default()),
        resource_mailbox: address(reader, &mut table, "resource_mailbox"),
        resource_organizers: if resource_organizers.is_empty() { own_domains } else { resource_organizers },
        notifications: table.boolean(reader, "notifications", true),
        poll_seconds: table.whole(reader, "poll_seconds", 5..=3600, 60),
        adopt: table.boolean(reader, "adopt", false),
        mailboxes,
    };
    table.finish(reader);
    Some(graph)
}

/// A base URL without a slash at its end.
fn url(reader: &mut Reader<'_>, table: &mut Table<'_>, key: &'static str, default: &str) -> String {
    let text = table.text(reader, key).unwrap_or_else(|| default.to_owned());
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || rest.contains(['@', '?', '#', ' '])) {
        table.wrong(reader, key, format!("{text:?}: write a URL as in https://host or http://127.0.0.1:8090"));
    }
    text.trim_end_matches('/').to_owned()
}

pub(crate) fn mail(reader: &mut Reader<'_>, mut table: Table<'_>) -> Option<Mail> {
    let tls = [("starttls", MailTls::StartTls), ("tls", MailTls::Tls), ("none", MailTls::None)];
    let host = table.required(reader, "host");
    let tls = table.choice(reader, "tls", &tls, MailTls::StartTls);
    let default_port = match tls {
        MailTls::None => 25,
        MailTls::StartTls => 587,
        MailTls::Tls => 465,
    };
    let port = table.whole(reader, "port", 1..=u16::MAX, default_port);
    let username = table.text(reader, "username");
    let password_file = table.path(reader, "password_file");
    if username.is_some() != password_file.is_some() {
        table.wrong(reader, "username", "username and password_file belong together");
    }
    let from = match table.required(reader, "from") {
        None => None,
        Some(text) => table.understood(reader, "from", &text, EmailAddress::parse(&text)),
    };
    table.finish(reader);
    Some(Mail { host: host?, port, tls, username, password_file, from: from? })
}

pub(crate) fn media(reader: &mut Reader<'_>, mut table: Table<'_>) -> Media {
    let text = table.text(reader, "rtp_ports").unwrap_or_else(|| "20000-29999".to_owned());
    let ports =
        text.split_once('-').and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?)));
    let rtp_ports = match ports {
        Some((first, last)) if first >= 1024 && first % 2 == 0 && first < last => (first, last),
        _ => {
            table.wrong(
                reader,
                "rtp_ports",
                format!("{text:?}: write an even first and a larger last port: \"20000-29999\""),
            );
            (20000, 29999)
        }
    };
    let media = Media {
        rtp_ports,
        dscp: table.whole(reader, "dscp", 0..=63, 46),
        normalize_levels: table.boolean(reader, "normalize_levels", false),
        noise_gate: table.boolean(reader, "noise_gate", false),
    };
    table.later(reader, &["max_outgoing_mbit"]);
    table.finish(reader);
    media
}

pub(crate) fn store(reader: &mut Reader<'_>, mut table: Table<'_>) -> Store {
    let data = table.path(reader, "data").unwrap_or_else(|| reader.folder.join("data"));
    table.later(reader, &["url"]);
    table.finish(reader);
    Store { data }
}

pub(crate) fn hand_off(reader: &mut Reader<'_>, mut table: Table<'_>, store: &Store) -> HandOff {
    let listen = table.parsed(reader, "listen").unwrap_or_else(|| ([127, 0, 0, 1], 8070).into());
    let hand_off = HandOff {
        url: url(reader, &mut table, "url", &format!("http://{listen}")),
        token_file: table.path(reader, "token_file").unwrap_or_else(|| store.data.join("handoff.token")),
        listen,
    };
    let in_clear = hand_off.url.starts_with("http://");
    if in_clear && !hand_off.listen.ip().is_loopback() {
        table.wrong(
            reader,
            "listen",
            format!("{listen} is not loopback; PINs cross here, and this version has no TLS for it"),
        );
    }
    table.finish(reader);
    hand_off
}

pub(crate) fn http(reader: &mut Reader<'_>, mut table: Table<'_>, store: &Store) -> Http {
    let listen = table.parsed(reader, "listen").unwrap_or_else(|| ([127, 0, 0, 1], 8080).into());
    let public_url = table.item("public_url").is_some().then(|| url(reader, &mut table, "public_url", ""));
    let token_file = table.path(reader, "token_file").unwrap_or_else(|| store.data.join("api.token"));
    table.later(reader, &["tls", "trusted_proxies"]);
    table.finish(reader);
    Http { listen, public_url, token_file }
}

pub(crate) fn directory(reader: &mut Reader<'_>, mut table: Table<'_>) -> Directory {
    let home_region = table.parsed(reader, "home_region").unwrap_or(HomeRegion::GERMANY);
    let time_zone = table.parsed(reader, "time_zone").unwrap_or(chrono_tz::Europe::Berlin);
    let people = each(reader, &mut table, "person", |reader, person| directory_entry(reader, person, home_region));
    table.finish(reader);
    Directory { home_region, time_zone, people }
}

fn directory_entry(reader: &mut Reader<'_>, mut table: Table<'_>, home: HomeRegion) -> Option<DirectoryEntry> {
    let address = address(reader, &mut table, "address");
    let texts = table.texts(reader, "numbers");
    let number = |text: String| {
        let parsed = E164::parse(&text, home);
        table.understood(reader, "numbers", &text, parsed).map(|number| (text, number))
    };
    let numbers = texts.into_iter().filter_map(number).collect();
    if address.is_none() {
        table.wrong(reader, "address", "is missing; every person has one");
    }
    table.finish(reader);
    Some(DirectoryEntry { address: address?, numbers })
}

pub(crate) fn prompts(reader: &mut Reader<'_>, mut table: Table<'_>, store: &Store) -> Prompts {
    let prompts = Prompts {
        folder: table.path(reader, "folder"),
        names: table.path(reader, "names").unwrap_or_else(|| store.data.join("names")),
    };
    table.finish(reader);
    prompts
}

pub(crate) fn privacy(reader: &mut Reader<'_>, mut table: Table<'_>) -> Privacy {
    let privacy = Privacy {
        call_records_days: table.whole(reader, "call_records_days", 1..=3650, 90),
        messages_days: table.whole(reader, "messages_days", 1..=3650, 30),
    };
    table.finish(reader);
    privacy
}

/// Keys without a table of their own; this version has none, so each one is unknown.
pub(crate) fn advanced(reader: &mut Reader<'_>, table: Table<'_>) {
    table.finish(reader);
}

#[cfg(test)]
mod tests;
