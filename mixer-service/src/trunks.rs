//! The telephone systems of the settings, as signalling wants them: who they are, how they are reached, what they may.
//!
//! Signalling knows them by number. The number follows from the name alone, so that it stays when the settings change, and
//! whoever holds a number and the settings finds the trunk.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dialroom_host::read_secret;
use dialroom_settings::{
    AudioCodec, CalledFrom as CalledFromSetting, Settings, SipServer, SipTransport, SrtpPolicy, Trunk,
};
use mixer_signalling::{CalledFrom, Capabilities, Limits};
use tokio::sync::watch;

use crate::identity::{ServerAddresses, trunk_of};
use crate::sip::{
    Budgets, Codec, Config, Credentials, Listen, Peer, PeerId, Setup, SipEndpoint, Srtp, Target, Transport, Who,
};

/// How often names of servers are looked up again: what DNS says may change at any time.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(300);
/// Milliseconds of sound in a packet that we ask for; what every telephone has.
const PACKET_MS: u8 = 20;
/// Calls whose messages are kept for `dialroom trace`.
const TRACED_CALLS: usize = 1_000;

/// The number that signalling knows each trunk by, in the order of the settings.
pub fn peer_ids(settings: &Settings) -> impl Iterator<Item = (PeerId, &Trunk)> {
    let mut taken = BTreeSet::new();
    settings.trunks.iter().map(move |trunk| {
        let mut id = number_of(&trunk.name);
        // Two names with one number are as likely as two stones on one grain of sand, and harmless all the same.
        while !taken.insert(id) {
            id = id.wrapping_add(1);
        }
        (PeerId(id), trunk)
    })
}

/// The trunk with this number.
#[must_use]
pub fn trunk(settings: &Settings, peer: PeerId) -> Option<&Trunk> {
    peer_ids(settings).find(|(id, _)| *id == peer).map(|(_, trunk)| trunk)
}

/// The number of the trunk with this name.
#[must_use]
pub fn peer_id(settings: &Settings, name: &str) -> Option<PeerId> {
    peer_ids(settings).find(|(_, trunk)| trunk.name == name).map(|(id, _)| id)
}

/// FNV-1a: the same on every machine and in every version.
fn number_of(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// All that signalling is started with.
#[must_use]
pub fn setup(settings: &Arc<Settings>) -> Setup {
    let sip = &settings.sip;
    Setup {
        listen: Listen { addresses: sip.listen.clone(), tls_addresses: sip.tls_listen.clone(), tls: sip.tls.clone() },
        config: config(settings),
        who: who(settings.clone(), ServerAddresses::default()),
        budgets: Some(budgets(settings)),
        max_streams: size(sip.budgets.max_connections),
        max_streams_per_source: size(sip.budgets.max_connections_per_source),
        traced_calls: TRACED_CALLS,
    }
}

/// What may change while calls run.
fn config(settings: &Settings) -> Config {
    let sip = &settings.sip;
    Config {
        advertised_v4: sip.advertised.v4.map(Into::into),
        advertised_v6: sip.advertised.v6.map(Into::into),
        peers: peer_ids(settings).map(|(id, trunk)| peer(id, trunk)).collect(),
        // The mix is narrow-band: what costs least is taken before what could sound better.
        capabilities: Capabilities { prefer_offer_order: false, ..Capabilities::default() },
        limits: Limits { calls: size(sip.max_calls), ..Limits::default() },
        ..Config::default()
    }
}

fn budgets(settings: &Settings) -> Budgets {
    let ours = &settings.sip.budgets;
    Budgets {
        requests_per_second: ours.stranger_requests_per_second,
        request_burst: ours.stranger_burst,
        ban_after_misses: ours.ban_after_misses,
        ban: Duration::from_secs(60 * u64::from(ours.ban_minutes)),
        ..Budgets::default()
    }
}

fn peer(id: PeerId, trunk: &Trunk) -> Peer {
    let host = trunk.server.as_ref().map(|server| server.host().to_owned());
    Peer {
        id,
        name: trunk.name.clone(),
        server: trunk.server.as_ref().map(|server| target(server, trunk.transport)),
        outbound_proxy: trunk.outbound_proxy.as_ref().map(|server| target(server, trunk.transport)),
        domain: trunk.domain.clone().or(host).unwrap_or_default(),
        user: trunk.login.as_ref().map(|login| login.user.clone()),
        credentials: credentials(trunk),
        register: trunk.register,
        expires_s: trunk.expires_seconds,
        keep_alive: trunk.keep_alive_seconds.map_or(Duration::ZERO, |every| Duration::from_secs(every.into())),
        challenge: trunk.challenge,
        capabilities: Capabilities {
            codecs: trunk.codecs.iter().map(|codec| codec_of(*codec)).collect(),
            srtp: match trunk.srtp {
                SrtpPolicy::Off => Srtp::Off,
                SrtpPolicy::Optional => Srtp::Optional,
                SrtpPolicy::Required => Srtp::Required,
            },
            packet_ms: PACKET_MS,
            prefer_offer_order: false,
        },
        refer: trunk.refer,
        session_expires_s: trunk.session_expires_seconds.unwrap_or(0),
        lines: trunk.lines.map(size),
        called_from: match trunk.called_from {
            CalledFromSetting::RequestUri => CalledFrom::RequestUri,
            CalledFromSetting::To => CalledFrom::To,
            CalledFromSetting::PCalledPartyId => CalledFrom::PCalledPartyId,
        },
    }
}

/// A password that cannot be read leaves the trunk without one: others go on, and the log says what to do.
fn credentials(trunk: &Trunk) -> Option<Credentials> {
    let login = trunk.login.as_ref()?;
    match read_secret(login.password_file.as_deref()?) {
        Ok(password) => Some(Credentials { user: login.auth_user.clone(), password }),
        Err(why) => {
            tracing::error!(trunk = trunk.name, %why, "trunk.password_file cannot be used; no challenge is answered");
            None
        }
    }
}

/// Where a server of the settings is reached.
#[must_use]
pub fn target(server: &SipServer, transport: SipTransport) -> Target {
    Target { host: server.host().to_owned(), port: server.port(), transport: transport_of(transport) }
}

const fn transport_of(transport: SipTransport) -> Transport {
    match transport {
        SipTransport::Udp => Transport::Udp,
        SipTransport::Tcp => Transport::Tcp,
        SipTransport::Tls => Transport::Tls,
    }
}

const fn codec_of(codec: AudioCodec) -> Codec {
    match codec {
        AudioCodec::Pcma => Codec::Pcma,
        AudioCodec::Pcmu => Codec::Pcmu,
        AudioCodec::G722 => Codec::G722,
        AudioCodec::Opus => Codec::Opus,
    }
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Who is who by these settings, and by what DNS says of their servers.
fn who(settings: Arc<Settings>, servers: ServerAddresses) -> Who {
    let ids: HashMap<String, PeerId> = peer_ids(&settings).map(|(id, trunk)| (trunk.name.clone(), id)).collect();
    Who::by(move |source: IpAddr, tls_names: &[String]| {
        trunk_of(&settings, &servers, source, tls_names).and_then(|trunk| ids.get(&trunk.name).copied())
    })
}

/// Keeps signalling at what the settings and DNS say, until the program ends.
pub(crate) async fn follow(sip: SipEndpoint, mut settings: watch::Receiver<Arc<Settings>>) {
    let mut known = ServerAddresses::default();
    let mut is_new = true;
    loop {
        let current = settings.borrow_and_update().clone();
        let servers = look_up(&sip, &current, &known).await;
        if is_new || servers != known {
            sip.reconfigure(Setup { who: who(current.clone(), servers.clone()), ..setup(&current) });
        }
        known = servers;
        tokio::select! {
            changed = settings.changed() => match changed {
                Ok(()) => is_new = true,
                Err(_) => return,
            },
            () = tokio::time::sleep(LOOK_UP_AGAIN) => is_new = false,
        }
    }
}

/// The addresses of all servers that have names. One that cannot be found now keeps those that it had: a bad hour of DNS
/// turns no trunk into a stranger.
async fn look_up(sip: &SipEndpoint, settings: &Settings, before: &ServerAddresses) -> ServerAddresses {
    let mut servers = ServerAddresses::default();
    for trunk in &settings.trunks {
        let named = [&trunk.server, &trunk.outbound_proxy].into_iter().flatten().filter(|one| one.address().is_none());
        let mut found = Vec::new();
        for server in named {
            let places = sip.look_up(server.host(), server.port(), Some(transport_of(trunk.transport))).await;
            found.extend(places.into_iter().map(|(_, place)| place.ip()));
        }
        if found.is_empty() {
            found = before.of(&trunk.name).to_vec();
        }
        if !found.is_empty() {
            servers.set(&trunk.name, found);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(text: &str) -> Arc<Settings> {
        Arc::new(Settings::read(Path::new("/nowhere/dialroom.toml"), text).unwrap())
    }

    const TWO: &str = "[[trunk]]\nname = \"pbx\"\naddresses = [\"192.0.2.0/28\"]\nlines = 30\ncodecs = [\"G722\", \"PCMA\"]\n\
        called_from = \"to\"\nsession_expires_seconds = 0\n\
        [[trunk]]\nname = \"provider\"\nserver = \"sip.example.net\"\ntransport = \"tcp\"\nregister = true\nuser = \"88\"\n";

    #[test]
    fn a_number_stays_with_its_name_whatever_else_changes() {
        let before = settings(TWO);
        let after = settings("[[trunk]]\nname = \"provider\"\naddresses = [\"198.51.100.1\"]\n");
        let id = peer_id(&before, "provider").unwrap();
        assert_eq!(peer_id(&after, "provider"), Some(id));
        assert_eq!(trunk(&before, id).unwrap().name, "provider");
        assert_ne!(peer_id(&before, "pbx"), Some(id));
        assert!(trunk(&after, peer_id(&before, "pbx").unwrap()).is_none());
    }

    #[test]
    fn what_a_trunk_says_reaches_signalling() {
        let settings = settings(TWO);
        let config = config(&settings);
        let (pbx, provider) = (&config.peers[0], &config.peers[1]);
        assert_eq!((pbx.lines, pbx.session_expires_s, pbx.server.clone()), (Some(30), 0, None));
        assert_eq!(pbx.capabilities.codecs, [Codec::G722, Codec::Pcma]);
        assert_eq!(pbx.called_from, CalledFrom::To);
        let target = provider.server.clone().unwrap();
        assert_eq!((target.host.as_str(), target.port, target.transport), ("sip.example.net", None, Transport::Tcp));
        assert_eq!((provider.domain.as_str(), provider.user.as_deref()), ("sip.example.net", Some("88")));
        assert!(provider.register && provider.credentials.is_none());
    }

    #[test]
    fn an_address_is_a_trunk_by_its_block_or_by_what_dns_says() {
        let settings = settings(TWO);
        let mut servers = ServerAddresses::default();
        servers.set("provider", [IpAddr::from([198, 51, 100, 1])]);
        let who = who(settings.clone(), servers);
        assert_eq!(who.is([192, 0, 2, 3].into(), &[]), peer_id(&settings, "pbx"));
        assert_eq!(who.is([198, 51, 100, 1].into(), &[]), peer_id(&settings, "provider"));
        assert_eq!(who.is([198, 51, 100, 2].into(), &[]), None);
    }
}
