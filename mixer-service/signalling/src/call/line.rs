//! How a call of ours begins: whom it asks, who it says it is, and by which proxies it goes.

use crate::config::Target;
use crate::dialog::Dialog;
use crate::endpoint::{Endpoint, Way, escaped};
use crate::event::{FlowId, Invite};
use crate::message::{Name, Request, Response, Uri};

/// The way a call of ours goes first, and what it says of us.
pub(super) struct Line {
    pub(super) uri: String,
    pub(super) from: String,
    pub(super) more: Vec<(Name, String)>,
    pub(super) target: Target,
    pub(super) hosts: Vec<String>,
}

impl Endpoint {
    /// Request-URI, From, identity and route of a call.
    pub(super) fn line_of(&self, invite: &Invite) -> Option<Line> {
        let peer = invite.peer.and_then(|id| self.peer(id));
        let server = invite.target.clone().or_else(|| peer.and_then(|peer| peer.server.clone()))?;
        let domain =
            peer.map(|peer| peer.domain.as_str()).filter(|domain| !domain.is_empty() && invite.target.is_none());
        let place = match (domain, server.port) {
            (Some(domain), _) => bracketed(domain),
            (None, Some(port)) => format!("{}:{port}", bracketed(&server.host)),
            (None, None) => bracketed(&server.host),
        };
        let uri = format!("sip:{}@{place}", escaped(&invite.number));
        Uri::parse(&uri)?;
        let home = peer.map(|peer| peer.domain.clone()).filter(|domain| !domain.is_empty());
        let home = bracketed(&home.unwrap_or_else(|| self.advertised(invite.local).ip.to_string()));
        let number = invite.from.as_deref();
        let user = peer.and_then(|peer| peer.user.as_deref());
        let mut more = Vec::new();
        let from = match number.or(user) {
            Some(user) => format!("<sip:{}@{home}>", escaped(user)),
            None => {
                more.push((Name::Privacy, "id".to_owned()));
                "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned()
            }
        };
        if let Some(number) = number.filter(|number| number.starts_with('+')) {
            more.push((Name::PAssertedIdentity, format!("<sip:{}@{home}>", escaped(number))));
        }
        more.extend(self.route_of(invite.peer).into_iter().map(|route| (Name::Route, route)));
        let hosts = [Some(server.host.clone()), peer.map(|peer| peer.domain.clone())].into_iter().flatten();
        let hosts = hosts.filter(|host| !host.is_empty()).collect();
        let target =
            peer.and_then(|peer| peer.outbound_proxy.clone()).filter(|_| invite.target.is_none()).unwrap_or(server);
        Some(Line { uri, from, more, target, hosts })
    }
}

/// The dialog that may follow an INVITE of ours: its own side is known, the other is not.
pub(super) fn placed_dialog(invite: &Request, local: std::net::IpAddr) -> Option<Dialog> {
    let nobody = Response::to(invite, 100);
    let to = std::net::SocketAddr::new(local, 0);
    let way = Way { flow: FlowId(u64::MAX), transport: crate::config::Transport::Udp, to };
    Dialog::outgoing(invite, &nobody, way)
}

/// A host as it stands in an address: IPv6 in brackets.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}
