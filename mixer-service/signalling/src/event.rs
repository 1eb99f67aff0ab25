//! What goes in and what comes out of an [`Endpoint`](crate::Endpoint).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::config::{Config, PeerId, Target, Transport};
use crate::types::{CallKey, Called, CallerHeaders, Cause, Digit, LocalMedia, RemoteMedia};

/// A socket that datagrams pass, or one stream. The program numbers them and never uses a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u64);

/// What is known of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Which.
    pub id: FlowId,
    /// How.
    pub transport: Transport,
    /// Our end. Where a socket listens on all addresses, the program tells a flow for each of them, or sets what is
    /// advertised: nobody can be told to call an address that is none.
    pub local: SocketAddr,
    /// The other end of a stream; `None` for a socket that datagrams pass.
    pub remote: Option<SocketAddr>,
    /// Names in the certificate that the other end proved to hold; empty without one.
    pub tls_names: Vec<String>,
}

/// A stream that we asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpenId(pub u64);

/// A name that we asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupId(pub u64);

/// One thing that happened. `Debug` shows no message: it may hold a proof, a key or a number.
pub enum Input<'a> {
    /// A socket or a stream is there. A stream of ours is told by [`Input::Opened`] after this.
    FlowOpened(Flow),
    /// A stream ended, or a socket was given up.
    FlowClosed(FlowId),
    /// A datagram, or one whole message of a stream.
    Message {
        /// By which way.
        flow: FlowId,
        /// From where.
        source: SocketAddr,
        /// As it arrived.
        bytes: &'a [u8],
        /// The telephone system it comes from, recognized by its address or its certificate; `None` is a stranger.
        peer: Option<PeerId>,
    },
    /// Something to do.
    Order(Order),
    /// A stream asked for by [`Output::Open`] is there, or cannot be had.
    Opened {
        /// Which.
        open: OpenId,
        /// Its flow, told before by [`Input::FlowOpened`].
        flow: Option<FlowId>,
    },
    /// A name asked for by [`Output::Resolve`] is found; best first, none if it cannot be found.
    Resolved {
        /// Which.
        lookup: LookupId,
        /// Where to.
        targets: Vec<(Transport, SocketAddr)>,
    },
    /// Other settings.
    Config(Box<Config>),
    /// Time passed.
    Time,
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FlowOpened(flow) => f.debug_tuple("FlowOpened").field(flow).finish(),
            Self::FlowClosed(flow) => f.debug_tuple("FlowClosed").field(flow).finish(),
            Self::Message { source, bytes, .. } => write!(f, "Message({} bytes from {source})", bytes.len()),
            Self::Order(order) => f.debug_tuple("Order").field(order).finish(),
            Self::Opened { open, flow } => f.debug_tuple("Opened").field(open).field(flow).finish(),
            Self::Resolved { lookup, targets } => f.debug_tuple("Resolved").field(lookup).field(targets).finish(),
            Self::Config(_) => f.write_str("Config"),
            Self::Time => f.write_str("Time"),
        }
    }
}

/// Something to do. An order for a call that is over, or that does not fit its state, does nothing.
#[derive(Clone, Debug)]
pub enum Order {
    /// Answers an incoming call: 200 with our SDP. `Established` follows, or `Ended`.
    Answer(CallKey, LocalMedia),
    /// Lets an incoming call ring (180).
    Ring(CallKey),
    /// Refuses an incoming call with a final status (400 to 699) and a reason of a few words. `Ended` follows.
    Refuse(CallKey, u16, String),
    /// Ends a call: BYE, CANCEL or a refusal, whichever its state wants, with a Reason header. `Ended` follows.
    HangUp(CallKey, String),
    /// Places a call. `Ringing`, `Established` and `Ended` tell how it goes on.
    Place(Invite),
    /// Asks inside a call whether the other side is still there. `Alive` follows, or `Ended`.
    Probe(CallKey),
    /// Presses a key by INFO.
    Press(CallKey, Digit),
    /// Holds a call (`true`) or takes it back, by a re-INVITE. `Reoffered` follows where the other side agrees.
    Hold(CallKey, bool),
    /// Asks somebody for his abilities outside a call. `Pong` follows with this token.
    Options {
        /// Chosen by who asks.
        token: u64,
        /// Whom; with a peer whose proxy is set, over the proxy.
        target: Target,
        /// Whose credentials and names to use.
        peer: Option<PeerId>,
    },
    /// Ends all calls with this reason, takes all registrations back, and takes no new call any more.
    Shutdown(String),
}

/// A call to place.
#[derive(Clone)]
pub struct Invite {
    /// The call from here on; made by [`CallKey::placed`].
    pub call: CallKey,
    /// Who is asked to take it; `None`: the peer's server.
    pub target: Option<Target>,
    /// Whose credentials, codecs and limits apply.
    pub peer: Option<PeerId>,
    /// User part of the Request-URI: digits, `+`, `*`, `#`.
    pub number: String,
    /// User part of From and, where it is an international number, of P-Asserted-Identity; `None` calls anonymously, or
    /// as the peer's user where one is set.
    pub from: Option<String>,
    /// Where the other side shall send its sound.
    pub local: LocalMedia,
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite")
            .field("call", &self.call)
            .field("target", &self.target)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// One thing to do. `Debug` shows no message: it may hold a proof, a key or a number.
pub enum Output {
    /// Send these bytes.
    Send {
        /// By this way.
        flow: FlowId,
        /// To there.
        to: SocketAddr,
        /// As they are.
        bytes: Vec<u8>,
    },
    /// Open a stream; answer with [`Input::Opened`].
    Open {
        /// Which.
        open: OpenId,
        /// TCP or TLS.
        transport: Transport,
        /// Where to.
        to: SocketAddr,
        /// The name that its certificate must have; an address if no name is known.
        server_name: String,
        /// Whose certificates to believe, where it is for a peer.
        peer: Option<PeerId>,
    },
    /// Look a name up (RFC 3263); answer with [`Input::Resolved`].
    Resolve {
        /// Which.
        lookup: LookupId,
        /// The name; never an address.
        host: String,
        /// Written with it: then only addresses are asked for.
        port: Option<u16>,
        /// Written with it: no other is wanted.
        transport: Option<Transport>,
    },
    /// End this stream.
    Close(FlowId),
    /// Tell the switchboard.
    Event(SipEvent),
    /// Write down that a request was refused.
    Audit(Refused),
    /// Nothing more to do before this instant; `None`: before something happens.
    Wait(Option<Instant>),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { to, bytes, .. } => write!(f, "Send({} bytes to {to})", bytes.len()),
            Self::Open { open, transport, to, .. } => {
                f.debug_tuple("Open").field(open).field(transport).field(to).finish()
            }
            Self::Resolve { lookup, host, .. } => f.debug_tuple("Resolve").field(lookup).field(host).finish(),
            Self::Close(flow) => f.debug_tuple("Close").field(flow).finish(),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Audit(refused) => f.debug_tuple("Audit").field(refused).finish(),
            Self::Wait(until) => f.debug_tuple("Wait").field(until).finish(),
        }
    }
}

/// Something that happened to a call, a registration or a question.
#[derive(Debug)]
pub enum SipEvent {
    /// Somebody calls. Wants `Answer` or `Refuse`: without either within 200 ms he is sent 100, and after three minutes the
    /// call is given up.
    Incoming {
        /// The call from here on.
        call: CallKey,
        /// Where the INVITE came from.
        source: SocketAddr,
        /// Our address as the caller reaches it: what media sockets bind to and what our SDP should name.
        local: IpAddr,
        /// How it came.
        transport: Transport,
        /// Which telephone system; `None`: a stranger.
        peer: Option<PeerId>,
        /// Names in the caller's certificate.
        tls_names: Vec<String>,
        /// The number dialled.
        called: Called,
        /// Who he says he is.
        headers: CallerHeaders,
    },
    /// A call of ours rings at the other end (18x with this status).
    Ringing {
        /// The call.
        call: CallKey,
        /// 180 to 189.
        status: u16,
        /// Sound before the answer (early media), where he sends some.
        early: Option<RemoteMedia>,
    },
    /// Both ends agree: the ACK arrived, or our call was answered. Sound may flow.
    Established {
        /// The call.
        call: CallKey,
        /// Where and how to send.
        remote: RemoteMedia,
    },
    /// The sound changed: hold, resume, another codec or address. It is answered already.
    Reoffered {
        /// The call.
        call: CallKey,
        /// Where and how to send from now on.
        remote: RemoteMedia,
    },
    /// A key was pressed, told by INFO.
    Pressed {
        /// The call.
        call: CallKey,
        /// Which.
        digit: Digit,
    },
    /// A probe was answered.
    Alive {
        /// The call.
        call: CallKey,
    },
    /// The call is over, whoever ended it; nothing more comes for this key.
    Ended {
        /// The call.
        call: CallKey,
        /// Who ended it, and why.
        cause: Cause,
    },
    /// We are registered.
    Registered {
        /// Where.
        peer: PeerId,
        /// For how long; zero: no longer.
        expires: Duration,
    },
    /// We are not registered.
    RegistrationFailed {
        /// Where.
        peer: PeerId,
        /// The final status; `None`: no answer.
        status: Option<u16>,
        /// Why, in a few words.
        text: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// A question outside calls is answered, or not.
    Pong {
        /// As it was asked.
        token: u64,
        /// The final status; `None`: no answer.
        status: Option<u16>,
        /// Why not, in a few words, or the answer's reason phrase.
        text: String,
        /// How long it took.
        took: Duration,
    },
}

/// A request that was refused: what the audit line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// From where.
    pub source: SocketAddr,
    /// From whom.
    pub peer: Option<PeerId>,
    /// What it asked for; only names that we know, else `OTHER`.
    pub method: &'static str,
    /// What it was answered; `None`: nothing.
    pub status: Option<u16>,
    /// Why.
    pub reason: Refusal,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// It cannot be read, or breaks a rule that all requests keep.
    Malformed,
    /// A bound is reached: calls, calls in set-up, transactions, lines.
    TooManyCalls,
    /// The same call by another way.
    Merged,
    /// An extension that we do not have.
    Extension,
    /// A method that we do not have.
    Method,
    /// A request inside a dialog that we do not have.
    NoDialog,
    /// A request whose number is not the next.
    OutOfOrder,
    /// A body that we do not read.
    Body,
    /// Sound that we cannot agree on.
    Sound,
    /// Longer than we read.
    Size,
    /// Went over too many proxies.
    Hops,
    /// A scheme that we do not have.
    Scheme,
    /// No digest yet; the first request of a peer who must prove himself.
    Unproven,
    /// A wrong digest.
    WrongDigest,
    /// A transfer.
    Transfer,
    /// A session interval that is too short.
    Interval,
    /// A version of SIP that we do not have.
    Version,
    /// Refused by order of the switchboard.
    Ordered,
    /// We are about to stop.
    Stopping,
}

impl Refusal {
    /// Its code in audit lines and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooManyCalls => "too_many_calls",
            Self::Merged => "merged",
            Self::Extension => "extension",
            Self::Method => "method",
            Self::NoDialog => "no_dialog",
            Self::OutOfOrder => "out_of_order",
            Self::Body => "body",
            Self::Sound => "sound",
            Self::Size => "size",
            Self::Hops => "hops",
            Self::Scheme => "scheme",
            Self::Unproven => "unproven",
            Self::WrongDigest => "wrong_digest",
            Self::Transfer => "transfer",
            Self::Interval => "interval",
            Self::Version => "version",
            Self::Ordered => "ordered",
            Self::Stopping => "stopping",
        }
    }

    /// Whether only somebody who searches does this: too many of them, and a stranger is banned.
    #[must_use]
    pub const fn is_miss(self) -> bool {
        match self {
            Self::Malformed | Self::Method | Self::NoDialog | Self::WrongDigest | Self::Version | Self::Scheme => true,
            Self::TooManyCalls
            | Self::Merged
            | Self::Extension
            | Self::OutOfOrder
            | Self::Body
            | Self::Sound
            | Self::Size
            | Self::Hops
            | Self::Unproven
            | Self::Transfer
            | Self::Interval
            | Self::Ordered
            | Self::Stopping => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_is_printed() {
        let bytes = b"Authorization: Digest response=\"secret\"";
        let there = SocketAddr::from(([192, 0, 2, 1], 5060));
        let input = Input::Message { flow: FlowId(1), source: there, bytes, peer: None };
        let output = Output::Send { flow: FlowId(1), to: there, bytes: bytes.to_vec() };
        assert_eq!(
            format!("{input:?} {output:?}"),
            "Message(39 bytes from 192.0.2.1:5060) Send(39 bytes to 192.0.2.1:5060)"
        );
    }
}
