//! A telephone made of datagrams.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::world::{OURS, World};
use crate::event::Order;
use crate::types::CallKey;

/// The hand that is a peer's.
pub(super) const KNOWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));
/// The hand that is nobody's.
pub(super) const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66));

pub(super) struct Hand {
    pub(super) me: SocketAddr,
    /// Header lines that every request gets.
    pub(super) more: String,
}

impl Hand {
    pub(super) fn known() -> Self {
        Self { me: SocketAddr::new(KNOWN, 5060), more: String::new() }
    }

    /// A stranger's telephone says a little more of itself, as most do.
    pub(super) fn stranger() -> Self {
        let more = "User-Agent: friendly-scanner\r\nAllow: INVITE, ACK, BYE, CANCEL\r\n".to_owned();
        Self { me: SocketAddr::new(STRANGER, 5060), more }
    }

    pub(super) fn request(&self, method: &str, seq: u32, to_tag: &str, body: &str) -> String {
        let me = self.me;
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let more = &self.more;
        format!(
            "{method} sip:88@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{seq}{method};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"Hand\" <sip:hand@{me}>;tag=hand\r\nTo: <sip:88@10.0.0.1>{to_tag}\r\n\
             Call-ID: hand@{me}\r\nCSeq: {seq} {method}\r\nContact: <sip:hand@{me}>\r\n{more}{content}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    pub(super) fn send(&self, world: &mut World, datagram: impl AsRef<[u8]>) {
        let to = world.sides[OURS].address;
        world.fly(self.me, to, datagram.as_ref().to_vec());
        world.pass(std::time::Duration::from_millis(3));
    }

    /// The next datagram that comes to this hand, within 40 seconds.
    pub(super) fn receive(&self, world: &mut World) -> String {
        let until = world.now + std::time::Duration::from_secs(40);
        loop {
            if let Some(at) = world.hand.iter().position(|(to, ..)| *to == self.me) {
                let (_, _, bytes) = world.hand.remove(at).unwrap();
                return String::from_utf8(bytes).unwrap();
            }
            assert!(world.step(until), "nothing came");
        }
    }

    /// Nothing more came so far.
    pub(super) fn nothing(&self, world: &World) -> bool {
        world.hand.iter().all(|(to, ..)| *to != self.me)
    }

    /// The next response that is not provisional.
    pub(super) fn answer(&self, world: &mut World) -> String {
        loop {
            let response = self.receive(world);
            if response.starts_with("SIP/2.0 ") && !response.starts_with("SIP/2.0 1") {
                return response;
            }
        }
    }

    /// Sends a request and gives its final response.
    pub(super) fn ask(&self, world: &mut World, request: &str) -> String {
        self.send(world, request);
        self.answer(world)
    }

    /// Calls, is answered, and acknowledges: our key and the To tag of all that follows.
    pub(super) fn call(&self, world: &mut World) -> (CallKey, String) {
        self.send(world, self.request("INVITE", 1, "", &sdp("10.0.0.3", "sendrecv")));
        let call = world.incoming(OURS);
        world.order(OURS, Order::Answer(call, super::world::media(20_000)));
        let tag = to_tag(&self.answer(world));
        self.send(world, self.request("ACK", 1, &tag, ""));
        world.established(OURS);
        (call, tag)
    }
}

pub(super) fn sdp(address: &str, direction: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 10.0.0.3\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\na={direction}\r\n"
    )
}

pub(super) fn to_tag(response: &str) -> String {
    let to = response.lines().find(|line| line.starts_with("To:")).unwrap();
    format!(";tag={}", to.rsplit_once(";tag=").unwrap().1)
}

/// The value of a header line.
pub(super) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

pub(super) fn status(response: &str) -> u16 {
    response.split(' ').nth(1).unwrap().parse().unwrap()
}
