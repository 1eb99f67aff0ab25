//! A call that both ends agreed to: what may still happen in its dialog, and how it ends.

use rsipstack::sip::{Method, Request, Response, SipMessage};
use rsipstack::transaction::transaction::{Transaction, TransactionEvent, TransactionEventSender};
use tokio::sync::mpsc;

use super::counters::Refusal;
use super::dialog::{Dialog, send_and_forget};
use super::endpoint::{Seat, TRANSACTION_LIFE, socket_address};
use super::sdp::{Offer, OurSession, own_offer, read_answer};
use super::{Cause, EndedBy, LocalMedia, RemoteMedia, SipEvent, message};

/// What the shell asks of a call.
pub(super) enum Order {
    Answer(LocalMedia),
    Refuse(u16, String),
    HangUp(String),
}

/// What the network brings to a call.
pub(super) enum Wire {
    /// A request inside the dialog.
    Request(Box<Transaction>),
    /// The ACK of an INVITE we answered, with its body.
    Ack(Vec<u8>),
    /// The caller gave up before we answered; with his reason.
    Cancel(String),
    /// No ACK came for a 200 of ours within 64 T1.
    Unconfirmed,
    /// A response to an INVITE of ours.
    Response(Box<Response>),
    /// An INVITE of ours ended without any final response.
    NoResponse,
}

/// A call with its dialog.
pub(super) struct Call {
    pub(super) seat: Seat,
    pub(super) dialog: Dialog,
    pub(super) ours: OurSession,
    pub(super) local: LocalMedia,
    pub(super) remote: RemoteMedia,
    /// An INVITE without an offer was answered with ours; its ACK brings the answer.
    pub(super) awaits_answer: bool,
}

impl Call {
    /// Serves the call until it ends.
    pub(super) async fn run(mut self) {
        let cause = loop {
            tokio::select! {
                order = self.seat.orders.recv() => match order {
                    Some(Order::HangUp(reason)) => {
                        say_bye(&self.seat, &mut self.dialog, &reason);
                        break Cause { by: EndedBy::Us, status: None, text: reason };
                    }
                    Some(Order::Answer(_) | Order::Refuse(..)) => {}
                    None => break silence(),
                },
                wire = self.seat.wire.recv() => match wire {
                    Some(Wire::Request(transaction)) => {
                        if let Some(cause) = self.request(transaction).await {
                            break cause;
                        }
                    }
                    Some(Wire::Ack(body)) => self.acked(&body).await,
                    Some(Wire::Unconfirmed) => {
                        say_bye(&self.seat, &mut self.dialog, "no ACK");
                        break silence();
                    }
                    Some(Wire::Cancel(_) | Wire::Response(_) | Wire::NoResponse) => {}
                    None => break silence(),
                },
            }
        };
        end(&self.seat, cause).await;
    }

    /// Answers a request in the dialog; gives the cause when it ended the call.
    async fn request(&mut self, transaction: Box<Transaction>) -> Option<Cause> {
        let request = &transaction.original;
        if !self.dialog.is_from_peer(request) {
            self.reply(transaction, 481);
            return None;
        }
        if !self.dialog.accept(request) {
            self.reply(transaction, 500);
            return None;
        }
        match request.method {
            Method::Bye => {
                let text = message::reason_of(request);
                self.reply(transaction, 200);
                return Some(Cause { by: EndedBy::Peer, status: None, text });
            }
            Method::Invite => self.reinvite(transaction).await,
            // Digits by INFO are not read yet, but a telephone that sends them must not think the call is broken.
            Method::Info | Method::Options => self.reply(transaction, 200),
            Method::Ack
            | Method::Cancel
            | Method::Message
            | Method::Notify
            | Method::PRack
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe
            | Method::Update => {
                self.seat.shared.counters.count_refused(Refusal::Method);
                self.reply(transaction, 405);
            }
        }
        None
    }

    /// Hold, resume, another address; a refused offer leaves the call as it was (RFC 3261 section 14.2).
    async fn reinvite(&mut self, transaction: Box<Transaction>) {
        let request = &transaction.original;
        if !message::is_sdp_or_empty(request) {
            return self.reply(transaction, 415);
        }
        let next = OurSession { version: self.ours.version.wrapping_add(1), ..self.ours };
        let (sdp, remote) = if request.body.is_empty() {
            (own_offer(self.local, next), None)
        } else {
            match read_offer(&self.seat, request, self.remote.address.ip(), self.local) {
                Ok(offer) => (offer.answer(self.local, next), Some(offer.remote)),
                Err(status) => return self.reply(transaction, status),
            }
        };
        self.ours = next;
        let accepted = message::acceptance(&self.seat.shared, request, &self.seat.local_tag, &self.dialog.contact, sdp);
        let responder = serve(*transaction, self.seat.wire_sender.clone());
        let _ = responder.send(TransactionEvent::Respond(accepted));
        match remote {
            Some(remote) => self.change(remote).await,
            None => self.awaits_answer = true,
        }
    }

    async fn acked(&mut self, body: &[u8]) {
        if std::mem::take(&mut self.awaits_answer)
            && let Ok(remote) = read_answer(body, self.remote.address.ip())
        {
            self.change(remote).await;
        }
    }

    async fn change(&mut self, remote: RemoteMedia) {
        self.remote = remote;
        self.seat.shared.tell(SipEvent::Reoffered { call: self.seat.call, remote }).await;
    }

    fn reply(&self, transaction: Box<Transaction>, status: u16) {
        reply(&self.seat, transaction, status);
    }
}

/// Answers a request of a call without a body.
pub(super) fn reply(seat: &Seat, transaction: Box<Transaction>, status: u16) {
    let response = message::response(&seat.shared, &transaction.original, status, &seat.local_tag, None);
    let responder = serve(*transaction, seat.wire_sender.clone());
    let _ = responder.send(TransactionEvent::Respond(response));
}

/// Reads an offer as this call may take it; otherwise the status to refuse it with.
pub(super) fn read_offer(
    seat: &Seat,
    request: &Request,
    held_at: std::net::IpAddr,
    local: LocalMedia,
) -> Result<Offer, u16> {
    let offer = Offer::read(&request.body, held_at).ok();
    offer.filter(|offer| is_reachable(seat, &offer.remote, local)).ok_or_else(|| {
        seat.shared.counters.count_refused(Refusal::Media);
        488
    })
}

/// Sound goes out from our address: it must be of the same family, and never to our own signalling.
pub(super) fn is_reachable(seat: &Seat, remote: &RemoteMedia, local: LocalMedia) -> bool {
    let to_ourselves = seat.shared.listeners.iter().any(|listener| {
        listener.bound.port() == remote.address.port()
            && (listener.bound.ip() == remote.address.ip() || Some(remote.address.ip()) == seat.shared.advertised)
    });
    remote.address.is_ipv4() == local.ip.is_ipv4() && !to_ourselves
}

/// Runs a server transaction by itself and reports to its call; what it gives takes responses.
pub(super) fn serve(mut transaction: Transaction, wire: mpsc::Sender<Wire>) -> TransactionEventSender {
    let responder = transaction.tu_sender.clone();
    tokio::spawn(async move {
        let mut acked = false;
        let run = async {
            while let Some(received) = transaction.receive().await {
                let SipMessage::Request(request) = received else { continue };
                let news = match request.method {
                    Method::Ack => {
                        acked = true;
                        Wire::Ack(request.body)
                    }
                    Method::Cancel => Wire::Cancel(message::reason_of(&request)),
                    _ => continue,
                };
                // The call may be over before its last transaction is.
                let _ = wire.send(news).await;
            }
        };
        let _ = tokio::time::timeout(TRANSACTION_LIFE, run).await;
        let accepted = transaction.original.method == Method::Invite
            && transaction.last_response.as_ref().is_some_and(|response| response.status_code.code() / 100 == 2);
        if accepted && !acked {
            let _ = wire.send(Wire::Unconfirmed).await;
        }
    });
    responder
}

/// Sends BYE with a reason.
pub(super) fn say_bye(seat: &Seat, dialog: &mut Dialog, reason: &str) {
    let headers = vec![message::reason_header(reason)];
    if let Some(transaction) = dialog.request(&seat.shared.stack, Method::Bye, headers) {
        send_and_forget(transaction);
    }
}

/// Tells that a call is over.
pub(super) async fn end(seat: &Seat, cause: Cause) {
    // The text may be the peer's own and hold a number: it is for the call record, not for the log.
    tracing::info!(call = seat.call.0, by = ?cause.by, status = ?cause.status, "call ended");
    seat.shared.tell(SipEvent::Ended { call: seat.call, cause }).await;
}

pub(super) const fn silence() -> Cause {
    Cause { by: EndedBy::Silence, status: None, text: String::new() }
}

/// The IP address a peer is known by, to stand in for a held media address.
pub(super) fn peer_ip(dialog: &Dialog) -> Option<std::net::IpAddr> {
    socket_address(&dialog.peer).map(|address| address.ip())
}
