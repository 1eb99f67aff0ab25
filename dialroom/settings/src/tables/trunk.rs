//! `[[trunk]]` as written.

use dialroom_booking::HomeRegion;

use crate::SipServer;
use crate::meant::*;
use crate::server::host_name;
use crate::table::{Reader, Table, each};

/// Longest name of a trunk: it stands in log lines and metrics.
const MAX_NAME_LEN: usize = 40;
/// Digits of the longest number (ITU-T E.164 section 6), and of the longest prefix of one.
const MAX_DIGITS: usize = 15;
/// What a rewriting rule passes over unless it says otherwise: longer than any extension.
const REWRITE_MIN_DIGITS: u8 = 6;
/// How often a registered trunk shows that it lives: routers forget a UDP mapping after 30 seconds or more.
const KEEP_ALIVE_SECONDS: u16 = 30;
const SESSION_EXPIRES_SECONDS: u32 = 1800;

/// Every `[[trunk]]`; no two have one name or one address.
pub(crate) fn trunks(reader: &mut Reader<'_>, root: &mut Table<'_>, sip: &Sip) -> Vec<Trunk> {
    let mut trunks: Vec<Trunk> = Vec::new();
    for (line, trunk) in each(reader, root, "trunk", |reader, table| {
        let line = table.line();
        trunk(reader, table, sip).map(|trunk| (line, trunk))
    }) {
        for earlier in &trunks {
            if earlier.name == trunk.name {
                reader.problem(line, "trunk.name", format!("{:?} is another trunk's name already", trunk.name));
            }
            if let Some(shared) = trunk.addresses.iter().find(|address| earlier.addresses.contains(address)) {
                let message = format!("{shared} belongs to trunk {:?} already; name it once", earlier.name);
                reader.problem(line, "trunk.addresses", message);
            }
            if let Some(shared) = trunk.tls_names.iter().find(|name| earlier.tls_names.contains(name)) {
                let message = format!("{shared:?} belongs to trunk {:?} already; name it once", earlier.name);
                reader.problem(line, "trunk.tls_names", message);
            }
        }
        trunks.push(trunk);
    }
    trunks
}

fn trunk(reader: &mut Reader<'_>, mut table: Table<'_>, sip: &Sip) -> Option<Trunk> {
    let name = name(reader, &mut table);
    let server = table.parsed::<SipServer>(reader, "server");
    let host = server.as_ref().map(|server| server.host().to_owned());
    let transport = [("udp", SipTransport::Udp), ("tcp", SipTransport::Tcp), ("tls", SipTransport::Tls)];
    let transport = table.choice(reader, "transport", &transport, SipTransport::Udp);
    let login = login(reader, &mut table);
    let register = table.boolean(reader, "register", false);
    let believes = [("all", Believes::All), ("attested", Believes::Attested), ("extensions", Believes::Extensions)];
    let called_from = [
        ("request-uri", CalledFrom::RequestUri),
        ("to", CalledFrom::To),
        ("p-called-party-id", CalledFrom::PCalledPartyId),
    ];
    let srtp = [("off", SrtpPolicy::Off), ("optional", SrtpPolicy::Optional), ("required", SrtpPolicy::Required)];
    let keep_alive = if register { KEEP_ALIVE_SECONDS } else { 0 };
    let trunk = Trunk {
        name: name.unwrap_or_default(),
        addresses: table.list(reader, "addresses"),
        tls_names: tls_names(reader, &mut table),
        outbound_proxy: table.parsed(reader, "outbound_proxy"),
        domain: domain(reader, &mut table).or(host),
        expires_seconds: table.whole(reader, "expires_seconds", 60..=86_400, 600),
        keep_alive_seconds: zero_is_off(table.whole_or_zero(reader, "keep_alive_seconds", 5..=3600, keep_alive)),
        challenge: table.boolean(reader, "challenge", false),
        identity: identity(reader, &mut table),
        believes: table.choice(reader, "believes", &believes, Believes::All),
        own_numbers: own_numbers(reader, &mut table),
        home_region: table.parsed::<HomeRegion>(reader, "home_region"),
        rewrite: each(reader, &mut table, "rewrite", rewrite),
        called_from: table.choice(reader, "called_from", &called_from, CalledFrom::RequestUri),
        numbers: numbers(reader, &mut table),
        lines: table.item("lines").is_some().then(|| table.whole(reader, "lines", 1..=5000, 5000)),
        codecs: codecs(reader, &mut table),
        srtp: table.choice(reader, "srtp", &srtp, SrtpPolicy::Off),
        refer: table.boolean(reader, "refer", false),
        session_expires_seconds: zero_is_off(table.whole_or_zero(
            reader,
            "session_expires_seconds",
            90..=86_400,
            SESSION_EXPIRES_SECONDS,
        )),
        in_band_digits: table.boolean(reader, "in_band_digits", false),
        shared_media_port: table.boolean(reader, "shared_media_port", false),
        server,
        transport,
        login,
        register,
    };
    check_ways(reader, &table, &trunk, sip);
    table.finish(reader);
    Some(trunk)
}

fn zero_is_off<T: PartialEq + From<u8>>(value: T) -> Option<T> {
    (value != T::from(0)).then_some(value)
}

fn name(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Option<String> {
    let name = table.required(reader, "name")?;
    if name.len() > MAX_NAME_LEN || name.chars().any(|sign| sign.is_control() || sign == '"') {
        table.wrong(reader, "name", format!("{name:?}: write at most {MAX_NAME_LEN} letters, without quotes"));
    }
    Some(name)
}

/// What belongs together: somebody to be, somebody to believe, and a secret to prove it with.
fn check_ways(reader: &mut Reader<'_>, table: &Table<'_>, trunk: &Trunk, sip: &Sip) {
    if trunk.addresses.is_empty() && trunk.tls_names.is_empty() && trunk.server.is_none() {
        let message =
            "names no address: [\"192.0.2.10\"], nor has the trunk tls_names or a server; nobody would be believed";
        table.wrong(reader, "addresses", message);
    }
    if trunk.register && trunk.server.is_none() {
        table.wrong(reader, "register", "needs server = \"sip.example.com\", the registrar");
    }
    if trunk.register && trunk.login.is_none() {
        table.wrong(reader, "register", "needs user, the extension that registers, and password_file");
    }
    if trunk.challenge && trunk.login.as_ref().is_none_or(|login| login.password_file.is_none()) {
        table.wrong(reader, "challenge", "needs user and password_file, which the other side must prove");
    }
    if trunk.outbound_proxy.is_some() && trunk.server.is_none() {
        table.wrong(reader, "outbound_proxy", "leads nowhere without server = \"sip.example.com\"");
    }
    let proves_names = sip.tls.client_ca_file.is_some() || trunk.transport == SipTransport::Tls;
    if !trunk.tls_names.is_empty() && !proves_names {
        let message = "nobody proves these names; name sip.tls.client_ca_file, or a server with transport = \"tls\"";
        table.wrong(reader, "tls_names", message);
    }
}

fn login(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Option<TrunkLogin> {
    let user = table.text(reader, "user");
    let auth_user = table.text(reader, "auth_user");
    let password_file = table.path(reader, "password_file");
    table.secret(reader, "password", "password_file");
    for (key, written) in [("user", &user), ("auth_user", &auth_user)] {
        if let Some(text) = written.as_ref().filter(|text| text.contains(['"', '\\', '<', '>', '@', ' '])) {
            table.wrong(reader, key, format!("{text:?}: write the name alone, without @ and what follows it"));
        }
    }
    if user.is_none() && (auth_user.is_some() || password_file.is_some()) {
        table.wrong(reader, "user", "is missing; auth_user and password_file belong to it");
    }
    let user = user?;
    Some(TrunkLogin { auth_user: auth_user.unwrap_or_else(|| user.clone()), user, password_file })
}

fn domain(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Option<String> {
    let text = table.text(reader, "domain")?;
    let parsed = host_name(&text).ok_or("write a domain as in example.com");
    table.understood(reader, "domain", &text, parsed)
}

fn tls_names(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Vec<String> {
    let parsed = |text: &String| host_name(text).ok_or("write a whole name as in pbx.example.com; no pattern counts");
    let written = table.texts(reader, "tls_names");
    written.iter().filter_map(|text| table.understood(reader, "tls_names", text, parsed(text))).collect()
}

fn identity(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Vec<IdentityHeader> {
    let written = table.texts(reader, "identity");
    if written.is_empty() {
        return vec![IdentityHeader::PAssertedIdentity, IdentityHeader::From];
    }
    let header = |text: &String| match text.to_ascii_lowercase().as_str() {
        "p-asserted-identity" => Ok(IdentityHeader::PAssertedIdentity),
        "from" => Ok(IdentityHeader::From),
        "p-preferred-identity" | "remote-party-id" | "diversion" | "history-info" => {
            Err("is what somebody would like to be, or who diverted a call; write \"P-Asserted-Identity\" or \"From\"")
        }
        _ => Err("is none of \"P-Asserted-Identity\", \"From\""),
    };
    written.iter().filter_map(|text| table.understood(reader, "identity", text, header(text))).collect()
}

fn own_numbers(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Vec<String> {
    let written = table.texts(reader, "own_numbers");
    let prefix = |text: &String| {
        let compact = without_spaces(text);
        let fits = compact.starts_with('+') && is_number(&compact, 3);
        if fits { Ok(compact) } else { Err("write the beginning of your numbers in international form: +493023125") }
    };
    written.iter().filter_map(|text| table.understood(reader, "own_numbers", text, prefix(text))).collect()
}

fn numbers(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Vec<String> {
    let written = table.texts(reader, "numbers");
    let number = |text: &String| {
        let compact = without_spaces(text);
        let fits = is_number(&compact, 1);
        if fits { Ok(compact) } else { Err("write a number as it is dialled or as it arrives: 88 or +49302312588") }
    };
    written.iter().filter_map(|text| table.understood(reader, "numbers", text, number(text))).collect()
}

fn rewrite(reader: &mut Reader<'_>, mut table: Table<'_>) -> Option<Rewrite> {
    const SHAPE: &str = "write digits, perhaps with a + in front";
    let prefix = table.required(reader, "prefix");
    // Nothing at all is a fair replacement: it takes the prefix away.
    let replace = table.text_or_nothing(reader, "replace").unwrap_or_default();
    let min_digits = table.whole(reader, "min_digits", 1..=15, REWRITE_MIN_DIGITS);
    for (key, text) in [("prefix", prefix.as_deref()), ("replace", Some(replace.as_str()))] {
        if let Some(text) = text.filter(|text| !text.is_empty() && !is_number(text, 0)) {
            table.wrong(reader, key, format!("{text:?}: {SHAPE}"));
        }
    }
    table.finish(reader);
    Some(Rewrite { prefix: prefix?, replace, min_digits })
}

fn codecs(reader: &mut Reader<'_>, table: &mut Table<'_>) -> Vec<AudioCodec> {
    let codec = |text: &String| match text.to_ascii_lowercase().as_str() {
        "pcma" => Ok(AudioCodec::Pcma),
        "pcmu" => Ok(AudioCodec::Pcmu),
        "g722" => Ok(AudioCodec::G722),
        "opus" => Ok(AudioCodec::Opus),
        _ => Err("is none of \"PCMA\", \"PCMU\", \"G722\", \"opus\""),
    };
    let written = table.texts(reader, "codecs");
    let mut codecs: Vec<AudioCodec> = Vec::new();
    for text in &written {
        let Some(codec) = table.understood(reader, "codecs", text, codec(text)) else { continue };
        if codecs.contains(&codec) {
            table.wrong(reader, "codecs", format!("{text:?} stands there twice"));
        } else {
            codecs.push(codec);
        }
    }
    if codecs.is_empty() {
        vec![AudioCodec::Pcma, AudioCodec::Pcmu, AudioCodec::G722, AudioCodec::Opus]
    } else {
        codecs
    }
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|sign| *sign != ' ').collect()
}

/// `min` to 15 digits, perhaps with a `+` in front.
fn is_number(text: &str, min: usize) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (min..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}
