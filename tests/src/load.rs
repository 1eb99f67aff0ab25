//! Many calls by one telephone system, and floods: written for speed, measured at the wire.
//!
//! Everything here blocks and belongs on a thread of its own (`tokio::task::spawn_blocking`).

use std::collections::{BinaryHeap, HashMap};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use dialroom_host::Clock;

use crate::bare::{Answer, Slip, sdp};

/// Longest datagram that is read whole.
const MAX_DATAGRAM: usize = 4_096;
/// How often a flood looks at its watch.
const TICK: Duration = Duration::from_millis(1);
/// How long an answer may take before the request is sent again (RFC 3261, timer A); doubled each time.
const T1: Duration = Duration::from_millis(500);
/// How often an INVITE is sent before its call counts as failed.
const ATTEMPTS: u32 = 6;
/// How long the last calls have to end.
const LAST_ORDERS: Duration = Duration::from_secs(10);

/// What a flood came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flooded {
    /// Datagrams handed to the network.
    pub sent: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Datagrams that came back.
    pub answers: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// How long it took.
    pub took: Duration,
}

impl Flooded {
    /// Datagrams a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.sent as f64 / self.took.as_secs_f64().max(0.001)
    }

    /// Bytes that came back for each one sent.
    #[must_use]
    pub fn amplification(&self) -> f64 {
        self.bytes_in as f64 / self.bytes_out.max(1) as f64
    }
}

/// Offers so many INVITEs a second, each of a call of its own, from these addresses in turn.
#[must_use]
pub fn flood(server: SocketAddr, sources: &[IpAddr], per_second: u32, duration: Duration) -> Flooded {
    let clock = Clock::real();
    let mut sources: Vec<_> = sources.iter().map(|source| Template::new(*source, server)).collect();
    let mut flooded = Flooded::default();
    let begun = clock.instant();
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        let elapsed = clock.instant() - begun;
        if elapsed >= duration {
            flooded.took = elapsed;
            return flooded;
        }
        let due = (elapsed.as_secs_f64() * f64::from(per_second)) as u64;
        if flooded.sent >= due {
            std::thread::park_timeout(TICK);
        }
        while flooded.sent < due {
            let turn = flooded.sent as usize % sources.len().max(1);
            flooded.bytes_out += sources[turn].send(flooded.sent);
            flooded.sent += 1;
            if flooded.sent.is_multiple_of(512) && clock.instant() - begun >= duration {
                break;
            }
        }
        for source in &sources {
            while let Ok(len) = source.socket.recv(&mut buffer) {
                flooded.answers += 1;
                flooded.bytes_in += len as u64;
            }
        }
    }
}

/// An INVITE whose names change in place.
struct Template {
    socket: UdpSocket,
    message: Vec<u8>,
    places: Vec<usize>,
}

impl Template {
    /// Width of the number that makes a call another one.
    const DIGITS: usize = 9;

    fn new(source: IpAddr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((source, 0)).expect("an address of ours");
        socket.connect(server).expect("an address");
        socket.set_nonblocking(true).expect("a socket");
        let local = socket.local_addr().expect("bound");
        let body = sdp(SocketAddr::new(source, 40_000), "sendrecv");
        let message = format!(
            "INVITE sip:88@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK#########\r\nMax-Forwards: 70\r\n\
             From: <sip:flood@{local}>;tag=#########\r\nTo: <sip:88@{server}>\r\nCall-ID: #########@{source}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:flood@{local}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
        let hole = [b'#'; Self::DIGITS];
        let places = (0..message.len() - Self::DIGITS).filter(|at| message[*at..].starts_with(&hole)).collect();
        Self { socket, message, places }
    }

    /// Sends the INVITE of this number; answers its length.
    fn send(&mut self, mut number: u64) -> u64 {
        let mut digits = [b'0'; Self::DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        for place in &self.places {
            self.message[*place..*place + Self::DIGITS].copy_from_slice(&digits);
        }
        // A full queue of the kernel is the server's luck.
        let _ = self.socket.send(&self.message);
        self.message.len() as u64
    }
}

/// What calls are made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// From which address.
    pub local: IpAddr,
    /// Whom.
    pub server: SocketAddr,
    /// How many.
    pub calls: u32,
    /// How many a second; infinite for all at once.
    pub per_second: f64,
    /// How long each lasts; `None`: nobody hangs up.
    pub hold: Option<Duration>,
    /// All hang up within a second, so long after the first has called; in place of `hold`.
    pub together: Option<Duration>,
    /// Whether a 200 is acknowledged.
    pub acknowledge: bool,
    /// How long to go on listening behind the last call.
    pub linger: Duration,
    /// Number of the call of this index.
    pub number: fn(u32) -> String,
}

impl Plan {
    /// So many calls at once by guests, that last a second.
    #[must_use]
    pub fn burst(local: IpAddr, server: SocketAddr, calls: u32) -> Self {
        Self {
            local,
            server,
            calls,
            per_second: f64::INFINITY,
            hold: Some(Duration::from_secs(1)),
            together: None,
            acknowledge: true,
            linger: Duration::ZERO,
            number: |_| crate::mixer::GUEST.to_owned(),
        }
    }
}

/// What the calls came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// From the INVITE to its 200, for each call that came up.
    pub set_up: Vec<Duration>,
    /// From the first INVITE to the last 200.
    pub all_up_after: Duration,
    /// Calls refused, by status; 0 for those nobody answered.
    pub refused: HashMap<u16, u32>,
    /// INVITEs sent again.
    pub repeated: u32,
    /// BYEs that the server sent.
    pub byes: u32,
    /// BYEs of ours that were confirmed.
    pub hung_up: u32,
    /// Datagrams of sound that came.
    pub sound: u64,
}

impl Outcome {
    /// The part of set-ups at this quantile, in milliseconds.
    #[must_use]
    pub fn set_up_ms(&self, quantile: f64) -> f64 {
        let mut sorted = self.set_up.clone();
        sorted.sort_unstable();
        let index = (sorted.len() as f64 * quantile).ceil() as usize;
        sorted.get(index.saturating_sub(1)).map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0)
    }
}

/// One call under way.
struct Call {
    slip: Slip,
    begun: Instant,
    attempts: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Inviting,
    Up,
    HangingUp,
    Over,
}

/// Something to do later, the earliest first.
#[derive(PartialEq, Eq)]
struct Due(Instant, u32, Task);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Begin,
    Again,
    HangUp,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.cmp(&self.0).then_with(|| other.1.cmp(&self.1))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Makes the calls, on a thread of their own.
pub async fn make(plan: Plan) -> Outcome {
    tokio::task::spawn_blocking(move || Exchange::new(&plan).run()).await.expect("the telephones live")
}

/// A telephone system that calls.
struct Exchange<'a> {
    plan: &'a Plan,
    clock: Clock,
    socket: UdpSocket,
    sound: UdpSocket,
    session: String,
    calls: Vec<Option<Call>>,
    by_id: HashMap<String, u32>,
    due: BinaryHeap<Due>,
    outcome: Outcome,
    first: Instant,
}

impl<'a> Exchange<'a> {
    fn new(plan: &'a Plan) -> Self {
        let clock = Clock::real();
        let socket = UdpSocket::bind((plan.local, 0)).expect("an address of ours");
        let sound = UdpSocket::bind((plan.local, 0)).expect("an address of ours");
        sound.set_nonblocking(true).expect("a socket");
        let session = sdp(sound.local_addr().expect("bound"), "sendrecv");
        let first = clock.instant();
        let apart =
            if plan.per_second.is_finite() { Duration::from_secs_f64(1.0 / plan.per_second) } else { Duration::ZERO };
        let due = (0..plan.calls).map(|index| Due(first + apart * index, index, Task::Begin)).collect();
        let calls = (0..plan.calls).map(|_| None).collect();
        Self {
            plan,
            clock,
            socket,
            sound,
            session,
            calls,
            by_id: HashMap::new(),
            due,
            outcome: Outcome::default(),
            first,
        }
    }

    fn run(mut self) -> Outcome {
        let mut buffer = [0; MAX_DATAGRAM];
        let mut last = None;
        loop {
            let now = self.clock.instant();
            while self.due.peek().is_some_and(|due| due.0 <= now)
                && let Some(Due(_, index, task)) = self.due.pop()
            {
                self.perform(index, task);
                // Answers first: what waits in our own queue must not count as the server's time.
                self.drain(&mut buffer);
            }
            if self.is_done() {
                let end = *last.get_or_insert(now + self.plan.linger);
                if now >= end {
                    return self.outcome;
                }
            } else if self.due.is_empty() && now > self.first + LAST_ORDERS + Duration::from_secs(60) {
                return self.outcome;
            }
            let wait = self.due.peek().map_or(TICK * 20, |due| due.0.saturating_duration_since(now));
            self.listen(wait.clamp(TICK / 10, TICK * 20), &mut buffer);
        }
    }

    fn is_done(&self) -> bool {
        let at_rest = |call: &Option<Call>| {
            call.as_ref().is_some_and(|call| match call.state {
                State::Over => true,
                State::Up => self.plan.hold.is_none() && self.plan.together.is_none(),
                State::Inviting | State::HangingUp => false,
            })
        };
        self.calls.iter().all(at_rest)
    }

    fn perform(&mut self, index: u32, task: Task) {
        let now = self.clock.instant();
        match task {
            Task::Begin => {
                let local = self.socket.local_addr().expect("bound");
                let number = (self.plan.number)(index);
                let mut slip = Slip::new(local, self.plan.server, &number, "88");
                let invite = slip.invite(&self.session);
                self.by_id.insert(slip.call_id.clone(), index);
                self.calls[index as usize] = Some(Call { slip, begun: now, attempts: 1, state: State::Inviting });
                self.send(&invite);
                self.due.push(Due(now + T1, index, Task::Again));
            }
            Task::Again => self.again(index, now),
            Task::HangUp => {
                let Some(call) = self.calls[index as usize].as_mut() else { return };
                if call.state == State::Up {
                    call.state = State::HangingUp;
                    call.attempts = 1;
                    let bye = call.slip.request("BYE", "", ("", ""));
                    self.send(&bye);
                    self.due.push(Due(now + T1, index, Task::Again));
                }
            }
        }
    }

    /// Nobody answered: once more, or never again.
    fn again(&mut self, index: u32, now: Instant) {
        let Some(call) = self.calls[index as usize].as_mut() else { return };
        let method = match call.state {
            State::Inviting => "INVITE",
            State::HangingUp => "BYE",
            State::Up | State::Over => return,
        };
        if call.attempts == ATTEMPTS {
            call.state = State::Over;
            *self.outcome.refused.entry(0).or_default() += 1;
            return;
        }
        call.attempts += 1;
        let wait = T1 * (1 << (call.attempts - 1));
        // The same request: same branch, same CSeq.
        let slip = call.slip.clone();
        let text = match method {
            "INVITE" => slip.repeated_invite(&self.session),
            _ => slip.same_request("BYE"),
        };
        self.outcome.repeated += 1;
        self.send(&text);
        self.due.push(Due(now + wait, index, Task::Again));
    }

    fn send(&self, message: &str) {
        let _ = self.socket.send_to(message.as_bytes(), self.plan.server);
    }

    fn listen(&mut self, wait: Duration, buffer: &mut [u8]) {
        self.socket.set_nonblocking(false).expect("a socket");
        self.socket.set_read_timeout(Some(wait)).expect("a socket");
        if let Ok((len, from)) = self.socket.recv_from(buffer) {
            self.take(&buffer[..len], from);
        }
        self.drain(buffer);
        let mut sound = [0; 2048];
        while self.sound.recv(&mut sound).is_ok() {
            self.outcome.sound += 1;
        }
    }

    fn drain(&mut self, buffer: &mut [u8]) {
        self.socket.set_nonblocking(true).expect("a socket");
        while let Ok((len, from)) = self.socket.recv_from(buffer) {
            self.take(&buffer[..len], from);
        }
    }

    fn take(&mut self, datagram: &[u8], from: SocketAddr) {
        let now = self.clock.instant();
        let Some(answer) = Answer::read(datagram) else { return self.asked(datagram, from) };
        let Some(index) = answer.header("Call-ID").and_then(|id| self.by_id.get(id)).copied() else { return };
        let Some(call) = self.calls[index as usize].as_mut() else { return };
        let is_invite = answer.header("CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"));
        match (answer.status, call.state) {
            (..200, _) => {}
            (200..300, State::Inviting) if is_invite => {
                call.slip.learn(&answer);
                call.state = State::Up;
                self.outcome.set_up.push(now - call.begun);
                self.outcome.all_up_after = now - self.first;
                if self.plan.acknowledge {
                    let ack = call.slip.ack();
                    self.send(&ack);
                }
                let part = Duration::from_secs(1) * index / self.plan.calls;
                let together = self.plan.together.map(|after| self.first + after + part);
                if let Some(end) = together.or(self.plan.hold.map(|hold| now + hold)) {
                    self.due.push(Due(end, index, Task::HangUp));
                }
            }
            (200..300, State::Up) if is_invite && self.plan.acknowledge => {
                let ack = call.slip.ack();
                self.send(&ack);
            }
            (_, State::HangingUp) if !is_invite => {
                call.state = State::Over;
                self.outcome.hung_up += 1;
            }
            (300.., State::Inviting) if is_invite => {
                call.slip.learn(&answer);
                let ack = call.slip.same_branch("ACK");
                call.state = State::Over;
                *self.outcome.refused.entry(answer.status).or_default() += 1;
                self.send(&ack);
            }
            _ => {}
        }
    }

    /// The server asks something: a BYE is confirmed, anything else left to its timer.
    fn asked(&mut self, datagram: &[u8], from: SocketAddr) {
        let text = String::from_utf8_lossy(datagram);
        if !text.starts_with("BYE ") {
            return;
        }
        let copied =
            |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
        let lines: Vec<_> = text.lines().filter(copied).collect();
        let confirmed = format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"));
        let _ = self.socket.send_to(confirmed.as_bytes(), from);
        let id = lines.iter().find_map(|line| line.strip_prefix("Call-ID:").map(str::trim));
        if let Some(index) = id.and_then(|id| self.by_id.get(id)).copied()
            && let Some(call) = self.calls[index as usize].as_mut()
            && call.state != State::Over
        {
            call.state = State::Over;
            self.outcome.byes += 1;
        }
    }
}
