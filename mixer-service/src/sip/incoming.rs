//! Calls to us, from the INVITE to its ACK.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
use rsipstack::sip::{Header, Method, Request, Transport as StackTransport};
use rsipstack::transaction::transaction::{Transaction, TransactionEvent};
use rsipstack::transport::{SipAddr, SipConnection};

use super::call::{Call, Order, Wire, end, is_reachable, peer_ip, read_offer, reply, say_bye, serve, silence};
use super::counters::Refusal;
use super::dialog::{Dialog, Ends, tag_of};
use super::endpoint::{Seat, Shared, socket_address, source_of};
use super::sdp::{Offer, OurSession, own_offer, read_answer};
use super::uri::called_number;
use super::{Called, CallerHeaders, Cause, EndedBy, LocalMedia, SipEvent, message};

/// A call that the shell neither answers nor refuses is given up after this (RFC 3261 timer C).
const SETUP_TIME: Duration = Duration::from_secs(180);

/// Takes an INVITE that starts a call.
pub(super) fn take(
    shared: &Arc<Shared>,
    transaction: Box<Transaction>,
) -> Result<(), (Box<Transaction>, Option<Refusal>, u16)> {
    let invite = &transaction.original;
    if !message::is_sdp_or_empty(invite) {
        return Err((transaction, Some(Refusal::Media), 415));
    }
    let (Some(initial), Some(connection)) = (initial_of(invite), transaction.connection.clone()) else {
        return Err((transaction, Some(Refusal::Headers), 400));
    };
    let seat = match shared.seat(&initial.0.clone(), Some(initial)) {
        Ok(seat) => seat,
        Err(Refusal::Merged) => return Err((transaction, Some(Refusal::Merged), 482)),
        Err(refusal) => return Err((transaction, Some(refusal), 503)),
    };
    let Some(arrival) = Arrival::of(&seat, invite, &connection) else {
        return Err((transaction, Some(Refusal::Headers), 400));
    };
    tokio::spawn(serve_call(seat, transaction, arrival));
    Ok(())
}

fn initial_of(invite: &Request) -> Option<(String, String, u32)> {
    let call_id = invite.call_id_header().ok()?.value().to_owned();
    let tag = tag_of(invite.from_header().ok()?.value())?.to_owned();
    Some((call_id, tag, invite.cseq_header().ok()?.typed().ok()?.seq))
}

/// What an INVITE tells about the wire.
struct Arrival {
    source: SocketAddr,
    local: IpAddr,
    dialog: Dialog,
}

impl Arrival {
    fn of(seat: &Seat, invite: &Request, connection: &SipConnection) -> Option<Self> {
        let peer = source_of(connection)?;
        let source = socket_address(&peer)?;
        let on_stream = connection.is_reliable().then(|| seat.shared.streams.local(source));
        let bound = on_stream.unwrap_or_else(|| socket_address(connection.get_addr()))?;
        let local = local_towards(&seat.shared, bound, source);
        let public = SocketAddr::new(seat.shared.advertised.unwrap_or(local), bound.port());
        let ends = Ends::of(connection.clone(), peer, public);
        let dialog = Dialog::from_invite(invite, &seat.local_tag, ends)?;
        Some(Self { source, local, dialog })
    }
}

impl Ends {
    /// The ends of a call over this connection, ours being known as `public`.
    pub(super) fn of(connection: SipConnection, peer: SipAddr, public: SocketAddr) -> Self {
        let stream = connection.is_reliable();
        let transport = if stream { StackTransport::Tcp } else { StackTransport::Udp };
        let contact = if stream { format!("<sip:{public};transport=tcp>") } else { format!("<sip:{public}>") };
        Self { contact, connection, peer, sent_by: SipAddr { r#type: Some(transport), addr: public.into() } }
    }
}

/// Our address as that peer reaches it, also where we listen on all.
fn local_towards(shared: &Shared, bound: SocketAddr, source: SocketAddr) -> IpAddr {
    let on_all = shared.listeners.iter().any(|listener| listener.bound.ip().is_unspecified());
    let routed = || {
        let any: IpAddr = if source.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let probe = UdpSocket::bind((any, 0)).ok()?;
        // Sends nothing: the system only picks the address that leads there.
        probe.connect(source).ok()?;
        Some(probe.local_addr().ok()?.ip())
    };
    on_all.then(routed).flatten().unwrap_or_else(|| bound.ip())
}

async fn serve_call(mut seat: Seat, transaction: Box<Transaction>, mut arrival: Arrival) {
    let mut transaction = transaction;
    let _ = transaction.send_trying().await;
    let invite = transaction.original.clone();
    let responder = serve(*transaction, seat.wire_sender.clone());
    let respond = |response| {
        let _ = responder.send(TransactionEvent::Respond(response));
    };
    tracing::info!(call = seat.call.0, source = %arrival.source, "call arrives");
    let event = SipEvent::Incoming {
        call: seat.call,
        source: arrival.source,
        local: arrival.local,
        called: Called(called_number(&invite.uri)),
        headers: caller_headers(&invite),
    };
    seat.shared.tell(event).await;

    let local = match decision(&mut seat, &mut arrival.dialog).await {
        Decision::Answer(local) => LocalMedia { ip: seat.shared.advertised.unwrap_or(local.ip), ..local },
        Decision::Final(status, cause) => {
            let mut refusal = message::response(&seat.shared, &invite, status, &seat.local_tag, None);
            if cause.by == EndedBy::Us {
                refusal.headers.push(message::reason_header(&cause.text));
            }
            respond(refusal);
            return end(&seat, cause).await;
        }
    };

    let ours = OurSession { id: u32::try_from(seat.call.0 & 0xffff_ffff).unwrap_or_default(), version: 1 };
    let held_at = arrival.source.ip();
    let offer = if invite.body.is_empty() { Ok(None) } else { read_offer(&seat, &invite, held_at, local).map(Some) };
    let offer = match offer {
        Ok(offer) => offer,
        Err(status) => {
            respond(message::response(&seat.shared, &invite, status, &seat.local_tag, None));
            let text = "no sound that both sides know".to_owned();
            return end(&seat, Cause { by: EndedBy::Us, status: Some(status), text }).await;
        }
    };
    let sdp = offer.as_ref().map_or_else(|| own_offer(local, ours), |offer| offer.answer(local, ours));
    respond(message::acceptance(&seat.shared, &invite, &seat.local_tag, &arrival.dialog.contact, sdp));
    confirm(seat, arrival.dialog, offer, local, ours).await;
}

/// What becomes of a call that waits for the shell.
enum Decision {
    Answer(LocalMedia),
    Final(u16, Cause),
}

async fn decision(seat: &mut Seat, dialog: &mut Dialog) -> Decision {
    let us = |status, text| Decision::Final(status, Cause { by: EndedBy::Us, status: Some(status), text });
    let give_up = tokio::time::sleep(SETUP_TIME);
    tokio::pin!(give_up);
    loop {
        tokio::select! {
            () = &mut give_up => return us(480, "nobody answered".to_owned()),
            order = seat.orders.recv() => match order {
                Some(Order::Answer(local)) => return Decision::Answer(local),
                Some(Order::Refuse(status, text)) => return us(status.clamp(400, 699), text),
                Some(Order::HangUp(text)) => return us(480, text),
                None => return us(503, String::new()),
            },
            wire = seat.wire.recv() => match wire {
                Some(Wire::Cancel(text)) => {
                    return Decision::Final(487, Cause { by: EndedBy::Peer, status: Some(487), text });
                }
                Some(Wire::Request(transaction)) => {
                    let is_bye = transaction.original.method == Method::Bye
                        && dialog.is_from_peer(&transaction.original)
                        && dialog.accept(&transaction.original);
                    let text = message::reason_of(&transaction.original);
                    reply(seat, transaction, if is_bye { 200 } else { 481 });
                    if is_bye {
                        return Decision::Final(487, Cause { by: EndedBy::Peer, status: None, text });
                    }
                }
                Some(Wire::Ack(_) | Wire::Response(_) | Wire::NoResponse) => {}
                Some(Wire::Unconfirmed) | None => return us(503, String::new()),
            },
        }
    }
}

/// Waits for the ACK, then runs the call. Whoever hangs up meanwhile is heard, but a BYE of ours waits for the ACK
/// (RFC 3261 section 15).
async fn confirm(mut seat: Seat, mut dialog: Dialog, offer: Option<Offer>, local: LocalMedia, ours: OurSession) {
    let mut hung_up = None;
    let body = loop {
        tokio::select! {
            order = seat.orders.recv(), if hung_up.is_none() => match order {
                Some(Order::HangUp(reason)) => hung_up = Some(reason),
                Some(Order::Answer(_) | Order::Refuse(..)) => {}
                None => hung_up = Some(String::new()),
            },
            wire = seat.wire.recv() => match wire {
                Some(Wire::Ack(body)) => break body,
                Some(Wire::Request(transaction)) => {
                    let ours = dialog.is_from_peer(&transaction.original);
                    let is_bye = ours && transaction.original.method == Method::Bye && dialog.accept(&transaction.original);
                    let text = message::reason_of(&transaction.original);
                    // A re-INVITE before the ACK of the first crosses it: try again (RFC 3261 section 14.2).
                    reply(&seat, transaction, match (is_bye, ours) { (true, _) => 200, (_, true) => 500, _ => 481 });
                    if is_bye {
                        return end(&seat, Cause { by: EndedBy::Peer, status: None, text }).await;
                    }
                }
                Some(Wire::Cancel(_) | Wire::Response(_) | Wire::NoResponse) => {}
                Some(Wire::Unconfirmed) | None => {
                    say_bye(&seat, &mut dialog, "no ACK");
                    return end(&seat, silence()).await;
                }
            },
        }
    };
    if let Some(reason) = hung_up {
        say_bye(&seat, &mut dialog, &reason);
        return end(&seat, Cause { by: EndedBy::Us, status: None, text: reason }).await;
    }
    let remote = match offer {
        Some(offer) => Some(offer.remote),
        None => peer_ip(&dialog)
            .and_then(|held_at| read_answer(&body, held_at).ok())
            .filter(|remote| is_reachable(&seat, remote, local)),
    };
    let Some(remote) = remote else {
        seat.shared.counters.count_refused(Refusal::Media);
        let text = "no sound that both sides know".to_owned();
        say_bye(&seat, &mut dialog, &text);
        return end(&seat, Cause { by: EndedBy::Us, status: Some(488), text }).await;
    };
    seat.leave_setup();
    seat.shared.tell(SipEvent::Established { call: seat.call, remote }).await;
    Call { seat, dialog, ours, local, remote, awaits_answer: false }.run().await;
}

fn caller_headers(invite: &Request) -> CallerHeaders {
    let values = |wanted: &str| {
        let all = invite.headers.iter().filter(|header| is_named(header, wanted)).map(Header::value);
        // Left out whole, it would make way for a header that counts less.
        let bounded = all.map(|value| if value.len() > CallerHeaders::MAX_VALUE_LEN { "" } else { value });
        bounded.take(CallerHeaders::MAX_VALUES).map(str::to_owned).collect()
    };
    CallerHeaders { from: values("From"), asserted: values("P-Asserted-Identity"), privacy: values("Privacy") }
}

fn is_named(header: &Header, wanted: &str) -> bool {
    header.name().trim().eq_ignore_ascii_case(wanted)
}
