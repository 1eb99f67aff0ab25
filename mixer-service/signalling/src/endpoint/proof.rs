//! Digests in both directions: our proof for a telephone system that asks, and its proof where the settings want one.

use std::collections::HashMap;
use std::time::Instant;

use super::{Chance, Endpoint, Owner, Parcel, Stamped, tag};
use crate::config::PeerId;
use crate::digest::{Ask, Challenger, Claim, NonceCount, Realms, Verdict, answer_challenge};
use crate::event::Refusal;
use crate::message::{Name, Request, Response};
use crate::transaction::ClientKey;

/// The realm of a peer whose settings name no domain.
const OWN_REALM: &str = "dialroom";
/// Proofs of one request that are looked at: as many as there may be proxies that ask, and some.
const MAX_PROOFS: usize = 4;

/// What is remembered of questions and proofs.
pub(crate) struct Challenges {
    asked: Challenger,
    /// Of each telephone system the realm that it asked in first: no other is ever answered.
    answered: HashMap<PeerId, NonceCount>,
}

impl Challenges {
    pub(crate) fn new(now: Instant, chance: &mut Chance) -> Self {
        let mut secret = [0; 32];
        chance.fill(&mut secret);
        Self { asked: Challenger::new(now, &secret), answered: HashMap::new() }
    }

    /// Forgets what was learnt of peers that are no more.
    pub(crate) fn keep(&mut self, keep: impl Fn(PeerId) -> bool) {
        self.answered.retain(|peer, _| keep(*peer));
    }
}

impl Endpoint {
    /// Sends a challenged request again with the proof asked for; false if we have none to give.
    pub(crate) fn proved(&mut self, now: Instant, key: ClientKey, mut parcel: Parcel, response: &Response) -> bool {
        let Some((peer, way)) = parcel.peer.zip(self.clients.get(&key).map(|client| client.way)) else {
            return false;
        };
        let Some(known) = self.config.peers.iter().find(|known| known.id == peer) else {
            return false;
        };
        let Some(credentials) = &known.credentials else {
            return false;
        };
        let (asked, proof) = if response.status == 401 {
            (Name::WwwAuthenticate, Name::Authorization)
        } else {
            (Name::ProxyAuthenticate, Name::ProxyAuthorization)
        };
        let learnt = self.challenges.answered.get(&peer);
        let mut nonces = parcel.nonces.take().or_else(|| learnt.cloned().map(Box::new)).unwrap_or_default();
        // Only what went to the server that the settings name may teach us its realm; a call may lead anywhere.
        let realms = match parcel.owner {
            Owner::Invite(_) | Owner::Registration(_) | Owner::Ping(_) => Realms::First,
            Owner::Change(_) | Owner::Prack(_) | Owner::Probe(_) | Owner::Inside(_) | Owner::Nobody => match learnt {
                Some(_) => Realms::First,
                None => Realms::Only(&known.domain),
            },
        };
        let request = &mut parcel.request;
        let ask = Ask { method: request.method.as_str(), uri: &request.uri, body: &request.body };
        let cnonce = tag(self.chance.number());
        let challenges = response.headers.all(&asked);
        let Some(value) = answer_challenge(challenges, &ask, credentials, realms, &mut nonces, &cnonce) else {
            return false;
        };
        let mut lesson = (*nonces).clone();
        lesson.accepted();
        self.challenges.answered.insert(peer, lesson);
        parcel.nonces = Some(nonces);
        parcel.request.headers.set(proof, value);
        let seq = self.next_seq(parcel.owner, &parcel.request);
        let method = parcel.request.method.as_str().to_owned();
        parcel.request.headers.set(Name::CSeq, format!("{seq} {method}"));
        super::post::strip_via(&mut parcel);
        parcel.candidates.push_front((way.transport, way.to));
        parcel.hint = Some(way.flow);
        self.post(now, parcel);
        true
    }

    fn next_seq(&mut self, owner: Owner, request: &Request) -> u32 {
        let last = request.cseq().map_or(0, |(seq, _)| seq);
        if let Owner::Registration(peer) = owner {
            let registration = self.registrations.get_mut(&peer).filter(|known| known.sent(request));
            return registration.map_or_else(|| last.saturating_add(1), |registration| registration.next_seq());
        }
        match owner.call().and_then(|call| self.calls.get_mut(&call)) {
            Some(call) => {
                call.dialog.local_seq = call.dialog.local_seq.max(last).saturating_add(1);
                call.dialog.local_seq
            }
            None => last.saturating_add(1),
        }
    }

    /// Whether a request still has to prove itself; then it was asked to.
    pub(crate) fn is_challenged(&mut self, now: Instant, stamped: &Stamped) -> bool {
        let Some(peer) = stamped.peer.and_then(|id| self.peer(id)).filter(|peer| peer.challenge) else {
            return false;
        };
        let realm = if peer.domain.is_empty() { OWN_REALM.to_owned() } else { peer.domain.clone() };
        let credentials = peer.credentials.clone();
        let request = &stamped.request;
        let claim = |header| Claim {
            source: stamped.source.ip(),
            realm: &realm,
            header,
            method: request.method.as_str(),
            uri: &request.uri,
        };
        let mut verdict = None;
        // One for each realm on the way may stand there (RFC 3261 section 22.3).
        for header in request.headers.all(&Name::Authorization).take(MAX_PROOFS) {
            let known = credentials.as_ref();
            let password = |user: &str| known.filter(|known| known.user == user).map(|known| known.password.clone());
            match self.challenges.asked.verify(now, &claim(header), password) {
                Verdict::Accepted { .. } => return false,
                Verdict::Stale => verdict = Some(Verdict::Stale),
                Verdict::Refused => verdict = verdict.or(Some(Verdict::Refused)),
            }
        }
        let refusal = match verdict {
            Some(Verdict::Refused) => Refusal::WrongDigest,
            Some(Verdict::Stale | Verdict::Accepted { .. }) | None => Refusal::Unproven,
        };
        let stale = verdict == Some(Verdict::Stale);
        let mut response = self.response(request, 401);
        for value in self.challenges.asked.challenge(now, stamped.source.ip(), &realm, stale) {
            response.headers.push(Name::WwwAuthenticate, value);
        }
        self.send_plainly(now, stamped, response);
        self.audit(stamped, Some(401), refusal);
        true
    }
}
