//! The sound's side of a call: offers and answers, read and written on its terms.

use std::net::{IpAddr, SocketAddr};

use super::Call;
use crate::endpoint::{Chance, Endpoint};
use crate::sdp::{Direction, Offer, OwnOffer, SdpError, Terms, own_offer};
use crate::types::{Keying, LocalMedia, RemoteMedia};

/// Gives fresh keys.
fn drawn(chance: &mut Chance) -> impl FnMut() -> Keying + '_ {
    || {
        let (mut key, mut salt) = ([0; 32], [0; 14]);
        chance.fill(&mut key);
        chance.fill(&mut salt);
        Keying { key, salt }
    }
}

impl Endpoint {
    /// Reads an offer of the other side's.
    pub(crate) fn read_offer(&mut self, call: &Call, body: &[u8], held_at: IpAddr) -> Result<Offer, SdpError> {
        let capabilities = self.capabilities(call.peer).clone();
        let terms =
            Terms { capabilities: &capabilities, held_at, own_sip: &self.own_sip, before: call.remote.as_ref() };
        let offer = Offer::read(body, &terms, &mut drawn(&mut self.chance))?;
        Ok(if call.held { offer.held() } else { offer })
    }

    /// Our offer: as it is agreed, or all that we can before anything is.
    pub(crate) fn own_offer(&mut self, call: &Call, local: LocalMedia, held_at: IpAddr) -> OwnOffer {
        let capabilities = self.capabilities(call.peer).clone();
        let terms =
            Terms { capabilities: &capabilities, held_at, own_sip: &self.own_sip, before: call.remote.as_ref() };
        let direction = if call.held { Direction::SendOnly } else { Direction::SendRecv };
        own_offer(local, call.ours, &terms, &mut drawn(&mut self.chance), direction)
    }

    /// Reads the answer to an offer of ours.
    pub(crate) fn read_answer(
        &self,
        call: &Call,
        offer: &OwnOffer,
        body: &[u8],
        held_at: IpAddr,
    ) -> Result<RemoteMedia, SdpError> {
        let capabilities = self.capabilities(call.peer);
        let terms = Terms { capabilities, held_at, own_sip: &self.own_sip, before: call.remote.as_ref() };
        offer.read_answer(body, &terms)
    }

    /// Our own SIP sockets as others reach them.
    pub(crate) fn note_own_sockets(&mut self) {
        let config = &self.config;
        let bound = config.locals.iter().map(|local| local.address).chain(self.flows.sockets());
        let mut own: Vec<SocketAddr> = Vec::new();
        for address in bound {
            let advertised = if address.is_ipv4() { config.advertised_v4 } else { config.advertised_v6 };
            let seen = advertised.map(|ip| SocketAddr::new(ip, address.port()));
            own.extend([Some(address), seen].into_iter().flatten());
        }
        own.sort_unstable();
        own.dedup();
        self.own_sip = own;
    }
}
