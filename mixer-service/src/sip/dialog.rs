//! The relation between two ends that requests of one call belong to (RFC 3261 section 12).

use rsipstack::sip::headers::typed::RecordRoute;
use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
use rsipstack::sip::{Header, Method, Request, Response, SipMessage, Uri};
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::make_via_branch;
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::{SipAddr, SipConnection};

use super::uri::unescaped;

/// Most proxies of a call that are remembered; a longer route is no route but an attack.
const MAX_ROUTES: usize = 16;

/// A dialog, seen from our side.
#[derive(Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// Our From or To value, tag included.
    pub(super) local: String,
    /// The other side's, tag included once known.
    pub(super) remote: String,
    /// Where requests go.
    pub(super) target: Uri,
    routes: Vec<Uri>,
    local_seq: u32,
    remote_seq: Option<u32>,
    /// Our Contact value.
    pub(super) contact: String,
    /// Over what the call runs, and where its last message came from.
    pub(super) connection: SipConnection,
    pub(super) peer: SipAddr,
    /// Sent-by of our Via.
    pub(super) sent_by: SipAddr,
}

impl Dialog {
    /// The dialog that an INVITE to us starts (section 12.1.1); `None` when it has no usable Contact.
    pub(super) fn from_invite(invite: &Request, local_tag: &str, ends: Ends) -> Option<Self> {
        let seq = invite.cseq_header().ok()?.typed().ok()?.seq;
        Some(Self {
            call_id: invite.call_id_header().ok()?.value().to_owned(),
            local: format!("{};tag={local_tag}", invite.to_header().ok()?.value()),
            remote: invite.from_header().ok()?.value().to_owned(),
            target: contact_of(invite)?,
            routes: routes_of(invite),
            local_seq: 0,
            remote_seq: Some(seq),
            contact: ends.contact,
            connection: ends.connection,
            peer: ends.peer,
            sent_by: ends.sent_by,
        })
    }

    /// The dialog of a call of ours, before anybody answered; `seq` is its INVITE's.
    pub(super) fn outgoing(call_id: String, local: String, remote: String, target: Uri, seq: u32, ends: Ends) -> Self {
        Self {
            call_id,
            local,
            remote,
            target,
            routes: Vec::new(),
            local_seq: seq,
            remote_seq: None,
            contact: ends.contact,
            connection: ends.connection,
            peer: ends.peer,
            sent_by: ends.sent_by,
        }
    }

    /// Completes an outgoing dialog from its 2xx (section 12.1.2).
    pub(super) fn confirm(&mut self, response: &Response) {
        if let Ok(to) = response.to_header() {
            to.value().clone_into(&mut self.remote);
        }
        if let Some(target) = contact_of(response) {
            self.target = target;
        }
        self.routes = routes_of(response);
        self.routes.reverse();
    }

    /// Takes a request of the other side into the dialog; false when it is older than one taken before (section 12.2.2).
    pub(super) fn accept(&mut self, request: &Request) -> bool {
        let Some(seq) = request.cseq_header().ok().and_then(|cseq| cseq.typed().ok()).map(|cseq| cseq.seq) else {
            return false;
        };
        if self.remote_seq.is_some_and(|last| seq <= last) {
            return false;
        }
        self.remote_seq = Some(seq);
        if request.method == Method::Invite
            && let Some(target) = contact_of(request)
        {
            self.target = target;
        }
        true
    }

    /// Whether a request carries the other side's tag; from the wrong one it is no request of this dialog.
    pub(super) fn is_from_peer(&self, request: &Request) -> bool {
        let theirs = request.from_header().ok().and_then(|from| tag_of(from.value()));
        theirs.is_some() && theirs == tag_of(&self.remote)
    }

    /// A client transaction for the next request of ours in this dialog.
    pub(super) fn request(
        &mut self,
        stack: &EndpointInnerRef,
        method: Method,
        more: Vec<Header>,
    ) -> Option<Transaction> {
        self.local_seq += 1;
        let mut headers = vec![
            Header::Via(stack.get_via(Some(self.sent_by.clone()), Some(make_via_branch())).ok()?.into()),
            Header::From(self.local.clone().into()),
            Header::To(self.remote.clone().into()),
            Header::CallId(self.call_id.clone().into()),
            Header::CSeq(format!("{} {method}", self.local_seq).into()),
            Header::MaxForwards(70.into()),
            Header::UserAgent(stack.user_agent.clone().into()),
        ];
        headers.extend(self.routes.iter().map(|route| Header::Route(format!("<{route}>").into())));
        headers.extend(more);
        let request = Request {
            method,
            uri: self.target.clone(),
            version: rsipstack::sip::Version::V2,
            headers: headers.into(),
            body: Vec::new(),
        };
        let key = TransactionKey::from_request(&request, TransactionRole::Client).ok()?;
        let mut transaction = Transaction::new_client(key, request, stack.clone(), Some(self.connection.clone()));
        transaction.destination = Some(self.next_hop());
        Some(transaction)
    }

    /// Where the next request goes: the first proxy of the route or the other side's Contact, where that is an address;
    /// names are not looked up here, the peer we hear from stands in.
    fn next_hop(&self) -> SipAddr {
        let hop = self.routes.first().unwrap_or(&self.target);
        match SipAddr::try_from(hop) {
            Ok(address) if address.get_socketaddr().is_ok() => SipAddr { r#type: self.peer.r#type, addr: address.addr },
            _ => self.peer.clone(),
        }
    }
}

/// The two ends of a call on the wire.
pub(super) struct Ends {
    pub(super) contact: String,
    pub(super) connection: SipConnection,
    pub(super) peer: SipAddr,
    pub(super) sent_by: SipAddr,
}

/// The tag in a From or To value: behind the address, never inside it.
pub(super) fn tag_of(value: &str) -> Option<&str> {
    let params = value.rfind('>').map_or(value, |end| &value[end..]);
    params.split(';').skip(1).find_map(|param| {
        let (name, tag) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("tag").then_some(tag.trim())
    })
}

fn contact_of(message: &impl HeadersExt) -> Option<Uri> {
    Some(unescaped(message.contact_header().ok()?.typed().ok()?.uri))
}

fn routes_of(message: &impl HeadersExt) -> Vec<Uri> {
    message
        .record_route_headers()
        .into_iter()
        .flat_map(|line| RecordRoute::parse_header_list(line.value()).unwrap_or_default())
        .take(MAX_ROUTES)
        .map(|route| unescaped(route.uri))
        .collect()
}

/// Sends a request and waits for nothing but its transaction's end; its answer changes nothing any more.
pub(super) fn send_and_forget(mut transaction: Transaction) {
    tokio::spawn(async move {
        let run = async {
            if transaction.send().await.is_ok() {
                while let Some(message) = transaction.receive().await {
                    if matches!(message, SipMessage::Response(response) if response.status_code.code() >= 200) {
                        break;
                    }
                }
            }
        };
        let _ = tokio::time::timeout(super::endpoint::TRANSACTION_LIFE, run).await;
    });
}

#[cfg(test)]
mod tests {
    use super::tag_of;

    #[test]
    fn a_tag_is_a_parameter_of_the_header_not_of_the_address() {
        for (value, tag) in [
            ("<sip:a@b>;tag=x", Some("x")),
            ("sip:a@b;tag=x", Some("x")),
            ("\"a;tag=no\" <sip:a@b;tag=no>;foo ; TAG = y", Some("y")),
            ("<sip:a@b;tag=no>", None),
            ("", None),
        ] {
            assert_eq!(tag_of(value), tag, "{value}");
        }
    }
}
