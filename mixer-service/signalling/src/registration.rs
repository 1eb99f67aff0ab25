//! Being an extension of a telephone system: REGISTER with its refreshes, its failures, and the way calls take through it
//! (RFC 3261 section 10, RFC 3608).

use std::time::{Duration, Instant};

use crate::call::{bracketed, told_text};
use crate::config::{Peer, PeerId, Target};
use crate::dialog::MAX_FORWARDS;
use crate::endpoint::{ALLOW, Contact, Endpoint, Owner, Parcel, Waiter, Way, escaped, tag};
use crate::event::{FlowId, SipEvent};
use crate::message::{Address, Method, Name, Request, Response};

/// First and longest wait after a failure (RFC 5626 section 4.5), each with jitter.
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(1_800);
/// A registration whose stream broke is made anew within this.
const AFTER_BREAK: Duration = Duration::from_secs(2);
/// Shortest and longest time that a registrar may give us or ask of us.
const SHORTEST_S: u32 = 30;
const LONGEST_S: u32 = 86_400;
/// Proxies of a `Service-Route` that are remembered.
const MAX_ROUTES: usize = 8;
/// Percent of a registration's time after which it is refreshed.
const REFRESH_PERCENT: u32 = 80;

/// One registration of ours.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The peer as it was when this began.
    peer: Peer,
    call_id: String,
    from_tag: String,
    seq: u32,
    /// Asked for; a registrar may have raised it (423).
    wanted_s: u32,
    /// Whether he raised it since it was last tried: he does so once.
    raised: bool,
    state: State,
    failures: u32,
    service_route: Vec<String>,
    /// Where the registrar was reached last.
    way: Option<Way>,
    keep_alive_at: Option<Instant>,
    pub(crate) alarm: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be tried then.
    Idle(Instant),
    /// Asked; before that it held until then, if at all.
    Asking(Option<Instant>),
    /// Holds until then, refreshed before.
    Holds { until: Instant, refresh_at: Instant },
    /// Taken back.
    Leaving,
}

impl Registration {
    fn new(now: Instant, peer: &Peer, call_id: String, from_tag: String) -> Self {
        Self {
            wanted_s: peer.expires_s.clamp(SHORTEST_S, LONGEST_S),
            peer: peer.clone(),
            call_id,
            from_tag,
            seq: 0,
            raised: false,
            state: State::Idle(now),
            failures: 0,
            service_route: Vec::new(),
            way: None,
            keep_alive_at: None,
            alarm: None,
        }
    }

    /// Whether the registrar knows us, as far as we know.
    pub(crate) const fn holds(&self) -> bool {
        matches!(self.state, State::Holds { .. } | State::Asking(Some(_)))
    }

    /// Whether it was made over this flow, and holds.
    pub(crate) fn is_on(&self, flow: FlowId) -> bool {
        self.holds() && self.way.is_some_and(|way| way.flow == flow)
    }

    /// Whether it sent this request; a former one with the same peer may have.
    pub(crate) fn sent(&self, request: &Request) -> bool {
        request.call_id() == Some(&self.call_id)
    }

    pub(crate) fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.saturating_add(1);
        self.seq
    }

    fn due(&self) -> Option<Instant> {
        let state = match self.state {
            State::Idle(at) => Some(at),
            State::Holds { refresh_at, .. } => Some(refresh_at),
            State::Asking(_) | State::Leaving => None,
        };
        [state, self.keep_alive_at].into_iter().flatten().min()
    }

    /// Whether another registration would be needed for these settings.
    fn differs(&self, peer: &Peer) -> bool {
        let of = |peer: &Peer| {
            (
                peer.server.clone(),
                peer.outbound_proxy.clone(),
                peer.domain.clone(),
                peer.user.clone(),
                peer.credentials.clone(),
            )
        };
        of(&self.peer) != of(peer)
    }

    fn request(&mut self, expires_s: u32) -> Request {
        let domain = bracketed(&self.peer.domain);
        let user = self.peer.user.as_deref().unwrap_or_default();
        let own = format!("<sip:{}@{domain}>", escaped(user));
        let seq = self.next_seq();
        let mut request = Request::new(Method::Register, format!("sip:{domain}"));
        let headers = &mut request.headers;
        headers.push(Name::MaxForwards, MAX_FORWARDS);
        headers.push(Name::From, format!("{own};tag={}", self.from_tag));
        headers.push(Name::To, own);
        headers.push(Name::CallId, self.call_id.as_str());
        headers.push(Name::CSeq, format!("{seq} REGISTER"));
        headers.push(Name::Expires, expires_s.to_string());
        headers.push(Name::Supported, "path");
        headers.push(Name::Allow, ALLOW);
        request
    }

    /// How long the registrar gave us: what it says of our Contact, else of all, else what we asked for.
    fn granted_s(&self, response: &Response, ours: Option<&str>) -> u32 {
        let ours = ours.and_then(Address::parse).map(|ours| (ours.uri.user, ours.uri.host, ours.uri.port));
        let contacts: Vec<Address> = response.headers.list(&Name::Contact).filter_map(Address::parse).collect();
        let same = |contact: &&Address| {
            ours.as_ref().is_some_and(|(user, host, port)| {
                let uri = &contact.uri;
                uri.user == *user && uri.host.eq_ignore_ascii_case(host) && uri.port == *port
            })
        };
        let contact = contacts.iter().find(same).or_else(|| contacts.first().filter(|_| contacts.len() == 1));
        let said = contact.and_then(|contact| contact.params.get("expires")?.parse().ok());
        said.or_else(|| response.headers.seconds(&Name::Expires)).unwrap_or(self.wanted_s).min(LONGEST_S)
    }
}

impl Endpoint {
    /// Begins, ends and keeps registrations as the settings want them.
    pub(crate) fn configure_registrations(&mut self, now: Instant) {
        let wanted: Vec<Peer> =
            self.config.peers.iter().filter(|peer| peer.register && peer.server.is_some()).cloned().collect();
        let mut gone: Vec<PeerId> = self.registrations.keys().copied().collect();
        gone.retain(|id| !wanted.iter().any(|peer| peer.id == *id && !self.registrations[id].differs(peer)));
        gone.sort_unstable();
        for id in gone {
            self.take_back(now, id);
            self.registrations.remove(&id);
        }
        if self.stopping {
            return;
        }
        for peer in wanted {
            match self.registrations.get_mut(&peer.id) {
                Some(registration) => registration.peer = peer,
                None => {
                    let call_id = self.chance.call_id();
                    let from_tag = tag(self.chance.number());
                    let registration = Registration::new(now, &peer, call_id, from_tag);
                    self.registrations.insert(peer.id, Box::new(registration));
                    self.set_registration_alarm(peer.id);
                }
            }
        }
    }

    fn set_registration_alarm(&mut self, id: PeerId) {
        if let Some(registration) = self.registrations.get_mut(&id)
            && let Some(due) = registration.due()
        {
            self.alarms.set(&mut registration.alarm, due, || Waiter::Registration(id));
        }
    }

    pub(crate) fn wake_registration(&mut self, now: Instant, at: Instant, id: PeerId) {
        let Some(registration) = self.registrations.get_mut(&id).filter(|known| known.alarm == Some(at)) else {
            return;
        };
        registration.alarm = None;
        let ask = match registration.state {
            State::Idle(at) => at <= now,
            State::Holds { refresh_at, .. } => refresh_at <= now,
            State::Asking(_) | State::Leaving => false,
        };
        if ask {
            self.register(now, id);
        }
        self.keep_alive(now, id);
        self.set_registration_alarm(id);
    }

    fn register(&mut self, now: Instant, id: PeerId) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let peer = &registration.peer;
        let streams = peer.outbound_proxy.as_ref().or(peer.server.as_ref()).is_some_and(|to| to.transport.reliable());
        if !streams && self.flows.sockets().next().is_none() {
            // The first socket wakes us before that.
            registration.state = State::Idle(now + FIRST_WAIT);
            return;
        }
        let held = match registration.state {
            State::Holds { until, .. } => Some(until),
            State::Idle(_) | State::Asking(_) | State::Leaving => None,
        };
        registration.state = State::Asking(held);
        let request = registration.request(registration.wanted_s);
        let (peer, way) = (registration.peer.clone(), registration.way);
        self.post_register(now, &peer, way, request);
    }

    fn post_register(&mut self, now: Instant, peer: &Peer, way: Option<Way>, mut request: Request) {
        let Some(server) = peer.outbound_proxy.as_ref().or(peer.server.as_ref()) else {
            return;
        };
        if let Some(proxy) = &peer.outbound_proxy {
            request.headers.push(Name::Route, loose_route(proxy));
        }
        self.sign(&mut request);
        let mut parcel = Parcel::new(Owner::Registration(peer.id), request);
        parcel.peer = Some(peer.id);
        parcel.contact = Some(Contact { user: peer.user.clone(), params: "" });
        parcel.hint = way.map(|way| way.flow);
        self.post_to(now, parcel, server);
    }

    /// An answer of the registrar.
    pub(crate) fn registration_answered(
        &mut self,
        now: Instant,
        id: PeerId,
        way: Way,
        request: &Request,
        response: &Response,
    ) {
        let Some(registration) = self.registrations.get_mut(&id).filter(|known| known.sent(request)) else {
            return;
        };
        if response.status < 200 || !matches!(registration.state, State::Asking(_)) {
            return;
        }
        registration.way = Some(way);
        match response.status {
            200..=299 => self.registered(now, id, request, response),
            423 if !registration.raised => {
                let floor = response.headers.seconds(&Name::MinExpires).unwrap_or_default();
                if floor > registration.wanted_s && floor <= LONGEST_S {
                    registration.wanted_s = floor;
                    registration.raised = true;
                    self.register(now, id);
                } else {
                    self.registration_failed(now, id, Some(response));
                }
            }
            _ => self.registration_failed(now, id, Some(response)),
        }
    }

    fn registered(&mut self, now: Instant, id: PeerId, request: &Request, response: &Response) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let granted_s = registration.granted_s(response, request.headers.get(&Name::Contact));
        if granted_s == 0 {
            return self.registration_failed(now, id, None);
        }
        let granted = Duration::from_secs(granted_s.into());
        registration.failures = 0;
        registration.raised = false;
        registration.service_route =
            response.headers.list(&Name::ServiceRoute).take(MAX_ROUTES).map(str::to_owned).collect();
        let refresh_at = now + granted * REFRESH_PERCENT / 100;
        registration.state = State::Holds { until: now + granted, refresh_at };
        let every = registration.peer.keep_alive;
        registration.keep_alive_at = (!every.is_zero()).then(|| now + every);
        self.tell(SipEvent::Registered { peer: id, expires: granted });
        self.set_registration_alarm(id);
    }

    pub(crate) fn registration_unanswered(&mut self, now: Instant, id: PeerId, request: &Request) {
        if let Some(registration) = self.registrations.get_mut(&id)
            && registration.sent(request)
            && matches!(registration.state, State::Asking(_))
        {
            registration.way = None;
            self.registration_failed(now, id, None);
        }
    }

    /// Waits longer with each failure, and never all at the same time; a registrar that names a time is believed.
    fn registration_failed(&mut self, now: Instant, id: PeerId, response: Option<&Response>) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let longest = FIRST_WAIT.saturating_mul(1 << registration.failures.min(6)).min(LONGEST_WAIT);
        registration.failures = registration.failures.saturating_add(1);
        registration.raised = false;
        let asked = response.and_then(|response| response.headers.seconds(&Name::RetryAfter));
        let asked = Duration::from_secs(asked.unwrap_or_default().into()).min(LONGEST_WAIT);
        let retry_in = self.chance.jittered(longest).max(asked);
        registration.state = State::Idle(now + retry_in);
        registration.keep_alive_at = None;
        let status = response.map(|response| response.status);
        let text = response.map_or_else(|| "no answer".to_owned(), |response| told_text(&response.reason));
        self.tell(SipEvent::RegistrationFailed { peer: id, status, text, retry_in });
        self.set_registration_alarm(id);
    }

    /// Keeps the doors of a NAT open (RFC 5626 section 4.4.1).
    fn keep_alive(&mut self, now: Instant, id: PeerId) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        if registration.keep_alive_at.is_some_and(|at| at <= now) {
            registration.keep_alive_at = Some(now + registration.peer.keep_alive);
            if let Some(way) = registration.way {
                self.send(way, b"\r\n\r\n".to_vec());
            }
        }
    }

    /// There is a socket now: what could not be sent is tried at once.
    pub(crate) fn hurry_registrations(&mut self, now: Instant) {
        let mut idle: Vec<PeerId> = Vec::new();
        for (id, registration) in &mut self.registrations {
            if matches!(registration.state, State::Idle(_)) {
                registration.state = State::Idle(now);
                idle.push(*id);
            }
        }
        idle.into_iter().for_each(|id| self.set_registration_alarm(id));
    }

    pub(crate) fn flow_of_registration_closed(&mut self, now: Instant, flow: FlowId) {
        let mut broken: Vec<PeerId> = Vec::new();
        for (id, registration) in &self.registrations {
            if registration.is_on(flow) {
                broken.push(*id);
            }
        }
        broken.sort_unstable();
        for id in broken {
            let wait = self.chance.jittered(AFTER_BREAK);
            if let Some(registration) = self.registrations.get_mut(&id) {
                registration.way = None;
                registration.keep_alive_at = None;
                if matches!(registration.state, State::Holds { .. }) {
                    registration.state = State::Idle(now + wait);
                }
            }
            self.set_registration_alarm(id);
        }
    }

    /// Takes a registration back, if it holds or may be about to: the registrar's yes may be on its way.
    fn take_back(&mut self, now: Instant, id: PeerId) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let may_hold = registration.holds() || matches!(registration.state, State::Asking(_));
        registration.state = State::Leaving;
        registration.keep_alive_at = None;
        self.recall(Owner::Registration(id));
        if may_hold && let Some(registration) = self.registrations.get_mut(&id) {
            let request = registration.request(0);
            let (peer, way) = (registration.peer.clone(), registration.way);
            self.post_register(now, &peer, way, request);
            self.tell(SipEvent::Registered { peer: id, expires: Duration::ZERO });
        }
    }

    pub(crate) fn take_registrations_back(&mut self, now: Instant) {
        let mut ids: Vec<PeerId> = self.registrations.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().for_each(|id| self.take_back(now, id));
    }

    /// Where calls for a peer go that we are registered with: the way the registrar was reached, also through a NAT.
    pub(crate) fn registered_way(&self, peer: Option<PeerId>) -> Option<Way> {
        let registration = self.registrations.get(&peer?)?;
        registration.way.filter(|_| registration.holds())
    }

    /// The route of a request to a peer: its proxy, then what its registrar asked for.
    pub(crate) fn route_of(&self, peer: Option<PeerId>) -> Vec<String> {
        let known = peer.and_then(|id| self.peer(id));
        let proxy = known.and_then(|peer| peer.outbound_proxy.as_ref()).map(loose_route);
        let registration = peer.and_then(|id| self.registrations.get(&id)).filter(|known| known.holds());
        let service = registration.map(|registration| registration.service_route.clone()).unwrap_or_default();
        // A registrar behind the proxy names it in its own route.
        if service.is_empty() { proxy.into_iter().collect() } else { service }
    }
}

/// A proxy of the settings as it stands in a route.
fn loose_route(proxy: &Target) -> String {
    let port = proxy.port.map(|port| format!(":{port}")).unwrap_or_default();
    let transport = match proxy.transport {
        crate::config::Transport::Udp => "",
        crate::config::Transport::Tcp => ";transport=tcp",
        crate::config::Transport::Tls => ";transport=tls",
    };
    format!("<sip:{}{port}{transport};lr>", bracketed(&proxy.host))
}
