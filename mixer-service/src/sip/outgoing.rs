//! Calls of ours, from the INVITE to its answer.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use rsipstack::sip::{Header, Method, Request, Response, SipMessage, StatusCodeKind, Uri, Version};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transaction::{make_uuid_v4, make_via_branch};
use rsipstack::transport::{SipAddr, SipConnection};
use tokio::sync::mpsc;

use super::call::{Call, Order, Wire, end, is_reachable, peer_ip, reply, say_bye, silence};
use super::dialog::{Dialog, Ends, send_and_forget};
use super::endpoint::{Invite, Seat, Shared, TRANSACTION_LIFE, Transport};
use super::listen;
use super::sdp::{OurSession, own_offer, read_answer};
use super::{CallKey, Cause, EndedBy, LocalMedia, RemoteMedia, SipEvent, message};

/// The first request of a call of ours carries this number.
const FIRST_SEQ: u32 = 1;

/// Places a call.
pub(super) async fn place(shared: &Arc<Shared>, invite: Invite) -> anyhow::Result<CallKey> {
    let dialable =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#'));
    ensure!(dialable(&invite.number), "a number to call has digits, +, * and # only");
    ensure!(invite.from.as_deref().is_none_or(dialable), "a number to call from has digits, +, * and # only");
    let Some(listener) = shared.listeners.iter().find(|listener| listener.bound.is_ipv4() == invite.server.is_ipv4())
    else {
        bail!("no listening address of the family of {}", invite.server);
    };
    let connection = match invite.transport {
        Transport::Udp => listener.udp.clone(),
        Transport::Tcp => listen::connect(shared, listener, invite.server).await?,
    };
    let call_id = make_uuid_v4();
    let seat = shared.seat(&call_id, None).map_err(|_| anyhow::anyhow!("too many calls at a time"))?;
    let call = seat.call;
    let public = std::net::SocketAddr::new(shared.advertised.unwrap_or(invite.local.ip), listener.bound.port());
    let peer = SipAddr { r#type: Some(stack_transport(invite.transport)), addr: invite.server.into() };
    let ends = Ends::of(connection, peer, public);
    let outgoing = Outgoing::new(seat, invite, call_id, ends).context("this number makes no SIP address")?;
    tokio::spawn(outgoing.run());
    Ok(call)
}

const fn stack_transport(transport: Transport) -> rsipstack::sip::Transport {
    match transport {
        Transport::Udp => rsipstack::sip::Transport::Udp,
        Transport::Tcp => rsipstack::sip::Transport::Tcp,
    }
}

struct Outgoing {
    seat: Seat,
    dialog: Dialog,
    request: Request,
    local: LocalMedia,
    ours: OurSession,
}

impl Outgoing {
    fn new(seat: Seat, invite: Invite, call_id: String, ends: Ends) -> Option<Self> {
        let host = ends.sent_by.addr.to_string();
        let uri = Uri::try_from(format!("sip:{}@{}", invite.number, invite.server)).ok()?;
        let (from, more) = identity(invite.from.as_deref(), &host);
        let local = LocalMedia { ip: seat.shared.advertised.unwrap_or(invite.local.ip), ..invite.local };
        let ours = OurSession { id: u32::try_from(seat.call.0 & 0xffff_ffff).unwrap_or_default(), version: 1 };
        let from = format!("{from};tag={}", seat.local_tag);
        let to = format!("<{uri}>");
        let sdp = own_offer(local, ours);
        let mut headers = vec![
            Header::Via(seat.shared.stack.get_via(Some(ends.sent_by.clone()), Some(make_via_branch())).ok()?.into()),
            Header::From(from.clone().into()),
            Header::To(to.clone().into()),
            Header::CallId(call_id.clone().into()),
            Header::CSeq(format!("{FIRST_SEQ} INVITE").into()),
            Header::MaxForwards(70.into()),
            Header::UserAgent(seat.shared.stack.user_agent.clone().into()),
            Header::Contact(ends.contact.clone().into()),
            Header::Allow(message::ALLOW.into()),
            Header::ContentType(message::SDP.into()),
        ];
        headers.extend(more);
        let request = Request {
            method: Method::Invite,
            uri: uri.clone(),
            version: Version::V2,
            headers: headers.into(),
            body: sdp.into_bytes(),
        };
        let dialog = Dialog::outgoing(call_id, from, to, uri, FIRST_SEQ, ends);
        Some(Self { seat, dialog, request, local, ours })
    }

    async fn run(mut self) {
        let Ok(key) = TransactionKey::from_request(&self.request, TransactionRole::Client) else {
            return end(&self.seat, silence()).await;
        };
        let connection = self.dialog.connection.clone();
        let mut transaction =
            Transaction::new_client(key, self.request.clone(), self.seat.shared.stack.clone(), Some(connection));
        transaction.destination = Some(self.dialog.peer.clone());
        drive(transaction, self.seat.wire_sender.clone());
        match self.ring().await {
            Ok(remote) => {
                self.seat.leave_setup();
                self.seat.shared.tell(SipEvent::Established { call: self.seat.call, remote }).await;
                let Self { seat, dialog, local, ours, .. } = self;
                Call { seat, dialog, ours, local, remote, awaits_answer: false }.run().await;
            }
            Err(cause) => end(&self.seat, cause).await,
        }
    }

    /// Waits for the final response. A CANCEL of ours waits for the first sign of life (RFC 3261 section 9.1), and may
    /// cross the answer: then BYE follows it.
    async fn ring(&mut self) -> Result<RemoteMedia, Cause> {
        let (mut hung_up, mut alive, mut cancelled) = (None, false, false);
        loop {
            if hung_up.is_some() && alive && !cancelled {
                cancelled = true;
                self.cancel();
            }
            tokio::select! {
                order = self.seat.orders.recv(), if hung_up.is_none() => match order {
                    Some(Order::HangUp(reason)) => hung_up = Some(reason),
                    Some(Order::Answer(_) | Order::Refuse(..)) => {}
                    None => hung_up = Some(String::new()),
                },
                wire = self.seat.wire.recv() => match wire {
                    Some(Wire::Response(response)) => match response.status_code.kind() {
                        StatusCodeKind::Provisional => {
                            alive = true;
                            let status = response.status_code.code();
                            if status >= 180 {
                                self.seat.shared.tell(SipEvent::Ringing { call: self.seat.call, status }).await;
                            }
                        }
                        StatusCodeKind::Successful => return self.answered(&response, hung_up),
                        _ => return Err(refused(&response, hung_up)),
                    },
                    Some(Wire::Request(transaction)) => reply(&self.seat, transaction, 481),
                    Some(Wire::NoResponse) | None => return Err(silence()),
                    Some(Wire::Ack(_) | Wire::Cancel(_) | Wire::Unconfirmed) => {}
                },
            }
        }
    }

    fn answered(&mut self, response: &Response, hung_up: Option<String>) -> Result<RemoteMedia, Cause> {
        self.dialog.confirm(response);
        let us = |status, text| Cause { by: EndedBy::Us, status, text };
        if let Some(reason) = hung_up {
            say_bye(&self.seat, &mut self.dialog, &reason);
            return Err(us(None, reason));
        }
        let remote = peer_ip(&self.dialog).and_then(|held_at| read_answer(&response.body, held_at).ok());
        remote.filter(|remote| is_reachable(&self.seat, remote, self.local)).ok_or_else(|| {
            let text = "no sound that both sides know".to_owned();
            say_bye(&self.seat, &mut self.dialog, &text);
            us(Some(488), text)
        })
    }

    /// The CANCEL has the INVITE's Via, number and route (RFC 3261 section 9.1).
    fn cancel(&self) {
        let mut cancel = self.request.clone();
        cancel.method = Method::Cancel;
        cancel.body.clear();
        cancel.headers.retain(|header| {
            matches!(
                header,
                Header::Via(_)
                    | Header::From(_)
                    | Header::To(_)
                    | Header::CallId(_)
                    | Header::MaxForwards(_)
                    | Header::Route(_)
            )
        });
        cancel.headers.push(Header::CSeq(format!("{FIRST_SEQ} CANCEL").into()));
        if let Ok(key) = TransactionKey::from_request(&cancel, TransactionRole::Client) {
            let connection: SipConnection = self.dialog.connection.clone();
            let mut transaction =
                Transaction::new_client(key, cancel, self.seat.shared.stack.clone(), Some(connection));
            transaction.destination = Some(self.dialog.peer.clone());
            send_and_forget(transaction);
        }
    }
}

/// From, and what asserts or hides the number.
fn identity(from: Option<&str>, host: &str) -> (String, Vec<Header>) {
    match from {
        Some(number) => {
            let address = format!("<sip:{}@{host}>", number.replace('#', "%23"));
            let asserted = Header::PAssertedIdentity(address.as_str().into());
            (address, if number.starts_with('+') { vec![asserted] } else { Vec::new() })
        }
        None => ("\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(), vec![Header::Privacy("id".into())]),
    }
}

fn refused(response: &Response, hung_up: Option<String>) -> Cause {
    let status = response.status_code.code();
    if let Some(text) = hung_up {
        return Cause { by: EndedBy::Us, status: Some(status), text };
    }
    // The library reports its own time-outs and broken streams as responses that no peer sent.
    let invented = response
        .headers
        .iter()
        .all(|header| !matches!(header, Header::To(to) if super::dialog::tag_of(to.value()).is_some()));
    let by = if invented && matches!(status, 408 | 503) { EndedBy::Silence } else { EndedBy::Peer };
    let text = response.reason_phrase().unwrap_or_else(|| response.status_code.text()).chars().take(80).collect();
    Cause { by, status: Some(status), text }
}

/// Runs the INVITE's transaction by itself; it acknowledges the answer, and every repetition of it.
fn drive(mut transaction: Transaction, wire: mpsc::Sender<Wire>) {
    tokio::spawn(async move {
        let run = async {
            if transaction.send().await.is_err() {
                return;
            }
            while let Some(received) = transaction.receive().await {
                if let SipMessage::Response(response) = received {
                    let _ = wire.send(Wire::Response(Box::new(response))).await;
                }
            }
        };
        let _ = tokio::time::timeout(TRANSACTION_LIFE, run).await;
        let _ = wire.send(Wire::NoResponse).await;
    });
}
